/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The convergence controller, the forecast and the token bucket, as tables. */
#include "config.h"
#include "tests/unit/testutil.h"
#include "migrated/core/controller.h"
#include "migrated/core/mig.h"

#define MIB (1ull << 20)

/* A guest that dirties a share of what a round took: pages after each round, and what the controller must say. */
struct story {
	const char *what;
	enum mig_converge converge;
	uint64_t pages[24];
	enum mig_verdict last;
	unsigned rounds_max;
	bool warned;
	bool throttled;
};

static void test_stories(void **state)
{
	static const struct story t[] = {
		{ "idle: all at once, then stop", MIG_CONVERGE_AUTO, { 65536, 10 }, MIG_VERDICT_STOP, 2, false, false },
		{ "shrinking", MIG_CONVERGE_AUTO, { 65536, 9000, 2500, 600, 100 }, MIG_VERDICT_STOP, 5, false, false },
		{ "fits, and more rounds do not help",
		  MIG_CONVERGE_AUTO,
		  { 65536, 2000, 1900 },
		  MIG_VERDICT_STOP,
		  3,
		  false,
		  false },
		{ "never fits, fail asked",
		  MIG_CONVERGE_FAIL,
		  { 65536, 60000, 60000, 60000, 60000 },
		  MIG_VERDICT_GIVE_UP,
		  4,
		  true,
		  false },
		{ "throttling helps",
		  MIG_CONVERGE_THROTTLE,
		  { 65536, 40000, 40000, 40000, 20000, 9000, 3000, 400 },
		  MIG_VERDICT_STOP,
		  8,
		  true,
		  true },
		{ "throttling does not help",
		  MIG_CONVERGE_THROTTLE,
		  { 65536, 40000, 40000, 40000, 40000, 40000, 40000, 40000, 40000, 40000, 40000, 40000, 40000, 40000 },
		  MIG_VERDICT_GIVE_UP,
		  12,
		  true,
		  true },
		{ "ramping in the end",
		  MIG_CONVERGE_AUTO,
		  { 65536, 40000, 40000, 40000, 40000, 40000, 40000, 40000, 40000, 40000, 40000,
		    40000, 40000, 40000, 40000, 40000, 40000, 40000, 40000, 40000, 40000, 40000 },
		  MIG_VERDICT_STOP,
		  20,
		  true,
		  true },
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct mig_ctl c;
		struct mig_ctl_config cfg = { .downtime_ns = 50 * MIG_MS,
			                      .downtime_max_ns = 2 * MIG_S,
			                      .overhead_ns = 25 * MIG_MS,
			                      .rate_guess_bps = 400 * MIB,
			                      .rounds_max = 30,
			                      .converge = t[i].converge };
		enum mig_verdict v = MIG_VERDICT_ROUND;
		uint64_t now = MIG_S;
		unsigned n = 0;

		mig_ctl_init(&c, &cfg);
		for (; n < ARRAY_SIZE(t[i].pages) && t[i].pages[n] && v == MIG_VERDICT_ROUND; n++) {
			v = mig_ctl_harvest(&c, t[i].pages[n], now);
			uint64_t ns = mig_mul_div(t[i].pages[n] * 4096, MIG_S, 400 * MIB);
			mig_ctl_sent(&c, t[i].pages[n], t[i].pages[n] * 4096, ns);
			now += ns;
		}
		if (v != t[i].last || n > t[i].rounds_max || c.warned != t[i].warned ||
		    (c.throttle_pct > 0) != t[i].throttled)
			fail_msg("%s: verdict %d after %u harvests, warned %d, throttle %u %%, allowed %llu ms",
			         t[i].what, v, n, c.warned, c.throttle_pct,
			         (unsigned long long)(c.allowed_ns / MIG_MS));
		assert_in_range(c.rate_bps, 399 * MIB, 401 * MIB);
	}
}

static void test_forecast(void **state)
{
	struct mig_forecast f;
	(void)state;

	mig_forecast(256 * MIB, 512 * MIB, 0, 0, 50 * MIG_MS, 25 * MIG_MS, &f);
	assert_true(f.converges);
	assert_int_equal(f.rounds, 1);
	assert_int_equal(f.downtime_ns, 25 * MIG_MS);
	mig_forecast(256 * MIB, 512 * MIB, 128 * MIB, 0, 50 * MIG_MS, 25 * MIG_MS, &f);
	assert_true(f.converges && f.rounds > 1 && f.downtime_ns <= 50 * MIG_MS);
	mig_forecast(256 * MIB, 512 * MIB, 1024 * MIB, 0, 50 * MIG_MS, 25 * MIG_MS, &f);
	assert_false(f.converges);
	/* it writes fast, but always the same 8 MiB */
	mig_forecast(256 * MIB, 512 * MIB, 1024 * MIB, 8 * MIB, 50 * MIG_MS, 25 * MIG_MS, &f);
	assert_true(f.converges);
	mig_forecast(256 * MIB, 0, 1, 0, 1, 1, &f); /* no rate: no division by zero, no endless loop */
	assert_true(f.rounds <= 30);
}

static void test_bucket(void **state)
{
	struct mig_bucket b;
	uint64_t now = 5 * MIG_S, sent = 0;
	(void)state;

	mig_bucket_init(&b, 100 * MIB, now);
	while (now < 7 * MIG_S) { /* two seconds at 100 MiB/s, in frames of 256 KiB, give 200 MiB and the burst */
		uint64_t wait = mig_bucket_take(&b, 262144, now);
		sent += 262144;
		now += wait + 1000;
	}
	assert_in_range(sent, 199 * MIB, 206 * MIB);
	mig_bucket_init(&b, 0, now);
	assert_int_equal(mig_bucket_take(&b, UINT64_MAX, now), 0);
}

static void test_arithmetic(void **state)
{
	(void)state;
	assert_int_equal(mig_mul_div(UINT64_MAX, UINT64_MAX, UINT64_MAX), UINT64_MAX);
	assert_int_equal(mig_mul_div(UINT64_MAX, 2, 1), UINT64_MAX);
	assert_int_equal(mig_mul_div(7, 3, 2), 10);
	assert_int_equal(mig_mul_div(1, 1, 0), UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_stories), cmocka_unit_test(test_forecast),
		                            cmocka_unit_test(test_bucket), cmocka_unit_test(test_arithmetic) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
