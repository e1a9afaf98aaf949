/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See rehearse.h. */
#include "config.h"
#include "clusterd/core/rehearse.h"
#include "clusterd/core/slots_int.h"

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

uint32_t clu_rehearse_next(struct clu_state *s, const struct clu_load *load, uint32_t dom, char *why)
{
	uint32_t node = clu_place(s, load, &s->dom[dom], false, why);

	if (node) {
		s->dom[dom].host = node;
		s->dom[dom].phase = CLU_PHASE_RUNNING;
	}
	return node;
}
