/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How the members of a view agree on a state: HELLO, OPEN, snapshots. docs/wire/cluster.md, section 1. */
#include "config.h"
#include "clusterd/core/node_int.h"

#include <string.h>

static uint64_t mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * 0x9e3779b97f4a7c15ull;
	return h ^ h >> 29;
}

/* What is said in HELLO is what is on disk. */
static bool may_say_hello(const struct clu_node *n)
{
	return !n->loading && n->stored_epoch == n->s->epoch && n->stored_index == n->s->index &&
	       n->stored_promised == n->s->promised;
}

static struct clu_msg *hello_begin(struct node_step *st)
{
	struct clu_msg *m = node_send(st, CLU_MSG_HELLO);

	m->list = st->n->list_sum;
	return m;
}

static void hello(struct node_step *st)
{
	struct clu_node *n = st->n;
	const struct clu_state *s = n->s;

	if (!may_say_hello(n))
		return;
	struct clu_msg *m = hello_begin(st);
	m->epoch = s->epoch;
	m->index = s->index;
	m->sum = s->sum;
	m->promised = s->promised;
	m->level = n->level;
	node_await_hello(n, m);
	n->hello_ns = st->now;
}

/* A view begins, or the same one anew: nobody has said anything. */
static void gather(struct node_step *st)
{
	struct clu_node *n = st->n;

	for (uint32_t i = 0; i < CLU_HOSTS_MAX; i++) {
		struct clu_peer *p = &n->peer[i];
		p->said = p->promises = p->synced = false;
		p->resync_seq = p->decided_ns = 0;
		p->level = 0;
		p->stored_epoch = p->stored_index = 0;
	}
	if (n->behind)
		node_act(st, CLU_ACT_FORGET);
	n->behind = n->begun = false;
	n->view_ns = st->now;
	node_hear_all(n);
	n->hello_ns = 0;
	n->coordinator = 0;
	n->phase = CLU_NODE_GATHER;
	hello(st);
}

/*
 * CPG delivers a view to all at the same place in the order; a change of the node list comes to each when it finds it. What the others said
 * before was not for me. So I say that I go by this list now: those that do, too, begin the view anew when they hear it, as I do.
 */
static void say_anew(struct node_step *st)
{
	struct clu_msg *m = hello_begin(st);

	m->members_sum = st->n->base_sum;
	m->anew = st->n->lists;
	st->n->relisted = false;
}

/* True if @m is that word. */
static bool heard_anew(struct node_step *st, const struct clu_msg *m)
{
	struct clu_node *n = st->n;

	if (!m->anew)
		return false;
	if (m->ring == n->ring && m->members_sum == n->base_sum) {
		n->members_sum = mix(mix(n->base_sum, m->boot), m->anew);
		gather(st);
	}
	return true;
}

static uint64_t sum_of_list(const struct clu_state *s)
{
	uint64_t sum = 1;

	for (uint32_t i = 0; i < s->n_nodes; i++)
		sum = mix(sum, s->host[i].node);
	return sum ? sum : 1;
}

void node_view_begin(struct node_step *st, const struct clu_event *ev)
{
	struct clu_node *n = st->n;
	uint64_t sum = mix(mix(1, n->s->n_nodes), ev->n_members);
	uint32_t in_list = 0;
	bool me = false;

	for (uint32_t i = 0; i < CLU_HOSTS_MAX; i++)
		n->peer[i].member = false;
	for (uint32_t i = 0; i < ev->n_members; i++) {
		int slot = node_slot(n, ev->member[i]);
		sum = mix(sum, ev->member[i]);
		me |= ev->member[i] == n->node;
		in_list += slot >= 0;
		if (slot >= 0)
			n->peer[slot].member = true;
	}
	n->ring = ev->ring;
	n->members_sum = n->base_sum = sum;
	n->list_sum = sum_of_list(n->s);
	n->n_members = in_list;
	if (!me) {
		if (n->behind)
			node_act(st, CLU_ACT_FORGET);
		n->behind = n->begun = false;
		n->phase = CLU_NODE_OUT;
		return;
	}
	if (in_list < clu_majority(n->s))
		node_warn(st, "this node and those it reaches are fewer than a majority: nothing is decided here");
	gather(st);
	if (n->relisted)
		say_anew(st);
}

static void promise(struct node_step *st)
{
	struct clu_node *n = st->n;
	int mine = n->seen.mine;

	if (n->peer[mine].said && !n->peer[mine].promises && n->stored_promised == n->epoch)
		node_send(st, CLU_MSG_PROMISE)->epoch = n->epoch;
}

void node_view_stored(struct node_step *st)
{
	if (st->n->phase == CLU_NODE_GATHER && !st->n->hello_ns)
		hello(st);
	else if (st->n->phase == CLU_NODE_OPENED)
		promise(st);
}

static bool of_this_view(const struct clu_node *n, const struct clu_msg *m)
{
	return m->ring == n->ring && m->members_sum == n->members_sum;
}

static bool newer(const struct clu_peer *a, const struct clu_peer *b)
{
	return a->epoch != b->epoch ? a->epoch > b->epoch : a->index > b->index;
}
static bool same(const struct clu_peer *a, const struct clu_peer *b)
{
	return a->epoch == b->epoch && a->index == b->index && a->sum == b->sum;
}

/* Slot of the member whose state is taken: the newest; of several that differ, what most have; then the lowest id. */
static uint32_t choose(const struct clu_node *n)
{
	uint32_t best = CLU_HOSTS_MAX, best_votes = 0;

	for (uint32_t i = 0; i < CLU_HOSTS_MAX; i++) {
		const struct clu_peer *p = &n->peer[i], *b = best < CLU_HOSTS_MAX ? &n->peer[best] : NULL;
		uint32_t votes = 0;
		if (!p->member || !p->said || (b && newer(b, p)))
			continue;
		for (uint32_t j = 0; j < CLU_HOSTS_MAX; j++)
			votes += n->peer[j].member && n->peer[j].said && same(p, &n->peer[j]);
		if (!b || newer(p, b) || votes > best_votes ||
		    (votes == best_votes && n->s->host[i].node < n->s->host[best].node)) {
			best = i;
			best_votes = votes;
		}
	}
	return best;
}

/* Send OPEN when it is mine to send and due. */
static void maybe_open(struct node_step *st)
{
	struct clu_node *n = st->n;
	uint32_t said = 0, lowest = UINT32_MAX;
	uint64_t epoch = 0;

	if (n->phase != CLU_NODE_GATHER || n->loading)
		return;
	for (uint32_t i = 0; i < CLU_HOSTS_MAX; i++) {
		const struct clu_peer *p = &n->peer[i];
		if (!p->member || !p->said)
			continue;
		said++;
		if (n->s->host[i].node < lowest)
			lowest = n->s->host[i].node;
		if (p->promised > epoch)
			epoch = p->promised;
		if (p->epoch > epoch)
			epoch = p->epoch;
	}
	if (lowest != n->node || said < clu_majority(n->s) ||
	    (said < n->n_members && st->now < n->view_ns + CLU_GATHER_NS))
		return;
	uint32_t chosen = choose(n);
	struct clu_msg *m = node_send(st, CLU_MSG_OPEN);
	m->epoch = epoch + 1;
	m->source = n->s->host[chosen].node;
	m->index = n->peer[chosen].index;
	m->sum = n->peer[chosen].sum;
	for (uint32_t i = 0; i < CLU_HOSTS_MAX; i++) {
		if (!n->peer[i].member || !n->peer[i].said)
			continue;
		clu_bit_set(m->said, i);
		if (!same(&n->peer[i], &n->peer[chosen]))
			clu_bit_set(m->behind, i);
	}
}

static bool is_state(const struct clu_peer *p, uint64_t epoch, uint64_t index, uint64_t sum)
{
	return p->epoch == epoch && p->index == index && p->sum == sum;
}

void node_view_hello(struct node_step *st, const struct clu_msg *m)
{
	struct clu_node *n = st->n;
	int slot = node_slot(n, m->from);

	/* the same slots are other hosts to those that go by another list */
	if ((m->list && m->list != n->list_sum) || !n->peer[slot].member || heard_anew(st, m) || !of_this_view(n, m))
		return;
	struct clu_peer *p = &n->peer[slot];
	p->level = m->level;
	if (n->phase != CLU_NODE_GATHER) {
		bool late = !p->said && m->promised > n->epoch,
		     stale = p->said && !n->begun && !is_state(p, m->epoch, m->index, m->sum);
		if (!late && !stale)
			return;
		/* it has promised more than was opened, or has another state than was counted: all begin anew, with it */
		n->members_sum = mix(mix(n->members_sum, m->promised), m->index);
		gather(st);
		return;
	}
	p->said = true;
	p->epoch = m->epoch;
	p->index = m->index;
	p->sum = m->sum;
	p->promised = m->promised;
	node_await_heard(n, m);
	maybe_open(st);
}

void node_view_coordinator(struct clu_node *n)
{
	uint32_t best = 0;

	for (uint32_t i = 0; i < n->seen.slots; i++)
		if (n->peer[i].member && n->peer[i].synced && !node_silent(n, i) &&
		    (!best || n->s->host[i].node < best))
			best = n->s->host[i].node;
	n->coordinator = best;
}

/* Enough have the state: commands count from here on. */
static void maybe_activate(struct node_step *st)
{
	struct clu_node *n = st->n;

	node_view_coordinator(n);
	if (n->phase != CLU_NODE_OPENED || !n->begun || node_count_synced(n) < clu_majority(n->s))
		return;
	n->phase = CLU_NODE_ACTIVE;
	node_await_begin(n);
	n->beat_ns = st->now;
	node_commit(st);
}

void node_view_fall_behind(struct node_step *st)
{
	struct clu_node *n = st->n;

	n->behind = true;
	n->resync_ns = st->now;
	n->want_seq = CLU_NEVER;
	n->peer[node_slot(n, n->node)].synced = false;
	node_act(st, CLU_ACT_FORGET);
}

void node_view_ask(struct node_step *st)
{
	struct clu_node *n = st->n;

	n->resync_ns = st->now;
	if (n->s->promised > n->epoch)
		hello(st); /* this epoch is not for me: let all begin anew */
	else
		node_send(st, CLU_MSG_RESYNC)->seq = ++n->resync_seq;
}

/*
 * Was it made from HELLOs of this view? When a clusterd leaves and joins again, two views have the same ring and members, and a slow
 * member's OPEN for the first may come in the second: of an epoch that others served meanwhile.
 */
static bool made_here(const struct clu_node *n, const struct clu_msg *m)
{
	int source = node_slot(n, m->source);

	for (uint32_t i = 0; i < CLU_HOSTS_MAX; i++) {
		const struct clu_peer *p = &n->peer[i];
		if (clu_bit(m->said, i) && (!p->member || !p->said || p->promised >= m->epoch || p->epoch >= m->epoch))
			return false;
	}
	return source >= 0 && clu_bit(m->said, (uint32_t)source) && n->peer[source].index == m->index &&
	       n->peer[source].sum == m->sum;
}

void node_view_open(struct node_step *st, const struct clu_msg *m)
{
	struct clu_node *n = st->n;
	int mine = n->seen.mine;

	if (!of_this_view(n, m) || n->phase != CLU_NODE_GATHER || clu_bits_count(m->said) < clu_majority(n->s) ||
	    !made_here(n, m))
		return;
	n->others_behind = false;
	for (uint32_t i = 0; i < CLU_HOSTS_MAX; i++) {
		struct clu_peer *p = &n->peer[i];
		p->said = p->member && clu_bit(m->said, i);
		p->synced = p->said && !clu_bit(m->behind, i);
		n->others_behind |= clu_bit(m->behind, i);
	}
	n->phase = CLU_NODE_OPENED;
	n->epoch = m->epoch;
	n->source = m->source;
	if (!n->peer[mine].said) {
		node_view_fall_behind(st);
		return;
	}
	if (!is_state(&n->peer[mine], n->s->epoch, n->s->index, n->s->sum)) {
		/* a HELLO of mine that came late, from a view like this one, was counted. Mine may be the one that knows of a committed
		 * command: no promise for this epoch */
		node_view_fall_behind(st);
		hello(st);
		return;
	}
	if (!n->peer[mine].synced) {
		if (n->s->index == m->index && n->s->sum != m->sum) {
			node_lease_doubt(n);
			node_warn(
				st,
				"this node's state differs from the others' at the same command; theirs is taken over");
		}
		node_view_fall_behind(st);
	}
	n->s->promised = m->epoch;
	node_act(st, CLU_ACT_STORE);
}

static void snapshot(struct node_step *st, uint32_t to, uint64_t seq)
{
	struct clu_msg *m = &node_act(st, CLU_ACT_SNAPSHOT)->msg;

	m->to = to;
	m->seq = seq;
	m->epoch = st->n->s->epoch;
	m->index = st->n->s->index;
	m->sum = st->n->s->sum;
}

/* A majority has promised: the epoch counts, from this message on and for all alike. */
static void begin(struct node_step *st)
{
	struct clu_node *n = st->n;
	int mine = n->seen.mine;

	n->begun = true;
	if (n->peer[mine].synced) {
		clu_apply_epoch(n->s, n->epoch);
		node_act(st, CLU_ACT_STORE);
	} else {
		n->want_seq = 0;
		if ((!n->peer[mine].said || n->s->promised < n->epoch) && !n->others_behind)
			node_view_ask(st); /* else the snapshot for those that are behind does for me, too */
	}
	if (n->others_behind && n->source == n->node && !n->behind)
		snapshot(st, 0, 0);
	maybe_activate(st);
}

void node_view_promise(struct node_step *st, const struct clu_msg *m)
{
	struct clu_node *n = st->n;
	int slot = node_slot(n, m->from);
	uint32_t k = 0;

	if (!of_this_view(n, m) || n->phase < CLU_NODE_OPENED || m->epoch != n->epoch || !n->peer[slot].said)
		return;
	n->peer[slot].promises = true;
	for (uint32_t i = 0; i < CLU_HOSTS_MAX; i++)
		k += n->peer[i].member && n->peer[i].promises;
	if (!n->begun && k >= clu_majority(n->s))
		begin(st);
}

void node_view_resync(struct node_step *st, const struct clu_msg *m)
{
	struct clu_node *n = st->n;
	int slot = node_slot(n, m->from);

	if (!of_this_view(n, m) || !n->begun)
		return;
	n->peer[slot].synced = false;
	n->peer[slot].resync_seq = m->seq;
	node_view_coordinator(n);
	if (m->from == n->node) {
		node_view_fall_behind(st); /* the snapshot is of this moment: what came before it is in it */
		n->want_seq = m->seq;
	} else if (n->coordinator == n->node && !n->behind) {
		snapshot(st, m->from, m->seq);
	}
}

void node_view_snapshot(struct node_step *st, const struct clu_msg *m)
{
	struct clu_node *n = st->n;

	if (!n->behind || n->loading || !n->begun || m->epoch != n->epoch || n->s->promised > n->epoch ||
	    m->seq != n->want_seq || (m->seq && m->to != n->node))
		return;
	n->loading = true;
	n->load_seq = m->seq;
	node_act(st, CLU_ACT_LOAD);
}

void node_view_loaded(struct node_step *st, bool ok)
{
	struct clu_node *n = st->n;

	n->loading = false;
	if (ok)
		node_permit_loaded(n);
	if (!ok) {
		node_warn(st, "the cluster's state could not be stored on this node");
		return;
	}
	n->stored_epoch = n->s->epoch;
	n->stored_index = n->s->index;
	n->stored_promised = n->s->promised;
	if (n->phase == CLU_NODE_GATHER) {
		hello(st); /* the view changed meanwhile */
		return;
	}
	if (!n->begun || !n->behind || n->s->epoch != n->epoch || n->load_seq != n->want_seq)
		return; /* of an older view, or older than what is buffered: the next one is asked for by the clock */
	n->behind = false;
	struct clu_msg *m = node_send(st, CLU_MSG_SYNCED);
	m->epoch = n->s->epoch;
	m->index = n->s->index;
	m->seq = n->load_seq;
	m->level = n->level; /* its HELLO may have come to nothing */
}

/* A pure function of what all members saw: this may be the message that makes the view active. */
void node_view_synced(struct node_step *st, const struct clu_msg *m)
{
	struct clu_node *n = st->n;
	int slot = node_slot(n, m->from);

	if (!of_this_view(n, m) || !n->begun || !n->peer[slot].member || m->epoch != n->epoch ||
	    m->seq != n->peer[slot].resync_seq)
		return;
	n->peer[slot].synced = true;
	if (m->level)
		n->peer[slot].level = m->level;
	maybe_activate(st);
}

void node_view_tick(struct node_step *st)
{
	struct clu_node *n = st->n;

	if (n->phase == CLU_NODE_GATHER) {
		if (!n->hello_ns || st->now >= n->hello_ns + CLU_HELLO_NS)
			hello(st);
		maybe_open(st);
	} else if (n->behind && !n->loading && st->now >= n->resync_ns + CLU_RESYNC_NS) {
		if (n->begun) {
			node_view_ask(st);
		} else {
			n->resync_ns = st->now;
			hello(st);
		}
	}
}

uint64_t node_view_deadline(const struct clu_node *n)
{
	uint64_t at = CLU_NEVER;

	if (n->phase == CLU_NODE_GATHER && n->n_members >= clu_majority(n->s)) {
		if (may_say_hello(n)) /* else the disk decides when */
			at = (n->hello_ns ? n->hello_ns : n->view_ns) + CLU_HELLO_NS;
		if (n->now_ns < n->view_ns + CLU_GATHER_NS && n->view_ns + CLU_GATHER_NS < at)
			at = n->view_ns + CLU_GATHER_NS;
	} else if (n->behind && !n->loading) {
		at = n->resync_ns + CLU_RESYNC_NS;
	}
	return at;
}
