/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See vtls.h. */
#include "config.h"
#include "virtd/vtls.h"

#include <string.h>

static bool shakes(const struct vtls_slot *s)
{
	return s->pid && s->until_ns != UINT64_MAX;
}

static bool same_network(const uint8_t a[16], const uint8_t b[16])
{
	static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

	return !memcmp(a, b, memcmp(a, mapped, sizeof(mapped)) ? 8 : 16);
}

static unsigned count_like(const struct vtls_slots *s, const uint8_t addr[16])
{
	unsigned n = 0;

	for (size_t i = 0; i < s->n; i++)
		n += shakes(&s->slot[i]) && same_network(addr, s->slot[i].addr);
	return n;
}

static struct vtls_slot *victim(struct vtls_slots *s)
{
	struct vtls_slot *worst = NULL;
	unsigned most = 0;

	for (size_t i = 0; i < s->n; i++) {
		struct vtls_slot *is = &s->slot[i];
		unsigned n = shakes(is) ? count_like(s, is->addr) : 0;

		if (n > most || (n && n == most && is->until_ns < worst->until_ns)) {
			most = n;
			worst = is;
		}
	}
	return worst;
}

struct vtls_slot *vtls_slot_for(struct vtls_slots *s, struct vtls_slot **ret_victim)
{
	unsigned handshakes = 0, served = 0;
	struct vtls_slot *empty = NULL;

	*ret_victim = NULL;
	for (size_t i = 0; i < s->n; i++) {
		struct vtls_slot *is = &s->slot[i];

		handshakes += shakes(is);
		served += is->pid && !shakes(is);
		if (!is->pid && !empty)
			empty = is;
	}
	if (served >= s->clients_max)
		return NULL;
	if (handshakes >= s->handshakes_max)
		*ret_victim = victim(s);
	return empty ?: *ret_victim;
}

uint64_t vtls_slots_deadline(const struct vtls_slots *s)
{
	uint64_t at = UINT64_MAX;

	for (size_t i = 0; i < s->n; i++)
		if (s->slot[i].pid && s->slot[i].until_ns < at)
			at = s->slot[i].until_ns;
	return at;
}
