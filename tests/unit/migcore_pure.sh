#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What libmigcore.a takes from outside itself must be on this list: memory moves, compiler helpers, assertions.
lib=${top_builddir:?}/migrated/libmigcore.a
allowed='memcpy|memset|memmove|memcmp|strlen|__assert_fail|__stack_chk_fail|__(u|)divti3|__(u|)modti3|_GLOBAL_OFFSET_TABLE_|__memcpy_chk|__memset_chk|__asan_.*|__ubsan_.*|__gcov_.*|__llvm_.*'
nm "$lib" >/dev/null || exit 1
defined=$(nm --defined-only "$lib" | awk 'NF == 3 {print $3}' | sort -u)
bad=$(nm -u "$lib" | awk '$1 == "U" {print $2}' | sort -u | grep -vxE "$allowed" | grep -vxF "$defined")
if [ -n "$bad" ]; then
	echo "the core uses: $bad" >&2
	exit 1
fi
# no mutable globals either (sanitizers and coverage add their own)
case $(nm "$lib") in *__asan_* | *__gcov_*) exit 0 ;; esac
globals=$(nm "$lib" | awk 'NF == 3 && $2 ~ /^[bBdDcC]$/ {print $3}' | grep -v '^names')
[ -z "$globals" ] || { echo "the core has mutable globals: $globals" >&2; exit 1; }
