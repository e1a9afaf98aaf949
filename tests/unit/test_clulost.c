/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The replicated state: hosts that are lost, become safe or leave, and what becomes of their domains. */
#include "config.h"
#include "tests/unit/cluapply.h"

static void test_failover_needs_a_majority_of_waits(void **state)
{
	static struct world w;

	(void)state;
	running(&w);
	assert_int_equal(lost(&w, 1), 0);
	assert_int_equal(lost(&w, 1), -EALREADY);
	assert_int_equal(waited(&w, 2, 1), 0);
	assert_int_equal(waited(&w, 2, 1), 0); /* twice by one node is once */
	assert_int_equal(waited(&w, 3, 1), 0);
	assert_int_equal(dom(&w, 0)->phase, CLU_PHASE_RUNNING);
	assert_int_equal(clu_host_of(&w.s, 1)->state, CLU_HOST_LOST);
	assert_int_equal(waited(&w, 4, 1), 0);
	assert_int_equal(clu_host_of(&w.s, 1)->state, CLU_HOST_SAFE);
	assert_int_equal(dom(&w, 0)->phase, CLU_PHASE_STOPPED);
	assert_true(dom(&w, 0)->force);
	assert_int_equal(start(&w, 0, 2), 0);
	assert_int_equal(dom(&w, 0)->generation, 2);
	assert_int_equal(result(&w, 0, 2, CLU_RESULT_STARTED, 2), 0);
	assert_false(dom(&w, 0)->force);
	/* the old owner comes back and says that it still has its copy: no longer its domain */
	struct clu_inventory inv = { .generation = 1 };
	strcpy(inv.uuid, uuid_of(0));
	assert_int_equal(host_up(&w, 1, &inv, 1), 0);
	assert_int_equal(dom(&w, 0)->host, 2);
	assert_int_equal(clu_todo(dom(&w, 0), 1), CLU_TODO_KILL);
}

static void test_waits_of_an_earlier_loss_do_not_count(void **state)
{
	static struct world w;

	(void)state;
	running(&w);
	assert_int_equal(lost(&w, 1), 0);
	uint64_t old_id = clu_host_of(&w.s, 1)->lost_id;
	assert_int_equal(waited(&w, 2, 1), 0);
	assert_int_equal(waited(&w, 3, 1), 0);
	struct clu_inventory inv = { .generation = 1 };
	strcpy(inv.uuid, uuid_of(0));
	assert_int_equal(host_up(&w, 1, &inv, 1), 0);
	assert_int_equal(dom(&w, 0)->phase, CLU_PHASE_RUNNING);
	assert_int_equal(lost(&w, 1), 0);
	struct clu_cmd late = cmd(CLU_CMD_WAITED, 4, NULL);
	late.host = 1;
	late.op_id = old_id;
	assert_int_equal(apply(&w, &late), -ESTALE);
	assert_int_equal(waited(&w, 4, 1), 0);
	assert_int_equal(clu_host_of(&w.s, 1)->state, CLU_HOST_LOST);
}

static void test_without_a_guard_only_agent_or_person_makes_safe(void **state)
{
	static struct world w;
	struct clu_cmd c = cmd(CLU_CMD_HOST_SAFE, 2, NULL);

	(void)state;
	running(&w);
	clu_host_of(&w.s, 1)->self_fencing = false;
	w.s.sum = clu_sum(&w.s);
	c.host = 1;
	c.safe_by = CLU_SAFE_PERSON;
	assert_int_equal(apply(&w, &c), -EBUSY); /* online */
	assert_int_equal(lost(&w, 1), 0);
	for (uint32_t i = 2; i <= NODES; i++)
		assert_int_equal(waited(&w, i, 1), 0);
	assert_int_equal(clu_host_of(&w.s, 1)->state, CLU_HOST_LOST);
	c.safe_by = CLU_SAFE_DEADLINE;
	assert_int_equal(apply(&w, &c), -EINVAL);
	c.safe_by = CLU_SAFE_AGENT;
	c.op_id = 1;
	assert_int_equal(apply(&w, &c), -ESTALE);
	c.op_id = clu_host_of(&w.s, 1)->lost_id;
	assert_int_equal(apply(&w, &c), 0);
	assert_int_equal(dom(&w, 0)->phase, CLU_PHASE_STOPPED);
}

static void safe_by_agent(struct world *w, uint32_t node)
{
	struct clu_cmd c = cmd(CLU_CMD_HOST_SAFE, 5, NULL);

	c.host = node;
	c.safe_by = CLU_SAFE_AGENT;
	assert_int_equal(lost(w, node), 0);
	assert_int_equal(apply(w, &c), 0);
}

static void test_migration_loses_an_end(void **state)
{
	static struct world w;

	(void)state;
	/* the source dies: the target has to say what it has */
	running(&w);
	assert_int_equal(move(&w, 0, 2), 0);
	safe_by_agent(&w, 1);
	assert_int_equal(dom(&w, 0)->phase, CLU_PHASE_RESOLVING);
	assert_int_equal(clu_todo(dom(&w, 0), 2), CLU_TODO_RESOLVE);
	assert_int_equal(result(&w, 0, 2, CLU_RESULT_KEPT, 2), 0);
	assert_int_equal(dom(&w, 0)->host, 2);
	/* the target dies: the source takes it back */
	assert_int_equal(move(&w, 0, 3), 0);
	safe_by_agent(&w, 3);
	assert_int_equal(clu_todo(dom(&w, 0), 2), CLU_TODO_RESOLVE);
	assert_int_equal(result(&w, 0, 2, CLU_RESULT_KEPT, 4), 0);
	/* both die: a start has to go above all generations that either could have */
	assert_int_equal(move(&w, 0, 4), 0);
	safe_by_agent(&w, 4);
	safe_by_agent(&w, 2);
	assert_int_equal(dom(&w, 0)->phase, CLU_PHASE_STOPPED);
	assert_true(dom(&w, 0)->force);
	assert_int_equal(start(&w, 0, 5), 0);
	assert_true(dom(&w, 0)->generation >= 7);
	/* the one that is asked has nothing */
	running(&w);
	assert_int_equal(move(&w, 0, 2), 0);
	safe_by_agent(&w, 1);
	assert_int_equal(result(&w, 0, 2, CLU_RESULT_ABSENT, 0), 0);
	assert_int_equal(dom(&w, 0)->phase, CLU_PHASE_STOPPED);
	assert_int_equal(dom(&w, 0)->host, 0);
}

static void test_target_tells_of_a_lost_source(void **state)
{
	static struct world w;

	(void)state;
	running(&w);
	assert_int_equal(move(&w, 0, 2), 0);
	assert_int_equal(lost(&w, 1), 0);
	assert_int_equal(observed(&w, 0, 2, CLU_SEEN_RUNNING, 1), -ESTALE);
	assert_int_equal(observed(&w, 0, 2, CLU_SEEN_RUNNING, 2), 0);
	assert_int_equal(dom(&w, 0)->host, 2);
	assert_int_equal(dom(&w, 0)->phase, CLU_PHASE_RUNNING);
	for (uint32_t i = 2; i <= 4; i++)
		assert_int_equal(waited(&w, i, 1), 0);
	assert_int_equal(dom(&w, 0)->phase, CLU_PHASE_RUNNING); /* not the lost host's any more */
}

static void stopping_clocks(struct world *w, enum clu_stopping_clocks v, int r)
{
	struct clu_cmd c = cmd(CLU_CMD_POLICY, 1, NULL);

	clu_policy_default(&c.policy);
	c.policy.stopping_clocks = v;
	assert_int_equal(apply(w, &c), r);
}

/* A machine whose clocks its hypervisor stops with it may be one that goes on and believes in its lease. */
static void test_clocks_that_may_stop(void **state)
{
	static struct world w, copy;
	struct clu_inventory inv = { .generation = 1 };
	struct clu_cmd c = cmd(CLU_CMD_HOST_UP, 1, NULL);
	uint8_t buf[CLU_RECORD_MAX];
	(void)state;

	running(&w);
	strcpy(inv.uuid, uuid_of(0));
	c.boot = 101;
	c.self_fencing = c.clock_stops = true;
	c.lease_ns = 1000;
	c.cap.mem_bytes = 1ull << 30;
	c.rev = w.s.index;
	c.inventory = &inv;
	c.n_inventory = 1;
	assert_int_equal(apply(&w, &c), 0);
	assert_true(clu_record_pack(&w.s, CLU_OBJ_HOST, 0, buf));
	assert_int_equal(buf[0], 3);
	assert_true(clu_record_pack(&w.s, CLU_OBJ_HOST, 1, buf));
	assert_int_equal(buf[0], 1); /* others: as older nodes read them */
	reload(&w, &copy);
	assert_true(clu_host_of(&copy.s, 1)->clock_stops);
	assert_int_equal(lost(&w, 1), 0);
	for (uint32_t i = 2; i <= NODES; i++)
		assert_int_equal(waited(&w, i, 1), 0);
	assert_int_equal(clu_host_of(&w.s, 1)->state, CLU_HOST_LOST);
	assert_int_equal(dom(&w, 0)->phase, CLU_PHASE_RUNNING);
	/* somebody says that it is never paused: what was waited counts */
	stopping_clocks(&w, (enum clu_stopping_clocks)2, -EINVAL);
	stopping_clocks(&w, CLU_STOPPING_CLOCKS_TRUST, 0);
	assert_true(clu_record_pack(&w.s, CLU_OBJ_POLICY, 0, buf));
	assert_int_equal(buf[0], 4);
	reload(&w, &copy);
	assert_int_equal(copy.s.policy.stopping_clocks, CLU_STOPPING_CLOCKS_TRUST);
	assert_int_equal(clu_host_of(&w.s, 1)->state, CLU_HOST_SAFE);
	assert_int_equal(clu_host_of(&w.s, 1)->safe_by, CLU_SAFE_DEADLINE);
	assert_int_equal(dom(&w, 0)->phase, CLU_PHASE_STOPPED);
	/* and with that policy a majority is enough; without it a person's word is */
	c.n_inventory = 0;
	c.rev = w.s.index;
	assert_int_equal(apply(&w, &c), 0);
	assert_int_equal(lost(&w, 1), 0);
	for (uint32_t i = 2; i <= NODES / 2 + 2; i++)
		assert_int_equal(waited(&w, i, 1), 0);
	assert_int_equal(clu_host_of(&w.s, 1)->state, CLU_HOST_SAFE);
	stopping_clocks(&w, CLU_STOPPING_CLOCKS_FENCE, 0);
	c.rev = w.s.index;
	assert_int_equal(apply(&w, &c), 0);
	assert_int_equal(lost(&w, 1), 0);
	for (uint32_t i = 2; i <= NODES; i++)
		assert_int_equal(waited(&w, i, 1), 0);
	assert_int_equal(clu_host_of(&w.s, 1)->state, CLU_HOST_LOST);
	struct clu_cmd safe = cmd(CLU_CMD_HOST_SAFE, 2, NULL);
	safe.host = 1;
	safe.safe_by = CLU_SAFE_PERSON;
	assert_int_equal(apply(&w, &safe), 0);
	assert_int_equal(clu_host_of(&w.s, 1)->safe_by, CLU_SAFE_PERSON);
}

static int left(struct world *w, uint32_t node, uint64_t up_id)
{
	struct clu_cmd c = cmd(CLU_CMD_LEFT, node, NULL);

	c.op_id = up_id;
	return apply(w, &c);
}

static void test_a_host_that_leaves_in_order(void **state)
{
	static struct world w, copy;
	struct clu_cmd c;
	uint8_t buf[CLU_RECORD_MAX];

	(void)state;
	running(&w);
	assert_int_equal(define(&w, 1), 0);
	assert_int_equal(desire(&w, 1, CLU_DESIRED_RUNNING), 0);
	assert_int_equal(start(&w, 1, 1), 0);
	uint64_t up = w.s.host[0].up_id;
	assert_int_equal(host_up(&w, 1, (struct clu_inventory[]){ { .generation = 1 } }, 0),
	                 0); /* says its capacity anew */
	assert_int_equal(dom(&w, 1)->phase, CLU_PHASE_STARTING);
	assert_int_equal(left(&w, 1, up), -ESTALE); /* said before that */
	assert_int_equal(w.s.host[0].state, CLU_HOST_ONLINE);
	c = cmd(CLU_CMD_LEAVE, 1, NULL);
	c.host = 1;
	c.leaving = CLU_LEAVING_ENDING;
	assert_int_equal(apply(&w, &c), 0);
	assert_int_equal(start(&w, 0, 1), -EBUSY);
	assert_true(clu_record_pack(&w.s, CLU_OBJ_HOST, 0, buf));
	assert_int_equal(buf[0], 2);
	reload(&w, &copy);
	assert_int_equal(copy.s.host[0].leaving, CLU_LEAVING_ENDING);
	c.leaving = (enum clu_leaving)3;
	assert_int_equal(apply(&w, &c), -EINVAL);
	assert_int_equal(left(&w, 1, w.s.host[0].up_id), 0);
	assert_int_equal(w.s.host[0].state, CLU_HOST_SAFE);
	assert_int_equal(w.s.host[0].safe_by, CLU_SAFE_LEFT);
	assert_int_equal(dom(&w, 1)->phase, CLU_PHASE_STOPPED);
	assert_int_equal(dom(&w, 1)->desired, CLU_DESIRED_RUNNING);
	assert_true(dom(&w, 1)->force);
	assert_int_equal(dom(&w, 1)->home, 1);
	assert_int_equal(lost(&w, 1), -EALREADY);            /* it is gone already */
	assert_int_equal(left(&w, 1, w.s.host[0].up_id), 0); /* twice does no harm */
	assert_int_equal(start(&w, 1, 2), 0);
	assert_int_equal(host_up(&w, 1, NULL, 0), 0);
	assert_int_equal(w.s.host[0].state, CLU_HOST_ONLINE);
	assert_int_equal(w.s.host[0].leaving, CLU_LEAVING_NOT);
	/* one that was taken for lost meanwhile says the same */
	assert_int_equal(lost(&w, 1), 0);
	assert_int_equal(left(&w, 1, w.s.host[0].up_id), 0);
	assert_int_equal(w.s.host[0].state, CLU_HOST_SAFE);
}

static void test_ended_for_its_host(void **state)
{
	static struct world w;

	(void)state;
	running(&w);
	uint32_t host = dom(&w, 0)->host;
	assert_int_equal(observed(&w, 0, host, CLU_SEEN_ENDED, dom(&w, 0)->generation), 0);
	assert_int_equal(dom(&w, 0)->phase, CLU_PHASE_STOPPED);
	assert_int_equal(dom(&w, 0)->desired, CLU_DESIRED_RUNNING);
	assert_int_equal(dom(&w, 0)->failures, 0);
	assert_int_equal(dom(&w, 0)->retry_ns, 0);
	assert_int_equal(dom(&w, 0)->home, host);
	assert_int_equal(start(&w, 0, 2), 0);
	assert_int_equal(result(&w, 0, 2, CLU_RESULT_STARTED, dom(&w, 0)->generation), 0);
	dom(&w, 0)->spec.ha = false; /* stays with its host */
	w.s.sum = clu_sum(&w.s);
	assert_int_equal(observed(&w, 0, 2, CLU_SEEN_ENDED, dom(&w, 0)->generation), -EALREADY);
	assert_int_equal(left(&w, 2, w.s.host[1].up_id), 0);
	assert_int_equal(dom(&w, 0)->phase, CLU_PHASE_RUNNING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_failover_needs_a_majority_of_waits),
		cmocka_unit_test(test_waits_of_an_earlier_loss_do_not_count),
		cmocka_unit_test(test_without_a_guard_only_agent_or_person_makes_safe),
		cmocka_unit_test(test_migration_loses_an_end),
		cmocka_unit_test(test_target_tells_of_a_lost_source),
		cmocka_unit_test(test_clocks_that_may_stop),
		cmocka_unit_test(test_a_host_that_leaves_in_order),
		cmocka_unit_test(test_ended_for_its_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
