# SPDX-License-Identifier: GPL-2.0-or-later
# The units as they are installed, on hosts with a real systemd (vmlab up --systemd): stopped, restarted, reloaded, killed; hosts that go down in
# order, come back, or stand still; storage that is full or does not answer. Guests have witness disks that are block devices which nobody locks:
# none runs twice or is lost, and those on other hosts never notice.
load lib
load clus
load clus_guests
load clus_hang

# guest01 and guest02 are where the trouble is, guest03 and guest04 elsewhere
GUEST_KIND=(disk=0 witness=block)
setup_file() { need_systemd; trouble_setup_file; }

# HOST: two guests there, one on each of the others; the others' boots are remembered
spread() {
	local others
	mapfile -t others < <(other_hosts "$1")
	put guest01 "$1"
	put guest02 "$1"
	put guest03 "${others[0]}"
	put guest04 "${others[1]}"
	BYSTANDERS=$(guest_boot_id guest03; guest_boot_id guest04)
	BOOTS=$(guest_boot_id guest01; guest_boot_id guest02)
}
put() { [ "$(dom $1 host)" = "$2" ] || vc "$2" move $1 "$2" >/dev/null; }
untouched() { [ "$(guest_boot_id guest01; guest_boot_id guest02)" = "$BOOTS" ] || { echo "guests of the host started again" >&2; return 1; }; }
bystanders_untouched() { [ "$(guest_boot_id guest03; guest_boot_id guest04)" = "$BYSTANDERS" ] || { echo "guests elsewhere started again" >&2; return 1; }; }
# All is well again: four run, once, and those that the fault did not touch never stopped
well() { whole; eventually 40 all_run; bystanders_untouched; never_twice; }
unit() { at "$1" systemctl show -P "$3" "$2"; }
unit_is() { [ "$(unit "$1" "$2" ActiveState)" = "$3" ]; }

@test "guests stand in groups of their own, in no unit's; restart of clusterd and migrated, reload of the guard: no guest notices" {
	local pid
	spread host-b
	pid=$(at host-b vmctl dominfo guest01 --json | jq .pid)
	# where systemd looks: version 2, or the hierarchy of that name
	at host-b grep -Eq ':(name=systemd)?:/hospes.slice/hospes-guest01' "/proc/$pid/cgroup"
	not at host-b grep -Eq ':(name=systemd)?:/(system|user).slice' "/proc/$pid/cgroup"
	[ "$(at host-b cat "/proc/$pid/oom_score_adj")" = 0 ]
	at host-b systemctl restart clusterd
	at host-b systemctl restart migrated
	pid=$(unit host-b hospes-guard MainPID)
	at host-b systemctl reload hospes-guard
	sleep 2
	[ "$(unit host-b hospes-guard MainPID)" = "$pid" ]
	whole
	untouched
	at host-b systemctl restart clusterd migrated
	sleep 9 # longer than a lease
	untouched
	well
}

@test "kill -9 of every unit, and restart of corosync: guests go on or are taken over, and every unit is back" {
	local u
	spread host-c
	for u in clusterd migrated; do vmlab service host-c kill $u; done
	sleep 2
	untouched
	for u in hospes-guard corosync; do
		vmlab service host-c kill $u
		eventually 20 unit_is host-c $u active
		whole
	done
	at host-c systemctl restart corosync
	for u in corosync hospes-guard migrated clusterd; do eventually 20 unit_is host-c $u active; done
	well
}

@test "systemctl stop clusterd hospes-guard: the guard is not stopped, and ends the guests before others start them" {
	local gen
	spread host-c
	gen=$(dom guest01 generation)
	run at host-c systemctl stop clusterd hospes-guard
	echo "$output"
	[ "$status" -ne 0 ]
	[[ $output == *hospes-guard*refused* ]]
	unit_is host-c hospes-guard active
	not unit_is host-c clusterd active
	# nor by a signal
	at host-c systemctl kill --kill-whom=main --signal=TERM hospes-guard
	sleep 1
	eventually 40 taken_over host-a host-c
	copies_are host-c 0
	answer_after guest01 guest02
	[ "$(dom guest01 generation)" -gt "$gen" ]
	at host-c systemctl start clusterd
	well
}

# bats test_tags=long
@test "all of Hospes is stopped (hospes.target): guests leave first, nobody waits for a lease, and it comes back" {
	spread host-c
	at host-c systemctl stop hospes.target
	copies_are host-c 0
	not unit_is host-c clusterd active
	not unit_is host-c hospes-guard active
	all_run
	untouched
	at host-c systemctl start clusterd
	unit_is host-c hospes-guard active
	whole
	vc host-c move guest01 host-c
	untouched
	well
}

init_of() { cat "$VMLAB_DIR/$VMLAB_NAME/hosts/$1/init.pid" 2>/dev/null || true; }
up_again() { local i; i=$(init_of $1); [ -n "$i" ] && [ "$i" != "$2" ]; }
@test "reboot: guests leave live, the host is safe at once, comes back by itself and is of use" {
	local init
	spread host-b
	init=$(init_of host-b)
	at host-b systemctl reboot
	eventually 40 left_in_order host-b
	all_run
	untouched
	eventually 60 up_again host-b "$init"
	whole
	copies_are host-b 0
	vc host-a move guest01 host-b >/dev/null
	untouched
	well
}
left_in_order() { clus_report | jq -e --arg h "$1" '.hosts[] | select(.name == $h) | .state == "safe" and .safe_by == "left"' >/dev/null; }

# bats test_tags=long
@test "poweroff: guests leave live, the host is safe at once" {
	spread host-b
	at host-b systemctl poweroff
	eventually 60 eval '[ -z "$(init_of host-b)" ]'
	taken_over host-a host-b
	all_run
	untouched
	vmlab start host-b
	well
}

# HOST SECONDS: longer than its lease. The others run its guests by then; it ends the old copies when it goes on.
stands_still() {
	spread $1
	vmlab freeze $1
	local t0=$SECONDS
	eventually 30 taken_over "$(other_hosts $1 | head -n 1)" $1
	answer_after guest01 guest02
	while [ $((SECONDS - t0)) -lt "$2" ]; do sleep 1; done
	vmlab thaw $1
	eventually 10 copies_are $1 0
	well
}

# bats test_tags=long
@test "a host that stands still for 2 s keeps its guests; for 5 s they go on there or elsewhere, once" {
	spread host-a
	vmlab freeze host-a
	sleep 2
	vmlab thaw host-a
	sleep 1
	whole
	untouched
	# about as long as others take to give it up
	vmlab freeze host-a
	sleep 5
	vmlab thaw host-a
	well
}

# bats test_tags=long
@test "a host stands still for 30 s, then for 120 s: its guests run elsewhere by then, and nothing writes late" {
	stands_still host-b 30
	stands_still host-c 120
}

# bats test_tags=long
@test "storage of a domain does not answer for 40 s, then for 120 s: guests on other storage notice nothing" {
	local s
	spread host-b
	hang_start
	hang_define guest09
	for s in 40 120; do
		hang_begins
		sleep $s
		whole
		untouched
		all_run
		hang_ends
		eventually 70 eval 'vc host-a explain guest09 --json | jq -e "all(.hosts[]; .ok)" >/dev/null'
	done
	vc host-a undefine guest09
	hang_umount
	untouched
	well
}

# A file system of its own for images, on host-a, in memory and small
small_images() {
	at host-a mkdir -p /var/lib/hospes/images/small
	at host-a mount -t tmpfs -o size=24m small /var/lib/hospes/images/small
	at host-a truncate -s 64M /var/lib/hospes/images/small/guest05.img
	at host-a mke2fs -q -F -t ext4 -O ^has_journal -m 0 /var/lib/hospes/images/small/guest05.img
}
disk_of() { echo "<disk type='file' device='disk'><source file='$1'/><target dev='vda' bus='virtio'/></disk>"; }
note_of() { clus_report | jq -r --arg n "$1" '.domains[] | select(.name == $n) | tojson'; }

# bats test_tags=long
@test "the images' file system is full: the guest stands still, status says why, it goes on when there is room; nobody starts it elsewhere" {
	local gen
	small_images
	guest_xml guest05 load=full mem=128 disk=0 xml="$(disk_of /var/lib/hospes/images/small/guest05.img)"
	vc host-a define /var/lib/hospes/shared/guest05.xml
	vc host-a rules add hosts guest05 host-a
	vc host-a start guest05
	guest_wait guest05
	gen=$(dom guest05 generation)
	at host-a sh -c 'dd if=/dev/zero of=/var/lib/hospes/images/small/fill bs=64k 2>/dev/null; true'
	eventually 20 eval '[ "$(at host-a vmctl domstate guest05 --reason)" = "paused (disk vda: No space left on device)" ]'
	eventually 20 eval 'note_of guest05 | grep -q "disk vda: No space left on device"'
	sleep 9 # longer than a lease
	[ "$(dom guest05 generation)" = "$gen" ]
	at host-a rm /var/lib/hospes/images/small/fill
	eventually 20 eval '[ "$(at host-a vmctl domstate guest05)" = running ]'
	eventually 20 guest_sound guest05
	[ "$(dom guest05 generation)" = "$gen" ]
	vc host-a stop guest05
	vc host-a undefine guest05
	at host-a umount /var/lib/hospes/images/small
	never_twice
}
