/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pulses: datagrams from clusterd to clusterd, beside Corosync. A link that holds one way carries them that way; they are lost, doubled, late,
 * even by half a minute, and reach whatever clusterd of that host lives by then. With them the matrix of who hears whom, and who steps aside
 * by it.
 */
#include "config.h"
#include "tests/sim/simclu.h"

#include <stdlib.h>

#define STALL_NS (900 * MS)
#define CALM_NS  (5 * S)

static uint32_t take(struct sc *w)
{
	uint32_t i;

	if (!w->pulse_free) {
		uint32_t cap = w->pulse_cap ? w->pulse_cap * 2 : 1024;

		w->pulse = realloc(w->pulse, cap * sizeof(*w->pulse));
		for (i = w->pulse_cap; i < cap; i++)
			w->pulse[i].next = i + 2 <= cap ? i + 2 : 0; /* numbers are places + 1 */
		w->pulse[cap - 1].next = 0;
		w->pulse_free = w->pulse_cap + 1;
		w->pulse_cap = cap;
	}
	i = w->pulse_free - 1;
	w->pulse_free = w->pulse[i].next;
	return i;
}

void sc_pulse_reset(struct sc *w)
{
	for (uint32_t i = 0; i < w->pulse_cap; i++)
		w->pulse[i].next = i + 1 < w->pulse_cap ? i + 2 : 0;
	w->pulse_free = w->pulse_cap ? 1 : 0;
}

/* @place: of @to in the sender's list. */
static void send_to(struct sc *w, uint32_t from, uint32_t to, uint32_t place, uint64_t in_ns)
{
	uint32_t i = take(w);

	clu_node_pulse(w->node[from].n, place, &w->pulse[i].p);
	w->pulse[i].stamp = w->node[from].reach.row[w->node[from].reach.me].stamp;
	w->pulse[i].list = sc_list_sum(&w->node[from].knows);
	w->pulse[i].to = w->node[to].id;
	for (uint32_t k = 0; k < w->node[from].reach.n; k++) {
		w->pulse[i].row[k] = w->node[from].reach.row[k];
		if (!reach_fresh(&w->node[from].reach, k, sc_clock(w, &w->node[from])))
			w->pulse[i].row[k].stamp = 0;
	}
	sc_at(w, w->now + in_ns, SC_EV_PULSE, to, 0, i);
}

static uint32_t guests(const struct sc_node *n)
{
	uint32_t k = 0;

	for (uint32_t i = 0; i < n->s->n_dom; i++)
		k += n->s->dom[i].uuid[0] && n->s->dom[i].host == n->id;
	return k;
}

/* As nodeio_reach.c: Corosync must be in trouble, too. */
static void judge(struct sc *w, uint32_t node)
{
	struct sc_node *n = &w->node[node];
	uint64_t now = sc_clock(w, n);
	bool was = n->reach.out,
	     trouble = n->n->phase != CLU_NODE_ACTIVE || now > n->own_ns + STALL_NS || now < n->n->view_ns + CALM_NS;

	if (sc_planted(w, "nobody-steps-aside") || reach_judge(&n->reach, trouble, now) == was)
		return;
	sc_trace(w, "%c %s", sc_letter(node), was ? "is back" : "steps aside");
	sc_cpg_links_changed(w, was ? 500 * MS : 900 * MS + sc_rnd(w, 2700 * MS));
}

void sc_pulse(struct sc *w, uint32_t node)
{
	struct sc_node *n = &w->node[node];

	reach_mine(&n->reach, 1000000 * S + sc_clock(w, n), guests(n), sc_clock(w, n));
	judge(w, node);

	for (uint32_t k = 0; k < n->knows.n; k++) {
		uint64_t late = MS / 10 + sc_rnd(w, n->slow ? 300 * MS : 2 * MS);
		uint32_t i = n->knows.at[k];

		if (i == node || !w->link[node * w->opt.nodes + i] || sc_chance(w, n->slow ? 30 : 2))
			continue;
		send_to(w, node, i, k, late);
		if (!w->stopped && sc_rnd(w, 1000) < 5)
			send_to(w, node, i, k, late + sc_rnd(w, 30 * S));
	}
}

void sc_pulse_comes(struct sc *w, const struct sc_ev *e)
{
	struct sc_node *n = &w->node[e->node];
	uint32_t i = (uint32_t)e->val;

	if (n->power && n->up && n->paused > w->now) { /* it waits in the socket */
		sc_at(w, n->paused, SC_EV_PULSE, e->node, 0, i);
		return;
	}
	if (n->power && n->up) {
		const struct sc_pulse *p = &w->pulse[i];

		if (p->to != n->id || p->list != sc_list_sum(&n->knows)) {
			/* another list's */
		} else {
			if (reach_heard(&n->reach, sc_list_place(&n->knows, p->p.from), p->stamp, sc_clock(w, n)))
				for (uint32_t k = 0; k < n->reach.n; k++)
					if (p->row[k].stamp)
						reach_learn(&n->reach, k, &p->row[k], sc_clock(w, n));
			judge(w, e->node);
			sc_node_pulse(w, e->node, &w->pulse[i].p);
		}
	}
	w->pulse[i].next = w->pulse_free;
	w->pulse_free = i + 1;
}

/* Within seconds one of them steps aside; the others are one ring, and none of their guests ends by its lease. */
void sc_pair(struct sc *w, uint32_t a, bool check)
{
	uint32_t b = (a + 1) % w->opt.nodes, out = 0;

	if (!check) {
		sc_trace(w, "cut: between %c and %c", sc_letter(a), sc_letter(b));
		w->fence = 0;
		w->link[a * w->opt.nodes + b] = w->link[b * w->opt.nodes + a] = 0;
		for (uint32_t i = 0; i < w->opt.nodes; i++)
			w->node[i].lease_ends = 0;
		sc_cpg_links_changed(w, 900 * MS + sc_rnd(w, 2700 * MS));
		return;
	}
	for (uint32_t i = 0; i < w->opt.nodes; i++) {
		const struct sc_node *n = &w->node[i];

		out += n->reach.out;
		if (!n->reach.out && n->lease_ends)
			sc_violation(w, "%c and %c cannot talk, and guests of %c ended by their lease", sc_letter(a),
			             sc_letter(b), sc_letter(i));
		if (!n->reach.out && (!sc_node_acts(n) || n->n->n_members != w->opt.nodes - 1))
			sc_violation(w, "%c and %c cannot talk, and %c is in no stable view", sc_letter(a),
			             sc_letter(b), sc_letter(i));
	}
	if (out != 1)
		sc_violation(w, "%c and %c cannot talk, and %u hosts stepped aside", sc_letter(a), sc_letter(b), out);
}
