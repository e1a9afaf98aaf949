/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who is where, loads and spread, kept up to date move by move. See plan_int.h. Pure. */
#include "config.h"
#include "clusterd/core/plan_int.h"

#include <assert.h>
#include <string.h>

static uint32_t leaves_for(uint32_t n)
{
	uint32_t l = 1;

	while (l < n)
		l *= 2;
	return l;
}

void *plan_cut(uint8_t **at, const uint8_t *end, size_t size)
{
	uint8_t *p = (uint8_t *)(((uintptr_t)*at + 15) & ~(uintptr_t)15);

	assert(p <= end && size <= (size_t)(end - p));
	*at = p + size;
	return p;
}

size_t plan_layout_bytes(uint32_t n_host, uint32_t n_dom)
{
	size_t trees = (size_t)2 * PLAN_DIRS * (2 * leaves_for(n_host) * sizeof(uint32_t) + 16);

	return trees +
	       (size_t)n_host * (sizeof(struct plan_host) + sizeof(struct plan_receiver) + 2 * sizeof(uint32_t)) +
	       (size_t)n_dom * (sizeof(struct plan_link) + 2 * sizeof(uint32_t)) + 16 * 16;
}

uint64_t plan_row_word(const struct plan *p, uint32_t row, uint32_t word)
{
	uint32_t words = (p->s->n_host + 63) / 64, rest = p->s->n_host % 64;
	uint64_t bits = p->s->row[(size_t)row * words + word];

	return rest && word == words - 1 ? bits & ((1ull << rest) - 1) : bits;
}

static void count_rows(struct plan *p)
{
	const struct clu_plan_snap *s = p->s;
	uint32_t words = (s->n_host + 63) / 64;

	for (uint32_t r = 0; r < s->n_row && r < s->n_host + s->n_dom; r++) {
		p->row_n[r] = 0;
		for (uint32_t w = 0; w < words; w++)
			p->row_n[r] += (uint32_t)__builtin_popcountll(plan_row_word(p, r, w));
	}
}

void plan_layout_init(struct plan *p, void *ws, size_t ws_bytes)
{
	const struct clu_plan_snap *s = p->s;
	uint8_t *at = ws, *end = at + ws_bytes;

	p->leaves = leaves_for(s->n_host);
	p->host = plan_cut(&at, end, s->n_host * sizeof(*p->host));
	p->recv = plan_cut(&at, end, s->n_host * sizeof(*p->recv));
	p->list = plan_cut(&at, end, s->n_host * sizeof(*p->list));
	p->dom = plan_cut(&at, end, s->n_dom * sizeof(*p->dom));
	p->row_n = plan_cut(&at, end, ((size_t)s->n_host + s->n_dom) * sizeof(*p->row_n));
	p->saved = plan_cut(&at, end, s->n_dom * sizeof(*p->saved));
	for (uint32_t i = 0; i < PLAN_DIRS; i++) {
		p->give[i].win = plan_cut(&at, end, (size_t)2 * p->leaves * sizeof(uint32_t));
		p->take[i].win = plan_cut(&at, end, (size_t)2 * p->leaves * sizeof(uint32_t));
	}
	for (uint32_t i = 0; i < s->n_dom; i++) {
		const struct clu_plan_dom *d = &s->dom[i];
		uint64_t bytes;
		assert(d->host < s->n_host && d->tie <= s->n_tie && d->n_ties <= s->n_tie - d->tie);
		assert((d->allow == CLU_PLAN_ANY || d->allow < s->n_row) &&
		       (d->prefer == CLU_PLAN_ANY || d->prefer < s->n_row));
		clu_plan_cost(d, p->par, &bytes, &p->dom[i].cost_s);
	}
	count_rows(p);
	plan_layout_reset(p);
}

double plan_sd(double s, double q, double inv_n)
{
	double mean = s * inv_n, var = q * inv_n - mean * mean;

	return var > 0 ? __builtin_sqrt(var) : 0;
}

static void sum_up(struct plan *p)
{
	p->m = p->c = (struct plan_sum){ 0, 0 };
	for (uint32_t i = 0; i < p->s->n_host; i++) {
		const struct plan_host *h = &p->host[i];
		if (!h->usable)
			continue;
		p->m.s += h->em;
		p->m.q += h->em * h->em;
		p->c.s += h->ec;
		p->c.q += h->ec * h->ec;
	}
	p->spread = plan_sd(p->m.s, p->m.q, p->inv_n) + plan_sd(p->c.s, p->c.q, p->inv_n);
}

static void enlist(struct plan *p, uint32_t dom, uint32_t to)
{
	struct plan_host *h = &p->host[to];
	struct plan_link *d = &p->dom[dom];

	d->at = to;
	d->prev = PLAN_NONE;
	d->next = h->first;
	if (h->first != PLAN_NONE)
		p->dom[h->first].prev = dom;
	h->first = dom;
	h->mem += p->s->dom[dom].mem_bytes;
	h->em += (double)p->s->dom[dom].mem_bytes * h->im;
	h->ec += p->s->dom[dom].cpu_milli * h->ic;
}

static void delist(struct plan *p, uint32_t dom)
{
	struct plan_link *d = &p->dom[dom];
	struct plan_host *h = &p->host[d->at];

	if (d->prev != PLAN_NONE)
		p->dom[d->prev].next = d->next;
	else
		h->first = d->next;
	if (d->next != PLAN_NONE)
		p->dom[d->next].prev = d->prev;
	h->mem -= p->s->dom[dom].mem_bytes;
	h->em -= (double)p->s->dom[dom].mem_bytes * h->im;
	h->ec -= p->s->dom[dom].cpu_milli * h->ic;
}

void plan_layout_reset(struct plan *p)
{
	const struct clu_plan_snap *s = p->s;

	p->n = 0;
	p->cm = p->cc = 0;
	for (uint32_t i = 0; i < s->n_host; i++) {
		const struct clu_plan_host *from = &s->host[i];
		struct plan_host *h = &p->host[i];
		*h = (struct plan_host){
			.cap = from->mem_bytes, .mem = from->mem_other_bytes, .first = PLAN_NONE, .usable = from->usable
		};
		h->im = from->mem_bytes ? 1.0 / (double)from->mem_bytes : 0;
		h->ic = from->cpu_milli ? 1.0 / from->cpu_milli : 0;
		h->em = (double)from->mem_other_bytes * h->im;
		h->ec = from->cpu_other_milli * h->ic;
		p->n += from->usable;
	}
	p->inv_n = p->n > 0 ? 1 / p->n : 0;
	for (uint32_t i = s->n_dom; i-- > 0;) { /* lists come out ascending */
		p->dom[i].moved = false;
		p->dom[i].repair = 0;
		enlist(p, i, s->dom[i].host);
	}
	for (uint32_t i = 0; i < s->n_host; i++) {
		p->cm += p->host[i].usable ? p->host[i].em * p->inv_n : 0;
		p->cc += p->host[i].usable ? p->host[i].ec * p->inv_n : 0;
	}
	for (uint32_t i = 0; i < s->n_host; i++) {
		p->host[i].em -= p->cm;
		p->host[i].ec -= p->cc;
	}
	sum_up(p);
}

/* Take (@sign -1) a host's load out of the sums, or put it back. */
static void tally(struct plan *p, const struct plan_host *h, double sign)
{
	p->m.s += sign * h->em;
	p->m.q += sign * h->em * h->em;
	p->c.s += sign * h->ec;
	p->c.q += sign * h->ec * h->ec;
}

void plan_put(struct plan *p, uint32_t dom, uint32_t to)
{
	struct plan_host *a = &p->host[p->dom[dom].at], *b = &p->host[to];

	if (a == b)
		return;
	tally(p, a, -1);
	tally(p, b, -1);
	delist(p, dom);
	enlist(p, dom, to);
	tally(p, a, 1);
	tally(p, b, 1);
	p->spread = plan_sd(p->m.s, p->m.q, p->inv_n) + plan_sd(p->c.s, p->c.q, p->inv_n);
}

double plan_spread_with(const struct plan *p, uint32_t dom, uint32_t to)
{
	const struct plan_host *a = &p->host[p->dom[dom].at], *b = &p->host[to];
	const struct clu_plan_dom *d = &p->s->dom[dom];
	double am = -(double)d->mem_bytes * a->im, ac = -(double)d->cpu_milli * a->ic;
	double bm = (double)d->mem_bytes * b->im, bc = (double)d->cpu_milli * b->ic;

	if (a == b)
		return p->spread;
	return plan_sd(p->m.s + am + bm, p->m.q + am * (2 * a->em + am) + bm * (2 * b->em + bm), p->inv_n) +
	       plan_sd(p->c.s + ac + bc, p->c.q + ac * (2 * a->ec + ac) + bc * (2 * b->ec + bc), p->inv_n);
}

bool plan_fits(const struct plan *p, uint32_t dom, uint32_t to)
{
	const struct plan_host *h = &p->host[to];

	return h->mem <= h->cap && p->s->dom[dom].mem_bytes <= h->cap - h->mem;
}

/* Others on @to that a tie of @dom's does not want (APART), or wants (TOGETHER). */
static uint32_t tied(const struct plan *p, uint32_t dom, const struct clu_plan_tie *t, uint32_t to)
{
	uint32_t n = 0;

	for (uint32_t o = p->host[to].first; o != PLAN_NONE; o = p->dom[o].next) {
		const struct clu_plan_dom *other = &p->s->dom[o];
		for (uint32_t k = 0; o != dom && k < other->n_ties; k++) {
			const struct clu_plan_tie *u = &p->s->tie[other->tie + k];
			n += u->group == t->group && (t->kind == CLU_PLAN_TOGETHER || u->colour != t->colour);
		}
	}
	return n;
}

static bool in_row(const struct clu_plan_snap *s, uint32_t row, uint32_t host)
{
	return row == CLU_PLAN_ANY || clu_bit(s->row + (size_t)row * ((s->n_host + 63) / 64), host);
}

bool plan_allowed(const struct plan *p, uint32_t dom, uint32_t to)
{
	const struct clu_plan_dom *d = &p->s->dom[dom];

	if (!in_row(p->s, d->allow, to))
		return false;
	for (uint32_t k = 0; k < d->n_ties; k++) {
		const struct clu_plan_tie *t = &p->s->tie[d->tie + k];
		if (!t->soft && t->kind == CLU_PLAN_APART && tied(p, dom, t, to))
			return false;
	}
	return true;
}

double plan_soft(const struct plan *p, uint32_t dom, uint32_t to)
{
	const struct clu_plan_dom *d = &p->s->dom[dom];
	double broken = !in_row(p->s, d->prefer, to);

	for (uint32_t k = 0; k < d->n_ties; k++) {
		const struct clu_plan_tie *t = &p->s->tie[d->tie + k];
		if (t->soft)
			broken += t->kind == CLU_PLAN_APART ? tied(p, dom, t, to) : !tied(p, dom, t, to);
	}
	return broken;
}
