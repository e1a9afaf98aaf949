/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Corosync: rings of nodes that hear one another, one order of messages in each, and who is in the group. What makes it nasty is real:
 *  - a ring whose members do not all hear one another orders nothing until a new one is formed; what was sent meanwhile is ordered there,
 *    so it reaches its readers in a view that its sender did not know;
 *  - of what was ordered last in an old ring each part delivers its own share: at least what one of the part had, and what was sent by it;
 *  - a link that holds one way only is none;
 *  - it wants all to hear all: while two hosts that hear each other are in different rings, because some third pair does not, rings are
 *    formed anew each few seconds, others each time; a host that stepped aside (clusterd/core/reach.h) hears nobody here;
 *  - clusterd that joins or leaves the group changes the view, but not the number of the ring.
 */
#include "config.h"
#include "tests/sim/simclu.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct sc_msg *sc_msg_new(struct sc *w)
{
	struct sc_msg *m = w->pool;

	if (m)
		w->pool = m->next;
	else
		m = calloc(1, sizeof(*m));
	m->refs = 1;
	m->next = NULL;
	m->octets_len = 0;
	return m;
}

void sc_msg_put(struct sc *w, struct sc_msg *m)
{
	if (--m->refs)
		return;
	m->next = w->pool;
	w->pool = m;
}

bool sc_linked(const struct sc *w, uint32_t a, uint32_t b)
{
	if (!w->node[a].power || !w->node[b].power)
		return false;
	if (a != b && (w->node[a].reach.out || w->node[b].reach.out))
		return false;
	if (a != b && w->opt.lists &&
	    (!sc_list_knows(w, &w->node[a].runs, b) || !sc_list_knows(w, &w->node[b].runs, a)))
		return false; /* who is not in the list is not heard */
	return a == b || (w->link[a * w->opt.nodes + b] && w->link[b * w->opt.nodes + a]);
}

/* Does every member of the node's ring hear every other? */
static bool ring_whole(const struct sc *w, uint32_t node)
{
	uint32_t ring = w->node[node].ring;

	if (!w->reform_due)
		return true;
	for (uint32_t i = 0; i < w->opt.nodes; i++)
		for (uint32_t k = 0; w->node[i].ring == ring && k < i; k++)
			if (w->node[k].ring == ring && !sc_linked(w, i, k))
				return false;
	return true;
}

static void wake(struct sc *w, uint32_t node)
{
	struct sc_node *n = &w->node[node];

	if (!n->in_n || !n->up)
		return;
	uint64_t at = n->in[n->in_head].at;
	if (at < n->paused)
		at = n->paused;
	if (at < w->now)
		at = w->now;
	if (at >= n->in_at)
		return;
	n->in_at = at;
	sc_at(w, at, SC_EV_INBOX, node, 0, 0);
}

static struct sc_item *append(struct sc_node *n)
{
	if (n->in_n == n->in_cap) {
		uint32_t cap = n->in_cap ? n->in_cap * 2 : 256;
		struct sc_item *in = calloc(cap, sizeof(*in));
		for (uint32_t i = 0; i < n->in_n; i++)
			in[i] = n->in[(n->in_head + i) % n->in_cap];
		free(n->in);
		n->in = in;
		n->in_head = 0;
		n->in_cap = cap;
	}
	return &n->in[(n->in_head + n->in_n++) % n->in_cap];
}

static struct sc_item *last(struct sc_node *n)
{
	return n->in_n ? &n->in[(n->in_head + n->in_n - 1) % n->in_cap] : NULL;
}

/* One message gets its place in the order: every clusterd of the ring will read it, unless the ring breaks: then only who has it by then. */
static void order(struct sc *w, uint32_t from, struct sc_msg *m)
{
	uint64_t base = w->now + MS / 5 + sc_rnd(w, 2 * MS);
	uint32_t alone = sc_ambush_message(w, from, &m->m);

	w->seq++;
	for (uint32_t i = 0; i < w->opt.nodes; i++) {
		struct sc_node *n = &w->node[i];
		if (n->ring != w->node[from].ring || !n->joined || !n->power)
			continue;
		struct sc_item *l = last(n);
		uint64_t at = base + (n->slow ? sc_rnd(w, 400 * MS) : sc_rnd(w, MS)), after = l ? l->at : 0;
		if (alone != NOHOST && alone != i)
			at += 4 * S;
		struct sc_item *it = append(n);
		m->refs++;
		*it = (struct sc_item){ .msg = m, .at = at > after ? at : after, .seq = w->seq, .from = from };
		wake(w, i);
	}
	sc_msg_put(w, m);
}

void sc_cpg_flush(struct sc *w, uint32_t node)
{
	struct sc_node *n = &w->node[node];

	if (!ring_whole(w, node))
		return; /* after the next ring is formed */
	while (n->out) {
		struct sc_msg *m = n->out;
		n->out = m->next;
		m->next = NULL;
		if (!n->out)
			n->out_end = &n->out;
		order(w, node, m);
	}
}

void sc_cpg_send(struct sc *w, uint32_t node, struct sc_msg *m)
{
	struct sc_node *n = &w->node[node];

	m->next = NULL;
	*n->out_end = m;
	n->out_end = &m->next;
	if (n->out == m)
		sc_at(w, w->now + MS / 10 + sc_rnd(w, n->slow ? 100 * MS : MS / 2), SC_EV_FLUSH, node, 0, 0);
}

/* clusterd reads what is there. */
void sc_cpg_inbox(struct sc *w, uint32_t node)
{
	struct sc_node *n = &w->node[node];
	uint32_t life = n->life, members[SC_NODES];

	n->in_at = NEVER;
	while (n->in_n && n->up && n->life == life && n->paused <= w->now && n->in[n->in_head].at <= w->now &&
	       !w->violation[0]) {
		struct sc_item it = n->in[n->in_head];
		n->in_head = (n->in_head + 1) % n->in_cap;
		n->in_n--;
		if (it.msg) {
			w->deliveries++;
			sc_node_message(w, node, it.msg, false);
			sc_msg_put(w, it.msg);
			/* corosync hands over as much as there is, or less; there is more where more nodes speak */
			if (n->touched && n->up && n->life == life &&
			    sc_rnd(w, w->opt.nodes > 10 ? 10 * w->opt.nodes : 100) < 10)
				sc_node_settle(w, node);
			continue;
		}
		for (uint32_t i = 0; i < it.n_members; i++)
			members[i] = ((uint32_t *)(uintptr_t)it.seq)[i];
		free((void *)(uintptr_t)it.seq);
		sc_node_view(w, node, it.view, members, it.n_members);
	}
	if (n->up && n->life == life) {
		sc_node_settle(w, node);
		wake(w, node);
	}
}

void sc_cpg_clear(struct sc *w, uint32_t node)
{
	struct sc_node *n = &w->node[node];

	for (; n->in_n; n->in_n--, n->in_head = (n->in_head + 1) % n->in_cap) {
		struct sc_item *it = &n->in[n->in_head];
		if (it->msg)
			sc_msg_put(w, it->msg);
		else
			free((void *)(uintptr_t)it->seq);
	}
	n->in_at = NEVER;
	while (n->out) {
		struct sc_msg *m = n->out;
		n->out = m->next;
		sc_msg_put(w, m);
	}
	n->out_end = &n->out;
}

/* Tell each clusterd of the ring who is in the group now. */
static void view(struct sc *w, uint32_t ring)
{
	uint32_t member[SC_NODES], k = 0;

	for (uint32_t i = 0; i < w->opt.nodes; i++)
		if (w->node[i].ring == ring && w->node[i].joined && w->node[i].power)
			member[k++] = w->node[i].id;
	for (uint32_t i = 0; i < w->opt.nodes; i++) {
		struct sc_node *n = &w->node[i];
		if (n->ring != ring || !n->joined || !n->power)
			continue;
		struct sc_item *l = last(n);
		uint64_t at = w->now + sc_rnd(w, n->slow ? 100 * MS : MS), after = l ? l->at : 0;
		uint32_t *copy = malloc(sizeof(*copy) * (k + 1));
		memcpy(copy, member, sizeof(*copy) * k);
		*append(n) = (struct sc_item){
			.at = at > after ? at : after, .view = ring, .n_members = k, .seq = (uint64_t)(uintptr_t)copy
		};
		wake(w, i);
	}
}

void sc_cpg_group(struct sc *w, uint32_t node)
{
	if (w->node[node].power)
		view(w, w->node[node].ring);
}

void sc_cpg_links_changed(struct sc *w, uint64_t notice_ns)
{
	uint64_t at = w->now + notice_ns;

	if (w->reform_due && w->reform_at <= at && w->reform_at > w->now)
		return; /* what is formed then takes this in */
	w->reform_due = true;
	w->reform_at = at;
	sc_at(w, at, SC_EV_REFORM, 0, 0, 0);
}

/*
 * @part of the old ring goes on together: they deliver what one of them had at least, perhaps more, and what one of them sent. What they
 * do not deliver is lost for them.
 */
static void share(struct sc *w, uint32_t old, uint32_t part)
{
	uint64_t had = 0, upto;

	for (uint32_t i = 0; i < w->opt.nodes; i++) {
		struct sc_node *n = &w->node[i];
		if (n->ring != old || n->group != part)
			continue;
		uint64_t mine = w->seq;
		for (uint32_t k = 0; k < n->in_n; k++) {
			struct sc_item *it = &n->in[(n->in_head + k) % n->in_cap];
			if (it->msg && it->at > w->now) {
				mine = it->seq - 1;
				break;
			}
		}
		if (n->joined && mine > had)
			had = mine;
	}
	upto = sc_chance(w, 50) ? w->seq : had + sc_rnd(w, w->seq >= had ? w->seq - had + 1 : 1);
	for (uint32_t i = 0; i < w->opt.nodes; i++) {
		struct sc_node *n = &w->node[i];
		uint32_t kept = 0, total = n->in_n;
		if (n->ring != old || n->group != part)
			continue;
		for (uint32_t k = 0; k < total; k++) {
			struct sc_item it = n->in[(n->in_head + k) % n->in_cap];
			if (it.msg && it.at > w->now && it.seq > upto && w->node[it.from].group != part) {
				sc_msg_put(w, it.msg);
				continue;
			}
			if (it.at > w->now)
				it.at = w->now;
			n->in[(n->in_head + kept++) % n->in_cap] = it;
		}
		n->in_n = kept;
	}
}

static void trace_ring(struct sc *w, uint32_t part)
{
	char text[SC_NODES + 1];
	uint32_t k = 0;

	for (uint32_t i = 0; i < w->opt.nodes; i++)
		if (w->node[i].power && w->node[i].group == part)
			text[k++] = sc_letter(i);
	text[k] = 0;
	sc_trace(w, "corosync: ring %u of %s", part, text);
}

/* Hosts that hear each other and are not together: corosync will not leave it at that. */
static bool unsettled(const struct sc *w)
{
	for (uint32_t i = 0; i < w->opt.nodes; i++)
		for (uint32_t k = 0; k < i; k++)
			if (w->node[i].group != w->node[k].group && sc_linked(w, i, k))
				return true;
	return false;
}

/* Into w->node[].group: parts of nodes that all hear one another, from @first_node on. Returns how many. */
static uint32_t parts(struct sc *w, uint32_t first, uint32_t first_node)
{
	uint32_t n = w->opt.nodes, count = 0;

	for (uint32_t i = 0; i < n; i++)
		w->node[i].group = 0;
	for (uint32_t x = 0; x < n; x++) {
		uint32_t i = (first_node + x) % n, part = first + count;

		if (!w->node[i].power || w->node[i].group)
			continue;
		count++;
		w->node[i].group = part;
		for (uint32_t y = x + 1; y < n; y++) {
			uint32_t k = (first_node + y) % n;
			bool all = !w->node[k].group;
			for (uint32_t j = 0; all && j < n; j++)
				all = w->node[j].group != part || sc_linked(w, j, k);
			if (all)
				w->node[k].group = part;
		}
	}
	return count;
}

/* Rings of the parts; a part that is a ring already stays one. */
void sc_cpg_reform(struct sc *w)
{
	uint32_t first = w->rings + 1, count;
	struct {
		uint32_t part, old;
		bool same;
	} of[SC_NODES];

	if (!w->reform_due || w->reform_at > w->now)
		return;
	w->reform_due = false;
	count = parts(w, first, 0);
	if (unsettled(w)) {
		count = parts(w, first, (uint32_t)sc_rnd(w, w->opt.nodes));
		w->reform_due = true;
		w->reform_at = w->now + 3 * S + sc_rnd(w, 2 * S);
		sc_at(w, w->reform_at, SC_EV_REFORM, 0, 0, 0);
	}
	for (uint32_t p = 0; p < count; p++) {
		of[p].part = first + p;
		for (uint32_t i = w->opt.nodes; i-- > 0;)
			if (w->node[i].group == of[p].part)
				of[p].old = w->node[i].ring;
	}
	for (uint32_t p = 0; p < count; p++) {
		of[p].same = true;
		for (uint32_t i = 0; i < w->opt.nodes; i++)
			if ((w->node[i].group == of[p].part) != (w->node[i].ring == of[p].old))
				of[p].same = false;
		for (uint32_t i = 0; i < w->opt.nodes && !of[p].same; i++)
			if (w->node[i].group == of[p].part)
				share(w, w->node[i].ring, of[p].part);
	}
	w->rings += count;
	for (uint32_t p = 0; p < count; p++) {
		if (of[p].same)
			continue;
		trace_ring(w, of[p].part);
		for (uint32_t i = 0; i < w->opt.nodes; i++)
			if (w->node[i].group == of[p].part)
				w->node[i].ring = of[p].part;
		view(w, of[p].part);
	}
	for (uint32_t i = 0; i < w->opt.nodes; i++) {
		if (!w->node[i].power)
			w->node[i].ring = 0;
		else if (w->node[i].out)
			sc_at(w, w->now + MS, SC_EV_FLUSH, i, 0, 0);
	}
}
