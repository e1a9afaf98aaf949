/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The agent's heartbeat with virtual time: what arms it, what counts as silence, and what does not. */
#include "config.h"
#include "tests/unit/testutil.h"

#include "common/util.h"
#include "hypervisor/dev/beat.h"

#define S NS_PER_S

static void hear(struct beat *b, const char *text, uint64_t now_ns)
{
	beat_heard(b, text, strlen(text), now_ns);
}

/* Let time pass as a loop does, each timer @late_ns too late. Returns when it fired, 0: not until @end_ns. */
static uint64_t run(struct beat *b, uint64_t end_ns, uint64_t late_ns)
{
	uint64_t due;

	while ((due = beat_due_ns(b)) != UINT64_MAX && due + late_ns <= end_ns)
		if (beat_tick(b, due + late_ns) == BEAT_SILENT)
			return due + late_ns;
	return 0;
}

static void test_words(void **state)
{
	static const struct {
		const char *text;
		unsigned period_s; /* afterwards; 7 before */
	} cases[] = {
		{ "hospes:beat 10\n", 10 },
		{ "hospes:beat 2\n", 2 },
		{ "hospes:beat 600\r\n", 600 },
		{ "hospes:beat 0\n", 0 },
		{ "hospes:beat 10", 7 }, /* not ended */
		{ "hospes:beat 1\n", 7 },
		{ "hospes:beat 601\n", 7 },
		{ "hospes:beat 4294967306\n", 7 },
		{ "hospes:beat -5\n", 7 },
		{ "hospes:beat \n", 7 },
		{ "hospes:beat\n", 7 },
		{ "hospes:beat 5 \n", 7 },
		{ "hospes:beat 0x5\n", 7 },
		{ " hospes:beat 5\n", 7 },
		{ "hospes:beats 5\n", 7 },
		{ "hospes:pong\nhospes:beat 5\nnoise\n", 5 },
		{ "noise\n\n\nhospes:beat 5\nhospes:beat 6\n", 6 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct beat whole = { .period_s = 7 }, pieces = whole;

		hear(&whole, cases[i].text, S);
		for (const char *s = cases[i].text; *s; s++)
			beat_heard(&pieces, s, 1, S);
		if (whole.period_s != cases[i].period_s || pieces.period_s != cases[i].period_s)
			fail_msg("%zu: %u and %u s, not %u", i, whole.period_s, pieces.period_s, cases[i].period_s);
	}
}

static void test_long_lines(void **state)
{
	struct beat b = { 0 };
	char nul[] = "hospes:beat 5\0\n", big[4096];

	(void)state;
	memset(big, '5', sizeof(big));
	hear(&b, "hospes:beat 5", 0);
	beat_heard(&b, big, sizeof(big), 0);
	beat_heard(&b, "\n", 1, 0);
	assert_int_equal(b.period_s, 0);
	beat_heard(&b, nul, sizeof(nul) - 1, 0);
	assert_int_equal(b.period_s, 0);
	/* the next line counts again */
	hear(&b, "hospes:beat 5\n", 0);
	assert_int_equal(b.period_s, 5);
}

static void test_silence(void **state)
{
	struct beat b = { 0 };

	(void)state;
	assert_true(beat_due_ns(&b) == UINT64_MAX); /* an agent that never beats is never missed */
	assert_int_equal(beat_tick(&b, 1000 * S), BEAT_NOTHING);
	hear(&b, "hospes:beat 8\n", 100 * S);
	assert_true(run(&b, 200 * S, 0) == 108 * S);
	/* once in a silence */
	assert_true(beat_due_ns(&b) == UINT64_MAX);
	assert_int_equal(beat_tick(&b, 300 * S), BEAT_NOTHING);
	hear(&b, "hospes:beat 8\n", 400 * S);
	assert_true(run(&b, 500 * S, 0) == 408 * S);
	hear(&b, "hospes:beat 8\n", 500 * S);
	hear(&b, "hospes:beat 0\n", 501 * S);
	assert_true(run(&b, 900 * S, 0) == 0);
}

static void test_beats(void **state)
{
	struct beat b = { 0 };
	uint64_t t = 0;

	(void)state;
	for (; t < 100 * S; t += 7 * S) {
		hear(&b, "hospes:beat 8\n", t);
		assert_true(run(&b, t + 7 * S, S / 100) == 0);
	}
	/* other words are no heartbeat */
	hear(&b, "hospes:beat 8\n", t);
	assert_true(run(&b, t + 4 * S, 0) == 0);
	hear(&b, "hospes:pong\n", t + 4 * S);
	assert_true(run(&b, t + 100 * S, 0) == t + 8 * S);
	/* a shorter period counts from its first beat */
	hear(&b, "hospes:beat 600\n", t += 200 * S);
	hear(&b, "hospes:beat 2\n", t += S);
	assert_true(run(&b, t + 10 * S, 0) == t + 2 * S);
}

/* Times at which neither hvdom nor its guest ran. */
static void test_time_that_does_not_count(void **state)
{
	struct beat b = { 0 };

	(void)state;
	hear(&b, "hospes:beat 8\n", 0);
	assert_true(run(&b, 4 * S, 0) == 0);
	/* hours in one leap are one piece: half of the period was over, three pieces are left */
	assert_int_equal(beat_tick(&b, 10000 * S), BEAT_NOTHING);
	assert_true(run(&b, 20000 * S, 0) == 10003 * S);
	/* a busy host makes it later, never sooner: eight timers, each half a second late */
	hear(&b, "hospes:beat 8\n", 0);
	assert_true(run(&b, 100 * S, S / 2) == 12 * S);
	/* paused and resumed, by whatever name: from the beginning */
	hear(&b, "hospes:beat 8\n", 0);
	assert_true(run(&b, 7 * S, 0) == 0);
	beat_anew(&b, 50 * S);
	assert_true(run(&b, 100 * S, 0) == 58 * S);
	/* still silent after that: reported again */
	beat_anew(&b, 200 * S);
	assert_true(run(&b, 300 * S, 0) == 208 * S);
}

/* What the guest could not help is given back: told when it is half over, then when it is over, and again when as much has passed. */
static void test_given_back(void **state)
{
	struct beat b = { 0 };
	int n[3] = { 0 };

	(void)state;
	hear(&b, "hospes:beat 8\n", 0);
	for (uint64_t t = S; t <= 8 * S; t += S) {
		enum beat_news news = beat_tick(&b, t);
		n[news]++;
		assert_int_equal(news, t == 4 * S ? BEAT_QUIET : t == 8 * S ? BEAT_SILENT : BEAT_NOTHING);
	}
	assert_true(beat_due_ns(&b) == UINT64_MAX);
	beat_give_back(&b, 3 * S, 8 * S);
	assert_true(run(&b, 100 * S, 0) == 11 * S);
	beat_give_back(&b, 1000 * S, 11 * S); /* all of it, not more */
	assert_true(run(&b, 100 * S, 0) == 19 * S);
	/* heard before it was given back: nothing is due */
	hear(&b, "hospes:beat 8\n", 20 * S);
	beat_give_back(&b, S, 21 * S);
	assert_true(run(&b, 100 * S, 0) == 28 * S);
	/* each silence has its half */
	hear(&b, "hospes:beat 8\n", 200 * S);
	for (uint64_t t = 201 * S; t <= 208 * S; t += S)
		n[beat_tick(&b, t)]++;
	assert_int_equal(n[BEAT_QUIET], 2);
	assert_int_equal(n[BEAT_SILENT], 2);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_beats),
		cmocka_unit_test(test_time_that_does_not_count),
		cmocka_unit_test(test_given_back),
	};

	return cmocka_run_group_tests_name("beat", tests, NULL, NULL);
}
