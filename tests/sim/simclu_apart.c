/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All hosts lose each other, as when a switch restarts, and come back one after the other. Domains are suspended, and none may be started anew that
 * one of the hosts has, if that host comes back within the time for which it is waited for. If one never does, its domains have to run elsewhere soon
 * after. Later one host loses its power, and its domains have to run elsewhere as soon as ever.
 */
#include "config.h"
#include "tests/sim/simclu.h"

#define CUT_NS      (60 * S)
#define ONE_LOST_NS (180 * S)
#define SAFE_NS     (9 * S)     /* lease, margin, corosync, and looks once a second */
#define FAILOVER_NS (19 * S)    /* and starts, a few at a time */
#define LATE_NS     (1500 * MS) /* from a link that holds again to a view with that host */

enum { CUT, RESTARTED, OFF, MEET, CHECK, ONE_LOST, CHECK_SAFE, CHECK_ONE };

static uint32_t host(const struct sc *w, uint32_t k)
{
	return (uint32_t)((w->opt.seed + k) % w->opt.nodes);
}

/* The last of them never comes back. */
static bool one_is_gone(const struct sc *w)
{
	return w->opt.seed % 4 == 1;
}

bool sc_apart_now(const struct sc *w)
{
	return w->opt.apart && w->now >= CUT_NS - 30 * S && w->now < ONE_LOST_NS + FAILOVER_NS;
}

void sc_apart_begin(struct sc *w)
{
	uint32_t n = w->opt.nodes, first = n / 2 + 1;
	uint64_t outage = (6 + sc_rnd(w, 55)) * S, meet = CUT_NS + outage, wait;

	if (!w->opt.apart)
		return;
	wait = outage - 2200 * MS > CLU_AWAIT_MAX_NS ? CLU_AWAIT_MAX_NS : outage - 2200 * MS;
	if (wait < SC_AWAIT_LEAST_NS)
		wait = SC_AWAIT_LEAST_NS;
	sc_at(w, CUT_NS, SC_EV_APART, 0, CUT, 0);
	for (uint32_t k = 0; k < n; k++) {
		bool gone = one_is_gone(w) && k == n - 1;
		uint64_t at = meet + (k < first ? 0 : sc_rnd(w, wait - LATE_NS));

		if (w->opt.seed % 3 == 0) /* nobody remembers how long it was */
			sc_at(w, CUT_NS + sc_rnd(w, outage - S), SC_EV_APART, host(w, k), RESTARTED, 0);
		sc_at(w, gone ? CUT_NS + outage / 2 : at, SC_EV_APART, host(w, k), gone ? OFF : MEET, 0);
	}
	/* whatever outage was seen: that of a clusterd that was restarted counts as the longest */
	wait = w->opt.seed % 3 ? outage + 3 * S : CLU_AWAIT_MAX_NS;
	if (wait > CLU_AWAIT_MAX_NS)
		wait = CLU_AWAIT_MAX_NS;
	sc_at(w, meet + (wait > SC_AWAIT_LEAST_NS ? wait : SC_AWAIT_LEAST_NS) + FAILOVER_NS, SC_EV_APART,
	      host(w, n - 1), CHECK, 0);
	sc_at(w, ONE_LOST_NS, SC_EV_APART, host(w, 2), ONE_LOST, 0);
	sc_at(w, ONE_LOST_NS + SAFE_NS, SC_EV_APART, host(w, 2), CHECK_SAFE, 0);
	sc_at(w, ONE_LOST_NS + FAILOVER_NS, SC_EV_APART, host(w, 2), CHECK_ONE, 0);
}

static void all_run(struct sc *w, uint32_t but, const char *when)
{
	const struct sc_node *other = &w->node[(but + 1) % w->opt.nodes];

	for (uint32_t i = 0; i < other->s->n_dom; i++) {
		const struct clu_dom *d = &other->s->dom[i];
		uint32_t dom = sc_dom_by(w, d->uuid), copies = 0;

		if (!d->uuid[0] || d->desired != CLU_DESIRED_RUNNING)
			continue;
		for (uint32_t k = 0; k < w->opt.nodes; k++)
			copies += sc_copy(w, k, dom)->state == HV_RUN || sc_copy(w, k, dom)->state == HV_BOOT;
		if (!copies)
			sc_violation(w, "%s runs nowhere %s", d->name, when);
	}
}

static void meet(struct sc *w, uint32_t node)
{
	sc_trace(w, "%c: its link holds again", sc_letter(node));
	w->node[node].apart = false;
	for (uint32_t i = 0; i < w->opt.nodes; i++)
		if (!w->node[i].apart)
			w->link[node * w->opt.nodes + i] = w->link[i * w->opt.nodes + node] = 1;
	sc_cpg_links_changed(w, 300 * MS);
}

void sc_apart_step(struct sc *w, uint32_t node, uint32_t step)
{
	switch (step) {
	case CUT:
		sc_trace(w, "cut: all hosts from each other");
		w->fence = 0;
		for (uint32_t i = 0; i < w->opt.nodes * w->opt.nodes; i++)
			w->link[i] = i % (w->opt.nodes + 1) == 0;
		for (uint32_t i = 0; i < w->opt.nodes; i++)
			w->node[i].apart = true;
		sc_cpg_links_changed(w, 900 * MS + sc_rnd(w, 1300 * MS));
		break;
	case RESTARTED:
		if (!w->node[node].power)
			break;
		sc_trace(w, "%c: clusterd is restarted", sc_letter(node));
		sc_node_die(w, node);
		sc_at(w, w->now + 300 * MS, SC_EV_RESTART, node, 0, 0);
		break;
	case OFF:
		sc_power_off(w, node);
		break;
	case MEET:
		meet(w, node);
		break;
	case CHECK:
		all_run(w, node, "after all lost each other");
		if (one_is_gone(w)) {
			meet(w, node);
			sc_power_on(w, node);
		}
		break;
	case ONE_LOST:
		sc_power_off(w, node);
		break;
	case CHECK_SAFE:
		if (w->node[(node + 1) % w->opt.nodes].s->host[node].state != CLU_HOST_SAFE)
			sc_violation(w, "%c is not safe %.0f s after it lost its power", sc_letter(node),
			             (double)SAFE_NS / 1e9);
		break;
	default:
		all_run(w, node, "since one host lost its power");
	}
}

void sc_apart_starts(struct sc *w, uint32_t node, uint32_t dom)
{
	for (uint32_t i = 0; i < w->opt.nodes && sc_apart_now(w); i++)
		if (i != node && sc_copy(w, i, dom)->state == HV_PARKED)
			sc_violation(w,
			             "%s is started anew on %c, though %c has it suspended and is about to come back",
			             w->dom[dom].name, sc_letter(node), sc_letter(i));
}
