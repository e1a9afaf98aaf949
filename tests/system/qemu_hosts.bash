# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Hosts that are machines of QEMU, for soak_hosts.bats, which loads this after lib.bash and clus.bash and uses their names: three hosts with Debian's
# kernel 6.1, its systemd, an i6300esb watchdog and Hospes as installed, and a further machine whose kernel serves NFS. ADR 68.
#
# All is in one network namespace: a bridge for the cluster, guests and NFS, on which the tests are 10.77.0.1, and one for orders to the machines
# (a shell behind a TCP port) and from them to their power switch (fence_qemu). Every machine starts from a copy of one disk image: the Debian tree
# of vmlab's hosts with the packages of [vm], and `make install` of this build over it. Nothing is mounted on this machine.
MACHINES=(nfs host-a host-b host-c)
EXPORT=/srv/hospes # on nfs; /var/lib/hospes/shared on the hosts
: "${HOSPES_VM_ACCEL:=tcg}" "${HOSPES_VM_MEMORY:=768}" "${HOSPES_VM_TOKEN:=3000}"

vm_packages() { awk -v want="$1" '/^# \[/ { gsub(/[^a-z]/, ""); on = $0 == want; next } /^[a-z]/ && on { print $1 }' "$top_srcdir/tools/packages.txt"; }
# Why such hosts cannot be had here; nothing if they can
vm_why_not() {
	local p
	[ "$(id -u)" -eq 0 ] || { echo "needs root"; return; }
	for p in qemu-system-x86_64:qemu-system-x86 mmdebstrap:mmdebstrap socat:socat nft:nftables mke2fs:e2fsprogs cpio:cpio jq:jq; do
		command -v ${p%:*} >/dev/null || { echo "missing: ${p%:*} (package ${p#*:})"; return; }
	done
	[ -c /dev/net/tun ] || { echo "missing: /dev/net/tun"; return; }
	grep -qw overlay /proc/filesystems || modprobe overlay 2>/dev/null || echo "this kernel has no overlay file system"
}

# A lab with a name of its own; what nfs is to export goes into $SHARED. False: it is there, left by a run with HOSPES_VM_STAY (under one HOSPES_LAB_PREFIX)
vm_new() {
	local m
	export VMLAB_NAME VM VM_NS SHARED HOSPES_VM_NFS_LEASE=${HOSPES_VM_NFS_LEASE:-10} HOSPES_VM_TOKEN
	VMLAB_NAME=${HOSPES_LAB_PREFIX:-t$$_}hosts VM=$VMLAB_DIR/$VMLAB_NAME VM_NS=hospes-$VMLAB_NAME SHARED=$VM/shared
	if [ -n "${HOSPES_VM_STAY:-}" ] && [ -e "$VM/up.complete" ]; then return 1; fi
	HOSPES_VM_KEEP='' vm_down
	for m in "${MACHINES[@]}"; do mkdir -p "$VM/hosts/$m"; done
	mkdir -p "$SHARED"
}

# ---- disk images ---------------------------------------------------------------------------------------------------------

# The Debian tree, made once for these packages (two minutes, 500 MB)
vm_tree() {
	local list key dir
	list="$(vm_packages host) $(vm_packages vm)"
	key=$({ echo "$list"; cat "$top_srcdir/tools/debtree.bash"; } | md5sum | cut -c 1-12)
	dir=$top_builddir/vm-base-$key
	if [ ! -e "$dir/.complete" ]; then
		echo "# making the machines' Debian tree in $dir (once)" >&3
		rm -rf --one-file-system "$dir"
		# shellcheck disable=SC2086
		bash "$top_srcdir/tools/debtree.bash" "$dir" $list >&2
		# what no machine here has
		rm -rf "$dir"/usr/lib/modules/*/kernel/{sound,drivers/{gpu,media,infiniband,iio,staging,net/wireless,net/ethernet}} "$dir"/boot/initrd*
		touch "$dir/.complete"
	fi
	echo "$dir"
}

# One image for all: who a machine is stands on its kernel's command line
vm_image() {
	local tree
	tree=$(vm_tree)
	kernel=$(ls "$tree"/boot/vmlinuz-* | sort -V | tail -n 1)
	mkdir -p "$VM/up" "$VM/work" "$VM/root"
	cp "$kernel" "$VM/vmlinuz"
	bash "$top_srcdir/tests/guests/mkinitramfs" "$top_builddir/guests/workload" "$VM/initrd" "$tree/usr/lib/modules/${kernel##*/vmlinuz-}"
	VM=$VM TREE=$tree unshare -m --propagation private bash -e -c '
		mount -t overlay overlay -o "lowerdir=$TREE,upperdir=$VM/up,workdir=$VM/work" "$VM/root"
		unset MAKEFLAGS MFLAGS MAKELEVEL HOSPES_LIBEXEC
		make -C "'"$top_builddir"'" install DESTDIR="$VM/root" >"$VM/install.log" 2>&1
		. "'"$BATS_TEST_DIRNAME"'/qemu_image.bash"
		vm_settle "$VM/root"
		mke2fs -q -F -t ext4 -d "$VM/root" "$VM/base.raw" 3G'
}

# ---- network and machines -------------------------------------------------------------------------------------------------

vm_ns() { nsenter --net="/run/netns/$VM_NS" -- "$@"; }
vm_number() { case $1 in nfs) echo 0 ;; *) echo $(($(printf '%d' "'${1#host-}") - 96)) ;; esac; }
vm_network() {
	local m i n
	ip netns add "$VM_NS"
	ip -n "$VM_NS" link set lo up
	i=7
	for n in lab mgmt; do
		vm_ns sysctl -q net.ipv6.conf.default.disable_ipv6=1
		ip -n "$VM_NS" link add $n type bridge stp_state 0 forward_delay 0
		ip -n "$VM_NS" addr add 10.7$i.0.1/24 dev $n
		ip -n "$VM_NS" link set $n up
		for m in "${MACHINES[@]}"; do
			ip -n "$VM_NS" tuntap add dev "$n-${m#host-}" mode tap
			ip -n "$VM_NS" link set "$n-${m#host-}" master $n up
		done
		i=8
	done
	nsenter --net="/run/netns/$VM_NS" socat TCP-LISTEN:6000,bind=10.78.0.1,fork,reuseaddr EXEC:"$VM/switch" </dev/null >/dev/null 2>&1 3>&- 4>&- &
	echo $! >"$VM/switch.pid"
}

vm_power_on() { # MACHINE
	local m=$1 n disks=()
	n=$(vm_number $m)
	[ -e "$VM/$m.raw" ] || cp --sparse=always "$VM/base.raw" "$VM/$m.raw"
	[ $m != nfs ] || disks=(-drive "file=$VM/srv.raw,format=raw,if=virtio,cache=unsafe")
	# not by vm_ns: $! is to be QEMU itself
	# shellcheck disable=SC2054 # QEMU's commas
	nsenter --net="/run/netns/$VM_NS" setsid qemu-system-x86_64 -name "$m" -machine pc -accel "$HOSPES_VM_ACCEL" -cpu max -smp 1 -m "$HOSPES_VM_MEMORY" -nodefaults -display none \
		-kernel "$VM/vmlinuz" -initrd "$VM/initrd" \
		-append "root=/dev/vda console=ttyS0 quiet loglevel=4 mitigations=off systemd.show_status=off net.ifnames=0 panic=10 systemd.hostname=$m systemd.machine_id=$(md5sum <<<"$m" | cut -c 1-32) lab.n=$n" \
		-drive "file=$VM/$m.raw,format=raw,if=virtio,cache=unsafe" "${disks[@]}" \
		-netdev "tap,id=lab,ifname=lab-${m#host-},script=no,downscript=no" -device "virtio-net-pci,netdev=lab,mac=52:54:01:77:00:0$n" \
		-netdev "tap,id=mgmt,ifname=mgmt-${m#host-},script=no,downscript=no" -device "virtio-net-pci,netdev=mgmt,mac=52:54:01:78:00:0$n" \
		-device "${HOSPES_VM_WATCHDOG:-i6300esb}" -watchdog-action reset -serial "file:$VM/$m.console" -qmp "unix:$VM/$m.qmp,server=on,wait=off" \
		</dev/null >"$VM/$m.qemu" 2>&1 3>&- 4>&- &
	echo $! >"$VM/hosts/$m/init.pid.new"
	mv "$VM/hosts/$m/init.pid.new" "$VM/hosts/$m/init.pid"
}
# Also run by the power switch, as a script of its own
vm_power_off() { # MACHINE
	local pid
	read -r pid 2>/dev/null <"$VM/hosts/$1/init.pid" || return 0
	kill -KILL "$pid" 2>/dev/null || true
	while [ -e "/proc/$pid" ] && ! grep -q '^State:.Z' "/proc/$pid/status"; do sleep 0.1; done 2>/dev/null
	rm -f "$VM/hosts/$1/init.pid" "$VM/frozen.$1"
}
# The power switch of all hosts: "off host-b" in, "ok" out
vm_switch() {
	cat >"$VM/switch" <<-EOS
		#!/bin/bash
		VM=$VM
		$(declare -f vm_power_off)
		read -r action host
		echo "\$(date +%T) \$action \$host" >>"\$VM/switch.log"
		case \$action in
		off | reboot) vm_power_off "\$host" && echo ok ;;
		status | monitor | list) echo ok ;;
		esac
	EOS
	chmod 755 "$VM/switch"
}

vm_up() { # once $SHARED has what nfs is to export
	vm_switch
	vm_network
	mke2fs -q -F -t ext4 -d "$SHARED" "$VM/srv.raw" 512M
	rm "$SHARED"/*
	for m in "${MACHINES[@]}"; do vm_power_on $m; done
}
vm_down() {
	local m
	for m in "${MACHINES[@]}"; do vm_power_off $m 2>/dev/null; done
	[ ! -e "$VM/switch.pid" ] || kill "$(<"$VM/switch.pid")" 2>/dev/null || true
	ip netns del "$VM_NS" 2>/dev/null || true
	[ -n "${HOSPES_VM_KEEP:-}" ] || rm -rf --one-file-system "$VM"
}

# ---- orders ----------------------------------------------------------------------------------------------------------------

# qmp MACHINE COMMAND: stop, cont, system_reset, query-status
qmp() { # waits for the answer
	{ printf '%s\n' '{"execute":"qmp_capabilities"}' "{\"execute\":\"$2\"}"; sleep 0.5; } | socat -t 5 - "UNIX-CONNECT:$VM/$1.qmp" | jq -c 'select(.return) | .return' | tail -n 1
}
# What QEMU itself says of MACHINE goes to $VM/MACHINE.events until vm_listen_end; meanwhile it takes no other orders
vm_listen() {
	echo '{"execute":"qmp_capabilities"}' | socat -,ignoreeof "UNIX-CONNECT:$VM/$1.qmp" >"$VM/$1.events" 2>/dev/null 3>&- 4>&- &
	LISTEN_PID=$!
	eventually 10 grep -q '"return"' "$VM/$1.events"
}
vm_listen_end() { kill "${LISTEN_PID:-}" 2>/dev/null || true; }
# As in clus.bash: at MACHINE COMMAND...; there is no input
at() {
	local h=$1 out
	shift
	[ -e "$VM/hosts/$h/init.pid" ] || { echo "$h is off" >&2; return 1; }
	out=$( (printf '%q ' "$@"; echo) | vm_ns socat -T "${AT_WAIT:-60}" -t "${AT_WAIT:-60}" - "TCP:10.78.0.10$(vm_number $h):5000,connect-timeout=10" 2>&1) || true
	[[ $out =~ $'\nrc='([0-9]+)$'\n'?(.*)$ ]] || { echo "$h does not answer: ${out:0:200}" >&2; return 1; }
	[ -z "${BASH_REMATCH[2]}" ] || echo "${BASH_REMATCH[2]}" >&2
	local rc=${BASH_REMATCH[1]}
	out=${out%$'\nrc='*}
	out=${out%$'\n'}
	[ -z "$out" ] || echo "$out"
	return "$rc"
}
# As in lib.bash, but a question costs such a host a second, and its sockets cannot be seen from here
pause_after() { sleep 2; }
look() {
	local h s=
	case $1 in
	status)
		for h in $(hosts_up); do
			s=$(vc $h status --json 2>/dev/null) && jq -e .quorate <<<"$s" >/dev/null && { echo "$s"; return 0; }
		done
		echo "no host is quorate" >&2
		return 1 ;;
	dom)
		if [ -n "${4:-}" ]; then s=$(vc "$4" status --json); else s=$(look status); fi
		jq -r --arg n "$2" --arg k "$3" '.domains[] | select(.name == $n) | .[$k]' <<<"$s" ;;
	host) look status | jq -r --arg n "$2" --arg k "$3" '.hosts[] | select(.name == $n) | .[$k]' ;;
	*) echo "machines of QEMU are not asked: $*" >&2; return 2 ;;
	esac
}
client() { PATH=$top_builddir/tools:$PATH vm_ns "$@"; }

# A machine stands still, its clocks with it
vm_pause_begin() {
	touch "$VM/frozen.$1"
	qmp $1 stop >/dev/null
}
vm_continue() {
	qmp $1 cont >/dev/null
	rm -f "$VM/frozen.$1"
}
vm_pause() { # MACHINE SECONDS
	vm_pause_begin $1
	sleep $2
	vm_continue $1
}
# Nothing is asked of a host that stands still; nor of the server, here
hosts_up() {
	local h
	for h in "${MACHINES[@]:1}"; do
		if [ -e "$VM/hosts/$h/init.pid" ] && [ ! -e "$VM/frozen.$h" ]; then echo "$h"; fi
	done
}
other_hosts() { printf '%s\n' "${MACHINES[@]:1}" | grep -vx -- "$1"; }
clus_whole() { # all hosts see all three online
	local h
	for h in "${MACHINES[@]:1}"; do
		[ -e "$VM/hosts/$h/init.pid" ] || return 1
		AT_WAIT=20 vc $h status --json | jq -e '.quorate and ([.hosts[] | select(.state == "online")] | length) == 3' >/dev/null || return 1
	done
}

# `make soak-hosts` asks
[ "${BASH_SOURCE[0]}" != "$0" ] || vm_why_not
