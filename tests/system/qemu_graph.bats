# SPDX-License-Identifier: GPL-2.0-or-later
# Guests' screens: VNC on a socket and on a port, pictures, and what a push does to them.
load lib
load qemu_guests

setup() {
	qemu_setup 160
	rfb=$top_builddir/tests/system/rfb
}

# What a shell on the guest's console says: HOST NAME COMMANDS
say() { printf '%s\n' "$3" | on "$1" timeout 5 sh -c "(cat; sleep 2) | vmctl console $2" 2>&1; }
place() { on "$1" vmctl vncdisplay "$2"; } # HOST NAME
is_png() { [ "$(head -c 8 "$1" | od -An -tx1 | tr -d ' ')" = 89504e470d0a1a0a ] && [ "$(tail -c 8 "$1" | head -c 4)" = IEND ]; }

@test "a screen on a socket: clients, pictures; a push cuts the client, and the screen is at the target" {
	local at held out dir=/var/lib/hospes/shared
	qemu_up host-a "$g" mem=256 load=none disk=0 cmdline="console=tty0 ignore_loglevel" \
		xml="<graphics type='vnc'/><video><model type='vga'/></video>"
	at=$(place host-a "$g")
	[[ $at = */dom/$g/vnc.sock ]]
	[ "$(on host-a stat -c '%a %u' "$at")" = "660 0" ]
	[ "$(on host-a vmctl domdisplay "$g")" = "vnc+unix://$at" ]
	on host-a vmctl dumpxml "$g" | grep "<graphics.* socket=\"$at\""
	not grep "$at" <<<"$(on host-a vmctl dumpxml "$g" --inactive)"
	on host-a "$rfb" "$at" | grep -E "^security 1 (720x400|640x480) QEMU \($g\)$"
	run on host-a "$rfb" "$at" secret
	[[ $status -eq 1 && $output = *"no password is asked for"* ]]

	on host-a vmctl screenshot "$g" "$dir/$g.full.png" | grep "saved to $dir/$g.full.png"
	say host-a "$g" 'printf "\033[2J\033[H\033[?25l" >/dev/tty0' || true
	on host-a sh -c "cd $dir && vmctl screenshot $g"
	mv "$SHARED/$g"-20??-??-??-??:??:??.png "$SHARED/$g.empty.png"
	is_png "$SHARED/$g.full.png"
	is_png "$SHARED/$g.empty.png"
	[ "$(stat -c %s "$SHARED/$g.full.png")" -gt $((2 * $(stat -c %s "$SHARED/$g.empty.png"))) ]
	[ -z "${HOSPES_KEEP_PICTURE:-}" ] || cp "$SHARED/$g.full.png" "$HOSPES_KEEP_PICTURE"
	run on host-a vmctl screenshot "$g" "$dir/$g.none.png" --screen 3
	[[ $status -eq 1 ]]
	[ ! -e "$SHARED/$g.none.png" ]

	on host-a "$rfb" "$at" hold >"$BATS_TEST_TMPDIR/held" 3>&- &
	held=$!
	eventually 10 grep -q security "$BATS_TEST_TMPDIR/held"
	run on host-a vmmig push "$g" host-b
	[ "$status" -eq 0 ]
	[[ $output = *"client"*"cut"*"host-b"* ]]
	wait "$held"
	[[ $(cat "$BATS_TEST_TMPDIR/held") =~ cut\ after\ ([0-9]+)\ octets ]]
	[ "${BASH_REMATCH[1]}" -gt 100000 ]
	on host-b "$rfb" "$(place host-b "$g")" | grep "^security 1 "
	eventually 10 not on host-a test -e "$at"
	on host-b vmctl screenshot "$g" "$dir/$g.after.png"
	is_png "$SHARED/$g.after.png"
	guest_remove "$g"
	rm -f "$SHARED/$g".*.png
}

@test "a screen on a port needs its password; a client that never reads hurts nobody; a port that is taken stops a push" {
	local at lazy i
	qemu_up host-a "$g" mem=256 load=light disk=0 xml="<graphics type='vnc' port='5907' passwd='s3cret12'/><video><model type='virtio'/></video>"
	at=$(place host-a "$g")
	[ "$at" = 127.0.0.1:7 ]
	[ "$(on host-a vmctl domdisplay "$g")" = "vnc://127.0.0.1:7" ]
	on host-a "$rfb" "$at" s3cret12 | grep "^security 2 "
	run on host-a "$rfb" "$at" s3cret13
	[[ $status -eq 1 && $output = *"uthentication failed"* ]]
	run on host-a "$rfb" "$at"
	[[ $status -eq 1 && $output = *"a password is asked for"* ]]
	# its QEMU has no socket of the host's network
	[ "$(ls -l "/proc/$(pgrep -f "guest=$g,debug-threads")/fd" | grep -c 'socket:')" -gt 3 ]
	on host-a ss -Htnlp "sport = :5907" | grep 'hvdom'
	not grep -q -i ':1713 ' "/proc/$(pgrep -f "guest=$g,debug-threads")/net/tcp"

	on host-a "$rfb" "$at" s3cret12 stall >"$BATS_TEST_TMPDIR/lazy" 3>&- &
	lazy=$!
	eventually 10 grep -q security "$BATS_TEST_TMPDIR/lazy"
	sleep 2
	for i in 1 2 3; do on host-a "$rfb" "$at" s3cret12 | grep "^security 2 "; done
	guest_sound "$g"
	on host-a timeout 5 vmctl dominfo "$g" --json | jq -e '.state == "running"'

	on host-b socat -u TCP-LISTEN:5907,bind=127.0.0.1 OPEN:/dev/null 3>&- </dev/null & # until somebody connects, once
	eventually 10 on host-b sh -c "ss -Htnl 'sport = :5907' | grep -q 5907"
	run on host-a vmmig push "$g" host-b
	[[ $status -ne 0 && $output = *"port 5907 of 127.0.0.1 is in use"* ]]
	guest_sound "$g"
	one_copy "$g" host-a
	on host-b socat -u OPEN:/dev/null TCP:127.0.0.1:5907
	eventually 10 not on host-b sh -c "ss -Htnl 'sport = :5907' | grep -q 5907"
	on host-a vmmig push "$g" host-b
	kill "$lazy" 2>/dev/null || true
	guest_sound "$g"
	[ "$(place host-b "$g")" = 127.0.0.1:7 ]
	on host-b "$rfb" 127.0.0.1:7 s3cret12 | grep "^security 2 "
	run on host-b "$rfb" 127.0.0.1:7 wrong
	[[ $status -eq 1 && $output = *"uthentication failed"* ]]
	guest_remove "$g"
}
