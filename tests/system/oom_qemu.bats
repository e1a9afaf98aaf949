# SPDX-License-Identifier: GPL-2.0-or-later
# Engine qemu: memory runs out for QEMU at steps of a push. Its control group gets what it has at that moment as its limit, and
# somebody else in it wants more: the kernel kills the largest, which is QEMU. Afterwards the guest runs once, or has ended cleanly, with that reason.
HOSPES_ENGINE=qemu
load lib
load fault

# The directory of a process' group where its memory is limited, by either version of control groups; status 1: there is none
memory_group() { # PID
	local path
	path=$(sed -n 's/^[0-9]*:memory://p' "/proc/$1/cgroup")
	if [ -n "$path" ]; then
		GROUP=/sys/fs/cgroup/memory$path LIMIT=memory.limit_in_bytes USED=memory.usage_in_bytes
	else
		path=$(sed -n 's/^0:://p' "/proc/$1/cgroup")
		GROUP=/sys/fs/cgroup$path LIMIT=memory.max USED=memory.current
	fi
	[[ $path = */guest ]] && [ -e "$GROUP/$LIMIT" ]
}
starve() { # HOST: until QEMU is dead
	local pid
	pid=$(qemus_on "$1" guest01)
	[ -n "$pid" ]
	memory_group "$pid" || skip "missing: a control group of QEMU's whose memory is limited"
	# what is there may shrink a little before it is written
	for ((i = 0; i < 20; i++)); do cat "$GROUP/$USED" >"$GROUP/$LIMIT" 2>/dev/null && break; done
	while kill -0 "$pid" 2>/dev/null && ! grep -q '^State:.Z' "/proc/$pid/status"; do
		(echo "$BASHPID" >"$GROUP/cgroup.procs" && exec timeout -s KILL 5 head -c 24M /dev/zero | tail -c 24M >/dev/null) 3>&- || true
		[ $((++i)) -lt 60 ] || return 1
	done
}
# QEMU of HOST starves while the step is held, which then goes on
starved() { # src|tgt STEP HOST
	local on=$3
	push_held "$1" "$2"
	starve "$on"
	# a pass over the memory comes again
	while kill -CONT "$HELD" 2>/dev/null; do sleep 0.2; done 3>&- &
	local goer=$!
	wait "$PUSHER"
	kill "$goer" 2>/dev/null || true
	faults_clear
}
said_why() { grep -q 'memory ran out' "$(vmlab dir "$1")/var/log/hospes/guest01.log"; }
# The source's QEMU: it is the guest, which has ended, on both sides
ended_once() {
	sleep 2
	[ -z "$(running_on guest01)" ]
	[ -z "$(hvdoms_on "$to" guest01)" ]
	eventually 10 not disk_locked "$SHARED/guest01.img"
	said_why "$from"
}

# hvdom may have made another QEMU by then, and the guest moves
# bats test_tags=long
@test "out of memory on the target, restoring: the guest runs once" { starved tgt hv.set-state "$to"; all_well; }
# bats test_tags=long
@test "out of memory on the source, while pages are sent: the guest ends once, cleanly" { starved src pass.live "$from"; ended_once; }
