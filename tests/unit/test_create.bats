#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# vmctl image and vmctl create with tiny images, a stand-in for hvdom and one for clusterd: what they make, refuse, and leave behind: nothing.
load ../retry
load own
load ../jsonlog

: "${top_builddir:=$BATS_TEST_DIRNAME/../../build}"

setup() {
	T=$(mktemp -d)
	export HOSPES_RUNDIR=$T/run HOSPES_STATEDIR=$T/state HOSPES_LOGDIR=$T/log HOSPES_CONFDIR=$T/conf HOSPES_LIBEXEC=$T/lib
	mkdir -p "$HOSPES_LIBEXEC" "$HOSPES_CONFDIR" "$HOSPES_RUNDIR" "$T/img" "$T/bin"
	ln -s "$top_builddir/tests/unit/fake_hvdom" "$HOSPES_LIBEXEC/hvdom"
	printf '{ "images": ["%s"] }\n' "$T" >"$HOSPES_CONFDIR/paths.json"
	vmctl=$top_builddir/tools/vmctl
	lib=$HOSPES_STATEDIR/library
	unset FAKE FAKE_KERNEL
	head -c 1048576 /dev/urandom >"$T/tiny.img"
	truncate -s 2M "$T/tiny.img"
	echo "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA somebody@somewhere" >"$T/key.pub"
}
teardown() {
	for pid in $(pids) ${SERVER:-}; do kill -9 "$pid" 2>/dev/null || true; done
	rm -rf "$T"
}
# refused TEXT COMMAND...: it fails, and says TEXT
refused() {
	local text=$1
	shift
	run "$@"
	[ "$status" -ne 0 ] || { echo "not refused: $*" >&2; return 1; }
	[[ $output == *"$text"* ]] || { echo "said: $output" >&2; return 1; }
}
nothing_in() { [ -z "$(ls -A "$1" 2>/dev/null)" ] || { ls -lA "$1" >&2; return 1; }; }
needs() { command -v "$1" >/dev/null || skip "missing: $1"; }
root() { [ "$(id -u)" -eq 0 ] || skip "needs root"; }

# ---- images ----------------------------------------------------------------------------------------------------------------

@test "an image is imported, listed, verified, and removed; one that changed is noticed" {
	run "$vmctl" image import "$T/tiny.img"
	[ "$status" -eq 0 ]
	cmp "$T/tiny.img" "$lib/tiny/disk.raw"
	[ "$(stat -c %a "$lib/tiny/disk.raw")" = 600 ]
	[ "$("$vmctl" image list --json | jq -c '.[] | [.name, .engine, .format, .disk_bytes, .from, .sha256]')" = \
		"[\"tiny\",\"qemu\",\"raw\",2097152,\"$T/tiny.img\",\"$(sha256sum <"$T/tiny.img" | cut -d ' ' -f 1)\"]" ]
	run "$vmctl" image
	[[ $output == *" tiny "*qemu*raw*"2 MiB"*"$T/tiny.img"* ]]
	"$vmctl" image verify tiny
	refused "there is an image 'tiny' already" "$vmctl" image import "$T/tiny.img"
	"$vmctl" image import "$T/tiny.img" --name other
	printf x | dd of="$lib/tiny/disk.raw" bs=1 seek=1500000 conv=notrunc status=none
	refused "is not what it was" "$vmctl" image verify tiny
	refused "is not what it was" "$vmctl" create g --image tiny --ssh-key "$T/key.pub" --dir "$T/img"
	nothing_in "$T/img"
	"$vmctl" image remove tiny
	[ "$(ls "$lib")" = other ]
	refused "there is no image 'tiny'" "$vmctl" image remove tiny
	refused "vmctl image make debian12" "$vmctl" image verify tiny
}

@test "a file that is no image, or names others, is refused and leaves nothing" {
	gzip -c "$T/tiny.img" >"$T/x.img"
	refused "compressed (gzip)" "$vmctl" image import "$T/x.img"
	: >"$T/empty.img"
	refused "no disk of sectors" "$vmctl" image import "$T/empty.img"
	echo '<!DOCTYPE html>' >"$T/page.img"
	refused "a page of the web" "$vmctl" image import "$T/page.img"
	refused "No such file" "$vmctl" image import "$T/none.img"
	refused "no name for an image" "$vmctl" image import "$T/tiny.img" --name ../x
	refused "not the one that it should have" "$vmctl" image import "$T/tiny.img" --sha256 "$(printf '0%.0s' {1..64})"
	refused "hexadecimal" "$vmctl" image import "$T/tiny.img" --sha256 12
	refused "no recipe" "$vmctl" image make debian1
	refused "is not https" "$vmctl" image pull http://127.0.0.1:1/x.img
	refused "https:// URL" "$vmctl" image pull "$T/tiny.img"
	refused "image list, make" "$vmctl" image frobnicate
	printf 'QFI\373' >"$T/short.qcow2"
	refused "$lib" "$vmctl" image import "$T/short.qcow2"
	needs qemu-img
	qemu-img create -q -f qcow2 -b "$T/tiny.img" -F raw "$T/on.qcow2"
	refused "stands on another image" "$vmctl" image import "$T/on.qcow2"
	nothing_in "$lib"
}

@test "the disk of an OVA is taken, one that names other files is not" {
	needs qemu-img
	cd "$T"
	qemu-img convert -f raw -O vmdk -o subformat=streamOptimized tiny.img d.vmdk
	echo '<Envelope/>' >d.ovf
	tar --format=ustar -cf one.ova d.ovf d.vmdk
	"$vmctl" image import one.ova
	cmp tiny.img "$lib/one/disk.raw"
	[ "$(ls "$lib/one")" = "disk.raw
image.json" ]
	cp d.vmdk e.vmdk
	tar --format=ustar -cf two.ova d.ovf d.vmdk e.vmdk
	refused "has 2 disks" "$vmctl" image import two.ova
	# a text that says where the data is
	printf '# Disk DescriptorFile\nversion=1\ncreateType="monolithicFlat"\nRW 4096 FLAT "%s" 0\n' "$T/tiny.img" >d.vmdk
	tar --format=ustar -cf text.ova d.ovf d.vmdk
	refused "not a VMDK in one file" "$vmctl" image import text.ova
	# ... behind a header without a capacity
	{ printf 'KDMV\1\0\0\0\3\0\0\0\0\0\0\0\0\0\0\0'; head -c 1000 /dev/zero; } >d.vmdk
	tar --format=ustar -cf head.ova d.ovf d.vmdk
	refused "not a VMDK in one file" "$vmctl" image import head.ova
	head -c 3000 one.ova >cut.ova
	refused "is damaged" "$vmctl" image import cut.ova
	[ "$(ls "$lib")" = one ]
	PATH=$T/bin refused "install the package qemu-utils" "$vmctl" image import one.ova --name again
}

@test "an image is downloaded, if it is the one that was meant" {
	needs curl
	busybox httpd --help >/dev/null 2>&1 || skip "missing: busybox with httpd"
	local port=$((20000 + RANDOM % 20000)) sum
	busybox httpd -f -p "127.0.0.1:$port" -h "$T" 3>&- &
	SERVER=$!
	eventually curl -sf "http://127.0.0.1:$port/key.pub"
	sum=$(sha256sum <"$T/tiny.img" | cut -d ' ' -f 1)
	"$vmctl" image pull "http://127.0.0.1:$port/tiny.img" --insecure --sha256 "$sum"
	cmp "$T/tiny.img" "$lib/tiny/disk.raw"
	[ "$(ls "$lib/tiny")" = "disk.raw
image.json" ]
	refused "not the one that it should have" "$vmctl" image pull "http://127.0.0.1:$port/tiny.img" --name b --insecure --sha256 "${sum//[0-9]/0}"
	refused "404" "$vmctl" image pull "http://127.0.0.1:$port/none.img" --insecure
	[ "$(ls "$lib")" = tiny ]
}

# a stand-in for hospes-mkimage: it notes its processes, and waits for $T/go
slow_mkimage() {
	cat >"$HOSPES_LIBEXEC/hospes-mkimage" <<-X
		#!/bin/bash
		for dir; do :; done
		echo "so many packages"
		cp "$T/tiny.img" "\$dir/disk.raw"
		mkdir -p "\$dir/.work/a/b"
		echo x >"\$dir/.work/a/b/c"
		ln -s "$T" "\$dir/.work/a/out"
		: >"$T/begun"
		case \$2 in pv) echo initrd >"\$dir/initrd.img" ;; esac
		until [ -e "$T/go" ]; do tail -f /dev/null & wait -n \$! ; done 2>/dev/null &
		until [ -e "$T/go" ]; do sleep 0.05; done
		rm -rf "\$dir/.work"
		[ ! -e "$T/fail" ] || { echo "no mirror" >&2; exit 1; }
	X
	chmod 755 "$HOSPES_LIBEXEC/hospes-mkimage"
}
made_by() { pgrep -f "$HOSPES_LIBEXEC/hospes-mkimage"; }

@test "image make: whole or not at all; a second one waits for nobody; a killed one leaves nothing, nor processes" {
	root
	grep -q VERSION_CODENAME=bookworm /etc/os-release || skip "not Debian 12"
	slow_mkimage
	"$vmctl" image make debian12 3>&- >"$T/said" 2>&1 &
	SERVER=$!
	eventually [ -e "$T/begun" ]
	refused "is making the image 'debian12' just now" "$vmctl" image make debian12
	run "$vmctl" image list --json
	[ "$output" = "[]" ]
	kill -9 "$SERVER"
	eventually eval '! made_by'
	[ -e "$lib/debian12/.work" ]
	"$vmctl" image list
	nothing_in "$lib"
	[ -e "$T/tiny.img" ] # what a link led to is not followed

	# an interrupt
	rm "$T/begun"
	"$vmctl" image make debian12 3>&- >"$T/said" 2>&1 &
	SERVER=$!
	eventually [ -e "$T/begun" ]
	kill -TERM "$SERVER"
	local rc=0
	wait "$SERVER" || rc=$?
	[ $rc -eq 1 ]
	grep -q interrupted "$T/said"
	nothing_in "$lib"
	eventually eval '! made_by'

	touch "$T/go" "$T/fail"
	run "$vmctl" image make debian12
	[ "$status" -eq 1 ]
	[[ $output == *"so many packages"*"no mirror"*"failed to make the image"* ]]
	nothing_in "$lib"
	rm "$T/fail"
	"$vmctl" image make debian12
	[ "$("$vmctl" image list --json | jq -r '.[] | "\(.name) \(.engine) \(.from) \(.initrd_sha256 | length)"')" = "debian12 pv debian12 64" ]
	"$vmctl" image make debian12 --engine qemu
	"$vmctl" image verify debian12-qemu
}

# ---- create ----------------------------------------------------------------------------------------------------------------

tiny() { "$vmctl" image import "$T/tiny.img" >/dev/null; }
create() { "$vmctl" create "$@" --image tiny --dir "$T/img"; }
in_seed() { xorriso -osirrox on -indev "$T/img/$1/$1-seed.iso" -extract "/$2" "$T/part" >/dev/null 2>&1 && cat "$T/part" && rm -f "$T/part"; }
no_domain() { [ "$("$vmctl" list --all --name)" = "" ]; }

@test "create: disk, seed, definition and start" {
	needs xorriso
	tiny
	run create web1 --ssh-key "$T/key.pub" --memory 64MiB --disk 5MiB
	[ "$status" -eq 0 ]
	[[ $output == *"Domain 'web1' is made and started"* ]]
	[ "$("$vmctl" domstate web1)" = running ]
	[ "$(stat -c %s "$T/img/web1/web1.raw")" = 5242880 ]
	cmp -n 2097152 "$T/tiny.img" "$T/img/web1/web1.raw"
	[ "$(ls -A "$T/img/web1")" = "web1-seed.iso
web1.raw" ]
	# user data are YAML, of which JSON is a part
	in_seed web1 user-data >"$T/user"
	[ "$(head -n 1 "$T/user")" = "#cloud-config" ]
	[ "$(tail -n +2 "$T/user" | jq -r '"\(.hostname) \(.users[0].name) \(.users[0].ssh_authorized_keys[0])"')" = "web1 debian $(cat "$T/key.pub")" ]
	[[ $(in_seed web1 meta-data) == *"local-hostname: web1"* ]]
	"$vmctl" dumpxml web1 --inactive >"$T/web1.xml"
	[ "$(xmllint --xpath 'string(/domain/memory)' "$T/web1.xml")" = 65536 ]
	[ "$(xmllint --xpath 'count(//disk[source/@file="'"$T/img/web1/web1-seed.iso"'"]/readonly)' "$T/web1.xml")" = 1 ]
	refused "there is a domain 'web1' already" create web1 --ssh-key "$T/key.pub"
	[ "$("$vmctl" domstate web1)" = running ]
	"$vmctl" image remove tiny
	"$vmctl" destroy web1
}

@test "create: an image for engine pv brings its initrd; addresses are in the seed; only printed, nothing is made" {
	needs xorriso
	root
	grep -q VERSION_CODENAME=bookworm /etc/os-release || skip "not Debian 12"
	slow_mkimage
	touch "$T/go"
	"$vmctl" image make debian12 --name tiny
	run create web2 --print-xml --bridge br7
	[ "$status" -eq 0 ]
	[ "$(xmllint --xpath 'string(/domain/os/initrd)' - <<<"$output")" = "$T/img/web2/web2-initrd.img" ]
	[ "$(xmllint --xpath 'string(//interface/source/@bridge)' - <<<"$output")" = br7 ]
	nothing_in "$T/img"
	create web2 --no-start --ssh-key "$T/key.pub"
	[ "$(cat "$T/img/web2/web2-initrd.img")" = initrd ]
	[ "$(stat -c %a "$T/img/web2/web2-initrd.img")" = 644 ] # the domain's user reads it
	[ "$("$vmctl" domstate web2)" = "shut off" ]
}

@test "create: what is wrong is said, and nothing is left" {
	tiny
	refused "--image NAME is missing" "$vmctl" create web1
	refused "vmctl image make debian12" "$vmctl" create web1 --image debian12 --ssh-key "$T/key.pub"
	refused "--ssh-key FILE is missing" create web1
	refused "no bridge 'br-none-0'" create web1 --ssh-key "$T/key.pub" --bridge br-none-0
	refused "a domain" create .web --ssh-key "$T/key.pub"
	refused "needs a disk of 2 MiB at least" create web1 --ssh-key "$T/key.pub" --disk 1MiB
	refused "a size like 1GiB" create web1 --ssh-key "$T/key.pub" --memory much
	refused "is for engine qemu or kvm" create web1 --ssh-key "$T/key.pub" --engine pv
	refused "of memory left" create web1 --ssh-key "$T/key.pub" --memory 3000GiB
	refused "--address" create web1 --ssh-key "$T/key.pub" --bridge lo --address 10.0.0.300/24
	refused "--wait asks" create web1 --ssh-key "$T/key.pub" --wait 5
	refused "not below" "$vmctl" create web1 --image tiny --ssh-key "$T/key.pub" --dir /etc/hospes-none
	printf -- '-----BEGIN OPENSSH PRIVATE KEY-----\n' >"$T/key"
	refused "$T/key.pub" create web1 --ssh-key "$T/key"
	echo "hello" >"$T/not.pub"
	refused "no public key" create web1 --ssh-key "$T/not.pub"
	mkdir "$T/img/web1"
	touch "$T/img/web1/precious"
	refused "is there already" create web1 --ssh-key "$T/key.pub"
	[ -e "$T/img/web1/precious" ]
	rm -r "$T/img/web1"
	printf '#!/bin/sh\necho broken >&2\nexit 1\n' >"$T/bin/xorrisofs"
	chmod 755 "$T/bin/xorrisofs"
	PATH=$T/bin:$PATH refused "failed to make the seed" create web1 --ssh-key "$T/key.pub"
	needs xorriso
	rm "$HOSPES_LIBEXEC/hvdom"
	refused "hvdom" create web1 --ssh-key "$T/key.pub"
	nothing_in "$T/img"
	no_domain
}

@test "create: killed in the middle, it is cleaned up after by the next one" {
	needs xorriso
	tiny
	printf '#!/bin/sh\n: >%s/begun\nexec sleep 100\n' "$T" >"$T/bin/xorrisofs"
	chmod 755 "$T/bin/xorrisofs"
	TMPDIR=$T PATH=$T/bin:$PATH "$vmctl" create web1 --image tiny --dir "$T/img" --ssh-key "$T/key.pub" 3>&- >/dev/null 2>&1 &
	SERVER=$!
	eventually [ -e "$T/begun" ]
	refused "another program is making" create web1 --ssh-key "$T/key.pub"
	kill -9 "$SERVER"
	[ -e "$T/img/web1" ]
	eventually flock -n "$T/img/web1/.making" true # what it ran has the lock, too, and ends with it
	create web2 --ssh-key "$T/key.pub" --no-start
	[ "$(ls "$T/img")" = web2 ]
	create web1 --ssh-key "$T/key.pub" --no-start
	# one that was defined before its maker died is whole
	touch "$T/img/web1/.making"
	create web3 --ssh-key "$T/key.pub" --no-start
	[ "$(ls -A "$T/img/web1")" = "web1-seed.iso
web1.raw" ]
}

cluster() {
	"$top_builddir/tests/unit/fake_clusterd" "$HOSPES_RUNDIR" 3>&- &
	SERVER=$!
	eventually [ -S "$HOSPES_RUNDIR/clusterd.sock" ]
	say status '{"type":"status","domains":[{"name":"taken"}]}'
	say explain '{"type":"explain","hosts":[{"name":"host-b","ok":false,"text":"disk vda is not there"},{"name":"host-a","ok":true,"text":""}]}'
	for op in define start stop undefine; do say $op '{"type":"ok"}'; done
}
say() { printf '%s\n' "${@:2}" >"$HOSPES_RUNDIR/$1"; }
orders() { jq -r .op "$HOSPES_RUNDIR/orders" | xargs; }

@test "create --cluster: defined and started there; what fails is undone there, too" {
	needs xorriso
	tiny
	refused "clusterd" create web1 --cluster --ssh-key "$T/key.pub"
	cluster
	refused "mount it there on each host" "$vmctl" create web1 --cluster --image tiny --ssh-key "$T/key.pub" --dir "$T/none"
	refused "the cluster has a domain 'taken'" create taken --cluster --ssh-key "$T/key.pub"
	rm "$HOSPES_RUNDIR/orders"
	run create web1 --cluster --ssh-key "$T/key.pub" --bridge br-elsewhere
	[ "$status" -eq 0 ]
	[[ $output == *"host-b cannot run it: disk vda is not there"*"Domain 'web1' is made and started"* ]]
	[ "$(orders)" = "status define explain start" ]
	[ "$(jq -r 'select(.op == "define") | .xml' "$HOSPES_RUNDIR/orders" | xmllint --xpath 'string(/domain/name)' -)" = web1 ]
	no_domain # of this host's own
	rm "$HOSPES_RUNDIR/orders"
	say start '{"type":"error","error":"no host has room","code":"ENOSPC"}'
	refused "no host has room" create web2 --cluster --ssh-key "$T/key.pub"
	[ "$(orders)" = "status define explain start stop undefine" ]
	[ "$(ls "$T/img")" = web1 ]
}

@test "what --json printed is as docs/json/ says" { jsonlog_check --need vmctl:image; }
