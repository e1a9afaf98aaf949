# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A lab host that stands still as a whole: all its processes, guests included, in a freezer of control groups version 1. And guests that
# write without a break.
PAUSED=/sys/fs/cgroup/freezer/hospes-$VMLAB_NAME

pause_need() { [ -e /sys/fs/cgroup/freezer/cgroup.procs ] || skip "no freezer of control groups version 1 here"; }
all_answer() { local g; for g in "${GUESTS[@]}"; do eventually 20 answers $g; done; }

# The processes of a host: its pid 1's descendants, in whatever namespaces, and itself
pids_of() {
	local init
	read -r init <"$VMLAB_DIR/$VMLAB_NAME/hosts/$1/init.pid"
	ps -e -o pid=,ppid= | awk -v top="$init" '{ up[$1] = $2 } END { for (p in up) { for (q = p; q in up && q != top; q = up[q]); if (q == top) print p } }'
}
# host_pause HOST [SERVICE...]: those are so unlucky as to be woken up last of all, by host_late
host_pause() {
	local i p s
	mkdir -p "$PAUSED"
	LATE=()
	for s in "${@:2}"; do LATE+=("$(vmlab status --json | jq --arg h "$1" --arg s "$s" '.hosts[] | select(.name == $h) | .services[$s]')"); done
	[ ${#LATE[@]} -eq 0 ] || kill -STOP "${LATE[@]}"
	# again, for those that are born meanwhile, and for a process that waits for one of them so that it cannot be frozen just now
	for i in 1 2 3 4 5 6 7 8; do
		for p in $(pids_of "$1"); do echo "$p" >"$PAUSED/cgroup.procs" 2>/dev/null || true; done
		PAUSED_AT=${EPOCHREALTIME/./}
		echo FROZEN >"$PAUSED/freezer.state"
		sleep 0.3
		[ "$i" -eq 1 ] || [ "$(cat "$PAUSED/freezer.state")" != FROZEN ] || return 0
		echo THAWED >"$PAUSED/freezer.state"
	done
	echo "$1 cannot be paused" >&2
	return 1
}
host_late() { kill -CONT "${LATE[@]}"; }
host_continue() { echo THAWED >"$PAUSED/freezer.state"; pause_end "$1"; }
# Its clocks stood still since it was paused (services with LD_PRELOAD=.../clkshim.so)
host_lag() {
	local ns=$(((${EPOCHREALTIME/./} - PAUSED_AT) * 1000)) i out= pid file
	read -r pid <"$VMLAB_DIR/$VMLAB_NAME/hosts/$1/init.pid"
	file=/proc/$pid/root/run/clock-lag
	ns=$((ns + $(od -A n -t d8 "$file")))
	for i in 0 1 2 3 4 5 6 7; do out+=$(printf '\\x%02x' $((ns >> i * 8 & 255))); done
	printf "$out" | dd of="$file" conv=notrunc status=none
}
pause_end() {
	local p
	[ -d "$PAUSED" ] || return 0
	echo THAWED >"$PAUSED/freezer.state"
	for p in $(cat "$PAUSED/cgroup.procs"); do echo "$p" >/sys/fs/cgroup/freezer/cgroup.procs 2>/dev/null || true; done
	rmdir "$PAUSED" 2>/dev/null || true
}
