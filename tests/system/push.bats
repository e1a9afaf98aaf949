# SPDX-License-Identifier: GPL-2.0-or-later
# A loaded guest moves back and forth between two hosts; its clients, memory and disk do not notice.
load lib

setup_file() {
	need_root
	lab_up 2
	[ ! -e "$top_builddir/guests/initramfs.img" ] || guest_up host-a guest01 >&2
}

@test "plan says that it can move, and forecasts" {
	run on host-a vmmig plan guest01 host-b --json
	[ "$status" -eq 0 ]
	tail -n 1 <<<"$output" | jq -e '.possible and .ram_bytes == 268435456 and .downtime_ms > 0 and .rounds > 0'
	one_copy guest01 host-a
}

@test "10 pushes of a loaded guest: connection, memory and disk are whole" {
	local boot
	boot=$(guest_boot_id guest01)
	ask guest01 'fill 24' | jq -e .ok
	client_start guest01
	pushes guest01 "${HOSPES_PUSHES:-10}"
	client_stop
	echo "# client: $CLIENT_JSON" >&3
	[ "$(guest_boot_id guest01)" = "$boot" ]
	ask guest01 hash | jq -e '.ok and .bad == 0 and .pages == 6144'
	guest_sound guest01
}

@test "the target knows it afterwards, the source no more" {
	push_ok "$(running_on guest01)" guest01 "$(other_host "$(running_on guest01)")" --persistent
	local here there
	here=$(running_on guest01) there=$(other_host "$here")
	on "$here" vmctl dominfo guest01 --json | jq -e '.state == "running"'
	[ "$(domain_state "$there" guest01)" != running ]
	on "$there" vmmig status guest01 --json
}

@test "--suspend leaves it paused on the target" {
	local from to
	from=$(running_on guest01) to=$(other_host "$(running_on guest01)")
	push "$from" guest01 "$to" --suspend
	[ "$(domain_state "$to" guest01)" = paused ]
	on "$to" vmctl resume guest01
	guest_wait guest01
	one_copy guest01 "$to"
	guest_sound guest01
}

@test "a paused guest moves and stays paused" {
	local from to
	from=$(running_on guest01) to=$(other_host "$(running_on guest01)")
	on "$from" vmctl suspend guest01
	push "$from" guest01 "$to"
	[ "$(domain_state "$to" guest01)" = paused ]
	on "$to" vmctl resume guest01
	guest_wait guest01
	guest_sound guest01
}

@test "options: bandwidth, streams, no compression" {
	local from to
	from=$(running_on guest01) to=$(other_host "$(running_on guest01)")
	push_ok "$from" guest01 "$to" --streams 1 --compress none
	push_ok "$to" guest01 "$from" --streams 4 --compress lz4
	push_ok "$from" guest01 "$to" --bandwidth 100
	# 100 MiB/s and more than 50 MiB sent take at least half a second
	jq -e '.sent_bytes / .total_ms * 1000 < 130 * 1048576' <<<"$PUSH_JSON"
}

@test "a console session on the guest goes on after a push" {
	local from to
	from=$(running_on guest01) to=$(other_host "$(running_on guest01)")
	push_ok "$from" guest01 "$to"
	run on "$to" timeout 10 sh -c "(echo 'echo mo\$((1+1))ved'; sleep 2) | vmctl console guest01"
	[[ $output = *mo2ved* ]] || { echo "$output" >&2; false; }
}

@test "after all that it powers off in order and its disk is clean" {
	local here
	here=$(running_on guest01)
	guest_sound guest01
	ask guest01 poweroff
	eventually 20 not one_copy guest01
	eventually 5 not disk_locked "$SHARED/guest01.img"
	e2fsck -fn "$SHARED/guest01.img"
}

@test "a pushed guest keeps its heartbeat: it is reset where it hangs" {
	local boot
	guest_up host-a guest03 load=light cmdline=hospes.beat=4
	eventually 5 heartbeat_is host-a guest03 4 0
	boot=$(guest_boot_id guest03)
	push_ok host-a guest03 host-b
	heartbeat_is host-b guest03 4 0
	sleep 6
	heartbeat_is host-b guest03 4 0
	[ "$(guest_boot_id guest03)" = "$boot" ]
	ask guest03 hang
	eventually 30 new_boot guest03 "$boot"
	one_copy guest03 host-b
	guest_sound guest03
	guest_remove guest03
}
heartbeat_is() { on "$1" vmctl dominfo "$2" --json | jq -e --argjson s "$3" --argjson n "$4" '.heartbeat_s == $s and .watchdog_count == $n'; }
new_boot() { local b; b=$(guest_boot_id "$1" 2>/dev/null) && [ -n "$b" ] && [ "$b" != "$2" ]; }
