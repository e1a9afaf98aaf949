/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The best next move. Small clusters: every movable domain to every host. Large ones: the hosts at the ends of a few rankings, kept in
 * tournament trees (a changed host costs log n, the k first of a ranking k log n), and a host that has nothing worth giving is left
 * out until it changes. See plan_int.h. Pure.
 */
#include "config.h"
#include "clusterd/core/plan_int.h"

#include <assert.h>
#include <string.h>

static double rank_of(const struct plan *p, uint32_t dir, uint32_t host)
{
	static const double weight[PLAN_DIRS][2] = { { 1, 0 }, { 0, 1 }, { 1, 1 }, { 2, 1 }, { 1, 2 } };

	return weight[dir][0] * p->host[host].em + weight[dir][1] * p->host[host].ec;
}

/* Which of two goes first; NONE never. */
static uint32_t first(const struct plan *p, const struct plan_tree *t, uint32_t a, uint32_t b)
{
	if (a == PLAN_NONE || b == PLAN_NONE)
		return a == PLAN_NONE ? b : a;
	double x = rank_of(p, t->dir, a), y = rank_of(p, t->dir, b);
	return (t->least ? y < x : y > x) ? b : a;
}

static uint32_t entry(const struct plan *p, const struct plan_tree *t, uint32_t host)
{
	if (host >= p->s->n_host || !p->host[host].usable || (!t->least && p->host[host].dry))
		return PLAN_NONE;
	return host;
}

static void tree_update(struct plan *p, struct plan_tree *t, uint32_t host)
{
	uint32_t k = p->leaves + host;

	t->win[k] = entry(p, t, host);
	while (k /= 2)
		t->win[k] = first(p, t, t->win[2 * k], t->win[2 * k + 1]);
}

/* The @k first, each handed on once per mark. */
static void tree_top(struct plan *p, const struct plan_tree *t, uint32_t k, void (*hand_on)(struct plan *, uint32_t))
{
	uint32_t open[PLAN_TAKE * 32 + 1], n = 1;

	open[0] = 1;
	while (k-- && n) {
		uint32_t at = 0;
		for (uint32_t i = 1; i < n; i++)
			if (first(p, t, t->win[open[at]], t->win[open[i]]) != t->win[open[at]])
				at = i;
		uint32_t node = open[at], win = t->win[node];
		open[at] = open[--n];
		if (win == PLAN_NONE)
			return;
		if (p->host[win].seen != p->mark) {
			p->host[win].seen = p->mark;
			hand_on(p, win);
		}
		while (node < p->leaves) { /* the losers on its way are next */
			uint32_t kid = t->win[2 * node] == win ? 2 * node : 2 * node + 1;
			if (t->win[kid ^ 1] != PLAN_NONE)
				open[n++] = kid ^ 1;
			node = kid;
		}
	}
}

void plan_search_init(struct plan *p)
{
	const struct clu_plan_snap *s = p->s;

	p->full = (uint64_t)s->n_host * s->n_dom <= PLAN_FULL;
	for (uint32_t d = 0; d < PLAN_DIRS; d++) {
		p->give[d].least = false;
		p->take[d].least = true;
		p->give[d].dir = p->take[d].dir = d;
		for (uint32_t e = 0; e < 2; e++) {
			struct plan_tree *t = e ? &p->take[d] : &p->give[d];
			for (uint32_t i = 0; i < p->leaves; i++)
				t->win[p->leaves + i] = entry(p, t, i);
			for (uint32_t i = p->leaves; i-- > 1;)
				t->win[i] = first(p, t, t->win[2 * i], t->win[2 * i + 1]);
		}
	}
}

void plan_rank(struct plan *p, uint32_t host)
{
	p->host[host].dry = false;
	for (uint32_t d = 0; !p->full && d < PLAN_DIRS; d++) {
		tree_update(p, &p->give[d], host);
		tree_update(p, &p->take[d], host);
	}
}

void plan_dry(struct plan *p, uint32_t host, bool dry)
{
	p->host[host].dry = dry;
	for (uint32_t d = 0; !p->full && d < PLAN_DIRS; d++)
		tree_update(p, &p->give[d], host);
}

static void add_giver(struct plan *p, uint32_t host)
{
	p->list[p->n_list++] = host;
}

static void add_receiver(struct plan *p, uint32_t host)
{
	const struct plan_host *h = &p->host[host];

	p->recv[p->n_recv++] = (struct plan_receiver){ h->em, h->ec, h->im, h->ic, host };
}

static void candidates(struct plan *p, bool givers)
{
	p->n_recv = 0;
	p->mark++;
	for (uint32_t i = 0; p->full && i < p->s->n_host; i++)
		if (p->host[i].usable)
			add_receiver(p, i);
	for (uint32_t d = 0; !p->full && d < PLAN_DIRS; d++)
		tree_top(p, &p->take[d], PLAN_TAKE, add_receiver);
	if (!givers)
		return;
	p->n_list = 0;
	p->mark++;
	for (uint32_t i = 0; p->full && i < p->s->n_host; i++)
		if (p->host[i].usable)
			add_giver(p, i);
	for (uint32_t d = 0; !p->full && d < PLAN_DIRS; d++)
		tree_top(p, &p->give[d], PLAN_GIVE, add_giver);
}

struct seek {
	uint32_t dom;
	double m, c;                          /* octets, milli CPUs */
	struct plan_sum without_m, without_c; /* sums with it taken from its host */
	double cost, soft_here;
	bool has_soft;
};

static void seek_begin(const struct plan *p, uint32_t dom, struct seek *k)
{
	const struct clu_plan_dom *d = &p->s->dom[dom];
	const struct plan_host *a = &p->host[p->dom[dom].at];
	double am, ac;

	k->dom = dom;
	k->m = (double)d->mem_bytes;
	k->c = d->cpu_milli;
	am = -k->m * a->im;
	ac = -k->c * a->ic;
	k->without_m = (struct plan_sum){ p->m.s + am, p->m.q + am * (2 * a->em + am) };
	k->without_c = (struct plan_sum){ p->c.s + ac, p->c.q + ac * (2 * a->ec + ac) };
	k->has_soft = d->prefer != CLU_PLAN_ANY;
	for (uint32_t t = 0; t < d->n_ties; t++)
		k->has_soft |= p->s->tie[d->tie + t].soft;
	k->soft_here = k->has_soft ? PLAN_SOFT * plan_soft(p, dom, p->dom[dom].at) : 0;
	k->cost = p->par->cost_weight * p->dom[dom].cost_s - k->soft_here;
}

static inline double seek_spread(const struct plan *p, const struct seek *k, const struct plan_receiver *r)
{
	double bm = k->m * r->im, bc = k->c * r->ic;

	return plan_sd(k->without_m.s + bm, k->without_m.q + bm * (2 * r->em + bm), p->inv_n) +
	       plan_sd(k->without_c.s + bc, k->without_c.q + bc * (2 * r->ec + bc), p->inv_n);
}

/* @r beats what is known: may it be? */
static void seek_take(const struct plan *p, const struct seek *k, const struct plan_receiver *r, double spread,
                      struct plan_trial *best)
{
	double worth = p->n * (p->spread - spread) - k->cost;

	if (r->host == p->dom[k->dom].at || !plan_fits(p, k->dom, r->host) || !plan_allowed(p, k->dom, r->host))
		return;
	if (k->has_soft)
		worth -= PLAN_SOFT * plan_soft(p, k->dom, r->host);
	if (worth > best->worth)
		*best = (struct plan_trial){ k->dom, r->host, worth };
}

static void seek_host(const struct plan *p, const struct seek *k, uint32_t host, struct plan_trial *best)
{
	if (host >= p->s->n_host || !p->host[host].usable)
		return;
	const struct plan_host *h = &p->host[host];
	struct plan_receiver r = { h->em, h->ec, h->im, h->ic, host };
	double spread = seek_spread(p, k, &r);
	if (p->n * (p->spread - spread) - k->cost > best->worth)
		seek_take(p, k, &r, spread, best);
}

/* Every host of a small row; else the candidates. */
static void seek(struct plan *p, uint32_t dom, struct plan_trial *best)
{
	const struct clu_plan_dom *d = &p->s->dom[dom];
	struct seek k;

	seek_begin(p, dom, &k);
	if (d->allow < p->s->n_host + p->s->n_dom && p->row_n[d->allow] <= PLAN_ROW_SMALL) {
		uint32_t words = (p->s->n_host + 63) / 64;
		for (uint32_t w = 0; w < words; w++)
			for (uint64_t bits = plan_row_word(p, d->allow, w); bits; bits &= bits - 1)
				seek_host(p, &k, w * 64 + (uint32_t)__builtin_ctzll(bits), best);
		p->trials += p->row_n[d->allow];
		return;
	}
	double limit = p->spread - (best->worth + k.cost) * p->inv_n; /* below that it is better */
	for (uint32_t i = 0; i < p->n_recv; i++) {
		double spread = seek_spread(p, &k, &p->recv[i]);
		if (spread >= limit)
			continue;
		seek_take(p, &k, &p->recv[i], spread, best);
		limit = p->spread - (best->worth + k.cost) * p->inv_n;
	}
	p->trials += p->n_recv;
}

static bool movable(const struct plan *p, uint32_t dom)
{
	return !p->s->dom[dom].pinned && !p->dom[dom].moved;
}

bool plan_best(struct plan *p, struct plan_trial *ret)
{
	for (;;) {
		struct plan_trial best = { PLAN_NONE, PLAN_NONE, p->par->move_worth };
		candidates(p, true);
		for (uint32_t i = 0; i < p->n_list; i++) {
			struct plan_trial of_host = { PLAN_NONE, PLAN_NONE, best.worth };
			for (uint32_t d = p->host[p->list[i]].first; d != PLAN_NONE; d = p->dom[d].next)
				if (movable(p, d))
					seek(p, d, &of_host);
			if (of_host.dom != PLAN_NONE)
				best = of_host;
		}
		if (best.dom != PLAN_NONE) {
			*ret = best;
			return true;
		}
		if (p->full || !p->n_list)
			return false;
		for (uint32_t i = 0; i < p->n_list; i++)
			plan_dry(p, p->list[i], true);
	}
}

bool plan_best_of(struct plan *p, uint32_t dom, bool any, struct plan_trial *ret)
{
	struct plan_trial best = { PLAN_NONE, PLAN_NONE, any ? -1e300 : p->par->move_worth };
	struct seek k;

	seek_begin(p, dom, &k);
	for (uint32_t i = 0; i < p->s->n_host; i++)
		seek_host(p, &k, i, &best);
	p->trials += p->s->n_host;
	*ret = best;
	return best.dom != PLAN_NONE;
}
