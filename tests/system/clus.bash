# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What the tests of the cluster share, besides lib.bash: orders, domains as the cluster sees them, and the watch over double copies.

# In setup_file: N hosts with Corosync and clusterd, quorate.
clus_up() {
	VMLAB_MEMORY=1GiB lab_up "$1" cluster
	[ "$(id -u)" -eq 0 ] || return 0
	eventually 20 clus_whole >&2
}
clus_need() {
	need_root
	need_program linux.uml jq corosync
	need_guest initramfs.img
}
# As `on`, without the fifty processes that vmlab takes: what polls has to be cheap
at() {
	local h=$1 pid
	shift
	read -r pid 2>/dev/null <"$VMLAB_DIR/$VMLAB_NAME/hosts/$h/init.pid" || { echo "$h is down" >&2; return 1; }
	[ "${LAB_KIND:-}" != systemd ] || { at_systemd "$pid" "$@"; return; }
	nsenter -t "$pid" -m -u -i -n -p -- "$@"
}
# ... which there is with the installed programs, and in the host's own control groups (as vmlab exec)
at_systemd() (
	local pid=$1 ctl path d
	shift
	while IFS=: read -r _ ctl path; do
		d=/sys/fs/cgroup/${ctl#name=}
		[ -n "$ctl" ] || [ -e $d/cgroup.procs ] || d=/sys/fs/cgroup/unified
		d+=${path%/init.scope}/user.slice/vmlab.scope
		[ ! -e "$d/cgroup.procs" ] || echo "$BASHPID" 2>/dev/null >"$d/cgroup.procs" || true
	done <"/proc/$pid/cgroup"
	unset HOSPES_LIBEXEC
	PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin exec nsenter -t "$pid" -m -u -i -n -p -C -- "$@"
)
# jq 1.6 -e finds no fault with nothing at all, which is what a host that does not answer says
jq() {
	local in
	[[ ${1:-} = -*e* ]] || { command jq "$@"; return; }
	in=$(cat)
	[ -n "$in" ] || return 4
	command jq "$@" <<<"$in"
}
# An order at any host: vc HOST ARGS...
vc() { local h=$1; shift; at "$h" vmclus "$@"; }
# All hosts are up and see each other online, from each of them
clus_whole() {
	local h n
	n=$(ls "$VMLAB_DIR/$VMLAB_NAME/hosts" | wc -l)
	for h in $(ls "$VMLAB_DIR/$VMLAB_NAME/hosts"); do
		vc "$h" status --json | jq -e --argjson n "$n" '.quorate and ([.hosts[] | select(.state == "online")] | length) == $n' >/dev/null || return 1
	done
}
# A report of the first host that is quorate
clus_report() {
	local h s
	for h in $(hosts_up); do
		s=$(vc "$h" status --json 2>/dev/null) && jq -e '.quorate' <<<"$s" >/dev/null && { echo "$s"; return 0; }
	done
	echo "no host is quorate" >&2
	return 1
}
# dom NAME KEY [HOST]: as the cluster (or that host) says
dom() {
	local s
	if [ -n "${3:-}" ]; then s=$(vc "$3" status --json); else s=$(clus_report); fi
	jq -r --arg n "$1" --arg k "$2" '.domains[] | select(.name == $n) | .[$k]' <<<"$s"
}
dom_is() { [ "$(dom "$1" state)" = "$2" ]; }
host_is() { [ "$(clus_report | jq -r --arg h "$1" '.hosts[] | select(.name == $h) | .state')" = "$2" ]; }
# Runs where the cluster says, answers, and nowhere else
dom_runs() { # NAME [HOST]
	local d host h where=
	d=$(clus_report | jq -c --arg n "$1" '.domains[] | select(.name == $n)')
	jq -e '.state == "running"' <<<"$d" >/dev/null || { echo "$1 does not run: $d" >&2; return 1; }
	host=$(jq -r .host <<<"$d")
	for h in $(hosts_up); do ! watch_running "$h" | grep -qx -- "$1" || where+=$h; done
	[ "$where" = "$host" ] || { echo "$1 runs on '$where', the cluster says $host" >&2; return 1; }
	[ -z "${2:-}" ] || [ "$host" = "$2" ] || { echo "$1 runs on $host, not on $2" >&2; return 1; }
	disk_held "$1" && answers "$1"
}
disk_held() { [ ! -e "$SHARED/$1.img" ] || disk_locked "$SHARED/$1.img" || { echo "$1 runs but its disk is not locked" >&2; return 1; }; }
answers() { client hospes-probe wait "$(guest_ip "$1"):7" --timeout 1 >/dev/null; }
other_hosts() { ls "$VMLAB_DIR/$VMLAB_NAME/hosts" | grep -vx -- "$1"; }

# Copies of whatever guests on a host, running or not: its hvdom processes
copies_on() { at "$1" sh -c 'grep -lx hvdom /proc/[0-9]*/comm 2>/dev/null | wc -l'; }
copies_are() { [ "$(copies_on "$1")" -eq "$2" ] || { echo "$1 has $(copies_on "$1") copies, not $2" >&2; return 1; }; }
quorate_is() { vc "$1" status --json | jq -e --argjson q "$2" '.quorate == $q' >/dev/null; }
# As HOST sees it: all domains run (or start), none of them on LOST
taken_over() { vc "$1" status --json | jq -e --arg l "$2" '.quorate and all(.domains[]; .host != $l and (.state == "starting" or .state == "running"))' >/dev/null; }
# After a test that failed: power, links and services as they should be
clus_mend() {
	local h
	for h in $(ls "$VMLAB_DIR/$VMLAB_NAME/hosts"); do
		vmlab heal "$h"
		[ -e "$VMLAB_DIR/$VMLAB_NAME/hosts/$h/init.pid" ] || vmlab start "$h"
		at "$h" vmclus shutdown-host --undo >/dev/null 2>&1 || true
	done
}

# clus_define NAME [key=value...] (as guest_xml); by default a light load, a disk and a witness
clus_define() {
	local name=$1
	shift
	guest_xml "$name" load=light dirty=1 cpu=5 witness=1 "$@"
	vc host-a define "/var/lib/hospes/shared/$name.xml"
}
# ... and start it, until it answers
clus_guest() {
	clus_define "$@"
	vc host-a start "$1"
	guest_wait "$1"
}
clus_remove() { # stop it, forget it
	local h
	h=$(clus_report | jq -r .host)
	vc "$h" stop "$1" || true
	vc "$h" undefine "$1" || true
	rm -f "$SHARED/$1".{img,img.lease,xml,wit}
}

# ---- never two copies ----------------------------------------------------------------------------------------------------

# The guest's own evidence: no copy ever found another one's writes; generations of its starts only rise.
witness_ok() {
	local f=$SHARED/$1.wit v
	v=$(dd if="$f" bs=512 skip=1 count=1 status=none | tr -d '\0')
	[ -z "$v" ] || broken "$1: $v" || return 1
	witness_starts "$1" | awk -v n="$1" '$4 < last { print "PROMISE BROKEN: " n ": generation " $4 " started after " last >"/dev/stderr"; bad = 1 } { last = $4 } END { exit bad }'
}
witness_starts() { dd if="$SHARED/$1.wit" bs=512 skip=8 count=64 status=none | tr '\0' '\n' | grep '^start' | sort -n -k 2; }
witness_generation() { witness_starts "$1" | tail -n 1 | awk '{ print $4 }'; }

# From outside, all the time: watch_start; ...; watch_stop. A domain that vmctl calls running on two hosts, and on the first one still
# when it is asked again, is a double copy.
watch_start() {
	WATCH_OUT=$BATS_FILE_TMPDIR/double
	: >"$WATCH_OUT"
	watch_loop >>"$WATCH_OUT" 2>/dev/null 3>&- &
	WATCH_PID=$!
}
watch_loop() {
	local h
	while sleep 0.3; do
		declare -A at=()
		for h in $(hosts_up); do
			for d in $(watch_running "$h"); do
				if [ -n "${at[$d]:-}" ] && watch_running "${at[$d]}" | grep -qx "$d"; then echo "$(date +%T) $d runs on ${at[$d]} and $h"; fi
				at[$d]=$h
			done
		done
		echo .
	done
}
watch_looked() { [ "$(grep -c '^\.$' "$WATCH_OUT")" -gt 2 ]; }
watch_running() { at "$1" vmctl list --json | jq -r '.[] | select(.state == "running") | .name'; }
watch_stop() {
	eventually 10 watch_looked || { echo "the watch did not watch" >&2; return 1; }
	kill "$WATCH_PID" 2>/dev/null || true
	wait "$WATCH_PID" 2>/dev/null || true
	if grep -v '^\.$' "$WATCH_OUT" >&2; then broken "two copies"; fi
}

# answer_after NAME...: milliseconds from now until all of them answered, in MS; fails after a minute of patience
answer_after() {
	local t0=${EPOCHREALTIME/./} n
	for n; do
		client hospes-probe wait "$(guest_ip "$n"):7" --timeout $((60 * PATIENCE)) >/dev/null || { echo "$n does not answer" >&2; return 1; }
	done
	MS=$(((${EPOCHREALTIME/./} - t0) / 1000))
}
