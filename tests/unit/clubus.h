/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Nodes on a small bus, for tests that tell a story step by step: included once by each. The bus is a totally ordered queue for each
 * partition, as CPG gives; disks are immediate unless a test holds them. The great simulation with faults is in tests/sim.
 */
#ifndef HOSPES_TESTS_UNIT_CLUBUS_H
#define HOSPES_TESTS_UNIT_CLUBUS_H

#pragma GCC diagnostic ignored "-Wunused-function" /* no test uses all */

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
	uint64_t lag_ns; /* its clock stood still so long in all */
	unsigned over;
	uint64_t stood_ns;
	uint64_t committed, lease_ns, warned, answered, answer_index;
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

static bool hears[N][N]; /* pulses: [to][from] */

static void pulse(struct member *m)
{
	for (uint32_t i = 0; i < N; i++) {
		struct clu_pulse p;
		struct clu_event ev = { .kind = CLU_EV_PULSE, .pulse = &p };

		if (&mem[i] == m || !hears[i][m->n.node - 1])
			continue;
		clu_node_pulse(&m->n, i, &p);
		feed(&mem[i], &ev);
	}
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
		if (!m->n.clock_stops) /* the other clock, as it was when that beat was sent */
			assert_int_equal(a->from_tick, 3 * (a->at_ns - a->lease_ns));
		break;
	case CLU_ACT_EXPIRED:
		m->over++;
		break;
	case CLU_ACT_CLOCK_STOPPED:
		m->stood_ns += a->at_ns;
		break;
	case CLU_ACT_SUBMIT:
		submit(m, &a->cmd);
		break;
	case CLU_ACT_WARN:
		m->warned++;
		break;
	case CLU_ACT_PERMIT: /* of the second clock, which is the first one here */
		break;
	case CLU_ACT_PULSE:
		pulse(m);
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
	ev->now_ns = now - m->lag_ns;
	ev->tick = 3 * ev->now_ns;
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

static uint64_t due(const struct member *m)
{
	uint64_t at = clu_node_deadline_ns(&m->n);

	return at == CLU_NEVER ? at : at + m->lag_ns;
}

static void run(uint64_t ns)
{
	uint64_t end = now + ns;

	for (;;) {
		deliver_all();
		uint64_t next = end;
		for (uint32_t i = 0; i < N; i++) {
			uint64_t d = mem[i].up ? due(&mem[i]) : CLU_NEVER;
			if (d < next)
				next = d;
		}
		if (next >= end)
			break;
		now = next > now ? next : now + 1000000;
		for (uint32_t i = 0; i < N; i++) {
			struct clu_event ev = { .kind = CLU_EV_TICK };
			if (mem[i].up && due(&mem[i]) <= now)
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

#endif
