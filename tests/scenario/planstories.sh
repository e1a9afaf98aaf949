#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Described clusters (plan/NAME.json) and the plans for them (plan/NAME.txt); then what is wrong with a description. "planstories.sh --write" (in a
# build tree) writes the plans anew: read the difference.
top_srcdir=${top_srcdir:?} top_builddir=${top_builddir:?}
plan() { "$top_builddir/tools/vmclus" simulate "$@"; }
dir=$top_srcdir/tests/scenario/plan
rc=0
fail() { echo "planstories: $*" >&2; rc=1; }
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT

for story in "$dir"/*.json; do
	name=$(basename "$story" .json)
	plan "$story" >"$tmp/raw" || fail "$name: exit status $?"
	sed 's/; planned in .*//' "$tmp/raw" >"$tmp/out"
	if [ "${1:-}" = --write ]; then
		cp "$tmp/out" "$dir/$name.txt"
	else
		diff -u "$dir/$name.txt" "$tmp/out" >&2 || fail "$name: another plan"
	fi
done

# refused: status 1 (2: usage), and the reason says this
refused() { # STATUS TEXT ARGS... <description
	want=$1 text=$2
	shift 2
	plan "$@" >"$tmp/out" 2>"$tmp/err"
	got=$?
	[ $got -eq "$want" ] || fail "'$text': exit status $got, not $want"
	grep -qF -- "$text" "$tmp/err" || fail "'$text' is not in: $(cat "$tmp/err")"
}
h='{"name":"a","mem_total_bytes":1000,"cpu_total":1}'
echo '{"hosts":[' | refused 1 'line 2' -
echo '[]' | refused 1 'is an object' -
echo '{"hosts":5}' | refused 1 '"hosts" has to be an array' -
echo '{"hosts":[{"mem_total_bytes":1}]}' | refused 1 'host number 1 has no "name"' -
echo "{\"hosts\":[$h,$h]}" | refused 1 'host a is there twice' -
echo '{"hosts":[{"name":"a","mem_total_bytes":-1}]}' | refused 1 'a: "mem_total_bytes" has to be a number' -
echo '{"hosts":[{"name":"a","cpu_total":"4"}]}' | refused 1 'a: "cpu_total" has to be a number' -
echo "{\"hosts\":[$h],\"domains\":[{\"name\":\"x\",\"host\":\"b\"}]}" | refused 1 'domain x is on b, which is not among the hosts' -
echo "{\"hosts\":[$h],\"rules\":[{\"kind\":\"apart\",\"members\":[\"x\"]}]}" | refused 1 'fewer than two' -
echo "{\"hosts\":[$h],\"rules\":[{\"kind\":\"beside\",\"members\":[\"x\",\"y\"]}]}" | refused 1 '"kind" is together' -
echo "{\"hosts\":[$h]}" | refused 2 '--max-moves: a number' --max-moves -3 -
refused 1 'nowhere.json' "$tmp/nowhere.json" </dev/null
refused 2 'usage' </dev/null
refused 2 '--generate HOSTS:DOMAINS, not "0:5"' --generate 0:5 </dev/null
echo '{}' | plan - >"$tmp/out" || fail 'an empty cluster is no error'
grep -q balanced "$tmp/out" || fail "an empty cluster: $(cat "$tmp/out")"

# the same seed, the same cluster; and a plan carried out leaves nothing to do
plan --generate 12:200 --seed 3 >"$tmp/1" && plan --generate 12:200 --seed 3 >"$tmp/2" && plan --generate 12:200 --seed 4 >"$tmp/3" || fail generate
cmp -s "$tmp/1" "$tmp/2" || fail 'one seed, two clusters'
cmp -s "$tmp/1" "$tmp/3" && fail 'two seeds, one cluster'
plan --write-layout "$tmp/layout" "$tmp/1" >"$tmp/out" || fail plan
grep -q ' moves, spread 0\.' "$tmp/out" || fail "no moves for a lopsided cluster: $(tail -n 1 "$tmp/out")"
plan --json --layout "$tmp/layout" "$tmp/1" >"$tmp/out"
grep -q '"n_moves":0' "$tmp/out" || fail "a second run: $(cat "$tmp/out")"
exit $rc
