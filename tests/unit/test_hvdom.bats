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

@test "--engines: a line for each, kvm with the reason" {
	run "$hvdom" --engines
	[ "$status" -eq 0 ]
	[ "${#lines[@]}" -eq 2 ]
	[ "$(jq -r '.engine' <<<"$output" | xargs)" = "pv kvm" ]
	[ "$(jq -c 'select(.engine == "pv")' <<<"$output")" = '{"engine":"pv","runs":true}' ]
	# whatever /dev has
	[ "$(jq -r 'select(.engine == "kvm") | .runs' <<<"$output")" = false ]
	[[ $(jq -r 'select(.engine == "kvm") | .why' <<<"$output") == *"no hardware-assisted engine yet"* ]]
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
	for what in "kvm $T/linux 1 hardware-assisted" "uml $T/none 1 $T/none" "uml $T/linux 2 vCPU" "uml $T/script 1 knows"; do
		# shellcheck disable=SC2086 # words
		set -- $what
		xml "$1" "$2" "$3" >"$T/bad.xml"
		run "$hvdom" --check "$T/bad.xml"
		[ "$status" -eq 1 ]
		[[ $(jq -r .why <<<"$output") == *"$4"* ]] || { echo "$what: $output"; false; }
		[ "$(jq -r .runs <<<"$output")" = false ]
		[ "$(jq -r .engine <<<"$output")" = "$([ "$1" = kvm ] && echo kvm || echo pv)" ]
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
