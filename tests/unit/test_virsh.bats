#!/usr/bin/env bats
# virsh's commands, one after the other, against hospes-virtd and a stand-in for hvdom: what they do is what vmctl shows.
bats_require_minimum_version 1.5.0
load ../retry
load virtd

# a guest of the kind that disks come to, which is not started
shape() {
	mkdir -p "$T/state/images"
	truncate -s 8M "$T/state/images/a.img"
	truncate -s 4M "$T/state/images/b.img"
	make_xml guest01 | sed "s|type='uml'|type='qemu'|; s|>32<|>64<|; s|<type>linux|<type>hvm|; s|</devices>|<disk type='file' device='disk'><source file='$T/state/images/a.img'/><target dev='vda' bus='virtio'/></disk></devices>|" >"$T/shape.xml"
	v define "$T/shape.xml"
}
# refused PATTERN COMMAND...: by virsh, in these words
refused() {
	run v "${@:2}"
	[ "$status" -eq 1 ] && [[ $output = *$1* ]] || { echo "${*:2}: $status: $output" >&2; return 1; }
}
inactive() { "$vmctl" dumpxml guest01 --inactive | xmllint --xpath "string($1)" -; }

@test "memory and vCPUs: setmem, setmaxmem, setvcpus, vcpucount, memtune" {
	virtd_again FAKE_BALLOON=1
	v define "$T/guest01.xml"
	v setmaxmem guest01 48M --config
	v setmem guest01 40M --config
	[ "$(inactive /domain/memory)" = 49152 ]
	[ "$(inactive /domain/currentMemory)" = 40960 ]
	v setmaxmem guest01 32M
	[ "$(inactive /domain/currentMemory)" = 32768 ]
	refused "higher than max memory" setmem guest01 64M --config
	v start guest01
	v setmem guest01 24M --live
	[ "$("$vmctl" dominfo guest01 --json | jq .ram_current_bytes)" = $((24 << 20)) ]
	[[ $(v dommemstat guest01) = *"actual 24576"* ]]
	refused "higher than max memory" setmem guest01 64M
	refused "on an active domain" setmaxmem guest01 64M --live
	v setmaxmem guest01 64M --config
	[ "$(inactive /domain/memory)" = 65536 ]
	v setvcpus guest01 1
	refused "keeps its 1 vCPUs" setvcpus guest01 2 --live
	# what the engine has no more of, as vmctl define says it
	refused "have at most 1" setvcpus guest01 2 --config
	shape2() { make_xml guest02 | sed "s|type='uml'|type='qemu'|; s|>32<|>64<|; s|<type>linux|<type>hvm|"; }
	shape2 >"$T/guest02.xml"
	v define "$T/guest02.xml"
	v setvcpus guest02 3 --config
	v setvcpus guest02 3 --config --maximum
	[ "$(v vcpucount guest02 --config --maximum)" = 3 ]
	[ "$("$vmctl" dominfo guest02 --json | jq .vcpus)" = 3 ]
	refused "virsh setmem" memtune guest01
	v destroy guest01
}

@test "title, description, metadata" {
	v define "$T/guest01.xml"
	[ -z "$(v desc guest01)" ]
	v desc guest01 --new-desc "keeps  books" --config
	v desc guest01 --title --new-desc Books --config
	[ "$(v desc guest01)" = "keeps  books" ]
	[ "$(inactive /domain/description)" = "keeps  books" ]
	[ "$(v desc guest01 --title)" = Books ]
	[[ $(v list --all --title) = *guest01*"shut off"*Books* ]]
	v desc guest01 --title --new-desc "" --config
	[ -z "$(inactive /domain/title)" ]
	refused "metadata not found" metadata guest01 --uri urn:test
	v metadata guest01 --uri urn:test --key t --set '<owner since="2024">ann<mail/></owner>' --config
	[ "$(v metadata guest01 --uri urn:test)" = '<owner since="2024">ann<mail/></owner>' ] || v metadata guest01 --uri urn:test >&2
	[[ $(v metadata guest01 --uri urn:test) = '<owner since="2024">'*ann*'<mail/>'*'</owner>' ]]
	[[ $("$vmctl" dumpxml guest01) = *'<t:owner xmlns:t="urn:test" since="2024">'* ]]
	v metadata guest01 --uri urn:other --key o --set '<x/>' --config
	v metadata guest01 --uri urn:test --remove --config
	refused "metadata not found" metadata guest01 --uri urn:test
	[ "$(v metadata guest01 --uri urn:other)" = "<x/>" ]
	refused "XML error" metadata guest01 --uri urn:other --key o --set '<x' --config
	v start guest01
	refused "keeps its document" desc guest01 --new-desc other --live
	v desc guest01 --new-desc other --config
	[ "$(v desc guest01 --config)" = other ]
	[ "$(v desc guest01)" = "keeps  books" ]
}

@test "disks and NICs: attach, detach, block commands; events of devices" {
	shape
	[[ $(v domblkinfo guest01 vda) = *"Capacity:       8388608"*"Allocation:     0"*"Physical:       8388608"* ]]
	[[ $(v domblkinfo guest01 "$T/state/images/a.img" --human) = *"Capacity:       8.000 MiB"* ]]
	[[ $(v domblkinfo guest01 --all) = *vda*8388608* ]]
	refused "not assigned to domain" domblkinfo guest01 vdz
	v attach-disk guest01 "$T/state/images/b.img" vdb --config
	[[ $(v domblklist guest01) = *vdb*"$T/state/images/b.img"* ]]
	[[ $("$vmctl" dumpxml guest01) = *"$T/state/images/b.img"* ]]
	refused "vdb" attach-disk guest01 "$T/state/images/b.img" vdb --config
	v detach-disk guest01 vdb --config
	[[ $(v domblklist guest01) != *vdb* ]]
	v attach-interface guest01 bridge br0 --mac 52:54:00:00:00:07 --model virtio --config
	[[ $(v domiflist guest01) = *bridge*br0*virtio*52:54:00:00:00:07* ]]
	v detach-interface guest01 bridge --mac 52:54:00:00:00:07 --config
	[[ $(v domiflist guest01) != *52:54* ]]
	# a running one
	v start guest01
	listen system "$T/events" --all
	eventually [ -e "$T/events" ]
	sleep 2
	echo "<disk type='file' device='disk'><source file='$T/state/images/b.img'/><target dev='vdb' bus='virtio'/></disk>" >"$T/vdb.xml"
	v attach-device guest01 "$T/vdb.xml" --live
	grep -q "attached, " "$T/log/guest01.log"
	eventually grep -q "event 'device-added' for domain 'guest01': vdb" "$T/events"
	v detach-device guest01 "$T/vdb.xml" --live
	eventually grep -q "event 'device-removed' for domain 'guest01': vdb" "$T/events"
	sed 's/vdb/vdc/' "$T/vdb.xml" >"$T/vdc.xml"
	refused "has not let it go" detach-device guest01 "$T/vdc.xml" --live
	kill $EVENTS
	v blockresize guest01 vda 16M
	grep -q "resized vda to 16777216" "$T/log/guest01.log"
	refused "no such disk" blockresize guest01 vdz 16M
	[[ $(v domblkerror guest01) = *"No errors found"* ]]
	[[ $(v domcontrol guest01) = ok* ]]
}

@test "processors: vcpuinfo, vcpupin, emulatorpin, cpu-stats, maxvcpus, cpu-models" {
	v define "$T/guest01.xml"
	v start guest01
	[[ $(v vcpuinfo guest01) = *"VCPU:"*0*"State:          running"*"CPU time:       1.5s"*"CPU Affinity:   "y* ]]
	[[ $(v vcpupin guest01) =~ 0\ +0 ]]
	[[ $(v emulatorpin guest01) = *"0-$(($(nproc --all) - 1))"* || $(nproc --all) = 1 ]]
	[[ $(v cpu-stats guest01 --total) = *"cpu_time"*"1.5"* ]]
	refused "runs on any processor" vcpupin guest01 0 0
	[ "$(v maxvcpus --type qemu)" = 64 ]
	[ "$(v maxvcpus --type uml)" = 1 ]
	[ -z "$(v cpu-models x86_64)" ] # without -q: "all CPU models are accepted"
	refused "no domains with architecture" cpu-models mips
}

@test "the host: nodeinfo, nodecpumap, nodecpustats, nodememstats, freecell, version, uri, pool-capabilities, sysinfo" {
	[[ $(v uri) = hospes*:///system* ]]
	[[ $(v nodecpumap) = *"CPUs present:   $(getconf _NPROCESSORS_CONF)"*"CPUs online:    $(getconf _NPROCESSORS_ONLN)"* ]]
	[[ $(v nodecpustats) = *user:*system:*idle:*iowait:* ]]
	[[ $(v nodecpustats --cpu 0 --percent) = *usage:*%* ]]
	refused "no processor 4000" nodecpustats --cpu 4000
	[[ $(v nodememstats) = *"total  :"*"$(awk '/MemTotal/ { print $2 }' /proc/meminfo) KiB"* ]]
	[[ $(v freecell) = *KiB* ]]
	[[ $(v freecell --cellno 0) = *KiB* ]]
	[[ $(v version --daemon) = *"Running hypervisor: Hospes"* ]]
	[[ $(v pool-capabilities) = *"<pool type='dir' supported='yes'>"* ]]
	refused dmidecode sysinfo
}

@test "the guest's agent: qemu-agent-command, domhostname, domtime, domfstrim" {
	v define "$T/guest01.xml"
	v start guest01
	run v qemu-agent-command guest01 '{"execute": "guest-ping"}'
	[ "$status" -eq 1 ]
	run v domhostname guest01
	[ "$status" -eq 1 ]
	v destroy guest01
	cat >"$T/agent" <<-X
		#!/bin/bash
		while IFS= read -r line; do
			echo "\$line" >>"$T/orders"
			case \$line in
			*guest-sync-delimited*) id=\${line##*'"id":'}; printf '\\xff{"return": %s}\\n' "\${id%%[!0-9]*}" ;;
			*guest-get-host-name*) echo '{"return": {"host-name": "books.example"}}' ;;
			*guest-get-time*) echo '{"return": 1700000000500000000}' ;;
			*guest-fstrim*) echo '{"return": {"paths": []}}' ;;
			*guest-set-time* | *guest-ping*) echo '{"return": {}}' ;;
			*guest-exec*) echo '{"error": {"class": "GenericError", "desc": "no"}}' ;;
			esac
		done
	X
	chmod 755 "$T/agent"
	virtd_again FAKE_AGENT="$T/agent"
	v start guest01
	[ "$(v domhostname guest01)" = books.example ]
	[[ $(v domtime guest01) = *"Time: 1700000000"* ]]
	v domtime guest01 --now
	v domtime guest01 --time 1600000000
	grep -q '"time":1600000000000000000' "$T/orders"
	v domtime guest01 --sync
	v domfstrim guest01 --minimum 65536
	grep -q '"minimum":65536' "$T/orders"
	refused "name none" domfstrim guest01 --mountpoint /srv
	[ "$(v qemu-agent-command guest01 '{"execute": "guest-ping"}')" = '{"return":{}}' ]
	[ "$(v qemu-agent-command guest01 --pretty '{"execute": "guest-get-time"}' | jq .return)" = 1700000000500000000 ]
	refused "refuses" qemu-agent-command guest01 '{"execute": "guest-exec", "arguments": {"path": "/bin/true"}}'
	refused "a command is" qemu-agent-command guest01 'guest-ping'
	# who may only look asks nothing of the guest
	run timeout 30 virsh -q -c "hospes+unix:///system?socket=$T/sock-ro" qemu-agent-command guest01 '{"execute": "guest-ping"}'
	[[ $output = *"read only access prevents"* ]]
}

@test "what there is not: each refused in words that say what to do instead" {
	v define "$T/guest01.xml"
	v start guest01
	refused "virsh save" managedsave guest01
	refused "snapshots are not kept" snapshot-create guest01
	run -0 v snapshot-list guest01
	[ -z "$output" ]
	run -0 v checkpoint-list guest01
	[ -z "$output" ]
	refused "asks the guest" reset guest01
	refused "no NMI" inject-nmi guest01
	refused "domdisplay" send-key guest01 KEY_A KEY_B
	refused "keeps its name" domrename guest01 guest02
	refused "suspends itself" dompmsuspend guest01 mem
	refused "its control group" schedinfo guest01
	refused "no limits" blkiotune guest01
	refused "the host's" numatune guest01
	refused "" dump guest01 "$T/core"
	state_is running
	# a picture of a screen that there is not
	run v screenshot guest01 "$T/picture"
	[ "$status" -eq 1 ]
	[ ! -s "$T/picture" ]
}
