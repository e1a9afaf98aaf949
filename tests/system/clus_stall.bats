# SPDX-License-Identifier: GPL-2.0-or-later
# Storage that stops answering: of a domain that does not even run, and of clusterd's own database. No guest ends for that.
load lib
load clus
load clus_guests
load clus_hang

teardown() {
	hang_ends 2>/dev/null || true
	at host-c fsfreeze -u /var/lib/hospes/cluster 2>/dev/null || true
	at host-c umount -l /var/log/hospes 2>/dev/null || true
	hang_umount
	trouble_teardown
}

events_since() { vc "$1" events --json --since "$2" | jq -r .text; }
index() { clus_report | jq .generation; }
said() { [ "$(events_since host-a "$1" | grep -c "$2")" -ge "$3" ] || { events_since host-a "$1" >&2; return 1; }; }
fits_everywhere() { vc host-a explain "$1" --json | jq -e 'all(.hosts[]; .ok)'; }
stored() { vc "$1" state | jq -e --arg h "$1" --argjson i "$2" '.peers[] | select(.name == $h) | .stored_index >= $i'; }
# The guests of before, still: nobody was started anew
same_guests() { [ "$(generations)$(boots)" = "$1" ]; }

# bats test_tags=long
@test "storage of a stopped domain that hangs on all hosts ends no guest, is said, and counts for that domain alone" {
	local since before
	hang_start
	hang_define guest09
	eventually 15 fits_everywhere guest09
	since=$(index) before=$(generations)$(boots)
	hang_begins
	eventually 25 said "$since" '^guest09 could not start on host-.: .*/var/lib/hospes/images/hang/x.img does not answer' 3
	vc host-b explain guest09 --json | jq -e 'all(.hosts[]; (.ok | not) and (.text | test("/var/lib/hospes/images/hang/x.img does not answer")))'
	sleep 8 # a lease and more
	timeout 2 nsenter -t "$(cat "$VMLAB_DIR/$VMLAB_NAME/hosts/host-a/init.pid")" -m -u -i -n -p -- vmclus status >/dev/null
	run vc host-a start guest09
	[ "$status" -ne 0 ]
	[[ $output = *"/var/lib/hospes/images/hang/x.img does not answer"* ]] || { echo "$output" >&2; false; }
	vc host-a stop guest09
	same_guests "$before"
	all_run
	hang_ends
	vc host-a undefine guest09
	same_guests "$before"
	never_twice
}

@test "a disk below clusterd's database and its log that stands still for 15 s ends no guest; the others decide on, and it catches up" {
	local before i
	at host-c sh -c 'truncate -s 64M /var/lib/hospes/st.img; mke2fs -q -F -t ext4 /var/lib/hospes/st.img'
	vmlab service host-c stop clusterd
	at host-c sh -c 'cp -a /var/lib/hospes/cluster /var/lib/hospes/c0; mount -o loop /var/lib/hospes/st.img /var/lib/hospes/cluster && cp -a /var/lib/hospes/c0/. /var/lib/hospes/cluster/'
	at host-c sh -c 'mkdir /var/lib/hospes/cluster/log && mount --bind /var/lib/hospes/cluster/log /var/log/hospes'
	vmlab service host-c start clusterd
	whole
	eventually 20 all_run
	[ "$(dom guest01 host)" = host-c ] || vc host-a move guest01 host-c >/dev/null
	[ "$(dom guest02 host)" = host-c ] || vc host-a move guest02 host-c >/dev/null
	before=$(generations)$(boots)
	at host-c fsfreeze -f /var/lib/hospes/cluster
	vc host-a policy backoff_s=7 >/dev/null # committed, by the others
	sleep 8
	vc host-c status --json | jq -e '.problem | test("has not answered for [0-9]+ s")'
	vc host-c events >/dev/null
	sleep 7
	at host-c fsfreeze -u /var/lib/hospes/cluster
	i=$(index)
	eventually 10 stored host-c "$i"
	vc host-c status --json | jq -e '.quorate and .problem == "" and .policy.backoff_s == 7'
	vc host-c events | grep 'answers again'
	at host-c grep -q 'answers again' /var/log/hospes/clusterd.log # what was said meanwhile is there
	same_guests "$before"
	all_run
	never_twice
}

@test "rehearse says where guests would start and which would not, and a file that one host lacks is named before it is needed" {
	local h id since i
	h=$(dom guest01 host)
	guest_xml guest08 disk=0 load=none
	sed -i "s|<devices>|<devices><disk type='file' device='disk'><source file='/var/lib/hospes/images/local.img'/><target dev='vda' bus='virtio'/></disk>|" "$SHARED/guest08.xml"
	for i in host-a host-b host-c; do at $i mkdir -p /var/lib/hospes/images; done
	at host-a truncate -s 1M /var/lib/hospes/images/local.img
	since=$(index)
	vc host-a define /var/lib/hospes/shared/guest08.xml
	eventually 15 said "$since" '^guest08 could not start on host-[bc]: disk vda: /var/lib/hospes/images/local.img: No such file' 2
	vc host-c explain guest08 --json | jq -e '[.hosts[] | select(.ok) | .name] == ["host-a"] and any(.hosts[]; .name == "host-b" and (.text | test("/var/lib/hospes/images/local.img")))'
	at host-b truncate -s 1M /var/lib/hospes/images/local.img
	eventually 25 said "$since" '^guest08 could start on host-b again' 1
	vc host-a undefine guest08
	vc host-b rehearse $h --json | jq -e --arg h $h '.ok and .detect_s >= 5 and (.domains | length) >= 1 and all(.domains[]; .fate == "starts" and .host != $h and .outage_s > 5)'
	id=$(vc host-a rules add hosts guest01 $h --json | jq .id)
	run vc host-b rehearse $h
	[ "$status" -ne 0 ]
	[[ $output = *"guest01"*"STARTS NOWHERE"* ]] || { echo "$output" >&2; false; }
	vc host-a rules remove "$id"
	never_twice
}
