# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# For tests that trouble a cluster of three hosts with four guests on it. Half of the guests have no disk that is locked: only the cluster keeps
# a second copy away, and their witness tells. The file that loads this may have fewer of them, or other ones (GUEST_KIND, as guest_xml), and
# setups of its own. HOSPES_ENGINE=mixed: half of them, one with such a disk and one without, are of engine qemu.
GUESTS=(guest01 guest02 guest03 guest04)
GUEST_KIND=()

setup_file() { trouble_setup_file; }
teardown_file() { lab_down; }
setup() { trouble_setup; }
teardown() { trouble_teardown; }
# trouble_setup_file [POLICY...]: some of it counts from the next start of clusterd only. CLUS_HOSTS: what vmlab up gets
trouble_setup_file() {
	need_root
	# shellcheck disable=SC2086 # number and options
	clus_up ${CLUS_HOSTS:-3}
	command -v linux.uml >/dev/null || return 0
	engine_there || return 0
	if [ $# -gt 0 ]; then
		vc host-a policy "$@"
		clus_restart
	fi
	guests_start
}
clus_restart() {
	local h
	for h in $(hosts_up); do vmlab service $h restart clusterd; done
	eventually 40 clus_whole
}

guests_start() {
	local g disk
	for g in "${GUESTS[@]}"; do
		disk=0
		[[ $g = *[13] ]] || disk=32
		clus_define $g load=light disk=$disk mem=128 "${GUEST_KIND[@]}"
		vc host-a start $g --no-wait
	done
	for g in "${GUESTS[@]}"; do guest_wait $g; done
	eventually 20 all_run
}
# setup and teardown of each test: what failed before is mended first
trouble_setup() { mended_setup; watch_start; }
mended_setup() {
	clus_need
	[ -e "$BATS_FILE_TMPDIR/failed" ] || return 0
	rm "$BATS_FILE_TMPDIR/failed"
	clus_mend
	eventually 60 clus_whole
	eventually 60 all_run
}
trouble_teardown() {
	watch_end
	[ -n "${BATS_TEST_COMPLETED:-}" ] || { touch "$BATS_FILE_TMPDIR/failed"; clus_report >&2 || true; lab_logs >&2; }
}

# As dom_runs of each, with one question to each host
all_run() {
	local g
	look placed "${GUESTS[@]}" || return 1
	for g in "${GUESTS[@]}"; do disk_held $g && answers $g || return 1; done
}
all_sound() {
	local g
	for g in "${GUESTS[@]}"; do
		# one that was started anew answers at its first port before its last
		witness_ok $g && guest_wait $g && ask $g status | jq -e '.errors == 0' >/dev/null || { echo "$g: $(ask $g status)" >&2; return 1; }
	done
}
# The double copies that were not: from outside and by the guests themselves
never_twice() { watch_stop; all_sound; }
gather() { # HOST: all guests there; a move that was called off is tried again
	local g
	for g in "${GUESTS[@]}"; do [ "$(dom $g host)" = "$1" ] || eventually 20 vc "$1" move $g "$1"; done
}
generations() { clus_report | jq -j '(.domains | map({(.name): .generation}) | add)[$ARGS.positional[]] | "\(.) "' --args "${GUESTS[@]}"; }
boots() { local g; for g in "${GUESTS[@]}"; do guest_boot_id $g; done; }
host_log() { cat "$VMLAB_DIR/$VMLAB_NAME/hosts/$1/var/log/hospes/$2.log"; }
whole() { eventually 40 clus_whole; }
