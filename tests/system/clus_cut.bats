# SPDX-License-Identifier: GPL-2.0-or-later
# Not among the usual tests (make soak-cut): each host in turn is cut off, both ways or one way, HOSPES_CUTS (50) times, healed after a
# random time. No domain may run twice or be lost. HOSPES_SEED repeats a run's choices; HOSPES_POLICY=no_quorum=suspend has guests
# suspended. CLUS_HOSTS="2 --witness" (make soak-cut-witness): one of the three is a witness. HOSPES_WAYS: what happens, "kill" is a loss of power.
load lib
load clus
load clus_guests

# shellcheck disable=SC2086 # none, or one
setup_file() { trouble_setup_file ${HOSPES_POLICY:-}; }
setup() { clus_need; }

@test "cuts: no domain runs twice, none is lost" {
	local n=${HOSPES_CUTS:-50} i h way hold starts=0 g hosts=(host-a host-b host-c) ways
	read -ra ways <<<"${HOSPES_WAYS:-both both in out}"
	local seed=${HOSPES_SEED:-$((EPOCHSECONDS % 30000))}
	RANDOM=$seed
	echo "# HOSPES_SEED=$seed" >&3
	eventually 60 all_run
	watch_start
	for ((i = 0; i < n; i++)); do
		h=${hosts[i % 3]}
		way=${ways[RANDOM % ${#ways[@]}]}
		hold=$((RANDOM % 200))
		case $way in
		kill) vmlab kill $h ;;
		both) vmlab cut $h ;;
		*) vmlab cut $h --oneway $way ;;
		esac
		sleep $((hold / 10)).$((hold % 10))
		if [ $way = kill ]; then vmlab start $h; else vmlab heal $h; fi
		eventually 60 clus_whole
		eventually 90 all_run || { clus_report >&2; echo "after cut $i of $h ($way, ${hold}00 ms) a domain is lost" >&2; false; }
		for g in "${GUESTS[@]}"; do witness_ok $g; done
		echo "# cut $((i + 1)): $h $way, healed after $((hold * 100)) ms: all four run, once" >&3
	done
	watch_stop
	for g in "${GUESTS[@]}"; do
		starts=$((starts + $(witness_starts $g | wc -l)))
		ask $g status | jq -e '.errors == 0'
	done
	echo "# $n cuts, $starts starts of four guests (the last 64 of each), 0 double runs, 0 lost" >&3
}
