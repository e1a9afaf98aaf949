/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The replicated state: what one node calls committed is what every other one calls committed under that number, for ever; in one view equal
 * numbers are equal states; sums are what they say.
 */
#include "config.h"
#include "tests/sim/simclu.h"

#include <string.h>

static struct sc_history *had(struct sc *w, uint32_t node, uint64_t index)
{
	return &w->history[node * SC_HISTORY + index % SC_HISTORY];
}

static uint64_t mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * 0x9e3779b97f4a7c15ull;
	return h ^ h >> 29;
}

/* Without what goes by slots: it is the same for nodes that have different lists. */
static uint64_t essence(const struct sc *w, const struct clu_state *s)
{
	uint64_t sum = s->policy.no_quorum;

	if (!w->opt.lists)
		return s->sum ^ mix(s->level, s->level_id);
	sum ^= mix(s->level, s->level_id);
	for (uint32_t i = 0; i < CLU_HOSTS_MAX && s->host[i].node; i++) {
		const struct clu_host *h = &s->host[i];
		const uint64_t v[] = { h->state,    h->boot,        h->up_id,   h->lost_id,
			               h->lease_ns, h->maintenance, h->leaving, h->safe_by };
		uint64_t x = h->node;
		for (unsigned k = 0; k < sizeof(v) / sizeof(v[0]); k++)
			x = mix(x, v[k]);
		sum ^= h->up_id ? x : 0; /* of others only those know that have them in their list */
	}
	for (uint32_t i = 0; i < s->n_dom; i++) {
		const struct clu_dom *d = &s->dom[i];
		const uint64_t v[] = { d->xml_id,     d->desired,        d->phase, d->host, d->target,
			               d->generation, d->generation_max, d->op_id, d->rev,  d->force };
		uint64_t x = 1000 + i;
		for (unsigned k = 0; k < sizeof(v) / sizeof(v[0]); k++)
			x = mix(x, v[k]);
		sum ^= d->uuid[0] ? x : 0;
	}
	for (uint32_t i = 0; i < SC_RULES; i++)
		sum ^= s->rule[i].id ? mix(i, s->rule[i].id) : 0;
	return sum;
}

void sc_check_applied(struct sc *w, uint32_t node, bool loaded)
{
	const struct clu_state *s = w->node[node].s;

	if (w->node[node].n->level < s->level)
		sc_violation(w, "%c is of level %u, and its state of %u", sc_letter(node), w->node[node].n->level,
		             s->level);
	if (loaded)
		w->node[node].known_from = s->index; /* what it applied before may never have counted */

	*had(w, node, s->index) = (struct sc_history){ .index = s->index, .sum = essence(w, s) };
}

void sc_check_committed(struct sc *w, uint32_t node, uint64_t index)
{
	uint64_t from = w->committed_max + 1;

	if (w->node[node].n->behind)
		return; /* it hears of what it does not have yet */
	if (index > w->node[node].s->index)
		sc_violation(w, "%c says that %llu is committed and has applied %llu only", sc_letter(node),
		             (unsigned long long)index, (unsigned long long)w->node[node].s->index);
	if (from + SC_HISTORY <= index)
		from = index - SC_HISTORY + 1;
	if (from < w->node[node].known_from)
		from = w->node[node].known_from;
	for (uint64_t i = from; i <= index; i++) {
		struct sc_history *c = &w->committed[i % SC_HISTORY], *h = had(w, node, i);
		*c = (struct sc_history){ .index = i, .sum = h->index == i ? h->sum : 0 };
	}
	if (index > w->committed_max)
		w->committed_max = index;
	uint64_t low = index > 64 ? index - 64 : 1;
	if (low < w->node[node].known_from)
		low = w->node[node].known_from;
	for (uint64_t i = low; i <= index; i++) {
		struct sc_history *c = &w->committed[i % SC_HISTORY], *h = had(w, node, i);
		if (c->index != i || h->index != i || !c->sum)
			continue;
		if (c->sum != h->sum)
			sc_violation(w, "what was committed as number %llu vanished: %c has another command there",
			             (unsigned long long)i, sc_letter(node));
	}
	if (index < w->committed_max && w->node[node].n->phase == CLU_NODE_ACTIVE &&
	    w->node[node].s->index + SC_HISTORY < w->committed_max)
		sc_violation(w, "%c commits %llu long after %llu was committed", sc_letter(node),
		             (unsigned long long)index, (unsigned long long)w->committed_max);
}

/* Computed anew when a command or a load came since the last look. */
static bool sum_holds(struct sc_node *n)
{
	if (n->summed_index == n->s->index && n->summed_life == n->life && n->summed_loads == n->loads)
		return true;
	n->summed_index = n->s->index;
	n->summed_life = n->life;
	n->summed_loads = n->loads;
	return clu_sum(n->s) == n->s->sum;
}

void sc_check_views(struct sc *w)
{
	for (uint32_t i = 0; i < w->opt.nodes; i++) {
		const struct sc_node *a = &w->node[i];
		if (!sc_node_acts(a))
			continue;
		if (a->s->index < w->committed_max && a->n->epoch >= w->epoch_max && a->n->commit > w->committed_max)
			sc_violation(w, "%c is behind what is committed", sc_letter(i));
		if (a->n->epoch > w->epoch_max)
			w->epoch_max = a->n->epoch;
		if (!sum_holds(&w->node[i]))
			sc_violation(w, "the sum of %c's state is not that of its records", sc_letter(i));
		for (uint32_t k = 0; k < i; k++) {
			const struct sc_node *b = &w->node[k];
			if (!sc_node_acts(b) || a->n->ring != b->n->ring || a->n->epoch != b->n->epoch ||
			    a->s->index != b->s->index)
				continue;
			if (essence(w, a->s) != essence(w, b->s))
				sc_violation(w, "%c and %c differ at %llu.%llu of one view", sc_letter(i), sc_letter(k),
				             (unsigned long long)a->s->epoch, (unsigned long long)a->s->index);
		}
	}
}
