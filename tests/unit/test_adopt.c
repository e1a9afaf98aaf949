/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What /proc/PID/status has to say of a process before it gets registers of a guest. */
#include "config.h"
#include "tests/unit/testutil.h"

#include <unistd.h>
#include "common/util.h"
#include "hypervisor/pv/adopt.h"

#define GOOD                                                                                                             \
	"Name:\thospes-guest\nUmask:\t0022\nState:\tt (tracing stop)\nTgid:\t52\nPid:\t52\nPPid:\t34\nTracerPid:\t77\n"  \
	"Uid:\t1\t1\t1\t1\nThreads:\t1\nSigQ:\t6/9\nCapInh:\t0000000000000000\nCapPrm:\t0000000000000000\n"              \
	"CapEff:\t0000000000000000\nCapBnd:\t000001ffffffffff\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n" \
	"Seccomp_filters:\t1\nSpeculation_Store_Bypass:\tvulnerable\n"

static void held(void **state)
{
	(void)state;
	assert_null(pv_not_held(GOOD, 77));
	assert_string_equal(pv_not_held(GOOD, 78), strstr(GOOD, "TracerPid"));
	assert_string_equal(pv_not_held("", 77), "");
}

/* Each line made wrong, cut off, or missing: never "held". */
static void not_held(void **state)
{
	static const struct {
		const char *from, *to;
	} table[] = {
		{ "State:\tt", "State:\tS" },
		{ "State:\tt", "State:\tT" },
		{ "TracerPid:\t77", "TracerPid:\t0" },
		{ "Threads:\t1", "Threads:\t2" },
		{ "Threads:\t1", "Threads:\t11" },
		{ "CapInh:\t0000000000000000", "CapInh:\t0000000000000001" },
		{ "CapPrm:\t0000000000000000", "CapPrm:\t000001ffffffffff" },
		{ "CapEff:\t0000000000000000", "CapEff:\t8000000000000000" },
		{ "CapAmb:\t0000000000000000", "CapAmb:\t0000000000200000" },
		{ "NoNewPrivs:\t1", "NoNewPrivs:\t0" },
		{ "Seccomp:\t2", "Seccomp:\t0" },
		{ "Seccomp:\t2", "Seccomp:\t1" },
		{ "Seccomp:\t2\n", "" },
		{ "CapEff:\t0000000000000000\n", "" },
		{ "CapEff:\t0000000000000000", "CapEff:\t" },
		{ "NoNewPrivs:\t1\n", "" },
		{ "State:\tt (tracing stop)\n", "" },
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		char text[1024];
		const char *at = strstr(GOOD, table[i].from);
		assert_non_null(at);
		snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - GOOD), GOOD, table[i].to,
		         at + strlen(table[i].from));
		if (!pv_not_held(text, 77))
			fail_msg("'%s' for '%s' was taken for held", table[i].to, table[i].from);
	}
	/* cut anywhere before the last wanted line is complete */
	size_t need = (size_t)(strstr(GOOD, "Seccomp:\t2\n") - GOOD) + strlen("Seccomp:\t2\n");
	for (size_t n = 0; n < need; n++) {
		char text[1024];
		snprintf(text, sizeof(text), "%.*s", (int)n, GOOD);
		assert_non_null(pv_not_held(text, 77));
	}
}

/* This very process, as its kernel describes it, is not held: the lines are those of a real /proc. */
static void real_status(void **state)
{
	_cleanup_free_ char *text = NULL;
	(void)state;

	assert_int_equal(file_read("/proc/self/status", 65536, &text, NULL), 0);
	const char *bad = pv_not_held(text, getpid());
	assert_non_null(bad);
	assert_int_equal(strncmp(bad, "State:", 6), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(held),
		cmocka_unit_test(not_held),
		cmocka_unit_test(real_status),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
