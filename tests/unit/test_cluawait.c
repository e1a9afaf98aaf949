/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who is waited for when quorum returns after all hosts lost it, and for how long. */
#include "config.h"
#include "tests/unit/clubus.h"

#define LEAST (4 * S)

static void suspends(bool on)
{
	struct clu_cmd c = { .kind = CLU_CMD_POLICY, .policy = mem[0].s.policy };

	c.policy.no_quorum = on ? CLU_NO_QUORUM_SUSPEND : CLU_NO_QUORUM_STOP;
	submit(&mem[0], &c);
	run(S);
}

static void begin(void)
{
	for (uint32_t i = 0; i < N; i++)
		mem[i].n.await_least_ns = LEAST;
	all_up();
	suspends(true);
}

static uint64_t awaits(uint32_t i, uint32_t slot)
{
	return clu_node_awaits(&mem[i].n, slot);
}

static uint64_t awaits_any(uint32_t i)
{
	uint64_t sum = 0;

	for (uint32_t k = 0; k < N; k++)
		sum += awaits(i, k);
	return sum;
}

static void near(uint64_t ns, uint64_t want)
{
	if (ns < want - S || ns > want + S)
		fail_msg("%.1f s, not about %.1f", (double)ns / 1e9, (double)want / 1e9);
}

static void test_a_host_lost_from_a_quorum_is_not_waited_for(void **state)
{
	(void)state;
	begin();
	run(60 * S);
	views("aaaab");
	run(S / 10);
	assert_int_equal(mem[0].n.phase, CLU_NODE_ACTIVE);
	assert_int_equal(awaits_any(0), 0);
	/* nor when the members took a moment for it */
	views("aabbc");
	run(2 * S);
	views("aaabc");
	run(S);
	assert_int_equal(mem[0].n.phase, CLU_NODE_ACTIVE);
	assert_int_equal(awaits_any(0), 0);
}

static void test_after_a_loss_of_quorum_for_as_long_as_it_lasted(void **state)
{
	(void)state;
	begin();
	views("abcde");
	run(12 * S);
	views("aaabc");
	run(S / 10);
	assert_int_equal(mem[0].n.phase, CLU_NODE_ACTIVE);
	for (uint32_t i = 0; i < 3; i++) {
		near(awaits(i, 3), 12 * S);
		near(awaits(i, 4), 12 * S);
		assert_int_equal(awaits(i, 0) + awaits(i, 1) + awaits(i, 2), 0);
	}
	run(5 * S);
	views("aaaac");
	run(S);
	assert_int_equal(awaits(0, 3), 0); /* it came */
	near(awaits(0, 4), 6 * S);
	near(awaits(3, 4), 6 * S); /* and knows of the other */
	views("aaabc");
	run(S);
	assert_int_equal(awaits(0, 3), 0); /* lost anew, from a quorum */
	run(6 * S);
	assert_int_equal(awaits_any(0), 0);
}

static void test_not_forever(void **state)
{
	(void)state;
	begin();
	views("abcde");
	run(500 * S);
	views("aaabc");
	run(S / 10);
	near(awaits(0, 3), CLU_AWAIT_MAX_NS);
	/* quorum comes and goes: so long in all */
	for (unsigned i = 0; i < 4; i++) {
		run(7 * S);
		views("abcde");
		run(100 * S);
		views("aaabc");
		run(S / 10);
	}
	near(awaits(0, 3), CLU_AWAIT_MAX_NS - 28 * S);
	run(3 * S);
	assert_int_equal(awaits_any(0), 0);
}

static void test_not_too_short(void **state)
{
	(void)state;
	begin();
	for (uint32_t i = 0; i < N; i++)
		mem[i].n.await_least_ns = 9 * S;
	views("abcde");
	run(4 * S);
	views("aaabc");
	run(S / 10);
	near(awaits(0, 3), 9 * S);
}

static void test_who_was_cut_off_asks_those_who_were_not(void **state)
{
	(void)state;
	begin();
	views("abbbb");
	run(60 * S);
	views("bbbbc"); /* node 5 is lost when node 1, which will coordinate, comes back */
	run(S);
	assert_int_equal(mem[0].n.phase, CLU_NODE_ACTIVE);
	assert_true(clu_node_coordinates(&mem[0].n));
	assert_int_equal(awaits_any(0), 0);
	/* the same with a clusterd that has just been started */
	mem[0].up = false;
	views("-bbbc");
	run(S);
	boot(0);
	views("bbb-c");
	run(S);
	assert_int_equal(mem[0].n.phase, CLU_NODE_ACTIVE);
	assert_int_equal(awaits_any(0), 0);
}

static void test_who_comes_later_goes_on_with_the_wait(void **state)
{
	(void)state;
	begin();
	views("abcde");
	run(20 * S);
	views("abbbc");
	run(8 * S);
	near(awaits(1, 4), 12 * S);
	views("bbbbc");
	run(S);
	assert_true(clu_node_coordinates(&mem[0].n));
	near(awaits(0, 4), 11 * S);
}

static void test_all_restarted(void **state)
{
	(void)state;
	begin();
	for (uint32_t i = 0; i < N; i++)
		mem[i].up = false;
	q_head = q_tail;
	now += 5 * S;
	for (uint32_t i = 0; i < 3; i++)
		boot(i);
	views("aaa--");
	run(S);
	near(awaits(0, 3), CLU_AWAIT_MAX_NS); /* nobody knows how long it was */
}

static void test_a_standstill_is_no_quorum(void **state)
{
	(void)state;
	begin();
	/* all stand still, and read of the end of their old view first when they go on */
	now += 40 * S;
	views("abcde");
	run(S);
	views("aaabc");
	run(S / 10);
	near(awaits(0, 3), CLU_AWAIT_MAX_NS);
}

static void test_only_where_domains_are_suspended(void **state)
{
	(void)state;
	begin();
	suspends(false);
	views("abcde");
	run(20 * S);
	views("aaabc");
	run(S);
	assert_int_equal(awaits_any(0), 0);
}

static void test_a_lost_host_is_not_waited_for(void **state)
{
	struct clu_cmd c = { .kind = CLU_CMD_HOST_LOST, .host = 5 };

	(void)state;
	begin();
	views("aaaab");
	run(S);
	submit(&mem[0], &c);
	run(S);
	views("abcde");
	run(20 * S);
	views("aaabc");
	run(S);
	near(awaits(0, 3), 19 * S);
	assert_int_equal(awaits(0, 4), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_a_host_lost_from_a_quorum_is_not_waited_for),
		T(test_after_a_loss_of_quorum_for_as_long_as_it_lasted),
		T(test_not_forever),
		T(test_not_too_short),
		T(test_who_was_cut_off_asks_those_who_were_not),
		T(test_who_comes_later_goes_on_with_the_wait),
		T(test_all_restarted),
		T(test_a_standstill_is_no_quorum),
		T(test_only_where_domains_are_suspended),
		T(test_a_lost_host_is_not_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
