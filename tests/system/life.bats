# SPDX-License-Identifier: GPL-2.0-or-later
# The life of one guest on one host, by vmctl: boot, console, reboot, power-off, crash, pause, save, devices, death.
load lib

LAB_HOSTS=1
CROWD=()
teardown() {
	[ ${#CROWD[@]} -eq 0 ] || crowd_ends
	[ -n "${BATS_TEST_COMPLETED:-}" ] || lab_logs >&2
	guest_remove "$g"
}

state_is() { [ "$(domain_state host-a "$1")" = "$2" ]; }
gone() { local s; s=$(domain_state host-a "$1"); [ "$s" = "shut off" ] || [ -z "$s" ]; }
new_boot() { local b; b=$(guest_boot_id "$1" 2>/dev/null) && [ -n "$b" ] && [ "$b" != "$2" ]; }
fs_clean() { e2fsck -fn "$SHARED/$1.img"; }
# what a shell on the guest's console answers
console() { printf '%s\n' "$2" | on host-a timeout 10 sh -c "(cat; sleep 3) | vmctl console $1" 2>&1; }

@test "boots, is listed, and is sound under load" {
	guest_up host-a "$g"
	state_is "$g" running
	[ "$(on host-a vmctl domstate "$g")" = running ]
	on host-a vmctl dominfo "$g" --json | jq -e '.ram_bytes == 268435456 and .vcpus == 1 and .persistent'
	one_copy "$g" host-a
	sleep 2
	guest_sound "$g"
	on host-a vmctl domstats "$g" --json | jq -e '.processes > 30 and .cpu_ns > 0 and ([.devices[] | select(.kind == "block")][0].wr_bytes > 0)
		and ([.devices[] | select(.kind == "net")][0].rd_bytes > 0)'
}

@test "a domain holds no descriptor of who started it" {
	exec 9>"$BATS_TEST_TMPDIR/lock"
	flock -n 9
	guest_up host-a "$g" load=none
	exec 9>&-
	flock -n "$BATS_TEST_TMPDIR/lock" true
}

@test "the console answers, and its log keeps what it said" {
	guest_up host-a "$g" load=none
	run console "$g" 'echo con$((40+2))sole'
	[[ $output = *con42sole* ]] || { echo "$output" >&2; false; }
	grep -rq con42sole "$VMLAB_DIR/$VMLAB_NAME/hosts/host-a/var/log/hospes/"
	[[ $(on host-a sh -c "cat /var/log/hospes/$g*") = *"Run /init"* ]]
}

@test "powers off by itself: the domain ends and its disk is clean" {
	guest_up host-a "$g" load=light
	sleep 1
	ask "$g" poweroff
	eventually 20 gone "$g"
	eventually 5 not disk_locked "$SHARED/$g.img"
	fs_clean "$g"
}

@test "ordered shutdown" {
	guest_up host-a "$g" load=light
	on host-a vmctl shutdown "$g" --wait 20
	eventually 5 gone "$g"
	fs_clean "$g"
}

@test "reboots by itself and finds its files again" {
	guest_up host-a "$g" load=light
	local boot
	boot=$(guest_boot_id "$g")
	sleep 2
	ask "$g" reboot
	eventually 30 new_boot "$g" "$boot"
	one_copy "$g" host-a
	sleep 1
	guest_sound "$g"
}

@test "ordered reboot" {
	guest_up host-a "$g" load=light
	local boot
	boot=$(guest_boot_id "$g")
	on host-a vmctl reboot "$g"
	eventually 30 new_boot "$g" "$boot"
	guest_sound "$g"
}

@test "on_reboot destroy" {
	guest_up host-a "$g" load=none on_reboot=destroy
	ask "$g" reboot
	eventually 20 gone "$g"
}

@test "a panic is noticed: on_crash destroy" {
	guest_up host-a "$g" load=light
	ask "$g" panic || true
	eventually 20 gone "$g"
	eventually 5 not disk_locked "$SHARED/$g.img"
	[[ $(on host-a sh -c "cat /var/log/hospes/$g*") = *"Kernel panic"* ]]
}

@test "a panic is noticed: on_crash restart" {
	guest_up host-a "$g" load=light on_crash=restart
	local boot
	boot=$(guest_boot_id "$g")
	ask "$g" panic || true
	eventually 30 new_boot "$g" "$boot"
	one_copy "$g" host-a
	sleep 1
	guest_sound "$g"
}

@test "a panic is noticed: on_crash preserve" {
	guest_up host-a "$g" load=light on_crash=preserve
	ask "$g" panic || true
	eventually 20 state_is "$g" crashed
	on host-a vmctl destroy "$g"
	eventually 5 gone "$g"
}

# what dominfo says of the agent's heartbeat: NAME SECONDS COUNT
heartbeat_is() {
	local d
	d=$(on host-a vmctl dominfo "$1" --json)
	jq -e --argjson s "$2" --argjson n "$3" '.heartbeat_s == $s and .watchdog_count == $n' <<<"$d" || { echo "$d" >&2; false; }
}

@test "a guest that hangs is reset by its watchdog and answers again" {
	guest_up host-a "$g" load=light cmdline=hospes.beat=4
	local boot start
	boot=$(guest_boot_id "$g")
	eventually 5 heartbeat_is "$g" 4 0
	sleep 6
	[ "$(guest_boot_id "$g")" = "$boot" ]
	start=$SECONDS
	ask "$g" hang
	eventually 30 new_boot "$g" "$boot"
	[ $((SECONDS - start)) -ge 3 ]
	eventually 5 heartbeat_is "$g" 4 1
	one_copy "$g" host-a
	guest_sound "$g"
	grep -q "was silent for 4 s" "$VMLAB_DIR/$VMLAB_NAME/hosts/host-a/var/log/hospes/$g.log"
}

@test "without a heartbeat nobody calls it hung" {
	guest_up host-a "$g" load=none
	ask "$g" hang
	sleep 5
	state_is "$g" running
	heartbeat_is "$g" 0 0
}

@test "an agent that ends in order takes its heartbeat back" {
	guest_up host-a "$g" load=none cmdline=hospes.beat=4
	eventually 5 heartbeat_is "$g" 4 0
	# its init starts it again and again
	run console "$g" 'mv /bin/workload /bin/gone; killall workload; echo en""ded'
	[[ $output = *ended* ]]
	eventually 5 heartbeat_is "$g" 0 0
}

@test "a guest that is paused, or whose hvdom stands still, or that is saved, does not hang" {
	guest_up host-a "$g" load=light cmdline=hospes.beat=3
	local boot pid
	boot=$(guest_boot_id "$g")
	eventually 5 heartbeat_is "$g" 3 0
	on host-a vmctl suspend "$g"
	sleep 5
	on host-a vmctl resume "$g"
	guest_wait "$g"
	pid=$(on host-a vmctl dominfo "$g" --json | jq .pid)
	on host-a kill -STOP "$pid"
	sleep 5
	on host-a kill -CONT "$pid"
	guest_wait "$g"
	heartbeat_is "$g" 3 0
	on host-a vmctl save "$g" "/var/lib/hospes/$g.save"
	sleep 5
	on host-a vmctl restore "/var/lib/hospes/$g.save"
	guest_wait "$g"
	sleep 4
	heartbeat_is "$g" 3 0
	[ "$(guest_boot_id "$g")" = "$boot" ]
	# it is watched again
	ask "$g" hang
	eventually 30 new_boot "$g" "$boot"
}

# The processor that a guest's kernel has, taken by others who have the right of way
crowd() { # GUEST
	local pid cpu i
	pid=$(on host-a vmctl dominfo "$1" --json | jq .pid)
	cpu=$(on host-a sh -c 'for h in $(cat /proc/$1/task/*/children); do for k in $(cat /proc/$h/task/*/children); do
		awk "/^Cpus_allowed_list/ { print \$2 }" /proc/$k/status; done; done' sh "$pid")
	[[ $cpu = [0-9]* ]]
	for i in {1..16}; do
		setsid taskset -c "$cpu" nice -n -20 sh -c 'echo -20 2>/dev/null >/proc/self/autogroup; while :; do :; done' >/dev/null 3>&- &
		CROWD+=($!)
	done
}
crowd_ends() { kill -9 "${CROWD[@]}" && CROWD=(); }
log_has() { grep -q -- "$2" "$VMLAB_DIR/$VMLAB_NAME/hosts/host-a/var/log/hospes/$1.log"; }

# bats test_tags=long
@test "a guest that gets no processor does not hang; of one that does the log says what it was at" {
	[ "$(nproc)" -gt 1 ] || skip "one processor, which hvdom needs as well"
	guest_up host-a "$g" load=light cmdline=hospes.beat=2
	local boot
	boot=$(guest_boot_id "$g")
	eventually 5 heartbeat_is "$g" 2 0
	crowd "$g"
	eventually 20 log_has "$g" 'waited .* for a processor, which does not count'
	sleep 2
	crowd_ends
	guest_wait "$g"
	heartbeat_is "$g" 2 0
	[ "$(guest_boot_id "$g")" = "$boot" ]
	not log_has "$g" 'it goes since'
	ask "$g" hang
	eventually 30 new_boot "$g" "$boot"
	log_has "$g" 'it goes since .* (built anew); kernel process [0-9]*: state .* of the last .* s it had a processor for'
	log_has "$g" 'last heartbeat [0-9.]* s ago'
	log_has "$g" 'vda: \[0: avail [0-9]* taken [0-9]*, used [0-9]* called [0-9]* wanted [0-9]*\] unread: [0-9]* of its, [a-z]* of ours; [0-9]* under way'
	log_has "$g" 'hvc1: \[0: .*\] \[1: '
}

@test "a guest that a push holds back does not hang; one that hangs meanwhile is found when the push is over" {
	guest_up host-a "$g" load=light cmdline=hospes.beat=3
	local boot session
	boot=$(guest_boot_id "$g")
	eventually 5 heartbeat_is "$g" 3 0
	on host-a "$top_builddir/tests/system/hvtool" "$g" logdirty:0 throttle:90 sleep:12000 >"$BATS_TEST_TMPDIR/hv.log" 2>&1 3>&- &
	session=$!
	sleep 6
	ask "$g" hang
	sleep 5
	kill -0 $session
	heartbeat_is "$g" 3 0
	wait $session
	eventually 20 new_boot "$g" "$boot"
	heartbeat_is "$g" 3 1
}

@test "watchdog actions pause, none, poweroff" {
	local dog="<watchdog model='i6300esb' action='ACTION'/>"
	guest_up host-a "$g" load=none cmdline=hospes.beat=3 xml="${dog/ACTION/pause}"
	ask "$g" hang
	eventually 20 state_is "$g" paused
	guest_remove "$g"
	guest_up host-a "$g" load=none cmdline=hospes.beat=3 xml="${dog/ACTION/none}"
	ask "$g" hang
	eventually 20 heartbeat_is "$g" 3 1
	sleep 4
	heartbeat_is "$g" 3 1
	state_is "$g" running
	guest_remove "$g"
	guest_up host-a "$g" load=none cmdline=hospes.beat=3 xml="${dog/ACTION/poweroff}"
	ask "$g" hang
	eventually 20 gone "$g"
	eventually 5 not disk_locked "$SHARED/$g.img"
}

# bats test_tags=long
@test "a guest that hangs right after each start is given up" {
	guest_define host-a "$g" load=none cmdline="hospes.beat=4 hospes.beats=1"
	on host-a vmctl start "$g"
	eventually 60 gone "$g"
	grep -q "crashed or hung 3 times" "$VMLAB_DIR/$VMLAB_NAME/hosts/host-a/var/log/hospes/$g.log"
}

@test "suspend stops it, resume lets it go on" {
	guest_up host-a "$g"
	on host-a vmctl suspend "$g"
	state_is "$g" paused
	run client hospes-probe ask "$(guest_ip "$g"):7007" status --timeout 1
	[ "$status" -ne 0 ]
	on host-a vmctl resume "$g"
	state_is "$g" running
	guest_wait "$g"
	guest_sound "$g"
}

@test "save and restore" {
	guest_up host-a "$g"
	local boot
	boot=$(guest_boot_id "$g")
	on host-a vmctl save "$g" /var/lib/hospes/$g.save
	eventually 5 gone "$g"
	eventually 5 not disk_locked "$SHARED/$g.img"
	on host-a vmctl restore /var/lib/hospes/$g.save
	guest_wait "$g"
	[ "$(guest_boot_id "$g")" = "$boot" ]
	one_copy "$g" host-a
	sleep 1
	guest_sound "$g"
}

@test "destroy ends it at once and frees the disk" {
	guest_up host-a "$g"
	on host-a vmctl destroy "$g"
	eventually 2 gone "$g"
	eventually 5 not disk_locked "$SHARED/$g.img"
}

@test "kill -9 of hvdom ends the whole guest, and it can be started again" {
	guest_up host-a "$g"
	local pid before
	pid=$(on host-a vmctl dominfo "$g" --json | jq .pid)
	on host-a kill -KILL "$pid"
	eventually 5 not disk_locked "$SHARED/$g.img"
	eventually 5 not on host-a pgrep -f "linux.uml.*$g"
	# guest kernels rename themselves: none may be left
	eventually 5 not on host-a pgrep -x linux.uml
	guest_start host-a "$g"
	guest_sound "$g"
}

@test "a domain outlives migrated" {
	guest_up host-a "$g"
	vmlab service host-a kill migrated
	migrated_ready host-a
	one_copy "$g" host-a
	guest_sound "$g"
}

@test "several disks, a read-only one, two interfaces" {
	truncate -s 8M "$SHARED/$g-b.img" "$SHARED/$g-c.img"
	echo hospes-ro | dd of="$SHARED/$g-c.img" conv=notrunc status=none
	guest_up host-a "$g" load=none xml="
	<disk type='file' device='disk'><source file='/var/lib/hospes/shared/$g-b.img'/><target dev='vdb' bus='virtio'/></disk>
	<disk type='file' device='disk'><source file='/var/lib/hospes/shared/$g-c.img'/><target dev='vdc' bus='virtio'/><readonly/></disk>
	<interface type='bridge'><source bridge='br0'/><model type='virtio'/></interface>
	<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>"
	run console "$g" 'echo rw >/dev/vdb && sync; head -c 9 /dev/vdc; echo x >/dev/vdc; cat /sys/block/vdc/ro; ls /sys/class/net; echo en""d'
	[[ $output = *hospes-ro* ]] && [[ $output = *eth1* ]] || { echo "$output" >&2; false; }
	[ "$(head -c 2 "$SHARED/$g-b.img")" = rw ]
	[ "$(head -c 9 "$SHARED/$g-c.img")" = hospes-ro ]
	rm -f "$SHARED/$g-b.img" "$SHARED/$g-c.img"
}

@test "nineteen devices work, also after a restore" {
	local i xml=''
	for i in 1 2 3 4 5 6 7; do xml+="<interface type='bridge'><source bridge='br0'/><model type='virtio'/></interface>"; done
	for i in 1 2 3; do xml+="<console type='pty'><target type='virtio'/></console>"; done
	for i in b c d e; do
		truncate -s 8M "$SHARED/$g-$i.img"
		xml+="<disk type='file' device='disk'><source file='/var/lib/hospes/shared/$g-$i.img'/><target dev='vd$i' bus='virtio'/></disk>"
	done
	guest_up host-a "$g" load=none xml="$xml<memballoon model='virtio'/>"
	on host-a vmctl save "$g" "/var/lib/hospes/shared/$g.save"
	on host-a vmctl restore "/var/lib/hospes/shared/$g.save"
	guest_sound "$g"
	on host-a vmctl destroy "$g"
	rm -f "$SHARED/$g.save"
	rm -f "$SHARED/$g"-[b-e].img "$SHARED/$g"-[b-e].img.lease
}

@test "a disk is not given to two domains" {
	guest_up host-a "$g" load=none
	guest_define host-a other99 load=none image="$SHARED/$g.img"
	run on host-a vmctl start other99
	[ "$status" -ne 0 ] && [[ $output = *"$g.img"* ]]
	guest_remove other99
	touch "$SHARED/$g.img"
	one_copy "$g" host-a
	guest_sound "$g"
}

@test "what is missing is named: kernel, disk, bridge" {
	guest_define host-a "$g" kernel=/nowhere/linux.uml
	run on host-a vmctl start "$g"
	[ "$status" -ne 0 ] && [[ $output = */nowhere/linux.uml* ]]
	guest_define host-a "$g" bridge=br7
	run on host-a vmctl start "$g"
	[ "$status" -ne 0 ] && [[ $output = *br7* ]]
	guest_define host-a "$g" image=/gone.img
	run on host-a vmctl start "$g"
	[ "$status" -ne 0 ] && [[ $output = *gone.img* ]]
	gone "$g"
}
