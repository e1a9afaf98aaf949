#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine.bash COMMAND...: runs it on a machine whose processor has AMD-V, emulated by QEMU without hardware support (TCG), under Debian's kernel 6.12, or
# another one of /boot with HOSPES_KVM_KERNEL. That machine's files are this one's, by 9p, and what it writes stays in its memory. Its console goes
# to standard output; the status is COMMAND's. HOSPES_KVM_SECONDS limits it. Prints why and returns 77 where that cannot be had. `make check-kvm`; ADR 91.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
skip() { echo "SKIP: $*"; exit 77; }
[ "$(id -u)" = 0 ] || skip "needs root: the machine reads all files"
for p in qemu-system-x86_64:qemu-system-x86 cpio:cpio xz:xz-utils busybox:busybox-static modprobe:kmod; do
	command -v ${p%:*} >/dev/null || skip "missing: ${p%:*} (package ${p#*:})"
done
kernel=${HOSPES_KVM_KERNEL:-$(find /boot -name 'vmlinuz-6.*-amd64' ! -name '*-6.1.*' ! -name '*-cloud-*' ! -name '*-rt-*' | sort -V | tail -n 1)}
[ -n "$kernel" ] || skip "missing: a kernel with PAGEMAP_SCAN (package linux-image-6.12-amd64)"
modules=/lib/modules/${kernel#*/vmlinuz-}
find "$modules" -name '9p.ko*' 2>/dev/null | grep -q . || skip "$modules has no 9p"

dir=$(mktemp -d)
qemu=
end() {
	[ -z "$qemu" ] || kill "$qemu" 2>/dev/null || true # timeout, which ends the machine
	rm -rf "$dir"
}
trap end EXIT
trap 'exit 130' INT TERM HUP

# what it takes to reach these files; the rest is loaded from them
mkdir -p "$dir/root"/{bin,lib,proc,sys,dev,low,top,new}
cp "$(command -v busybox)" "$dir/root/bin/busybox"
cp "$here/init" "$dir/root/init"
{ modprobe -S "${modules##*/}" --show-depends -a 9pnet_virtio 9p overlay virtio_pci; } | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' | while read -r m; do
	f=${m##*/}
	case $f in
	*.xz) xz -dc "$m" >"$dir/root/lib/${f%.xz}" ;;
	*) cp "$m" "$dir/root/lib/" ;;
	esac
	echo "${f%.xz}" >>"$dir/root/lib/order"
done
{ printf '%q ' "$@"; echo; } >"$dir/root/order"
printf '%s\n' "$PWD" >"$dir/root/pwd"
printenv -0 | grep -zE '^(PATH|HOSPES_|VMLAB_|BATS_TEST_TIMEOUT|top_)' | while IFS= read -rd '' v; do printf 'export %q\n' "$v"; done >"$dir/root/env"
(cd "$dir/root" && find . | cpio -o -H newc --quiet | gzip -1) >"$dir/initrd"
rm -rf "$dir/root"

# without xsave: QEMU 7.2 then shows a guest of such a machine a processor that it has
# Two nodes of memory, so that the kernel moves pages.
mb=${HOSPES_KVM_MEMORY:-2048}
timeout -s KILL "${HOSPES_KVM_SECONDS:-2400}" qemu-system-x86_64 -name check-kvm -machine q35 -accel tcg,thread=multi,tb-size=512 -cpu "${HOSPES_KVM_CPU:-max,-xsave}" -smp "${HOSPES_KVM_VCPUS:-2}" -m "$mb" \
	-object "memory-backend-ram,id=m0,size=$((mb / 2))M" -object "memory-backend-ram,id=m1,size=$((mb - mb / 2))M" -numa node,memdev=m0 -numa node,memdev=m1 \
	-nodefaults -no-user-config -no-reboot -display none -kernel "$kernel" -initrd "$dir/initrd" \
	-append "console=ttyS0 quiet loglevel=3 panic=-1 mitigations=off net.ifnames=0 random.trust_cpu=on" \
	-fsdev local,id=files,path=/,security_model=none,readonly=on,multidevs=remap -device virtio-9p-pci,fsdev=files,mount_tag=files \
	-device virtio-rng-pci -serial "file:$dir/console" -serial "file:$dir/out" -monitor none </dev/null &
qemu=$!
tail -n +1 -s 0.5 -F --pid=$qemu "$dir/out" 2>/dev/null &
wait "$qemu" || true
qemu=
wait
rc=$(sed -n 's/^rc=\([0-9]*\)\r*$/\1/p' "$dir/out")
[ -n "$rc" ] || { echo "the machine ended early:"; tail -n 20 "$dir/console"; rc=1; }
exit "$rc"
