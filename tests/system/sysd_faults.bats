# SPDX-License-Identifier: GPL-2.0-or-later
# Not among the usual tests (make soak-faults): HOSPES_FAULTS (20) random faults on three hosts with a real systemd and the installed units, and
# four guests whose witness disks are block devices that nobody locks; half of the faults hit while a guest moves. Counted: guests that ran twice,
# as seen from outside (double); by their witnesses, which also see a write of an old copy (late); guests that started again although the fault left
# their host well (needless); guests that nobody started (lost). HOSPES_SEED repeats a run's choices, HOSPES_KINDS="power cut" takes only these,
# HOSPES_SECONDS ends it early. The logs of a fault that found something are kept in soak-faults/.
load lib
load clus
load clus_guests
load clus_hang

GUEST_KIND=(disk=0 witness=block cmdline=hospes.witness_ms=50)
setup_file() { need_systemd; trouble_setup_file; }
setup() { clus_need; }

KINDS=(power cut cut_in cut_out pair slow stall stop_clusterd restart_clusterd restart_migrated restart_corosync reload_guard
	kill_clusterd kill_migrated kill_guard kill_corosync freeze_short freeze_long poweroff reboot stop_all)
# What may cost guests of the host a new start (docs/fencing.md); all else costs nobody anything
hard() { [[ " power cut cut_in cut_out pair stop_clusterd restart_corosync kill_corosync freeze_long " = *" $1 "* ]]; }

# In R, not by a subshell: that would draw from a sequence of its own
between() { R=$(($1 + RANDOM % ($2 - $1 + 1))); }
shuffle() { # the kinds, each once, into DECK
	local i t
	DECK=("${kinds[@]}")
	for ((i = ${#DECK[@]} - 1; i > 0; i--)); do
		between 0 $i
		t=${DECK[i]} DECK[i]=${DECK[R]} DECK[R]=$t
	done
}
is_up() { [ -e "$VMLAB_DIR/$VMLAB_NAME/hosts/$1/init.pid" ]; }
guard_ended() { [ "$(at "$1" systemctl show -P ActiveState hospes-guard)" = inactive ]; }
# What NAME says of itself, even if it does not answer at once
status_of() {
	local i
	for ((i = 0; i < 20; i++)); do
		! ask "$1" status 2>/dev/null | jq -ce 'select(.boot_id)' || return 0
		sleep 0.2
	done
	echo '{}'
}
boot_of() { status_of "$1" | jq -r .boot_id; }
# Nothing is asked of a host that stands still: it would never answer
eval "all_$(declare -f hosts_up)"
hosts_up() { local h; for h in $(all_hosts_up); do [ -e "$BATS_FILE_TMPDIR/frozen.$h" ] || echo "$h"; done; }
stand_still() { # HOST SECONDS
	touch "$BATS_FILE_TMPDIR/frozen.$1"
	vmlab freeze $1
	sleep $2
	vmlab thaw $1
	rm "$BATS_FILE_TMPDIR/frozen.$1"
}
# The storage of a domain that does not run stops answering on all hosts
stalled() { # SECONDS
	hang_start || return 1
	hang_define guest09
	hang_begins
	sleep $1
	hang_ends
	vc host-a undefine guest09
	hang_umount
}

# One fault, and its end. HOST is hit; OTHER as well if two are.
fault_of() { # KIND HOST OTHER SECONDS
	local kind=$1 h=$2 o=$3 s=$4
	case $kind in
	power) vmlab kill $h; sleep $s; vmlab start $h ;;
	cut) vmlab cut $h; sleep $s; vmlab heal $h ;;
	cut_in | cut_out) vmlab cut $h --oneway ${kind#cut_}; sleep $s; vmlab heal $h ;;
	pair) vmlab cut $h --from $o; sleep $s; vmlab heal $h --from $o ;;
	slow) vmlab slow $h --rate 2; sleep $s; vmlab heal $h ;;
	stall) stalled $((s + 8)) ;;
	stop_clusterd) at $h systemctl stop clusterd; sleep $s; at $h systemctl start clusterd ;;
	restart_*) at $h systemctl restart ${kind#restart_} ;;
	reload_guard) at $h systemctl reload hospes-guard ;;
	kill_guard) vmlab service $h kill hospes-guard ;;
	kill_*) vmlab service $h kill ${kind#kill_} ;;
	freeze_short) stand_still $h $((1 + s % 2)) ;;
	freeze_long) stand_still $h $((s + 8)) ;;
	poweroff) at $h systemctl poweroff; eventually 90 not is_up $h; sleep $((s / 4)); vmlab start $h ;;
	reboot) at $h systemctl reboot; eventually 90 not is_up $h; eventually 30 is_up $h ;;
	stop_all) at $h systemctl stop hospes.target; eventually 90 guard_ended $h; sleep $((s / 4)); at $h systemctl start hospes.target migrated clusterd ;;
	*) echo "no fault is called $kind" >&2; return 1 ;;
	esac
}

# found WHAT TEXT: counted, said, and its logs kept
found() {
	local d=$top_builddir/soak-faults/$seed-$i h
	count[$1]=$((count[$1] + 1))
	echo "# ${1^^}: $2 (fault $i, $what)" >&3
	mkdir -p "$d"
	echo "${1^^}: $2 (fault $i, $what)" >>"$d/found"
	clus_report >"$d/status.json" 2>&1 || true
	for h in $(ls "$VMLAB_DIR/$VMLAB_NAME/hosts"); do
		mkdir -p "$d/$h" && cp "$VMLAB_DIR/$VMLAB_NAME/hosts/$h"/var/log/hospes/*.log "$d/$h/" 2>/dev/null || true
	done
}
# A guest on its way while the fault hits, for every other one: MOVED, its MOVED_TO, and who moves it in MOVER
move_begins() { # ORDERED-AT
	local to
	MOVED='' MOVER=''
	between 0 7
	[ $R -lt ${#GUESTS[@]} ] || return 0
	MOVED=${GUESTS[R]}
	between 1 2
	MOVED_TO=$(other_hosts "${on[$MOVED]}" | sed -n "${R}p")
	vc $1 move $MOVED $MOVED_TO >/dev/null 2>&1 3>&- &
	MOVER=$!
	between 0 9
	sleep 0.$R
}
move_ends() { [ -z "$MOVER" ] || eventually 60 not kill -0 "$MOVER" 2>/dev/null || kill "$MOVER" || true; }
# Might the fault end NAME? A move has two hosts that count.
touched() {
	hard $kind || return 1
	[ "${on[$1]}" = $h ] || { [ "$1" = "$MOVED" ] && [ $MOVED_TO = $h ]; } ||
		{ [ $kind = pair ] && { [ "${on[$1]}" = $o ] || { [ "$1" = "$MOVED" ] && [ $MOVED_TO = $o ]; }; }; }
}
# What is seen when all is well again
judge() {
	local g now d hit=()
	d=$(grep -vc '^\.$' "$WATCH_OUT" || true)
	[ "$d" -le "$seen" ] || found double "$(grep -v '^\.$' "$WATCH_OUT" | tail -n $((d - seen)) | head -n 3)"
	seen=$d
	for g in "${GUESTS[@]}"; do
		[ -n "${flagged[$g]:-}" ] || (witness_ok $g) >"$BATS_TEST_TMPDIR/witness" 2>&1 || { flagged[$g]=1; found late "$(cat "$BATS_TEST_TMPDIR/witness")"; }
		now=$(status_of $g)
		jq -e '.errors == 0' <<<"$now" >/dev/null || found errors "$g: $now"
		now=$(jq -r .boot_id <<<"$now")
		[ "$now" != "${boot[$g]}" ] || continue
		if ! touched $g; then
			found needless "$g on ${on[$g]} started again"
		else
			restarts=$((restarts + 1))
			[ "$g" = "$MOVED" ] || hit+=("${on[$g]}")
		fi
	done
	# of two that cannot talk, one yields
	[[ " ${hit[*]} " != *" $h "* || " ${hit[*]} " != *" $o "* ]] || found needless "guests of both $h and $o started again"
}

@test "random faults: no guest runs twice, none writes late, none is lost, none starts again without need" {
	local n=${HOSPES_FAULTS:-20} seed=${HOSPES_SEED:-$((EPOCHSECONDS % 30000))} kinds=("${KINDS[@]}") hosts=(host-a host-b host-c)
	local i kind h o s g what seen=0 restarts=0 moves=0 begun=$SECONDS
	declare -A boot=() on=() flagged=() count=([double]=0 [late]=0 [errors]=0 [lost]=0 [needless]=0)
	[ -z "${HOSPES_KINDS:-}" ] || read -r -a kinds <<<"$HOSPES_KINDS"
	RANDOM=$seed DECK=()
	echo "# HOSPES_SEED=$seed" >&3
	watch_start
	for ((i = 1; i <= n && SECONDS - begun < ${HOSPES_SECONDS:-1000000}; i++)); do
		[ ${#DECK[@]} -gt 0 ] || shuffle
		kind=${DECK[-1]}
		unset 'DECK[-1]'
		between 0 2
		h=${hosts[R]}
		between 1 2
		o=$(other_hosts $h | sed -n "${R}p")
		between 1 15
		s=$R
		for g in "${GUESTS[@]}"; do boot[$g]=$(boot_of $g) on[$g]=$(dom $g host); done
		move_begins $o
		[ -z "$MOVED" ] || moves=$((moves + 1))
		what="$kind $h$([ $kind != pair ] || echo " $o") $s s; there: $(for g in "${GUESTS[@]}"; do [ "${on[$g]}" != $h ] || echo -n "$g "; done)${MOVED:+; $MOVED moves from ${on[$MOVED]} to $MOVED_TO}"
		echo "# $(date +%T) fault $i: $what" >&3
		fault_of $kind $h $o $s >/dev/null || { echo "fault $i could not be made: $what" >&2; false; }
		move_ends
		if ! { eventually 90 clus_whole && eventually 90 all_run; } >"$BATS_TEST_TMPDIR/state" 2>&1; then
			found lost "$(tail -n 3 "$BATS_TEST_TMPDIR/state")"
			clus_mend
			eventually 90 clus_whole
			eventually 90 all_run
		fi
		judge
	done
	kill "$WATCH_PID" 2>/dev/null || true
	[ "$(grep -c '^\.$' "$WATCH_OUT")" -gt $((i - 1)) ]
	echo "# $((i - 1)) faults, $moves moves in $((SECONDS - begun)) s: ${count[double]} double, ${count[late]} late, ${count[errors]} with errors, ${count[lost]} lost, ${count[needless]} needless; $restarts guests of hosts that were hit started again" >&3
	[ $((count[double] + count[late] + count[errors] + count[lost] + count[needless])) -eq 0 ]
}
