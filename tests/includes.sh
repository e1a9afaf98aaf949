#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# tests/includes.sh [DIR]: who may include whom, and no include that is not used. Part of make lint; says each fault, exit status 1 if there is one.
set -u
cd "${1:-$(dirname "$0")/..}" || exit 2
files=$(find common hypervisor clusterd migrated proto tools virtd -name '*.[ch]' ! -name '*.pb-c.*' | sort)

# Folder of the includer (the longest that fits), and what it may include besides its own folder and common/: folders, files.
layers='
common
proto
hypervisor/api          hypervisor/api
hypervisor/dev          hypervisor/api hypervisor/guestmem.h
hypervisor/logdirty     hypervisor/api hypervisor/guestmem.h
hypervisor/pv           hypervisor/api hypervisor/engine.h hypervisor/guestmem.h hypervisor/logdirty hypervisor/dev/devs.h hypervisor/dev/vudev.h hypervisor/dev/nblk.h
hypervisor/qemu         hypervisor/api hypervisor/engine.h hypervisor/guestmem.h hypervisor/logdirty hypervisor/dev/vudev.h hypervisor/dev/nblk.h hypervisor/dev/enic.h
hypervisor              hypervisor/api hypervisor/dev/devs.h
clusterd/core
clusterd/guard          hypervisor/api
clusterd/io             hypervisor/api clusterd/core clusterd/guard proto
clusterd                clusterd/io
migrated/core
migrated/io             hypervisor/api clusterd/guard migrated/core proto
migrated                migrated/io
tools                   hypervisor/api clusterd/guard
virtd                   hypervisor/api clusterd/guard tools/vmhost.h tools/vmhost_agent.h tools/jsonconn.h
'
# INCLUDER HEADER: the exceptions
except='
hypervisor/dev/blkio.h          clusterd/guard/deadline.h
hypervisor/dev/devs.h           clusterd/guard/deadline.h
hypervisor/dev/flash.h          clusterd/guard/deadline.h
hypervisor/lease.h              clusterd/guard/deadline.h
hypervisor/main.c               clusterd/guard/managed.h
tools/vmclus_simulate.h         clusterd/core/plan.h
tools/vmclus_member.c           clusterd/core/level.h
tools/vmmig_peers.c             migrated/io/peers.h
tools/member_host.h             migrated/io/peers.h
tools/member_link.h             migrated/io/peers.h
'
status=0
# shellcheck disable=SC2086 # names without blanks
awk -v layers="$layers" -v except="$except" '
BEGIN {
	n = split(layers, line, "\n")
	for (i = 1; i <= n; i++) {
		k = split(line[i], w, " ")
		if (k) known[w[1]] = 1
		for (j = 1; j <= k; j++) may[w[1], w[j]] = 1
	}
	n = split(except, line, "\n")
	for (i = 1; i <= n; i++) if (split(line[i], w, " ") == 2) excepted[w[1], w[2]] = 1
}
FNR == 1 { for (dir = FILENAME; sub("/[^/]*$", "", dir) && !(dir in known);) ; }
match($0, /^#include "[^"]+"/) {
	header = substr($0, RSTART + 10, RLENGTH - 11)
	if (header == "config.h" || header ~ "^common/" || (FILENAME, header) in excepted) { used[FILENAME, header] = 1; next }
	of = header
	if ((dir, of) in may) next
	while (sub("/[^/]*$", "", of)) if ((dir, of) in may) next
	print FILENAME ":" FNR ": " dir "/ may not include \"" header "\" (tests/includes.sh says who may)"
	bad = 1
}
END {
	for (e in excepted) if (!(e in used)) { split(e, w, SUBSEP); print "tests/includes.sh: " w[1] " includes no " w[2] ": no exception any more"; bad = 1 }
	exit bad
}' $files || status=1

# A .c file uses a header if a name that it declares stands in the file: a macro, a function, a type that it defines, a constant, a variable.
# shellcheck disable=SC2086
awk '
function names(line,   w) {
	if (match(line, /^#define [A-Za-z_0-9]+/)) { declares[FILENAME, substr(line, 9, RLENGTH - 8)] = 1; return }
	if (match(line, /^(typedef )?(struct|enum|union) [a-z_0-9]+ \{/)) { split(substr(line, RSTART, RLENGTH), w, " "); declares[FILENAME, w[1] == "typedef" ? w[3] : w[2]] = 1 }
	if (match(line, /^\t?[A-Z][A-Z_0-9]+[ ,=]/) || match(line, /^\t[A-Z][A-Z_0-9]+$/)) { w[1] = substr(line, RSTART, RLENGTH); gsub(/[^A-Z_0-9]/, "", w[1]); declares[FILENAME, w[1]] = 1 }
	if (match(line, /^(extern|typedef) .*[;[]/)) { w[1] = line; sub(/[;[].*/, "", w[1]); sub(/.*[ *]/, "", w[1]); declares[FILENAME, w[1]] = 1 }
	if (line !~ /^\t/) while (match(line, /[A-Za-z_][A-Za-z_0-9]*\(/)) { declares[FILENAME, substr(line, RSTART, RLENGTH - 1)] = 1; line = substr(line, RSTART + RLENGTH) }
}
{
	line = $0
	if (line ~ /^#include "/) { sub(/^#include "/, "", line); sub(/".*/, "", line); includes[FILENAME, line] = FNR; next }
	gsub(/\/\*([^*]|\*+[^*\/])*\*+\//, " ", line)
	if (comment) { if (!sub(/^.*\*\//, "", line)) next; comment = 0 }
	if (sub(/\/\*.*/, "", line)) comment = 1
	if (FILENAME ~ /\.h$/) names(line)
	while (match(line, /[A-Za-z_][A-Za-z_0-9]*/)) { says[FILENAME, substr(line, RSTART, RLENGTH)] = 1; line = substr(line, RSTART + RLENGTH) }
}
END {
	for (d in declares) { split(d, w, SUBSEP); of[w[1]] = of[w[1]] " " w[2] }
	for (i in includes) {
		split(i, f, SUBSEP)
		if (f[1] !~ /\.c$/ || !(f[2] in of)) continue
		own = f[1]; sub(/\.c$/, ".h", own)
		if (own == f[2]) continue
		n = split(of[f[2]], w, " ")
		for (k = 1; k <= n; k++) if ((f[1], w[k]) in says) break
		if (k > n) { print f[1] ":" includes[i] ": includes \"" f[2] "\" and uses nothing of it"; bad = 1 }
	}
	exit bad
}' $files || status=1
exit $status
