/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hvdom's end of its hypercall socket, as far as a migration needs it (hypervisor/domcall.c): requests are read in order, also those of a
 * daemon that died meanwhile; a session that ends undoes what it began; ownership as docs/wire/lease.md has it.
 */
#include "config.h"
#include "tests/sim/simclu_mig.h"

#include <errno.h>

#define ANSWER_NS (20 * MS / 1000)

static void touch(struct sc *w, uint32_t node)
{
	w->node[node].touched = true;
	if (w->node[node].up)
		sc_node_settle(w, node);
}

void sc_hv_open(struct sc *w, struct sc_end *e)
{
	e->conn = ++w->conns;
	e->unread = e->unanswered = 0;
}

uint64_t sc_hv_turn(struct sc *w, struct sc_copy *c)
{
	uint64_t at = w->now + MS / 100 + sc_rnd(w, sc_chance(w, 2) ? 4 * S : 5 * MS);

	c->hv_ns = at > c->hv_ns ? at : c->hv_ns + 1;
	return c->hv_ns - w->now;
}

void sc_hv_close(struct sc *w, struct sc_end *e)
{
	struct sc_copy *c = sc_copy(w, e->node, e->dom);

	if (e->conn > c->closed) {
		struct sc_mev *m = sc_mev(w, SC_MEV_CLOSE, sc_hv_turn(w, c));
		m->node = e->node;
		m->dom = e->dom;
		m->conn = e->conn;
	}
	e->conn = 0;
}

void sc_hv_closed(struct sc *w, const struct sc_mev *m)
{
	struct sc_copy *c = sc_copy(w, m->node, m->dom);

	if (m->conn <= c->closed)
		return;
	if (c->log_conn == m->conn)
		c->log_conn = 0;
	if (c->conn != m->conn)
		return;
	c->conn = 0;
	if (c->state == HV_SUSPENDED)
		sc_set_copy(w, m->node, m->dom, HV_RUN, c->generation);
	else if (c->state == HV_INCOMING || c->state == HV_READY)
		sc_kill_copy(w, m->node, m->dom, "the session that filled it ended");
	touch(w, m->node);
}

void sc_hv_call(struct sc *w, struct sc_end *e, enum mig_hv op, uint64_t v0)
{
	struct sc_copy *c = sc_copy(w, e->node, e->dom);
	struct sc_mev *m;

	if (!e->conn || e->conn <= c->closed) {
		m = sc_mev_to(w, e, SC_MEV_CORE, 0);
		m->ev.kind = MIG_EV_HV_LOST;
		m->ev.hv.status = e->source ? 0 : -ECONNRESET;
		return;
	}
	if (!e->source && (op == MIG_HV_TAKE || op == MIG_HV_RESUME) &&
	    (!sc_lease_left(w, e->node) || w->node[e->node].leave >= SC_LEAVES_ENDING) &&
	    !sc_planted(w, "take-without-lease")) {
		m = sc_mev_to(w, e, SC_MEV_CORE, 0);
		m->ev.kind = MIG_EV_HV;
		m->ev.hv.op = op;
		m->ev.hv.status = -ETIME;
		return;
	}
	m = sc_mev_to(w, e, SC_MEV_CALL, sc_hv_turn(w, c));
	m->ev.kind = MIG_EV_HV;
	m->ev.hv.op = op;
	m->v0 = v0;
	m->node = e->node;
	m->from = e->peer;
	m->dom = e->dom;
	m->conn = e->conn;
	e->unread++;
	e->unanswered++;
}

/* domain_own() of hypervisor/domain.c. */
static int own(struct sc *w, uint32_t node, uint32_t dom, uint64_t generation, bool must_be_named)
{
	const struct sc_dom *d = &w->dom[dom];

	if (d->shared && d->locked != NOHOST && d->locked != node)
		return -EAGAIN;
	if (must_be_named && d->shared && (d->lease_generation != generation || d->lease_owner != node) &&
	    !sc_planted(w, "generation-ignored"))
		return -EPERM;
	if (!must_be_named && generation <= sc_lease_generation(w, node, dom))
		return -ESTALE;
	sc_take(w, node, dom, generation);
	sc_set_copy(w, node, dom, HV_SUSPENDED, generation);
	return 0;
}

static int relinquish(struct sc *w, const struct sc_mev *m, struct sc_copy *c)
{
	struct sc_dom *d = &w->dom[m->dom];

	if (c->state != HV_SUSPENDED || c->conn != m->conn || m->v0 <= c->generation)
		return -EINVAL;
	if (sc_chance(w, 1))
		return -ENOSPC; /* the lease could not be written */
	if (sc_planted(w, "no-relinquish")) {
		sc_set_copy(w, m->node, m->dom, HV_RUN, c->generation);
		return 0;
	}
	*sc_local(w, m->node, m->dom) = (struct sc_local){ .generation = m->v0, .owner = m->from, .running = true };
	if (d->shared) {
		d->lease_generation = m->v0;
		d->lease_owner = m->from;
		d->lease_taken = false;
	}
	c->conn = 0;
	sc_set_copy(w, m->node, m->dom, HV_GIVEN, m->v0);
	return 0;
}

static void lease(struct sc *w, const struct sc_mev *m, const struct sc_end *e, struct mig_event *ev)
{
	const struct sc_dom *d = &w->dom[m->dom];
	const struct sc_local *l = sc_local(w, m->node, m->dom);
	uint32_t owner = d->shared ? d->lease_owner : l->owner;

	ev->hv.v0 = d->shared ? d->lease_generation : l->generation;
	ev->hv.lease_owner = !ev->hv.v0         ? MIG_LEASE_UNKNOWN
	                     : owner == m->node ? MIG_LEASE_SELF
	                     : owner == m->from ? MIG_LEASE_PEER
	                                        : MIG_LEASE_OTHER;
	if (e && sc_planted(w, "generation-ignored")) {
		ev->hv.lease_owner = MIG_LEASE_SELF;
		ev->hv.v0 = e->core.tgt.generation;
	}
}

/* The source's guest is stopped, or goes on. */
static int stop_and_go(struct sc *w, const struct sc_mev *m, struct sc_copy *c, struct mig_event *ev)
{
	bool stop = ev->hv.op == MIG_HV_SUSPEND;

	if (stop && (c->state != HV_RUN || sc_chance(w, 1)))
		return -EINVAL;
	if (!stop && (c->state != HV_SUSPENDED || c->conn != m->conn))
		return -EPERM;
	c->conn = stop ? m->conn : 0;
	sc_set_copy(w, m->node, m->dom, stop ? HV_SUSPENDED : HV_RUN, c->generation);
	ev->hv.v0 = stop ? 0 : sc_clock(w, &w->node[m->node]);
	return 0;
}

static int set_state(struct sc *w, const struct sc_mev *m, struct sc_copy *c, const struct sc_end *e)
{
	if (c->state != HV_INCOMING || !e || sc_chance(w, 1))
		return -EINVAL;
	c->memory = e->memory;
	sc_set_copy(w, m->node, m->dom, HV_READY, c->generation);
	if (sc_planted(w, "run-without-take"))
		sc_set_copy(w, m->node, m->dom, HV_RUN, c->generation);
	return 0;
}

static int take(struct sc *w, const struct sc_mev *m, struct sc_copy *c, uint64_t generation)
{
	if (c->state != HV_READY || c->conn != m->conn || sc_chance(w, 1))
		return -EINVAL;
	return own(w, m->node, m->dom, generation, true);
}

static int carry_out(struct sc *w, const struct sc_mev *m, struct sc_end *e, struct mig_event *ev)
{
	struct sc_copy *c = sc_copy(w, m->node, m->dom);
	int r;

	switch (ev->hv.op) {
	case MIG_HV_LOGDIRTY_ENABLE:
		ev->hv.v0 = 1 + sc_rnd(w, 3);
		if (c->state != HV_RUN)
			return -EINVAL;
		c->log_conn = m->conn;
		return 0;
	case MIG_HV_CLEAN:
		ev->hv.v0 = sc_rnd(w, 2000);
		return 0;
	case MIG_HV_SUSPEND:
	case MIG_HV_RESUME:
		return stop_and_go(w, m, c, ev);
	case MIG_HV_GET_STATE:
		if (c->state != HV_SUSPENDED || c->conn != m->conn)
			return -EINVAL;
		if (e)
			e->memory = c->memory;
		return 0;
	case MIG_HV_RELINQUISH:
		return relinquish(w, m, c);
	case MIG_HV_RECLAIM:
		if (c->state != HV_GIVEN || m->v0 <= c->generation)
			return -EINVAL;
		r = own(w, m->node, m->dom, m->v0, false);
		c->conn = r ? c->conn : m->conn;
		return r;
	case MIG_HV_SET_STATE:
		return set_state(w, m, c, e);
	case MIG_HV_TAKE:
		return take(w, m, c, m->v0);
	case MIG_HV_LEASE:
		lease(w, m, e, ev);
		return 0;
	case MIG_HV_DESTROY_MOVED:
		if (c->state == HV_GIVEN)
			sc_set_copy(w, m->node, m->dom, HV_NONE, 0);
		return 0;
	default:
		return 0;
	}
}

/* It is carried out, also when nobody waits for the answer any more. */
void sc_hv_read(struct sc *w, const struct sc_mev *m)
{
	struct sc_copy *c = sc_copy(w, m->node, m->dom);
	struct sc_end *e = &w->mig[m->end];
	struct mig_event ev = { .kind = MIG_EV_HV, .hv = { .op = m->ev.hv.op } };

	if (m->conn <= c->closed)
		return;
	e = e->used && e->use == m->use ? e : NULL;
	if (e && e->conn == m->conn)
		e->unread--;
	bool gone = ev.hv.op == MIG_HV_DESTROY_MOVED && c->state == HV_GIVEN;
	if (gone && e)
		e->unanswered = 0, e->conn = 0; /* it answers, then ends: that is no loss */
	ev.hv.status = carry_out(w, m, e, &ev);
	struct sc_mev *a = e ? sc_mev_to(w, e, SC_MEV_ANSWER, ANSWER_NS) : NULL;
	if (a) {
		a->ev = ev;
		a->conn = gone ? 0 : m->conn;
	}
	touch(w, m->node);
}

void sc_hv_answered(struct sc *w, struct sc_mev *m)
{
	struct sc_end *e = &w->mig[m->end];

	if (e->conn != m->conn)
		return; /* it died with the answer */
	if (e->unanswered)
		e->unanswered--;
	sc_end_feed(w, e, &m->ev);
	sc_end_maybe(w, e);
}
