# SPDX-License-Identifier: GPL-2.0-or-later
# How guests of engine qemu boot: UEFI with variables that go where the domain goes, boot order, a seed for cloud-init, the guest's own agent.
load lib
load qemu_guests

setup() {
	qemu_setup 80
	rm -f "$SHARED/${g}_VARS.fd"*
}

# efi_xml NAME [key=value...]: as qemu_xml, with UEFI; its variables beside the image
efi_xml() {
	qemu_xml "$@"
	sed -i "s/<os>/<os firmware='efi'>/" "$SHARED/$1.xml"
}
efi_up() { # HOST NAME [key=value...]
	[ -e /usr/share/OVMF/OVMF_CODE_4M.fd ] || skip "missing: ovmf"
	local host=$1
	shift
	efi_xml "$@"
	on "$host" vmctl define "/var/lib/hospes/shared/$1.xml"
	on "$host" vmctl start "$1"
	qemu_wait "$1"
}
# in_guest HOST NAME COMMAND: what a shell on the guest's console answers, in $SAID; each call takes the console over from the one before
in_guest() {
	local out=$BATS_TEST_TMPDIR/console.$RANDOM tag=tag$RANDOM
	(printf '%s\n' "echo $tag\"\"begin; $3; echo $tag\"\"end"; sleep 15) | on "$1" timeout 15 vmctl console --force "$2" >"$out" 2>&1 3>&- &
	eventually 10 grep -q "${tag}end" "$out"
	SAID=$(sed "1,/${tag}begin/d; /${tag}end/,\$d" "$out" | tr -d '\r')
}
var() { echo "/sys/firmware/efi/efivars/$1-6b1f6a30-0b1c-4c55-9a53-3a1f0c7d2e01"; }
# put_var HOST NAME VARIABLE VALUE: makes a variable; the kernel lets nobody change one that it does not know
put_var() { in_guest "$1" "$2" "printf '\\007\\000\\000\\000$4' >/tmp/v; cat /tmp/v >$(var "$3")"; }
has_var() { # HOST NAME VARIABLE VALUE
	in_guest "$1" "$2" "tail -c +5 $(var "$3"); echo"
	[ "$SAID" = "$4" ] || { echo "wanted variable $3 to be $4: $SAID" >&2; return 1; }
}
efi_remove() { guest_remove "$1"; rm -f "$SHARED/$1_VARS.fd" "$SHARED/$1_VARS.fd.new"; }

# KiB of the state that the last push from HOST had
state_kib() { sed -n "s/.*$g: moved to .*, \([0-9]*\) KiB), pages.*/\1/p" "$(vmlab dir "$1")/var/log/hospes/migrated.log" | tail -1; }

@test "UEFI: its code is in the state only where the target has another one, and the guest keeps its own" {
	[ -e /usr/share/OVMF/OVMF_CODE_4M.fd ] || skip "missing: ovmf"
	local code=/var/lib/hospes/$g.code kib h
	qemu_xml "$g" mem=256 load=light
	sed -i "s|<os>|&<loader readonly='yes' type='pflash'>$code</loader><nvram template='/usr/share/OVMF/OVMF_VARS_4M.fd'/>|" "$SHARED/$g.xml"
	# each host has a loader of its own there
	for h in host-a host-b; do
		on $h sh -c "cp /usr/share/OVMF/OVMF_CODE_4M.fd $code; echo '{\"kernels\": [\"/usr\", \"/boot\", \"/var/lib/hospes\"]}' >/etc/hospes/paths.json"
	done
	on host-a vmctl define "/var/lib/hospes/shared/$g.xml"
	on host-a vmctl start "$g"
	qemu_wait "$g"
	on host-a vmmig plan "$g" host-b --json | jq -e '.firmware == "same" and .firmware_bytes == 0'
	pushes "$g" 2
	for h in host-a host-b; do
		kib=$(state_kib $h)
		[ "$kib" -lt 1500 ] || { echo "the state of $h had $kib KiB" >&2; return 1; }
	done
	on host-b sh -c "printf 'another' | dd of=$code bs=1 seek=1000000 conv=notrunc status=none"
	on host-a vmmig plan "$g" host-b --json | jq -e '.firmware == "other" and .firmware_bytes > 3000000'
	pushes "$g" 2
	for h in host-a host-b; do
		kib=$(state_kib $h)
		[ "$kib" -gt 3500 ] || { echo "the state of $h had $kib KiB" >&2; return 1; }
	done
	guest_sound "$g"
	# a file of a state is whole
	on host-a vmctl save "$g" "/var/lib/hospes/shared/$g.save"
	on host-b vmctl restore "/var/lib/hospes/shared/$g.save"
	eventually 20 guest_sound "$g"
	efi_remove "$g"
	for h in host-a host-b; do on $h rm "$code" /etc/hospes/paths.json; done
	rm -f "$SHARED/$g.save"
}

@test "UEFI: a guest's variables survive a push, a stop and a start" {
	efi_up host-a "$g" mem=256 load=light
	[ "$(stat -c %s "$SHARED/${g}_VARS.fd")" = "$(stat -c %s /usr/share/OVMF/OVMF_VARS_4M.fd)" ]
	put_var host-a "$g" First value-first
	has_var host-a "$g" First value-first
	# it is in the file before anybody asks for it, and nothing is left beside
	eventually 5 grep -aq value-first "$SHARED/${g}_VARS.fd"
	eventually 5 eval "[ ! -s \$SHARED/${g}_VARS.fd.new ]"
	disk_locked "$SHARED/${g}_VARS.fd"
	pushes "$g" 1
	guest_sound "$g"
	has_var host-b "$g" First value-first
	put_var host-b "$g" Second value-second
	has_var host-b "$g" Second value-second
	on host-b vmctl destroy "$g"
	grep -aq value-second "$SHARED/${g}_VARS.fd"
	on host-a vmctl start "$g"
	qemu_wait "$g"
	has_var host-a "$g" First value-first
	has_var host-a "$g" Second value-second
	efi_remove "$g"
}

@test "boot order: the disk that is named first is booted from" {
	local disk="<disk type='file' device='disk'><source file='/var/lib/hospes/shared/$g.two'/><target dev='vdb' bus='virtio'/><boot order='1'/></disk>" boot one=one$RANDOM two=two$RANDOM
	# two boot records that say who they are on the serial line, and halt
	boot_record "$SHARED/$g.img" $one
	boot_record "$SHARED/$g.two" $two
	qemu_xml "$g" mem=64 load=none image="$SHARED/$g.img" xml="$disk"
	sed -i '/<kernel>/d; /<initrd>/d; /<cmdline>/d' "$SHARED/$g.xml"
	on host-a vmctl define "/var/lib/hospes/shared/$g.xml"
	on host-a vmctl start "$g"
	boot=$(vmlab dir host-a)/var/log/hospes/$g-boot.log
	eventually 30 grep -q $two "$boot"
	not grep -q $one "$boot"
	on host-a vmctl destroy "$g"
	sed -i "s|<boot order='1'/>||" "$SHARED/$g.xml"
	on host-a vmctl define "/var/lib/hospes/shared/$g.xml"
	on host-a vmctl start "$g"
	eventually 30 grep -q $one "$boot"
	guest_remove "$g"
	rm -f "$SHARED/$g.two"*
}

@test "the guest's own agent: addresses, time after a pause, shutdown; also after a push" {
	local now
	qemu_up host-a "$g" mem=256 load=none xml="<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"
	on host-a vmctl domifaddr "$g" --json | jq -e --arg ip "$(guest_ip "$g")" 'any(.[]; .addresses[].address == $ip)'
	in_guest host-a "$g" 'date -s @1000000'
	on host-a vmctl suspend "$g"
	on host-a vmctl resume "$g"
	in_guest host-a "$g" 'date +%s'
	echo "guest: $SAID, host: $(date +%s)"
	[ $((SAID - $(date +%s))) -ge -60 ]
	pushes "$g" 1
	on host-b vmctl domifaddr "$g" --json | jq -e --arg ip "$(guest_ip "$g")" 'any(.[]; .addresses[].address == $ip)'
	on host-b vmctl shutdown "$g" --wait 60
	eventually 10 eval "[ -z \"\$(running_on $g)\" ]"
	guest_remove "$g"
}

@test "UEFI with Secure Boot and SMM is pushed there and back, saved and restored" {
	[ -e /usr/share/OVMF/OVMF_CODE_4M.secboot.fd ] || skip "missing: ovmf"
	efi_xml "$g" mem=256 load=light
	# without keys nothing is refused: Debian's kernel comes directly, without a signature that is looked at
	sed -i "s|</type>|</type><firmware><feature enabled='yes' name='secure-boot'/><feature enabled='no' name='enrolled-keys'/></firmware>|" "$SHARED/$g.xml"
	on host-a vmctl define "/var/lib/hospes/shared/$g.xml"
	on host-a vmctl start "$g"
	qemu_wait "$g"
	pgrep -f "guest=$g,.*smm=on.*cfi.pflash01,property=secure,value=on"
	put_var host-a "$g" First value-first
	pushes "$g" 2
	guest_sound "$g"
	on host-a vmctl save "$g" "/var/lib/hospes/shared/$g.save"
	# what is in the file is not what the guest has: the saved state counts
	printf x | dd of="$SHARED/${g}_VARS.fd" bs=1 seek=200000 conv=notrunc status=none
	on host-a vmctl restore "/var/lib/hospes/shared/$g.save"
	qemu_wait "$g"
	has_var host-a "$g" First value-first
	eventually 10 eval "[ \"\$(dd if=\$SHARED/${g}_VARS.fd bs=1 skip=200000 count=1 status=none)\" != x ]"
	put_var host-a "$g" Second value-second
	has_var host-a "$g" Second value-second
	eventually 5 grep -aq value-second "$SHARED/${g}_VARS.fd"
	efi_remove "$g"
	rm -f "$SHARED/$g.save"
}
