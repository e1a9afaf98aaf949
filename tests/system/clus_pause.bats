# SPDX-License-Identifier: GPL-2.0-or-later
# A whole host is paused, for longer than its lease, and goes on: as a virtual machine does that its hypervisor stopped. Others run its
# guests by then. The old copies must not write once more, whoever wakes up first and whatever the clocks say. Their guests do nothing
# but write, and look who else does.
load lib
load clus
load clus_guests
load clus_pause
GUESTS=(guest01 guest02)
GUEST_KIND=(disk=0 cmdline=hospes.witness_ms=0)

setup_file() {
	trouble_setup_file
	cp "$top_builddir/tests/system/clkshim.so" "$SHARED/"
}
setup() { pause_need; mended_setup; }
teardown() { pause_end host-a; trouble_teardown; }
all_gone() { host_log host-a hospes-guard | grep -c "all domains of the cluster are gone here" || true; }
ended_again() { [ "$(all_gone)" -gt "$GONE" ]; }

@test "a host is paused, its clocks go on: its guests run elsewhere, the old copies write nothing when it wakes up" {
	local g
	gather host-a
	GONE=$(all_gone)
	host_pause host-a hospes-guard clusterd
	eventually 25 taken_over host-b host-a
	all_answer
	host_continue host-a
	# the guests could write for a second before anybody is there to kill them (so they are two for whoever asks vmctl)
	sleep 1
	for g in "${GUESTS[@]}"; do at host-a test -S "/run/hospes/dom/$g/hv.sock"; done
	host_late
	eventually 5 ended_again
	eventually 40 clus_whole
	eventually 20 all_run
	all_sound
}

# HOST [K=V...]
with_clocks_that_lag() {
	local s
	gather host-b # a guard does not end while there are guests
	for s in hospes-guard clusterd migrated; do vmlab service "$1" restart $s LD_PRELOAD=/var/lib/hospes/shared/clkshim.so "${@:2}"; done
	eventually 40 clus_whole
}

# bats test_tags=long
@test "a host is paused and its clocks with it: the TSC knows" {
	grep -qw nonstop_tsc /proc/cpuinfo || skip "the processor of this machine has no invariant TSC"
	# as common/clocks.c sees it; the lab vouches for the clocks, which a host there does not (it says that they may stop)
	grep -qw tsc /sys/devices/system/clocksource/clocksource0/available_clocksource ||
		skip "the kernel of this machine gave up the TSC"
	with_clocks_that_lag host-a
	gather host-a
	watch_start
	GONE=$(all_gone)
	host_pause host-a
	eventually 25 taken_over host-b host-a
	all_answer
	host_lag host-a
	host_continue host-a
	eventually 5 ended_again
	eventually 40 clus_whole
	eventually 20 all_run
	all_sound
	watch_stop
}

# As host-b says: a host that stands still would never answer
seen_as() { look status host-b | jq -e --arg h "$1" --arg s "$2" '.hosts[] | select(.name == $h) | .state == $s' >/dev/null; }
stays_lost() { # HOST: for longer than its lease, 1 % and the margin
	eventually 20 seen_as $1 lost
	sleep 12
	seen_as $1 lost
	not taken_over host-b $1
}
# bats test_tags=long
@test "nothing makes a host safe whose clocks may stop, but an agent or a word: its guests start nowhere, then once" {
	vc host-b policy stopping_clocks=fence >/dev/null
	with_clocks_that_lag host-a HOSPES_CLOCKS=boottime
	clus_report | jq -e '.hosts[] | select(.name == "host-a") | .clock_stops'
	gather host-a
	watch_start
	host_pause host-a
	stays_lost host-a
	host_lag host-a
	host_continue host-a
	eventually 40 clus_whole
	eventually 40 all_run
	all_sound
	# without power it is the same to the others; who has seen that says so
	gather host-a
	vmlab kill host-a
	stays_lost host-a
	clus_report | jq -e '.hosts[] | select(.name == "host-a") | .awaits | test("fence")'
	vc host-b fence confirm host-a --yes
	eventually 10 taken_over host-b host-a
	all_answer
	vmlab start host-a
	eventually 40 clus_whole
	eventually 20 all_run
	all_sound
	watch_stop
}
