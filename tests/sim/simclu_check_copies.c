/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Never two copies of a domain that could run, and none whose memory is older than what a later run did to its disks. */
#include "config.h"
#include "tests/sim/simclu.h"

static bool can_run(struct sc *w, uint32_t node, uint32_t dom)
{
	const struct sc_copy *c = sc_copy(w, node, dom);

	if (sc_frozen(w, node) || (c->marked && sc_mute(w, node)))
		return false;
	return c->state == HV_BOOT || c->state == HV_RUN || c->state == HV_STOP || c->state == HV_SUSPENDED;
}

void sc_check_copies(struct sc *w, uint32_t dom)
{
	uint32_t first = NOHOST;

	for (uint32_t i = 0; i < w->opt.nodes; i++) {
		if (!can_run(w, i, dom))
			continue;
		if (first != NOHOST)
			sc_violation(w, "two copies of %s: on %c in generation %llu, on %c in generation %llu",
			             w->dom[dom].name, sc_letter(first),
			             (unsigned long long)sc_copy(w, first, dom)->generation, sc_letter(i),
			             (unsigned long long)sc_copy(w, i, dom)->generation);
		first = i;
	}
}

/* A copy begins to run, or goes on: with the memory that ran last, unless it boots. */
void sc_check_runs(struct sc *w, uint32_t node, uint32_t dom)
{
	struct sc_copy *c = sc_copy(w, node, dom);
	struct sc_dom *d = &w->dom[dom];

	if (c->marked && sc_mute(w, node))
		return; /* nothing of it reaches a disk */
	if (c->generation < d->ran)
		sc_violation(w, "%s runs on %c in generation %llu, after generation %llu ran", d->name, sc_letter(node),
		             (unsigned long long)c->generation, (unsigned long long)d->ran);
	if (c->state == HV_RUN && c->memory != d->memory)
		sc_violation(w, "%s goes on at %c, though it ran at %c since: its memory is of the past", d->name,
		             sc_letter(node), sc_letter(d->ran_at));
	c->memory = ++d->memory;
	d->ran = c->generation;
	d->ran_at = node;
}
