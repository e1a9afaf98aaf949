# SPDX-License-Identifier: GPL-2.0-or-later
# Guests of engine qemu with network cards of QEMU's: e1000, e1000e, rtl8139. Guests that boot from the network. ADR 96.
load lib
load qemu_guests

setup() {
	qemu_setup 170
	served=$BATS_TEST_TMPDIR/served
}
teardown() {
	[ -n "${BATS_TEST_COMPLETED:-}" ] || lab_logs >&2
	[ -z "${SERVER:-}" ] || kill "$SERVER" 2>/dev/null || true
	guest_remove "$g"
}

# card_up CARD [key=value...]: a guest whose only NIC is such a one
card_up() {
	full_kernel
	qemu_xml "$g" mem=256 load=light nic="$@"
	with_full_kernel "$g"
	on host-a vmctl define "/var/lib/hospes/shared/$g.xml"
	on host-a vmctl start "$g"
	qemu_wait "$g"
}
# The driver of the guest's interface: HOST DRIVER
drives() { say "$1" "$g" 'readlink /sys/class/net/eth0/device/driver' | grep -q "/$2"; }
in_use() { # HOST CARD: the document says it
	on "$1" vmctl dumpxml "$g" | tr -d '\n' | grep -q "<interface.*<model type=.$2.*</interface>"
}
loaded() { # pushes under TCP load, small messages and large ones: COUNT
	local boot bulk out=$BATS_TEST_TMPDIR/bulk
	boot=$(guest_boot_id "$g")
	client_start "$g"
	vmlab client hospes-probe echo "$(guest_ip "$g")" --size 16384 --interval 1 >"$out" 2>"$out.err" 3>&- &
	bulk=$!
	sleep 1
	pushes "$g" "$1"
	kill -INT $bulk
	wait $bulk || { cat "$out" "$out.err"; false; }
	echo "# bulk: $(tail -n 1 "$out")" >&3
	jq -e '.answers > 100 and .resets == 0 and .lost == 0 and .corrupt == 0' <<<"$(tail -n 1 "$out")" >/dev/null
	client_stop
	echo "# client: $CLIENT_JSON" >&3
	[ "$(guest_boot_id "$g")" = "$boot" ]
	guest_sound "$g"
	one_copy "$g" "$(running_on "$g" | head -1 | cut -d: -f1)"
}

# bats test_tags=long
@test "an e1000e, an rtl8139: sound over pushes under load, save and restore, a reboot" {
	local card boot
	for card in e1000e rtl8139; do
		card_up $card machine="$([ $card = e1000e ] && echo q35 || echo pc)"
		drives host-a "${card/rtl8139/8139cp}"
		loaded 3
		on host-b vmctl save "$g" "/var/lib/hospes/shared/$g.save"
		on host-b vmctl restore "/var/lib/hospes/shared/$g.save"
		eventually 20 guest_sound "$g"
		boot=$(guest_boot_id "$g")
		ask "$g" reboot || true
		eventually 120 eval "b=\$(guest_boot_id $g) && [ -n \"\$b\" ] && [ \"\$b\" != $boot ]"
		loaded 1
		guest_remove "$g"
	done
}

@test "an e1000: sound over pushes under load" {
	card_up e1000
	in_use host-a e1000
	drives host-a e1000
	loaded 2
}

# serve: DHCP and TFTP for the lab's network; what $served has, of which boot.ipxe is the first
serve() {
	[ -e $roms/efi-virtio.rom ] || skip "missing: ipxe-qemu"
	need_program dnsmasq
	mkdir -p "$served"
	client dnsmasq --keep-in-foreground --conf-file=/dev/null --port=0 --interface=eth0 --bind-interfaces --user=root --leasefile-ro --pid-file= \
		--dhcp-range=10.77.0.1,static,5m --dhcp-host="$(mac),$(guest_ip "$g")" --dhcp-boot=boot.ipxe --enable-tftp --tftp-root="$served" \
		--log-facility=- --log-dhcp >"$served.log" 2>&1 3>&- &
	SERVER=$!
	eventually 5 grep -q TFTP "$served.log"
}
mac() { printf '52:54:00:77:00:%02x' "$(guest_ip "$g" | cut -d. -f4)"; }
# script COMMAND...: what iPXE does
script() { printf '%s\n' '#!ipxe' "$@" >"$served/boot.ipxe"; }
# The kernel PREFIX-kernel of the tests, with what the guest's document says of it
script_boots() {
	local cmdline
	cmdline=$(sed -n 's|.*<cmdline>\(.*\)</cmdline>.*|\1|p' "$SHARED/$g.xml")
	cp "$top_builddir/guests/$1-kernel" "$served/kernel"
	cp "$top_builddir/guests/$1-initramfs.img" "$served/initrd"
	script "kernel kernel initrd=initrd hospes.agent=hvc1 $cmdline" 'initrd initrd' 'boot'
	sed -i '/<kernel>/d; /<initrd>/d; /<cmdline>/d' "$SHARED/$g.xml"
}
starts() { on host-a vmctl define "/var/lib/hospes/shared/$g.xml" && on host-a vmctl start "$g"; }

# boots_from_network PREFIX [key=value...]: a guest without disks, with the kernel PREFIX-kernel
boots_from_network() {
	qemu_xml "$g" mem=256 load=light disk=0 "${@:2}"
	script_boots "$1"
	sed -i "s|</type>|</type><boot dev='network'/>|" "$SHARED/$g.xml"
	starts
	qemu_wait "$g"
}
roms=/usr/lib/ipxe/qemu

@test "a guest boots its kernel from the network, and is pushed to hosts that could do so, too" {
	serve
	boots_from_network qemu
	on host-b mount -t tmpfs none $roms
	push_refused host-a "$g" host-b "efi-virtio.rom .install the package ipxe-qemu"
	on host-b umount $roms
	pushes "$g" 1
	guest_sound "$g"
	on host-b vmctl destroy "$g"
	on host-a mount -t tmpfs none $roms
	run on host-a vmctl start "$g"
	on host-a umount $roms
	[[ $status -ne 0 && $output = *"interface 1 needs $roms/efi-virtio.rom (install the package ipxe-qemu)"* ]]
}

# bats test_tags=long
@test "with UEFI and a card of QEMU's it boots from the network, is pushed, and boots again" {
	local boot card
	[ -e /usr/share/OVMF/OVMF_CODE_4M.fd ] || skip "missing: ovmf"
	full_kernel
	serve
	for card in virtio e1000e; do
		qemu_xml "$g" mem=256 load=light nic=$card
		script_boots qemu-full
		sed -i "s|<os>|<os firmware='efi'>|; s|</type>|</type><boot dev='network'/>|" "$SHARED/$g.xml"
		starts
		qemu_wait "$g"
		pushes "$g" 1
		guest_sound "$g"
		boot=$(guest_boot_id "$g")
		ask "$g" reboot || true
		eventually 120 eval "b=\$(guest_boot_id $g) && [ -n \"\$b\" ] && [ \"\$b\" != $boot ]"
		guest_remove "$g"
		rm -f "$SHARED/${g}_VARS.fd"*
	done
}

# bats test_tags=long
@test "each card boots from the network in its order, and what follows is tried when there is nothing" {
	local card word boot firmware
	serve
	boot_record "$SHARED/$g.img" disk-word
	boot=$(vmlab dir host-a)/var/log/hospes/$g-boot.log
	for card in virtio e1000 e1000e rtl8139; do
		word=net-word-$card
		script "echo $word \${net0/mac}" exit
		qemu_xml "$g" mem=128 nic=$card
		sed -i "/<kernel>/d; /<initrd>/d; /<cmdline>/d; s|<source bridge='br0'/>|&<boot order='1'/>|; s|<target dev='vda'|<boot order='2'/>&|" "$SHARED/$g.xml"
		starts
		eventually 60 grep -aq "$word $(mac)" "$boot"
		eventually 30 grep -aq disk-word "$boot"
		on host-a vmctl destroy "$g"
		# the other way round nobody asks the network
		sed -i "s/order='1'/order='3'/" "$SHARED/$g.xml"
		: >"$boot"
		starts
		eventually 30 grep -aq disk-word "$boot"
		not grep -aq "$word" "$boot"
		on host-a vmctl destroy "$g"
		: >"$boot"
	done
}
