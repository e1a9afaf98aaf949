/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Beats, the lease of this host, and waiting out the leases of lost ones. docs/wire/cluster.md, sections 2 and 3. */
#include "config.h"
#include "clusterd/core/node_int.h"

#include <string.h>

#define WAITED_AGAIN_NS 1000000000ull

static uint64_t beat_every(const struct clu_node *n)
{
	return n->lease_ns / 16 > CLU_BEAT_NS ? n->lease_ns / 16 : CLU_BEAT_NS;
}

void node_lease_beat(struct node_step *st)
{
	struct clu_node *n = st->n;
	struct clu_msg *m = node_send(st, CLU_MSG_BEAT);

	m->seq = ++n->seq;
	n->beat[n->seq % CLU_BEATS_KEPT].seq = n->seq;
	n->beat[n->seq % CLU_BEATS_KEPT].sent_ns = st->now;
	n->beat_ns = st->now + beat_every(n);
	m->lease_ns = n->lease_ns;
	m->epoch = n->stored_epoch;
	m->index = n->stored_index;
	m->sum = n->stored_index == n->s->index && n->stored_epoch == n->s->epoch ? n->s->sum : 0;
	for (uint32_t i = 0; i < n->seen.slots; i++) {
		m->ack_boot[i] = n->peer[i].seen_boot;
		m->ack_seq[i] = n->peer[i].seen_seq;
	}
}

/* What a host's lease may last on its own clock, seen from here: 1 % for clocks that drift, the margin for the guard's work. */
static uint64_t wait_for(const struct clu_node *n, uint64_t lease_ns)
{
	return lease_ns + lease_ns / 100 + n->s->policy.margin_ns;
}

/* Acknowledge: only a host that is ONLINE in the life that the state knows; a HOST_UP that could still be undone does not count. */
static void acknowledge(struct node_step *st, struct clu_peer *p, const struct clu_host *h, const struct clu_msg *m)
{
	struct clu_node *n = st->n;

	if (n->phase != CLU_NODE_ACTIVE || n->behind || h->state != CLU_HOST_ONLINE || h->boot != m->boot ||
	    h->up_id > n->commit)
		return;
	uint64_t until = st->now + wait_for(n, m->lease_ns > h->lease_ns ? m->lease_ns : h->lease_ns);
	if (p->seen_boot != m->boot || m->seq > p->seen_seq) {
		p->seen_boot = m->boot;
		p->seen_seq = m->seq;
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
	node_loud(st, "this node's state differs from the coordinator's at the same command; its state is taken over");
	node_view_fall_behind(st);
	node_view_ask(st);
}

void node_lease_renew(struct node_step *st)
{
	struct clu_node *n = st->n;
	uint64_t v[CLU_HOSTS_MAX], best;
	uint32_t k = 0;

	if (!n->lease_ns || !n->quorate)
		return;
	for (uint32_t i = 0; i < n->seen.slots; i++)
		if (n->peer[i].ack_seq > n->renewed_seq)
			v[k++] = n->peer[i].ack_seq;
	best = node_reached(v, k, clu_majority(n->s), n->renewed_seq);
	if (best == n->renewed_seq)
		return;
	n->renewed_seq = best;
	if (n->beat[best % CLU_BEATS_KEPT].seq != best)
		return; /* so long ago that it is of no use */
	uint64_t until = n->beat[best % CLU_BEATS_KEPT].sent_ns + n->lease_ns;
	if (until <= n->lease_until_ns)
		return;
	n->lease_until_ns = until;
	node_act(st, CLU_ACT_LEASE)->at_ns = until;
}

void node_lease_heard(struct node_step *st, const struct clu_msg *m)
{
	struct clu_node *n = st->n;
	int slot = node_slot(n, m->from), mine = n->seen.mine;
	struct clu_peer *p = &n->peer[slot];

	if (!p->member || !n->begun)
		return;
	if (m->epoch != p->stored_epoch || m->index != p->stored_index) {
		p->stored_epoch = m->epoch;
		p->stored_index = m->index;
		if (m->index > n->commit) /* less than that commits nothing */
			node_commit(st);
	}
	acknowledge(st, p, &n->s->host[slot], m);
	if (m->ack_boot[mine] == n->boot && m->ack_seq[mine] > p->ack_seq && m->ack_seq[mine] <= n->seq) {
		p->ack_seq = m->ack_seq[mine];
		if (p->ack_seq > n->renewed_seq)
			node_lease_renew(st);
	}
	compare(st, m);
}

/* When the wait for @slot is over; a daemon that just started remembers no promise, so it counts from its start. */
static uint64_t wait_over(const struct clu_node *n, uint32_t slot)
{
	uint64_t from_start = n->start_ns + wait_for(n, n->s->host[slot].lease_ns);

	return n->peer[slot].wait_until_ns > from_start ? n->peer[slot].wait_until_ns : from_start;
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
			n->seen.lost[i / 64] |= 1ull << (i % 64);
	}
	n->seen.slots = i;
}

void node_lease_tick(struct node_step *st)
{
	struct clu_node *n = st->n;

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
	uint64_t at = CLU_NEVER;

	if (!n->begun || n->behind)
		return at;
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
