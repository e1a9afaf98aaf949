#!/usr/bin/env bats
# The form of what virsh prints: against hospes-virtd as against the driver "test" that libvirt itself has.
load ../retry
load virtd

# The form of an output: of a table its headings, of "key: value" and "key value" the keys, of XML its root; numbers and names are left out.
form() {
	awk '
		/^<\?xml/ { next }
		/^</ { match($0, /^<[a-zA-Z]+/); print "xml " substr($0, 2, RLENGTH - 1); exit }
		/^ *$/ { next }
		/^-+$/ { table = 1; $0 = last; gsub(/ +/, " "); print "table" $0; last = ""; next }
		table { next }
		{ if (last != "") print key(last); last = $0 }
		END { if (last != "" && !table) print key(last) }
		function key(l) {
			if (l ~ /:/) { sub(/:.*/, "", l) } else if (l ~ /=/) { sub(/=.*/, "", l); sub(/^ *[a-z]+\./, "", l) } else { gsub(/[a-z]+01|test|[0-9a-f]+-[-0-9a-f]+|[0-9.]+/, "N", l) }
			gsub(/^ +| +$/, "", l); gsub(/ +/, " ", l); gsub(/[0-9]+/, "N", l); gsub(/.guest01.|.test./, "N", l)
			return l
		}' | sort -u
}
# asked URI COMMAND...: the first line of the answer is the status
asked() {
	local out rc=0
	out=$(timeout 30 virsh -c "$1" "${@:2}" </dev/null 2>&1) || rc=$?
	printf '%s\n%s\n' "$rc" "$out"
}
# each LINES: "COMMAND | [-KEY ...] [+KEY ...]" answers like the model but for keys that are missing (-) or more (+);
# "COMMAND | ! WORDS" is refused in these words, and the model does it. DOM is a domain.
each() {
	local cmd how ours model line differ n=0 bad=0
	while IFS='|' read -r cmd how; do
		cmd=${cmd%"${cmd##*[! ]}"} how=${how# }
		[ -n "$cmd" ] || continue
		n=$((n + 1))
		# shellcheck disable=SC2086 # words
		ours=$(asked "hospes+unix:///system?socket=$T/sock" ${cmd//DOM/guest01})
		if [[ $how == !* ]]; then
			[[ ${ours%%$'\n'*} != 0 && $ours == *"${how#! }"* ]] || { echo "$cmd: not refused as it should be: $ours" >&2; bad=1; }
			continue
		fi
		# shellcheck disable=SC2086 # words
		model=$(asked test:///default ${cmd//DOM/test})
		[ "${ours%%$'\n'*}" = "${model%%$'\n'*}" ] || { echo "$cmd: status: $ours" >&2; bad=1; continue; }
		differ=$(diff <(form <<<"${model#*$'\n'}") <(form <<<"${ours#*$'\n'}") | sed -n 's/^< /-/p; s/^> /+/p' | tr '\n' '|')
		line=${how// , /|}
		[ "${differ%|}" = "$line" ] || { echo "$cmd: differs from libvirt's: ${differ%|}" >&2; bad=1; }
	done
	echo "# $n commands" >&3
	[ $bad -eq 0 ]
}

@test "a hundred commands: what domains, processors, memory, disks, the host, pools and events show has libvirt's form" {
	virsh -c test:///default list >/dev/null 2>&1 || skip "missing: libvirt's driver \"test\""
	mkdir -p "$T/state/images"
	truncate -s 8M "$T/state/images/a.img"
	make_xml guest01 | sed "s|type='uml'|type='qemu'|; s|>32<|>64<|; s|<type>linux|<type>hvm|; s|</devices>|<disk type='file' device='disk'><source file='$T/state/images/a.img'/><target dev='vda' bus='virtio'/></disk><interface type='bridge'><source bridge='br0'/><mac address='52:54:00:00:00:07'/></interface></devices>|" >"$T/shape.xml"
	v define "$T/shape.xml"
	v start guest01
	each <<-X
		list |
		list --all |
		list --all --title |
		list --all --managed-save |
		list --name |
		list --uuid |
		list --id |
		list --inactive |
		dominfo DOM | -Security DOI , -Security label , -Security model
		domstate DOM |
		domid DOM |
		domuuid DOM |
		domcontrol DOM |
		domstats DOM --state |
		domstats DOM --balloon | +available , +current , +disk_caches , +last-update , +major_fault , +maximum , +rss , +swap_in , +swap_out , +unused , +usable
		domstats DOM --vcpu | +current , +maximum
		dommemstat DOM | -hugetlb_pgalloc N , -hugetlb_pgfail N , -minor_fault N
		domblklist DOM |
		domblklist DOM --details |
		domblklist DOM --inactive |
		domblkinfo DOM vda |
		domblkinfo DOM vdz |
		domblkstat DOM vda | -vda errs N , +vda flush_operations N
		domblkstat DOM vda --human | -error count , +number of flush operations
		domiflist DOM |
		domiflist DOM --inactive |
		domif-getlink DOM vnet7 |
		domifstat DOM vnet7 |
		domdisplay DOM |
		dumpxml DOM |
		dumpxml DOM --inactive |
		vcpucount DOM |
		vcpucount DOM --current --live |
		vcpuinfo DOM |
		vcpuinfo DOM --pretty |
		vcpupin DOM |
		emulatorpin DOM |
		iothreadinfo DOM |
		metadata DOM --uri urn:none |
		desc DOM |
		desc DOM --title |
		ttyconsole DOM |
		vncdisplay DOM |
		snapshot-list DOM |
		snapshot-list DOM --tree |
		snapshot-current DOM |
		checkpoint-list DOM |
		hostname |
		version |
		nodeinfo |
		nodecpumap |
		nodecpustats |
		freecell |
		capabilities |
		maxvcpus |
		net-list --all |
		iface-list --all |
		pool-list --all |
		pool-list --all --details |
		pool-list --inactive |
		pool-info none |
		vol-list none |
		autostart DOM --disable |
		setvcpus DOM 1 |
		setmem DOM 64M --config |
		suspend DOM |
		suspend none |
		start DOM |
		undefine none |
		reboot DOM |
		managedsave-remove DOM |
		domname none |
		shutdown none |
		shutdown DOM |
		start none |
	X
	v destroy guest01 >/dev/null 2>&1 || true
	v start guest01
	each <<-X
		autostart DOM | ! a host starts no domain by itself
		blkdeviotune DOM vda | ! no limits of their own
		blkiotune DOM | ! no limits of their own
		cpu-stats DOM | ! --total
		domdirtyrate-calc DOM | ! vmmig plan
		domfsinfo DOM | ! guest's own tools
		domifaddr DOM | ! --source agent
		domiftune DOM vnet7 | ! no limits of their own
		domrename DOM other | ! keeps its name
		guestinfo DOM | ! guest's agent
		guestvcpus DOM | ! its own affair
		inject-nmi DOM | ! no NMI
		managedsave DOM | ! virsh save
		memtune DOM | ! virsh setmem
		migrate-compcache DOM | ! lz4
		migrate-getmaxdowntime DOM | ! vmmig push --downtime
		migrate-getspeed DOM | ! --bandwidth
		numatune DOM | ! the host's
		perf DOM | ! perf(1)
		reset DOM | ! virsh reboot
		schedinfo DOM | ! its control group
		send-key DOM KEY_A | ! domdisplay
		snapshot-create DOM | ! snapshots are not kept
		sysinfo | ! dmidecode
		nodesuspend mem 60 | ! unknown procedure
	X
}
