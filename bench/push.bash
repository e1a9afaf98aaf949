#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# bench/push.bash BUILD-DIR: what moving guests costs, on this machine with both hosts on it (make bench-push). Medians of BENCH_RUNS (20).
#   loaded    256 MiB guest, about 40 processes, checksums, fork loop, disk writes, TCP echo: downtime median and p95
#   big       2 GiB guest with 1.5 GiB that does not compress: against QEMU's migration of the same (bench/qemu.bash), run by run in turn
#   machine   1 GiB guest of engine qemu (TCG), Debian's kernel, 2 vCPUs, loaded: against QEMU's own migration of the same, run by run in turn,
#             and how many of QEMU's are alive and sound afterwards
#   stock     Debian from its own disk, loaded: raw, qcow2, UEFI (stock.bash), against QEMU's own migration of the same, and what each needs beside it
#   empty     2 GiB guest that uses little: octets sent against memory really used
#   cost      memory of hvdom and its helpers beyond the guest's, CPU time of an idle guest
# BENCH_PARTS="loaded big machine empty cost" chooses; stock is not among them by itself. Results also go to BUILD-DIR/bench/push.json, one object per part.
set -euo pipefail

build=$(readlink -f "${1:?usage: push.bash BUILD-DIR}")
here=$(cd "$(dirname "$0")" && pwd)
runs=${BENCH_RUNS:-20}
parts=${BENCH_PARTS:-loaded big machine empty cost}
[ "$(id -u)" -eq 0 ] || { echo "bench-push: needs root (namespaces)" >&2; exit 1; }

export top_srcdir=$here/.. top_builddir=$build VMLAB_NAME=${HOSPES_LAB_PREFIX:-}bench VMLAB_DIR=$build/labs
# the tests' own helpers start guests and push them; they want these two names
BATS_TEST_DIRNAME=$here BATS_TEST_TMPDIR=$(mktemp -d) BATS_FILE_TMPDIR=$BATS_TEST_TMPDIR
export BATS_TEST_DIRNAME BATS_TEST_TMPDIR BATS_FILE_TMPDIR
# shellcheck source=tests/system/lib.bash
. "$here/../tests/system/lib.bash"
# shellcheck source=bench/stock.bash
. "$here/stock.bash"
mkdir -p "$build/bench"
out=$build/bench/push.json
: >"$out"

trap 'vmlab down; rm -rf "$BATS_TEST_TMPDIR"' EXIT
trap 'exit 130' INT TERM
vmlab down >/dev/null 2>&1 || true
[ "${BENCH_AUDIT:-0}" = 0 ] || export HOSPES_AUDIT=1
vmlab up 2 --no-cluster
SHARED=$(vmlab dir)
export SHARED
cp "$build/guests/initramfs.img" "$SHARED/"

# stat FILE KEY: {"median","p95","min","max"} of a number over lines of JSON
stat_of() { jq -s -c --arg k "$2" 'map(.[$k]) | sort | {median: .[length / 2 | floor], p95: .[(length * 0.95 | ceil) - 1], min: .[0], max: .[-1]}' "$1"; }
# table_of FILE: medians of a push's steps and stages over lines of JSON, and the steps' p99
table_of() {
	jq -s -c 'def at($p): sort | .[((length * $p | ceil) - 1)]; def two: . * 100 | round / 100;
		{steps_ms: (. as $all | .[0].steps_ms | with_entries(.key as $k | .value = ($all | map(.steps_ms[$k]) | {median: (at(0.5) | two), p99: (at(0.99) | two)}))),
		stages: (. as $all | .[0].stages | del(.wait_ms) | with_entries(.key as $k | .value = ($all | map(.stages[$k]) |
			{ms: (map(.ms) | at(0.5) | two), gb_per_s: (map(.gb_per_s) | at(0.5) | two), share: (map(.share) | at(0.5) | two)})))}' "$1"
}
# report JSON [FILE]: the result of a part, with the table of its pushes
report() {
	local line=$1
	[ $# -lt 2 ] || line=$(jq -c --argjson t "$(table_of "$2")" '. + $t' <<<"$1")
	echo "$line" >>"$out"
	jq -c . <<<"$line"
}

# timed_pushes NAME COUNT FILE: back and forth, each checked
timed_pushes() {
	local from to i
	from=$(running_on "$1")
	: >"$3"
	for ((i = 1; i <= $2; i++)); do
		to=$(other_host "$from")
		push_ok "$from" "$1" "$to"
		echo "$PUSH_JSON" >>"$3"
		printf '  %s %d: total %s ms, downtime %s ms\n' "$1" "$i" "$(jq .total_ms <<<"$PUSH_JSON")" "$(jq .downtime_ms <<<"$PUSH_JSON")" >&2
		from=$to
	done
}

part_loaded() {
	guest_up host-a guest01 load=full mem=256
	sleep 3
	client_start guest01
	timed_pushes guest01 "$runs" "$build/bench/loaded.jsonl"
	client_stop
	report "$(jq -n -c --argjson d "$(stat_of "$build/bench/loaded.jsonl" downtime_ms)" --argjson t "$(stat_of "$build/bench/loaded.jsonl" total_ms)" \
		--argjson s "$(stat_of "$build/bench/loaded.jsonl" sent_bytes)" --argjson c "$CLIENT_JSON" \
		'{part: "loaded", downtime_ms: $d, total_ms: $t, sent_bytes: $s, client_longest_gap_ms: $c.longest_gap_ms, client_lost: $c.lost,
		wanted: "downtime median <= 50, p95 <= 120", met: ($d.median <= 50 and $d.p95 <= 120)}')" "$build/bench/loaded.jsonl"
	guest_remove guest01
}

part_big() {
	command -v qemu-system-x86_64 >/dev/null || { echo "big: skipped, qemu-system-x86 is missing" >&2; return 0; }
	"$here/kernel.bash" "$build/bench/kernel"
	guest_up host-a guest02 load=none mem=2048 disk=0 fill=1536
	eventually 120 big_filled
	: >"$build/bench/big.jsonl"
	: >"$build/bench/qemu.jsonl"
	local i from=host-a to
	for ((i = 1; i <= runs; i++)); do
		to=$(other_host "$from")
		push_ok "$from" guest02 "$to"
		echo "$PUSH_JSON" >>"$build/bench/big.jsonl"
		from=$to
		"$here/qemu.bash" "$build/bench" 2048 1536 1 >>"$build/bench/qemu.jsonl"
		printf '  run %d: hospes %s ms, qemu %s ms\n' "$i" "$(jq .total_ms <<<"$PUSH_JSON")" "$(tail -n 1 "$build/bench/qemu.jsonl" | jq .total_ms)" >&2
	done
	ask guest02 hash | jq -e '.bad == 0' >/dev/null
	report "$(jq -n -c --argjson h "$(stat_of "$build/bench/big.jsonl" total_ms)" --argjson hd "$(stat_of "$build/bench/big.jsonl" downtime_ms)" \
		--argjson q "$(stat_of "$build/bench/qemu.jsonl" total_ms)" --argjson qd "$(stat_of "$build/bench/qemu.jsonl" downtime_ms)" \
		'{part: "big", total_ms: $h, downtime_ms: $hd, qemu_total_ms: $q, qemu_downtime_ms: $qd, times_faster: ($q.median / $h.median * 100 | round / 100),
		wanted: "4 times faster than QEMU", met: ($q.median / $h.median >= 4)}')" "$build/bench/big.jsonl"
	guest_remove guest02
}
big_filled() { ask guest02 hash | jq -e '.ok and .pages == 393216'; }

part_machine() {
	local why i from=host-a to ours="$build/bench/machine.jsonl" theirs="$build/bench/machine-qemu.jsonl"
	! why=$(qemu_missing) || { echo "machine: skipped, $why" >&2; return 0; }
	cp "$build"/guests/qemu-{kernel,initramfs.img} "$SHARED/"
	guest_up host-a guest05 engine=qemu mem=1024 vcpus=2 load=full
	eventually 60 guest_sound guest05
	: >"$ours"
	: >"$theirs"
	for ((i = 1; i <= runs; i++)); do
		to=$(other_host "$from")
		client_start guest05
		push_ok "$from" guest05 "$to"
		client_stop
		jq -c --argjson c "$CLIENT_JSON" '. + {gap_ms: $c.longest_gap_ms, lost: $c.lost}' <<<"$PUSH_JSON" >>"$ours"
		guest_sound guest05
		from=$to
		on "$from" vmctl suspend guest05 # the yardstick has the machine for itself
		"$here/qemu.bash" "$build/bench" 1024 0 1 full 2 >>"$theirs"
		on "$from" vmctl resume guest05
		printf '  run %d: hospes %s ms, downtime %s ms, gap %s ms; qemu %s\n' "$i" "$(jq .total_ms <<<"$PUSH_JSON")" "$(jq .downtime_ms <<<"$PUSH_JSON")" \
			"$(jq .longest_gap_ms <<<"$CLIENT_JSON")" "$(tail -n 1 "$theirs")" >&2
	done
	report "$(jq -n -c --argjson h "$(stat_of "$ours" total_ms)" --argjson hd "$(stat_of "$ours" downtime_ms)" --argjson g "$(stat_of "$ours" gap_ms)" \
		--argjson q "$(stat_of "$theirs" total_ms)" --argjson qd "$(stat_of "$theirs" downtime_ms)" --argjson n "$runs" \
		--argjson alive "$(jq -s 'map(select(.alive)) | length' "$theirs")" \
		'{part: "machine", runs: $n, sound: $n, total_ms: $h, downtime_ms: $hd, client_gap_ms: $g, qemu_total_ms: $q, qemu_downtime_ms: $qd, qemu_sound: $alive,
		times_faster: ($q.median / $h.median * 100 | round / 100), wanted: "4 times faster than QEMU, downtime median <= 60",
		met: ($q.median / $h.median >= 4 and $hd.median <= 60)}')" "$ours"
	guest_remove guest05
}

part_empty() {
	guest_up host-a guest03 load=none mem=2048 disk=0
	sleep 2
	local used
	used=$(on host-a vmctl domstats guest03 --json | jq .ram_used_bytes)
	timed_pushes guest03 3 "$build/bench/empty.jsonl"
	report "$(jq -n -c --argjson s "$(stat_of "$build/bench/empty.jsonl" sent_bytes)" --argjson u "$used" --argjson d "$(stat_of "$build/bench/empty.jsonl" downtime_ms)" \
		'{part: "empty", used_bytes: $u, sent_bytes: $s, downtime_ms: $d, ratio: ($s.median / $u * 100 | round / 100), wanted: "sent < 1.2 of used", met: ($s.median / $u < 1.2)}')"
	guest_remove guest03
}

# Proportional memory of a host's hvdom processes in KiB, without guest memory (memfds, /dev/shm and deleted files mapped shared)
hvdom_pss() {
	# shellcheck disable=SC2016 # expanded by awk
	on "$1" sh -c 'for p in $(pgrep -x hvdom); do cat /proc/$p/smaps; done' |
		awk '/^[0-9a-f]+-[0-9a-f]+ / { guest = ($2 ~ /s$/ && ($6 ~ /^\/memfd:/ || $NF == "(deleted)")) } /^Pss:/ && !guest { n += $2 } END { print n + 0 }'
}
part_cost() {
	guest_up host-a guest04 load=none mem=256 disk=8
	sleep 3
	local a b seconds=20 pss
	a=$(on host-a vmctl domstats guest04 --json)
	sleep $seconds
	b=$(on host-a vmctl domstats guest04 --json)
	pss=$(hvdom_pss host-a)
	report "$(jq -n -c --argjson a "$a" --argjson b "$b" --argjson s $seconds --argjson p "$pss" \
		'(($b.cpu_ns + $b.hv_cpu_ns - $a.cpu_ns - $a.hv_cpu_ns) / 1e7 / $s * 1000 | round / 1000) as $cpu |
		{part: "cost", hvdom_pss_kib: $p, hv_rss_bytes: $b.hv_rss_bytes, idle_cpu_percent: $cpu, idle_hvdom_percent: (($b.hv_cpu_ns - $a.hv_cpu_ns) / 1e7 / $s * 1000 | round / 1000),
		wanted: "hvdom <= 8192 KiB, idle CPU < 1 %", met: ($p <= 8192 and $cpu < 1)}')"
	guest_remove guest04
}

for part in $parts; do
	echo "== $part" >&2
	"part_$part"
done
echo
jq -r '"\(.part): \(if .met then "met" else "NOT MET" end) (\(.wanted))"' "$out"
jq -s -e 'all(.met)' "$out" >/dev/null
