#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# check.bash SOURCE KERNEL: what a witness needs, built for arm64 from SOURCE (a distribution's tree) by Debian's cross compiler and libraries, in a tree of
# Debian below the current folder (arm64/tree, made once), and its unit tests on an arm64 machine of QEMU's under Debian's KERNEL.
# Not under qemu-user: that one lacks calls of the kernel that the event loop needs (epoll_pwait2, openat2). `make check-arm64`; ADR 104.
# The last line is "N passed, N failed". Prints why and returns 77 where that cannot be had.
set -euo pipefail

[ $# -eq 2 ] || { echo "usage: check.bash SOURCE KERNEL" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
src=$(realpath "$1") kernel=$(realpath "$2")
skip() { echo "SKIP: $*"; exit 77; }
[ "$(id -u)" = 0 ] || skip "needs root (mmdebstrap sets owners)"
for p in mmdebstrap:mmdebstrap qemu-system-aarch64:qemu-system-arm cpio:cpio; do
	command -v ${p%:*} >/dev/null || skip "missing: ${p%:*} (package ${p#*:})"
done
[ -e "$kernel" ] || skip "no arm64 kernel: make guests/arm says why"

dir=$PWD/arm64 tree=$PWD/arm64/tree
# the libraries of group [build], and what makes programs of them
mapfile -t libs < <(sed -n '/^# \[build\]/,/^# \[host\]/p' "$top/tools/packages.txt" | grep -E '^(lib|zlib).*-dev$' | sed 's/$/:arm64/')
made_of="${libs[*]} of $(. /etc/os-release && echo "$PRETTY_NAME")"
if [ "$(cat "$dir/made" 2>/dev/null)" != "$made_of" ]; then
	echo "a Debian with arm64's libraries: some minutes, once"
	rm -rf --one-file-system "$dir"
	mkdir -p "$dir"
	DEBTREE_ARCHITECTURES=amd64,arm64 bash "$top/tools/debtree.bash" "$tree" autoconf automake make gcc libc6-dev gcc-aarch64-linux-gnu libc6-dev:arm64 \
		pkg-config protobuf-c-compiler busybox-static:arm64 "${libs[@]}"
	echo "$made_of" >"$dir/made"
fi

echo "building for arm64"
# what was built before stays
mkdir -p "$tree/src"
find "$tree/src" -mindepth 1 -maxdepth 1 ! -name b -exec rm -rf {} +
cp -a "$src/." "$tree/src"
cat >"$tree/build" <<'BUILD'
set -e
mkdir -p /src/b && cd /src/b && rm -rf /src/installed
export PKG_CONFIG_LIBDIR=/usr/lib/aarch64-linux-gnu/pkgconfig:/usr/share/pkgconfig
[ -e Makefile ] || ../configure --host=aarch64-linux-gnu --enable-werror
make -j"$(nproc)"
make -j"$(nproc)" check TESTS=
make install DESTDIR=/src/installed
make -s -f - test-names >/src/b/test-names <<'SAY'
include Makefile
.PHONY: test-names
test-names:
	@printf '%s\n' $(filter-out %.bats %.sh,$(TESTS))
SAY
BUILD
# with /proc and some devices, in a mount namespace that ends with it
unshare -m --propagation private bash -c 'set -e; cd "$1"
	mount -t proc proc proc
	mount -t tmpfs -o mode=755 dev dev
	for n in null zero full random urandom; do : >dev/$n; mount --bind /dev/$n dev/$n; done
	mkdir dev/shm; ln -s /proc/self/fd dev/fd
	exec chroot . /bin/bash /build' build "$tree" </dev/null >"$dir/build.log" 2>&1 || { tail -n 30 "$dir/build.log"; echo "0 passed, 1 failed"; exit 1; }
for p in sbin/clusterd bin/vmclus; do
	[ -x "$tree/src/installed/usr/local/$p" ] || { echo "no $p was installed"; echo "0 passed, 1 failed"; exit 1; }
done

# long ones compute what they compute anywhere: their short form is enough
grep -vE '/(test_cluplan|simclu|simclu-long|simmig)$' "$tree/src/b/test-names" >"$dir/tests"
echo "tests on an arm64 machine"
root=$dir/root
rm -rf "$root"
mkdir -p "$root"/{bin,lib,proc,sys,dev,tmp,run,etc,root,var/tmp,src/b/tests}
cp "$tree/bin/busybox" "$root/bin/"
cp -aL "$tree/lib/ld-linux-aarch64.so.1" "$root/lib/"
cp -a "$here/init" "$root/init"
cp "$dir/tests" "$root/tests"
mkdir -p "$root"/src/{tests,b/tests/unit,b/tests/sim} "$root/usr/bin" "$root/usr/sbin"
# what tests look at: documents, examples, programs that they start
tar -C "$tree/src" --exclude=./b --exclude=./installed --exclude=./tests/fuzz --exclude=./build-aux --exclude=./configure -cf - . | tar -C "$root/src" -xf -
mapfile -t programs <"$dir/tests"
programs+=(tests/sim/simclu clusterd/clusterd clusterd/hospes-guard tools/vmclus tools/hospes-member)
(cd "$tree/src/b" && cp --parents "${programs[@]}" "$root/src/b")
cp "$tree"/src/installed/usr/local/bin/vmclus "$root/usr/bin/"
cp "$tree"/src/installed/usr/local/sbin/clusterd "$root/usr/sbin/"
# the libraries that they name, and those that these name
libdir=lib/aarch64-linux-gnu
mkdir -p "$root/$libdir"
need() { readelf -d "$@" 2>/dev/null | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | sort -u; }
todo=$(cd "$tree/src/b" && need "${programs[@]}")
while [ -n "$todo" ]; do
	next=
	for l in $todo; do
		[ ! -e "$root/$libdir/$l" ] && [ "$l" != ld-linux-aarch64.so.1 ] || continue
		for d in lib usr/lib; do
			[ ! -e "$tree/$d/aarch64-linux-gnu/$l" ] || { cp -L "$tree/$d/aarch64-linux-gnu/$l" "$root/$libdir/"; break; }
		done
		next+=" $(need "$root/$libdir/$l" | tr '\n' ' ')"
	done
	todo=${next// /}
	[ -z "$todo" ] || todo=$next
done
(cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) >"$dir/initrd"
rm -rf "$root"

timeout -s KILL "${HOSPES_ARM64_SECONDS:-1800}" qemu-system-aarch64 -machine virt -accel tcg,thread=multi -cpu max,pauth=off -smp 2 -m 2048 -nodefaults -no-user-config \
	-no-reboot -display none -kernel "$kernel" -initrd "$dir/initrd" -append "console=ttyAMA0 quiet loglevel=3 panic=-1" -serial "file:$dir/console" -monitor none </dev/null &
qemu=$!
trap 'kill "$qemu" 2>/dev/null || true' EXIT
tail -n +1 -s 0.5 -F --pid=$qemu "$dir/console" 2>/dev/null | grep --line-buffered -E '^(PASS|FAIL|SKIP)' | tr -d '\r' || true
wait "$qemu" || true
trap - EXIT
passed=$(grep -c '^PASS' "$dir/console" || true)
failed=$(grep -c '^FAIL' "$dir/console" || true)
grep -q '^end of tests' "$dir/console" || { echo "the machine ended early:"; tail -n 20 "$dir/console"; failed=$((failed + 1)); }
[ "$failed" = 0 ] || sed -n '/^FAIL/,/^----/p' "$dir/console" | head -n 200
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
