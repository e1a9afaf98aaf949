# SPDX-License-Identifier: GPL-2.0-or-later
# Guests of engine qemu with their disks on controllers of QEMU's: SCSI, IDE, SATA, USB, CD-ROM drives. ADR 87.
load lib
load qemu_guests

setup() {
	qemu_setup 50
	need_program mke2fs fsfreeze losetup
	fs=/var/lib/hospes/shared/fs$BATS_TEST_NUMBER
}
teardown() {
	[ -n "${BATS_TEST_COMPLETED:-}" ] || lab_logs >&2
	on host-a fsfreeze -u "$fs" 2>/dev/null || true
	guest_remove "$g"
	on host-a umount "$fs" 2>/dev/null || true
}

# disk DEV BUS FILE [DRIVER]: a disk, its image made if it is not there
disk() {
	[ -e "$SHARED/$3" ] || { truncate -s 64M "$SHARED/$3" && mke2fs -q -F -t ext4 "$SHARED/$3"; }
	echo "<disk type='file' device='disk'><driver name='qemu' type='raw' ${4:-}/><source file='/var/lib/hospes/shared/$3'/><target dev='$1' bus='$2'/></disk>"
}
# cdrom DEV BUS [FILE]
cdrom() {
	echo "<disk type='file' device='cdrom'>${3:+<source file='/var/lib/hospes/shared/$3'/>}<target dev='$1' bus='$2'/><readonly/></disk>"
}
# on_bus HOST DISK XML [key=value...]: a guest without virtio disks, which works on DISK
on_bus() {
	local host=$1 disk=$2 xml=$3
	shift 3
	qemu_up "$host" "$g" mem=256 load=light disk=0 cmdline="hospes.disk=/dev/$disk" xml="$xml" "$@"
	eventually 20 works "$g"
}
pieces() { ask "$1" status | jq -r .disk; }
works() { local n && n=$(pieces "$1") && [ "${n:-0}" -gt 0 ]; }
# Of the guest's block devices, what the kernel says of their size in sectors: NAME=SECTORS...
sizes() {
	local out=$BATS_TEST_TMPDIR/console.$RANDOM
	(printf '%s\n' "cd /sys/block; for d in *; do echo -n \"siz\"\"e:\$d=\$(cat \$d/size) \"; done; echo; echo e\"\"nd"; sleep 15) 2>/dev/null 3>&- |
		on "$1" timeout 15 vmctl console --force "$g" >"$out" 2>&1 3>&- &
	eventually 10 grep -q '^end' "$out" || cat "$out"
	grep -o 'size:[^ ]*' "$out" | xargs
}
state_is() { [ "$(domain_state host-a "$g")" = "$1" ]; }

@test "a disk on virtio-scsi, a CD-ROM and an empty drive: sound over pushes under load" {
	local boot
	truncate -s 3M "$SHARED/$g.iso"
	on_bus host-a sda "$(disk sda scsi "$g.img")$(cdrom sdb scsi "$g.iso")$(cdrom sdc scsi)"
	on host-a vmctl dominfo "$g" | grep 'sda scsi, raw: '
	boot=$(guest_boot_id "$g")
	run sizes host-a
	[[ $output = *size:sda=131072* && $output = *size:sr*=6144* && $output = *size:sr1=* ]]
	client_start "$g"
	pushes "$g" 3
	client_stop
	[ "$(guest_boot_id "$g")" = "$boot" ]
	guest_sound "$g"
	one_copy "$g" "$(running_on "$g" | head -1 | cut -d: -f1)"
	ask "$g" poweroff || true
	eventually 60 eval "[ -z \"\$(running_on $g)\" ]"
	e2fsck -fn "$SHARED/$g.img"
}

# bats test_tags=long
@test "IDE on a machine of type pc, qcow2, with a CD-ROM: sound, reboots, is pushed" {
	local boot
	truncate -s 2M "$SHARED/$g.iso"
	qemu-img create -q -f qcow2 "$SHARED/$g.qcow2" 64M
	on_bus host-a sda "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/var/lib/hospes/shared/$g.qcow2'/><target dev='hda' bus='ide'/></disk>$(cdrom hdc ide "$g.iso")" \
		machine=pc
	on host-a vmctl dominfo "$g" --json | jq -e '.disks | map(.target + .bus + .format) == ["hdaideqcow2", "hdcideraw"]'
	boot=$(guest_boot_id "$g")
	ask "$g" reboot || true
	eventually 120 eval "b=\$(guest_boot_id $g) && [ -n \"\$b\" ] && [ \"\$b\" != $boot ]"
	eventually 20 works "$g"
	pushes "$g" 2
	guest_sound "$g"
	on "$(running_on "$g")" vmctl destroy "$g"
	qemu-img check -q "$SHARED/$g.qcow2"
	rm -f "$SHARED/$g.qcow2" "$SHARED/$g.qcow2.lease"
}

# bats test_tags=long
@test "SATA with CD-ROM on q35 and on pc, USB: sound over pushes under load" {
	local machine disk bus
	full_kernel
	truncate -s 2M "$SHARED/$g.iso"
	while read -r machine disk bus; do
		qemu_xml "$g" mem=256 load=light disk=0 cmdline="hospes.disk=/dev/$disk" machine="$machine" \
			xml="$(disk "$disk" "$bus" "$g.img")$(cdrom sdb sata "$g.iso")$(cdrom sdc "$bus")"
		with_full_kernel "$g"
		on host-a vmctl define "/var/lib/hospes/shared/$g.xml"
		on host-a vmctl start "$g"
		qemu_wait "$g"
		eventually 30 works "$g"
		run sizes host-a
		echo "# $machine $bus: $output"
		[[ $output = *size:sda=131072* && $output = *size:sr*=4096* ]]
		client_start "$g"
		pushes "$g" 3
		client_stop
		guest_sound "$g"
		guest_remove "$g"
	done <<-EOL
		q35 sda sata
		pc sda sata
		q35 sda usb
	EOL
}

# small_fs MIB [DRIVER]: a file system of its own at $fs on host-a, in it the image of a disk on virtio-scsi
small_fs() {
	mkdir -p "$SHARED/${fs##*/}"
	truncate -s "$1M" "$SHARED/${fs##*/}.img"
	mke2fs -q -F -t ext4 -O ^has_journal -m 0 "$SHARED/${fs##*/}.img"
	on host-a mount -o loop "$fs.img" "$fs"
	on host-a truncate -s 64M "$fs/$g.img"
	on host-a mke2fs -q -F -t ext4 "$fs/$g.img"
	on_bus host-a sda "<disk type='file' device='disk'><driver name='qemu' type='raw' ${2:-}/><source file='$fs/$g.img'/><target dev='sda' bus='scsi'/></disk>"
}
reason_is() { on host-a vmctl dominfo "$g" --json | jq -e --arg r "$1" '.reason | test($r)'; }

@test "a full disk: QEMU keeps what could not be written, over save and restore, and it is written when there is room" {
	small_fs 32
	on host-a sh -c "dd if=/dev/zero of=$fs/fill bs=64k 2>/dev/null; true"
	eventually 40 state_is paused
	[[ $(on host-a vmctl domstate "$g" --reason) = 'paused (disk sda: No space left on device)' ]]
	# still no room: an order to go on changes nothing
	on host-a vmctl resume "$g"
	eventually 10 state_is paused
	on host-a vmctl save "$g" "/var/lib/hospes/$g.save"
	on host-a vmctl restore "/var/lib/hospes/$g.save"
	eventually 10 reason_is "No space left"
	on host-a rm "$fs/fill"
	eventually 20 state_is running
	eventually 20 guest_sound "$g"
	ask "$g" poweroff || true
	eventually 30 not state_is running
	on host-a e2fsck -fn "$fs/$g.img"
}

# bats test_tags=long
@test "storage that does not answer: a stop ends in time with the disk's name, the guest goes on when it answers" {
	small_fs 128 "cache='none'"
	on host-a fsfreeze -f "$fs"
	eventually 30 reason_is "disk sda has not answered for"
	local order t0
	for order in "save $g /var/lib/hospes/$g.save" "suspend $g"; do
		t0=$SECONDS
		run on host-a vmctl $order
		[ "$status" -ne 0 ]
		[[ $output = *'disk sda has not answered for'* ]]
		[ $((SECONDS - t0)) -le 13 ]
		on host-a timeout 2 vmctl dominfo "$g"
	done
	state_is running
	on host-a fsfreeze -u "$fs"
	eventually 20 guest_sound "$g"
	# it stalls just before: QEMU is asked, and waits
	on host-a fsfreeze -f "$fs"
	run on host-a vmctl suspend "$g"
	on host-a fsfreeze -u "$fs"
	[ "$status" -eq 0 ] || eventually 20 guest_sound "$g"
	eventually 20 on host-a vmctl suspend "$g"
	on host-a vmctl resume "$g"
	eventually 20 guest_sound "$g"
}

# bats test_tags=long
@test "hvdom or QEMU killed with requests under way: the guest's end, nothing is left, and its files are found again" {
	local pid hv
	on_bus host-a sda "$(disk sda scsi "$g.img")"
	pid=$(qemus_on host-a "$g")
	hv=$(hvdoms_on host-a "$g")
	on host-a kill -9 $hv
	eventually 10 eval "[ ! -e /proc/$pid ]"
	eventually 5 not disk_locked "$SHARED/$g.img"
	on host-a vmctl start "$g"
	qemu_wait "$g"
	eventually 20 works "$g"
	kill -9 "$(qemus_on host-a "$g")"
	eventually 10 eval "[ -z \"\$(running_on $g)\" ]"
	eventually 5 not disk_locked "$SHARED/$g.img"
	on host-a vmctl start "$g"
	qemu_wait "$g"
	eventually 20 guest_sound "$g"
}
