/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * migrated: the real cores of migrated/core with what migrated/io does around them (outgoing.c, incoming.c). Pages are time that passes
 * while both ends hear one another. Everything goes through the queue, so a daemon, a hvdom or a host may die between any two steps.
 */
#include "config.h"
#include "tests/sim/simclu_mig.h"

#include <stdlib.h>
#include <string.h>

#define ENDS          2048u
#define END_WAIT_NS   (3 * S)
#define END_NS        (30 * S) /* a finished session of the target answers questions for so long */
#define STALL_NS      (5 * S)  /* no frame is acknowledged */
#define FLOW_NS       (200 * MS)
#define PREFLIGHTS    20u
#define PREFLIGHT_NS  (100 * MS)
#define INCOMING_MOST 16u

struct sc_mev *sc_mev(struct sc *w, enum sc_mev_kind kind, uint64_t in_ns)
{
	uint32_t i = w->mev_free;

	if (i) {
		w->mev_free = w->mev[i].next;
	} else {
		if (w->mev_n + 1 >= w->mev_cap) {
			w->mev_cap = w->mev_cap ? 2 * w->mev_cap : 1024;
			w->mev = realloc(w->mev, w->mev_cap * sizeof(*w->mev));
		}
		i = ++w->mev_n; /* 0 is no place */
	}
	memset(&w->mev[i], 0, sizeof(w->mev[i]));
	w->mev[i].kind = kind;
	sc_at(w, w->now + in_ns, SC_EV_MIG, 0, i, 0);
	return &w->mev[i];
}

struct sc_mev *sc_mev_to(struct sc *w, const struct sc_end *e, enum sc_mev_kind kind, uint64_t in_ns)
{
	struct sc_mev *m = sc_mev(w, kind, in_ns);

	m->end = (uint32_t)(e - w->mig);
	m->use = e->use;
	return m;
}

static struct mig_event *core_event(struct sc *w, const struct sc_end *e, enum mig_ev_kind kind, uint64_t in_ns)
{
	struct sc_mev *m = sc_mev_to(w, e, SC_MEV_CORE, in_ns);

	m->ev.kind = kind;
	return &m->ev;
}

static void settle(struct sc *w, uint32_t node)
{
	w->node[node].touched = true;
	if (w->node[node].up)
		sc_node_settle(w, node);
}

/* Ends ----------------------------------------------------------------------------------------------------------------- */

struct sc_end *sc_end_new(struct sc *w, bool source, uint32_t node, uint32_t peer, uint32_t dom, uint64_t session)
{
	uint32_t i = 0;

	while (i < w->ends && w->mig[i].used)
		i++;
	if (i == ENDS)
		return NULL;
	if (i == w->ends)
		w->ends++;
	w->mig[i] = (struct sc_end){ .used = true,
		                     .source = source,
		                     .use = ++w->uses,
		                     .node = node,
		                     .peer = peer,
		                     .dom = dom,
		                     .session = session };
	return &w->mig[i];
}

struct sc_end *sc_end_find(struct sc *w, bool source, uint32_t node, uint32_t peer, uint64_t session)
{
	for (uint32_t i = 0; i < w->ends; i++) {
		struct sc_end *e = &w->mig[i];
		if (e->used && e->session == session && e->source == source && e->node == node && e->peer == peer)
			return e;
	}
	return NULL;
}

void sc_end_free(struct sc *w, struct sc_end *e)
{
	sc_hv_close(w, e);
	e->used = false;
	while (w->ends && !w->mig[w->ends - 1].used)
		w->ends--;
}

static uint64_t deadline(const struct sc_end *e)
{
	if (e->ended || e->telling)
		return MIG_NEVER;
	return e->source ? mig_source_deadline_ns(&e->core.src) : mig_target_deadline_ns(&e->core.tgt);
}

static void set_tick(struct sc *w, struct sc_end *e)
{
	uint64_t clock = deadline(e), at;

	if (clock == MIG_NEVER)
		return;
	at = sc_when(w, &w->node[e->node], clock);
	at = at > w->now ? at : w->now + MS / 100;
	if (e->tick_at > w->now && e->tick_at <= at)
		return;
	e->tick_at = at;
	sc_mev_to(w, e, SC_MEV_TICK, at - w->now);
}

/* The guest's user hears of the end; the target may still have to let go. */
static void source_ends(struct sc *w, struct sc_end *e)
{
	if (!e->ended || !e->source)
		return;
	sc_trace(w, "%c: push of %s to %c: %s (%s)", sc_letter(e->node), w->dom[e->dom].name, sc_letter(e->peer),
	         e->outcome == MIG_OUTCOME_COMPLETED ? "completed" : "failed", mig_reason_name(e->core.src.reason));
	sc_move_ended(w, e->node, e->dom, e->use, true, e->outcome == MIG_OUTCOME_COMPLETED);
	if (e->core.src.must_tell && !e->told) {
		sc_hv_close(w, e);
		e->ended = false;
		e->telling = true;
		sc_mev_to(w, e, SC_MEV_TELL, S);
	} else {
		sc_end_free(w, e);
	}
	settle(w, e->node);
}

void sc_end_maybe(struct sc *w, struct sc_end *e)
{
	if (e->source && e->ended && !e->unanswered)
		sc_mev_to(w, e, SC_MEV_END, 0);
}

/* Actions -------------------------------------------------------------------------------------------------------------- */

static void finish(struct sc *w, struct sc_end *e, const struct mig_action *a)
{
	e->ended = true;
	e->outcome = a->outcome;
	if (!e->source) {
		sc_trace(w, "%c: %s from %c: %s (%s)", sc_letter(e->node), w->dom[e->dom].name, sc_letter(e->peer),
		         a->outcome == MIG_OUTCOME_COMPLETED ? "taken over" : "not taken over",
		         mig_reason_name(a->reason));
		sc_mev_to(w, e, SC_MEV_END, e->core.tgt.started ? 0 : END_NS);
		return;
	}
	sc_mev_to(w, e, SC_MEV_END, END_WAIT_NS);
	sc_end_maybe(w, e);
}

static void kill_incoming(struct sc *w, struct sc_end *e)
{
	struct sc_copy *c = sc_copy(w, e->node, e->dom);

	if (e->conn > c->closed) {
		e->conn = 0; /* our own deed */
		sc_kill_copy(w, e->node, e->dom, "migrated discards it");
	}
	e->conn = 0;
	core_event(w, e, MIG_EV_ENDED, MS);
}

static void data(struct sc *w, struct sc_end *e, uint64_t in_ns, enum mig_ev_kind kind)
{
	sc_mev_to(w, e, SC_MEV_DATA, in_ns)->ev = (struct mig_event){
		.kind = kind, .pass = { .pages_data = 1000, .octets = 4096000, .busy_ns = 10 * MS }
	};
}

static void act(struct sc *w, struct sc_end *e, const struct mig_action *a)
{
	switch (a->kind) {
	case MIG_ACT_SEND:
		sc_link_send(w, e, &a->msg);
		break;
	case MIG_ACT_HV:
		sc_hv_call(w, e, a->hv.op, a->hv.v0);
		break;
	case MIG_ACT_PASS:
		data(w, e, MS + sc_rnd(w, a->pass.kind == MIG_PASS_FINAL ? 200 * MS : 2 * S), MIG_EV_PASS_DONE);
		break;
	case MIG_ACT_STATE:
		data(w, e, sc_rnd(w, 5 * MS), MIG_EV_STATE_SENT);
		break;
	case MIG_ACT_EXPECT:
		data(w, e, sc_rnd(w, 5 * MS), MIG_EV_DATA_DONE);
		break;
	case MIG_ACT_JOURNAL:
		sc_journal_write(w, e, a->rec);
		break;
	case MIG_ACT_FORGET:
		sc_journal_forget(w, e->node, e->session);
		break;
	case MIG_ACT_PREFLIGHT:
		sc_mev_to(w, e, SC_MEV_PREFLIGHT, MS);
		break;
	case MIG_ACT_SPAWN:
		sc_mev_to(w, e, SC_MEV_SPAWN, 20 * MS + sc_rnd(w, 200 * MS));
		break;
	case MIG_ACT_KILL:
		kill_incoming(w, e);
		break;
	case MIG_ACT_FINISH:
		finish(w, e, a);
		break;
	default:
		break;
	}
}

static const char *state_name(const struct sc_end *e)
{
	return e->source ? mig_source_state_name(e->core.src.state) : mig_target_state_name(e->core.tgt.state);
}

void sc_end_feed(struct sc *w, struct sc_end *e, struct mig_event *ev)
{
	struct mig_actions acts;
	uint32_t use = e->use, state = e->source ? e->core.src.state : e->core.tgt.state;
	size_t done = 0, ambush;

	if (e->telling || (e->source && e->ended))
		return;
	ev->now_ns = sc_clock(w, &w->node[e->node]);
	if (e->source)
		mig_source_step(&e->core.src, ev, &acts);
	else
		mig_target_step(&e->core.tgt, ev, &acts);
	ambush = SIZE_MAX;
	if (state != (e->source ? (uint32_t)e->core.src.state : (uint32_t)e->core.tgt.state))
		ambush = sc_rnd(w, acts.n + 1);
	for (;; done++) {
		if (done == ambush)
			sc_ambush_migration(w, e->node, e->peer, e->dom, state_name(e));
		if (done == acts.n || !e->used || e->use != use)
			break; /* its daemon may be dead by now */
		act(w, e, &acts.a[done]);
	}
	if (e->used && e->use == use)
		set_tick(w, e);
}

/* What they wait for ---------------------------------------------------------------------------------------------------- */

/* Pages flow while both hear one another and the target takes them. */
static bool flows(struct sc *w, const struct sc_end *e)
{
	const struct sc_end *o;

	if (!w->node[e->peer].mig_up || !sc_linked(w, e->node, e->peer))
		return false;
	o = sc_end_find(w, !e->source, e->peer, e->node, e->session);
	return o && !o->ended && (o->source || o->core.tgt.state == MIG_TGT_RECEIVE);
}

static void data_comes(struct sc *w, struct sc_end *e, struct sc_mev *m)
{
	/* the target has all that was sent, or waits till its source falls silent */
	if (!e->source || flows(w, e)) {
		e->stall_ns = 0;
		sc_end_feed(w, e, &m->ev);
		return;
	}
	if (!e->stall_ns)
		e->stall_ns = w->now;
	if (w->now < e->stall_ns + STALL_NS) {
		sc_mev_to(w, e, SC_MEV_DATA, FLOW_NS)->ev = m->ev;
		return;
	}
	m->ev = (struct mig_event){ .kind = MIG_EV_PASS_FAILED };
	sc_end_feed(w, e, &m->ev);
}

/* An older session of the domain: one of the same source is one that it gave up. True: one is in the way. */
static bool older_session(struct sc *w, const struct sc_end *e)
{
	for (uint32_t i = 0; i < w->ends; i++) {
		struct sc_end *k = &w->mig[i];
		struct mig_event ev = {
			.kind = MIG_EV_MSG,
			.msg = { .kind = MIG_MSG_ABORT, .reason = MIG_REASON_DAEMON, .check_lease = true }
		};
		if (k == e || !k->used || k->source || k->node != e->node || k->dom != e->dom || k->ended ||
		    k->core.tgt.state >= MIG_TGT_RUNNING)
			continue;
		if (k->peer == e->peer)
			sc_end_feed(w, k, &ev);
		if (k->used && !k->ended)
			return true;
	}
	return false;
}

static void preflight(struct sc *w, struct sc_end *e)
{
	struct sc_copy *c = sc_copy(w, e->node, e->dom);
	uint32_t use = e->use;
	bool busy = older_session(w, e) || !c->marked || w->node[e->node].leave >= SC_LEAVES_ENDING;

	if (!e->used || e->use != use)
		return;
	if (busy && e->preflights++ < PREFLIGHTS) {
		sc_mev_to(w, e, SC_MEV_PREFLIGHT, PREFLIGHT_NS);
		return;
	}
	core_event(w, e, MIG_EV_PREFLIGHT, 0)->reason = busy || c->state != HV_NONE ? MIG_REASON_REFUSED
	                                                                            : MIG_REASON_NONE;
}

static void spawn(struct sc *w, struct sc_end *e)
{
	bool ok = sc_copy(w, e->node, e->dom)->state == HV_NONE && !w->node[e->node].bad && !sc_chance(w, 1);

	if (e->core.tgt.state != MIG_TGT_SPAWN)
		return;
	if (ok) {
		sc_set_copy(w, e->node, e->dom, HV_INCOMING, 0);
		sc_hv_open(w, e);
		sc_copy(w, e->node, e->dom)->conn = e->conn;
	}
	core_event(w, e, MIG_EV_SPAWNED, 0)->reason = ok ? MIG_REASON_NONE : MIG_REASON_TARGET_HVDOM;
	settle(w, e->node);
}

static void tick(struct sc *w, struct sc_end *e)
{
	struct mig_event ev = { .kind = MIG_EV_TICK };

	if (!e->tick_at || w->now < e->tick_at) /* it may be late: the machine stood still */
		return;
	e->tick_at = 0;
	if (deadline(e) <= sc_clock(w, &w->node[e->node]))
		sc_end_feed(w, e, &ev);
	else
		set_tick(w, e);
}

static void end_event(struct sc *w, struct sc_end *e, struct sc_mev *m)
{
	switch (m->kind) {
	case SC_MEV_ANSWER:
		sc_hv_answered(w, m);
		break;
	case SC_MEV_CORE:
		sc_end_feed(w, e, &m->ev);
		break;
	case SC_MEV_DATA:
		data_comes(w, e, m);
		break;
	case SC_MEV_TICK:
		tick(w, e);
		break;
	case SC_MEV_PREFLIGHT:
		preflight(w, e);
		break;
	case SC_MEV_SPAWN:
		spawn(w, e);
		break;
	case SC_MEV_END:
		if (e->source)
			source_ends(w, e);
		else
			sc_end_free(w, e);
		break;
	case SC_MEV_TELL:
		sc_link_tell(w, e);
		break;
	default:
		break;
	}
}

void sc_mig_event(struct sc *w, uint32_t i)
{
	struct sc_mev m = w->mev[i];
	struct sc_end *e = &w->mig[m.end];

	w->mev[i].next = w->mev_free;
	w->mev_free = i;
	if (m.kind == SC_MEV_MSG)
		sc_link_arrives(w, &m);
	else if (m.kind == SC_MEV_CALL)
		sc_hv_read(w, &m);
	else if (m.kind == SC_MEV_RECOVER)
		sc_mig_recover(w, &m);
	else if (m.kind == SC_MEV_DURABLE)
		sc_journal_durable(w, &m);
	else if (m.kind == SC_MEV_CLOSE)
		sc_hv_closed(w, &m);
	else if (m.kind == SC_MEV_PARK)
		sc_hv_park(w, &m);
	else if (m.kind == SC_MEV_PARKED)
		sc_park_answered(w, &m);
	else if (m.kind == SC_MEV_UNPARK)
		sc_hv_unpark(w, &m);
	else if (e->used && e->use == m.use)
		end_event(w, e, &m);
}

/* Orders --------------------------------------------------------------------------------------------------------------- */

static struct sc_end *push_of(struct sc *w, uint32_t node, uint32_t dom)
{
	for (uint32_t i = 0; i < w->ends; i++) {
		struct sc_end *e = &w->mig[i];
		if (e->used && e->source && e->node == node && e->dom == dom && !e->ended && !e->telling)
			return e;
	}
	return NULL;
}

uint32_t sc_push(struct sc *w, uint32_t node, uint32_t dom, uint32_t target)
{
	const struct sc_copy *c = sc_copy(w, node, dom);
	struct mig_source_config cfg = { .generation = c->generation,
		                         .ctl = { .downtime_ns = 50 * MS,
		                                  .downtime_max_ns = 2 * S,
		                                  .overhead_ns = 25 * MS,
		                                  .rate_guess_bps = 1u << 29,
		                                  .rounds_max = 60 } };
	struct sc_end *e;

	if (push_of(w, node, dom) || c->state != HV_RUN || sc_journal_half_called_off(w, node, dom))
		return 0;
	e = sc_end_new(w, true, node, target, dom, ++w->session);
	if (!e)
		return 0;
	sc_hv_open(w, e);
	mig_source_init(&e->core.src, &cfg);
	w->dom[dom].moves++;
	sc_trace(w, "%c pushes %s to %c", sc_letter(node), w->dom[dom].name, sc_letter(target));
	core_event(w, e, MIG_EV_START, 0);
	return e->use;
}

bool sc_mig_busy(const struct sc *w, uint32_t node, uint32_t dom)
{
	for (uint32_t i = 0; i < w->ends; i++)
		if (w->mig[i].used && w->mig[i].node == node && w->mig[i].dom == dom && !w->mig[i].ended &&
		    !w->mig[i].telling)
			return true;
	return w->node[node].recovering > 0;
}

void sc_mig_resolve(struct sc *w, uint32_t node, uint32_t dom)
{
	struct sc_copy *c = sc_copy(w, node, dom);
	struct sc_end *e = push_of(w, node, dom);

	if (e && (e->core.src.state == MIG_SRC_DOUBT || e->core.src.state == MIG_SRC_GO)) {
		core_event(w, e, MIG_EV_OPERATOR, 0)->op_local = true;
		return;
	}
	for (uint32_t i = 0; i < w->ends; i++) {
		e = &w->mig[i];
		if (e->used && !e->source && e->node == node && e->dom == dom && !e->ended) {
			core_event(w, e, MIG_EV_OPERATOR, 0)->op_local = true;
			return;
		}
	}
	if (c->state != HV_GIVEN || push_of(w, node, dom))
		return;
	/* one that no session looks after: migrated/io/orphan.c */
	uint64_t g = sc_lease_generation(w, node, dom);
	if (w->dom[dom].shared && w->dom[dom].locked != NOHOST && w->dom[dom].locked != node)
		return;
	g = (g > c->generation ? g : c->generation) + 1;
	sc_take(w, node, dom, g);
	sc_set_copy(w, node, dom, HV_RUN, g);
}

/* Life ----------------------------------------------------------------------------------------------------------------- */

void sc_mig_copy_gone(struct sc *w, uint32_t node, uint32_t dom)
{
	for (uint32_t i = 0; i < w->ends; i++) {
		struct sc_end *e = &w->mig[i];
		if (!e->used || e->node != node || e->dom != dom || !e->conn)
			continue;
		struct mig_event *ev = core_event(w, e, MIG_EV_HV_LOST, MS / 10);
		ev->hv.status = e->unread ? -1 : 0;
		e->conn = e->unread = e->unanswered = 0;
	}
}

void sc_mig_die(struct sc *w, uint32_t node)
{
	w->node[node].mig_up = false;
	w->node[node].mig_life++;
	w->node[node].recovering = 0;
	sc_journal_die(w, node);
	for (uint32_t i = 0; i < w->ends; i++) {
		struct sc_end *e = &w->mig[i];
		if (e->used && e->peer == node && w->node[node].power && sc_linked(w, node, e->node) &&
		    sc_chance(w, 50))
			core_event(w, e, MIG_EV_LINK_DOWN, MS + sc_rnd(w, 20 * MS));
		if (!e->used || e->node != node)
			continue;
		if (e->source && w->node[node].power)
			sc_move_ended(w, node, e->dom, e->use, false, false);
		sc_hv_close(w, e);
		e->used = false;
	}
}

void sc_mig_reset(struct sc *w)
{
	if (!w->mig)
		w->mig = calloc(ENDS, sizeof(*w->mig));
	w->ends = w->uses = w->conns = 0;
	w->mev_n = w->mev_free = 0;
	w->session = 0;
	for (uint32_t i = 0; i < w->opt.nodes; i++)
		w->node[i].journal_n = w->node[i].mig_life = w->node[i].recovering = 0;
}
