/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hosts that are shut down in order, as clusterd/io/leave.c and local_end.c do it: the file that outlives clusterd, the stages, what becomes of each
 * domain, the word that all have ended. Then the power goes, or somebody thinks better of it.
 */
#include "config.h"
#include "tests/sim/simclu.h"

#define LOOK_NS  (100 * MS)
#define AGAIN_NS (1 * S)
#define STUCK_NS (2 * S)

void sc_leave_begin(struct sc *w, uint32_t node, bool drains)
{
	struct sc_node *n = &w->node[node];

	if (n->leave != SC_STAYS || !n->up)
		return;
	uint64_t time = 1 * S + sc_rnd(w, 40 * S);
	n->leave = drains ? SC_LEAVES_DRAIN : SC_LEAVES_ENDING;
	n->leave_drain_until = w->now + time / 3 * 2;
	n->leave_until = w->now + time;
	n->leave_could = w->now;
	n->leave_said = 0;
	n->leave_end = 0;
	sc_trace(w, "%c is being shut down within %.1f s%s", sc_letter(node), (double)time / 1e9,
	         n->leave == SC_LEAVES_DRAIN ? ", drained first" : "");
	sc_at(w, w->now, SC_EV_LEAVE, node, 0, 0);
}

static void enter(struct sc *w, uint32_t node, enum sc_leave stage)
{
	struct sc_node *n = &w->node[node];

	n->leave = stage;
	n->leave_said = 0;
	n->leave_could = w->now;
	sc_trace(w, "%c: %s", sc_letter(node),
	         stage == SC_LEAVES_LEFT ? "nothing of the cluster runs here" : "ends its domains");
	n->touched = true;
}

static void submit(struct sc *w, uint32_t node, enum clu_cmd_kind kind, enum clu_leaving leaving, uint64_t op_id)
{
	struct sc_node *n = &w->node[node];
	struct clu_cmd c = { .kind = kind, .leaving = leaving, .op_id = op_id, .host = n->id };

	if (n->leave_said && w->now < n->leave_said + AGAIN_NS)
		return;
	n->leave_said = w->now;
	sc_trace(w, "%c: %s %s", sc_letter(node), clu_cmd_name(kind), clu_leaving_name(leaving));
	sc_submit(w, node, &c);
}

bool sc_lives(struct sc *w, uint32_t node)
{
	for (uint32_t d = 0; d < w->opt.doms; d++)
		if (sc_copy(w, node, d)->state != HV_NONE)
			return true;
	return false;
}

static void drain(struct sc *w, uint32_t node, const struct clu_host *h)
{
	struct sc_node *n = &w->node[node];
	bool here = false, moving = false;

	for (uint32_t i = 0; i < n->s->n_dom; i++) {
		const struct clu_dom *d = &n->s->dom[i];
		if (!d->uuid[0] || (d->host != n->id && d->target != n->id))
			continue;
		here = true;
		moving |= d->phase != CLU_PHASE_RUNNING;
	}
	if (moving)
		n->leave_could = w->now;
	if (sc_node_acts(n) && h->leaving != CLU_LEAVING_DRAIN)
		submit(w, node, CLU_CMD_LEAVE, CLU_LEAVING_DRAIN, 0);
	if ((sc_node_acts(n) && !here && h->leaving == CLU_LEAVING_DRAIN) || w->now >= n->leave_drain_until ||
	    w->now > n->leave_could + STUCK_NS)
		enter(w, node, SC_LEAVES_ENDING);
}

void sc_leave_then(struct sc *w, uint32_t node, uint64_t at, uint32_t what)
{
	w->node[node].leave_end = at;
	sc_at(w, at, SC_EV_LEAVE, node, what, 0);
}

/* It has left, or gave up: the power goes, mostly. */
static void then(struct sc *w, uint32_t node)
{
	struct sc_node *n = &w->node[node];

	if (n->leave_end || w->stopped)
		return;
	if (n->goes) { /* that is asked for as often as need be */
		if (sc_rnd(w, 30) == 0)
			sc_list_left(w, node);
		return;
	}
	sc_leave_then(w, node, w->now + sc_rnd(w, 6 * S), sc_chance(w, 70) ? 1 : 2);
}

static void left(struct sc *w, uint32_t node, const struct clu_host *h)
{
	if (sc_node_acts(&w->node[node]) && h->state != CLU_HOST_SAFE)
		submit(w, node, CLU_CMD_LEFT, CLU_LEAVING_NOT, h->up_id);
	then(w, node);
}

/* Somebody thinks better of it, or the faults stop. After LEFT was said nothing is begun before another life has said HOST_UP. */
void sc_leave_undo(struct sc *w, uint32_t node)
{
	struct sc_node *n = &w->node[node];
	bool said = n->leave == SC_LEAVES_LEFT;

	if (n->leave == SC_STAYS)
		return;
	sc_trace(w, "%c is not shut down after all", sc_letter(node));
	n->leave = SC_STAYS;
	n->goes = false;
	n->leave_said = 0;
	if (said && n->up) {
		sc_node_die(w, node);
		sc_node_start(w, node);
	}
}

void sc_leave_look(struct sc *w, uint32_t node)
{
	struct sc_node *n = &w->node[node];
	const struct clu_host *h = clu_host_of(n->s, n->id);

	if (!h)
		return;
	if (n->leave == SC_STAYS && sc_node_acts(n) && h->state == CLU_HOST_ONLINE && h->boot == n->n->boot &&
	    h->leaving != CLU_LEAVING_NOT)
		submit(w, node, CLU_CMD_LEAVE, CLU_LEAVING_NOT, 0);
	if (n->leave == SC_LEAVES_DRAIN)
		drain(w, node, h);
	if (n->leave == SC_LEAVES_ENDING) {
		if (sc_node_acts(n) && h->leaving != CLU_LEAVING_ENDING)
			submit(w, node, CLU_CMD_LEAVE, CLU_LEAVING_ENDING, 0);
		if (!sc_lives(w, node) || (sc_planted(w, "left-before-all-ended") && sc_chance(w, 20)))
			enter(w, node, SC_LEAVES_LEFT);
		if (n->leave == SC_LEAVES_LEFT && sc_planted(w, "starts-after-left"))
			n->leave_said = w->now + sc_rnd(w, 1 * S); /* and the word is late */
	}
	if (n->leave == SC_LEAVES_LEFT)
		left(w, node, h);
}

/* @e->arg 0: a look of clusterd; 1: the power goes; 2: it is undone. */
void sc_leave_event(struct sc *w, const struct sc_ev *e)
{
	struct sc_node *n = &w->node[e->node];

	if (e->arg) {
		if (w->stopped || e->at != n->leave_end || n->leave != SC_LEAVES_LEFT)
			return;
		if (e->arg == 2) {
			if (!sc_frozen(w, e->node))
				sc_leave_undo(w, e->node);
			return;
		}
		sc_power_off(w, e->node);
		sc_heal_power(w, e->node);
		return;
	}
	if (n->leave == SC_STAYS)
		return;
	sc_at(w, w->now + LOOK_NS, SC_EV_LEAVE, e->node, 0, 0);
	if (!n->up || n->paused > w->now)
		return;
	sc_leave_look(w, e->node);
	/* without a quorum the copies are ended all the same */
	for (uint32_t d = 0; d < w->opt.doms && n->leave >= SC_LEAVES_ENDING && !sc_node_acts(n); d++)
		if (sc_copy(w, e->node, d)->state != HV_NONE &&
		    (w->now >= n->leave_until || sc_copy(w, e->node, d)->state == HV_RUN))
			sc_kill_copy(w, e->node, d, "the host is shut down, without a quorum");
	sc_node_settle(w, e->node);
}

bool sc_leave_ends(struct sc *w, uint32_t node, const struct clu_dom *d, uint32_t dom, enum clu_todo todo)
{
	struct sc_node *n = &w->node[node];
	struct sc_copy *c = sc_copy(w, node, dom);

	if (n->leave < SC_LEAVES_ENDING || todo == CLU_TODO_KILL || todo == CLU_TODO_NONE)
		return false;
	if (c->state != HV_NONE && w->now >= n->leave_until) {
		sc_kill_copy(w, node, dom, "the time of its host is over");
		return true;
	}
	if (todo == CLU_TODO_START && c->state == HV_NONE) {
		if (sc_planted(w, "starts-after-left"))
			return false;
		c->marked = false;
		sc_result(w, node, d, dom, CLU_RESULT_START_FAILED, 0);
		return true;
	}
	if (todo != CLU_TODO_WATCH)
		return false;
	if (c->state == HV_NONE) {
		sc_observed(w, node, d, dom, CLU_SEEN_ENDED, d->generation);
	} else if (c->state == HV_RUN) {
		sc_set_copy(w, node, dom, HV_STOP, c->generation);
		sc_at(w, w->now + 50 * MS + sc_rnd(w, 5 * S), SC_EV_HV, node, dom, c->life);
	} else if (c->state == HV_PARKED) {
		sc_kill_copy(w, node, dom, "its host is shut down");
	}
	return true;
}
