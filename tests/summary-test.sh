#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# tests/summary counts right: cmocka, TAP, plain programs; crashes, cut-off plans, skips; nothing at all.
set -u
summary=${top_srcdir:-$(dirname "$0")/..}/tests/summary
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
bad=0

prog() { # NAME RESULT; the log comes from standard input
	cat >"$dir/$1.log"
	printf ':test-result: %s x\n:global-test-result: %s\n' "$2" "$2" >"$dir/$1.trs"
}
want() { # WHAT LAST-LINE STATUS
	out=$(bash "$summary" "$dir")
	status=$?
	last=$(echo "$out" | tail -n 1)
	if [ "$last" != "$2" ] || [ $status -ne "$3" ]; then
		echo "$1: '$last' and status $status, wanted '$2' and $3"
		bad=1
	fi
	rm -f "$dir"/*
}

want "nothing ran" "0 passed, 1 failed, 0 skipped" 1
printf '[==========] Running 3 test(s).\n[  PASSED  ] 3 test(s).\n' | prog a PASS
printf '1..3\nok 1 x\nok 2 y # skip no root\nok 3 z\n' | prog b PASS
echo fine | prog c PASS
echo 'needs root' | prog d SKIP
want "all kinds" "6 passed, 0 failed, 2 skipped" 0
printf '[==========] Running 3 test(s).\n[  PASSED  ] 2 test(s).\n[  FAILED  ] 1 test(s), listed below:\n[  FAILED  ] x\n' | prog a FAIL
want "cmocka failure" "2 passed, 1 failed, 0 skipped" 1
printf '[==========] Running 3 test(s).\n' | prog a FAIL
want "cmocka crash" "0 passed, 1 failed, 0 skipped" 1
printf '1..4\nok 1 x\nnot ok 2 y\n' | prog a FAIL
want "TAP failure, plan cut off" "1 passed, 3 failed, 0 skipped" 1
printf '1..2\n# once\nok 1 x\nnot ok 2 y\n# in line 3\n# said why\n' | prog a FAIL
want "TAP failure that says why" "1 passed, 1 failed, 0 skipped" 1
echo "$out" | grep -q '    # said why' || { echo "not told why: $out"; bad=1; }
echo "$out" | grep -q 'once' && { echo "told what is no failure: $out"; bad=1; }
printf '1..2\n# tried again: x\n# late\n# tried again: that was the first try\nok 1 x\n# other\nok 2 y\n' | prog a PASS
want "TAP second try" "2 passed, 0 failed, 0 skipped" 0
echo "$out" | grep -q '    # late' || { echo "not told why it was tried again: $out"; bad=1; }
echo "$out" | grep -q '^tried a second time: 1$' || { echo "not counted: $out"; bad=1; }
echo "$out" | grep -q 'other' && { echo "told what is no failure: $out"; bad=1; }
printf '1..2\nok 1 x\n' | prog a PASS
want "TAP plan cut off behind a good exit status" "1 passed, 1 failed, 0 skipped" 1
echo boom | prog a ERROR
want "error" "0 passed, 1 failed, 0 skipped" 1
[ $bad -eq 0 ]
