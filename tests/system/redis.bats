# SPDX-License-Identifier: GPL-2.0-or-later
# Debian with systemd and Redis moves while a client increments counters: none lost, none repeated, no reconnect.
load lib

@test "Redis in Debian through 10 pushes" {
	need_root
	need_program linux.uml jq
	need_guest debian.img
	local pid
	cp --sparse=always "$top_builddir/guests/debian.img" "$SHARED/debian05.img"
	guest_define host-a debian05 image="$SHARED/debian05.img" load=none cmdline="root=/dev/vda"
	on host-a vmctl start debian05
	client hospes-probe wait 10.77.0.15:6379 --timeout 60
	guest_wait debian05
	vmlab client hospes-probe redis 10.77.0.15 --interval 1 >"$BATS_TEST_TMPDIR/redis" 2>"$BATS_TEST_TMPDIR/redis.err" 3>&- &
	pid=$!
	pushes debian05 "${HOSPES_PUSHES:-10}"
	kill -INT $pid
	wait $pid || { cat "$BATS_TEST_TMPDIR/redis" "$BATS_TEST_TMPDIR/redis.err" >&2; false; }
	tail -n 1 "$BATS_TEST_TMPDIR/redis" | jq -e '.wrong == 0 and .resets == 0 and .increments > 1000'
	echo "# redis: $(tail -n 1 "$BATS_TEST_TMPDIR/redis")" >&3
	on "$(running_on debian05)" vmctl shutdown debian05 --wait 60
	e2fsck -fn "$SHARED/debian05.img"
}
