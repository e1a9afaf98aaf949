# SPDX-License-Identifier: GPL-2.0-or-later
# Daemons die, databases are corrupt, disks are full, keys are wrong: guests run on or are safely taken over, the node says what is wrong
# and comes back by itself.
load lib
load clus
load clus_guests
GUESTS=(guest01 guest02)

@test "kill -9 of clusterd, migrated: the guests on that host do not notice" {
	local s boot1 boot2
	gather host-b
	boot1=$(guest_boot_id guest01) boot2=$(guest_boot_id guest02)
	client_start guest01
	for s in clusterd migrated clusterd; do
		vmlab service host-b kill $s
		sleep 1
	done
	whole
	eventually 10 all_run
	client_stop
	[ "$(guest_boot_id guest01)" = "$boot1" ]
	[ "$(guest_boot_id guest02)" = "$boot2" ]
	# it is of use again
	vc host-b move guest01 host-a
	dom_runs guest01 host-a
	never_twice
}

# bats test_tags=long
@test "kill -9 of corosync, of the guard: guests run on or are safely taken over, the node is back by itself" {
	local s
	for s in corosync guard; do
		gather host-c
		vmlab service host-c kill $s
		whole
		eventually 40 all_run
	done
	never_twice
}

guard_killed_clusterd() { host_log host-c hospes-guard | grep -q 'clusterd .* hangs and its lease is over: killing it'; }
@test "clusterd stuck (SIGSTOP): the guard ends the guests in time, then clusterd, and both are back" {
	local pid gen
	gather host-c
	gen=$(dom guest01 generation)
	pid=$(vmlab status --json | jq '.hosts[] | select(.name == "host-c") | .services.clusterd')
	kill -STOP "$pid"
	# the guard kills a clusterd that is mute past its lease, so that others see it go
	eventually 40 eval '[ "$(dom guest01 generation host-a)" -gt "$gen" ]'
	host_log host-c hospes-guard | grep -q 'the lease is over: domain .guest01. is ended'
	eventually 15 guard_killed_clusterd
	answer_after guest01 guest02
	not kill -0 "$pid"
	whole
	all_run
	never_twice
}

# bats test_tags=long
@test "clusterd and the guard told to end with guests on the host: the guard stays until they are gone" {
	[ "${LAB_KIND:-}" != systemd ] || skip "sysd_units.bats asks this of the units"
	local pid gen
	gather host-c
	gen=$(dom guest01 generation)
	pid=$(at host-c cat /run/vmlab/hospes-guard.pid)
	at host-c touch /run/vmlab/hospes-guard.stop # when it ends, it stays away
	vmlab service host-c stop clusterd
	at host-c kill -TERM "$pid"
	eventually 3 eval 'host_log host-c hospes-guard | grep -q "told to end, but 2 domains of the cluster live here"'
	eventually 40 eval '[ "$(dom guest01 generation host-a)" -gt "$gen" ]'
	copies_are host-c 0
	eventually 5 not at host-c kill -0 "$pid"
	host_log host-c hospes-guard | tail -n 1 | grep -q 'no domain of the cluster runs here'
	answer_after guest01 guest02
	vmlab service host-c start guard
	vmlab service host-c start clusterd
	whole
	eventually 20 all_run
	never_twice
}

@test "a hijacked hvdom lets go of its own lock: the guard is not deceived, nor is a second start" {
	local pid gen
	gather host-c
	gen=$(dom guest01 generation)
	pid=$(at host-c vmctl dominfo guest01 --json | jq .pid)
	cp "$top_builddir/tests/system/lockcheck" "$SHARED/" # each kind of host sees it there
	at host-c /var/lib/hospes/shared/lockcheck --release "$pid" /run/hospes/dom/guest01/lock
	not at host-c /var/lib/hospes/shared/lockcheck /run/hospes/dom/guest01/lock
	run at host-c timeout 20 "$(hvdom_of host-c)" --config "/var/lib/hospes/shared/guest01.xml"
	echo "$output"
	[ "$status" -eq 1 ]
	[[ $output = *'live on this host still'* ]]
	vmlab cut host-c
	eventually 25 copies_are host-c 0
	not at host-c kill -0 "$pid"
	eventually 40 eval '[ "$(dom guest01 generation host-a)" -gt "$gen" ]'
	answer_after guest01 guest02
	vmlab heal host-c
	whole
	eventually 20 all_run
	never_twice
}

lease_over() { at "$1" sh -c 'read -r end _ </run/hospes/cluster/guard.deadline && read -r now _ </proc/uptime && [ "${now%.*}" -gt $((end / 1000000000)) ]'; }
# HOST NAME TARGET: a push as a clusterd orders it; who hangs up calls it off
ordered_push() {
	{ jq -nc --arg n "$2" --arg t "$3" --argjson g "$(dom "$2" generation "$1")" '{op: "push", domain: $n, host: $t, cluster: true, generation: $g}'; sleep 3; } |
		at "$1" timeout 20 socat - UNIX-CONNECT:/run/hospes/migrated.sock
}
# bats test_tags=long
@test "a host whose clusterd hangs and whose lease is over takes no domain in, though it once expected it" {
	local pid boot out uuid
	need_program socat
	gather host-a
	boot=$(guest_boot_id guest01)
	uuid=$(dom guest01 uuid)
	pid=$(vmlab status --json | jq '.hosts[] | select(.name == "host-c") | .services.clusterd')
	kill -STOP "$pid"
	# as it left it when it began to wait for the guest
	at host-c sh -c "mkdir -p /run/hospes/cluster/managed && echo $uuid >/run/hospes/cluster/managed/guest01"
	eventually 15 lease_over host-c
	out=$(ordered_push host-a guest01 host-c)
	echo "$out"
	jq -s -e 'last | .status == "failed" and (.error | contains("the lease of host-c in its cluster is over"))' <<<"$out"
	kill -CONT "$pid" || true # its guard may have ended it
	whole
	all_run
	dom_runs guest01 host-a
	[ "$(guest_boot_id guest01)" = "$boot" ]
	never_twice
}

@test "kill -9 of clusterd during a start, a stop and a move, on the host that does it" {
	local at to
	vc host-a stop guest01
	on host-b vmclus start guest01 >/dev/null 2>&1 3>&- &
	sleep 0.3
	at=$(dom guest01 host)
	[ -z "$at" ] || [ "$at" = null ] || vmlab service "$at" kill clusterd
	wait $! || true
	whole
	eventually 30 dom_runs guest01
	at=$(dom guest01 host)
	to=$(other_hosts "$at" | head -n 1)
	on "$to" vmclus move guest01 "$to" >/dev/null 2>&1 3>&- &
	sleep 0.2
	vmlab service "$at" kill clusterd
	wait $! || true
	whole
	eventually 30 dom_runs guest01
	at=$(dom guest01 host)
	on "$(other_hosts "$at" | head -n 1)" vmclus stop guest01 >/dev/null 2>&1 3>&- &
	sleep 0.1
	vmlab service "$at" kill clusterd
	wait $! || true
	whole
	eventually 30 dom_is guest01 stopped
	vc host-a start guest01
	guest_wait guest01
	never_twice
}

@test "a corrupt database: the node says so and loads the others' state" {
	local db since=$SECONDS
	vmlab service host-a stop clusterd
	db=$(find "$VMLAB_DIR/$VMLAB_NAME/hosts/host-a/var/lib/hospes" -name '*.db' -path '*clu*' | head -n 1)
	[ -n "$db" ]
	rm -f "$db"-wal "$db"-shm
	dd if=/dev/urandom of="$db" bs=4096 count=4 conv=notrunc status=none
	vmlab service host-a start clusterd
	since=$((SECONDS - since))
	whole
	# a daemon that was away for longer than the lease has cost its host's guests a new start
	if [ $since -lt 6 ]; then all_run; else eventually 20 all_run; fi
	host_log host-a clusterd | grep -qiE 'corrupt|malformed|not a database'
	[ "$(dom guest01 generation host-a)" = "$(dom guest01 generation host-b)" ]
	never_twice
}

@test "a full disk: the node says so, its guests run on or are taken over, and it is back when there is room" {
	local dir
	gather host-b
	dir=/var/lib/hospes
	on host-b sh -c "mkdir -p /run/full && mount -t tmpfs -o size=256k full /run/full"
	vmlab service host-b stop clusterd
	dir=$(dirname "$(find "$VMLAB_DIR/$VMLAB_NAME/hosts/host-b/var/lib/hospes" -name '*.db' -path '*clu*' | head -n 1)")
	dir=/var/lib/hospes/${dir#*/var/lib/hospes/}
	on host-b sh -c "cp -a $dir/. /run/full/ && mount --bind /run/full $dir && (dd if=/dev/zero of=/run/full/ballast bs=1k 2>/dev/null; true)"
	vmlab service host-b start clusterd
	# something changes that it would have to store
	for i in 1 2 3; do vc host-a policy moves_max=$i >/dev/null; done
	answer_after guest01 guest02
	eventually 20 eval 'grep -qiE "full|space|cannot (write|store)" "$VMLAB_DIR/$VMLAB_NAME/hosts/host-b/var/log/hospes/clusterd.log"'
	on host-b rm /run/full/ballast
	whole
	on host-b umount "$dir" || true
	vmlab service host-b restart clusterd
	whole
	eventually 40 all_run
	never_twice
}

# bats test_tags=long
@test "a node with another cluster's key stays out, the others do not care; with the right one it is back" {
	local key=$VMLAB_DIR/$VMLAB_NAME/hosts/host-a/etc/corosync/authkey
	gather host-b
	cp -p "$key" "$BATS_TEST_TMPDIR/authkey"
	head -c 256 /dev/urandom >"$BATS_TEST_TMPDIR/other"
	cat "$BATS_TEST_TMPDIR/other" >"$key"
	vmlab service host-a kill corosync
	eventually 30 eval 'look status host-b | jq -e ".quorate and ([.hosts[] | select(.state == \"online\")] | length) == 2"'
	sleep 3
	vc host-b status --json | jq -e '.quorate'
	all_run
	cat "$BATS_TEST_TMPDIR/authkey" >"$key"
	vmlab service host-a kill corosync
	whole
	all_run
	never_twice
}
