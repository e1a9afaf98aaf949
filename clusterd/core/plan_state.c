/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The balancer's snapshot of the replicated state. Each domain gets its own row of hosts (what place.c says of it, but for memory and for
 * rules about others); rules about others become ties. Domains that have to be together stay where most of them are, and those that are
 * elsewhere may only go there. See plan.h. Pure.
 */
#include "config.h"
#include "clusterd/core/place_int.h"
#include "clusterd/core/plan_int.h"
#include "clusterd/core/say_int.h"
#include "clusterd/core/settings.h"

#include <assert.h>
#include <string.h>

#define WORDS (CLU_HOSTS_MAX / 64)

struct shot {
	struct place_world w;
	struct clu_plan_snap snap;
	struct clu_plan_host host[CLU_HOSTS_MAX];
	uint32_t n_host, n_stay;
	/* in the workspace */
	struct clu_plan_dom *dom;
	uint32_t *slot; /* of each in the state */
	uint64_t *row;  /* two of each: may, should */
	struct clu_plan_tie *tie;
	uint32_t tie_cap;
};

/* Which domains of the state rule @r ties, with what colour; -1: not this one. */
static int colour_of(const struct clu_rule *r, const struct clu_dom *d)
{
	const char *what = r->kind == CLU_RULE_CONFLICT ? d->spec.type : d->name;

	if (!r->id || r->kind == CLU_RULE_HOSTS || r->kind == CLU_RULE_AFTER || !d->uuid[0] || !what[0])
		return -1;
	for (uint32_t i = 0; i < r->n; i++)
		if (!strcmp(r->member[i], what))
			return (int)i;
	return -1;
}

static uint32_t count_ties(const struct clu_state *s)
{
	uint32_t n = 0;

	for (uint32_t r = 0; r < CLU_RULES_MAX; r++) {
		if (!s->rule[r].id)
			continue;
		if (s->rule[r].kind != CLU_RULE_CONFLICT)
			n += s->rule[r].n; /* names are unique */
		else
			for (uint32_t i = 0; i < s->n_dom; i++)
				n += colour_of(&s->rule[r], &s->dom[i]) >= 0;
	}
	return n;
}

size_t clu_plan_balance_bytes(const struct clu_state *s)
{
	return clu_plan_workspace_bytes(CLU_HOSTS_MAX, s->n_dom) + sizeof(struct shot) +
	       s->n_dom * (sizeof(struct clu_plan_dom) + 2 * sizeof(uint32_t) + (size_t)2 * WORDS * sizeof(uint64_t)) +
	       count_ties(s) * sizeof(struct clu_plan_tie) + 16 * 8;
}

static void hosts(struct shot *z, const struct clu_load *load)
{
	const struct clu_state *s = z->w.s;

	for (uint32_t i = 0; i < z->w.n_host; i++) {
		const struct clu_host *h = &s->host[i];
		z->host[i] = (struct clu_plan_host){ .mem_bytes = place_mem_limit(s, h),
			                             .cpu_milli = h->cap.cpu_milli,
			                             .cpu_other_milli = load ? load->cpu_used_milli[i] : 0,
			                             .usable = place_usable(&z->w, i) };
	}
}

/* The two rows of a domain: bit by host. Does it have a soft rule? */
static bool rows(struct shot *z, uint32_t dom, uint64_t *may, uint64_t *should)
{
	struct say none;
	bool soft = false;

	say_begin(&none, NULL, 0);
	memset(may, 0, WORDS * sizeof(*may));
	memset(should, 0xff, WORDS * sizeof(*should));
	for (uint32_t h = 0; h < z->w.n_host; h++)
		if (place_fixed(&z->w, dom, h, true, &none) == CLU_WHY_OK)
			clu_bit_set(may, h);
	for (uint32_t i = 0; i < CLU_RULES_MAX; i++) {
		const struct clu_rule *r = &z->w.s->rule[i];
		if (!r->id || r->kind != CLU_RULE_HOSTS || strcmp(r->member[0], z->w.s->dom[dom].name) != 0)
			continue;
		soft |= r->soft;
		for (uint32_t h = 0; h < z->w.n_host; h++)
			if (!place_hosts_rule(r, &z->w.s->host[h]))
				clu_bit_clear(r->soft ? should : may, h);
	}
	return soft;
}

static void add_dom(struct shot *z, uint32_t i, const struct clu_load *load)
{
	const struct clu_state *s = z->w.s;
	const struct clu_dom *d = &s->dom[i];
	uint32_t n = z->snap.n_dom++, cpu = (uint32_t)place_dom_cpu(s, load, i), at = z->w.at[i];
	const struct clu_dom_load *l = load && load->dom ? &load->dom[i] : NULL;
	bool stays = clu_stays(d, z->w.time_ns, NULL);

	z->n_stay += stays;
	z->slot[n] = i;
	z->dom[n] = (struct clu_plan_dom){ .host = at,
		                           .cpu_milli = cpu,
		                           .mem_bytes = d->spec.mem_bytes,
		                           .used_bytes = l ? l->used_bytes : 0,
		                           .dirty_bps = l ? l->dirty_bps : 0,
		                           .allow = 2 * n,
		                           .prefer = CLU_PLAN_ANY,
		                           .pinned = d->phase != CLU_PHASE_RUNNING ||
		                                     d->desired != CLU_DESIRED_RUNNING || d->retry_ns > s->time_ns ||
		                                     stays };
	if (rows(z, i, z->row + (size_t)2 * n * z->snap.n_row, z->row + (size_t)(2 * n + 1) * z->snap.n_row))
		z->dom[n].prefer = 2 * n + 1;
	/* a host's measured use is its domains' and the rest */
	struct clu_plan_host *h = &z->host[at];
	h->cpu_other_milli -= h->cpu_other_milli < cpu ? h->cpu_other_milli : cpu;
	if (z->w.also[i] != PLACE_NOWHERE)
		z->host[z->w.also[i]].mem_other_bytes += d->spec.mem_bytes;
}

/* A domain has ties of several rules: they stand together, domain by domain. */
static void ties(struct shot *z)
{
	for (uint32_t n = 0; n < z->snap.n_dom; n++) {
		struct clu_plan_dom *d = &z->dom[n];
		d->tie = z->snap.n_tie;
		for (uint32_t i = 0; i < CLU_RULES_MAX; i++) {
			const struct clu_rule *r = &z->w.s->rule[i];
			int colour = colour_of(r, &z->w.s->dom[z->slot[n]]);
			bool together = r->kind == CLU_RULE_TOGETHER;
			if (colour < 0 || (together && !r->soft))
				continue;
			assert(z->snap.n_tie < z->tie_cap);
			z->tie[z->snap.n_tie++] = (struct clu_plan_tie){ .group = i,
				                                         .colour = (uint32_t)colour,
				                                         .kind = together ? CLU_PLAN_TOGETHER
				                                                          : CLU_PLAN_APART,
				                                         .soft = r->soft };
			d->n_ties++;
		}
	}
}

/* Hard TOGETHER: not one by one. */
static void together(struct shot *z, const struct clu_rule *r)
{
	uint32_t count[CLU_HOSTS_MAX] = { 0 }, most = 0;

	for (uint32_t n = 0; n < z->snap.n_dom; n++)
		if (colour_of(r, &z->w.s->dom[z->slot[n]]) >= 0 && z->host[z->dom[n].host].usable)
			count[z->dom[n].host]++;
	for (uint32_t h = 1; h < z->w.n_host; h++)
		if (count[h] > count[most])
			most = h;
	for (uint32_t n = 0; n < z->snap.n_dom; n++) {
		struct clu_plan_dom *d = &z->dom[n];
		uint64_t *may = z->row + (size_t)d->allow * z->snap.n_row;
		if (colour_of(r, &z->w.s->dom[z->slot[n]]) < 0)
			continue;
		if (d->host == most)
			d->pinned = true;
		for (uint32_t h = 0; h < z->w.n_host; h++)
			if (h != most)
				clu_bit_clear(may, h);
	}
}

/* A spare that is shut takes part as long as there is something to be moved off it. */
static void spares(struct shot *z)
{
	for (uint32_t n = 0; n < z->snap.n_dom; n++) {
		const struct clu_plan_dom *d = &z->dom[n];
		const struct clu_host *h = &z->w.s->host[d->host];
		if (!d->pinned && h->state == CLU_HOST_ONLINE && !clu_takes_none(h) && place_spare_shut(&z->w, d->host))
			z->host[d->host].usable = true;
	}
}

bool clu_plan_spare_used(const struct clu_state *s, const struct clu_load *load)
{
	uint64_t now = load && load->time_ns ? load->time_ns : s->time_ns;

	for (uint32_t i = 0; i < s->n_dom; i++) {
		const struct clu_dom *d = &s->dom[i];
		const struct clu_host *h = d->uuid[0] && d->phase == CLU_PHASE_RUNNING ? clu_host_of(s, d->host) : NULL;
		if (h && h->spare && h->state == CLU_HOST_ONLINE && !clu_takes_none(h) &&
		    !clu_spare_open(s, clu_slot(s, h)) && d->desired == CLU_DESIRED_RUNNING && !clu_stays(d, now, NULL))
			return true;
	}
	return false;
}

static struct shot *shoot(const struct clu_state *s, const struct clu_load *load, uint8_t **at, const uint8_t *end)
{
	struct shot *z = plan_cut(at, end, sizeof(*z));

	memset(z, 0, sizeof(*z));
	place_world_init(&z->w, s, load);
	z->dom = plan_cut(at, end, s->n_dom * sizeof(*z->dom));
	z->slot = plan_cut(at, end, s->n_dom * sizeof(*z->slot));
	z->row = plan_cut(at, end, (size_t)2 * WORDS * s->n_dom * sizeof(*z->row));
	z->tie_cap = count_ties(s);
	z->tie = plan_cut(at, end, z->tie_cap * sizeof(*z->tie));
	z->snap.n_row = (z->w.n_host + 63) / 64; /* words of a row, until there are rows */
	hosts(z, load);
	for (uint32_t i = 0; i < s->n_dom; i++) {
		if (z->w.at[i] != PLACE_NOWHERE)
			add_dom(z, i, load);
	}
	ties(z);
	for (uint32_t i = 0; i < CLU_RULES_MAX; i++)
		if (s->rule[i].id && s->rule[i].kind == CLU_RULE_TOGETHER && !s->rule[i].soft)
			together(z, &s->rule[i]);
	spares(z);
	z->snap.host = z->host;
	z->snap.dom = z->dom;
	z->snap.tie = z->tie;
	z->snap.row = z->row;
	z->snap.n_host = z->w.n_host;
	z->snap.n_row = 2 * z->snap.n_dom;
	return z;
}

void clu_plan_balance(const struct clu_state *s, const struct clu_load *load, const struct clu_plan_params *p, void *ws,
                      size_t ws_bytes, struct clu_plan_move *move, uint32_t cap, struct clu_plan_result *ret)
{
	uint8_t *at = ws, *end = at + ws_bytes;
	struct shot *z = shoot(s, load, &at, end);

	clu_plan_run(&z->snap, p, at, (size_t)(end - at), move, cap, ret);
	ret->n_stay = z->n_stay;
	for (uint32_t i = 0; i < ret->n_moves; i++) {
		move[i].dom = z->slot[move[i].dom]; /* hosts have their slots as indices */
		if (move[i].reason == CLU_PLAN_REPAIR_RULE && place_spare_shut(&z->w, move[i].from))
			move[i].reason = CLU_PLAN_REPAIR_SPARE;
	}
}

double clu_plan_balance_spread(const struct clu_state *s, const struct clu_load *load, void *ws, size_t ws_bytes)
{
	uint8_t *at = ws, *end = at + ws_bytes;
	struct shot *z = shoot(s, load, &at, end);

	return clu_plan_spread(&z->snap, at, (size_t)(end - at));
}
