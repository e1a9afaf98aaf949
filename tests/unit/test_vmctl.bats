#!/usr/bin/env bats
# vmctl against a stand-in for hvdom (fake_hvdom.c): every command, what it says when things go wrong, and what it leaves behind.
load ../retry
load own
load ../jsonlog
load ../usage

setup() {
	T=$(mktemp -d)
	export HOSPES_RUNDIR=$T/run HOSPES_STATEDIR=$T/state HOSPES_LOGDIR=$T/log HOSPES_LIBEXEC=$T/lib
	mkdir -p "$HOSPES_LIBEXEC"
	ln -s "$top_builddir/tests/unit/fake_hvdom" "$HOSPES_LIBEXEC/hvdom"
	vmctl=$top_builddir/tools/vmctl
	unset FAKE FAKE_KERNEL
	make_xml guest01 >"$T/guest01.xml"
}

teardown() {
	for pid in $(pids); do kill -9 "$pid" 2>/dev/null || true; done
	rm -rf "$T"
}

make_xml() {
	cat <<-X
		<domain type='uml'>
		  <name>$1</name>
		  <memory unit='MiB'>32</memory>
		  <os><type>linux</type></os>
		  <features><acpi/></features>
		  <devices>
		    <console type='pty'/>
		  </devices>
		</domain>
	X
}

json() { jq -r "$1"; }

state_is() { [ "$("$vmctl" domstate guest01)" = "$1" ]; }
nobody_left() { [ -z "$(pids)" ]; }
child_of() { child=$(ps -o pid= --ppid "$1" | tr -d ' ') && [ -n "$child" ]; }

# on_terminal TEXT COMMAND: $T/typed is what a terminal shows of COMMAND when TEXT is typed as soon as that is raw
on_terminal() {
	rm -f "$T/tty" "$T/typed"
	(
		eventually is_raw
		printf '%b' "$1"
		eventually grep -q icanon "$T/typed" # said by stty: the end
	) | timeout 120 script -qfec "tty >$T/tty; $2; stty -a" "$T/typed" >/dev/null
}
is_raw() { stty -a -F "$(cat "$T/tty")" | grep -q -- -icanon; }
ram_hash() { "$vmctl" domstats guest01 --json | json '.dirty_pages_per_s'; }

@test "usage: unknown things end with status 2 and say what is right" {
	usage_is_said "$vmctl" start 'start a b' 'list --nonsense' 'define --json x' 'shutdown g --wait' 'list x' 'console g --boot=x'
	run "$vmctl" start
	[[ $output == *"too few arguments for start"*"usage: vmctl start [OPTIONS] DOMAIN"* ]]
}

@test "define, list, dumpxml, undefine" {
	run "$vmctl" define "$T/guest01.xml"
	[ "$status" -eq 0 ]
	[[ $output == *"domain/features is kept but not used"* ]]
	run "$vmctl" list
	[[ $output != *guest01* ]]
	run "$vmctl" list --all
	[[ $output == *"guest01"*"shut off"*"32 MiB"* ]]
	[ "$("$vmctl" list --all --name)" = guest01 ]
	[ "$("$vmctl" list --all --json | json '.[0] | "\(.state) \(.persistent) \(.ram_bytes)"')" = "shut off true 33554432" ]
	run "$vmctl" dumpxml guest01
	[[ $output == *"<acpi/>"* ]]
	uuid=$("$vmctl" dominfo guest01 --json | json '.uuid')
	# changed, without a uuid: the same domain
	sed -i 's/>32</>64</' "$T/guest01.xml"
	"$vmctl" define "$T/guest01.xml"
	[ "$("$vmctl" dominfo guest01 --json | json '.uuid')" = "$uuid" ]
	[ "$("$vmctl" dominfo guest01 --json | json '.ram_bytes')" = 67108864 ]
	# the uuid of another one
	make_xml other | sed "s,<memory,<uuid>$uuid</uuid><memory," >"$T/other.xml"
	run "$vmctl" define "$T/other.xml"
	[ "$status" -eq 1 ]
	[[ $output == *"is defined already"* ]]
	run "$vmctl" undefine guest01
	[ "$status" -eq 0 ]
	run "$vmctl" undefine guest01
	[ "$status" -eq 1 ]
	[ -z "$(ls "$HOSPES_STATEDIR/domains")" ]
}

@test "define says in a line each what a machine's document comes to, and refuses what it must not leave out" {
	cat >"$T/vm.xml" <<-EOF
	<domain type='qemu'><name>vm</name><memory unit='MiB'>64</memory><os><type machine='q35'>hvm</type><kernel>/k</kernel></os><devices>
	<disk type='file' device='disk'><source file='/i.raw'/><target dev='hda' bus='ide'/></disk><sound model='ich9'/></devices></domain>
	EOF
	run "$vmctl" define "$T/vm.xml"
	[ "$status" -eq 0 ]
	[[ $output == *"vmctl: note: devices/sound is left out: the guest has no sound card"* ]]
	[[ $output == *"vmctl: note: devices/disk: hda of bus 'ide' is on SATA: a machine of type q35 has no IDE"* ]]
	run "$vmctl" dumpxml vm
	[[ $output == *"dev=\"hda\" bus=\"sata\""*"<sound"* ]]
	sed -i 's,<sound,<hostdev/>&,' "$T/vm.xml"
	run "$vmctl" define "$T/vm.xml"
	[ "$status" -eq 1 ]
	[[ $output == *"hostdev: is not supported: a device of the host's cannot move with the guest"* ]]
}

@test "a uuid is given by the document, not by its text; MAC addresses follow from the one that is kept" {
	"$vmctl" define "$T/guest01.xml"
	uuid=$("$vmctl" dominfo guest01 --json | json '.uuid')
	id=11111111-2222-4333-8444-555555555555
	sed "s,<os>,<!-- <uuid>$id</uuid> --><os>," "$T/guest01.xml" >"$T/comment.xml"
	sed "s,<os>,<metadata><x:x xmlns:x='x'><uuid>$id</uuid></x:x></metadata><os>," "$T/guest01.xml" >"$T/metadata.xml"
	iconv -t UTF-16 "$T/guest01.xml" >"$T/utf16.xml"
	for f in comment metadata utf16; do
		"$vmctl" define "$T/$f.xml"
		[ "$("$vmctl" dominfo guest01 --json | json '.uuid')" = "$uuid" ] || { echo "$f: another uuid"; false; }
	done
	# in UTF-16 it counts, too
	sed "s,<os>,<uuid>$id</uuid><os>," "$T/guest01.xml" | iconv -t UTF-16 >"$T/given.xml"
	run "$vmctl" define "$T/given.xml"
	[ "$status" -eq 1 ]
	[[ $output == *"is defined already"* ]]
	# the first interface with an address of its own, then as the second one
	nic="<interface type='ethernet'/>" own="<interface type='ethernet'><mac address='52:54:00:aa:bb:cc'/></interface>"
	sed "s,<devices>,<devices>$own$nic," "$T/guest01.xml" >"$T/one.xml"
	sed "s,<devices>,<devices>$nic$own," "$T/guest01.xml" >"$T/two.xml"
	"$vmctl" define "$T/one.xml"
	"$vmctl" define "$T/two.xml"
	"$vmctl" dumpxml guest01 >"$T/dump.xml"
	[ "$(grep -c 'mac address' "$T/dump.xml")" -eq 2 ]
	[ "$(grep 'mac address' "$T/dump.xml" | sort -u | wc -l)" -eq 2 ]
	# they are those of a definition that has this uuid
	grep -o 'mac address="[^"]*"' "$T/dump.xml" >"$T/kept"
	sed "s,<os>,<uuid>$uuid</uuid><os>," "$T/two.xml" >"$T/same.xml"
	"$vmctl" define "$T/same.xml"
	"$vmctl" dumpxml guest01 | grep -o 'mac address="[^"]*"' | diff - "$T/kept"
}

@test "what could not be read again is not written; a definition that cannot be read does not lose its uuid unasked" {
	"$vmctl" define "$T/guest01.xml"
	cp "$HOSPES_STATEDIR/domains/guest01.xml" "$T/before"
	{ sed -n '/<os>/q; p' "$T/guest01.xml"; echo "<metadata><x:x xmlns:x='x'>"; printf '<a/>%.0s' {1..200000}; echo "</x:x></metadata>"
	  sed -n '/<os>/,$ p' "$T/guest01.xml"; } >"$T/long.xml"
	[ "$(stat -c %s "$T/long.xml")" -lt 1048576 ]
	run "$vmctl" define "$T/long.xml"
	[ "$status" -eq 1 ]
	[[ $output == *"octets when it is written"*"may have 1048576 (1 MiB)"* ]]
	cmp "$HOSPES_STATEDIR/domains/guest01.xml" "$T/before"
	head -c 1048577 /dev/zero >"$T/zero.xml"
	run "$vmctl" define "$T/zero.xml"
	[ "$status" -eq 1 ]
	[[ $output == *"zero.xml: is larger than a definition may be (1048576 octets, 1 MiB)"* ]]
	{ cat "$T/guest01.xml"; printf '\0<domain/>'; } >"$T/nul.xml"
	run "$vmctl" define "$T/nul.xml"
	[ "$status" -eq 1 ]
	[[ $output == *"nul.xml:10: a NUL is behind the document"* ]]
	echo broken >"$HOSPES_STATEDIR/domains/guest01.xml"
	run "$vmctl" define "$T/guest01.xml"
	[ "$status" -eq 1 ]
	[[ $output == *"cannot be read ("*"): give its <uuid> here, or vmctl undefine guest01 first"* ]]
	sed "s,<os>,<uuid>11111111-2222-4333-8444-555555555555</uuid><os>," "$T/guest01.xml" >"$T/given.xml"
	"$vmctl" define "$T/given.xml"
	[ "$("$vmctl" dominfo guest01 --json | json '.uuid')" = 11111111-2222-4333-8444-555555555555 ]
}

@test "what no host can run is refused, what this host cannot run is said first" {
	sed "s/>32</>31</" "$T/guest01.xml" >"$T/small.xml"
	run "$vmctl" define "$T/small.xml"
	[ "$status" -eq 1 ]
	[[ $output == *"31744 KiB of memory"*"need at least 32 MiB"* ]]
	sed "s,<os>,<vcpu>2</vcpu><os>," "$T/guest01.xml" >"$T/wide.xml"
	run "$vmctl" define "$T/wide.xml"
	[ "$status" -eq 1 ]
	[[ $output == *"asks for 2 vCPUs; guests of engine pv have at most 1"* ]]
	[ ! -e "$HOSPES_STATEDIR/domains/guest01.xml" ]
	sed "s/'uml'/'kvm'/; s,</type>,</type><kernel>/boot/vmlinuz</kernel>," "$T/guest01.xml" >"$T/kvm.xml"
	run "$vmctl" define "$T/kvm.xml"
	[ "$status" -eq 0 ]
	[[ ${lines[0]} == "vmctl: warning: this host cannot run domain 'guest01' (engine kvm): no hardware-assisted virtualization" ]]
	run "$vmctl" define "$T/guest01.xml"
	[[ $output != *warning* ]]
	# without an hvdom nothing is known
	HOSPES_LIBEXEC=$T/nowhere run "$vmctl" define "$T/kvm.xml"
	[ "$status" -eq 0 ]
	[[ $output != *warning* ]]
}

@test "wrong XML and wrong names are refused with a reason" {
	sed 's/memory unit/memmory unit/; s,/memory,/memmory,' "$T/guest01.xml" >"$T/bad.xml"
	run "$vmctl" define "$T/bad.xml"
	[ "$status" -eq 1 ]
	[[ $output == *"bad.xml:3: memmory: is no element of <domain>; is it misspelled?"* ]]
	run "$vmctl" define "$T/none.xml"
	[ "$status" -eq 1 ]
	run "$vmctl" start ../../etc/passwd
	[ "$status" -eq 1 ]
	[[ $output == *"is no domain name"* ]]
	run "$vmctl" dominfo nobody
	[ "$status" -eq 1 ]
	[[ $output == *"no domain 'nobody'; vmctl list --all shows"* ]]
	"$vmctl" define "$T/guest01.xml"
	run "$vmctl" suspend guest01
	[ "$status" -eq 1 ]
	[[ $output == *"is shut off; vmctl start guest01"* ]]
}

@test "a domain's life: start, suspend, resume, shutdown, destroy" {
	"$vmctl" define "$T/guest01.xml"
	run "$vmctl" start guest01
	[ "$status" -eq 0 ]
	[ "$output" = "Domain 'guest01' started" ]
	run "$vmctl" start guest01
	[ "$status" -eq 1 ]
	[[ $output == *"already running"* ]]
	[ "$("$vmctl" domstate guest01)" = running ]
	"$vmctl" suspend guest01
	[ "$("$vmctl" domstate guest01 --json | json '.state')" = paused ]
	"$vmctl" resume guest01
	[ "$("$vmctl" domstate guest01)" = running ]
	run "$vmctl" dominfo guest01
	[[ $output == *"UUID:"*"Pid:"* ]]
	run "$vmctl" domstats guest01
	[[ $output == *"Guest memory:    1 MiB of 4 MiB unused, 3 MiB usable"*"faults 5 major, ? minor"*"vda:"*"block, in 7"* ]]
	run "$vmctl" reboot guest01
	[ "$status" -eq 0 ]
	[ "$output" = "Domain 'guest01' is being rebooted" ]
	run "$vmctl" setmem guest01 1MiB
	[ "$status" -eq 1 ]
	[[ $output == *"the domain has no memballoon device"* ]]
	run "$vmctl" setmem guest01 lots
	[ "$status" -eq 1 ]
	"$vmctl" blockresize guest01 vda 2048
	grep 'resized vda to 2097152' "$T/log/guest01.log"
	"$vmctl" blockresize guest01 vda 2GiB
	grep 'resized vda to 2147483648' "$T/log/guest01.log"
	run "$vmctl" blockresize guest01 vdq 1G
	[ "$status" -eq 1 ]
	[[ $output == *"no such disk"* ]]
	run "$vmctl" blockresize guest01 vda huge
	[ "$status" -eq 1 ]
	run "$vmctl" blockresize guest01 a-name-that-is-far-too-long 1G
	[ "$status" -eq 1 ]
	run "$vmctl" shutdown guest01 --wait 10
	[ "$status" -eq 0 ]
	[ "$("$vmctl" domstate guest01)" = "shut off" ]
	"$vmctl" start guest01
	"$vmctl" undefine guest01
	[ "$("$vmctl" list --json | json '.[0].persistent')" = false ]
	run "$vmctl" destroy guest01
	[ "$status" -eq 0 ]
	[ -z "$(pids)" ]
	run "$vmctl" list --all --name
	[ -z "$output" ]
}

@test "devices come and go: the running domain, its definition, both" {
	sed "s/type='uml'/type='qemu'/; s/>linux</>hvm</" "$T/guest01.xml" >"$T/q.xml"
	truncate -s 1M "$T/b.img"
	mkdir -p "$T/conf"
	echo '{"local": "any"}' >"$T/conf/paths.json"
	export HOSPES_CONFDIR=$T/conf
	echo "<disk type='file' device='disk'><source file='$T/b.img'/><target dev='vdb' bus='virtio'/></disk>" >"$T/disk.xml"
	echo "<rng model='virtio'/>" >"$T/rng.xml"
	"$vmctl" define "$T/q.xml"
	# not running: the definition
	"$vmctl" attach-device guest01 "$T/disk.xml"
	"$vmctl" dumpxml guest01 --inactive | grep -q ua-hospes-place1
	run "$vmctl" attach-device guest01 "$T/disk.xml"
	[ "$status" -eq 1 ]
	[[ $output == *"given twice"* ]]
	run "$vmctl" attach-device guest01 "$T/disk.xml" --live
	[ "$status" -eq 1 ]
	[[ $output == *"does not run"* ]]
	"$vmctl" detach-device guest01 vdb
	not_defined() { ! "$vmctl" dumpxml guest01 --inactive | grep -q b.img; }
	not_defined
	run "$vmctl" detach-device guest01 vdb
	[ "$status" -eq 1 ]
	[[ $output == *"no disk or NIC"* ]]
	run "$vmctl" attach-device guest01 "$T/rng.xml"
	[ "$status" -eq 1 ]
	[[ $output == *"only disks and interfaces"* ]]
	# running
	"$vmctl" start guest01
	run "$vmctl" attach-device guest01 "$T/disk.xml"
	[ "$output" = "Domain 'guest01' has vdb now" ]
	grep 'attached, 3 descriptors' "$T/log/guest01.log"
	not_defined
	"$vmctl" attach-device guest01 "$T/disk.xml" --persistent
	"$vmctl" dumpxml guest01 --inactive | grep -q ua-hospes-place3
	"$vmctl" detach-device guest01 "$T/disk.xml" --config --live
	grep 'detached vdb' "$T/log/guest01.log"
	not_defined
	run "$vmctl" detach-device guest01 52:54:00:00:00:01
	[ "$status" -eq 1 ]
	[[ $output == *"has not let it go"* ]]
	run "$vmctl" attach-device guest01 "$T/disk.xml" --current --live
	[ "$status" -eq 2 ]
	run "$vmctl" attach-device guest01 "$T/none.xml"
	[ "$status" -eq 1 ]
	"$vmctl" destroy guest01
}

@test "a guest without an agent: what is asked of it may come to nothing, and that is said" {
	"$vmctl" define "$T/guest01.xml"
	FAKE=mute "$vmctl" start guest01
	run "$vmctl" reboot guest01
	[ "$status" -eq 0 ]
	[ "$output" = "Domain 'guest01' is being rebooted, but no agent of it answers, so nothing may come of it" ]
	run "$vmctl" shutdown guest01
	[ "$status" -eq 0 ]
	[ "$output" = "Domain 'guest01' is being shut down, but no agent of it answers, so nothing may come of it" ]
	run "$vmctl" shutdown guest01 --wait 1
	[ "$status" -eq 1 ]
	[[ $output = *"is not off after 1 s: no agent of it answers, and it does not heed a power button; vmctl destroy guest01 ends it" ]]
	[ "$("$vmctl" domstate guest01)" = running ]
	"$vmctl" destroy guest01
	"$vmctl" start guest01
	run "$vmctl" shutdown guest01
	[ "$output" = "Domain 'guest01' is being shut down" ]
}

@test "hvdom survives vmctl and its terminal, and has no descriptors of it" {
	"$vmctl" define "$T/guest01.xml"
	exec 9>"$T/open"
	"$vmctl" start guest01 9>&9
	pid=$("$vmctl" dominfo guest01 --json | json '.pid')
	[ "$(ps -o sid= -p "$pid" | tr -d ' ')" = "$pid" ]
	[ "$(readlink /proc/"$pid"/fd/0)" = /dev/null ]
	[ "$(readlink /proc/"$pid"/fd/1)" = "$HOSPES_LOGDIR/guest01.log" ]
	[ "$(readlink /proc/"$pid"/cwd)" = / ]
	"$vmctl" destroy guest01
}

@test "a start that fails says why and leaves nothing" {
	"$vmctl" define "$T/guest01.xml"
	FAKE=fail run "$vmctl" start guest01
	[ "$status" -eq 1 ]
	[[ $output == *"domain 'guest01' did not start: no kernel /usr/bin/linux.uml: No such file"* ]]
	FAKE=silent run "$vmctl" start guest01
	[ "$status" -eq 1 ]
	[[ $output == *"hvdom ended; $HOSPES_LOGDIR/guest01.log says:"*"last words"* ]]
	HOSPES_LIBEXEC=$T/nowhere run "$vmctl" start guest01
	[ "$status" -eq 1 ]
	[[ $output == *"HOSPES_LIBEXEC"* ]]
	[ -z "$(pids)" ]
}

@test "Ctrl-C during a start ends the half-started domain" {
	"$vmctl" define "$T/guest01.xml"
	FAKE=slow "$vmctl" start guest01 2>"$T/err" &
	pid=$!
	eventually child_of "$pid"
	kill -INT "$pid"
	status=0
	wait "$pid" || status=$?
	[ "$status" -eq 1 ]
	grep -q "interrupted: domain 'guest01' was not started" "$T/err"
	! kill -0 "$child" 2>/dev/null
}

@test "a dead hvdom is reported, and started anew" {
	"$vmctl" define "$T/guest01.xml"
	"$vmctl" start guest01
	kill -9 "$("$vmctl" dominfo guest01 --json | json '.pid')"
	eventually state_is crashed
	run "$vmctl" suspend guest01
	[ "$status" -eq 1 ]
	[[ $output == *"its hvdom died"*"vmctl start guest01"* ]]
	"$vmctl" start guest01
	[ "$("$vmctl" domstate guest01)" = running ]
}

@test "console passes bytes both ways" {
	"$vmctl" define "$T/guest01.xml"
	"$vmctl" start guest01
	[ "$(echo hello | "$vmctl" console guest01)" = "console 1: HELLO" ]
	[ "$(echo hello | "$vmctl" console guest01 --boot)" = "console 0: HELLO" ]
	run "$vmctl" console guest01 --index 3
	[ "$status" -eq 1 ]
	[[ $output == *"no such console"* ]]
	run "$vmctl" console guest01 --index x
	[ "$status" -eq 1 ]
}

@test "console on a terminal: raw while attached, Ctrl-] ends it" {
	command -v script >/dev/null || skip "script (bsdutils) is missing"
	"$vmctl" define "$T/guest01.xml"
	"$vmctl" start guest01
	on_terminal '\035' "$vmctl console guest01; echo status \$?"
	grep -q "Escape character is ^\]" "$T/typed"
	grep -q "Disconnected" "$T/typed"
	grep -q "status 0" "$T/typed"
	grep -qE "[^-]icanon" "$T/typed"
	on_terminal 'abc\003\n' "$vmctl console guest01"
	grep -q "console 1: ABC" "$T/typed" # Ctrl-C went to the guest
	grep -q "The console was closed" "$T/typed"
	grep -qE "[^-]icanon" "$T/typed"
}

@test "save and restore bring memory and state back" {
	"$vmctl" define "$T/guest01.xml"
	"$vmctl" start guest01
	before=$(ram_hash)
	run "$vmctl" save guest01 "$T/g.save"
	[ "$status" -eq 0 ]
	[[ $output == "Domain 'guest01' saved to $T/g.save ("*")" ]]
	[ "$("$vmctl" domstate guest01)" = "shut off" ]
	grep -q "destroyed, flags 2" "$HOSPES_LOGDIR/guest01.log"
	[ "$(stat -c %a "$T/g.save")" = 600 ]
	"$vmctl" undefine guest01 # the XML is in the file
	# the lease says that the domain ran since: its disks have changed
	FAKE_LEASE=2 run "$vmctl" restore "$T/g.save"
	[ "$status" -eq 1 ]
	[[ $output == *"the domain ran since it was saved"*"--force"* ]]
	FAKE_LEASE=2 "$vmctl" restore --force "$T/g.save"
	"$vmctl" destroy guest01
	FAKE_LEASE=1 run "$vmctl" restore "$T/g.save"
	[ "$status" -eq 0 ]
	[ "$("$vmctl" domstate guest01)" = running ]
	[ "$(ram_hash)" = "$before" ]
	[ "$("$vmctl" dominfo guest01 --json | json '.generation')" = 2 ]
	[ -e "$T/g.save" ]
	run "$vmctl" restore "$T/g.save"
	[ "$status" -eq 1 ]
	[[ $output == *"already running"* ]]
	ls "$HOSPES_RUNDIR" | grep -v '^dom$' && return 1
	"$vmctl" destroy guest01
}

@test "a save that fails lets the domain run on and leaves no file" {
	"$vmctl" define "$T/guest01.xml"
	FAKE=late "$vmctl" start guest01
	run "$vmctl" save guest01 "$T/no/such/dir/g.save"
	[ "$status" -eq 1 ]
	[[ $output == *"the domain runs on"* ]]
	[ "$("$vmctl" domstate guest01)" = running ]
	mkdir "$T/d"
	# Ctrl-C while hvdom captures its state
	"$vmctl" save guest01 "$T/d/g.save" 2>"$T/err" &
	pid=$!
	eventually state_is suspended
	kill -INT "$pid"
	status=0
	wait "$pid" || status=$?
	[ "$status" -eq 1 ]
	[ "$("$vmctl" domstate guest01)" = running ]
	[ -z "$(ls "$T/d")" ]
	# kill -9, too
	"$vmctl" save guest01 "$T/d/g.save" &
	pid=$!
	eventually state_is suspended
	kill -9 "$pid"
	eventually state_is running
	[ -z "$(ls "$T/d")" ]
}

@test "damaged and foreign files are refused before anything starts" {
	"$vmctl" define "$T/guest01.xml"
	"$vmctl" start guest01
	"$vmctl" save guest01 "$T/g.save"
	: >"$HOSPES_LOGDIR/guest01.log"
	head -c 300000 "$T/g.save" >"$T/cut.save"
	run "$vmctl" restore "$T/cut.save"
	[ "$status" -eq 1 ]
	[[ $output == *"ends too early"* ]]
	cp "$T/g.save" "$T/flip.save"
	# another octet than the one that is there
	if [ "$(dd if="$T/flip.save" bs=1 skip=20000 count=1 status=none | od -An -c | tr -d ' ')" = X ]; then flip=Y; else flip=X; fi
	printf $flip | dd of="$T/flip.save" bs=1 seek=20000 conv=notrunc status=none
	run "$vmctl" restore "$T/flip.save"
	[ "$status" -eq 1 ]
	run "$vmctl" restore /bin/sh
	[ "$status" -eq 1 ]
	[[ $output == *"is no file of vmctl save"* ]]
	[ ! -s "$HOSPES_LOGDIR/guest01.log" ]
	FAKE_KERNEL=another run "$vmctl" restore "$T/g.save"
	[ "$status" -eq 1 ]
	[[ $output == *"the guest kernel is another one"* ]]
	eventually nobody_left
	# of engines whose builds have an order, a later one will do where hvdom says so
	"$vmctl" destroy guest01 2>/dev/null || true
	eventually nobody_left
	FAKE_KERNEL="7.2.9 tcg m" "$vmctl" start guest01
	"$vmctl" save guest01 "$T/v.save"
	eventually nobody_left
	FAKE_KERNEL="7.2.10 tcg m" run "$vmctl" restore "$T/v.save"
	[ "$status" -eq 1 ]
	[[ $output == *"saved on pv 7.2.9 tcg m, and this host has 7.2.10 tcg m: install that one"* ]]
	eventually nobody_left
	FAKE_NEWER=1 FAKE_KERNEL="7.2.8 tcg m" run "$vmctl" restore "$T/v.save"
	[ "$status" -eq 1 ]
	[[ $output == *"this host has 7.2.8 tcg m: install that or a later one"* ]]
	eventually nobody_left
	FAKE_NEWER=1 FAKE_KERNEL="7.2.10 tcg m" "$vmctl" restore "$T/v.save"
	"$vmctl" destroy guest01
	eventually nobody_left
	[ "$("$vmctl" domstate guest01)" = "shut off" ]
}

@test "destroy ends an hvdom that does not answer" {
	"$vmctl" define "$T/guest01.xml"
	FAKE=deaf "$vmctl" start guest01
	run "$vmctl" destroy guest01
	[ "$status" -eq 0 ]
	[[ $output == *"does not answer: killing it"* ]]
	eventually nobody_left
}

@test "a domain of the cluster is left to the cluster" {
	"$vmctl" define "$T/guest01.xml"
	mkdir -p "$T/run/cluster"
	echo "c7a5fdbd-cdaf-9455-926a-d65c16db1809 guest01" >"$T/run/cluster/domains"
	run "$vmctl" start guest01
	[ "$status" -eq 1 ]
	[[ $output == *"vmclus start guest01"* ]]
	echo "c7a5fdbd-cdaf-9455-926a-d65c16db1809 guest011" >"$T/run/cluster/domains"
	"$vmctl" start guest01
	"$vmctl" save guest01 "$T/file"
	echo "c7a5fdbd-cdaf-9455-926a-d65c16db1809 guest01" >"$T/run/cluster/domains"
	run "$vmctl" restore "$T/file"
	[ "$status" -eq 1 ]
	[[ $output == *"domain of the cluster"* ]]
	[ -e "$T/file" ]
}

@test "who has seen enough and closes the pipe hears no complaint" {
	"$vmctl" define "$T/guest01.xml"
	{ (trap '' PIPE; while printf .; do sleep 0.05; done) 2>/dev/null; "$vmctl" list --all 2>"$T/err" || echo "$?" >"$T/rc"; } | true
	[ ! -s "$T/err" ]
	[ "$(cat "$T/rc")" -eq 1 ]
	# another failure of the output is told
	run bash -c '"$0" list --all 2>&1 >/dev/full' "$vmctl"
	[ "$status" -eq 1 ]
	[[ $output == *"write to standard output: No space left"* ]]
}

@test "a guest is not spared when memory runs out, though who starts it is" {
	"$vmctl" define "$T/guest01.xml"
	bash -c 'echo -500 >/proc/self/oom_score_adj' 2>/dev/null || skip "not allowed here: to be spared"
	bash -c 'echo -500 >/proc/self/oom_score_adj; exec "$0" start guest01' "$vmctl"
	for pid in $(pids); do [ "$(cat /proc/$pid/oom_score_adj)" -eq 0 ]; done
	[ -n "$(pids)" ]
}

@test "the table for the shell's completion has every command of the help" {
	for p in vmctl vmmig vmclus; do
		"$top_builddir/tools/$p" --help | sed -n 's/^  \([a-z-]*\) .*/\1/p' >"$T/help"
		"$top_builddir/tools/$p" --commands >"$T/table"
		[ -s "$T/help" ]
		cut -f 1 "$T/table" | diff "$T/help" -
		if grep -vP '^[a-z-]+\t[^\t]*\t--help( --[a-z0-9-]+(=[^\t ]+)?)*$' "$T/table"; then return 1; fi
	done
}

# ---- seed ------------------------------------------------------------------------------------------------------------------

seed_domain() {
	mkdir -p "$T/img"
	make_xml guest01 | sed "s|<devices>|<devices><disk type='file' device='disk'><source file='$T/img/g.img'/><target dev='vda' bus='virtio'/></disk>|" >"$T/guest01.xml"
	"$vmctl" define "$T/guest01.xml"
	printf '#cloud-config\npassword: secret\n' >"$T/user"
}
# part FILE: what an image has in it
part() { rm -f "$T/part"; xorriso -osirrox on -indev "$T/img/guest01-seed.iso" -extract "/$1" "$T/part" >/dev/null 2>&1 && cat "$T/part"; }

@test "seed: an image for cloud-init, with what was given and what follows from the domain" {
	command -v xorriso >/dev/null || skip "missing: xorriso"
	seed_domain
	uuid=$("$vmctl" dumpxml guest01 | xmllint --xpath 'string(/domain/uuid)' -)
	run "$vmctl" seed guest01 --user-data "$T/user"
	[ "$status" -eq 0 ]
	[[ $output == "Seed for domain"* ]] # and no greeting of another program
	[[ $output == *"<source file='$T/img/guest01-seed.iso'/>"*"<target dev='vdb' bus='virtio'/>"*"<readonly/>"* ]]
	[ "$(stat -c %a "$T/img/guest01-seed.iso")" = 600 ]
	[ "$(dd if="$T/img/guest01-seed.iso" bs=1 skip=32808 count=6 status=none)" = CIDATA ]
	[ "$(part user-data)" = "$(cat "$T/user")" ]
	[ "$(part meta-data)" = "instance-id: $uuid
local-hostname: guest01" ]
	! part network-config
	# again, with all parts: the other one is replaced
	echo 'instance-id: x' >"$T/meta"
	run "$vmctl" seed guest01 --user-data - --meta-data "$T/meta" --network-config "$T/meta" <<<'#!/bin/sh'
	[ "$status" -eq 0 ]
	[ "$(part user-data)" = '#!/bin/sh' ]
	[ "$(part meta-data)" = 'instance-id: x' ]
	[ "$(part network-config)" = 'instance-id: x' ]
	[ "$(ls "$T/img")" = guest01-seed.iso ]
	[[ $("$vmctl" dumpxml guest01) != *seed.iso* ]]
}

@test "seed --attach adds the disk once, and only to be read" {
	command -v xorriso >/dev/null || skip "missing: xorriso"
	seed_domain
	for i in 1 2; do
		run "$vmctl" seed guest01 --user-data "$T/user" --attach
		[ "$status" -eq 0 ]
		[[ $output == *"disk vdb"* ]]
	done
	[ "$("$vmctl" dumpxml guest01 | xmllint --xpath 'count(//disk)' -)" = 2 ]
	[ "$("$vmctl" dumpxml guest01 | xmllint --xpath 'count(//disk[readonly][source/@file="'"$T"'/img/guest01-seed.iso"][target/@dev="vdb"])' -)" = 1 ]
	[ "$("$vmctl" dumpxml guest01 | xmllint --xpath 'count(//features/acpi)' -)" = 1 ]
}

@test "seed: what is wrong is said, and leaves nothing" {
	seed_domain
	run "$vmctl" seed guest01
	[ "$status" -eq 2 ]
	[[ $output == *"--user-data"* ]]
	run "$vmctl" seed nobody --user-data "$T/user"
	[ "$status" -eq 1 ]
	[[ $output == *"no definition of domain 'nobody'"* ]]
	run "$vmctl" seed guest01 --user-data "$T/none"
	[ "$status" -eq 1 ]
	[[ $output == *"$T/none"*"No such file"* ]]
	truncate -s 1048577 "$T/large"
	run "$vmctl" seed guest01 --user-data "$T/large"
	[ "$status" -eq 1 ]
	[[ $output == *"1 MiB"* ]]
	# without the program, and with one that fails
	mkdir "$T/bin"
	PATH=$T/bin run "$vmctl" seed guest01 --user-data "$T/user"
	[ "$status" -eq 1 ]
	[[ $output == *"install the package xorriso"* ]]
	printf '#!/bin/sh\necho broken >&2\nexit 1\n' >"$T/bin/xorrisofs"
	chmod 755 "$T/bin/xorrisofs"
	mkdir "$T/tmp"
	PATH=$T/bin:$PATH TMPDIR=$T/tmp run "$vmctl" seed guest01 --user-data "$T/user"
	[ "$status" -eq 1 ]
	[[ $output == *"broken"*"xorrisofs failed to make the seed"* ]]
	[ -z "$(ls "$T/tmp" "$T/img" | grep -v :)" ]
}

# ---- the guest's own agent -------------------------------------------------------------------------------------------------

# agent_is CASES: a stand-in for qemu-guest-agent, which notes its orders; CASES of a shell's `case` come first
agent_is() {
	cat >"$T/agent" <<-X
		#!/bin/bash
		while IFS= read -r line; do
			echo "\$line" >>"$T/orders"
			case \$line in
			$1
			*guest-sync-delimited*) id=\${line##*'"id":'}; printf '\\xff{"return": %s}\\n' "\${id%%[!0-9]*}" ;;
			*guest-network-get-interfaces*) cat "$T/interfaces" ;;
			*guest-set-time*) echo '{"return": {}}' ;;
			esac
		done
	X
	chmod 755 "$T/agent"
	rm -f "$T/orders"
	export FAKE_AGENT=$T/agent
	"$vmctl" define "$T/guest01.xml" 2>/dev/null
	"$vmctl" start guest01
}

@test "domifaddr: what the guest's agent says, and nothing that a terminal would act upon" {
	tr -d '\n\t' >"$T/interfaces" <<-'X'
		{"return": [{"name": "lo", "hardware-address": "00:00:00:00:00:00", "ip-addresses": [
		{"ip-address-type": "ipv4", "ip-address": "127.0.0.1", "prefix": 8}, {"ip-address-type": "ipv6", "ip-address": "::1", "prefix": 128}]},
		{"name": "eth0\u001b[2J", "hardware-address": "52:54:00:01:02:03", "ip-addresses": [
		{"ip-address-type": "ipv4", "ip-address": "10.77.0.9", "prefix": 24}, {"ip-address-type": "ipv4", "ip-address": "no address", "prefix": 24},
		{"ip-address-type": "ipv4", "ip-address": "10.77.0.8", "prefix": 99}]}, 7, {"name": "dummy0"}]}
	X
	echo >>"$T/interfaces"
	agent_is ''
	run "$vmctl" domifaddr guest01
	[ "$status" -eq 0 ]
	[[ $output == *"lo "*"127.0.0.1/8"*"-  "*"::1/128"*"eth0?[2J"*"52:54:00:01:02:03"*"10.77.0.9/24"*"dummy0"* ]]
	[[ $output != *$'\e'* && $output != *"no address"* && $output != *"/99"* ]]
	[ "$("$vmctl" domifaddr guest01 --json | jq -c '[.[] | .addresses[].address]')" = '["127.0.0.1","::1","10.77.0.9"]' ]
}

@test "domifaddr: without an agent, with one that is silent, refuses, talks nonsense or without end" {
	"$vmctl" define "$T/guest01.xml"
	"$vmctl" start guest01
	run "$vmctl" domifaddr guest01
	[ "$status" -eq 1 ]
	"$vmctl" destroy guest01
	agent_is '*interfaces*) echo "{\"error\": {\"class\": \"CommandNotFound\"}}" ;;'
	run "$vmctl" domifaddr guest01
	[[ $status -eq 1 && $output == *"refuses"* ]]
	"$vmctl" destroy guest01
	agent_is '*interfaces*) echo "{\"return\": {\"x\": [" ;;'
	run "$vmctl" domifaddr guest01
	[[ $status -eq 1 && $output == *"nonsense"* ]]
	"$vmctl" destroy guest01
	agent_is '*interfaces*) exec tr "\\0" x </dev/zero ;;'
	run timeout 20 "$vmctl" domifaddr guest01
	[[ $status -eq 1 && $output == *"without end"* ]]
	"$vmctl" destroy guest01
	agent_is '*sync*) printf "\\xff{\"return\": 1}\\n" ;;'
	run timeout 20 "$vmctl" domifaddr guest01
	[[ $status -eq 1 && $output == *"does not answer"* ]]
}

@test "domfsfreeze and domfsthaw: hvdom knows first; what goes wrong is thawed at once" {
	export vmctl T
	agent_is '*fsfreeze*) "$vmctl" dominfo guest01 --json | jq -r .frozen_s >>"$T/frozen"; echo "{\"return\": 3}" ;;'
	[ "$("$vmctl" domfsfreeze guest01)" = "Froze 3 filesystem(s), for 60 s at most" ]
	[[ $("$vmctl" dominfo guest01) == *"File systems:    frozen, for 60 s at most"* ]]
	[ "$("$vmctl" domfsthaw guest01)" = "Thawed 3 filesystem(s)" ]
	[ "$("$vmctl" dominfo guest01 --json | jq .frozen_s)" = 0 ]
	"$vmctl" domfsfreeze guest01 --seconds 7
	[ "$(xargs <"$T/frozen")" = "60 60 7" ]
	for s in 0 601 x -1; do
		run "$vmctl" domfsfreeze guest01 --seconds "$s"
		[ "$status" -ne 0 ]
	done
	"$vmctl" destroy guest01
	# one that refuses, but thaws
	agent_is '*freeze-freeze*) echo "{\"error\": {\"class\": \"GenericError\"}}" ;; *freeze-thaw*) echo "{\"return\": 0}" ;;'
	run "$vmctl" domfsfreeze guest01
	[[ $status -eq 1 && $output == *"refuses"* ]]
	grep -q guest-fsfreeze-thaw "$T/orders"
	[ "$("$vmctl" dominfo guest01 --json | jq .frozen_s)" = 0 ]
	"$vmctl" destroy guest01
	# one that says what cannot be, and does not thaw: hvdom still has its time
	agent_is '*fsfreeze*) echo "{\"return\": -1}" ;;'
	run "$vmctl" domfsfreeze guest01
	[[ $status -eq 1 && $output == *"nonsense"* ]]
	[ "$("$vmctl" dominfo guest01 --json | jq .frozen_s)" = 60 ]
	run "$vmctl" domfsthaw guest01
	[ "$status" -eq 1 ]
}

@test "shutdown asks the guest's agent first; resume gives it the time" {
	agent_is ''
	"$vmctl" suspend guest01
	"$vmctl" resume guest01
	now=$(date +%s)
	then=$(grep -o '"guest-set-time","arguments":{"time":[0-9]*' "$T/orders" | grep -o '[0-9]*$')
	[ $((then / 1000000000)) -le "$now" ] && [ $((then / 1000000000)) -ge $((now - 60)) ]
	run "$vmctl" shutdown guest01
	[ "$status" -eq 0 ]
	grep -q '"execute":"guest-shutdown","arguments":{"mode":"powerdown"}' "$T/orders"
	[ "$("$vmctl" domstate guest01)" = running ] # the stand-in's own power button was not pressed
	"$vmctl" destroy guest01
	# one that refuses
	agent_is '*guest-shutdown*) echo "{\"error\": {\"class\": \"GenericError\"}}" ;;'
	"$vmctl" shutdown guest01
	eventually nobody_left
}

@test "what --json printed is as docs/json/ says" {
	jsonlog_check --need vmctl:list,vmctl:dominfo,vmctl:domstate,vmctl:domstats,vmctl:domifaddr
}
