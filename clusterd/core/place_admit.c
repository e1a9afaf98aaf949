/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * N+1: the loss of each host played through, its domains put first-fit-decreasing onto the others. Only lack of memory counts: a
 * domain that no other host could ever take (rules, engine, bridges) is not what one more start spoils. Fewer than two usable hosts
 * promise nothing, so nothing is refused there. Pure; see place.h.
 */
#include "config.h"
#include "clusterd/core/place_int.h"
#include "clusterd/core/say_int.h"
#include "clusterd/core/slots_int.h"

#include <string.h>

struct loss {
	struct place_world w;
	uint32_t n;
	uint16_t dom[CLU_DOMS_MAX]; /* to be placed, largest first */
};

/* @a goes before @b: larger, then lower slot. */
static bool first(const struct clu_state *s, uint32_t a, uint32_t b)
{
	uint64_t x = s->dom[a].spec.mem_bytes, y = s->dom[b].spec.mem_bytes;

	return x != y ? x > y : a < b;
}

/* Does it find a place? Sets it there. */
static bool refit(struct loss *l, uint32_t dom)
{
	struct place_bounds b;
	struct say none;
	bool full = false;

	say_begin(&none, NULL, 0);
	place_bounds_init(&b, &l->w, dom);
	for (uint32_t i = 0; i < l->w.n_host; i++) {
		enum clu_why why = place_hard(&l->w, &b, dom, i, false, &none);
		if (why == CLU_WHY_OK) {
			place_world_put(&l->w, dom, i);
			return true;
		}
		/* is memory all that speaks against it? */
		full |= why == CLU_WHY_MEMORY && place_fixed(&l->w, dom, i, false, &none) == CLU_WHY_OK &&
		        !clu_bit(b.deny[CLU_WHY_RULE_HOSTS], i) && !clu_bit(b.deny[CLU_WHY_RULE_TOGETHER], i) &&
		        !clu_bit(b.deny[CLU_WHY_RULE_APART], i) && !clu_bit(b.deny[CLU_WHY_CONFLICT], i);
	}
	return !full;
}

/* The domain that finds no room once @slot is gone; CLU_DOMS_MAX: none. */
static uint32_t play(struct loss *l, const struct place_world *now, uint32_t slot)
{
	l->w = *now;
	clu_bit_set(l->w.lost, slot);
	l->w.in_need = true;
	l->n = 0;
	for (uint32_t i = 0; i < now->s->n_dom; i++) {
		const struct clu_dom *d = &now->s->dom[i];
		if (now->at[i] != slot && now->also[i] != slot)
			continue;
		if (now->at[i] != slot) { /* a migration that came from elsewhere goes back */
			l->w.also[i] = PLACE_NOWHERE;
			continue;
		}
		place_world_take(&l->w, i);
		if (d->spec.ha && d->desired == CLU_DESIRED_RUNNING)
			l->dom[l->n++] = (uint16_t)i;
	}
	slots_sort(l->dom, l->n, l->w.s, first);
	for (uint32_t i = 0; i < l->n; i++)
		if (!refit(l, l->dom[i]))
			return l->dom[i];
	return CLU_DOMS_MAX;
}

uint32_t clu_admit(const struct clu_state *s, const struct clu_load *load, const struct clu_dom *d, char *why)
{
	struct place_world now;
	struct loss l;
	struct say y;
	uint32_t usable = 0;

	place_world_init(&now, s, load);
	if (d && now.at[d - s->dom] == PLACE_NOWHERE) {
		uint32_t slot = place_slot(&now, clu_place(s, load, d, false, NULL));
		if (slot == PLACE_NOWHERE)
			return 0; /* it will not run: placement says why */
		place_world_put(&now, (uint32_t)(d - s->dom), slot);
	}
	for (uint32_t i = 0; i < now.n_host; i++)
		usable += place_usable(&now, i) || place_spare_shut(&now, i);
	for (uint32_t i = 0; usable > 1 && i < now.n_host; i++) {
		if (s->host[i].state != CLU_HOST_ONLINE)
			continue;
		uint32_t dom = play(&l, &now, i);
		if (dom == CLU_DOMS_MAX)
			continue;
		if (why) {
			say_begin(&y, why, CLU_TEXT_MAX);
			say(&y, "if ");
			say(&y, s->host[i].name);
			say(&y, " were lost, ");
			say(&y, s->dom[dom].name);
			say(&y, " (");
			say_size(&y, s->dom[dom].spec.mem_bytes);
			say(&y, ") would find no room on the other hosts");
		}
		return s->host[i].node;
	}
	return 0;
}
