# SPDX-License-Identifier: GPL-2.0-or-later
# What every engine has to pass (tests/unit/conform.c), asked of each with a real guest; no host or daemon is involved.
load lib
setup_file() { need_root; }
teardown_file() { :; }

@test "pv keeps the engine contract" {
	cd "$top_builddir"
	tests/system/pv/engineguest guests/initramfs.img
}
