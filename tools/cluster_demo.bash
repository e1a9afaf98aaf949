#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# cluster_demo.bash BUILD-DIR [--keep] [--engine pv|qemu|mixed]: what `quickstart cluster` shows: three hosts on this machine that are a cluster, six guests, a client
# per guest; all guests crowded on one host, balance, power loss of a host, recovery, the host's return. Ends with a table and leaves nothing
# behind, or with --keep tells how to play on. Exit status 0 only if all of it was right: one copy of each guest at any time, no connection
# lost but those of the guests whose host died; those ordered to start elsewhere within 15 s, and answering again within a minute (two under QEMU).
# With --engine qemu the guests run under QEMU, with mixed half of them do.
set -uo pipefail

build=$(readlink -f "${1:?usage: cluster_demo.bash BUILD-DIR [--keep] [--engine pv|qemu|mixed]}")
shift
keep='' engine=pv
while [ $# -gt 0 ]; do
	case $1 in
	--keep) keep=1 ;;
	--engine) engine=${2:-}; [ $# -lt 2 ] || shift ;;
	*) echo "cluster: unknown option '$1' (--keep, --engine pv|qemu|mixed)" >&2; exit 2 ;;
	esac
	shift
done
case $engine in pv | qemu | mixed) ;; *) echo "cluster: --engine pv, qemu or mixed" >&2; exit 2 ;; esac

demo=cluster
guests=(guest01 guest02 guest03 guest04 guest05 guest06)
declare -A boot=() generation=() took=()
# shellcheck source=tools/demo_common.bash
. "${0%/*}/demo_common.bash"

# pv or qemu; and for how many seconds a guest may boot
engine_of() { if [ $engine = mixed ]; then [[ $1 = *[246] ]] && echo qemu || echo pv; else echo $engine; fi; }
boot_s=60
[ $engine = pv ] || boot_s=120
ip_of() { echo "10.77.0.$((10 + 10#${1#guest}))"; }
ask() { vmlab client hospes-probe ask "$(ip_of "$1"):7007" "$2" --timeout 10; }
report() { vmlab exec "${1:-host-a}" vmclus status --json; }
domain() { report "${3:-host-a}" | jq -r --arg n "$1" --arg k "$2" '.domains[] | select(.name == $n) | .[$k]'; }
show() { vmlab exec "${1:-host-a}" vmclus status; }
# What the cluster does, as it says it, between the lines of this script
events_on() {
	events_loop "$1" "$(report "$1" | jq .generation)" &
	pids[events]=$!
}
events_loop() {
	local since=$2 new
	while sleep 0.3; do
		new=$(vmlab exec "$1" vmclus events --json --since "$since" 2>/dev/null) && [ -n "$new" ] || continue
		jq -r --arg d "$dim" --arg o "$off" '$d + "  " + .time + "  " + .text + $o' <<<"$new"
		since=$(tail -n 1 <<<"$new" | jq .index)
	done
}
events_off() {
	kill "${pids[events]}" 2>/dev/null
	wait "${pids[events]}" 2>/dev/null
	unset 'pids[events]'
}

# The last line that a client wrote after being asked
client_line() { kill -USR1 "${pids[$1]}" && sleep 0.1 && tail -n 1 "$tmp/client.$1"; }

# As the definition says, and as the host's processes show: a kernel of its own runs under QEMU
is_of_engine() { # NAME HOST
	local n
	n=$(vmlab exec "$2" pgrep -fc "^[^ ]*qemu-system-x86_64 -name guest=$1,") || true
	[ "$n" = "$([ "$(engine_of "$1")" = qemu ] && echo 1 || echo 0)" ]
}

# What a balance weighs is the mean of the last minute. Under QEMU a boot costs seconds of processor time, and so do the first moments after a
# move, when all code is translated anew: there it waits until these no longer count for much.
loads_steady() {
	[ $engine != pv ] || return 0
	local i
	echo "until the measured loads are steady"
	report >"$tmp/loads"
	for ((i = 0; i < 12; i++)); do
		sleep 10
		report >"$tmp/loads.now"
		! jq -se '[.[0], .[1] | .domains | map({(.name): .cpu_used}) | add] as [$a, $b] | all($a | keys[]; ($a[.] - $b[.]) | fabs < 0.03)' \
			"$tmp/loads" "$tmp/loads.now" >/dev/null || return 0
		mv "$tmp/loads.now" "$tmp/loads"
	done
}

# Every guest runs exactly where the cluster says and nowhere else, finds all its data right, and never saw a second copy of itself
verify() {
	local g h at state v
	for g in "${guests[@]}"; do
		at=$(domain "$g" host "$1")
		for h in $(vmlab status --json | jq -r '.hosts[] | select(.state == "up") | .name'); do
			state=$(vmlab exec "$h" vmctl list --all --json | jq -r --arg n "$g" '.[] | select(.name == $n) | .state')
			if [ "$h" = "$at" ]; then
				[ "$state" = running ] || fail "$g is '$state' on $h"
				is_of_engine "$g" "$h" || fail "$g on $h is not of engine $(engine_of "$g")"
			else [ "$state" != running ] || fail "$g runs on $h and on $at"; fi
		done
		ask "$g" status >"$tmp/status" || fail "$g does not answer"
		jq -e '.ok and .errors == 0' <"$tmp/status" >/dev/null || fail "$g found wrong data: $(cat "$tmp/status")"
		v=$(dd if="$shared/$g.wit" bs=512 skip=1 count=1 status=none | tr -d '\0')
		[ -z "$v" ] || fail "$g ran twice: $v"
	done
}

guest_xml() { # NAME
	local n=${1#guest} type=uml os='<type>linux</type>' kernel=/usr/bin/linux.uml initrd=initramfs.img cmdline=
	if [ "$(engine_of "$1")" = qemu ]; then
		type=qemu os="<type machine='q35'>hvm</type>" kernel=/var/lib/hospes/shared/qemu-kernel initrd=qemu-initramfs.img
		cmdline='console=ttyS0 quiet '
	fi
	cat <<-EOF
	<domain type='$type'>
	  <name>$1</name>
	  <uuid>6b1f6a30-0b1c-4c55-9a53-3a1f0c7d2e$n</uuid>
	  <memory unit='MiB'>128</memory>
	  <os>
	    $os
	    <kernel>$kernel</kernel>
	    <initrd>/var/lib/hospes/shared/$initrd</initrd>
	    <cmdline>${cmdline}hospes.ip=$(ip_of "$1")/24 hospes.name=$1 load=light dirty=1 cpu=5 hospes.witness=/dev/vdb</cmdline>
	  </os>
	  <devices>
	    <disk type='file' device='disk'>
	      <source file='/var/lib/hospes/shared/$1.img'/><target dev='vda' bus='virtio'/>
	    </disk>
	    <disk type='file' device='disk'>
	      <source file='/var/lib/hospes/shared/$1.wit'/><target dev='vdb' bus='virtio'/><shareable/>
	    </disk>
	    <interface type='bridge'><source bridge='br0'/><model type='virtio'/></interface>
	    <console type='pty'><target type='virtio'/></console>
	  </devices>
	</domain>
	EOF
}

title "Hosts: three namespaces on this machine, each with its own Corosync, clusterd, guard and migrated"
VMLAB_MEMORY=1GiB vmlab up 3 || fail "the lab did not come up"
report | jq -e '.quorate and ([.hosts[] | select(.state == "online")] | length == 3)' >/dev/null || { sleep 3; report | jq -e .quorate >/dev/null || fail "no quorum"; }
vmlab status

case $engine in
pv) title "Guests: six Linuxes of their own; the cluster chooses where each runs" ;;
qemu) title "Guests: six under QEMU, with Debian's kernel as it is; the cluster chooses where each runs" ;;
mixed) title "Guests: three user-mode kernels, three under QEMU with Debian's kernel as it is; the cluster chooses where each runs" ;;
esac
shared=$(vmlab dir)
cp "$build/guests/initramfs.img" "$shared/" || fail "no guests (make guests)"
[ $engine = pv ] || cp "$build"/guests/qemu-{kernel,initramfs.img} "$shared/" || fail "no guests for QEMU (install linux-image-cloud-amd64, make guests)"
for g in "${guests[@]}"; do
	truncate -s 32M "$shared/$g.img"
	truncate -s 64K "$shared/$g.wit"
	mke2fs -q -F -t ext4 "$shared/$g.img" || fail "no disk"
	guest_xml "$g" >"$shared/$g.xml"
	vmlab exec host-a vmclus define "/var/lib/hospes/shared/$g.xml" || fail "define failed"
	vmlab exec host-b vmclus start "$g" --timeout 60 || fail "start failed"
done
for g in "${guests[@]}"; do vmlab client hospes-probe wait "$(ip_of "$g"):7" --timeout $boot_s || fail "$g does not answer"; done
verify host-a
show

title "Clients: one TCP connection to each guest, a message every 10 ms, from now until the end"
for g in "${guests[@]}"; do
	vmlab client hospes-probe echo "$(ip_of "$g")" >"$tmp/client.$g" 2>"$tmp/client.$g.err" &
	pids[$g]=$!
	boot[$g]=$(ask "$g" status | jq -r .boot_id)
done
sleep 1

title "Everything on one host: vmclus move, live"
for g in "${guests[@]}"; do
	[ "$(domain "$g" host)" = host-a ] || vmlab exec host-c vmclus move "$g" host-a || fail "move failed"
done
verify host-a
show

title "vmclus balance --yes, asked of host-c"
loads_steady
vmlab exec host-c vmclus balance --yes || fail "balance failed"
verify host-a
show
used=$(report | jq -r '[.domains[].host] | unique | length')
[ "$used" -eq 3 ] || fail "after balancing only $used of 3 hosts have guests"
title "vmclus balance --yes, again"
loads_steady
vmlab exec host-b vmclus balance --yes | tee "$tmp/again" || fail "balance failed"
grep -q 'no move is worth' "$tmp/again" || fail "a second run still wanted to move something"
for g in "${guests[@]}"; do
	client_line "$g" | jq -e '.resets == 0 and .corrupt == 0 and .answers > 50' >/dev/null || fail "the client of $g suffered: $(tail -n 1 "$tmp/client.$g")"
	[ "$(ask "$g" status | jq -r .boot_id)" = "${boot[$g]}" ] || fail "$g was rebooted"
done
echo "no connection was reset, no guest was rebooted"

victim=host-b
lost=() kept=()
for g in "${guests[@]}"; do
	generation[$g]=$(domain "$g" generation)
	if [ "$(domain "$g" host)" = $victim ]; then lost+=("$g"); else kept+=("$g"); fi
done
title "Power loss of $victim, which has ${lost[*]}"
events_on host-a
t0=${EPOCHREALTIME/./}
vmlab kill $victim
started_elsewhere() {
	report host-a | jq -e --arg v $victim 'all(.domains[]; .host != $v and (.state == "starting" or .state == "running"))' >/dev/null
}
until started_elsewhere; do
	[ $(((${EPOCHREALTIME/./} - t0) / 1000)) -lt 20000 ] || break
	sleep 0.1
done
decided=$(((${EPOCHREALTIME/./} - t0) / 1000))
for g in "${lost[@]}"; do
	vmlab client hospes-probe wait "$(ip_of "$g"):7" --timeout $boot_s >/dev/null || fail "$g does not come back"
	took[$g]=$(((${EPOCHREALTIME/./} - t0) / 1000))
done
sleep 0.5
events_off
echo "$victim certainly dead and its guests' starts ordered after $decided ms; then they boot"
[ "$decided" -le 15000 ] || fail "that took longer than 15 s"
for g in "${lost[@]}"; do
	echo "$g answers again after ${took[$g]} ms, on $(domain "$g" host)"
	[ "$(domain "$g" generation)" -gt "${generation[$g]}" ] || fail "$g runs in an old generation"
	[ "$(ask "$g" status | jq -r .boot_id)" != "${boot[$g]}" ] || fail "$g is the old copy"
done
verify host-a
show

title "$victim gets power again: it resumes nothing, and takes its share"
vmlab start $victim || fail "$victim did not boot"
for ((i = 0; i < 150; i++)); do
	! report $victim 2>/dev/null | jq -e '.quorate and all(.hosts[]; .state == "online")' >/dev/null || break
	sleep 0.1
done
[ "$i" -lt 150 ] || fail "$victim did not come back into the cluster"
verify $victim
vmlab exec $victim vmclus balance --yes || fail "balance failed"
verify $victim
show $victim

title "Result"
printf '%-10s %-6s %-8s %4s  %-9s %-12s %s\n' GUEST ENGINE HOST GEN REBOOTED "AWAY ms" CLIENT
rc=0
for g in "${guests[@]}"; do
	kill -INT "${pids[$g]}"
	wait "${pids[$g]}"
	unset "pids[$g]"
	last=$(tail -n 1 "$tmp/client.$g")
	rebooted=no
	[ "$(ask "$g" status | jq -r .boot_id)" = "${boot[$g]}" ] || rebooted=yes
	printf '%-10s %-6s %-8s %4s  %-9s %-12s %s\n' "$g" "$(engine_of "$g")" "$(domain "$g" host)" "$(domain "$g" generation)" $rebooted "${took[$g]:--}" \
		"$(jq -r '"\(.messages) messages, \(.lost) lost, \(.resets) resets, longest gap \(.longest_gap_ms) ms"' <<<"$last")"
done
for g in "${kept[@]}"; do
	jq -e '.lost == 0 and .resets == 0 and .corrupt == 0' < <(tail -n 1 "$tmp/client.$g") >/dev/null || { rc=1; echo "$g: its host did not die, but its client suffered" >&2; }
done
[ $rc -eq 0 ] || fail "not all was right"
printf '%s%d guests came back by themselves, %d others noticed nothing; never were there two copies of one.%s\n' "$green" "${#lost[@]}" "${#kept[@]}" "$off"

if [ -n "$keep" ]; then
	title "The lab stays up. To play on:"
	cat <<-EOF
	export PATH=$build/tools:\$PATH VMLAB_NAME=$VMLAB_NAME VMLAB_DIR=$VMLAB_DIR
	vmlab exec host-a vmclus top                     # the cluster, live
	vmlab exec host-b vmclus move guest01 host-c     # move a guest
	vmlab exec host-b vmclus drain host-a            # empty a host
	vmlab cut host-a; vmlab heal host-a              # a partition
	vmlab down                                       # remove all of it
	EOF
fi
