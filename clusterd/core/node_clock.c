/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Did this host's clock stand still, with the whole machine? Where it has none that runs on, others' clocks tell, in their beats and pulses. A message
 * takes time, so my clock less the sender's, when it comes, is what they differ by *and more*; the least of that over a while is near the
 * truth. If it drops far below, my clock lost what it dropped by. Then beats were sent longer ago than I think, and the lease ends sooner.
 * Others can only make time run faster here: that costs a lease, never a second copy. Pure; docs/fencing.md.
 */
#include "config.h"
#include "clusterd/core/node_int.h"

#define SPELL_NS 30000000000ull /* how long a least value counts: once to twice as long */
#define SLACK_NS                                                                                                       \
	(300000000ll + (int64_t)SPELL_NS * 2 / 100) /* what it may drop by: that, and clocks that drift by 1 % */

static void lease_ends_sooner(struct node_step *st, uint64_t lost_ns)
{
	struct clu_node *n = st->n;

	for (uint32_t i = 0; i < CLU_HOSTS_MAX; i++) { /* the others see the same: it counts once */
		for (unsigned k = 0; k < 4; k++)
			n->peer[i].clock[k / 2].least[k % 2] -= (int64_t)lost_ns;
	}
	for (uint32_t i = 0; i < CLU_BEATS_KEPT; i++)
		n->beat[i].sent_ns = n->beat[i].sent_ns > lost_ns ? n->beat[i].sent_ns - lost_ns : 0;
	if (n->permit.until_ns)
		n->permit.until_ns = n->permit.until_ns > lost_ns ? n->permit.until_ns - lost_ns : 1;
	n->permit.sent_ns = n->permit.sent_ns > lost_ns ? n->permit.sent_ns - lost_ns : 0;
	n->permit.disarm_end_ns = n->permit.disarm_end_ns > lost_ns ? n->permit.disarm_end_ns - lost_ns : 0;
	node_act(st, CLU_ACT_CLOCK_STOPPED)->at_ns = lost_ns;
	if (n->lease_until_ns <= st->now)
		return;
	uint64_t at = n->expires_ns ? n->expires_ns : n->lease_until_ns;
	n->expires_ns = at > lost_ns + 1 ? at - lost_ns : 1;
	node_clock_tick(st);
}

void node_clock_heard(struct node_step *st, struct clu_clock *c, uint64_t boot, uint64_t clock_ns)
{
	int64_t differ = (int64_t)(st->now - clock_ns), least;

	if (!st->n->clock_stops || !clock_ns || boot == st->n->boot)
		return;
	if (c->boot != boot || st->now > c->since_ns + 2 * SPELL_NS) {
		c->boot = boot;
		c->since_ns = st->now;
		c->least[0] = c->least[1] = differ;
		return;
	}
	least = c->least[0] < c->least[1] ? c->least[0] : c->least[1];
	if (differ < least - SLACK_NS)
		lease_ends_sooner(st, (uint64_t)(least - differ));
	if (st->now > c->since_ns + SPELL_NS) {
		c->since_ns = st->now;
		c->least[1] = c->least[0];
		c->least[0] = differ;
	} else if (differ < c->least[0]) {
		c->least[0] = differ;
	}
}

void node_clock_tick(struct node_step *st)
{
	if (!st->n->expires_ns || st->now < st->n->expires_ns)
		return;
	st->n->expires_ns = 0;
	node_act(st, CLU_ACT_EXPIRED);
}
