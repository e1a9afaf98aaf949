# SPDX-License-Identifier: GPL-2.0-or-later
# From bare machines to a cluster with guests, with nothing but the packages of `make deb`: what the README says, timed; hosts that die and are
# replaced; two hosts and a witness; and all of it interrupted. `make check-bare`. The tests build on each other, in this order.
# The guests' image is one of `vmctl image make debian12` (guests/state), which needs a mirror; hosts have it in their library.
load lib
load bare

# bats file_tags=long
setup_file() {
	need_debs
	need_program ssh ssh-keygen linux.uml
	[ -e "$top_builddir/guests/state/library/debian12/image.json" ] || skip "missing: guests/state/library/debian12 (make guests/state)"
	debs_up 3
	ssh-keygen -q -t ed25519 -N '' -f "$BATS_FILE_TMPDIR/key"
	cp "$BATS_FILE_TMPDIR/key.pub" "$SHARED/key.pub"
	: >"$BATS_FILE_TMPDIR/times"
}
teardown_file() { lab_down; }
setup() {
	[ ! -e "$BATS_FILE_TMPDIR/broken" ] || skip "what it builds on failed"
	[ -n "${LAB_IS_UP:-}" ] || skip "setup_file"
}
teardown() {
	[ -n "${BATS_TEST_COMPLETED:-}" ] || [ -n "${BATS_TEST_SKIPPED:-}" ] || {
		touch "$BATS_FILE_TMPDIR/broken"
		for h in $(lab_hosts); do
			echo "---- $h"
			on "$h" journalctl --no-pager -n 30 -u 'hospes*' -u clusterd -u migrated -u corosync || true
		done >&2
	}
}

# timed STEP COMMAND...: how long it took, for the table
timed() {
	local what=$1 t=${EPOCHREALTIME/./} rc=0
	shift
	"$@" || rc=$?
	printf '%s\t%d\n' "$what" $(((${EPOCHREALTIME/./} - t) / 1000)) >>"$BATS_FILE_TMPDIR/times"
	return $rc
}
# The table so far: the whole, and what of it was packages; forgotten then
times() { # MOST_S
	awk -F'\t' -v most="$1" '{ printf "# %-40s %7.1f s\n", $1, $2 / 1000; all += $2; if ($1 ~ /^packages/) p += $2 }
		END { printf "# %-40s %7.1f s, of which packages %.1f s\n", "in all", all / 1000, p / 1000; exit all / 1000 > most }' "$BATS_FILE_TMPDIR/times" >&3 || return 1
	: >"$BATS_FILE_TMPDIR/times"
}
packages() { debs "$1" ./hospes_*.deb ./hospes-cluster_*.deb; }
packages_of_a_witness() { debs "$1" --no-install-recommends ./hospes_*.deb ./hospes-cluster_*.deb; }
token() { vc "$1" "${@:2}" --json | jq -r .token; }
join() { vc "$2" join "${4:-$1}" "$3"; }
# HOST...: these and no others, all online, as each of them sees it
cluster_is() {
	local h want
	want=$(printf '%s\n' "$@" | sort | tr '\n' ' ')
	for h; do
		[ "$(vc "$h" status --json | jq -r 'select(.quorate) | [.hosts[] | select(.state == "online") | .name] | sort | join(" ")') " = "$want" ] || return 1
		[ "$(vc "$h" status --json | jq '.hosts | length')" = $# ] || return 1
	done
}
image_of() { # HOST
	local lib
	lib=$(host_dir "$1")/var/lib/hospes/library
	mkdir -p "$lib"
	cp -r --sparse=always "$top_builddir/guests/state/library/debian12" "$lib/"
}
create() { # HOST GUEST
	vc_ctl "$1" create "$2" --image debian12 --memory 256MiB --disk 3GiB --bridge br0 --ssh-key /var/lib/hospes/shared/key.pub --dir /var/lib/hospes/shared \
		--address "$(guest_ip "$2")/24" --gateway 10.77.0.1 --cluster
}
vc_ctl() { on "$1" vmctl "${@:2}"; }
shell() { # GUEST COMMAND...
	client ssh -i "$BATS_FILE_TMPDIR/key" -o BatchMode=yes -o ConnectTimeout=20 -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
		-o LogLevel=ERROR "debian@$(guest_ip "$1")" "${@:2}"
}
boot_of() { shell "$1" cat /proc/sys/kernel/random/boot_id; }
let_in() { [ "$(shell "$1" hostname)" = "$1" ]; }
where() { vc "${2:-host-a}" status --json | jq -r --arg g "$1" '.domains[] | select(.name == $g) | select(.state == "running") | .host'; }
is_at() { [ "$(where "$1" "${3:-host-a}")" = "$2" ]; }
moved_from() { local w; w=$(where "$1" "${3:-host-a}"); [ -n "$w" ] && [ "$w" != "$2" ]; }

@test "three bare hosts: packages, init, invite, two joins: a cluster" {
	timed 'packages, three hosts at once' together packages host-a host-b host-c
	timed 'vmclus init' vc host-a init lab1
	timed 'vmclus invite, join host-b' join host-a host-b "$(token host-a invite)"
	timed 'vmclus invite, join host-c' join host-a host-c "$(token host-a invite)"
	cluster_is host-a host-b host-c
}

@test "two guests of one image, by one command each; one is pushed" {
	timed 'image' image_of host-a
	timed 'vmctl create web1' create host-a web1
	timed 'vmctl create web2' create host-a web2
	timed 'web1 lets its user in' eventually 240 let_in web1
	timed 'web2 lets its user in' eventually 240 let_in web2
	local boot to
	boot=$(boot_of web1)
	to=host-b
	[ "$(where web1)" != host-b ] || to=host-c
	timed "vmclus move web1 $to" vc host-a move web1 $to
	is_at web1 $to
	[ "$(boot_of web1)" = "$boot" ]
}

@test "a host dies: its guest runs on another one; vmclus replace: a new machine of that name; under ten minutes in all" {
	local boot boot2 t
	[ "$(where web1)" = host-c ] || vc host-a move web1 host-c
	[ "$(where web2)" != host-c ] || vc host-a move web2 host-a
	boot=$(boot_of web1) boot2=$(boot_of web2)
	timed 'power loss of host-c' vmlab kill host-c
	timed 'web1 runs elsewhere' eventually 60 moved_from web1 host-c
	timed 'web1 lets its user in' eventually 240 let_in web1
	[ "$(boot_of web1)" != "$boot" ]
	[ "$(boot_of web2)" = "$boot2" ]
	eventually 60 eval 'vc host-a status --json | jq -e ".hosts[] | select(.name == \"host-c\") | .state == \"safe\""'
	t=$(timed 'vmclus replace host-c' token host-a replace host-c)
	vmlab start host-c --new
	debs_copy host-c
	timed 'packages, the new host-c' packages host-c
	timed 'vmclus join, the new host-c' join host-a host-c "$t"
	cluster_is host-a host-b host-c
	vc host-a move web2 host-c
	[ "$(boot_of web2)" = "$boot2" ]
	times 600
}

role_is() { vc "$1" status --json | jq -e --arg h "$2" --arg r "$3" '.quorate and any(.hosts[]; .name == $h and .role == $r and .state == "online")' >/dev/null; }
anew() { # HOST: a new machine of that name
	[ ! -e "$(host_dir "$1")/init.pid" ] || vmlab kill "$1"
	vmlab start "$1" --new
	debs_copy "$1"
}
@test "two hosts and a witness: it has the packages without their recommendations; the loss of a host, and its successor" {
	local boot boot2 t
	vc host-c leave
	anew host-c
	timed 'packages, a witness' packages_of_a_witness host-c
	timed 'vmclus join --witness' vc host-c join host-a "$(token host-a invite)" --witness
	for h in host-a host-b host-c; do eventually 20 role_is $h host-c witness; done
	[ "$(where web1)" = host-b ] || vc host-a move web1 host-b
	[ "$(where web2)" = host-a ] || vc host-a move web2 host-a
	boot=$(boot_of web1) boot2=$(boot_of web2)
	timed 'power loss of host-b' vmlab kill host-b
	timed 'web1 runs elsewhere' eventually 60 moved_from web1 host-b
	is_at web1 host-a
	timed 'web1 lets its user in' eventually 240 let_in web1
	[ "$(boot_of web1)" != "$boot" ]
	eventually 60 eval 'vc host-a status --json | jq -e ".hosts[] | select(.name == \"host-b\") | .state == \"safe\""'
	t=$(timed 'vmclus replace host-b' token host-a replace host-b)
	anew host-b
	timed 'packages, the new host-b' packages host-b
	timed 'vmclus join, the new host-b' join host-a host-b "$t"
	cluster_is host-a host-b host-c
	vc host-a move web2 host-b
	[ "$(boot_of web2)" = "$boot2" ]
	times 600
}

# interrupted HOST COMMAND...: killed sooner, later, until it is through; how often goes to $killed. What failed otherwise is repeated, too; $THROUGH in
# what it says then means that an earlier one was through.
interrupted() {
	local h=$1 ms=60 i
	shift
	killed=0
	for ((i = 0; i < 30; i++)); do
		run on "$h" timeout -s KILL "$(printf '%d.%03d' $((ms / 1000)) $((ms % 1000)))" "$@"
		if [ "$status" -eq 137 ]; then
			killed=$((killed + 1)) ms=$((ms * 3 / 2))
		elif [ "$status" -eq 0 ] || { [ -n "${THROUGH:-}" ] && [[ $output == *"$THROUGH"* ]]; }; then
			echo "# $1 $2: killed $killed times" >&3
			return 0
		else
			echo "$output"
			sleep 1
		fi
	done
	echo "not through after $i times: $*"
	return 1
}
packages_interrupted() { # HOST: apt and dpkg are killed with all that they run
	local s again
	for s in 2 4 8; do
		on "$1" systemd-run --quiet --wait -p KillMode=control-group -p RuntimeMaxSec=$s -p TimeoutStopSec=0 -E DEBIAN_FRONTEND=noninteractive \
			sh -c "cd /var/debs && apt-get ${apt_opts[*]} install ./hospes_*.deb ./hospes-cluster_*.deb" 3>&- || true
		on "$1" env DEBIAN_FRONTEND=noninteractive dpkg --configure -a --force-confold 3>&- || true
	done
	on "$1" env DEBIAN_FRONTEND=noninteractive apt-get "${apt_opts[@]}" -f install 3>&- || true
	# what was killed while it was unpacked, dpkg wants anew
	again=$(on "$1" dpkg-query -W -f '${db:Status-Eflag} ${Package}\n' | awk '$1 == "reinstreq" && $2 !~ /^hospes/ { print $2 }')
	# shellcheck disable=SC2086 # words
	[ -z "$again" ] || apt "$1" --reinstall install $again || true
	packages "$1"
}
# kill -9 of hospes-member on these, again and again, while $1 is there
members_killed() {
	local h
	while [ -e "$1" ]; do
		for h in "${@:2}"; do on "$h" systemctl kill -s KILL hospes-member.service 2>/dev/null || true; done
		sleep 0.6
	done
}
@test "all of it killed -9 at any step, and repeated: packages, init, joins, guests, leave, replace; and those who answer" {
	local h t
	# those of the tests before it; it may run alone
	for h in web1 web2; do [ ! -d "$SHARED/$h" ] || { vc host-a stop $h; vc host-a undefine $h; rm -rf "$SHARED/$h"; }; done
	for h in host-c host-b host-a; do anew $h; done
	together packages_interrupted host-a host-b host-c
	interrupted host-a vmclus init lab2
	[ "$killed" -ge 2 ]
	cluster_is host-a
	t=$(token host-a invite)
	interrupted host-b vmclus join host-a "$t"
	[ "$killed" -ge 2 ]
	eventually 20 cluster_is host-a host-b
	# those who answer die, too
	touch "$BATS_TEST_TMPDIR/on"
	members_killed "$BATS_TEST_TMPDIR/on" host-a host-b &
	local killer=$!
	t=$(token host-a invite)
	run on host-c timeout 10 vmclus join host-a "$t"
	run on host-c timeout 10 vmclus join host-a "$t"
	rm "$BATS_TEST_TMPDIR/on"
	wait $killer
	interrupted host-c vmclus join host-a "$t"
	eventually 20 cluster_is host-a host-b host-c
	# a guest: there once, or not at all
	image_of host-a
	THROUGH="a domain 'web3'" interrupted host-a vmctl create web3 --image debian12 --memory 256MiB --disk 3GiB --bridge br0 --dir /var/lib/hospes/shared \
		--ssh-key /var/lib/hospes/shared/key.pub --address "$(guest_ip web3)/24" --gateway 10.77.0.1 --cluster
	[ "$killed" -ge 2 ]
	vc host-a start web3 # if it was killed between the two
	eventually 60 moved_from web3 nowhere
	[ "$(vc host-a status --json | jq '.domains | length')" = 1 ]
	[ "$(ls "$SHARED/web3" | grep -vc lease)" -le 3 ]
	[ -z "$(find "$(host_dir host-a)/var/lib/hospes" "$SHARED" -maxdepth 2 -name .making)" ]
	eventually 240 let_in web3
	# out and in again, and a host that died while all of that goes on
	interrupted host-c vmclus leave
	eventually 20 cluster_is host-a host-b
	interrupted host-c vmclus join host-b "$(token host-b invite)"
	eventually 20 cluster_is host-a host-b host-c
	vmlab kill host-c
	eventually 60 eval 'vc host-a status --json | jq -e ".hosts[] | select(.name == \"host-c\") | .state == \"safe\""'
	interrupted host-a vmclus replace host-c
	t=$(token host-a replace host-c)
	anew host-c
	packages host-c
	interrupted host-c vmclus join host-a "$t"
	eventually 20 cluster_is host-a host-b host-c
	eventually 60 let_in web3
}
