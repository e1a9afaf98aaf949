# SPDX-License-Identifier: GPL-2.0-or-later
# Real guests by virsh, unmodified, over hospes-virtd: what it says is compared with vmctl; moves by virsh migrate.
load lib

setup_file() {
	need_root
	need_program virsh
	lab_up 2
	local h
	for h in host-a host-b; do virtd_start "$h"; done
}
setup() {
	need_guests
	need_program virsh
}
teardown() {
	[ -n "${BATS_TEST_COMPLETED:-}" ] || lab_logs >&2
	[ -z "${g:-}" ] || guest_remove "$g"
}
virtd_start() { # HOST [ENVIRONMENT...]
	on "$1" env "${@:2}" hospes-virtd >>"$VMLAB_DIR/$VMLAB_NAME/hosts/$1/var/log/hospes/virtd.log" 2>&1 3>&- &
	eventually 10 v "$1" list
}
# v HOST COMMAND...: virsh there
v() { on "$1" timeout 60 virsh -q -c hospes:///system "${@:2}"; }
# the same host's socket as others reach it
uri_of() { echo "hospes+unix:///system?socket=/proc/$(cat "$VMLAB_DIR/$VMLAB_NAME/hosts/$1/init.pid")/root/run/libvirt/virthospesd-sock"; }
state_is() { [ "$(v host-a domstate "$g")" = "$1" ] && [ "$(on host-a vmctl domstate "$g")" = "$1" ]; }
vmctl_json() { on host-a vmctl "$1" "$g" --json; }

@test "a guest's life by virsh, and what it says is what vmctl says" {
	guest_xml "$g" load=light
	v host-a define "/var/lib/hospes/shared/$g.xml"
	[[ $(v host-a list --all) = *"$g"*"shut off"* ]]
	v host-a start "$g"
	eventually 20 guest_sound "$g"
	state_is running
	one_copy "$g" host-a
	[[ $(v host-a list) = *"$(vmctl_json dominfo | jq .pid)"*"$g"*running* ]]
	[[ $(v host-a dominfo "$g") = *"UUID:           $(vmctl_json dominfo | jq -r .uuid)"*"Max memory:     262144 KiB"* ]]
	[ "$(v host-a dumpxml "$g")" = "$(on host-a vmctl dumpxml "$g")" ]
	[[ $(v host-a domblklist "$g") = *"vda"*"/var/lib/hospes/shared/$g.img"* ]]
	[[ $(v host-a domiflist "$g") = *bridge*br0*52:54:* ]]
	local low high s nic
	low=$(vmctl_json domstats)
	s=$(v host-a domstats "$g")
	high=$(vmctl_json domstats)
	# between two looks by vmctl
	between() { local is=$1; shift; [ "$is" -ge "$(jq "$*" <<<"$low")" ] && [ "$is" -le "$(jq "$*" <<<"$high")" ]; }
	between "$(sed -n 's/.*cpu.time=//p' <<<"$s")" .cpu_ns
	between "$(sed -n 's/.*block.0.wr.bytes=//p' <<<"$s")" '[.devices[] | select(.kind == "block")][0].wr_bytes'
	between "$(sed -n 's/.*net.0.rx.bytes=//p' <<<"$s")" '[.devices[] | select(.kind == "net")][0].rd_bytes'
	nic=$(sed -n 's/.*net.0.name=//p' <<<"$s")
	[[ $(v host-a domifstat "$g" "$nic") = *"$nic rx_bytes "[1-9]* ]]
	[[ $(v host-a domblkstat "$g" vda) = *"vda wr_bytes "[1-9]* ]]
	v host-a suspend "$g"
	state_is paused
	[ "$(v host-a domstate "$g" --reason)" = "paused (user)" ]
	v host-a resume "$g"
	guest_sound "$g"
	v host-a shutdown "$g"
	eventually 20 state_is "shut off"
	e2fsck -fn "$SHARED/$g.img"
	v host-a undefine "$g"
	[ -z "$(on host-a vmctl list --all --name)" ]
}

@test "saved and restored by virsh, a guest goes on" {
	guest_up host-a "$g" load=light
	local boot
	boot=$(guest_boot_id "$g")
	v host-a save "$g" "/var/lib/hospes/shared/$g.saved"
	state_is "shut off"
	v host-a restore "/var/lib/hospes/shared/$g.saved"
	state_is running
	[ "$(guest_boot_id "$g")" = "$boot" ]
	guest_sound "$g"
	rm "$SHARED/$g.saved"
}

@test "a console by virsh" {
	guest_up host-a "$g" load=none
	local out
	out=$( (sleep 1; echo 'echo con$((40+2))sole'; sleep 2; printf '\035') | on host-a timeout 20 script -qc "virsh -c hospes:///system console $g" /dev/null)
	[[ $out = *con42sole* ]] || { echo "$out" >&2; false; }
}

@test "virsh migrate --p2p: its guest's client stays connected, progress is seen, events are told" {
	guest_up host-a "$g" load=light dirty=16
	client_start "$g"
	on host-b timeout 60 virsh -q -c hospes:///system event --event lifecycle --loop >"$BATS_TEST_TMPDIR/events" 2>&1 3>&- &
	# it listens once it hears of another domain
	sed "s/$g/other/; /<uuid>/d" "$SHARED/$g.xml" >"$SHARED/other.xml"
	heard() { v host-b define /var/lib/hospes/shared/other.xml && v host-b undefine other && grep -q other "$BATS_TEST_TMPDIR/events"; }
	eventually 20 heard
	on host-a timeout 60 virsh -q -c hospes:///system event --all --loop >"$BATS_TEST_TMPDIR/events-a" 2>&1 3>&- &
	# python's binding has a kind of its own of keepalive, loop and call-backs
	on host-a timeout 60 /usr/bin/python3 - "$g" >"$BATS_TEST_TMPDIR/events-py" 2>&1 3>&- <<-'P' &
		import libvirt, sys, threading
		libvirt.virEventRegisterDefaultImpl()
		c = libvirt.open("hospes:///system")
		c.setKeepAlive(1, 5)
		over = []
		def job(c, d, params, arg): print("job", d.name(), params["success"], params["memory_iteration"] >= 1, flush=True); over.append(1)
		def life(c, d, event, detail, arg): print("life", d.name(), event, detail, flush=True); event == 5 and over.append(2)
		def round_(c, d, n, arg): print("round", d.name(), n, flush=True)
		c.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_JOB_COMPLETED, job, None)
		c.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, life, None)
		c.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_MIGRATION_ITERATION, round_, None)
		print("listens", flush=True)
		while over != [1, 2] and c.isAlive(): libvirt.virEventRunDefaultImpl()
		print("over", over, flush=True)
	P
	local py=$!
	eventually 20 grep -q listens "$BATS_TEST_TMPDIR/events-py"
	sleep 1
	v host-a migrate --live --p2p --persistent --undefinesource --verbose "$g" hospes+ssh://host-b/system >"$BATS_TEST_TMPDIR/out" 2>&1
	grep -q 'Migration: \[100' "$BATS_TEST_TMPDIR/out"
	one_copy "$g" host-b
	guest_sound "$g"
	client_stop
	[ -z "$(v host-a list --all --name | grep .)" ]
	[[ $(v host-b dominfo "$g") = *"State:          running"*"Persistent:     yes"* ]]
	eventually 5 grep -q "'$g': Started" "$BATS_TEST_TMPDIR/events"
	eventually 5 grep -q "event 'job-completed' for domain '$g'" "$BATS_TEST_TMPDIR/events-a"
	eventually 5 grep -q "event 'lifecycle' for domain '$g': Stopped Migrated" "$BATS_TEST_TMPDIR/events-a"
	grep -q "event 'migration-iteration' for domain '$g': iteration: '1'" "$BATS_TEST_TMPDIR/events-a"
	wait $py || true
	cat "$BATS_TEST_TMPDIR/events-py" >&2
	grep -qx "job $g True True" "$BATS_TEST_TMPDIR/events-py"
	grep -qx 'over \[1, 2\]' "$BATS_TEST_TMPDIR/events-py"
}

@test "virsh migrate led by the client" {
	guest_up host-a "$g" load=light
	virsh -q -c "$(uri_of host-a)" migrate --live --persistent "$g" "$(uri_of host-b)"
	one_copy "$g" host-b
	guest_sound "$g"
	# it is no more here
	run virsh -q -c "$(uri_of host-a)" migrate --live "$g" "$(uri_of host-b)"
	[ "$status" -ne 0 ]
	one_copy "$g" host-b
}

@test "a slow push: job statistics, other calls answered meanwhile, called off, and the guest runs on" {
	guest_up host-a "$g" load=light fill=64
	vmlab slow host-b --rate 20
	v host-a migrate --live --p2p "$g" hospes+tls://host-b/system >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	local pid=$! rc=0
	job() { v host-a domjobinfo "$g" | grep -q 'Memory remaining: *[0-9]'; }
	eventually 15 job || rc=1
	[ "$(v host-a domstate "$g")" = running ] || rc=1
	v host-a domjobabort "$g" || rc=1
	if wait $pid; then rc=1; fi
	vmlab heal host-b
	cat "$BATS_TEST_TMPDIR/out" >&2
	grep -q 'canceled by client' "$BATS_TEST_TMPDIR/out" || rc=1
	[ $rc -eq 0 ]
	one_copy "$g" host-a
	guest_sound "$g"
	v host-a domjobinfo "$g" | grep -q 'None'
}

@test "hospes-virtd is killed in a push: the push goes on" {
	guest_up host-a "$g" load=light fill=32
	vmlab slow host-b --rate 50
	v host-a migrate --live --p2p "$g" hospes+tls://host-b/system >/dev/null 2>&1 3>&- &
	local pid=$!
	pushing() { on host-a vmmig status "$g" --json | jq -e '.migrations | length > 0'; }
	eventually 15 pushing
	on host-a sh -c 'kill -9 $(pidof hospes-virtd)'
	if wait $pid; then false; fi
	vmlab heal host-b
	eventually 60 one_copy "$g" host-b
	guest_sound "$g"
	on host-a rm -f /run/libvirt/virthospesd-sock /run/libvirt/virthospesd-sock-ro
	virtd_start host-a
}

@test "what cannot be is refused, with the cause, and the guest runs on" {
	guest_up host-a "$g" load=light
	local order pattern
	while IFS='|' read -r order pattern; do
		# shellcheck disable=SC2086 # words
		run v host-a migrate --live $order
		[ "$status" -eq 1 ] && [[ $output = *$pattern* ]] || { echo "$order: $output" >&2; false; }
	done <<-X
		--p2p $g hospes+tls://host-z/system|host-z
		--p2p --tunnelled $g hospes+tls://host-b/system|tunnelled migration is not needed
		--p2p --copy-storage-all $g hospes+tls://host-b/system|disks are not copied
		--p2p --dname other $g hospes+tls://host-b/system|keeps its name
		--p2p nobody hospes+tls://host-b/system|failed to get domain
	X
	one_copy "$g" host-a
	guest_sound "$g"
}

@test "virt-install makes a guest: its disk in a pool, its start, its definition" {
	need_program virt-install
	local why
	! why=$(qemu_missing) || skip "$why"
	[ -e "$SHARED/qemu-kernel" ] || cp "$top_builddir"/guests/qemu-{kernel,initramfs.img} "$SHARED/"
	on host-a timeout 120 virt-install --connect hospes:///system --name "$g" --memory 256 --vcpus 2 --virt-type qemu --hvm --import \
		--disk pool=default,size=0.1,format=qcow2 --network bridge=br0,model=virtio --graphics none --noautoconsole --osinfo detect=on,require=off \
		--boot "kernel=/var/lib/hospes/shared/qemu-kernel,initrd=/var/lib/hospes/shared/qemu-initramfs.img,kernel_args=console=ttyS0 quiet load=none hospes.disk= hospes.ip=$(guest_ip "$g")/24"
	client hospes-probe wait "$(guest_ip "$g"):7007" --timeout $((60 * PATIENCE))
	one_copy "$g" host-a
	[[ $(v host-a dominfo "$g") = *"CPU(s):         2"*"Persistent:     yes"* ]]
	[[ $(v host-a vol-dumpxml "$g.qcow2" default) = *'<format type="qcow2"/>'* ]]
	[[ $(v host-a domblklist "$g") = *"/var/lib/hospes/images/$g.qcow2"* ]]
	# in use: not deleted
	run v host-a vol-delete "$g.qcow2" --pool default
	[ "$status" -eq 1 ]
	v host-a destroy "$g"
	v host-a undefine "$g"
	v host-a vol-delete "$g.qcow2" --pool default
}

virtd_pid() { on "$1" pidof hospes-virtd; }
virtd_kill() { on "$1" sh -c 'kill -9 $(pidof hospes-virtd)' || true; }
# ... and it is there again, in ENVIRONMENT
virtd_again() { # HOST [ENVIRONMENT...]
	virtd_kill "$1"
	eventually 10 not virtd_pid "$1"
	on "$1" rm -f /run/libvirt/virthospesd-sock /run/libvirt/virthospesd-sock-ro
	virtd_start "$@"
}
# Which host has it, once nothing is under way any more
settled() {
	local h
	for h in host-a host-b; do
		on "$h" vmmig status "$g" --json | jq -e '.migrations == []' >/dev/null || return 1
	done
}
# migrate_and_kill PHASE VICTIM: client, source or target is killed -9 in that phase, in which this or the other side stands still
migrate_and_kill() {
	local phase=$1 victim=$2 side=host-a pid at uri_a uri_b
	case $phase in prepare | finish) side=host-b ;; esac
	touch "$SHARED/hold"
	virtd_again "$side" "HOSPES_FAULT=vd.migrate.$phase:hold:/var/lib/hospes/shared/hold"
	uri_a=$(uri_of host-a) uri_b=$(uri_of host-b)
	timeout 120 virsh -q -c "$uri_a" migrate --live --persistent "$g" "$uri_b" >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	pid=$!
	held() { grep -q "fault injection: vd.migrate.$phase" <(tail -n +"$from" "$VMLAB_DIR/$VMLAB_NAME/hosts/$side/var/log/hospes/virtd.log"); }
	eventually 30 held
	case $victim in
	client) kill -9 "$(pgrep -P $pid)" ;;
	source) virtd_kill host-a ;;
	target) virtd_kill host-b ;;
	esac
	rm "$SHARED/hold"
	wait $pid || true
	eventually 60 settled
	virtd_again host-a
	virtd_again host-b
	at=$(running_on "$g" | xargs)
	[ "$at" = host-a ] || [ "$at" = host-b ] || broken "$phase, $victim: $g runs on '$at'"
	one_copy "$g" "$at"
	client_whole
	guest_sound "$g"
	[ "$(v "$at" domstate "$g")" = running ]
	[ "$at" = host-a ] || on host-b vmmig push "$g" host-a
	one_copy "$g" host-a
}

# bats test_tags=long
@test "kill -9 of the client, of hospes-virtd here or there, in each phase of a migration: one copy, sound, its client connected" {
	guest_up host-a "$g" load=light
	client_start "$g"
	local phase victim from
	for phase in begin prepare perform perform.done finish confirm; do
		for victim in client source target; do
			echo "# $phase $victim" >&2
			from=$(($(wc -l <"$VMLAB_DIR/$VMLAB_NAME/hosts/$(case $phase in prepare | finish) echo host-b ;; *) echo host-a ;; esac)/var/log/hospes/virtd.log") + 1))
			migrate_and_kill $phase $victim
		done
	done
	client_stop
}
