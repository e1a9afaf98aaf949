/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pulses: leases that do not wait for views; and leases that change. */
#include "config.h"
#include "tests/unit/clubus.h"

/* From here on all members send pulses, and hear them. */
static void pulses_on(void)
{
	struct clu_event ev = { .kind = CLU_EV_TICK };

	memset(hears, 1, sizeof(hears));
	for (uint32_t i = 0; i < N; i++) {
		mem[i].n.pulses = true;
		feed(&mem[i], &ev);
	}
}

static void test_pulses_renew_leases_while_views_come_and_go(void **state)
{
	(void)state;
	all_up();
	pulses_on();
	for (uint32_t k = 0; k < 30; k++) { /* no view lives long enough to decide */
		views(k % 2 ? "aabbc" : "abbac");
		for (uint32_t i = 0; i < N; i++) {
			struct clu_event ev = { .kind = CLU_EV_QUORATE };
			feed(&mem[i], &ev);
		}
		run(S);
		for (uint32_t i = 0; i < N; i++)
			assert_true(mem[i].lease_ns > now + LEASE / 2);
	}
}

static void test_who_declares_a_host_lost_acknowledges_no_pulse_of_it(void **state)
{
	struct clu_cmd c = { .kind = CLU_CMD_HOST_LOST, .host = 5 };

	(void)state;
	all_up();
	pulses_on();
	views("aaaab");
	run(S);
	uint64_t lost = now;
	submit(&mem[0], &c);
	run(2 * LEASE);
	assert_int_equal(mem[0].s.host[4].state, CLU_HOST_SAFE);
	assert_true(mem[4].lease_ns <= lost + LEASE);
	assert_true(mem[0].lease_ns > now); /* the others' go on */
}

/* What it acknowledged it promised: it waits the lease out from the pulse that it heard last. */
static void test_a_pulse_prolongs_the_wait(void **state)
{
	(void)state;
	all_up();
	pulses_on();
	uint64_t before = mem[1].n.peer[4].wait_until_ns;
	views("aaaab");
	run(3 * S);
	assert_true(mem[1].n.peer[4].wait_until_ns >= before + 2 * S);
	assert_true(mem[1].n.peer[4].wait_until_ns >= mem[4].lease_ns);
}

/* A clusterd that was restarted may have said WAITED in a state that its disk does not have: it must see the others' first. */
static void test_a_restarted_node_acknowledges_no_pulse_before_it_is_in_a_view(void **state)
{
	(void)state;
	all_up();
	pulses_on();
	boot(3);
	mem[3].n.pulses = true;
	for (uint32_t i = 0; i < N; i++)
		mem[3].part = 9;
	run(S);
	assert_int_equal(mem[3].s.host[0].state, CLU_HOST_ONLINE);
	assert_int_equal(mem[3].n.peer[0].seen_seq, 0);
	views("aaaaa");
	run(S);
	assert_true(mem[3].n.peer[0].seen_seq > 0);
}

static void test_nobody_hears_pulses_nobody_acknowledges(void **state)
{
	(void)state;
	all_up();
	pulses_on();
	memset(hears, 0, sizeof(hears));
	views("abcde");
	run(2 * LEASE);
	for (uint32_t i = 0; i < N; i++)
		assert_true(mem[i].lease_ns < now);
}

static void test_a_shorter_lease_is_used_first_and_a_longer_one_said_first(void **state)
{
	struct clu_node *n = &mem[2].n;

	(void)state;
	all_up();
	assert_int_equal(clu_node_lease(n, LEASE, now), LEASE);
	assert_int_equal(clu_node_lease(n, LEASE / 2, now), LEASE);
	assert_int_equal(n->lease_ns, LEASE / 2);
	run(LEASE);
	assert_int_equal(clu_node_lease(n, LEASE / 2, now), LEASE); /* a deadline of before may just be running */
	run(S);
	assert_int_equal(clu_node_lease(n, LEASE / 2, now), LEASE / 2);
	/* a beat that was sent with the shorter one gives no more, when it is acknowledged after the change */
	uint64_t sent = now;
	n->seq++;
	n->beat[n->seq % CLU_BEATS_KEPT].seq = n->seq;
	n->beat[n->seq % CLU_BEATS_KEPT].sent_ns = sent;
	n->beat[n->seq % CLU_BEATS_KEPT].tick = 3 * sent;
	n->beat[n->seq % CLU_BEATS_KEPT].lease_ns = LEASE / 2;
	n->lease_ns = LEASE;
	for (uint32_t i = 0; i < N; i++) {
		struct clu_pulse p = { .from = i + 1, .ack_boot = n->boot, .ack_seq = n->seq };
		struct clu_event ev = { .kind = CLU_EV_PULSE, .pulse = &p };
		feed(&mem[2], &ev);
	}
	assert_int_equal(mem[2].lease_ns, sent + LEASE / 2);
	n->lease_ns = LEASE / 2;
	mem[2].s.host[2].lease_ns = LEASE / 2; /* as HOST_UP has it */
	assert_int_equal(clu_node_lease(n, LEASE, now), LEASE);
	assert_int_equal(n->lease_ns, LEASE / 2);
	mem[2].s.host[2].lease_ns = LEASE;
	assert_int_equal(clu_node_lease(n, LEASE, now), LEASE);
	assert_int_equal(n->lease_ns, LEASE);
}

/* Its clusterd was restarted with a shorter lease while the guard holds a deadline of the longer one; so were those who acknowledged that. */
static void test_a_lease_of_a_life_before_is_said_until_it_is_over(void **state)
{
	struct clu_node *n = &mem[2].n;

	(void)state;
	all_up();
	mem[2].s.host[2].boot = n->boot + 1;
	mem[2].s.host[2].lease_ns = 3 * LEASE;
	mem[2].s.host[2].state = CLU_HOST_SAFE; /* it was waited out */
	assert_int_equal(clu_node_lease(n, LEASE, now), LEASE);
	mem[2].s.host[2].state = CLU_HOST_LOST;
	assert_int_equal(clu_node_lease(n, LEASE, now), 3 * LEASE);
	assert_int_equal(n->lease_ns, LEASE);
	mem[2].s.host[2].boot = n->boot; /* HOST_UP */
	assert_int_equal(clu_node_lease(n, LEASE, now + 2 * LEASE), 3 * LEASE);
	/* another change does not make that end sooner */
	assert_int_equal(clu_node_lease(n, LEASE / 2, now + LEASE), 3 * LEASE);
	assert_int_equal(clu_node_lease(n, LEASE / 2, now + 3 * LEASE), 3 * LEASE);
	assert_int_equal(clu_node_lease(n, LEASE / 2, now + 3 * LEASE + 1), LEASE / 2);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_pulses_renew_leases_while_views_come_and_go),
		T(test_who_declares_a_host_lost_acknowledges_no_pulse_of_it),
		T(test_a_pulse_prolongs_the_wait),
		T(test_a_restarted_node_acknowledges_no_pulse_before_it_is_in_a_view),
		T(test_nobody_hears_pulses_nobody_acknowledges),
		T(test_a_shorter_lease_is_used_first_and_a_longer_one_said_first),
		T(test_a_lease_of_a_life_before_is_said_until_it_is_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
