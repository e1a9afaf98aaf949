/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What people order besides rules: SET of a domain, SPARE of a host, drains that end by themselves; what decisions and plans make of it. */
#include "config.h"
#include <errno.h>
#include "clusterd/core/decide.h"
#include "clusterd/core/level.h"
#include "clusterd/core/plan.h"
#include "clusterd/core/rehearse.h"
#include "clusterd/core/settings.h"
#include "common/util.h"
#include "tests/unit/cluapply.h"

#define S NS_PER_S

static struct world w;
static struct clu_load load;
static struct clu_proposals out;

static int setup(void **state)
{
	(void)state;
	world_init(&w);
	load.time_ns = 1000 * S;
	for (uint32_t i = 1; i <= 3; i++)
		assert_int_equal(host_up(&w, i, NULL, 0), 0);
	for (unsigned i = 0; i < 3; i++) {
		w.s.host[i].cap.engines = CLU_ENGINE_PV;
		w.s.host[i].cap.cpu_milli = 8000;
	}
	w.s.sum = clu_sum(&w.s);
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(define(&w, i), 0);
	return 0;
}

static int at(struct clu_cmd c, uint64_t time_s)
{
	c.time_ns = time_s * S;
	return apply(&w, &c);
}

static int set(unsigned i, uint32_t mask, struct clu_settings to)
{
	struct clu_cmd c = cmd(CLU_CMD_SET, 1, uuid_of(i));

	c.mask = mask;
	c.set = to;
	return apply(&w, &c);
}

static int spare(uint32_t node, bool on)
{
	struct clu_cmd c = cmd(CLU_CMD_SPARE, 1, NULL);

	c.host = node;
	c.on = on;
	return apply(&w, &c);
}

static int maintenance(uint32_t node, bool on, bool back)
{
	struct clu_cmd c = cmd(CLU_CMD_MAINTENANCE, 1, NULL);

	c.host = node;
	c.on = on;
	c.desired = back ? CLU_DESIRED_RUNNING : CLU_DESIRED_STOPPED;
	return apply(&w, &c);
}

static void runs(unsigned i, uint32_t node)
{
	assert_int_equal(desire(&w, i, CLU_DESIRED_RUNNING), 0);
	assert_int_equal(start(&w, i, node), 0);
	assert_int_equal(result(&w, i, node, CLU_RESULT_STARTED, dom(&w, i)->generation), 0);
}

static void crash(unsigned i, uint64_t time_s)
{
	struct clu_cmd c = cmd(CLU_CMD_OBSERVED, dom(&w, i)->host, uuid_of(i));

	c.seen = CLU_SEEN_CRASHED;
	c.generation = dom(&w, i)->generation;
	assert_int_equal(at(c, time_s), 0);
}

static void again(unsigned i, uint32_t node)
{
	assert_int_equal(dom(&w, i)->phase, CLU_PHASE_STOPPED);
	assert_int_equal(start(&w, i, node), 0);
	assert_int_equal(result(&w, i, node, CLU_RESULT_STARTED, dom(&w, i)->generation), 0);
}

static const struct clu_cmd *proposed(enum clu_cmd_kind kind, unsigned i)
{
	static const uint32_t member[] = { 1, 2, 3 };
	struct clu_view v = { .member = member, .n = 3, .commit = UINT64_MAX };

	clu_decide(&w.s, &v, &load, load.time_ns, &out);
	for (uint32_t k = 0; k < out.n; k++)
		if (out.cmd[k].kind == kind && !strcmp(out.cmd[k].uuid, uuid_of(i)))
			return &out.cmd[k];
	return NULL;
}

static void test_restarts(void **state)
{
	struct clu_settings two = { .has = CLU_SET_RESTARTS, .restarts = 2, .restart_ns = 100 * S };
	(void)state;

	assert_int_equal(set(0, CLU_SET_RESTARTS, two), 0);
	runs(0, 1);
	crash(0, 10);
	again(0, 1);
	crash(0, 50);
	again(0, 2);
	/* the time is over: counted anew */
	crash(0, 111);
	assert_int_equal(dom(&w, 0)->failures, 1);
	again(0, 1);
	crash(0, 120);
	again(0, 1);
	crash(0, 211);
	assert_int_equal(dom(&w, 0)->phase, CLU_PHASE_FAILED);
	/* redefined it is as it was; a person has it tried again */
	assert_int_equal(define(&w, 0), 0);
	assert_int_equal(dom(&w, 0)->set.restarts, 2);
	struct clu_cmd reset = cmd(CLU_CMD_SET, 1, uuid_of(0));
	reset.on = true;
	assert_int_equal(apply(&w, &reset), 0);
	assert_int_equal(dom(&w, 0)->failures, 0);
	again(0, 1);
	/* none at all */
	two.restarts = 0;
	assert_int_equal(set(0, CLU_SET_RESTARTS, two), 0);
	crash(0, 300);
	assert_int_equal(dom(&w, 0)->phase, CLU_PHASE_FAILED);
	assert_int_equal(desire(&w, 0, CLU_DESIRED_RUNNING), 0);
	assert_int_equal(dom(&w, 0)->phase, CLU_PHASE_STOPPED);
	/* back to the policy's */
	assert_int_equal(set(0, CLU_SET_RESTARTS, (struct clu_settings){ 0 }), 0);
	uint64_t ns;
	assert_int_equal(clu_crashes_max(&w.s, dom(&w, 0), &ns), w.s.policy.restart_max);
	assert_int_equal(ns, w.s.policy.restart_window_ns);
}

static void test_priority(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(desire(&w, i, CLU_DESIRED_RUNNING), 0);
	assert_int_equal(set(2, CLU_SET_PRIORITY, (struct clu_settings){ .has = CLU_SET_PRIORITY, .priority = 7 }), 0);
	assert_int_equal(set(0, CLU_SET_PRIORITY, (struct clu_settings){ .has = CLU_SET_PRIORITY, .priority = -7 }), 0);
	assert_non_null(proposed(CLU_CMD_START, 0));
	assert_string_equal(out.cmd[0].uuid, uuid_of(2));
	assert_string_equal(out.cmd[1].uuid, uuid_of(1));
	assert_string_equal(out.cmd[2].uuid, uuid_of(0));
}

static void test_refused(void **state)
{
	struct clu_settings s = { .has = CLU_SET_PRIORITY, .priority = CLU_PRIORITY_MOST + 1 };
	(void)state;

	assert_int_equal(set(0, CLU_SET_PRIORITY, s), -EINVAL);
	s.priority = 1;
	assert_int_equal(set(0, CLU_SET_RESTARTS, s), -EINVAL); /* a bit that the mask has not */
	assert_int_equal(set(0, 16, (struct clu_settings){ 0 }), -EINVAL);
	assert_int_equal(set(0, 0, (struct clu_settings){ 0 }), -EINVAL); /* nothing */
	assert_int_equal(set(0, CLU_SET_COOLDOWN, (struct clu_settings){ .cooldown_ns = 1 }), -EINVAL);
	assert_int_equal(set(9, CLU_SET_NO_BALANCE, (struct clu_settings){ .has = CLU_SET_NO_BALANCE }), -ENOENT);
	assert_int_equal(dom(&w, 0)->set.has, 0);
	assert_int_equal(spare(77, true), -ENOENT);
}

/* How many moves a plan has, and whether @i is among them. */
static uint32_t plan(unsigned i, bool *ret_moves, enum clu_plan_reason *ret_reason)
{
	struct clu_plan_params p;
	struct clu_plan_result r;
	struct clu_plan_move m[8];
	size_t n = clu_plan_balance_bytes(&w.s);
	void *ws = malloc(n);

	clu_plan_params_default(&p, NULL);
	p.threshold = p.gain_min = p.enough = 0;
	p.move_worth = p.cost_weight = 0;
	clu_plan_balance(&w.s, &load, &p, ws, n, m, 8, &r);
	*ret_moves = false;
	for (uint32_t k = 0; k < r.n_moves; k++) {
		*ret_moves |= &w.s.dom[m[k].dom] == dom(&w, i);
		*ret_reason = m[k].reason;
	}
	free(ws);
	return r.n_moves;
}

static void test_not_balanced(void **state)
{
	enum clu_plan_reason why;
	bool moves;
	(void)state;

	runs(0, 1);
	runs(1, 1);
	assert_int_equal(set(0, CLU_SET_NO_BALANCE, (struct clu_settings){ .has = CLU_SET_NO_BALANCE }), 0);
	assert_true(plan(0, &moves, &why) >= 1 && !moves);
	assert_int_equal(set(1, CLU_SET_NO_BALANCE, (struct clu_settings){ .has = CLU_SET_NO_BALANCE }), 0);
	assert_int_equal(plan(1, &moves, &why), 0);
	assert_int_equal(set(0, CLU_SET_NO_BALANCE, (struct clu_settings){ 0 }), 0);
	assert_true(plan(0, &moves, &why) >= 1 && moves);
	/* a drain moves it; it is not brought back, others are */
	assert_int_equal(maintenance(1, true, false), 0);
	assert_non_null(proposed(CLU_CMD_MOVE, 0));
	assert_non_null(proposed(CLU_CMD_MOVE, 1));
	for (unsigned i = 0; i < 2; i++) {
		struct clu_cmd c = *proposed(CLU_CMD_MOVE, i);
		assert_int_equal(apply(&w, &c), 0);
		assert_int_equal(result(&w, i, 1, CLU_RESULT_MOVED, dom(&w, i)->generation + 1), 0);
		assert_int_equal(dom(&w, i)->home, 1);
	}
	assert_int_equal(maintenance(1, false, true), 0);
	assert_non_null(proposed(CLU_CMD_MOVE, 0));
	assert_null(proposed(CLU_CMD_MOVE, 1));
}

static void test_cool_down(void **state)
{
	enum clu_plan_reason why;
	bool moves;
	uint64_t until;
	(void)state;

	runs(0, 1);
	runs(1, 2);
	assert_int_equal(set(0, CLU_SET_COOLDOWN,
	                     (struct clu_settings){ .has = CLU_SET_COOLDOWN, .cooldown_ns = 60 * S }),
	                 0);
	assert_false(clu_stays(dom(&w, 0), 0, NULL)); /* it has not moved */
	assert_int_equal(move(&w, 0, 2), 0);
	struct clu_cmd c = cmd(CLU_CMD_RESULT, 1, uuid_of(0));
	c.op_id = dom(&w, 0)->op_id;
	c.result = CLU_RESULT_MOVED;
	c.generation = dom(&w, 0)->generation + 1;
	assert_int_equal(at(c, 1000), 0);
	assert_true(clu_stays(dom(&w, 0), 997 * S, NULL));  /* by a clock that is behind */
	assert_false(clu_stays(dom(&w, 0), 100 * S, NULL)); /* by one that was set back */
	load.time_ns = 1059 * S;
	assert_true(clu_stays(dom(&w, 0), load.time_ns, &until) && until == 1060 * S);
	assert_true(plan(0, &moves, &why) >= 1 && !moves); /* the other one goes */
	assert_int_equal(set(1, CLU_SET_NO_BALANCE, (struct clu_settings){ .has = CLU_SET_NO_BALANCE }), 0);
	assert_int_equal(plan(0, &moves, &why), 0);
	load.time_ns = 1060 * S;
	assert_true(plan(0, &moves, &why) >= 1 && moves);
	/* a start is no move; without a cool-down the time is forgotten */
	crash(0, 1100);
	again(0, 3);
	assert_int_equal(dom(&w, 0)->moved_ns, 1000 * S);
	assert_int_equal(set(0, CLU_SET_COOLDOWN, (struct clu_settings){ 0 }), 0);
	assert_int_equal(dom(&w, 0)->moved_ns, 0);
}

static void test_spare(void **state)
{
	enum clu_plan_reason why;
	struct clu_verdict v;
	bool moves;
	(void)state;

	assert_int_equal(spare(3, true), 0);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(desire(&w, i, CLU_DESIRED_RUNNING), 0);
	for (unsigned i = 0; i < 4; i++)
		assert_true(proposed(CLU_CMD_START, i) && proposed(CLU_CMD_START, i)->host != 3);
	clu_judge(&w.s, &load, dom(&w, 0), 2, &v);
	assert_int_equal(v.why, CLU_WHY_SPARE);
	assert_string_equal(clu_why_name(v.why), "spare");
	for (unsigned i = 0; i < 4; i++)
		runs(i, 1 + i % 2);
	assert_int_equal(plan(0, &moves, &why), 0);
	/* a host is emptied: there is need */
	assert_int_equal(maintenance(1, true, false), 0);
	assert_true(clu_spare_open(&w.s, 2));
	struct clu_cmd c = *proposed(CLU_CMD_MOVE, 0);
	assert_int_equal(c.target, 3); /* the emptiest */
	assert_int_equal(apply(&w, &c), 0);
	assert_int_equal(result(&w, 0, 1, CLU_RESULT_MOVED, dom(&w, 0)->generation + 1), 0);
	assert_int_equal(maintenance(1, false, false), 0);
	/* no longer: it is left, whatever the spread */
	assert_false(clu_spare_open(&w.s, 2));
	assert_true(clu_plan_spare_used(&w.s, &load));
	assert_int_equal(plan(0, &moves, &why), 1);
	assert_true(moves && why == CLU_PLAN_REPAIR_SPARE);
	assert_int_equal(set(0, CLU_SET_NO_BALANCE, (struct clu_settings){ .has = CLU_SET_NO_BALANCE }), 0);
	assert_false(clu_plan_spare_used(&w.s, &load));
	assert_int_equal(plan(0, &moves, &why), 0);
	/* its own maintenance is no need of others; the loss of one is */
	assert_int_equal(maintenance(3, true, false), 0);
	assert_false(clu_spare_open(&w.s, 2));
	assert_int_equal(maintenance(3, false, false), 0);
	assert_int_equal(lost(&w, 2), 0);
	assert_true(clu_spare_open(&w.s, 2));
	/* nothing but spares: they are hosts as any */
	assert_int_equal(host_up(&w, 2, NULL, 0), 0);
	assert_int_equal(spare(1, true), 0);
	assert_int_equal(spare(2, true), 0);
	assert_true(clu_spare_open(&w.s, 0) && clu_spare_open(&w.s, 1) && clu_spare_open(&w.s, 2));
	assert_int_equal(spare(1, false), 0);
	assert_false(clu_spare_open(&w.s, 2));
}

/* The loss of one host of two, with a spare: there is room, and none without. */
static void test_admission(void **state)
{
	char why[CLU_TEXT_MAX];
	(void)state;

	assert_int_equal(spare(3, true), 0);
	runs(0, 1);
	runs(1, 2);
	dom(&w, 0)->spec.mem_bytes = dom(&w, 1)->spec.mem_bytes = 700u << 20;
	w.s.sum = clu_sum(&w.s);
	assert_int_equal(clu_admit(&w.s, &load, NULL, why), 0);
	assert_int_equal(maintenance(3, true, false), 0);
	assert_int_not_equal(clu_admit(&w.s, &load, NULL, why), 0);
}

static void test_until_back(void **state)
{
	struct clu_cmd left = cmd(CLU_CMD_LEFT, 1, NULL);
	(void)state;

	runs(0, 1);
	assert_int_equal(maintenance(1, true, true), 0);
	struct clu_cmd c = *proposed(CLU_CMD_MOVE, 0);
	assert_int_equal(apply(&w, &c), 0);
	assert_int_equal(result(&w, 0, 1, CLU_RESULT_MOVED, dom(&w, 0)->generation + 1), 0);
	/* another clusterd there, while it is up: that is no return */
	assert_int_equal(lost(&w, 1), 0);
	assert_int_equal(host_up(&w, 1, NULL, 0), 0);
	assert_true(w.s.host[0].maintenance && w.s.host[0].until_back);
	left.op_id = w.s.host[0].up_id;
	assert_int_equal(apply(&w, &left), 0);
	assert_int_equal(w.s.host[0].state, CLU_HOST_SAFE);
	assert_int_equal(host_up(&w, 1, NULL, 0), 0);
	assert_true(!w.s.host[0].maintenance && !w.s.host[0].until_back && w.s.host[0].returning);
	w.s.host[0].cap.engines = CLU_ENGINE_PV;
	assert_non_null(proposed(CLU_CMD_MOVE, 0));
}

static void test_records(void **state)
{
	static struct world copy;
	uint8_t buf[CLU_RECORD_MAX];
	(void)state;

	for (unsigned i = 3; i < NODES; i++) /* as they are in a fresh world */
		assert_int_equal(w.s.host[i].state, CLU_HOST_NEW);
	assert_true(clu_record_pack(&w.s, CLU_OBJ_DOM, 0, buf) && buf[0] == 1);
	assert_int_equal(
		set(0, CLU_SET_ALL,
	            (struct clu_settings){
			    .has = CLU_SET_ALL, .priority = -5, .restarts = 3, .restart_ns = 9, .cooldown_ns = 11 }),
		0);
	size_t n = clu_record_pack(&w.s, CLU_OBJ_DOM, 0, buf);
	assert_int_equal(buf[0], 4);
	assert_int_equal(spare(2, true), 0);
	assert_int_equal(maintenance(1, true, true), 0);
	reload(&w, &copy);
	assert_memory_equal(&w.s.dom[0].set, &copy.s.dom[0].set, sizeof(copy.s.dom[0].set));
	assert_true(copy.s.host[1].spare && copy.s.host[0].until_back);
	/* one form of each: a value without its bit is not read */
	buf[n - 8 - 28] &= (uint8_t)~CLU_SET_PRIORITY; /* has, priority, restarts, two times, moved_ns */
	assert_int_equal(clu_record_unpack(&copy.s, CLU_OBJ_DOM, 0, buf, n), -EPROTO);
	assert_int_equal(set(0, CLU_SET_ALL, (struct clu_settings){ 0 }), 0);
	assert_true(clu_record_pack(&w.s, CLU_OBJ_DOM, 0, buf) && buf[0] == 1);
}

static void test_levels(void **state)
{
	struct clu_cmd c = { .kind = CLU_CMD_SET };
	(void)state;

	assert_true(clu_cmd_needs(&c) && clu_cmd_needs(&c)->level == 1);
	c.kind = CLU_CMD_SPARE;
	assert_non_null(clu_cmd_needs(&c));
	c.kind = CLU_CMD_MAINTENANCE;
	c.on = true;
	assert_null(clu_cmd_needs(&c));
	c.desired = CLU_DESIRED_RUNNING;
	assert_non_null(clu_cmd_needs(&c));
	c.on = false; /* --bring-back is of 0.1.0 */
	assert_null(clu_cmd_needs(&c));
}

/* Who starts after another one is rehearsed after it, and later; who waits for one that is not to run is not. */
static void test_rehearsal(void **state)
{
	struct clu_cmd r = cmd(CLU_CMD_RULE_ADD, 1, NULL);
	uint16_t order[DOMS];
	uint64_t up[DOMS] = { 0 };
	bool healthy;
	uint32_t i;
	(void)state;

	r.rule = (struct clu_rule){ .kind = CLU_RULE_AFTER, .n = 2, .delay_ns = 5 * S, .healthy = true };
	strcpy(r.rule.member[0], "guest00");
	strcpy(r.rule.member[1], "guest01");
	for (unsigned k = 0; k < 3; k++)
		runs(k, 1);
	assert_int_equal(apply(&w, &r), 0);
	r.rule.healthy = false;
	strcpy(r.rule.member[0], "guest02");
	strcpy(r.rule.member[1], "guest05"); /* not to run */
	assert_int_equal(apply(&w, &r), 0);
	assert_int_equal(clu_rehearse_begin(&w.s, 0, order), 3);
	i = clu_rehearse_pick(&w.s, order, 3);
	assert_int_equal(order[i], 1);
	assert_int_not_equal(clu_rehearse_next(&w.s, &load, order[i], NULL), 0);
	up[1] = 3 * S;
	order[i] = CLU_REHEARSED;
	i = clu_rehearse_pick(&w.s, order, 3);
	assert_int_equal(order[i], 0);
	assert_int_equal(clu_rehearse_after(&w.s, 0, up, &healthy), 8 * S);
	assert_true(healthy);
	assert_int_not_equal(clu_rehearse_next(&w.s, &load, order[i], NULL), 0);
	order[i] = CLU_REHEARSED;
	assert_int_equal(clu_rehearse_pick(&w.s, order, 3), 3);
}

int main(void)
{
	static const struct CMUnitTest t[] = {
		cmocka_unit_test_setup(test_restarts, setup),  cmocka_unit_test_setup(test_priority, setup),
		cmocka_unit_test_setup(test_refused, setup),   cmocka_unit_test_setup(test_not_balanced, setup),
		cmocka_unit_test_setup(test_cool_down, setup), cmocka_unit_test_setup(test_spare, setup),
		cmocka_unit_test_setup(test_admission, setup), cmocka_unit_test_setup(test_until_back, setup),
		cmocka_unit_test_setup(test_records, setup),   cmocka_unit_test_setup(test_levels, setup),
		cmocka_unit_test_setup(test_rehearsal, setup),
	};

	return cmocka_run_group_tests(t, NULL, NULL);
}
