# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Bare Debian hosts and the packages of `make deb`, for deb.bats and bare.bats: containers of `vmlab up --systemd --bare` without
# a way out of the lab. Packages come from the hosts' own apt cache, which stands for the mirror and is filled once.
load clus
export LAB_KIND=systemd DEBS=${DEBS:-$top_builddir/deb}
apt_opts=(-qy -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold)

# What a file's setup_file begins with
need_debs() {
	need_root
	need_program systemd-nspawn mmdebstrap dpkg-deb jq
	[ -e "$(echo "$DEBS"/hospes_*.deb)" ] || skip "missing: $DEBS/hospes_*.deb (make deb)"
	need_systemd
}

# DIR: what hosts are made of: a minimal Debian, and in its apt cache all that the packages below $DEBS need. Once per machine and list.
deb_base() {
	local key dir needs
	needs=$(for d in "$DEBS"/*.deb; do dpkg-deb -f "$d" Depends Recommends; done | sed 's/hospes[a-z-]* ([^)]*)//g')
	key=$({ echo "$needs"; declare -f deb_base; cat "$top_srcdir/tools/vmlab_systemd.bash"; } | md5sum | cut -c 1-12)
	dir=${VMLAB_BASES:-$top_builddir}/vmlab-base-deb-$key
	if [ ! -e "$dir/.complete" ]; then
		rm -rf --one-file-system "$dir" "$dir.tmp"
		"$top_builddir/tools/vmlab.d/debtree" "$dir.tmp" systemd-sysv dbus >&2
		(
			bindir=- libdir=- self=-
			# shellcheck source=tools/vmlab_systemd.bash
			. "$top_srcdir/tools/vmlab_systemd.bash"
			sysd_base_settle "$dir.tmp"
		)
		# documentation is looked at; the mirror is that of the machine, and what else it has is not asked
		sed -i '/path-exclude/ { /uml/!d }' "$dir.tmp"/etc/dpkg/dpkg.cfg.d/* 2>/dev/null || true
		rm -f "$dir.tmp"/etc/apt/apt.conf.d/docker-clean
		# below /usr, which no host copies
		mkdir -p "$dir.tmp/usr/share/archives/partial" "$dir.tmp/debs"
		echo 'Dir::Cache::archives "/usr/share/archives/";' >"$dir.tmp/etc/apt/apt.conf.d/archives"
		cp -L /etc/resolv.conf "$dir.tmp/etc/resolv.conf"
		cp "$DEBS"/*.deb "$dir.tmp/debs"
		# shellcheck disable=SC2086
		unshare -m --propagation private chroot "$dir.tmp" /bin/sh -c 'mount -t proc proc /proc && cd /debs && apt-get -q update
			apt-get -qy --download-only install ./*.deb openssh-client jq' >&2 || return 1
		rm -rf "$dir.tmp/debs"
		touch "$dir.tmp/.complete"
		mv "$dir.tmp" "$dir"
	fi
	echo "$dir"
}

# debs_up N: a lab of N bare hosts, the packages below $DEBS in /var/debs of each
debs_up() {
	local base h
	base=$(deb_base)
	lab_up "$1" no-cluster --bare --base "$base"
	for h in $(lab_hosts); do debs_copy "$h"; done
}
debs_copy() { # HOST
	mkdir -p "$(host_dir "$1")/var/debs"
	cp "$DEBS"/hospes{,-cluster,-lab,-doc}_*.deb "$(host_dir "$1")/var/debs"
}
host_dir() { echo "$VMLAB_DIR/$VMLAB_NAME/hosts/$1"; }
# apt HOST WORD...; debs HOST FILE...: from /var/debs, or the directory $from in /var
apt() { on "$1" env DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 apt-get "${apt_opts[@]}" "${@:2}" 3>&-; }
debs() { on "$1" sh -c "cd /var/${from:-debs} && DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 apt-get ${apt_opts[*]} install ${*:2}" 3>&-; }
together() { # COMMAND HOST...: on all at once
	local what=$1 h pids=() p
	shift
	for h; do "$what" "$h" >&2 & pids+=($!); done
	for p in "${pids[@]}"; do wait "$p"; done
}
# repack FROM TO SUFFIX: the same packages with SUFFIX behind their version
repack() {
	local d t=$BATS_FILE_TMPDIR/repack
	mkdir -p "$2"
	for d in "$1"/hospes{,-cluster,-lab,-doc}_*.deb; do
		dpkg-deb -R "$d" "$t"
		sed -i -E "s/^(Version: .*)/\\1$3/; s/(hospes[a-z-]* \\(= [^)]*)\\)/\\1$3)/g" "$t/DEBIAN/control"
		dpkg-deb --root-owner-group -Zgzip -z1 -b "$t" "$2" >/dev/null
		rm -rf "$t"
	done
}
