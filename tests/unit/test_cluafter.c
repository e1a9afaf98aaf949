/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rules AFTER: who waits for whom, what health and delays are, who is stopped first, circles. Domains are guest00 (waits), guest01, ... */
#include "config.h"
#include <errno.h>
#include "clusterd/core/after.h"
#include "clusterd/core/decide.h"
#include "common/util.h"
#include "tests/unit/cluapply.h"

static struct world w;
static struct clu_dom_load measured[DOMS];
static struct clu_load load = { .dom = measured };
static struct clu_proposals out;
static uint64_t now = 1000 * NS_PER_S;

static int setup(void **state)
{
	(void)state;
	world_init(&w);
	memset(measured, 0, sizeof(measured));
	for (uint32_t i = 1; i <= 3; i++)
		assert_int_equal(host_up(&w, i, NULL, 0), 0);
	for (unsigned i = 0; i < 3; i++)
		w.s.host[i].cap.engines = CLU_ENGINE_PV;
	w.s.sum = clu_sum(&w.s);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(define(&w, i), 0);
	return 0;
}

static struct clu_rule rule(const char *first, const char *other)
{
	struct clu_rule r = { .kind = CLU_RULE_AFTER, .n = 2 };

	snprintf(r.member[0], CLU_NAME_MAX, "%s", first);
	snprintf(r.member[1], CLU_NAME_MAX, "%s", other);
	return r;
}

static int add(struct clu_rule r)
{
	struct clu_cmd c = cmd(CLU_CMD_RULE_ADD, 1, NULL);

	c.rule = r;
	return apply(&w, &c);
}

static void decide(void)
{
	static const uint32_t member[] = { 1, 2, 3 };
	struct clu_view v = { .member = member, .n = 3, .commit = UINT64_MAX };

	clu_decide(&w.s, &v, &load, now, &out);
}

/* The domain that a command of @kind is proposed for; -1: none, -2: several. */
static int proposed(enum clu_cmd_kind kind)
{
	int which = -1;

	decide();
	for (uint32_t i = 0; i < out.n; i++)
		for (unsigned d = 0; out.cmd[i].kind == kind && d < 4; d++)
			if (!strcmp(out.cmd[i].uuid, uuid_of(d)))
				which = which == -1 ? (int)d : -2;
	return which;
}

static void runs(unsigned i, uint32_t node)
{
	assert_int_equal(start(&w, i, node), 0);
	assert_int_equal(result(&w, i, node, CLU_RESULT_STARTED, dom(&w, i)->generation), 0);
}

static bool waits(char *why)
{
	return clu_after_waits(&w.s, &load, dom(&w, 0), now, NULL, why);
}

static void test_order(void **state)
{
	char why[CLU_TEXT_MAX];
	(void)state;

	assert_int_equal(add(rule("guest00", "guest01")), 0);
	assert_int_equal(desire(&w, 0, CLU_DESIRED_RUNNING), 0);
	/* not to run: said, and for ever */
	assert_int_equal(proposed(CLU_CMD_START), -1);
	assert_true(waits(why));
	assert_string_equal(why, "waits for guest01, which is not to run (vmclus start guest01)");
	assert_int_equal(desire(&w, 1, CLU_DESIRED_RUNNING), 0);
	assert_int_equal(proposed(CLU_CMD_START), 1);
	/* a proposal of one that knew no better is refused */
	assert_int_equal(start(&w, 0, 2), -ESTALE);
	assert_non_null(strstr(w.answer.text, "guest00 waits for guest01, which is stopped"));
	assert_int_equal(start(&w, 1, 1), 0);
	assert_int_equal(proposed(CLU_CMD_START), -1);
	assert_int_equal(result(&w, 1, 1, CLU_RESULT_STARTED, 1), 0);
	assert_int_equal(proposed(CLU_CMD_START), 0);
	/* while it moves it is up */
	assert_int_equal(move(&w, 1, 2), 0);
	assert_int_equal(proposed(CLU_CMD_START), 0);
	assert_int_equal(result(&w, 1, 1, CLU_RESULT_MOVED, 2), 0);
	runs(0, 1);
	/* once it runs it runs on */
	assert_int_equal(observed(&w, 1, 2, CLU_SEEN_CRASHED, 2), 0);
	assert_int_equal(dom(&w, 0)->phase, CLU_PHASE_RUNNING);
}

/* Both are lost with their host: again in that order. */
static void test_failover(void **state)
{
	char why[CLU_TEXT_MAX];
	(void)state;

	assert_int_equal(desire(&w, 0, CLU_DESIRED_RUNNING), 0);
	assert_int_equal(desire(&w, 1, CLU_DESIRED_RUNNING), 0);
	runs(0, 3);
	runs(1, 3);
	assert_int_equal(add(rule("guest00", "guest01")), 0);
	assert_int_equal(lost(&w, 3), 0);
	assert_int_equal(waited(&w, 1, 3), 0);
	assert_int_equal(waited(&w, 2, 3), 0);
	struct clu_cmd safe = cmd(CLU_CMD_HOST_SAFE, 1, NULL);
	safe.host = 3;
	safe.safe_by = CLU_SAFE_AGENT;
	assert_int_equal(apply(&w, &safe), 0);
	assert_int_equal(dom(&w, 0)->phase, CLU_PHASE_STOPPED);
	assert_true(waits(why));
	assert_int_equal(start(&w, 0, 1), -ESTALE);
	runs(1, 1);
	assert_false(waits(why));
	runs(0, 1);
}

/* A domain whose host is lost, or about to end it, is not up. */
static void test_host_goes(void **state)
{
	char why[CLU_TEXT_MAX];
	struct clu_cmd leave = cmd(CLU_CMD_LEAVE, 1, NULL);
	(void)state;

	assert_int_equal(desire(&w, 0, CLU_DESIRED_RUNNING), 0);
	assert_int_equal(desire(&w, 1, CLU_DESIRED_RUNNING), 0);
	runs(1, 1);
	assert_int_equal(add(rule("guest00", "guest01")), 0);
	leave.host = 1;
	leave.leaving = CLU_LEAVING_ENDING;
	assert_int_equal(apply(&w, &leave), 0);
	assert_true(waits(why));
	assert_non_null(strstr(why, "being shut down"));
	leave.leaving = CLU_LEAVING_NOT;
	assert_int_equal(apply(&w, &leave), 0);
	assert_false(waits(why));
	assert_int_equal(lost(&w, 1), 0);
	assert_true(waits(why));
	assert_non_null(strstr(why, "whose host is lost"));
}

static void test_soft(void **state)
{
	struct clu_rule r = rule("guest00", "guest01");
	(void)state;

	r.soft = true;
	assert_int_equal(add(r), 0);
	assert_int_equal(desire(&w, 0, CLU_DESIRED_RUNNING), 0);
	assert_int_equal(proposed(CLU_CMD_START), 0);
	assert_int_equal(desire(&w, 1, CLU_DESIRED_RUNNING), 0);
	assert_int_equal(proposed(CLU_CMD_START), 1);
	w.s.dom[1].phase = CLU_PHASE_FAILED;
	assert_int_equal(proposed(CLU_CMD_START), 0);
}

/* A name that no domain has binds nobody; nor does a rule about others. */
static void test_unknown(void **state)
{
	(void)state;
	assert_int_equal(add(rule("guest00", "guest77")), 0);
	assert_int_equal(add(rule("guest02", "guest01")), 0);
	assert_int_equal(desire(&w, 0, CLU_DESIRED_RUNNING), 0);
	assert_int_equal(proposed(CLU_CMD_START), 0);
}

static void test_health_and_delay(void **state)
{
	struct clu_rule r = rule("guest00", "guest01");
	char why[CLU_TEXT_MAX];
	(void)state;

	r.healthy = true;
	r.delay_ns = 20 * NS_PER_S;
	assert_int_equal(add(r), 0);
	assert_int_equal(desire(&w, 0, CLU_DESIRED_RUNNING), 0);
	assert_int_equal(desire(&w, 1, CLU_DESIRED_RUNNING), 0);
	runs(1, 1);
	assert_int_equal(proposed(CLU_CMD_START), -1);
	assert_true(waits(why));
	assert_non_null(strstr(why, "healthy"));
	measured[1].up_ns = now - 100 * NS_PER_S; /* that it runs is not enough */
	assert_true(waits(why));
	measured[1].well_ns = now - 5 * NS_PER_S;
	assert_int_equal(proposed(CLU_CMD_START), -1);
	assert_int_equal(out.next_ns, now + 15 * NS_PER_S);
	assert_true(waits(why));
	assert_string_equal(why, "waits for another 15 s after guest01 became healthy");
	now += 15 * NS_PER_S;
	assert_int_equal(proposed(CLU_CMD_START), 0);
	/* a clock that was set back by hours does not make it wait for hours */
	measured[1].well_ns = now + 7200 * NS_PER_S;
	assert_int_equal(proposed(CLU_CMD_START), 0);
	measured[1].well_ns = 0;
	assert_int_equal(proposed(CLU_CMD_START), -1);
	/* nothing is measured at all */
	load.dom = NULL;
	assert_int_equal(proposed(CLU_CMD_START), -1);
	load.dom = measured;
}

static void test_stop_order(void **state)
{
	(void)state;
	assert_int_equal(desire(&w, 0, CLU_DESIRED_RUNNING), 0);
	assert_int_equal(desire(&w, 1, CLU_DESIRED_RUNNING), 0);
	runs(1, 1);
	runs(0, 2);
	assert_int_equal(add(rule("guest00", "guest01")), 0);
	/* alone it is stopped at once */
	assert_int_equal(desire(&w, 1, CLU_DESIRED_STOPPED), 0);
	assert_int_equal(proposed(CLU_CMD_STOP), 1);
	assert_int_equal(desire(&w, 0, CLU_DESIRED_STOPPED), 0);
	assert_int_equal(proposed(CLU_CMD_STOP), 0);
	struct clu_cmd stop = out.cmd[0];
	stop.origin = 1;
	assert_int_equal(apply(&w, &stop), 0);
	assert_int_equal(proposed(CLU_CMD_STOP), -1);
	assert_ptr_equal(clu_after_there(&w.s, dom(&w, 1), 2), dom(&w, 0));
	assert_null(clu_after_there(&w.s, dom(&w, 1), 1));
	/* one that cannot be stopped holds up nobody */
	struct clu_cmd failed = cmd(CLU_CMD_RESULT, 2, uuid_of(0));
	failed.op_id = dom(&w, 0)->op_id;
	failed.result = CLU_RESULT_STOP_FAILED;
	failed.generation = 1;
	snprintf(failed.text, sizeof(failed.text), "it does not end");
	failed.time_ns = now;
	assert_int_equal(apply(&w, &failed), 0);
	assert_int_equal(proposed(CLU_CMD_STOP), 1);
	now += 100 * NS_PER_S;
	assert_int_equal(proposed(CLU_CMD_STOP), -2);
}

static void test_circles(void **state)
{
	struct clu_rule r = rule("guest02", "guest00");
	char why[CLU_TEXT_MAX];
	(void)state;

	assert_int_equal(add(rule("guest00", "guest01")), 0);
	assert_int_equal(add(rule("guest01", "guest02")), 0);
	assert_int_equal(clu_rule_check(&w.s, &r, why), -ELOOP);
	assert_string_equal(
		why, "it would have to start before itself: guest02 before guest01 before guest00 before guest02");
	assert_int_equal(add(r), -ELOOP);
	assert_string_equal(w.answer.text, why);
	r = rule("guest03", "guest03");
	assert_int_equal(add(r), -ELOOP);
	r = rule("guest03", "guest00");
	assert_int_equal(clu_rule_check(&w.s, &r, why), 0);
	assert_int_equal(add(r), 0);
	/* two ways to the same domain are no circle */
	r = rule("guest00", "guest02");
	assert_int_equal(add(r), 0);
	r = rule("guest03", "guest99");
	assert_int_equal(clu_rule_check(&w.s, &r, why), -ENOENT);
	r.kind = CLU_RULE_TOGETHER;
	snprintf(r.member[1], CLU_NAME_MAX, "guest01");
	r.healthy = true;
	assert_int_equal(clu_rule_check(&w.s, &r, why), -EINVAL);
	r.kind = CLU_RULE_AFTER;
	r.delay_ns = CLU_DELAY_MAX_NS + 1;
	assert_int_equal(clu_rule_check(&w.s, &r, why), -EINVAL);
	assert_int_equal(add(r), -EINVAL);
}

/* A rule that an older node can read has the record that it knows. */
static void test_record(void **state)
{
	static struct world copy;
	struct clu_rule r = rule("guest00", "guest01");
	uint8_t buf[CLU_RECORD_MAX];
	(void)state;

	r.healthy = true;
	r.delay_ns = 7;
	assert_int_equal(add(r), 0);
	r.kind = CLU_RULE_APART; /* what does not fit its kind is left out */
	assert_int_equal(add(r), 0);
	assert_true(clu_record_pack(&w.s, CLU_OBJ_RULE, 0, buf) && buf[0] == 2);
	assert_true(clu_record_pack(&w.s, CLU_OBJ_RULE, 1, buf) && buf[0] == 1);
	for (unsigned i = 3; i < NODES; i++) /* as they are in a fresh world */
		assert_int_equal(w.s.host[i].state, CLU_HOST_NEW);
	reload(&w, &copy);
	assert_memory_equal(w.s.rule, copy.s.rule, sizeof(copy.s.rule));
	assert_true(copy.s.rule[0].healthy && copy.s.rule[0].delay_ns == 7);
	assert_true(!copy.s.rule[1].healthy && !copy.s.rule[1].delay_ns);
}

int main(void)
{
	static const struct CMUnitTest t[] = {
		cmocka_unit_test_setup(test_order, setup),      cmocka_unit_test_setup(test_failover, setup),
		cmocka_unit_test_setup(test_host_goes, setup),  cmocka_unit_test_setup(test_soft, setup),
		cmocka_unit_test_setup(test_unknown, setup),    cmocka_unit_test_setup(test_health_and_delay, setup),
		cmocka_unit_test_setup(test_stop_order, setup), cmocka_unit_test_setup(test_circles, setup),
		cmocka_unit_test_setup(test_record, setup),
	};

	return cmocka_run_group_tests(t, NULL, NULL);
}
