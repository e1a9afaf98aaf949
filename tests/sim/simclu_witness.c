/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A cluster with a witness, which votes and carries nothing. In stories with --lose one machine loses its power for good, each of them in its turn: if it is
 * the witness nobody notices; if it is another one its domains have to run on those that are left.
 */
#include "config.h"
#include "tests/sim/simclu.h"

#define LOSE_NS  (60 * S)
#define AFTER_NS (80 * S) /* lease, margin, corosync, and starts, a few at a time */

enum { READY, LOSE, CHECK };

static uint32_t victim(const struct sc *w)
{
	return (uint32_t)(w->opt.seed / w->opt.nodes) % w->opt.nodes;
}

bool sc_is_witness(const struct sc *w, uint32_t node)
{
	return w->opt.witness && node == w->opt.seed % w->opt.nodes;
}

bool sc_lose_now(const struct sc *w)
{
	return w->opt.lose && w->now >= LOSE_NS - 20 * S && w->now < LOSE_NS + AFTER_NS;
}

void sc_witness_begin(struct sc *w)
{
	if (!w->opt.lose)
		return;
	sc_at(w, LOSE_NS - 15 * S, SC_EV_WITNESS, 0, READY, 0);
	sc_at(w, LOSE_NS, SC_EV_WITNESS, victim(w), LOSE, 0);
	sc_at(w, LOSE_NS + AFTER_NS, SC_EV_WITNESS, victim(w), CHECK, 0);
}

static void lose(struct sc *w, uint32_t node)
{
	w->fence = 0;
	for (uint32_t i = 0; i < w->opt.nodes; i++)
		w->node[i].lease_ends = 0;
	for (uint32_t d = 0; d < w->opt.doms; d++)
		w->dom[d].starts = 0;
	sc_power_off(w, node);
}

static void check(struct sc *w, uint32_t node)
{
	const struct sc_node *other = &w->node[(node + 1) % w->opt.nodes];

	for (uint32_t i = 0; i < w->opt.nodes; i++)
		if (w->node[i].lease_ends)
			sc_violation(w, "%c is lost, and domains of %c ended by their lease", sc_letter(node),
			             sc_letter(i));
	for (uint32_t i = 0; i < other->s->n_dom; i++) {
		const struct clu_dom *d = &other->s->dom[i];
		uint32_t dom = d->uuid[0] ? sc_dom_by(w, d->uuid) : SC_DOMS;

		if (dom == SC_DOMS || d->desired != CLU_DESIRED_RUNNING)
			continue;
		if (d->phase != CLU_PHASE_RUNNING || d->host == w->node[node].id)
			sc_violation(w, "%c is lost, and %s is %s since", sc_letter(node), d->name,
			             clu_phase_name(d->phase));
		if (sc_is_witness(w, node) && w->dom[dom].starts)
			sc_violation(w, "the witness is lost, and %s was started anew", d->name);
	}
}

void sc_witness_event(struct sc *w, const struct sc_ev *e)
{
	if (e->arg == READY)
		sc_undo_maintenance(w);
	else if (e->arg == LOSE)
		lose(w, e->node);
	else
		check(w, e->node);
}
