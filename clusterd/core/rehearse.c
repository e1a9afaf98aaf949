/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See rehearse.h. */
#include "config.h"
#include "clusterd/core/after.h"
#include "clusterd/core/rehearse.h"
#include "clusterd/core/slots_int.h"

#include <string.h>

uint32_t clu_rehearse_begin(struct clu_state *s, uint32_t slot, uint16_t *ret)
{
	uint32_t node = s->host[slot].node, n = 0;

	s->host[slot].state = CLU_HOST_SAFE;
	for (uint32_t i = 0; i < s->n_dom; i++) {
		struct clu_dom *d = &s->dom[i];

		if (!d->uuid[0] || d->desired != CLU_DESIRED_RUNNING)
			continue;
		if (d->host == node && d->phase != CLU_PHASE_STOPPED && d->phase != CLU_PHASE_FAILED) {
			if (!d->spec.ha)
				continue; /* it stays down with its host */
			d->host = d->target = 0;
			d->phase = CLU_PHASE_STOPPED;
		}
		if (d->phase == CLU_PHASE_STOPPED)
			ret[n++] = (uint16_t)i;
	}
	slots_sort(ret, n, s, slots_start_first);
	return n;
}

uint32_t clu_rehearse_pick(const struct clu_state *s, const uint16_t *order, uint32_t n)
{
	uint32_t i = 0;

	while (i < n && (order[i] == CLU_REHEARSED || clu_after_waits(s, NULL, &s->dom[order[i]], 0, NULL, NULL)))
		i++;
	return i;
}

uint64_t clu_rehearse_after(const struct clu_state *s, uint32_t dom, const uint64_t *up_ns, bool *ret_healthy)
{
	uint64_t after = 0;

	*ret_healthy = false;
	for (uint32_t i = 0; i < CLU_RULES_MAX; i++) {
		const struct clu_rule *r = &s->rule[i];

		if (!r->id || r->kind != CLU_RULE_AFTER || strcmp(r->member[0], s->dom[dom].name) != 0)
			continue;
		for (uint32_t k = 1; k < r->n; k++) {
			const struct clu_dom *d = clu_dom_named(s, r->member[k]);
			uint64_t up = d ? up_ns[d - s->dom] : 0;

			/* one that runs on has waited already */
			if (up && up + r->delay_ns > after)
				after = up + r->delay_ns;
			*ret_healthy |= up && r->healthy;
		}
	}
	return after;
}

uint32_t clu_rehearse_next(struct clu_state *s, const struct clu_load *load, uint32_t dom, char *why)
{
	uint32_t node = clu_place(s, load, &s->dom[dom], false, why);

	if (node) {
		s->dom[dom].host = node;
		s->dom[dom].phase = CLU_PHASE_RUNNING;
	}
	return node;
}
