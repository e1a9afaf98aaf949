# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What demo.bash and cluster_demo.bash share: a lab of their own, how they talk, and how they end. The script that loads it has set demo (its
# name), build and keep; it lists what runs in the background in pids.
export PATH=$build/tools:$PATH VMLAB_NAME=${VMLAB_NAME:-$demo} VMLAB_DIR=${VMLAB_DIR:-$build/labs}
tmp=$(mktemp -d)
declare -A pids=()

# shellcheck disable=SC2034 # what one of them does not use
if [ -t 1 ]; then bold=$'\e[1m' green=$'\e[32m' red=$'\e[31m' dim=$'\e[2m' off=$'\e[0m'; else bold='' green='' red='' dim='' off=''; fi
title() { printf '\n%s%s%s\n' "$bold" "$*" "$off"; }
fail() { printf '%s%s: %s%s\n' "$red" "$demo" "$*" "$off" >&2; exit 1; }

cleanup() {
	local rc=$? f
	trap - EXIT
	trap '' INT TERM
	for f in "${pids[@]}"; do kill -INT "$f" 2>/dev/null; done
	if [ "$rc" -ne 0 ] && [ -d "$VMLAB_DIR/$VMLAB_NAME" ]; then
		for f in "$VMLAB_DIR/$VMLAB_NAME"/hosts/*/var/log/hospes/*.log; do
			if [ ! -s "$f" ] || [[ $f = *-console.log || $f = *-boot.log ]]; then continue; fi
			{ echo "-- ${f##*/hosts/}"; tail -n 8 "$f"; } >&2
		done
	fi
	if [ -z "$keep" ] || [ "$rc" -ne 0 ]; then
		vmlab down 2>/dev/null
		rmdir "$VMLAB_DIR" 2>/dev/null
	fi
	rm -rf "$tmp"
	exit "$rc"
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP

vmlab down >/dev/null 2>&1
