#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# demo.bash BUILD-DIR [--keep] [--hosts N] [--engine pv|qemu]: what `quickstart demo` shows: hosts on this machine, a guest, a client that talks to it all the
# time, the guest moving from host to host and back. Ends with a table and leaves nothing behind, or with --keep tells how to play on.
# With --engine qemu the guest is a Debian with two processors that boots from its own disk, by BIOS, GRUB and its own kernel. Exit status 0 only if the guest really moved, its memory was verified and the client lost nothing.
set -uo pipefail

build=$(readlink -f "${1:?usage: demo.bash BUILD-DIR [--keep] [--hosts N] [--engine pv|qemu]}")
shift
keep='' hosts=2 engine=pv
while [ $# -gt 0 ]; do
	case $1 in
	--keep) keep=1 ;;
	--hosts) hosts=${2:-}; shift ;;
	--engine) engine=${2:-}; shift ;;
	*) echo "demo: unknown option '$1' (--keep, --hosts N, --engine pv|qemu)" >&2; exit 2 ;;
	esac
	shift
done
[[ $hosts =~ ^[2-9]$ ]] || { echo "demo: --hosts 2 to 9" >&2; exit 2; }
case $engine in pv | qemu) ;; *) echo "demo: --engine pv or qemu" >&2; exit 2 ;; esac

demo=demo guest=guest01 ip=10.77.0.11
# shellcheck source=tools/demo_common.bash
. "${0%/*}/demo_common.bash"

title "Hosts: namespaces on this machine, each with its own migrated"
vmlab up "$hosts" --no-cluster || fail "the lab did not come up"
vmlab status

shared=$(vmlab dir)
if [ "$engine" = pv ]; then
	title "Guest: a Linux of its own (256 MiB), about 40 processes that compute, fork, write to disk, and check themselves"
	cp "$build/guests/initramfs.img" "$shared/" || fail "no guests (make guests)"
	truncate -s 64M "$shared/$guest.img"
	mke2fs -q -F -t ext4 "$shared/$guest.img" || fail "no disk"
	type=uml mem=256 vcpus=1 patience=30
	os="<type>linux</type>
	    <kernel>/usr/bin/linux.uml</kernel>
	    <initrd>/var/lib/hospes/shared/initramfs.img</initrd>
	    <cmdline>hospes.ip=$ip/24 hospes.name=$guest load=full</cmdline>"
else
	title "Guest: Debian as it is (512 MiB, 2 processors): BIOS, GRUB, its own kernel, systemd; processes that compute, fork, and check themselves"
	cp --sparse=always "$build/guests/stock.img" "$shared/$guest.img" || fail "no guests (make guests)"
	type=qemu mem=512 vcpus=2 patience=300
	os="<type machine='q35'>hvm</type>"
fi
cat >"$shared/$guest.xml" <<-EOF
	<domain type='$type'>
	  <name>$guest</name>
	  <memory unit='MiB'>$mem</memory>
	  <vcpu>$vcpus</vcpu>
	  <os>
	    $os
	  </os>
	  <devices>
	    <disk type='file' device='disk'>
	      <source file='/var/lib/hospes/shared/$guest.img'/>
	      <target dev='vda' bus='virtio'/>
	    </disk>
	    <interface type='bridge'>
	      <mac address='52:54:00:77:00:0b'/>
	      <source bridge='br0'/>
	      <model type='virtio'/>
	    </interface>
	    <console type='pty'><target type='virtio'/></console>
	  </devices>
	</domain>
EOF
t0=${EPOCHREALTIME/./}
vmlab exec host-a vmctl define "/var/lib/hospes/shared/$guest.xml" || fail "define failed"
vmlab exec host-a vmctl start "$guest" || fail "start failed"
vmlab client hospes-probe wait $ip:7 --timeout $patience || fail "$guest does not answer"
echo "$guest answers on the network after $(((${EPOCHREALTIME/./} - t0) / 1000)) ms"
sleep 2
ask() { vmlab client hospes-probe ask $ip:7007 "$1" --timeout 30; }
ask 'fill 32' >/dev/null || fail "the guest's status port does not answer"
before=$(ask status) || fail "the guest's status port does not answer"

title "Client: one TCP connection, a message every 10 ms, from now until the end"
vmlab client hospes-probe echo $ip >"$tmp/client" 2>"$tmp/client.err" &
pids[client]=$!
sleep 1
kill -USR1 "${pids[client]}"
sleep 0.2
jq -r '"\(.answers) answers, median round trip \(.rtt_median_ms) ms, longest gap \(.longest_gap_ms) ms"' <"$tmp/client" || fail "no client: $(cat "$tmp/client.err")"

# The bar: a line per report, over the last one on a terminal
progress() {
	local start='' end=$'\n'
	if [ -t 1 ]; then start=$'\r\e[K' end=''; fi
	# shellcheck disable=SC2016 # jq's
	jq --unbuffered -j --arg bol "$start" --arg eol "$end" 'def mib: . / 1048576 * 10 | round / 10 | tostring + " MiB";
		select(.type == "progress") | ([20 - 20 * .remaining_bytes / ([.memory_total, 1] | max), 0] | max | round) as $n |
		$bol + "[" + ("#" * $n // "") + ("." * (20 - $n) // "") + "] \(.phase), round \(.round): sent \(.sent_bytes | mib), " +
		"\(.remaining_bytes | mib) left, \(.bandwidth_bps | mib)/s, dirty \(.dirty_pages_per_s) pages/s, ETA \(.eta_ms) ms" + $eol'
	[ ! -t 1 ] || echo
}

# one push per neighbour, and home again
route=()
for ((i = 1; i < hosts; i++)); do route+=("host-$(tr 0-9 a-j <<<"$i")"); done
route+=(host-a)
from=host-a moved=0
: >"$tmp/table"
for to in "${route[@]}"; do
	title "vmmig push $guest $to"
	vmlab exec "$from" vmmig push "$guest" "$to" --json </dev/null 2>"$tmp/push.err" | tee "$tmp/push" | progress
	[ "${PIPESTATUS[0]}" -eq 0 ] || fail "the push failed: $(tail -n 1 "$tmp/push" | jq -r .error) $(cat "$tmp/push.err")"
	result=$(tail -n 1 "$tmp/push")
	[ "$(jq -r .status <<<"$result")" = completed ] || fail "the push did not complete: $result"
	sleep 0.5
	kill -USR1 "${pids[client]}"
	sleep 0.2
	gap=$(tail -n 1 "$tmp/client" | jq .mark_gap_ms)
	# does it run there, and only there?
	for h in $(vmlab status --json | jq -r '.hosts[].name'); do
		state=$(vmlab exec "$h" vmctl list --all --json | jq -r --arg n $guest '.[] | select(.name == $n) | .state')
		if [ "$h" = "$to" ]; then [ "$state" = running ] || fail "$guest is '$state' on $to"
		else [ "$state" != running ] || fail "$guest runs on $h too"; fi
	done
	now=$(ask status) || fail "$guest does not answer after the push"
	jq -e '.ok and .errors == 0 and .running == .workers' <<<"$now" >/dev/null || fail "the guest found wrong data: $now"
	# 32 MiB that the guest filled before the first push and reads back now, besides the 32 MiB that it rewrites and checks all the time
	held=$(ask hash)
	jq -e '.ok and .bad == 0 and .pages == 8192' <<<"$held" >/dev/null || fail "the guest's memory is not what it was: $held"
	[ "$(jq -r .boot_id <<<"$now")" = "$(jq -r .boot_id <<<"$before")" ] || fail "this is another boot of the guest"
	jq -r --arg gap "$gap" \
		'[.from + " > " + .to, (.total_ms | round), (.downtime_ms * 10 | round / 10), $gap, .rounds, (.sent_bytes / 1048576 * 10 | round / 10),
		(.ram_bytes / 1048576 | round), "yes"] | @tsv' <<<"$result" >>"$tmp/table"
	from=$to moved=$((moved + 1))
done

kill -INT "${pids[client]}"
wait "${pids[client]}"
client_rc=$?
unset 'pids[client]'
last=$(tail -n 1 "$tmp/client")
now=$(ask status)

title "Result"
{
	printf 'PUSH\tTOTAL ms\tDOWNTIME ms\tCLIENT GAP ms\tROUNDS\tSENT MiB\tRAM MiB\tVERIFIED\n'
	cat "$tmp/table"
} | awk -F'\t' '{ printf "%-18s %9s %12s %14s %7s %9s %8s %9s\n", $1, $2, $3, $4, $5, $6, $7, $8 }'
jq -r '"guest:  \(.sum) pages rewritten and \(.counter) counts verified, \(.forker) processes forked, \(.disk) disk pieces written and read back, \(.errors) errors"' <<<"$now"
jq -r '"client: \(.messages) messages, \(.lost) lost, \(.corrupt) wrong, \(.resets) resets, longest gap \(.longest_gap_ms) ms"' <<<"$last"
[ $client_rc -eq 0 ] || fail "the client's connection suffered"
[ "$moved" -eq ${#route[@]} ] || fail "not every push was made"
printf '%sThe guest moved %d times while it worked; its memory, disk and connection are whole.%s\n' "$green" "$moved" "$off"

if [ -n "$keep" ]; then
	title "The lab stays up. To play on:"
	cat <<-EOF
	export PATH=$build/tools:\$PATH VMLAB_NAME=$VMLAB_NAME VMLAB_DIR=$VMLAB_DIR
	vmlab status                                     # the hosts
	vmlab exec host-a vmctl list                     # guests of a host
	vmlab exec host-a vmctl console $guest          # its console
	vmlab client hospes-probe echo $ip --live --seconds 10
	vmlab exec host-a vmmig push $guest host-b      # move it
	vmlab down                                       # remove all of it
	EOF
fi
