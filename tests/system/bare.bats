# SPDX-License-Identifier: GPL-2.0-or-later
# From bare machines to a cluster with guests, with nothing but the packages of `make deb`: what the README says, timed; a host that dies and is
# replaced. `make check-bare`. The tests build on each other, in this order.
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
