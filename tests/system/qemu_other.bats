# SPDX-License-Identifier: GPL-2.0-or-later
# A guest of engine qemu that is no Linux and knows nothing of us: memtest86+, which tests the memory that is moved under it. It has no disk, no
# network, no agent and no ACPI; its screen, on the serial line, says how long it has run and which errors it found.
load lib
load qemu_guests

MEMTEST=/boot/memtest86+x64.bin

setup() {
	qemu_setup 110
	[ -e $MEMTEST ] || skip "missing: memtest86+"
	cp $MEMTEST "$SHARED/memtest"
}

memtest_up() { # HOST NAME
	qemu_xml "$2" mem=72 disk=0 bridge='' kernel=/var/lib/hospes/shared/memtest
	sed -i '/<initrd>/d; s|<cmdline>.*</cmdline>|<cmdline>console=ttyS0,115200</cmdline>|' "$SHARED/$2.xml"
	on "$1" vmctl define "/var/lib/hospes/shared/$2.xml"
	on "$1" vmctl start "$2"
}
screen() { echo "$VMLAB_DIR/$VMLAB_NAME/hosts/$1/var/log/hospes/$2-boot.log"; } # HOST NAME: all that was ever on it
# HOST NAME: the seconds that it has run, by itself, as the screen said last
tested() {
	local h m s
	IFS=: read -r h m s < <(grep -aoE 'Time: +[0-9]+:[0-9]{2}:[0-9]{2}' "$(screen "$@")" 2>/dev/null | tail -n 1 | tr -d ' ' | cut -d: -f2-)
	[ -n "$s" ] && echo $((10#$h * 3600 + 10#$m * 60 + 10#$s))
}
errors() { grep -aoE 'Errors: +[0-9,]+' "$(screen "$@")" | tr -dc '0-9\n' | sort -n | tail -n 1; } # HOST NAME: the most that were there
tests_on() { local t; t=$(tested "$1" "$2") && [ "$t" -gt "$3" ]; }                              # HOST NAME SECONDS: it has run longer than that
# HOST NAME: it lives: its clock goes on from AT, and it has found no error
lives() {
	eventually 40 tests_on "$1" "$2" "$AT"
	AT=$(tested "$1" "$2")
	[ "$(errors "$1" "$2")" = 0 ] || broken "memtest86+ found errors: $(errors "$1" "$2")"
}
spoil() { # PID: other content in its memory, behind everybody's back
	local f
	for f in "/proc/$1/fd"/*; do
		[ "$(stat -Lc %s "$f" 2>/dev/null)" != $((72 << 20)) ] || { head -c 8388608 /dev/urandom | dd of="$f" bs=1M seek=24 conv=notrunc status=none; return; }
	done
	return 1
}
spoilt() { spoil "$1"; [ "$(errors "$2" "$3")" != 0 ]; }

there_and_back() { # NAME TIMES: from host-a, while it tests
	local from=host-a i
	for ((i = 1; i <= 2 * $2; i++)); do
		push "$from" "$1" "$(other_host "$from")"
		jq -e '.status == "completed" and .sent_bytes > 0' <<<"$PUSH_JSON"
		echo "# push $i: $(jq -c '[.total_ms, .downtime_ms, .rounds, .sent_bytes]' <<<"$PUSH_JSON")" >&3
		from=$(other_host "$from")
		one_copy "$1" "$from"
		lives "$from" "$1"
	done
}

@test "memtest86+ is moved while it tests, saved and restored, and finds no error; it hears no order, and that is said" {
	memtest_up host-a "$g"
	AT=0
	lives host-a "$g"
	there_and_back "$g" 1
	on host-a vmctl suspend "$g"
	on host-a vmctl resume "$g"
	lives host-a "$g"
	on host-a vmctl save "$g" "/var/lib/hospes/shared/$g.save"
	on host-a vmctl restore "/var/lib/hospes/shared/$g.save"
	lives host-a "$g"
	# nobody in it heeds that, and it is said
	run on host-a vmctl shutdown "$g"
	[ "$status" -eq 0 ]
	[[ $output = *"Domain '$g' is being shut down"* && $output = *"no agent of it answers"* ]]
	run on host-a vmctl shutdown "$g" --wait 1
	[ "$status" -ne 0 ]
	[[ $output = *"is not off after 1 s: no agent of it answers"* && $output = *"vmctl destroy $g ends it"* ]]
	run on host-a vmctl reboot "$g"
	[[ $output = *"is being rebooted, but no agent of it answers"* ]]
	lives host-a "$g"
	on host-a vmctl destroy "$g"
	[ -z "$(running_on "$g")" ]
	guest_remove "$g"
	rm -f "$SHARED/$g.save"
}

# bats test_tags=long
@test "memtest86+ is moved there and back three times while it tests: it finds no error, and what is wrong it would find" {
	memtest_up host-a "$g"
	AT=0
	lives host-a "$g"
	there_and_back "$g" "${HOSPES_PUSHES:-3}"
	# from the beginning: not all of its tests look soon at what they wrote
	on host-a vmctl destroy "$g"
	on host-a vmctl start "$g"
	eventually 60 spoilt "$(pgrep -f "guest=$g,debug-threads")" host-a "$g"
	guest_remove "$g"
}
