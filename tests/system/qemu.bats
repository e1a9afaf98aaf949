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

# how many filters of system calls its QEMU has: one that loads a state has one more, which keeps its heap (ADR 99)
filters() { awk '/^Seccomp_filters/ { print $2 }' "/proc/$(qemus_on "$1" "$g")/status"; }

@test "pushes of a loaded guest: connection, memory and disk are whole" {
	local boot n
	qemu_up host-a "$g" mem=256 load=light
	boot=$(guest_boot_id "$g")
	n=$(filters host-a)
	client_start "$g"
	pushes "$g" "${HOSPES_PUSHES:-6}"
	client_stop
	echo "# client: $CLIENT_JSON" >&3
	[ "$(guest_boot_id "$g")" = "$boot" ]
	[ "$(filters "$(running_on "$g")")" -eq $((n + 1)) ]
	guest_sound "$g"
	guest_remove "$g"
}

keeps() { on "$1" vmctl dominfo "$2" --json | jq -e --argjson m "$3" '.ram_current_bytes == $m * 1048576'; }
# its balloon grows and shrinks until FILE is there
breathe() { # NAME FILE
	local h m
	for ((m = 0; ; m = 192 - m)); do
		[ ! -e "$2" ] || return 0
		for h in host-a host-b; do on "$h" vmctl setmem "$1" $((256 + m))MiB >/dev/null 2>&1 || true; done
		sleep 0.2
	done
}
# bats test_tags=long
@test "a balloon takes memory from a guest and gives it back, also while it moves" {
	local used breather boot
	# a kernel that clears what it allocates would write all that its balloon takes, and log-dirty see it by that
	qemu_up host-a "$g" mem=512 load=light cmdline=init_on_alloc=0 xml="<memballoon model='virtio'/>"
	# what is free then has content, which becomes zeros
	say host-a "$g" 'tr "\000" x </dev/zero | dd of=/x bs=1M count=200 iflag=fullblock; rm /x' >/dev/null || true
	eventually 20 eval "[ \$(on host-a vmctl domstats $g --json | jq .ram_used_bytes) -gt $((250 << 20)) ]"
	used=$(on host-a vmctl domstats "$g" --json | jq .ram_used_bytes)
	on host-a vmctl setmem "$g" 192MiB
	eventually 30 keeps host-a "$g" 192
	eventually 10 eval "[ \$(on host-a vmctl domstats $g --json | jq .ram_used_bytes) -lt $((used - (150 << 20))) ]"
	guest_sound "$g"
	# the target knows what it has
	pushes "$g" 1
	eventually 10 keeps host-b "$g" 192
	# pages have content before they go and after they came back, in the midst of rounds
	say host-b "$g" 'while [ -e /proc/1 ]; do tr "\000" x </dev/zero | dd of=/x bs=1M count=60 iflag=fullblock; rm /x; done 2>/dev/null &' >/dev/null || true
	breathe "$g" "$BATS_TEST_TMPDIR/enough" 3>&- &
	breather=$!
	pushes "$g" 3
	touch "$BATS_TEST_TMPDIR/enough"
	wait $breather
	on host-a vmctl setmem "$g" 512MiB
	eventually 30 keeps host-a "$g" 512
	# neither saving nor a reboot changes what it was asked for
	on host-a vmctl setmem "$g" 256MiB
	eventually 30 keeps host-a "$g" 256
	on host-a vmctl save "$g" "/var/lib/hospes/shared/$g.save"
	on host-a vmctl restore "/var/lib/hospes/shared/$g.save"
	eventually 10 keeps host-a "$g" 256
	guest_sound "$g"
	rm -f "$SHARED/$g.save"
	boot=$(guest_boot_id "$g")
	ask "$g" reboot || true
	eventually 60 new_boot "$g" "$boot"
	eventually 60 keeps host-a "$g" 256
	guest_sound "$g"
	guest_remove "$g"
}

# Arms an i6300esb without a driver: its registers are memory at 0x1b's first BAR, each write of theirs is unlocked by two others, and it
# is enabled by its configuration space. Two stages of MS milliseconds.
arm_i6300esb() { # HOST NAME MS
	say "$1" "$2" "d=/sys/bus/pci/devices/0000:00:1b.0; echo 1 >\$d/enable; read -r b _ <\$d/resource
		w() { devmem \$((b+12)) 16 0x80; devmem \$((b+12)) 16 0x86; devmem \$((b+\$1)) 32 \$2; }
		w 0 $3; w 4 $3; printf '\\002' | dd of=\$d/config bs=1 seek=104 conv=notrunc 2>/dev/null; echo ar''med"
}
new_boot() { local b && b=$(guest_boot_id "$1") && [ -n "$b" ] && [ "$b" != "$2" ]; }
MACHINE="<video><model type='vga' vram='8192'/></video><controller type='usb' model='qemu-xhci'/><input type='tablet' bus='usb'/>
	<input type='keyboard' bus='usb'/>"

@test "VGA, USB and a watchdog are the guest's, move with it, and the watchdog resets it where it is" {
	local boot out
	qemu_up host-a "$g" mem=256 load=light xml="$MACHINE<watchdog model='i6300esb' action='reset'/>"
	boot=$(guest_boot_id "$g")
	run say host-a "$g" 'cat /sys/bus/pci/devices/*/device | xargs'
	# VGA, xHCI, i6300esb
	[[ $output = *0x1111* && $output = *0x000d* && $output = *0x25ab* ]]
	run arm_i6300esb host-a "$g" 12000
	[[ $output = *armed* ]]
	pushes "$g" 1
	# the 24 s go on at the target, and only there is it noticed
	[ "$(guest_boot_id "$g")" = "$boot" ]
	guest_sound "$g"
	eventually 60 new_boot "$g" "$boot"
	grep "its watchdog device ran out" "$VMLAB_DIR/$VMLAB_NAME/hosts/host-b/var/log/hospes/$g.log"
	not grep "its watchdog device ran out" "$VMLAB_DIR/$VMLAB_NAME/hosts/host-a/var/log/hospes/$g.log"
	on host-b vmctl dominfo "$g" --json | jq -e '.watchdog_count == 1 and .state == "running"'
	qemu_wait "$g"
	guest_sound "$g"
	guest_remove "$g"
}

# bats test_tags=long
@test "actions of a watchdog device: none, pause, poweroff" {
	local act
	for act in none pause poweroff; do
		qemu_up host-a "$g" mem=256 load=none disk=0 xml="<watchdog model='i6300esb' action='$act'/>"
		run arm_i6300esb host-a "$g" 100
		case $act in
		none) eventually 20 eval "on host-a vmctl dominfo $g --json | jq -e '.watchdog_count == 1 and .state == \"running\"'" ;;
		pause)
			eventually 20 eval "[ \"\$(domain_state host-a $g)\" = paused ]"
			on host-a vmctl domstate "$g" --reason | grep 'watchdog device ran out'
			;;
		poweroff) eventually 20 eval "[ -z \"\$(running_on $g)\" ]" ;;
		esac
		guest_remove "$g"
	done
}

@test "a panic that the guest tells its pvpanic is a crash, and on_crash says what comes of it" {
	local boot
	qemu_up host-a "$g" mem=256 load=none disk=0 on_crash=restart
	boot=$(guest_boot_id "$g")
	say host-a "$g" 'echo c >/proc/sysrq-trigger' || true
	eventually 60 new_boot "$g" "$boot"
	grep "panicked" "$VMLAB_DIR/$VMLAB_NAME/hosts/host-a/var/log/hospes/$g.log"
	guest_remove "$g"
}

with_cpu() { # NAME INSIDE...: the domain's <cpu>
	sed -i "s,<cpu mode=.*</cpu>,,; s,<on_poweroff>,<cpu mode='custom'>${*:2}</cpu>&," "$SHARED/$1.xml"
	on host-a vmctl define "/var/lib/hospes/shared/$1.xml"
}

@test "a processor by its name: the guest has it, also after a push; what is missing is named" {
	local cpu="<topology sockets='1' dies='1' cores='2' threads='1'/><feature policy='disable' name='sse4.2'/>" seen
	qemu_xml "$g" mem=256 load=light
	with_cpu "$g" "<model>Nehalem</model><feature policy='require' name='avx512f'/>"
	run on host-a vmctl start "$g"
	[ "$status" -ne 0 ]
	[[ $output = *"lacks avx512f, which domain '$g' asks for"* ]]
	with_cpu "$g" "<model>Nehalem-of-old</model>"
	run on host-a vmctl start "$g"
	[[ $output = *"unable to find CPU model 'Nehalem-of-old'"* ]]
	with_cpu "$g" "<model>Nehalem</model>$cpu"
	on host-a vmctl start "$g"
	qemu_wait "$g"
	run say host-a "$g" 'cd /sys/devices/system/cpu/cpu1/topology; echo p$(cat physical_package_id)c$(cat core_id); grep -c sse4_2 /proc/cpuinfo; grep "model name" /proc/cpuinfo'
	seen=$output
	[[ $seen = *p0c1* && $seen = *"Intel Core i7 9xx (Nehalem"* ]]
	# a host whose own processor has less is good enough where code is translated
	sed 's/ sse2 / /' /proc/cpuinfo >"$SHARED/cpuinfo"
	on host-b mount --bind /var/lib/hospes/shared/cpuinfo /proc/cpuinfo
	pushes "$g" 1
	on host-b umount /proc/cpuinfo
	guest_sound "$g"
	run say host-b "$g" 'grep "model name" /proc/cpuinfo'
	[[ $output = *"Intel Core i7 9xx (Nehalem"* ]]
	# a state goes on under a later QEMU at most
	printf '#!/bin/sh\necho QEMU emulator version 5.2.0\necho "pc-q35-7.2  a machine"\n' >"$SHARED/qemu"
	chmod 755 "$SHARED/qemu"
	on host-a mount --bind /var/lib/hospes/shared/qemu /usr/bin/qemu-system-x86_64
	push_refused host-b "$g" host-a "runs on qemu 7[^,]*, and host-a has 5.2.0 tcg" || { on host-a umount /usr/bin/qemu-system-x86_64; false; }
	on host-a umount /usr/bin/qemu-system-x86_64
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
