# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What a client of the hypercall socket, a killer or a bad start may try on a real hvdom: each time a clear answer, the guest runs on or
# is gone as a whole, and its disk is free or locked by its one owner.
load lib

setup() {
	need_guests
	shared=/var/lib/hospes/shared
}
teardown() {
	[ -n "${BATS_TEST_COMPLETED:-}" ] || tail -n 20 "$VMLAB_DIR/$VMLAB_NAME/hosts/host-a/var/log/hospes/$g.log" >&2 || true
	guest_remove "$g"
	rm -f "$SHARED/$g".{mem,state,garbage}
}

hv() { on host-a "$top_builddir/tests/system/hvtool" "$g" "$@"; }
gone() { local s; s=$(domain_state host-a "$g"); [ "$s" = "shut off" ] || [ -z "$s" ]; }
sound() { [ "$(domain_state host-a "$g")" = running ] && one_copy "$g" host-a && guest_sound "$g"; }
log_says() { grep -q -- "$1" "$VMLAB_DIR/$VMLAB_NAME/hosts/host-a/var/log/hospes/$g.log"; }
lease_is() { tr '\0' '\n' <"$SHARED/$g.img.lease" | sort -t' ' -k3n | tail -n 1 | grep -q " $1 $2 "; } # STATE OWNER
hvdom_pid() { on host-a vmctl dominfo "$g" --json | jq .pid; }
# every process of the domain, hvdom first: pid:start time, as this host numbers them
tree() {
	on host-a bash -c 'walk() { [ ! -e /proc/$1/stat ] || echo "$1:$(cut -d" " -f22 /proc/$1/stat 2>/dev/null)"; local c; for c in $(cat /proc/$1/task/*/children 2>/dev/null); do walk $c; done; }; walk '"$1"
}
all_dead() { # what tree printed
	# shellcheck disable=SC2016
	on host-a bash -c 'for x; do p=${x%:*}; [ ! -e /proc/$p ] || [ "$(cut -d" " -f22 /proc/$p/stat)" != "${x#*:}" ] ||
		grep -q "^State:.Z" /proc/$p/status || { echo "$x lives: $(cat /proc/$p/comm)"; exit 1; }; done' -- "$@"
}
# an hvdom that waits to be filled; its pid in $incoming
incoming_up() {
	on host-a setsid "$top_builddir/hypervisor/hvdom" --incoming --config "$shared/$g.xml" >"$BATS_TEST_TMPDIR/incoming.log" 2>&1 3>&- &
	incoming=$!
	hv state:incoming
}
incoming_ended() { not kill -0 "$incoming" 2>/dev/null; }
# a guest that runs, and its memory and state in files, as a save makes them
saved_guest() {
	guest_up host-a "$g" load=light
	hv map suspend savemem:"$shared/$g.mem" getstate:"$shared/$g.state" destroy:2
	eventually 5 gone
}

@test "a running domain refuses what is not for it" {
	guest_up host-a "$g" load=light
	hv resume=EBUSY relinquish:9:host-b=EBUSY reclaim:9:host-a=EBUSY take:0=EBUSY getstate=EBUSY memhash=EBUSY \
		setstate:/etc/passwd=EBUSY clean=EINVAL peek=EINVAL audit=EINVAL logdirty:77=? logdirty-off throttle:100=EINVAL throttle:4294967295=EINVAL \
		balloon:99999999999999=ERANGE console:99=ENOENT loglevel:9=EINVAL op:0=EOPNOTSUPP op:9999=EOPNOTSUPP @2 op:31=EOPNOTSUPP @1 op:65535=EOPNOTSUPP \
		unpause hello stats dumpxml announce state:running
	sound
}

@test "floods, rubbish and too many connections end those connections, not the guest" {
	guest_up host-a "$g" load=light
	hv flood:100000:2 flood:100000:3 flood:20000:28 raw:1 raw:23 raw:24 raw:4096 raw:65560 raw:100000=? state:running
	hv op:2::4=? op:2::16=? op:14:0000000000000000:1=? op:14:ffffffffffffffff:1=? state:running
	hv conns:200
	eventually 5 hv hello
	sound
}

@test "other sessions keep their hands off" {
	guest_up host-a "$g" load=light
	hv @1 map logdirty:0:1 clean @2 clean=EPERM peek=EPERM logdirty-off=EPERM logdirty:0=EALREADY \
		@1 suspend @2 resume=EPERM relinquish:9:host-b=EPERM suspend=EBUSY unpause=EBUSY @1 clean audit resume state:running logdirty-off
	sound
}

@test "a session that ends takes back what it began" {
	guest_up host-a "$g" load=light
	hv suspend state:suspended close state:running
	sound
	hv @1 logdirty:0 @2 logging:1 @1 close @2 sleep:100 logging:0 logdirty:0 logging:1
	hv throttle:90 close
	hv suspend logdirty:0 throttle:50 map
	hv state:running
	# paused by order is no session's business
	hv pause close state:paused suspend close state:paused unpause state:running
	sound
}

@test "ownership: only with a name, a newer generation and by the one who suspended" {
	guest_up host-a "$g" load=light
	hv lease:1:host-a suspend relinquish:1:host-b=EINVAL relinquish:0:host-b=EINVAL relinquish:2:=EINVAL relinquish:2:../x=EINVAL \
		"relinquish:2:$(printf 'x%.0s' {1..64})=EINVAL" relinquish:2:host-b state:relinquished lease:2:host-b \
		relinquish:3:host-b=EBUSY resume=EBUSY suspend=EBUSY unpause=EBUSY pause=EBUSY logdirty:0=EBUSY getstate=EBUSY take:3=EBUSY \
		reclaim:2:host-a=EINVAL
	eventually 5 not disk_locked "$SHARED/$g.img"
	# its session's end does not bring it back: it belongs to another host
	hv state:relinquished reclaim:3:host-a state:suspended lease:3:host-a resume state:running
	sound
}

@test "the memory cannot be pulled away" {
	guest_up host-a "$g" load=light
	hv map tamper=EPERM
	sound
}

@test "an incoming copy refuses rubbish, and ends with its session" {
	saved_guest
	incoming_up
	head -c 100000 /dev/urandom >"$SHARED/$g.garbage"
	hv resume=EBUSY suspend=EBUSY take:0=EBUSY relinquish:9:x=EBUSY logdirty:0=EBUSY map tamper=EPERM loadmem:"$shared/$g.mem" \
		setstate:/dev/null=EINVAL setstate:"$shared"=EINVAL setstate:"$shared/$g.garbage"=EINVAL setstate:"$shared/$g.garbage":15=EINVAL \
		setstate:"$shared/$g.garbage":100001=EINVAL setstate:"$shared/$g.garbage":18446744073709551615=EINVAL \
		setstate:"$shared/$g.state":1000=EINVAL @3 op:14:0010000000000000:0=EPROTO @4 op:14:0010000000000000:2=ECONNRESET\|EPROTO \
		@2 setstate:"$shared/$g.state"=EPERM @1 state:incoming close state:gone
	eventually 5 incoming_ended
	eventually 5 not disk_locked "$SHARED/$g.img"
	lease_is saved host-a
}

@test "an incoming copy that is restored: taken once, by its session; else it ends" {
	saved_guest
	incoming_up
	hv map loadmem:"$shared/$g.mem" setstate:"$shared/$g.state" state:restored resume=EBUSY setstate:"$shared/$g.state"=EBUSY \
		@2 take:0=EPERM @1 take:0:host-z=EINVAL close state:gone
	eventually 5 incoming_ended
	eventually 5 not disk_locked "$SHARED/$g.img"
	incoming_up
	# taken, its client dies: it is the one copy, so it runs
	hv map loadmem:"$shared/$g.mem" setstate:"$shared/$g.state" take:0:host-a take:0:host-a=EBUSY @2 resume=EPERM @1 close state:running
	guest_wait "$g"
	sound
	lease_is running host-a
}

@test "a state that was tampered with: refused or contained, never a crash of hvdom" {
	saved_guest
	incoming_up
	local what steps=()
	# well-formed, and wrong in a way that shows only inside the processes that are being rebuilt; each is refused in bounded time,
	# leaves nothing behind, and the right state still loads after all of them
	for what in files epoll no-epoll stub-twice stub-is-k helper-is-k k-far xstate mm no-console no-memory no-device one-device lone-pair \
		stub-low file-end rip rip-after spin helper-rip helper-after helper-read; do
		steps+=("mangle:$shared/$g.state:$shared/$g.garbage:$what" "setstate:$shared/$g.garbage=E2BIG|EACCES|EINVAL|EIO|EEXIST|EBADF|EPERM|EXDEV|ETIMEDOUT|ECHILD|ENOENT|ESRCH|EPIPE|EFAULT"
			state:incoming fds:2)
	done
	local t0=$SECONDS
	hv map loadmem:"$shared/$g.mem" "${steps[@]}" setstate:"$shared/$g.state" take:0 resume state:running
	[ $((SECONDS - t0)) -lt 60 ]
	guest_wait "$g"
	sound
	not grep -E 'Sanitizer|runtime error' "$BATS_TEST_TMPDIR/incoming.log"
}

@test "a state with rubbish in the guest's own memory and registers harms the guest alone" {
	saved_guest
	incoming_up
	local i size
	size=$(stat -c %s "$SHARED/$g.state")
	cp "$SHARED/$g.state" "$SHARED/$g.garbage"
	# the last third: the kernel's private pages
	for i in {1..200}; do
		printf '\xff\xfe\xfd\xfc' | dd of="$SHARED/$g.garbage" bs=1 seek=$((size / 2 + i * (size / 2) / 220)) conv=notrunc status=none
	done
	hv map loadmem:"$shared/$g.mem" setstate:"$shared/$g.garbage"=? state:incoming=? close state:gone
	not grep -E 'signal|Sanitizer|assert|runtime error' "$BATS_TEST_TMPDIR/incoming.log"
}

# every guest process of the domain: stopped or not, it is in the filter and has no capability
locked_in() {
	# shellcheck disable=SC2016
	on host-a bash -c 'walk() { local c; for c in $(cat /proc/$1/task/$1/children); do look $c; walk $c; done; }
		look() { n=$((n + 1)); [ "$(awk "/^(Seccomp|CapEff|CapPrm|NoNewPrivs):/{printf \"%s \", \$2}" /proc/$1/status)" = "0000000000000000 0000000000000000 1 2 " ] ||
			{ grep -E "^(Name|Pid|Cap|Seccomp|NoNew)" /proc/$1/status; bad=1; }; }
		n=0 bad=0; h=$(pgrep -P $1 -x hospes-holder) && walk $h; echo "$n processes"; [ $n -gt 8 ] && [ $bad = 0 ]' -- "$1"
}

@test "a state whose helpers attack the restorer: all of them are in the filter before one instruction of theirs runs" {
	saved_guest
	local try client
	for try in 1 2 3; do
		incoming_up
		hv map loadmem:"$shared/$g.mem" "mangle:$shared/$g.state:$shared/$g.garbage:escape" setstate:"$shared/$g.garbage" sleep:5000 >/dev/null 3>&- &
		client=$!
		eventually 5 hv state:restored
		sleep 0.2
		locked_in "$(hvdom_pid)"
		wait $client
		eventually 5 incoming_ended
	done
	# also when it runs
	incoming_up
	hv map loadmem:"$shared/$g.mem" "mangle:$shared/$g.state:$shared/$g.garbage:escape" setstate:"$shared/$g.garbage" take:0 resume sleep:300
	locked_in "$(hvdom_pid)"
	rm -f "$SHARED/$g.garbage"
}

@test "a guest whose helper does something else is not moved, and says why" {
	guest_up host-a "$g" load=light
	local k helper
	k=$(on host-a pgrep -P "$(on host-a pgrep -P "$(hvdom_pid)" -x hospes-holder)" | head -n 1)
	# shellcheck disable=SC2016
	helper=$(on host-a sh -c 'for c in $(cat /proc/$1/task/$1/children); do grep -q "^TracerPid:.0$" /proc/$c/status && echo $c; done | head -n 1' -- "$k")
	hv "hijack:$helper"
	run on host-a vmmig push "$g" host-b
	[ "$status" -ne 0 ] && [[ $output = *"does not wait in poll"* ]] || { echo "$output" >&2; false; }
	sound
	run on host-a vmctl save "$g" "$shared/$g.save"
	[ "$status" -ne 0 ] && [[ $output = *"does not wait in poll"* ]] || { echo "$output" >&2; false; }
	sound
	# held still it can be as any
	hv suspend resume state:running
}

@test "destroy twice" {
	guest_up host-a "$g" load=light
	hv destroy destroy=ESRCH\|ECONNRESET\|EPIPE state:gone
	eventually 2 not disk_locked "$SHARED/$g.img"
	lease_is stopped host-a
}

@test "two starts at once: exactly one wins" {
	guest_define host-a "$g" load=none
	local i a b
	for i in 1 2 3; do
		on host-a vmctl start "$g" >"$BATS_TEST_TMPDIR/a" 2>&1 3>&- &
		a=$!
		on host-a vmctl start "$g" >"$BATS_TEST_TMPDIR/b" 2>&1 3>&- &
		b=$!
		local won=0
		wait $a && won=$((won + 1))
		wait $b && won=$((won + 1))
		[ $won -eq 1 ] || { echo "$won won"; cat "$BATS_TEST_TMPDIR"/[ab]; false; }
		grep -qh "$g.*runs\|already" "$BATS_TEST_TMPDIR"/[ab]
		[ "$(hvdoms_on host-a "$g" | wc -w)" -eq 1 ]
		one_copy "$g" host-a
		on host-a vmctl destroy "$g"
		eventually 5 gone
	done
}

@test "kill -9 of hvdom: nothing of the guest survives, the lease says whose it was, the next start works" {
	guest_up host-a "$g"
	local pid procs
	pid=$(hvdom_pid)
	mapfile -t procs < <(tree "$pid")
	[ ${#procs[@]} -gt 20 ]
	on host-a kill -KILL "$pid"
	eventually 3 all_dead "${procs[@]}"
	eventually 3 not disk_locked "$SHARED/$g.img"
	lease_is running host-a
	[ "$(domain_state host-a "$g")" = crashed ]
	guest_start host-a "$g"
	sound
}

@test "kill -9 of hvdom while the guest is frozen" {
	guest_up host-a "$g"
	local pid procs
	pid=$(hvdom_pid)
	mapfile -t procs < <(tree "$pid")
	hv suspend sleep:3000 close=? >/dev/null 2>&1 3>&- &
	local client=$!
	hv state:suspended
	on host-a kill -KILL "$pid"
	eventually 3 all_dead "${procs[@]}"
	wait $client || true
	guest_start host-a "$g"
	sound
}

@test "killed guest processes: K, a stub, the holder" {
	guest_up host-a "$g" load=light on_crash=restart
	local pid holder k stub boot
	pid=$(hvdom_pid)
	holder=$(on host-a pgrep -P "$pid" -x hospes-holder)
	k=$(on host-a pgrep -P "$holder" | head -n 1)
	boot=$(guest_boot_id "$g")
	on host-a kill -KILL "$k"
	new_boot() { local b; b=$(guest_boot_id "$g" 2>/dev/null) && [ -n "$b" ] && [ "$b" != "$boot" ]; }
	eventually 20 new_boot
	one_copy "$g" host-a
	# a stub is one address space: the guest kernel notices that it is gone, in its own way, and ends or lives without
	k=$(on host-a pgrep -P "$holder" | head -n 1)
	stub=$(on host-a pgrep -P "$k" | tail -n 1)
	on host-a kill -KILL "$stub"
	sleep 1
	[ "$(hvdoms_on host-a "$g" | wc -w)" -eq 1 ]
	# without its holder there is no guest; hvdom says so and ends, whatever on_crash wants
	eventually 20 hv state:running
	on host-a kill -KILL "$holder"
	eventually 10 gone
	eventually 5 not disk_locked "$SHARED/$g.img"
	guest_start host-a "$g"
}

@test "SIGTERM ends the domain in order" {
	guest_up host-a "$g"
	local pid procs
	pid=$(hvdom_pid)
	mapfile -t procs < <(tree "$pid")
	on host-a kill -TERM "$pid"
	eventually 5 all_dead "${procs[@]}"
	eventually 5 not disk_locked "$SHARED/$g.img"
	lease_is stopped host-a
	gone
}

@test "panic by sysrq from inside" {
	guest_up host-a "$g" load=light on_crash=destroy
	printf 'echo c >/proc/sysrq-trigger\n' | on host-a timeout 5 sh -c "(cat; sleep 3) | vmctl console $g" >/dev/null 2>&1 || true
	eventually 20 gone
	eventually 5 not disk_locked "$SHARED/$g.img"
	log_says 'crash\|panic\|died'
	lease_is stopped host-a
}

@test "a guest that crashes at once is not restarted for ever" {
	guest_define host-a "$g" load=none on_crash=restart cmdline='rdinit=/bin/false'
	run on host-a timeout 60 vmctl start "$g"
	eventually 40 gone
	log_says 'not restarted\|ended during its boot'
	eventually 5 not disk_locked "$SHARED/$g.img"
	[ -z "$(hvdoms_on host-a "$g")" ]
}

@test "a kernel that is none" {
	guest_define host-a "$g" kernel=/bin/true
	run on host-a vmctl start "$g"
	[ "$status" -ne 0 ] && [[ $output = */bin/true* ]]
	gone
}

@test "a disk that another program has locked" {
	guest_define host-a "$g" load=none
	hv "lock:$shared/$g.img:4000" 3>&- >/dev/null &
	local locker=$!
	eventually 3 disk_locked "$SHARED/$g.img"
	run on host-a vmctl start "$g"
	[ "$status" -ne 0 ] && [[ $output = *"$g.img"* ]] || { echo "$output" >&2; false; }
	gone
	wait $locker
	guest_start host-a "$g"
}

@test "a lease of another domain: the image is in two domains" {
	guest_define host-a "$g" load=none
	cp "$SHARED/$g.xml" "$BATS_TEST_TMPDIR/xml"
	guest_start host-a "$g"
	on host-a vmctl destroy "$g"
	eventually 5 gone
	guest_define host-a other98 load=none image="$SHARED/$g.img"
	run on host-a vmctl start other98
	guest_remove other98
	[ "$status" -ne 0 ] && [[ $output = *"another domain"* ]] || { echo "$output" >&2; false; }
}
