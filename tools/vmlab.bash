#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# vmlab: several hosts on one machine, made from namespaces, to try Hospes and to test it. The manual is docs/man/vmlab.8.
#
# A lab NAME is: a "switch" network namespace with one bridge, a "client" namespace on it, and per host a network namespace whose
# bridge br0 holds the uplink to the switch and the guests' taps. A running host is one process tree under a pid namespace whose init
# is this script (`__init`); killing that init is power loss. Unless told otherwise the hosts are a cluster: each has a real Corosync,
# on the lab's own network with the lab's own key, the guard, and clusterd. Nothing touches the machine's own interfaces or mounts, so that `down` has
# little to undo: processes by network namespace, the namespaces by name, the lab's directory. Everything is found again by name:
# there is no daemon and no state that a crash of vmlab could lose.
set -euo pipefail

VMLAB_DIR=${VMLAB_DIR:-/var/lib/vmlab}
NAME=${VMLAB_NAME:-lab}
LAB=$VMLAB_DIR/$NAME
SHARED_IN_HOST=/var/lib/hospes/shared
NET=10.77.0
CLUSTER_SERVICES=(hospes-guard migrated corosync clusterd) # in the order of their start
self=$0
[[ $self = /* && $self != */./* && $self != */../* && ! -L $self ]] || self=$(readlink -f "$self")
bindir=${self%/*}
libdir=$bindir/vmlab.d # in a build tree
[ -d "$libdir" ] || libdir=$(readlink -f "$bindir/../share/hospes/vmlab.d")
# shellcheck source=tools/vmlab_systemd.bash
. "$libdir/systemd.bash"

die() { echo "vmlab: $*" >&2; exit 1; }
say() { [ -n "${QUIET:-}" ] || echo "$*"; }

usage() {
	cat <<-EOF
	usage: vmlab COMMAND
	  up [N] [--witness] [--no-cluster] [--systemd [--base DIR [--bare]]]
	                                make N hosts (default 2): host-a, host-b..., with Corosync and clusterd or without;
	                                --witness: and one more that votes and carries no domains;
	                                --systemd: each with a systemd and the installed units; DIR: on this Debian tree;
	                                --bare: with nothing of Hospes, for packages
	  down                          remove all of it
	  status [--json]               hosts, links, services
	  start HOST [--new]            boot a host that is down; --new: with empty disks (--bare only)
	  kill HOST                     power loss
	  freeze HOST, thaw HOST        all its processes stand still, and go on (--systemd only)
	  disk NAME MIB                 a block device /dev/mapper/NAME that all hosts share (--systemd only)
	  cut HOST [--from HOST] [--oneway in|out]
	                                take its link down, or drop one direction only; --from: between these two only, all others
	                                hear both
	  slow HOST [--rate MBIT] [--loss PERCENT]
	  heal HOST [--from HOST]       undo cut and slow; --from: between these two only
	  exec HOST CMD...              run a command on a host
	  client CMD...                 run a command on the client's side of the network
	  service HOST start|stop|restart|kill NAME [--once] [K=V...]
                                one of its daemons; K=V: its environment, for the next start only with --once
	  peers                         exchange keys between all hosts that are up
	  dir [HOST]                    where files are: the shared disks, or a host's /etc, /var
	environment: VMLAB_NAME (which lab, default "lab"), VMLAB_DIR (default /var/lib/vmlab);
	  for up: VMLAB_TOKEN (Corosync's token time in ms, default 1000), VMLAB_TRANSPORT (knet or udpu),
	  VMLAB_MEMORY (what each host says it has for guests, default a share of the machine's),
	  VMLAB_PACKAGES (Debian packages that hosts of --systemd have besides, such as "qemu-system-x86 seabios")
	EOF
	exit "${1:-2}"
}

# ---- names and paths ---------------------------------------------------------------------------------------------------

# A lab is used many times a second by tests: what names things forks nothing. Its network namespaces are "$NS-HOST", a host's files are in
# $HOSTS/HOST, its port of the switch is "p-LETTER".
NS=hospes-$NAME
HOSTS=$LAB/hosts
host_index() { local n; printf -v n %d "'${1#host-}"; echo $((n - 96)); }
host_addr() { local n; printf -v n %d "'${1#host-}"; echo "$NET.$((n + 4))"; }
host_mac() { local n; printf -v n %d "'${1#host-}"; printf '52:54:01:77:00:%02x' $((n + 4)); }
lab_hosts() { local d; for d in "$HOSTS"/*/; do [ ! -d "$d" ] || { d=${d%/}; echo "${d##*/}"; }; done; }
has_cluster() { [ -e "$LAB/cluster" ]; }
# lab_services [HOST]: in the order of their start; a witness has no domains, so nothing for them
lab_services() {
	local also=''
	[ ! -e "$LAB/virtd" ] || also=' hospes-virtd'
	if ! has_cluster; then echo "migrated$also"
	elif [ -n "${1:-}" ] && is_witness "$1"; then echo corosync clusterd
	else echo "${CLUSTER_SERVICES[*]}$also"; fi
}
# Programs of bare hosts come later, by hand.
has_virtd() { ! is_bare && (lab_env; command -v hospes-virtd >/dev/null); }
is_witness() { [ -e "$HOSTS/$1/etc/hospes/witness" ]; }
in_ns() { local ns=$1; shift; nsenter --net="/run/netns/$NS-$ns" "$@"; }
# nap SECONDS: as sleep, without a process
nap() { if [ -p "$LAB/nap" ]; then read -rt "$1" <>"$LAB/nap" || true; else sleep "$1"; fi; }

need_lab() { [ -d "$LAB/hosts" ] || die "lab '$NAME' is not up (vmlab up)"; }
need_host() {
	need_lab
	[ -n "${1:-}" ] || usage
	[ -d "$HOSTS/$1" ] || die "no host '$1' in lab '$NAME': it has $(lab_hosts | tr '\n' ' ')"
}
need_up() { need_host "${1:-}"; is_up "$1" || die "$1 is down (vmlab start $1)"; }

# The pid of a host's init, in INIT. Checked against the network namespace: a recorded pid may belong to someone else by now.
is_up() {
	INIT=
	read -r INIT 2>/dev/null <"$HOSTS/$1/init.pid" || return 1
	[ "/proc/$INIT/ns/net" -ef "/run/netns/$NS-$1" ]
}
init_pid() { is_up "$1" && echo "$INIT"; }

# Our programs: beside this script when installed, in the build tree when run from there.
lab_env() {
	unset HOSPES_RUNDIR HOSPES_STATEDIR HOSPES_CONFDIR HOSPES_LOGDIR
	if [ -f "$bindir/../Makefile" ] && [ -d "$bindir/../hypervisor" ]; then
		local top=${bindir%/*}
		[ ! -L "$top" ] || top=$(readlink -f "$top")
		PATH=$top/tools:$top/hypervisor:$top/migrated:$top/clusterd:$top/virtd:$PATH
		export HOSPES_LIBEXEC=$top/hypervisor
	else
		PATH=$bindir:$(readlink -f "$bindir/../sbin"):$PATH
	fi
	export PATH VMLAB_DIR VMLAB_NAME="$NAME"
}

# ---- network -----------------------------------------------------------------------------------------------------------

# A namespace without IPv6: its discovery would be noise between the frames that tests count.
ns_add() {
	local ns
	ns=$NS-$1
	ip netns add "$ns"
	# and bridges are cables here: the machine's packet filter (br_netfilter) has no say on them
	# shellcheck disable=SC2016 # expanded by that shell
	in_ns "$1" sh -c 'for f in /proc/sys/net/ipv6/conf/*/disable_ipv6; do [ ! -e "$f" ] || echo 1 >"$f"; done
		for f in /proc/sys/net/bridge/bridge-nf-call-*; do [ ! -e "$f" ] || echo 0 >"$f"; done'
}
# lines of `ip` for a namespace; bridges forward at once, without spanning tree
ip_batch() { ip -n "$NS-$1" -batch -; }
BRIDGE='type bridge stp_state 0 forward_delay 0'

switch_add() {
	ns_add switch
	ns_add client
	ip_batch switch <<-EOF
	link set lo up
	link add lab0 $BRIDGE
	link set lab0 up
	link add p-client type veth peer name eth0 netns $NS-client
	link set p-client master lab0 up
	EOF
	ip_batch client <<-EOF
	link set lo up
	addr add $NET.1/24 dev eth0
	link set eth0 up
	EOF
}

host_net_add() {
	local port=p-${1#host-}
	ns_add "$1"
	ip_batch switch <<-EOF
	link add $port type veth peer name up0 netns $NS-$1
	link set $port master lab0 up
	EOF
	# without an address of its own a bridge takes the lowest of its ports: a guest's tap would change the host's
	ip_batch "$1" <<-EOF
	link set lo up
	link add br0 $BRIDGE
	link set br0 up
	link set up0 master br0 up
	link set br0 address $(host_mac "$1")
	addr add $(host_addr "$1")/24 dev br0
	EOF
}

# What a host with power loss leaves on its own bridge: taps of guests that are gone.
host_net_clean() {
	local dev
	while read -r _ dev _; do
		dev=${dev%:}
		case ${dev%@*} in lo | br0 | up0) ;; *) ip -n "$NS-$1" link del "${dev%@*}" 2>/dev/null || true ;; esac
	done < <(ip -n "$NS-$1" -o link show)
}

filter_set() { # NAMESPACE DEVICE RULE: one rule on what arrives at the device
	in_ns "$1" nft -f - <<-EOF
	table netdev vmlab {
		chain $2 {
			type filter hook ingress device "$2" priority 0; policy accept;
			$3
		}
	}
	EOF
}
filter_clear() { # NAMESPACE DEVICE
	in_ns "$1" nft delete chain netdev vmlab "$2" 2>/dev/null || true
}

# One host does not hear another: frames of the other *host* are dropped where they arrive, those of its guests pass.
pair_cut() { # HEARER SPEAKER
	mkdir -p "$HOSTS/$1/deaf"
	: >"$HOSTS/$1/deaf/$2"
	in_ns "$1" nft -f - <<-EOF
	table netdev vmlab {
		chain from-$2 {
			type filter hook ingress device "up0" priority 1; policy accept;
			ether saddr $(host_mac "$2") drop
		}
	}
	EOF
}
pair_heal() { # HEARER SPEAKER
	[ -e "$HOSTS/$1/deaf/$2" ] || return 0
	in_ns "$1" nft delete chain netdev vmlab "from-$2" 2>/dev/null || true
	rm -f "$HOSTS/$1/deaf/$2"
}

# ---- a host's life -----------------------------------------------------------------------------------------------------

host_files() {
	local h=$1 d
	! has_systemd || { sysd_host_files "$h"; return; }
	d=$HOSTS/$h
	mkdir -p "$d"/var/{lib/hospes/shared,log/hospes,tmp,cache,spool,lib/misc} "$d/mnt"
	chmod 1777 "$d/var/tmp"
	ln -s /run "$d/var/run"
	ln -s /run/lock "$d/var/lock"
	cp -a /etc "$d/etc"
	rm -rf "$d/etc/hospes" "$d/etc/corosync"
	mkdir -p "$d/etc/hospes"
	echo "$h" >"$d/etc/hostname"
}

hosts_file() { # every host knows the others by name
	local h o
	for h in $(lab_hosts); do
		{
			echo "127.0.0.1 localhost"
			echo "$NET.1 client"
			for o in $(lab_hosts); do echo "$(host_addr "$o") $o"; done
		} >"$HOSTS/$h/etc/hosts"
	done
}

# Corosync as a small cluster has it: knet, encrypted with the lab's key. udpu (quicker to form, for tests) knows no encryption.
corosync_files() {
	local h o crypto log=$'to_syslog: no\n\t\tto_stderr: yes' transport=${VMLAB_TRANSPORT:-knet}
	head -c 256 /dev/urandom >"$LAB/cluster"
	chmod 400 "$LAB/cluster"
	crypto='crypto_cipher: aes256
	crypto_hash: sha256'
	[ "$transport" = knet ] || crypto=
	! has_systemd || log='to_syslog: yes' # its unit throws standard error away
	for h in $(lab_hosts); do
		o=$HOSTS/$h
		mkdir -p "$o/etc/corosync" "$o/var/lib/corosync"
		[ -z "$crypto" ] || cp -p "$LAB/cluster" "$o/etc/corosync/authkey"
		{
			cat <<-EOF
			totem {
				version: 2
				cluster_name: vmlab-$NAME
				transport: $transport
				token: ${VMLAB_TOKEN:-1000}
				$crypto
			}
			quorum {
				provider: corosync_votequorum
				expected_votes: $(lab_hosts | wc -l)
			}
			logging {
				$log
				timestamp: hires
			}
			nodelist {
			EOF
			for o in $(lab_hosts); do
				printf '\tnode {\n\t\tname: %s\n\t\tnodeid: %s\n\t\tring0_addr: %s\n\t}\n' "$o" "$(host_index "$o")" "$(host_addr "$o")"
			done
			echo "}"
		} >"$HOSTS/$h/etc/corosync/corosync.conf"
	done
}

# What a host of the lab says that it can carry: a share of the machine's memory, at most 4 GiB, so that a few guests are a load; its load is
# that of its domains, since /proc shows the machine's.
clusterd_files() {
	local h share
	share=$(awk -v n="$(lab_hosts | wc -l)" '/^MemTotal:/ { m = int($2 / 1024 * 0.9 / n); print (m < 4096 ? m : 4096) "MiB" }' /proc/meminfo)
	for h in $(lab_hosts); do
		echo "{ \"measure\": \"domains\", \"memory\": \"${VMLAB_MEMORY:-$share}\", \"cpus\": $(nproc) }" >"$HOSTS/$h/etc/hospes/clusterd.json"
	done
}

# Until every host that is up says that it is in a quorate cluster: what a person expects after "up".
cluster_wait() {
	local h i
	lab_env
	for h in $(lab_hosts); do
		for ((i = 0; i < 150; i++)); do
			! cluster_ready "$h" || break
			nap 0.1
		done
		[ "$i" -lt 150 ] || say "vmlab: $h is not in a quorate cluster yet; see $HOSTS/$h/var/log/hospes/ (corosync.log, clusterd.log)"
	done
}
cluster_ready() {
	local said nl=$'\n'
	if command -v vmclus >/dev/null && command -v clusterd >/dev/null; then
		said=$(enter "$1" vmclus status --json 2>/dev/null) || true
		[[ $said =~ \"quorate\":\ *true ]]
	else
		said=$(enter "$1" corosync-quorumtool -s 2>/dev/null) || true
		[[ $said =~ ${nl}Quorate:\ *Yes ]]
	fi
}

host_boot() {
	local h=$1 d outer i fd pid=
	d=$HOSTS/$h
	rm -f "$d/ready" "$d/init.pid"
	host_net_clean "$h"
	ip -n "$NS-switch" link set "p-${h#host-}" up
	! has_systemd || { sysd_host_boot "$h"; return; }
	# setsid and closed descriptors: the host outlives this terminal, and no lock of ours leaks into it
	(
		lab_env
		for fd in /proc/self/fd/*; do
			fd=${fd##*/}
			[ "$fd" -le 2 ] || eval "exec $fd>&-"
		done
		cd /
		exec setsid nsenter --net="/run/netns/$NS-$h" unshare -m -p -u -i --fork --kill-child=KILL --mount-proc \
			--propagation private /bin/bash "$self" __init "$h" </dev/null >>"$d/init.log" 2>&1
	) &
	outer=$!
	disown "$outer"
	for ((i = 0; i < 200; i++)); do
		read -r pid _ 2>/dev/null <"/proc/$outer/task/$outer/children" || true
		[ -z "$pid" ] || [ ! -e "$d/ready" ] || break
		kill -0 "$outer" 2>/dev/null || break
		nap 0.05
	done
	if [ -z "$pid" ] || [ ! -e "$d/ready" ]; then
		tail -n 5 "$d/init.log" >&2
		die "$h did not boot; see $d/init.log"
	fi
	echo "$pid" >"$d/init.pid"
}

# Power loss: silence on the wire first (a dead machine sends no FIN or RST), then everything dies at once.
host_kill() {
	local pid
	is_up "$1" || return 0
	pid=$INIT
	ip -n "$NS-switch" link set "p-${1#host-}" down
	kill -KILL "$pid" 2>/dev/null || true
	! has_systemd || sysd_frozen "$1" 0 2>/dev/null || true
	host_wait_gone "$1"
	rm -f "$HOSTS/$1/init.pid"
}

host_wait_gone() {
	local i p
	for ((i = 0; i < 250; i++)); do
		p=$(ip netns pids "$NS-$1" 2>/dev/null || true)
		[ -n "$p" ] || { ! has_systemd || cgroup_remove "$1"; return 0; }
		# shellcheck disable=SC2086
		[ $((i % 10)) -ne 0 ] || kill -KILL $p 2>/dev/null || true
		nap 0.02
	done
	die "$1: processes survive: ${p//$'\n'/ }"
}

# Inside a host, as pid 1 of its namespaces.
init_main() {
	local h=$1 d s services
	d=$HOSTS/$h
	read -r -a services <<<"$(lab_services "$h")"
	hostname "$h"
	mount --rbind /sys/fs/cgroup "$d/mnt" 2>/dev/null || true
	mount -t sysfs sysfs /sys
	mount --move "$d/mnt" /sys/fs/cgroup 2>/dev/null || true
	mount -t tmpfs -o mode=755 tmpfs /run
	mkdir -p /run/lock /run/vmlab
	mount -t tmpfs -o mode=1777 tmpfs /dev/shm
	mount --bind "$LAB/shared" "$d/var/lib/hospes/shared"
	# the lab, and programs that live below /var, stay where they were
	for s in "$LAB" "$(readlink -f "$bindir/..")"; do
		case $s in /var/*) mkdir -p "$d$s"; mount --bind "$s" "$d$s" ;; esac
	done
	mount --bind "$d/etc" /etc
	mount --rbind "$d/var" /var
	cd /
	trap 'exit 0' TERM
	for s in "${services[@]}"; do mkfifo "/run/vmlab/$s.wake"; done
	for s in "${services[@]}"; do service_keep "$s" & done
	sleep infinity &
	: >"$HOSTS/$h/ready"
	while :; do wait || true; done # for the orphans of this host, too
}

# A service of a host, started again when it ends, unless it is to stand still: then a line in its "wake" starts it. Nothing here looks again and
# again: a lab of some hosts would do little else on a slow machine.
service_keep() {
	local s=$1 run=/run/vmlab/$1 pid
	trap - TERM
	exec 9<>"$run.wake"
	set +e # a command that fails here must not be the service's end
	while :; do
		while [ -e "$run.stop" ] || ! command -v "$s" >/dev/null; do read -r -u 9; done
		service_run "$s" 9>&- &
		pid=$!
		echo "$pid" >"$run.pid"
		wait "$pid"
		rm -f "$run.pid"
		printf '%(%T)T %s ended\n' -1 "$s"
		sleep 0.2
	done
}

service_run() {
	local e=()
	if [ -e "/run/vmlab/$1.once" ]; then
		mapfile -t e <"/run/vmlab/$1.once"
		rm -f "/run/vmlab/$1.once"
	elif [ -e "/run/vmlab/$1.env" ]; then
		mapfile -t e <"/run/vmlab/$1.env"
	fi
	local args=()
	[ "$1" != corosync ] || args=(-f)
	# the hosts of a lab stand still together or not at all, whatever machine carries them
	exec env HOSPES_CLOCKS="${HOSPES_CLOCKS:-trusted}" "${e[@]}" "$1" "${args[@]}" </dev/null >>"/var/log/hospes/$1.log" 2>&1
}

enter() { # HOST CMD...
	local pid
	! has_systemd || sysd_enter "$@"
	is_up "$1" || die "$1 is down"
	pid=$INIT
	shift
	exec nsenter -t "$pid" -m -u -i -n -p -- "$@"
}

# ---- commands ----------------------------------------------------------------------------------------------------------

lock_lab() {
	mkdir -p "$VMLAB_DIR"
	exec 9>"$VMLAB_DIR/$NAME.lock"
	flock -w 60 9 || die "another vmlab works on lab '$NAME'"
}

# Names, not records: also right after a crash in the middle of `up` or `down`.
remove_all() {
	local ns p i h
	for h in $(lab_hosts); do sysd_frozen "$h" 0 2>/dev/null || true; done
	for ((i = 0; i < 100; i++)); do
		p=$(for ns in $(lab_namespaces); do ip netns pids "$ns" 2>/dev/null || true; done)
		[ -n "$p" ] || break
		# shellcheck disable=SC2086
		kill -KILL $p 2>/dev/null || true
		nap 0.05
	done
	for ns in $(lab_namespaces); do ip netns del "$ns"; done
	for h in $(lab_hosts); do cgroup_remove "$h"; done
	disks_remove
	rm -rf --one-file-system "$LAB"
	rm -f "$VMLAB_DIR/$NAME.lock"
	rmdir "$VMLAB_DIR" 2>/dev/null || true
}
lab_namespaces() { ip netns list 2>/dev/null | awk '{ print $1 }' | grep "^hospes-$NAME-" || true; }

cmd_up() {
	local n='' cluster=1 systemd='' witness='' base='' bare='' why i h letters=abcdefghijklmnopqrst
	while [ $# -gt 0 ]; do
		case $1 in
		--no-cluster) cluster= ;;
		--witness) witness=1 ;;
		--systemd) systemd=1 ;;
		--base) [ $# -ge 2 ] || usage; base=$2; shift ;;
		--bare) bare=1 cluster='' ;;
		-*) usage ;;
		*) [ -z "$n" ] || usage; n=$1 ;;
		esac
		shift
	done
	[ -z "$base" ] || [ -n "$systemd" ] || usage
	[ -z "$witness" ] || [ -n "$cluster" ] || usage
	[ -z "$bare" ] || [ -n "$base" ] || usage
	if [ -n "$systemd" ]; then
		why=$(sysd_why_not)
		[ -z "$why" ] || die "up --systemd: $why"
		[ -z "$base" ] || { base=$(readlink -f "$base"); [ -e "$base/lib/systemd/systemd" ]; } || die "up --base: no Debian tree with systemd in $base"
	fi
	n=${n:-2}
	[[ $n =~ ^([1-9]|1[0-9]|20)$ ]] || die "up: 1 to 20 hosts, not '$n'"
	[ -z "$cluster" ] || [ -n "$systemd" ] || command -v corosync >/dev/null || die "up: no corosync here (package corosync); without a cluster: vmlab up $n --no-cluster"
	[[ ${VMLAB_TOKEN:-1000} =~ ^[1-9][0-9]{1,4}$ ]] || die "VMLAB_TOKEN: milliseconds, not '$VMLAB_TOKEN'"
	[[ ${VMLAB_TRANSPORT:-knet} =~ ^(knet|udpu)$ ]] || die "VMLAB_TRANSPORT: knet or udpu, not '$VMLAB_TRANSPORT'"
	[[ ${VMLAB_MEMORY:-1GiB} =~ ^[1-9][0-9]*[KMG]iB$ ]] || die "VMLAB_MEMORY: a size such as 2GiB, not '$VMLAB_MEMORY'"
	lock_lab
	if [ -e "$LAB" ] || [ -n "$(lab_namespaces)" ]; then die "lab '$NAME' exists (vmlab down removes it)"; fi
	trap '[ $? -eq 0 ] || remove_all' EXIT
	mkdir -p "$LAB/hosts" "$LAB/shared"
	mkfifo "$LAB/nap"
	chmod 755 "$VMLAB_DIR" "$LAB" "$LAB/shared"
	if [ -n "$systemd" ]; then
		[ -n "$base" ] || base=$(sysd_base)
		if [ -n "$bare" ]; then mkdir -p "$LAB/install"; : >"$LAB/bare"; else sysd_install "$base"; fi
		echo "$base" >"$LAB/systemd"
	fi
	switch_add
	[ -z "$witness" ] || n=$((n + 1))
	for ((i = 0; i < n; i++)); do
		h=host-${letters:i:1}
		host_files "$h"
		host_net_add "$h"
	done
	[ -z "$witness" ] || : >"$HOSTS/$h/etc/hospes/witness"
	hosts_file
	[ -z "$cluster" ] || { corosync_files; clusterd_files; }
	[ "${VMLAB_VIRTD:-yes}" = no ] || ! has_virtd || : >"$LAB/virtd"
	for h in $(lab_hosts); do host_boot "$h"; done
	[ -z "$systemd" ] || sysd_first_boot
	for h in $(lab_hosts); do say "$h is up: $(host_addr "$h")"; done
	is_bare || peers_exchange
	[ -z "$cluster" ] || cluster_wait
}

cmd_down() {
	lock_lab
	remove_all
}

cmd_start() {
	need_host "${1:-}"
	lock_lab
	! is_up "$1" || die "$1 is up already"
	[ $# -eq 1 ] || { [ "$2" = --new ] && is_bare; } || usage
	host_wait_gone "$1"
	[ $# -eq 1 ] || { rm -rf --one-file-system "${HOSTS:?}/$1"/{up,work,etc,var}; host_files "$1"; hosts_file; }
	host_boot "$1"
	! has_systemd || sysd_host_wait "$1"
	is_bare || peers_exchange
	say "$1 is up: $(host_addr "$1")"
}

cmd_kill() {
	need_up "${1:-}"
	lock_lab
	host_kill "$1"
}

cmd_freeze() { need_up "${1:-}"; has_systemd && sysd_frozen "$1" 1 || die "freeze: only hosts of up --systemd can be frozen, with a freezer control group"; }
cmd_thaw() { need_up "${1:-}"; has_systemd && sysd_frozen "$1" 0 || die "thaw: only hosts of up --systemd can be"; }

cmd_cut() {
	local h=${1:-} way=both from=
	need_host "$h"
	shift
	while [ $# -gt 0 ]; do
		case $1 in --oneway) way=${2:-} ;; --from) from=${2:-none} ;; *) usage ;; esac
		shift $(($# > 1 ? 2 : 1))
	done
	[[ $way =~ ^(both|in|out)$ ]] || die "cut --oneway in|out, not '$way'"
	if [ -n "$from" ]; then
		need_host "$from"
		[ "$from" != "$h" ] || die "cut $h --from itself?"
		[ "$way" = out ] || pair_cut "$h" "$from"
		[ "$way" = in ] || pair_cut "$from" "$h"
		return
	fi
	echo "$way" >"$HOSTS/$h/cut" # before: what heals looks at it
	case $way in
	both) ip -n "$NS-switch" link set "p-${h#host-}" down ;;
	out) filter_set switch "p-${h#host-}" drop ;;
	in) filter_set "$h" up0 drop ;;
	esac
}

cmd_slow() {
	local h=${1:-} rate='' loss=''
	need_host "$h"
	shift
	while [ $# -ge 2 ]; do
		case $1 in --rate) rate=$2 ;; --loss) loss=$2 ;; *) usage ;; esac
		shift 2
	done
	if [ $# -ne 0 ] || [ -z "$rate$loss" ]; then usage; fi
	echo "${rate:-0} ${loss:-0}" >"$HOSTS/$h/slow"
	if [ -n "$rate" ]; then
		[[ $rate =~ ^[0-9]+$ ]] || die "slow --rate: Mbit/s, not '$rate'"
		# both ends send at that rate; a burst of 10 ms but never under one large segment
		local burst=$((rate * 1250 > 70000 ? rate * 1250 : 70000))
		in_ns switch tc qdisc replace dev "p-${h#host-}" root tbf rate "${rate}mbit" burst "$burst" latency 100ms ||
			die "slow --rate: this kernel has no token bucket filter (CONFIG_NET_SCH_TBF)"
		in_ns "$h" tc qdisc replace dev up0 root handle 1: tbf rate "${rate}mbit" burst "$burst" latency 100ms
		# the host's own queue has three bands by priority, as pfifo_fast
		local band
		if in_ns "$h" tc qdisc replace dev up0 parent 1:1 handle 10: prio 2>/dev/null; then
			for band in 1 2 3; do in_ns "$h" tc qdisc replace dev up0 parent "10:$band" bfifo limit $((rate * 12500 + burst)); done
		fi
	fi
	if [ -n "$loss" ]; then
		[[ $loss =~ ^[0-9]+(\.[0-9]+)?$ ]] || die "slow --loss: percent, not '$loss'"
		local n
		n=$(awk "BEGIN { printf \"%d\", $loss * 100 }")
		filter_set switch "p-${h#host-}" "numgen random mod 10000 < $n drop" ||
			die "slow --loss: this kernel has no random drop (nftables netdev, numgen)"
		filter_set "$h" up0 "numgen random mod 10000 < $n drop"
	fi
}

cmd_heal() {
	local o
	need_host "${1:-}"
	[ $# -lt 2 ] || [ "$2" = --from ] || usage
	for o in $(if [ $# -gt 1 ]; then need_host "${3:-}"; echo "$3"; else lab_hosts; fi); do
		pair_heal "$1" "$o"
		pair_heal "$o" "$1"
	done
	[ $# -lt 2 ] || return 0
	if [ -e "$HOSTS/$1/cut" ] || [ -e "$HOSTS/$1/slow" ]; then
		filter_clear switch "p-${1#host-}"
		filter_clear "$1" up0
	fi
	if [ -e "$HOSTS/$1/slow" ]; then
		in_ns switch tc qdisc del dev "p-${1#host-}" root 2>/dev/null || true
		in_ns "$1" tc qdisc del dev up0 root 2>/dev/null || true
	fi
	rm -f "$HOSTS/$1/cut" "$HOSTS/$1/slow"
	! is_up "$1" || ip -n "$NS-switch" link set "p-${1#host-}" up
}

cmd_exec() {
	need_up "${1:-}"
	[ $# -ge 2 ] || usage
	lab_env
	enter "$@"
}

cmd_client() {
	need_lab
	[ $# -ge 1 ] || usage
	lab_env
	exec nsenter --net="/run/netns/$NS-client" -- "$@"
}

cmd_service() {
	local h=${1:-} what=${2:-} s=${3:-} pid now
	need_up "$h"
	[ -n "$s" ] || usage
	shift 3
	case $s in guard | virtd) s=hospes-$s ;; esac
	[[ " $(lab_services) " = *" $s "* ]] || die "no service '$s': there are $(lab_services)"
	! has_systemd || { sysd_service "$h" "$what" "$s" "$@"; return; }
	local run=/proc/$INIT/root/run/vmlab kind=env i
	if [ "${1:-}" = --once ]; then kind=once; shift; fi
	[ $# -eq 0 ] || printf '%s\n' "$@" >"$run/$s.$kind"
	read -r pid 2>/dev/null <"$run/$s.pid" || pid=
	case $what in
	stop) : >"$run/$s.stop"; [ -z "$pid" ] || service_signal "$h" "$s" TERM ;;
	kill) [ -n "$pid" ] || die "$s does not run on $h"; service_signal "$h" "$s" KILL ;;
	restart) rm -f "$run/$s.stop"; [ -z "$pid" ] || service_signal "$h" "$s" TERM ;;
	start) rm -f "$run/$s.stop" ;;
	*) usage ;;
	esac
	[ "$what" = stop ] || echo 1<>"$run/$s.wake"
	for ((i = 0; i < 200; i++)); do
		case $what in
		stop) [ -e "$run/$s.pid" ] || return 0 ;;
		start) [ ! -e "$run/$s.pid" ] || return 0 ;;
		*) read -r now 2>/dev/null <"$run/$s.pid" || now=$pid; [ "$now" = "$pid" ] || return 0 ;;
		esac
		nap 0.05
	done
	die "$s on $h: no $what within 10 s"
}

service_signal() { # HOST NAME SIGNAL
	local p
	p=$(service_pid "$1" "$2")
	[ -z "$p" ] || kill -"$3" "$p" 2>/dev/null || true
}

# Every migrated learns the public keys of all others, so that a push just works.
peers_exchange() {
	local h o key addr
	lab_env
	command -v vmmig >/dev/null && command -v migrated >/dev/null || return 0
	declare -A keys=()
	for h in $(lab_hosts); do
		is_up "$h" && ! is_witness "$h" || continue
		key=$(peer_key "$h") || { say "vmlab: $h: migrated made no keys (see $HOSTS/$h/var/log/hospes/migrated.log)"; continue; }
		keys[$h]=$key
	done
	for h in "${!keys[@]}"; do
		for o in "${!keys[@]}"; do
			[ "$h" != "$o" ] || continue
			addr=$(host_addr "$o")
			! peer_known "$h" "$o" "$addr" "${keys[$o]}" || continue
			(enter "$h" vmmig peers add "$o" "$addr" "${keys[$o]}" >/dev/null) || die "$h: cannot add peer $o"
		done
	done
}
peer_known() { # HOST NAME ADDRESS KEY: as migrated keeps it
	local said f=$HOSTS/$1/etc/hospes/peers.d/$2.json
	[ -e "$f" ] || return 1
	read -rd '' said <"$f" || true
	[[ $said = *"\"$3\""* && $said = *"\"$4\""* ]]
}
# The public key of a host: the first word of the file that its migrated makes at its first start.
peer_key() {
	local i key f
	f=$HOSTS/$1/etc/hospes/keys/migrated.key
	for ((i = 0; i < 100; i++)); do
		key=
		[ ! -s "$f" ] || read -r key <"$f"
		[ -z "$key" ] || { echo "$key"; return 0; }
		nap 0.05
	done
	return 1
}

host_state() { if is_up "$1"; then echo up; else echo down; fi; }
host_link() {
	local d cut
	d=$HOSTS/$1
	read -r cut 2>/dev/null <"$d/cut" || cut=
	case $cut in
	both) echo cut ;;
	in | out) echo "cut-$cut" ;;
	*) if compgen -G "$HOSTS/*/deaf/$1" >/dev/null || compgen -G "$d/deaf/*" >/dev/null; then echo pair-cut; elif [ -e "$d/slow" ]; then echo slow; else echo ok; fi ;;
	esac
}
service_pid() { # HOST NAME: its pid as seen from outside
	local inner p q key ids keepers=() children=()
	! has_systemd || { sysd_service_pid "$@"; return; }
	is_up "$1" || return 0
	read -r inner 2>/dev/null <"/proc/$INIT/root/run/vmlab/$2.pid" || return 0
	read -r -a keepers <"/proc/$INIT/task/$INIT/children" || true
	for p in "${keepers[@]}"; do
		read -r -a children 2>/dev/null <"/proc/$p/task/$p/children" || true
		for q in "${children[@]}"; do
			while read -r key ids; do
				[ "$key" != NSpid: ] || [ "${ids##*[[:space:]]}" != "$inner" ] || echo "$q"
			done 2>/dev/null <"/proc/$q/status" || true
		done
	done
}

cmd_status() {
	local h s p sep='' json=
	[ "${1:-}" != --json ] || json=1
	if [ ! -d "$LAB/hosts" ]; then
		[ -z "$json" ] || { echo "{\"lab\":\"$NAME\",\"up\":false,\"hosts\":[]}"; return 0; }
		die "lab '$NAME' is not up (vmlab up)"
	fi
	if [ -n "$json" ]; then
		printf '{"lab":"%s","up":true,"dir":"%s","shared":"%s","client_ns":"%s","hosts":[' "$NAME" "$LAB" "$LAB/shared" \
			"$NS-client"
		for h in $(lab_hosts); do
			printf '%s{"name":"%s","state":"%s","address":"%s","link":"%s","init_pid":%s,"services":{' "$sep" "$h" \
				"$(host_state "$h")" "$(host_addr "$h")" "$(host_link "$h")" "$(init_pid "$h" || echo null)"
			sep=
			for s in $(lab_services "$h"); do
				p=$(service_pid "$h" "$s")
				printf '%s"%s":%s' "$sep" "$s" "${p:-null}"
				sep=,
			done
			printf '}}'
			sep=,
		done
		printf ']}\n'
		return 0
	fi
	printf '%-8s %-5s %-14s %-8s %s\n' HOST STATE ADDRESS LINK SERVICES
	for h in $(lab_hosts); do
		printf '%-8s %-5s %-14s %-8s' "$h" "$(host_state "$h")" "$(host_addr "$h")" "$(host_link "$h")"
		for s in $(lab_services "$h"); do
			p=$(service_pid "$h" "$s")
			printf ' %s' "$s:${p:-off}"
		done
		echo
	done
	echo "shared disks: $LAB/shared, in hosts $SHARED_IN_HOST; client: $NET.1"
}

cmd_dir() {
	need_lab
	if [ -n "${1:-}" ]; then need_host "$1"; echo "$HOSTS/$1"; else echo "$LAB/shared"; fi
}

main() {
	local cmd=${1:-}
	[ -n "$cmd" ] || usage
	shift
	[[ $NAME =~ ^[a-z0-9_]{1,32}$ ]] || die "VMLAB_NAME: a lab's name is 1-32 of [a-z0-9_], not '$NAME'"
	case $cmd in -h | --help | help) usage 0 ;; esac
	[ "$EUID" -eq 0 ] || die "needs root: namespaces and interfaces are made"
	case $cmd in
	up | down | start | kill | freeze | thaw | disk | cut | slow | heal | exec | client | service | status | dir) "cmd_$cmd" "$@" ;;
	peers) need_lab; peers_exchange ;;
	__init) init_main "$@" ;;
	__nspawn) nspawn_main "$@" ;;
	__why_not_systemd) sysd_why_not ;;
	__systemd_base) [ -n "$(sysd_why_not)" ] || sysd_base ;; # made ahead of time
	*) usage ;;
	esac
}
main "$@"
