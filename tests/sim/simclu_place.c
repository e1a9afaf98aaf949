/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Placement small enough for a simulation, where the real one is not linked: the host that is free for it and has the fewest domains. */
#include "config.h"
#include "clusterd/core/place.h"

__attribute__((weak)) uint32_t clu_place(const struct clu_state *s, const struct clu_load *load, const struct clu_dom *d,
                                         bool elsewhere, char *why)
{
	uint32_t best = 0, best_n = UINT32_MAX, n[CLU_HOSTS_MAX] = { 0 };

	(void)load;
	(void)why;
	for (uint32_t i = 0; i < s->n_dom; i++)
		if (s->dom[i].uuid[0] && s->dom[i].host)
			n[s->dom[i].host - 1]++;
	for (uint32_t i = 0; i < CLU_HOSTS_MAX && s->host[i].node; i++) {
		const struct clu_host *h = &s->host[i];
		uint32_t weight = n[i] + (d->avoid == h->node ? 100 : 0);
		if (h->state != CLU_HOST_ONLINE || h->maintenance || clu_bit(d->unreachable, i) || (elsewhere && d->host == h->node) ||
		    weight >= best_n)
			continue;
		best = h->node;
		best_n = weight;
	}
	return best;
}
