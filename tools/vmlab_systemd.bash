# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The part of vmlab behind `up --systemd`: hosts with a real systemd as pid 1, the installed units, and Hospes as `make install` leaves it.
# Sourced by vmlab; the network, the names and the commands are the same.
#
# A host's root is an overlay: a Debian tree made once per machine (packages.txt, [host]), `make install` of this build over it, and the
# host's own writes; /etc and /var are plain directories of the lab as in the other kind. It is mounted in a mount namespace of the host, so
# the machine sees none of it. systemd-nspawn boots it in the host's network namespace and in control groups "vmlab-LAB-HOST". A shell
# beside it (`__nspawn`) boots it again after "reboot", and takes init.pid away when it is off. ADR 67.
: "${bindir:?}" "${libdir:?}" "${self:?}" # vmlab's
SYSD_PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
has_systemd() { [ -e "$LAB/systemd" ]; }
is_bare() { [ -e "$LAB/bare" ]; } # nothing of Hospes is on the hosts but what is installed in them
# The build tree that this script runs from, or nothing
build_tree() { [ ! -f "$bindir/../Makefile" ] || [ ! -d "$bindir/../hypervisor" ] || readlink -f "$bindir/.."; }

# Why hosts with systemd cannot be made here; nothing if they can
sysd_why_not() {
	local p c
	[ "$EUID" -eq 0 ] || { echo "needs root"; return; }
	for p in systemd-nspawn mmdebstrap; do
		command -v $p >/dev/null || { echo "missing: $p (packages systemd-container, mmdebstrap)"; return; }
	done
	grep -qw overlay /proc/filesystems || modprobe overlay 2>/dev/null || { echo "this kernel has no overlay file system"; return; }
	while read -r c; do
		mkdir "$c/vmlab-probe.$$" 2>/dev/null && rmdir "$c/vmlab-probe.$$" || { echo "no control group can be made in $c"; return; }
	done < <(cgroup_roots)
}

# ---- the base tree --------------------------------------------------------------------------------------------------------

packages_of() { awk -v want="$1" '/^# \[/ { gsub(/[^a-z]/, ""); on = $0 == want; next } /^[a-z]/ && on { print $1 }' "$libdir/packages.txt"; }

# Where the base tree is, made if it is not: a minute and 230 MB, once for these packages and this script.
sysd_base() {
	local list key dir top
	list=$(packages_of host)
	[ -n "$list" ] || die "no packages for hosts in $libdir/packages.txt"
	list+=${VMLAB_PACKAGES:+$'\n'$VMLAB_PACKAGES}
	key=$({ echo "$list"; declare -f sysd_base_settle; cat "$libdir/debtree"; } | md5sum | cut -c 1-12)
	top=$(build_tree)
	dir=${VMLAB_BASES:-${top:-/var/cache/vmlab}}/vmlab-base-$key
	[ ! -e "$dir/.complete" ] || { echo "$dir"; return; }
	mkdir -p "${dir%/*}"
	exec 8>"${dir%/*}/.vmlab-base.lock"
	flock 8
	if [ ! -e "$dir/.complete" ]; then
		say "vmlab: making the hosts' Debian tree in $dir (once, about a minute)" >&2
		rm -rf --one-file-system "$dir" "$dir.tmp"
		# shellcheck disable=SC2086
		"$libdir/debtree" "$dir.tmp" $list >&2 8>&- 9>&-
		sysd_base_settle "$dir.tmp"
		touch "$dir.tmp/.complete"
		mv "$dir.tmp" "$dir"
	fi
	exec 8>&-
	echo "$dir"
}
# What a container must not do, since kernel, clock and /sys are the machine's; what nobody needs here; and quick stops.
sysd_base_settle() {
	local u s=$1/etc/systemd
	for u in systemd-{udevd,sysctl,modules-load,binfmt,random-seed,hwdb-update,pstore,update-utmp,networkd,resolved,timesyncd,remount-fs,firstboot}.service \
		systemd-udevd-{control,kernel}.socket systemd-udev-{trigger,settle}.service kmod-static-nodes.service modprobe@.service \
		proc-sys-fs-binfmt_misc.{mount,automount} sys-kernel-{config,debug,tracing}.mount sys-fs-fuse-connections.mount dev-hugepages.mount \
		getty@tty1.service console-getty.service getty-static.service apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer \
		e2scrub_all.timer e2scrub_reap.service fstrim.timer rpcbind.service ssh.service chrony.service; do
		ln -sf /dev/null "$s/system/$u"
	done
	mkdir -p "$s"/{journald,system}.conf.d
	printf '[Journal]\nStorage=volatile\nRuntimeMaxUse=16M\nForwardToSyslog=no\nForwardToWall=no\n' >"$s/journald.conf.d/vmlab.conf"
	: >"$1/etc/fstab"
	rm -f "$s/system/multi-user.target.wants/corosync.service" # enabled with the others, once it has a configuration
	# what the units say, as files where tests and people look for them in the other kind of lab, too
	cat >"$s/system/vmlab-log@.service" <<-'UNIT'
		[Unit]
		Description=Journal of %i as a file
		DefaultDependencies=no
		After=systemd-journald.service
		[Service]
		ExecStart=/bin/sh -c 'exec journalctl --boot --follow --lines=all --output=short-monotonic --no-hostname --unit=%i >>/var/log/hospes/%i.log'
		Restart=always
		OOMScoreAdjust=-1000
		[Install]
		WantedBy=multi-user.target
	UNIT
}

# `make install`, as a user would, into a directory of the lab: what is built now, not what was when another lab came up
sysd_install() { # BASE
	local top
	top=$(build_tree)
	if [ -n "$top" ]; then
		(
			unset MAKEFLAGS MFLAGS MAKELEVEL HOSPES_LIBEXEC DESTDIR
			make -C "$top" install DESTDIR="$LAB/install" 9>&-
		) >"$LAB/install.log" 2>&1 || { tail -n 20 "$LAB/install.log" >&2; die "make install failed; see $LAB/install.log"; }
	else
		mkdir -p "$LAB/install"
		compgen -G "$1/usr{,/local}/sbin/clusterd" >/dev/null || [ -e "$1/usr/sbin/clusterd" ] || [ -e "$1/usr/local/sbin/clusterd" ] ||
			die "Hospes is not installed in $1: from an installed vmlab, --base DIR names a Debian 12 tree with Hospes in it"
	fi
}

# ---- control groups -------------------------------------------------------------------------------------------------------

# The hierarchies that a host's processes stand in: the one of version 2, or those of version 1 (with version 2's second)
cgroup_roots() {
	local d
	if [ -e /sys/fs/cgroup/cgroup.procs ]; then echo /sys/fs/cgroup; return; fi
	for d in systemd unified memory pids cpu cpuacct devices blkio freezer; do
		if [ -e "/sys/fs/cgroup/$d/cgroup.procs" ] && [ ! -L "/sys/fs/cgroup/$d" ]; then echo "/sys/fs/cgroup/$d"; fi
	done
}
cgroup_of() { echo "vmlab-$NAME-$1"; }
cgroup_join() { # HOST: this process, with the groups as they are at the start of a host
	local d g c
	while read -r d; do
		g=$d/$(cgroup_of "$1")
		if [ -e "$d/cgroup.controllers" ]; then
			for c in cpu memory pids io; do echo "+$c" >"$d/cgroup.subtree_control" 2>/dev/null || true; done
		fi
		mkdir -p "$g"
		# real-time scheduling (Corosync, the guard) needs a share of its own where groups are given one
		[ ! -e "$g/cpu.rt_runtime_us" ] || echo 150000 >"$g/cpu.rt_runtime_us" 2>/dev/null || true
		echo "$BASHPID" >"$g/cgroup.procs"
	done < <(cgroup_roots)
}
cgroup_remove() { # HOST: what a dead host left
	local d g i
	while read -r d; do
		g=$d/$(cgroup_of "$1")
		# a group whose processes have only just ended is busy for a moment
		for ((i = 0; i < 30; i++)); do
			[ -d "$g" ] || break
			find "$g" -depth -type d -exec rmdir {} + 2>/dev/null && break
			sleep 0.1
		done
	done < <(cgroup_roots)
}
# frozen HOST 0|1: the whole host stands still, as one whose machine is paused, but clocks go on
sysd_frozen() {
	local g
	g=$(cgroup_of "$1")
	if [ -e "/sys/fs/cgroup/$g/cgroup.freeze" ]; then
		echo "$2" >"/sys/fs/cgroup/$g/cgroup.freeze"
	elif [ -e "/sys/fs/cgroup/freezer/$g/freezer.state" ]; then
		if [ "$2" = 1 ]; then echo FROZEN; else echo THAWED; fi >"/sys/fs/cgroup/freezer/$g/freezer.state"
	else
		return 1
	fi
}

# ---- a host's life ---------------------------------------------------------------------------------------------------------

sysd_host_files() {
	local h=$1 d base
	d=$HOSTS/$h
	read -r base <"$LAB/systemd"
	mkdir -p "$d"/{up,work,root}
	cp -a "$base/etc" "$d/etc"
	cp -a "$base/var" "$d/var"
	[ ! -d "$LAB/install/etc" ] || cp -a "$LAB/install/etc/." "$d/etc/"
	[ ! -d "$LAB/install/var" ] || cp -a "$LAB/install/var/." "$d/var/"
	rm -rf "$d/etc/hospes" "$d/etc/corosync" "$d/etc/resolv.conf" "$d/var/log/journal"
	mkdir -p "$d/etc/systemd/system.conf.d"
	is_bare || mkdir -p "$d/etc/hospes" "$d"/var/{lib/hospes/shared,log/hospes}
	echo "$h" >"$d/etc/hostname"
	md5sum <<<"$LAB $h" | cut -c 1-32 >"$d/etc/machine-id"
	{
		printf '[Manager]\n'
		# they stand still together or not at all, whatever machine carries them
		printf 'DefaultEnvironment=HOSPES_CLOCKS=%s\n' "${HOSPES_CLOCKS:-trusted}"
		[ -z "${HOSPES_AUDIT:-}" ] || printf 'DefaultEnvironment=HOSPES_AUDIT=%s\n' "$HOSPES_AUDIT"
	} >"$d/etc/systemd/system.conf.d/vmlab.conf"
}

# Until its systemd answers; the port to the switch and the taps that a power loss left were seen to by host_boot().
sysd_host_boot() {
	local h=$1 d outer i fd
	d=$HOSTS/$h
	(
		for fd in /proc/self/fd/*; do
			fd=${fd##*/}
			[ "$fd" -le 2 ] || eval "exec $fd>&-"
		done
		cd /
		export VMLAB_DIR VMLAB_NAME="$NAME"
		exec setsid nsenter --net="/run/netns/$NS-$h" unshare -m --propagation private /bin/bash "$self" __nspawn "$h" \
			</dev/null >>"$d/init.log" 2>&1
	) &
	outer=$!
	disown "$outer"
	echo "$outer" >"$d/outer.pid"
}
sysd_host_wait() {
	local h=$1 d outer i
	d=$HOSTS/$h
	read -r outer <"$d/outer.pid"
	for ((i = 0; i < 600; i++)); do
		if [ -e "$d/init.pid" ] && [[ $(enter "$h" systemctl is-system-running 2>/dev/null) =~ ^(running|degraded)$ ]]; then return 0; fi
		kill -0 "$outer" 2>/dev/null || break
		sleep 0.1
	done
	tail -n 5 "$d/init.log" >&2
	die "$h did not boot; see $d/init.log"
}
# The first time: as an administrator would, on all hosts at once
sysd_first_boot() {
	local h
	for h in $(lab_hosts); do sysd_host_wait "$h"; done
	! is_bare || return 0
	for h in $(lab_hosts); do sysd_enable "$h" & done
	wait
}
sysd_enable() {
	local s units
	read -r -a units <<<"$(lab_services "$1")"
	for s in "${units[@]}"; do set -- "$@" "vmlab-log@$s"; done
	(enter "$1" systemctl enable --now --quiet "${@:2}" "${units[@]}") || die "$1: systemctl enable --now ${units[*]} failed"
}

# The shell beside a host: in its network namespace and a mount namespace of its own.
nspawn_main() {
	local h=$1 d base rc pid
	d=$HOSTS/$h
	read -r base <"$LAB/systemd"
	cgroup_join "$h"
	# nspawn's own notes in /run: not on the machine
	mkdir -p "$d/mnt"
	mount --rbind /run/netns "$d/mnt"
	mount -t tmpfs -o mode=755 tmpfs /run
	mkdir -p /run/netns
	mount --move "$d/mnt" /run/netns
	mount -t overlay overlay -o "lowerdir=$LAB/install:$base,upperdir=$d/up,workdir=$d/work" "$d/root"
	mount --bind "$d/etc" "$d/root/etc"
	mount --bind "$d/var" "$d/root/var"
	# no masks over /proc, or a guest's sandbox could mount none of its own; what would write to /sys is masked above
	export SYSTEMD_NSPAWN_API_VFS_WRITABLE=yes SYSTEMD_LOG_LEVEL=warning
	unset HOSPES_LIBEXEC HOSPES_AUDIT
	while :; do
		systemd-nspawn --quiet --settings=no --boot --directory="$d/root" --register=no --keep-unit --machine="$(cgroup_of "$h" | tr _ -)" --hostname="$h" \
			--link-journal=no --network-namespace-path="/run/netns/$NS-$h" --capability=all --resolv-conf=off --timezone=off \
			--system-call-filter='userfaultfd kcmp ptrace process_vm_readv @privileged @debug' --bind=/dev/net/tun --bind=/dev/fuse \
			--bind="$LAB/shared:$SHARED_IN_HOST" --console=pipe </dev/null &
		pid=$!
		nspawn_note_init "$pid"
		rc=0
		wait "$pid" || rc=$?
		rm -f "$d/init.pid"
		echo "$(date +%T) $h is off ($rc)"
		[ "$rc" -eq 133 ] || exit 0 # 133: "boot me again"
	done
}
# Its pid 1, once that is systemd
nspawn_note_init() {
	local i p c children key ids
	for ((i = 0; i < 200; i++)); do
		[ -e "/proc/$1" ] || return 0
		read -r children 2>/dev/null <"/proc/$1/task/$1/children" || true
		for p in $children; do
			while read -r key ids; do
				if [ "$key" != NSpid: ] || [[ ! $ids =~ [[:space:]]1$ ]]; then continue; fi
				read -r c <"/proc/$p/comm"
				[ "$c" = systemd ] || continue
				nspawn_settle "$p"
				echo "$p" >"$d/init.pid.tmp" && mv "$d/init.pid.tmp" "$d/init.pid"
				return 0
			done 2>/dev/null <"/proc/$p/status" || true
		done
		sleep 0.02
	done
}
# What udev would have made: nodes of the lab's block devices
nspawn_settle() { # PID
	local name dev
	while read -r name dev; do disk_node "$1" "$name" "$dev"; done < <(lab_disks)
	# groups of version 1 come read-only, which those of version 2, and those of a real host, are not
	nsenter -t "$1" -m /bin/sh -c 'for d in /sys/fs/cgroup/*/; do mount -o remount,bind,rw $d 2>/dev/null || true; done'
}

# ---- block devices that all hosts share: loop devices over files of the lab -----------------------------------------------------

# NAME /dev/loopN of each; found by the name of its file
lab_disks() { losetup --list --noheadings --output BACK-FILE,NAME | awk -v d="$LAB/disks/" 'index($1, d) == 1 { sub(/.*\//, "", $1); print $1, $2 }'; }
disk_node() { # PID NAME /dev/loopN
	nsenter -t "$1" -m /bin/sh -c 'mkdir -p /dev/mapper && rm -f "/dev/mapper/$1" && umask 007 && mknod "/dev/mapper/$1" b 7 "$2"' sh "$2" "${3#/dev/loop}"
}
disks_remove() { local dev; lab_disks | while read -r _ dev; do losetup -d "$dev" || true; done; }
cmd_disk() { # NAME MIB
	local name=${1:-} mib=${2:-} dev h pid
	need_lab
	has_systemd || die "disk: only hosts of up --systemd have a /dev of their own"
	[[ $name =~ ^[a-z0-9][a-z0-9._-]{0,31}$ ]] && [[ $mib =~ ^[1-9][0-9]{0,5}$ ]] || usage
	[ ! -e "$LAB/disks/$name" ] || die "disk $name exists"
	mkdir -p "$LAB/disks"
	truncate -s "${mib}M" "$LAB/disks/$name"
	dev=$(losetup --find --show "$LAB/disks/$name")
	for h in $(lab_hosts); do
		! pid=$(init_pid "$h") || disk_node "$pid" "$name" "$dev"
	done
	say "/dev/mapper/$name on all hosts is $dev here"
}

# ---- commands in it ----------------------------------------------------------------------------------------------------------

# As a person who logged in: in the host's control groups (not in a unit's), with nothing of the build tree in sight
sysd_enter() { # HOST CMD...
	local pid ctl path d g
	pid=$(init_pid "$1") || die "$1 is down"
	shift
	while IFS=: read -r _ ctl path; do
		case $ctl in
		'') d=/sys/fs/cgroup; [ -e $d/cgroup.procs ] || d=$d/unified ;;
		*) d=/sys/fs/cgroup/${ctl#name=} ;;
		esac
		path=${path%/init.scope}
		g=$d$path/user.slice/vmlab.scope
		[ -e "$d/cgroup.procs" ] || continue
		mkdir -p "$g" 2>/dev/null || g=$d$path
		echo "$BASHPID" 2>/dev/null >"$g/cgroup.procs" || true
	done <"/proc/$pid/cgroup"
	unset HOSPES_LIBEXEC HOSPES_RUNDIR HOSPES_STATEDIR HOSPES_CONFDIR HOSPES_LOGDIR
	PATH=$SYSD_PATH exec nsenter -t "$pid" -m -u -i -n -p -C -- "$@"
}

# The main process of a unit, as seen from outside
sysd_service_pid() {
	local inner p key ids pid path
	pid=$(init_pid "$1") || return 0
	inner=$(enter "$1" systemctl show -P MainPID "$2" 2>/dev/null) || return 0
	[ "${inner:-0}" -ne 0 ] || return 0
	path=$(awk -F: '$2 == "name=systemd" || ($2 == "" && !n) { n = $2; p = $3 } END { sub(/\/init.scope$/, "", p); print (n != "" ? "systemd" : "") p }' "/proc/$pid/cgroup")
	for p in $(cat "/sys/fs/cgroup/$path/system.slice/$2.service/cgroup.procs" 2>/dev/null); do
		while read -r key ids; do
			[ "$key" != NSpid: ] || [ "${ids##*[[:space:]]}" != "$inner" ] || echo "$p"
		done 2>/dev/null <"/proc/$p/status" || true
	done
}

sysd_service() { # HOST start|stop|restart|kill UNIT [--once] [K=V...]
	local h=$1 what=$2 s=$3 once='' f before i
	shift 3
	f=/proc/$(init_pid "$h")/root/run/systemd/system/$s.service.d/vmlab.conf
	if [ "${1:-}" = --once ]; then once=1; shift; fi
	if [ $# -gt 0 ]; then
		mkdir -p "${f%/*}"
		{ echo '[Service]'; printf 'Environment="%s"\n' "$@"; } >"$f"
		(enter "$h" systemctl daemon-reload)
	fi
	before=$(sysd_service_pid "$h" "$s")
	case $what in
	stop | start | restart) (enter "$h" systemctl "$what" "$s.service") || die "$s on $h: systemctl $what failed" ;;
	kill)
		[ -n "$before" ] || die "$s does not run on $h"
		(enter "$h" systemctl kill --kill-whom=main --signal=KILL "$s.service")
		for ((i = 0; i < 100; i++)); do
			[ "$(sysd_service_pid "$h" "$s")" = "$before" ] || break
			sleep 0.05
		done
		# back, if anything brings it back
		for ((i = 0; i < 60; i++)); do
			[ -z "$(sysd_service_pid "$h" "$s")" ] || break
			sleep 0.05
		done
		;;
	*) usage ;;
	esac
	if [ -n "$once" ]; then
		rm -f "$f"
		(enter "$h" systemctl daemon-reload)
	fi
}
