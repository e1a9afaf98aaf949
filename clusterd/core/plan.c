/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The balancer's front: parameters, costs, the steps of a plan, and what is said about it. See plan.h. Pure. */
#include "config.h"
#include "clusterd/core/plan_int.h"
#include "clusterd/core/say_int.h"

#include <assert.h>
#include <string.h>

#define ORDER_TRIES 4u

void clu_plan_params_default(struct clu_plan_params *p, const struct clu_policy *policy)
{
	*p = (struct clu_plan_params){
		.threshold = 0.02,
		.gain_min = 0.01,
		.enough = 0.02,
		.move_worth = 0.05,
		.cost_weight = 0.0002,
		.bandwidth_bps = 110000000, /* what 1 Gbit/s carries */
		.effort = 40000000,
	};
	if (policy) {
		p->threshold = policy->balance_threshold_pct / 100.0;
		p->gain_min = policy->balance_gain_pct / 100.0;
		p->enough = p->threshold / 4;
	}
}

void clu_plan_cost(const struct clu_plan_dom *d, const struct clu_plan_params *p, uint64_t *ret_bytes, double *ret_s)
{
	double bw = p->bandwidth_bps ? (double)p->bandwidth_bps : 1,
	       bytes = (double)(d->used_bytes ? d->used_bytes : d->mem_bytes);
	double again = (double)d->dirty_bps / bw; /* each round sends what the last one let be dirtied */

	if (again > 0.9)
		again = 0.9; /* by then the guest is slowed down or stopped */
	bytes /= 1 - again;
	*ret_bytes = (uint64_t)bytes;
	*ret_s = bytes / bw + 0.2;
}

size_t clu_plan_workspace_bytes(uint32_t n_host, uint32_t n_dom)
{
	return plan_layout_bytes(n_host, n_dom);
}

static const struct clu_plan_params no_params = { .bandwidth_bps = 1 };

double clu_plan_spread(const struct clu_plan_snap *s, void *ws, size_t ws_bytes)
{
	struct plan p = { .s = s, .par = &no_params };

	plan_layout_init(&p, ws, ws_bytes);
	return p.spread;
}

/* Only what has to be: the spread does not ask for more, or nothing else is worth it. */
static void keep_repairs(struct plan *p, struct clu_plan_result *ret, enum clu_plan_end end)
{
	p->n_move = p->n_repair;
	(void)plan_order(p);
	ret->end = p->n_move ? CLU_PLAN_MOVES : end;
}

static void make(struct plan *p, struct clu_plan_result *ret)
{
	plan_repair(p);
	double repaired = p->spread;
	if (repaired <= p->par->threshold) {
		keep_repairs(p, ret, CLU_PLAN_BALANCED);
		return;
	}
	plan_descend(p);
	plan_refine(p);
	plan_overshoot(p);
	plan_rebuild(p);
	plan_again(p);
	for (uint32_t tries = 0; !plan_order(p) && tries < ORDER_TRIES; tries++)
		plan_again(p); /* from what is left on */
	if (p->n_move == p->n_repair)
		keep_repairs(p, ret, CLU_PLAN_NO_MOVE);
	else if (repaired - p->spread < p->par->gain_min)
		keep_repairs(p, ret, CLU_PLAN_NO_GAIN);
}

void clu_plan_run(const struct clu_plan_snap *s, const struct clu_plan_params *par, void *ws, size_t ws_bytes,
                  struct clu_plan_move *move, uint32_t cap, struct clu_plan_result *ret)
{
	struct plan p = { .s = s, .par = par, .move = move, .max_move = cap, .move_cap = cap };

	p.effort = par->effort * (s->n_host > 1000 ? s->n_host : 1000) / 1000;
	if (par->moves_max && par->moves_max < cap)
		p.max_move = par->moves_max;
	*ret = (struct clu_plan_result){ .end = CLU_PLAN_MOVES };
	plan_layout_init(&p, ws, ws_bytes);
	plan_search_init(&p);
	ret->before = p.spread;
	make(&p, ret);
	ret->after = p.spread;
	ret->n_moves = p.n_move;
	ret->n_repairs = p.n_repair;
	ret->n_stuck = p.n_stuck;
	ret->trials = p.trials;
	for (uint32_t i = 0; i < p.n_move; i++) {
		ret->cost_bytes += move[i].cost_bytes;
		ret->cost_s += move[i].cost_s;
	}
}

static void say_load(struct say *y, const char *what, const char *host, const float *v)
{
	say(y, what);
	say(y, host);
	say(y, " ");
	for (uint32_t i = 0; i < 2; i++) {
		say(y, i ? " to " : "");
		say_u64(y, v[i] > 0 ? (uint64_t)(v[i] * 100 + 0.5f) : 0);
	}
	say(y, " %");
}

void clu_plan_say_move(const struct clu_plan_move *m, const char *from, const char *to, char *text)
{
	float mem = m->mem_from[0] - m->mem_to[0], cpu = m->cpu_from[0] - m->cpu_to[0];
	bool by_mem = m->reason == CLU_PLAN_REPAIR_MEMORY || mem >= cpu;
	struct say y;

	say_begin(&y, text, CLU_TEXT_MAX);
	if (m->reason == CLU_PLAN_REPAIR_RULE)
		say(&y, "a rule forbids where it is; ");
	else if (m->reason == CLU_PLAN_REPAIR_SPARE)
		say(&y, "its host is a spare, and not needed any more; ");
	else if (m->reason == CLU_PLAN_REPAIR_MEMORY)
		say(&y, "its host has more than its memory holds; ");
	say_load(&y, by_mem ? "memory of " : "CPU of ", from, by_mem ? m->mem_from : m->cpu_from);
	say_load(&y, ", of ", to, by_mem ? m->mem_to : m->cpu_to);
}

static void say_spread(struct say *y, double v)
{
	uint64_t milli = (uint64_t)(v * 1000 + 0.5);

	say_u64(y, milli / 1000);
	say(y, ".");
	say_u64(y, milli / 100 % 10);
	say_u64(y, milli / 10 % 10);
	say_u64(y, milli % 10);
}

void clu_plan_say_end(const struct clu_plan_result *r, char *text)
{
	struct say y;

	say_begin(&y, text, CLU_TEXT_MAX);
	switch (r->end) {
	case CLU_PLAN_MOVES:
		say_u64(&y, r->n_moves);
		say(&y, r->n_moves == 1 ? " move, spread " : " moves, spread ");
		say_spread(&y, r->before);
		say(&y, " to ");
		say_spread(&y, r->after);
		break;
	case CLU_PLAN_BALANCED:
		say(&y, "balanced: spread ");
		say_spread(&y, r->before);
		break;
	case CLU_PLAN_NO_MOVE:
	case CLU_PLAN_NO_GAIN:
		say(&y, r->end == CLU_PLAN_NO_MOVE ? "no allowed move is worth what it costs: spread "
		                                   : "all moves together would gain too little: spread ");
		say_spread(&y, r->before);
		break;
	}
	if (r->n_stay) {
		say(&y, "; not balanced by order: ");
		say_u64(&y, r->n_stay);
	}
	if (!r->n_stuck)
		return;
	say(&y, "; without a place that is right: ");
	say_u64(&y, r->n_stuck);
}

const char *clu_plan_end_name(enum clu_plan_end e)
{
	static const char *const t[] = { "moves", "balanced", "no-move", "no-gain" };

	return (size_t)e < sizeof(t) / sizeof(t[0]) ? t[(size_t)e] : "?";
}
