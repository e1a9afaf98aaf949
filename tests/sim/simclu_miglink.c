/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Between two migrateds: messages that get lost, late or doubled; what a migrated answers for a session that nobody holds any more
 * (migrated/io/incoming.c); its journal, and what it makes of that when it starts.
 */
#include "config.h"
#include "tests/sim/simclu_mig.h"

#include <stdlib.h>
#include <string.h>

#define RETRY_NS (200 * MS)
#define RETRIES  50u
#define TELL_NS  (1 * S)

/* Journal --------------------------------------------------------------------------------------------------------------- */

static struct sc_journal *entry(const struct sc_node *n, uint64_t session)
{
	for (uint32_t i = 0; i < n->journal_n; i++)
		if (n->journal[i].session == session)
			return &n->journal[i];
	return NULL;
}

/* What is answered from: durable, and not forgotten. */
static struct sc_journal *record(const struct sc_node *n, uint64_t session)
{
	struct sc_journal *j = entry(n, session);

	return j && j->rec && !j->gone ? j : NULL;
}

void sc_journal_write(struct sc *w, const struct sc_end *e, enum mig_record rec)
{
	struct sc_node *n = &w->node[e->node];
	struct sc_journal *j = entry(n, e->session);

	if (!j && n->journal_n == n->journal_cap) {
		n->journal_cap = n->journal_cap ? 2 * n->journal_cap : 32;
		n->journal = realloc(n->journal, n->journal_cap * sizeof(*n->journal));
	}
	if (!j) {
		j = &n->journal[n->journal_n++];
		*j = (struct sc_journal){ .session = e->session };
	}
	if (j->next)
		j->rec = j->next; /* records are written in order */
	j->generation = e->source ? e->core.src.generation_new : e->core.tgt.generation;
	j->dom = e->dom;
	j->peer = e->peer;
	j->next = rec;
	struct sc_mev *m = sc_mev_to(w, e, SC_MEV_DURABLE, MS / 10 + sc_rnd(w, n->slow_disk ? 1500 * MS : w->disk_ns));
	m->node = e->node;
	m->session = e->session;
	m->v0 = n->mig_life;
	m->ev = (struct mig_event){ .kind = MIG_EV_JOURNALED, .journal = { .rec = rec } };
}

static void again(struct sc *w, const struct sc_mev *m, uint64_t in_ns)
{
	struct sc_mev copy = *m, *to = sc_mev(w, SC_MEV_DURABLE, in_ns);

	copy.next = 0;
	*to = copy;
}

void sc_journal_durable(struct sc *w, struct sc_mev *m)
{
	struct sc_node *n = &w->node[m->node];
	struct sc_journal *j = entry(n, m->session);
	struct sc_end *e = &w->mig[m->end];

	if (!n->mig_up || m->v0 != n->mig_life || !j || j->next != m->ev.journal.rec)
		return;
	if (w->now < n->stalled) {
		again(w, m, 200 * MS);
		return;
	}
	if (sc_chance(w, 1))
		m->ev.journal.status = -5;
	if (m->ev.journal.status < 0 && j->next == MIG_REC_CALLED_OFF && !j->gone) {
		m->ev.journal.status = 0;
		again(w, m, TELL_NS); /* until it works: meanwhile the domain is not pushed */
		return;
	}
	if (!m->ev.journal.status)
		j->rec = j->next;
	j->next = 0;
	if (j->gone || !j->rec)
		*j = n->journal[--n->journal_n];
	if (e->used && e->use == m->use && !e->telling)
		sc_end_feed(w, e, &m->ev);
}

void sc_journal_forget(struct sc *w, uint32_t node, uint64_t session)
{
	struct sc_node *n = &w->node[node];
	struct sc_journal *j = entry(n, session);

	if (j && j->next)
		j->gone = true;
	else if (j)
		*j = n->journal[--n->journal_n];
}

void sc_journal_die(struct sc *w, uint32_t node)
{
	struct sc_node *n = &w->node[node];

	for (uint32_t i = 0; i < n->journal_n;) {
		struct sc_journal *j = &n->journal[i];
		bool gone = false;
		if (j->next && sc_chance(w, 50)) {
			j->rec = j->next;
			gone = j->gone && sc_chance(w, 50);
		}
		j->next = 0;
		j->gone = false;
		if (gone || !j->rec)
			*j = n->journal[--n->journal_n];
		else
			i++;
	}
}

bool sc_journal_half_called_off(const struct sc *w, uint32_t node, uint32_t dom)
{
	const struct sc_node *n = &w->node[node];

	for (uint32_t i = 0; i < n->journal_n; i++)
		if (n->journal[i].dom == dom && n->journal[i].next == MIG_REC_CALLED_OFF && !n->journal[i].gone)
			return true;
	return false;
}

/* Messages -------------------------------------------------------------------------------------------------------------- */

static void post(struct sc *w, const struct sc_mev *m, uint64_t in_ns)
{
	struct sc_mev copy = *m, *to = sc_mev(w, SC_MEV_MSG, in_ns);

	copy.next = 0;
	*to = copy;
}

/* Send @m at @at; now and then twice. */
static void send(struct sc *w, struct sc_mev *m, uint64_t at, const struct mig_msg *msg)
{
	m->kind = SC_MEV_MSG;
	m->ev = (struct mig_event){ .kind = MIG_EV_MSG, .msg = *msg };
	if (w->opt.trace && msg->kind != MIG_MSG_PING && msg->kind != MIG_MSG_PONG)
		sc_trace(w, "%c: %s to %c: %s%s%s", sc_letter(m->from), w->dom[m->dom].name, sc_letter(m->node),
		         mig_msg_name(msg->kind), msg->fate ? " " : "", msg->fate ? mig_fate_name(msg->fate) : "");
	post(w, m, at - w->now);
	if (!w->stopped && sc_chance(w, 2))
		post(w, m, at - w->now + sc_rnd(w, S));
}

static uint64_t flight(struct sc *w, uint32_t from, uint32_t to)
{
	bool slow = w->node[from].slow || w->node[to].slow;

	return MS / 20 + sc_rnd(w, slow ? 700 * MS : MS);
}

void sc_link_send(struct sc *w, struct sc_end *e, const struct mig_msg *msg)
{
	uint64_t at = w->now + flight(w, e->node, e->peer);
	struct sc_mev m = { .from = e->node,
		            .node = e->peer,
		            .dom = e->dom,
		            .session = e->session,
		            .memory = e->memory,
		            .to_source = !e->source };

	if (sc_planted(w, "resume-in-doubt") && e->source && msg->kind == MIG_MSG_RESOLVE &&
	    sc_copy(w, e->node, e->dom)->state == HV_GIVEN)
		sc_set_copy(w, e->node, e->dom, HV_RUN, sc_copy(w, e->node, e->dom)->generation);
	e->out_ns = at > e->out_ns ? at : e->out_ns + 1;
	send(w, &m, e->out_ns, msg);
}

static void answer(struct sc *w, const struct sc_mev *m, const struct mig_msg *msg)
{
	struct sc_mev re = {
		.from = m->node, .node = m->from, .dom = m->dom, .session = m->session, .to_source = true
	};

	send(w, &re, w->now + flight(w, m->node, m->from), msg);
}

/* For the source that only tells: the peer has let go, or it runs there. */
static void told(struct sc *w, struct sc_end *e, const struct mig_msg *msg)
{
	bool there = msg->kind == MIG_MSG_RUNNING || (msg->kind == MIG_MSG_RESOLVED && msg->fate == MIG_FATE_RUNNING);

	if (!there && (msg->kind != MIG_MSG_RESOLVED || msg->fate != MIG_FATE_GONE))
		return;
	if (there)
		sc_link_send(w, e, &(struct mig_msg){ .kind = MIG_MSG_DONE, .generation = e->core.src.generation_new });
	sc_journal_forget(w, e->node, e->session);
	e->told = true;
	if (e->telling)
		sc_end_free(w, e);
}

void sc_link_tell(struct sc *w, struct sc_end *e)
{
	sc_link_send(w, e,
	             &(struct mig_msg){ .kind = MIG_MSG_ABORT, .reason = MIG_REASON_DAEMON, .check_lease = true });
	sc_mev_to(w, e, SC_MEV_TELL, TELL_NS);
}

/* Go, Resolve or Abort of a session that no machine holds. */
static void unknown_session(struct sc *w, const struct sc_mev *m)
{
	const struct sc_journal *j = record(&w->node[m->node], m->session);
	const struct sc_copy *c = sc_copy(w, m->node, m->dom);
	const struct mig_msg *msg = &m->ev.msg;
	struct mig_msg re = { .kind = MIG_MSG_RESOLVED };
	struct mig_event ev = { .kind = MIG_EV_START };
	struct sc_end *e;

	if (j && j->peer == m->from && j->rec != MIG_REC_RELINQUISHING && j->rec != MIG_REC_CALLED_OFF)
		re.fate = j->rec == MIG_REC_TAKEN  ? MIG_FATE_RUNNING
		          : j->rec == MIG_REC_GONE ? MIG_FATE_GONE
		                                   : MIG_FATE_BUSY;
	else if (msg->kind == MIG_MSG_ABORT)
		re.fate = MIG_FATE_GONE;
	else if (msg->kind == MIG_MSG_RESOLVE && (c->state == HV_RUN || c->state == HV_BOOT) &&
	         c->generation >= msg->generation)
		re.fate = MIG_FATE_RUNNING;
	if (re.fate) {
		answer(w, m, &re);
		return;
	}
	e = msg->kind == MIG_MSG_RESOLVE ? sc_end_new(w, false, m->node, m->from, m->dom, m->session) : NULL;
	if (!e)
		return;
	mig_target_init_recover(&e->core.tgt, msg->generation, false, MIG_REC_GONE, false, false);
	sc_end_feed(w, e, &ev);
}

static void to_target(struct sc *w, const struct sc_mev *m)
{
	struct sc_end *e = sc_end_find(w, false, m->node, m->from, m->session);
	struct mig_event ev = m->ev;

	switch (ev.msg.kind) {
	case MIG_MSG_HELLO:
		answer(w, m, &(struct mig_msg){ .kind = MIG_MSG_HELLO, .version = MIG_VERSION });
		return;
	case MIG_MSG_OFFER:
		if (e || record(&w->node[m->node], m->session))
			return;
		e = sc_end_new(w, false, m->node, m->from, m->dom, m->session);
		if (!e)
			return;
		mig_target_init(&e->core.tgt, ev.msg.generation, false);
		sc_trace(w, "%c: %s: offered by %c, session %llu", sc_letter(m->node), w->dom[m->dom].name,
		         sc_letter(m->from), (unsigned long long)m->session);
		ev = (struct mig_event){ .kind = MIG_EV_START };
		break;
	case MIG_MSG_PING:
		answer(w, m, &(struct mig_msg){ .kind = MIG_MSG_PONG });
		break;
	case MIG_MSG_FINAL:
		if (e)
			e->memory = m->memory;
		break;
	case MIG_MSG_DONE:
		if (!e)
			sc_journal_forget(w, m->node, m->session);
		break;
	default:
		if (!e)
			unknown_session(w, m);
		break;
	}
	if (e)
		sc_end_feed(w, e, &ev);
}

/* The kernel sends it again when the cut is short; else it is lost, and mostly the source's end of the connection notices. */
static void lost(struct sc *w, const struct sc_mev *m)
{
	struct sc_mev again = *m;
	struct sc_end *e;

	if (again.tries++ < RETRIES && (m->tries || sc_chance(w, 50))) {
		post(w, &again, RETRY_NS);
		return;
	}
	e = sc_end_find(w, true, m->to_source ? m->node : m->from, m->to_source ? m->from : m->node, m->session);
	if (e && sc_chance(w, 60))
		sc_mev_to(w, e, SC_MEV_CORE, sc_rnd(w, S))->ev.kind = MIG_EV_LINK_DOWN;
}

void sc_link_arrives(struct sc *w, const struct sc_mev *m)
{
	struct mig_event ev = m->ev;
	struct sc_end *e;

	if (!sc_linked(w, m->from, m->node)) {
		lost(w, m);
		return;
	}
	if (!w->node[m->node].mig_up)
		return;
	if (!m->to_source) {
		to_target(w, m);
		return;
	}
	e = sc_end_find(w, true, m->node, m->from, m->session);
	if (!e)
		return;
	if (e->telling || (e->ended && e->core.src.must_tell))
		told(w, e, &m->ev.msg);
	else
		sc_end_feed(w, e, &ev);
}

/* Start ----------------------------------------------------------------------------------------------------------------- */

static void recover_source(struct sc *w, uint32_t node, const struct sc_journal *j)
{
	struct sc_end *e = sc_end_new(w, true, node, j->peer, j->dom, j->session);
	struct mig_source_config cfg = { .generation = sc_copy(w, node, j->dom)->generation,
		                         .ctl = { .downtime_ns = 50 * MS, .downtime_max_ns = 2 * S } };
	struct mig_event ev = { .kind = MIG_EV_START };

	if (!e)
		return;
	const struct sc_copy *c = sc_copy(w, node, j->dom);
	bool off = j->rec == MIG_REC_CALLED_OFF;
	if (!off && c->state == HV_GIVEN && c->generation == j->generation) {
		sc_hv_open(w, e);
		mig_source_init_doubt(&e->core.src, &cfg, j->generation);
		sc_end_feed(w, e, &ev);
		return;
	}
	e->core.src.generation_new = j->generation;
	e->telling = true;
	if (!off && c->state != HV_NONE)
		sc_journal_write(w, e, MIG_REC_CALLED_OFF);
	sc_mev_to(w, e, SC_MEV_TELL, 0);
}

static void recover_target(struct sc *w, uint32_t node, const struct sc_journal *j)
{
	const struct sc_copy *c = sc_copy(w, node, j->dom);
	bool here = c->state != HV_NONE && c->generation >= j->generation;
	bool taken = here && (c->state == HV_READY || c->state == HV_INCOMING);
	const struct sc_local *l = sc_local(w, node, j->dom);
	bool ran = l->owner == node && l->generation >= j->generation;
	struct mig_event ev = { .kind = MIG_EV_START };
	struct sc_end *e;

	e = sc_end_new(w, false, node, j->peer, j->dom, j->session);
	if (!e)
		return;
	if (taken)
		sc_hv_open(w, e);
	mig_target_init_recover(&e->core.tgt, j->generation, false, j->rec, (here || ran) && !taken, taken);
	sc_end_feed(w, e, &ev);
}

void sc_mig_recover(struct sc *w, const struct sc_mev *m)
{
	struct sc_node *n = &w->node[m->node];
	const struct sc_journal *j = record(n, m->session);
	struct sc_journal r;

	if (!n->mig_up || n->mig_life != m->use)
		return;
	n->recovering--;
	if (!j)
		return;
	r = *j;
	sc_trace(w, "%c: %s: migrated is back and finds a record of session %llu: %d, generation %llu",
	         sc_letter(m->node), w->dom[r.dom].name, (unsigned long long)r.session, (int)r.rec,
	         (unsigned long long)r.generation);
	if (r.rec == MIG_REC_RELINQUISHING || r.rec == MIG_REC_CALLED_OFF)
		recover_source(w, m->node, &r);
	else
		recover_target(w, m->node, &r);
}

/* It asks each hvdom how it is, which answers after all that was asked before. */
void sc_mig_start(struct sc *w, uint32_t node)
{
	struct sc_node *n = &w->node[node];

	if (n->mig_up || !n->power)
		return;
	n->mig_up = true;
	for (uint32_t i = 0; i < n->journal_n; i++) {
		const struct sc_journal *j = &n->journal[i];
		struct sc_copy *c = sc_copy(w, node, j->dom);
		if (j->rec == MIG_REC_GONE)
			continue; /* answered from the file when somebody asks */
		struct sc_mev *m = sc_mev(w, SC_MEV_RECOVER, c->state == HV_NONE ? 0 : sc_hv_turn(w, c));
		m->node = node;
		m->dom = j->dom;
		m->session = j->session;
		m->use = n->mig_life;
		n->recovering++;
	}
}
