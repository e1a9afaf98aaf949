# SPDX-License-Identifier: GPL-2.0-or-later
# A cluster of two releases: the packages of `make deb` beside those of the last release (`make deb-last`). Hosts are upgraded one by one under
# running guests, which go in both directions and are taken over meanwhile. `make check-upgrade`; docs/upgrade.md. The tests build on each other.
load lib
load bare

# bats file_tags=long
setup_file() {
	local h
	need_debs
	export LAST=${HOSPES_DEBS_LAST:-$top_builddir/deb-last}
	[ -e "$(echo "$LAST"/hospes_*.deb)" ] || skip "missing: $LAST/hospes_*.deb (make deb-last)"
	debs_up 3
	# one version, perhaps: what is installed later has to be later
	repack "$LAST" "$BATS_FILE_TMPDIR/last" '~last'
	for h in host-a host-b host-c; do last_copy $h; done
}
last_copy() { mkdir -p "$(host_dir "$1")/var/last" && cp "$BATS_FILE_TMPDIR"/last/*.deb "$(host_dir "$1")/var/last"; }
teardown_file() { lab_down; }
setup() {
	[ ! -e "$BATS_FILE_TMPDIR/broken" ] || skip "what it builds on failed"
	[ -n "${LAST:-}" ] || skip "setup_file"
	need_guest initramfs.img
}
teardown() {
	[ -n "${BATS_TEST_COMPLETED:-}" ] || [ -n "${BATS_TEST_SKIPPED:-}" ] || {
		touch "$BATS_FILE_TMPDIR/broken"
		for h in $(lab_hosts); do
			echo "---- $h"
			on "$h" journalctl --no-pager -n 30 -u 'hospes*' -u clusterd -u migrated || true
		done >&2
	}
}
install_last() { from=last debs "$1" ./hospes_*.deb ./hospes-cluster_*.deb; }
# As docs/upgrade.md says. The guests stay, the guard is executed anew in place.
upgrade() {
	local hvdoms guard
	hvdoms=$(hvdoms "$1") guard=$(on "$1" systemctl show -P MainPID hospes-guard)
	debs "$1" ./hospes_*.deb ./hospes-cluster_*.deb
	[ -n "$hvdoms" ] && [ "$(hvdoms "$1")" = "$hvdoms" ]
	[ "$(on "$1" systemctl show -P MainPID hospes-guard)" = "$guard" ]
	grep -q 'executes /usr/sbin/hospes-guard anew' <(on "$1" journalctl --no-pager -o cat -u hospes-guard)
	eventually 30 online "$1"
}
online() { vc "${2:-host-a}" status --json | jq -e --arg h "$1" '.quorate and any(.hosts[]; .name == $h and .state == "online")' >/dev/null; }
cluster_of() { local h; for h; do [ "$(vc "$h" status --json | jq -r 'select(.quorate) | [.hosts[] | select(.state == "online")] | length')" = $# ] || return 1; done; }
# HOST LEVELS: the cluster's, then those of host-a, host-b and host-c
level_is() { [ "$(vc "$1" status --json | jq -c '[.level, [.hosts | sort_by(.name)[].level]]')" = "$2" ]; }
hvdoms() { on "$1" sh -c 'for c in /proc/[0-9]*/comm; do read -r n <$c && [ "$n" = hvdom ] && echo "$c"; done 2>/dev/null' | sort | tr '\n' ' '; }
boot() { client hospes-probe ask "$(guest_ip "$1"):7007" status | jq -r .boot_id; }
boots() { local g; for g in guest01 guest02 guest03; do boot $g; done; }
same_boots() { [ "$(boots)" = "$(cat "$BATS_FILE_TMPDIR/boots")" ]; }
keep_boots() { boots >"$BATS_FILE_TMPDIR/boots"; }
where() { vc host-b status --json | jq -r --arg g "$1" '.domains[] | select(.name == $g) | select(.state == "running") | .host'; }
to() { [ "$(where "$1")" = "$2" ] || vc host-b move "$1" "$2"; [ "$(where "$1")" = "$2" ]; }
joined() { vc "$1" join host-b "$(vc host-b invite --json | jq -r .token)"; }

@test "a cluster of the last release, three guests" {
	local h g
	together install_last host-a host-b host-c
	vc host-b init up
	for h in host-a host-c; do joined $h; done
	eventually 20 cluster_of host-a host-b host-c
	for g in guest01 guest02 guest03; do
		guest_xml $g load=light disk=32 mem=64 >"$SHARED/$g.xml"
		vc host-b define /var/lib/hospes/shared/$g.xml
		vc host-b start $g
	done
	for g in guest01 guest02 guest03; do client hospes-probe wait "$(guest_ip $g):7007" --timeout $((60 * PATIENCE)); done
	to guest01 host-a && to guest02 host-b && to guest03 host-c
	keep_boots
}

@test "one host is upgraded under its guest: daemons of this release with an hvdom of the last one; pushes in both directions" {
	upgrade host-b
	same_boots
	eventually 20 level_is host-b '[0,[0,1,0]]'
	on host-b vmctl suspend guest02
	on host-b vmctl resume guest02
	[ "$(on host-b vmctl domstate guest02)" = running ]
	to guest02 host-a # old hvdom, new migrated, to an old host
	to guest01 host-b # an old host's guest into a new hvdom
	to guest03 host-b
	to guest03 host-c # a new hvdom's guest to an old host
	same_boots
}

@test "what hosts of the last release lack is refused, with their names" {
	run vc host-b rules add after guest01 guest02
	echo "$output"
	[ "$status" -ne 0 ]
	[[ $output == *'a rule "after" needs a version of Hospes'*'host-a, host-c'*'upgrade.md'* ]]
	level_is host-b '[0,[0,1,0]]'
	[ "$(vc host-a rules list --json | jq -c .rules)" = "$(vc host-b rules list --json | jq -c .rules)" ]
}

@test "failover from a host of either release to the other" {
	to guest01 host-a && to guest02 host-b && to guest03 host-b
	keep_boots
	vmlab kill host-a
	eventually 60 eval '[[ $(where guest01) == host-[bc] ]]'
	client hospes-probe wait "$(guest_ip guest01):7007" --timeout $((60 * PATIENCE))
	vmlab start host-a
	eventually 60 cluster_of host-a host-b host-c
	[ "$(boot guest02)" = "$(sed -n 2p "$BATS_FILE_TMPDIR/boots")" ]
	to guest01 host-a && to guest02 host-c && to guest03 host-b
	keep_boots
	# the new one dies
	vmlab kill host-b
	eventually 60 eval '[ "$(vc host-a status --json | jq -r ".domains[] | select(.name == \"guest03\") | .state + .host")" != runninghost-b ] && vc host-a status --json | jq -e ".domains[] | select(.name == \"guest03\") | .state == \"running\" and .host != \"host-b\""'
	client hospes-probe wait "$(guest_ip guest03):7007" --timeout $((60 * PATIENCE))
	vmlab start host-b
	eventually 60 cluster_of host-a host-b host-c
	[ "$(boot guest01)" = "$(sed -n 1p "$BATS_FILE_TMPDIR/boots")" ]
}

@test "the others are upgraded: guests stay; the level rises with the last one, and stays" {
	to guest01 host-a && to guest02 host-c && to guest03 host-b
	keep_boots
	upgrade host-a
	level_is host-b '[0,[1,1,0]]'
	same_boots
	upgrade host-c
	for h in host-a host-b host-c; do eventually 20 level_is $h '[1,[1,1,1]]'; done
	same_boots
	grep -q 'feature level 1' <(vc host-b events)
	vc host-b rules add after guest01 guest02
	on host-b systemctl restart clusterd
	eventually 20 level_is host-b '[1,[1,1,1]]'
	to guest01 host-c && to guest02 host-a
	same_boots
}

@test "then a host of the last release does not join, and one that goes back to it takes no part" {
	vc host-c drain host-c
	eventually 60 eval '[ "$(where guest01)" != host-c ]'
	vc host-c leave
	vmlab kill host-c
	vmlab start host-c --new
	last_copy host-c
	install_last host-c
	run joined host-c
	echo "$output"
	[ "$status" -ne 0 ]
	[[ $output == *'earlier version of Hospes'*'upgrade.md'* ]]
	eventually 20 cluster_of host-a host-b
	# the way back is closed
	on host-a sh -c "cd /var/last && DEBIAN_FRONTEND=noninteractive apt-get ${apt_opts[*]} --allow-downgrades install ./hospes_*.deb ./hospes-cluster_*.deb" 3>&-
	sleep 10
	[ "$(vc host-a status --json | jq .quorate)" = false ]
}
