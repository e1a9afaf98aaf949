#!/usr/bin/env bats
# Real clients (virsh) against hospes-virtd, and a stand-in for hvdom (fake_hvdom.c). What they say is compared with vmctl.
load ../retry
load virtd

@test "dumpxml: a screen's password is for those who ask for it and may change domains" {
	make_xml guest01 | sed "s|type='uml'|type='qemu'|; s|<type>linux|<type>hvm|; s|</devices>|<graphics type='vnc' port='5901' passwd='s3cret'/><video><model type='vga'/></video></devices>|" >"$T/screen.xml"
	"$vmctl" define "$T/screen.xml"
	[[ $(v dumpxml guest01) = *"port='5901'"* || $(v dumpxml guest01) = *'port="5901"'* ]]
	[[ $(v dumpxml guest01) != *s3cret* ]]
	[[ $(v dumpxml --security-info guest01) = *s3cret* ]]
}

@test "defines, lists and undefines" {
	[ -z "$(v list --all)" ]
	v define "$T/guest01.xml"
	[[ $(v list --all) =~ ^\ -\ +guest01\ +shut\ off$ ]]
	[ "$(v list --all --uuid)" = "$("$vmctl" dominfo guest01 --json | jq -r .uuid)" ]
	[ "$(v list --all --name | grep .)" = "$("$vmctl" list --all --name)" ]
	[ "$(v dumpxml guest01)" = "$("$vmctl" dumpxml guest01)" ]
	[ -z "$(v list)" ]
	# refused for the reasons that vmctl has; what is defined stays
	cp "$T/state/domains/guest01.xml" "$T/before"
	sed 's,<os>,<vcpu>2</vcpu><os>,' "$T/guest01.xml" >"$T/wide.xml"
	sed 's/>32</>31</' "$T/guest01.xml" >"$T/small.xml"
	sed 's,<os>,<metadata><x:x xmlns:x="x"><a/>\&#32;<b/></x:x></metadata><os>,' "$T/guest01.xml" >"$T/differently.xml"
	make_xml other | sed "s,<os>,<uuid>$(v domuuid guest01)</uuid><os>," >"$T/taken.xml"
	for f in wide small differently taken; do
		run v define "$T/$f.xml"
		[ "$status" -eq 1 ]
		run "$vmctl" define "$T/$f.xml"
		[ "$status" -eq 1 ]
		[[ $(v define "$T/$f.xml" 2>&1) == *"${output#vmctl: }"* ]]
	done
	cmp "$T/state/domains/guest01.xml" "$T/before"
	v undefine guest01
	[ -z "$(v list --all)" ]
	[ ! -e "$T/state/domains/guest01.xml" ]
}

@test "a domain's life: start, suspend, resume, reboot, shutdown, destroy" {
	v define "$T/guest01.xml"
	v start guest01
	state_is running
	[ "$(v domid guest01)" = "$("$vmctl" dominfo guest01 --json | jq .pid)" ]
	[[ $(v list) =~ ^\ [0-9]+\ +guest01\ +running$ ]]
	v suspend guest01
	state_is paused
	v resume guest01
	state_is running
	v reboot guest01
	run v start guest01
	[ "$status" -eq 1 ]
	[[ $output = *"already active"* ]]
	v shutdown guest01
	eventually state_is "shut off"
	v start guest01 --paused
	state_is paused
	v destroy guest01
	state_is "shut off"
	run v destroy guest01
	[[ $output = *"domain is not running"* ]]
}

@test "the guest's own agent: shutdown by its modes, addresses, file systems" {
	v define "$T/guest01.xml"
	v start guest01
	run v shutdown guest01 --mode agent
	[ "$status" -eq 1 ]
	state_is running
	v destroy guest01
	cat >"$T/agent" <<-X
		#!/bin/bash
		while IFS= read -r line; do
			echo "\$line" >>"$T/orders"
			case \$line in
			*guest-sync-delimited*) id=\${line##*'"id":'}; printf '\\xff{"return": %s}\\n' "\${id%%[!0-9]*}" ;;
			*guest-network-get-interfaces*) echo '{"return": [{"name": "eth0", "hardware-address": "52:54:00:01:02:03",
				"ip-addresses": [{"ip-address-type": "ipv4", "ip-address": "10.77.0.9", "prefix": 24}]}, {"name": "dummy0"}]}' | tr -d '\\n'; echo ;;
			*fsfreeze*) echo '{"return": 2}' ;;
			*guest-set-time*) echo '{"return": {}}' ;;
			esac
		done
	X
	chmod 755 "$T/agent"
	virtd_again FAKE_AGENT="$T/agent"
	v start guest01
	[[ $(v domifaddr guest01 --source agent) =~ eth0.*52:54:00:01:02:03.*ipv4.*10.77.0.9/24 ]]
	run v domifaddr guest01 --source lease
	[ "$status" -eq 1 ]
	v domfsfreeze guest01
	[ "$("$vmctl" dominfo guest01 --json | jq .frozen_s)" = 60 ]
	v domfsthaw guest01
	[ "$("$vmctl" dominfo guest01 --json | jq .frozen_s)" = 0 ]
	run v domfsfreeze guest01 /srv
	[ "$status" -eq 1 ]
	v suspend guest01
	v resume guest01
	grep -q guest-set-time "$T/orders"
	v shutdown guest01
	v shutdown guest01 --mode agent
	[ "$(grep -c '"guest-shutdown"' "$T/orders")" -eq 2 ]
	state_is running # the stand-in's power button was not pressed
	v shutdown guest01 --mode acpi
	eventually state_is "shut off"
}

@test "a domain without a definition, which gets one while it runs" {
	v create "$T/guest01.xml"
	state_is running
	[[ $(v dominfo guest01) = *"Persistent:     no"* ]]
	[ -z "$(ls "$T/state/domains" "$T/run/starting" 2>/dev/null | grep -v :)" ]
	run v create "$T/guest01.xml"
	[[ $output = *"already running"* ]]
	[ -z "$(v list --inactive)" ]
	v dumpxml guest01 >"$T/running.xml"
	v define "$T/running.xml"
	[[ $(v dominfo guest01) = *"Persistent:     yes"* ]]
	v destroy guest01
	v undefine guest01
	v create "$T/guest01.xml" --paused
	state_is paused
	v destroy guest01
	[ -z "$(v list --all)" ]
}

@test "numbers are those of vmctl" {
	v define "$T/guest01.xml"
	v start guest01
	"$vmctl" dominfo guest01 --json >"$T/info"
	"$vmctl" domstats guest01 --json >"$T/stats"
	[[ $(v dominfo guest01) = *"UUID:           $(jq -r .uuid "$T/info")"*"State:          running"*"CPU(s):         1"*"Max memory:     $(jq '.ram_bytes / 1024' "$T/info") KiB"*"Persistent:     yes"* ]]
	[[ $(v domstats guest01) = *"cpu.time=$(jq .cpu_ns "$T/stats")"*"balloon.maximum=32768"* ]]
	[[ $(v domblkstat guest01 vda) = *"rd_req $(jq '[.devices[] | select(.kind == "block")][0].rd_ops' "$T/stats")"* ]]
	[[ $(v dommemstat guest01) = *"actual $(jq '.ram_current_bytes / 1024' "$T/info")"* ]]
	v dommemstat guest01 >"$T/mem"
	for line in 'available 4096' 'unused 1024' 'usable 3072' 'swap_out 8' 'major_fault 5' 'last_update 1700000000'; do grep -qx "$line" "$T/mem"; done
	[ "$(grep -c minor_fault "$T/mem")" = 0 ] # which it does not say
	[[ $(v domstats guest01 --balloon) = *"balloon.unused=1024"*"balloon.swap_out=8"*"balloon.major_fault=5"*"balloon.last-update=1700000000"* ]]
	[ "$(v vcpucount guest01 --live)" = 1 ]
	run v domblkstat guest01 vdz
	[[ $output = *"no disk 'vdz'"* ]]
}

@test "saves and restores" {
	v define "$T/guest01.xml"
	v start guest01
	before=$("$vmctl" domstats guest01 --json | jq .dirty_pages_per_s)
	v save guest01 "$T/saved"
	state_is "shut off"
	v restore "$T/saved"
	state_is running
	[ "$("$vmctl" domstats guest01 --json | jq .dirty_pages_per_s)" = "$before" ]
	run v restore "$T/saved"
	[[ $output = *"already running"* ]]
	state_is running
}

@test "the host, and what it does not have" {
	[ "$(v hostname)" = "$(hostname -s)" ]
	[[ $(v nodeinfo) = *"CPU(s):              $(nproc)"* ]]
	v version | grep -q "Running hypervisor: Hospes"
	v capabilities | grep -q "<domain type='uml'/>"
	v domcapabilities --virttype uml | grep -q "<domain>uml</domain>"
	[[ $(v capabilities) = *"<arch name='aarch64'>"*"<machine maxCpus='"??"'>virt</machine>"*"<domain type='qemu'/>"* ]]
	[[ $(v domcapabilities --virttype qemu --arch aarch64) = *"<machine>virt</machine>"*"<arch>aarch64</arch>"* ]]
	run v domcapabilities --virttype qemu --arch x86_64
	[[ $output = *"runs no domains of type 'qemu' with architecture 'x86_64'"* ]]
	run v domcapabilities --virttype qemu --arch aarch64 --machine q35
	[[ $output = *"machine 'q35' is not known"* ]]
	run v domcapabilities --virttype xen
	[[ $output = *"runs no domains of type 'xen'"* ]]
	[ -z "$(v net-list --all)$(v iface-list)$(v nodedev-list)$(v nwfilter-list)$(v secret-list)" ]
	v define "$T/guest01.xml"
	[[ $(v dominfo guest01) = *"Autostart:      disable"*"Managed save:   no"* ]]
	run v autostart guest01
	[[ $output = *"a host starts no domain by itself"* ]]
	run v dominfo guest02
	[[ $output = *"failed to get domain 'guest02'"* ]]
}

@test "tells what happens" {
	v define "$T/guest01.xml"
	timeout 30 virsh -q -c "hospes+unix:///system?socket=$T/sock" event --event lifecycle --loop >"$T/events" 2>&1 3>&- &
	events=$!
	# it listens once it hears of another domain
	make_xml guest02 >"$T/guest02.xml"
	heard() { v define "$T/guest02.xml" && v undefine guest02 && grep -q guest02 "$T/events"; }
	eventually heard
	told() { grep -q "'guest01': $1" "$T/events"; }
	v start guest01
	eventually told Started
	v suspend guest01
	eventually told Suspended
	v resume guest01
	eventually told Resumed
	v destroy guest01
	eventually told Stopped
	v undefine guest01
	eventually told Undefined
	kill $events
	[ "$(sed -n "s/.*'guest01': //p" "$T/events" | tr '\n' ' ')" = "Started Booted Suspended Paused Resumed Unpaused Stopped Shutdown Undefined Removed " ] || { cat "$T/events" >&2; false; }
	run v event --event lifecycle --timeout 1
	[[ $output = *"event loop timed out"* ]]
}

@test "events beside those of a life: reboot, balloon, iterations and the end of a push, whoever ordered it" {
	v define "$T/guest01.xml"
	virtd_again FAKE_BALLOON=1
	v start guest01
	heard() { grep -qF "$1" "$T/events"; }
	# virsh asks for one kind after the other; a balloon's is in the middle
	listen_to_all() {
		rm -f "$T/mig/go" "$T/events"
		listen system "$T/events" --all
		ballooned() { "$vmctl" setmem guest01 24M; sleep 0.4; "$vmctl" setmem guest01 32M; sleep 0.4; heard "event 'balloon-change' for domain 'guest01': 24576KiB"; }
		eventually ballooned
		sleep 1
		touch "$T/mig/go"
	}
	# migrated's part: what it says to whom watches
	mkdir "$T/mig"
	cat >"$T/mig/watch" <<-'J'
		{"type":"ok"}
		#await go
		{"type":"progress","domain":"guest01","memory_iteration":1}
		{"type":"progress","domain":"nobody","memory_iteration":7}
		#sleep 400
		{"type":"progress","domain":"guest01","memory_iteration":3}
		{"type":"result","domain":"guest01","status":"failed","error":"no room there","rounds":3,"total_ms":1234.5,"ram_bytes":33554432,"pages_sent":2}
		#hold
	J
	"$top_builddir/tests/unit/fake_clusterd" "$T/mig" 3>&- &
	CLUSTERD=$!
	eventually [ -S "$T/mig/clusterd.sock" ]
	ln -s "$T/mig/clusterd.sock" "$T/run/migrated.sock"
	listen_to_all
	eventually heard "event 'job-completed' for domain 'guest01'"
	[ "$(grep -c migration-iteration "$T/events")" -eq 3 ]
	heard "event 'migration-iteration' for domain 'guest01': iteration: '3'"
	heard "errmsg: no room there"
	heard "time_elapsed: 1234"
	heard "memory_normal_bytes: 8192"
	v reboot guest01
	eventually heard "event 'reboot' for domain 'guest01'"
	# one that ends without a job and one that was moved differ
	kill $EVENTS
	wait $EVENTS || true
	sleep 1 # nobody listens: migrated is asked anew
	cat >"$T/mig/watch" <<-'J'
		{"type":"ok"}
		#await go
		{"type":"progress","domain":"guest01","memory_iteration":1}
		#await gone
		{"type":"result","domain":"guest01","status":"completed","error":null,"rounds":2}
		#hold
	J
	listen_to_all
	eventually heard "iteration: '1'"
	"$vmctl" destroy guest01
	sleep 0.5
	touch "$T/mig/gone"
	eventually heard "Stopped Migrated"
	heard "event 'job-completed' for domain 'guest01'"
	kill $EVENTS
	grep -q success: "$T/events"
}

@test "a console, both ways" {
	v define "$T/guest01.xml"
	v start guest01
	out=$( (sleep 1; echo hello; sleep 1; printf '\035') | script -qc "virsh -c 'hospes+unix:///system?socket=$T/sock' console guest01" /dev/null)
	[[ $out = *HELLO* ]] || { echo "$out" >&2; false; }
}

@test "who may only look changes nothing" {
	ro="hospes+unix:///system?socket=$T/sock-ro"
	v define "$T/guest01.xml"
	v start guest01
	virsh -q -r -c "$ro" list --all | grep -q guest01
	# without -r the client asks, and the server says no
	for order in "destroy guest01" "undefine guest01" "define $T/guest01.xml" "suspend guest01"; do
		# shellcheck disable=SC2086 # words
		run timeout 30 virsh -q -c "$ro" $order
		[ "$status" -eq 1 ]
		[[ $output = *"read only access prevents"* ]] || { echo "$order: $output" >&2; false; }
	done
	state_is running
}

@test "a domain of the cluster is left to the cluster" {
	v define "$T/guest01.xml"
	mkdir -p "$T/run/cluster"
	echo "$(v domuuid guest01) guest01" >"$T/run/cluster/domains"
	for order in "start guest01" "define $T/guest01.xml" "undefine guest01"; do
		# shellcheck disable=SC2086 # words
		run v $order
		[ "$status" -eq 1 ]
		[[ $output = *"is a domain of the cluster, which decides where it runs: vmclus"* ]] || { echo "$order: $output" >&2; false; }
	done
	state_is "shut off"
}

@test "directories of images: pools and volumes" {
	local dir=$T/state/images
	[[ $(v pool-list --all) =~ default\ +inactive\ +yes ]]
	v pool-start default
	[[ $(v pool-list) =~ default\ +active\ +yes ]]
	[[ $(v pool-info default) = *"State:          running"*"Persistent:     yes"*"Capacity:"* ]]
	[[ $(v pool-dumpxml default) = *"<pool type=\"dir\">"*"<path>$dir</path>"* ]]
	[ -z "$(v vol-list default)" ]
	v vol-create-as default a.img 10M
	v vol-create-as default full.img 1M --allocation 1M
	v vol-create-as default b.qcow2 20G --format qcow2
	[ "$(v vol-list default | awk '{ print $1 }' | xargs)" = "a.img b.qcow2 full.img" ]
	[ "$(stat -c '%s %b %a' "$dir/a.img")" = "10485760 0 600" ]
	[ "$(stat -c %b "$dir/full.img")" -ge 2048 ]
	[ "$(v vol-path a.img --pool default)" = "$dir/a.img" ]
	[ "$(v vol-pool "$dir/a.img")" = default ]
	[[ $(v vol-info b.qcow2 --pool default) = *"Capacity:       20.00 GiB"* ]]
	[[ $(v vol-dumpxml b.qcow2 default) = *"<format type=\"qcow2\"/>"* ]]
	if command -v qemu-img >/dev/null; then
		qemu-img check -q "$dir/b.qcow2"
		[ "$(qemu-img info --output=json "$dir/b.qcow2" | jq '."virtual-size"')" = $((20 << 30)) ]
	fi
	# one that stands on another: it has to be where hvdom would take it from
	run v vol-create-as default c.qcow2 20G --format qcow2 --backing-vol /etc/passwd --backing-vol-format raw
	[ "$status" -eq 1 ]
	[ ! -e "$dir/c.qcow2" ]
	v vol-create-as default c.qcow2 20G --format qcow2 --backing-vol b.qcow2 --backing-vol-format qcow2
	[[ $(v vol-dumpxml c.qcow2 default) = *"<backingStore>"*"<path>$dir/b.qcow2</path>"* ]]
	v vol-resize a.img 20M --pool default
	[ "$(stat -c %s "$dir/a.img")" = 20971520 ]
	run v vol-resize a.img 10M --pool default --shrink
	[ "$status" -eq 1 ]
	run v vol-create-as default a.img 1M
	[[ $output = *"exists already"* ]]
	run v vol-create-as default ../x 1M
	[[ $output = *"is no name for an image"* ]]
	[ ! -e "$T/state/x" ]
	# what is no image, and what a domain holds
	mkfifo "$dir/fifo"
	ln -s /etc/passwd "$dir/link"
	[ "$(v vol-list default | awk '{ print $1 }' | xargs)" = "a.img b.qcow2 c.qcow2 full.img" ]
	run v vol-info fifo --pool default
	[[ $output = *"Storage volume not found"* || $output = *"failed to get vol"* ]]
	python3 - "$dir/a.img" 3>&- <<-'P' &
		import fcntl, struct, sys, time
		f = open(sys.argv[1], "r+b")
		fcntl.fcntl(f, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0)) # F_OFD_SETLK, as hvdom
		open(sys.argv[1] + ".held", "w").close()
		time.sleep(60)
	P
	local holder=$!
	eventually [ -e "$dir/a.img.held" ]
	run v vol-delete a.img --pool default
	[[ $output = *"in use by a domain"* ]]
	kill $holder
	wait $holder || true
	rm "$dir/a.img.held"
	v vol-delete a.img --pool default
	[ ! -e "$dir/a.img" ]
	# which directories there are is the configuration's; one that is named again is the one that is there
	run v pool-undefine default
	[[ $output = *"virtd.json names"* ]]
	run v pool-define-as other dir --target /etc
	[[ $output = *"not below an allowed directory"* ]] || { echo "$output" >&2; false; }
	v pool-define-as again dir --target "$dir"
	# one beside it, where this host allows images: until the daemon ends
	v pool-define-as other dir --target "$dir/sub"
	v pool-build other
	v vol-create-as other z.img 1M
	[ "$(v pool-list --all --name | grep . | xargs)" = "default other" ]
	[ -e "$dir/sub/z.img" ]
	touch "$dir/a.img.lease"
	[ "$(v vol-list default | awk '{ print $1 }' | xargs)" = "b.qcow2 c.qcow2 full.img" ]
	run virsh -q -r -c "hospes+unix:///system?socket=$T/sock-ro" vol-list default
	[[ $output = *b.qcow2* ]]
	run timeout 30 virsh -q -c "hospes+unix:///system?socket=$T/sock-ro" vol-delete b.qcow2 --pool default
	[[ $output = *"read only access prevents"* ]]
}

@test "volumes are uploaded and downloaded" {
	local dir=$T/state/images holder
	v pool-start default
	v vol-create-as default a.img 8M
	dd if=/dev/urandom of="$T/data" bs=1M count=24 status=none
	dd if=/dev/zero of="$T/data" bs=1M seek=8 count=8 conv=notrunc status=none
	v vol-upload a.img "$T/data" --pool default
	cmp "$dir/a.img" "$T/data"
	# what is zero is a hole
	[ "$(stat -c %b "$dir/a.img")" -le $((17 << 11)) ]
	v vol-download a.img "$T/back" --pool default
	cmp "$T/back" "$T/data"
	v vol-download a.img "$T/part" --pool default --offset 1000 --length 5000
	cmp "$T/part" <(tail -c +1001 "$T/data" | head -c 5000)
	printf hello >"$T/small"
	v vol-upload a.img "$T/small" --pool default --offset 100
	[ "$(tail -c +99 "$dir/a.img" | head -c 9 | tail -c +3 | head -c 5)" = hello ]
	[ "$(stat -c %s "$dir/a.img")" = $((24 << 20)) ]
	# more than was named; holes as such; no such volume; who may only look
	run v vol-upload a.img "$T/data" --pool default --length 1M
	[ "$status" -eq 1 ]
	run v vol-download a.img "$T/x" --pool default --sparse
	[[ $output = *"holes are not sent as such"* ]]
	run v vol-download none "$T/x" --pool default
	[ "$status" -eq 1 ]
	run timeout 30 virsh -q -c "hospes+unix:///system?socket=$T/sock-ro" vol-download a.img "$T/x" --pool default
	[[ $output = *"read only access prevents"* ]]
	# storage that is full: the error is the storage's, and the client's connection lives
	if mkdir -p "$dir/full" && mount -t tmpfs -o size=4m none "$dir/full" 2>/dev/null; then
		v pool-define-as full dir --target "$dir/full"
		v vol-create-as full a.img 1M
		run v vol-upload a.img "$T/data" --pool full
		umount "$dir/full"
		[[ $status -eq 1 && $output = *"No space left"* ]] || { echo "$output" >&2; false; }
	fi
	# a domain's
	python3 - "$dir/a.img" "$T/held" 3>&- <<-'P' &
		import fcntl, struct, sys, time
		f = open(sys.argv[1], "r+b")
		fcntl.fcntl(f, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0)) # F_OFD_SETLK, as hvdom
		open(sys.argv[2], "w").close()
		time.sleep(60)
	P
	holder=$!
	eventually [ -e "$T/held" ]
	for order in "vol-upload a.img $T/small" "vol-download a.img $T/x"; do
		# shellcheck disable=SC2086 # words
		run v $order --pool default
		[[ $output = *"in use by a domain"* ]] || { kill $holder; echo "$output" >&2; false; }
	done
	kill $holder
	wait $holder || true
	# clients that neither read nor send cost memory that is bounded, and others are served; as many as there may be
	/usr/bin/python3 -c 'import libvirt' 2>/dev/null || return 0
	truncate -s 1G "$dir/big.img"
	/usr/bin/python3 - "$T" "$VIRTD" <<-'P'
		import libvirt, sys
		rss = lambda: int(next(l for l in open("/proc/%s/status" % sys.argv[2]) if l.startswith("VmRSS")).split()[1])
		uri = "hospes+unix:///system?socket=%s/sock" % sys.argv[1]
		held = []
		before = rss()
		def hold(c, st): c.storagePoolLookupByName("default").storageVolLookupByName("big.img").download(st, 0, 0); held.append((c, st))
		def more(c): hold(c, c.newStream())
		for i in range(8): more(libvirt.open(uri))
		c = libvirt.open(uri)
		vol = c.storagePoolLookupByName("default").storageVolLookupByName("a.img")
		st = c.newStream()
		why = ""
		try: vol.download(st, 0, 0)
		except libvirt.libvirtError as e: why = str(e)
		assert "8 volumes are being copied" in why, why
		assert vol.info()[0] == 0 and rss() - before < 64 << 10, rss() - before
		for h, st2 in held: st2.abort(); h.close()
	P
	# all of them let go
	again() { v vol-download a.img "$T/x" --pool default --length 10; }
	eventually again
	# a client that dies in the middle: what it held is free again
	mkfifo "$T/fifo"
	sleep 60 >"$T/fifo" 3>&- &
	holder=$!
	timeout 60 virsh -q -c "hospes+unix:///system?socket=$T/sock" vol-upload a.img "$T/fifo" --pool default >/dev/null 2>&1 3>&- &
	sleep 1
	kill -9 "$(pgrep -P $!)" $holder
	eventually v vol-delete a.img --pool default
}

@test "one hvdom that does not answer holds nobody up" {
	v define "$T/guest01.xml"
	v start guest01
	make_xml guest02 >"$T/guest02.xml"
	v define "$T/guest02.xml"
	kill -STOP "$(v domid guest01)"
	pid=$(pids)
	timeout 30 virsh -q -c "hospes+unix:///system?socket=$T/sock" domstats guest01 >/dev/null 2>&1 3>&- &
	SECONDS=0
	[ "$(v domstate guest02)" = "shut off" ]
	[ $SECONDS -le 1 ]
	kill -CONT $pid
	wait $!
}

@test "domains go on when it ends, however that happens" {
	v define "$T/guest01.xml"
	v start guest01
	kill -9 "$VIRTD"
	wait "$VIRTD" || true
	[ "$("$vmctl" domstate guest01)" = running ]
	"$top_builddir/virtd/hospes-virtd" >>"$T/virtd.log" 2>&1 3>&- &
	VIRTD=$!
	eventually v list
	state_is running
}

@test "the first client starts it, by sockets that systemd listens on and that outlive it" {
	local activate
	activate=$(command -v systemd-socket-activate) || skip "missing: systemd-socket-activate"
	kill "$VIRTD"
	wait "$VIRTD"
	umask 077
	"$activate" --listen="$T/here" --listen="$T/here-ro" --fdname=hospes-virtd.socket:hospes-virtd-ro.socket \
		$(env | sed -n 's/^\(HOSPES_[A-Z]*\)=.*/--setenv=\1/p') "$top_builddir/virtd/hospes-virtd" >>"$T/virtd.log" 2>&1 3>&- &
	VIRTD=$!
	eventually [ -S "$T/here-ro" ]
	virsh -q -c "hospes+unix:///system?socket=$T/here" define "$T/guest01.xml"
	run timeout 30 virsh -q -c "hospes+unix:///system?socket=$T/here-ro" undefine guest01
	[[ $output = *"read only access prevents"* ]]
	[ "$(stat -c %a "$T/here" "$T/here-ro" | xargs)" = "600 666" ]
	[ ! -e "$T/sock" ]
	kill "$VIRTD"
	wait "$VIRTD"
	[ -S "$T/here" ]
}

@test "any scheme, but no other path" {
	virsh -q -c "qemu+unix:///system?socket=$T/sock" list
	run virsh -q -c "hospes+unix:///session?socket=$T/sock" list
	[[ $output = *"is not served here: hospes:///system"* ]]
}

# a stand-in for clusterd, which says what is in $T/run/OP
cluster_of() {
	"$top_builddir/tests/unit/fake_clusterd" "$T/run" >"$T/clusterd.log" 2>&1 3>&- &
	CLUSTERD=$!
	eventually [ -S "$T/run/clusterd.sock" ]
}
u1=5a0c7b52-0000-4000-8000-0123456789ab u2=5a0c7b52-0000-4000-8000-0123456789ac
cluster_says() { # STATE OF GUEST01, ITS HOST, WHERE ITS MOVE IS
	cat >"$T/next" <<-J
		{"type":"status","hosts":[{"name":"a","state":"online","cpu_total":2,"mem_total_bytes":2147483648,"mem_used_bytes":1073741824},{"name":"b","state":"online","cpu_total":4,"mem_total_bytes":2147483648,"mem_used_bytes":0},{"name":"c","state":"safe","cpu_total":64,"mem_total_bytes":1}],"domains":[{"name":"guest02","uuid":"$u2","state":"stopped"},{"name":"guest01","uuid":"$u1","state":"$1","host":"${2:-b}","mem_bytes":33554432}]}
	J
	[ $# -lt 3 ] || sed -i "s/\"state\":\"$1\"/&,\"migration\":{$3}/" "$T/next"
	mv "$T/next" "$T/run/status"
}
vcl() { timeout 30 virsh -q -c "hospes+unix:///cluster?socket=$T/sock" "$@"; }

@test "the domains of a cluster, wherever they run" {
	mkdir -p "$T/run"
	cluster_of
	cluster_says running
	printf '{"type":"ok","name":"guest01","xml":%s}\n' "$(jq -Rs . "$T/guest01.xml")" >"$T/run/dumpxml"
	[ "$(vcl list --all --name | grep . | sort | tr '\n' ' ')" = "guest01 guest02 " ]
	[ "$(vcl list --name | grep .)" = guest01 ]
	[ "$(vcl list --inactive --uuid | grep .)" = $u2 ]
	[ "$(vcl domname "$(vcl domid guest01)")" = guest01 ]
	[[ $(vcl dominfo guest01) = *"UUID:           $u1"*"State:          running"*"CPU(s):         1"*"Max memory:     32768 KiB"*"Persistent:     yes"* ]]
	diff <(vcl dumpxml guest01) "$T/guest01.xml"
	[[ $(vcl nodeinfo) = *"CPU(s):              6"*"Memory size:         4194304 KiB"* ]]
	[[ $(vcl domstats guest01) = *"state.state=1"*"balloon.current=32768"* ]]
	echo '{"type":"progress"}' >"$T/run/move"
	echo '{"type":"ok"}' | tee -a "$T/run/move" >"$T/run/start"
	cp "$T/run/start" "$T/run/stop"
	vcl start guest02
	vcl shutdown guest01
	vcl destroy guest01
	vcl migrate --live --p2p guest01 hospes+tls://host-c/system
	printf '{"type":"ok","name":"guest01","uuid":"%s"}\n' $u1 >"$T/run/define"
	vcl define "$T/guest01.xml"
	[ "$(jq -c 'select(.op != "status" and .op != "dumpxml") | [.op, .name, .wait, .host]' "$T/run/orders")" = '["start","guest02",true,null]
["stop","guest01",false,null]
["stop","guest01",true,null]
["move","guest01",true,"host-c"]
["define",null,null,null]' ]
	# what clusterd refuses, what only a host can do, what is not there
	echo '{"type":"error","error":"guest02 is desired to run","code":"EBUSY"}' >"$T/run/undefine"
	run vcl undefine guest02
	[[ $output = *"guest02 is desired to run"* ]]
	run vcl suspend guest01
	[[ $output = *"hospes:///system"* ]]
	run vcl start guest01
	[[ $output = *"already active"* ]]
	run vcl dominfo guest03
	[[ $output = *"failed to get domain 'guest03'"* ]]
	# a move of it is told, and so is its end; the host's clients hear nothing of that
	timeout 30 virsh -q -c "hospes+unix:///cluster?socket=$T/sock" event --event lifecycle --loop >"$T/events" 2>&1 3>&- &
	local events=$!
	heard() { cluster_says stopped; sleep 0.5; cluster_says running; sleep 0.5; grep -q "'guest01': Started" "$T/events"; }
	eventually heard
	cluster_says suspended
	eventually grep -q "'guest01': Suspended" "$T/events"
	cluster_says failed
	eventually grep -q "'guest01': Stopped Crashed" "$T/events"
	kill $events
	# its host is lost, and another one starts it; then it moves
	cluster_says running
	listen cluster "$T/failover" --all
	told() { grep -qF "$1" "$T/failover"; }
	heard() { cluster_says suspended; sleep 0.4; cluster_says running; sleep 0.4; told "'guest01': Resumed"; }
	eventually heard
	cluster_says unknown b
	sleep 0.5
	cluster_says starting c
	eventually told "'guest01': Stopped Failed"
	eventually told "'guest01': Started Booted"
	cluster_says running c
	sleep 1
	[[ $(vcl domjobinfo guest01) =~ Job\ type:\ +None ]]
	run vcl domjobabort guest01
	[[ $status -eq 1 && $output = *"no job is active"* ]]
	cluster_says migrating c '"memory_iteration":2,"time_elapsed":1500,"memory_total":33554432,"memory_processed":8388608,"memory_remaining":4194304'
	eventually told "event 'migration-iteration' for domain 'guest01': iteration: '2'"
	[[ $(vcl domjobinfo guest01) =~ Unbounded.*"Outgoing migration".*"Time elapsed:"\ +1500.*"Memory processed:"\ +"8.000 MiB".*"Memory total:"\ +"32.000 MiB" ]]
	echo '{"type":"error","error":"too late: guest01 has moved to a","code":"EALREADY"}' >"$T/run/abort"
	run vcl domjobabort guest01
	[[ $status -eq 1 && $output = *"too late"* ]]
	echo '{"type":"ok"}' >"$T/run/abort"
	vcl domjobabort guest01
	[ "$(jq -c 'select(.op == "abort") | .name' "$T/run/orders" | xargs)" = "guest01 guest01" ]
	cluster_says running a
	eventually told "event 'job-completed' for domain 'guest01'"
	# the next one begins anew
	cluster_says migrating a '"memory_iteration":1'
	again() { [ "$(grep -c "guest01': iteration: '1'" "$T/failover")" -eq 2 ]; }
	eventually again
	cluster_says running c
	kill $EVENTS
	[ "$(grep -c Stopped "$T/failover")" -eq 1 ] || { cat "$T/failover" >&2; false; }
	# without clusterd
	kill "$CLUSTERD"
	wait "$CLUSTERD" || true
	CLUSTERD=
	rm -f "$T/run/clusterd.sock"
	run vcl list
	[[ $output = *"clusterd does not run on this host"* ]] || { echo "$output" >&2; false; }
	[ -z "$(v list)" ]
}

@test "python's binding" {
	/usr/bin/python3 -c 'import libvirt' 2>/dev/null || skip "missing: python3-libvirt"
	/usr/bin/python3 - "$T" <<-'P'
		import libvirt, sys
		c = libvirt.open("hospes+unix:///system?socket=%s/sock" % sys.argv[1])
		d = c.defineXML(open(sys.argv[1] + "/guest01.xml").read())
		assert [x.name() for x in c.listAllDomains()] == ["guest01"] and c.listDefinedDomains() == ["guest01"]
		d.create()
		assert c.listDomainsID() == [d.ID()] and c.lookupByID(d.ID()).name() == "guest01"
		assert c.lookupByUUIDString(d.UUIDString()).isActive() == 1 and c.numOfDomains() == 1
		assert d.state()[0] == libvirt.VIR_DOMAIN_RUNNING and d.info()[1:4] == [32768, 32768, 1]
		assert c.getAllDomainStats()[0][1]["state.state"] == 1 and c.isSecure() == 1
		assert d.jobStats() == {"type": 0}
		d.destroy()
		d.undefine()
		assert c.listAllDomains() == []
	P
}
