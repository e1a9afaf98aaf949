# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What the tests of the cluster share, besides lib.bash: orders, domains as the cluster sees them, and the watch over double copies.

# In setup_file: N hosts with Corosync and clusterd, quorate; --witness: and host N + 1, which carries no domains.
clus_up() {
	VMLAB_MEMORY=1GiB lab_up "$1" cluster "${@:2}"
	[ "$(id -u)" -eq 0 ] || return 0
	eventually 20 clus_whole >&2
}
clus_need() {
	need_root
	need_program linux.uml jq corosync
	need_guest initramfs.img
	need_engine
}
at() { on "$@"; }
# hvdom as HOST has it
hvdom_of() {
	# shellcheck disable=SC2016 # expanded there
	if [ "${LAB_KIND:-}" = systemd ]; then at "$1" sh -c 'readlink -f "$(command -v hvdom)"'; else realpath "$top_builddir/hypervisor/hvdom"; fi
}
# An order at any host: vc HOST ARGS...
vc() { local h=$1; shift; at "$h" vmclus "$@"; }
# All hosts are up and see each other online, from each of them
clus_whole() { look whole; }
# A report of the first host that is quorate
clus_report() { look status; }
# dom NAME KEY [HOST]: as the cluster (or that host) says
dom() { look dom "$@"; }
dom_is() { [ "$(dom "$1" state)" = "$2" ]; }
host_is() { [ "$(look host "$1" state)" = "$2" ]; }
# Runs where the cluster says, answers, and nowhere else
dom_runs() { # NAME [HOST]
	look placed "$1" || return 1
	local host=
	[ -z "${2:-}" ] || { host=$(dom "$1" host) && [ "$host" = "$2" ]; } || { echo "$1 runs on $host, not on $2" >&2; return 1; }
	disk_held "$1" && answers "$1"
}
disk_held() { [ ! -e "$SHARED/$1.img" ] || disk_locked "$SHARED/$1.img" || { echo "$1 runs but its disk is not locked" >&2; return 1; }; }
answers() { client hospes-probe wait "$(guest_ip "$1"):7" --timeout 1 >/dev/null; }
lab_hosts() { local h; for h in "$VMLAB_DIR/$VMLAB_NAME"/hosts/*; do echo "${h##*/}"; done; }
other_hosts() { local h; for h in $(lab_hosts); do [ "$h" = "$1" ] || echo "$h"; done; }

# Copies of whatever guests on a host, running or not: its hvdom processes
# shellcheck disable=SC2086 # words
copies_on() { local p; p=$(look hvdoms "$1") || return; set -- $p; echo $#; }
copies_are() { local n; n=$(copies_on "$1") && [ "$n" -eq "$2" ] || { echo "$1 has ${n:-no} copies, not $2" >&2; return 1; }; }
quorate_is() { look quorate "$@"; }
# As HOST sees it: all domains run (or start), none of them on LOST
taken_over() { look status "$1" | jq -e --arg l "$2" '.quorate and all(.domains[]; .host != $l and (.state == "starting" or .state == "running"))' >/dev/null; }
# After a test that failed: power, links and services as they should be
clus_mend() {
	local h
	for h in $(lab_hosts); do
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

# From outside, all the time: watch_start; ...; watch_stop. A domain that runs on two hosts, as vmctl sees it, and on the first one still when
# that is asked again, is a double copy.
watch_start() {
	WATCH_OUT=$BATS_FILE_TMPDIR/double
	: >"$WATCH_OUT"
	watch_loop >>"$WATCH_OUT" 2>/dev/null 3>&- &
	WATCH_PID=$!
}
watch_loop() { exec "$top_builddir/tests/system/lablook" watch 200; }
watch_end() { [ -z "${WATCH_PID:-}" ] || kill "$WATCH_PID" 2>/dev/null || true; }
watch_looked() { local seen; mapfile -t seen <"$WATCH_OUT" && [ ${#seen[@]} -gt 2 ]; }
watch_stop() {
	eventually 10 watch_looked || { echo "the watch did not watch" >&2; return 1; }
	kill "$WATCH_PID" 2>/dev/null || { echo "the watch ended by itself" >&2; return 1; }
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
