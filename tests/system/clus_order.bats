# SPDX-License-Identifier: GPL-2.0-or-later
# Hosts that cannot do what they look fit for, hosts that are emptied, and hosts that go in order: guests go where they can run, at once.
load lib
load clus
load clus_guests

teardown() {
	local h
	for h in $(hosts_up); do
		while heal_hvdom $h 2>/dev/null; do :; done
		vc $h drain $h --undo >/dev/null || true
	done
	trouble_teardown
}

# The host's hvdom is a program that only fails
cripple() { at $1 mount --bind /bin/false "$(hvdom_of $1)"; }
heal_hvdom() { at $1 umount "$(hvdom_of $1)"; }
events_since() { vc "$1" events --json --since "$2" | jq -r .text; }
# HOST NAME...: these domains are there, and no others
alone_on() { [ "$(clus_report | jq -r --arg h "$1" '[.domains[] | select(.host == $h) | .name] | sort | join(" ")')" = "${*:2}" ] || { clus_report | jq -c '.domains[] | [.name, .host, .state]' >&2; false; }; }
index() { clus_report | jq .generation; }

# What HOST lacks of the others' features, by the cluster
lacks() { vc host-a cpu-baseline --json | jq -r --arg h "$1" '.hosts[] | select(.name == $h) | .lacks | join(" ")'; }
lacks_only() { [ "$(lacks "$1")" = "$2" ]; }

# bats test_tags=long
@test "a host whose processor has less: the baseline is without it, and a guest that uses the others' does not go there" {
	gather host-b
	! grep -qw sse4_2 /proc/cpuinfo && skip "missing: a processor with SSE 4.2"
	vc host-a cpu-baseline --json | jq -e '.features | index("sse4.2")'
	sed 's/ sse4_2 / /' /proc/cpuinfo >"$SHARED/cpuinfo"
	at host-c mount --bind /var/lib/hospes/shared/cpuinfo /proc/cpuinfo
	eventually 40 lacks_only host-c sse4.2 || { at host-c umount /proc/cpuinfo; false; }
	vc host-a cpu-baseline | grep -A 1 'host-c lacks what others have:' | grep -x '  sse4.2'
	vc host-a cpu-baseline --json | jq -e '.features | index("sse4.2") | not'
	vc host-a explain guest01 --json | jq -e '.hosts[] | select(.name == "host-c") | .why == "cpu-features" and (.text | test("lack features of host-b"))'
	at host-c umount /proc/cpuinfo
	eventually 40 lacks_only host-c ''
	vc host-a explain guest01 --json | jq -e '.hosts[] | select(.name == "host-c") | .ok'
}

# bats test_tags=long
@test "a host that sees the files but cannot start the guest is not tried again and again: the next one has it within seconds" {
	local since text
	gather host-b
	vc host-b move guest01 host-c >/dev/null
	vc host-b move guest02 host-c >/dev/null
	vc host-b move guest03 host-c >/dev/null
	cripple host-a # the emptiest
	since=$(index)
	vmlab kill host-b
	eventually 20 dom_runs guest04 host-c
	text=$(events_since host-c "$since")
	[ "$(grep -c 'guest04 could not be started on host-a: ' <<<"$text")" -eq 1 ] || { echo "$text" >&2; false; }
	vc host-c explain guest04 --json | jq -e '.hosts[] | select(.name == "host-a") | .ok and .failures == 1 and (.failed | length) > 0 and (.text | test("failed here 1 time"))'
	# none can: who asked is told what each of them said, and may ask again
	cripple host-c
	vc host-c stop guest04
	run vc host-c start guest04 --timeout 20
	[ "$status" -eq 1 ]
	[[ $output = *"no host that may run guest04 could start it"*host-a:* && $output = *host-c:* ]] || { echo "$output" >&2; false; }
	heal_hvdom host-a
	heal_hvdom host-c
	vc host-c start guest04
	vmlab start host-b
	whole
	never_twice
}

@test "drain names who cannot leave and why, moves the others, ends in time; what it moved is brought back" {
	local rule boot
	gather host-a
	rule=$(vc host-a rules add hosts guest01 host-a --json | jq .id)
	boot=$(boots)
	vc host-b drain host-a --no-wait
	eventually 40 alone_on host-a guest01
	run vc host-b drain host-a --timeout 2
	[ "$status" -eq 4 ] || { echo "$output" >&2; false; }
	[[ $output =~ "1 stay so far".*guest01.*"cannot leave now: no host for it".*"may run on" ]] || { echo "$output" >&2; false; }
	clus_report | jq -e 'all(.domains[] | select(.name != "guest01"); .home == "host-a")'
	vc host-b rules remove "$rule"
	vc host-b drain host-a
	eventually 5 copies_are host-a 0 # the move is done a moment before its old hvdom is
	vc host-a move guest03 "$(other_hosts host-a | grep -vx -- "$(dom guest03 host)")" >/dev/null # somebody wants it there
	clus_report | jq -e '.domains[] | select(.name == "guest03") | .home == null'
	vc host-c drain host-a --bring-back
	eventually 10 all_run
	alone_on host-a guest01 guest02 guest04
	[ "$(boots)" = "$boot" ]
	never_twice
}

@test "a host that is shut down gives its guests away live, the others know at once, and it comes back" {
	local boot
	gather host-b
	boot=$(boots)
	at host-b vmclus shutdown-host
	host_is host-b safe
	clus_report | jq -e '.hosts[] | select(.name == "host-b") | .safe_by == "left" and .leaving == "ending"'
	copies_are host-b 0
	[ "$(boots)" = "$boot" ]
	run vc host-a move guest01 host-b
	[ "$status" -eq 1 ]
	at host-b vmclus shutdown-host --undo
	whole
	vc host-a move guest01 host-b >/dev/null
	[ "$(boots)" = "$boot" ]
	never_twice
}

@test "guests are powered off and start elsewhere at once, without the lease, though clusterd dies on the way; then power goes" {
	local t0 since
	gather host-c
	since=$(index)
	t0=${EPOCHREALTIME/./}
	at host-c vmclus shutdown-host --mode shutdown --timeout 20 --no-wait
	vmlab service host-c kill clusterd
	eventually 30 host_is host-c safe
	clus_report | jq -e '.hosts[] | select(.name == "host-c") | .safe_by == "left"'
	copies_are host-c 0
	# each of them as it ended, not all of them with the host
	[ "$(events_since host-a "$since" | grep -c "was ended on host-c, which is being shut down")" -ge 1 ]
	vmlab kill host-c
	answer_after "${GUESTS[@]}"
	echo "# asked, powered off, and all four answer elsewhere: $(((${EPOCHREALTIME/./} - t0) / 1000)) ms" >&3
	eventually 10 all_run
	vmlab start host-c
	whole
	all_run
	never_twice
}

# bats test_tags=long
@test "without a quorum a host that is shut down ends its guests all the same, and says that nobody knows" {
	vc host-a move guest01 host-c >/dev/null
	vmlab cut host-c
	run at host-c vmclus shutdown-host --mode stop --timeout 5
	[ "$status" -eq 4 ] || { echo "$output" >&2; false; }
	[[ $output = *"without a quorum"* ]]
	copies_are host-c 0
	never_twice
}
