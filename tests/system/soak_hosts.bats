# SPDX-License-Identifier: GPL-2.0-or-later
# Not among the usual tests (make soak-hosts): what happens to hosts that are machines, with a real kernel 6.1 and an NFS server
# (qemu_hosts.bash), a case at a time; `bats -f pause` takes some. Three guests, one per host at first: one with a disk that is locked over NFS, all
# with a witness on NFS that nobody locks. Seen in each case, and said in its line: guests that ran twice, wrote late, were lost, or started again
# although the fault left their host well. Without hardware support a guest takes minutes to start, so times tell little, and the machine should have nothing
# else to do: a host that gets no processor for ten seconds is reset by its watchdog, as it should be.
load lib
load clus
load qemu_hosts
GUESTS=(guest01 guest02 guest03)

setup_file() {
	local g disk
	why=$(vm_why_not)
	[ -z "$why" ] || skip "$why"
	[ -e "$top_builddir/guests/initramfs.img" ] || skip "missing: guests/initramfs.img (make guests)"
	vm_new || return 0
	cp "$top_builddir/guests/initramfs.img" "$SHARED/"
	for g in "${GUESTS[@]}"; do
		disk=0
		[ $g != guest02 ] || disk=16
		guest_xml $g load=none disk=$disk mem=64 witness=1 cmdline=hospes.witness_ms=100
	done
	vm_image
	vm_up
	eventually 400 clus_whole
	said "three hosts and the server are up"
	for g in "${GUESTS[@]}"; do vc host-a define "/var/lib/hospes/shared/$g.xml"; done
	for g in "${GUESTS[@]}"; do vc host-a start $g --no-wait; done
	eventually 400 all_run
	said "three guests run"
	touch "$VM/up.complete"
}
teardown_file() { [ -z "${VM:-}" ] || [ -n "${HOSPES_VM_STAY:-}" ] || vm_down; }
setup() {
	if [ -e "$VM/failed" ]; then vm_mend; fi
	eventually 300 clus_whole
	eventually 300 all_run
	note_all
	watch_start
	T0=$SECONDS
}
teardown() {
	kill "$WATCH_PID" 2>/dev/null || true
	vm_listen_end
	[ -n "${BATS_TEST_COMPLETED:-}" ] || { touch "$VM/failed"; vm_logs; }
}

said() { echo "# $(date +%T) $*" >&3; }
vm_mend() {
	local m
	rm "$VM/failed"
	for m in "${MACHINES[@]}"; do
		if [ ! -e "$VM/hosts/$m/init.pid" ]; then vm_power_on $m; else vm_continue $m; fi
	done
	eventually 300 clus_whole
	for m in "${MACHINES[@]:1}"; do no_agent $m; done
	policy stopping_clocks=fence
	[ "$(nfs_lease_now)" = "$HOSPES_VM_NFS_LEASE" ] || nfs_lease "$HOSPES_VM_NFS_LEASE"
	for m in "${GUESTS[@]}"; do forgive $m; done
}
vm_logs() {
	local d=$top_builddir/soak-hosts/${BATS_TEST_NAME:0:60} h
	mkdir -p "$d"
	for h in $(hosts_up); do
		AT_WAIT=20 at $h journalctl --no-pager -n 2000 -o short-monotonic >"$d/$h.journal" 2>&1 || true
		AT_WAIT=20 at $h sh -c 'tail -n 100 /var/log/hospes/guest*.log' >"$d/$h.guests" 2>&1 || true
	done
	(clus_report | jq .) >"$d/status.json" 2>&1 || true
	cp "$VM"/*.console "$VM/switch.log" "$d/" 2>/dev/null || true
	echo "logs: $d" >&2
}

# ---- what is seen -----------------------------------------------------------------------------------------------------------

# Each host's running guests, asked at once, as lines "HOST GUEST"
running() {
	local h
	for h in $(hosts_up); do (AT_WAIT=20 at $h vmctl list --json | jq -r --arg h $h '.[] | select(.state == "running") | $h + " " + .name') & done 2>/dev/null
	wait
}
# All guests answer, and run where the cluster says, once. What costs the hosts least is asked first.
all_run() {
	local s r g h
	for g in "${GUESTS[@]}"; do answers $g || { echo "$g does not answer" >&2; return 1; }; done
	s=$(clus_report) && r=$(running) || return 1
	for g in "${GUESTS[@]}"; do
		h=$(jq -r --arg g $g '.domains[] | select(.name == $g and .state == "running") | .host' <<<"$s")
		[ -n "$h" ] && [ "$(grep " $g\$" <<<"$r")" = "$h $g" ] || { echo "$g: cluster: '$h', seen: $r" >&2; return 1; }
	done
}
status_of() { client hospes-probe ask "$(guest_ip $1):7007" status --timeout 20 || echo '{}'; }
boot_of() { status_of $1 | jq -r .boot_id; }
host_of() { dom $1 host; }
guest_on() { local g; for g in "${GUESTS[@]}"; do [ "${ON[$g]}" != $1 ] || echo $g; done; } # HOST: as noted
note_all() {
	local g
	declare -gA BOOT=() ON=() STARTS=() ERRORS=() SEEN=()
	fetch_witnesses
	for g in "${GUESTS[@]}"; do
		read -r BOOT[$g] ERRORS[$g] < <(status_of $g | jq -r '"\(.boot_id) \(.errors)"')
		ON[$g]=$(host_of $g) STARTS[$g]=$(starts_of $g)
	done
}
starts_of() { witness_starts $1 | tail -n 1 | cut -d ' ' -f 2; }
# The witnesses as they are on the server
fetch_witnesses() { local g; for g in "${GUESTS[@]}"; do at nfs base64 $EXPORT/$g.wit | base64 -d >"$SHARED/$g.wit"; done; }
watch_loop() {
	local before='' now
	while sleep 5; do
		now=$(running | sort)
		# a copy that is seen on two hosts, twice in a row
		comm -12 <(doubles "$before") <(doubles "$now") | sed "s/^/$(date +%T) twice: /"
		before=$now
		echo .
	done
}
watched() { [ "$(grep -c '^\.$' "$WATCH_OUT")" -gt 2 ]; }
doubles() { awk 'n[$2]++ { print $2 }' <<<"$1" | sort -u; }
# judge TEXT HOST...: all is well again; guests of these hosts may have started again, once. What became of them is said.
judge() {
	local text=$1 g again='' needless='' errors
	shift
	eventually 300 clus_whole
	eventually 400 all_run
	eventually 200 watched
	watch_stop
	fetch_witnesses
	for g in "${GUESTS[@]}"; do
		witness_ok $g
		errors=${ERRORS[$g]}
		if [ "$(boot_of $g)" != "${BOOT[$g]}" ]; then
			again+=" $g" errors=${SEEN[$g]:-0}
			[[ " $* " = *" ${ON[$g]} "* ]] && [ "$(starts_of $g)" -eq $((STARTS[$g] + 1)) ] || needless+=" $g"
		fi
		jq -e --argjson e $errors '.errors == $e' <<<"$(status_of $g)" >/dev/null
	done
	said "$text; 0 double, 0 late, 0 lost; started again:${again:- none}; well again after $((SECONDS - T0)) s"
	[ -z "$needless" ] || { echo "started again without need:$needless" >&2; return 1; }
}
# Seconds since the fault in TOOK, once a host other than HOST runs GUEST
taken_over_in() { # GUEST HOST SECONDS
	eventually $3 runs_off $1 $2
	TOOK=$((SECONDS - T0))
}
runs_off() { clus_report | jq -e --arg g $1 --arg h $2 '.domains[] | select(.name == $g) | .state == "running" and .host != $h' >/dev/null; }
agent() { # HOST: the others know its power switch
	local o
	for o in $(other_hosts $1); do
		at $o sh -c "umask 077; echo '{\"agent\": \"fence_qemu\", \"action\": \"off\", \"timeout_s\": 60, \"options\": {\"port\": \"$1\"}}' >/etc/hospes/fence.d/$1.json"
	done
}
no_agent() { local o; for o in $(other_hosts $1); do at $o rm -f /etc/hospes/fence.d/$1.json; done; }

policy() { # KEY=VALUE...
	local h
	for h in $(hosts_up); do
		if vc $h policy "$@" >/dev/null; then return 0; fi
	done
	return 1
}

copies_of() { at $1 pgrep -x hvdom; }
# HOST PID...: its uptime once these are gone
until_gone() {
	# shellcheck disable=SC2016 # for the shell there
	at $1 sh -c 'for p; do while [ -e /proc/$p ]; do sleep 0.1; done; done; cut -d " " -f 1 /proc/uptime' sh "${@:2}"
}
machine_boot() { at $1 cat /proc/sys/kernel/random/boot_id; }
rebooted() { local now; now=$(machine_boot $1) && [ "$now" != "$2" ]; } # HOST BOOT_ID
bitten() { grep -q '"WATCHDOG"' "$VM/$1.events"; }
# Services of HOST end now, and systemd starts them again only when the machine has been restarted
kill_for_good() { # HOST SERVICE...
	# shellcheck disable=SC2016 # for the shell there
	at $1 sh -c 'for u; do
			d=/run/systemd/system/$u.service.d
			mkdir -p $d
			printf "[Service]\nRestart=no\n" >$d/no-restart.conf
		done
		systemctl daemon-reload
		systemctl kill --kill-whom=main --signal=KILL "$@"' sh "${@:2}"
}
# The watchdog resets HOST, others run GUEST, and HOST is back
watchdog_resets() { # HOST GUEST BOOT_ID
	eventually 60 bitten $1
	RESET=$((SECONDS - T0))
	taken_over_in $2 $1 300
	eventually 300 rebooted $1 $3
}

# The server knows a lock of the disk of GUEST
locked() { at nfs sh -c "grep -q \":\$(stat -c %i $EXPORT/$1.img) \" /proc/locks" || { echo "no lock on $1.img" >&2; return 1; }; }
written() { AT_WAIT=10 at nfs sh -c "dd if=$EXPORT/$1.wit bs=512 count=1 status=none | tr -d '\\0'"; }
# GUEST: it writes again, since T0 after TOOK seconds; asked when the server answers
until_written() {
	local before
	before=$(written $1)
	eventually 300 changed $1 "$before"
	TOOK=$((SECONDS - T0))
}
changed() { local now; now=$(written $1) && [ "$now" != "$2" ]; }
nfs_lease_now() { at nfs cat /proc/fs/nfsd/nfsv4leasetime; }
# The server gets another lease time, which it takes when nfsd starts; guests write again
nfs_lease() { # SECONDS
	at nfs sed -i "s/^\(lease\|grace\)-time=.*/\1-time=$1/" /etc/nfs.conf
	AT_WAIT=200 at nfs systemctl restart nfs-server
	[ "$(nfs_lease_now)" = $1 ]
	until_written guest02
}
violation_of() { dd if="$SHARED/$1.wit" bs=512 skip=1 count=1 status=none | tr -d '\0'; }
# What the witness of GUEST saw so far does not count any more
forgive() { at nfs dd if=/dev/zero of=$EXPORT/$1.wit bs=512 seek=1 count=1 conv=notrunc status=none; }
cut_link() { # MACHINE SECONDS
	ip -n "$VM_NS" link set "lab-${1#host-}" down
	sleep $2
	ip -n "$VM_NS" link set "lab-${1#host-}" up
}
# ---- cases ----------------------------------------------------------------------------------------------------------------

@test "the NFS server stands still for 5 s" { vm_pause nfs 5; judge "NFS stall of 5 s"; }
@test "the NFS server stands still for 20 s" { vm_pause nfs 20; judge "NFS stall of 20 s"; }
@test "the NFS server stands still for 60 s" { vm_pause nfs 60; judge "NFS stall of 60 s"; }
@test "the NFS server stands still for 120 s" { vm_pause nfs 120; judge "NFS stall of 120 s"; }

@test "the link to the NFS server is cut for 60 s: its clock goes on, all leases end, the locks are still there" {
	cut_link nfs 60
	judge "NFS cut off for 60 s"
	locked guest02
}

@test "the NFS server's daemon restarts: locks come back" {
	AT_WAIT=200 at nfs systemctl restart nfs-server
	until_written guest02
	judge "restart of nfsd (lease and grace $HOSPES_VM_NFS_LEASE s): guest02 wrote again after $TOOK s"
	locked guest02
}

@test "the NFS server's machine is reset while guests write: locks come back" {
	local id
	id=$(machine_boot nfs)
	T0=$SECONDS
	qmp nfs system_reset >/dev/null
	eventually 300 rebooted nfs $id
	until_written guest02
	judge "reset of the NFS server (lease and grace $HOSPES_VM_NFS_LEASE s): guest02 wrote again after $TOOK s"
	locked guest02
}

@test "the NFS server has Debian's lease of 90 s, and its daemon restarts: locks come back" {
	nfs_lease 90
	T0=$SECONDS
	AT_WAIT=200 at nfs systemctl restart nfs-server
	until_written guest02
	judge "restart of nfsd (lease and grace 90 s): guest02 wrote again after $TOOK s"
	locked guest02
	nfs_lease "$HOSPES_VM_NFS_LEASE"
}

@test "pause of 5 s: nothing" {
	vm_pause ${ON[guest01]} 5
	judge "pause of ${ON[guest01]} for 5 s"
}

@test "pause of 30 s, clocks and all: nobody takes over what nobody knows to be dead" { pause_alone ${ON[guest01]} 30; }
pause_alone() { # HOST SECONDS
	vm_pause_begin $1
	sleep $2
	clus_report | jq -e --arg h $1 '.domains[] | select(.name == "guest01") | .host == $h' >/dev/null
	vm_continue $1
	judge "pause of $1 for $2 s, without a fence agent" $1
}

@test "pause of 120 s of a host whose power switch others use: it is off, and does not go on" {
	local h=${ON[guest02]}
	agent $h
	T0=$SECONDS
	vm_pause_begin $h
	taken_over_in guest02 $h 200
	[ ! -e "$VM/hosts/$h/init.pid" ] # since before: only then is it elsewhere
	sleep $((TOOK < 120 ? 120 - TOOK : 0))
	vm_power_on $h
	judge "pause of $h for 120 s, with a fence agent: guest02 elsewhere after $TOOK s" $h
	no_agent $h
}

# What the policy is a word for does not hold here. Nothing keeps the old copies from the witness's file, which nobody locks, but that they end soon; the disk
# that is locked is lost to them, for its server knows whose lease is over.
@test "pause of 30 s under stopping_clocks=trust: others take over meanwhile; it goes on, and the old copies end" {
	local h=${ON[guest02]} g late='' stood from copies
	stood=$(clock_stood $h)
	policy stopping_clocks=trust
	copies=$(copies_of $h)
	from=$(at $h cut -d ' ' -f 1 /proc/uptime)
	T0=$SECONDS
	vm_pause_begin $h
	sleep 30
	has_left guest02 $h
	vm_continue $h
	# by its own clock, which stood still: no longer than this after the pause
	ENDED=$(until_gone $h $copies)
	eventually 100 clock_stood_again $h $stood
	taken_over_in guest02 $h 300
	eventually 300 all_run
	fetch_witnesses
	for g in "${GUESTS[@]}"; do
		[ -n "$(violation_of $g)" ] || continue
		[ ${ON[$g]} = $h ]
		late+=" $g" SEEN[$g]=$(status_of $g | jq .errors)
		forgive $g
	done
	judge "pause of $h for 30 s, stopping_clocks=trust: guest02 elsewhere after $TOOK s; the old copies were gone after $(awk "BEGIN { printf \"%.1f\", $ENDED - $from }") s; late on a witness:${late:- none}" $h
	policy stopping_clocks=fence
}
clock_stood() { vc $1 events --json | jq -s 'map(select(.kind == "clock-stood")) | length'; }
clock_stood_again() { local n; n=$(clock_stood $1) && [ "$n" -gt $2 ]; } # HOST BEFORE
has_left() { [ "$(host_of $1)" != $2 ] || { echo "$1 is still given to $2" >&2; return 1; }; } # GUEST HOST

@test "power off: the power switch says so, others take over" {
	local h=${ON[guest02]}
	agent $h
	T0=$SECONDS
	vm_power_off $h
	taken_over_in guest02 $h 200
	vm_power_on $h
	judge "power off of $h, with a fence agent: guest02 elsewhere after $TOOK s" $h
	no_agent $h
}

@test "kill -9 of the guard: it is back, and nothing else" {
	local h=${ON[guest03]} id
	id=$(machine_boot $h)
	at $h systemctl kill --kill-whom=main --signal=KILL hospes-guard
	eventually 30 at $h systemctl -q is-active hospes-guard
	sleep 25
	[ "$(machine_boot $h)" = "$id" ]
	judge "kill -9 of the guard on $h: no reset"
}

@test "the guard is stopped: the watchdog resets the machine, others take over at the end of the lease" {
	local h=${ON[guest02]} id
	id=$(machine_boot $h)
	policy stopping_clocks=trust
	vm_listen $h
	T0=$SECONDS
	at $h systemctl kill --kill-whom=main --signal=STOP hospes-guard
	watchdog_resets $h guest02 $id
	judge "SIGSTOP of the guard on $h: reset after $RESET s, guest02 elsewhere after $TOOK s" $h
	policy stopping_clocks=fence
}

@test "the guard is killed and not started again: clusterd ends the guests, the watchdog resets the machine" {
	local h=${ON[guest02]} id copies
	id=$(machine_boot $h)
	copies=$(copies_of $h)
	policy stopping_clocks=trust
	vm_listen $h
	kill_for_good $h hospes-guard
	T0=$SECONDS
	AT_WAIT=20 until_gone $h $copies # before the reset: after it there would be no answer
	ENDED=$((SECONDS - T0))
	watchdog_resets $h guest02 $id
	judge "kill -9 of the guard on $h, for good: guests there ended within $ENDED s, reset after $RESET s, guest02 elsewhere after $TOOK s" $h
	policy stopping_clocks=fence
}
