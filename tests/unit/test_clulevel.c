/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Hosts of two releases in one cluster: when its level rises, and what is left out before. ADR 102. */
#include "config.h"
#include "tests/unit/clubus.h"

static void equal(uint32_t level)
{
	for (uint32_t i = 0; i < N; i++) {
		assert_int_equal(mem[i].s.level, level);
		assert_int_equal(mem[i].s.index, mem[0].s.index);
		assert_int_equal(mem[i].s.sum, mem[0].s.sum);
	}
}

static void propose(uint32_t i, uint32_t level)
{
	submit(&mem[i], &(struct clu_cmd){ .kind = CLU_CMD_LEVEL, .level = level });
	run(S);
}

/* A command that needs @level, of member @i; returns its status. */
static int say(uint32_t i, uint32_t level)
{
	struct clu_cmd c = { .kind = CLU_CMD_MAINTENANCE, .host = i + 1, .on = true, .needs = level };

	c.request = ++request;
	mem[i].answer_status = 1;
	submit(&mem[i], &c);
	run(S);
	assert_int_equal(mem[i].answered, request);
	return mem[i].answer_status;
}

static void test_all_have_it(void **state)
{
	(void)state;
	all_up();
	for (uint32_t i = 0; i < N; i++)
		assert_int_equal(clu_node_level(&mem[i].n), CLU_LEVEL);
	uint64_t before = mem[0].s.index;
	assert_int_equal(say(2, 1), -EAGAIN);
	assert_int_equal(mem[0].s.index, before); /* as with nodes that do not know it */
	propose(0, 1);
	equal(1);
	assert_int_equal(mem[0].s.level_id, before + 1);
	assert_int_equal(say(2, 1), 0);
	/* it stays, in other views and after a restart of all */
	views("aaabb");
	run(3 * S);
	assert_int_equal(mem[0].s.level, 1);
	assert_int_equal(clu_node_level(&mem[0].n), 0);
	assert_int_equal(say(1, 1), 0);
	for (uint32_t i = 0; i < N; i++)
		boot(i);
	views("aaaaa");
	run(3 * S);
	equal(1);
	/* once more, and lower: nothing */
	propose(0, 1);
	equal(1);
}

static void test_one_is_older(void **state)
{
	(void)state;
	mem[3].n.level = 0;
	all_up();
	for (uint32_t i = 0; i < N; i++)
		assert_int_equal(clu_node_level(&mem[i].n), 0);
	uint64_t before = mem[0].s.index;
	propose(0, 1);
	equal(0);
	assert_int_equal(mem[0].s.index, before);
	/* it is gone: perhaps it comes back as it was */
	mem[3].up = false;
	views("aaa-a");
	run(3 * S);
	assert_int_equal(clu_node_level(&mem[0].n), 0);
	propose(0, 1);
	assert_int_equal(mem[0].s.level, 0);
	assert_int_equal(say(1, 1), -EAGAIN);
	/* upgraded */
	boot(3);
	views("aaaaa");
	run(3 * S);
	assert_int_equal(clu_node_level(&mem[0].n), 1);
	propose(0, 1);
	equal(1);
}

/* One that catches up decides about LEVEL as those that did not have to: by what was known when it was delivered. */
static void test_one_is_behind(void **state)
{
	(void)state;
	all_up();
	views("aaaa-");
	run(3 * S);
	toggle(0);
	run(S);
	mem[4].held = true;
	views("aaaaa");
	run(3 * S);
	assert_true(mem[4].n.behind || mem[4].n.loading);
	propose(0, 1);
	toggle(1);
	run(S);
	mem[4].held = false;
	if (mem[4].loading || mem[4].n.behind) {
		struct clu_event tick = { .kind = CLU_EV_TICK };
		store(&mem[4]);
		feed(&mem[4], &tick);
	}
	run(10 * S);
	equal(mem[0].s.level);
	propose(0, 1);
	equal(1);
}

static void test_octets(void **state)
{
	uint8_t buf[CLU_RECORD_MAX], old[CLU_RECORD_MAX];
	static struct clu_state s;
	static struct clu_dom dom[DOMS];

	(void)state;
	clu_state_init(&s, dom, DOMS);
	s.index = 7;
	size_t n = clu_record_pack(&s, CLU_OBJ_META, 0, old);
	assert_int_equal(old[0], 1); /* nothing new for an older node to read */
	s.level = CLU_LEVEL;
	s.level_id = 5;
	size_t m = clu_record_pack(&s, CLU_OBJ_META, 0, buf);
	assert_int_equal(buf[0], 2);
	assert_int_equal(m, n + 12);
	s.level = 0, s.level_id = 0, s.index = 0;
	assert_int_equal(clu_record_unpack(&s, CLU_OBJ_META, 0, buf, m), 0);
	assert_int_equal(s.level, CLU_LEVEL);
	assert_int_equal(s.level_id, 5);
	assert_int_equal(clu_record_unpack(&s, CLU_OBJ_META, 0, buf, m - 1), -EPROTO);
	buf[n]++; /* the level, little-endian */
	assert_int_equal(clu_record_unpack(&s, CLU_OBJ_META, 0, buf, m), -EPROTONOSUPPORT);
	assert_int_equal(s.level, CLU_LEVEL);
	buf[n] = 0; /* one form of each */
	assert_int_equal(clu_record_unpack(&s, CLU_OBJ_META, 0, buf, m), -EPROTO);
	assert_int_equal(clu_record_unpack(&s, CLU_OBJ_META, 0, old, n), 0);
	assert_int_equal(s.level, 0);
}

static void test_what_needs_it(void **state)
{
	struct clu_cmd c = { .kind = CLU_CMD_POLICY };

	(void)state;
	clu_policy_default(&c.policy);
	assert_null(clu_cmd_needs(&c));
	for (const struct clu_policy_field *f = clu_policy_field; f < CLU_POLICY_END; f++) {
		clu_policy_set(&c.policy, f, f->otherwise ? 0 : 1);
		assert_true(!clu_cmd_needs(&c) == (f->since <= 4));
		clu_policy_set(&c.policy, f, f->otherwise);
	}
	for (unsigned k = 1; k <= CLU_CMD_LEFT; k++) /* those of 0.1.0 */
		assert_null(clu_cmd_needs(&(struct clu_cmd){ .kind = (enum clu_cmd_kind)k, .policy = c.policy }));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_all_have_it, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_is_older, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_is_behind, setup, teardown),
		cmocka_unit_test(test_octets),
		cmocka_unit_test(test_what_needs_it),
	};
	return cmocka_run_group_tests_name("clulevel", tests, NULL, NULL);
}
