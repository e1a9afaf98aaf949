#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# bench/kernel.bash DIR: Debian's cloud kernel in DIR, taken out of its package without installing it. Cached. Needs the network once.
set -euo pipefail
[ $# -eq 1 ] || { echo "usage: kernel.bash DIR" >&2; exit 2; }
[ -z "$(find "$1" -name 'vmlinuz-*' 2>/dev/null)" ] || exit 0
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
chmod 755 "$tmp"
cd "$tmp"
p=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
[ -n "$p" ] || { echo "kernel.bash: the package lists know no linux-image-cloud-amd64; run apt-get update" >&2; exit 1; }
apt-get -o APT::Sandbox::User=root download -qq "$p" >&2
dpkg-deb --fsys-tarfile ./*.deb | tar x --wildcards './boot/vmlinuz-*'
cd - >/dev/null
mkdir -p "$1"
mv "$tmp"/boot/vmlinuz-* "$1/"
