# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# For tests in which a step of a push meets a fault: guest01 on two hosts, its client, and whether all is well afterwards.

setup_file() {
	need_root
	lab_up 2
	if [ -e "$top_builddir/guests/initramfs.img" ] && engine_there; then
		guest_up host-a guest01 load=light disk=64 >&2
		client_start guest01
	fi
}
teardown_file() {
	[ -z "${CLIENT_PID:-}" ] || kill -KILL "$CLIENT_PID" 2>/dev/null || true
	lab_down
}
setup() {
	need_guests
	faults_clear
	from=$(running_on guest01)
	# an earlier test may have failed: begin anew
	if [[ ! $from =~ ^host-[ab]$ ]] || ! guest_sound guest01 2>/dev/null || ! client_whole 2>/dev/null; then
		kill -KILL "$CLIENT_PID" 2>/dev/null || true
		guest_remove guest01
		guest_up host-a guest01 load=light disk=64
		client_start guest01
		from=host-a
	fi
	to=$(other_host "$from")
}

settled() { one_copy guest01 && guest_sound guest01; }
no_doubt() { # vmmig status on both hosts shows nothing under way
	local h
	for h in host-a host-b; do
		on "$h" vmmig status guest01 --json | tail -n 1 | jq -e '[.. | objects | select(.phase? == "in-doubt")] | length == 0' >/dev/null || return 1
	done
}
# one copy, sound, client connected; the daemons agree
all_well() {
	eventually 20 settled
	eventually 20 no_doubt
	eventually 20 client_whole # its TCP may have backed off while nobody answered
	[ "$(hvdoms_on host-a guest01 | wc -w)" -le 1 ] && [ "$(hvdoms_on host-b guest01 | wc -w)" -le 1 ]
}

# Push until the fault was met: right after a disturbance the daemons may still be settling the last push, and refuse.
push_into() { # HOST POINT
	local i
	for ((i = 0; i < 10; i++)); do
		push "$from" guest01 "$to" || true
		! fault_met "$1" "$2" || return 0
		one_copy guest01 "$from"
		sleep 1
	done
	echo "$2 was never reached: $PUSH_JSON" >&2
	return 1
}
source_killed() { fault "$from" "src.$1:kill"; push_into "$from" "src.$1"; migrated_ready "$from"; all_well; }
target_killed() { fault "$to" "tgt.$1:kill"; push_into "$to" "tgt.$1"; migrated_ready "$to"; all_well; }
target_hvdom_killed() { fault "$to" "tgt.$1:hvdom"; push_into "$to" "tgt.$1"; all_well; }
# the wire goes down while the step is held, and comes back seconds later
wire_cut() {
	local side=$1 step=$2 host=$from pid
	[ "$side" = src ] || host=$to
	fault "$host" "$side.$step:stop"
	# after the cut before this one the daemons may still be finding each other again
	eventually 30 on "$from" vmmig plan guest01 "$to" >/dev/null
	(push "$from" guest01 "$to" >/dev/null 2>&1 || true) 3>&- &
	local pusher=$!
	pid=$(migrated_pid "$host")
	eventually 20 grep -q '^State:.T' "/proc/$pid/status"
	vmlab cut host-b
	kill -CONT "$pid"
	sleep 2
	vmlab heal host-b
	# it stops again at a step that comes again, such as a pass over the memory, or a message that is repeated after the push has ended
	while kill -CONT "$pid" 2>/dev/null; do sleep 0.2; done 3>&- &
	local goer=$!
	wait $pusher
	all_well
	kill $goer
}

# push_held src|tgt STEP: a push has begun, as $PUSHER, and that side's migrated, $HELD, stands still at the step
push_held() {
	local host=$from
	[ "$1" = src ] || host=$to
	fault "$host" "$1.$2:stop"
	(push "$from" guest01 "$to" >/dev/null 2>&1 || true) 3>&- &
	PUSHER=$!
	HELD=$(migrated_pid "$host")
	eventually 20 grep -q '^State:.T' "/proc/$HELD/status"
}
