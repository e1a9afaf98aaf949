# SPDX-License-Identifier: GPL-2.0-or-later
# Guests of engine kvm: `make check-kvm` runs this on a machine with an emulated AMD-V (kvm/machine.bash). Few and small guests: there all is slow.
load lib
load qemu_guests

setup() {
	qemu_setup 40
	HOSPES_QEMU_TYPE=
	[ "$(qemu_type)" = kvm ] || skip "no working /dev/kvm: $("$top_builddir/hypervisor/hvdom" --engines | jq -rs '.[] | select(.engine == "kvm") | .why')"
}
hv() { on host-a "$top_builddir/tests/system/hvtool" "$g" "$@"; }

@test "a guest under KVM is sound; its QEMU has the group that may open /dev/kvm, and nothing else" {
	local pid
	qemu_up host-a "$g" mem=160 load=light
	on host-a vmctl dumpxml "$g" | grep "<domain type=[\"']kvm[\"']"
	pid=$(qemus_on host-a "$g")
	ls -l "/proc/$pid/fd" | grep -q '/dev/kvm$'
	[ "$(awk '/^Groups/ { print $2 $3 }' "/proc/$pid/status")" = "$(stat -c %g /dev/kvm)" ]
	[ "$(awk '/^CapEff/ { print $2 }' "/proc/$pid/status")" = 0000000000000000 ]
	guest_sound "$g"
	guest_remove "$g"
}

@test "tracking misses nothing that a guest under KVM or its devices write" {
	local rounds=${HOSPES_ROUNDS:-120} by=pagemap-scan
	qemu_up host-a "$g" mem=160 load=full dirty=8
	# by tracking, as this kernel has it, and by comparison
	run hv @1 map logdirty:0:1 "rounds:$rounds:50" logdirty-off logdirty:2:1 rounds:5:50
	echo "$output" | sed 's/^/# /' >&3
	[ "$status" -eq 0 ]
	[ "$(printf '6.7\n%s\n' "$(uname -r)" | sort -V | head -n 1)" = 6.7 ] || by=soft-dirty
	[[ $output = *"mode 1, $rounds rounds"*"by $by"* && $output = *"mode 2, 5 rounds"* ]]
	guest_sound "$g"
	guest_remove "$g"
}

@test "pushes of a guest under KVM: connection, memory and disk are whole" {
	local boot h
	qemu_up host-a "$g" mem=160 load=light
	boot=$(guest_boot_id "$g")
	# QEMU takes longer to answer there than a push waits for it; what it answered is kept
	for h in host-a host-b; do on $h hvdom --check "/var/lib/hospes/shared/$g.xml"; done
	client_start "$g"
	pushes "$g" "${HOSPES_PUSHES:-4}" --downtime 5000 # an emulated machine takes seconds, the audit most of them
	client_stop
	echo "# client: $CLIENT_JSON" >&3
	[ "$(guest_boot_id "$g")" = "$boot" ]
	guest_sound "$g"
	guest_remove "$g"
}

@test "engine kvm keeps the engine contract" {
	truncate -s 64M "$BATS_TEST_TMPDIR/disk"
	mke2fs -q -F -t ext4 "$BATS_TEST_TMPDIR/disk"
	cd "$top_builddir"
	tests/system/qemu/qemuguest guests/qemu-kernel guests/qemu-initramfs.img "$BATS_TEST_TMPDIR/disk" kvm
}
