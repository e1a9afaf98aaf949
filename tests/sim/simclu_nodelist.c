/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A node list by itself: who is in it, under which id, and the one that follows it. What changes lists is simclu_list.c. */
#include "config.h"
#include "tests/sim/simclu.h"

#include <stdio.h>
#include <string.h>

bool sc_list_has(const struct sc_list *l, uint32_t id)
{
	return sc_list_place(l, id) != NOHOST;
}

uint32_t sc_list_place(const struct sc_list *l, uint32_t id)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (l->id[i] == id)
			return i;
	return NOHOST;
}

uint32_t sc_list_machine(const struct sc_list *l, uint32_t id)
{
	uint32_t i = sc_list_place(l, id);

	return i == NOHOST ? NOHOST : l->at[i];
}

bool sc_list_knows(const struct sc *w, const struct sc_list *l, uint32_t node)
{
	return sc_list_machine(l, w->node[node].id) == node;
}

bool sc_list_same(const struct sc_list *a, const struct sc_list *b)
{
	return a->version == b->version && a->n == b->n && !memcmp(a->id, b->id, a->n * sizeof(a->id[0])) &&
	       !memcmp(a->at, b->at, a->n * sizeof(a->at[0]));
}

uint64_t sc_list_sum(const struct sc_list *l)
{
	uint64_t h = 0xcbf29ce484222325ull;

	for (uint32_t i = 0; i < l->n; i++)
		h = (h ^ l->id[i]) * 0x100000001b3ull;
	return h;
}

/* As conf_next() of tools/member_conf.c: ids are never used again. */
static uint64_t next_version(const struct sc_list *l)
{
	uint64_t v = l->version;

	for (uint32_t i = 0; i < l->n; i++)
		if (l->id[i] > v)
			v = l->id[i];
	return v + 1;
}

void sc_list_add(struct sc_list *l, uint32_t node)
{
	l->version = next_version(l);
	l->at[l->n] = (uint8_t)node;
	l->id[l->n++] = (uint32_t)l->version;
}

void sc_list_take_out(struct sc_list *l, uint32_t id)
{
	uint32_t k = 0;

	l->version = next_version(l);
	for (uint32_t i = 0; i < l->n; i++) {
		if (l->id[i] == id)
			continue;
		l->at[k] = l->at[i];
		l->id[k++] = l->id[i];
	}
	l->n = k;
}

uint32_t sc_node_by(const struct sc *w, uint32_t id)
{
	uint32_t found = NOHOST;

	if (id && id <= w->opt.nodes && w->node[id - 1].id == id)
		return id - 1;
	/* one that was invited in vain may have the id of one that came later */
	for (uint32_t i = 0; id && i < w->opt.nodes; i++)
		if (w->node[i].id == id && (found == NOHOST || sc_node_acts(&w->node[i])))
			found = i;
	return found;
}

char sc_letter_of(const struct sc *w, uint32_t id)
{
	uint32_t i = sc_node_by(w, id);

	return id ? i == NOHOST ? '?' : sc_letter(i) : ' ';
}

const char *sc_list_text(const struct sc_list *l)
{
	static char text[SC_NODES * 8];
	size_t at = 0;

	text[0] = 0;
	for (uint32_t i = 0; i < l->n && at + 16 < sizeof(text); i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%c=%u", i ? " " : "", sc_letter(l->at[i]),
		                       l->id[i]);
	return text;
}
