/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The machine under clusterd: its guard with the lease's deadline on its own clock, the domains' processes, disk locks and leases as
 * docs/wire/lease.md has them, and what clusterd does when the committed state wants something of it.
 */
#include "config.h"
#include "tests/sim/simclu.h"

#include <string.h>

#define GUARD_KILL_NS (300 * MS) /* its work, at most; the margin covers it and a guard that is just restarted */
#define SWEEP_NS      (50 * MS)
#define FEED_NS       (1 * S)
#define SAY_AGAIN_NS  (1 * S)
#define OVER          1u /* for guard_tick: whatever the other clock says */

const char *sc_hv_name(enum sc_hv s)
{
	static const char *const t[] = { "none",       "boots",    "runs",  "stops", "suspended",
		                         "given away", "incoming", "ready", "parked" };

	return t[s];
}

/* Disks ---------------------------------------------------------------------------------------------------------------- */

void sc_take(struct sc *w, uint32_t node, uint32_t dom, uint64_t generation)
{
	struct sc_dom *d = &w->dom[dom];

	*sc_local(w, node, dom) = (struct sc_local){ .generation = generation, .owner = node, .running = true };
	if (!d->shared)
		return;
	d->locked = node;
	d->lease_taken = d->lease_generation == generation; /* both slots have it */
	d->lease_generation = generation;
	d->lease_owner = node;
	d->lease_running = true;
}

uint64_t sc_lease_generation(struct sc *w, uint32_t node, uint32_t dom)
{
	return w->dom[dom].shared ? w->dom[dom].lease_generation : sc_local(w, node, dom)->generation;
}

bool sc_lease_left_here(struct sc *w, uint32_t node, uint32_t dom)
{
	const struct sc_dom *d = &w->dom[dom];
	const struct sc_local *l = sc_local(w, node, dom);

	return d->shared ? d->lease_running && d->lease_owner == node : l->running && l->owner == node;
}

/* A shutdown in order. */
static void lease_stopped(struct sc *w, uint32_t node, uint32_t dom)
{
	struct sc_dom *d = &w->dom[dom];

	if (d->lease_owner == node)
		d->lease_running = false;
	sc_local(w, node, dom)->running = false;
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
	if (state == HV_NONE) {
		c->closed = w->conns;
		c->conn = c->log_conn = c->asked = 0;
		c->park_lease = 0;
		c->said = c->lies = false;
		sc_mig_copy_gone(w, node, dom);
	}
	if (state != HV_NONE && sc_is_witness(w, node))
		sc_violation(w, "%s is on %c, which is a witness", w->dom[dom].name, sc_letter(node));
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
	if (c->state == HV_BOOT && c->marked && sc_mute(w, node)) {
		sc_kill_copy(w, node, dom, "its disks are refused");
		return;
	}
	if (c->state == HV_BOOT) {
		if (w->dom[dom].fails)
			sc_kill_copy(w, node, dom, "it does not boot");
		else
			sc_set_copy(w, node, dom, HV_RUN, c->generation);
	} else if (c->state == HV_STOP) {
		lease_stopped(w, node, dom);
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
	const struct sc_node *n = &w->node[node];
	uint64_t now = sc_clock(w, n), tick = sc_tick(w, n), left = n->guard_until > now ? n->guard_until - now : 0;

	if (n->guard_tick == OVER)
		return 0;
	if (!n->guard_tick || sc_planted(w, "one-clock"))
		return left;
	if (tick >= n->guard_tick)
		return 0;
	return n->guard_tick - tick < left ? n->guard_tick - tick : left;
}

static void guard_at(struct sc *w, uint32_t node, uint64_t at)
{
	w->node[node].guard_at = at;
	sc_at(w, at, SC_EV_GUARD, node, 0, 0);
}

void sc_guard_arm(struct sc *w, uint32_t node)
{
	struct sc_node *n = &w->node[node];
	uint64_t left = sc_lease_left(w, node); /* by the clock that is ahead: it looks at both, ten times a second */

	guard_at(w, node, sc_when(w, n, sc_clock(w, n) + (left > n->guard_park ? left - n->guard_park : 0)));
}

/* What lives though the lease is over; false: nothing did. */
static bool end_all(struct sc *w, uint32_t node)
{
	struct sc_node *n = &w->node[node];
	bool alive = false;

	for (uint32_t d = 0; d < w->opt.doms; d++) {
		struct sc_copy *c = sc_copy(w, node, d);
		if (!c->marked || c->state == HV_NONE || (n->guard_park && sc_park_spared(c)))
			continue;
		if (c->lies && sc_planted(w, "trust-locks"))
			continue;
		sc_kill_copy(w, node, d, "the lease is over");
		n->lease_ends++;
		alive = true;
	}
	return alive;
}

void sc_lease(struct sc *w, uint32_t node, uint64_t until, uint64_t from_tick)
{
	struct sc_node *n = &w->node[node];

	if (!n->guard_up || until <= n->guard_until)
		return;
	if (!sc_lease_left(w, node) && n->guard_until) /* it looks at what is over before it takes another one */
		end_all(w, node);
	bool first = !n->guard_until;
	n->guard_until = until;
	n->guard_tick = from_tick ? from_tick + n->n->lease_ns : 0;
	n->guard_park = sc_park_ns(w, node);
	if (first)
		sc_guard_arm(w, node);
}

/* Its clusterd found that its clock stood still. */
void sc_lease_over(struct sc *w, uint32_t node)
{
	struct sc_node *n = &w->node[node];

	if (!n->guard_up)
		return;
	n->guard_tick = OVER;
	guard_at(w, node, w->now + MS);
}

/* Is there a domain that the guard is to end? */
static bool guarded(struct sc *w, uint32_t node)
{
	for (uint32_t d = 0; d < w->opt.doms; d++)
		if (sc_copy(w, node, d)->marked && sc_copy(w, node, d)->state != HV_NONE)
			return true;
	return false;
}

/* The deadline passed, or moved on meanwhile. */
void sc_guard(struct sc *w, uint32_t node)
{
	struct sc_node *n = &w->node[node];
	bool alive;
	uint64_t again;

	if (!n->guard_up || w->now != n->guard_at)
		return;
	if (sc_planted(w, "guard-asleep")) {
		guard_at(w, node, w->now + S);
		return;
	}
	if (n->guard_ends && !guarded(w, node)) {
		sc_trace(w, "%c: the guard ends", sc_letter(node));
		n->guard_up = n->guard_ends = false;
		n->guard_until = 0; /* its file goes first: migrated lets nothing in any more */
		return;
	}
	if (sc_lease_left(w, node) > n->guard_park) {
		sc_guard_arm(w, node);
		return;
	}
	if (n->guard_park && sc_park_look(w, node, &again)) {
		guard_at(w, node, w->now + again + 1);
		return;
	}
	if (n->guard_saw != n->guard_until) { /* it takes its time */
		n->guard_saw = n->guard_until;
		guard_at(w, node, w->now + MS + sc_rnd(w, GUARD_KILL_NS));
		return;
	}
	alive = end_all(w, node);
	/* again until nothing lives, and a look at times for what comes in late */
	guard_at(w, node, w->now + (alive ? SWEEP_NS : FEED_NS));
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
	         : c->seen == CLU_SEEN_ENDED   ? "ended"
	                                       : "gone",
	         (unsigned long long)c->generation);
	sc_submit(w, node, c);
}

void sc_result(struct sc *w, uint32_t node, const struct clu_dom *d, uint32_t dom, enum clu_result r,
               uint64_t generation)
{
	struct clu_cmd c = { .kind = CLU_CMD_RESULT, .result = r, .generation = generation, .op_id = d->op_id };

	say(w, node, d, dom, &c);
}

void sc_observed(struct sc *w, uint32_t node, const struct clu_dom *d, uint32_t dom, enum clu_seen seen,
                 uint64_t generation)
{
	struct clu_cmd c = { .kind = CLU_CMD_OBSERVED, .seen = seen, .generation = generation };

	say(w, node, d, dom, &c);
}

static void start_failed(struct sc *w, uint32_t node, const struct clu_dom *d, uint32_t dom, uint64_t generation)
{
	sc_copy(w, node, dom)->marked = false;
	sc_result(w, node, d, dom, CLU_RESULT_START_FAILED, generation);
}

/* hvdom is forked: it checks locks and leases itself. */
static void launch(struct sc *w, uint32_t node, const struct clu_dom *d, uint32_t dom)
{
	struct sc_copy *c = sc_copy(w, node, dom);
	const struct sc_dom *wd = &w->dom[dom];
	bool foreign = wd->shared && wd->lease_running && wd->lease_owner != node;

	if (w->node[node].bad) {
		w->dom[dom].bad_tries += w->dom[dom].bad_generation != d->generation;
		w->dom[dom].bad_generation = d->generation;
		start_failed(w, node, d, dom, 0);
		return;
	}
	if (sc_lease_generation(w, node, dom) >= d->generation) {
		start_failed(w, node, d, dom, sc_lease_generation(w, node, dom));
		return;
	}
	sc_ldom(w, node, dom)->launched = c->marked = true;
	if ((wd->shared && wd->locked != NOHOST && wd->locked != node) || (foreign && !d->force) ||
	    sc_local(w, node, dom)->generation >= d->generation)
		return; /* the next look finds it ended */
	sc_take(w, node, dom, d->generation);
	w->dom[dom].starts++;
	sc_apart_starts(w, node, dom);
	sc_set_copy(w, node, dom, HV_BOOT, d->generation);
	sc_at(w, w->now + 100 * MS + sc_rnd(w, 3 * S), SC_EV_HV, node, dom, c->life);
}

static void start(struct sc *w, uint32_t node, const struct clu_dom *d, uint32_t dom)
{
	struct sc_copy *c = sc_copy(w, node, dom);

	if (c->state != HV_NONE && !c->marked) { /* one that is not the cluster's */
		sc_result(w, node, d, dom, CLU_RESULT_START_FAILED, 0);
		return;
	}
	if (c->state == HV_RUN && c->generation == d->generation) {
		sc_result(w, node, d, dom, CLU_RESULT_STARTED, d->generation);
		return;
	}
	if (c->state == HV_BOOT && c->generation == d->generation)
		return;
	if (c->state != HV_NONE) {
		sc_kill_copy(w, node, dom, "an older copy is in the way of a start");
		return;
	}
	if (sc_ldom(w, node, dom)->launched) { /* it was tried, and is no more */
		start_failed(w, node, d, dom, sc_lease_left_here(w, node, dom) ? sc_lease_generation(w, node, dom) : 0);
		return;
	}
	if (!sc_has_lease(w, node) && !sc_planted(w, "start-without-lease"))
		return;
	launch(w, node, d, dom);
}

static void stop(struct sc *w, uint32_t node, const struct clu_dom *d, uint32_t dom)
{
	struct sc_copy *c = sc_copy(w, node, dom);

	if (c->state == HV_NONE) {
		c->marked = false;
		if (sc_lease_left_here(w, node, dom)) /* killed: its lease must be gone over */
			sc_observed(w, node, d, dom, CLU_SEEN_GONE, d->generation);
		else
			sc_result(w, node, d, dom, CLU_RESULT_STOPPED, d->generation);
	} else if (c->state == HV_RUN) {
		sc_set_copy(w, node, dom, HV_STOP, c->generation);
		sc_at(w, w->now + 50 * MS + sc_rnd(w, 2 * S), SC_EV_HV, node, dom, c->life);
	} else if (c->state != HV_STOP) {
		sc_kill_copy(w, node, dom, "it is to be stopped");
	}
}

static void watch(struct sc *w, uint32_t node, const struct clu_dom *d, uint32_t dom)
{
	struct sc_copy *c = sc_copy(w, node, dom);

	if (c->state == HV_NONE)
		sc_observed(w, node, d, dom, CLU_SEEN_GONE, d->generation);
	else if (c->state == HV_RUN && c->generation > d->generation)
		sc_observed(w, node, d, dom, CLU_SEEN_RUNNING, c->generation);
	else if (c->state == HV_READY) /* it came here, and the word to run is late */
		sc_move_claim(w, node, dom);
}

static void end_copy(struct sc *w, uint32_t node, const struct clu_dom *d, uint32_t dom)
{
	struct sc_copy *c = sc_copy(w, node, dom);

	if (c->state == HV_NONE)
		c->marked = false;
	else if (c->state == HV_RUN && c->generation > d->generation_max)
		sc_observed(w, node, d, dom, CLU_SEEN_RUNNING, c->generation);
	else if (c->state != HV_GIVEN) /* that one migrated ends */
		sc_kill_copy(w, node, dom, "it is none of the cluster's");
}

/* A new operation: nothing of the last one counts for it. */
static void begin(struct sc_ldom *x, enum clu_todo todo, uint64_t op_id)
{
	if (x->todo == todo && x->op_id == op_id)
		return;
	x->todo = todo;
	x->op_id = op_id;
	x->launched = x->push_done = x->push_failed = false;
	x->stop_ns = x->order_ns = 0;
	x->pushed = x->pushed && x->order;
}

static void one(struct sc *w, uint32_t node, const struct clu_dom *d, uint32_t dom)
{
	enum clu_todo todo = clu_todo(d, w->node[node].id);

	begin(sc_ldom(w, node, dom), todo, d->op_id);
	if (sc_leave_ends(w, node, d, dom, todo))
		return;
	if (todo != CLU_TODO_KILL && todo != CLU_TODO_NONE && sc_parked(w, node, d, dom))
		return;
	switch (todo) {
	case CLU_TODO_NONE:
		break;
	case CLU_TODO_START:
		start(w, node, d, dom);
		break;
	case CLU_TODO_STOP:
		stop(w, node, d, dom);
		break;
	case CLU_TODO_PUSH:
		sc_move_push(w, node, d, dom);
		break;
	case CLU_TODO_RESOLVE:
		sc_move_resolve(w, node, d, dom);
		break;
	case CLU_TODO_WATCH:
		watch(w, node, d, dom);
		break;
	case CLU_TODO_ACCEPT:
		sc_move_accept(w, node, d, dom);
		break;
	case CLU_TODO_KILL:
		end_copy(w, node, d, dom);
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
		uint32_t dom;
		if (d->rev > n->n->commit && !sc_planted(w, "no-commit"))
			continue;
		dom = d->uuid[0] ? sc_dom_by(w, d->uuid) : SC_DOMS;
		if (dom == SC_DOMS)
			continue;
		if (d->host != n->id && d->target != n->id && sc_copy(w, node, dom)->state == HV_NONE &&
		    !sc_copy(w, node, dom)->marked)
			continue;
		one(w, node, d, dom);
	}
}

/* In which generation does this copy run, or may it come to run? told_generation() of clusterd/io/local.c. */
static uint64_t told_generation(const struct sc_copy *c, const struct clu_dom *d)
{
	switch (c->state) {
	case HV_NONE:
		return 0;
	case HV_INCOMING:
	case HV_READY: /* it may be ours before this is heard */
		return d->phase == CLU_PHASE_MIGRATING ? d->generation + 1 : d->generation;
	case HV_GIVEN: /* settled by its migration, not by us */
		return d->generation;
	default:
		return c->generation;
	}
}

uint32_t sc_inventory(struct sc *w, uint32_t node, struct clu_inventory *inv, uint32_t cap)
{
	uint32_t k = 0;

	for (uint32_t i = 0; i < w->node[node].s->n_dom && k < cap; i++) {
		const struct clu_dom *d = &w->node[node].s->dom[i];
		uint32_t dom = d->uuid[0] ? sc_dom_by(w, d->uuid) : SC_DOMS;
		uint64_t generation = dom == SC_DOMS ? 0 : told_generation(sc_copy(w, node, dom), d);
		if (!generation)
			continue;
		memcpy(inv[k].uuid, d->uuid, sizeof(inv[k].uuid));
		inv[k++].generation = generation;
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
	n->power = n->guard_up = n->guard_ends = false;
	n->frozen = 0;
	n->leave = SC_STAYS; /* its file is in memory */
	n->goes = false;
	n->guard_tick = n->guard_until = n->guard_at = n->guard_park = n->guard_grace = n->park_for = 0;
	sc_mig_die(w, node);
	for (uint32_t d = 0; d < w->opt.doms; d++) {
		bool locked = w->dom[d].locked == node;
		sc_set_copy(w, node, d, HV_NONE, 0);
		sc_copy(w, node, d)->said_ns = 0;
		sc_copy(w, node, d)->marked = false;
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
	n->power = n->guard_up = true;
	n->offset = sc_rnd(w, 20 * S);
	n->ring = ++w->rings; /* alone at first */
	n->slow = n->slow_disk = false;
	n->stalled = 0;
	sc_cpg_links_changed(w, 200 * MS + sc_rnd(w, 400 * MS));
	sc_mig_start(w, node);
	sc_list_boot(w, node);
	sc_node_start(w, node);
}
