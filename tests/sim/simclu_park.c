/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Policy no_quorum=suspend: the guard's questions before the deadline (clusterd/guard/parking.c), hvdom's answers (hypervisor/park.c), and the
 * word of clusterd that lets a copy go on (clusterd/io/local_park.c).
 */
#include "config.h"
#include "tests/sim/simclu_mig.h"

#define LOOK_NS   (100 * MS)
#define ANSWER_NS (MS / 5)
#define AGAIN_NS  (1 * S)
#define STOP_NS   (3 * S)

/* One that hangs for long reads all of it in the end. */
static uint64_t turn(struct sc *w, struct sc_copy *c)
{
	if (!w->stopped && !sc_apart_now(w) && sc_chance(w, 2))
		c->hv_ns = w->now + sc_rnd(w, 30 * S);
	return sc_hv_turn(w, c);
}

static struct sc_mev *request(struct sc *w, enum sc_mev_kind kind, uint32_t node, uint32_t dom, uint64_t lease_ns,
                              uint64_t late_ns)
{
	struct sc_mev *m = sc_mev(w, kind, late_ns + turn(w, sc_copy(w, node, dom)));

	m->node = node;
	m->dom = dom;
	m->conn = ++w->conns;
	m->v0 = lease_ns;
	return m;
}

/* Guard ---------------------------------------------------------------------------------------------------------------- */

void sc_park_forget(struct sc *w, uint32_t node)
{
	for (uint32_t d = 0; d < w->opt.doms; d++)
		sc_copy(w, node, d)->asked = 0, sc_copy(w, node, d)->said = false;
}

void sc_park_take_over(struct sc *w, uint32_t node)
{
	sc_park_forget(w, node);
	w->node[node].guard_grace = sc_clock(w, &w->node[node]) + 200 * MS;
}

static void ask(struct sc *w, uint32_t node, uint32_t dom)
{
	struct sc_copy *c = sc_copy(w, node, dom);

	if (!c->marked || c->state == HV_NONE || c->asked)
		return;
	c->asked = request(w, SC_MEV_PARK, node, dom, w->node[node].guard_until, 0)->conn;
}

bool sc_park_look(struct sc *w, uint32_t node, uint64_t *again_ns)
{
	struct sc_node *n = &w->node[node];
	uint64_t left = sc_lease_left(w, node);

	if (n->park_for != n->guard_until) {
		if (!sc_planted(w, "old-answer-counts"))
			sc_park_forget(w, node);
		n->park_for = n->guard_until;
	}
	if (!left && sc_clock(w, n) >= n->guard_grace)
		return false;
	for (uint32_t d = 0; d < w->opt.doms; d++)
		ask(w, node, d);
	*again_ns = left && left < LOOK_NS ? left : LOOK_NS;
	return true;
}

bool sc_park_spared(const struct sc_copy *c)
{
	return c->asked && c->said;
}

void sc_park_answered(struct sc *w, const struct sc_mev *m)
{
	struct sc_copy *c = sc_copy(w, m->node, m->dom);

	if (w->node[m->node].guard_up && c->asked == m->conn)
		c->said = true;
}

/* hvdom ---------------------------------------------------------------------------------------------------------------- */

void sc_hv_park(struct sc *w, const struct sc_mev *m)
{
	struct sc_copy *c = sc_copy(w, m->node, m->dom);

	if (m->conn <= c->closed || (c->state != HV_RUN && c->state != HV_PARKED))
		return;
	if (c->state == HV_RUN) {
		if (c->log_conn ||
		    (sc_chance(w, 1) && !sc_apart_now(w))) /* it is being moved; its writes cannot be finished */
			return;
		sc_set_copy(w, m->node, m->dom, HV_PARKED, c->generation);
	}
	if (m->v0 > c->park_lease)
		c->park_lease = m->v0;
	struct sc_mev *a = sc_mev(w, SC_MEV_PARKED, ANSWER_NS);
	a->node = m->node;
	a->dom = m->dom;
	a->conn = m->conn;
}

/* own_again() of hypervisor/park.c: did nobody take it over? */
static bool untouched(struct sc *w, uint32_t node, uint32_t dom)
{
	const struct sc_dom *d = &w->dom[dom];
	const struct sc_local *l = sc_local(w, node, dom);
	uint64_t generation = sc_copy(w, node, dom)->generation;

	if (l->generation != generation || l->owner != node)
		return false;
	return !d->shared || ((d->locked == NOHOST || d->locked == node) && d->lease_generation == generation &&
	                      d->lease_owner == node);
}

void sc_hv_unpark(struct sc *w, const struct sc_mev *m)
{
	struct sc_copy *c = sc_copy(w, m->node, m->dom);
	uint64_t clock = sc_clock(w, &w->node[m->node]);

	if (m->conn <= c->closed || c->state != HV_PARKED)
		return;
	if ((m->v0 <= c->park_lease || clock >= m->v0) && !sc_planted(w, "unpark-late"))
		return;
	if (!untouched(w, m->node, m->dom)) {
		sc_kill_copy(w, m->node, m->dom, "suspended, and another one took it over");
	} else {
		if (w->dom[m->dom].shared)
			w->dom[m->dom].locked = m->node;
		sc_set_copy(w, m->node, m->dom, HV_RUN, c->generation);
	}
	w->node[m->node].touched = true;
	if (w->node[m->node].up)
		sc_node_settle(w, m->node);
}

/* clusterd ------------------------------------------------------------------------------------------------------------- */

uint64_t sc_park_ns(const struct sc *w, uint32_t node)
{
	return clu_park_ns(&w->node[node].s->policy, w->node[node].n->lease_ns);
}

bool sc_has_lease(const struct sc *w, uint32_t node)
{
	return sc_lease_left(w, node) > sc_park_ns(w, node) + S;
}

bool sc_parked(struct sc *w, uint32_t node, const struct clu_dom *d, uint32_t dom)
{
	struct sc_copy *c = sc_copy(w, node, dom);
	struct sc_ldom *x = sc_ldom(w, node, dom);
	bool lease = sc_has_lease(w, node);

	if (c->state != HV_PARKED) {
		x->unpark_ns = x->unparked_ns = 0;
		return false;
	}
	if (!x->unpark_ns)
		x->unpark_ns = w->now;
	if (c->generation < d->generation + (x->todo == CLU_TODO_ACCEPT)) {
		sc_kill_copy(w, node, dom, "a suspended copy of before");
		return true;
	}
	if (x->todo == CLU_TODO_STOP && (!lease || w->now > x->unpark_ns + STOP_NS))
		return false;
	if (lease && (!x->unparked_ns || w->now >= x->unparked_ns + AGAIN_NS)) {
		x->unparked_ns = w->now;
		(void)request(w, SC_MEV_UNPARK, node, dom, w->node[node].guard_until, sc_ambush_unpark(w, node, dom));
	}
	return true;
}
