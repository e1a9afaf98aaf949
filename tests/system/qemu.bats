# SPDX-License-Identifier: GPL-2.0-or-later
# Guests of engine qemu: Debian's kernel as it is, two vCPUs, the small guest's checks on virtio disk, network and consoles; and Debian from its own disk.
load lib
load qemu_guests

setup() {
	qemu_setup 60
}

@test "boots Debian's kernel with two vCPUs, is sound, and powers off in order" {
	qemu_up host-a "$g" mem=256 load=light
	on host-a vmctl dominfo "$g" --json | jq -e '.state == "running" and .vcpus == 2'
	guest_sound "$g"
	one_copy "$g" host-a
	ask "$g" poweroff || true
	eventually 60 eval "[ -z \"\$(running_on $g)\" ]"
	e2fsck -fn "$SHARED/$g.img"
	eventually 5 not disk_locked "$SHARED/$g.img"
}

@test "QEMU is confined: no capabilities, no network, no file of the host's, a filter" {
	local pid
	qemu_up host-a "$g" mem=256 load=none disk=0
	pid=$(pgrep -f "guest=$g,debug-threads")
	[ "$(awk '/^CapEff/ { print $2 }' "/proc/$pid/status")" = 0000000000000000 ]
	[ "$(awk '/^CapBnd/ { print $2 }' "/proc/$pid/status")" != "" ]
	[ "$(awk '/^NoNewPrivs/ { print $2 }' "/proc/$pid/status")" = 1 ]
	[ "$(awk '/^Seccomp:/ { print $2 }' "/proc/$pid/status")" = 2 ]
	[ "$(awk '/^Uid/ { print $2 }' "/proc/$pid/status")" -ge 1744830464 ]
	[ "$(wc -l <"/proc/$pid/net/dev")" -eq 3 ]
	[ "$(ls "/proc/$pid/root" | xargs)" = "dev fd initrd kernel lib lib64 usr v" ]
	not touch "/proc/$pid/root/x"
	# the guest's agent is asked to
	on host-a vmctl shutdown "$g"
	eventually 60 eval "[ -z \"\$(running_on $g)\" ]"
	not kill -0 "$pid"
}

@test "hvdom dies and takes QEMU along; QEMU dies and that is the guest's end" {
	local pid hv
	qemu_up host-a "$g" mem=256 load=none disk=0
	pid=$(pgrep -f "guest=$g,debug-threads")
	hv=$(hvdoms_on host-a "$g")
	on host-a kill -9 $hv
	eventually 10 eval "[ ! -e /proc/$pid ]"
	on host-a vmctl start "$g"
	qemu_wait "$g"
	kill -9 "$(pgrep -f "guest=$g,debug-threads")"
	eventually 10 eval "[ -z \"\$(running_on $g)\" ]"
	guest_remove "$g"
}

@test "a reboot of the guest's is one, and its files are found again" {
	local boot
	qemu_up host-a "$g" mem=256 load=light
	boot=$(guest_boot_id "$g")
	ask "$g" reboot || true
	eventually 120 eval "b=\$(guest_boot_id $g) && [ -n \"\$b\" ] && [ \"\$b\" != $boot ]"
	guest_sound "$g"
	guest_remove "$g"
}

@test "suspend, resume, save, restore" {
	local boot
	qemu_up host-a "$g" mem=256 load=light
	boot=$(guest_boot_id "$g")
	on host-a vmctl suspend "$g"
	[ "$(domain_state host-a "$g")" = paused ]
	on host-a vmctl resume "$g"
	guest_sound "$g"
	on host-a vmctl save "$g" "/var/lib/hospes/shared/$g.save"
	[ "$(domain_state host-a "$g")" != running ]
	on host-a vmctl restore "/var/lib/hospes/shared/$g.save"
	qemu_wait "$g"
	[ "$(guest_boot_id "$g")" = "$boot" ]
	guest_sound "$g"
	guest_remove "$g"
}

@test "pushes of a loaded guest: connection, memory and disk are whole" {
	local boot
	qemu_up host-a "$g" mem=256 load=light
	boot=$(guest_boot_id "$g")
	client_start "$g"
	pushes "$g" "${HOSPES_PUSHES:-6}"
	client_stop
	echo "# client: $CLIENT_JSON" >&3
	[ "$(guest_boot_id "$g")" = "$boot" ]
	guest_sound "$g"
	guest_remove "$g"
}

# bats test_tags=long
@test "Debian from its own disk, by BIOS, GRUB and its own kernel: moves, and heeds its power button" {
	[ -e "$top_builddir/guests/stock.img" ] || skip "missing: guests/stock.img (make guests/stock.img)"
	cp --sparse=always "$top_builddir/guests/stock.img" "$SHARED/$g.img"
	qemu_xml "$g" mem=512
	sed -i '/<kernel>/d; /<initrd>/d; /<cmdline>/d' "$SHARED/$g.xml"
	on host-a vmctl define "/var/lib/hospes/shared/$g.xml"
	on host-a vmctl start "$g"
	qemu_wait "$g"
	client_start "$g"
	pushes "$g" 2
	client_stop
	echo "# client: $CLIENT_JSON" >&3
	on host-a vmctl shutdown "$g"
	eventually 60 eval "[ -z \"\$(running_on $g)\" ]"
	guest_remove "$g"
}
