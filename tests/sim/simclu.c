/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Clock, queue and story of the cluster simulation: see simclu.h. Memory is taken once; stories reuse it. */
#include "config.h"
#include "tests/sim/simclu.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLE_NS (5 * S)
#define CALM_NS   (20 * S)

uint64_t sc_rnd(struct sc *w, uint64_t below)
{
	w->rng ^= w->rng << 13;
	w->rng ^= w->rng >> 7;
	w->rng ^= w->rng << 17;
	return below ? (w->rng >> 11) % below : 0;
}

bool sc_chance(struct sc *w, uint32_t percent)
{
	return sc_rnd(w, 100) < percent;
}

bool sc_planted(const struct sc *w, const char *bug)
{
	return w->opt.plant && !strcmp(w->opt.plant, bug);
}

char sc_letter(uint32_t node)
{
	return node < 26 ? (char)('A' + node) : node < 52 ? (char)('a' + node - 26) : '#';
}

void sc_trace(struct sc *w, const char *fmt, ...)
{
	va_list ap;

	if (!w->opt.trace)
		return;
	fprintf(w->opt.trace, "%10.4f s  ", (double)w->now / 1e9);
	va_start(ap, fmt);
	vfprintf(w->opt.trace, fmt, ap);
	va_end(ap);
	fputc('\n', w->opt.trace);
}

void sc_violation(struct sc *w, const char *fmt, ...)
{
	va_list ap;

	if (w->violation[0])
		return;
	int k = snprintf(w->violation, sizeof(w->violation), "%.4f s: ", (double)w->now / 1e9);
	va_start(ap, fmt);
	vsnprintf(w->violation + k, sizeof(w->violation) - (size_t)k, fmt, ap);
	va_end(ap);
	sc_trace(w, "VIOLATION %s", w->violation);
}

uint64_t sc_when(const struct sc *w, const struct sc_node *n, uint64_t clock)
{
	uint64_t now = sc_clock(w, n);

	return clock <= now ? w->now : w->now + (uint64_t)((double)(clock - now) / n->rate) + 1;
}

uint32_t sc_dom_by(const struct sc *w, const char *uuid)
{
	uint32_t d = 0;

	for (unsigned i = 32; i < 36; i++) /* the last four digits: see reset() */
		d = d * 10 + (uint32_t)(uuid[i] - '0');
	return d < w->opt.doms ? d : SC_DOMS;
}

/* Queue: a heap by time, then by order of arrival ---------------------------------------------------------------------------- */

static bool before(const struct sc_ev *a, const struct sc_ev *b)
{
	return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void push(struct sc *w, struct sc_ev e)
{
	uint32_t i;

	e.order = w->order++;
	if (w->qn == w->qcap) {
		w->qcap = w->qcap ? w->qcap * 2 : 4096;
		w->q = realloc(w->q, w->qcap * sizeof(*w->q));
	}
	for (i = w->qn++; i && before(&e, &w->q[(i - 1) / 4]); i = (i - 1) / 4)
		w->q[i] = w->q[(i - 1) / 4];
	w->q[i] = e;
}

void sc_at(struct sc *w, uint64_t at, enum sc_ev_kind kind, uint32_t node, uint32_t arg, uint64_t val)
{
	struct sc_ev e = { .at = at, .kind = kind, .node = node, .life = w->node[node].life, .arg = arg, .val = val };

	push(w, e);
}

static bool pop(struct sc *w, struct sc_ev *ret)
{
	if (!w->qn)
		return false;
	*ret = w->q[0];
	struct sc_ev e = w->q[--w->qn];
	uint32_t i = 0;
	for (;;) {
		uint32_t best = 4 * i + 1, most = best + 4 < w->qn ? best + 4 : w->qn;
		for (uint32_t k = best + 1; k < most; k++)
			if (before(&w->q[k], &w->q[best]))
				best = k;
		if (best >= w->qn || before(&e, &w->q[best]))
			break;
		w->q[i] = w->q[best];
		i = best;
	}
	w->q[i] = e;
	return true;
}

/* Set-up ---------------------------------------------------------------------------------------------------------------- */

static struct clu_state *new_state(uint32_t doms)
{
	struct clu_state *s = calloc(1, sizeof(*s));

	clu_state_init(s, calloc(doms + 8, sizeof(struct clu_dom)), doms + 8);
	return s;
}

void sc_alloc(struct sc *w, uint32_t nodes, uint32_t doms)
{
	w->nodes_max = nodes;
	w->opt.nodes = nodes;
	w->opt.doms = doms;
	w->node = calloc(nodes, sizeof(*w->node));
	w->copy = calloc((size_t)nodes * doms, sizeof(*w->copy));
	w->local = calloc((size_t)nodes * doms, sizeof(*w->local));
	w->dom = calloc(doms, sizeof(*w->dom));
	w->ldom = calloc((size_t)nodes * doms, sizeof(*w->ldom));
	w->link = calloc(nodes, nodes);
	w->history = calloc((size_t)nodes * SC_HISTORY, sizeof(*w->history));
	w->committed = calloc(SC_HISTORY, sizeof(*w->committed));
	w->acts = calloc(1, sizeof(*w->acts));
	w->proposals = calloc(1, sizeof(*w->proposals));
	w->scratch = new_state(doms);
	for (uint32_t i = 0; i < nodes; i++) {
		struct sc_node *n = &w->node[i];
		n->n = calloc(1, sizeof(*n->n));
		n->s = new_state(doms);
		n->disk = new_state(doms);
		n->write_all = new_state(doms);
		n->write = calloc(1, sizeof(*n->write));
		n->member = calloc(nodes, sizeof(*n->member));
	}
}

static void reset_node(struct sc *w, uint32_t i)
{
	struct sc_node *n = &w->node[i];

	sc_cpg_clear(w, i);
	for (uint32_t k = 0; k < n->kept_n; k++)
		sc_msg_put(w, n->kept[k]);
	n->kept_n = 0;
	n->up = n->joined = n->slow = n->slow_disk = false;
	n->writing = n->writing_load = false;
	n->stalled = 0;
	n->power = n->guard_up = n->mig_up = true;
	n->guard_ends = false;
	n->frozen = n->thawed = 0;
	n->leave = SC_STAYS;
	n->bad = n->apart = false;
	n->guard_until = n->guard_at = n->guard_park = n->guard_grace = n->park_for = 0;
	n->life = 0;
	n->upgraded = false;
	n->summed_index = n->summed_life = n->summed_loads = n->loads = 0;
	n->ring = 1;
	n->rate = 0.995 + 0.010 * (double)sc_rnd(w, 1001) / 1000.0;
	n->offset = 30 * S + sc_rnd(w, 1000 * S);
	n->clocks = w->clocks ? (enum sc_clocks)sc_rnd(w, 3) : SC_CLOCKS_RUN;
	n->guard_tick = n->guard_saw = 0;
	if (n->s->host[0].node)
		clu_state_clear(n->s);
	n->s->promised = 0;
	memset(n->s->host, 0, sizeof(n->s->host));
	memset(n->write_all->host, 0, sizeof(n->write_all->host));
	n->write_all->n_dom = w->opt.doms;
	n->lease_ends = 0;
	memset(&n->reach, 0, sizeof(n->reach));
	sc_node_init(w, i);
	if (sc_planted(w, "no-margin"))
		n->disk->policy.margin_ns = 0;
	if (w->parks)
		n->disk->policy.no_quorum = CLU_NO_QUORUM_SUSPEND;
	n->disk->sum = clu_sum(n->disk);
}

static void reset(struct sc *w, const struct sc_options *opt)
{
	w->opt = *opt;
	w->rng = (opt->seed + 1) * 0x9e3779b97f4a7c15ull;
	for (unsigned i = 0; i < 4; i++)
		sc_rnd(w, 2);
	w->now = S;
	w->qn = 0;
	w->order = w->seq = w->events = w->deliveries = w->committed_max = w->epoch_max = 0;
	w->rings = 1;
	w->ambush_ns = 20 * S;
	w->reform_due = w->stopped = false;
	w->violation[0] = 0;
	w->end = w->now + opt->length_ns;
	w->quiet = w->end - opt->quiet_ns;
	memset(w->copy, 0, (size_t)opt->nodes * opt->doms * sizeof(*w->copy));
	memset(w->local, 0, (size_t)opt->nodes * opt->doms * sizeof(*w->local));
	memset(w->ldom, 0, (size_t)opt->nodes * opt->doms * sizeof(*w->ldom));
	sc_mig_reset(w);
	sc_pulse_reset(w);
	memset(w->link, 1, (size_t)opt->nodes * opt->nodes);
	memset(w->history, 0, (size_t)opt->nodes * SC_HISTORY * sizeof(*w->history));
	memset(w->committed, 0, SC_HISTORY * sizeof(*w->committed));
	for (uint32_t d = 0; d < opt->doms; d++) {
		w->dom[d] = (struct sc_dom){ .shared = sc_chance(w, 50), .locked = NOHOST, .lease_owner = NOHOST };
		snprintf(w->dom[d].uuid, CLU_UUID_MAX, "00000000-0000-4000-8000-%012u", d % 1000000);
		snprintf(w->dom[d].name, CLU_NAME_MAX, "guest-%u", d % 1000000);
	}
	w->parks = sc_chance(w, 40) || opt->apart;
	w->clocks = !opt->calm && sc_chance(w, 40);
	sc_list_reset(w);
	for (uint32_t i = 0; i < opt->nodes; i++)
		reset_node(w, i);
}

/* Story ------------------------------------------------------------------------------------------------------------------ */

static void clusterd_event(struct sc *w, const struct sc_ev *e)
{
	struct sc_node *n = &w->node[e->node];

	if (!n->up || e->life != n->life)
		return;
	switch (e->kind) {
	case SC_EV_INBOX:
		if (e->at == n->in_at || n->in_at == NEVER)
			sc_cpg_inbox(w, e->node);
		break;
	case SC_EV_TICK:
		if (e->at == n->tick_at)
			sc_node_tick(w, e->node);
		break;
	case SC_EV_HOUSE:
		sc_node_house(w, e->node);
		sc_at(w, w->now + S, SC_EV_HOUSE, e->node, 0, 0);
		break;
	case SC_EV_STORED:
		sc_node_stored(w, e->node, e->val);
		break;
	case SC_EV_FLUSH:
		sc_cpg_flush(w, e->node);
		break;
	default:
		break;
	}
}

/* What a machine that stands still would do, it does when it goes on. */
static bool waits(struct sc *w, const struct sc_ev *e)
{
	uint32_t node = sc_ev_node(w, e);
	struct sc_node *n;
	struct sc_ev later = *e;

	if (node == NOHOST || !sc_frozen(w, node))
		return false;
	n = &w->node[node];
	/* what is asked of one process stays in its order */
	later.at = n->frozen + (e->kind == SC_EV_MIG ? 5 * MS : sc_rnd(w, 10 * MS));
	if (e->kind == SC_EV_INBOX && n->in_at == e->at)
		n->in_at = later.at;
	if (e->kind == SC_EV_TICK && n->tick_at == e->at)
		n->tick_at = later.at;
	if (e->kind == SC_EV_GUARD && n->guard_at == e->at)
		n->guard_at = later.at;
	push(w, later);
	return true;
}

static void one(struct sc *w, const struct sc_ev *e)
{
	if (waits(w, e))
		return;
	switch ((enum sc_ev_kind)e->kind) {
	case SC_EV_REFORM:
		sc_cpg_reform(w);
		break;
	case SC_EV_THAW:
		if (w->node[e->node].frozen == e->at)
			sc_thaw(w, e->node);
		break;
	case SC_EV_GUARD:
		sc_guard(w, e->node);
		break;
	case SC_EV_HV:
		sc_hv_done(w, e->node, e->arg, (uint32_t)e->val);
		break;
	case SC_EV_MIG:
		sc_mig_event(w, e->arg);
		break;
	case SC_EV_PULSE:
		sc_pulse_comes(w, e);
		break;
	case SC_EV_FAULT:
		sc_fault(w, e);
		break;
	case SC_EV_HEAL:
		sc_heal(w, e);
		break;
	case SC_EV_ADMIN:
		sc_admin(w);
		break;
	case SC_EV_FENCED:
		sc_fenced(w, e);
		break;
	case SC_EV_RESTART:
		sc_restart(w, e);
		break;
	case SC_EV_UNLOCK:
		if (sc_copy(w, e->node, e->arg)->state == HV_NONE)
			sc_unlock(w, e->node, e->arg);
		break;
	case SC_EV_STUCK:
		if (e->arg)
			sc_check_stuck(w, e->node);
		else
			sc_stuck(w, e->node);
		break;
	case SC_EV_BAD:
		sc_bad_step(w, e->arg);
		break;
	case SC_EV_APART:
		sc_apart_step(w, e->node, e->arg);
		break;
	case SC_EV_WITNESS:
		sc_witness_event(w, e);
		break;
	case SC_EV_LIST:
		sc_list_event(w, e);
		break;
	case SC_EV_LEAVE:
		sc_leave_event(w, e);
		break;
	case SC_EV_PAIR:
		sc_pair(w, e->node, e->arg);
		break;
	case SC_EV_SAMPLE:
		sc_check_views(w);
		sc_at(w, w->now + SAMPLE_NS, SC_EV_SAMPLE, 0, 0, 0);
		break;
	default:
		clusterd_event(w, e);
	}
}

void sc_undo_maintenance(struct sc *w)
{
	for (uint32_t i = 0; i < w->opt.nodes; i++) {
		struct clu_cmd c = { .kind = CLU_CMD_MAINTENANCE, .host = w->node[i].id };
		sc_submit(w, i, &c);
	}
	for (uint32_t i = 0; i < w->opt.nodes; i++) {
		struct clu_cmd c = { .kind = CLU_CMD_DISARM };
		sc_submit(w, i, &c);
	}
}

bool sc_run(struct sc *w, const struct sc_options *opt)
{
	struct sc_ev e;
	unsigned undone = 0;
	bool calm = false;

	assert(w->node && opt->nodes <= w->nodes_max && opt->doms == w->opt.doms);
	reset(w, opt);
	sc_adversary_init(w);
	for (uint32_t i = 0; i < opt->nodes; i++)
		sc_node_start(w, i);
	sc_at(w, w->now + SAMPLE_NS, SC_EV_SAMPLE, 0, 0, 0);
	sc_bad_begin(w);
	sc_witness_begin(w);
	sc_apart_begin(w);
	if (opt->pair) {
		sc_at(w, w->now + 60 * S, SC_EV_PAIR, (uint32_t)opt->seed % opt->nodes, 0, 0);
		sc_at(w, w->now + 140 * S, SC_EV_PAIR, (uint32_t)opt->seed % opt->nodes, 1, 0);
	}
	if (opt->stuck) {
		uint32_t victim = (uint32_t)opt->seed % opt->nodes;
		sc_at(w, w->now + 60 * S, SC_EV_STUCK, victim, 0, 0);
		sc_at(w, w->now + 120 * S, SC_EV_STUCK, victim, 1, 0);
	}
	while (!w->violation[0] && pop(w, &e) && e.at < w->end) {
		w->now = e.at;
		w->events++;
		if (!w->stopped && w->now >= w->quiet)
			sc_stop_faults(w);
		/* and again: nothing is decided while the last view has not formed */
		if (undone < 2 && w->now >= w->quiet + (15 + 45 * undone) * S) {
			undone++;
			sc_undo_maintenance(w);
		}
		if (!calm && w->now >= w->end - CALM_NS) {
			calm = true;
			sc_check_calm(w);
		}
		one(w, &e);
	}
	if (!w->violation[0]) {
		w->now = w->end;
		sc_check_views(w);
		sc_check_end(w);
	}
	return !w->violation[0];
}
