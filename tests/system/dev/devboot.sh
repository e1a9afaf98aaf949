#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Boots a real guest on the device library alone (no hvdom) in a network namespace of its own. Skips, and says why, without
# root, /dev/net/tun, the guest kernel or busybox.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=${top_builddir:-.}/tests/system/dev
kernel=${HOSPES_TEST_KERNEL:-/usr/bin/linux.uml}

skip() { echo "SKIP: $*"; exit 77; }
[ "$(id -u)" = 0 ] || skip "needs root (network namespace, tap)"
[ -c /dev/net/tun ] || skip "needs /dev/net/tun"
[ -x "$kernel" ] || skip "needs $kernel (package user-mode-linux)"
command -v busybox >/dev/null || skip "needs busybox-static"
command -v ip >/dev/null || skip "needs iproute2"

dir=$(mktemp -d /tmp/devboot.XXXXXX)
[ -n "${DEVBOOT_KEEP:-}" ] || trap 'rm -rf "$dir"' EXIT
mods=$(ls -d /usr/lib/uml/modules/*/kernel | head -n 1)
mkdir -p "$dir/root/bin" "$dir/root/lib"
cp "$(command -v busybox)" "$dir/root/bin/busybox"
cp "$build/devguest" "$dir/root/bin/devguest"
for m in net/core/failover drivers/net/net_failover drivers/net/virtio_net drivers/block/virtio_blk \
	drivers/char/virtio_console drivers/virtio/virtio_balloon; do
	cp "$mods/$m.ko" "$dir/root/lib/"
done
cp "$here/devinit" "$dir/root/init"
(cd "$dir/root" && find . | busybox cpio -o -H newc 2>/dev/null | gzip -1) >"$dir/initrd"
rm -rf "$dir/root"
unshare -n sh -ec '
	ip link set lo up
	ip link add br0 type bridge
	ip addr add 10.77.0.1/24 dev br0
	ip link set br0 up
	exec "$@"' sh "$build/devboot" "$kernel" "$dir" "$dir/initrd" || {
	echo "--- end of the boot console"; tail -n 30 "$dir/con0.log" 2>/dev/null; exit 1; }
