# Two hosts on the loopback, each a migrated with directories and ports of its own, and a domain on the stand-in hvdom.
# Sourced by the bats files. Needs top_builddir (make check sets it).

B=${top_builddir:?run by make check}
PATH=$B/tools:$B/migrated:$PATH

host_env() { # HOST CMD...
	(host_exec "$@")
}
host_exec() { # the same, for the background: $! is the program's pid
	local h=$1; shift
	exec env HOSPES_RUNDIR="$T/$h/run" HOSPES_STATEDIR="$T/$h/state" HOSPES_CONFDIR="$T/$h/conf" HOSPES_LOGDIR="$T/$h/log" \
		HOSPES_LIBEXEC="$B/tests/migrated" FAKE_HOST="$h" FAKE_HOT_PAGES="${HOT:-2000}" FAKE_PAUSE_US="${PAUSE:-1000}" "$@"
}

host_make() { # HOST PORT
	mkdir -p "$T/$1"/{run,state,conf,log}
	printf '{"name": "%s", "listen": "127.0.0.1", "port": %d}\n' "$1" "$2" >"$T/$1/conf/migrated.json"
	printf '{"images": ["%s"], "kernels": ["/bin"]}\n' "$T" >"$T/$1/conf/paths.json"
	host_env "$1" migrated --init >"$T/$1/key"
}

host_start() { # HOST [FAULT]
	HOSPES_FAULT=${2:-} host_exec "$1" migrated --log-level debug 2>>"$T/$1/log/migrated.log" 3>&- &
	echo $! >"$T/$1/pid"
	local i
	for ((i = 0; i < 100; i++)); do
		[[ -S $T/$1/run/migrated.sock ]] && host_env "$1" vmmig status >/dev/null 2>&1 && return
		sleep 0.05
	done
	cat "$T/$1/log/migrated.log" >&2
	return 1
}

host_stop() { # HOST [SIGNAL]
	local pid
	pid=$(<"$T/$1/pid")
	kill "-${2:-TERM}" "$pid" 2>/dev/null || true
	wait "$pid" 2>/dev/null || true
}

free_port() { # two ports in a row that nobody uses, below those that the kernel gives to whoever connects
	local p
	for ((p = 10000 + RANDOM % 10000 * 2; ; p += 2)); do # even: two pairs never share one
		ss -Hltn "sport = :$p or sport = :$((p + 1))" | grep -q . || { echo "$p"; return; }
	done
}

two_hosts() {
	T=$(mktemp -d "${TMPDIR:-/tmp}/hospes-mig.XXXXXX")
	PA=$(free_port); PB=$(free_port)
	while [[ $PB == "$PA" ]]; do PB=$(free_port); done
	host_make a "$PA"; host_make b "$PB"
	host_env a vmmig peers add b "127.0.0.1:$PB" "$(<"$T/b/key")"
	host_env b vmmig peers add a "127.0.0.1:$PA" "$(<"$T/a/key")"
}

domain_xml() { # NAME [MEMORY_MIB]
	cat <<-XML
	<domain type='uml'><name>$1</name><uuid>c7a5fdbd-cdaf-9455-926a-d65c16db1809</uuid><memory unit='MiB'>${2:-64}</memory>
	<vcpu>1</vcpu><os><type>linux</type><kernel>${KERNEL:-/bin/true}</kernel></os>
	<devices><disk type='file'><source file='$T/disk'/><target dev='vda' bus='virtio'/></disk></devices></domain>
	XML
}

domain_start() { # HOST NAME [MEMORY_MIB]
	: >>"$T/disk"
	domain_xml "$2" "${3:-64}" >"$T/$2.xml"
	host_exec "$1" "$B/tests/migrated/hvdom" --config "$T/$2.xml" 2>>"$T/$1/log/$2.log" 3>&- &
	local i
	for ((i = 0; i < 100; i++)); do [[ -S $T/$1/run/dom/$2/hv.sock ]] && return; sleep 0.02; done
	return 1
}

# Pids of the hvdoms whose config or session belongs to this test.
hvdom_pids() { # HOST
	local p
	for p in $(pgrep -f "$B/tests/migrated/hvdom" || true); do
		tr '\0' '\n' <"/proc/$p/environ" 2>/dev/null | grep -qx "HOSPES_RUNDIR=$T/$1/run" && echo "$p"
	done
	return 0
}

# Which host runs it: holds the lock of the disk. Empty: none.
runs_on() {
	local h out=
	for h in a b; do
		[[ $(lease_owner) == "$h" && -n $(hvdom_pids "$h") ]] && out=$h
	done
	flock -n "$T/disk" true 2>/dev/null && out="$out"
	echo "$out"
}

lease_owner() { tail -c +9 "$T/disk.lease" | tr -d '\0'; }
# The stand-in locks with fcntl; /proc/locks says so.
disk_locked() { grep -q "OFDLCK.*$(stat -c '%i' "$T/disk") " /proc/locks; }

settled() { # wait until exactly one copy runs, say where
	local i h
	for ((i = 0; i < ${1:-150}; i++)); do
		h=$(lease_owner)
		if disk_locked && [[ $(cat <(hvdom_pids a) <(hvdom_pids b) | wc -l) == 1 && -n $(hvdom_pids "$h") ]]; then echo "$h"; return 0; fi
		sleep 0.1
	done
	echo "lease: $h, locked: $(disk_locked && echo yes), a: $(hvdom_pids a), b: $(hvdom_pids b)" >&2
	tail -n 20 "$T"/*/log/*.log >&2
	return 1
}

no_violation() {
	[[ ! -e $T/disk.violations ]] || { sed "s/^/PROMISE BROKEN: /" "$T/disk.violations" >&2; return 1; }
}

clean_up() {
	local h p
	for h in a b; do
		[[ -f $T/$h/pid ]] && host_stop "$h" KILL
		for p in $(hvdom_pids "$h"); do kill -KILL "$p" || true; done
	done
	[[ -n ${KEEP:-} ]] || rm -rf "$T"
}
