# SPDX-License-Identifier: GPL-2.0-or-later
# Guests of both engines in one cluster: guest01 and guest02 are user-mode kernels, guest03 and guest04 run under QEMU. What the cluster does with
# the ones it does with the others; and hosts that cannot run some of them.
HOSPES_ENGINE=mixed
load lib
load clus
load clus_guests
GUEST_KIND=(cmdline=hospes.witness_ms=50)

# parked 2.5 s before that
setup_file() { trouble_setup_file lease_s=10 no_quorum=suspend; }
teardown() {
	local h
	for h in $(hosts_up); do qemu_real "$h"; qemu_real "$h" aarch64; done
	trouble_teardown
}

parked_in_all() {
	local h parked
	mapfile -t parked < <(for h in $(hosts_up); do look domains "$h" parked; done)
	[ ${#parked[@]} -eq "$1" ] || { echo "${#parked[@]} suspended copies, not $1" >&2; return 1; }
}
qemus_are() { # HOST COUNT
	local q
	mapfile -t q < <(qemus_on "$1")
	[ ${#q[@]} -eq "$2" ] || { echo "$1 has ${#q[@]} QEMUs, not $2: ${q[*]}" >&2; return 1; }
}
# What a host has in QEMU's place, until qemu_real: a script that is asked for version and machines, or nothing
qemu_other() { # HOST VERSION MACHINE
	printf '#!/bin/sh\n[ "$1" != --version ] || exec echo "QEMU emulator version %s (another)"\necho "%s  Standard PC"\n' "$2" "$3" >"$SHARED/qemu-$1"
	chmod 755 "$SHARED/qemu-$1"
	qemu_in_place "$1" "/var/lib/hospes/shared/qemu-$1"
}
qemu_in_place() { # HOST FILE [ARCH]
	at "$1" mount --bind "$2" "/usr/bin/qemu-system-${3:-x86_64}"
	vmlab service "$1" restart clusterd
	eventually 20 clus_whole
}
qemu_real() { # HOST [ARCH]
	! at "$1" umount "/usr/bin/qemu-system-${2:-x86_64}" 2>/dev/null || { vmlab service "$1" restart clusterd; eventually 20 clus_whole; }
}
# HOST NAME WHY PATTERN: explain says why it cannot go there, and an order to move it says the same
explained() { vc host-a explain "$2" --json | jq -e --arg h "$1" --arg w "$3" --arg p "$4" '.hosts[] | select(.name == $h) | .ok == false and .why == $w and (.text | test($p))' >/dev/null; }
not_there() {
	eventually 20 explained "$@"
	run vc host-b move "$2" "$1"
	[ "$status" -eq 1 ]
	[[ $output =~ $4 ]] || { echo "$output" >&2; false; }
	dom_runs "$2"
}

@test "guests of both engines run where the cluster placed them" {
	local g h
	for g in "${GUESTS[@]}"; do
		h=$(dom $g host)
		at $h vmctl dumpxml $g | grep -q "<domain type=.$([[ $g = *[34] ]] && echo qemu || echo uml)."
		guest_sound $g
		[ "$(witness_generation $g)" = "$(dom $g generation)" ]
	done
	[ "$(for h in host-a host-b host-c; do qemus_on $h; done | wc -l)" -eq 2 ]
	for h in host-a host-b host-c; do eventually 5 said_engines $h; done
	never_twice
}
said_engines() { host_log $1 clusterd | grep -q 'engines of this host: pv, qemu'; }

@test "moves by order and a balance: no client is reset, no guest boots" {
	local before to
	before=$(boots)
	client_start guest03
	for to in $(other_hosts "$(dom guest03 host)"); do
		eventually 20 vc host-a move guest03 $to
		eventually 10 dom_runs guest03 $to
	done
	gather "$to"
	eventually 10 all_run
	vc host-b balance --yes
	client_stop
	eventually 10 all_run
	[ "$(for g in "${GUESTS[@]}"; do dom $g host; done | sort -u | wc -l)" -eq 3 ]
	[ "$(boots)" = "$before" ]
	never_twice
}

@test "all hosts lose quorum: guests of both engines stand still, and go on where they were" {
	local before gens h
	before=$(boots) gens=$(generations)
	for h in host-a host-b host-c; do vmlab cut $h; done
	eventually 30 parked_in_all 4
	for g in guest02 guest04; do eventually 5 not disk_locked "$SHARED/$g.img"; done
	[ "$(for h in host-a host-b host-c; do qemus_on $h; done | wc -l)" -eq 2 ]
	for h in host-a host-b host-c; do vmlab heal $h; done
	whole
	eventually 20 all_run
	[ "$(boots)" = "$before" ]
	[ "$(generations)" = "$gens" ]
	never_twice
}

# bats test_tags=long
@test "a host without QEMU, with another one, with one that lacks the machine: not chosen, and the reason is told" {
	gather host-a
	qemu_in_place host-c /dev/null
	not_there host-c guest03 engine 'no engine for it there \(qemu\)'
	vc host-a move guest01 host-c
	qemu_real host-c
	qemu_other host-c 9.9.9 pc-q35-7.2
	not_there host-c guest03 engine 'it has qemu 9.9.9 tcg, the running domain is of qemu [0-9.]+ tcg pc-q35-7.2'
	# the cluster places it elsewhere by itself
	vc host-b drain host-a
	[ "$(dom guest03 host)" = host-b ]
	[ "$(dom guest04 host)" = host-b ]
	vc host-b drain host-a --undo
	qemu_real host-c
	qemu_other host-c "$(qemu_version)" pc-q35-9.9
	not_there host-c guest03 files "this host's QEMU [0-9.]* has no machine pc-q35-7.2"
	qemu_real host-c
	# its own host gets another QEMU: it is still of the old one, and goes where that is
	gather host-a
	qemu_other host-a 9.9.9 pc-q35-7.2
	eventually 20 explained_ok host-c guest03
	vc host-b move guest03 host-c
	not_there host-a guest03 engine 'it has qemu 9.9.9 tcg'
	qemu_real host-a
	# a machine that no host has: it starts nowhere, and is told why
	clus_define guest05 engine=qemu machine=pc-q35-9.8 mem=128 disk=0
	run vc host-a start guest05 --timeout 8
	[ "$status" -eq 1 ]
	[[ $output = *"no machine pc-q35-9.8"* ]] || { echo "$output" >&2; false; }
	vc host-a stop guest05
	vc host-a undefine guest05
	eventually 20 all_run
	never_twice
}
explained_ok() { vc host-a explain "$2" --json | jq -e --arg h "$1" '.hosts[] | select(.name == $h) | .ok' >/dev/null; }
qemu_version() { qemu-system-x86_64 --version | sed -nE '1s/.*version ([0-9.]+).*/\1/p'; }

# bats test_tags=long
@test "a guest with another processor goes only where QEMU for it is; a host without is named" {
	[ -e "$top_builddir/guests/arm-kernel" ] && [ -x /usr/bin/qemu-system-aarch64 ] || skip "missing: guests/arm-kernel or qemu-system-arm"
	cp "$top_builddir"/guests/arm-{kernel,initramfs.img} "$SHARED/"
	qemu_in_place host-c /dev/null aarch64
	clus_define guest06 engine=qemu arch=aarch64 mem=128 disk=0 load=none
	eventually 20 explained host-c guest06 engine 'no engine for it there \(qemu-aarch64\)'
	vc host-a start guest06
	[ "$(dom guest06 host)" != host-c ]
	not_there host-c guest06 engine 'no engine for it there \(qemu-aarch64\)'
	vc host-a move guest06 "$([ "$(dom guest06 host)" = host-a ] && echo host-b || echo host-a)"
	# guests of the other engines are none the worse for it
	[ "$(dom guest03 host)" != host-c ] || vc host-a move guest03 host-b
	vc host-a move guest03 host-c
	qemu_real host-c aarch64
	eventually 20 explained_ok host-c guest06
	vc host-a move guest06 host-c
	[ "$(dom guest06 host)" = host-c ]
	vc host-a stop guest06
	vc host-a undefine guest06
	never_twice
}

@test "a push by hand to a host with another QEMU is refused before anything is sent" {
	guest_define host-a guest63 engine=qemu load=light mem=128 disk=32
	guest_start host-a guest63
	qemu_other host-c 9.9.9 pc-q35-7.2
	push_refused host-a guest63 host-c 'guest63 runs on qemu [0-9.]+ tcg pc-q35-7.2[^,]*, and host-c has 9.9.9 tcg pc-q35-7.2'
	qemu_other host-c 9.9.9 pc-q35-9.9
	push_refused host-a guest63 host-c "this host's QEMU 9.9.9 has no machine pc-q35-7.2"
	qemu_real host-c
	qemu_real host-c
	guest_remove guest63
	never_twice
}

@test "power loss of a host with guests of both engines: they start elsewhere, once" {
	local before g i=0
	gather host-b
	before=$(generations)
	vmlab kill host-b
	eventually 25 taken_over host-a host-b
	answer_after "${GUESTS[@]}"
	echo "# all four answer after $MS ms" >&3
	eventually 20 all_run
	for g in "${GUESTS[@]}"; do
		i=$((i + 1))
		[ "$(dom $g generation)" -gt "$(cut -d' ' -f$i <<<"$before")" ]
		[ "$(witness_generation $g)" = "$(dom $g generation)" ]
		[ "$(dom $g host)" != host-b ]
	done
	never_twice
	vmlab start host-b
	whole
}

@test "at the deadline hvdom and its QEMU go together, even if both stand still; nothing is written late" {
	local old
	vc host-a policy no_quorum=stop
	gather host-c
	qemus_are host-c 2
	mapfile -t old < <(qemus_on host-c)
	# neither hears anything any more
	at host-c kill -STOP $(hvdoms_on host-c guest03)
	kill -STOP "${old[0]}"
	vmlab cut host-c
	eventually 20 copies_are host-c 0
	# before others may start them
	qemus_are host-c 0
	not kill -0 "${old[@]}"
	answer_after "${GUESTS[@]}"
	vmlab heal host-c
	whole
	eventually 20 all_run
	never_twice
}
