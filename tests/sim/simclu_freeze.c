/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Machines that stand still and go on: a virtual machine that its hypervisor pauses, a laptop's lid. Nothing on it happens meanwhile; what
 * was due then is done when it goes on, in any order. So a guest can be scheduled before the guard: hvdom looks at the deadline before
 * each write (clusterd/guard/deadline.h).
 */
#include "config.h"
#include "tests/sim/simclu_mig.h"

#define LATE_NS (2 * S) /* the guard has come to it by then */

bool sc_frozen(const struct sc *w, uint32_t node)
{
	return w->node[node].frozen && w->node[node].frozen >= w->now; /* up to the thaw, whatever else is due then */
}

void sc_freeze(struct sc *w, uint32_t node, uint64_t ns)
{
	struct sc_node *n = &w->node[node];

	sc_trace(w, "%c: the machine stands still for %.1f s", sc_letter(node), (double)ns / 1e9);
	n->froze = w->now;
	n->frozen = w->now + ns;
	sc_at(w, n->frozen, SC_EV_THAW, node, 0, 0);
}

void sc_thaw(struct sc *w, uint32_t node)
{
	struct sc_node *n = &w->node[node];

	sc_trace(w, "%c: the machine goes on", sc_letter(node));
	if (n->clocks != SC_CLOCKS_RUN)
		n->offset -= (uint64_t)((double)(w->now - n->froze) * n->rate);
	n->frozen = 0;
	n->thawed = w->now;
	if (w->stopped)
		sc_leave_undo(w, node);
	for (uint32_t d = 0; d < w->opt.doms; d++)
		sc_check_copies(w, d);
}

bool sc_mute(const struct sc *w, uint32_t node)
{
	const struct sc_node *n = &w->node[node];

	return n->thawed && w->now < n->thawed + LATE_NS && !sc_lease_left(w, node) &&
	       !sc_planted(w, "write-after-thaw");
}

uint64_t sc_tick(const struct sc *w, const struct sc_node *n)
{
	return n->clocks == SC_CLOCKS_STOP ? 0 : 1000 * S + (uint64_t)((double)w->now * n->rate);
}

static uint32_t mev_node(const struct sc *w, uint32_t i)
{
	const struct sc_mev *m = &w->mev[i];

	switch (m->kind) {
	case SC_MEV_MSG:
	case SC_MEV_CALL:
	case SC_MEV_CLOSE:
	case SC_MEV_RECOVER:
	case SC_MEV_PARK:
	case SC_MEV_PARKED:
	case SC_MEV_UNPARK:
		return m->node;
	case SC_MEV_FREE:
		return NOHOST;
	default:
		return w->mig[m->end].use == m->use ? w->mig[m->end].node : NOHOST;
	}
}

uint32_t sc_ev_node(const struct sc *w, const struct sc_ev *e)
{
	switch ((enum sc_ev_kind)e->kind) {
	case SC_EV_INBOX:
	case SC_EV_TICK:
	case SC_EV_HOUSE:
	case SC_EV_STORED:
	case SC_EV_LOADED:
	case SC_EV_FLUSH:
	case SC_EV_GUARD:
	case SC_EV_HV:
	case SC_EV_PULSE:
	case SC_EV_FENCED:
	case SC_EV_RESTART:
		return e->node;
	case SC_EV_LEAVE:
		return e->arg ? NOHOST : e->node;
	case SC_EV_LIST:
		return sc_list_at_host(e) ? e->node : NOHOST;
	case SC_EV_MIG:
		return mev_node(w, e->arg);
	default:
		return NOHOST;
	}
}
