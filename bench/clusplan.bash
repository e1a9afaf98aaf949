#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# bench/clusplan.bash BUILD-DIR: the balancer, offline, on made-up clusters (make bench-plan). Needs no root.
#   growth   100 to 10,000 hosts with 20 domains each: CPU time of a plan, median of BENCH_RUNS (5); spread before and after, moves
#   hbal     side by side with Ganeti's hbal (package ganeti-htools) on the same clusters, both formats from one description:
#            "usual": hbal as it comes, "deep": hbal until no move helps. Ours gets as many moves as hbal took, and with as many as it needs
#            to be as even ("needed"). Judged by both: hbal's cluster score (hbal -t on the final layout) and our spread.
# Our threshold and least gain are off: it is the search that is compared, not when to begin.
# hbal knows no measured load here (--ignore-dynu): what is compared are static memory and CPU shares, in shared storage (disk template ext),
# where it moves an instance in one step, as we do. BENCH_PARTS="growth hbal" chooses; BENCH_HBAL="HOSTS:DOMAINS ..." the sizes (hbal's time
# grows with moves x hosts x domains: 30:400 takes it minutes, 100:2000 hours). Results also go to BUILD-DIR/bench/plan.json, one object a line.
set -euo pipefail
export LC_ALL=C.UTF-8

build=$(readlink -f "${1:?usage: clusplan.bash BUILD-DIR}")
plan() { "$build/tools/vmclus" simulate "$@"; }
runs=${BENCH_RUNS:-5}
parts=${BENCH_PARTS:-growth hbal}
sizes=${BENCH_HBAL:-5:60 10:150 10:300 20:300 20:400}
seeds=${BENCH_SEEDS:-301 302 303}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
out=$build/bench/plan.json
: >"$out"
report() { echo "$1" >>"$out"; jq -c . <<<"$1"; }

part_growth() {
	local n i
	for n in 100 300 1000 3000 10000; do
		plan --generate "$n:$((n * 20))" --seed 1 >"$work/c.json"
		: >"$work/runs"
		for ((i = 0; i < runs; i++)); do
			plan --json "$work/c.json" | jq -c 'del(.moves)' >>"$work/runs"
		done
		report "$(jq -s -c 'sort_by(.plan_s) as $r | $r[0] | {part: "growth", hosts, domains, before, after, moves: .n_moves,
			cpu_s_median: $r[$r | length / 2 | floor].plan_s, cpu_s_worst: $r[-1].plan_s, read_s,
			wanted_s: ({"1000": 1, "10000": 30}["\(.hosts)"])} | .met = (.wanted_s == null or .cpu_s_median <= .wanted_s)' "$work/runs")"
	done
}

score_of() { hbal -t "$1" --ignore-dynu -l 0 2>/dev/null | sed -nE 's/^Initial score: ([0-9.]+).*/\1/p'; }

# one_hbal HOSTS:DOMAINS SEED usual|deep
one_hbal() {
	local c=$work/c.json opt=() worth=() begin hbal_s hbal_moves hbal_score hbal_spread ours needed our_score
	[ "$3" = usual ] || { opt=(-g 0 --min-gain-limit 0); worth=(--worth 0 --cost 0); }
	plan --generate "$1" --seed "$2" >"$c"
	plan --spread --write-ganeti "$work/h" "$c" >/dev/null
	begin=$(date +%s.%N)
	hbal -t "$work/h" --ignore-dynu "${opt[@]}" -S "$work/h" >"$work/h.out" 2>/dev/null
	hbal_s=$(jq -n "$(date +%s.%N) - $begin")
	hbal_moves=$(sed -nE 's/^Solution length=([0-9]+).*/\1/p' "$work/h.out")
	awk -v RS= 'NR == 3' "$work/h.balanced" | awk -F'|' '{ print $1, $7 }' >"$work/layout"
	# hbal's own output file is not consistent in itself (free memory): its layout, written as ours is
	hbal_spread=$(plan --spread --layout "$work/layout" --write-ganeti "$work/hb" "$c")
	hbal_score=$(score_of "$work/hb")
	ours=$(plan --json --threshold 0 --gain 0 --enough 0 "${worth[@]}" --max-moves "$hbal_moves" --write-ganeti "$work/o" "$c" | jq -c 'del(.moves)')
	our_score=$(score_of "$work/o")
	needed=$(plan --json --threshold 0 --gain 0 "${worth[@]}" --enough "$hbal_spread" "$c" | jq -c 'del(.moves)')
	report "$(jq -n -c --arg size "$1" --argjson seed "$2" --arg mode "$3" --argjson hs "$hbal_s" --argjson hm "$hbal_moves" \
		--argjson hc "$hbal_score" --argjson hp "$hbal_spread" --argjson o "$ours" --argjson oc "$our_score" --argjson n "$needed" \
		'{part: "hbal", size: $size, seed: $seed, mode: $mode, before: $o.before, hbal: {moves: $hm, score: $hc, spread: $hp, s: $hs},
		ours: {moves: $o.n_moves, score: $oc, spread: $o.after, s: $o.plan_s}, needed: {moves: $n.n_moves, spread: $n.after},
		met: ($o.n_moves <= $hm and $oc <= $hc and $o.after <= $hp + 1e-8)}')"
}

part_hbal() {
	command -v hbal >/dev/null || { echo "bench-plan: hbal is missing (package ganeti-htools)" >&2; return 0; }
	local size seed mode
	for mode in usual deep; do
		for size in $sizes; do
			for seed in $seeds; do
				one_hbal "$size" "$seed" "$mode"
			done
		done
	done
	report "$(jq -s -c 'map(select(.part == "hbal")) | {part: "hbal-all", runs: length, met: (map(select(.met)) | length),
		hbal_moves: (map(.hbal.moves) | add), our_moves: (map(.ours.moves) | add), needed_moves: (map(.needed.moves) | add),
		hbal_score_mean: (map(.hbal.score) | add / length), our_score_mean: (map(.ours.score) | add / length),
		hbal_s: (map(.hbal.s) | add), our_s: (map(.ours.s) | add)}' "$out")"
}

for part in $parts; do
	"part_$part"
done
