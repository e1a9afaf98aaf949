/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Disarm: domains run on where nobody hears their host, and for as long nobody says that it is safe. clusterd/core/node_permit.c. */
#include "config.h"
#include <errno.h>
#include "clusterd/core/decide.h"
#include "tests/unit/clubus.h"

#define FOR (600 * S)

static void order(uint32_t by, bool on, uint64_t ns)
{
	struct clu_cmd c = { .kind = CLU_CMD_DISARM, .on = on, .lease_ns = ns, .time_ns = now, .text = "a new switch" };

	submit(&mem[by], &c);
	run(3 * S);
}

static bool permitted(uint32_t i)
{
	const struct clu_host *h = &mem[0].s.host[i];

	return h->permit_id && h->permit_for == mem[0].s.disarm.id && mem[i].n.permit.until_ns > now;
}

/* Each in the life that it has now. */
static void hosts_up(uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct clu_cmd up = {
			.kind = CLU_CMD_HOST_UP, .boot = mem[i].n.boot, .lease_ns = LEASE, .self_fencing = true
		};

		submit(&mem[i], &up);
	}
	run(S);
}

static void lose(uint32_t by, uint32_t node)
{
	struct clu_cmd c = { .kind = CLU_CMD_HOST_LOST, .host = node };

	submit(&mem[by], &c);
	run(S);
	assert_int_equal(mem[by].s.host[node - 1].state, CLU_HOST_LOST);
}

/* When @by knows that host 5 is safe; fails if that lasts longer than @most. */
static uint64_t safe_at(uint32_t by, uint64_t most)
{
	uint64_t end = now + most;

	while (mem[by].s.host[4].state != CLU_HOST_SAFE && now < end)
		run(S / 4);
	assert_int_equal(mem[by].s.host[4].state, CLU_HOST_SAFE);
	return now;
}

static void test_all_are_cut(void **state)
{
	(void)state;
	all_up();
	order(1, true, FOR);
	assert_true(mem[3].s.disarm.id);
	assert_string_equal(mem[3].s.disarm.text, "a new switch");
	for (uint32_t i = 0; i < N; i++)
		assert_true(permitted(i));
	uint64_t cut = now;
	views("abcde");
	while (now < cut + FOR - 10 * S) { /* each by itself */
		run(S);
		for (uint32_t i = 0; i < N; i++)
			assert_true(mem[i].lease_ns > now);
	}
	/* by itself it is over on each, a lease after the end at most */
	run(2 * LEASE + 10 * S);
	for (uint32_t i = 0; i < N; i++) {
		assert_true(mem[i].lease_ns <= now);
		assert_true(mem[i].lease_ns <= cut + FOR + LEASE);
	}
}

/* Who was cut off before it knew ends as ever. */
static void test_who_does_not_know(void **state)
{
	(void)state;
	all_up();
	views("aaaab");
	uint64_t cut = now;
	run(S);
	order(0, true, FOR);
	run(LEASE);
	assert_true(mem[4].lease_ns <= cut + LEASE);
	assert_false(permitted(4));
	assert_true(permitted(0));
	/* it learns of it when it is back */
	views("aaaaa");
	run(3 * S);
	assert_true(permitted(4));
}

static void test_nothing_is_lost_or_started(void **state)
{
	static struct clu_proposals out;
	const uint32_t member[] = { 1, 2, 3, 4 };
	struct clu_view v = { .member = member, .n = 4, .commit = UINT64_MAX };
	struct clu_cmd c = { .kind = CLU_CMD_HOST_LOST, .host = 5, .request = 7 };
	(void)state;

	all_up();
	order(0, true, FOR);
	views("aaaab");
	run(S);
	submit(&mem[0], &c);
	run(S);
	assert_int_equal(mem[0].answer_status, -EBUSY);
	assert_int_equal(mem[0].s.host[4].state, CLU_HOST_ONLINE);
	v.disarm_left_ns = clu_node_disarm_left(&mem[0].n);
	assert_true(v.disarm_left_ns && v.disarm_left_ns < FOR);
	clu_decide(&mem[0].s, &v, NULL, 17, &out); /* whatever time it is */
	assert_int_equal(out.n, 0);
	assert_int_equal(out.next_ns, 17 + v.disarm_left_ns);
	/* the coordinator ends it in time */
	run(v.disarm_left_ns + S);
	v.disarm_left_ns = clu_node_disarm_left(&mem[0].n);
	clu_decide(&mem[0].s, &v, NULL, now, &out);
	assert_int_equal(out.n, 1);
	assert_int_equal(out.cmd[0].kind, CLU_CMD_DISARM);
	assert_false(out.cmd[0].on);
	assert_int_equal(out.cmd[0].op_id, mem[0].s.disarm.id);
}

/* Armed while a host is cut off: it does not know, so it is waited for to the end of its permit. */
static void test_armed_behind_its_back(void **state)
{
	(void)state;
	all_up();
	order(0, true, FOR);
	views("aaaab");
	run(20 * S);
	uint64_t end = mem[4].n.permit.until_ns;
	assert_true(end > now + FOR / 2);
	order(0, false, 0);
	assert_int_equal(mem[0].s.disarm.id, 0);
	assert_int_equal(mem[0].s.host[0].permit_id, 0);
	assert_true(mem[0].s.host[4].permit_id);
	lose(0, 5);
	assert_true(safe_at(0, 2 * FOR) >= end);
	assert_true(mem[4].lease_ns <= end);
}

/* The same when all others were restarted, and remember nothing. */
static void test_others_restart(void **state)
{
	(void)state;
	all_up();
	order(0, true, FOR);
	views("aaaab");
	run(20 * S);
	uint64_t end = mem[4].n.permit.until_ns;
	for (uint32_t i = 0; i < 4; i++)
		boot(i);
	views("aaaab");
	run(3 * S);
	hosts_up(4);
	order(0, false, 0);
	assert_int_equal(mem[0].s.disarm.id, 0);
	lose(0, 5);
	assert_true(safe_at(0, 2 * FOR) >= end);
}

/* Armed, and all know: a loss takes no longer than ever. */
static void test_armed(void **state)
{
	(void)state;
	all_up();
	order(2, true, FOR);
	assert_true(permitted(4));
	order(2, false, 0);
	for (uint32_t i = 0; i < N; i++) {
		assert_int_equal(mem[0].s.host[i].permit_id, 0);
		assert_int_equal(mem[i].n.permit.until_ns, 0);
	}
	uint64_t cut = now;
	views("aaaab");
	run(S);
	lose(0, 5);
	assert_true(safe_at(0, FOR) <= cut + LEASE + LEASE / 100 + 3 * S);
	assert_true(mem[4].lease_ns <= cut + LEASE);
}

/* A shorter one over a longer one: who starts with a state that has the shorter one only waits no longer, so nobody runs longer. */
static void test_anew(void **state)
{
	(void)state;
	all_up();
	order(0, true, FOR);
	uint64_t first = mem[4].n.permit.until_ns;
	order(0, true, 30 * S);
	assert_true(mem[4].n.permit.until_ns < first);
	assert_int_equal(mem[4].n.permit.held_of, mem[0].s.disarm.id);
	views("aaaab");
	uint64_t end = mem[4].n.permit.until_ns;
	for (uint32_t i = 0; i < 4; i++)
		boot(i);
	run(3 * LEASE + 30 * S);
	assert_true(mem[4].lease_ns <= end);
	/* and longer, without a gap */
	boot(4);
	views("aaaaa");
	run(3 * S);
	hosts_up(5);
	order(0, true, FOR);
	assert_true(permitted(1));
	order(0, true, 2 * FOR);
	views("abcde");
	for (unsigned k = 0; k < 100; k++) {
		run(S);
		assert_true(mem[1].lease_ns > now);
	}
}

static void test_refused(void **state)
{
	static const struct {
		uint64_t ns;
		const char *text;
	} wrong[] = { { FOR, "" }, { 0, "x" }, { CLU_DISARM_MAX_NS + 1, "x" } };
	struct clu_changes ch = { 0 };
	struct clu_answer a;
	uint8_t buf[CLU_RECORD_MAX];
	(void)state;

	all_up();
	for (unsigned i = 0; i < 3; i++) {
		struct clu_cmd c = { .kind = CLU_CMD_DISARM, .on = true, .lease_ns = wrong[i].ns };
		snprintf(c.text, sizeof(c.text), "%s", wrong[i].text);
		clu_apply(&mem[0].s, &c, &ch, &a);
		assert_int_equal(a.status, -EINVAL);
	}
	struct clu_cmd off = { .kind = CLU_CMD_DISARM };
	clu_apply(&mem[0].s, &off, &ch, &a);
	assert_int_equal(a.status, -EALREADY);
	/* no permit without a disarm, nor for a life that is over */
	struct clu_cmd p = {
		.kind = CLU_CMD_PERMIT, .origin = 2, .on = true, .rev = 9, .lease_ns = S, .boot = mem[1].n.boot
	};
	clu_apply(&mem[0].s, &p, &ch, &a);
	assert_int_equal(a.status, -ESTALE);
	assert_int_equal(clu_record_pack(&mem[0].s, CLU_OBJ_DISARM, 0, buf), 0);
	struct clu_cmd on = { .kind = CLU_CMD_DISARM, .on = true, .lease_ns = FOR, .text = "x" };
	clu_apply(&mem[0].s, &on, &ch, &a);
	assert_int_equal(a.status, 0);
	assert_true(clu_record_pack(&mem[0].s, CLU_OBJ_DISARM, 0, buf) > 0);
	p.op_id = mem[0].s.disarm.id;
	p.boot++;
	clu_apply(&mem[0].s, &p, &ch, &a);
	assert_int_equal(a.status, -ESTALE);
	p.boot--;
	clu_apply(&mem[0].s, &p, &ch, &a);
	assert_int_equal(a.status, 0);
	assert_int_equal(mem[0].s.sum, clu_sum(&mem[0].s));
	assert_true(clu_record_pack(&mem[0].s, CLU_OBJ_HOST, 1, buf) && buf[0] == 6);
	off.op_id = 1;
	clu_apply(&mem[0].s, &off, &ch, &a);
	assert_int_equal(a.status, -ESTALE);
}

int main(void)
{
	static const struct CMUnitTest t[] = {
		cmocka_unit_test_setup_teardown(test_all_are_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(test_who_does_not_know, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nothing_is_lost_or_started, setup, teardown),
		cmocka_unit_test_setup_teardown(test_armed_behind_its_back, setup, teardown),
		cmocka_unit_test_setup_teardown(test_others_restart, setup, teardown),
		cmocka_unit_test_setup_teardown(test_armed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_anew, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
	};

	return cmocka_run_group_tests(t, NULL, NULL);
}
