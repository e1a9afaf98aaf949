#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What libclucore.a and libcluplan.a take from outside themselves must be on this list: memory moves, comparisons, compiler helpers,
# assertions, the checksum. No clock, no I/O, no allocation, and no mutable globals.
dir=${top_builddir:?}/clusterd/core
allowed='memcpy|memset|memmove|memcmp|strlen|strcmp|strncmp|strnlen|strchr|strcpy|strncpy|__assert_fail|__stack_chk_fail|__(u|)divti3|__(u|)modti3|__popcountdi2|_GLOBAL_OFFSET_TABLE_|__(memcpy|memset|memmove|strcpy|strncpy)_chk|XXH(3_|_INLINE_XXH3_)?[A-Za-z0-9_]*|__asan_.*|__ubsan_.*|__gcov_.*|__llvm_.*'
rc=0
all=$(nm --defined-only "$dir/libclucore.a" "$dir/libcluplan.a" | awk 'NF == 3 {print $3}' | sort -u)
for lib in libclucore.a libcluplan.a; do
	nm "$dir/$lib" >/dev/null || exit 1
	bad=$(nm -u "$dir/$lib" | awk '$1 == "U" {print $2}' | sort -u | grep -vxE "$allowed" | grep -vxF "$all")
	if [ -n "$bad" ]; then
		echo "$lib uses: $bad" >&2
		rc=1
	fi
	# no mutable globals either; constants with addresses are in .data.rel.ro (sanitizers and coverage add their own)
	case $(nm "$dir/$lib") in *__asan_* | *__gcov_*) continue ;; esac
	globals=$(objdump -t "$dir/$lib" | awk '$3 == "O" && $4 ~ /^\.(data|bss)/ && $4 !~ /^\.data\.rel\.ro/ {print $NF}')
	if [ -n "$globals" ]; then
		echo "$lib has mutable globals: $globals" >&2
		rc=1
	fi
done
exit $rc
