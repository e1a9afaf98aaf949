/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a coordinator proposes: a table of situations, and clusters that it leads to rest. With the real placement. */
#include "config.h"
#include "clusterd/core/decide.h"
#include "clusterd/core/node.h"
#include "common/util.h"

#include "tests/unit/testutil.h"

#define DOMS  12u
#define CAP   700u
#define NODES 3u
#define GIB   (1ull << 30)

static struct clu_state s;
static struct clu_dom dom[CAP];
static struct clu_load load;
static struct clu_proposals out;
static uint32_t members[NODES];
static struct clu_view view;
static uint64_t now;

static int apply(struct clu_cmd *c)
{
	struct clu_changes ch = { 0 };
	struct clu_answer a;

	c->time_ns = now;
	if (!c->origin)
		c->origin = 1;
	clu_apply(&s, c, &ch, &a);
	view.commit = s.index;
	return a.status;
}

static int setup(void **state)
{
	char name[NODES][CLU_NAME_MAX];

	(void)state;
	memset(dom, 0, sizeof(dom));
	clu_state_init(&s, dom, CAP);
	for (uint32_t i = 0; i < NODES; i++) {
		members[i] = i + 1;
		snprintf(name[i], CLU_NAME_MAX, "host-%c", (char)('a' + i));
	}
	clu_nodes_set(&s, members, name, NODES);
	view = (struct clu_view){ .member = members, .n = NODES };
	now = 1000 * NS_PER_S;
	for (uint32_t i = 1; i <= NODES; i++) {
		struct clu_cmd c = {
			.kind = CLU_CMD_HOST_UP, .origin = i, .boot = i, .self_fencing = true, .lease_ns = NS_PER_S
		};
		c.cap = (struct clu_capacity){ .mem_bytes = 4 * GIB, .cpu_milli = 2000, .engines = CLU_ENGINE_PV };
		assert_int_equal(apply(&c), 0);
	}
	return 0;
}

static void guest(unsigned i, int32_t priority, uint32_t order, bool run)
{
	struct clu_cmd c = { .kind = CLU_CMD_DEFINE };

	snprintf(c.uuid, sizeof(c.uuid), "00000000-0000-0000-0000-%012x", i);
	snprintf(c.name, sizeof(c.name), "guest%02u", i);
	c.spec = (struct clu_spec){
		.mem_bytes = GIB, .vcpus = 1, .engine = CLU_ENGINE_PV, .ha = true, .priority = priority, .order = order
	};
	assert_int_equal(apply(&c), 0);
	if (!run)
		return;
	c.kind = CLU_CMD_DESIRE;
	c.desired = CLU_DESIRED_RUNNING;
	assert_int_equal(apply(&c), 0);
}

static void decide(void)
{
	clu_decide(&s, &view, &load, now, &out);
}

/* Every operation that was begun succeeds. */
static void finish(void)
{
	for (unsigned k = 0; k < s.n_dom; k++) {
		struct clu_cmd r = { .kind = CLU_CMD_RESULT,
			             .origin = dom[k].host,
			             .op_id = dom[k].op_id,
			             .generation = dom[k].generation };
		memcpy(r.uuid, dom[k].uuid, sizeof(r.uuid));
		r.result = dom[k].phase == CLU_PHASE_STARTING    ? CLU_RESULT_STARTED
		           : dom[k].phase == CLU_PHASE_STOPPING  ? CLU_RESULT_STOPPED
		           : dom[k].phase == CLU_PHASE_MIGRATING ? CLU_RESULT_MOVED
		                                                 : 0;
		r.generation += r.result == CLU_RESULT_MOVED;
		if (r.result)
			assert_int_equal(apply(&r), 0);
	}
}

/* Carry out what is proposed until nothing is. Returns the number of commands. */
static unsigned to_rest(void)
{
	unsigned n = 0;

	for (unsigned round = 0; round < 100; round++) {
		decide();
		if (!out.n)
			return n;
		for (uint32_t i = 0; i < out.n; i++, n++)
			assert_int_equal(apply(&out.cmd[i]), 0);
		finish();
	}
	fail_msg("it never comes to rest");
	return n;
}

static unsigned count_on(uint32_t node)
{
	unsigned n = 0;

	for (unsigned k = 0; k < s.n_dom; k++)
		n += dom[k].host == node;
	return n;
}

static void test_starts_in_order_and_all_at_once(void **state)
{
	(void)state;
	guest(1, 0, 2, true);
	guest(2, 0, 1, true);
	guest(3, 10, 9, true);
	guest(4, 0, 3, true);
	guest(5, 0, 0, false);
	decide();
	assert_int_equal(out.n, 4);
	static const char *const order[] = { "guest03", "guest02", "guest01", "guest04" };
	for (unsigned i = 0; i < 4; i++)
		assert_string_equal(clu_dom_of(&s, out.cmd[i].uuid)->name, order[i]);
	for (unsigned i = 0; i < 3; i++) /* equal hosts: evenly */
		for (unsigned k = 0; k < i; k++)
			assert_int_not_equal(out.cmd[i].host, out.cmd[k].host);
	to_rest();
	for (unsigned k = 0; k < 4; k++)
		assert_int_equal(dom[k].phase, CLU_PHASE_RUNNING);
	assert_int_equal(dom[4].phase, CLU_PHASE_STOPPED);
	assert_int_equal(to_rest(), 0);
}

static void test_few_starts_at_one_time_on_a_host(void **state)
{
	(void)state;
	for (unsigned i = 1; i <= 8; i++)
		guest(i, 0, 0, true);
	s.host[0].maintenance = s.host[1].maintenance = true;
	s.host[2].cap.mem_bytes = 16 * GIB;
	decide();
	assert_int_equal(out.n, CLU_STARTS_PER_HOST);
	for (unsigned i = 0; i < CLU_STARTS_PER_HOST; i++)
		assert_int_equal(apply(&out.cmd[i]), 0);
	decide();
	assert_int_equal(out.n, 0);
	finish();
	to_rest();
	assert_int_equal(count_on(3), 8);
}

static void rule(enum clu_rule_kind kind, const char *a, const char *b)
{
	struct clu_cmd c = { .kind = CLU_CMD_RULE_ADD };

	c.rule = (struct clu_rule){ .kind = kind, .n = 2 };
	snprintf(c.rule.member[0], CLU_NAME_MAX, "%s", a);
	snprintf(c.rule.member[1], CLU_NAME_MAX, "%s", b);
	assert_int_equal(apply(&c), 0);
}

/* What one call proposes has to hold together: rules and room are looked at with what it proposed before. */
static void test_one_call_keeps_rules_and_room(void **state)
{
	(void)state;
	s.policy.admission = CLU_ADMIT_OFF;
	for (unsigned i = 1; i <= DOMS; i++)
		guest(i, 0, i, false);
	rule(CLU_RULE_TOGETHER, "guest01", "guest02");
	rule(CLU_RULE_APART, "guest03", "guest04");
	for (unsigned i = 0; i < DOMS; i++)
		dom[i].desired = CLU_DESIRED_RUNNING;
	decide();
	assert_int_equal(out.n, DOMS); /* three hosts of 4 GiB: all of them, and none over */
	uint32_t on[DOMS] = { 0 }, count[NODES + 1] = { 0 };
	for (unsigned i = 0; i < out.n; i++) {
		on[clu_dom_of(&s, out.cmd[i].uuid) - dom] = out.cmd[i].host;
		count[out.cmd[i].host]++;
	}
	assert_int_equal(on[0], on[1]);
	assert_int_not_equal(on[2], on[3]);
	for (unsigned i = 1; i <= NODES; i++)
		assert_int_equal(count[i], 4);
}

static void test_many_that_fit_nowhere_hold_nobody_up(void **state)
{
	(void)state;
	for (unsigned i = 1; i < CAP; i++) {
		guest(i, 10, 0, false);
		dom[i - 1].spec.engine = CLU_ENGINE_KVM;
		dom[i - 1].desired = CLU_DESIRED_RUNNING;
	}
	guest(CAP, 0, 0, true);
	decide();
	assert_int_equal(out.n, 1);
	assert_string_equal(clu_dom_of(&s, out.cmd[0].uuid)->name, "guest700");
}

static void test_nothing_that_is_not_committed(void **state)
{
	(void)state;
	guest(1, 0, 0, true);
	view.commit = s.index - 1;
	decide();
	assert_int_equal(out.n, 0);
	view.commit = s.index;
	decide();
	assert_int_equal(out.n, 1);
}

static void test_no_more_than_fits(void **state)
{
	(void)state;
	s.policy.admission = CLU_ADMIT_OFF;
	for (unsigned i = 1; i <= DOMS; i++)
		guest(i, 0, 0, true);
	struct clu_cmd c = { .kind = CLU_CMD_MAINTENANCE, .host = 3, .on = true };
	assert_int_equal(apply(&c), 0);
	to_rest();
	assert_true(count_on(1) == 4 && count_on(2) == 4 && count_on(3) == 0); /* 4 GiB each */
}

static void test_a_lost_host(void **state)
{
	(void)state;
	for (unsigned i = 1; i <= 6; i++)
		guest(i, 0, 0, true);
	to_rest();
	assert_int_equal(count_on(3), 2);
	view.n = 2;
	clu_bit_set(view.awaited, 2); /* it may be about to come */
	decide();
	assert_int_equal(out.n, 0);
	guest(7, 0, 0, true);
	decide();
	assert_int_equal(out.n, 1);
	assert_int_equal(out.cmd[0].kind, CLU_CMD_START);
	assert_int_not_equal(out.cmd[0].host, 3); /* it has the most room, but is not there */
	struct clu_cmd gone = { .kind = CLU_CMD_DESIRE, .desired = CLU_DESIRED_STOPPED };
	snprintf(gone.uuid, sizeof(gone.uuid), "%s", out.cmd[0].uuid);
	assert_int_equal(apply(&gone), 0);
	clu_bit_clear(view.awaited, 2);
	decide();
	assert_int_equal(out.n, 1);
	assert_int_equal(out.cmd[0].kind, CLU_CMD_HOST_LOST);
	assert_int_equal(out.cmd[0].host, 3);
	assert_int_equal(apply(&out.cmd[0]), 0);
	decide();
	assert_int_equal(out.n, 0); /* until it is safe nothing of it moves */
	assert_true(clu_bit(out.fence, 2));
	struct clu_cmd safe = { .kind = CLU_CMD_HOST_SAFE, .host = 3, .safe_by = CLU_SAFE_AGENT };
	assert_int_equal(apply(&safe), 0);
	to_rest();
	assert_int_equal(count_on(3), 0);
	assert_int_equal(count_on(1) + count_on(2), 6);
}

static void fails(unsigned k, enum clu_result what)
{
	struct clu_cmd r = { .kind = CLU_CMD_RESULT,
		             .origin = dom[k].host,
		             .op_id = dom[k].op_id,
		             .result = what,
		             .generation = what == CLU_RESULT_MOVE_FAILED ? dom[k].generation : 0 };

	memcpy(r.uuid, dom[k].uuid, sizeof(r.uuid));
	snprintf(r.text, sizeof(r.text), "no file on node %u",
	         what == CLU_RESULT_MOVE_FAILED ? dom[k].target : r.origin);
	assert_int_equal(apply(&r), 0);
}

/* Propose one command, apply it; the host that it names. */
static uint32_t proposed(enum clu_cmd_kind kind)
{
	decide();
	assert_int_equal(out.n, 1);
	assert_int_equal(out.cmd[0].kind, kind);
	uint32_t host = kind == CLU_CMD_MOVE ? out.cmd[0].target : out.cmd[0].host;
	assert_int_equal(apply(&out.cmd[0]), 0);
	return host;
}

static void test_the_next_host_is_tried_at_once_then_backoff(void **state)
{
	uint32_t seen = 0;

	(void)state;
	guest(1, 0, 0, true);
	s.host[2].cap.mem_bytes = 2 * GIB; /* it fits worst, and is tried all the same */
	for (unsigned i = 0; i < NODES; i++) {
		uint32_t host = proposed(CLU_CMD_START);
		assert_false(seen >> host & 1);
		seen |= 1u << host;
		now += NS_PER_S / 10;
		fails(0, CLU_RESULT_START_FAILED);
	}
	decide();
	assert_int_equal(out.n, 0);
	assert_int_equal(out.next_ns, dom[0].retry_ns);
	assert_int_equal(dom[0].phase, CLU_PHASE_STOPPED);
	now = out.next_ns;
	decide();
	assert_int_equal(out.n, 1);
	/* a person says: again */
	struct clu_cmd c = { .kind = CLU_CMD_DESIRE, .desired = CLU_DESIRED_RUNNING };
	memcpy(c.uuid, dom[0].uuid, sizeof(c.uuid));
	assert_int_equal(apply(&c), 0);
	for (unsigned i = 0; i < NODES; i++)
		assert_int_equal(clu_fails(&s, &dom[0], i, now, NULL), 0);
}

/* Two hosts that cannot start it, and look best, do not keep it from the third, which has no seat free for a while. */
static void test_two_bad_hosts_and_a_good_one_that_is_busy(void **state)
{
	unsigned tries = 0;

	(void)state;
	guest(1, 0, 0, true);
	s.host[2].maintenance = true;
	for (unsigned i = 0; i < 40; i++) {
		decide();
		if (out.n) {
			assert_int_equal(apply(&out.cmd[0]), 0);
			fails(0, CLU_RESULT_START_FAILED);
			tries++;
		}
		now += NS_PER_S;
	}
	assert_in_range(tries, 3, 9); /* 1, 2, 4, … s between them */
	s.host[2].maintenance = false;
	assert_int_equal(proposed(CLU_CMD_START), 3);
	finish();
	assert_int_equal(dom[0].host, 3);
	assert_int_equal(dom[0].phase, CLU_PHASE_RUNNING);
	assert_int_equal(to_rest(), 0);
}

static void test_a_crash_keeps_its_backoff(void **state)
{
	(void)state;
	guest(1, 0, 0, true);
	to_rest();
	struct clu_cmd c = { .kind = CLU_CMD_OBSERVED,
		             .origin = dom[0].host,
		             .seen = CLU_SEEN_CRASHED,
		             .generation = dom[0].generation };
	memcpy(c.uuid, dom[0].uuid, sizeof(c.uuid));
	assert_int_equal(apply(&c), 0);
	decide();
	assert_int_equal(out.n, 0);
	assert_int_equal(out.next_ns, dom[0].retry_ns);
	dom[0].retry_ns = now + 86400 * NS_PER_S; /* made by a clock that was wrong: nobody waits for that */
	(void)proposed(CLU_CMD_START);
	assert_int_equal(dom[0].phase, CLU_PHASE_STARTING);
}

static void test_a_host_that_starts_nothing_is_the_last_choice(void **state)
{
	uint32_t bad = 1;

	(void)state;
	for (unsigned i = 1; i <= CLU_SUSPECT; i++) {
		guest(i, 0, 0, true);
		s.host[1].state = s.host[2].state = CLU_HOST_NEW;
		assert_int_equal(proposed(CLU_CMD_START), bad);
		fails(i - 1, CLU_RESULT_START_FAILED);
		s.host[1].state = s.host[2].state = CLU_HOST_ONLINE;
		to_rest();
		assert_int_not_equal(dom[i - 1].host, bad);
	}
	assert_true(clu_suspected(&s.host[0], now));
	guest(9, 0, 0, true); /* it is empty, and the others are not */
	assert_int_not_equal(proposed(CLU_CMD_START), bad);
	finish();
	guest(10, 0, 0, true);
	s.host[1].state = s.host[2].state = CLU_HOST_NEW; /* better than nowhere */
	assert_int_equal(proposed(CLU_CMD_START), bad);
	finish();
	assert_false(clu_suspected(&s.host[0], now)); /* it can */
}

static void test_a_failed_move_goes_elsewhere_and_holds_nobody_up(void **state)
{
	(void)state;
	guest(1, 0, 0, true);
	guest(2, 0, 0, true);
	s.host[1].maintenance = s.host[2].maintenance = true;
	to_rest();
	assert_int_equal(count_on(1), 2);
	s.host[1].maintenance = s.host[2].maintenance = false;
	s.policy.moves_max = 1;
	struct clu_cmd c = { .kind = CLU_CMD_MAINTENANCE, .host = 1, .on = true };
	assert_int_equal(apply(&c), 0);
	uint32_t first = proposed(CLU_CMD_MOVE);
	assert_int_equal(dom[0].phase, CLU_PHASE_MIGRATING);
	fails(0, CLU_RESULT_MOVE_FAILED);
	assert_int_equal(dom[0].phase, CLU_PHASE_RUNNING);
	assert_int_equal(dom[0].home, 0); /* it is there still */
	proposed(CLU_CMD_MOVE);
	assert_int_equal(dom[1].phase, CLU_PHASE_MIGRATING); /* the other one meanwhile */
	finish();
	now += 2 * NS_PER_S;
	uint32_t second = proposed(CLU_CMD_MOVE);
	assert_int_not_equal(first, second);
	fails(0, CLU_RESULT_MOVE_FAILED);
	now += 5 * NS_PER_S;
	decide();
	assert_int_equal(out.n, 0); /* both failed: not before half a minute */
	assert_in_range(out.next_ns, now + 20 * NS_PER_S, now + 30 * NS_PER_S);
	now = out.next_ns;
	assert_int_equal(proposed(CLU_CMD_MOVE), first);
	finish();
	assert_int_equal(count_on(1), 0);
	assert_int_equal(dom[0].home, 1);
	assert_int_equal(to_rest(), 0);
}

static void test_what_a_drain_moved_is_brought_back(void **state)
{
	(void)state;
	for (unsigned i = 1; i <= 6; i++)
		guest(i, 0, 0, true);
	to_rest();
	uint32_t was[6];
	for (unsigned k = 0; k < 6; k++)
		was[k] = dom[k].host;
	struct clu_cmd c = { .kind = CLU_CMD_MAINTENANCE, .host = 1, .on = true };
	assert_int_equal(apply(&c), 0);
	to_rest();
	assert_int_equal(count_on(1), 0);
	unsigned mine = was[0] == 1 ? 0 : was[1] == 1 ? 1 : was[2] == 1 ? 2 : 3;
	uint32_t other = dom[mine].host == 2 ? 3 : 2;
	struct clu_cmd m = { .kind = CLU_CMD_MOVE, .target = other };
	memcpy(m.uuid, dom[mine].uuid, sizeof(m.uuid));
	assert_int_equal(apply(&m), 0); /* somebody wants it there */
	finish();
	c.on = false;
	assert_int_equal(apply(&c), 0);
	assert_int_equal(to_rest(), 0); /* by itself nothing comes back */
	c.desired = CLU_DESIRED_RUNNING;
	assert_int_equal(apply(&c), 0);
	to_rest();
	for (unsigned k = 0; k < 6; k++) {
		assert_int_equal(dom[k].host, k == mine ? other : was[k]);
		assert_int_equal(dom[k].home, 0);
	}
}

static void test_a_host_that_is_shut_down(void **state)
{
	(void)state;
	for (unsigned i = 1; i <= 6; i++)
		guest(i, 0, 0, true);
	to_rest();
	struct clu_cmd c = { .kind = CLU_CMD_LEAVE, .host = 1, .leaving = CLU_LEAVING_DRAIN };
	assert_int_equal(apply(&c), 0);
	decide();
	assert_true(out.n && out.cmd[0].kind == CLU_CMD_MOVE);
	c.leaving = CLU_LEAVING_ENDING; /* it ends them itself */
	assert_int_equal(apply(&c), 0);
	decide();
	assert_int_equal(out.n, 0);
	for (unsigned k = 0; k < 6; k++) {
		struct clu_cmd e = {
			.kind = CLU_CMD_OBSERVED, .origin = 1, .seen = CLU_SEEN_ENDED, .generation = dom[k].generation
		};
		memcpy(e.uuid, dom[k].uuid, sizeof(e.uuid));
		if (dom[k].host != 1)
			continue;
		assert_int_equal(apply(&e), 0);
		break; /* one; the other one when it has left */
	}
	to_rest();
	assert_int_equal(count_on(1), 1);
	struct clu_cmd l = { .kind = CLU_CMD_LEFT, .origin = 1, .op_id = s.host[0].up_id };
	assert_int_equal(apply(&l), 0);
	to_rest();
	assert_int_equal(count_on(1), 0);
	for (unsigned k = 0; k < 6; k++)
		assert_int_equal(dom[k].phase, CLU_PHASE_RUNNING);
}

static void test_drain_empties_a_host_few_at_a_time(void **state)
{
	(void)state;
	for (unsigned i = 1; i <= 6; i++)
		guest(i, 0, 0, true);
	to_rest();
	struct clu_cmd c = { .kind = CLU_CMD_MAINTENANCE, .host = 1, .on = true };
	assert_int_equal(apply(&c), 0);
	s.policy.moves_max = 1;
	decide();
	assert_int_equal(out.n, 1);
	assert_int_equal(out.cmd[0].kind, CLU_CMD_MOVE);
	s.policy.moves_max = 2;
	to_rest();
	assert_int_equal(count_on(1), 0);
	for (unsigned k = 0; k < 6; k++)
		assert_int_equal(dom[k].phase, CLU_PHASE_RUNNING);
}

static void test_stops(void **state)
{
	(void)state;
	guest(1, 0, 0, true);
	to_rest();
	struct clu_cmd c = { .kind = CLU_CMD_DESIRE, .desired = CLU_DESIRED_STOPPED };
	memcpy(c.uuid, dom[0].uuid, sizeof(c.uuid));
	assert_int_equal(apply(&c), 0);
	decide();
	assert_int_equal(out.n, 1);
	assert_int_equal(out.cmd[0].kind, CLU_CMD_STOP);
	to_rest();
	assert_int_equal(dom[0].phase, CLU_PHASE_STOPPED);
	assert_int_equal(dom[0].host, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = {
		T(test_starts_in_order_and_all_at_once),
		T(test_few_starts_at_one_time_on_a_host),
		T(test_one_call_keeps_rules_and_room),
		T(test_many_that_fit_nowhere_hold_nobody_up),
		T(test_nothing_that_is_not_committed),
		T(test_no_more_than_fits),
		T(test_a_lost_host),
		T(test_the_next_host_is_tried_at_once_then_backoff),
		T(test_two_bad_hosts_and_a_good_one_that_is_busy),
		T(test_a_crash_keeps_its_backoff),
		T(test_a_host_that_starts_nothing_is_the_last_choice),
		T(test_a_failed_move_goes_elsewhere_and_holds_nobody_up),
		T(test_what_a_drain_moved_is_brought_back),
		T(test_a_host_that_is_shut_down),
		T(test_drain_empties_a_host_few_at_a_time),
		T(test_stops),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
