/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of common/builds.h: which builds of an engine take a state of another one's. */
#include "config.h"
#include "tests/unit/testutil.h"

#include "common/builds.h"

static const struct {
	const char *of, *here;
	bool same, newer, partly, newer_partly; /* taken: strictly; by a later one; as the beginning; both */
} t[] = {
	{ "", "", true, true, true, true },
	{ "0123abcd", "0123abcd", true, true, true, true },
	{ "0123abcd", "0124abcd", false, false, false, false }, /* a hash is no version */
	{ "0123", "0124", false, true, false, true },           /* ... nor would this be asked about one */
	{ "7.2.22 tcg pc-q35-7.2", "7.2.22 tcg pc-q35-7.2", true, true, true, true },
	{ "7.2.22 tcg pc-q35-7.2", "7.2.22 tcg", false, false, true, true },
	{ "7.2.22 tcg pc-q35-7.2", "7.2.22 tcg pc", false, false, false, false },
	{ "7.2.22 tcg", "7.2.22 tcg pc-q35-7.2", false, false, false, false },
	{ "7.2.22 tcg m", "7.2.23 tcg m", false, true, false, true },
	{ "7.2.22 tcg m", "7.3 tcg m", false, true, false, true },
	{ "7.2.22 tcg m", "8 tcg m", false, true, false, true },
	{ "9.2.0 tcg m", "10.0.0 tcg m", false, true, false, true },
	{ "7.2 tcg m", "7.2.0 tcg m", false, true, false, true },
	{ "7.2.0 tcg m", "7.2 tcg m", false, true, false, true },
	/* not back, neither by the last number nor by the first */
	{ "7.2.22 tcg m", "7.2.9 tcg m", false, false, false, false },
	{ "10.0.0 tcg m", "9.9.9 tcg m", false, false, false, false },
	{ "7.2.1 tcg m", "7.2 tcg m", false, false, false, false },
	/* and nothing else may differ */
	{ "7.2.22 tcg m", "8.0.0 kvm m", false, false, false, false },
	{ "7.2.22 tcg m 1234abcd", "8.0.0 tcg m 1234abce", false, false, false, false },
	{ "7.2.22 tcg m", "8.0.0 tcg", false, false, false, true },
	{ "qemu 7.2.22 tcg m", "qemu 8.0.0 tcg", false, false, false, true },
	{ "qemu 7.2.22 tcg m", "kvm 8.0.0 tcg", false, false, false, false },
	{ "qemu 7.2.22 tcg m", "qemu", false, false, true, true },
	/* rubbish is no version */
	{ "7.2.22 tcg m", "8.x tcg m", false, false, false, false },
	{ "7.2.22 tcg m", "8..1 tcg m", false, false, false, false },
	{ "7.2.22 tcg m", " tcg m", false, false, false, false },
	{ "7.2.22 tcg m", "", false, false, false, false },
	{ "7.2.22 tcg m", "99999999999999999999 tcg m", false, false, false, false },
	{ "qemu", "kvm", false, false, false, false },
	{ "", "7.2 tcg", false, false, false, false },
};

static void test_takes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		const bool got[] = { build_takes(t[i].of, t[i].here, false, false),
			             build_takes(t[i].of, t[i].here, true, false),
			             build_takes(t[i].of, t[i].here, false, true),
			             build_takes(t[i].of, t[i].here, true, true) },
			   want[] = { t[i].same, t[i].newer, t[i].partly, t[i].newer_partly };

		for (int k = 0; k < 4; k++)
			if (got[k] != want[k])
				fail_msg("%s to %s, %d: %d", t[i].of, t[i].here, k, got[k]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_takes) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
