# SPDX-License-Identifier: GPL-2.0-or-later
# A cluster from bare hosts: vmclus init, invite, join, leave, remove, replace, on hosts with a real systemd and the units as they are installed.
# Nothing is prepared but Debian's corosync.conf, which is no cluster. The tests build on each other, in this order.
load lib
load clus

setup_file() {
	need_systemd
	lab_up 3
	local h base
	read -r base <"$VMLAB_DIR/$VMLAB_NAME/systemd"
	for h in $(lab_hosts); do bare "$h" "$base"; done
}
# As a package installation leaves it: no peers, Debian's example; and that three hosts share a machine
bare() {
	local d=$VMLAB_DIR/$VMLAB_NAME/hosts/$1/etc
	rm -rf "$d/hospes/peers.d"
	mkdir -p "$d/corosync"
	cp "$2/etc/corosync/corosync.conf" "$d/corosync/"
	echo '{ "measure": "domains", "memory": "1GiB", "cpus": 2 }' >"$d/hospes/clusterd.json"
	at "$1" systemctl start vmlab-log@clusterd vmlab-log@corosync vmlab-log@hospes-member
}
teardown_file() { lab_down; }
setup() {
	[ ! -e "$BATS_FILE_TMPDIR/broken" ] || skip "what it builds on failed"
	[ -n "${LAB_IS_UP:-}" ] || skip "setup_file"
}
teardown() {
	[ -n "${BATS_TEST_COMPLETED:-}" ] || [ -n "${BATS_TEST_SKIPPED:-}" ] || { touch "$BATS_FILE_TMPDIR/broken"; lab_logs >&2; }
}
conf_of() { cat "$VMLAB_DIR/$VMLAB_NAME/hosts/$1/etc/corosync/corosync.conf"; }
token() { vc host-a invite --json "$@" | jq -r .token; }
says() { # WORDS COMMAND...: it fails with these words
	local words=$1
	shift
	run "$@"
	echo "$output"
	[ "$status" -ne 0 ] && [[ $output == *"$words"* ]]
}
# HOST...: these and no others, all online, on each of them; with the same file, each other's keys, quorate
cluster_is() {
	local h want
	want=$(printf '%s\n' "$@" | sort | tr '\n' ' ')
	for h; do
		[ "$(vc "$h" status --json | jq -r 'select(.quorate) | [.hosts[] | select(.state == "online") | .name] | sort | join(" ")') " = "$want" ] || return 1
		[ "$(vc "$h" status --json | jq '.hosts | length')" = $# ] || return 1
		[ "$(at "$h" vmmig peers list --json | jq -r '.[].name' | sort | tr '\n' ' ')" = "$(printf '%s\n' "$@" | grep -vx "$h" | sort | tr '\n' ' ')" ] || return 1
		[ "$(conf_of "$h")" = "$(conf_of "$1")" ] || return 1
		at "$h" corosync-quorumtool -s | grep -q "^Expected votes: *$#\$" || return 1
	done
}

# All daemons of this boot are as on a bare host again
forgotten() { at "$1" sh -c 'systemctl disable --now -q clusterd corosync hospes-member.socket 2>/dev/null; rm -rf /etc/corosync/authkey /etc/corosync/corosync.conf* /etc/hospes/peers.d /var/lib/hospes/cluster /run/hospes/cluster/leaving'; }

@test "init makes a cluster of one host; it may be repeated, and replaces nothing that is not its own" {
	says 'in no cluster' vc host-a invite
	says 'cannot be a cluster' vc host-a init 'a b'
	says 'no address of this host' vc host-a init lab1 --addr 10.9.9.9
	vc host-a init lab1
	cluster_is host-a
	local before
	before=$(conf_of host-a)
	vc host-a init lab1
	[ "$(conf_of host-a)" = "$before" ]
	says 'in cluster lab1 already' vc host-a init lab2
	[ "$(conf_of host-a)" = "$before" ]
	at host-a sh -c 'for u in corosync migrated hospes-guard clusterd hospes-member.socket; do systemctl is-enabled -q $u && systemctl is-active -q $u || exit 1; done'
}

@test "tokens: not one, mistyped, wrong, of an expired or used invitation: each is said, and nothing is changed" {
	local t before
	before=$(conf_of host-b)
	says 'no token' vc host-b join host-a xyz
	t=$(token)
	says 'mistyped' vc host-b join host-a "${t%????}AAAA"
	says 'for a host called host-c' vc host-b join host-a "$(token --name host-c)"
	# the invitation is gone with the host's /run, or over, and no other one is open
	at host-a sh -c 'rm /run/hospes/invitations/*'
	says 'no invitation is open' vc host-b join host-a "$t"
	token >/dev/null
	says 'no such invitation' vc host-b join host-a "$t"
	t=$(token)
	at host-a sh -c 'for f in /run/hospes/invitations/*; do sed -i "s/\"until_ns\":[0-9]*/\"until_ns\":1/" $f; done'
	token >/dev/null
	says 'has expired' vc host-b join host-a "$t"
	[ "$(conf_of host-b)" = "$before" ]
	not at host-b test -e /etc/corosync/authkey
	cluster_is host-a
}

@test "two joins; a used token is no good; a host of the cluster does not join another one" {
	local t
	t=$(token)
	vc host-b join host-a "$t"
	cluster_is host-a host-b
	says 'used by another host' vc host-c join host-a "$t"
	vc host-b join host-a "$t" # once more, by whom it was for: nothing to do
	# through any host
	t=$(vc host-b invite --json | jq -r .token)
	vc host-c join host-b "$t"
	cluster_is host-a host-b host-c
	says 'in cluster lab1 already' vc host-c init other
}

@test "a domain is defined, started and moved" {
	need_guests
	clus_guest guest01 disk=64
	for h in host-b host-c host-a; do
		vc host-a move guest01 "$h" || [ "$(dom guest01 host)" = "$h" ]
		dom_runs guest01 "$h"
	done
	eventually 20 cluster_is host-a host-b host-c
}

@test "leave empties the host, and takes it out; it can come back" {
	[ "$(dom guest01 host)" = host-c ] || vc host-a move guest01 host-c || true
	local boot
	boot=$(guest_boot_id guest01)
	vc host-c leave
	eventually 20 cluster_is host-a host-b
	[ "$(guest_boot_id guest01)" = "$boot" ]
	says 'in no cluster' vc host-c leave
	not at host-c systemctl is-active -q corosync clusterd
	not at host-c test -e /etc/corosync/corosync.conf
	[ -z "$(at host-c vmmig peers list --json | jq -r '.[].name')" ]
	vc host-c join host-a "$(token)"
	cluster_is host-a host-b host-c
	[ "$(guest_boot_id guest01)" = "$boot" ]
}

role_is() { vc "$1" status --json | jq -e --arg h "$2" --arg r "$3" '.quorate and any(.hosts[]; .name == $h and .role == $r and .state == "online")' >/dev/null; }
@test "a host joins as a witness: it votes, and carries no domains; it can become a host again" {
	local boot h
	[ "$(dom guest01 host)" != host-c ] || vc host-a move guest01 host-a
	boot=$(guest_boot_id guest01)
	vc host-c leave
	eventually 20 cluster_is host-a host-b
	vc host-c join host-a "$(token)" --witness
	for h in host-a host-b host-c; do eventually 20 role_is $h host-c witness; done
	at host-a corosync-quorumtool -s | grep -q "^Expected votes: *3\$"
	at host-c test -e /etc/hospes/witness
	not at host-c systemctl is-enabled -q hospes-guard
	says 'witness' vc host-a move guest01 host-c
	says 'as a witness: to change that' vc host-c join host-a "$(token)"
	# after a reboot as well
	at host-c systemctl restart clusterd
	eventually 30 role_is host-a host-c witness
	vc host-c leave
	eventually 20 cluster_is host-a host-b
	vc host-c join host-a "$(token)"
	cluster_is host-a host-b host-c
	for h in host-a host-c; do eventually 10 role_is $h host-c host; done
	not at host-c test -e /etc/hospes/witness
	[ "$(guest_boot_id guest01)" = "$boot" ]
}

state_is() { vc host-a status --json | jq -e --arg h "$1" --arg s "$2" '.hosts[] | select(.name == $h) | .state == $s' >/dev/null; }
# power_back HOST: without what the lab does for its own clusters
power_back() {
	local h
	vmlab start "$1"
	for h in $(lab_hosts); do at "$h" vmmig peers remove "$1" 2>/dev/null || true; done
}
@test "remove takes out a killed host, once it is safe; when it is back it is nobody's" {
	says 'vmclus leave there' vc host-a remove host-c
	vmlab kill host-c
	eventually 20 state_is host-c lost
	says 'may still run' vc host-a remove host-c
	eventually 40 state_is host-c safe
	vc host-a remove host-c
	eventually 20 cluster_is host-a host-b
	vc host-b remove host-c # again: nothing to do
	power_back host-c
	eventually 20 at host-c vmclus status --json
	sleep 5
	[ "$(vc host-c status --json | jq .quorate)" = false ]
	cluster_is host-a host-b
	says 'no quorum' vc host-c leave
	vc host-c leave --force
	vc host-c join host-a "$(token)"
	cluster_is host-a host-b host-c
}

@test "replace: a dead host is taken out, and another one of its name comes; a guest that ran there runs again" {
	local t
	vc host-a move guest01 host-c || [ "$(dom guest01 host)" = host-c ]
	vmlab kill host-c
	eventually 40 state_is host-c safe
	eventually 40 dom_runs guest01
	t=$(vc host-a replace host-c --json | jq -r .token)
	power_back host-c
	# a new machine: nothing of the old one
	forgotten host-c
	at host-c rm -rf /etc/hospes/keys
	at host-c systemctl restart migrated
	vc host-c join host-a "$t"
	cluster_is host-a host-b host-c
	vc host-a move guest01 host-c
	dom_runs guest01 host-c
	vc host-a stop guest01
	vc host-a undefine guest01
}

# HOST POINT COMMAND...: it is killed there
killed_at() {
	local h=$1 p=$2
	shift 2
	run at "$h" env HOSPES_FAULT="member.$p:kill" vmclus "$@"
	[ "$status" -eq 137 ] || { echo "$p: $status $output" >&2; return 1; }
}
decides() { vc "$1" status --json | jq -e .quorate; }
# HOST POINT|-: what its hospes-member dies of
member_dies_at() {
	at "$1" sh -c "d=/run/systemd/system/hospes-member.service.d; rm -rf \$d; [ $2 = - ] || { mkdir -p \$d; printf '[Service]\\nEnvironment=HOSPES_FAULT=member.$2:kill\\n' >\$d/fault.conf; }; systemctl daemon-reload; systemctl stop hospes-member.service"
}
# bats test_tags=long
@test "a host whose datagrams do not get through: the join says so, and is undone" {
	vc host-c leave
	eventually 20 cluster_is host-a host-b
	at host-c nft -f - <<-'X'
		table inet shut { chain in { type filter hook input priority 0; udp dport { 5405, 5418 } drop; }; }
	X
	local t
	t=$(token)
	says 'UDP ports 5405 and 5418' vc host-c join host-a "$t"
	[[ $output == *'undone'* ]]
	cluster_is host-a host-b
	at host-c nft delete table inet shut
	vc host-c join host-a "$t"
	cluster_is host-a host-b host-c
}

# bats test_tags=long
@test "kill -9 at each step of init, join and leave, of the command and of those who answer: repeated, it goes on" {
	local p t h
	for h in $(lab_hosts); do forgotten $h; done
	for p in clear authkey conf units; do killed_at host-a init.$p.done init lab3; done
	vc host-a init lab3
	cluster_is host-a
	# the new host
	t=$(token)
	for p in clear authkey peers conf units; do
		killed_at host-b join.$p.done join host-a "$t"
		[ "$(vc host-a status --json | jq -c '[.quorate, (.hosts | length)]')" = '[true,1]' ]
	done
	killed_at host-b join.admit.done join host-a "$t"
	vc host-b join host-a "$t"
	cluster_is host-a host-b
	# those who answer: the one that makes the change, and one that is told of it
	for p in host-a:admit.change host-a:change.host-a host-a:change.host-a.done host-a:put.peers.done host-a:put.conf.done host-b:put.peers.done \
		host-b:put.conf.done host-a:admit.change.done; do
		t=$(token)
		member_dies_at ${p%%:*} ${p#*:}
		run at host-c timeout -s KILL 15 vmclus join host-a "$t"
		[ "$status" -ne 0 ]
		eventually 10 decides host-a
		member_dies_at ${p%%:*} -
		vc host-c join host-a "$t"
		eventually 20 cluster_is host-a host-b host-c
		vc host-c leave
		eventually 20 cluster_is host-a host-b
	done
	vc host-c join host-b "$(vc host-b invite --json | jq -r .token)"
	for p in empty answer told units key; do
		killed_at host-c leave.$p.done leave
		eventually 10 decides host-a # Corosync forms a membership when the list changes
	done
	vc host-c leave
	eventually 20 cluster_is host-a host-b
}

# bats test_tags=long
@test "init --force forgets a cluster and makes another one; with two links a host needs both addresses, and one link is enough to go on" {
	local h n=0
	for h in $(lab_hosts); do n=$((n + 1)) && at "$h" ip addr add 10.78.0.10$n/24 dev br0; done
	for h in host-b host-c; do forgotten $h; done
	says 'already' vc host-a init lab4 --addr 10.77.0.101 --addr2 10.78.0.101
	says 'are the same address' vc host-a init lab4 --force --addr 10.77.0.101 --addr2 10.77.0.101
	vc host-a init lab4 --force --addr 10.77.0.101 --addr2 10.78.0.101
	cluster_is host-a
	[ "$(vc host-a status --json | jq -r .cluster)" = lab4 ]
	[ "$(vc host-a status --json | jq '.domains | length')" = 0 ]
	grep -q 'ring1_addr: 10.78.0.101' <(conf_of host-a)
	says 'name the one for the cluster' vc host-b join host-a "$(token)"
	says 'has two links' vc host-b join host-a "$(token)" --addr 10.77.0.102
	vc host-b join host-a "$(token)" --addr 10.77.0.102 --addr2 10.78.0.102
	vc host-c join host-a "$(token)" --addr 10.77.0.103 --addr2 10.78.0.103
	eventually 20 cluster_is host-a host-b host-c
	for h in $(lab_hosts); do
		n=$(at "$h" corosync-cfgtool -s | grep -c 'connected$') # two others on two links
		[ "$n" -eq 4 ]
	done
	local view
	view=$(vc host-a state --json | jq .epoch)
	for h in $(lab_hosts); do
		at "$h" nft -f - <<-'X'
			table inet first { chain in { type filter hook input priority 0; ip daddr 10.77.0.0/24 udp dport { 5405, 5418 } drop; }; }
		X
	done
	sleep 12 # longer than a lease
	for h in $(lab_hosts); do cluster_is host-a host-b host-c && at "$h" nft delete table inet first; done
	[ "$(vc host-a state --json | jq .epoch)" = "$view" ]
}
