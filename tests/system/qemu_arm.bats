# SPDX-License-Identifier: GPL-2.0-or-later
# Guests of engine qemu with a processor that no host has: Debian's arm64 kernel as it is, on two vCPUs of QEMU's machine "virt".
load lib
load qemu_guests

setup_file() {
	need_root
	lab_up 2
	arm_missing >/dev/null || cp "$top_builddir"/guests/arm-{kernel,initramfs.img} "$SHARED/"
}

setup() {
	local why
	qemu_setup 100
	! why=$(arm_missing) || skip "$why"
}

arm_missing() {
	[ -x /usr/bin/qemu-system-aarch64 ] || { echo "missing: qemu-system-arm"; return 0; }
	[ -e "$top_builddir/guests/arm-kernel" ] || { echo "missing: guests/arm-kernel ($(tail -n 1 "$top_builddir/guests/arm" 2>/dev/null || echo make guests))"; return 0; }
	return 1
}
arm_up() { qemu_up "$@" arch=aarch64; }

@test "Debian's arm64 kernel boots, is sound, is suspended, saved and restored, moves under load, and powers off in order" {
	local boot
	arm_up host-a "$g" mem=256 load=light
	on host-a vmctl dominfo "$g" --json | jq -e '.state == "running" and .vcpus == 2'

	run say host-a "$g" 'uname -m; grep -m1 part /proc/cpuinfo'
	# a Cortex-A72
	[[ $output = *aarch64* && $output = *0xd08* ]]
	guest_sound "$g"
	boot=$(guest_boot_id "$g")
	on host-a vmctl suspend "$g"
	[ "$(domain_state host-a "$g")" = paused ]
	on host-a vmctl resume "$g"
	guest_sound "$g"
	client_start "$g"
	pushes "$g" 1
	client_stop
	echo "# client: $CLIENT_JSON" >&3
	on host-b vmctl save "$g" "/var/lib/hospes/shared/$g.save"
	on host-b vmctl restore "/var/lib/hospes/shared/$g.save"
	qemu_wait "$g"
	guest_sound "$g"
	[ "$(guest_boot_id "$g")" = "$boot" ]
	on host-b vmctl shutdown "$g"
	eventually 60 eval "[ -z \"\$(running_on $g)\" ]"
	e2fsck -fn "$SHARED/$g.img"
	guest_remove "$g"
}

# bats test_tags=long
@test "ten pushes of a loaded arm64 guest: connection, memory and disk are whole" {
	local boot
	arm_up host-a "$g" mem=256 load=light
	boot=$(guest_boot_id "$g")
	client_start "$g"
	pushes "$g" "${HOSPES_PUSHES:-10}"
	client_stop
	echo "# client: $CLIENT_JSON" >&3
	[ "$(guest_boot_id "$g")" = "$boot" ]
	guest_sound "$g"
	guest_remove "$g"
}

# guest_does HOST COMMANDS: in the guest, which succeed
guest_does() { say "$1" "$g" "$2 && echo y''es" | grep -aq yes; }

# bats test_tags=long
@test "a disk and a NIC come to an arm64 guest, are used, grow, move with it and leave" {
	arm_up host-a "$g" mem=256 load=light
	truncate -s 32M "$SHARED/$g.b.img"
	cat >"$SHARED/$g.b.xml" <<-X
		<disk type='file' device='disk'><source file='/var/lib/hospes/shared/$g.b.img'/><target dev='vdb' bus='virtio'/></disk>
	X
	cat >"$SHARED/$g.nic.xml" <<-X
		<interface type='bridge'><mac address='52:54:00:78:01:02'/><source bridge='br0'/><model type='virtio'/></interface>
	X
	on host-a vmctl attach-device "$g" "/var/lib/hospes/shared/$g.b.xml"
	on host-a vmctl attach-device "$g" "/var/lib/hospes/shared/$g.nic.xml"
	eventually 30 guest_does host-a 'test -b /dev/vdb -a -e /sys/class/net/eth1'
	on host-a vmctl blockresize "$g" vdb 48MiB
	on host-a vmctl blockresize "$g" vda 96MiB
	eventually 30 guest_does host-a "test \$(cat /sys/block/vdb/size) = $((48 << 11)) -a \$(cat /sys/block/vda/size) = $((96 << 11))"
	guest_does host-a 'echo salt | dd of=/dev/vdb bs=1M seek=40 conv=fsync'
	pushes "$g" 1
	guest_does host-b 'dd if=/dev/vdb bs=1M skip=40 count=1 | head -c 4 | grep salt'
	on host-b vmctl detach-device "$g" vdb
	on host-b vmctl detach-device "$g" 52:54:00:78:01:02
	eventually 30 guest_does host-b 'test ! -e /dev/vdb -a ! -e /sys/class/net/eth1'
	not disk_locked "$SHARED/$g.b.img"
	pushes "$g" 1
	guest_sound "$g"
	guest_remove "$g"
	rm -f "$SHARED/$g".*
}
