/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Domains that start after others: no START is applied while one that it waits for does not run. Written apart from clusterd/core/after.c. */
#include "config.h"
#include "tests/sim/simclu.h"

#include <string.h>

#define HIDDEN 100u

void sc_after_hide(struct sc *w, struct clu_state *s, bool hide)
{
	for (uint32_t i = 0; sc_planted(w, "unordered") && i < SC_RULES; i++) {
		if (hide && s->rule[i].kind == CLU_RULE_AFTER)
			s->rule[i].kind = (enum clu_rule_kind)HIDDEN;
		else if (!hide && s->rule[i].kind == (enum clu_rule_kind)HIDDEN)
			s->rule[i].kind = CLU_RULE_AFTER;
	}
}

/* The one that has to run before @name, and does not; NULL: none. */
static const struct clu_dom *missing(const struct clu_state *s, const char *name)
{
	for (uint32_t i = 0; i < SC_RULES; i++) {
		const struct clu_rule *r = &s->rule[i];
		const struct clu_dom *d = r->id && r->kind == CLU_RULE_AFTER && !strcmp(r->member[0], name)
		                                  ? clu_dom_named(s, r->member[1])
		                                  : NULL;
		bool up = d && d->desired == CLU_DESIRED_RUNNING &&
		          (d->phase == CLU_PHASE_RUNNING || d->phase == CLU_PHASE_MIGRATING);

		if (d && !up && (!r->soft || (d->desired == CLU_DESIRED_RUNNING && d->phase != CLU_PHASE_FAILED)))
			return d;
	}
	return NULL;
}

void sc_after_before(struct sc *w, uint32_t node, const struct clu_cmd *c)
{
	const struct clu_dom *d = clu_dom_of(w->node[node].s, c->uuid),
			     *first = d ? missing(w->node[node].s, d->name) : NULL;

	w->after_rev = d ? d->rev : 0;
	w->after_first = first ? first->name : NULL;
	sc_after_hide(w, w->node[node].s, true);
}

void sc_after_applied(struct sc *w, uint32_t node, const struct clu_cmd *c)
{
	const struct clu_dom *d = clu_dom_of(w->node[node].s, c->uuid);

	sc_after_hide(w, w->node[node].s, false);
	if (d && d->rev != w->after_rev && d->phase == CLU_PHASE_STARTING && w->after_first)
		sc_violation(w, "%s is started before %s runs", d->name, w->after_first);
}
