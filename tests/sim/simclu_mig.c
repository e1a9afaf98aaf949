/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Migrations in two phases as docs/wire/migration.md has them, states as in migrated/core, both ends in one record: what one end cannot
 * know it asks only while both migrateds live and hear one another. Rounds, pages and hypercalls are simmig's business.
 */
#include "config.h"
#include "tests/sim/simclu.h"

#include <string.h>

#define SILENCE_NS    (5 * S)
#define PEER_LEASE_NS (10 * S)
#define STEP_NS       (300 * MS)

static struct sc_copy *src(struct sc *w, const struct sc_mig *m)
{
	return sc_copy(w, m->src, m->dom);
}

static struct sc_copy *tgt(struct sc *w, const struct sc_mig *m)
{
	return sc_copy(w, m->tgt, m->dom);
}

static bool src_has(struct sc *w, const struct sc_mig *m)
{
	return src(w, m)->session == m->id && src(w, m)->state != HV_NONE;
}

static bool tgt_has(struct sc *w, const struct sc_mig *m)
{
	return tgt(w, m)->session == m->id && tgt(w, m)->state != HV_NONE;
}

static void again(struct sc *w, const struct sc_mig *m, uint64_t in_ns)
{
	sc_at(w, w->now + in_ns, SC_EV_MIG, 0, m->id, 0);
}

static void touch(struct sc *w, uint32_t node)
{
	w->node[node].touched = true;
}

uint32_t sc_push(struct sc *w, uint32_t from, uint32_t dom, uint32_t to)
{
	struct sc_mig *m = NULL;

	for (uint32_t i = 1; i < SC_DOMS && !m; i++)
		if (w->mig[i].state == MG_FREE)
			m = &w->mig[i];
	if (!m)
		return 0;
	uint32_t slot = (uint32_t)(m - w->mig);
	*m = (struct sc_mig){ .state = MG_OFFER,
		              .id = slot,
		              .dom = dom,
		              .src = from,
		              .tgt = to,
		              .src_life = w->node[from].mig_life,
		              .tgt_life = w->node[to].mig_life,
		              .generation = sc_copy(w, from, dom)->generation,
		              .heard_ns = w->now };
	sc_copy(w, from, dom)->session = m->id;
	w->dom[dom].moves++;
	sc_trace(w, "%c pushes %s to %c", sc_letter(from), w->dom[dom].name, sc_letter(to));
	again(w, m, 20 * MS + sc_rnd(w, 300 * MS));
	return m->id;
}

/* One end is done with it. */
static void leave_src(struct sc *w, struct sc_mig *m)
{
	if (src(w, m)->session == m->id)
		src(w, m)->session = 0;
	touch(w, m->src);
}

static void end(struct sc *w, struct sc_mig *m)
{
	leave_src(w, m);
	if (tgt(w, m)->session == m->id)
		tgt(w, m)->session = 0;
	touch(w, m->tgt);
	m->state = MG_FREE;
}

/* Does clusterd at the target expect it? */
static bool accepted(struct sc *w, const struct sc_mig *m)
{
	struct sc_node *n = &w->node[m->tgt];
	const struct clu_dom *d = clu_dom_of(n->s, w->dom[m->dom].uuid);

	return sc_node_acts(n) && d && d->rev <= n->n->commit && clu_todo(d, n->id) == CLU_TODO_ACCEPT &&
	       d->generation == m->generation && sc_lease_left(w, m->tgt) && tgt(w, m)->state == HV_NONE;
}

/* hvdom at the source goes on by itself, or migrated lets it. */
static void resume_src(struct sc *w, struct sc_mig *m)
{
	if (src_has(w, m) && src(w, m)->state == HV_SUSPENDED)
		sc_set_copy(w, m->src, m->dom, HV_RUN, src(w, m)->generation);
}

static void discard_tgt(struct sc *w, struct sc_mig *m)
{
	if (!m->taken_rec)
		m->gone_rec = true;
	if (tgt_has(w, m) && !m->taken_rec)
		sc_kill_copy(w, m->tgt, m->dom, "the migration is over");
}

static void take(struct sc *w, struct sc_mig *m)
{
	struct sc_dom *d = &w->dom[m->dom];

	if (d->shared && d->locked != NOHOST && d->locked != m->tgt) {
		discard_tgt(w, m);
		return;
	}
	if (!sc_lease_left(w, m->tgt))
		return;
	m->taken_rec = true;
	sc_take(w, m->tgt, m->dom, m->generation + 1);
	tgt(w, m)->session = 0;
	sc_set_copy(w, m->tgt, m->dom, HV_RUN, m->generation + 1);
	touch(w, m->tgt);
}

static void relinquish(struct sc *w, struct sc_mig *m)
{
	struct sc_dom *d = &w->dom[m->dom];

	m->given_rec = true;
	*sc_local(w, m->src, m->dom) = (struct sc_local){ .generation = m->generation + 1, .owner = m->tgt };
	if (d->shared) {
		d->lease_generation = m->generation + 1;
		d->lease_owner = m->tgt;
		d->lease_taken = false;
	}
	sc_set_copy(w, m->src, m->dom, HV_GIVEN, m->generation);
}

/* What the source's migrated does in doubt, when it can ask. */
static void ask(struct sc *w, struct sc_mig *m)
{
	if (m->taken_rec) { /* runs there, or ended there */
		if (src_has(w, m))
			sc_set_copy(w, m->src, m->dom, HV_NONE, 0);
		end(w, m);
	} else if (!m->gone_rec && tgt_has(w, m) && tgt(w, m)->state == HV_READY) {
		take(w, m); /* Go, again */
		again(w, m, STEP_NS);
	} else {
		m->gone_rec = true;
		if (src_has(w, m) && sc_lease_left(w, m->src)) {
			sc_take(w, m->src, m->dom, m->generation + 2);
			sc_set_copy(w, m->src, m->dom, HV_RUN, m->generation + 2);
			end(w, m);
		} else if (!src_has(w, m)) {
			end(w, m);
		} else {
			again(w, m, STEP_NS);
		}
	}
}

/* The target alone, its link dead: the lease may tell. */
static void look_at_lease(struct sc *w, struct sc_mig *m)
{
	struct sc_dom *d = &w->dom[m->dom];

	if (!tgt_has(w, m) || tgt(w, m)->state != HV_READY || !w->node[m->tgt].mig_up)
		return;
	if (sc_planted(w, "generation-ignored"))
		take(w, m);
	if (!d->shared)
		return;
	if (d->lease_owner == m->tgt && d->lease_generation == m->generation + 1)
		take(w, m);
	else if (d->lease_owner == m->src && d->lease_generation == m->generation) {
		if (!m->lease_ns)
			m->lease_ns = w->now;
		else if (w->now > m->lease_ns + PEER_LEASE_NS)
			discard_tgt(w, m);
	}
}

/* A migrated died: what belongs to its session ends with it. */
static void lives(struct sc *w, struct sc_mig *m)
{
	if (w->node[m->src].mig_life != m->src_life) {
		m->src_life = w->node[m->src].mig_life;
		resume_src(w, m);
		if (!m->given_rec)
			m->state = MG_ABORTING;
	}
	if (w->node[m->tgt].mig_life != m->tgt_life) {
		m->tgt_life = w->node[m->tgt].mig_life;
		if (tgt_has(w, m) && !m->taken_rec)
			sc_kill_copy(w, m->tgt, m->dom, "its migrated died");
	}
}

static void abort_push(struct sc *w, struct sc_mig *m)
{
	m->state = MG_ABORTING;
	resume_src(w, m);
	if (src(w, m)->session == m->id)
		src(w, m)->session = 0; /* MOVE_FAILED */
	touch(w, m->src);
	again(w, m, STEP_NS);
}

/* Before the point of no return. */
static void forward(struct sc *w, struct sc_mig *m)
{
	switch (m->state) {
	case MG_OFFER:
		if (!accepted(w, m)) {
			if (w->now > m->heard_ns + 3 * S)
				abort_push(w, m);
			else
				again(w, m, STEP_NS);
			return;
		}
		sc_set_copy(w, m->tgt, m->dom, HV_INCOMING, m->generation + 1);
		tgt(w, m)->session = m->id;
		m->state = MG_ROUNDS;
		again(w, m, 200 * MS + sc_rnd(w, 6 * S));
		return;
	case MG_ROUNDS:
		if (!tgt_has(w, m) || src(w, m)->state != HV_RUN) {
			abort_push(w, m);
			return;
		}
		sc_set_copy(w, m->src, m->dom, HV_SUSPENDED, m->generation);
		m->state = MG_SWITCH;
		again(w, m, 20 * MS + sc_rnd(w, 200 * MS));
		return;
	case MG_SWITCH:
		if (!tgt_has(w, m)) {
			abort_push(w, m);
			return;
		}
		tgt(w, m)->memory = src(w, m)->memory;
		sc_set_copy(w, m->tgt, m->dom, HV_READY, m->generation + 1);
		m->ready_rec = true;
		m->state = MG_RELINQUISH;
		again(w, m, 5 * MS + sc_rnd(w, 50 * MS));
		return;
	case MG_RELINQUISH:
		if (sc_planted(w, "no-relinquish"))
			resume_src(w, m);
		else
			relinquish(w, m);
		m->given_rec = true;
		m->state = MG_GO;
		again(w, m, 1 * MS + sc_rnd(w, 20 * MS));
		return;
	default:
		return;
	}
}

void sc_mig_step(struct sc *w, uint32_t session)
{
	struct sc_mig *m = &w->mig[session];
	bool both;

	if (m->state == MG_FREE)
		return;
	sc_ambush_migration(w, m);
	lives(w, m);
	both = w->node[m->src].mig_up && w->node[m->tgt].mig_up && sc_linked(w, m->src, m->tgt);
	if (both)
		m->heard_ns = w->now;
	if (m->state < MG_GO) {
		if (!src_has(w, m))
			m->state = MG_ABORTING; /* its hvdom died */
		else if (!both && w->now > m->heard_ns + SILENCE_NS) {
			abort_push(w, m);
			return;
		} else if (!both) {
			again(w, m, STEP_NS);
			return;
		} else if (m->state != MG_ABORTING) {
			forward(w, m);
			return;
		}
	}
	if (m->state == MG_ABORTING) {
		if (src(w, m)->session == m->id && src(w, m)->state != HV_GIVEN) {
			resume_src(w, m);
			src(w, m)->session = 0;
			touch(w, m->src);
		}
		if (tgt_has(w, m) && tgt(w, m)->state == HV_INCOMING && w->now > m->heard_ns + SILENCE_NS)
			discard_tgt(w, m);
		if (both)
			discard_tgt(w, m);
		else
			look_at_lease(w, m);
		if (!tgt_has(w, m) || m->gone_rec || m->taken_rec)
			end(w, m);
		else
			again(w, m, STEP_NS);
		return;
	}
	if (both) {
		ask(w, m);
		return;
	}
	look_at_lease(w, m);
	if (!src_has(w, m) && (m->taken_rec || !tgt_has(w, m)))
		end(w, m); /* nothing is left of it that could change */
	else
		again(w, m, STEP_NS);
}

void sc_mig_drop(struct sc *w, uint32_t node, uint32_t dom)
{
	struct sc_copy *c = sc_copy(w, node, dom);
	struct sc_mig *m = c->session ? &w->mig[c->session] : NULL;

	c->session = 0;
	if (!m || m->state == MG_FREE)
		return;
	if (node == m->tgt && !m->taken_rec)
		m->gone_rec = true; /* written before anything else happens to the copy */
	if (!src_has(w, m) && !tgt_has(w, m))
		m->state = MG_FREE;
}
