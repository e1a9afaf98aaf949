# SPDX-License-Identifier: GPL-2.0-or-later
# bats file_tags=long
# What people say of high availability: which guest starts after which, and planned work during which nothing is lost or started.
load lib
load clus
load clus_guests

teardown() {
	local h id
	for h in $(lab_hosts); do vmlab heal $h || true; done
	vc host-a arm >/dev/null 2>&1 || true
	vc host-a spare host-c --undo >/dev/null || true
	for id in $(vc host-a rules list --json | jq '.[].id'); do vc host-a rules remove "$id" >/dev/null || true; done
	trouble_teardown
}

index() { clus_report | jq .generation; }
# The numbers of the events of KIND about GUEST since INDEX whose text matches
event_of() { vc host-a events --json --since "$1" | jq --arg g "$2" --arg t "$3" 'select(.domain == $g and (.text | test($t))) | .index' | tail -n 1; }
text_of() { clus_report | jq -r --arg g "$1" '.domains[] | select(.name == $g) | .text'; }

@test "a guest starts after another one: by order, after a loss of both, and is stopped before it" {
	local since first then
	vc host-a stop guest01
	vc host-b stop guest02
	vc host-a rules add after guest01 guest02
	run vc host-a rules add after guest02 guest01
	[ "$status" -eq 1 ]
	[[ $output = *"guest02 before guest01 before guest02"* ]] || { echo "$output" >&2; false; }
	run vc host-b start guest01
	[ "$status" -eq 1 ]
	[[ $output = *"guest01 is to run, and waits for guest02, which is not to run"* ]] || { echo "$output" >&2; false; }
	[[ $(text_of guest01) = "waits for guest02, which is not to run"* ]]
	vc host-a explain guest01 | grep 'waits for guest02'
	vc host-c start guest02
	eventually 20 dom_runs guest01
	# both are lost with their host
	gather host-b
	since=$(index)
	vmlab kill host-b
	eventually 30 all_run
	first=$(event_of "$since" guest02 ' runs on ') then=$(event_of "$since" guest01 ' is started on ')
	[ "$first" -lt "$then" ] || { vc host-a events --since "$since" >&2; false; }
	vmlab start host-b
	whole
	# both are to be stopped
	since=$(index)
	vc host-a stop guest01 --no-wait
	vc host-a stop guest02
	first=$(event_of "$since" guest01 'guest01 is stopped$') then=$(event_of "$since" guest02 'guest02 is stopped$')
	[ "$first" -lt "$then" ] || { vc host-a events --since "$since" >&2; false; }
	vc host-a start guest02
	vc host-a start guest01
	never_twice
}

@test "disarmed: no host hears another for three times the lease, and no guest notices; then a loss is one again" {
	local before h
	eventually 20 all_run
	before=$(boots)
	vc host-b disarm --reason 'a new switch' --for 5m
	vc host-c status | grep 'DISARMED until .*a new switch'
	clus_report | jq -e '.disarm.reason == "a new switch" and ([.hosts[].permitted] | all)'
	host_log host-c clusterd | grep 'THE CLUSTER IS DISARMED'
	vmlab cut host-a
	vmlab cut host-b
	vmlab cut host-c
	sleep 20
	for h in host-a host-b host-c; do vmlab heal $h; done
	whole
	eventually 20 all_run
	[ "$(boots)" = "$before" ]
	vc host-a stop guest03
	run vc host-a start guest03
	[ "$status" -eq 1 ]
	[[ $output = *"the cluster is disarmed until"*"a new switch"* ]] || { echo "$output" >&2; false; }
	vc host-a arm
	eventually 20 all_run
	eventually 10 clus_report_is '[.hosts[].permitted] | any | not'
	gather host-b
	vmlab kill host-b
	eventually 15 taken_over host-a host-b
	vmlab start host-b
	whole
	never_twice
}

@test "a spare host is empty until another one is lost; a guest that crashes on is given up; who is not to be balanced is not" {
	local h
	for h in guest01 guest02 guest03 guest04; do vc host-a move $h host-b >/dev/null 2>&1 || true; done
	eventually 20 all_run
	vc host-a spare host-c
	run vc host-a move guest01 host-c
	[ "$status" -eq 1 ]
	[[ $output = *"host-c cannot take guest01: the host is a spare"* ]] || { echo "$output" >&2; false; }
	vc host-a explain guest01 --json | jq -e '.hosts[] | select(.name == "host-c") | .why == "spare" and (.ok | not)'
	vc host-b status | grep '^host-c .* spare'
	# lost: it takes what fits there best
	vmlab kill host-b
	eventually 30 all_run
	clus_report_is '[.domains[] | select(.host == "host-c")] | length > 0'
	clus_report_is '.hosts[] | select(.name == "host-c") | .spare_open'
	vmlab start host-b
	whole
	clus_report_is '.hosts[] | select(.name == "host-c") | .spare_open | not'
	# the balancer empties it, but for the one that is to stay
	h=$(clus_report | jq -r '[.domains[] | select(.host == "host-c") | .name][0]')
	vc host-a set "$h" --no-balance --priority 5 --restarts 1/10m
	vc host-a balance --yes >/dev/null
	clus_report_is --arg h "$h" '[.domains[] | select(.host == "host-c") | .name] == [$h]'
	# one restart, and no more, till a person says so
	vc host-a spare host-c --undo
	kill_hvdom "$h"
	eventually 20 dom_runs "$h"
	kill_hvdom "$h"
	eventually 20 dom_is "$h" failed
	[[ $(text_of "$h") = "given up after 2 crashes"* ]] || { text_of "$h" >&2; false; }
	vc host-b set "$h" --reset >/dev/null
	eventually 20 dom_runs "$h"
	vc host-b set "$h" --balance --priority default --restarts default --json | jq -e '.set == []'
	never_twice
}

# The guest's process dies, on the host that has it
kill_hvdom() {
	local h
	h=$(dom "$1" host)
	at "$h" kill -9 "$(at "$h" vmctl dominfo "$1" --json | jq .pid)"
}

clus_report_is() { clus_report | jq -e "$@" >/dev/null; }
