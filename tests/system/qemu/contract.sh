#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# contract.sh [balloon]: the contract of hypervisor/engine.h, asked of engine qemu with a real guest.
b=${top_builddir:-.}
disk=$(mktemp) || exit 1
trap 'rm -f "$disk"' EXIT
truncate -s 64M "$disk" && mke2fs -q -F -t ext4 "$disk" || exit 1
"$b/tests/system/qemu/qemuguest" "$b/guests/qemu-kernel" "$b/guests/qemu-initramfs.img" "$disk" "$@"
