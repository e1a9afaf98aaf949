# SPDX-License-Identifier: GPL-2.0-or-later
# Pushes that cannot work are refused before anything is sent, with cause and remedy, and the guest runs on.
load lib

setup_file() {
	need_root
	lab_up 2
	[ ! -e "$top_builddir/guests/initramfs.img" ] || guest_up host-a guest01 load=light >&2
}
# A file of host-b that says something else, for a while
fake() { # PATH SED-EXPRESSION
	on host-b sh -c "sed '$2' $1 >/run/fake && mount --bind /run/fake $1"
}
unfake() { on host-b umount "$1"; }
# refused_until PATTERN COMMAND...: a push to host-b is refused with that cause; COMMAND mends what was broken for it, in any case
refused_until() {
	local rc=0
	push_refused host-a guest01 host-b "$1" || rc=1
	"${@:2}"
	return $rc
}

@test "unknown domain" {
	run on host-a vmmig push nobody host-b --json
	[ "$status" -ne 0 ] && [[ $output = *nobody* ]]
}

@test "unknown peer" { push_refused host-a guest01 host-z 'host-z.*(peers|unknown|know)'; }

@test "a push to itself" { push_refused host-a guest01 host-a 'host-a'; }

@test "peer unreachable" {
	vmlab cut host-b
	refused_until 'answer|reach' vmlab heal host-b
}

@test "peer's migrated does not run" {
	vmlab service host-b stop migrated
	refused_until 'answer|reach|migrated' vmlab service host-b start migrated
	migrated_ready host-b
}

@test "the peer has another key than the one pinned here" {
	local d=$VMLAB_DIR/$VMLAB_NAME/hosts
	cp -a "$d/host-a/etc/hospes/peers.d" "$BATS_TEST_TMPDIR/peers.d"
	# host-a's own public key is a valid key, but not host-b's
	on host-a vmmig peers add host-b 10.77.0.102 "$(head -n 1 "$d/host-a/etc/hospes/keys/migrated.key")"
	refused_until 'key|refused' vmlab peers
}

@test "the peer does not know our key" {
	on host-b vmmig peers remove host-a
	refused_until 'key|refused' vmlab peers
}

@test "too little memory on the target" {
	fake /proc/meminfo 's/^MemAvailable:.*/MemAvailable:     100000 kB/'
	refused_until memory unfake /proc/meminfo
}

@test "a CPU feature is missing on the target" {
	grep -qw sse4_2 /proc/cpuinfo || skip "this CPU has no sse4_2 to hide"
	fake /proc/cpuinfo 's/ sse4_2//'
	refused_until sse4_2 unfake /proc/cpuinfo
}

@test "a domain of that name runs there" {
	truncate -s 8M "$SHARED/other.img"
	# without a network: its MAC would be that of the first one
	guest_define host-b guest01 load=none image="$SHARED/other.img" bridge=
	on host-b vmctl start guest01
	run push host-a guest01 host-b
	[ "$status" -ne 0 ]
	push host-a guest01 host-b || true
	jq -e '.status == "failed" and .sent_bytes == 0 and (.error | test("guest01"))' <<<"$PUSH_JSON"
	[ "$(domain_state host-a guest01)" = running ] && [ "$(domain_state host-b guest01)" = running ]
	on host-b vmctl destroy guest01
	on host-b vmctl undefine guest01
	guest_sound guest01
}

@test "bridge, disk, initrd or kernel missing on the target" {
	on host-a ip link add br9 type bridge
	on host-a ip link set br9 up
	guest_define host-a guest02 load=none bridge=br9
	on host-a vmctl start guest02
	push host-a guest02 host-b && false
	jq -e '.sent_bytes == 0 and (.error | test("br9"))' <<<"$PUSH_JSON"
	guest_remove guest02
	on host-a ip link del br9

	# a disk on host-a's own storage, and a kernel too
	on host-a sh -c 'mkdir -p /var/lib/hospes/images; truncate -s 8M /var/lib/hospes/images/own.img; cp /usr/bin/linux.uml /var/lib/hospes/images/own.uml'
	guest_define host-a guest02 load=none disk=0 xml="<disk type='file' device='disk'><source file='/var/lib/hospes/images/own.img'/><target dev='vda' bus='virtio'/></disk>"
	guest_start host-a guest02
	push_refused host-a guest02 host-b 'own\.img'
	guest_remove guest02

	guest_define host-a guest02 load=none disk=0 kernel=/var/lib/hospes/images/own.uml
	guest_start host-a guest02
	push_refused host-a guest02 host-b 'own\.uml'
	# the same name, another build
	on host-b sh -c 'mkdir -p /var/lib/hospes/images; cp /usr/bin/linux.uml /var/lib/hospes/images/own.uml; echo >>/var/lib/hospes/images/own.uml'
	push_refused host-a guest02 host-b 'build|version'
	guest_remove guest02
}

@test "a definition names no file outside the allowed directories" {
	local disk="<disk type='file' device='disk'><source file='/etc/hospes/stolen.img'/><target dev='vda' bus='virtio'/></disk>"
	local console="<console type='file'><source path='/etc/cron.d/x'/><target type='virtio'/></console>" conf=/etc/hospes/paths.json what
	for h in host-a host-b; do on "$h" sh -c 'mkdir -p /etc/cron.d; truncate -s 8M /etc/hospes/stolen.img; rm -f /etc/cron.d/x'; done
	for what in "$disk" "$console"; do
		guest_define host-a guest02 load=none disk=0 xml="$what"
		run on host-a vmctl start guest02
		[ "$status" -ne 0 ] && [[ $output == *allowed\ directory*paths.json* ]]
		# host-a is told to allow it; host-b believes its own file only, however the domain comes
		on host-a sh -c "echo '{\"images\": [\"/etc/hospes\"], \"outputs\": [\"/etc/cron.d\"]}' >$conf"
		guest_start host-a guest02
		run on host-a vmmig plan guest02 host-b
		[ "$status" -ne 0 ] && [[ $output == *paths.json* ]]
		push_refused host-a guest02 host-b 'paths\.json'
		on host-a vmctl save guest02 /var/lib/hospes/shared/guest02.save
		run on host-b vmctl restore --force /var/lib/hospes/shared/guest02.save
		[ "$status" -ne 0 ] && [[ $output == *paths.json* ]]
		not on host-b test -e /etc/cron.d/x
		on host-a vmctl undefine guest02
		on host-a rm $conf /var/lib/hospes/shared/guest02.save
	done
	# this host's own definitions may be exempt
	on host-a sh -c "echo '{\"local\": \"any\"}' >$conf"
	guest_define host-a guest02 load=none disk=0 xml="$disk"
	guest_start host-a guest02
	guest_remove guest02
	on host-a sh -c "echo '{\"image\": []}' >$conf"
	guest_define host-a guest02 load=none disk=0
	run on host-a vmctl start guest02
	[ "$status" -ne 0 ] && [[ $output == *unknown\ key*image* ]]
	on host-a vmctl undefine guest02
	on host-a rm $conf
}

@test "plan gives the same reasons and exit status" {
	vmlab cut host-b
	run on host-a vmmig plan guest01 host-b --json
	vmlab heal host-b
	[ "$status" -ne 0 ]
	tail -n 1 <<<"$output" | jq -e '.possible == false and (.error | length > 10)'
}

@test "garbage on the migration port changes nothing" {
	local port
	for port in 4919 4920; do
		head -c 100000 /dev/urandom | client timeout 2 busybox nc 10.77.0.102 $port >/dev/null 2>&1 || true
		client timeout 2 sh -c "yes | head -c 3000000 | busybox nc 10.77.0.102 $port" >/dev/null 2>&1 || true
	done
	[ "$(cat "/proc/$(vmlab status --json | jq -r '.hosts[1].services.migrated')/comm")" = migrated ]
	push_ok host-a guest01 host-b
	push_ok host-b guest01 host-a
}
