# SPDX-License-Identifier: GPL-2.0-or-later
# Guests by one command: an image made of packages (guests/state, `make guests/state`), a domain created from it, its user's key is in.
load lib

LAB_HOSTS=2
setup_file() {
	need_root
	need_program ssh ssh-keygen xorrisofs
	lab_up "$LAB_HOSTS"
	ssh-keygen -q -t ed25519 -N '' -f "$BATS_FILE_TMPDIR/key"
}
setup() {
	need_root
	need_program linux.uml jq ssh
	g=guest$((180 + BATS_TEST_NUMBER))
}
teardown() {
	[ -n "${BATS_TEST_COMPLETED:-}" ] || lab_logs >&2
	for h in host-a host-b; do
		on $h vmctl destroy "$g" >/dev/null 2>&1 || true
		on $h vmctl undefine "$g" >/dev/null 2>&1 || true
	done
	rm -rf "$SHARED/$g"
}

# image ENGINE: this lab's host-a has it in its library
image() {
	local name=debian12 lib
	[ "$1" = pv ] || name=debian12-qemu
	[ -e "$top_builddir/guests/state/library/$name/image.json" ] || skip "missing: guests/state/library/$name (make guests/state)"
	lib=$(vmlab dir host-a)/var/lib/hospes/library
	mkdir -p "$lib"
	[ -e "$lib/$name" ] || cp -r --sparse=always "$top_builddir/guests/state/library/$name" "$lib/"
	echo "$name"
}
# shell COMMAND...: in the guest, by its user's key
shell() {
	client ssh -i "$BATS_FILE_TMPDIR/key" -o BatchMode=yes -o ConnectTimeout=20 -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
		-o LogLevel=ERROR "debian@$(guest_ip "$g")" "$@"
}
# create ENGINE [OPTION...]: on the storage that both hosts share
create() {
	local name
	name=$(image "$1")
	shift
	cp "$BATS_FILE_TMPDIR/key.pub" "$SHARED/key.pub"
	on host-a vmctl create "$g" --image "$name" --bridge br0 --ssh-key /var/lib/hospes/shared/key.pub --dir /var/lib/hospes/shared \
		--address "$(guest_ip "$g")/24" --gateway 10.77.0.1 "$@"
}
let_in() { [ "$(shell 'echo $(id -un) $(sudo id -u) $(hostname)')" = "debian 0 $g" ]; }
# the root file system became as large as the disk, but for what ext4 has for itself
grown() { [ "$(shell "df --output=size -m / | tail -n 1")" -gt "$1" ]; }

# bats test_tags=long
@test "engine pv: made, started, the key is in, the disk is as large as it was asked for; it moves, and is removed" {
	create pv --memory 384MiB --disk 3GiB --wait $((200 * PATIENCE))
	[ "$(on host-a vmctl domstate "$g")" = running ]
	eventually 60 let_in
	eventually 60 grown 2700
	[ "$(shell 'cloud-init status --wait' | tail -n 1)" = "status: done" ]
	on host-a vmmig push "$g" host-b
	let_in
	# its files are in one place, and the image is not one of them
	[ "$(ls "$SHARED/$g" | grep -v lease)" = "$g-initrd.img
$g-seed.iso
$g.raw" ]
	shell sudo poweroff || true
	eventually 60 eval "! on host-b vmctl domstate $g | grep -q running"
}

# bats test_tags=long
@test "engine qemu: the same by GRUB and Debian's kernel, on two processors; its agent says its address" {
	need_program qemu-system-x86_64
	create qemu --memory 512MiB --disk 3GiB --wait $((400 * PATIENCE))
	eventually 120 let_in
	eventually 60 grown 2700
	[ "$(shell nproc)" = 2 ]
	eventually 60 eval "on host-a vmctl domifaddr $g --json | grep -q $(guest_ip "$g")"
	on host-a vmctl shutdown "$g" --wait $((90 * PATIENCE))
}

# bats test_tags=long
@test "engine qemu, addresses by DHCP: --wait asks the guest's agent for one, and tells how to log in" {
	need_program qemu-system-x86_64 dnsmasq
	local name
	name=$(image qemu)
	cp "$BATS_FILE_TMPDIR/key.pub" "$SHARED/key.pub"
	client dnsmasq --keep-in-foreground --conf-file=/dev/null --port=0 --interface=eth0 --bind-interfaces --user=root --leasefile-ro --pid-file= \
		--dhcp-range=10.77.0.240,10.77.0.249,255.255.255.0,1h 3>&- 4>&- &
	run on host-a vmctl create "$g" --image "$name" --bridge br0 --ssh-key /var/lib/hospes/shared/key.pub --dir /var/lib/hospes/shared \
		--memory 512MiB --disk 3GiB --wait $((400 * PATIENCE))
	echo "$output"
	kill $!
	[ "$status" -eq 0 ]
	local ip
	ip=$(grep -oE '^ssh debian@10\.77\.0\.24[0-9]$' <<<"$output") && ip=${ip#*@}
	client ssh -i "$BATS_FILE_TMPDIR/key" -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR "debian@$ip" true
}

# bats test_tags=long
@test "engine pv has no such agent, and says so before anything is made" {
	local name
	name=$(image pv)
	run on host-a vmctl create "$g" --image "$name" --bridge br0 --ssh-key /var/lib/hospes/shared/key.pub --dir /var/lib/hospes/shared --wait 60
	[ "$status" -ne 0 ]
	[[ $output == *"guest's own agent"*"say --address"* ]]
	[ ! -e "$SHARED/$g" ]
}
