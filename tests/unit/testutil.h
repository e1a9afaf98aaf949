/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What unit tests share: cmocka with its prerequisites, and a countdown of failing allocations.
 *
 * A test program linked with $(ALLOC_WRAP) counts every malloc, calloc, realloc, reallocarray and strdup of the code under test:
 *
 *	FOR_EACH_ALLOC_FAILURE(r = thing_new(&t)) { check r == 0 or -ENOMEM and clean up; }
 *
 * runs the body with the first, second, ... allocation failing, until a run meets no failure.
 */
#ifndef HOSPES_TESTS_UNIT_TESTUTIL_H
#define HOSPES_TESTS_UNIT_TESTUTIL_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "common/cleanup.h"

/* Fail the @nth allocation from now on (1: the next one), once; 0: none. */
void alloc_fail_at(unsigned nth);
/* Did the armed failure happen? Disarms. */
bool alloc_fail_end(void);
/* The largest single allocation, in octets, since the last reset (tests linked with $(ALLOC_WRAP)). */
void alloc_largest_reset(void);
size_t alloc_largest(void);

/* @call runs with allocation 1, 2, ... failing; the block after the macro follows each run and sees alloc_failed. */
#define FOR_EACH_ALLOC_FAILURE(call)                                                                         \
	for (unsigned alloc_n = 1, alloc_failed = 1; alloc_failed && alloc_n < 10000; alloc_n++)             \
		if (alloc_fail_at(alloc_n), (void)(call), alloc_failed = alloc_fail_end(), true)

/* A new directory below $TMPDIR, removed with all in it by test_dir_remove(). */
char *test_dir_new(void);
void test_dir_remove(char *dir);
/*
 * cmocka's set-up and tear-down for tests with files: test_dir is a new directory, and Hospes looks there for its own (HOSPES_RUNDIR,
 * HOSPES_STATEDIR, HOSPES_CONFDIR, HOSPES_LOGDIR).
 */
extern char *test_dir;
int test_dir_setup(void **state);
int test_dir_teardown(void **state);

#endif
