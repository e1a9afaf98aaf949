/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The replicated state: commands in every phase, records there and back, sums that follow, random commands on two copies. */
#include "config.h"
#include "tests/unit/cluapply.h"
#include "tests/unit/cluworld.h"

static void test_migration_ends(void **state)
{
	static struct world w;

	(void)state;
	/* comes through */
	running(&w);
	assert_int_equal(move(&w, 0, 1), -EALREADY);
	assert_int_equal(move(&w, 0, 2), 0);
	assert_int_equal(move(&w, 0, 3), -EBUSY);
	assert_int_equal(clu_todo(dom(&w, 0), 1), CLU_TODO_PUSH);
	assert_int_equal(clu_todo(dom(&w, 0), 2), CLU_TODO_ACCEPT);
	assert_int_equal(result(&w, 0, 1, CLU_RESULT_MOVED, 2), 0);
	assert_int_equal(dom(&w, 0)->host, 2);
	assert_int_equal(dom(&w, 0)->generation, 2);
	assert_int_equal(clu_todo(dom(&w, 0), 1), CLU_TODO_KILL);
	/* fails: the source has it, perhaps in a higher generation */
	assert_int_equal(move(&w, 0, 3), 0);
	assert_int_equal(result(&w, 0, 2, CLU_RESULT_MOVE_FAILED, 4), 0);
	assert_int_equal(dom(&w, 0)->host, 2);
	assert_int_equal(dom(&w, 0)->generation, 4);
	/* an answer to an operation that is over */
	assert_int_equal(result(&w, 0, 2, CLU_RESULT_MOVED, 5), -ESTALE);
}

static void test_an_old_inventory_says_nothing_of_what_came_later(void **state)
{
	static struct world w;
	struct clu_cmd c = cmd(CLU_CMD_HOST_UP, 2, NULL);

	(void)state;
	running(&w);
	c.rev = w.s.index; /* host 2 looked now: nothing runs there */
	c.boot = 77;
	assert_int_equal(move(&w, 0, 2), 0);
	assert_int_equal(result(&w, 0, 1, CLU_RESULT_MOVED, 2), 0);
	assert_int_equal(apply(&w, &c), 0);
	assert_int_equal(dom(&w, 0)->phase, CLU_PHASE_RUNNING);
	assert_int_equal(dom(&w, 0)->host, 2);
	c.rev = w.s.index; /* it looks again, and it is not there */
	assert_int_equal(apply(&w, &c), 0);
	assert_int_equal(dom(&w, 0)->phase, CLU_PHASE_STOPPED);
}

static void test_a_copy_moved_by_hand(void **state)
{
	static struct world w;

	(void)state;
	running(&w);
	assert_int_equal(observed(&w, 0, 3, CLU_SEEN_RUNNING, 1), -ESTALE); /* an old copy */
	assert_int_equal(observed(&w, 0, 3, CLU_SEEN_RUNNING, 2), 0);
	assert_int_equal(dom(&w, 0)->host, 3);
	assert_int_equal(clu_todo(dom(&w, 0), 1), CLU_TODO_KILL);
	/* a migration to 4 that was given up left a copy in a generation that the cluster knows of: not to be believed */
	assert_int_equal(move(&w, 0, 4), 0);
	assert_int_equal(result(&w, 0, 3, CLU_RESULT_MOVE_FAILED, 2), 0);
	assert_int_equal(observed(&w, 0, 4, CLU_SEEN_RUNNING, 3), -ESTALE);
	assert_int_equal(dom(&w, 0)->host, 3);
}

static void test_failures_back_off_and_end(void **state)
{
	static struct world w;
	uint64_t last = 0;

	(void)state;
	running(&w);
	for (uint32_t i = 0; i < w.s.policy.restart_max; i++) {
		assert_int_equal(observed(&w, 0, 1, CLU_SEEN_CRASHED, dom(&w, 0)->generation), 0);
		if (dom(&w, 0)->phase == CLU_PHASE_FAILED)
			break;
		assert_true(dom(&w, 0)->retry_ns - w.s.time_ns > last);
		last = dom(&w, 0)->retry_ns - w.s.time_ns;
		assert_int_equal(start(&w, 0, 1), 0);
		assert_int_equal(result(&w, 0, 1, CLU_RESULT_STARTED, dom(&w, 0)->generation), 0);
	}
	assert_int_equal(dom(&w, 0)->phase, CLU_PHASE_FAILED);
	assert_int_equal(dom(&w, 0)->failures, w.s.policy.restart_max);
	assert_int_equal(desire(&w, 0, CLU_DESIRED_RUNNING), 0); /* a person says: again */
	assert_int_equal(dom(&w, 0)->phase, CLU_PHASE_STOPPED);
	assert_int_equal(dom(&w, 0)->failures, 0);
}

static void test_a_start_that_fails_is_tried_for_ever(void **state)
{
	static struct world w;

	(void)state;
	running(&w);
	assert_int_equal(observed(&w, 0, 1, CLU_SEEN_GONE, 1), 0);
	for (uint32_t i = 0; i < 3 * w.s.policy.restart_max; i++) {
		assert_int_equal(start(&w, 0, 1), 0);
		assert_int_equal(result(&w, 0, 1, CLU_RESULT_START_FAILED, 0), 0);
		assert_int_equal(dom(&w, 0)->phase, CLU_PHASE_STOPPED);
		assert_int_equal(dom(&w, 0)->avoid, 1);
		assert_true(dom(&w, 0)->retry_ns > w.s.time_ns);
		assert_true(dom(&w, 0)->force); /* still nobody's lease counts */
	}
}

static void test_refusals(void **state)
{
	static struct world w;
	struct clu_cmd c;

	(void)state;
	running(&w);
	assert_int_equal(define(&w, 0), 0); /* again: a new XML */
	c = cmd(CLU_CMD_DEFINE, 1, uuid_of(1));
	strcpy(c.name, "guest00");
	c.spec = (struct clu_spec){ .mem_bytes = 1, .engine = 1 };
	assert_int_equal(apply(&w, &c), -EEXIST);
	c = cmd(CLU_CMD_UNDEFINE, 1, uuid_of(0));
	assert_int_equal(apply(&w, &c), -EBUSY);
	assert_int_equal(start(&w, 0, 1), -EBUSY);
	assert_int_equal(move(&w, 0, 77), -ENOENT);
	c = cmd(CLU_CMD_MAINTENANCE, 1, NULL);
	c.host = 2;
	c.on = true;
	assert_int_equal(apply(&w, &c), 0);
	assert_int_equal(move(&w, 0, 2), -EBUSY);
	c = cmd((enum clu_cmd_kind)99, 1, NULL);
	assert_int_equal(apply(&w, &c), -EPROTO);
	c = cmd(CLU_CMD_POLICY, 1, NULL);
	assert_int_equal(apply(&w, &c), -EINVAL);
	assert_int_equal(desire(&w, 9, CLU_DESIRED_RUNNING), -ENOENT);
	for (unsigned i = 1; i < DOMS; i++)
		assert_int_equal(define(&w, i), 0);
	assert_int_equal(define(&w, DOMS), -ENOSPC);
	/* a proposal for what is no more so */
	c = cmd(CLU_CMD_STOP, 1, uuid_of(0));
	c.rev = dom(&w, 0)->rev;
	assert_int_equal(apply(&w, &c), -ESTALE); /* it is to run */
	assert_int_equal(desire(&w, 0, CLU_DESIRED_STOPPED), 0);
	assert_int_equal(apply(&w, &c), -ESTALE); /* rev */
	c.rev = dom(&w, 0)->rev;
	assert_int_equal(apply(&w, &c), 0);
	assert_int_equal(result(&w, 0, 2, CLU_RESULT_STOPPED, 1), -ESTALE); /* not the owner */
	assert_int_equal(result(&w, 0, 1, CLU_RESULT_STOPPED, 1), 0);
	c = cmd(CLU_CMD_UNDEFINE, 1, uuid_of(0));
	assert_int_equal(apply(&w, &c), 0);
}

/* ---- random commands: two copies stay equal, records go there and back ---- */

static uint64_t rng;
static uint32_t rnd(uint32_t n)
{
	rng ^= rng << 13, rng ^= rng >> 7, rng ^= rng << 17;
	return (uint32_t)(rng % n);
}

static struct clu_cmd random_cmd(struct world *w)
{
	/* one after the other: compilers differ in the order of arguments, and the story shall be the same */
	const char *uuid = uuid_of(rnd(6));
	uint32_t origin = 1 + rnd(NODES);
	struct clu_cmd c = cmd((enum clu_cmd_kind)(1 + rnd(CLU_CMD_MAX - 1)), origin, uuid);
	const struct clu_dom *d = clu_dom_of(&w->s, c.uuid);

	snprintf(c.name, sizeof(c.name), "guest%.4s", c.uuid + 34);
	c.spec = (struct clu_spec){
		.mem_bytes = 1 + rnd(100), .vcpus = 1, .engine = 1, .ha = rnd(4) != 0, .priority = -(int)rnd(3)
	};
	c.time_ns = w->s.time_ns + rnd(1000);
	c.host = 1 + rnd(NODES);
	c.target = 1 + rnd(NODES);
	c.rev = d && rnd(8) ? d->rev : 0;
	c.op_id = d && rnd(8) ? d->op_id : rnd(50);
	if ((c.kind == CLU_CMD_WAITED || c.kind == CLU_CMD_HOST_SAFE) && rnd(4))
		c.op_id = clu_host_of(&w->s, c.host)->lost_id;
	if (c.kind == CLU_CMD_RESULT && d && rnd(4))
		c.origin = d->host;
	c.generation = d ? d->generation + rnd(3) : 1;
	c.result = (enum clu_result)(1 + rnd(8));
	c.seen = (enum clu_seen)(1 + rnd(4));
	c.desired = (enum clu_desired)rnd(2);
	c.safe_by = (enum clu_safe_by)rnd(4);
	c.on = rnd(2);
	c.self_fencing = rnd(4) != 0;
	c.boot = rng;
	c.clock_stops = rng % 5 == 0;
	c.witness = rng % 11 == 0;
	c.rule = (struct clu_rule){
		.id = 1 + rnd(50), .kind = (enum clu_rule_kind)rnd(6), .n = rnd(5), .member = { "a", "b", "c", "d" }
	};
	if (rnd(2) && w->s.rule[0].id)
		c.rule.id = w->s.rule[0].id;
	c.level = (uint32_t)rnd(2);
	if (c.kind == CLU_CMD_DISARM) { /* armed most of the time, or little else gets through */
		c.on = rnd(4) == 0;
		c.op_id = 0;
		c.lease_ns = 1000000000ull + rnd(1000);
		snprintf(c.text, sizeof(c.text), "work");
	} else if (c.kind == CLU_CMD_PERMIT) {
		const struct clu_host *h = clu_host_of(&w->s, c.origin);
		c.rev = c.on ? 1 + rnd(1000) : h->permit_id;
		c.op_id = w->s.disarm.id;
		c.boot = h->boot;
		c.lease_ns = 1 + rnd(1000);
	}
	clu_policy_default(&c.policy);
	c.policy.moves_max = rnd(4);
	c.policy.no_quorum = rnd(3);
	c.policy.stopping_clocks = (enum clu_stopping_clocks)(rng % 7 == 0 ? 1 : rng % 11 == 0 ? 2 : 0);
	return c;
}

static void test_random_commands(void **state)
{
	static struct world a, b, c;
	unsigned taken[CLU_CMD_MAX] = { 0 };

	(void)state;
	rng = 88172645463325252ull;
	world_init(&a);
	world_init(&b);
	for (unsigned i = 0; i < 30000; i++) {
		struct clu_cmd x = random_cmd(&a);
		int r = apply(&a, &x);
		assert_int_equal(apply(&b, &x), r);
		assert_int_equal(a.s.sum, b.s.sum);
		taken[x.kind] += r == 0;
		if (i % 1000 == 0) {
			reload(&a, &c);
			memcpy(&b, &c, sizeof(b)); /* what was loaded goes on like what was not */
			b.s.dom = b.dom;
		}
		for (unsigned k = 0; k < a.s.n_dom; k++) {
			const struct clu_dom *d = &a.dom[k];
			if (!d->uuid[0])
				continue;
			assert_true(d->generation <= d->generation_max);
			assert_int_equal(d->host != 0, d->phase != CLU_PHASE_STOPPED && d->phase != CLU_PHASE_FAILED);
			assert_int_equal(d->target != 0, d->phase == CLU_PHASE_MIGRATING);
		}
	}
	for (unsigned k = 1; k < CLU_CMD_MAX; k++)
		if (!taken[k])
			fail_msg("%s never got through", clu_cmd_name((enum clu_cmd_kind)k));
}

/* Suspending without quorum needs a lease and a margin that leave the time for it; its record is of a version of its own. */
static void test_policy_no_quorum(void **state)
{
	static const struct {
		uint64_t lease_ms, margin_ms;
		enum clu_no_quorum no_quorum;
		int r;
	} t[] = {
		{ 1000, 100, CLU_NO_QUORUM_STOP, 0 },          { 0, 1000, CLU_NO_QUORUM_SUSPEND, 0 },
		{ 4000, 500, CLU_NO_QUORUM_SUSPEND, 0 },       { 3999, 500, CLU_NO_QUORUM_SUSPEND, -EINVAL },
		{ 4000, 499, CLU_NO_QUORUM_SUSPEND, -EINVAL }, { 8000, 1000, (enum clu_no_quorum)2, -EINVAL },
	};
	static const struct {
		uint64_t lease_ms, park_ms;
	} share[] = {
		{ 1000, 0 }, { 3999, 0 }, { 4000, 1000 }, { 8000, 2000 }, { 20000, 5000 }, { 3600000, 5000 },
	};
	static struct world w, copy;
	struct clu_policy p;
	uint8_t buf[CLU_RECORD_MAX];
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct clu_cmd c = cmd(CLU_CMD_POLICY, 1, NULL);

		world_init(&w);
		clu_policy_default(&c.policy);
		assert_int_equal(c.policy.no_quorum, CLU_NO_QUORUM_STOP);
		c.policy.lease_ns = t[i].lease_ms * 1000000;
		c.policy.margin_ns = t[i].margin_ms * 1000000;
		c.policy.no_quorum = t[i].no_quorum;
		assert_int_equal(apply(&w, &c), t[i].r);
		assert_int_equal(w.s.policy.no_quorum, t[i].r ? CLU_NO_QUORUM_STOP : t[i].no_quorum);
		reload(&w, &copy);
		assert_int_equal(copy.s.policy.no_quorum, w.s.policy.no_quorum);
		/* older nodes read it as long as it says nothing that is new to them */
		assert_true(clu_record_pack(&w.s, CLU_OBJ_POLICY, 0, buf));
		assert_int_equal(buf[0], w.s.policy.no_quorum ? 2 : 1);
	}
	clu_policy_default(&p);
	assert_int_equal(clu_park_ns(&p, 8000000000), 0);
	p.no_quorum = CLU_NO_QUORUM_SUSPEND;
	for (size_t i = 0; i < ARRAY_SIZE(share); i++)
		assert_int_equal(clu_park_ns(&p, share[i].lease_ms * 1000000), share[i].park_ms * 1000000);
	p.margin_ns = 499000000;
	assert_int_equal(clu_park_ns(&p, 8000000000), 0);
}

static void test_failures_by_host(void **state)
{
	static struct world w, copy;
	const struct clu_fail *f;
	uint8_t buf[CLU_RECORD_MAX];

	(void)state;
	running(&w);
	assert_int_equal(observed(&w, 0, 1, CLU_SEEN_GONE, 1), 0);
	assert_true(clu_record_pack(&w.s, CLU_OBJ_DOM, 0, buf));
	assert_int_equal(buf[0], 1); /* older nodes read it as long as it says nothing that is new to them */
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(start(&w, 0, 2), 0);
		assert_int_equal(result(&w, 0, 2, CLU_RESULT_START_FAILED, 0), 0);
		assert_int_equal(clu_fails(&w.s, dom(&w, 0), 1, w.s.time_ns, &f), i + 1);
		assert_int_equal(f->until_ns, w.s.time_ns + (CLU_FAIL_NS << i));
		assert_int_equal(clu_fails(&w.s, dom(&w, 0), 1, f->until_ns, &f), 0); /* one like the others again */
	}
	assert_int_equal(w.s.host[1].start_fails, 1); /* one domain, however often */
	assert_true(clu_record_pack(&w.s, CLU_OBJ_DOM, 0, buf));
	assert_int_equal(buf[0], 2);
	reload(&w, &copy);
	assert_memory_equal(dom(&w, 0), dom(&copy, 0), sizeof(struct clu_dom));
	/* a disk that is ahead of the state is not the host's fault */
	assert_int_equal(start(&w, 0, 3), 0);
	assert_int_equal(result(&w, 0, 3, CLU_RESULT_START_FAILED, 77), 0);
	assert_int_equal(dom(&w, 0)->generation_max, 77);
	assert_int_equal(clu_fails(&w.s, dom(&w, 0), 2, w.s.time_ns, NULL), 0);
	/* something changed there */
	struct clu_cmd c = cmd(CLU_CMD_REACH, 2, uuid_of(0));
	c.on = true;
	assert_int_equal(apply(&w, &c), 0);
	assert_int_equal(clu_fails(&w.s, dom(&w, 0), 1, w.s.time_ns, &f), 0);
	assert_null(f);
	assert_int_equal(start(&w, 0, 2), 0);
	assert_int_equal(result(&w, 0, 2, CLU_RESULT_START_FAILED, 0), 0);
	w.s.host[1].boot = 9; /* another life */
	w.s.sum = clu_sum(&w.s);
	assert_int_equal(host_up(&w, 2, NULL, 0), 0);
	assert_int_equal(clu_fails(&w.s, dom(&w, 0), 1, w.s.time_ns, NULL), 0);
	assert_int_equal(w.s.host[1].start_fails, 0);
}

/* More hosts fail than are remembered one by one: that they did is not forgotten. */
static void test_failures_of_many_hosts(void **state)
{
	static struct clu_state s;
	static struct clu_dom d[1];
	uint32_t node[12];
	char name[12][CLU_NAME_MAX];
	struct clu_changes ch = { 0 };
	struct clu_answer a;

	(void)state;
	clu_state_init(&s, d, 1);
	for (unsigned i = 0; i < 12; i++) {
		node[i] = i + 1;
		snprintf(name[i], CLU_NAME_MAX, "host-%u", i);
	}
	clu_nodes_set(&s, node, name, 12);
	for (unsigned i = 0; i < 12; i++) {
		struct clu_cmd c = { .kind = CLU_CMD_HOST_UP, .origin = i + 1, .boot = 1 };
		clu_apply(&s, &c, &ch, &a);
	}
	struct clu_cmd c = {
		.kind = CLU_CMD_DEFINE, .origin = 1, .name = "g", .spec = { .mem_bytes = 1, .engine = 1 }
	};
	strcpy(c.uuid, uuid_of(0));
	clu_apply(&s, &c, &ch, &a);
	c.kind = CLU_CMD_DESIRE;
	c.desired = CLU_DESIRED_RUNNING;
	clu_apply(&s, &c, &ch, &a);
	for (unsigned i = 0; i < 12; i++) {
		struct clu_cmd b = { .kind = CLU_CMD_START, .origin = 1, .host = i + 1, .time_ns = 1000 + i };
		strcpy(b.uuid, c.uuid);
		clu_apply(&s, &b, &ch, &a);
		assert_int_equal(a.status, 0);
		b.kind = CLU_CMD_RESULT;
		b.origin = i + 1;
		b.op_id = d[0].op_id;
		b.result = CLU_RESULT_START_FAILED;
		clu_apply(&s, &b, &ch, &a);
		assert_int_equal(a.status, 0);
		assert_int_equal(s.sum, clu_sum(&s));
	}
	for (unsigned i = 0; i < 12; i++)
		assert_int_equal(clu_fails(&s, &d[0], i, s.time_ns, NULL), 1);
}

static void test_hostile_records(void **state)
{
	static struct world w;
	uint8_t buf[CLU_RECORD_MAX];

	(void)state;
	running(&w);
	rng = 7;
	size_t n = clu_record_pack(&w.s, CLU_OBJ_DOM, 0, buf);
	for (unsigned i = 0; i < 20000; i++) {
		uint8_t bad[CLU_RECORD_MAX];
		memcpy(bad, buf, n);
		for (unsigned k = 1 + rnd(4); k; k--)
			bad[rnd((uint32_t)n)] = (uint8_t)rnd(256);
		(void)!clu_record_unpack(&w.s, CLU_OBJ_DOM, rnd(DOMS + 4), bad, rnd((uint32_t)n + 1));
		for (unsigned k = 0; k < w.s.n_dom; k++)
			assert_true(strlen(w.dom[k].name) < CLU_NAME_MAX && w.dom[k].phase <= CLU_PHASE_FAILED);
	}
	assert_int_equal(clu_record_unpack(&w.s, CLU_OBJ_DOM, DOMS, buf, n), -EPROTO);
	assert_int_equal(clu_record_unpack(&w.s, CLU_OBJ_HOST, CLU_HOSTS_MAX, buf, n), -EPROTO);
	assert_int_equal(clu_record_unpack(&w.s, CLU_OBJ_META, 1, buf, n), -EPROTO);
}

/* A record that older nodes cannot read is written only for what they do not know. */
static void test_named_processor(void **state)
{
	struct clu_state *s = cluworld_new(1, 2), *copy = cluworld_new(1, 2);
	uint8_t b[CLU_RECORD_MAX];

	(void)state;
	cluworld_dom(s, "db", 1024, 1);
	clu_record_pack(s, CLU_OBJ_DOM, 0, b);
	assert_int_equal(b[0], 1);
	s->dom[0].spec.cpu_named = true;
	size_t n = clu_record_pack(s, CLU_OBJ_DOM, 0, b);
	assert_int_equal(b[0], 3);
	assert_int_equal(clu_record_unpack(copy, CLU_OBJ_DOM, 0, b, n), 0);
	assert_true(copy->dom[0].spec.cpu_named);
	assert_int_equal(clu_sum(copy), clu_sum(s));
	b[n - 1] = 0; /* the same could be said in version 1 */
	assert_true(clu_record_unpack(copy, CLU_OBJ_DOM, 0, b, n) < 0);
	b[n - 1] = 1;
	b[0] = 4;
	assert_true(clu_record_unpack(copy, CLU_OBJ_DOM, 0, b, n) < 0);
	cluworld_free(s);
	cluworld_free(copy);
}

static void test_engines_are_bits_with_names(void **state)
{
	char text[CLU_TEXT_MAX];
	(void)state;

	assert_int_equal(clu_engine_named("pv"), CLU_ENGINE_PV);
	assert_int_equal(clu_engine_named("kvm"), CLU_ENGINE_KVM);
	assert_int_equal(clu_engine_named("qemu"), CLU_ENGINE_QEMU);
	assert_int_equal(clu_engine_named("qemu-aarch64"), CLU_ENGINE_QEMU_AARCH64);
	assert_int_equal(clu_engine_named("another"), 0);
	assert_string_equal(clu_engine_names(CLU_ENGINE_KVM, text), "kvm");
	assert_string_equal(clu_engine_names(CLU_ENGINE_PV | CLU_ENGINE_KVM | 1u << 31, text), "pv, kvm");
	assert_string_equal(clu_engine_names(1u << 31, text), "unknown");
	assert_string_equal(clu_engine_names(0, text), "none");
}

/* Hosts that go and come: the name of one that went is free, what is known of it stays; slots last for any number of them. */
static void test_nodes_go(void **state)
{
	static struct clu_state s;
	static struct clu_dom d[1];
	static char name[CLU_HOSTS_MAX][CLU_NAME_MAX];
	uint32_t node[] = { 1, 2, 3 };

	(void)state;
	clu_state_init(&s, d, 1);
	for (unsigned i = 0; i < 3; i++)
		snprintf(name[i], CLU_NAME_MAX, "host-%c", "abc"[i]);
	clu_nodes_set(&s, node, name, 3);
	clu_host_of(&s, 3)->state = CLU_HOST_LOST;
	clu_nodes_set(&s, node, name, 2);
	assert_int_equal(s.n_nodes, 2);
	assert_null(clu_host_named(&s, "host-c"));
	assert_int_equal(clu_host_named(&s, "removed-3")->state, CLU_HOST_LOST);
	/* under the same name another one: a new record */
	node[2] = 5;
	clu_nodes_set(&s, node, name, 3);
	assert_int_equal(clu_host_named(&s, "host-c")->node, 5);
	assert_int_equal(clu_host_of(&s, 5)->state, CLU_HOST_NEW);
	assert_int_equal(clu_slot(&s, clu_host_of(&s, 5)), 2);
	assert_int_equal(clu_slot(&s, clu_host_of(&s, 3)), 3);
	/* bits go with their hosts */
	s.n_dom = 1;
	strcpy(d[0].uuid, uuid_of(0));
	d[0].host = 3; /* may still run there */
	clu_bit_set(d[0].failed, 2);
	clu_bit_set(d[0].unreachable, 3);
	clu_bit_set(clu_host_of(&s, 3)->waited, 1);
	clu_bit_set(clu_host_of(&s, 3)->waited, 2);
	node[1] = 5;
	snprintf(name[1], CLU_NAME_MAX, "host-c");
	clu_nodes_set(&s, node, name, 2);
	assert_int_equal(clu_slot(&s, clu_host_of(&s, 5)), 1);
	assert_int_equal(clu_slot(&s, clu_host_of(&s, 2)), 2);
	assert_int_equal(clu_bits_count(d[0].failed), 1);
	assert_true(clu_bit(d[0].failed, 1) && clu_bit(d[0].unreachable, 3));
	assert_int_equal(clu_bits_count(clu_host_of(&s, 3)->waited), 1); /* host 2 votes no more */
	assert_true(clu_bit(clu_host_of(&s, 3)->waited, 1));
	/* the same list from nothing, and a snapshot of this one: the same slots */
	uint64_t sum = s.sum;
	clu_nodes_set(&s, node, name, 2);
	assert_int_equal(s.sum, sum);
	/* 300 of them: two stay, the third is always another; what may still run domains is not forgotten */
	for (uint32_t id = 6; id < 306; id++) {
		node[2] = id;
		snprintf(name[2], CLU_NAME_MAX, "host-x");
		clu_nodes_set(&s, node, name, 3);
		assert_int_equal(clu_host_named(&s, "host-x")->node, id);
		assert_int_equal(clu_slot(&s, clu_host_of(&s, id)), 2);
	}
	assert_int_equal(clu_host_of(&s, 3)->state, CLU_HOST_LOST);
	assert_null(clu_host_of(&s, 2));
	assert_non_null(clu_host_of(&s, 304));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nodes_go),
		cmocka_unit_test(test_migration_ends),
		cmocka_unit_test(test_named_processor),
		cmocka_unit_test(test_an_old_inventory_says_nothing_of_what_came_later),
		cmocka_unit_test(test_a_copy_moved_by_hand),
		cmocka_unit_test(test_failures_back_off_and_end),
		cmocka_unit_test(test_a_start_that_fails_is_tried_for_ever),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_random_commands),
		cmocka_unit_test(test_policy_no_quorum),
		cmocka_unit_test(test_failures_by_host),
		cmocka_unit_test(test_failures_of_many_hosts),
		cmocka_unit_test(test_hostile_records),
		cmocka_unit_test(test_engines_are_bits_with_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
