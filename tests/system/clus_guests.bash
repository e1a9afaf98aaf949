# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# For tests that trouble a cluster of three hosts with four guests on it. Half of the guests have no disk that is locked: only the cluster keeps
# a second copy away, and their witness tells.
GUESTS=(guest01 guest02 guest03 guest04)

guests_start() {
	local g disk
	for g in "${GUESTS[@]}"; do
		disk=0
		[[ $g = *[13] ]] || disk=32
		clus_define $g load=light disk=$disk mem=128
		vc host-a start $g --no-wait
	done
	for g in "${GUESTS[@]}"; do guest_wait $g; done
	eventually 20 all_run
}
# setup and teardown of each test: what failed before is mended first
trouble_setup() {
	clus_need
	[ ! -e "$BATS_FILE_TMPDIR/failed" ] || { rm "$BATS_FILE_TMPDIR/failed"; clus_mend; eventually 60 clus_whole; eventually 60 all_run; }
	watch_start
}
trouble_teardown() {
	[ -z "${WATCH_PID:-}" ] || kill "$WATCH_PID" 2>/dev/null || true
	[ -n "${BATS_TEST_COMPLETED:-}" ] || { touch "$BATS_FILE_TMPDIR/failed"; clus_report >&2 || true; lab_logs >&2; }
}

all_run() { local g; for g in "${GUESTS[@]}"; do dom_runs $g || return 1; done; }
all_sound() { local g; for g in "${GUESTS[@]}"; do witness_ok $g && ask $g status | jq -e '.errors == 0' >/dev/null || { echo "$g: $(ask $g status)" >&2; return 1; }; done; }
# The double copies that were not: from outside and by the guests themselves
never_twice() { watch_stop; all_sound; }
gather() { # HOST: all guests there
	local g
	for g in "${GUESTS[@]}"; do [ "$(dom $g host)" = "$1" ] || vc "$1" move $g "$1" >/dev/null; done
}
generations() { local g; for g in "${GUESTS[@]}"; do dom $g generation; done | tr '\n' ' '; }
boots() { local g; for g in "${GUESTS[@]}"; do guest_boot_id $g; done; }
whole() { eventually 40 clus_whole; }
