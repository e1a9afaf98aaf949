/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When nobody had quorum for a while, all hosts were cut off, and they come back one after the other. With suspended domains it is worth the
 * time to wait for the last of them: each was away for longer than its lease, so a host that is declared lost at once gives away what it
 * could resume. Only when HOST_LOST is proposed depends on this, never what may run. docs/wire/cluster.md, section 3; ADR 78.
 */
#include "config.h"
#include "clusterd/core/node_int.h"

#define IDLE_NS  3000000000ull   /* a change of view is over sooner: after more, there was no quorum */
#define AWAKE_NS 2000000000ull   /* after a standstill of this clusterd: what it reads so soon may be old */
#define SAID_MAX 600000000000ull /* another's wait; its await_least_ns is of its Corosync */

static bool decides(const struct clu_node *n)
{
	return n->phase == CLU_NODE_ACTIVE;
}

static bool is_there(const struct clu_peer *p)
{
	return p->member && p->synced;
}

void node_await_pass(struct clu_node *n, uint64_t now, bool asleep)
{
	uint64_t passed = now - n->now_ns;

	if (asleep)
		n->awoke_ns = now;
	if (!decides(n))
		return;
	if (n->now_ns >= n->awoke_ns + AWAKE_NS)
		n->decided_ns = n->now_ns;
	for (uint32_t i = 0; i < n->seen.slots; i++) {
		struct clu_peer *p = &n->peer[i];

		if (!p->await_ns)
			continue;
		p->awaited_ns += passed;
		if (is_there(p) || n->s->host[i].state != CLU_HOST_ONLINE)
			p->await_ns = p->awaited_ns = 0;
	}
}

/* Of @slot, whatever the view does. */
static uint64_t left(const struct clu_node *n, uint32_t slot)
{
	const struct clu_peer *p = &n->peer[slot];

	return n->s->host[slot].state == CLU_HOST_ONLINE && p->await_ns > p->awaited_ns ? p->await_ns - p->awaited_ns
	                                                                                : 0;
}

void node_await_hello(const struct clu_node *n, struct clu_msg *m)
{
	uint64_t ns = n->now_ns - n->decided_ns;

	m->idle_ns = !n->decided_ns ? CLU_NEVER : ns ? ns : 1;
	for (uint32_t i = 0; i < n->seen.slots; i++)
		m->await_ns[i] = left(n, i);
}

void node_await_heard(struct clu_node *n, const struct clu_msg *m)
{
	struct clu_peer *from = &n->peer[node_slot(n, m->from)];

	from->decided_ns = m->idle_ns && m->idle_ns < n->now_ns ? n->now_ns - m->idle_ns : 0;
	for (uint32_t i = 0; i < n->seen.slots; i++)
		if (m->await_ns[i] > left(n, i) && m->await_ns[i] <= SAID_MAX)
			n->peer[i].await_ns = n->peer[i].awaited_ns + m->await_ns[i];
}

/* Two majorities have a member in common: if none of these was in a view that decided, there was none. */
void node_await_begin(struct clu_node *n)
{
	uint64_t last = n->decided_ns, idle, ns;

	for (uint32_t i = 0; i < n->seen.slots; i++)
		if (n->peer[i].member && n->peer[i].decided_ns > last)
			last = n->peer[i].decided_ns;
	idle = last ? n->now_ns - last : CLU_NEVER;
	if (idle <= IDLE_NS)
		return;
	ns = idle < CLU_AWAIT_MAX_NS ? idle : CLU_AWAIT_MAX_NS;
	if (ns < n->await_least_ns)
		ns = n->await_least_ns;
	for (uint32_t i = 0; i < n->seen.slots; i++) {
		struct clu_peer *p = &n->peer[i];

		/* one that was waited for before, and not seen since, is waited for no longer in all */
		if (n->s->host[i].state == CLU_HOST_ONLINE && !is_there(p) && ns > p->await_ns)
			p->await_ns = ns;
	}
}

uint64_t clu_node_awaits(const struct clu_node *n, uint32_t slot)
{
	if (!decides(n) || slot >= n->seen.slots || is_there(&n->peer[slot]) || n->s->host[slot].witness ||
	    !clu_park_ns(&n->s->policy, n->s->host[slot].lease_ns)) /* a witness may ask, which has no lease */
		return 0;
	return left(n, slot);
}
