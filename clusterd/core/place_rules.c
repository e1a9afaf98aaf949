/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who is where (struct place_world), and what rules make of it for one domain. Pure; see place_int.h. */
#include "config.h"
#include "clusterd/core/place_int.h"
#include "clusterd/core/settings.h"

#include <assert.h>
#include <string.h>

/* Not measured yet: a tenth of what its vCPUs could use. */
#define CPU_GUESS_MILLI 100u

uint32_t place_slot(const struct place_world *w, uint32_t node)
{
	for (uint32_t i = 0; node && i < w->n_host; i++)
		if (w->s->host[i].node == node)
			return i;
	return PLACE_NOWHERE;
}

uint64_t place_mem_limit(const struct clu_state *s, const struct clu_host *h)
{
	uint64_t pct = s->policy.mem_overcommit_pct ? s->policy.mem_overcommit_pct : 100;

	return h->cap.mem_bytes / 100 * pct + h->cap.mem_bytes % 100 * pct / 100;
}

uint64_t place_dom_cpu(const struct clu_state *s, const struct clu_load *load, uint32_t dom)
{
	if (load && load->dom && load->dom[dom].cpu_milli)
		return load->dom[dom].cpu_milli;
	return (uint64_t)s->dom[dom].spec.vcpus * CPU_GUESS_MILLI;
}

bool place_spare_shut(const struct place_world *w, uint32_t slot)
{
	return w->s->host[slot].spare && !w->in_need && !clu_spare_open(w->s, slot);
}

bool place_usable(const struct place_world *w, uint32_t slot)
{
	const struct clu_host *h = &w->s->host[slot];

	return h->state == CLU_HOST_ONLINE && !clu_takes_none(h) && !clu_bit(w->lost, slot) &&
	       !place_spare_shut(w, slot);
}

static bool occupies(const struct clu_dom *d)
{
	return d->uuid[0] && d->phase >= CLU_PHASE_STARTING && d->phase <= CLU_PHASE_RESOLVING;
}

static void carry(struct place_world *w, uint32_t dom, uint32_t slot)
{
	w->mem[slot] += w->s->dom[dom].spec.mem_bytes;
	w->cpu[slot] += place_dom_cpu(w->s, w->load, dom);
}

void place_world_init(struct place_world *w, const struct clu_state *s, const struct clu_load *load)
{
	struct {
		uint32_t node;
		uint8_t slot;
	} hash[2 * CLU_HOSTS_MAX] = { 0 };

	assert(s->n_dom <= CLU_DOMS_MAX);
	memset(w, 0, sizeof(*w));
	w->s = s;
	w->load = load;
	w->time_ns = load && load->time_ns ? load->time_ns : s->time_ns;
	for (; w->n_host < CLU_HOSTS_MAX && s->host[w->n_host].node; w->n_host++) {
		uint32_t k = s->host[w->n_host].node % (2 * CLU_HOSTS_MAX);
		while (hash[k].node)
			k = (k + 1) % (2 * CLU_HOSTS_MAX);
		hash[k].node = s->host[w->n_host].node;
		hash[k].slot = (uint8_t)w->n_host;
	}
	for (uint32_t i = 0; i < s->n_dom; i++) {
		const struct clu_dom *d = &s->dom[i];
		uint32_t node[2] = { 0, 0 };
		uint8_t *slot[2] = { &w->at[i], &w->also[i] };
		if (occupies(d)) {
			node[0] = d->host;
			node[1] = d->phase == CLU_PHASE_MIGRATING && d->target != d->host ? d->target : 0;
		}
		for (uint32_t e = 0; e < 2; e++) {
			*slot[e] = PLACE_NOWHERE;
			uint32_t k = node[e] % (2 * CLU_HOSTS_MAX);
			while (node[e] && hash[k].node && hash[k].node != node[e])
				k = (k + 1) % (2 * CLU_HOSTS_MAX);
			if (!node[e] || !hash[k].node)
				continue;
			*slot[e] = hash[k].slot;
			carry(w, i, *slot[e]);
		}
	}
	for (uint32_t i = 0; load && i < w->n_host; i++)
		if (w->cpu[i] < load->cpu_used_milli[i])
			w->cpu[i] = load->cpu_used_milli[i];
}

void place_world_put(struct place_world *w, uint32_t dom, uint32_t slot)
{
	w->at[dom] = (uint8_t)slot;
	carry(w, dom, slot);
}

void place_world_also(struct place_world *w, uint32_t dom, uint32_t slot)
{
	w->also[dom] = (uint8_t)slot;
	carry(w, dom, slot);
}

void place_world_take(struct place_world *w, uint32_t dom)
{
	uint64_t cpu = place_dom_cpu(w->s, w->load, dom);
	uint8_t *slot[2] = { &w->at[dom], &w->also[dom] };

	for (uint32_t e = 0; e < 2; e++) {
		if (*slot[e] == PLACE_NOWHERE)
			continue;
		w->mem[*slot[e]] -= w->s->dom[dom].spec.mem_bytes;
		w->cpu[*slot[e]] -= w->cpu[*slot[e]] < cpu ? w->cpu[*slot[e]] : cpu;
		*slot[e] = PLACE_NOWHERE;
	}
}

static bool names(const struct clu_rule *r, const char *name)
{
	for (uint32_t i = 0; i < r->n; i++)
		if (!strcmp(r->member[i], name))
			return true;
	return false;
}

bool place_hosts_rule(const struct clu_rule *r, const struct clu_host *h)
{
	for (uint32_t i = 1; i < r->n; i++) {
		bool is = !strcmp(r->member[i], h->name);
		for (uint32_t k = 0; !is && k < CLU_LABELS_MAX && !strncmp(r->member[i], "label=", 6); k++)
			is = h->cap.label[k][0] && !strcmp(r->member[i] + 6, h->cap.label[k]);
		if (is)
			return !r->never;
	}
	return r->never;
}

static void deny(struct place_bounds *b, const struct clu_rule *r, enum clu_why why, uint32_t slot)
{
	if (r->soft) {
		b->soft[slot]++;
		return;
	}
	clu_bit_set(b->deny[why], slot);
	b->rule[why] = r->id;
}

/*
 * Where the others are, or are going to be, it has to be. Those on a host that is lost, taken away or being drained bind nobody: else
 * a drain could not begin. Spread over several hosts (the rule came later), each of them is right.
 */
static void together(struct place_bounds *b, const struct place_world *w, const struct clu_rule *r, uint32_t dom)
{
	uint64_t there[CLU_HOSTS_MAX / 64] = { 0 };
	bool bound = false;

	for (uint32_t i = 0; i < w->s->n_dom; i++) {
		const struct clu_dom *d = &w->s->dom[i];
		if (i == dom || !d->uuid[0] || !names(r, d->name) || d->phase == CLU_PHASE_STOPPING)
			continue;
		uint32_t slot = w->also[i] != PLACE_NOWHERE ? w->also[i] : w->at[i];
		if (slot != PLACE_NOWHERE && place_usable(w, slot)) {
			clu_bit_set(there, slot);
			bound = true;
		} else if (d->desired == CLU_DESIRED_RUNNING) {
			b->group_bytes += d->spec.mem_bytes;
		}
	}
	for (uint32_t h = 0; bound && h < w->n_host; h++)
		if (!clu_bit(there, h))
			deny(b, r, CLU_WHY_RULE_TOGETHER, h);
}

/* Hosts that have a domain @r does not want beside @dom: both ends of a migration count. */
static void exclude(struct place_bounds *b, const struct place_world *w, const struct clu_rule *r, uint32_t dom)
{
	bool apart = r->kind == CLU_RULE_APART;
	const char *type = w->s->dom[dom].spec.type;
	uint64_t there[CLU_HOSTS_MAX / 64] = { 0 };

	for (uint32_t i = 0; i < w->s->n_dom; i++) {
		const struct clu_dom *d = &w->s->dom[i];
		if (i == dom || (w->at[i] == PLACE_NOWHERE && w->also[i] == PLACE_NOWHERE))
			continue;
		if (apart ? !names(r, d->name)
		          : !d->spec.type[0] || !strcmp(d->spec.type, type) || !names(r, d->spec.type))
			continue;
		if (w->at[i] != PLACE_NOWHERE)
			clu_bit_set(there, w->at[i]);
		if (w->also[i] != PLACE_NOWHERE)
			clu_bit_set(there, w->also[i]);
	}
	for (uint32_t h = 0; h < w->n_host; h++)
		if (clu_bit(there, h))
			deny(b, r, apart ? CLU_WHY_RULE_APART : CLU_WHY_CONFLICT, h);
}

void place_bounds_init(struct place_bounds *b, const struct place_world *w, uint32_t dom)
{
	const struct clu_dom *d = &w->s->dom[dom];

	memset(b, 0, sizeof(*b));
	for (uint32_t i = 0; i < CLU_RULES_MAX; i++) {
		const struct clu_rule *r = &w->s->rule[i];
		if (!r->id)
			continue;
		switch (r->kind) {
		case CLU_RULE_TOGETHER:
			if (names(r, d->name))
				together(b, w, r, dom);
			break;
		case CLU_RULE_APART:
			if (names(r, d->name))
				exclude(b, w, r, dom);
			break;
		case CLU_RULE_HOSTS:
			if (strcmp(r->member[0], d->name))
				break;
			for (uint32_t h = 0; h < w->n_host; h++)
				if (!place_hosts_rule(r, &w->s->host[h]))
					deny(b, r, CLU_WHY_RULE_HOSTS, h);
			break;
		case CLU_RULE_CONFLICT:
			if (d->spec.type[0] && names(r, d->spec.type))
				exclude(b, w, r, dom);
			break;
		case CLU_RULE_AFTER: /* says when, not where */
			break;
		}
	}
}
