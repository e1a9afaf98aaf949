# SPDX-License-Identifier: GPL-2.0-or-later
# Debian as people have it, under engine qemu: its own boot loader and kernel, cloud-init, qemu-guest-agent, SSH. Nothing in it is ours but the load.
load lib
load qemu_guests

setup() {
	qemu_setup 140
	need_program ssh ssh-keygen xorrisofs
	[ -e "$top_builddir/guests/stock.img" ] || skip "missing: guests/stock.img (make guests/stock.img)"
}

AGENT="<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"
# stock_xml NAME [key=value...]: a machine that boots from its own disk. Its MAC is none of those that give the guest an address.
stock_xml() {
	cp --sparse=always "$top_builddir/guests/stock.img" "$SHARED/$1.img"
	qemu_xml "$@" mem=512 xml="$AGENT"
	sed -i '/<kernel>/d; /<initrd>/d; /<cmdline>/d; s/52:54:00:77:00/52:54:00:78:00/' "$SHARED/$1.xml"
}
# seeded HOST NAME: cloud-init is to make a user with a key, a host name, an address, and leave only the agent to shut the guest down
seeded() {
	local ip
	ip=$(guest_ip "$2")
	[ -e "$BATS_TEST_TMPDIR/key" ] || ssh-keygen -q -t ed25519 -N '' -f "$BATS_TEST_TMPDIR/key"
	cat >"$SHARED/$2.user" <<-X
		#cloud-config
		hostname: made-by-cloud-init
		ssh_genkeytypes: [ed25519]
		users:
		  - name: tester
		    sudo: ALL=(ALL) NOPASSWD:ALL
		    ssh_authorized_keys: ["$(<"$BATS_TEST_TMPDIR/key.pub")"]
		write_files:
		  - path: /etc/systemd/logind.conf.d/button.conf
		    content: "[Login]\nHandlePowerKey=ignore\n"
		runcmd:
		  - systemctl disable --now hospes-agent
		  - systemctl restart systemd-logind
		  - sh -c 'echo runcmd-was-run-on-\$(hostname) >/dev/console'
	X
	printf '%s\n' 'version: 1' 'config:' '  - type: physical' '    name: eth0' '    subnets:' '      - type: static' "        address: $ip/24" >"$SHARED/$2.net"
	on "$1" vmctl define "/var/lib/hospes/shared/$2.xml"
	on "$1" vmctl seed "$2" --user-data "/var/lib/hospes/shared/$2.user" --network-config "/var/lib/hospes/shared/$2.net" --attach
}
shell() { # NAME COMMAND...
	local ip
	ip=$(guest_ip "$1")
	shift
	client timeout "${PATIENT:-60}" ssh -i "$BATS_TEST_TMPDIR/key" -o BatchMode=yes -o ConnectTimeout=10 -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR \
		"tester@$ip" "$@"
}
boot_log() { echo "$VMLAB_DIR/$VMLAB_NAME/hosts/$1/var/log/hospes/$2-boot.log"; }
# clock_off NAME: how far its clock is from ours, in ms; the way there and back is a part of it
clock_off() {
	local a=${EPOCHREALTIME/./} t b
	t=$(shell "$1" date +%s%6N)
	b=${EPOCHREALTIME/./}
	echo "# clock of $1: $(((t - (a + b) / 2) / 1000)) ms off, asked within $(((b - a) / 1000)) ms" >&3
	CLOCK_OFF=$(((t - (a + b) / 2) / 1000)) ASKED=$(((b - a) / 1000))
}
clock_right() { clock_off "$1" && [ ${CLOCK_OFF#-} -lt $((2000 + ASKED / 2)) ]; }
says_address() { on "$1" vmctl domifaddr "$2" --json | jq -e --arg ip "$(guest_ip "$2")" 'any(.[]; .name == "eth0" and .addresses[].address == $ip)'; }

# bats test_tags=long
@test "cloud-init takes its seed, and the guest's agent is asked for addresses, time, file systems and its end" {
	stock_xml "$g"
	seeded host-a "$g"
	on host-a vmctl start "$g"
	eventually 240 grep -q runcmd-was-run-on-made-by-cloud-init "$(boot_log host-a "$g")"
	[ "$(shell "$g" hostname)" = made-by-cloud-init ]
	[ "$(shell "$g" id -un)" = tester ]
	[ "$(shell "$g" sudo id -u)" = 0 ]
	[ "$(shell "$g" systemctl is-active qemu-guest-agent)" = active ]
	eventually 20 says_address host-a "$g"
	# saved, and restored half a minute later
	on host-a vmctl save "$g" "/var/lib/hospes/shared/$g.save"
	sleep 30
	on host-a vmctl restore "/var/lib/hospes/shared/$g.save" 2>"$BATS_TEST_TMPDIR/said"
	cat "$BATS_TEST_TMPDIR/said"
	not grep -q 'did not set' "$BATS_TEST_TMPDIR/said"
	clock_right "$g"
	guest_sound "$g"

	# frozen: nothing is written, and it goes nowhere
	on host-a vmctl domfsfreeze "$g" --seconds 600
	[ "$(on host-a vmctl dominfo "$g" --json | jq .frozen_s)" -gt 0 ]
	PATIENT=10 not shell "$g" 'echo x >/home/tester/x; sync' # it may not even let us in, which it writes down
	not push host-a "$g" host-b
	[[ $PUSH_JSON = *frozen* ]]
	not on host-a vmctl save "$g" "/var/lib/hospes/shared/$g.save2"
	on host-a vmctl domfsthaw "$g"
	[ "$(on host-a vmctl dominfo "$g" --json | jq .frozen_s)" -eq 0 ]
	shell "$g" 'echo y >/home/tester/y; sync'
	# who froze them does not come back: hvdom has them thawed
	on host-a vmctl domfsfreeze "$g" --seconds 3
	eventually 20 eval "[ \$(on host-a vmctl dominfo $g --json | jq .frozen_s) -eq 0 ]"
	shell "$g" 'echo z >/home/tester/z; sync'

	client_start "$g"
	pushes "$g" 1
	client_stop
	says_address host-b "$g"
	# neither our agent nor its power button would end it
	on host-b vmctl shutdown "$g" --wait 90
	eventually 10 eval "[ -z \"\$(running_on $g)\" ]"
	guest_remove "$g"
	rm -f "$SHARED/$g"[.-]*
}

# bats test_tags=long
@test "the same disk by UEFI: moves, is sound, heeds its power button" {
	[ -e /usr/share/OVMF/OVMF_CODE_4M.fd ] || skip "missing: ovmf"
	stock_xml "$g"
	sed -i "s/<os>/<os firmware='efi'>/; s/52:54:00:78:00/52:54:00:77:00/" "$SHARED/$g.xml"
	on host-a vmctl define "/var/lib/hospes/shared/$g.xml"
	on host-a vmctl start "$g"
	qemu_wait "$g"
	grep -q 'EFI v' "$(boot_log host-a "$g")" || ask "$g" status
	client_start "$g"
	pushes "$g" 2
	client_stop
	on host-a vmctl shutdown "$g" --wait 90
	guest_remove "$g"
	rm -f "$SHARED/$g"[._]*
}
