# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What holds a real, loaded guest: each of its processes, looked at from its host, and hvdom itself. Also after a restore.
load lib

LAB_HOSTS=1
teardown() { guest_remove "$g"; }

# Runs on the host: look at every descendant of hvdom $1; complain about each thing that is not so. The holder (pid 1 of the guest's
# namespaces) runs our code only: it has no filter, but all else.
# shellcheck disable=SC2016
CHECK='
bad=0 n=0 cpus= name=$2
no() { echo "pid $p ($(cat /proc/$p/comm 2>/dev/null)): $*"; bad=1; }
field() { sed -n "s/^$1:[[:space:]]*//p" /proc/$p/status; }
common() {
	[ "$(field NoNewPrivs)" = 1 ] || no "may gain privileges"
	for u in $(field Uid) $(field Gid); do [ "$u" -ge 1744830464 ] || no "user or group $u"; done
	[ -z "$(field Groups | tr -d " 0-9" )" ] && for u in $(field Groups); do [ "$u" -ge 1744830464 ] || no "in group $u"; done
}
namespaces() {
	for ns in user pid mnt net ipc uts $1; do
		a=$(readlink /proc/$p/ns/$ns) b=$(readlink /proc/1/ns/$ns)
		[ -n "$a" ] && [ "$a" != "$b" ] || no "shares the $ns namespace of the host"
	done
}
root() {
	[ "$(stat -f -c %T /proc/$p/root)" = tmpfs ] || no "its root is a $(stat -f -c %T /proc/$p/root)"
	for f in etc root home usr/sbin usr/bin/vmctl var/lib/hospes/shared/$name.img var/lib/hospes/leases sys run dev/sda dev/mem proc/1 proc/self; do
		[ ! -e /proc/$p/root/$f ] || no "sees /$f"
	done
	touch /proc/$p/root/usr/bin/linux.uml 2>/dev/null
	# the mounts that are there besides the root: single files
	while read -r _ _ _ _ at _; do
		case $at in
		/|/usr/bin/linux.uml|/lib64/ld-linux-x86-64.so.2|/usr/lib64/*|/lib/x86_64-linux-gnu/libc.so.6|/usr/lib/x86_64-linux-gnu/*|/dev/null|/dev/random|/dev/urandom|/proc/cpuinfo|*/initramfs.img) ;;
		*) no "has the mount $at" ;;
		esac
	done </proc/$p/mountinfo
}
guest() {
	n=$((n + 1))
	common
	[ "$(field Seccomp)" = 2 ] || no "no filter: Seccomp $(field Seccomp)"
	for c in CapInh CapPrm CapEff CapAmb; do [ "$(field $c)" = 0000000000000000 ] || no "$c $(field $c)"; done
	namespaces time
	root
	c=$(field Cpus_allowed_list)
	case $c in *[,-]*) no "runs on CPUs $c" ;; esac
	[ -z "$cpus" ] || [ "$c" = "$cpus" ] || no "runs on CPU $c, another on $cpus"
	cpus=$c
	[ "$(field Threads)" = 1 ] || no "has threads"
	for f in /proc/$p/fd/*; do
		case $(readlink $f) in
		socket:*|anon_inode:*|/memfd:hospes-ram*|/dev/null|/dev/random|pipe:*) ;;
		*) no "holds $(readlink $f)" ;;
		esac
	done
	if [ -d /sys/fs/cgroup/pids/hospes.slice ] || [ -d /sys/fs/cgroup/hospes.slice ]; then
		grep -Eq "/hospes.slice/hospes-$name(\.[0-9]+)?\.scope/guest$" /proc/$p/cgroup || no "is in no group of its domain"
	fi
}
walk() { local p=$1 q; guest; for q in $(cat /proc/$1/task/$1/children); do walk $q; done; }
p=$1
common
for c in CapInh CapPrm CapEff CapAmb; do [ "$(field $c)" = 0000000000000000 ] || no "$c $(field $c)"; done
holder=$(pgrep -P $1 -x hospes-holder)
[ -n "$holder" ] || no "has no holder"
p=$holder
common
namespaces
root
for q in $(cat /proc/$holder/task/$holder/children); do walk $q; done
echo "$n guest processes"
[ $n -ge $3 ] || { echo "wanted $3 or more"; bad=1; }
exit $bad'
check() { # LEAST-PROCESSES
	local pid
	pid=$(on host-a vmctl dominfo "$g" --json | jq .pid)
	# held still, so that none comes or goes while we look
	on host-a vmctl suspend "$g"
	local ok=0
	on host-a bash -c "$CHECK" -- "$pid" "$g" "$1" || ok=1
	on host-a vmctl resume "$g"
	return $ok
}

@test "every process of a loaded guest is locked in" {
	guest_up host-a "$g"
	sleep 1
	check 30
	# also those that the guest makes later
	sleep 2
	check 30
	guest_sound "$g"
}

@test "also after save and restore, and after a reboot" {
	guest_up host-a "$g" load=light
	on host-a vmctl save "$g" "/var/lib/hospes/$g.save"
	on host-a vmctl restore "/var/lib/hospes/$g.save"
	guest_wait "$g"
	check 5
	local boot
	boot=$(guest_boot_id "$g")
	on host-a vmctl reboot "$g"
	new_boot() { local b; b=$(guest_boot_id "$g" 2>/dev/null) && [ -n "$b" ] && [ "$b" != "$boot" ]; }
	eventually 30 new_boot
	check 5
}

@test "the run directory and its socket are the domain's alone" {
	guest_up host-a "$g" load=none
	[ "$(on host-a stat -c %a "/run/hospes/dom/$g/hv.sock")" = 600 ]
	[ "$(on host-a stat -c %u "/run/hospes/dom/$g/hv.sock")" = 0 ]
	# nobody but root and the domain's user gets in
	run on host-a setpriv --reuid 65534 --regid 65534 --clear-groups "$top_builddir/tests/system/hvtool" "$g" hello
	[ "$status" -ne 0 ]
}

@test "the domain's user plants no links where root opens by name" {
	guest_up host-a "$g" load=none
	local dir=/run/hospes/dom/$g uid pid
	pid=$(on host-a vmctl dominfo "$g" --json | jq .pid)
	uid=$(on host-a awk '/^Uid:/{print $2}' "/proc/$pid/status")
	[ "$(on host-a stat -c '%u %a' "$dir")" = "0 711" ]
	[ "$(on host-a stat -c '%u %h' "$dir/lock")" = "0 1" ]
	plant() { on host-a setpriv --reuid "$uid" --regid "$uid" --clear-groups sh -c "ln -sf /run/hospes/victim $dir/lock; ln -sf /run/hospes/migrated.sock $dir/hv.sock" 2>&1; }
	plant || true
	[ "$(on host-a stat -c %F "$dir/lock")$(on host-a stat -c %F "$dir/hv.sock")" = "regular filesocket" ] ||
		[ "$(on host-a stat -c %F "$dir/lock")$(on host-a stat -c %F "$dir/hv.sock")" = "regular empty filesocket" ]
	on host-a vmctl destroy "$g"
	plant || true
	# as a version of before left it, with links in place
	on host-a chown "$uid" "$dir"
	on host-a rm -f "$dir/hv.sock"
	plant || true
	[ "$(on host-a stat -c %F "$dir/lock")" = "symbolic link" ]
	run on host-a vmctl dominfo "$g"
	on host-a rm -f "$dir/hv.sock"
	on host-a vmctl start "$g"
	on host-a test ! -e /run/hospes/victim
	[ "$(on host-a stat -c '%u %a' "$dir")" = "0 711" ]
}

@test "limits of the control group hold, hvdom is in it too, whoever started it, and it is removed at the end" {
	local dir=/sys/fs/cgroup/pids/hospes.slice max
	[ -d /sys/fs/cgroup/pids ] || dir=/sys/fs/cgroup/hospes.slice
	guest_up host-a "$g" load=light
	local d
	d=$(on host-a sh -c "ls -d $dir/hospes-$g.*scope/guest" 2>/dev/null) || skip "this host has no control groups that we may use: $(grep -h limits "$VMLAB_DIR/$VMLAB_NAME/hosts/host-a/var/log/hospes/$g.log")"
	max=$(on host-a cat "$d/pids.max")
	[ "$max" = 40000 ]
	[ "$(on host-a cat "$d/pids.current")" -ge 5 ]
	# a guest that forks without end meets the limit; the host and its hvdom do not
	on host-a sh -c "echo 60 >$d/pids.max"
	printf 'i=0; while [ $i -lt 200 ]; do sleep 20 & i=$((i+1)); done\n' | on host-a timeout 10 sh -c "(cat; sleep 4) | vmctl console $g" >/dev/null 2>&1 || true
	[ "$(on host-a cat "$d/pids.current")" -le 60 ]
	on host-a vmctl dominfo "$g" >/dev/null || true
	local pid
	pid=$(on host-a vmctl dominfo "$g" --json | jq .pid) || true
	[ -z "$pid" ] || on host-a kill -KILL "$pid"
	eventually 5 not test -e "$d"
	not test -e "${d%/guest}"
	# started by what the kernel spares when memory runs out, and in that one's group: a domain is neither
	on host-a sh -c "echo -500 >/proc/self/oom_score_adj; vmctl start $g"
	guest_wait "$g"
	pid=$(on host-a vmctl dominfo "$g" --json | jq .pid)
	[ "$(on host-a cat "/proc/$pid/oom_score_adj")" = 0 ]
	on host-a grep -Eq "/hospes.slice/hospes-$g(\.[0-9]+)?\.scope(/hvdom)?$" "/proc/$pid/cgroup"
	# no descriptor of root's with which it could move others' processes
	not on host-a sh -c "ls -l /proc/$pid/fd | grep -q cgroup.procs"
	# the record is root's
	[ "$(on host-a stat -c '%u %a' "/run/hospes/procs/$g" /run/hospes/procs | tr '\n' ' ')" = '0 600 0 700 ' ]
	[ "$(on host-a sed -n 's/^pid \([0-9]*\) .*/\1/p' "/run/hospes/procs/$g")" = "$pid" ]
}
