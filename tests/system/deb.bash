# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# One bare Debian host with a systemd and nothing of Hospes, for deb.bats: a container as those of `vmlab up --systemd` (whose functions it
# uses), in a network namespace without a way out. Packages come from its own apt cache, which is filled once.
bindir=$(cd "$top_srcdir/tools" && pwd) libdir=$top_builddir/tools/vmlab.d self=deb.bash
export bindir libdir self
NAME=${HOSPES_LAB_PREFIX:-t_}deb LAB=$VMLAB_DIR/${HOSPES_LAB_PREFIX:-t_}deb SHARED_IN_HOST=/var/lib/hospes/shared SHARED=$LAB/shared
export SHARED
HOST=pkg ADDR=10.77.0.1
die() { echo "deb.bash: $*" >&2; return 1; }
say() { echo "$*"; }
HOSTS=$LAB/hosts NS=hospes-$NAME
export HOSTS NS
host_dir() { echo "$HOSTS/$1"; }
ns_of() { echo "$NS-$1"; }
lab_disks() { :; }
init_pid() { cat "$(host_dir "$1")/init.pid" 2>/dev/null; }
# shellcheck source=tools/vmlab_systemd.bash
. "$top_srcdir/tools/vmlab_systemd.bash"

# In the host, as root who logged in
at() { (sysd_enter "$HOST" "$@"); }

# DIR: what the container is made of: a minimal Debian, and in its apt cache all that the packages below $DEBS need. Once per machine and list.
deb_base() {
	local key dir needs
	needs=$(for d in "$DEBS"/*.deb; do dpkg-deb -f "$d" Depends Recommends; done | sed 's/hospes[a-z-]* ([^)]*)//g')
	key=$({ echo "$needs"; declare -f deb_base sysd_base_settle; } | md5sum | cut -c 1-12)
	dir=${VMLAB_BASES:-$top_builddir}/vmlab-base-deb-$key
	if [ ! -e "$dir/.complete" ]; then
		rm -rf --one-file-system "$dir" "$dir.tmp"
		"$libdir/debtree" "$dir.tmp" systemd-sysv dbus >&2
		sysd_base_settle "$dir.tmp"
		# documentation is looked at; the mirror is that of the machine, and what else it has is not asked
		sed -i '/path-exclude/ { /uml/!d }' "$dir.tmp"/etc/dpkg/dpkg.cfg.d/* 2>/dev/null || true
		cp -L /etc/resolv.conf "$dir.tmp/etc/resolv.conf"
		mkdir "$dir.tmp/debs" && cp "$DEBS"/*.deb "$dir.tmp/debs"
		# shellcheck disable=SC2016
		unshare -m --propagation private chroot "$dir.tmp" /bin/sh -c 'mount -t proc proc /proc && cd /debs && apt-get -q update
			apt-get -qy --download-only install ./*.deb && cp -n /var/cache/apt/archives/*.deb /debs/' >&2 || return 1
		(cd "$dir.tmp/debs" && rm -f hospes*.deb && mv ./*.deb ../var/cache/apt/archives/)
		rmdir "$dir.tmp/debs"
		rm -f "$dir.tmp"/etc/apt/apt.conf.d/docker-clean
		touch "$dir.tmp/.complete"
		mv "$dir.tmp" "$dir"
	fi
	echo "$dir"
}

deb_up() { # BASE
	local d i
	d=$(host_dir "$HOST")
	deb_down
	mkdir -p "$LAB/install" "$LAB/shared" "$d"
	echo "$1" >"$LAB/systemd"
	sysd_host_files "$HOST"
	rmdir "$d/etc/hospes" "$d/var/lib/hospes/shared" "$d/var/lib/hospes" "$d/var/log/hospes"
	printf '127.0.0.1 localhost\n%s %s\n' $ADDR $HOST >"$d/etc/hosts"
	ip netns add "$(ns_of $HOST)"
	ip -n "$(ns_of $HOST)" link set lo up
	ip -n "$(ns_of $HOST)" link add br0 type bridge
	ip -n "$(ns_of $HOST)" addr add $ADDR/24 dev br0
	ip -n "$(ns_of $HOST)" link set br0 up
	export top_srcdir top_builddir VMLAB_DIR HOSPES_LAB_PREFIX
	setsid nsenter --net="/run/netns/$(ns_of $HOST)" unshare -m --propagation private /bin/bash -c \
		'BATS_TEST_DIRNAME=$top_srcdir/tests/system; . "$top_srcdir/tests/system/deb.bash"; nspawn_main "$HOST"' \
		</dev/null >>"$d/init.log" 2>&1 3>&- 4>&- &
	echo $! >"$d/outer.pid"
	for ((i = 0; i < 1200 * PATIENCE; i++)); do
		if [ -e "$d/init.pid" ] && [[ $(at systemctl is-system-running 2>/dev/null) =~ ^(running|degraded)$ ]]; then return 0; fi
		sleep 0.1
	done
	cat "$d/init.log" >&2
	return 1
}

deb_down() {
	local d i outer
	d=$(host_dir "$HOST")
	if outer=$(cat "$d/outer.pid" 2>/dev/null) && [ -e "/proc/$outer" ]; then
		init_pid "$HOST" >/dev/null && kill -9 "$(init_pid "$HOST")" 2>/dev/null
		for ((i = 0; i < 100; i++)); do
			[ -e "/proc/$outer" ] || break
			sleep 0.1
		done
		kill -9 -- "-$outer" 2>/dev/null || true
	fi
	cgroup_remove "$HOST"
	ip netns del "$(ns_of $HOST)" 2>/dev/null || true
	rm -rf --one-file-system "$LAB"
	rmdir "$VMLAB_DIR" 2>/dev/null || true
}
