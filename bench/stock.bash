# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: GPL-2.0-or-later
# The part `stock` of bench/push.bash: Debian as people have it (guests/stock.img), 1 GiB, 2 vCPUs, loaded: its own checks in 40 processes, disk
# writes, TCP. BENCH_VARIANTS chooses: raw, qcow2, uefi, scsi (disks on a virtio-scsi controller); each is moved BENCH_RUNS times, and each time
# QEMU's own migration of the same disk follows, BENCH_YARDSTICK=0: without that. BENCH_AUDIT=1: each push is audited (slower; no figures).

# stock_image FILE DISK: the image, with a guest that works as hard as it can, also on the disk that it knows as DISK
stock_image() {
	local at="$1?offset=9437184" cfg=$BATS_TEST_TMPDIR/grub.cfg
	cp --sparse=always "$build/guests/stock.img" "$1"
	debugfs -R "cat /boot/grub/grub.cfg" "$at" 2>/dev/null | sed "s|hospes.disk= load=light|hospes.disk=/dev/$2 load=full|" >"$cfg"
	grep -q load=full "$cfg"
	printf 'rm /boot/grub/grub.cfg\nwrite %s /boot/grub/grub.cfg\n' "$cfg" | debugfs -w -f - "$at" >/dev/null 2>&1
}

# stock_up NAME VARIANT: on host-a
stock_up() {
	local name=$1 variant=$2 img=$SHARED/$1.img disk=$SHARED/$1.disk bus=virtio a=vda b=vdb format=raw xml=$SHARED/$1.xml
	[ "$variant" != scsi ] || bus=scsi a=sda b=sdb
	stock_image "$img" $b
	rm -f "$disk"
	truncate -s 64M "$disk"
	mke2fs -q -F -t ext4 "$disk"
	if [ "$variant" = qcow2 ]; then
		format=qcow2
		for f in "$img" "$disk"; do qemu-img convert -O qcow2 "$f" "$f.new" && mv "$f.new" "$f"; done
	fi
	guest_xml "$name" engine=qemu mem=1024 vcpus=2 \
		xml="<disk type='file' device='disk'><driver name='qemu' type='$format'/><source file='/var/lib/hospes/shared/$name.disk'/><target dev='$b' bus='$bus'/></disk>"
	sed -i "/<kernel>/d; /<initrd>/d; /<cmdline>/d; s|dev='vda' bus='virtio'|dev='$a' bus='$bus'|; s|<disk type='file' device='disk'>\$|&<driver name='qemu' type='$format'/>|" "$xml"
	[ "$variant" != uefi ] || sed -i "s/<os>/<os firmware='efi'>/" "$xml"
	[ "$variant" != scsi ] || sed -i "s|<devices>|&<controller type='scsi' index='0' model='virtio-scsi'/>|" "$xml"
	on host-a vmctl define "/var/lib/hospes/shared/$name.xml"
	on host-a vmctl start "$name"
	client hospes-probe wait "$(guest_ip "$name"):7007" --timeout 240
	eventually 60 guest_sound "$name"
}

# own_kib PID: memory of that QEMU alone, without the guest's
own_kib() { awk -v mem=1048576 -f "$here/own_kib.awk" "/proc/$1/smaps"; }

stock_variant() { # VARIANT NUMBER
	local v=$1 g=guest1$2 i from=host-a to ours="$build/bench/stock-$1.jsonl" theirs="$build/bench/stock-$1-qemu.jsonl" boot gone=0 missed=null own pss=0 now
	: >"$ours"
	: >"$theirs"
	stock_up "$g" "$v"
	boot=$(guest_boot_id "$g")
	# after its boot, as that of the yardstick: a QEMU that just took a guest over has translated little
	own=$(own_kib "$(qemus_on host-a "$g")")
	client_start "$g"
	for ((i = 1; i <= runs; i++)); do
		to=$(other_host "$from")
		# what is lost is counted, not the end of it: how many of all there were is the figure
		if push_ok "$from" "$g" "$to" && client_whole && [ "$(guest_boot_id "$g")" = "$boot" ]; then
			jq -c --argjson c "$CLIENT_JSON" '. + {gap_ms: $c.longest_gap_ms}' <<<"$PUSH_JSON" >>"$ours"
		else
			gone=$((gone + 1))
		fi
		[ "$(running_on "$g")" != "$to" ] || from=$to
		now=$(hvdom_pss "$from")
		[ "$now" -le "$pss" ] || pss=$now
		if [ "${BENCH_YARDSTICK:-1}" = 1 ]; then
			on "$from" vmctl suspend "$g"
			stock_image "$build/bench/stock.img" vdb
			"$here/qemu.bash" "$build/bench" 1024 0 1 full 2 "$build/bench/stock.img" >>"$theirs" || echo '{"alive": false, "failed": true}' >>"$theirs"
			on "$from" vmctl resume "$g" >/dev/null
		fi
		printf '  %s %d: %s ms, downtime %s ms; lost %d; qemu %s\n' "$v" "$i" "$(jq .total_ms <<<"$PUSH_JSON")" "$(jq .downtime_ms <<<"$PUSH_JSON")" $gone \
			"$(tail -n 1 "$theirs")" >&2
	done
	# a connection that stood while the yardstick had the machine says nothing of gaps; that it was not reset does
	# the audit's word is the log's; what differed at the end failed the push as well
	[ "${BENCH_AUDIT:-0}" = 0 ] || missed=$(cat "$(vmlab dir host-a)/var/log/hospes/migrated.log" "$(vmlab dir host-b)/var/log/hospes/migrated.log" | grep -c "the dirty log missed" || true)
	kill -INT "$CLIENT_PID" 2>/dev/null || true
	wait "$CLIENT_PID" 2>/dev/null || true
	CLIENT_JSON=$(tail -n 1 "$CLIENT_OUT")
	report "$(jq -n -c --arg v "$v" --argjson n "$runs" --argjson gone "$gone" --argjson missed "$missed" --argjson c "$CLIENT_JSON" --argjson own "$own" --argjson pss "$pss" \
		--argjson h "$(stat_of "$ours" total_ms)" --argjson hd "$(stat_of "$ours" downtime_ms)" --slurpfile q "$theirs" \
		'($q | map(select(.failed | not))) as $ok | ($ok | map(.total_ms) | sort | .[length / 2 | floor]) as $qt |
		{part: "stock", variant: $v, runs: $n, whole: ($n - $gone), resets: $c.resets, lost: $c.lost, audit_missed: $missed, total_ms: $h, downtime_ms: $hd,
		hvdom_pss_kib: $pss, qemu_own_kib: $own, qemu_alone_kib: ($ok | map(.own_kib) | sort | .[length / 2 | floor]),
		qemu: {runs: ($q | length), survived: ($q | map(select(.alive)) | length), total_ms: $qt, downtime_ms: ($ok | map(.downtime_ms) | sort | .[length / 2 | floor])},
		wanted: "all whole, no reset, hvdom <= 4096 KiB", met: ($gone == 0 and $c.resets == 0 and ($missed // 0) == 0 and $pss <= 4096)}')"
	guest_remove "$g"
	rm -f "$SHARED/$g.disk"* "$SHARED/${g}_VARS.fd"*
}

part_stock() {
	local why v n=10
	! why=$(qemu_missing) || { echo "stock: skipped, $why" >&2; return 0; }
	[ -e "$build/guests/stock.img" ] || { echo "stock: skipped, missing: guests/stock.img (make guests/stock.img)" >&2; return 0; }
	# each push proves its log-dirty only where that is asked for
	for v in ${BENCH_VARIANTS:-raw qcow2 uefi}; do
		n=$((n + 1))
		stock_variant "$v" $n
	done
}
