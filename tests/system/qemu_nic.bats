# SPDX-License-Identifier: GPL-2.0-or-later
# Guests of engine qemu with network cards of QEMU's: e1000, e1000e, rtl8139. ADR 96.
load lib
load qemu_guests

setup() {
	qemu_setup 170
	full_kernel
}
teardown() {
	[ -n "${BATS_TEST_COMPLETED:-}" ] || lab_logs >&2
	guest_remove "$g"
}

# card_up CARD [key=value...]: a guest whose only NIC is such a one
card_up() {
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
