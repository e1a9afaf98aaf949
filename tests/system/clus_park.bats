# SPDX-License-Identifier: GPL-2.0-or-later
# The policy no_quorum=suspend: what a host's guests do when it loses quorum, and what becomes of them when it has it again.
load lib
load clus
load clus_guests

# A lease so long that a cut host can be healed after its guests are suspended and before others may start them: suspended at 18 s,
# started elsewhere from 25.2 s on
setup_file() { trouble_setup_file lease_s=24 no_quorum=suspend; }

parked_are() { # HOST COUNT
	local parked
	mapfile -t parked < <(look domains "$1" parked)
	[ ${#parked[@]} -eq "$2" ] || { echo "$1 has ${#parked[@]} suspended copies, not $2" >&2; return 1; }
}
parked_in_all() {
	local h parked
	mapfile -t parked < <(for h in $(hosts_up); do look domains "$h" parked; done)
	[ ${#parked[@]} -eq "$1" ]
}
awaits_until() { clus_report | jq -e --arg h "$1" '.hosts[] | select(.name == $h) | .awaits | test("until .*Z")' >/dev/null; }
hvdom_pid() { at "$1" vmctl dominfo "$2" --json | jq .pid; }

@test "a host that is cut off suspends its guests; back in time, they go on where they were" {
	local before gens
	gather host-c
	before=$(boots) gens=$(generations)
	vmlab cut host-c
	eventually 25 parked_are host-c 4
	vmlab heal host-c
	eventually 20 all_run
	whole
	[ "$(boots)" = "$before" ]
	[ "$(generations)" = "$gens" ]
	vc host-a events | grep -q 'suspended for want of quorum'
	never_twice
}

# bats test_tags=long
@test "all hosts cut off from each other for longer than the lease: all guests go on, none was rebooted" {
	local before gens h i=0 g hosts=(host-a host-b host-c) heals=()
	for g in "${GUESTS[@]}"; do
		h=${hosts[i++ % 3]}
		[ "$(dom $g host)" = $h ] || vc $h move $g $h >/dev/null
	done
	before=$(boots) gens=$(generations)
	for h in "${hosts[@]}"; do vmlab cut $h; done
	eventually 30 parked_in_all 4
	for g in guest02 guest04; do eventually 5 not disk_locked "$SHARED/$g.img"; done
	# no hand lets one go on, and whoever looks is told
	run at host-b vmctl resume guest02
	[ "$status" -eq 1 ]
	[[ $output == *quorum* ]] || { echo "$output" >&2; false; }
	[ "$(dom guest02 state host-b)" = suspended ]
	sleep 10
	# a guard that dies knows when it is back who may live on
	vmlab service host-a kill guard
	sleep 2
	parked_in_all 4
	# two that are whole again wait for the third, which is seconds behind, and say so
	for h in host-a host-b; do
		vmlab heal $h 3>&- &
		heals+=($!)
	done
	wait "${heals[@]}"
	eventually 20 awaits_until host-c
	sleep 8
	host_is host-c online
	vc host-a events | grep -q 'waiting for host-c until'
	vmlab heal host-c
	whole
	eventually 20 all_run
	[ "$(boots)" = "$before" ]
	[ "$(generations)" = "$gens" ]
	never_twice
}

@test "cut off for long: others start the guests, and the suspended copies end without having run" {
	local gens g i=0
	gather host-b
	gens=$(generations)
	vmlab cut host-b
	eventually 25 parked_are host-b 4
	eventually 30 taken_over host-a host-b
	answer_after "${GUESTS[@]}"
	parked_are host-b 4
	vmlab heal host-b
	whole
	eventually 20 copies_are host-b 0
	eventually 20 all_run
	for g in "${GUESTS[@]}"; do
		i=$((i + 1))
		[ "$(dom $g generation)" -gt "$(cut -d' ' -f$i <<<"$gens")" ]
		[ "$(dom $g host)" != host-b ]
	done
	never_twice
}

# bats test_tags=long
@test "the guard alone, with clusterd dead: the same; a domain that does not answer is killed" {
	local before mute
	gather host-c
	before=$(boots)
	vmlab service host-c stop clusterd
	mute=$(hvdom_pid host-c guest01)
	at host-c kill -STOP "$mute"
	eventually 20 parked_are host-c 3
	vmlab service host-c start clusterd
	whole
	eventually 30 all_run
	[ "$(boots | tail -n 3)" = "$(tail -n 3 <<<"$before")" ]
	[ "$(boots | head -n 1)" != "$(head -n 1 <<<"$before")" ]
	never_twice
}

# bats test_tags=long
@test "a suspended domain can be stopped" {
	local h
	gather host-a
	vmlab cut host-a
	eventually 25 parked_are host-a 4
	at host-a vmctl destroy guest01
	parked_are host-a 3
	# whoever may decide again finds it to be stopped; it may be the others, who start the rest
	vmlab heal host-a
	whole
	vc host-b stop guest03
	eventually 40 dom_is guest03 stopped
	vc host-b start guest03
	eventually 40 all_run
	never_twice
}
