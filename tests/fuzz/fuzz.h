/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What every fuzz target implements. A target must end its input's effects, keep memory bounded and may only fail through a
 * sanitizer, a time limit or __builtin_trap() on a broken property.
 */
#ifndef HOSPES_TESTS_FUZZ_FUZZ_H
#define HOSPES_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define FUZZ_CHECK(x)                     \
	do {                              \
		if (!(x))                 \
			__builtin_trap(); \
	} while (0)

#endif
