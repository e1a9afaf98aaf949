#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# bench/qemu.bash WORKDIR MEM-MIB FILL-MIB RUNS [LOAD VCPUS]: the yardstick: QEMU (TCG, no hardware support needed) migrates a guest of that
# size, holding that much memory that does not compress, over loopback, bandwidth unlimited. One JSON line per run: total_ms downtime_ms
# sent_bytes alive. LOAD (none, light, full): what the guest does meanwhile, with a disk and a network; alive: its own checks hold afterwards.
# The kernel is Debian's cloud kernel: the guests' (`make guests`), or taken out of its package without installing it. Runs in a network
# namespace of its own.
set -euo pipefail
case $# in 4 | 6) ;; *) echo "usage: qemu.bash WORKDIR MEM-MIB FILL-MIB RUNS [LOAD VCPUS]" >&2; exit 2 ;; esac
work=$1 mem=$2 fill=$3 runs=$4 load=${5:-none} vcpus=${6:-1}
here=$(cd "$(dirname "$0")" && pwd)
die() { echo "qemu.bash: $*" >&2; exit 1; }
if [ -z "${HOSPES_BENCH_NS:-}" ]; then
	HOSPES_BENCH_NS=1 exec unshare -n --kill-child=KILL --fork -p --mount-proc bash "$0" "$@"
fi
ip link set lo up
command -v qemu-system-x86_64 >/dev/null || die "qemu-system-x86 is missing"
mkdir -p "$work"

devices=()
if [ "$load" = none ]; then
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
	[ "$load" = none ] || set -- "$@" -netdev "user,id=n,restrict=on,hostfwd=tcp:127.0.0.1:$((port + 100))-10.0.2.15:7007" -device virtio-net-pci,netdev=n
	qemu-system-x86_64 -name "$name" -accel tcg -cpu max -m "$mem" -smp "$vcpus" -nodefaults -display none -no-reboot -kernel "$kernel" -initrd "$initrd" \
		-append "console=ttyS0 load=$load fill=$fill dirty=16 hospes.ip=10.0.2.15/24" -serial "file:$work/$name.log" \
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
	wait_for 60 grep -q "$ready" "$work/source.log" || { tail -n 5 "$work/source.log" "$work/source.err" >&2; die "the guest did not get ready"; }
	wait_for 10 qmp_up 4444
	wait_for 10 qmp_up 4445
	sleep 1
	[ "$load" = none ] || wait_for 60 sound 4544 || die "the guest is not sound before it moves"
	qmp 4444 '{"execute":"migrate-set-parameters","arguments":{"max-bandwidth":100000000000}}' >/dev/null
	qmp 4444 '{"execute":"migrate","arguments":{"uri":"tcp:127.0.0.1:4446"}}' >/dev/null
	wait_for 120 migration_over || die "the migration did not end"
	out=$(qmp 4444 '{"execute":"query-migrate"}')
	alive=true
	[ "$load" = none ] || wait_for 10 sound 4545 || alive=false
	jq -c --argjson alive "$alive" '.return | if .status != "completed" then error("migration failed") else
		{total_ms: .["total-time"], downtime_ms: .downtime, sent_bytes: .ram.transferred, rounds: .ram["dirty-sync-count"], alive: $alive} end' <<<"$out"
	kill "$source" "$target"
	wait "$source" "$target" 2>/dev/null || true
done
