/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A replicated state and commands for it: see cluapply.h. */
#include "config.h"
#include "tests/unit/cluapply.h"

const char *uuid_of(unsigned i)
{
	static char text[4][CLU_UUID_MAX];
	static unsigned turn;
	char *t = text[turn++ % 4];

	snprintf(t, CLU_UUID_MAX, "00000000-0000-0000-0000-%012x", i + 1);
	return t;
}

void world_init(struct world *w)
{
	uint32_t node[NODES];
	char name[NODES][CLU_NAME_MAX];

	memset(w, 0, sizeof(*w));
	clu_state_init(&w->s, w->dom, DOMS);
	for (unsigned i = 0; i < NODES; i++) {
		node[i] = i + 1;
		snprintf(name[i], CLU_NAME_MAX, "host-%c", 'a' + (int)i);
	}
	clu_nodes_set(&w->s, node, name, NODES);
}

/* Apply; the sum has to follow every change, and every change has to be told. */
int apply(struct world *w, const struct clu_cmd *c)
{
	struct clu_changes ch = { 0 };
	uint64_t before = w->s.sum;

	clu_apply(&w->s, c, &ch, &w->answer);
	assert_int_equal(w->s.sum, clu_sum(&w->s));
	if (w->s.sum != before)
		assert_true(ch.n || ch.all);
	if (w->answer.status)
		assert_true(w->answer.text[0]);
	return w->answer.status;
}

struct clu_cmd cmd(enum clu_cmd_kind kind, uint32_t origin, const char *uuid)
{
	struct clu_cmd c = { .kind = kind, .origin = origin };

	snprintf(c.uuid, sizeof(c.uuid), "%s", uuid ? uuid : "");
	return c;
}

int host_up(struct world *w, uint32_t node, const struct clu_inventory *inv, uint32_t n)
{
	struct clu_cmd c = cmd(CLU_CMD_HOST_UP, node, NULL);

	c.boot = 100 + node;
	c.self_fencing = true;
	c.lease_ns = 1000;
	c.cap.mem_bytes = 1ull << 30;
	c.rev = w->s.index;
	c.inventory = inv;
	c.n_inventory = n;
	return apply(w, &c);
}

int define(struct world *w, unsigned i)
{
	struct clu_cmd c = cmd(CLU_CMD_DEFINE, 1, uuid_of(i));

	snprintf(c.name, sizeof(c.name), "guest%02u", i);
	c.spec = (struct clu_spec){ .mem_bytes = 1 << 20, .vcpus = 1, .engine = CLU_ENGINE_PV, .ha = true };
	return apply(w, &c);
}

int desire(struct world *w, unsigned i, enum clu_desired d)
{
	struct clu_cmd c = cmd(CLU_CMD_DESIRE, 1, uuid_of(i));

	c.desired = d;
	return apply(w, &c);
}

struct clu_dom *dom(struct world *w, unsigned i)
{
	struct clu_dom *d = clu_dom_of(&w->s, uuid_of(i));

	assert_non_null(d);
	return d;
}

int start(struct world *w, unsigned i, uint32_t node)
{
	struct clu_cmd c = cmd(CLU_CMD_START, 1, uuid_of(i));

	c.rev = dom(w, i)->rev;
	c.host = node;
	return apply(w, &c);
}

int result(struct world *w, unsigned i, uint32_t origin, enum clu_result r, uint64_t generation)
{
	struct clu_cmd c = cmd(CLU_CMD_RESULT, origin, uuid_of(i));

	c.op_id = dom(w, i)->op_id;
	c.result = r;
	c.generation = generation;
	return apply(w, &c);
}

int observed(struct world *w, unsigned i, uint32_t origin, enum clu_seen seen, uint64_t generation)
{
	struct clu_cmd c = cmd(CLU_CMD_OBSERVED, origin, uuid_of(i));

	c.seen = seen;
	c.generation = generation;
	return apply(w, &c);
}

int move(struct world *w, unsigned i, uint32_t target)
{
	struct clu_cmd c = cmd(CLU_CMD_MOVE, 1, uuid_of(i));

	c.target = target;
	return apply(w, &c);
}

int lost(struct world *w, uint32_t node)
{
	struct clu_cmd c = cmd(CLU_CMD_HOST_LOST, 1, NULL);

	c.host = node;
	return apply(w, &c);
}

int waited(struct world *w, uint32_t by, uint32_t node)
{
	struct clu_cmd c = cmd(CLU_CMD_WAITED, by, NULL);

	c.host = node;
	c.op_id = clu_host_of(&w->s, node)->lost_id;
	return apply(w, &c);
}

/* All hosts up, guest 0 running on node 1 in generation 1. */
void running(struct world *w)
{
	world_init(w);
	for (uint32_t i = 1; i <= NODES; i++)
		assert_int_equal(host_up(w, i, NULL, 0), 0);
	assert_int_equal(define(w, 0), 0);
	assert_int_equal(desire(w, 0, CLU_DESIRED_RUNNING), 0);
	assert_int_equal(start(w, 0, 1), 0);
	assert_int_equal(clu_todo(dom(w, 0), 1), CLU_TODO_START);
	assert_int_equal(clu_todo(dom(w, 0), 2), CLU_TODO_KILL);
	assert_int_equal(result(w, 0, 1, CLU_RESULT_STARTED, 1), 0);
	assert_int_equal(dom(w, 0)->phase, CLU_PHASE_RUNNING);
	assert_int_equal(clu_todo(dom(w, 0), 1), CLU_TODO_WATCH);
}

void reload(const struct world *from, struct world *to)
{
	static uint8_t buf[CLU_RECORD_MAX];
	static const enum clu_object kind[] = { CLU_OBJ_META, CLU_OBJ_HOST,   CLU_OBJ_DOM,
		                                CLU_OBJ_RULE, CLU_OBJ_POLICY, CLU_OBJ_DISARM };

	world_init(to);
	for (unsigned k = 0; k < sizeof(kind) / sizeof(kind[0]); k++) {
		for (uint32_t i = 0; i < CLU_RULES_MAX; i++) {
			size_t n = clu_record_pack(&from->s, kind[k], i, buf);
			if (!n)
				continue;
			assert_int_equal(clu_record_unpack(&to->s, kind[k], i, buf, n), 0);
			/* no shorter, longer or otherwise different record passes for it */
			assert_int_equal(clu_record_unpack(&to->s, kind[k], i, buf, n - 1), -EPROTO);
			assert_int_equal(clu_record_unpack(&to->s, kind[k], i, buf, n + 1), -EPROTO);
			buf[0]++;
			assert_int_equal(clu_record_unpack(&to->s, kind[k], i, buf, n), -EPROTO);
		}
	}
	assert_int_equal(clu_sum(&to->s), from->s.sum);
	assert_int_equal(to->s.sum, from->s.sum);
	assert_int_equal(to->s.n_dom, from->s.n_dom);
}
