# SPDX-License-Identifier: GPL-2.0-or-later
# Two hosts and a witness, host-c, which has neither migrated nor a guard: any one of the three may be lost.
load lib
load clus
load clus_guests
GUESTS=(guest01 guest02)

setup_file() {
	need_root
	clus_up 2 --witness
	command -v linux.uml >/dev/null || return 0
	engine_there || return 0
	guests_start
}

@test "the witness shows what it is, and takes nothing" {
	[ "$(clus_report | jq -r '[.hosts[] | .role] | join(" ")')" = "host host witness" ]
	vc host-c status | grep "^host-c .*online .*witness: votes, carries no domains"
	run vc host-a move guest01 host-c
	[ "$status" -ne 0 ]
	[[ $output = *"witness"* ]]
	vc host-a explain guest01 | grep "host-c.*witness"
	local p
	for p in migrated hospes-guard hvdom; do
		run at host-c pgrep -x "$p"
		[ "$status" -eq 1 ]
	done
	# orders may be given there, too
	vc host-c drain host-b
	eventually 10 copies_are host-b 0
	vc host-c drain host-b --undo
}

@test "a host dies: its guests come back on the other one" {
	gather host-b
	vmlab kill host-b
	eventually 15 taken_over host-a host-b
	eventually 20 all_run
	copies_are host-a 2
	never_twice
	vmlab start host-b
	whole
}

@test "the witness dies: nothing happens to guests; a host that has lost both ends its own" {
	local before
	gather host-a
	before=$(generations)
	vmlab kill host-c
	eventually 20 host_is host-c safe
	all_run
	[ "$(generations)" = "$before" ]
	copies_are host-a 2
	# alone it decides nothing, and its guests end with its lease
	vmlab kill host-b
	eventually 15 quorate_is host-a false
	eventually 15 copies_are host-a 0
	# the witness is enough for it to go on
	vmlab start host-c
	eventually 30 quorate_is host-a true
	eventually 40 all_run
	vmlab start host-b
	whole
	never_twice
}

@test "a host with guests is not started as a witness" {
	gather host-a
	at host-a sh -c ': >/etc/hospes/witness'
	vmlab service host-a restart clusterd
	eventually 10 grep -q "makes this host a witness, and 2 domains of the cluster run here" "$(vmlab dir host-a)/var/log/hospes/clusterd.log"
	at host-a rm /etc/hospes/witness
	eventually 20 clus_whole
	eventually 20 all_run
}
