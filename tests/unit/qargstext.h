/* SPDX-License-Identifier: GPL-2.0-or-later */
/* QEMU's command line as one text, for tests that look for words in it. Include after testutil.h. */
#ifndef HOSPES_TESTS_UNIT_QARGSTEXT_H
#define HOSPES_TESTS_UNIT_QARGSTEXT_H

#include <string.h>
#include "hypervisor/qemu/qargs.h"

#define HAS(text, what) assert_non_null(strstr(text, what))
#define NOT(text, what) assert_null(strstr(text, what))

/* Each argument between spaces. Valid until the next call. */
static char *qargs_text(const struct qargs *a)
{
	static char text[8192];
	struct err err = { 0 };
	char **argv;

	assert_int_equal(qargs_build(a, &argv, &err), 0);
	strcpy(text, " ");
	for (char **p = argv; *p; p++) {
		strcat(text, *p);
		strcat(text, " ");
	}
	qargs_free(argv);
	return text;
}

#endif
