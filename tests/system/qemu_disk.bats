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
	(printf '%s\n' "cd /sys/block; for d in *; do echo -n \"siz\"\"e:\$d=\$(cat \$d/size) \"; done; echo; echo e\"\"nd"; sleep 15) |
		on "$1" timeout 15 vmctl console --force "$g" >"$out" 2>&1 3>&- &
	eventually 10 grep -q '^end' "$out" || cat "$out"
	grep -o 'size:[^ ]*' "$out" | xargs
}
full_kernel() {
	[ -e "$top_builddir/guests/qemu-full-kernel" ] || skip "missing: guests/qemu-full-kernel (install linux-image-amd64, make guests)"
	cp "$top_builddir"/guests/qemu-full-{kernel,initramfs.img} "$SHARED/"
}
with_full_kernel() { sed -i 's/shared\/qemu-/shared\/qemu-full-/' "$SHARED/$1.xml"; }
state_is() { [ "$(domain_state host-a "$g")" = "$1" ]; }

@test "a disk on virtio-scsi, a CD-ROM and an empty drive: sound over pushes under load" {
	local boot
	truncate -s 3M "$SHARED/$g.iso"
	on_bus host-a sda "$(disk sda scsi "$g.img")$(cdrom sdb scsi "$g.iso")$(cdrom sdc scsi)"
	on host-a vmctl dominfo "$g" | grep -E 'sda.*raw.*scsi'
	boot=$(guest_boot_id "$g")
	run sizes host-a
	echo "# $output"
	[[ $output = *size:sda=131072* && $output = *size:sr0=6144* && $output = *size:sr1=* ]]
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
