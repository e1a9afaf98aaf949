#!/usr/bin/env bats
# What hvdom says of engines and domains without running one.
load ../retry

setup() {
	T=$(mktemp -d)
	export HOSPES_RUNDIR=$T/run HOSPES_STATEDIR=$T/state HOSPES_LOGDIR=$T/log HOSPES_CONFDIR=$T/conf
	hvdom=$top_builddir/hypervisor/hvdom
	mkdir -p "$T/conf"
	printf '{"kernels": ["%s"]}' "$T" >"$T/conf/paths.json"
	install -m 755 "$BATS_TEST_DIRNAME/../fuzz/corpus/kernelfile/good" "$T/linux"
}

teardown() {
	rm -rf "$T"
}

xml() { # TYPE KERNEL [VCPUS]
	cat <<-X
		<domain type='$1'><name>a</name><memory unit='MiB'>64</memory><vcpu>${3:-1}</vcpu>
		<os><type>linux</type><kernel>$2</kernel></os></domain>
	X
}

@test "--engines: a line for each, with the reason where it cannot run" {
	printf '#!/bin/sh\necho "QEMU emulator version 7.2.1 (Debian)"\n' >"$T/qemu"
	chmod 755 "$T/qemu"
	HOSPES_QEMU=$T/qemu HOSPES_QEMU_AARCH64=$T/qemu run "$hvdom" --engines
	[ "$status" -eq 0 ]
	[ "${#lines[@]}" -eq 4 ]
	[ "$(jq -r '.engine' <<<"$output" | xargs)" = "pv qemu kvm qemu-aarch64" ]
	[ "$(jq -c 'select(.engine == "qemu-aarch64")' <<<"$output")" = '{"engine":"qemu-aarch64","runs":true,"identity":"7.2.1 tcg aarch64"}' ]
	[ "$(jq -c 'select(.engine == "pv")' <<<"$output")" = '{"engine":"pv","runs":true}' ]
	[ "$(jq -c 'select(.engine == "qemu")' <<<"$output")" = '{"engine":"qemu","runs":true,"identity":"7.2.1 tcg"}' ]
	# whatever /dev has
	grep -qE '^flags.* (vmx|svm)' /proc/cpuinfo || [ "$(jq -r 'select(.engine == "kvm") | .runs' <<<"$output")" = false ]
	HOSPES_QEMU=$T/none HOSPES_QEMU_AARCH64=$T/none run "$hvdom" --engines
	[[ $(jq -r 'select(.engine == "qemu-aarch64") | .why' <<<"$output") == *"$T/none (install the package qemu-system-arm)"* ]]
	for e in qemu kvm; do
		[ "$(jq -r "select(.engine == \"$e\") | .runs" <<<"$output")" = false ]
		[[ $(jq -r "select(.engine == \"$e\") | .why" <<<"$output") == *"$T/none (install the package qemu-system-x86)"* ]]
	done
}

@test "--check of a guest under QEMU: its version and machine are what a state depends on, and it has that machine" {
	cat >"$T/qemu" <<-'X'
		#!/bin/sh
		[ "$1" != --version ] || exec echo "QEMU emulator version 7.2.1 (Debian)"
		[ "$1 $2" = "-machine help" ] && printf 'Supported machines are:\nq35 (alias of pc-q35-7.2)\npc-q35-7.2   Standard PC\npc-q35-7.21 x\n'
		head -c 200000 /dev/zero
	X
	chmod 755 "$T/qemu"
	export HOSPES_QEMU=$T/qemu
	xml qemu "$T/linux" 4 >"$T/good.xml"
	run "$hvdom" --check "$T/good.xml"
	[ "$status" -eq 0 ]
	[ "$output" = '{"engine":"qemu","runs":true,"identity":"7.2.1 tcg pc-q35-7.2"}' ]
	sed "s/<type>/<type machine='microvm'>/" "$T/good.xml" >"$T/bad.xml"
	run "$hvdom" --check "$T/bad.xml"
	[ "$status" -eq 1 ]
	[[ $(jq -r .why <<<"$output") == *"microvm"* ]]
	for m in pc-q35-9.0:later pc-q35-7.10:later pc-q35-7: pc-i440fx-7.2: pc-q35-mine:; do
		sed "s/<type>/<type machine='${m%:*}'>/" "$T/good.xml" >"$T/bad.xml"
		run "$hvdom" --check "$T/bad.xml"
		[ "$status" -eq 1 ]
		[ "$(jq -r .why <<<"$output")" = "this host's QEMU 7.2.1 has no machine ${m%:*}${m#*:}" ] ||
			[ "$(jq -r .why <<<"$output")" = "this host's QEMU 7.2.1 has no machine ${m%:*}, which is of a ${m#*:} QEMU" ]
	done
	# a state of its goes on under later versions if QEMU vouches for its processor
	sed "s,</os>,&<cpu mode='custom'><model>Nehalem</model></cpu>," "$T/good.xml" >"$T/cpu.xml"
	run "$hvdom" --check "$T/cpu.xml"
	[ "$(jq -r .newer <<<"$output")" = true ]
}

@test "--check of a guest with another processor: its own QEMU counts, and the host without it says which package it lacks" {
	cat >"$T/qemu" <<-'X'
		#!/bin/sh
		[ "$1" != --version ] || exec echo "QEMU emulator version 7.2.1 (Debian)"
		[ "$1 $2" = "-machine help" ] && echo "virt-7.2   QEMU 7.2 ARM Virtual Machine"
	X
	chmod 755 "$T/qemu"
	export HOSPES_QEMU=$T/none HOSPES_QEMU_AARCH64=$T/qemu
	xml qemu "$T/linux" 4 | sed "s/<type>/<type arch='aarch64'>/" >"$T/arm.xml"
	run "$hvdom" --check "$T/arm.xml"
	[ "$status" -eq 0 ]
	[[ $output =~ ^'{"engine":"qemu-aarch64","runs":true,"identity":"7.2.1 tcg aarch64 virt-7.2 '[0-9a-f]{8}'"}'$ ]]
	HOSPES_QEMU=$T/qemu HOSPES_QEMU_AARCH64=$T/none run "$hvdom" --check "$T/arm.xml"
	[ "$status" -eq 1 ]
	[[ $(jq -r .why <<<"$output") == *"cannot execute $T/none (install the package qemu-system-arm)"* ]]
	[ "$(jq -r .engine <<<"$output")" = qemu-aarch64 ]
}

@test "--check: what no file can mend comes first" {
	# root may not open this kernel, and nobody can
	xml uml /root/none/linux 2 >"$T/bad.xml"
	run "$hvdom" --check "$T/bad.xml"
	[ "$status" -eq 1 ]
	[[ $(jq -r .why <<<"$output") == *"asks for 2 vCPUs"* ]]
	xml uml /root/none/linux | sed "s,<memory.*</memory>,<memory>1024</memory>," >"$T/bad.xml"
	run "$hvdom" --check "$T/bad.xml"
	[[ $(jq -r .why <<<"$output") == *"1024 KiB of memory"* ]]
	if [ "$("$hvdom" --engines | jq -r 'select(.engine == "kvm") | .runs')" = false ]; then
		xml kvm /root/none/linux >"$T/bad.xml"
		run "$hvdom" --check "$T/bad.xml"
		[ "$(jq -r .why <<<"$output")" = "$("$hvdom" --engines | jq -r 'select(.engine == "kvm") | .why')" ]
	fi
}

@test "--check: as a start would say" {
	xml uml "$T/linux" >"$T/good.xml"
	run "$hvdom" --check "$T/good.xml"
	[ "$status" -eq 0 ]
	[ "$(jq -c 'del(.identity)' <<<"$output")" = '{"engine":"pv","runs":true}' ]
	[[ $(jq -r .identity <<<"$output") =~ ^[0-9a-f]{32}$ ]]
	one=$output
	run "$hvdom" --check /dev/stdin <"$T/good.xml"
	[ "$output" = "$one" ]
	# another build
	echo >>"$T/linux"
	run "$hvdom" --check "$T/good.xml"
	[ "$status" -eq 0 ]
	[ "$output" != "$one" ]
	printf '#!/bin/true\n' >"$T/script"
	chmod 755 "$T/script"
	printf '#!/bin/sh\n' >"$T/qemu"
	chmod 755 "$T/qemu"
	for what in "kvm $T/linux 1 qemu-system-x86" "qemu $T/none 1 $T/none" "uml $T/none 1 $T/none" "uml $T/linux 2 vCPU" "uml $T/script 1 knows"; do
		# shellcheck disable=SC2086 # words
		set -- $what
		xml "$1" "$2" "$3" >"$T/bad.xml"
		HOSPES_QEMU=$T/$([ "$1" = kvm ] && echo none || echo qemu) run "$hvdom" --check "$T/bad.xml"
		[ "$status" -eq 1 ]
		[[ $(jq -r .why <<<"$output") == *"$4"* ]] || { echo "$what: $output"; false; }
		[ "$(jq -r .runs <<<"$output")" = false ]
		[ "$(jq -r .engine <<<"$output")" = "${1/uml/pv}" ]
	done
	[ ! -e "$T/run" ] && [ ! -e "$T/state" ] && [ ! -e "$T/log" ]
}

@test "--check: no definition, a path that is not allowed" {
	for f in "$T/linux" "$T/none.xml"; do
		run "$hvdom" --check "$f"
		[ "$status" -eq 1 ]
		[ "$(jq -c 'keys' <<<"$output")" = '["runs","why"]' ]
	done
	[ "$(id -u)" -eq 0 ] || skip "needs root: another user opens what it may"
	xml uml /tmp/elsewhere/linux >"$T/else.xml"
	run "$hvdom" --check "$T/else.xml"
	[ "$status" -eq 1 ]
	[[ $(jq -r .why <<<"$output") == *"/tmp/elsewhere/linux"* ]]
	echo '{"local": "any"}' >"$T/conf/paths.json"
	xml uml "$T/linux" >"$T/good.xml"
	run "$hvdom" --check "$T/good.xml"
	[ "$status" -eq 1 ]
	run "$hvdom" --check "$T/good.xml" --local
	[ "$status" -eq 0 ]
}

@test "--check with too much, --help" {
	run "$hvdom" --check "$T/a" b
	[ "$status" -eq 2 ]
	run "$hvdom" --help
	[[ $output == *"--engines"* && $output == *"--check FILE"* && $output == *"--local"* ]]
}

@test "what QEMU answered is kept until it is another one, by root only" {
	[ "$EUID" -eq 0 ] || skip "needs root"
	cat >"$T/qemu" <<-X
		#!/bin/sh
		echo "\$*" >>"$T/asked"
		[ "\$1" != --version ] || exec echo "QEMU emulator version 7.2.1 (Debian)"
		[ "\$1 \$2" != "-machine help" ] || printf 'Supported machines are:\npc-q35-7.2   Standard PC\n'
	X
	chmod 755 "$T/qemu"
	export HOSPES_QEMU=$T/qemu
	xml qemu "$T/linux" | sed "s,</os>,&<cpu mode='custom'><model>Nehalem</model></cpu>," >"$T/good.xml"
	asked() { # MORE: that many questions more than before, and the same answer
		local before
		before=$(wc -l 2>/dev/null <"$T/asked" || echo 0)
		run "$hvdom" --check "$T/good.xml"
		[ "$status" -eq 0 ]
		[ "$(jq -r '.identity[:21]' <<<"$output")" = "7.2.1 tcg pc-q35-7.2 " ] || { [ -n "${2:-}" ] && [[ $output = *"$2"* ]]; }
		[ $(($(wc -l <"$T/asked") - before)) -eq "$1" ]
	}
	asked 3
	asked 0
	[ "$(stat -c '%U %a' "$T/run/qemu-asked")" = "root 700" ]
	# another program, by its content or by its times
	sed -i 's/7.2.1/7.2.9/' "$T/qemu"
	asked 3 7.2.9
	asked 0 7.2.9
	touch "$T/qemu"
	asked 3 7.2.9
	# rubbish, and what others may write, is not there
	for f in "$T"/run/qemu-asked/*; do head -c 3000 /dev/urandom >"$f"; done
	asked 3 7.2.9
	asked 0 7.2.9
	chmod 666 "$T"/run/qemu-asked/*
	asked 3 7.2.9
	chown 65534 "$T"/run/qemu-asked/*
	asked 3 7.2.9
	# a program that fails is asked again
	echo 'exit 3' >>"$T/qemu"
	run "$hvdom" --check "$T/good.xml"
	before=$(wc -l <"$T/asked")
	run "$hvdom" --check "$T/good.xml"
	[ "$(wc -l <"$T/asked")" -gt "$before" ]
}

@test "a domain's start asks QEMU nothing that was asked before" {
	[ "$EUID" -eq 0 ] || skip "needs root"
	# whoever asks can write it down
	chmod 711 "$T"
	install -m 666 /dev/null "$T/asked"
	cat >"$T/qemu" <<-X
		#!/bin/sh
		echo "\$1 \$2" >>"$T/asked"
		[ "\$1" != --version ] || exec echo "QEMU emulator version 7.2.1 (Debian)"
		[ "\$1 \$2" != "-machine help" ] || printf 'Supported machines are:\npc-q35-7.2   Standard PC\n'
	X
	chmod 755 "$T/qemu"
	export HOSPES_QEMU=$T/qemu
	xml qemu "$T/linux" >"$T/good.xml"
	"$hvdom" --check "$T/good.xml"
	[ "$(sort -u "$T/asked" | xargs)" = "--version -machine help" ]
	: >"$T/asked"
	mkdir "$T/log"
	# it ends soon: this QEMU runs no guest
	timeout 20 "$hvdom" --config "$T/good.xml" --incoming >"$T/log/out" 2>&1 3>&- || true
	cat "$T/log/out"
	grep -q "QEMU" "$T/log/out"
	! grep -E -- "--version|machine help" "$T/asked"
}
