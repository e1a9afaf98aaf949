# SPDX-License-Identifier: GPL-2.0-or-later
# Guests on qcow2 images, with images below them: they move, are saved, lose their hvdom; after each the image is whole, by qemu-img's word.
load lib

setup() {
	need_guests
	need_program qemu-img mke2fs
	g=guest$((80 + BATS_TEST_NUMBER))
	base=$SHARED/$g.base
}
teardown() {
	[ -n "${BATS_TEST_COMPLETED:-}" ] || lab_logs >&2
	guest_remove "$g"
	rm -f "$base" "$base.qcow2"
}
LAB_HOSTS=2

# An empty file system in $base, which is raw, and an image of the guest's on it
make_image() { # [qemu-img create's options]
	truncate -s 64M "$base"
	mke2fs -q -F -t ext4 "$base"
	qemu-img create -q -f qcow2 -b "${BELOW:-$base}" -F "${BELOW_FORMAT:-raw}" "$@" "$SHARED/$g.img"
	# as the hosts know it
	qemu-img rebase -q -u -b "$(basename "${BELOW:-$base}")" -F "${BELOW_FORMAT:-raw}" "$SHARED/$g.img"
	cksum <"$base" >"$BATS_TEST_TMPDIR/base"
}
# guest_xml for it; the options are guest_xml's
qcow2_xml() {
	guest_xml "$g" image="$SHARED/$g.img" "$@"
	sed -i "s|<source file='.*/$g.img'/>|<driver name='qemu' type='qcow2' discard='unmap'/>&|" "$SHARED/$g.xml"
}
# The guest has ended in order: no leaks, no errors, a clean file system, and the images below are as they were
image_whole() {
	eventually 60 eval "[ -z \"\$(running_on $g)\" ]"
	qemu-img check "$SHARED/$g.img"
	qemu-img convert -O raw "$SHARED/$g.img" "$BATS_TEST_TMPDIR/flat"
	e2fsck -fn "$BATS_TEST_TMPDIR/flat"
	rm "$BATS_TEST_TMPDIR/flat"
	[ "$(cksum <"$base")" = "$(<"$BATS_TEST_TMPDIR/base")" ]
	[ "$(qemu-img info --output=json "$SHARED/$g.img" | jq '."actual-size"')" -gt 1000000 ]
}

@test "a loaded guest on a qcow2 over a raw image: pushes, save, restore" {
	make_image
	qcow2_xml
	on host-a vmctl define "/var/lib/hospes/shared/$g.xml"
	guest_start host-a "$g"
	on host-a vmctl dumpxml "$g" | grep "type=.qcow2."
	pushes "$g" 4
	on host-a vmctl suspend "$g"
	on host-a vmctl resume "$g"
	guest_sound "$g"
	on host-a vmctl save "$g" "/var/lib/hospes/shared/$g.save"
	qemu-img check "$SHARED/$g.img"
	on host-a vmctl restore "/var/lib/hospes/shared/$g.save"
	eventually 10 guest_sound "$g"
	rm "$SHARED/$g.save"
	ask "$g" poweroff || true
	image_whole
}

@test "engine qemu: a qcow2 with small clusters over a compressed one over a raw image" {
	[ -x /usr/bin/qemu-system-x86_64 ] || skip "missing: qemu-system-x86"
	need_guest qemu-kernel
	cp "$top_builddir"/guests/qemu-{kernel,initramfs.img} "$SHARED/"
	truncate -s 64M "$base"
	mke2fs -q -F -t ext4 "$base"
	qemu-img convert -c -O qcow2 -B "$base" -F raw "$base" "$base.qcow2"
	qemu-img rebase -q -u -b "$(basename "$base")" -F raw "$base.qcow2"
	BELOW=$base.qcow2 BELOW_FORMAT=qcow2 make_image -o cluster_size=8k
	qcow2_xml mem=256 load=light kernel=/var/lib/hospes/shared/qemu-kernel
	sed -i -e "s/<domain type='uml'>/<domain type='qemu'>/; s/<type>linux/<type machine='q35'>hvm/; s/<vcpu>1/<vcpu>2/" \
		-e "s/initramfs.img/qemu-initramfs.img/; s/<cmdline>/<cmdline>console=ttyS0 quiet /" "$SHARED/$g.xml"
	on host-a vmctl define "/var/lib/hospes/shared/$g.xml"
	on host-a vmctl start "$g"
	client hospes-probe wait "$(guest_ip "$g"):7007" --timeout $((120 * PATIENCE))
	pushes "$g" 2
	ask "$g" poweroff || true
	image_whole
}

@test "hvdom is killed amid writes: the image has no errors, and the guest starts again" {
	make_image -o cluster_size=4k
	qcow2_xml
	on host-a vmctl define "/var/lib/hospes/shared/$g.xml"
	local i
	for i in 1 2 3; do
		guest_start host-a "$g"
		sleep "0.$((RANDOM % 10))"
		on host-a kill -9 "$(hvdoms_on host-a "$g")"
		eventually 10 eval "[ -z \"\$(running_on $g)\" ]"
		eventually 10 not disk_locked "$SHARED/$g.img"
		qemu-img check "$SHARED/$g.img" || [ $? -eq 3 ] # leaks are none of them
	done
	guest_start host-a "$g"
	sleep 1
	guest_sound "$g"
	# as a power button: what was not flushed may be lost, nothing else
	on host-a vmctl destroy "$g"
	eventually 10 not disk_locked "$SHARED/$g.img"
	qemu-img check "$SHARED/$g.img" || [ $? -eq 3 ]
	qemu-img convert -O raw "$SHARED/$g.img" "$BATS_TEST_TMPDIR/flat"
	e2fsck -fy "$BATS_TEST_TMPDIR/flat" || [ $? -eq 1 ] # the journal
}

@test "a backing file that one host lacks, or none may have, is named" {
	make_image
	on host-a mkdir -p /var/lib/hospes/images
	on host-a cp "/var/lib/hospes/shared/$g.base" "/var/lib/hospes/images/$g.base"
	qemu-img rebase -q -u -b "/var/lib/hospes/images/$g.base" -F raw "$SHARED/$g.img"
	qcow2_xml load=none
	on host-a vmctl define "/var/lib/hospes/shared/$g.xml"
	guest_start host-a "$g"
	push_refused host-a "$g" host-b "/var/lib/hospes/images/$g.base: No such file"
	on host-a vmctl destroy "$g"
	eventually 10 eval "[ -z \"\$(running_on $g)\" ]"
	qemu-img rebase -q -u -b /etc/shadow -F raw "$SHARED/$g.img"
	run on host-a vmctl start "$g"
	[ "$status" -ne 0 ]
	[[ $output = *"/etc/shadow is not below an allowed directory"* ]]
	on host-a rm "/var/lib/hospes/images/$g.base"
}
