/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The balancer: what a plan promises, checked on made-up clusters by a checker that shares no code with it; the adapter from the replicated
 * state, where clu_judge() is the checker.
 */
#include "config.h"
#include "testutil.h"
#include "tests/unit/cluworld.h"

#include <math.h>

#define MIB CLUWORLD_MIB

static uint64_t seed_now;

static uint32_t below(uint32_t n)
{
	seed_now = seed_now * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(seed_now >> 33) % n;
}

/* ---- snapshots, and what the checker thinks of them ------------------------------------------------------------------------ */

struct cluster {
	struct clu_plan_snap s;
	struct clu_plan_host *host;
	struct clu_plan_dom *dom;
	struct clu_plan_tie *tie;
	uint64_t *row;
	struct clu_plan_params par;
};

static void cluster_free(struct cluster *c)
{
	free(c->host);
	free(c->dom);
	free(c->tie);
	free(c->row);
}

static bool tie_broken(const struct cluster *c, uint32_t x, uint32_t y)
{
	const struct clu_plan_dom *a = &c->dom[x], *b = &c->dom[y];

	for (uint32_t i = 0; i < a->n_ties; i++)
		for (uint32_t k = 0; k < b->n_ties; k++) {
			const struct clu_plan_tie *t = &c->tie[a->tie + i], *u = &c->tie[b->tie + k];
			if (t->group == u->group && !t->soft && t->kind == CLU_PLAN_APART && t->colour != u->colour)
				return true;
		}
	return false;
}

/* May @x be on @host as everything is now? NULL: yes. */
static const char *wrong(const struct cluster *c, uint32_t x, uint32_t host)
{
	const struct clu_plan_dom *d = &c->dom[x];
	size_t words = (c->s.n_host + 63) / 64;
	uint64_t mem = c->host[host].mem_other_bytes + d->mem_bytes;

	if (!c->host[host].usable)
		return "not usable";
	if (d->allow != CLU_PLAN_ANY && !(c->row[d->allow * words + host / 64] >> (host % 64) & 1))
		return "its row forbids the host";
	for (uint32_t y = 0; y < c->s.n_dom; y++) {
		if (y == x || c->dom[y].host != host)
			continue;
		mem += c->dom[y].mem_bytes;
		if (tie_broken(c, x, y))
			return "a tie is broken";
	}
	return mem > c->host[host].mem_bytes ? "memory" : NULL;
}

static double sd(const double *v, uint32_t n)
{
	double mean = 0, var = 0;

	for (uint32_t i = 0; i < n; i++)
		mean += v[i] / n;
	for (uint32_t i = 0; i < n; i++)
		var += (v[i] - mean) * (v[i] - mean) / n;
	return sqrt(var);
}

static double spread_of(const struct cluster *c)
{
	double m[512], u[512];
	uint32_t n = 0;

	for (uint32_t h = 0; h < c->s.n_host; h++) {
		if (!c->host[h].usable)
			continue;
		double mem = (double)c->host[h].mem_other_bytes, cpu = c->host[h].cpu_other_milli;
		for (uint32_t i = 0; i < c->s.n_dom; i++) {
			if (c->dom[i].host != h)
				continue;
			mem += (double)c->dom[i].mem_bytes;
			cpu += c->dom[i].cpu_milli;
		}
		m[n] = c->host[h].mem_bytes ? mem / (double)c->host[h].mem_bytes : 0;
		u[n++] = c->host[h].cpu_milli ? cpu / c->host[h].cpu_milli : 0;
	}
	return n ? sd(m, n) + sd(u, n) : 0;
}

/* Make a plan, check every promise, and leave the cluster as it is after it. */
static struct clu_plan_result run(struct cluster *c, uint32_t cap, const char *what)
{
	size_t ws_bytes = clu_plan_workspace_bytes(c->s.n_host, c->s.n_dom);
	uint8_t *ws = malloc(ws_bytes), *moved = calloc(c->s.n_dom + 1, 1);
	struct clu_plan_move *move = calloc(cap + 1, sizeof(*move)), *again = calloc(cap + 1, sizeof(*again));
	struct clu_plan_result r, r2;
	double before = spread_of(c), now = before;

	assert_true(ws && moved && move && again);
	clu_plan_run(&c->s, &c->par, ws, ws_bytes, move, cap, &r);
	clu_plan_run(&c->s, &c->par, ws, ws_bytes, again, cap, &r2);
	assert_memory_equal(&r, &r2, sizeof(r));
	assert_memory_equal(move, again, r.n_moves * sizeof(*move));
	if (fabs(r.before - before) > 1e-6 || fabs(clu_plan_spread(&c->s, ws, ws_bytes) - before) > 1e-9)
		fail_msg("%s: spread %g, not %g", what, r.before, before);
	assert_true(r.n_moves <= cap && r.n_repairs <= r.n_moves);
	assert_true(!c->par.moves_max || r.n_moves <= c->par.moves_max);
	for (uint32_t i = 0; i < r.n_moves; i++) {
		const struct clu_plan_move *m = &move[i];
		assert_true(m->dom < c->s.n_dom && m->to < c->s.n_host && m->from != m->to);
		assert_int_equal(c->dom[m->dom].host, m->from);
		assert_false(c->dom[m->dom].pinned || moved[m->dom]++);
		const char *w = wrong(c, m->dom, m->to);
		if (w)
			fail_msg("%s: move %u of %u: %s", what, i, r.n_moves, w);
		c->dom[m->dom].host = m->to;
		double after = spread_of(c);
		if (fabs(now - after - m->gain) > 1e-6)
			fail_msg("%s: move %u: gain %g, not %g", what, i, m->gain, now - after);
		assert_true(m->cost_bytes > 0 || !c->dom[m->dom].mem_bytes);
		assert_true((m->reason != CLU_PLAN_BALANCE) == (i < r.n_repairs));
		now = after;
	}
	assert_true(fabs(now - r.after) < 1e-6);
	assert_true((r.end == CLU_PLAN_MOVES) == (r.n_moves > 0));
	free(ws);
	free(moved);
	free(move);
	free(again);
	return r;
}

static struct cluster cluster_new(uint32_t hosts, uint32_t doms, uint32_t ties, uint32_t rows)
{
	struct cluster c = { .host = calloc(hosts + 1, sizeof(*c.host)),
		             .dom = calloc(doms + 1, sizeof(*c.dom)),
		             .tie = calloc(ties + 1, sizeof(*c.tie)),
		             .row = calloc((size_t)(rows + 1) * ((hosts + 63) / 64), sizeof(*c.row)) };

	assert_true(c.host && c.dom && c.tie && c.row);
	c.s = (struct clu_plan_snap){ .host = c.host,
		                      .dom = c.dom,
		                      .tie = c.tie,
		                      .row = c.row,
		                      .n_host = hosts,
		                      .n_dom = doms,
		                      .n_tie = ties,
		                      .n_row = rows };
	for (uint32_t i = 0; i < hosts; i++)
		c.host[i] = (struct clu_plan_host){ .mem_bytes = 64 * MIB, .cpu_milli = 8000, .usable = true };
	for (uint32_t i = 0; i < doms; i++)
		c.dom[i] = (struct clu_plan_dom){
			.mem_bytes = 8 * MIB, .cpu_milli = 500, .allow = CLU_PLAN_ANY, .prefer = CLU_PLAN_ANY
		};
	clu_plan_params_default(&c.par, NULL);
	return c;
}

/* A lopsided cluster with rules that all hold at the begin. */
static struct cluster random_cluster(uint64_t seed)
{
	seed_now = seed;
	uint32_t hosts = 2 + below(30), doms = below(hosts * 12), rows = 4, groups = 1 + below(5);
	struct cluster c = cluster_new(hosts, doms, doms, rows);
	uint32_t n = 0, ties = 0;

	for (uint32_t i = 0; i < hosts; i++) {
		c.host[i].mem_bytes = (64 + 64 * below(2)) * MIB;
		c.host[i].cpu_milli = 8000 * (1 + below(2));
		c.host[i].mem_other_bytes = below(3) ? 0 : below(8) * MIB;
		c.host[i].cpu_other_milli = below(500);
		c.host[i].usable = below(10) > 0;
	}
	for (uint32_t i = 0; i < rows; i++) { /* up to 31 hosts: one word; what is beyond them means nothing */
		c.row[i] = ~0ull << hosts;
		for (uint32_t h = 0; h < hosts; h++)
			c.row[i] |= (uint64_t)(below(3) > 0) << h;
	}
	for (uint32_t i = 0; i < doms; i++) {
		struct clu_plan_dom d = { .mem_bytes = (1 + below(12)) * MIB,
			                  .cpu_milli = below(900),
			                  .dirty_bps = below(1u << 24),
			                  .allow = below(3) ? CLU_PLAN_ANY : below(rows),
			                  .prefer = below(5) ? CLU_PLAN_ANY : below(rows),
			                  .pinned = !below(12),
			                  .tie = ties,
			                  .n_ties = !below(4) };
		uint32_t group = below(groups);
		if (d.n_ties)
			c.tie[ties] = (struct clu_plan_tie){ group, below(4), CLU_PLAN_APART, group == 4 };
		c.dom[n] = d;
		for (uint32_t tries = 0; tries < 20; tries++) {
			uint32_t h = below(2) ? below(1 + hosts / 3) : below(hosts);
			c.dom[n].host = h;
			c.s.n_dom = n;
			if (!wrong(&c, n, h)) {
				n++;
				ties += d.n_ties;
				break;
			}
		}
	}
	c.s.n_dom = n;
	c.s.n_tie = ties;
	if (!below(3))
		c.par.moves_max = 1 + below(6);
	if (!below(4))
		c.par.effort = 0;
	return c;
}

static void test_random(void **state)
{
	uint32_t planned = 0, clusters = 400;
	double before = 0, after = 0;
	char what[64];

	(void)state;
	for (uint32_t i = 1; i <= clusters; i++) {
		struct cluster c = random_cluster(i);
		snprintf(what, sizeof(what), "seed %u", i);
		struct clu_plan_result r = run(&c, c.s.n_dom, what);
		assert_int_equal(r.n_repairs, 0);
		assert_int_equal(r.n_stuck, 0);
		if (r.end == CLU_PLAN_MOVES && !(r.after <= r.before - c.par.gain_min))
			fail_msg("%s: spread %g to %g", what, r.before, r.after);
		before += r.before;
		after += r.after;
		planned += r.end == CLU_PLAN_MOVES;
		/* what is left to do after a whole plan is not worth a plan */
		if (r.end == CLU_PLAN_MOVES && !c.par.moves_max && c.par.effort) {
			r = run(&c, c.s.n_dom, what);
			if (r.n_moves)
				fail_msg("%s: the second run still finds %u moves, spread %g to %g", what, r.n_moves,
				         r.before, r.after);
		}
		cluster_free(&c);
	}
	assert_true(planned > clusters / 2);
	assert_true(after < before / 2);
}

/* Too large for all pairs: the trees. */
static void test_large(void **state)
{
	struct cluster c = cluster_new(300, 3000, 0, 0);

	(void)state;
	seed_now = 5;
	for (uint32_t i = 0; i < 3000; i++) {
		c.dom[i].host = below(3) ? below(100) : below(300);
		c.dom[i].mem_bytes = (1 + below(3)) * MIB;
		c.dom[i].cpu_milli = 100 + below(200);
	}
	struct clu_plan_result r = run(&c, 3000, "large");
	assert_int_equal(r.end, CLU_PLAN_MOVES);
	assert_true(r.after < 0.05 && r.before > 0.3);
	assert_int_equal(run(&c, 3000, "large, again").n_moves, 0);
	cluster_free(&c);
}

static void test_ends(void **state)
{
	struct cluster c = cluster_new(4, 4, 0, 0);
	struct clu_plan_result r;

	(void)state;
	for (uint32_t i = 0; i < 4; i++)
		c.dom[i].host = i;
	assert_int_equal(run(&c, 4, "even").end, CLU_PLAN_BALANCED);
	c.dom[1].host = c.dom[2].host = c.dom[3].host = 0;
	c.par.threshold = 0.9;
	assert_int_equal(run(&c, 4, "within the threshold").end, CLU_PLAN_BALANCED);
	c.par.threshold = 0.02;
	c.par.gain_min = 0.5;
	assert_int_equal(run(&c, 4, "too little gain").end, CLU_PLAN_NO_GAIN);
	c.par.gain_min = 0.01;
	c.par.move_worth = 10;
	assert_int_equal(run(&c, 4, "not worth it").end, CLU_PLAN_NO_MOVE);
	c.par.move_worth = 0.05;
	for (uint32_t i = 0; i < 4; i++)
		c.dom[i].pinned = true;
	assert_int_equal(run(&c, 4, "pinned").end, CLU_PLAN_NO_MOVE);
	for (uint32_t i = 0; i < 4; i++)
		c.dom[i].pinned = false;
	r = run(&c, 1, "room for one move");
	assert_int_equal(r.n_moves, 1);
	r = run(&c, 4, "the rest");
	assert_int_equal(r.n_moves, 2);
	assert_true(r.after < 1e-6);
	assert_int_equal(run(&c, 4, "done").end, CLU_PLAN_BALANCED);
	cluster_free(&c);
	c = cluster_new(0, 0, 0, 0);
	assert_int_equal(run(&c, 0, "nothing at all").end, CLU_PLAN_BALANCED);
	cluster_free(&c);
}

/* A move that takes an hour must be worth it. */
static void test_cost(void **state)
{
	struct cluster c = cluster_new(2, 2, 0, 0);
	uint64_t bytes;
	double s;

	(void)state;
	c.dom[0].dirty_bps = 1ull << 40;
	c.dom[0].used_bytes = 1ull << 40;
	struct clu_plan_result r = run(&c, 2, "one is dear");
	assert_int_equal(r.n_moves, 1);
	assert_int_equal(c.dom[1].host, 1); /* the cheap one of two alike */
	clu_plan_cost(&c.dom[1], &c.par, &bytes, &s);
	assert_int_equal(bytes, 8 * MIB);
	c.dom[1].used_bytes = 2 * MIB;
	c.dom[1].dirty_bps = c.par.bandwidth_bps / 2;
	clu_plan_cost(&c.dom[1], &c.par, &bytes, &s);
	assert_int_equal(bytes, 4 * MIB);
	assert_true(fabs(s - (4.0 * MIB / (double)c.par.bandwidth_bps + 0.2)) < 1e-6);
	c.dom[1].host = 0;
	c.dom[1].pinned = true;
	assert_int_equal(run(&c, 2, "only the dear one").end, CLU_PLAN_NO_MOVE);
	cluster_free(&c);
}

/* What stands where it must not goes first, even if all is even. */
static void test_repair(void **state)
{
	struct cluster c = cluster_new(4, 4, 2, 1);
	struct clu_plan_result r;

	(void)state;
	for (uint32_t i = 0; i < 4; i++)
		c.dom[i].host = i;
	c.dom[2].allow = 0;
	c.row[0] = 0xb; /* not on 2 */
	r = run(&c, 4, "row");
	assert_true(r.n_repairs == 1 && r.n_moves >= 1);
	assert_int_not_equal(c.dom[2].host, 2);
	c.dom[2].allow = CLU_PLAN_ANY;

	c.dom[0].host = c.dom[1].host = 3;
	c.dom[0].tie = 0;
	c.dom[1].tie = 1;
	c.dom[0].n_ties = c.dom[1].n_ties = 1;
	c.tie[0] = (struct clu_plan_tie){ 7, 1, CLU_PLAN_APART, false };
	c.tie[1] = (struct clu_plan_tie){ 7, 2, CLU_PLAN_APART, false };
	assert_int_equal(run(&c, 4, "tie").n_repairs, 1);
	assert_int_not_equal(c.dom[0].host, c.dom[1].host);
	c.dom[0].n_ties = c.dom[1].n_ties = 0;

	for (uint32_t i = 0; i < 4; i++) {
		c.dom[i].host = 0;
		c.dom[i].mem_bytes = 20 * MIB; /* 80 of 64 */
	}
	r = run(&c, 4, "memory");
	assert_true(r.n_repairs == 1 && r.n_stuck == 0);

	c.row[0] = 0;
	c.dom[0].allow = 0;
	r = run(&c, 4, "no place at all");
	assert_true(r.n_stuck == 1 && r.n_repairs == 0);
	cluster_free(&c);
}

/* Soft rules weigh: kept for a little spread, given up for much. */
static void test_soft(void **state)
{
	struct cluster c = cluster_new(2, 2, 0, 1);

	(void)state;
	c.dom[0].mem_bytes = c.dom[1].mem_bytes = 2 * MIB; /* spread 0.06 */
	c.dom[0].prefer = c.dom[1].prefer = 0;
	c.row[0] = 1;
	assert_int_equal(run(&c, 2, "soft, little").end, CLU_PLAN_NO_MOVE);
	c.dom[0].mem_bytes = c.dom[1].mem_bytes = 30 * MIB;
	assert_int_equal(run(&c, 2, "soft, much").n_moves, 1);
	cluster_free(&c);
}

/* ---- the cluster's state ---------------------------------------------------------------------------------------------------- */

static struct clu_plan_result balance(struct clu_state *s, const struct clu_load *load, struct clu_plan_move *move,
                                      uint32_t cap)
{
	size_t bytes = clu_plan_balance_bytes(s);
	struct clu_plan_params par;
	struct clu_plan_result r;
	char *ws = malloc(bytes + 1);

	assert_non_null(ws);
	clu_plan_params_default(&par, NULL);
	clu_plan_balance(s, load, &par, ws + 1, bytes, move, cap, &r); /* of any alignment */
	assert_true(fabs(clu_plan_balance_spread(s, load, ws, bytes) - r.before) < 1e-6);
	free(ws);
	return r;
}

static void random_state(struct clu_state *s, uint32_t doms, const struct clu_load *load)
{
	static const char *const type[] = { "", "", "bank-a", "bank-b", "paper" };
	char name[32];

	for (uint32_t i = 0; i < doms; i++) {
		snprintf(name, sizeof(name), "vm%u", i);
		struct clu_dom *d = cluworld_dom(s, name, 100 + below(900), 0);
		strcpy(d->spec.type, type[below(5)]);
		if (!below(4))
			strcpy(d->spec.bridge[0], "br0");
	}
	cluworld_rule(s, CLU_RULE_APART, false, false, "vm0 vm1 vm2");
	cluworld_rule(s, CLU_RULE_TOGETHER, false, false, "vm3 vm4");
	cluworld_rule(s, CLU_RULE_HOSTS, false, false, "vm5 host-a label=ssd");
	cluworld_rule(s, CLU_RULE_CONFLICT, false, false, "bank-a bank-b");
	cluworld_rule(s, CLU_RULE_TOGETHER, true, false, "vm6 vm7");
	cluworld_rule(s, CLU_RULE_HOSTS, true, true, "vm8 host-b");
	strcpy(s->host[1].cap.label[0], "ssd");
	for (uint32_t i = 0; i < 3; i++)
		strcpy(s->host[i].cap.bridge[0], "br0");
	for (uint32_t i = 0; i < doms; i++) { /* the first host that is right: lopsided */
		struct clu_verdict v;
		for (uint32_t h = 0; h < s->n_nodes && !s->dom[i].host; h++) {
			clu_judge(s, load, &s->dom[i], h, &v);
			s->dom[i].host = v.why == CLU_WHY_OK ? s->host[h].node : 0;
		}
		s->dom[i].phase = s->dom[i].host ? CLU_PHASE_RUNNING : CLU_PHASE_STOPPED;
	}
	if (doms > 20) {
		s->dom[10].retry_ns = 99;
		s->dom[11].desired = CLU_DESIRED_STOPPED;
		s->dom[12].phase = CLU_PHASE_STOPPING;
	}
}

static void test_state(void **state)
{
	struct clu_plan_move move[256];
	uint32_t planned = 0;

	(void)state;
	for (uint32_t seed = 1; seed <= 60; seed++) {
		seed_now = seed;
		struct clu_state *s = cluworld_new(3 + below(6), 64);
		struct clu_dom_load dl[64] = { { 0 } };
		struct clu_load load = { .dom = dl };
		for (uint32_t i = 0; i < 64; i++)
			dl[i] = (struct clu_dom_load){ .cpu_milli = below(600),
				                       .used_bytes = below(1u << 28),
				                       .dirty_bps = below(1u << 22) };
		random_state(s, 10 + below(50), &load);
		struct clu_plan_result r = balance(s, &load, move, 256);
		planned += r.n_moves > 0;
		for (uint32_t i = 0; i < r.n_moves; i++) {
			struct clu_dom *d = &s->dom[move[i].dom];
			struct clu_verdict v;
			clu_judge(s, &load, d, move[i].to, &v);
			if (v.why != CLU_WHY_OK)
				fail_msg("seed %u, move %u (%s): %s", seed, i, d->name, v.text);
			assert_int_equal(d->phase, CLU_PHASE_RUNNING);
			assert_true(d->desired == CLU_DESIRED_RUNNING && !d->retry_ns);
			assert_int_equal(d->host, s->host[move[i].from].node);
			d->host = s->host[move[i].to].node;
		}
		r = balance(s, &load, move, 256);
		if (r.n_moves)
			fail_msg("seed %u: the second run still finds %u moves, %g to %g", seed, r.n_moves, r.before,
			         r.after);
		cluworld_free(s);
	}
	assert_true(planned > 40);
}

/* The two ends of a migration count; hosts that do not take part do not. */
static void test_state_counts(void **state)
{
	struct clu_state *s = cluworld_new(4, 8);
	struct clu_plan_move move[8];

	(void)state;
	cluworld_dom(s, "a", 3000, 1);
	cluworld_dom(s, "b", 3000, 1);
	struct clu_dom *d = cluworld_dom(s, "c", 6000, 4);
	s->host[3].maintenance = true;
	d->phase = CLU_PHASE_MIGRATING;
	d->target = 2;
	struct clu_plan_result r = balance(s, NULL, move, 8);
	assert_int_equal(r.n_moves, 1);
	assert_int_equal(move[0].to, 2); /* not host-b, which c comes to; not host-d */
	s->host[2].state = CLU_HOST_LOST;
	r = balance(s, NULL, move, 8);
	assert_int_equal(r.n_moves, 0);
	cluworld_free(s);
}

/* Members of a hard TOGETHER rule that are apart (the rule came later) are brought together, nothing else of them moves. */
static void test_state_together(void **state)
{
	struct clu_state *s = cluworld_new(3, 8);
	struct clu_plan_move move[8];

	(void)state;
	cluworld_dom(s, "a", 500, 1);
	cluworld_dom(s, "b", 500, 1);
	cluworld_dom(s, "c", 500, 2);
	cluworld_rule(s, CLU_RULE_TOGETHER, false, false, "a b c");
	struct clu_plan_result r = balance(s, NULL, move, 8);
	assert_int_equal(r.n_moves, 1);
	assert_true(move[0].dom == 2 && move[0].to == 0 && move[0].reason == CLU_PLAN_REPAIR_RULE);
	cluworld_free(s);
}

static void test_texts(void **state)
{
	struct clu_plan_move m = { .mem_from = { 0.915f, 0.806f },
		                   .mem_to = { 0.2f, 0.31f },
		                   .cpu_from = { 0.5f, 0.2f },
		                   .cpu_to = { 0.4f, 0.7f } };
	struct clu_plan_result r = { .end = CLU_PLAN_MOVES, .before = 0.4126, .after = 0.0309, .n_moves = 12 };
	char text[CLU_TEXT_MAX];

	(void)state;
	clu_plan_say_move(&m, "host-a", "host-b", text);
	assert_string_equal(text, "memory of host-a 92 to 81 %, of host-b 20 to 31 %");
	m.cpu_from[0] = 1.4f;
	m.reason = CLU_PLAN_REPAIR_RULE;
	clu_plan_say_move(&m, "host-a", "host-b", text);
	assert_string_equal(text, "a rule forbids where it is; CPU of host-a 140 to 20 %, of host-b 40 to 70 %");
	clu_plan_say_end(&r, text);
	assert_string_equal(text, "12 moves, spread 0.413 to 0.031");
	r.end = CLU_PLAN_BALANCED;
	r.n_stuck = 2;
	clu_plan_say_end(&r, text);
	assert_string_equal(text, "balanced: spread 0.413; without a place that is right: 2");
	assert_string_equal(clu_plan_end_name(CLU_PLAN_NO_GAIN), "no-gain");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),         cmocka_unit_test(test_large),
		cmocka_unit_test(test_ends),           cmocka_unit_test(test_cost),
		cmocka_unit_test(test_repair),         cmocka_unit_test(test_soft),
		cmocka_unit_test(test_state),          cmocka_unit_test(test_state_counts),
		cmocka_unit_test(test_state_together), cmocka_unit_test(test_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
