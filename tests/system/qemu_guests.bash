# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What system tests with guests of engine qemu share: qemu*.bats.

qemu_setup() { # FIRST: the number of the file's first guest
	need_root
	need_program jq
	local why
	! why=$(qemu_missing) || skip "$why"
	g=guest$(($1 + BATS_TEST_NUMBER))
}

# qemu_xml NAME [key=value...]: as guest_xml, for this engine
qemu_xml() { guest_xml "$@" engine=qemu vcpus=2; }
qemu_wait() { client hospes-probe wait "$(guest_ip "$1"):7007" --timeout $((120 * PATIENCE)); }
qemu_up() { # HOST NAME [key=value...]
	local host=$1
	shift
	qemu_xml "$@"
	on "$host" vmctl define "/var/lib/hospes/shared/$1.xml"
	on "$host" vmctl start "$1"
	qemu_wait "$1"
}
# A kernel with drivers for what Debian's small one has none for, and a guest whose document is there with it
full_kernel() {
	[ -e "$top_builddir/guests/qemu-full-kernel" ] || skip "missing: guests/qemu-full-kernel (install linux-image-amd64, make guests)"
	cp "$top_builddir"/guests/qemu-full-{kernel,initramfs.img} "$SHARED/"
}
with_full_kernel() { sed -i 's/shared\/qemu-/shared\/qemu-full-/' "$SHARED/$1.xml"; }
# What a shell on the guest's console says: HOST NAME COMMANDS
say() { printf '%s\n' "$3" | on "$1" timeout 15 sh -c "(cat; sleep 4) | vmctl console $2" 2>&1; }
# boot_record FILE WORD: a disk whose boot record says WORD on the serial line, and halts
boot_record() {
	truncate -s 1M "$1"
	# mov dx,3f8h; mov si,7c20h; lodsb; test al,al; jz +3; out dx,al; jmp lodsb; hlt; jmp hlt
	printf '\xba\xf8\x03\xbe\x20\x7c\xfc\xac\x84\xc0\x74\x03\xee\xeb\xf8\xf4\xeb\xfd' | dd of="$1" conv=notrunc status=none
	printf '%s\r\n\0' "$2" | dd of="$1" bs=1 seek=32 conv=notrunc status=none
	printf '\x55\xaa' | dd of="$1" bs=1 seek=510 conv=notrunc status=none
}
