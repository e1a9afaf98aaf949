/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Heap sort of the slots of domains: no recursion, no allocation. */
#ifndef HOSPES_CLUSTERD_CORE_SLOTS_INT_H
#define HOSPES_CLUSTERD_CORE_SLOTS_INT_H

#include "clusterd/core/settings.h"

_Static_assert(CLU_DOMS_MAX <= UINT16_MAX, "slots of domains fit");

/* True if the domain in slot @a goes before the one in @b. A total order. */
typedef bool slots_first(const struct clu_state *s, uint32_t a, uint32_t b);

/* Start order: by descending priority, then by ascending order and slot. */
static inline bool slots_start_first(const struct clu_state *s, uint32_t a, uint32_t b)
{
	const struct clu_spec *x = &s->dom[a].spec, *y = &s->dom[b].spec;

	int32_t p = clu_priority(&s->dom[a]), q = clu_priority(&s->dom[b]);

	if (p != q)
		return p > q;
	return x->order != y->order ? x->order < y->order : a < b;
}

static inline void slots_sift(uint16_t *slot, uint32_t root, uint32_t n, const struct clu_state *s, slots_first *first)
{
	for (uint32_t kid; (kid = 2 * root + 1) < n; root = kid) {
		if (kid + 1 < n && first(s, slot[kid], slot[kid + 1]))
			kid++;
		if (!first(s, slot[root], slot[kid]))
			return;
		uint16_t t = slot[root];
		slot[root] = slot[kid];
		slot[kid] = t;
	}
}

static inline void slots_sort(uint16_t *slot, uint32_t n, const struct clu_state *s, slots_first *first)
{
	for (uint32_t i = n / 2; i-- > 0;)
		slots_sift(slot, i, n, s, first);
	for (uint32_t i = n; i > 1; i--) {
		uint16_t t = slot[0];
		slot[0] = slot[i - 1];
		slot[i - 1] = t;
		slots_sift(slot, 0, i - 1, s, first);
	}
}

#endif
