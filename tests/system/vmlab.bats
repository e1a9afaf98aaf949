# SPDX-License-Identifier: GPL-2.0-or-later
# The lab itself: what the other system tests stand on. No guests and no daemons of ours are needed.
load lib

setup_file() { lab_up 2; }
setup() { need_root; }

netns_of() { ip netns list | grep "hospes-$1-"; }
ping_ok() { on host-a ping -c 1 -W 1 -q host-b; }

@test "hosts have their own names, addresses, directories, and reach each other" {
	[ "$(on host-a hostname)" = host-a ]
	[ "$(on host-b hostname)" = host-b ]
	on host-a sh -c 'echo a >/var/lib/hospes/mine; echo a >/etc/hospes/mine; echo a >/run/mine; echo a >/dev/shm/mine'
	run on host-b ls /var/lib/hospes/mine /etc/hospes/mine /run/mine /dev/shm/mine
	[ "$status" -ne 0 ] && [[ $output != */mine ]]
	[ ! -e /run/mine ] && [ ! -e /dev/shm/mine ] && [ ! -e /etc/hospes/mine ]
	ping_ok
	client ping -c 1 -W 1 -q 10.77.0.102
}

@test "the shared directory is one for all" {
	on host-a sh -c 'echo hello >/var/lib/hospes/shared/note'
	[ "$(on host-b cat /var/lib/hospes/shared/note)" = hello ]
	[ "$(cat "$SHARED/note")" = hello ]
}

@test "exec passes status, input and output on" {
	run on host-a sh -c 'exit 7'
	[ "$status" -eq 7 ]
	[ "$(echo text | on host-a cat)" = text ]
}

@test "the processes of a host cannot see those of another" {
	on host-a sh -c 'sleep 4321 >/dev/null 2>&1 &'
	on host-a pgrep -f '^sleep 4321'
	not on host-b pgrep -f '^sleep 4321'
}

@test "power loss ends every process, and start boots the host with its files" {
	on host-b sh -c 'echo kept >/var/lib/hospes/kept; echo lost >/run/lost; (setsid sleep 9876 >/dev/null 2>&1 &)'
	vmlab kill host-b
	[ "$(vmlab status --json | jq -r '.hosts[1].state')" = down ]
	not pgrep -f '^sleep 9876'
	run ping_ok
	[ "$status" -ne 0 ]
	run on host-b true
	[ "$status" -ne 0 ] && [[ $output = *"is down"* ]]
	vmlab start host-b
	[ "$(on host-b cat /var/lib/hospes/kept)" = kept ]
	run on host-b ls /run/lost
	[ "$status" -ne 0 ]
	eventually 5 ping_ok
}

@test "cut, one-way cut and heal" {
	vmlab cut host-b
	run ping_ok
	[ "$status" -ne 0 ]
	vmlab heal host-b
	eventually 5 ping_ok
	for way in in out; do
		vmlab cut host-b --oneway $way
		[ "$(vmlab status --json | jq -r '.hosts[1].link')" = cut-$way ]
		run ping_ok
		[ "$status" -ne 0 ]
		vmlab heal host-b
		eventually 5 ping_ok
	done
	[ "$(vmlab status --json | jq -r '.hosts[1].link')" = ok ]
}

@test "loss drops some frames, not all" {
	vmlab slow host-b --loss 30 || skip "this kernel has no random drop"
	run on host-a ping -c 100 -i 0.01 -W 1 -q host-b
	vmlab heal host-b
	[[ $output =~ \ ([0-9]+)\ received ]]
	[ "${BASH_REMATCH[1]}" -gt 5 ] && [ "${BASH_REMATCH[1]}" -lt 95 ]
}

@test "rate limits the link" {
	vmlab slow host-b --rate 40 || skip "this kernel has no token bucket filter"
	on host-b sh -c 'busybox nc -l -p 999 -e /bin/sh -c "cat >/dev/null; echo done"' 3>&- &
	sleep 0.3
	local t0=${EPOCHREALTIME/./}
	on host-a sh -c '{ head -c 5000000 /dev/zero; } | timeout 20 busybox nc 10.77.0.102 999 >/dev/null' || true
	local ms=$(((${EPOCHREALTIME/./} - t0) / 1000))
	vmlab heal host-b
	kill %1 2>/dev/null || true
	# 5 MB at 40 Mbit/s take a second
	[ "$ms" -gt 700 ] || { echo "took $ms ms" >&2; false; }
}

@test "two labs at once, and down leaves nothing" {
	local other=${VMLAB_NAME}x
	VMLAB_NAME=$other vmlab up 1 --no-cluster
	[ "$(VMLAB_NAME=$other vmlab exec host-a hostname)" = host-a ]
	VMLAB_NAME=$other vmlab exec host-a sh -c '(setsid sleep 7654 >/dev/null 2>&1 &)'
	VMLAB_NAME=$other vmlab down
	not netns_of "$other"
	[ ! -e "$VMLAB_DIR/$other" ] && [ ! -e "$VMLAB_DIR/$other.lock" ]
	not pgrep -f '^sleep 7654'
	not grep -q "$VMLAB_DIR/$other" /proc/mounts
	ping_ok
}

@test "each host serves libvirt's clients" {
	command -v virsh >/dev/null || skip "missing: virsh (libvirt-clients)"
	local other=${VMLAB_NAME}z pid
	at() { VMLAB_NAME=$other vmlab exec host-a "$@"; }
	listed() { at virsh -q -c hospes:///system list --all; }
	VMLAB_NAME=$other vmlab down >/dev/null 2>&1 # of a try before
	VMLAB_VIRTD=yes VMLAB_NAME=$other vmlab up 1 --no-cluster
	eventually 10 listed
	VMLAB_NAME=$other vmlab status --json | jq -e '.hosts[0].services["hospes-virtd"] != null'
	pid=$(at pidof hospes-virtd)
	VMLAB_NAME=$other vmlab service host-a kill virtd
	[ "$(at pidof hospes-virtd)" != "$pid" ]
	eventually 10 listed
	VMLAB_NAME=$other vmlab down
}

@test "down removes what a killed vmlab left half made" {
	local other=${VMLAB_NAME}y pid delay
	for delay in 0.05 0.2 0.4; do
		VMLAB_NAME=$other vmlab up 3 --no-cluster >/dev/null 2>&1 3>&- &
		pid=$!
		sleep $delay
		kill -KILL $pid 2>/dev/null || true
		wait $pid || true
		VMLAB_NAME=$other vmlab down
		not netns_of "$other"
		[ ! -e "$VMLAB_DIR/$other" ]
	done
}

@test "wrong use says what is right" {
	run vmlab up 99
	[ "$status" -eq 1 ] && [[ $output = *"1 to 20"* ]]
	run vmlab up
	[ "$status" -eq 1 ] && [[ $output = *exists* ]]
	run vmlab kill host-z
	[ "$status" -eq 1 ] && [[ $output = *"no host"*host-a* ]]
	run vmlab frobnicate
	[ "$status" -eq 2 ]
	VMLAB_NAME='../etc' run vmlab down
	[ "$status" -eq 1 ]
}

@test "the probe sees a cut, counts no loss that TCP repaired, and sees a reset" {
	need_guest workload
	on host-a "$(readlink -f "$top_builddir/guests/workload")" run >/dev/null 2>&1 3>&- &
	client hospes-probe wait 10.77.0.101:7
	(sleep 0.7; vmlab cut host-a; sleep 0.4; vmlab heal host-a) 3>&- &
	run sh -c "vmlab client hospes-probe echo 10.77.0.101 --seconds 2 2>/dev/null"
	[ "$status" -eq 0 ]
	jq -e '.lost == 0 and .resets == 0 and .longest_gap_ms > 350 and .answers > 100' <<<"$output"
	(sleep 0.5; on host-a pkill -KILL workload) 3>&- &
	run sh -c "vmlab client hospes-probe echo 10.77.0.101 --seconds 3 2>/dev/null"
	[ "$status" -eq 1 ]
	jq -e '.resets >= 1' <<<"$output" || { echo "$output" >&2; false; }
}
