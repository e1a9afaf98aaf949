# SPDX-License-Identifier: GPL-2.0-or-later
# Disks that are full, or whose storage does not answer: the guest stands still and goes on, orders end, nobody takes it for dead.
load lib

setup() {
	need_guests
	need_program mke2fs fsfreeze losetup
	fs=/var/lib/hospes/shared/fs$BATS_TEST_NUMBER
}
teardown() {
	[ -n "${BATS_TEST_COMPLETED:-}" ] || lab_logs >&2
	on host-a fsfreeze -u "$fs" 2>/dev/null || true
	guest_remove "$g"
	on host-a umount "$fs" || true
}

# small_fs MIB: a file system of its own at $fs on host-a, in it a thin image of 64 MiB for the guest $g, which is defined
small_fs() {
	mkdir -p "$SHARED/${fs##*/}"
	truncate -s "$1M" "$SHARED/${fs##*/}.img"
	mke2fs -q -F -t ext4 -O ^has_journal -m 0 "$SHARED/${fs##*/}.img"
	on host-a mount -o loop "$fs.img" "$fs"
	guest_xml "$g" disk=0 xml="<disk type='file' device='disk'><driver name='qemu' type='raw' ${2:-}/><source file='$fs/$g.img'/><target dev='vda' bus='virtio'/></disk>"
	on host-a truncate -s 64M "$fs/$g.img"
	on host-a mke2fs -q -F -t ext4 "$fs/$g.img"
	on host-a vmctl define "/var/lib/hospes/shared/$g.xml"
}
state_is() { [ "$(domain_state host-a "$g")" = "$1" ]; }
reason_is() { on host-a vmctl dominfo "$g" --json | jq -e --arg r "$1" '.reason | test($r)'; }
pieces() { ask "$g" status | jq -r .disk; }

@test "a full disk: the guest stands still, says why, and goes on when there is room" {
	small_fs 32
	guest_start host-a "$g"
	on host-a sh -c "dd if=/dev/zero of=$fs/fill bs=64k 2>/dev/null; true"
	eventually 20 state_is paused
	[[ $(on host-a vmctl domstate "$g" --reason) = 'paused (disk vda: No space left on device)' ]]
	grep -q "is paused: disk vda: No space left on device" "$VMLAB_DIR/$VMLAB_NAME/hosts/host-a/var/log/hospes/$g.log"
	# still no room: an order to go on changes nothing
	on host-a vmctl resume "$g"
	eventually 5 state_is paused
	# saved and restored as it is: what the guest has written and nobody has is in the state
	on host-a vmctl save "$g" "/var/lib/hospes/$g.save"
	on host-a vmctl restore "/var/lib/hospes/$g.save"
	eventually 10 reason_is "No space left"
	on host-a rm "$fs/fill"
	eventually 10 state_is running
	eventually 10 guest_sound "$g"
	[[ $(on host-a vmctl domstate "$g" --reason) = running ]]
	ask "$g" poweroff
	eventually 10 not state_is running
	on host-a e2fsck -fn "$fs/$g.img"
}

@test "storage that does not answer: orders end in time with the disk's name, the guest goes on when it answers" {
	small_fs 128 "cache='none'"
	guest_start host-a "$g"
	sleep 1
	on host-a fsfreeze -f "$fs"
	eventually 20 reason_is "disk vda has not answered for"
	state_is running
	# who asks is answered at once; a stop ends within its 10 s and says why
	local order t0
	for order in "save $g /var/lib/hospes/$g.save" "suspend $g"; do
		t0=$SECONDS
		run on host-a vmctl $order
		[ "$status" -ne 0 ]
		[[ $output = *'disk vda has not answered for'* ]]
		[ $((SECONDS - t0)) -le 13 ]
		on host-a timeout 2 vmctl dominfo "$g"
	done
	state_is running
	on host-a fsfreeze -u "$fs"
	eventually 10 guest_sound "$g"
	on host-a vmctl suspend "$g"
	on host-a vmctl resume "$g"
	on host-a vmctl save "$g" "/var/lib/hospes/$g.save"
	on host-a vmctl restore "/var/lib/hospes/$g.save"
	eventually 10 guest_sound "$g"
}
