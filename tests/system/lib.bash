# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What the system tests share: a lab per test file, guests in it, a client that watches, and the questions asked after each disturbance.
# Loaded by every .bats file. `make check` sets top_srcdir and top_builddir; labs have names of their own, so files may run side by side.

: "${top_srcdir:=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)}" "${top_builddir:=$top_srcdir/build}"
[[ $top_builddir = /* ]] || top_builddir=$(cd "$top_builddir" && pwd)
export VMLAB_DIR=${VMLAB_DIR:-$top_builddir/labs}
export PATH=$top_builddir/tools:$top_builddir/hypervisor:$top_builddir/migrated:$top_builddir/clusterd:$top_builddir/virtd:$PATH
export HOSPES_LIBEXEC=${HOSPES_LIBEXEC:-$top_builddir/hypervisor}
# a whole check waits longer for what has to come: how fast it comes is measured by bench/, and a slow machine is no fault (ADR 73)
PATIENCE=${HOSPES_PATIENCE:-1}
# nothing here may hang for ever
export BATS_TEST_TIMEOUT=${BATS_TEST_TIMEOUT:-$((240 + 180 * (PATIENCE - 1)))}
# ... nor wait for bats' own count: a test that ends before that has set its trap leaves the count's sleep behind, for the whole time and with
# the pipe open that bats reads. Here it lives as long as the test. All other sleeps take no process: reading from a pipe that nobody writes to.
sleep() {
	[ "${FUNCNAME[1]:-}" != bats_start_timeout_countdown ] || exec timeout "$1" tail --pid=$$ -s 0.5 -f /dev/null >/dev/null 2>&1 3>&-
	local nap=${BATS_FILE_TMPDIR:-/nowhere}/nap
	[ -p "$nap" ] || mkfifo "$nap" 2>/dev/null || [ -p "$nap" ] || { command sleep "$@"; return; }
	read -rt "$1" <>"$nap" || true
}
# shellcheck source=tests/retry.bash
. "${BASH_SOURCE[0]%/*}/../retry.bash"
# shellcheck source=tests/jsonlog.bash
. "${BASH_SOURCE[0]%/*}/../jsonlog.bash"
broken() {
	echo "PROMISE BROKEN: $*" >&2
	return 1
}
unset HOSPES_RUNDIR HOSPES_STATEDIR HOSPES_CONFDIR HOSPES_LOGDIR

need_root() { [ "$EUID" -eq 0 ] || skip "needs root: namespaces are made"; }
need_program() {
	local p
	for p; do command -v "$p" >/dev/null || skip "missing: $p"; done
}
need_guest() { [ -e "$top_builddir/guests/$1" ] || skip "missing: guests/$1 (make guests)"; }

# In setup_file: a lab of N hosts with its own name; teardown_file: lab_down. lab_up N cluster [OPTION...]: with Corosync and clusterd (clus.bash).
# LAB_KIND=systemd: hosts with a real systemd and the installed units; a file that must have them begins its setup_file with need_systemd.
need_systemd() {
	local why
	need_root
	why=$(vmlab __why_not_systemd)
	[ -z "$why" ] || skip "$why"
	export LAB_KIND=systemd
}
# What a file begins with that has nothing else: a lab of LAB_HOSTS, and for each test a guest's name that is its own.
LAB_HOSTS=2
setup_file() { need_root; lab_up "$LAB_HOSTS"; }
teardown_file() { lab_down; }
setup() { need_guests; }
need_guests() {
	need_root
	need_program linux.uml jq
	need_guest initramfs.img
	need_engine
	g=guest$BATS_TEST_NUMBER
}
lab_up() {
	local base opts=()
	base=$(basename "$BATS_TEST_FILENAME" .bats)
	export VMLAB_NAME=${HOSPES_LAB_PREFIX:-t$$_}${base//[^a-z0-9]/_}
	[ "$(id -u)" -eq 0 ] || return 0
	HOSPES_QEMU_TYPE=$(qemu_type) && export HOSPES_QEMU_TYPE # asked once
	[ -x "$top_builddir/tests/system/lablook" ] || { echo "missing: tests/system/lablook (make it first)" >&2; return 1; }
	vmlab down >/dev/null 2>&1 || true
	# every daemon proves its log-dirty against a full comparison
	export HOSPES_AUDIT=1 LAB_IS_UP=1
	# what few tests want is left out of the labs of the others
	export VMLAB_VIRTD=${VMLAB_VIRTD:-no}
	[ "${2:-}" = cluster ] || opts+=(--no-cluster)
	[ "${LAB_KIND:-}" != systemd ] || opts+=(--systemd)
	[ "${HOSPES_ENGINE:-pv}" = pv ] || export VMLAB_PACKAGES='qemu-system-x86 seabios'
	vmlab up "$1" "${opts[@]}" "${@:3}" >&2
	SHARED=$(vmlab dir)
	export SHARED
	[ ! -e "$top_builddir/guests/initramfs.img" ] || cp "$top_builddir/guests/initramfs.img" "$SHARED/"
	qemu_missing >/dev/null || cp "$top_builddir"/guests/qemu-{kernel,initramfs.img} "$SHARED/"
}
# Says what engine qemu misses here.
qemu_missing() {
	[ -x /usr/bin/qemu-system-x86_64 ] || { echo "missing: qemu-system-x86"; return 0; }
	[ -e "$top_builddir/guests/qemu-kernel" ] || { echo "missing: guests/qemu-kernel (install linux-image-cloud-amd64, make guests)"; return 0; }
	return 1
}
# The type of domains whose guests have a kernel of their own: kvm where hvdom can run these, else qemu; HOSPES_QEMU_TYPE says which
qemu_type() {
	[ -n "${HOSPES_QEMU_TYPE:-}" ] || { if "$top_builddir/hypervisor/hvdom" --engines | jq -es 'any(.[]; .engine == "kvm" and .runs)' >/dev/null; then HOSPES_QEMU_TYPE=kvm; else HOSPES_QEMU_TYPE=qemu; fi; }
	echo "$HOSPES_QEMU_TYPE"
}
# HOSPES_ENGINE: that of all guests of a file, pv (default) or qemu; mixed: qemu for half of them
engine_of() {
	case ${HOSPES_ENGINE:-pv} in
	mixed) if [[ $1 = *[34] ]]; then echo qemu; else echo pv; fi ;;
	*) echo "${HOSPES_ENGINE:-pv}" ;;
	esac
}
engine_there() { [ "${HOSPES_ENGINE:-pv}" = pv ] || ! qemu_missing >/dev/null; }
need_engine() { engine_there || skip "$(qemu_missing)"; }
lab_down() {
	[ "$(id -u)" -eq 0 ] && [ -n "${LAB_IS_UP:-}" ] || return 0
	local missed
	missed=$(grep -sh "the dirty log missed" "$VMLAB_DIR/$VMLAB_NAME"/hosts/*/var/log/hospes/migrated.log || true)
	vmlab down
	# what an audit found, also where the page was the same in the end
	[ -z "$missed" ] || { broken "log-dirty: $missed"; return 1; }
	# what --json printed meanwhile, in hosts that see the file
	[ ! -s "${HOSPES_JSON_LOG:-}" ] || jsonlog_missing >/dev/null || jsonlog_check
}
lab_logs() {
	local f
	for f in "$VMLAB_DIR/$VMLAB_NAME"/hosts/*/var/log/hospes/*.log; do
		if [ ! -s "$f" ] || [[ $f = *-console.log || $f = *-boot.log ]]; then continue; fi
		echo "---- ${f#"$VMLAB_DIR/$VMLAB_NAME/hosts/"}"
		tail -n 12 "$f"
	done
}
# what the daemons said goes into the log of a test that failed
teardown() { [ -n "${BATS_TEST_COMPLETED:-}" ] || lab_logs >&2; }
# on HOST COMMAND...: as `vmlab exec`, without its processes: what polls has to be cheap
on() {
	local h=$1 pid
	shift
	read -r pid 2>/dev/null <"$VMLAB_DIR/$VMLAB_NAME/hosts/$h/init.pid" || { echo "$h is down" >&2; return 1; }
	[ "${LAB_KIND:-}" != systemd ] || { on_systemd "$pid" "$@"; return; }
	nsenter -t "$pid" -m -u -i -n -p -- "$@"
}
# ... which there is with the installed programs, and in the host's own control groups
on_systemd() (
	local pid=$1 ctl path d
	shift
	while IFS=: read -r _ ctl path; do
		d=/sys/fs/cgroup/${ctl#name=}
		[ -n "$ctl" ] || [ -e $d/cgroup.procs ] || d=/sys/fs/cgroup/unified
		d+=${path%/init.scope}/user.slice/vmlab.scope
		[ ! -e "$d/cgroup.procs" ] || echo "$BASHPID" 2>/dev/null >"$d/cgroup.procs" || true
	done <"/proc/$pid/cgroup"
	unset HOSPES_LIBEXEC
	PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin exec nsenter -t "$pid" -m -u -i -n -p -C -- "$@"
)
# look QUESTION...: what hosts run and clusterds say, in one process that enters no host (lablook.c)
look() { "$top_builddir/tests/system/lablook" "$@"; }
# jq 1.6 -e finds no fault with nothing at all, which is what a host that does not answer says
jq() {
	local in
	[[ ${1:-} = -*e* ]] || { command jq "$@"; return; }
	IFS= read -rd '' in || true
	[ -n "$in" ] || return 4
	command jq "$@" <<<"$in"
}
# as `vmlab client`, without its dozens of processes: what polls has to be cheap
client() { nsenter --net="/run/netns/hospes-$VMLAB_NAME-client" -- "$@"; }

# bats ends a test at a command that fails, but not at one behind "!"
not() { if "$@"; then echo "succeeded, but should not: $*" >&2; return 1; fi; }

# eventually SECONDS COMMAND...: until it succeeds
eventually() {
	local end=$((SECONDS + $1 * PATIENCE)) since
	shift
	while since=${EPOCHREALTIME/./}; ! "$@" >/dev/null 2>&1; do
		if [ $SECONDS -ge $end ]; then
			echo "not within the time: $*" >&2
			"$@" >&2
			return 1
		fi
		pause_after $((${EPOCHREALTIME/./} - since))
	done
}
# ... which must not be what makes a slow machine slow: a pause of a tenth of a second to half a one, as long as the look took, in microseconds
pause_after() { sleep 0.$(($1 < 100000 ? 1 : $1 < 500000 ? $1 / 100000 : 5)); }

# ---- guests --------------------------------------------------------------------------------------------------------------

guest_ip() { echo "10.77.0.$((10 + 10#${1//[!0-9]/}))"; }

# guest_xml NAME [key=value...]: writes $SHARED/NAME.xml, and makes its disks. mem (MiB), load, dirty, fill, disk (MiB, 0: none), bridge,
# kernel, xml (extra devices), cmdline, on_crash, on_reboot, image (a disk that exists), cluster (attributes of <hospes:cluster>),
# witness (1: a raw disk that nobody locks; block: a block device; docs/testing-guests.md), engine (pv, qemu), vcpus, machine (of qemu),
# arch (of qemu: x86_64, aarch64), nic (of qemu: the card)
guest_xml() {
	local name=$1 mem=256 load=full dirty=16 fill=0 disk=64 bridge=br0 kernel='' xml='' cmdline='' a
	local on_crash=destroy on_reboot=restart image='' cluster='' witness='' ip engine vcpus=1 machine='' arch=x86_64
	local nic=virtio domain=uml initrd=initramfs.img os='<type>linux</type>'
	engine=$(engine_of "$1")
	shift
	for a; do local "${a%%=*}=${a#*=}"; done
	if [ "$engine" = qemu ]; then
		local boots=qemu tty=ttyS0
		domain=$(qemu_type)
		[ "$arch" != aarch64 ] || { domain=qemu boots=arm tty=ttyAMA0; }
		: "${kernel:=/var/lib/hospes/shared/$boots-kernel}"
		initrd=$boots-initramfs.img cmdline="console=$tty quiet $cmdline"
		os="<type arch='$arch'${machine:+ machine='$machine'}>hvm</type>"
	fi
	: "${kernel:=/usr/bin/linux.uml}"
	ip=$(guest_ip "$name")
	if [ -z "$image" ] && [ "$disk" -gt 0 ]; then
		image=$SHARED/$name.img
		[ -e "$image" ] || { truncate -s "${disk}M" "$image" && mke2fs -q -F -t ext4 "$image"; }
	fi
	if [ -n "$witness" ]; then
		local source="file='/var/lib/hospes/shared/$name.wit'" type=file
		[ -e "$SHARED/$name.wit" ] || truncate -s 64K "$SHARED/$name.wit"
		[ "$witness" != block ] || { witness_block "$name"; type=block source="dev='/dev/mapper/$name'"; }
		witness=vd$([ -n "$image" ] && echo b || echo a)
		cmdline+=" hospes.witness=/dev/$witness$([ -n "$image" ] || echo ' hospes.disk=')"
		xml+="<disk type='$type' device='disk'><source $source/><target dev='$witness' bus='virtio'/><shareable/></disk>"
	fi
	{
		cat <<-EOF
		<domain type='$domain'>
		  <name>$name</name>
		  <uuid>$(md5sum <<<"$name" | sed -E 's/^(.{8})(.{4})(.{4})(.{4})(.{12}).*/\1-\2-\3-\4-\5/')</uuid>
		  <memory unit='MiB'>$mem</memory>
		  <vcpu>$vcpus</vcpu>
		  <os>
		    $os
		    <kernel>$kernel</kernel>
		    <initrd>/var/lib/hospes/shared/$initrd</initrd>
		    <cmdline>hospes.ip=$ip/24 hospes.name=$name load=$load dirty=$dirty fill=$fill $cmdline</cmdline>
		  </os>
		  ${cluster:+<metadata><hospes:cluster xmlns:hospes='urn:hospes:cluster:1' $cluster/></metadata>}
		  <on_poweroff>destroy</on_poweroff>
		  <on_reboot>$on_reboot</on_reboot>
		  <on_crash>$on_crash</on_crash>
		  <devices>
		EOF
		[ -z "$image" ] || cat <<-EOF
		    <disk type='file' device='disk'>
		      <source file='/var/lib/hospes/shared/${image##*/}'/>
		      <target dev='vda' bus='virtio'/>
		    </disk>
		EOF
		[ -z "$bridge" ] || cat <<-EOF
		    <interface type='bridge'>
		      <mac address='52:54:00:77:00:$(printf %02x "${ip##*.}")'/>
		      <source bridge='$bridge'/>
		      <model type='$nic'/>
		    </interface>
		EOF
		cat <<-EOF
		    <console type='pty'><target type='virtio'/></console>
		    $xml
		  </devices>
		</domain>
		EOF
	} >"$SHARED/$name.xml"
}
# The witness disk of a guest as a block device of all hosts; tests find it as a file all the same
witness_block() {
	local dir=$VMLAB_DIR/$VMLAB_NAME/disks
	[ -e "$dir/$1" ] || vmlab disk "$1" 1
	ln -sf "$dir/$1" "$SHARED/$1.wit"
}
guest_define() { # HOST NAME [key=value...]
	local host=$1
	shift
	guest_xml "$@"
	on "$host" vmctl define "/var/lib/hospes/shared/$1.xml"
}

# guest_start HOST NAME: until it answers
guest_start() {
	on "$1" vmctl start "$2"
	guest_wait "$2"
}
guest_wait() { client hospes-probe wait "$(guest_ip "$1"):7007" --timeout $((30 * PATIENCE)); }
guest_up() { guest_define "$@" && guest_start "$1" "$2"; }

# ask NAME COMMAND: the guest's status port
ask() { client hospes-probe ask "$(guest_ip "$1"):7007" "$2"; }
# The guest's own checks: nothing lost, all processes alive
guest_sound() {
	local s end=$((SECONDS + 5 * PATIENCE))
	# a guest that was just started has not all its workers yet
	while s=$(ask "$1" status) || return 1; do
		! jq -e '.ok and .errors == 0 and .running == .workers' <<<"$s" >/dev/null || return 0
		[ $SECONDS -lt $end ] && jq -e '.errors == 0 and .uptime_ms < 20000' <<<"$s" >/dev/null || break
		sleep 0.2
	done
	broken "guest $1 is not sound: $s"
}
guest_boot_id() { ask "$1" status | jq -r .boot_id; }

# A guest that is of no use any more, on whatever host
guest_remove() {
	local h state
	while IFS=': ' read -r h state; do
		[ -n "$state" ] || continue
		on "$h" vmctl destroy "$1" >/dev/null 2>&1 </dev/null || true
		on "$h" vmctl undefine "$1" >/dev/null 2>&1 </dev/null || true
	done < <(look states "$1")
	rm -f "$SHARED/$1.img" "$SHARED/$1.img.lease" "$SHARED/$1.xml"
}
hosts_up() {
	local f
	for f in "$VMLAB_DIR/$VMLAB_NAME"/hosts/*/init.pid; do
		[ ! -e "$f" ] || { f=${f%/init.pid}; echo "${f##*/}"; }
	done
}

# ---- where a guest runs ----------------------------------------------------------------------------------------------------

# domain_state HOST NAME: running, paused..., or nothing
domain_state() { look state "$@"; }
running_on() { look runs "$1"; }
# Without asking our own programs: the hvdoms of a guest on a host, by their locks, as process ids there
hvdoms_on() { [ ! -e "$VMLAB_DIR/$VMLAB_NAME/hosts/$1/init.pid" ] || look hvdoms "$@"; }

# qemus_on HOST [NAME]: its QEMUs, or that of a guest, as process ids of this machine
qemus_on() {
	local init p parent
	read -r init <"$VMLAB_DIR/$VMLAB_NAME/hosts/$1/init.pid"
	for p in $(pgrep -f "qemu-system-x86_64 -name guest=${2:-guest[0-9]+},"); do
		parent=$(awk '/^PPid/ { print $2 }' "/proc/$p/status" 2>/dev/null) || continue
		[ ! "/proc/$parent/ns/pid" -ef "/proc/$init/ns/pid" ] || echo "$p"
	done
}

# one_copy NAME [HOST]: exactly one host runs it (that one, if named), and holds the lock of its disk
one_copy() {
	local name=$1 where end=$((SECONDS + 5))
	# asked just now, an hvdom may have no time to answer; two are two, and wrong is wrong, at once
	while where=$(running_on "$name") && where=${where//$'\n'/ } && [ -z "$where" ] && [ $SECONDS -lt $end ]; do sleep 0.2; done
	[[ $where != *' '* ]] || { broken "$name runs on $where; $(states_of "$name")" || return 1; }
	if [ -z "$where" ] || { [ -n "${2:-}" ] && [ "$where" != "$2" ]; }; then
		echo "$name runs on '${where:-no host}', not on ${2:-exactly one}; $(states_of "$name")" >&2
		return 1
	fi
	if [ -e "$SHARED/$name.img" ] && ! disk_locked "$SHARED/$name.img"; then
		broken "$name runs on $where but its disk is not locked"
	fi
}
states_of() { look states "$1"; }
disk_locked() { "$top_builddir/tests/system/lockcheck" "$1"; }

# ---- the client ------------------------------------------------------------------------------------------------------------

# client_start NAME: a TCP connection with a message every 10 ms, until client_stop; also from setup_file
client_start() {
	CLIENT_OUT=$BATS_FILE_TMPDIR/client.$1
	vmlab client hospes-probe echo "$(guest_ip "$1")" >"$CLIENT_OUT" 2>"$CLIENT_OUT.err" 3>&- &
	CLIENT_PID=$!
	export CLIENT_OUT CLIENT_PID
	sleep 0.3
}
# Still the same connection, and it answers within 3 s: the line since the last mark is in CLIENT_JSON
client_whole() {
	local before i
	before=$(client_mark) || return 1
	for ((i = 0; i < 10; i++)); do
		sleep 0.3
		CLIENT_JSON=$(client_mark) || return 1
		! jq -e --argjson b "$before" '.resets == 0 and .corrupt == 0 and .answers > $b.answers' <<<"$CLIENT_JSON" >/dev/null || return 0
	done
	echo "client: $before, then $CLIENT_JSON $(cat "$CLIENT_OUT.err")" >&2
	return 1
}
client_mark() {
	local before lines i
	mapfile -t before <"$CLIENT_OUT"
	kill -USR1 "$CLIENT_PID" || { echo "the client ended: $(cat "$CLIENT_OUT.err")" >&2; return 1; }
	for ((i = 0; i < 50; i++)); do
		sleep 0.02
		mapfile -t lines <"$CLIENT_OUT"
		[ ${#lines[@]} -eq ${#before[@]} ] || { echo "${lines[-1]}"; return 0; }
	done
	return 1
}
# Ends it and fails if one message was lost or the connection reset. The numbers are in CLIENT_JSON.
client_stop() {
	local rc=0
	kill -INT "$CLIENT_PID" 2>/dev/null || true
	while kill -0 "$CLIENT_PID" 2>/dev/null; do sleep 0.05; done
	wait "$CLIENT_PID" 2>/dev/null || true
	CLIENT_JSON=$(tail -n 1 "$CLIENT_OUT")
	jq -e '.answers > 10 and .resets == 0 and .lost == 0 and .corrupt == 0' <<<"$CLIENT_JSON" >/dev/null || rc=1
	[ $rc -eq 0 ] || broken "client: $CLIENT_JSON $(cat "$CLIENT_OUT.err")"
}

# ---- pushes ----------------------------------------------------------------------------------------------------------------

# push FROM NAME TO [options]: its last JSON line in PUSH_JSON; the status is vmmig's
push() {
	local from=$1 name=$2 to=$3 rc=0
	shift 3
	PUSH_OUT=$(on "$from" vmmig push "$name" "$to" --json "$@" 2>"$BATS_TEST_TMPDIR/push.err") || rc=$?
	PUSH_JSON=$(tail -n 1 <<<"$PUSH_OUT")
	# seen when the test fails
	[ $rc -eq 0 ] || echo "push $name $from $to $*: $PUSH_JSON $(cat "$BATS_TEST_TMPDIR/push.err")" >&2
	return $rc
}
# push_ok FROM NAME TO: completed, and everything is as it must be
push_ok() {
	push "$@" || { echo "push failed: $PUSH_JSON $(cat "$BATS_TEST_TMPDIR/push.err")" >&2; return 1; }
	jq -e '.status == "completed" and .downtime_ms > 0 and .sent_bytes > 0' <<<"$PUSH_JSON" >/dev/null || { echo "$PUSH_JSON" >&2; return 1; }
	one_copy "$2" "$3"
	guest_sound "$2"
}
# pushes NAME COUNT [options]: from where it runs to the other of two hosts and back, each checked and told
pushes() {
	local i from
	from=$(running_on "$1")
	for ((i = 1; i <= $2; i++)); do
		push_ok "$from" "$1" "$(other_host "$from")" "${@:3}"
		echo "# push $i: $(jq -c '[.total_ms, .downtime_ms, .rounds, .sent_bytes]' <<<"$PUSH_JSON")" >&3
		from=$(other_host "$from")
	done
}
# push_refused FROM NAME TO PATTERN: fails with a cause that matches, sends nothing, and the guest runs on at FROM
push_refused() {
	local from=$1 name=$2 to=$3 pattern=$4
	shift 4
	if push "$from" "$name" "$to" "$@"; then
		echo "the push was not refused: $PUSH_JSON" >&2
		return 1
	fi
	jq -e --arg p "$pattern" '.status == "failed" and ((.sent_bytes // 0) == 0) and (.error | test($p; "i"))' <<<"$PUSH_JSON" >/dev/null ||
		{ echo "wanted a refusal with /$pattern/, got: $PUSH_JSON $(cat "$BATS_TEST_TMPDIR/push.err")" >&2; return 1; }
	one_copy "$name" "$from"
	guest_sound "$name"
}

# ---- disturbances ----------------------------------------------------------------------------------------------------------

# fault HOST POINT:ACTION: migrated of that host, restarted, meets its end (or stop) at that step of the protocol, once
fault() {
	FAULT_SEEN=$(faults_met "$1" "${2%:*}:")
	vmlab service "$1" restart migrated --once "HOSPES_FAULT=$2"
	migrated_ready "$1"
}
# Daemons that still carry a fault of an earlier test (a fault that stops leaves the daemon alive) start anew without it.
faults_clear() {
	local h pid
	for h in $(hosts_up); do
		pid=$(migrated_pid "$h")
		if [ -n "$pid" ] && grep -qz '^HOSPES_FAULT=' "/proc/$pid/environ"; then
			vmlab service "$h" kill migrated
			migrated_ready "$h"
		fi
	done
}
migrated_pid() { vmlab status --json | jq -r --arg h "$1" '.hosts[] | select(.name == $h) | .services.migrated // empty'; }
migrated_ready() { eventually 10 on "$1" vmmig status; }
faults_met() { grep -c "fault injection: $2" "$VMLAB_DIR/$VMLAB_NAME/hosts/$1/var/log/hospes/migrated.log" || true; }
# HOST POINT: since fault() was told to
fault_met() { [ "$(faults_met "$1" "$2:")" -gt "$FAULT_SEEN" ]; }
other_host() { if [ "$1" = host-a ]; then echo host-b; else echo host-a; fi; }
