# SPDX-License-Identifier: GPL-2.0-or-later
# Engine qemu: what runs the guest is a process of its own, which may end or stand still by itself at a step of a push. All else that fails
# there is fault.bats' (make check-fault-qemu).
HOSPES_ENGINE=qemu
load lib
load fault

# A signal for the QEMU of a host while the other side's, or its own, step is held; then the step goes on
qemu_signal() { # src|tgt STEP KILL|STOP HOST
	local sig=$3 on=$4
	push_held "$1" "$2"
	QEMU=$(qemus_on "$on" guest01)
	kill -$sig "$QEMU"
	kill -CONT "$HELD"
}
# hvdom may have made another one by then, and the guest moves
@test "target QEMU killed: before restoring" { qemu_signal tgt hv.set-state KILL "$to"; wait $PUSHER; all_well; }
@test "target QEMU killed: restored" { qemu_signal tgt hv.set-state.done KILL "$to"; wait $PUSHER; one_copy guest01 "$from"; all_well; }
@test "target QEMU killed: before ready" { qemu_signal tgt send.ready KILL "$to"; wait $PUSHER; one_copy guest01 "$from"; all_well; }

@test "target QEMU stands still: the push ends, and the guest runs on" {
	qemu_signal tgt hv.set-state STOP "$to"
	wait $PUSHER
	one_copy guest01 "$from"
	kill -CONT "$QEMU" 2>/dev/null || true
	all_well
	eventually 10 not kill -0 "$QEMU"
}

@test "source QEMU stands still as it is to suspend: the push ends, and the guest runs on when it does" {
	qemu_signal src hv.suspend STOP "$from"
	sleep 3
	kill -CONT "$QEMU"
	wait $PUSHER
	all_well
}

@test "source QEMU killed while pages are sent: the target never runs a half guest" {
	qemu_signal src hv.suspend KILL "$from"
	wait $PUSHER
	sleep 3
	[ -z "$(running_on guest01)" ]
	[ -z "$(hvdoms_on "$to" guest01)" ]
	eventually 5 not disk_locked "$SHARED/guest01.img"
}
