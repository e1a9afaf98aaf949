/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A host that sees all files and can start nothing. It was away, so it is empty and looks best when another host loses its power. Each domain may be
 * tried there once or twice, and has to run elsewhere soon.
 */
#include "config.h"
#include "tests/sim/simclu.h"

#define TRIES_MOST 2u

static uint32_t bad_host(const struct sc *w)
{
	return (uint32_t)w->opt.seed % w->opt.nodes;
}

void sc_bad_begin(struct sc *w)
{
	static const uint64_t at[] = { 60 * S, 75 * S, 100 * S, 140 * S };

	for (uint32_t i = 0; w->opt.bad && i < sizeof(at) / sizeof(at[0]); i++)
		sc_at(w, at[i], SC_EV_BAD, 0, i, 0);
}

static void check(struct sc *w)
{
	const struct sc_node *other = &w->node[(bad_host(w) + 2) % w->opt.nodes];

	for (uint32_t i = 0; i < other->s->n_dom; i++) {
		const struct clu_dom *d = &other->s->dom[i];
		uint32_t dom = sc_dom_by(w, d->uuid), copies = 0;
		if (!d->uuid[0] || d->desired != CLU_DESIRED_RUNNING)
			continue;
		for (uint32_t k = 0; k < w->opt.nodes; k++)
			copies += sc_copy(w, k, dom)->state != HV_NONE;
		if (!copies)
			sc_violation(w, "%s runs nowhere, though only %c cannot start it", d->name,
			             sc_letter(bad_host(w)));
		if (w->dom[dom].bad_tries > TRIES_MOST)
			sc_violation(w, "%s was tried %u times on %c, which can start nothing", d->name,
			             w->dom[dom].bad_tries, sc_letter(bad_host(w)));
	}
}

void sc_bad_step(struct sc *w, uint32_t step)
{
	uint32_t bad = bad_host(w), other = (bad + 1) % w->opt.nodes;

	switch (step) {
	case 0:
		sc_power_off(w, bad);
		break;
	case 1:
		sc_trace(w, "%c comes back, and can start nothing", sc_letter(bad));
		w->node[bad].bad = true;
		sc_power_on(w, bad);
		break;
	case 2:
		for (uint32_t d = 0; d < w->opt.doms; d++)
			w->dom[d].bad_tries = 0;
		sc_power_off(w, other);
		break;
	default:
		check(w);
	}
}
