# SPDX-License-Identifier: GPL-2.0-or-later
# Two hosts that cannot talk, while a third one hears both; and memberships that change again before the last change is over. Guests of a
# majority must not notice.
load lib
load clus
load clus_guests

generation_of() { dom "$1" generation; }
place() { [ "$(dom "$1" host)" = "$2" ] || vc host-c move "$1" "$2" >/dev/null; }
octets_out() { at "$1" cat /sys/class/net/up0/statistics/tx_bytes; }
views_of() { grep -c 'view: ring' "$VMLAB_DIR/$VMLAB_NAME/hosts/$1/var/log/hospes/clusterd.log"; }
steps_aside() { look status "$1" | jq -e '.problem | test("steps aside")' >/dev/null; }

@test "one pair cannot talk: the host with fewer guests steps aside, the others' guests do not notice, it heals by itself" {
	local views t0
	place guest01 host-a
	place guest02 host-a
	place guest03 host-c
	place guest04 host-b
	local g1 g2 g3
	g1=$(generation_of guest01) g2=$(generation_of guest02) g3=$(generation_of guest03)
	views=$(views_of host-c)
	t0=${EPOCHREALTIME/./}
	vmlab cut host-a --from host-b
	eventually 10 steps_aside host-b
	echo "# host-b steps aside after $(((${EPOCHREALTIME/./} - t0) / 1000)) ms" >&3
	eventually 25 taken_over host-a host-b
	eventually 30 dom_runs guest04
	sleep 5
	[ "$(generation_of guest01) $(generation_of guest02) $(generation_of guest03)" = "$g1 $g2 $g3" ]
	[ "$(views_of host-c)" -le $((views + 2)) ] || { echo "memberships: $((views + 2)) at most, not $(views_of host-c)" >&2; false; }
	quorate_is host-a true
	quorate_is host-c true
	vmlab heal host-a --from host-b
	eventually 30 clus_whole
	eventually 10 not steps_aside host-b
	sleep 1
	[ "$(generation_of guest01) $(generation_of guest02) $(generation_of guest03)" = "$g1 $g2 $g3" ]
	eventually 20 all_run
	never_twice
}

# bats test_tags=long
@test "memberships change again and again on a slow link: leases go on, no guest ends" {
	local before i
	before=$(generations)
	vmlab slow host-b --rate 1
	for i in 1 2 3; do
		vmlab service host-c restart corosync
		sleep 1
		[ $i -ne 2 ] || vmlab service host-b restart corosync
	done
	sleep 8
	vmlab heal host-b
	eventually 40 clus_whole
	eventually 20 all_run
	[ "$(generations)" = "$before" ] || { echo "generations: $before before, $(generations) now" >&2; false; }
	never_twice
}

@test "two moves fill a slow link while Corosync is restarted twice: no guest of any host ends" {
	local before i sent moves=()
	place guest01 host-b
	place guest02 host-b
	place guest03 host-a
	place guest04 host-c
	before=$(boots)
	vmlab slow host-b --rate 1
	sent=$(octets_out host-b)
	vc host-b move guest01 host-a --no-wait >/dev/null &
	moves+=($!)
	vc host-b move guest02 host-c --no-wait >/dev/null &
	moves+=($!)
	wait "${moves[@]}"
	for i in 1 2; do
		sleep 1
		vmlab service host-c restart corosync
	done
	sleep 8
	sent=$(($(octets_out host-b) - sent))
	echo "# host-b sent $((sent / 1000)) kB meanwhile" >&3
	[ $sent -ge 700000 ] # of 125 kB each second: the moves went on
	vmlab heal host-b
	eventually 40 clus_whole
	eventually 40 all_run
	[ "$(boots)" = "$before" ] || { echo "boots: ${before//$'\n'/ } before, $(boots | tr '\n' ' ') now" >&2; false; }
	never_twice
}
