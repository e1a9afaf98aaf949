# SPDX-License-Identifier: GPL-2.0-or-later
# Hosts die, links are cut, quorum is lost, everything restarts: guests come back within the time, and never twice.
load lib
load clus
load clus_guests

@test "power loss of a host with four guests: all start elsewhere within 15 s and answer, in a new generation" {
	local before
	gather host-b
	copies_are host-b 4
	before=$(generations)
	local t0=${EPOCHREALTIME/./}
	vmlab kill host-b
	# the cluster's part; how long four guests boot depends on what else the machine does (bench/failover.bash measures it)
	eventually 15 taken_over host-a host-b
	answer_after "${GUESTS[@]}"
	echo "# all four answer after $(((${EPOCHREALTIME/./} - t0) / 1000)) ms" >&3
	eventually 20 all_run
	local i=0 g
	for g in "${GUESTS[@]}"; do
		i=$((i + 1))
		[ "$(dom $g generation)" -gt "$(cut -d' ' -f$i <<<"$before")" ]
		[ "$(witness_generation $g)" = "$(dom $g generation)" ]
		[ "$(dom $g host)" != host-b ]
	done
	never_twice
}

@test "the host that returns resumes nothing, and is of use again" {
	local before
	before=$(generations)
	vmlab start host-b
	whole
	sleep 1
	[ "$(generations)" = "$before" ]
	copies_are host-b 0
	all_run
	vc host-b move guest01 host-b
	dom_runs guest01 host-b
	never_twice
}

@test "cut both ways: the host ends its guests before the others start them, and comes back by itself" {
	local before
	gather host-c
	before=$(generations)
	vmlab cut host-c
	# from inside: not quorate, and at last empty
	eventually 10 quorate_is host-c false
	answer_after "${GUESTS[@]}"
	echo "# all four answer after $MS ms" >&3
	copies_are host-c 0
	vmlab heal host-c
	whole
	all_run
	[ "$(generations)" != "$before" ]
	never_twice
}

one_way_cut() { # in or out
	gather host-a
	vmlab cut host-a --oneway $1
	eventually 40 taken_over host-b host-a
	vmlab heal host-a
	whole
	eventually 40 all_run
	never_twice
}
# bats test_tags=long
@test "a one-way cut, out: the same" {
	one_way_cut out
}
# bats test_tags=long
@test "a one-way cut, in: the same" {
	one_way_cut in
}

@test "a short cut, healed before anybody was declared dead, changes nothing" {
	local before
	before=$(boots)
	vmlab cut host-b
	sleep 0.5
	vmlab heal host-b
	sleep 5
	whole
	all_run
	[ "$(boots)" = "$before" ]
	never_twice
}

# bats test_tags=long
@test "two of three lost: the last one ends its domains in time; they run again when there is a majority" {
	gather host-a
	copies_are host-a 4
	local t0=$SECONDS
	vmlab kill host-b
	vmlab kill host-c
	eventually 20 quorate_is host-a false
	eventually 20 copies_are host-a 0
	# lease 7.8 s, half a second between beats, the guard's kill
	[ $((SECONDS - t0)) -le 12 ]
	run vc host-a start guest01 --timeout 3
	[ "$status" -eq 1 ]
	[[ $output =~ quorum|majority ]] || { echo "$output" >&2; false; }
	vmlab start host-b
	answer_after "${GUESTS[@]}"
	vmlab start host-c
	whole
	eventually 20 all_run
	never_twice
}

@test "all hosts lose power at once: from their disks alone everything comes back, once" {
	local before h
	before=$(generations)
	for h in host-a host-b host-c; do vmlab kill $h; done
	for h in host-c host-a host-b; do vmlab start $h; done
	whole
	answer_after "${GUESTS[@]}"
	eventually 20 all_run
	[ "$(generations)" != "$before" ]
	never_twice
}

move_meets_power_loss() { # of its source or target
	local src dst
	src=$(dom guest02 host)
	dst=$(other_hosts "$src" | head -n 1)
	ask guest02 "dirty 20 16" >/dev/null
	on "$(other_hosts "$src" | tail -n 1)" vmclus move guest02 "$dst" >/dev/null 2>&1 3>&- &
	sleep 0.25
	if [ $1 = source ]; then vmlab kill "$src"; else vmlab kill "$dst"; fi
	answer_after guest02
	wait $! || true
	eventually 30 all_run
	if [ $1 = source ]; then vmlab start "$src"; else vmlab start "$dst"; fi
	whole
	all_run
	never_twice
}
@test "power loss of the source in the middle of a move" {
	move_meets_power_loss source
}
# bats test_tags=long
@test "power loss of the target in the middle of a move" {
	move_meets_power_loss target
}
