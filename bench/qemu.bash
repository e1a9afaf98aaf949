#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# bench/qemu.bash WORKDIR MEM-MIB FILL-MIB RUNS [LOAD VCPUS [IMAGE]]: the yardstick: QEMU (TCG, no hardware support needed) migrates a guest of that
# size, holding that much memory that does not compress, over loopback, bandwidth unlimited. One JSON line per run: total_ms downtime_ms
# sent_bytes alive own_kib (of the source's QEMU, beside the guest's memory). LOAD (none, light, full): what the guest does meanwhile, with a disk and a network; alive: its own checks hold afterwards.
# IMAGE: a disk that the guest boots from by itself; it is written to. Else the kernel is Debian's cloud kernel: the guests' (`make guests`), or taken out of its package without installing it. Runs in a network
# namespace of its own.
set -euo pipefail
case $# in 4 | 6 | 7) ;; *) echo "usage: qemu.bash WORKDIR MEM-MIB FILL-MIB RUNS [LOAD VCPUS [IMAGE]]" >&2; exit 2 ;; esac
work=$1 mem=$2 fill=$3 runs=$4 load=${5:-none} vcpus=${6:-1} image=${7:-}
here=$(cd "$(dirname "$0")" && pwd)
die() { echo "qemu.bash: $*" >&2; exit 1; }
if [ -z "${HOSPES_BENCH_NS:-}" ]; then
	HOSPES_BENCH_NS=1 exec unshare -n --kill-child=KILL --fork -p --mount-proc bash "$0" "$@"
fi
ip link set lo up
command -v qemu-system-x86_64 >/dev/null || die "qemu-system-x86 is missing"
mkdir -p "$work"

devices=() net=10.0.2.0/24 addr=10.0.2.15 mac=52:54:00:12:34:56
if [ -n "$image" ]; then
	# the address of a stock guest follows from its MAC
	net=10.77.0.0/24 addr=10.77.0.15 mac=52:54:00:77:00:0f
	devices=(-drive "file=$image,format=raw,if=virtio,cache=none" -drive "file=$work/qemu.img,format=raw,if=virtio,cache=none")
elif [ "$load" = none ]; then
	kernel=$(find "$work/kernel" -name 'vmlinuz-*' 2>/dev/null | head -n 1 || true)
	[ -n "$kernel" ] || die "no kernel in $work/kernel (bench/kernel.bash makes it, with network)"
	initrd=$work/qemu-initramfs.img
	"$here/../tests/guests/mkinitramfs" "$work/../guests/workload" "$initrd" none
	ready="workload: holds $fill MiB"
else
	kernel=$work/../guests/qemu-kernel initrd=$work/../guests/qemu-initramfs.img
	[ -e "$kernel" ] || die "no kernel in $kernel (install linux-image-cloud-amd64, make guests)"
	devices=(-drive "file=$work/qemu.img,format=raw,if=virtio,cache=none")
	ready="init: .* is up"
fi

qemu() { # NAME PORT ARGS...: QMP there; the guest's status at PORT + 100
	local name=$1 port=$2
	shift 2
	[ "$load" = none ] || set -- "$@" -netdev "user,id=n,net=$net,restrict=on,hostfwd=tcp:127.0.0.1:$((port + 100))-$addr:7007" -device "virtio-net-pci,netdev=n,mac=$mac,romfile="
	[ -n "$image" ] || set -- "$@" -kernel "$kernel" -initrd "$initrd" -append "console=ttyS0 load=$load fill=$fill dirty=16 hospes.ip=$addr/24"
	qemu-system-x86_64 -name "$name" -accel tcg -cpu max -m "$mem" -smp "$vcpus" -nodefaults -display none -no-reboot -serial "file:$work/$name.log" \
		-qmp "tcp:127.0.0.1:$port,server=on,wait=off" "${devices[@]}" "$@" >"$work/$name.err" 2>&1 &
}

# The guest's own checks, at PORT: nothing lost, all its processes there
sound() {
	local s
	s=$("$work/../tools/hospes-probe" ask "127.0.0.1:$1" status --timeout 3 2>/dev/null) &&
		jq -e '.ok and .errors == 0 and .running == .workers' <<<"$s" >/dev/null
}

# qmp PORT COMMAND-JSON: the "return" of one command
qmp() {
	local line
	exec 8<>"/dev/tcp/127.0.0.1/$1"
	printf '{"execute":"qmp_capabilities"}\n%s\n' "$2" >&8
	local returns=0
	while read -r -t 10 -u 8 line; do
		case $line in *'"error"'*) die "QMP: $line" ;; *'"return"'*) returns=$((returns + 1)) ;; esac
		[ $returns -lt 2 ] || break
	done
	exec 8>&-
	echo "$line"
}

wait_for() { # SECONDS COMMAND...
	local i n=$(($1 * 10))
	shift
	for ((i = 0; i < n; i++)); do
		! "$@" 2>/dev/null || return 0
		sleep 0.1
	done
	return 1
}
qmp_up() { (exec 7<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
migration_over() { qmp 4444 '{"execute":"query-migrate"}' | grep -qE '"status": "(completed|failed)"'; }

for ((run = 1; run <= runs; run++)); do
	rm -f "$work/source.log" "$work/target.log"
	[ "$load" = none ] || { rm -f "$work/qemu.img" && truncate -s 64M "$work/qemu.img" && mke2fs -q -F -t ext4 "$work/qemu.img"; }
	qemu source 4444
	source=$!
	qemu target 4445 -incoming tcp:127.0.0.1:4446
	target=$!
	if [ -n "$image" ]; then wait_for 240 sound 4544; else wait_for 60 grep -q "$ready" "$work/source.log"; fi || { tail -n 5 "$work/source.log" "$work/source.err" >&2; die "the guest did not get ready"; }
	wait_for 10 qmp_up 4444
	wait_for 10 qmp_up 4445
	sleep 1
	[ "$load" = none ] || wait_for 60 sound 4544 || die "the guest is not sound before it moves"
	own=$(awk -v mem=$((mem << 10)) -f "$here/own_kib.awk" "/proc/$source/smaps")
	qmp 4444 '{"execute":"migrate-set-parameters","arguments":{"max-bandwidth":100000000000}}' >/dev/null
	qmp 4444 '{"execute":"migrate","arguments":{"uri":"tcp:127.0.0.1:4446"}}' >/dev/null
	wait_for 120 migration_over || die "the migration did not end"
	out=$(qmp 4444 '{"execute":"query-migrate"}')
	alive=true
	[ "$load" = none ] || wait_for 10 sound 4545 || alive=false
	jq -c --argjson alive "$alive" --argjson own "$own" '.return | if .status != "completed" then error("migration failed") else
		{total_ms: .["total-time"], downtime_ms: .downtime, sent_bytes: .ram.transferred, rounds: .ram["dirty-sync-count"], alive: $alive, own_kib: $own} end' <<<"$out"
	kill "$source" "$target"
	wait "$source" "$target" 2>/dev/null || true
done
