#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# debtree DIR PACKAGE...: a small Debian tree of this machine's release in DIR, from the machine's own apt sources (mmdebstrap): what
# Debian calls essential, and the packages with what they need; without documentation. Needs root; mounts nothing on the machine.
# DEBTREE_ARCHITECTURES: of these, by comma, the machine's own first; PACKAGE:ARCHITECTURE is then one of another.
# For the test guest (tests/guests/mkdebian), the hosts of `vmlab up --systemd` and those of `make soak-hosts`.
set -euo pipefail

[ $# -ge 2 ] || { echo "usage: debtree DIR PACKAGE..." >&2; exit 2; }
dir=$1
shift
die() { echo "debtree: $*" >&2; exit 1; }
[ "$(id -u)" -eq 0 ] || die "needs root (mmdebstrap sets owners)"
command -v mmdebstrap >/dev/null || die "mmdebstrap is missing (tools/packages.txt)"

# where this machine gets its packages from
sources=()
for f in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
	if [ -s "$f" ] && grep -qE '^(deb |Types:)' "$f"; then sources+=("$f"); fi
done
# shellcheck source=/dev/null
suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-bookworm}")
proxy=()
while read -r line; do proxy+=("--aptopt=$line"); done < <(apt-config dump --format '%f "%v";%n' Acquire | grep -iE '::https?::(proxy|verify)' || true)

log=$(mktemp "${TMPDIR:-/tmp}/debtree.XXXXXX")
trap 'rm -f "$log"' EXIT
IFS=,
if ! unshare -m --propagation private mmdebstrap --quiet --variant=minbase --include="$*" "${proxy[@]}" \
	${DEBTREE_ARCHITECTURES:+--architectures="$DEBTREE_ARCHITECTURES"} \
	--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
	--dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
	--dpkgopt='path-exclude=/usr/lib/uml/modules/*' \
	"$suite" "$dir" "${sources[@]}" >"$log" 2>&1; then
	cat "$log" >&2
	die "mmdebstrap failed"
fi
# it stays small: no package lists, no byte code
rm -rf "$dir"/var/lib/apt/lists/* "$dir"/var/cache/apt/*.bin "$dir"/var/cache/apt/archives/*.deb
