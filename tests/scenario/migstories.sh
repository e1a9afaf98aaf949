#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Every story of a migration in scenario/mig against its golden trace. To write one anew: migstory --print FILE.
rc=0
n=0
for f in "${top_srcdir:?}"/tests/scenario/mig/*.txt; do
	n=$((n + 1))
	"${top_builddir:?}/tests/sim/migstory" "$f" || { echo "FAILED: $f"; rc=1; }
done
[ $n -ge 10 ] || { echo "only $n stories"; rc=1; }
exit $rc
