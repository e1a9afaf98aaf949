/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When the faults have stopped long enough: everything runs that is to run, where the state says, locked by its owner; nothing thrashes. */
#include "config.h"
#include "clusterd/core/after.h"
#include "tests/sim/simclu.h"

#include <string.h>

#define STARTS_MOST 6u /* after the faults stopped: back-offs that had begun, and one more host that is found wanting */
#define MOVES_MOST  6u

static void domain(struct sc *w, const struct clu_state *s, const struct clu_dom *d)
{
	uint32_t dom = sc_dom_by(w, d->uuid), at = sc_node_by(w, d->host);
	struct sc_dom *wd = &w->dom[dom];
	uint32_t copies = 0;

	for (uint32_t i = 0; i < w->opt.nodes; i++)
		copies += sc_copy(w, i, dom)->state != HV_NONE;
	if (d->desired == CLU_DESIRED_RUNNING && d->phase != CLU_PHASE_FAILED) {
		/* one that it waits for is not to run, or it is found here, too: there are no circles */
		if (d->phase == CLU_PHASE_STOPPED && clu_after_waits(s, NULL, d, 0, NULL, NULL))
			return;
		if (d->phase != CLU_PHASE_RUNNING)
			sc_violation(w, "%s is to run and is %s (%s) %.0f s after the last fault", d->name,
			             clu_phase_name(d->phase), d->text, (double)(w->now - w->quiet) / 1e9);
		else if (at == NOHOST || sc_copy(w, at, dom)->state != HV_RUN ||
		         sc_copy(w, at, dom)->generation != d->generation)
			sc_violation(w, "%s should run on %c in generation %llu and does not", d->name, sc_letter(at),
			             (unsigned long long)d->generation);
		else if (wd->shared &&
		         (wd->locked != at || wd->lease_owner != at || wd->lease_generation != d->generation))
			sc_violation(w,
			             "%s is owned by %c in generation %llu, but its disk by %c in %llu (locked by %c)",
			             d->name, sc_letter(at), (unsigned long long)d->generation,
			             sc_letter(wd->lease_owner), (unsigned long long)wd->lease_generation,
			             sc_letter(wd->locked));
		if (copies > 1)
			sc_violation(w, "%s has %u copies in the end", d->name, copies);
	} else if (copies) {
		sc_violation(w, "%s is not to run, and a copy is left", d->name);
	}
	if (wd->starts > STARTS_MOST || wd->moves > MOVES_MOST)
		sc_violation(w, "%s was started %u times and moved %u times after the last fault", d->name, wd->starts,
		             wd->moves);
}

static const struct sc_node *first_member(const struct sc *w)
{
	uint32_t i = 0;

	while (!sc_member(w, i))
		i++;
	return &w->node[i];
}

void sc_check_calm(struct sc *w)
{
	w->index_before = first_member(w)->s->index;
}

void sc_check_stuck(struct sc *w, uint32_t node)
{
	const struct sc_node *other = &w->node[(node + 1) % w->opt.nodes];

	for (uint32_t i = 0; i < other->s->n_dom; i++) {
		const struct clu_dom *d = &other->s->dom[i];
		uint32_t dom = sc_dom_by(w, d->uuid), copies = 0;
		if (!d->uuid[0] || d->desired != CLU_DESIRED_RUNNING || d->phase == CLU_PHASE_MIGRATING)
			continue;
		if (d->phase == CLU_PHASE_STOPPED && clu_after_waits(other->s, NULL, d, 0, NULL, NULL))
			continue; /* for one that is not to run, or is found here, too */
		for (uint32_t k = 0; k < w->opt.nodes; k++)
			copies += sc_copy(w, k, dom)->state != HV_NONE && sc_copy(w, k, dom)->state != HV_PARKED;
		if (!copies)
			sc_violation(w, "%s runs nowhere since the clusterd of %c hangs: it is %s (%s)", d->name,
			             sc_letter(node), clu_phase_name(d->phase), d->text);
	}
}

void sc_check_end(struct sc *w)
{
	const struct clu_state *s = first_member(w)->s;

	if (!w->list_done)
		sc_violation(w, "the hosts' lists are not alike in the end");

	for (uint32_t i = 0; i < w->opt.nodes; i++) {
		const struct sc_node *n = &w->node[i];
		const struct clu_host *h = clu_host_of(n->s, n->id);
		if (!sc_member(w, i))
			continue;
		if (!sc_node_acts(n) || !h || h->state != CLU_HOST_ONLINE)
			sc_violation(w, "%c is not back in the cluster (its view: %s%s)", sc_letter(i),
			             clu_node_phase_name(n->n->phase), n->n->behind ? ", behind" : "");
		else if (!sc_lease_left(w, i) && !sc_is_witness(w, i))
			sc_violation(w, "%c has no lease in the end", sc_letter(i));
		else if (n->s->sum != s->sum || n->s->index != s->index)
			sc_violation(w, "%c and %c have different states in the end", sc_letter(i),
			             sc_letter_of(w, first_member(w)->id));
	}
	if (s->index != w->index_before)
		sc_violation(w, "%llu commands came in the last 20 s, though nothing happened",
		             (unsigned long long)(s->index - w->index_before));
	for (uint32_t i = 0; i < s->n_dom && !w->violation[0]; i++)
		if (s->dom[i].uuid[0])
			domain(w, s, &s->dom[i]);
}
