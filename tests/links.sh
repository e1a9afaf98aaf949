#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What README, HACKING and docs/ link to is there; so is what the manual pages link to as HTML (docs/manhtml.sh), and each page is linked to.
# links.sh DIR: looks only at such HTML, in DIR, as it is installed.
set -u
bad=0 n=0
wrong() { echo "$*" >&2; bad=1; }

# DIR: one process looks at all pages, since there are hundreds of links
html() {
	local f to
	while read -r f to; do
		n=$((n + 1))
		case $to in
		'') wrong "nothing links to $f" ;;
		'#'*) wrong "$f: nothing is called $to" ;;
		*) [ -e "$1/$to" ] || wrong "$f: there is no $to" ;;
		esac
	done < <(cd "$1" && awk '
		{
			for (s = $0; match(s, /(href|id)="[^"]*"/); s = substr(s, RSTART + RLENGTH)) {
				a = substr(s, RSTART, RLENGTH - 1)
				if (a ~ /^id/)
					id[FILENAME "#" substr(a, 5)] = 1
				else if (a !~ /^href="https:/)
					link[FILENAME " " substr(a, 7)] = 1
			}
		}
		END {
			for (l in link) {
				split(l, w, " ")
				at = index(w[2], "#")
				file = at == 1 ? w[1] : at ? substr(w[2], 1, at - 1) : w[2]
				if (file != w[1])
					linked[file] = 1
				if (at && !((file substr(w[2], at)) in id))
					print w[1], "#" file substr(w[2], at)
				else
					print w[1], file
			}
			for (i = 1; i < ARGC; i++)
				if (ARGV[i] != "index.html" && !(ARGV[i] in linked))
					print ARGV[i]
		}' *.html)
}
markdown() {
	local f to
	for f in README.md HACKING.md docs/*.md docs/wire/*.md docs/adr/*.md; do
		# shellcheck disable=SC2016 # backquotes of Markdown
		while read -r to; do
			n=$((n + 1))
			case $to in
			http://* | https://* | mailto:* | '#'*) continue ;;
			esac
			[ -e "$(dirname "$f")/${to%%#*}" ] || wrong "$f: there is no $to"
		done < <(sed 's/`[^`]*`//g' "$f" | grep -oE '\]\([^) ]+\)' | sed 's/^](//; s/)$//')
	done
}
# The pages as they would be installed, and each text that one of them names is a link there
pages() {
	local dir f
	dir=$(mktemp -d) || exit 1
	cp -r README.md docs/*.md docs/wire docs/adr docs/json "$dir"
	sh docs/manhtml.sh mandoc docs "$dir/man" docs/man/*.[1-8] || wrong "docs/manhtml.sh failed"
	html "$dir/man"
	while read -r f; do
		grep -qF "href=\"../${f#docs/}\"" "$dir"/man/*.html || wrong "a manual page names $f, and does not link to it as HTML"
	done < <(grep -ohE 'docs/[a-z/-]+\.md' docs/man/*.[1-8] | sort -u)
	rm -rf "$dir"
}

if [ $# -gt 0 ]; then
	html "$1"
else
	cd "${top_srcdir:-$(dirname "$0")/..}" || exit 1
	markdown
	if command -v mandoc >/dev/null; then pages; else echo "no mandoc: manual pages are not looked at as HTML"; fi
fi
[ "$n" -gt 50 ] || wrong "only $n links were found"
exit $bad
