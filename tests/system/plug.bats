# SPDX-License-Identifier: GPL-2.0-or-later
# Devices that change while the guest runs: disks and NICs that come and go, with QEMU; disks that grow, with both engines.
load lib
load qemu_guests

setup() {
	need_root
	need_program jq
	g=guest$((200 + BATS_TEST_NUMBER))
}

teardown() {
	rm -f "$SHARED/$g".*
}

need_qemu() {
	local why
	! why=$(qemu_missing) || skip "$why"
}

# What a shell on the guest's console says: HOST COMMANDS
say() { printf '%s\n' "$2" | on "$1" timeout 20 sh -c "(cat; sleep ${SAY_S:-2}) | vmctl console $g" 2>&1; }
# Commands in the guest, which succeed: HOST COMMANDS
guest_does() { say "$1" "$2 && echo y''es" | grep -aq yes; }
# A disk has so many octets in the guest: HOST DISK OCTETS
sees() { guest_does "$1" "test \$(cat /sys/block/$2/size) = $(($3 / 512))"; }

# disk_xml FILE TARGET [FORMAT], nic_xml MAC [CARD]: documents of one device, in $SHARED
disk_xml() {
	cat >"$SHARED/$g.$2.xml" <<-X
		<disk type='file' device='disk'>
		  <driver name='qemu' type='${3:-raw}'/>
		  <source file='/var/lib/hospes/shared/$1'/>
		  <target dev='$2' bus='virtio'/>
		</disk>
	X
}
nic_xml() {
	cat >"$SHARED/$g.nic.xml" <<-X
		<interface type='bridge'><mac address='$1'/><source bridge='br0'/><model type='${2:-virtio}'/></interface>
	X
}
# attach HOST DEVICE [option...], and what of it ends with an error that matches PATTERN: refused PATTERN COMMAND...
attach() { on "$1" vmctl attach-device "$g" "/var/lib/hospes/shared/$g.$2.xml" "${@:3}"; }
detach() { on "$1" vmctl detach-device "$g" "$2" "${@:3}"; }
refused() {
	run "${@:2}"
	[ "$status" -ne 0 ] || { echo "not refused: ${*:2}" >&2; return 1; }
	[[ $output =~ $1 ]] || { echo "$output" >&2; return 1; }
}
live_has() { grep -q "$2" <<<"$(on "$1" vmctl dumpxml "$g")"; }
def_has() { grep -q "$2" <<<"$(on "$1" vmctl dumpxml "$g" --inactive)"; }

@test "a disk of a running guest grows, and is as large at the other host" {
	guest_up host-a "$g" load=light
	on host-a vmctl blockresize "$g" vda 96MiB
	eventually 20 sees host-a vda $((96 << 20))
	[ "$(stat -c %s "$SHARED/$g.img")" = $((96 << 20)) ]
	refused 'not made smaller' on host-a vmctl blockresize "$g" vda 64MiB
	truncate -s 1M "$SHARED/$g.b.img"
	disk_xml "$g.b.img" vdb
	refused 'engine pv' attach host-a vdb
	pushes "$g" 1
	sees host-b vda $((96 << 20))
	guest_sound "$g"
	guest_remove "$g"
}

@test "a disk comes, is written, grows, moves there and back, and leaves again" {
	need_qemu
	qemu_up host-a "$g" mem=256 load=light
	truncate -s 32M "$SHARED/$g.b.img"
	disk_xml "$g.b.img" vdb
	attach host-a vdb
	eventually 20 guest_does host-a 'test -b /dev/vdb'
	disk_locked "$SHARED/$g.b.img"
	grep -aq running "$SHARED/$g.b.img.lease"
	live_has host-a ua-hospes-place1
	not def_has host-a "$g.b.img"
	refused 'given twice' attach host-a vdb
	on host-a vmctl blockresize "$g" vdb 48MiB
	on host-a vmctl blockresize "$g" vda 96MiB
	guest_does host-a 'echo salt | dd of=/dev/vdb bs=1M seek=40 conv=fsync'
	pushes "$g" 2
	guest_does host-a 'dd if=/dev/vdb bs=1M skip=40 count=1 | head -c 4 | grep salt'
	sees host-a vda $((96 << 20))
	detach host-a vdb
	eventually 20 guest_does host-a 'test ! -e /dev/vdb'
	not disk_locked "$SHARED/$g.b.img"
	[ ! -s "$SHARED/$g.b.img.lease" ]
	dd if="$SHARED/$g.b.img" bs=1M skip=40 count=1 status=none | head -c 4 | grep salt
	not live_has host-a "$g.b.img"
	refused 'part of the machine' detach host-a vda
	pushes "$g" 1
	guest_sound "$g"
	guest_remove "$g"
}

# bats test_tags=long
@test "a NIC comes, is used at both hosts, and leaves" {
	need_qemu
	qemu_up host-a "$g" mem=256 load=light
	client ip addr add 10.78.0.1/24 dev eth0
	nic_xml 52:54:00:78:00:02
	attach host-a nic
	eventually 20 guest_does host-a 'test -e /sys/class/net/eth1'
	guest_does host-a 'ip addr add 10.78.0.2/24 dev eth1; ip link set eth1 up'
	eventually 20 client ping -c 1 -w 2 10.78.0.2
	pushes "$g" 1
	eventually 20 client ping -c 1 -w 2 10.78.0.2
	detach host-b 52:54:00:78:00:02
	eventually 20 guest_does host-b 'test ! -e /sys/class/net/eth1'
	not client ping -c 1 -w 2 10.78.0.2
	pushes "$g" 1
	guest_sound "$g"
	client ip addr del 10.78.0.1/24 dev eth0
	guest_remove "$g"
}

# bats test_tags=long
@test "a card of QEMU's comes, is used at both hosts and after save and restore, and leaves" {
	local card
	need_qemu
	full_kernel
	qemu_xml "$g" mem=256 load=light
	with_full_kernel "$g"
	on host-a vmctl define "/var/lib/hospes/shared/$g.xml"
	on host-a vmctl start "$g"
	qemu_wait "$g"
	client ip addr add 10.78.0.1/24 dev eth0
	for card in e1000e e1000 rtl8139; do
		nic_xml 52:54:00:78:00:02 $card
		attach host-a nic
		eventually 20 guest_does host-a 'test -e /sys/class/net/eth1'
		guest_does host-a "readlink /sys/class/net/eth1/device/driver | grep -q ${card/rtl8139/8139cp}"
		guest_does host-a 'ip addr add 10.78.0.2/24 dev eth1; ip link set eth1 up'
		eventually 20 client ping -c 1 -w 2 10.78.0.2
		pushes "$g" 1
		eventually 20 client ping -c 1 -w 2 10.78.0.2
		on host-b vmctl save "$g" "/var/lib/hospes/shared/$g.save"
		on host-b vmctl restore "/var/lib/hospes/shared/$g.save"
		eventually 20 client ping -c 1 -w 2 10.78.0.2
		detach host-b 52:54:00:78:00:02
		eventually 20 guest_does host-b 'test ! -e /sys/class/net/eth1'
		not client ping -c 1 -w 2 10.78.0.2
		pushes "$g" 1
	done
	guest_sound "$g"
	client ip addr del 10.78.0.1/24 dev eth0
	guest_remove "$g"
}

# bats test_tags=long
@test "what came is there after save and restore, a reboot, and with --config after the next start" {
	local boot
	need_qemu
	qemu_up host-a "$g" mem=256 load=light
	truncate -s 32M "$SHARED/$g.b.img" "$SHARED/$g.c.img"
	disk_xml "$g.b.img" vdb
	disk_xml "$g.c.img" vdc
	attach host-a vdb
	attach host-a vdc --live --config
	def_has host-a ua-hospes-place2
	not def_has host-a "$g.b.img"
	eventually 20 guest_does host-a 'test -b /dev/vdb -a -b /dev/vdc && echo salt >/dev/vdc && sync'
	on host-a vmctl save "$g" "/var/lib/hospes/shared/$g.save"
	on host-a vmctl restore "/var/lib/hospes/shared/$g.save"
	qemu_wait "$g"
	guest_does host-a 'head -c 4 /dev/vdc | grep salt'
	boot=$(guest_boot_id "$g")
	ask "$g" reboot || true
	eventually 120 eval "b=\$(guest_boot_id $g) && [ -n \"\$b\" ] && [ \"\$b\" != $boot ]"
	guest_does host-a 'test -b /dev/vdb && head -c 4 /dev/vdc | grep salt'
	pushes "$g" 2
	detach host-a vdb
	not live_has host-a "$g.b.img"
	on host-a vmctl destroy "$g"
	on host-a vmctl start "$g"
	qemu_wait "$g"
	# it stands where it came to, so it can go; to the guest it is the second one now
	guest_does host-a 'test ! -e /dev/vdc && head -c 4 /dev/vdb | grep salt'
	detach host-a vdc --persistent
	not live_has host-a "$g.c.img"
	not def_has host-a "$g.c.img"
	guest_remove "$g"
}

# bats test_tags=long
@test "a guest that does not let go keeps its disk, and is not pushed meanwhile" {
	need_qemu
	qemu_up host-a "$g" mem=256 load=light cmdline=acpiphp.disable=1
	truncate -s 32M "$SHARED/$g.b.img"
	disk_xml "$g.b.img" vdb
	attach host-a vdb
	detach host-a vdb >"$BATS_TEST_TMPDIR/out" 2>&1 &
	sleep 1
	push_refused host-a "$g" host-b 'coming or going'
	not wait $!
	grep 'has not let it go' "$BATS_TEST_TMPDIR/out"
	live_has host-a "$g.b.img"
	disk_locked "$SHARED/$g.b.img"
	pushes "$g" 2
	live_has host-a "$g.b.img"
	guest_sound "$g"
	guest_remove "$g"
}

# bats test_tags=long
@test "images that cannot be had are refused, and nothing is left" {
	need_qemu
	qemu_up host-a "$g" mem=256 load=light
	disk_xml "$g.none.img" vdb
	refused 'No such file' attach host-a vdb
	[ ! -e "$SHARED/$g.none.img.lease" ]
	head -c 100000 /dev/urandom >"$SHARED/$g.bad.img"
	disk_xml "$g.bad.img" vdb qcow2
	refused 'cannot use the qcow2 image' attach host-a vdb
	truncate -s 1M "$SHARED/$g.other.img"
	sed 's/\x0//g; s/ [0-9a-f-]\{36\} / 99999999-1111-2222-3333-444444444444 /' "$SHARED/$g.img.lease" | head -c 1024 >"$SHARED/$g.other.img.lease"
	disk_xml "$g.other.img" vdb
	refused 'lease' attach host-a vdb
	not live_has host-a vdb
	# the place is free, and the next one works; a qcow2 one, which stands on another, and grows
	qemu-img create -q -f qcow2 "$SHARED/$g.base.img" 16M
	qemu-img create -q -f qcow2 -b "$SHARED/$g.base.img" -F qcow2 "$SHARED/$g.b.img"
	qemu-img rebase -u -b "/var/lib/hospes/shared/$g.base.img" -F qcow2 "$SHARED/$g.b.img"
	disk_xml "$g.b.img" vdb qcow2
	attach host-a vdb
	eventually 20 guest_does host-a 'test -b /dev/vdb'
	on host-a vmctl blockresize "$g" vdb 8GiB
	guest_does host-a 'echo salt | dd of=/dev/vdb bs=1M seek=8000 conv=fsync'
	pushes "$g" 1
	guest_does host-b 'dd if=/dev/vdb bs=1M skip=8000 count=1 | head -c 4 | grep salt'
	detach host-b vdb
	qemu-img check -U "$SHARED/$g.b.img" || [ $? -ne 2 ]
	guest_sound "$g"
	guest_remove "$g"
}

# bats test_tags=long
@test "vmctl is killed at any moment: the disk is there or not, and can go or come" {
	local i
	need_qemu
	qemu_up host-a "$g" mem=256 load=light
	truncate -s 32M "$SHARED/$g.b.img"
	disk_xml "$g.b.img" vdb
	for i in 0.005 0.01 0.02 0.05 0.1 0.2; do
		on host-a timeout -s KILL "$i" vmctl attach-device "$g" "/var/lib/hospes/shared/$g.vdb.xml" || true
		sleep 0.5
		live_has host-a "$g.b.img" || attach host-a vdb
		eventually 20 guest_does host-a 'test -b /dev/vdb'
		on host-a timeout -s KILL "$i" vmctl detach-device "$g" vdb || true
		sleep 0.5
		! live_has host-a "$g.b.img" || detach host-a vdb
		not disk_locked "$SHARED/$g.b.img"
	done
	pushes "$g" 1
	guest_sound "$g"
	guest_remove "$g"
}
