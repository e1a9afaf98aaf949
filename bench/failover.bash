#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# bench/failover.bash BUILD-DIR: what the death of a host costs, on this machine with three hosts on it (make bench-failover). BENCH_RUNS
# (20) times per part, median and worst, in milliseconds from the power loss:
#   hospes     a host with 4 guests out of 3 hosts; default settings, self-fencing deadline: every guest answers on the network again.
#              Split: detection (Corosync's new membership), fence wait (until the host is certainly dead), placement (until the last start
#              is ordered), boot (until the last guest answers)
#   agent      the same with a fence agent (fence_dummy of package fence-agents) that answers at once
#   pacemaker  Pacemaker on the same Corosync with the same corosync.conf, an ocf:heartbeat:Dummy resource, stonith-enabled=false: it
#              starts without knowing that the host is dead
#   pcmk-agent Pacemaker with stonith by the same fence_dummy
# BENCH_PARTS="hospes agent pacemaker pcmk-agent" chooses. Results also go to BUILD-DIR/bench/failover.json, one object per part.
set -euo pipefail

build=$(readlink -f "${1:?usage: failover.bash BUILD-DIR}")
here=$(cd "$(dirname "$0")" && pwd)
runs=${BENCH_RUNS:-20}
parts=${BENCH_PARTS:-hospes agent pacemaker pcmk-agent}
[ "$(id -u)" -eq 0 ] || { echo "bench-failover: needs root (namespaces)" >&2; exit 1; }

export top_srcdir=$here/.. top_builddir=$build VMLAB_NAME=${VMLAB_NAME:-benchfail} VMLAB_DIR=$build/labs
BATS_TEST_DIRNAME=$here BATS_TEST_TMPDIR=$(mktemp -d) BATS_FILE_TMPDIR=$BATS_TEST_TMPDIR
export BATS_TEST_DIRNAME BATS_TEST_TMPDIR BATS_FILE_TMPDIR
# shellcheck source=tests/system/lib.bash
. "$here/../tests/system/lib.bash"
# shellcheck source=tests/system/clus.bash
. "$here/../tests/system/clus.bash"
mkdir -p "$build/bench"
out=$build/bench/failover.json
: >"$out"
guests=(guest01 guest02 guest03 guest04)

trap 'vmlab down; rm -rf "$BATS_TEST_TMPDIR"' EXIT
trap 'exit 130' INT TERM

now_ms() { echo $((${EPOCHREALTIME/./} / 1000)); }
stat_of() { jq -s -c --arg k "$2" 'map(.[$k]) | sort | {median: .[length / 2 | floor], worst: .[-1]}' "$1"; }
report() { echo "$1" >>"$out"; jq -c . <<<"$1"; }
lab_new() {
	vmlab down >/dev/null 2>&1 || true
	VMLAB_MEMORY=1GiB vmlab up 3 >/dev/null
	SHARED=$(vmlab dir)
	export SHARED
	cp "$build/guests/initramfs.img" "$SHARED/"
	eventually 30 clus_whole
}
# When HOST's Corosync said that a membership without somebody was formed, after T0
detected_ms() { # HOST T0
	local line ms
	while read -r line; do
		ms=$(($(date -d "${line%% notice*}" +%s%3N)))
		[ "$ms" -lt "$2" ] || { echo "$ms"; return; }
	done < <(grep 'A new membership.*left' "$VMLAB_DIR/$VMLAB_NAME/hosts/$1/var/log/hospes/corosync.log")
	return 1
}

# ---- Hospes ----------------------------------------------------------------------------------------------------------------

agents_configure() { # every host knows how to fence the others
	local h o
	for h in host-a host-b host-c; do
		mkdir -p "$VMLAB_DIR/$VMLAB_NAME/hosts/$h/etc/hospes/fence.d"
		for o in host-a host-b host-c; do
			echo "{\"agent\": \"fence_dummy\", \"options\": {\"type\": \"file\", \"status_file\": \"/var/lib/hospes/shared/fence-$o\"}}" \
				>"$VMLAB_DIR/$VMLAB_NAME/hosts/$h/etc/hospes/fence.d/$o.json"
		done
	done
}

# Milliseconds (of the wall clock) at which the events after INDEX say so: the last one that matches
event_ms() { # HOST INDEX FILTER
	local t
	t=$(vc "$1" events --json --since "$2" | jq -r -s "[.[] | select($3)][-1].time // empty")
	[ -n "$t" ] && date -d "$t" +%s%3N
}

hospes_round() { # VICTIM FILE
	local g other index t0 detected safe ordered answered=0 ms pids=()
	other=$(other_hosts "$1" | head -n 1)
	for g in "${guests[@]}"; do [ "$(dom "$g" host)" = "$1" ] || vc "$other" move "$g" "$1" >/dev/null; done
	sleep 2
	index=$(vc "$other" status --json | jq .generation)
	for g in "${guests[@]}"; do rm -f "$SHARED/fence-$1"; done
	t0=$(now_ms)
	vmlab kill "$1"
	for g in "${guests[@]}"; do
		(client hospes-probe wait "$(guest_ip "$g"):7" --timeout 60 && now_ms >"$BATS_TEST_TMPDIR/$g") &
		pids+=($!)
	done
	wait "${pids[@]}"
	for g in "${guests[@]}"; do
		ms=$(cat "$BATS_TEST_TMPDIR/$g")
		[ "$ms" -le "$answered" ] || answered=$ms
	done
	detected=$(detected_ms "$other" "$t0")
	safe=$(event_ms "$other" "$index" ".text | test(\"$1 is safe\")")
	ordered=$(event_ms "$other" "$index" '.kind == "start"')
	for g in "${guests[@]}"; do
		witness_ok "$g"
		one_copy "$g"
	done
	jq -n -c --argjson t "$t0" --argjson d "$detected" --argjson s "$safe" --argjson o "$ordered" --argjson a "$answered" \
		'{detection_ms: ($d - $t), fence_wait_ms: ($s - $d), placement_ms: ($o - $s), boot_ms: ($a - $o), total_ms: ($a - $t),
		detection_to_start_ms: ($o - $d)}' | tee -a "$2" >&2
	vmlab start "$1" >/dev/null
	eventually 60 clus_whole
}

part_hospes() { # [agent]
	local i name=${1:-hospes} victims=(host-b host-c host-a) g
	local f=$build/bench/failover-$name.jsonl
	lab_new
	[ "$name" = hospes ] || agents_configure
	: >"$f"
	for g in "${guests[@]}"; do clus_define "$g" mem=128 disk=32 >/dev/null; vc host-a start "$g" >/dev/null; done
	for g in "${guests[@]}"; do guest_wait "$g"; done
	for ((i = 0; i < runs; i++)); do hospes_round "${victims[i % 3]}" "$f"; done
	report "$(jq -n -c --arg n "$name" --argjson r "$runs" --argjson t "$(stat_of "$f" total_ms)" --argjson d "$(stat_of "$f" detection_ms)" \
		--argjson w "$(stat_of "$f" fence_wait_ms)" --argjson p "$(stat_of "$f" placement_ms)" --argjson b "$(stat_of "$f" boot_ms)" \
		--argjson s "$(stat_of "$f" detection_to_start_ms)" \
		'{part: $n, runs: $r, total_ms: $t, detection_ms: $d, fence_wait_ms: $w, placement_ms: $p, boot_ms: $b, detection_to_start_ms: $s,
		wanted: "worst total <= 15000", met: ($t.worst <= 15000)}')"
}
part_agent() { part_hospes agent; }

# ---- Pacemaker -------------------------------------------------------------------------------------------------------------

pcmk_start() { # HOST: instead of clusterd
	vmlab service "$1" stop clusterd
	vmlab service "$1" stop guard
	# shellcheck disable=SC2016 # expanded by that shell
	on "$1" sh -c 'mkdir -p /var/lib/pacemaker/cib /var/lib/pacemaker/pengine /var/lib/pacemaker/blackbox /var/lib/pacemaker/cores /var/log/pacemaker
		chown -R hacluster:haclient /var/lib/pacemaker /var/log/pacemaker
		(setsid pacemakerd -f </dev/null >/var/log/hospes/pacemaker.log 2>&1 &)'
}
pcmk_whole() {
	local s
	s=$(on "$1" crm_mon -1 2>/dev/null) && grep -q 'Online: \[ host-a host-b host-c \]' <<<"$s" && { [ -z "${2:-}" ] || grep -q 'd1.*Started' <<<"$s"; }
}
pcmk_where() { on "$1" crm_mon -1 | sed -nE 's/.*d1.*Started ([a-z-]+).*/\1/p'; }
dummy_ms() { # HOST: when d1 was started there
	local t
	t=$(on "$1" stat -c %.3Y /run/resource-agents/Dummy-d1.state 2>/dev/null) || return 1
	echo "${t/./}"
}

pcmk_round() { # FILE
	local victim='' other h t0 detected started='' i
	for ((i = 0; i < 300 && ${#victim} == 0; i++)); do # a host that is just back does not know yet
		for h in host-a host-b host-c; do victim=$(pcmk_where "$h" 2>/dev/null) && [ -n "$victim" ] && break; done
		[ -n "$victim" ] || sleep 0.1
	done
	[ -n "$victim" ] || { echo "Pacemaker does not run it anywhere" >&2; return 1; }
	other=$(other_hosts "$victim" | head -n 1)
	sleep 2
	t0=$(now_ms)
	vmlab kill "$victim"
	for ((i = 0; i < 600 && ${#started} == 0; i++)); do
		for h in $(other_hosts "$victim"); do started=$(dummy_ms "$h") && [ "$started" -ge "$t0" ] && break || started=; done
		sleep 0.1
	done
	[ -n "$started" ] || { echo "Pacemaker did not start it within a minute" >&2; return 1; }
	detected=$(detected_ms "$other" "$t0")
	jq -n -c --argjson t "$t0" --argjson d "$detected" --argjson s "$started" '{detection_ms: ($d - $t), detection_to_start_ms: ($s - $d), total_ms: ($s - $t)}' |
		tee -a "$1" >&2
	vmlab start "$victim" >/dev/null
	pcmk_start "$victim"
	eventually 120 pcmk_whole "$other" d1
}

part_pacemaker() { # [agent]
	local i h f=$build/bench/failover-pacemaker${1:+-$1}.jsonl
	for h in pacemakerd crm_mon cibadmin; do
		command -v "$h" >/dev/null || { echo "pacemaker: skipped, $h is missing (packages pacemaker, pacemaker-cli-utils, resource-agents)" >&2; return 0; }
	done
	lab_new
	: >"$f"
	for h in host-a host-b host-c; do pcmk_start "$h"; done
	eventually 120 pcmk_whole host-a
	if [ -z "${1:-}" ]; then
		on host-a crm_attribute -n stonith-enabled -v false
	else
		for h in host-a host-b host-c; do
			on host-a cibadmin -C -o resources -X "<primitive id='f-$h' class='stonith' type='fence_dummy'><instance_attributes id='f-$h-a'>
				<nvpair id='f-$h-t' name='type' value='file'/><nvpair id='f-$h-f' name='status_file' value='/var/lib/hospes/shared/fence-$h'/>
				<nvpair id='f-$h-l' name='pcmk_host_list' value='$h'/><nvpair id='f-$h-r' name='pcmk_reboot_action' value='off'/></instance_attributes></primitive>"
		done
	fi
	on host-a cibadmin -C -o resources -X "<primitive id='d1' class='ocf' provider='heartbeat' type='Dummy'><operations>
		<op id='d1-monitor' name='monitor' interval='10s'/></operations></primitive>"
	eventually 120 pcmk_whole host-a d1
	for ((i = 0; i < runs; i++)); do pcmk_round "$f"; done
	report "$(jq -n -c --arg n "pacemaker${1:+-$1}" --argjson r "$runs" --argjson t "$(stat_of "$f" total_ms)" --argjson d "$(stat_of "$f" detection_ms)" \
		--argjson s "$(stat_of "$f" detection_to_start_ms)" '{part: $n, runs: $r, total_ms: $t, detection_ms: $d, detection_to_start_ms: $s}')"
}
part_pcmk-agent() { part_pacemaker agent; }

for part in $parts; do
	echo "== $part" >&2
	"part_$part"
done
echo
# how much sooner or later than Pacemaker, with the same kind of certainty, the start is ordered after detection
jq -s -r '(map({(.part): .}) | add) as $p | if $p.agent and $p["pacemaker-agent"] then
	"with a fence agent, detection to start: Hospes \($p.agent.detection_to_start_ms.median) ms, Pacemaker \($p["pacemaker-agent"].detection_to_start_ms.median) ms (medians)" else empty end' "$out"
jq -r 'select(.wanted) | "\(.part): \(if .met then "met" else "NOT MET" end) (\(.wanted))"' "$out"
jq -s -e 'all(.met != false)' "$out" >/dev/null
