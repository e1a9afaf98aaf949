#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The model of node lists that change: nothing wrong as it is, and each planted error found. FULL=1 looks at more changes and commands (minutes, 2 GB).
for tool in spin gcc; do
	command -v $tool >/dev/null || { echo "skipped: $tool is missing"; exit 77; }
done
model=$(cd "${top_srcdir:-.}" && pwd)/tests/model/lists.pml
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
failed=0

# run NAME SPIN-OPTIONS: the verifier's report in NAME.out
run() {
	mkdir "$1" && cp "$model" "$1" && cd "$1" && spin -a $2 lists.pml >spin.out 2>&1 &&
		gcc -w -O1 -DSAFETY -DCOLLAPSE -o pan pan.c && ./pan -n -m200000 >../$1.out 2>&1 || {
		cat spin.out; echo "$1: spin or gcc failed"; failed=1; }
	cd ..
}

# holds INITIAL CHANGES COMMANDS
holds() {
	run "holds-$1$2$3" "-DINITIAL=$1 -DCHANGES=$2 -DCOMMANDS=$3"
	if grep -q 'errors: 0' "holds-$1$2$3.out" && ! grep -q 'depth too small\|out of memory' "holds-$1$2$3.out"; then
		echo "holds with the first list $1, $2 changes, $3 commands: $(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' "holds-$1$2$3.out") states"
	else
		cat "holds-$1$2$3.out"; (cd "holds-$1$2$3" && spin -t -p -DINITIAL=$1 -DCHANGES=$2 -DCOMMANDS=$3 lists.pml | tail -60); failed=1
	fi
}

# finds BUG INITIAL CHANGES COMMANDS
finds() {
	run "$1" "-D$1 -DINITIAL=$2 -DCHANGES=$3 -DCOMMANDS=$4"
	if grep -q "assertion violated" "$1.out"; then
		echo "planted $1: found"
	else
		echo "planted $1: NOT FOUND"; cat "$1.out"; failed=1
	fi
}

holds 7 2 1
holds 15 2 1
if [ -n "$FULL" ]; then
	holds 7 2 2
	holds 15 2 2
	holds 7 3 1
fi
finds BUG_FEW_ARE_ASKED 15 2 1
finds BUG_UNBOUND 15 2 1
finds BUG_NOT_IN_FORCE 7 3 2
exit $failed
