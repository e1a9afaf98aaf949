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
