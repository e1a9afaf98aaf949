#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# manhtml.sh MANDOC DOCDIR OUT PAGE...: the manual pages as HTML in OUT, with an index. They link to each other, to Debian's pages of other programs, and, where they
# name one of the texts of DOCDIR, to that text in the folder above OUT. Without mandoc nothing is made.
set -eu
mandoc=$1 docdir=${2%/} out=$3
shift 3
command -v "$mandoc" >/dev/null || { echo "no mandoc (package mandoc): the manual pages are not made into HTML" >&2; exit 0; }
mkdir -p "$out"
# mandoc looks which of them are there
for p; do : >"$out/${p##*/}.html"; done
for p; do
	page=$(realpath "$p") to=$out/${p##*/}.html
	(cd "$out" && "$mandoc" -T html -O 'toc,man=%N.%S.html;https://manpages.debian.org/%N.%S' "$page") >"$to.tmp"
	sed "s,$docdir/\([a-z/-]*[a-z]\(\.[a-z][a-z]*\)*\),<a href=\"../\1\">&</a>,g" "$to.tmp" >"$to.new"
	rm "$to.tmp" && mv "$to.new" "$to"
done
{
	printf '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8"/>\n<title>Hospes: manual pages</title>\n</head>\n<body>\n<h1>Hospes: manual pages</h1>\n<dl>\n'
	for p; do
		name=${p##*/}
		printf '<dt><a href="%s.html">%s(%s)</a></dt>\n<dd>%s</dd>\n' "$name" "${name%.*}" "${name##*.}" "$(sed -n 's/^\.Nd //p' "$p")"
	done
	printf '</dl>\n<p>What they refer to: <a href="../README.md">README</a> and the texts beside it.</p>\n</body>\n</html>\n'
} >"$out/index.html"
