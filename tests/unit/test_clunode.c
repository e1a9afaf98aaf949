/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Views, epochs, commit, snapshots, leases and waits, told step by step. The great simulation with faults is in tests/sim. */
#include "config.h"
#include "tests/unit/clubus.h"

static void equal(uint32_t i, uint32_t j)
{
	assert_int_equal(mem[i].s.epoch, mem[j].s.epoch);
	assert_int_equal(mem[i].s.index, mem[j].s.index);
	assert_int_equal(mem[i].s.sum, mem[j].s.sum);
}

static void test_a_cluster_forms(void **state)
{
	(void)state;
	all_up();
	assert_true(clu_node_coordinates(&mem[0].n));
	assert_false(clu_node_coordinates(&mem[1].n));
	uint64_t r = toggle(2);
	run(S);
	assert_int_equal(mem[2].answered, r);
	assert_true(mem[2].committed >= mem[2].answer_index);
	for (uint32_t i = 1; i < N; i++)
		equal(0, i);
}

static void test_a_minority_decides_nothing(void **state)
{
	(void)state;
	all_up();
	views("aaabb");
	run(3 * S);
	assert_int_equal(mem[3].n.phase, CLU_NODE_GATHER);
	assert_true(mem[3].warned > 0);
	uint64_t r = toggle(3), before = mem[3].s.index, lease = mem[3].lease_ns;
	run(30 * S);
	assert_int_equal(mem[3].answered, r);
	assert_int_equal(mem[3].answer_status, -EAGAIN);
	assert_int_equal(mem[3].s.index, before);
	assert_int_equal(mem[3].lease_ns, lease); /* no majority acknowledged */
	assert_int_equal(mem[0].n.phase, CLU_NODE_ACTIVE);
	assert_true(mem[0].lease_ns > now);
	toggle(0);
	run(S);
	views("aaaaa");
	run(3 * S);
	for (uint32_t i = 1; i < N; i++)
		equal(0, i);
	assert_int_equal(mem[4].n.phase, CLU_NODE_ACTIVE);
}

static void test_nothing_is_committed_before_a_majority_has_it_on_disk(void **state)
{
	(void)state;
	all_up();
	for (uint32_t i = 1; i < 4; i++)
		mem[i].held = true;
	toggle(0);
	run(S);
	assert_true(mem[0].s.index > mem[0].committed);
	mem[1].held = false;
	store(&mem[1]);
	run(S);
	assert_int_equal(mem[0].s.index, mem[0].committed); /* on the disks of 1, 2 and 5 */
	assert_int_equal(mem[2].s.index, mem[2].committed); /* and node 3 knows, though its own disk hangs */
}

static void test_what_only_a_leaving_node_got_is_given_up(void **state)
{
	(void)state;
	all_up();
	uint64_t before = mem[0].s.index;
	/* node 5 alone gets a command, the others never do */
	struct clu_msg m = { .kind = CLU_MSG_CMD,
		             .from = 5,
		             .cmd = { .kind = CLU_CMD_MAINTENANCE, .origin = 5, .host = 2, .on = true } };
	struct clu_event ev = { .kind = CLU_EV_MSG, .msg = &m };
	mem[4].part = 77;
	feed(&mem[4], &ev);
	deliver_all();
	assert_int_equal(mem[4].s.index, before + 1);
	assert_true(mem[4].committed <= before);
	views("aaaab");
	run(3 * S);
	toggle(0);
	run(S);
	views("aaaaa");
	run(3 * S);
	equal(0, 4);
	assert_false(mem[4].s.host[1].maintenance);
}

static void test_a_node_that_was_away_loads_and_catches_up(void **state)
{
	(void)state;
	all_up();
	mem[4].up = false;
	views("aaaa-");
	run(S);
	for (unsigned i = 0; i < 5; i++)
		toggle(i % 4);
	run(S);
	boot(4);
	views("aaaaa");
	for (unsigned i = 0; i < 20; i++) { /* commands go on while it loads */
		toggle(i % 4);
		if (i == 3)
			mem[4].held = true;
		run(20000000);
	}
	mem[4].held = false;
	if (!mem[4].loading)
		store(&mem[4]);
	run(12 * S);
	equal(0, 4);
	assert_false(mem[4].n.behind);
}

static void test_all_restart_from_their_disks(void **state)
{
	(void)state;
	all_up();
	toggle(1);
	run(S);
	uint64_t index = mem[0].s.index, epoch = mem[0].s.epoch;
	bool on = mem[0].s.host[0].maintenance;
	for (uint32_t i = 0; i < N; i++)
		mem[i].up = false;
	q_head = q_tail;
	now += 100 * S;
	for (uint32_t i = 0; i < N; i++)
		boot(i);
	views("aaaaa");
	run(2 * S);
	assert_int_equal(mem[0].s.host[0].maintenance, on);
	assert_true(mem[0].s.index > index && mem[0].s.epoch > epoch);
	for (uint32_t i = 1; i < N; i++)
		equal(0, i);
}

/* The story of docs/wire/cluster.md, "why promises": an epoch that only one node wrote must not come back as another one's equal. */
static void test_epochs_never_share_a_number(void **state)
{
	(void)state;
	all_up();
	/* nodes 1, 2, 3 open; 2 and 3 hold their disks: no majority promises, so no epoch begins at node 1 either */
	uint64_t epoch = mem[0].s.epoch, index = mem[0].s.index;
	views("aaabb");
	mem[1].held = mem[2].held = true;
	run(S);
	assert_int_equal(mem[0].n.phase, CLU_NODE_OPENED);
	assert_int_equal(mem[0].s.epoch, epoch);
	assert_int_equal(mem[0].s.index, index);
	assert_int_equal(mem[0].s.promised, epoch + 1);
	/* 2 to 5 meet without 1; 2 and 3 never wrote their promise */
	mem[1].held = mem[2].held = false;
	mem[1].s.promised = mem[1].disk.promised;
	mem[2].s.promised = mem[2].disk.promised;
	views("abbbb");
	run(S);
	for (unsigned i = 0; i < 3; i++) {
		toggle(1);
		run(S);
	}
	bool on = mem[1].s.host[0].maintenance;
	uint64_t committed = mem[1].committed;
	views("aaaaa");
	run(3 * S);
	equal(0, 1);
	assert_true(mem[0].s.index > committed);
	assert_int_equal(mem[0].s.host[0].maintenance, on);
}

static void test_lost_hosts_are_waited_out(void **state)
{
	(void)state;
	all_up();
	uint64_t lease = mem[4].lease_ns, cut = now;
	views("aaaab");
	run(S);
	struct clu_cmd c = { .kind = CLU_CMD_HOST_LOST, .host = 5 };
	submit(&mem[0], &c);
	while (mem[0].s.host[4].state != CLU_HOST_SAFE && now < cut + 100 * S)
		run(100000000);
	assert_int_equal(mem[0].s.host[4].state, CLU_HOST_SAFE);
	assert_int_equal(mem[0].s.host[4].safe_by, CLU_SAFE_DEADLINE);
	assert_true(mem[4].lease_ns == lease);
	assert_true(now > lease + S);           /* its guard had all the time */
	assert_true(now < cut + LEASE + 3 * S); /* and not for ever */
}

static void test_a_restarted_daemon_waits_from_its_start(void **state)
{
	(void)state;
	all_up();
	views("aaaab");
	run(S);
	struct clu_cmd c = { .kind = CLU_CMD_HOST_LOST, .host = 5 };
	submit(&mem[0], &c);
	run(5 * S);
	uint64_t restart = now;
	for (uint32_t i = 0; i < 3; i++) { /* of the four, three forget what they acknowledged */
		mem[i].up = false;
		boot(i);
	}
	q_head = q_tail;
	views("aaaab");
	while (mem[3].s.host[4].state != CLU_HOST_SAFE && now < restart + 100 * S)
		run(100000000);
	assert_true(now >= restart + LEASE + S);
	assert_true(now < restart + LEASE + 4 * S);
}

static void test_a_state_that_differs_is_replaced_with_a_warning(void **state)
{
	(void)state;
	all_up();
	mem[3].s.host[2].maintenance = true; /* a bit flips */
	mem[3].s.sum = clu_sum(&mem[3].s);
	run(8 * S);
	assert_true(mem[3].warned > 0);
	equal(0, 3);
	assert_false(mem[3].s.host[2].maintenance);
}

static void test_no_lease_without_votequorum_or_guard(void **state)
{
	(void)state;
	all_up();
	mem[2].n.quorate = false;
	uint64_t lease = mem[2].lease_ns;
	run(5 * S);
	assert_int_equal(mem[2].lease_ns, lease);
	struct clu_event ev = { .kind = CLU_EV_QUORATE, .ok = true };
	feed(&mem[2], &ev);
	assert_true(mem[2].lease_ns > lease);
	mem[3].n.lease_ns = 0;
	lease = mem[3].lease_ns;
	run(5 * S);
	assert_int_equal(mem[3].lease_ns, lease);
}

/* Its clusterd hangs, corosync does not notice: it is in the view, and says nothing. */
static void test_a_member_that_hangs_is_lost(void **state)
{
	uint32_t alive[CLU_HOSTS_MAX];

	(void)state;
	all_up();
	mem[0].up = false;
	run(LEASE / 2);
	assert_int_equal(clu_node_alive(&mem[1].n, alive), N);
	assert_false(clu_node_coordinates(&mem[1].n));
	run(LEASE);
	assert_int_equal(clu_node_alive(&mem[1].n, alive), N - 1);
	assert_int_equal(alive[0], 2);
	assert_true(clu_node_coordinates(&mem[1].n));
	assert_false(clu_node_coordinates(&mem[2].n));
	/* it was this one that stood still: it cannot say of the others that they did */
	mem[1].up = false;
	run(5 * LEASE);
	mem[1].up = true;
	struct clu_event ev = { .kind = CLU_EV_TICK };
	feed(&mem[1], &ev);
	assert_int_equal(clu_node_alive(&mem[1].n, alive), N);
	mem[0].up = true;
	run(S);
	assert_true(clu_node_coordinates(&mem[0].n));
	assert_false(clu_node_coordinates(&mem[1].n));
}

/* A snapshot that is overtaken by another RESYNC does not make its reader synced, for anybody: a view may become active by that. */
static void test_a_synced_that_was_overtaken_does_not_count(void **state)
{
	(void)state;
	all_up();
	mem[2].up = false;
	views("aa-aa");
	run(S);
	toggle(0);
	run(S);
	mem[2].up = true;
	views("aaabb");
	while (q_head != q_tail && queue[q_head % QUEUE].m.kind != CLU_MSG_SNAPSHOT)
		deliver_one();
	assert_true(q_head != q_tail);
	struct clu_msg m = { .kind = CLU_MSG_RESYNC, .seq = ++mem[2].n.resync_seq };
	m.ring = mem[2].n.ring;
	m.members_sum = mem[2].n.members_sum;
	enqueue(&mem[2], &m);
	while (q_head != q_tail && queue[q_head % QUEUE].m.kind != CLU_MSG_SYNCED)
		deliver_one();
	assert_true(q_head != q_tail);
	toggle(0); /* behind SYNCED, and before the second snapshot is read */
	run(10 * S);
	toggle(0);
	run(S);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(mem[i].n.phase, CLU_NODE_ACTIVE);
	assert_int_equal(mem[2].warned, 0);
	equal(0, 1);
	equal(0, 2);
}

/* A clusterd went and came back: same ring, same members. A slow member's OPEN for the view before comes now, of the epoch that all serve. */
static void test_open_of_an_equal_view(void **state)
{
	(void)state;
	all_up();
	uint64_t epoch = mem[0].n.epoch;
	ring -= 4;
	views("aaaaa");
	struct clu_msg stale = { .kind = CLU_MSG_OPEN,
		                 .ring = mem[1].n.ring,
		                 .members_sum = mem[1].n.members_sum,
		                 .epoch = epoch,
		                 .source = 1,
		                 .index = mem[0].s.index,
		                 .sum = mem[0].s.sum,
		                 .said = { 0x1f } };
	enqueue(&mem[1], &stale);
	run(S);
	for (uint32_t i = 0; i < N; i++) {
		assert_int_equal(mem[i].n.phase, CLU_NODE_ACTIVE);
		assert_int_equal(mem[i].s.epoch, epoch + 1);
	}
}

/* In such a view a HELLO of before counts for a member that has more by now: it must not be part of an epoch that knows less. */
static void test_hello_of_an_equal_view(void **state)
{
	(void)state;
	all_up();
	uint64_t epoch = mem[0].n.epoch;
	ring -= 4;
	views("aaaaa");
	struct clu_msg stale = { .kind = CLU_MSG_HELLO,
		                 .ring = mem[2].n.ring,
		                 .members_sum = mem[2].n.members_sum,
		                 .epoch = epoch - 1,
		                 .index = mem[2].s.index - 1,
		                 .sum = 1,
		                 .promised = epoch - 1 };
	enqueue(&mem[2], &stale);
	run(3 * S);
	for (uint32_t i = 0; i < N; i++) {
		assert_int_equal(mem[i].n.phase, CLU_NODE_ACTIVE);
		assert_int_equal(mem[i].s.epoch, epoch + 2); /* the first one was not begun */
		assert_int_equal(mem[i].s.sum, mem[0].s.sum);
	}
}

/* The machine of member 0 stands still for @ns, and its clock with it. */
static void pause_first(uint64_t ns)
{
	mem[0].up = false;
	run(ns);
	mem[0].up = true;
	mem[0].lag_ns += ns;
	mem[0].over = 0;
	mem[0].stood_ns = 0;
}

static void test_others_clocks_tell_of_a_pause(void **state)
{
	(void)state;
	all_up();
	mem[0].n.clock_stops = true;
	run(100 * S);
	assert_int_equal(mem[0].stood_ns + mem[0].over, 0);
	/* longer than the lease: it is over, as soon as the first of the others is heard */
	uint64_t believed = mem[0].lease_ns;
	pause_first(30 * S);
	assert_true(believed > now - mem[0].lag_ns);
	run(S);
	assert_int_equal(mem[0].over, 1);
	assert_in_range(mem[0].stood_ns, 29 * S, 31 * S); /* once, whoever else says so */
	/* and goes on with beats of later */
	run(2 * S);
	assert_true(mem[0].lease_ns > believed && mem[0].lease_ns > now - mem[0].lag_ns);
	assert_int_equal(mem[0].over, 1);
	assert_in_range(mem[0].stood_ns, 29 * S, 31 * S);
	run(100 * S);
	/* a short pause is seen, but there is another lease before the old one ends */
	pause_first(4 * S);
	run(20 * S);
	assert_in_range(mem[0].stood_ns, 3 * S, 5 * S);
	assert_int_equal(mem[0].over, 0);
	/* another's pause is none of mine: its clock falls back, mine does not */
	mem[0].stood_ns = 0;
	mem[1].up = false;
	run(20 * S);
	mem[1].up = true;
	mem[1].lag_ns = 20 * S;
	run(100 * S);
	assert_int_equal(mem[0].stood_ns + mem[0].over, 0);
}

static void test_a_pause_ends_a_lease_that_is_not_renewed(void **state)
{
	(void)state;
	all_up();
	mem[0].n.clock_stops = true;
	run(50 * S);
	pause_first(4 * S);
	/* one word of another comes through, then it is cut off: half of the lease is gone */
	run(600000000);
	views("abbbb");
	uint64_t told = mem[0].lease_ns, at = now - mem[0].lag_ns;
	assert_true(told > at);
	if (!mem[0].n.expires_ns) /* renewed already */
		return;
	run(mem[0].n.expires_ns - at + S / 10);
	assert_int_equal(mem[0].over, 1);
	assert_true(now - mem[0].lag_ns < told);
}

/* With a clock that runs on nobody else is asked. */
static void test_a_clock_that_runs_on(void **state)
{
	(void)state;
	all_up();
	run(50 * S);
	pause_first(30 * S);
	run(5 * S);
	assert_int_equal(mem[0].stood_ns + mem[0].over, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_a_cluster_forms),
		T(test_a_minority_decides_nothing),
		T(test_nothing_is_committed_before_a_majority_has_it_on_disk),
		T(test_what_only_a_leaving_node_got_is_given_up),
		T(test_a_node_that_was_away_loads_and_catches_up),
		T(test_all_restart_from_their_disks),
		T(test_epochs_never_share_a_number),
		T(test_lost_hosts_are_waited_out),
		T(test_a_restarted_daemon_waits_from_its_start),
		T(test_a_state_that_differs_is_replaced_with_a_warning),
		T(test_no_lease_without_votequorum_or_guard),
		T(test_a_member_that_hangs_is_lost),
		T(test_others_clocks_tell_of_a_pause),
		T(test_a_pause_ends_a_lease_that_is_not_renewed),
		T(test_a_clock_that_runs_on),
		T(test_a_synced_that_was_overtaken_does_not_count),
		T(test_open_of_an_equal_view),
		T(test_hello_of_an_equal_view),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
