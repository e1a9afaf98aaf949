# SPDX-License-Identifier: GPL-2.0-or-later
# How a guest's writes are found, under the kernel of the machine that `make check-kernels` boots (kvm/machine.bash): Debian's 6.1 and 6.12. Each
# round's audit compares all memory; what the kernel itself does with memory meanwhile (huge pages, KSM, swap) must not matter.
load lib
load qemu_guests

THP=/sys/kernel/mm/transparent_hugepage/shmem_enabled

setup() {
	qemu_setup 60
	HOSPES_QEMU_TYPE=
	[ "$(qemu_type)" = kvm ] || skip "no working /dev/kvm: this is for the machine of kvm/machine.bash"
	# by which method a guest under QEMU is tracked here
	if [ "$(printf '6.7\n%s\n' "$(uname -r)" | sort -V | head -n 1)" = 6.7 ]; then BY=pagemap-scan; else BY=soft-dirty; fi
}
hv() { on host-a "$top_builddir/tests/system/hvtool" "$g" "$@"; }
# rounds N MODE BY: as hvtool has them; all but the last audit find nothing
rounds() {
	run hv @1 map "logdirty:$2:1" "rounds:$1:50" logdirty-off
	echo "# $(uname -r): $(grep ' rounds, ' <<<"$output" | tr -s ' ')" >&3
	[ "$status" -eq 0 ] || { echo "$output"; return 1; }
	[[ $output = *"$1 rounds"*"by $3"* ]]
}
# as rounds, while somebody else wants most of the machine's memory again and again; where it swaps, more than there is
short_of_memory() {
	(while :; do
		free=$(awk '$1 == "MemAvailable:" { free = $2 } $1 == "SwapTotal:" { swap = $2 } END { print int(free / 1024 * 0.7) + (swap ? int(free / 1024 * 0.3) + 150 : 0) }' /proc/meminfo)
		head -c "${free}M" /dev/zero | tail -c "${free}M" >/dev/null
	done) 3>&- &
	local hog=$! rc=0
	rounds "$@" || rc=1
	kill "$hog" && pkill -P "$hog" || true
	wait "$hog" 2>/dev/null || true
	return $rc
}

@test "unit tests of tracking, with nothing skipped that this kernel has" {
	cd "$top_builddir"
	for t in test_logdirty test_qholes test_qsoft test_qtrack test_trackrules; do
		run "tests/unit/$t"
		echo "$output"
		[ "$status" -eq 0 ]
		case $t:$BY in
		test_qsoft:pagemap-scan | test_trackrules:soft-dirty) ;;
		*) [[ $output != *SKIPPED* ]] ;;
		esac
	done
}

@test "a guest under QEMU: no write is missed; dominfo says how they are found" {
	qemu_up host-a "$g" mem=128 load=full dirty=8
	[ "$(on host-a vmctl dominfo "$g" --json | jq -r .logdirty)" = $BY ]
	rounds "${HOSPES_ROUNDS:-100}" 0 $BY
	rounds 5 2 hash
	guest_sound "$g"
	guest_remove "$g"
}

@test "pushes of both engines: memory, disk and connection are whole, and no write is missed" {
	local e boot by h
	for e in qemu pv; do
		HOSPES_ENGINE=$e by=$BY
		if [ $e = qemu ]; then
			guest_define host-a "$g" mem=128 load=light dirty=4 vcpus=2
		else
			# a guest in user mode is tracked by PAGEMAP_SCAN or not at all
			[ $BY = pagemap-scan ] || by=hash
			g=guest77
			guest_define host-a $g mem=128 load=light dirty=4
		fi
		# QEMU takes longer to answer there than a push waits for it; what it answered is kept
		for h in host-a host-b; do on $h hvdom --check "/var/lib/hospes/shared/$g.xml"; done
		on host-a vmctl start "$g"
		qemu_wait "$g"
		boot=$(guest_boot_id "$g")
		client_start "$g"
		pushes "$g" "${HOSPES_PUSHES:-4}" --downtime 5000 # an emulated machine takes seconds, the audit most of them
		client_stop
		echo "# $(uname -r): $e, $(jq -r '"by \(.logdirty), \(.rounds) rounds, downtime \(.downtime_ms) ms"' <<<"$PUSH_JSON"); client: $CLIENT_JSON" >&3
		[ "$(jq -r .logdirty <<<"$PUSH_JSON")" = $by ]
		[ "$(guest_boot_id "$g")" = "$boot" ]
		guest_sound "$g"
		guest_remove "$g"
	done
}

@test "a guest under QEMU: the kernel merges pages, and swaps, while it is tracked" {
	qemu_up host-a "$g" mem=128 load=full dirty=8
	echo 1 >/sys/kernel/mm/ksm/run
	rounds 15 0 $BY
	echo 0 >/sys/kernel/mm/ksm/run
	# swap that comes while it is tracked
	modprobe zram && echo 1G >/sys/block/zram0/disksize && mkswap /dev/zram0 >/dev/null
	(sleep 5; swapon /dev/zram0) 3>&- &
	short_of_memory 20 0 $BY
	wait || true
	grep -q zram0 /proc/swaps
	[ "$(awk '$1 == "pswpout" { print $2 }' /proc/vmstat)" -gt 0 ]
	local by=$BY
	[ $BY = pagemap-scan ] || by=hash
	[ "$(on host-a vmctl dominfo "$g" --json | jq -r .logdirty)" = $by ]
	guest_sound "$g"
	guest_remove "$g"
	swapoff -a
	echo 1 >/sys/block/zram0/reset
}

@test "a guest under QEMU with huge pages: no write is missed" {
	local was
	was=$(sed 's/.*\[\(.*\)\].*/\1/' $THP)
	echo always >$THP
	qemu_up host-a "$g" mem=128 load=full dirty=8
	[ "$(awk '$1 == "ShmemHugePages:" { print $2 }' /proc/meminfo)" -gt 0 ]
	local by=$BY
	[ $BY = pagemap-scan ] || by=hash
	rounds 20 0 $by
	echo "$was" >$THP
	guest_sound "$g"
	guest_remove "$g"
}
