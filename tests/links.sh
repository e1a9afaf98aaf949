#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What README, HACKING and docs/ link to is there.
cd "${top_srcdir:-$(dirname "$0")/..}" || exit 1
bad=0 n=0
for f in README.md HACKING.md docs/*.md docs/wire/*.md docs/adr/*.md; do
	# shellcheck disable=SC2016 # backquotes of Markdown
	while read -r to; do
		n=$((n + 1))
		case $to in
		http://* | https://* | mailto:* | '#'*) continue ;;
		esac
		[ -e "$(dirname "$f")/${to%%#*}" ] || { echo "$f: there is no $to" >&2; bad=1; }
	done < <(sed 's/`[^`]*`//g' "$f" | grep -oE '\]\([^) ]+\)' | sed 's/^](//; s/)$//')
done
[ "$n" -gt 50 ] || { echo "only $n links were found" >&2; bad=1; }
exit $bad
