#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# hospes-mkinitrd OUT INIT MODULES-DIR [FILE=PATH...]: an initramfs of busybox-static, the modules of virtio with what they depend on, in the order in
# which they are loaded (MODULES-DIR "none": none, for a kernel that has them), INIT as /init, and each FILE as the program PATH. BUSYBOX: of another
# processor; it has the applets of this machine's. MODULES: names of more of them, where they are there. Needs no root. The same content gives the same file.
set -euo pipefail

[ $# -ge 3 ] || { echo "usage: hospes-mkinitrd OUT INIT MODULES-DIR [FILE=PATH...]" >&2; exit 2; }
out=$1 init=$2 modules=$3
shift 3
die() { echo "hospes-mkinitrd: $*" >&2; exit 1; }

[ "$modules" = none ] || [ -f "${modules:-/nonexistent}/modules.dep" ] || die "no modules below /usr/lib/uml/modules: install user-mode-linux"
busybox=$(command -v busybox) || die "busybox is missing: install busybox-static"
# `file` may not be there: a static program has no interpreter
if LC_ALL=C readelf -l "${BUSYBOX:-$busybox}" 2>/dev/null | grep -q INTERP; then die "$busybox is not static: install busybox-static"; fi
command -v cpio >/dev/null || die "cpio is missing"

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
root=$tmp/root
mkdir -p "$root"/{bin,sbin,etc,proc,sys,dev,tmp,run,data,lib/modules}
install -m 755 "${BUSYBOX:-$busybox}" "$root/bin/busybox"
install -m 755 "$init" "$root/init"
for f in "$@"; do install -m 755 "${f%=*}" "$root/${f#*=}"; done
for a in $("$busybox" --list); do
	case $a in
	busybox) ;;
	init | poweroff | reboot | halt | insmod | ip) ln -s ../bin/busybox "$root/sbin/$a" ;;
	*) ln -s busybox "$root/bin/$a" ;;
	esac
done
echo root:x:0:0:root:/:/bin/sh >"$root/etc/passwd"
echo 'PS1="\h# "' >"$root/etc/profile"

# dependencies first; modules.dep lists a module's own ones in reverse order of loading
: >"$root/lib/modules/order"
add_module() {
	local dep base deps
	base=$(basename "$1")
	grep -qxF "$base" "$root/lib/modules/order" && return
	deps=$(sed -n "s|^$1:||p" "$modules/modules.dep")
	for dep in $deps; do add_module "$dep"; done
	install -m 644 "$modules/$1" "$root/lib/modules/$base"
	echo "$base" >>"$root/lib/modules/order"
}
[ "$modules" = none ] || for name in virtio_blk virtio_net virtio_console virtio_balloon virtio-rng virtio_pci crc32c_generic ext4 pvpanic-mmio ${MODULES:-}; do
	path=$(grep -o "^kernel/[^:]*/$name\.ko" "$modules/modules.dep" || true)
	if [ -n "$path" ]; then
		add_module "$path"
	elif [ "$name" = virtio_blk ] || [ "$name" = virtio_net ]; then
		grep -q "/$name\.ko" "$modules/modules.builtin" || die "$modules has no $name"
	fi
done

# loaded by a guest that UEFI booted only
efivarfs=$([ "$modules" = none ] || find "$modules" -name efivarfs.ko)
[ -z "$efivarfs" ] || install -m 644 "$efivarfs" "$root/lib/modules/"

find "$root" -exec touch -h -d @0 {} +
(cd "$root" && find . -print0 | LC_ALL=C sort -z | cpio -0 -o -H newc -R 0:0 --reproducible --quiet) | gzip -n -6 >"$out.tmp"
mv "$out.tmp" "$out"
