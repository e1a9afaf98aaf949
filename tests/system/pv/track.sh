#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Log-dirty by tracking against a full comparison, for some seconds each under a heavy and a light load, as root and without
# privileges. TRACK_SECONDS: how long.
cd "${top_builddir:-.}" || exit 1
s=${TRACK_SECONDS:-6}
tests/system/pv/trackguest guests/initramfs.img "$s" 192 full || exit
# without privileges, and as in use: without the audit, whose hashing could hide something
TRACK_UID=65534 TRACK_NO_AUDIT=1 tests/system/pv/trackguest guests/initramfs.img "$s" 192 light
