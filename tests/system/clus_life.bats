# SPDX-License-Identifier: GPL-2.0-or-later
# A cluster of three hosts that is well: orders from any host, moves, rules, balance, maintenance.
load lib
load clus

setup_file() { need_root; clus_up 3; }
teardown_file() { lab_down; }
setup() { clus_need; }
teardown() { watch_end; [ -n "${BATS_TEST_COMPLETED:-}" ] || lab_logs >&2; }

@test "status --json: exactly the keys that were promised, the same on every host" {
	local h s
	for h in host-a host-b host-c; do
		s=$(vc $h status --json)
		jq -e '.quorate == true and (.generation | type) == "number" and ([.hosts[].name] | sort) == ["host-a", "host-b", "host-c"] and .domains == []
			and all(.hosts[]; .state == "online" and .maintenance == false and .cpu_total > 0 and .mem_total_bytes > 0 and
			(.cpu_used | type) == "number" and (.mem_used_bytes | type) == "number")' <<<"$s" || { echo "$h: $s" >&2; false; }
		[ "$(jq -r .host <<<"$s")" = $h ]
	done
	vmlab status --json | jq -e 'all(.hosts[]; all(.services[]; . != null))'
}

@test "the witness of the test guests notices two copies and an old generation, and the watch two copies" {
	guest_define host-a guest09 load=none disk=0 witness=1
	on host-b vmctl define /var/lib/hospes/shared/guest09.xml
	guest_start host-a guest09
	watch_start
	eventually 5 watch_looked
	witness_ok guest09
	not watch_told guest09
	# nobody locks that disk and the domain is not the cluster's: the second copy starts
	on host-b vmctl start guest09
	eventually 10 not witness_ok guest09
	eventually 3 watch_told guest09
	run watch_stop
	[ "$status" -ne 0 ] && [[ $output = *"PROMISE BROKEN: two copies"* ]]
	guest_remove guest09
	rm -f "$SHARED/guest09.wit"
	guest_define host-a guest09 load=none disk=0 witness=1
	dd if=/dev/zero of="$SHARED/guest09.wit" bs=512 count=1 conv=notrunc status=none
	printf 'hospes-witness 5 77 old 9\n' | dd of="$SHARED/guest09.wit" conv=notrunc status=none
	guest_start host-a guest09
	eventually 10 not witness_ok guest09
	guest_remove guest09
	rm -f "$SHARED/guest09.wit"
}

watch_told() { grep -q "$1 runs on host-a and host-b" "$WATCH_OUT"; }

@test "define on one host, start on another, seen by all; stop on the third; the next start is a new generation" {
	clus_define guest01
	local h g
	for h in host-a host-b host-c; do [ "$(dom guest01 state $h)" = stopped ]; done
	vc host-b start guest01
	guest_wait guest01
	dom_runs guest01
	for h in host-a host-b host-c; do [ "$(dom guest01 host $h)" = "$(dom guest01 host)" ]; done
	g=$(dom guest01 generation)
	[ "$(witness_generation guest01)" = "$g" ]
	ask guest01 status | jq -e --argjson g "$g" '.generation == $g'
	run vc host-a undefine guest01
	[ "$status" -eq 1 ]
	vc host-c stop guest01
	dom_is guest01 stopped
	not answers guest01
	eventually 5 not disk_locked "$SHARED/guest01.img"
	vc host-a start guest01
	guest_wait guest01
	[ "$(dom guest01 generation)" -gt "$g" ]
	witness_ok guest01
}

@test "a push by hand of a domain of the cluster is refused; nothing moves" {
	local at to
	at=$(dom guest01 host)
	to=$(other_hosts "$at" | head -n 1)
	run on "$at" vmmig push guest01 "$to"
	[ "$status" -eq 1 ]
	[[ $output = *"vmclus move"* ]] || { echo "$output" >&2; false; }
	dom_runs guest01 "$at"
}

@test "move by order, with a client connected: nothing is reset, from and to are as said" {
	local at to h
	at=$(dom guest01 host)
	client_start guest01
	for to in $(other_hosts "$at") "$at"; do
		run vc "$(other_hosts "$to" | head -n 1)" move guest01 "$to" --json
		[ "$status" -eq 0 ] || { echo "$output" >&2; false; }
		tail -n 1 <<<"$output" | jq -e --arg t "$to" '.status == "completed" and .to == $t'
		eventually 5 dom_runs guest01 "$to"
	done
	client_stop
	witness_ok guest01
	guest_sound guest01
	[ "$(witness_starts guest01 | wc -l)" -eq 2 ]
	run vc host-a move guest01 host-z
	[ "$status" -eq 1 ]
	[[ $output = *host-z* ]]
}

@test "a guest that is to stop in mid-move: the move is called off, nobody waits for its end" {
	clus_guest guest04 mem=256 fill=160
	local from to t0 pid
	from=$(dom guest04 host)
	to=$(other_hosts "$from" | head -n 1)
	vmlab slow "$to" --rate 60 || skip "this kernel has no token bucket filter"
	vc "$from" move guest04 "$to" --json >"$BATS_TEST_TMPDIR/move" 2>&1 3>&- &
	pid=$!
	eventually 15 grep -q "round" "$BATS_TEST_TMPDIR/move"
	t0=$SECONDS
	vc "$from" stop guest04
	eventually 10 dom_is guest04 stopped
	[ $((SECONDS - t0)) -le 10 ]
	not wait $pid
	vmlab heal "$to"
	[ -z "$(at "$to" vmctl list --name | grep -x guest04)" ]
	not answers guest04
	eventually 5 not disk_locked "$SHARED/guest04.img"
	clus_remove guest04
}

@test "a move is called off by order: the guest runs on where it is, its client connected, and moves when it is told again" {
	clus_guest guest07 mem=256 fill=160
	local at to mover
	at=$(dom guest07 host)
	to=$(other_hosts "$at" | head -n 1)
	run vc "$to" abort guest07
	[ "$status" -eq 1 ] && [[ $output = *"guest07 does not move: it is running"* ]]
	client_start guest07
	vmlab slow "$to" --rate 60 || skip "this kernel has no token bucket filter"
	vc "$to" move guest07 "$to" >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	mover=$!
	# from any host: where it is
	told() { vc "$1" status --json | jq -e '.domains[] | select(.name == "guest07") | .migration | .round >= 1 and .memory_remaining > 0'; }
	eventually 20 told "$to"
	eventually 5 told "$at"
	vc "$to" abort guest07
	dom_runs guest07 "$at"
	not wait $mover
	cat "$BATS_TEST_TMPDIR/out" >&2
	grep -q "guest07 was not moved" "$BATS_TEST_TMPDIR/out"
	vmlab heal "$to"
	vc "$at" status --json | jq -e '.domains[] | select(.name == "guest07") | .migration == null and .state == "running"'
	vc "$at" move guest07 "$to"
	dom_runs guest07 "$to"
	guest_sound guest07
	client_stop
	witness_ok guest07
	clus_remove guest07
}

@test "a guest that crashes, and one that is killed, start again by themselves" {
	local g pid
	g=$(dom guest01 generation)
	ask guest01 panic || true
	eventually 20 started_after guest01 "$g"
	g=$(dom guest01 generation)
	pid=$(hvdoms_on "$(dom guest01 host)" guest01)
	on "$(dom guest01 host)" kill -KILL "$pid"
	eventually 20 started_after guest01 "$g"
	guest_wait guest01
	witness_ok guest01
}
started_after() { [ "$(dom "$1" generation)" -gt "$2" ] && dom_runs "$1"; }

# bats test_tags=long
@test "a guest that hangs is reset where it is, which is an event; with poweroff the cluster starts it again" {
	local g
	clus_guest guest04 load=none cmdline=hospes.beat=4
	g=$(dom guest04 generation)
	ask guest04 hang
	eventually 20 told_of guest04 "was silent for 4 s"
	guest_wait guest04
	dom_runs guest04
	[ "$(dom guest04 generation)" = "$g" ]
	clus_remove guest04
	clus_guest guest04 load=none cmdline=hospes.beat=4 xml="<watchdog model='i6300esb' action='poweroff'/>"
	g=$(dom guest04 generation)
	ask guest04 hang
	eventually 30 started_after guest04 "$g"
	witness_ok guest04
	clus_remove guest04
}
told_of() { vc host-a events --json | jq -e --arg n "$1" --arg t "$2" 'select(.domain == $n and (.text | contains($t)))'; }

@test "a guest that powers itself off: the cluster says so or starts it again, and never two" {
	local g
	g=$(dom guest01 generation)
	ask guest01 poweroff || true
	eventually 20 settled guest01 "$g"
	witness_ok guest01
	vc host-a start guest01
	guest_wait guest01
}
settled() { dom_is "$1" stopped || started_after "$1" "$2"; }

@test "two administrators with contrary orders at once: one outcome, and both are told" {
	local a b at
	for _ in 1 2 3; do
		(rc=0; vc host-a stop guest01 >"$BATS_TEST_TMPDIR/a" 2>&1 || rc=1; echo $rc >>"$BATS_TEST_TMPDIR/a") 3>&- &
		a=$!
		(rc=0; vc host-b start guest01 >"$BATS_TEST_TMPDIR/b" 2>&1 || rc=1; echo $rc >>"$BATS_TEST_TMPDIR/b") 3>&- &
		b=$!
		wait $a $b
		eventually 15 as_desired guest01
		# its agent hears the next order to stop
		[ "$(dom guest01 desired)" = stopped ] || guest_sound guest01
		[ -s "$BATS_TEST_TMPDIR/a" ] && [ -s "$BATS_TEST_TMPDIR/b" ]
	done
	vc host-c start guest01
	guest_wait guest01
	at=$(dom guest01 host)
	# shellcheck disable=SC2046
	set -- $(other_hosts "$at")
	(rc=0; vc host-a move guest01 "$1" >"$BATS_TEST_TMPDIR/a" 2>&1 || rc=1; echo $rc >>"$BATS_TEST_TMPDIR/a") 3>&- &
	a=$!
	(rc=0; vc host-b move guest01 "$2" >"$BATS_TEST_TMPDIR/b" 2>&1 || rc=1; echo $rc >>"$BATS_TEST_TMPDIR/b") 3>&- &
	b=$!
	wait $a $b
	eventually 15 dom_runs guest01
	cat "$BATS_TEST_TMPDIR/a" "$BATS_TEST_TMPDIR/b"
	# who was told that it worked was told the truth, at least for the last one
	at=$(dom guest01 host)
	[ "$at" = "$1" ] || [ "$(tail -n 1 "$BATS_TEST_TMPDIR/a")" = 1 ] || [ "$(tail -n 1 "$BATS_TEST_TMPDIR/b")" = 0 ]
	[ "$at" = "$2" ] || [ "$(tail -n 1 "$BATS_TEST_TMPDIR/b")" = 1 ] || [ "$(tail -n 1 "$BATS_TEST_TMPDIR/a")" = 0 ]
	witness_ok guest01
}
as_desired() {
	case $(dom "$1" desired) in
	running) dom_runs "$1" ;;
	stopped) dom_is "$1" stopped && not answers "$1" ;;
	*) false ;;
	esac
}

@test "rules: apart and conflict sets hold for starts and moves; a rule that cannot hold is refused" {
	local at
	clus_guest guest02 load=none cluster="type='bank-b'"
	clus_remove guest03 >/dev/null 2>&1 || true
	clus_define guest03 load=none cluster="type='bank-c'"
	vc host-a rules add conflict bank-b bank-c
	vc host-a rules add apart guest01 guest02 || { vc host-a move guest02 "$(other_hosts "$(dom guest01 host)" | head -n 1)"; vc host-a rules add apart guest01 guest02; }
	vc host-b start guest03
	guest_wait guest03
	at=$(dom guest02 host)
	[ "$(dom guest03 host)" != "$at" ]
	run vc host-a move guest03 "$at"
	[ "$status" -eq 1 ]
	[[ $output = *conflict* ]] || { echo "$output" >&2; false; }
	run vc host-a move guest01 "$at"
	[ "$status" -eq 1 ]
	[[ $output = *apart* ]] || { echo "$output" >&2; false; }
	run vc host-c explain guest03
	[ "$status" -eq 0 ]
	[[ $output = *"$at"*no*conflict* ]] || { echo "$output" >&2; false; }
	run vc host-a rules add together guest01 guest02
	[ "$status" -eq 1 ]
	run vc host-a rules add hosts guest01 host-z
	[ "$status" -eq 1 ]
	run vc host-a rules add apart guest01 guest99
	[ "$status" -eq 1 ]
	vc host-b rules list --json | jq -e 'length == 2'
	for id in $(vc host-b rules list --json | jq '.[].id'); do vc host-c rules remove "$id"; done
	vc host-a rules list --json | jq -e 'length == 0'
}

@test "wrong XML, an unknown name, a domain that fits nowhere: refused with the cause, nobody else is harmed" {
	local xml=$SHARED/bad.xml
	echo '<domain type="uml"><name>bad</name>' >"$xml"
	run vc host-a define /var/lib/hospes/shared/bad.xml
	[ "$status" -eq 1 ]
	for what in "start nobody" "stop nobody" "move nobody host-a" "explain nobody" "undefine nobody" "drain nowhere"; do
		# shellcheck disable=SC2086
		run vc host-a $what
		[ "$status" -eq 1 ] || { echo "$what: $output" >&2; false; }
		[[ $output = *no[bw]* ]]
	done
	guest_xml guest08 mem=4000000 disk=0
	run vc host-a define /var/lib/hospes/shared/guest08.xml
	if [ "$status" -eq 0 ]; then
		run vc host-a start guest08 --timeout 10
		[ "$status" -eq 1 ]
		[[ $output = *memory* ]] || { echo "$output" >&2; false; }
		vc host-a explain guest08 --json | jq -e 'all(.hosts[]; .ok == false and .why == "memory")'
		vc host-a stop guest08
		vc host-a undefine guest08
	fi
	dom_runs guest01
	dom_runs guest02
}

@test "a lopsided cluster under client load is balanced without a reset; again: nothing to do" {
	local n moves
	for n in guest01 guest02 guest03; do
		[ "$(dom $n host)" = host-a ] || vc host-b move $n host-a
	done
	for n in guest01 guest02 guest03; do dom_runs $n host-a; done
	client_start guest01
	run vc host-c balance --yes --json
	echo "$output" >&2
	[ "$status" -eq 0 ]
	moves=$(jq -s '[.[] | select(.type == "move" and .status == "completed")] | length' <<<"$output")
	[ "$moves" -ge 2 ]
	client_stop
	for n in guest01 guest02 guest03; do dom_runs $n; done
	[ "$(for n in guest01 guest02 guest03; do dom $n host; done | sort -u | wc -l)" -eq 3 ]
	run vc host-c balance --dry-run --json
	[ "$status" -eq 0 ]
	jq -e '.moves == []' <<<"$output"
	run vc host-a balance --yes
	[ "$status" -eq 0 ]
	[[ $output = *"no move is worth"* ]] || { echo "$output" >&2; false; }
	for n in guest01 guest02 guest03; do witness_ok $n; done
}

@test "drain empties a host by live migration, nothing is placed there until --undo" {
	local boot at
	at=$(dom guest01 host)
	boot=$(guest_boot_id guest01)
	client_start guest01
	vc host-b drain "$at"
	client_stop
	[ "$(guest_boot_id guest01)" = "$boot" ]
	[ "$(dom guest01 host)" != "$at" ]
	clus_report | jq -e --arg h "$at" '(.hosts[] | select(.name == $h) | .maintenance) and ([.domains[] | select(.host == $h)] | length == 0)'
	run vc host-a move guest01 "$at"
	[ "$status" -eq 1 ]
	[[ $output = *maintenance* ]]
	vc host-a stop guest01
	vc host-a start guest01
	[ "$(dom guest01 host)" != "$at" ]
	vc host-c drain "$at" --undo
	guest_wait guest01
	vc host-a move guest01 "$at"
	dom_runs guest01 "$at"
	witness_ok guest01
}

@test "events tell what was done" {
	run vc host-b events --json
	[ "$status" -eq 0 ]
	[ "$(wc -l <<<"$output")" -gt 10 ]
	jq -s -e '[.[].index] == ([.[].index] | sort)' <<<"$output"
	[[ $output = *guest01* ]]
}

@test "virsh on hospes:///cluster: lists, starts, moves and shuts down, from a host where the domain is not" {
	command -v virsh >/dev/null || skip "missing: virsh (libvirt-clients)"
	local at to from events virtd
	clus_guest guest05 load=light
	at=$(dom guest05 host)
	read -r from to < <(other_hosts "$at" | xargs)
	on "$from" hospes-virtd >>"$VMLAB_DIR/$VMLAB_NAME/hosts/$from/var/log/hospes/virtd.log" 2>&1 3>&- &
	virtd=$!
	vcv() { on "$from" timeout 60 virsh -q -c hospes:///cluster "$@"; }
	eventually 10 vcv list
	[[ $(vcv list --all) = *guest05*running* ]]
	[ "$(vcv domuuid guest05)" = "$(dom guest05 uuid)" ]
	diff <(vcv dumpxml guest05) <(vc "$to" dumpxml guest05)
	on "$from" timeout 60 virsh -q -c hospes:///cluster event --event lifecycle --loop >"$BATS_TEST_TMPDIR/events" 2>&1 3>&- &
	events=$!
	sleep 1
	vcv migrate --live --p2p guest05 "hospes+tls://$to/cluster"
	[ "$(dom guest05 host)" = "$to" ]
	guest_sound guest05
	vcv shutdown guest05
	eventually 30 dom_is guest05 stopped
	eventually 5 grep -q "'guest05': Stopped" "$BATS_TEST_TMPDIR/events"
	[[ $(vcv list --all) = *guest05*"shut off"* ]]
	vcv start guest05
	guest_wait guest05
	dom_runs guest05
	witness_ok guest05
	run vcv suspend guest05
	[[ $output = *"hospes:///system"* ]]
	kill $events "$virtd" 2>/dev/null || true
	vc host-a stop guest05
	vc host-a undefine guest05
}
