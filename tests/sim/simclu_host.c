/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The machine under clusterd: its guard with the lease's deadline on its own clock, the domains' processes, disk locks and leases as
 * docs/wire/lease.md has them, and what clusterd does when the committed state wants something of it.
 */
#include "config.h"
#include "tests/sim/simclu.h"

#include <string.h>

#define GUARD_KILL_NS (300 * MS) /* its work, at most; the margin covers it and a guard that is just restarted */
#define SAY_AGAIN_NS  (1 * S)
#define START_LEFT_NS (1 * S)

const char *sc_hv_name(enum sc_hv s)
{
	static const char *const t[] = { "none",      "boots",      "runs",     "stops",
		                         "suspended", "given away", "incoming", "ready" };

	return t[s];
}

/* Disks ---------------------------------------------------------------------------------------------------------------- */

void sc_take(struct sc *w, uint32_t node, uint32_t dom, uint64_t generation)
{
	struct sc_dom *d = &w->dom[dom];

	*sc_local(w, node, dom) = (struct sc_local){ .generation = generation, .owner = node };
	if (!d->shared)
		return;
	d->locked = node;
	d->lease_generation = generation;
	d->lease_owner = node;
	d->lease_running = d->lease_taken = true;
}

void sc_unlock(struct sc *w, uint32_t node, uint32_t dom)
{
	if (w->dom[dom].locked == node)
		w->dom[dom].locked = NOHOST;
}

/* Copies --------------------------------------------------------------------------------------------------------------- */

static bool holds(enum sc_hv s)
{
	return s == HV_BOOT || s == HV_RUN || s == HV_STOP || s == HV_SUSPENDED;
}

void sc_set_copy(struct sc *w, uint32_t node, uint32_t dom, enum sc_hv state, uint64_t generation)
{
	struct sc_copy *c = sc_copy(w, node, dom);

	if (w->opt.trace && (c->state != state || c->generation != generation))
		sc_trace(w, "%c: %s %s, generation %llu", sc_letter(node), w->dom[dom].name, sc_hv_name(state),
		         (unsigned long long)generation);
	if (holds(c->state) && !holds(state))
		sc_unlock(w, node, dom);
	c->state = state;
	c->generation = generation;
	c->life++;
	if (state == HV_NONE)
		c->session = 0;
	if (state == HV_BOOT || state == HV_RUN)
		sc_check_runs(w, node, dom);
	sc_check_copies(w, dom);
}

void sc_kill_copy(struct sc *w, uint32_t node, uint32_t dom, const char *why)
{
	struct sc_copy *c = sc_copy(w, node, dom);

	if (c->state == HV_NONE)
		return;
	sc_trace(w, "%c: %s is killed: %s", sc_letter(node), w->dom[dom].name, why);
	sc_set_copy(w, node, dom, HV_NONE, 0);
}

void sc_hv_done(struct sc *w, uint32_t node, uint32_t dom, uint32_t life)
{
	struct sc_copy *c = sc_copy(w, node, dom);

	if (c->life != life)
		return;
	if (c->state == HV_BOOT) {
		if (w->dom[dom].fails)
			sc_kill_copy(w, node, dom, "it does not boot");
		else
			sc_set_copy(w, node, dom, HV_RUN, c->generation);
	} else if (c->state == HV_STOP) {
		w->dom[dom].lease_running = w->dom[dom].lease_owner == node ? false : w->dom[dom].lease_running;
		sc_set_copy(w, node, dom, HV_NONE, 0);
	} else {
		return;
	}
	w->node[node].touched = true;
	if (w->node[node].up)
		sc_node_settle(w, node);
}

/* Guard ---------------------------------------------------------------------------------------------------------------- */

uint64_t sc_lease_left(const struct sc *w, uint32_t node)
{
	uint64_t until = w->node[node].guard_until, now = sc_clock(w, &w->node[node]);

	return until > now ? until - now : 0;
}

void sc_lease(struct sc *w, uint32_t node, uint64_t until)
{
	struct sc_node *n = &w->node[node];

	if (!n->guard_up || until <= n->guard_until)
		return;
	bool was_over = !n->guard_until;
	n->guard_until = until;
	if (was_over)
		sc_at(w, sc_when(w, n, until), SC_EV_GUARD, node, 0, 0);
}

/* The deadline passed, or moved on meanwhile. */
void sc_guard(struct sc *w, uint32_t node)
{
	struct sc_node *n = &w->node[node];
	uint64_t left = sc_lease_left(w, node);

	if (!n->power || !n->guard_up || !n->guard_until)
		return;
	if (left || sc_planted(w, "guard-asleep")) {
		sc_at(w, sc_when(w, n, n->guard_until > sc_clock(w, n) ? n->guard_until : sc_clock(w, n) + S),
		      SC_EV_GUARD, node, 0, 0);
		return;
	}
	uint64_t late = sc_clock(w, n) - n->guard_until;
	if (late < MS) { /* it takes its time */
		sc_at(w, w->now + MS + sc_rnd(w, GUARD_KILL_NS), SC_EV_GUARD, node, 0, 0);
		return;
	}
	n->guard_until = 0;
	for (uint32_t d = 0; d < w->opt.doms; d++)
		sc_kill_copy(w, node, d, "the lease is over");
}

/* What clusterd wants done ---------------------------------------------------------------------------------------------- */

static void say(struct sc *w, uint32_t node, const struct clu_dom *d, uint32_t dom, struct clu_cmd *c)
{
	struct sc_copy *cp = sc_copy(w, node, dom);

	if (cp->said_ns && cp->said_op == d->rev && w->now < cp->said_ns + SAY_AGAIN_NS)
		return;
	cp->said_ns = w->now;
	cp->said_op = d->rev;
	memcpy(c->uuid, d->uuid, sizeof(c->uuid));
	sc_trace(w, "%c: %s %s: %s, generation %llu", sc_letter(node), clu_cmd_name(c->kind), d->name,
	         c->kind == CLU_CMD_RESULT     ? clu_result_name(c->result)
	         : c->seen == CLU_SEEN_RUNNING ? "running"
	                                       : "gone",
	         (unsigned long long)c->generation);
	sc_submit(w, node, c);
}

static void result(struct sc *w, uint32_t node, const struct clu_dom *d, uint32_t dom, enum clu_result r,
                   uint64_t generation)
{
	struct clu_cmd c = { .kind = CLU_CMD_RESULT, .result = r, .generation = generation, .op_id = d->op_id };

	say(w, node, d, dom, &c);
}

static void observed(struct sc *w, uint32_t node, const struct clu_dom *d, uint32_t dom, enum clu_seen seen,
                     uint64_t generation)
{
	struct clu_cmd c = { .kind = CLU_CMD_OBSERVED, .seen = seen, .generation = generation };

	say(w, node, d, dom, &c);
}

static void start(struct sc *w, uint32_t node, const struct clu_dom *d, uint32_t dom)
{
	struct sc_copy *c = sc_copy(w, node, dom);
	struct sc_dom *wd = &w->dom[dom];

	if (c->state == HV_RUN && c->generation == d->generation) {
		result(w, node, d, dom, CLU_RESULT_STARTED, d->generation);
		return;
	}
	if (c->state == HV_BOOT && c->generation == d->generation)
		return;
	if (c->state != HV_NONE) {
		sc_kill_copy(w, node, dom, "an older copy is in the way of a start");
		return;
	}
	if (sc_lease_left(w, node) < START_LEFT_NS && !sc_planted(w, "start-without-lease"))
		return;
	if (c->said_ns && c->said_op == d->rev) {
		result(w, node, d, dom, CLU_RESULT_START_FAILED, 0); /* it was tried, and is no more */
		return;
	}
	bool foreign = wd->lease_running && wd->lease_owner != node;
	if (wd->shared && wd->locked != NOHOST && wd->locked != node) {
		result(w, node, d, dom, CLU_RESULT_START_FAILED, 0);
		return;
	}
	if (wd->shared && ((foreign && !d->force) || wd->lease_generation >= d->generation)) {
		result(w, node, d, dom, CLU_RESULT_START_FAILED, wd->lease_generation);
		return;
	}
	if (sc_local(w, node, dom)->generation >= d->generation) {
		result(w, node, d, dom, CLU_RESULT_START_FAILED, sc_local(w, node, dom)->generation);
		return;
	}
	sc_take(w, node, dom, d->generation);
	wd->starts++;
	sc_set_copy(w, node, dom, HV_BOOT, d->generation);
	sc_at(w, w->now + 100 * MS + sc_rnd(w, 3 * S), SC_EV_HV, node, dom, c->life);
}

static void stop(struct sc *w, uint32_t node, const struct clu_dom *d, uint32_t dom)
{
	struct sc_copy *c = sc_copy(w, node, dom);
	const struct sc_dom *wd = &w->dom[dom];

	if (c->state == HV_NONE && wd->shared && wd->lease_running && wd->lease_owner == node) {
		observed(w, node, d, dom, CLU_SEEN_GONE, d->generation); /* killed: its lease must be gone over */
	} else if (c->state == HV_NONE) {
		result(w, node, d, dom, CLU_RESULT_STOPPED, d->generation);
	} else if (c->state == HV_RUN) {
		sc_set_copy(w, node, dom, HV_STOP, c->generation);
		sc_at(w, w->now + 50 * MS + sc_rnd(w, 2 * S), SC_EV_HV, node, dom, c->life);
	} else if (c->state != HV_STOP) {
		sc_kill_copy(w, node, dom, "it is to be stopped");
	}
}

/* It is pushed, or was: what became of it stands in the copy, or in this host's lease. */
static void push(struct sc *w, uint32_t node, const struct clu_dom *d, uint32_t dom)
{
	struct sc_copy *c = sc_copy(w, node, dom);
	const struct sc_local *l = sc_local(w, node, dom);

	if (c->session)
		return;
	if (c->state == HV_NONE && l->generation == d->generation + 1 && l->owner == d->target - 1) {
		result(w, node, d, dom, CLU_RESULT_MOVED, d->generation + 1);
		return;
	}
	if (c->state != HV_RUN || c->generation != d->generation || (c->said_ns && c->said_op == d->rev)) {
		uint64_t g = c->state == HV_RUN && c->generation > d->generation ? c->generation : d->generation;
		result(w, node, d, dom, CLU_RESULT_MOVE_FAILED, g);
		return;
	}
	if (!w->node[node].mig_up || !sc_push(w, node, dom, d->target - 1)) {
		result(w, node, d, dom, CLU_RESULT_MOVE_FAILED, d->generation);
		return;
	}
	c->said_ns = w->now; /* tried for this operation */
	c->said_op = d->rev;
}

/* The other end is safe: this copy is kept, or it is nobody's. */
static void resolve(struct sc *w, uint32_t node, const struct clu_dom *d, uint32_t dom)
{
	struct sc_copy *c = sc_copy(w, node, dom);
	struct sc_dom *wd = &w->dom[dom];
	uint64_t g = c->generation;
	bool blind = sc_planted(w, "reclaim-blind");

	sc_mig_drop(w, node, dom);
	if (sc_lease_left(w, node) < START_LEFT_NS)
		return;
	if (c->state == HV_SUSPENDED)
		sc_set_copy(w, node, dom, HV_RUN, g);
	if (c->state == HV_RUN) {
		result(w, node, d, dom, CLU_RESULT_KEPT, c->generation);
		return;
	}
	if (c->state == HV_GIVEN && (blind || (wd->shared && wd->lease_generation == g + 1 && !wd->lease_taken))) {
		/* nobody took it: it goes on here */
		sc_take(w, node, dom, g + 2);
		sc_set_copy(w, node, dom, HV_RUN, g + 2);
		result(w, node, d, dom, CLU_RESULT_KEPT, g + 2);
		return;
	}
	if (c->state == HV_READY && wd->shared && wd->lease_generation == g && wd->lease_owner == node) {
		sc_take(w, node, dom, g);
		sc_set_copy(w, node, dom, HV_RUN, g);
		result(w, node, d, dom, CLU_RESULT_KEPT, g);
		return;
	}
	sc_kill_copy(w, node, dom, "it is not known whether it ran on elsewhere");
	result(w, node, d, dom, CLU_RESULT_ABSENT, 0);
}

static void watch(struct sc *w, uint32_t node, const struct clu_dom *d, uint32_t dom)
{
	struct sc_copy *c = sc_copy(w, node, dom);

	if (c->state == HV_NONE)
		observed(w, node, d, dom, CLU_SEEN_GONE, d->generation);
	else if (c->state == HV_RUN && c->generation > d->generation)
		observed(w, node, d, dom, CLU_SEEN_RUNNING, c->generation);
	else if (c->generation < d->generation && c->state != HV_INCOMING && c->state != HV_READY)
		sc_kill_copy(w, node, dom, "it is of an older generation");
}

static void one(struct sc *w, uint32_t node, const struct clu_dom *d, uint32_t dom)
{
	struct sc_copy *c = sc_copy(w, node, dom);

	switch (clu_todo(d, w->node[node].id)) {
	case CLU_TODO_NONE:
		break;
	case CLU_TODO_START:
		start(w, node, d, dom);
		break;
	case CLU_TODO_STOP:
		stop(w, node, d, dom);
		break;
	case CLU_TODO_PUSH:
		push(w, node, d, dom);
		break;
	case CLU_TODO_RESOLVE:
		resolve(w, node, d, dom);
		break;
	case CLU_TODO_WATCH:
		watch(w, node, d, dom);
		break;
	case CLU_TODO_ACCEPT:
		if (c->state == HV_RUN && c->generation > d->generation)
			observed(w, node, d, dom, CLU_SEEN_RUNNING, c->generation);
		break;
	case CLU_TODO_KILL:
		if (c->state == HV_NONE || c->state == HV_GIVEN)
			break;
		if (c->state == HV_RUN && c->generation > d->generation_max)
			observed(w, node, d, dom, CLU_SEEN_RUNNING, c->generation);
		else
			sc_kill_copy(w, node, dom, "it is none of the cluster's");
		break;
	}
}

void sc_manage(struct sc *w, uint32_t node)
{
	struct sc_node *n = &w->node[node];

	if (!sc_node_acts(n))
		return;
	for (uint32_t i = 0; i < n->s->n_dom; i++) {
		const struct clu_dom *d = &n->s->dom[i];
		uint32_t dom = d->uuid[0] ? sc_dom_by(w, d->uuid) : SC_DOMS;
		if (dom == SC_DOMS || (d->rev > n->n->commit && !sc_planted(w, "no-commit")))
			continue;
		if (d->host != n->id && d->target != n->id && sc_copy(w, node, dom)->state == HV_NONE)
			continue;
		one(w, node, d, dom);
	}
}

uint32_t sc_inventory(struct sc *w, uint32_t node, struct clu_inventory *inv, uint32_t cap)
{
	uint32_t k = 0;

	for (uint32_t d = 0; d < w->opt.doms && k < cap; d++) {
		const struct sc_copy *c = sc_copy(w, node, d);
		if (!holds(c->state))
			continue;
		memcpy(inv[k].uuid, w->dom[d].uuid, sizeof(inv[k].uuid));
		inv[k++].generation = c->generation;
	}
	return k;
}

/* Power ---------------------------------------------------------------------------------------------------------------- */

void sc_power_off(struct sc *w, uint32_t node)
{
	struct sc_node *n = &w->node[node];

	if (!n->power)
		return;
	sc_trace(w, "%c loses power", sc_letter(node));
	sc_node_die(w, node);
	n->power = n->guard_up = n->mig_up = false;
	n->mig_life++;
	n->guard_until = 0;
	for (uint32_t d = 0; d < w->opt.doms; d++) {
		bool locked = w->dom[d].locked == node;
		sc_set_copy(w, node, d, HV_NONE, 0);
		sc_copy(w, node, d)->said_ns = 0;
		if (locked && sc_chance(w, 50)) { /* the file server has not noticed yet */
			w->dom[d].locked = node;
			sc_at(w, w->now + sc_rnd(w, 4 * S), SC_EV_UNLOCK, node, d, 0);
		}
	}
	sc_cpg_links_changed(w, 900 * MS + sc_rnd(w, 800 * MS));
}

void sc_power_on(struct sc *w, uint32_t node)
{
	struct sc_node *n = &w->node[node];

	if (n->power)
		return;
	sc_trace(w, "%c has power again", sc_letter(node));
	n->power = n->guard_up = n->mig_up = true;
	n->offset = sc_rnd(w, 20 * S);
	n->ring = ++w->rings; /* alone at first */
	n->slow = n->slow_disk = false;
	sc_cpg_links_changed(w, 200 * MS + sc_rnd(w, 400 * MS));
	sc_node_start(w, node);
}
