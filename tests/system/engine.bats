# SPDX-License-Identifier: GPL-2.0-or-later
# What every engine has to pass (tests/unit/conform.c), asked of each with a real guest; no host or daemon is involved.
load lib
setup_file() { need_root; }
teardown_file() { :; }

@test "pv keeps the engine contract" {
	cd "$top_builddir"
	tests/system/pv/engineguest guests/initramfs.img
}

@test "under QEMU, log-dirty misses nothing while a balloon takes pages that have content" {
	need_root
	local why
	! why=$(qemu_missing) || skip "$why"
	run env top_builddir="$top_builddir" sh "$BATS_TEST_DIRNAME/qemu/contract.sh" balloon
	echo "$output"
	[ "$status" -ne 77 ] || skip "$output"
	[ "$status" -eq 0 ]
}
