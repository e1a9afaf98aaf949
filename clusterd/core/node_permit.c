/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * While the cluster is disarmed, a host's domains run on though nobody hears it: its lease is prolonged by itself, up to the end of a
 * *permit*. A permit is a command of the host (PERMIT on) with a number and a time T. It counts from when the host first sent it, and is made
 * use of only when it is committed. Each node that applies it promises to say no WAITED for that host before T (and 1 %, and the margin) has
 * passed from then on; one that loads a state, or starts with one, in which the host has a permit that it did not know promises the same
 * from then on. So a majority has promised before the permit is made use of, and no promise ends before it.
 *
 * When the disarm is over, the host makes no more use of the permit and then says so (PERMIT off): from when a node applies that it waits for
 * the host's ordinary lease at least, and from when that is committed for no more. A host that cannot say so is waited for to the end of its
 * permit. docs/wire/cluster.md, section 3; docs/fencing.md.
 */
#include "config.h"
#include "clusterd/core/node_int.h"

#define ASK_NS 1000000000ull

static void not_before(uint64_t *at, uint64_t ns)
{
	if (ns > *at)
		*at = ns;
}

static struct clu_host *me(const struct clu_node *n)
{
	return n->seen.mine >= 0 ? (struct clu_host *)&n->s->host[n->seen.mine] : NULL;
}

static void look_at_peer(struct clu_node *n, struct clu_peer *p, const struct clu_host *h, uint64_t now)
{
	if (h->permit_id != p->permit_id) {
		p->permit_id = h->permit_id;
		if (h->permit_id)
			not_before(&p->wait_permit_ns, now + node_lease_wait_for(n, h->permit_ns));
		else /* what it prolonged last */
			not_before(&p->wait_until_ns, now + node_lease_wait_for(n, h->lease_ns));
	}
	if (h->permit_id)
		p->free_at = 0;
	else if (!p->free_at)
		p->free_at = n->s->index ? n->s->index : 1;
}

void node_permit_look(struct clu_node *n)
{
	const struct clu_disarm *d = &n->s->disarm;
	uint64_t now = n->now_ns ? n->now_ns : n->start_ns;

	for (uint32_t i = 0; i < n->seen.slots; i++)
		look_at_peer(n, &n->peer[i], &n->s->host[i], now);
	if (d->id != n->permit.disarm) {
		uint64_t end = d->at_ns + d->for_ns, left = end > n->s->time_ns ? end - n->s->time_ns : 0;

		n->permit.disarm = d->id;
		n->permit.disarm_end_ns = d->id ? now + (left < d->for_ns ? left : d->for_ns) : 0;
	}
	if (!me(n) || me(n)->permit_id != n->permit.key)
		n->permit.seen_at = 0;
	else if (n->permit.key && !n->permit.seen_at)
		n->permit.seen_at = n->s->index;
}

void node_permit_loaded(struct clu_node *n)
{
	for (uint32_t i = 0; i < CLU_HOSTS_MAX; i++)
		n->peer[i].free_at = 0;
	n->permit.seen_at = 0;
	n->seen.sum = ~n->s->sum;
}

uint64_t node_permit_wait(const struct clu_node *n, uint32_t slot)
{
	const struct clu_peer *p = &n->peer[slot];

	if (p->permit_id)
		return p->wait_permit_ns;
	return p->free_at && p->free_at <= n->commit ? 0 : CLU_NEVER;
}

/* May this host say something of permits now? */
static bool may_say(const struct clu_node *n)
{
	const struct clu_host *h = me(n);

	return h && n->lease_ns && h->state == CLU_HOST_ONLINE && h->boot == n->boot && clu_node_committed(n, h->up_id);
}

static void say(struct node_step *st, bool on, uint64_t key)
{
	struct clu_node *n = st->n;

	n->permit.said_ns = st->now;
	struct clu_action *a = node_act(st, CLU_ACT_SUBMIT);
	a->cmd.kind = CLU_CMD_PERMIT;
	a->cmd.origin = n->node;
	a->cmd.boot = n->boot;
	a->cmd.on = on;
	a->cmd.rev = key;
	a->cmd.op_id = on ? n->permit.of : 0;
	a->cmd.lease_ns = on ? n->permit.ns : 0;
}

/* From now on those of the permit that was asked for. */
static void bounds(struct node_step *st)
{
	struct clu_node *n = st->n;
	struct clu_action *a = node_act(st, CLU_ACT_PERMIT);

	n->permit.until_ns = a->at_ns = n->permit.sent_ns + n->permit.ns;
	a->from_tick = n->permit.tick;
	a->lease_ns = n->permit.ns;
}

/* It counts from now on, whenever it is heard. Said again it is the same one. */
static void ask(struct node_step *st)
{
	struct clu_node *n = st->n;

	if (!n->permit.key || n->permit.of != n->permit.disarm) {
		n->permit.key = n->boot * 0x9e3779b97f4a7c15ull + ++n->permit.count;
		n->permit.key += !n->permit.key;
		n->permit.of = n->permit.disarm;
		n->permit.sent_ns = st->now;
		n->permit.tick = n->tick;
		n->permit.ns = n->permit.disarm_end_ns - st->now + n->lease_ns;
		n->permit.seen_at = 0;
		/* who starts with a state that has this one knows of no other */
		if (n->permit.until_ns > n->permit.sent_ns + n->permit.ns)
			bounds(st);
	}
	say(st, true, n->permit.key);
}

static void drop(struct node_step *st)
{
	struct clu_node *n = st->n;

	n->permit.until_ns = n->permit.held_of = 0;
	node_act(st, CLU_ACT_PERMIT)->at_ns = 0;
}

static void take(struct node_step *st)
{
	st->n->permit.held_of = st->n->permit.of;
	bounds(st);
}

/* Only where others do not: their word is worth more, for it goes on after the permit. */
static void prolong(struct node_step *st)
{
	struct clu_node *n = st->n;
	uint64_t until = st->now + n->lease_ns < n->permit.until_ns ? st->now + n->lease_ns : n->permit.until_ns;

	if (until <= st->now || until <= n->lease_until_ns ||
	    n->lease_until_ns > st->now + n->lease_ns - n->lease_ns / 4)
		return;
	n->lease_until_ns = until;
	n->expires_ns = 0;
	struct clu_action *a = node_act(st, CLU_ACT_LEASE);
	a->at_ns = until;
	a->lease_ns = until - st->now;
	a->from_tick = n->tick;
	a->permitted = true;
}

void node_permit_tick(struct node_step *st)
{
	struct clu_node *n = st->n;

	if (n->permit.until_ns && !n->permit.disarm)
		drop(st);
	if (n->permit.seen_at && n->permit.held_of != n->permit.of && n->permit.of == n->permit.disarm &&
	    clu_node_committed(n, n->permit.seen_at))
		take(st);
	if (n->permit.until_ns)
		prolong(st);
	if (!may_say(n) || (n->permit.said_ns && st->now < n->permit.said_ns + ASK_NS))
		return;
	if (n->permit.disarm && n->permit.held_of != n->permit.disarm && clu_node_committed(n, n->permit.disarm) &&
	    n->permit.disarm_end_ns > st->now + n->lease_ns)
		ask(st);
	else if (!n->permit.disarm && me(n)->permit_id)
		say(st, false, me(n)->permit_id);
}

uint64_t node_permit_deadline(const struct clu_node *n)
{
	uint64_t at = CLU_NEVER;

	if (n->permit.until_ns && n->permit.until_ns > n->now_ns) /* the next look but one is soon enough */
		at = n->lease_until_ns > n->lease_ns / 2 ? n->lease_until_ns - n->lease_ns / 2 : 0;
	return at > n->now_ns ? at : n->now_ns + node_lease_every(n);
}

uint64_t clu_node_disarm_left(const struct clu_node *n)
{
	return n->permit.disarm_end_ns > n->now_ns ? n->permit.disarm_end_ns - n->now_ns : 0;
}
