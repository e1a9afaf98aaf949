/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Settings of domains and spare hosts: people order them, the real planner balances, and what was ordered must hold: no domain is balanced or
 * brought back that is not to be, none while it cools down, none is given to a spare without need, and each is given up after as many crashes as
 * its limit says, neither before nor after. Written apart from clusterd/core/settings.c.
 */
#include "config.h"
#include "clusterd/core/plan.h"
#include "tests/sim/simclu.h"

#include <stdlib.h>
#include <string.h>

#define BALANCED   (1ull << 48) /* in the number of a request: by the balancer */
#define MOVES_MOST 6u

/* Orders --------------------------------------------------------------------------------------------------------------------- */

void sc_set_order(struct sc *w, uint32_t node, uint32_t dom)
{
	struct clu_cmd c = { .kind = CLU_CMD_SET, .request = 1 };

	dom %= 8; /* few, and so often the same */
	if (sc_chance(w, 30)) {
		c.kind = CLU_CMD_SPARE;
		c.host = w->node[sc_rnd(w, w->opt.nodes)].id;
		c.on = sc_chance(w, 60);
	} else {
		memcpy(c.uuid, w->dom[dom].uuid, sizeof(c.uuid));
		/* stories without faults promise that a guest runs again, whatever ended it */
		c.mask = (uint32_t)(1 + sc_rnd(w, CLU_SET_ALL)) & (w->opt.calm ? ~CLU_SET_RESTARTS : ~0u);
		c.set.has = c.mask & (uint32_t)(sc_rnd(w, CLU_SET_ALL + 1) | sc_rnd(w, CLU_SET_ALL + 1));
		c.set.priority = c.set.has & CLU_SET_PRIORITY ? (int32_t)sc_rnd(w, 5) - 2 : 0;
		c.set.restarts = c.set.has & CLU_SET_RESTARTS ? (uint32_t)sc_rnd(w, 3) : 0;
		c.set.restart_ns = c.set.has & CLU_SET_RESTARTS ? (10 + sc_rnd(w, 300)) * S : 0;
		c.set.cooldown_ns = c.set.has & CLU_SET_COOLDOWN ? (5 + sc_rnd(w, 200)) * S : 0;
		c.on = sc_chance(w, 20);
	}
	if (w->node[node].paused > w->now)
		return;
	sc_trace(w, "somebody at %c: %s %s %c has %x of %x: %u/%.0f s, cool-down %.0f s%s", sc_letter(node),
	         clu_cmd_name(c.kind), c.uuid[0] ? w->dom[dom].name : "", c.host ? sc_letter_of(w, c.host) : ' ',
	         c.set.has, c.mask, c.set.restarts, (double)c.set.restart_ns / 1e9, (double)c.set.cooldown_ns / 1e9,
	         c.on ? ", on" : "");
	sc_submit(w, node, &c);
}

/* Planted bugs: the planner, or the coordinator, does not see an order. @hide false: as it was. */
static void hide_settings(struct clu_state *s, uint32_t bit, bool hide)
{
	static uint32_t had[SC_DOMS + 8];

	for (uint32_t i = 0; i < s->n_dom && i < SC_DOMS + 8; i++) {
		if (hide)
			had[i] = s->dom[i].set.has;
		s->dom[i].set.has = hide ? had[i] & ~bit : had[i];
	}
}

static void hide_spares(struct clu_state *s, bool hide)
{
	static bool had[CLU_HOSTS_MAX];

	for (uint32_t i = 0; i < CLU_HOSTS_MAX; i++) {
		if (hide)
			had[i] = s->host[i].spare;
		s->host[i].spare = !hide && had[i];
	}
}

void sc_set_hide(struct sc *w, struct clu_state *s, bool hide)
{
	if (sc_planted(w, "spare-as-any"))
		hide_spares(s, hide);
	if (sc_planted(w, "brings-back-all"))
		hide_settings(s, CLU_SET_NO_BALANCE, hide);
}

/* The balancer ---------------------------------------------------------------------------------------------------------------- */

static uint32_t coordinator(struct sc *w)
{
	for (uint32_t i = 0; i < w->opt.nodes; i++)
		if (sc_node_acts(&w->node[i]) && clu_node_coordinates(w->node[i].n) && w->node[i].paused <= w->now &&
		    !sc_frozen(w, i))
			return i;
	return NOHOST;
}

static uint32_t plan(struct sc *w, struct sc_node *n, struct clu_plan_move *move)
{
	static uint8_t *ws;
	static size_t ws_bytes;
	const struct clu_plan_params p = {
		.move_worth = 1e-9, .bandwidth_bps = 110000000, .moves_max = MOVES_MOST, .effort = 2000
	};
	struct clu_plan_result ret;
	struct clu_load load = n->load;
	size_t need = clu_plan_balance_bytes(n->s);
	uint32_t bit = sc_planted(w, "balances-all")   ? CLU_SET_NO_BALANCE
	               : sc_planted(w, "no-cool-down") ? CLU_SET_COOLDOWN
	                                               : 0;

	if (need > ws_bytes) {
		free(ws);
		ws = malloc(need);
		ws_bytes = need;
	}
	load.time_ns = 1000000 * S + w->now;
	if (bit)
		hide_settings(n->s, bit, true);
	clu_plan_balance(n->s, &load, &p, ws, ws_bytes, move, MOVES_MOST, &ret);
	if (bit)
		hide_settings(n->s, bit, false);
	return ret.n_moves;
}

void sc_set_balance(struct sc *w)
{
	struct clu_plan_move move[MOVES_MOST];
	uint32_t node = coordinator(w), k;
	struct sc_node *n = node == NOHOST ? NULL : &w->node[node];

	if (!n || n->s->disarm.id)
		return;
	if (sc_planted(w, "spare-as-any"))
		hide_spares(n->s, true);
	k = plan(w, n, move);
	if (sc_planted(w, "spare-as-any"))
		hide_spares(n->s, false);
	for (uint32_t i = 0; i < k; i++) {
		const struct clu_dom *d = &n->s->dom[move[i].dom];
		struct clu_cmd c = { .kind = CLU_CMD_MOVE,
			             .request = BALANCED + i,
			             .rev = d->rev,
			             .target = n->s->host[move[i].to].node };

		if (!clu_node_committed(n->n, d->rev))
			continue;
		memcpy(c.uuid, d->uuid, sizeof(c.uuid));
		sc_trace(w, "%c balances: %s to %c", sc_letter(node), d->name, sc_letter_of(w, c.target));
		sc_set_proposed(w, node, &c);
		sc_submit(w, node, &c);
	}
}

/* What must hold ---------------------------------------------------------------------------------------------------------------- */

/* Is there need for a spare: another host that carries domains is missing or being emptied, or all are spares? */
static bool need_of(const struct clu_state *s, const struct clu_host *spare)
{
	uint32_t ordinary = 0, amiss = 0;

	for (uint32_t i = 0; i < s->n_nodes; i++) {
		const struct clu_host *h = &s->host[i];
		bool counts = h != spare && !h->witness && h->state != CLU_HOST_NEW;

		ordinary += counts && !h->spare;
		amiss += counts &&
		         (h->state == CLU_HOST_LOST || h->state == CLU_HOST_SAFE || h->maintenance || h->leaving);
	}
	return amiss || !ordinary;
}

void sc_set_proposed(struct sc *w, uint32_t node, const struct clu_cmd *c)
{
	const struct clu_state *s = w->node[node].s;
	const struct clu_host *to = c->kind == CLU_CMD_START  ? clu_host_of(s, c->host)
	                            : c->kind == CLU_CMD_MOVE ? clu_host_of(s, c->target)
	                                                      : NULL;
	const struct clu_dom *d = to ? clu_dom_of(s, c->uuid) : NULL;
	const struct clu_host *from = d ? clu_host_of(s, d->host) : NULL;

	if (d && to->spare && !need_of(s, to))
		sc_violation(w, "%s is given to %s, a spare, and no other host is lost or in maintenance", d->name,
		             to->name);
	if (d && c->kind == CLU_CMD_MOVE && c->on && from && !from->maintenance && !from->leaving &&
	    d->set.has & CLU_SET_NO_BALANCE)
		sc_violation(w, "%s is brought back to %s, and is not to be", d->name, to->name);
}

static uint32_t crashes(const struct sc *w, const struct clu_state *s)
{
	return !w->set_failures || s->time_ns - w->set_window > w->set_was.restart_ns ? 1 : w->set_failures + 1;
}

/* Planted bug: its limit is not looked at when it is over it. */
static void forget_limit(struct sc *w, struct clu_state *s, struct clu_dom *d, bool forget)
{
	if (!sc_planted(w, "restarts-forgotten") || !(w->set_was.has & CLU_SET_RESTARTS) ||
	    crashes(w, s) <= w->set_was.restarts)
		return;
	d->set.has = forget ? w->set_was.has & ~CLU_SET_RESTARTS : w->set_was.has;
	s->sum = clu_sum(s);
}

void sc_set_before(struct sc *w, uint32_t node, const struct clu_cmd *c)
{
	struct clu_state *s = w->node[node].s;
	struct clu_dom *d = clu_dom_of(s, c->uuid);

	w->set_rev = 0;
	if (!d)
		return;
	w->set_rev = d->rev;
	w->set_was = d->set;
	w->set_moved = d->moved_ns;
	w->set_failures = d->failures;
	w->set_window = d->window_ns;
	w->set_ran = d->phase == CLU_PHASE_RUNNING;
	w->set_host = d->host;
	if (c->kind == CLU_CMD_OBSERVED)
		forget_limit(w, s, d, true);
}

static void crashed(struct sc *w, const struct clu_state *s, const struct clu_dom *d)
{
	uint32_t count = crashes(w, s);

	if ((d->phase == CLU_PHASE_FAILED) != (count > w->set_was.restarts))
		sc_violation(w, "%s crashed %u times within %.0f s, may be restarted %u times, and is %s", d->name,
		             count, (double)w->set_was.restart_ns / 1e9, w->set_was.restarts, clu_phase_name(d->phase));
}

void sc_set_applied(struct sc *w, uint32_t node, const struct clu_cmd *c)
{
	struct clu_state *s = w->node[node].s;
	struct clu_dom *d = clu_dom_of(s, c->uuid);

	if (!d || !w->set_rev)
		return;
	if (c->kind == CLU_CMD_OBSERVED)
		forget_limit(w, s, d, false);
	if (d->rev == w->set_rev)
		return; /* refused, or it is of another view */
	if (c->kind == CLU_CMD_OBSERVED && w->set_ran && (c->seen == CLU_SEEN_CRASHED || c->seen == CLU_SEEN_GONE) &&
	    w->set_was.has & CLU_SET_RESTARTS)
		crashed(w, s, d);
	if (c->kind == CLU_CMD_MOVE && c->request >= BALANCED && d->phase == CLU_PHASE_MIGRATING) {
		if (w->set_was.has & CLU_SET_NO_BALANCE)
			sc_violation(w, "%s is balanced, and is not to be", d->name);
		if (w->set_was.has & CLU_SET_COOLDOWN && w->set_moved &&
		    c->time_ns < w->set_moved + w->set_was.cooldown_ns)
			sc_violation(w, "%s is balanced %.1f s after a move, and is to cool down for %.0f s", d->name,
			             (double)(c->time_ns - w->set_moved) / 1e9, (double)w->set_was.cooldown_ns / 1e9);
	}
	if (w->set_was.has & CLU_SET_COOLDOWN && c->kind != CLU_CMD_SET && d->phase == CLU_PHASE_RUNNING &&
	    w->set_host && d->host != w->set_host && d->moved_ns < c->time_ns)
		sc_violation(w, "%s moved, and the state does not know when", d->name);
}
