/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Beats, the lease of this host, and waiting out the leases of lost ones. docs/wire/cluster.md, sections 2 and 3. */
#include "config.h"
#include "clusterd/core/node_int.h"

#include <string.h>

#define WAITED_AGAIN_NS 1000000000ull

uint64_t node_lease_every(const struct clu_node *n)
{
	return n->lease_ns / 16 > CLU_BEAT_NS ? n->lease_ns / 16 : CLU_BEAT_NS;
}

static void keep_beat(struct node_step *st)
{
	struct clu_node *n = st->n;
	uint64_t at = n->seq % CLU_BEATS_KEPT;

	n->beat[at].seq = n->seq;
	n->beat[at].sent_ns = st->now;
	n->beat[at].tick = n->tick;
	n->beat[at].lease_ns = n->lease_ns;
}

void node_lease_beat(struct node_step *st)
{
	struct clu_node *n = st->n;
	struct clu_msg *m = node_send(st, CLU_MSG_BEAT);

	m->seq = ++n->seq;
	keep_beat(st);
	n->beat_ns = st->now + node_lease_every(n);
	m->lease_ns = n->lease_ns;
	m->clock_ns = st->now;
	m->epoch = n->stored_epoch;
	m->index = n->stored_index;
	m->sum = n->stored_index == n->s->index && n->stored_epoch == n->s->epoch ? n->s->sum : 0;
	for (uint32_t i = 0; i < n->seen.slots; i++) {
		m->ack_boot[i] = n->peer[i].seen_boot;
		m->ack_seq[i] = n->peer[i].seen_seq;
	}
}

/* What a host's lease may last on its own clock, seen from here: 1 % for clocks that drift, the margin for the guard's work. */
uint64_t node_lease_wait_for(const struct clu_node *n, uint64_t lease_ns)
{
	return lease_ns + lease_ns / 100 + n->s->policy.margin_ns;
}

/*
 * Is that host ONLINE in the life that the state knows, by a HOST_UP that cannot be undone any more? What was committed once is so in every
 * later state of mine, so that this holds while a view is sorted out, too. docs/wire/cluster.md, section 3, says why an old state will do.
 */
static bool surely_up(struct clu_node *n, struct clu_peer *p, const struct clu_host *h, uint64_t boot)
{
	if (h->state != CLU_HOST_ONLINE || h->boot != boot)
		return false;
	if (n->phase == CLU_NODE_ACTIVE && !n->behind && h->up_id <= n->commit)
		p->up_sure = h->up_id;
	return p->up_sure && p->up_sure == h->up_id;
}

void node_lease_doubt(struct clu_node *n)
{
	for (uint32_t i = 0; i < CLU_HOSTS_MAX; i++)
		n->peer[i].up_sure = 0;
}

/* A deadline of a longer lease may be as late as that. */
static void runs_until(struct clu_node *n, uint64_t at)
{
	if (at > n->lease_over_ns)
		n->lease_over_ns = at;
}

uint64_t clu_node_lease(struct clu_node *n, uint64_t want_ns, uint64_t now)
{
	const struct clu_host *h = n->seen.mine >= 0 ? &n->s->host[n->seen.mine] : NULL;

	if (!n->lease_ns || !want_ns || !h)
		return n->lease_said_ns;
	/* the guard may hold a deadline of the life before this one, whose lease was longer, unless that was waited out */
	if (h->boot != n->boot && h->state != CLU_HOST_SAFE && h->lease_ns > n->lease_ns) {
		runs_until(n, now + h->lease_ns);
		if (h->lease_ns > n->lease_said_ns)
			n->lease_said_ns = h->lease_ns;
	}
	if (want_ns < n->lease_ns) {
		runs_until(n, now + n->lease_ns);
		n->lease_ns = want_ns;
	}
	if (want_ns > n->lease_said_ns)
		n->lease_said_ns = want_ns;
	if (want_ns > n->lease_ns && h->lease_ns >= want_ns && surely_up(n, &n->peer[n->seen.mine], h, n->boot))
		n->lease_ns = want_ns;
	if (want_ns == n->lease_ns && now > n->lease_over_ns)
		n->lease_said_ns = want_ns;
	return n->lease_said_ns;
}

static void acknowledge(struct node_step *st, uint32_t slot, uint64_t boot, uint64_t seq, uint64_t lease_ns)
{
	struct clu_node *n = st->n;
	struct clu_peer *p = &n->peer[slot];
	const struct clu_host *h = &n->s->host[slot];

	if (!surely_up(n, p, h, boot))
		return;
	uint64_t until = st->now + node_lease_wait_for(n, lease_ns > h->lease_ns ? lease_ns : h->lease_ns);
	if (p->seen_boot != boot || seq > p->seen_seq) {
		p->seen_boot = boot;
		p->seen_seq = seq;
	}
	if (until > p->wait_until_ns)
		p->wait_until_ns = until;
}

/* The sums of equal states are equal, or one of them is broken: mine gives way to the coordinator's. */
static void compare(struct node_step *st, const struct clu_msg *m)
{
	struct clu_node *n = st->n;

	if (n->phase != CLU_NODE_ACTIVE || n->behind || m->from != n->coordinator || m->from == n->node || !m->sum ||
	    m->epoch != n->s->epoch || m->index != n->s->index || m->sum == n->s->sum)
		return;
	node_warn(st, "this node's state differs from the coordinator's at the same command; its state is taken over");
	node_lease_doubt(n);
	node_view_fall_behind(st);
	node_view_ask(st);
}

void node_lease_renew(struct node_step *st)
{
	struct clu_node *n = st->n;
	uint64_t v[CLU_HOSTS_MAX], best;
	uint32_t k = 0;

	/* votequorum is asked where a view decides; while one is sorted out it says no by itself */
	if (!n->lease_ns || (!n->quorate && n->phase == CLU_NODE_ACTIVE))
		return;
	for (uint32_t i = 0; i < n->s->n_nodes; i++) /* the word of one that left the list is no vote any more */
		if (n->peer[i].ack_seq > n->renewed_seq)
			v[k++] = n->peer[i].ack_seq;
	best = node_reached(v, k, clu_majority(n->s), n->renewed_seq);
	if (best == n->renewed_seq)
		return;
	n->renewed_seq = best;
	if (n->beat[best % CLU_BEATS_KEPT].seq != best)
		return; /* so long ago that it is of no use */
	uint64_t lease = n->beat[best % CLU_BEATS_KEPT].lease_ns;
	if (lease > n->lease_ns)
		lease = n->lease_ns;
	uint64_t until = n->beat[best % CLU_BEATS_KEPT].sent_ns + lease;
	if (until <= n->lease_until_ns)
		return;
	n->lease_until_ns = until;
	n->expires_ns = 0;
	struct clu_action *a = node_act(st, CLU_ACT_LEASE);
	a->at_ns = until;
	a->lease_ns = lease;
	a->from_tick = n->beat[best % CLU_BEATS_KEPT].tick;
}

/* The sender's word that it acknowledged a beat of mine. */
static void take_ack(struct node_step *st, struct clu_peer *p, uint64_t boot, uint64_t seq)
{
	struct clu_node *n = st->n;

	if (boot != n->boot || seq <= p->ack_seq || seq > n->seq)
		return;
	p->ack_seq = seq;
	if (seq > n->renewed_seq)
		node_lease_renew(st);
}

void node_lease_heard(struct node_step *st, const struct clu_msg *m)
{
	struct clu_node *n = st->n;
	int slot = node_slot(n, m->from), mine = n->seen.mine;
	struct clu_peer *p = &n->peer[slot];

	node_clock_heard(st, &p->clock[0], m->boot, m->clock_ns);
	if (!p->member || !n->begun)
		return;
	if (m->epoch != p->stored_epoch || m->index != p->stored_index) {
		p->stored_epoch = m->epoch;
		p->stored_index = m->index;
		if (m->index > n->commit) /* less than that commits nothing */
			node_commit(st);
	}
	if (n->phase == CLU_NODE_ACTIVE && !n->behind)
		acknowledge(st, (uint32_t)slot, m->boot, m->seq, m->lease_ns);
	take_ack(st, p, m->ack_boot[mine], m->ack_seq[mine]);
	compare(st, m);
}

/* Pulses: beats that do not wait for views. ------------------------------------------------------------------------------ */

static void pulse(struct node_step *st)
{
	struct clu_node *n = st->n;
	uint64_t every = n->lease_ns / 32 > CLU_PULSE_NS ? n->lease_ns / 32 : CLU_PULSE_NS;

	n->pulse_ns = st->now + every;
	if (n->seen.mine < 0)
		return;
	n->pulse_seq = ++n->seq;
	keep_beat(st);
	node_act(st, CLU_ACT_PULSE);
	acknowledge(st, (uint32_t)n->seen.mine, n->boot, n->seq, n->lease_ns);
	take_ack(st, &n->peer[n->seen.mine], n->peer[n->seen.mine].seen_boot, n->peer[n->seen.mine].seen_seq);
}

void clu_node_pulse(const struct clu_node *n, uint32_t slot, struct clu_pulse *ret)
{
	*ret = (struct clu_pulse){ .from = n->node,
		                   .boot = n->boot,
		                   .seq = n->pulse_seq,
		                   .lease_ns = n->lease_ns,
		                   .ack_boot = n->peer[slot].seen_boot,
		                   .ack_seq = n->peer[slot].seen_seq };
}

void node_pulse_heard(struct node_step *st, const struct clu_pulse *m)
{
	struct clu_node *n = st->n;
	int slot = node_slot(n, m->from);

	if (slot < 0 || n->seen.mine < 0 || m->from == n->node)
		return;
	n->peer[slot].heard_ns = st->now;
	node_clock_heard(st, &n->peer[slot].clock[1], m->boot, m->clock_ns);
	acknowledge(st, (uint32_t)slot, m->boot, m->seq, m->lease_ns);
	take_ack(st, &n->peer[slot], m->ack_boot, m->ack_seq);
}

/* When the wait for @slot is over; a daemon that just started remembers no promise, so it counts from its start. */
static uint64_t wait_over(const struct clu_node *n, uint32_t slot)
{
	uint64_t at = n->start_ns + node_lease_wait_for(n, n->s->host[slot].lease_ns),
		 permit = node_permit_wait(n, slot);

	if (n->peer[slot].wait_until_ns > at)
		at = n->peer[slot].wait_until_ns;
	return permit > at ? permit : at;
}

void node_lease_look(struct clu_node *n)
{
	uint32_t i;

	if (n->seen.sum == n->s->sum)
		return;
	memset(&n->seen, 0, sizeof(n->seen));
	n->seen.sum = n->s->sum;
	n->seen.mine = node_slot(n, n->node);
	for (i = 0; i < CLU_HOSTS_MAX && n->s->host[i].node; i++) {
		const struct clu_host *h = &n->s->host[i];
		if (h->state == CLU_HOST_LOST && n->seen.mine >= 0 && !clu_bit(h->waited, (uint32_t)n->seen.mine))
			clu_bit_set(n->seen.lost, i);
	}
	n->seen.slots = i;
	node_permit_look(n);
}

void node_lease_tick(struct node_step *st)
{
	struct clu_node *n = st->n;

	node_clock_tick(st);
	if (n->pulses && st->now >= n->pulse_ns)
		pulse(st);
	node_permit_tick(st);
	if (!n->begun || n->behind)
		return;
	if (st->now >= n->beat_ns)
		node_lease_beat(st);
	if (n->phase != CLU_NODE_ACTIVE)
		return;
	node_view_coordinator(n);
	for (uint32_t i = 0; i < n->seen.slots && st->out->n + 2 < CLU_ACTIONS_MAX; i++) {
		if (!clu_bit(n->seen.lost, i) || st->now < wait_over(n, i) ||
		    (n->peer[i].waited_ns && st->now < n->peer[i].waited_ns + WAITED_AGAIN_NS))
			continue;
		n->peer[i].waited_ns = st->now;
		struct clu_action *a = node_act(st, CLU_ACT_SUBMIT);
		a->cmd.kind = CLU_CMD_WAITED;
		a->cmd.origin = n->node;
		a->cmd.host = n->s->host[i].node;
		a->cmd.op_id = n->s->host[i].lost_id;
	}
}

uint64_t node_lease_deadline(const struct clu_node *n)
{
	uint64_t at = n->pulses ? n->pulse_ns : CLU_NEVER;
	uint64_t permit = node_permit_deadline(n);
	if (n->expires_ns && n->expires_ns < at)
		at = n->expires_ns;
	if (permit < at)
		at = permit;

	if (!n->begun || n->behind)
		return at;
	if (n->beat_ns < at)
		at = n->beat_ns;
	if (n->phase != CLU_NODE_ACTIVE)
		return at;
	for (uint32_t i = 0; i < n->seen.slots; i++) {
		if (!clu_bit(n->seen.lost, i))
			continue;
		uint64_t t = wait_over(n, i);
		if (n->peer[i].waited_ns && n->peer[i].waited_ns + WAITED_AGAIN_NS > t)
			t = n->peer[i].waited_ns + WAITED_AGAIN_NS;
		if (t < at)
			at = t;
	}
	return at;
}
