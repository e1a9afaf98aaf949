#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Log-dirty by tracking against a full comparison, for some seconds each under a heavy and a light load. TRACK_SECONDS: how long.
cd "${top_builddir:-.}" || exit 1
for load in full light; do
	tests/system/pv/trackguest guests/initramfs.img "${TRACK_SECONDS:-6}" 192 "$load" || exit
done
