/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Out of local optima, for small clusters: go beyond the limit and leave out the least; take a few moves back at once and begin anew
 * there, many times. What is tried follows a fixed sequence: the same question has the same answer. See plan_int.h. Pure.
 */
#include "config.h"
#include "clusterd/core/plan_int.h"

#include <string.h>

#define REBUILDS  3000u /* at most */
#define TAKE_BACK 5u    /* moves at once */

static void save(struct plan *p)
{
	for (uint32_t i = 0; i < p->s->n_dom; i++)
		p->saved[i] = p->dom[i].at;
}

static void restore(struct plan *p)
{
	for (uint32_t i = 0; i < p->s->n_dom; i++) {
		plan_put(p, i, p->saved[i]);
		p->dom[i].moved = p->dom[i].repair;
	}
}

/* Move @i of the list back to where it came from; false: others came to rely on its place. */
static bool take_back(struct plan *p, uint32_t i)
{
	struct clu_plan_move m = p->move[i];

	if (!plan_fits(p, m.dom, m.from) || !plan_allowed(p, m.dom, m.from))
		return false;
	p->dom[m.dom].moved = false;
	plan_put(p, m.dom, m.from);
	p->n_move--;
	memmove(&p->move[i], &p->move[i + 1], (p->n_move - i) * sizeof(m));
	return true;
}

/* Take back the move that is missed least; false: none can be. */
static bool drop_least(struct plan *p)
{
	uint32_t least = PLAN_NONE;
	double best = 0;

	for (uint32_t i = p->n_repair; i < p->n_move; i++) {
		const struct clu_plan_move *m = &p->move[i];
		double spread = plan_spread_with(p, m->dom, m->from);
		if ((least == PLAN_NONE || spread < best) && plan_fits(p, m->dom, m->from) &&
		    plan_allowed(p, m->dom, m->from)) {
			least = i;
			best = spread;
		}
	}
	return least != PLAN_NONE && take_back(p, least);
}

/*
 * A plan that stops at a number of moves has the best first ones, not the best so many: go on a little, leave out what is missed least, and
 * keep that if it is better. Small clusters only.
 */
void plan_overshoot(struct plan *p)
{
	uint32_t max = p->max_move, more = max / 4 + 2;
	double spread = p->spread;

	if (!p->full || p->n_move < max || max == p->n_repair || max == p->move_cap || p->trials >= p->effort)
		return;
	save(p);
	p->max_move = p->move_cap - max < more ? p->move_cap : max + more;
	plan_descend(p);
	plan_refine(p);
	while (p->n_move > max && drop_least(p))
		continue;
	p->max_move = max;
	if (p->n_move <= max) {
		plan_refine(p);
		if (p->spread < spread - 1e-9)
			return;
	}
	restore(p);
	plan_list(p);
	for (uint32_t i = 0; i < p->n_move; i++)
		p->dom[p->move[i].dom].moved = true;
}

/* All that counts, in worth: lower is better. */
static double burden(const struct plan *p)
{
	double sum = p->n * p->spread + p->par->move_worth * p->n_move;

	for (uint32_t i = 0; i < p->n_move; i++)
		sum += p->par->cost_weight * p->dom[p->move[i].dom].cost_s;
	for (uint32_t i = 0; i < p->s->n_dom; i++)
		if (p->s->dom[i].prefer != CLU_PLAN_ANY || p->s->dom[i].n_ties)
			sum += PLAN_SOFT * plan_soft(p, i, p->dom[i].at);
	return sum;
}

static uint32_t pick(uint64_t *seed, uint32_t n)
{
	*seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(*seed >> 33) % n;
}

/* One try; without success the layout is as before. */
static bool rebuild(struct plan *p, uint64_t *seed)
{
	struct clu_plan_move taken[TAKE_BACK];
	uint32_t n = 1 + pick(seed, TAKE_BACK), n_taken = 0;
	double before = burden(p);

	for (uint32_t k = 0; k < n && p->n_move > p->n_repair; k++) {
		uint32_t i = p->n_repair + pick(seed, p->n_move - p->n_repair);
		taken[n_taken] = p->move[i];
		n_taken += take_back(p, i);
	}
	if (!n_taken)
		return false;
	uint32_t kept = p->n_move;
	p->dom[taken[0].dom].moved = true; /* something else first: else the same comes of it */
	plan_descend(p);
	p->dom[taken[0].dom].moved = false;
	plan_descend(p);
	if (burden(p) < before - 1e-9)
		return true;
	while (p->n_move > kept) {
		struct clu_plan_move m = p->move[--p->n_move];
		p->dom[m.dom].moved = false;
		plan_put(p, m.dom, m.from);
	}
	for (uint32_t k = n_taken; k-- > 0;) {
		p->move[p->n_move++] = taken[k];
		p->dom[taken[k].dom].moved = true;
		plan_put(p, taken[k].dom, taken[k].to);
	}
	return false;
}

void plan_rebuild(struct plan *p)
{
	uint64_t seed = 1, end = p->trials + p->effort / 4;
	bool better = false;

	for (uint32_t i = 0; p->full && i < REBUILDS && p->n_move > p->n_repair && p->trials < end; i++)
		better |= rebuild(p, &seed);
	if (better)
		plan_refine(p);
}
