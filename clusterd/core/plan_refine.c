/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The steps of a plan: what must move, what should, second thoughts on each, and an order in which all of it fits. Pure. */
#include "config.h"
#include "clusterd/core/plan_int.h"

#include <string.h>

#define PASSES     6u
#define ROUNDS     8u
#define ORDER_BEST 2048u /* moves up to which the best feasible one comes next; above, the order of discovery */

void plan_add(struct plan *p, uint32_t dom, uint32_t to, enum clu_plan_reason reason)
{
	uint32_t from = p->dom[dom].at;

	p->move[p->n_move++] = (struct clu_plan_move){ .dom = dom, .from = from, .to = to, .reason = reason };
	p->dom[dom].moved = true;
	p->dom[dom].repair = (uint8_t)reason;
	plan_put(p, dom, to);
	plan_rank(p, from);
	plan_rank(p, to);
}

static bool may_move(const struct plan *p, uint32_t dom)
{
	return !p->s->dom[dom].pinned && !p->dom[dom].moved && p->host[p->dom[dom].at].usable;
}

static void repair_memory(struct plan *p, uint32_t host)
{
	while (p->host[host].mem > p->host[host].cap && p->n_move < p->max_move) {
		struct plan_trial best = { PLAN_NONE, PLAN_NONE, -1e300 }, t;
		for (uint32_t d = p->host[host].first; d != PLAN_NONE; d = p->dom[d].next)
			if (p->s->dom[d].mem_bytes && may_move(p, d) && plan_best_of(p, d, true, &t) &&
			    t.worth > best.worth)
				best = t;
		if (best.dom == PLAN_NONE) {
			p->n_stuck++;
			return;
		}
		plan_add(p, best.dom, best.to, CLU_PLAN_REPAIR_MEMORY);
	}
}

void plan_repair(struct plan *p)
{
	struct plan_trial t;

	for (uint32_t i = 0; i < p->s->n_dom && p->n_move < p->max_move; i++) {
		if (!may_move(p, i) || plan_allowed(p, i, p->dom[i].at))
			continue;
		if (plan_best_of(p, i, true, &t))
			plan_add(p, i, t.to, CLU_PLAN_REPAIR_RULE);
		else
			p->n_stuck++;
	}
	for (uint32_t h = 0; h < p->s->n_host; h++)
		if (p->host[h].usable)
			repair_memory(p, h);
	p->n_repair = p->n_move;
}

void plan_descend(struct plan *p)
{
	uint32_t since = p->n_move;
	struct plan_trial t;

	while (p->n_move < p->max_move && p->spread > p->par->enough) {
		if (plan_best(p, &t)) {
			plan_add(p, t.dom, t.to, CLU_PLAN_BALANCE);
			continue;
		}
		if (p->full || since == p->n_move)
			return;
		since = p->n_move; /* receivers may have changed since hosts were left out */
		for (uint32_t h = 0; h < p->s->n_host; h++)
			plan_dry(p, h, false);
	}
}

/* Take move @i back, and do the best instead, if anything. Did that help? */
static bool rethink(struct plan *p, uint32_t i, bool *ret_gone)
{
	struct clu_plan_move *m = &p->move[i];
	uint32_t dom = m->dom, to = m->to;
	double spread = p->spread;
	struct plan_trial t;

	*ret_gone = false;
	if (!plan_fits(p, dom, m->from) || !plan_allowed(p, dom, m->from))
		return false; /* others came to rely on it */
	double soft = plan_soft(p, dom, to);
	plan_put(p, dom, m->from);
	p->dom[dom].moved = false;
	plan_rank(p, m->from);
	plan_rank(p, to);
	double worth = p->n * (p->spread - spread) - p->par->cost_weight * p->dom[dom].cost_s +
	               PLAN_SOFT * (plan_soft(p, dom, m->from) - soft);
	bool found = plan_best(p, &t);
	if (worth >= p->par->move_worth && (!found || t.worth <= worth + 1e-9)) {
		plan_put(p, dom, to);
		p->dom[dom].moved = true;
		plan_rank(p, m->from);
		plan_rank(p, to);
		return false;
	}
	if (!found) {
		*ret_gone = true;
		return true;
	}
	uint32_t n = p->n_move;
	p->n_move = i;
	plan_add(p, t.dom, t.to, CLU_PLAN_BALANCE);
	p->n_move = n;
	return true;
}

/* What the spread would be if the two changed places. */
static double spread_swapped(const struct plan *p, uint32_t x, uint32_t y)
{
	const struct clu_plan_dom *dx = &p->s->dom[x], *dy = &p->s->dom[y];
	const struct plan_host *a = &p->host[p->dom[x].at], *b = &p->host[p->dom[y].at];
	double m = (double)dy->mem_bytes - (double)dx->mem_bytes, c = (double)dy->cpu_milli - (double)dx->cpu_milli;
	double am = m * a->im, bm = -m * b->im, ac = c * a->ic, bc = -c * b->ic;

	return plan_sd(p->m.s + am + bm, p->m.q + am * (2 * a->em + am) + bm * (2 * b->em + bm), p->inv_n) +
	       plan_sd(p->c.s + ac + bc, p->c.q + ac * (2 * a->ec + ac) + bc * (2 * b->ec + bc), p->inv_n);
}

/* Change the places of the two, if that breaks nothing, and one can go before the other. */
static bool swap(struct plan *p, uint32_t x, uint32_t y)
{
	uint32_t a = p->dom[x].at, b = p->dom[y].at;
	double soft = plan_soft(p, x, a) + plan_soft(p, y, b);
	bool x_first = plan_fits(p, x, b) && plan_allowed(p, x, b),
	     y_first = plan_fits(p, y, a) && plan_allowed(p, y, a);

	if (!x_first && !y_first)
		return false;
	plan_put(p, x, b);
	plan_put(p, y, a);
	if (p->host[a].mem <= p->host[a].cap && p->host[b].mem <= p->host[b].cap && plan_allowed(p, x, b) &&
	    plan_allowed(p, y, a) && plan_soft(p, x, b) + plan_soft(p, y, a) <= soft)
		return true;
	plan_put(p, y, b);
	plan_put(p, x, a);
	return false;
}

/* Where no single move helps any more, two may: the best swap, of small clusters only. */
static bool best_swap(struct plan *p)
{
	uint32_t best[2] = { PLAN_NONE, PLAN_NONE };
	double best_worth = 2 * p->par->move_worth;

	for (uint32_t x = 0; x < p->s->n_dom && p->trials < p->effort; x++) {
		if (!may_move(p, x))
			continue;
		for (uint32_t y = x + 1; y < p->s->n_dom; y++) {
			if (!may_move(p, y) || p->dom[x].at == p->dom[y].at)
				continue;
			p->trials++;
			double worth = p->n * (p->spread - spread_swapped(p, x, y)) -
			               p->par->cost_weight * (p->dom[x].cost_s + p->dom[y].cost_s);
			if (worth <= best_worth + 1e-9)
				continue;
			uint32_t a = p->dom[x].at, b = p->dom[y].at;
			if (!swap(p, x, y))
				continue;
			plan_put(p, y, b);
			plan_put(p, x, a);
			best[0] = x;
			best[1] = y;
			best_worth = worth;
		}
	}
	if (best[0] == PLAN_NONE)
		return false;
	uint32_t a = p->dom[best[0]].at, b = p->dom[best[1]].at;
	plan_add(p, best[0], b, CLU_PLAN_BALANCE);
	plan_add(p, best[1], a, CLU_PLAN_BALANCE);
	return true;
}

/* Swaps until none is worth it. Did any? */
static bool swaps(struct plan *p)
{
	bool any = false;

	while (p->full && p->n_move + 2 <= p->max_move && p->spread > p->par->enough && p->trials < p->effort &&
	       best_swap(p))
		any = true;
	return any;
}

void plan_refine(struct plan *p)
{
	bool better = true;

	for (uint32_t pass = 0; better && pass < PASSES; pass++) {
		better = false;
		for (uint32_t i = p->n_repair; i < p->n_move && p->trials < p->effort; i++) {
			bool gone;
			better |= rethink(p, i, &gone);
			if (gone) {
				memmove(&p->move[i], &p->move[i + 1], (p->n_move - i - 1) * sizeof(*p->move));
				p->n_move--;
				i--;
			}
		}
		plan_descend(p); /* places that became free */
		better |= swaps(p);
	}
}

void plan_list(struct plan *p)
{
	p->n_move = 0;
	for (uint32_t repairs = 2; repairs-- > 0;)
		for (uint32_t i = 0; i < p->s->n_dom; i++)
			if (p->dom[i].at != p->s->dom[i].host && (p->dom[i].repair > 0) == (repairs > 0))
				p->move[p->n_move++] =
					(struct clu_plan_move){ .dom = i,
					                        .from = p->s->dom[i].host,
					                        .to = p->dom[i].at,
					                        .reason = (enum clu_plan_reason)p->dom[i].repair };
}

/*
 * What a second run would do, had this plan been carried out: done now, so that it then finds nothing. A round that gains less than
 * a plan has to is taken back.
 */
void plan_again(struct plan *p)
{
	uint32_t max = p->max_move, repairs = p->n_repair;

	for (uint32_t round = 0; round < ROUNDS && p->n_move > repairs && p->n_move < max; round++) {
		double spread = p->spread;
		p->max_move = max - p->n_move;
		p->n_move = p->n_repair = 0;
		for (uint32_t i = 0; i < p->s->n_dom; i++)
			p->dom[i].moved = p->dom[i].repair;
		for (uint32_t h = 0; h < p->s->n_host; h++)
			plan_rank(p, h);
		plan_descend(p);
		plan_refine(p);
		plan_rebuild(p);
		bool enough = p->n_move && spread - p->spread >= p->par->gain_min;
		for (uint32_t i = p->n_move; !enough && i-- > 0;)
			plan_put(p, p->move[i].dom, p->move[i].from);
		plan_list(p);
		p->n_repair = repairs;
		if (!enough)
			break;
	}
	p->max_move = max;
}

static void loads(const struct plan *p, const struct clu_plan_move *m, float *from, float *to, bool mem)
{
	const struct plan_host *a = &p->host[m->from], *b = &p->host[m->to];

	*from = (float)(mem ? a->em + p->cm : a->ec + p->cc);
	*to = (float)(mem ? b->em + p->cm : b->ec + p->cc);
}

/* Move @i is next: to place @at of the list. */
static void carry_out(struct plan *p, uint32_t i, uint32_t at)
{
	struct clu_plan_move m = p->move[i];

	memmove(&p->move[at + 1], &p->move[at], (i - at) * sizeof(m));
	m.gain = p->spread;
	loads(p, &m, &m.mem_from[0], &m.mem_to[0], true);
	loads(p, &m, &m.cpu_from[0], &m.cpu_to[0], false);
	plan_put(p, m.dom, m.to);
	loads(p, &m, &m.mem_from[1], &m.mem_to[1], true);
	loads(p, &m, &m.cpu_from[1], &m.cpu_to[1], false);
	m.gain -= p->spread;
	clu_plan_cost(&p->s->dom[m.dom], p->par, &m.cost_bytes, &m.cost_s);
	p->move[at] = m;
}

static bool feasible(const struct plan *p, const struct clu_plan_move *m)
{
	return plan_fits(p, m->dom, m->to) && plan_allowed(p, m->dom, m->to);
}

/* The feasible one of [@at, @end) that helps most, or the first; PLAN_NONE: none. */
static uint32_t next_of(const struct plan *p, uint32_t at, uint32_t end, bool best)
{
	uint32_t found = PLAN_NONE;
	double least = 0;

	for (uint32_t i = at; i < end; i++) {
		double spread = best ? plan_spread_with(p, p->move[i].dom, p->move[i].to) : 0;
		if ((found == PLAN_NONE || spread < least) && feasible(p, &p->move[i])) {
			found = i;
			least = spread;
			if (!best)
				break;
		}
	}
	return found;
}

bool plan_order(struct plan *p)
{
	uint32_t at = 0, i, n = p->n_move;

	plan_layout_reset(p);
	for (i = 0; i < p->n_repair; i++)
		p->dom[p->move[i].dom].repair = (uint8_t)p->move[i].reason;
	while ((i = next_of(p, at, p->n_repair, false)) != PLAN_NONE)
		carry_out(p, i, at++);
	p->n_repair = at;
	while ((i = next_of(p, at, p->n_move, p->n_move <= ORDER_BEST)) != PLAN_NONE)
		carry_out(p, i, at++);
	p->n_move = at; /* what never fits is left out */
	return at == n;
}
