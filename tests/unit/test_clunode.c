/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Nodes on a small bus: views, epochs, commit, snapshots, leases and waits, told step by step. The bus is a totally ordered queue for each
 * partition, as CPG gives; disks are immediate unless a test holds them. The great simulation with faults is in tests/sim.
 */
#include "config.h"
#include "clusterd/core/node.h"

#include "tests/unit/testutil.h"

#define N     5u
#define DOMS  4u
#define QUEUE 4096u
#define S     1000000000ull
#define LEASE (8 * S)

struct disk {
	uint64_t epoch, index, promised;
	struct clu_state s;
	struct clu_dom dom[DOMS];
};

struct member {
	struct clu_node n;
	struct clu_state s;
	struct clu_dom dom[DOMS];
	struct disk disk;
	bool up, held; /* held: the disk does not answer */
	uint32_t part; /* partition it is in */
	uint64_t committed, lease_ns, loud, answered, answer_index;
	int answer_status;
	struct clu_cmd buffered[64];
	uint32_t n_buffered;
	bool loading;
};

struct bus_msg {
	uint32_t part;
	struct clu_msg m;
	struct {
		bool set;
		uint64_t epoch, index;
		struct clu_state s;
		struct clu_dom dom[DOMS];
	} snap;
};

static struct member mem[N];
static struct bus_msg *queue;
static uint32_t q_head, q_tail;
static uint64_t now, ring, request;

static void feed(struct member *m, struct clu_event *ev);

static void copy_state(struct clu_state *to, struct clu_dom *to_dom, const struct clu_state *from)
{
	memcpy(to_dom, from->dom, sizeof(struct clu_dom) * DOMS);
	*to = *from;
	to->dom = to_dom;
}

static void store(struct member *m)
{
	if (m->held)
		return;
	copy_state(&m->disk.s, m->disk.dom, &m->s);
	m->disk.epoch = m->s.epoch, m->disk.index = m->s.index, m->disk.promised = m->s.promised;
	struct clu_event ev = {
		.kind = CLU_EV_STORED, .epoch = m->s.epoch, .index = m->s.index, .promised = m->s.promised
	};
	feed(m, &ev);
}

static struct bus_msg *enqueue(struct member *m, const struct clu_msg *msg)
{
	assert_true(q_tail - q_head < QUEUE);
	struct bus_msg *b = &queue[q_tail++ % QUEUE];
	b->part = m->part;
	b->m = *msg;
	b->m.from = m->n.node;
	b->snap.set = false;
	return b;
}

static void submit(struct member *m, const struct clu_cmd *c)
{
	struct clu_msg msg = { .kind = CLU_MSG_CMD, .cmd = *c };

	msg.cmd.origin = m->n.node;
	enqueue(m, &msg);
}

static struct bus_msg *delivering;

static void load(struct member *m)
{
	uint64_t promised = m->s.promised;

	assert_true(delivering && delivering->snap.set);
	copy_state(&m->s, m->dom, &delivering->snap.s);
	if (m->s.promised < promised)
		m->s.promised = promised;
	m->loading = true;
}

static void act(struct member *m, const struct clu_action *a)
{
	struct clu_msg snap = a->msg;

	switch (a->kind) {
	case CLU_ACT_SEND:
		enqueue(m, &a->msg);
		break;
	case CLU_ACT_STORE:
		store(m);
		break;
	case CLU_ACT_SNAPSHOT:
		snap.kind = CLU_MSG_SNAPSHOT;
		struct bus_msg *b = enqueue(m, &snap);
		b->snap.set = true;
		copy_state(&b->snap.s, b->snap.dom, &m->s);
		break;
	case CLU_ACT_LOAD:
		load(m);
		break;
	case CLU_ACT_BUFFER:
		assert_true(delivering && delivering->m.kind == CLU_MSG_CMD && m->n_buffered < 64);
		m->buffered[m->n_buffered++] = delivering->m.cmd;
		break;
	case CLU_ACT_FORGET:
		m->n_buffered = 0;
		break;
	case CLU_ACT_ANSWER:
		m->answered = a->request;
		m->answer_index = a->index;
		m->answer_status = a->answer.status;
		break;
	case CLU_ACT_COMMITTED:
		assert_true(a->index > m->committed);
		m->committed = a->index;
		break;
	case CLU_ACT_LEASE:
		assert_true(a->at_ns > m->lease_ns);
		m->lease_ns = a->at_ns;
		break;
	case CLU_ACT_SUBMIT:
		submit(m, &a->cmd);
		break;
	case CLU_ACT_LOUD:
		m->loud++;
		break;
	}
}

static void feed(struct member *m, struct clu_event *ev)
{
	static struct clu_actions out[16];
	static unsigned depth;
	struct clu_changes ch = { 0 };

	if (!m->up)
		return;
	assert_true(depth < 16);
	struct clu_actions *o = &out[depth++];
	o->n = 0;
	ev->now_ns = now;
	clu_node_step(&m->n, ev, &ch, o);
	assert_int_equal(m->s.sum, clu_sum(&m->s));
	for (size_t i = 0; i < o->n; i++)
		act(m, &o->a[i]);
	depth--;
	if (m->loading && !m->held && depth == 0) {
		struct clu_event ok = { .kind = CLU_EV_LOADED, .ok = true };
		m->loading = false;
		copy_state(&m->disk.s, m->disk.dom, &m->s);
		m->disk.epoch = m->s.epoch, m->disk.index = m->s.index, m->disk.promised = m->s.promised;
		feed(m, &ok);
		struct bus_msg *was = delivering;
		for (uint32_t i = 0; i < m->n_buffered; i++) {
			static struct bus_msg again;
			again.m = (struct clu_msg){ .kind = CLU_MSG_CMD,
				                    .from = m->buffered[i].origin,
				                    .cmd = m->buffered[i] };
			delivering = &again;
			struct clu_event e = { .kind = CLU_EV_MSG, .msg = &again.m };
			feed(m, &e);
		}
		m->n_buffered = 0;
		delivering = was;
	}
}

static void deliver_one(void)
{
	static struct bus_msg b;

	b = queue[q_head++ % QUEUE];
	delivering = &b;
	for (uint32_t i = 0; i < N; i++) {
		struct clu_event ev = { .kind = CLU_EV_MSG, .msg = &b.m };
		if (mem[i].part == b.part)
			feed(&mem[i], &ev);
	}
	delivering = NULL;
}

static void deliver_all(void)
{
	while (q_head != q_tail)
		deliver_one();
}

/* Partition by @parts: one digit for each member; '-' is down. Everyone in a changed partition gets a new view. */
static void views(const char *parts)
{
	for (uint32_t i = 0; i < N; i++)
		mem[i].part = parts[i] == '-' ? 100 + i : (uint32_t)parts[i];
	ring += 4;
	for (uint32_t i = 0; i < N; i++) {
		uint32_t member[N], n = 0;
		if (parts[i] == '-')
			continue;
		for (uint32_t j = 0; j < N; j++)
			if (parts[j] == parts[i] && mem[j].up)
				member[n++] = j + 1;
		struct clu_event ev = { .kind = CLU_EV_VIEW, .ring = ring, .member = member, .n_members = n };
		feed(&mem[i], &ev);
	}
}

static void run(uint64_t ns)
{
	uint64_t end = now + ns;

	for (;;) {
		deliver_all();
		uint64_t next = end;
		for (uint32_t i = 0; i < N; i++) {
			uint64_t d = mem[i].up ? clu_node_deadline_ns(&mem[i].n) : CLU_NEVER;
			if (d < next)
				next = d;
		}
		if (next >= end)
			break;
		now = next > now ? next : now + 1000000;
		for (uint32_t i = 0; i < N; i++) {
			struct clu_event ev = { .kind = CLU_EV_TICK };
			if (mem[i].up && clu_node_deadline_ns(&mem[i].n) <= now)
				feed(&mem[i], &ev);
		}
	}
	now = end;
}

static void boot(uint32_t i)
{
	struct member *m = &mem[i];
	static uint64_t boots;
	uint32_t node[N];
	char name[N][CLU_NAME_MAX];

	for (uint32_t k = 0; k < N; k++) {
		node[k] = k + 1;
		snprintf(name[k], CLU_NAME_MAX, "h%u", k + 1);
	}
	memset(m->dom, 0, sizeof(m->dom));
	clu_state_init(&m->s, m->dom, DOMS);
	clu_nodes_set(&m->s, node, name, N);
	if (m->disk.promised)
		copy_state(&m->s, m->dom, &m->disk.s);
	m->up = true;
	m->held = m->loading = false;
	m->n_buffered = 0;
	m->committed = m->lease_ns = 0;
	clu_node_init(&m->n, &m->s, i + 1, ++boots, LEASE, now);
	m->n.quorate = true;
}

static int setup(void **state)
{
	(void)state;
	queue = calloc(QUEUE, sizeof(*queue));
	memset(mem, 0, sizeof(mem));
	q_head = q_tail = 0;
	now = 1000 * S;
	for (uint32_t i = 0; i < N; i++)
		boot(i);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(queue);
	return 0;
}

/* A command that always is taken: toggles maintenance of node 1. Returns its request. */
static uint64_t toggle(uint32_t i)
{
	struct clu_cmd c = { .kind = CLU_CMD_MAINTENANCE, .host = 1 };

	c.request = ++request;
	c.on = !mem[i].s.host[0].maintenance;
	submit(&mem[i], &c);
	return request;
}

static void host_up(uint32_t i)
{
	struct clu_cmd c = { .kind = CLU_CMD_HOST_UP, .boot = mem[i].n.boot, .self_fencing = true, .lease_ns = LEASE };

	submit(&mem[i], &c);
	deliver_all();
}

static void all_up(void)
{
	views("aaaaa");
	run(S);
	for (uint32_t i = 0; i < N; i++)
		host_up(i);
	run(S);
	for (uint32_t i = 0; i < N; i++) {
		assert_int_equal(mem[i].n.phase, CLU_NODE_ACTIVE);
		assert_int_equal(mem[i].n.coordinator, 1);
		assert_true(clu_node_committed(&mem[i].n, mem[i].s.index));
		assert_true(mem[i].lease_ns > now);
	}
}

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
	assert_true(mem[3].loud > 0);
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

static void test_a_state_that_differs_is_replaced_loudly(void **state)
{
	(void)state;
	all_up();
	mem[3].s.host[2].maintenance = true; /* a bit flips */
	mem[3].s.sum = clu_sum(&mem[3].s);
	run(8 * S);
	assert_true(mem[3].loud > 0);
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
	assert_int_equal(mem[2].loud, 0);
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
		T(test_a_state_that_differs_is_replaced_loudly),
		T(test_no_lease_without_votequorum_or_guard),
		T(test_a_member_that_hangs_is_lost),
		T(test_a_synced_that_was_overtaken_does_not_count),
		T(test_open_of_an_equal_view),
		T(test_hello_of_an_equal_view),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
