/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Corosync's node list changes while the nodes run, and each finds that at a time of its own. ADR 93. */
#include "config.h"
#include "tests/unit/clubus.h"

/* As clusterd/io/nodeio_config.c: the list, then the view once more. @parts as for views(). */
static void relist(uint32_t i, uint32_t n, const char *parts)
{
	uint32_t node[N], member[N], n_members = 0;
	char name[N][CLU_NAME_MAX];

	for (uint32_t k = 0; k < n; k++) {
		node[k] = k + 1;
		snprintf(name[k], CLU_NAME_MAX, "h%u", k + 1);
	}
	clu_node_list(&mem[i].n, node, name, n);
	for (uint32_t j = 0; j < N; j++)
		if (parts[j] == parts[i])
			member[n_members++] = j + 1;
	struct clu_event ev = { .kind = CLU_EV_VIEW, .ring = ring, .member = member, .n_members = n_members };
	feed(&mem[i], &ev);
}

static void are_one(uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		assert_int_equal(mem[i].n.phase, CLU_NODE_ACTIVE);
		assert_false(mem[i].n.behind);
		assert_int_equal(mem[i].s.n_nodes, n);
		assert_int_equal(mem[i].s.epoch, mem[0].s.epoch);
		assert_int_equal(mem[i].s.sum, mem[0].s.sum);
	}
}

/* Nobody hears what was said before it had the list, and yet all of them find together. */
static void test_one_after_the_other(void **state)
{
	static const uint32_t order[][4] = { { 3, 1, 0, 2 }, { 0, 1, 2, 3 }, { 3, 2, 1, 0 }, { 1, 3, 2, 0 } };
	static const uint64_t pause_ns[] = { 10000000, 400000000, 900000000, 3 * S };

	(void)state;
	for (unsigned k = 0; k < 16; k++) {
		memset(mem, 0, sizeof(mem));
		for (uint32_t i = 0; i < N; i++)
			boot(i);
		all_up();
		mem[4].up = false;
		views("aaaa-");
		run(S);
		for (unsigned i = 0; i < 4; i++) {
			relist(order[k / 4][i], 4, "aaaa-");
			run(pause_ns[k % 4]);
		}
		run(2 * S);
		are_one(4);
		uint64_t r = toggle(2);
		run(S);
		assert_int_equal(mem[2].answered, r);
		assert_int_equal(mem[2].answer_status, 0);
	}
}

/* Lists of one size that are not the same: their slots are other hosts, so there is no view of both. */
static void test_two_lists_of_one_size(void **state)
{
	const uint32_t other[] = { 1, 2, 3, 4, 9 };
	char name[N][CLU_NAME_MAX] = { "h1", "h2", "h3", "h4", "h9" };
	const uint32_t member[] = { 1, 2, 3, 4 };

	(void)state;
	all_up();
	mem[4].up = false;
	views("aaaa-");
	run(S);
	clu_node_list(&mem[0].n, other, name, N);
	struct clu_event ev = { .kind = CLU_EV_VIEW, .ring = ring, .member = member, .n_members = 4 };
	feed(&mem[0], &ev);
	run(3 * S);
	assert_int_not_equal(mem[0].n.phase, CLU_NODE_ACTIVE);
	for (uint32_t i = 1; i < 4; i++)
		assert_int_equal(mem[i].n.phase, CLU_NODE_ACTIVE);
	for (uint32_t i = 1; i < 4; i++) {
		clu_node_list(&mem[i].n, other, name, N);
		feed(&mem[i], &ev);
	}
	run(2 * S);
	for (uint32_t i = 0; i < 4; i++) {
		assert_int_equal(mem[i].n.phase, CLU_NODE_ACTIVE);
		assert_int_equal(mem[i].s.sum, mem[0].s.sum);
		assert_int_equal(mem[i].s.host[4].node, 9);
	}
}

/* One that left the list acknowledged a beat: that is no vote among those that stay. */
static void test_the_word_of_one_that_was_taken_out(void **state)
{
	uint64_t lease;

	(void)state;
	all_up();
	views("abbbb");
	mem[0].n.pulses = true;
	run(S);
	lease = mem[0].lease_ns;
	hears[4][0] = true; /* the last one hears it, and nobody else */
	mem[4].n.pulses = hears[0][4] = true;
	run(S);
	assert_true(mem[0].n.peer[4].ack_seq > mem[0].n.renewed_seq);
	assert_int_equal(mem[0].lease_ns, lease);
	relist(0, 3, "abbbb"); /* two of three would be enough */
	struct clu_event ev = { .kind = CLU_EV_QUORATE, .ok = true };
	feed(&mem[0], &ev);
	run(S);
	assert_int_equal(mem[0].lease_ns, lease);
	hears[4][0] = hears[0][4] = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_one_after_the_other, setup, teardown),
		cmocka_unit_test_setup_teardown(test_two_lists_of_one_size, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_word_of_one_that_was_taken_out, setup, teardown),
	};

	return cmocka_run_group_tests_name("clulist", tests, NULL, NULL);
}
