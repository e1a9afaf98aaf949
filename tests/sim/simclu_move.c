/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clusterd's part in the migrations of its host: ordering them, letting them in, settling those whose other end is lost. As
 * clusterd/io/local_move.c does it; each function is one look.
 */
#include "config.h"
#include "tests/sim/simclu.h"

#define AGAIN_NS       (1 * S)
#define CLAIM_NS       (2 * S)
#define CLAIM_MAX_NS   (20 * S)
#define NO_MIGRATED_NS (5 * S)

static bool runs(const struct sc_copy *c)
{
	return c->state == HV_RUN || c->state == HV_BOOT;
}

/* Push ----------------------------------------------------------------------------------------------------------------- */

void sc_move_ended(struct sc *w, uint32_t node, uint32_t dom, uint32_t order, bool answered, bool completed)
{
	struct sc_ldom *x = sc_ldom(w, node, dom);

	if (!w->node[node].up || !x->order || x->order != order)
		return;
	x->order = 0;
	if (!answered || x->todo != CLU_TODO_PUSH || x->op_id != x->push_op) {
		x->pushed = false;
		x->order_ns = w->now;
	} else {
		x->push_done = true;
		x->push_failed = !completed;
	}
	w->node[node].touched = true;
}

static void no_migrated(struct sc *w, uint32_t node, const struct clu_dom *d, uint32_t dom)
{
	struct sc_ldom *x = sc_ldom(w, node, dom);

	if (!x->stop_ns)
		x->stop_ns = w->now;
	x->order_ns = w->now;
	if (w->now > x->stop_ns + NO_MIGRATED_NS)
		sc_result(w, node, d, dom, CLU_RESULT_MOVE_FAILED, sc_copy(w, node, dom)->generation);
}

static void order_push(struct sc *w, uint32_t node, const struct clu_dom *d, uint32_t dom)
{
	struct sc_ldom *x = sc_ldom(w, node, dom);

	if (!w->node[node].mig_up) {
		no_migrated(w, node, d, dom);
		return;
	}
	if (!x->pushed) { /* is one under way already? */
		x->pushed = !sc_mig_busy(w, node, dom);
		x->order_ns = w->now;
		return;
	}
	uint32_t to = sc_list_machine(&w->node[node].knows, d->target);
	x->push_op = d->op_id;
	x->order = to == NOHOST ? 0 : sc_push(w, node, dom, to);
	if (!x->order)
		x->push_done = x->push_failed = true;
}

/* No copy here any more: given away, or dead before it was? The lease, in its last write, knows. */
static void push_gone(struct sc *w, uint32_t node, const struct clu_dom *d, uint32_t dom)
{
	uint64_t g = sc_lease_generation(w, node, dom);

	if (g > d->generation)
		sc_result(w, node, d, dom, CLU_RESULT_MOVED, g);
	else
		sc_result(w, node, d, dom, CLU_RESULT_MOVE_FAILED, d->generation);
}

/* That of an earlier operation is in the way of a new one. */
static void old_order_drop(struct sc_ldom *x)
{
	if (!x->order || !x->pushed || x->push_op == x->op_id)
		return;
	x->order = 0;
	x->pushed = false;
}

void sc_move_push(struct sc *w, uint32_t node, const struct clu_dom *d, uint32_t dom)
{
	struct sc_copy *c = sc_copy(w, node, dom);
	struct sc_ldom *x = sc_ldom(w, node, dom);
	bool completed = x->push_done && !x->push_failed;

	if (c->state == HV_NONE && x->order)
		return; /* its result comes */
	if (completed) {
		sc_result(w, node, d, dom, CLU_RESULT_MOVED, d->generation + 1);
		return;
	}
	if (c->state == HV_NONE) {
		push_gone(w, node, d, dom);
		return;
	}
	old_order_drop(x);
	if (x->order || !runs(c))
		return;
	if (c->generation > d->generation || x->push_failed) {
		sc_result(w, node, d, dom, CLU_RESULT_MOVE_FAILED, c->generation);
		return;
	}
	if (!x->order_ns || w->now >= x->order_ns + AGAIN_NS)
		order_push(w, node, d, dom);
}

/* Accept --------------------------------------------------------------------------------------------------------------- */

void sc_move_accept(struct sc *w, uint32_t node, const struct clu_dom *d, uint32_t dom)
{
	struct sc_copy *c = sc_copy(w, node, dom);

	c->marked = true; /* the guard's from before it can run; migrated lets nothing in without this */
	if (runs(c) && c->generation > d->generation)
		sc_observed(w, node, d, dom, CLU_SEEN_RUNNING, c->generation);
}

/* Resolve -------------------------------------------------------------------------------------------------------------- */

void sc_move_claim(struct sc *w, uint32_t node, uint32_t dom)
{
	struct sc_ldom *x = sc_ldom(w, node, dom);

	old_order_drop(x);
	if (x->order || (x->order_ns && w->now < x->order_ns + CLAIM_NS))
		return;
	bool first = !x->order_ns; /* the peer's own word mostly comes at once */
	x->order_ns = w->now;
	if (!first && w->node[node].mig_up)
		sc_mig_resolve(w, node, dom);
}

/* May a stopped copy here run on? Only when no other one ran in between. */
static bool may_keep(struct sc *w, uint32_t node, const struct clu_dom *d, uint32_t dom)
{
	const struct sc_copy *c = sc_copy(w, node, dom);
	const struct sc_dom *wd = &w->dom[dom];

	if (c->state == HV_GIVEN && sc_planted(w, "reclaim-blind"))
		return true;
	if (!wd->shared || !wd->lease_generation)
		return false;
	if (c->state == HV_READY)
		return wd->lease_generation == d->generation + 1 && wd->lease_owner == node;
	return c->state == HV_GIVEN && wd->lease_generation == c->generation && !wd->lease_taken;
}

void sc_move_resolve(struct sc *w, uint32_t node, const struct clu_dom *d, uint32_t dom)
{
	struct sc_copy *c = sc_copy(w, node, dom);
	struct sc_ldom *x = sc_ldom(w, node, dom);

	if (c->state == HV_NONE) {
		x->order = 0;
		c->marked = false;
		sc_result(w, node, d, dom, CLU_RESULT_ABSENT, d->generation);
		return;
	}
	if (runs(c) && c->generation >= d->generation) {
		x->order = 0;
		sc_result(w, node, d, dom, CLU_RESULT_KEPT, c->generation);
		return;
	}
	if (c->state == HV_SUSPENDED)
		return; /* its session ends with the link, and it goes on */
	if (!x->stop_ns)
		x->stop_ns = w->now;
	if (w->now < x->stop_ns + CLAIM_MAX_NS && may_keep(w, node, d, dom))
		sc_move_claim(w, node, dom);
	else
		sc_kill_copy(w, node, dom, "incomplete, or the other one ran after it");
}
