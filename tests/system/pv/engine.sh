#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What every engine has to pass (tests/unit/conform.c), asked of pv with a real guest.
cd "${top_builddir:-.}" || exit 1
exec tests/system/pv/engineguest guests/initramfs.img
