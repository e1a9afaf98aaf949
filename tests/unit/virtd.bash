# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What tests of hospes-virtd with real clients share: the daemon in directories of its own, and a stand-in for hvdom (fake_hvdom.c).

load own

setup() {
	command -v virsh >/dev/null || skip "missing: virsh (libvirt-clients)"
	T=$(mktemp -d)
	export HOSPES_RUNDIR=$T/run HOSPES_STATEDIR=$T/state HOSPES_LOGDIR=$T/log HOSPES_LIBEXEC=$T/lib HOSPES_CONFDIR=$T/etc
	unset FAKE FAKE_KERNEL
	mkdir -p "$HOSPES_LIBEXEC" "$T/etc"
	ln -s "$top_builddir/tests/unit/fake_hvdom" "$HOSPES_LIBEXEC/hvdom"
	vmctl=$top_builddir/tools/vmctl
	printf '{"socket": "%s/sock", "socket_ro": "%s/sock-ro"}' "$T" "$T" >"$T/etc/virtd.json"
	"$top_builddir/virtd/hospes-virtd" >"$T/virtd.log" 2>&1 3>&- &
	VIRTD=$!
	eventually [ -S "$T/sock-ro" ]
	make_xml guest01 >"$T/guest01.xml"
}

teardown() {
	[ -n "${T:-}" ] || return 0
	[ -n "${BATS_TEST_COMPLETED:-}" ] || cat "$T/virtd.log" >&2
	local rc=0
	[ -z "${CLUSTERD:-}" ] || kill "$CLUSTERD"
	kill "$VIRTD" 2>/dev/null || true
	wait "$VIRTD" 2>/dev/null || rc=$?
	for pid in $(pids); do kill -9 "$pid" 2>/dev/null || true; done
	# a leak or the like, which a sanitizer tells at the end
	[ $rc -eq 0 ] || { echo "hospes-virtd ended with $rc" >&2; cat "$T/virtd.log" >&2; }
	rm -rf "$T"
	return $rc
}

make_xml() {
	cat <<-X
		<domain type='uml'>
		  <name>$1</name>
		  <memory unit='MiB'>32</memory>
		  <os><type>linux</type></os>
		  <devices>
		    <console type='pty'/>
		  </devices>
		</domain>
	X
}
v() { timeout 30 virsh -q -c "hospes+unix:///system?socket=$T/sock" "$@"; }
state_is() { [ "$(v domstate guest01)" = "$1" ] && [ "$("$vmctl" domstate guest01)" = "$1" ]; }
# listen FILE ARGS...: virsh event to FILE; EVENTS is its pid
listen() {
	timeout 60 virsh -q -c "hospes+unix:///$1?socket=$T/sock" event "${@:3}" --loop >"$2" 2>&1 3>&- &
	EVENTS=$!
}
virtd_again() { # ENVIRONMENT...: the daemon starts hvdom: its environment is its own
	kill "$VIRTD"
	wait "$VIRTD"
	env "$@" "$top_builddir/virtd/hospes-virtd" >>"$T/virtd.log" 2>&1 3>&- &
	VIRTD=$!
	eventually v list
}
