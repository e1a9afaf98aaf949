# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: GPL-2.0-or-later
# What mkdebian and mkstock have in common. Both are run twice: by make, and by hospes-mkimage with the tree that is to become a file system.

# ours ROOT UNIT...: workload, address and these units of debian/; nothing that works by itself; no password
ours() {
	local root=$1 u
	shift
	install -m 755 "$WORKLOAD" "$root/usr/local/sbin/workload"
	install -m 755 "$here/debian/hospes-net" "$root/usr/local/sbin/hospes-net"
	for u; do
		install -m 644 "$here/debian/hospes-$u.service" "$root/etc/systemd/system/"
		systemctl --root="$root" enable "hospes-$u.service" 2>/dev/null || chroot "$root" systemctl enable "hospes-$u.service" 2>/dev/null
	done
	ln -sf /dev/null "$root/etc/systemd/system/fstrim.timer"
	sed -i 's/^root:[^:]*:/root::/' "$root/etc/shadow"
}

# image OUT OPTION...: by what `vmctl image make` uses
image() {
	local out=$1 tmp
	shift
	tmp=$(mktemp -d "${TMPDIR:-/tmp}/mkimage.XXXXXX")
	# shellcheck disable=SC2064 # this one
	trap "rm -rf --one-file-system '$tmp'" EXIT
	"$here/../../tools/mkimage.bash" "$@" --hook "$here/${0##*/}" "$tmp" >/dev/null
	cp --sparse=always "$tmp/disk.raw" "$out.tmp"
	mv "$out.tmp" "$out"
}
