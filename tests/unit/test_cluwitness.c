/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A witness in the replicated state: it votes, and nothing is given to it, whatever is asked. ADR 93. */
#include "config.h"
#include "clusterd/core/decide.h"
#include "tests/unit/cluapply.h"

static int witness_up(struct world *w, uint32_t node, const struct clu_inventory *inv, uint32_t n)
{
	struct clu_cmd c = cmd(CLU_CMD_HOST_UP, node, NULL);

	c.boot = 100 + node;
	c.witness = true;
	c.rev = w->s.index;
	c.inventory = inv;
	c.n_inventory = n;
	return apply(w, &c);
}

static const struct clu_host *host(const struct world *w, uint32_t node)
{
	return clu_host_of(&w->s, node);
}

/* Hosts 1 and 2 and the witness 3 are all that is online. */
static void two_and_one(struct world *w)
{
	world_init(w);
	assert_int_equal(host_up(w, 1, NULL, 0), 0);
	assert_int_equal(host_up(w, 2, NULL, 0), 0);
	for (unsigned i = 0; i < 2; i++)
		w->s.host[i].cap.engines = CLU_ENGINE_PV;
	w->s.sum = clu_sum(&w->s);
	assert_int_equal(witness_up(w, 3, NULL, 0), 0);
	assert_int_equal(define(w, 0), 0);
	assert_int_equal(desire(w, 0, CLU_DESIRED_RUNNING), 0);
}

static void test_takes_nothing(void **state)
{
	static struct world w, copy;
	static struct clu_proposals out;
	uint8_t buf[CLU_RECORD_MAX];
	struct clu_verdict v;
	char why[CLU_TEXT_MAX];

	(void)state;
	two_and_one(&w);
	assert_true(host(&w, 3)->witness && host(&w, 3)->state == CLU_HOST_ONLINE);
	assert_int_equal(start(&w, 0, 3), -EINVAL);
	assert_non_null(strstr(w.answer.text, "witness"));
	assert_int_equal(start(&w, 0, 1), 0);
	assert_int_equal(result(&w, 0, 1, CLU_RESULT_STARTED, 1), 0);
	assert_int_equal(move(&w, 0, 3), -EINVAL);
	assert_non_null(strstr(w.answer.text, "witness"));
	/* nor is it chosen, and explain says why */
	clu_judge(&w.s, NULL, dom(&w, 0), 2, &v);
	assert_int_equal(v.why, CLU_WHY_WITNESS);
	assert_string_equal(clu_why_name(v.why), "witness");
	assert_non_null(strstr(v.text, "witness"));
	assert_int_equal(clu_place(&w.s, NULL, dom(&w, 0), true, why), 2);
	assert_int_equal(lost(&w, 2), 0);
	assert_int_equal(clu_place(&w.s, NULL, dom(&w, 0), true, why), 0);
	/* a drain has nowhere to go to then */
	struct clu_cmd c = cmd(CLU_CMD_MAINTENANCE, 1, NULL);
	const uint32_t member[] = { 1, 3 };
	struct clu_view view = { .member = member, .n = 2, .commit = UINT64_MAX };
	c.host = 1;
	c.on = true;
	assert_int_equal(apply(&w, &c), 0);
	clu_decide(&w.s, &view, NULL, 1, &out);
	assert_int_equal(out.n, 0);
	/* its record says what it is; others' are as older nodes read them */
	assert_true(clu_record_pack(&w.s, CLU_OBJ_HOST, 2, buf));
	assert_int_equal(buf[0], 5);
	assert_true(clu_record_pack(&w.s, CLU_OBJ_HOST, 0, buf));
	assert_int_equal(buf[0], 1);
	reload(&w, &copy);
	assert_true(host(&copy, 3)->witness);
}

static void test_not_where_domains_are(void **state)
{
	static struct world w;
	struct clu_inventory inv = { .generation = 1 };

	(void)state;
	two_and_one(&w);
	assert_int_equal(start(&w, 0, 1), 0);
	assert_int_equal(witness_up(&w, 1, NULL, 0), -EBUSY);
	assert_false(host(&w, 1)->witness);
	assert_int_equal(result(&w, 0, 1, CLU_RESULT_STARTED, 1), 0);
	assert_int_equal(move(&w, 0, 2), 0);
	assert_int_equal(witness_up(&w, 2, NULL, 0), -EBUSY); /* it is on its way there */
	assert_non_null(strstr(w.answer.text, "guest00"));
	/* nor with a copy of which the state knows nothing */
	strcpy(inv.uuid, uuid_of(7));
	assert_int_equal(witness_up(&w, 4, &inv, 1), -EBUSY);
	assert_int_equal(host(&w, 4)->state, CLU_HOST_NEW);
	/* a witness becomes a host by its next word */
	assert_int_equal(host_up(&w, 3, NULL, 0), 0);
	assert_false(host(&w, 3)->witness);
}

/* Nothing of it has to be ended: a majority's wait makes it safe, without a guard, and no fence agent is asked. */
static void test_lost(void **state)
{
	static struct world w;
	static struct clu_proposals out;
	const uint32_t member[] = { 1, 2 };
	struct clu_view view = { .member = member, .n = 2, .commit = UINT64_MAX };

	(void)state;
	two_and_one(&w);
	assert_int_equal(start(&w, 0, 1), 0);
	assert_int_equal(result(&w, 0, 1, CLU_RESULT_STARTED, 1), 0);
	clu_decide(&w.s, &view, NULL, 1, &out);
	assert_int_equal(out.n, 1);
	assert_int_equal(out.cmd[0].kind, CLU_CMD_HOST_LOST);
	assert_int_equal(lost(&w, 3), 0);
	clu_decide(&w.s, &view, NULL, 1, &out);
	assert_int_equal(out.n, 0);
	assert_false(clu_bit(out.fence, 2));
	assert_int_equal(waited(&w, 1, 3), 0);
	assert_int_equal(waited(&w, 2, 3), 0);
	assert_int_equal(waited(&w, 4, 3), 0);
	assert_int_equal(host(&w, 3)->state, CLU_HOST_SAFE);
	assert_int_equal(dom(&w, 0)->phase, CLU_PHASE_RUNNING);
	assert_int_equal(dom(&w, 0)->host, 1);
	/* its word counts for others as ever */
	assert_int_equal(witness_up(&w, 3, NULL, 0), 0);
	assert_int_equal(lost(&w, 1), 0);
	assert_int_equal(waited(&w, 2, 1), 0);
	assert_int_equal(waited(&w, 4, 1), 0);
	assert_int_equal(host(&w, 1)->state, CLU_HOST_LOST);
	assert_int_equal(waited(&w, 3, 1), 0);
	assert_int_equal(host(&w, 1)->state, CLU_HOST_SAFE);
	assert_int_equal(dom(&w, 0)->phase, CLU_PHASE_STOPPED);
}

static void test_rules(void **state)
{
	static struct world w;
	struct clu_rule apart = { .kind = CLU_RULE_APART, .n = 3 }, only = { .kind = CLU_RULE_HOSTS, .n = 2 };
	char why[CLU_TEXT_MAX];

	(void)state;
	two_and_one(&w);
	assert_int_equal(witness_up(&w, 4, NULL, 0), 0);
	assert_int_equal(witness_up(&w, 5, NULL, 0), 0);
	for (unsigned i = 1; i < 3; i++)
		assert_int_equal(define(&w, i), 0);
	for (unsigned i = 0; i < 3; i++)
		strcpy(apart.member[i], dom(&w, i)->name);
	assert_true(clu_rule_check(&w.s, &apart, why) < 0); /* three that are apart on two hosts */
	apart.n = 2;
	assert_int_equal(clu_rule_check(&w.s, &apart, why), 0);
	strcpy(only.member[0], dom(&w, 0)->name);
	strcpy(only.member[1], "host-c");
	assert_int_equal(clu_rule_check(&w.s, &only, why), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_takes_nothing),
		cmocka_unit_test(test_not_where_domains_are),
		cmocka_unit_test(test_lost),
		cmocka_unit_test(test_rules),
	};

	return cmocka_run_group_tests_name("cluwitness", tests, NULL, NULL);
}
