# SPDX-License-Identifier: GPL-2.0-or-later
# bats file_tags=long
# Fencing by an agent of the package, run as it is, against a board that speaks IPMI (ipmi_sim): what it switches is the power of a lab's host.
load lib
load clus
load clus_guests

GUESTS=(guest01 guest02)
PASSWORD=secret

setup_file() {
	local p
	need_root
	for p in linux.uml fence_ipmilan ipmitool ipmi_sim; do command -v $p >/dev/null || return 0; done
	# so long a lease that only an agent can make a host safe within the time of these tests
	trouble_setup_file lease_s=60
	board host-b 6232
	board host-c 6233
}
teardown_file() {
	[ -n "${VMLAB_NAME:-}" ] || return 0
	boards_off
	lab_down
}
setup() {
	need_program fence_ipmilan ipmitool ipmi_sim
	trouble_setup
}

# board HOST PORT: its management board, beside the hosts' own network. "set power 0" is vmlab kill.
board() {
	local d=$BATS_FILE_TMPDIR/board-$1
	mkdir -p "$d/state"
	cat >"$d/lan.conf" <<-CONF
		name "$1"
		set_working_mc 0x20
		  startlan 1
		    addr 10.77.0.1 $2
		    priv_limit admin
		    allowed_auths_admin md5
		    guid a123456789abcdefa123456789abcdef
		  endlan
		  chassis_control "$d/power"
		  user 2 true "admin" "$PASSWORD" admin 10 md5
	CONF
	printf '%s\n' "mc_setbmc 0x20" "mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr" "mc_enable 0x20" >"$d/commands"
	cat >"$d/power" <<-SH
		#!/bin/bash
		# get power | set power 0 or 1
		exec 2>>"$d/log" 3>&-
		echo "\$EPOCHREALTIME \$*" >>"$d/log"
		case "\$1 \$2 \${3:-}" in
		"get power "*) [ -e "$VMLAB_DIR/$VMLAB_NAME/hosts/$1/init.pid" ] && echo power:1 || echo power:0 ;;
		"set power 0") "$(command -v vmlab)" kill $1 >&2 ;;
		"set power 1") setsid "$(command -v vmlab)" start $1 </dev/null >&2 & ;;
		esac
	SH
	chmod +x "$d/power"
	in_client ipmi_sim -n -c "$d/lan.conf" -f "$d/commands" -s "$d/state" </dev/null >"$d/out" 2>&1 3>&- &
	echo $! >"$d/pid"
}
in_client() { exec nsenter --net="/run/netns/hospes-$VMLAB_NAME-client" -- "$@"; }
boards_off() {
	local p
	for p in "$BATS_FILE_TMPDIR"/board-*/pid; do [ ! -e "$p" ] || { kill "$(<"$p")"; rm "$p"; } 2>/dev/null || true; done
}
# agent HOST JSON: what all others know of its board
agent() {
	local o
	for o in $(other_hosts "$1"); do
		mkdir -p "$VMLAB_DIR/$VMLAB_NAME/hosts/$o/etc/hospes/fence.d"
		(umask 077 && echo "$2" >"$VMLAB_DIR/$VMLAB_NAME/hosts/$o/etc/hospes/fence.d/$1.json")
	done
}
ipmi() { # PORT PASSWORD ACTION
	jq -nc --argjson port "$1" --arg password "$2" --arg action "$3" '{agent: "fence_ipmilan", action: $action, timeout_s: 30,
		options: {ip: "10.77.0.1", ipport: $port, username: "admin", password: $password, lanplus: true, cipher: 3}}'
}

safe_by_is() { clus_report | jq -e --arg h "$1" --arg by "$2" '.hosts[] | select(.name == $h) | .state == "safe" and .safe_by == $by' >/dev/null; }
back_on() { tr '\n' ' ' <"$BATS_FILE_TMPDIR/board-$1/log" | grep -q 'set power 0.*set power 1' && [ -e "$VMLAB_DIR/$VMLAB_NAME/hosts/$1/init.pid" ]; }
told() { vc host-a events --json | jq -e --arg h "$1" --arg t "$2" 'select(.host == $h and (.text | contains($t)))' >/dev/null; }

@test "a host that is cut off is switched off over IPMI, and its guests start elsewhere long before its lease is over" {
	agent host-c "$(ipmi 6233 "$PASSWORD" off)"
	gather host-c
	vmlab cut host-c
	eventually 20 taken_over host-a host-c
	# what ran on it is gone by the hand of the agent: the machine is off
	grep -q 'set power 0' "$BATS_FILE_TMPDIR/board-host-c/log"
	[ ! -e "$VMLAB_DIR/$VMLAB_NAME/hosts/host-c/init.pid" ]
	safe_by_is host-c agent
	answer_after "${GUESTS[@]}"
	eventually 20 all_run
	never_twice
	vmlab heal host-c
	vmlab start host-c
	whole
	copies_are host-c 0
}

@test "a board that refuses the password: said with its own words, asked again; with the right one the host is safe" {
	local before
	agent host-b "$(ipmi 6232 wrong off)"
	gather host-b
	before=$(generations)
	vmlab cut host-b
	eventually 40 told host-b 'the agent failed: '
	told host-b 'Unable to obtain correct plug status'
	not taken_over host-a host-b
	# from now on it is asked as the file says by then
	agent host-b "$(ipmi 6232 "$PASSWORD" reboot)"
	eventually 40 back_on host-b
	vmlab heal host-b
	whole
	eventually 20 all_run
	local i=0 g
	for g in "${GUESTS[@]}"; do
		i=$((i + 1))
		[ "$(dom $g generation)" -gt "$(cut -d' ' -f$i <<<"$before")" ]
	done
	never_twice
}
