# SPDX-License-Identifier: GPL-2.0-or-later
# A daemon, an hvdom, the wire or a whole host fails at each step of the protocol. Afterwards exactly one copy runs, owns its disk, and its
# client is still connected. Steps are named as in common/fault.h. HOSPES_ENGINE=qemu: the same of a guest under QEMU (make check-fault-qemu).
load lib
load fault

@test "source migrated killed: while pages are sent" { source_killed pass.live; }
@test "source migrated killed: suspended" { source_killed hv.suspend.done; }
@test "source migrated killed: intention recorded" { source_killed journal.relinquishing.done; }
@test "source migrated killed: ownership given up" { source_killed hv.relinquish.done; }
@test "source migrated killed: after go" { source_killed send.go.after; }
@test "target migrated killed: before ready" { target_killed send.ready; }
@test "target migrated killed: before taking over" { target_killed hv.take; }
@test "target migrated killed: took over" { target_killed hv.take.done; }
@test "target migrated killed: before it says that it runs" { target_killed send.running; }
@test "target hvdom killed: restored" { target_hvdom_killed hv.set-state.done; }
@test "target hvdom killed: at go" { target_hvdom_killed recv.go; }
@test "wire cut: while pages are sent" { wire_cut src pass.live; }
@test "wire cut: before ready" { wire_cut tgt send.ready; }
@test "wire cut: after go" { wire_cut src send.go.after; }

# Every other step: make check-long. tests/migrated/mig.bats and the simulation have them all the time.
# bats test_tags=long
@test "source migrated killed: before the offer" { source_killed send.offer; }
# bats test_tags=long
@test "source migrated killed: before suspending" { source_killed hv.suspend; }
# bats test_tags=long
@test "source migrated killed: before the last message" { source_killed send.final; }
# bats test_tags=long
@test "source migrated killed: target is ready" { source_killed recv.ready; }
# bats test_tags=long
@test "source migrated killed: before giving up ownership" { source_killed hv.relinquish; }
# bats test_tags=long
@test "source migrated killed: before go" { source_killed send.go; }
# bats test_tags=long
@test "source migrated killed: target runs" { source_killed recv.running; }
# bats test_tags=long
@test "source migrated killed: before destroying its copy" { source_killed hv.destroy-moved; }
# bats test_tags=long
@test "target migrated killed: before accepting" { target_killed send.accept; }
# bats test_tags=long
@test "target migrated killed: at the last message" { target_killed recv.final; }
# bats test_tags=long
@test "target migrated killed: before restoring" { target_killed hv.set-state; }
# bats test_tags=long
@test "target migrated killed: restored" { target_killed hv.set-state.done; }
# bats test_tags=long
@test "target migrated killed: at go" { target_killed recv.go; }
# bats test_tags=long
@test "target migrated killed: took over and recorded" { target_killed journal.taken.done; }
# bats test_tags=long
@test "target migrated killed: before running" { target_killed hv.resume; }
# bats test_tags=long
@test "target migrated killed: runs" { target_killed hv.resume.done; }
# bats test_tags=long
@test "target hvdom killed: before restoring" { target_hvdom_killed hv.set-state; }
# bats test_tags=long
@test "target hvdom killed: before ready" { target_hvdom_killed send.ready; }
# bats test_tags=long
@test "target hvdom killed: before taking over" { target_hvdom_killed hv.take; }
# bats test_tags=long
@test "wire cut: suspended" { wire_cut src hv.suspend.done; }
# bats test_tags=long
@test "wire cut: before go" { wire_cut src send.go; }
# bats test_tags=long
@test "wire cut: at go" { wire_cut tgt recv.go; }
# bats test_tags=long
@test "wire cut: before it says that it runs" { wire_cut tgt send.running; }

@test "a source migrated that gets no CPU while the guest stands still: what the last round found is sent" {
	fault "$from" src.hv.suspend.done:stop
	on "$from" vmmig push guest01 "$to" --json >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	local pid pusher=$!
	pid=$(migrated_pid "$from")
	eventually 20 grep -q '^State:.T' "/proc/$pid/status"
	sleep 0.7 # hvdom answers all that it was asked
	kill -CONT "$pid"
	wait $pusher || { cat "$BATS_TEST_TMPDIR/out"; false; }
	one_copy guest01 "$to"
	all_well
}

@test "source hvdom killed while pages are sent: the target never runs a half guest" {
	fault "$from" src.hv.suspend:hvdom
	push "$from" guest01 "$to" && false
	sleep 3
	[ -z "$(running_on guest01)" ]
	[ -z "$(hvdoms_on "$to" guest01)" ]
	eventually 5 not disk_locked "$SHARED/guest01.img"
}

@test "the source host loses power: the target never runs a half guest" {
	fault "$from" src.hv.suspend.done:stop
	(push "$from" guest01 "$to" >/dev/null 2>&1 || true) 3>&- &
	local pid pusher=$!
	pid=$(migrated_pid "$from")
	eventually 20 grep -q '^State:.T' "/proc/$pid/status"
	vmlab kill "$from"
	wait $pusher
	sleep 3
	[ -z "$(running_on guest01)" ]
	vmlab start "$from"
	eventually 20 not disk_locked "$SHARED/guest01.img"
	[ -z "$(running_on guest01)" ]
}

@test "Ctrl-C ends the push, and the guest runs on" {
	on "$from" vmmig push guest01 "$to" --bandwidth 5 --json >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	local v=$!
	sleep 1.5
	# a terminal would send it to the whole group
	on "$from" pkill -INT -x vmmig
	wait $v && false
	tail -n 1 "$BATS_TEST_TMPDIR/out" | jq -e '.status == "cancelled"'
	one_copy guest01 "$from"
	all_well
}

@test "cancel ends the push, and the guest runs on" {
	on "$from" vmmig push guest01 "$to" --bandwidth 5 --json >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	local v=$!
	sleep 1.5
	on "$from" vmmig status guest01 --json | tail -n 1 | jq -e '[.. | objects | select(.domain? == "guest01" and .phase?)] | length > 0'
	on "$from" vmmig cancel guest01
	wait $v && false
	tail -n 1 "$BATS_TEST_TMPDIR/out" | jq -e '.status == "cancelled"'
	one_copy guest01 "$from"
	all_well
}

@test "--timeout ends the push, and the guest runs on" {
	push "$from" guest01 "$to" --bandwidth 5 --timeout 1 && false
	jq -e '.status == "failed" and (.error | test("1 s"))' <<<"$PUSH_JSON"
	one_copy guest01 "$from"
	all_well
}

@test "a slow wire" {
	vmlab slow host-b --rate 200 || skip "this kernel has no token bucket filter"
	push "$from" guest01 "$to" --downtime 300
	vmlab heal host-b
	one_copy guest01 "$to"
	all_well
}

@test "a lossy wire" {
	vmlab slow host-b --loss 1 || skip "this kernel has no random drop"
	push "$from" guest01 "$to" --downtime 500 || true
	vmlab heal host-b
	all_well
}

@test "the target's disk is full" {
	# nothing can be written to its state and logs
	on "$to" sh -c 'mkdir -p /run/full && mount -t tmpfs -o size=64k tmpfs /run/full && cp -a /var/lib/hospes/[!s]* /run/full/ 2>/dev/null; head -c 1000000 /dev/zero >/run/full/fill 2>/dev/null; mkdir -p /run/full/shared; mount --rbind /var/lib/hospes/shared /run/full/shared; mount --rbind /run/full /var/lib/hospes'
	push "$from" guest01 "$to" || true
	local error
	error=$(jq -r .error <<<"$PUSH_JSON")
	on "$to" sh -c 'umount -l /var/lib/hospes; umount -l /run/full'
	[[ $error = *[Ss]pace* ]] || { echo "error: $error" >&2; false; }
	one_copy guest01 "$from"
	all_well
}

@test "a guest that writes faster than the wire: it says so, gives up as asked, never hangs" {
	# a slow machine takes its time for a guest's first touch of 64 MiB
	local t0 slow=$((20 * PATIENCE))
	client hospes-probe ask "$(guest_ip guest01):7007" 'dirty max 64' --timeout $slow | jq -e .ok
	t0=$SECONDS
	run push "$from" guest01 "$to" --bandwidth 40 --downtime 20 --timeout 20
	[ $((SECONDS - t0)) -lt 60 ]
	client hospes-probe ask "$(guest_ip guest01):7007" 'dirty 0 0' --timeout $slow | jq -e .ok
	all_well
}
