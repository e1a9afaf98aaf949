#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The model of ownership: nothing wrong as it is, and each planted error found. Bounds: hosts that fail / copies that crash / moves.
# FULL=1 looks at more of them (10 minutes, 4 GB).
for tool in spin gcc; do
	command -v $tool >/dev/null || { echo "skipped: $tool is missing"; exit 77; }
done
model=$(cd "${top_srcdir:-.}" && pwd)/tests/model/ownership.pml
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
failed=0

# run NAME SPIN-OPTIONS GCC-OPTIONS: the verifier's report in NAME.out
run() {
	mkdir "$1" && cp "$model" "$1" && cd "$1" && spin -a $2 ownership.pml >spin.out 2>&1 &&
		gcc -w -O1 -DSAFETY -DVECTORSZ=512 $3 -o pan pan.c && ./pan $4 -n -m100000 >../$1.out 2>&1 || {
		cat spin.out; echo "$1: spin or gcc failed"; failed=1; }
	cd ..
}
story() {
	(cd "$1" && spin -t -p $2 ownership.pml | grep -v '^ *$' | tail -60)
}

# holds FAULTS CRASHES ORDERS [SPIN-OPTIONS [GCC-OPTIONS]]
holds() {
	bounds="-DFAULTS=$1 -DCRASHES=$2 -DORDERS=$3 $4" name=holds-$1$2$3$(echo "$4" | tr -d " -")
	run "$name" "$bounds" "$5"
	if grep -q 'errors: 0' "$name.out" && ! grep -q 'depth too small\|out of memory' "$name.out"; then
		echo "holds with $1 faults, $2 crashes, $3 moves${4:+, $4}: $(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' "$name.out") states"
	else
		cat "$name.out"; story "$name" "$bounds"; failed=1
	fi
}

# finds BUG [FAULTS CRASHES MOVES [SPIN-OPTIONS]]: the planted error must be found
finds() {
	run "$1$(echo "$5" | tr -d " -")" "-D$1 -DFAULTS=${2:-2} -DCRASHES=${3:-1} -DORDERS=${4:-1} $5" "-DBITSTATE" "-w27"
	if grep -q "assertion violated" "$1$(echo "$5" | tr -d " -").out"; then
		echo "planted $1${5:+, $5}: found"
	else
		echo "planted $1: NOT FOUND"; cat "$1$(echo "$5" | tr -d " -").out"; failed=1
	fi
}

holds 1 0 1
holds 1 1 0
holds 1 0 1 -DSUSPEND
holds 1 1 0 -DSUSPEND
holds 1 0 1 -DFREEZE
holds 1 0 0 '-DFREEZE -DDEAF'
holds 1 0 1 -DLIES
holds 0 1 0 -DLEAVE
holds 0 0 1 -DLEAVE
holds 1 0 1 -DWITNESS
holds 1 1 0 -DWITNESS
if [ -n "$FULL" ]; then
	holds 2 0 0 '' -DCOLLAPSE
	holds 1 1 1 '' -DCOLLAPSE
	holds 2 0 0 -DSUSPEND -DCOLLAPSE
	holds 2 0 1 -DFREEZE -DCOLLAPSE
	holds 2 0 0 '-DFREEZE -DDEAF' -DCOLLAPSE
	holds 1 0 0 -DLEAVE -DCOLLAPSE
	holds 2 0 0 -DWITNESS -DCOLLAPSE
fi
finds BUG_NO_WAIT 2 0 0
finds BUG_NO_WAIT 2 0 0 -DWITNESS
finds BUG_GUARD_SLEEPS 2 0 0
finds BUG_UNPARK_LATE 2 0 0 -DSUSPEND
finds BUG_LEFT_EARLY 0 0 0 -DLEAVE
finds BUG_LEFT_STARTS 0 0 0 -DLEAVE
finds BUG_NO_COMMIT
finds BUG_NO_RELINQUISH
finds BUG_RECLAIM_BLIND 1 0 1
finds BUG_IGNORE_GENERATION
finds BUG_WRITE_AFTER_THAW 1 0 0 -DFREEZE
finds BUG_LEASE_BEFORE_SWEEP 1 0 0 -DFREEZE
finds BUG_TRUST_CLOCKS 1 0 0 '-DFREEZE -DDEAF'
finds BUG_TRUST_LOCK 2 0 0 -DLIES
exit $failed
