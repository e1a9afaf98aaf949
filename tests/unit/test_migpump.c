/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The pump of migration sessions: order of events and actions, and the machines' hypercalls as hvdom knows them. */
#include "config.h"
#include "tests/unit/testutil.h"
#include "hypervisor/api/hvmsg.h"
#include "migrated/io/pump.h"

static struct rig {
	struct pump p;
	char trace[256];
	unsigned drained, steps, feeds;
	enum mig_ev_kind feed; /* what the first action feeds */
} g;

static void note(char kind, unsigned n)
{
	size_t len = strlen(g.trace);

	snprintf(g.trace + len, sizeof(g.trace) - len, "%c%u ", kind, n);
}

/* Each event has two actions that name it. */
static void step(void *arg, const struct mig_event *ev, struct mig_actions *out)
{
	assert_ptr_equal(arg, &g);
	assert_true(ev->now_ns != 0);
	g.steps++;
	note('e', ev->kind);
	out->n = 0;
	mig_act_hv(out, MIG_HV_CLEAN, ev->kind);
	mig_act_hv(out, MIG_HV_CLEAN, ev->kind);
}

static void act(void *arg, const struct mig_action *a)
{
	(void)arg;
	note('a', (unsigned)a->hv.v0);
	for (; g.feeds; g.feeds--)
		pump_feed(&g.p, &(struct mig_event){ .kind = g.feed++ });
}

static void drained(void *arg)
{
	(void)arg;
	g.drained++;
	note('d', g.p.n);
}

static const struct pump_ops ops = { .step = step, .act = act, .drained = drained };

static void rig_open(void)
{
	g = (struct rig){ .p = { .ops = &ops, .arg = &g }, .feed = MIG_EV_MSG };
}

/* All actions of an event come before the next event, though that came up during the first of them. */
static void test_order(void **state)
{
	(void)state;
	rig_open();
	g.feeds = 2;
	pump_feed(&g.p, &(struct mig_event){ .kind = MIG_EV_START });
	assert_string_equal(g.trace, "e1 a1 a1 e2 a2 a2 e3 a3 a3 d0 ");
	g.trace[0] = 0;
	pump_feed(&g.p, &(struct mig_event){ .kind = MIG_EV_TICK, .now_ns = 5 });
	assert_string_equal(g.trace, "e9 a9 a9 d0 ");
}

static void test_full(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 3; round++) { /* wherever the ring begins */
		rig_open();
		g.p.head = round * 11;
		g.feeds = PUMP_EVENTS_MAX + 5;
		pump_feed(&g.p, &(struct mig_event){ .kind = MIG_EV_START });
		assert_int_equal(g.steps, 1 + PUMP_EVENTS_MAX);
		assert_int_equal(g.drained, 1);
	}
}

static void test_calls(void **state)
{
	static const struct {
		enum mig_hv hv;
		uint16_t op;
	} some[] = { { MIG_HV_CLEAN, HV_OP_LOGDIRTY_CLEAN },
		     { MIG_HV_DESTROY_MOVED, HV_OP_DESTROY },
		     { MIG_HV_TAKE, HV_OP_TAKE },
		     { MIG_HV_MEMHASH, HV_OP_MEMHASH } };
	unsigned n = 0;
	(void)state;

	for (unsigned i = 0; i < sizeof(some) / sizeof(some[0]); i++)
		assert_int_equal(pump_hv_of(some[i].op), some[i].hv);
	assert_int_equal(pump_hv_of(0), 0);
	assert_int_equal(pump_hv_of(HV_OP_SUBSCRIBE), 0);
	for (uint16_t op = 1; op < HV_OP_MAX; op++) { /* each has one of its own, whose request fits */
		n += pump_hv_of(op) != 0;
		assert_true(!pump_hv_of(op) || hvmsg_req_len(op) <= sizeof(union pump_req));
	}
	assert_int_equal(n, MIG_HV_MAX - 1);
	assert_false(pump_call(NULL, MIG_HV_CLEAN, NULL, -1));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_order), cmocka_unit_test(test_full),
		                            cmocka_unit_test(test_calls) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
