/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Events in, actions out; commands and their commit. Views are in node_view.c, beats and leases in node_lease.c. See node.h. */
#include "config.h"
#include "clusterd/core/node_int.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define SILENT_NS 5000000000ull /* for a member without a lease */
#define ASLEEP_NS 2000000000ull /* no event for so long: it was this clusterd that stood still, not the others */

void clu_node_init(struct clu_node *n, struct clu_state *s, uint32_t node, uint64_t boot, uint64_t lease_ns,
                   uint64_t now_ns)
{
	memset(n, 0, sizeof(*n));
	n->s = s;
	n->node = node;
	n->boot = boot;
	n->lease_ns = n->lease_said_ns = lease_ns;
	n->start_ns = now_ns;
	n->level = CLU_LEVEL;
	n->stored_epoch = s->epoch;
	n->stored_index = s->index;
	n->stored_promised = s->promised;
	n->seen.sum = ~s->sum;
	node_lease_look(n);
}

struct clu_action *node_act(struct node_step *st, enum clu_act_kind kind)
{
	assert(st->out->n < CLU_ACTIONS_MAX);
	struct clu_action *a = &st->out->a[st->out->n++];
	/* messages and commands are large: only what is used */
	if (kind == CLU_ACT_SEND || kind == CLU_ACT_SNAPSHOT)
		memset(&a->msg, 0, offsetof(struct clu_msg, cmd));
	else if (kind == CLU_ACT_SUBMIT)
		memset(&a->cmd, 0, sizeof(a->cmd));
	memset(&a->answer, 0, sizeof(*a) - offsetof(struct clu_action, answer));
	a->kind = kind;
	return a;
}

struct clu_msg *node_send(struct node_step *st, enum clu_msg_kind kind)
{
	struct clu_msg *m = &node_act(st, CLU_ACT_SEND)->msg;

	m->kind = kind;
	m->from = st->n->node;
	m->boot = st->n->boot;
	m->ring = st->n->ring;
	m->members_sum = st->n->members_sum;
	return m;
}

void node_warn(struct node_step *st, const char *text)
{
	if (st->n->warned_ns && st->now - st->n->warned_ns < 5000000000ull)
		return;
	st->n->warned_ns = st->now;
	strncpy(node_act(st, CLU_ACT_WARN)->text, text, CLU_TEXT_MAX - 1);
}

int node_slot(const struct clu_node *n, uint32_t node)
{
	const struct clu_host *h = clu_host_of(n->s, node);

	return h && clu_slot(n->s, h) < n->s->n_nodes ? (int)clu_slot(n->s, h) : -1;
}

void clu_node_list(struct clu_node *n, const uint32_t *node, char (*name)[CLU_NAME_MAX], uint32_t count)
{
	struct clu_peer was[CLU_HOSTS_MAX];
	uint32_t id[CLU_HOSTS_MAX];

	memcpy(was, n->peer, sizeof(was));
	for (uint32_t i = 0; i < CLU_HOSTS_MAX; i++)
		id[i] = n->s->host[i].node;
	clu_nodes_set(n->s, node, name, count);
	n->lists++;
	n->relisted = true;
	memset(n->peer, 0, sizeof(n->peer));
	for (uint32_t i = 0; i < CLU_HOSTS_MAX && n->s->host[i].node; i++)
		for (uint32_t k = 0; k < CLU_HOSTS_MAX; k++)
			if (id[k] == n->s->host[i].node)
				n->peer[i] = was[k];
}

uint32_t node_count_synced(const struct clu_node *n)
{
	uint32_t k = 0;

	for (uint32_t i = 0; i < n->seen.slots; i++)
		k += n->peer[i].member && n->peer[i].synced;
	return k;
}

bool node_silent(const struct clu_node *n, uint32_t slot)
{
	const struct clu_host *h = &n->s->host[slot];

	return h->node != n->node && n->now_ns > n->peer[slot].heard_ns + (h->lease_ns ? h->lease_ns : SILENT_NS);
}

void node_hear_all(struct clu_node *n)
{
	for (uint32_t i = 0; i < CLU_HOSTS_MAX; i++)
		n->peer[i].heard_ns = n->now_ns;
}

uint32_t clu_node_alive(const struct clu_node *n, uint32_t *member)
{
	uint32_t k = 0, at;

	for (uint32_t i = 0; i < n->seen.slots; i++) {
		if (!n->peer[i].member || node_silent(n, i))
			continue;
		for (at = k++; at && member[at - 1] > n->s->host[i].node; at--)
			member[at] = member[at - 1];
		member[at] = n->s->host[i].node;
	}
	return k;
}

uint64_t node_reached(uint64_t *v, uint32_t n, uint32_t need, uint64_t least)
{
	uint32_t at;

	if (n < need || !need)
		return least;
	for (uint32_t i = 1; i < n; i++) { /* high to low */
		uint64_t x = v[i];
		for (at = i; at && v[at - 1] < x; at--)
			v[at] = v[at - 1];
		v[at] = x;
	}
	return v[need - 1];
}

/* The highest index that a majority of all nodes has on disk in this epoch. */
void node_commit(struct node_step *st)
{
	struct clu_node *n = st->n;
	uint64_t v[CLU_HOSTS_MAX], best;
	uint32_t k = 0;

	if (n->phase != CLU_NODE_ACTIVE)
		return;
	for (uint32_t i = 0; i < n->seen.slots; i++) {
		const struct clu_peer *p = &n->peer[i];
		if (p->stored_index > n->commit && p->member && p->stored_epoch == n->epoch)
			v[k++] = p->stored_index;
	}
	best = node_reached(v, k, clu_majority(n->s), n->commit);
	if (best == n->commit)
		return;
	n->commit = best;
	node_act(st, CLU_ACT_COMMITTED)->index = best;
}

uint32_t clu_node_level(const struct clu_node *n)
{
	uint32_t least = n->s->n_nodes ? UINT32_MAX : 0;

	for (uint32_t i = 0; i < n->s->n_nodes; i++) {
		uint32_t level = n->peer[i].member ? n->peer[i].level : 0;
		if (level < least)
			least = level;
	}
	return least;
}

const struct clu_feature *clu_node_lacks(const struct clu_node *n, const struct clu_cmd *c)
{
	const struct clu_feature *f = clu_cmd_needs(c);
	uint32_t level = clu_node_committed(n, n->s->level_id) ? n->s->level : 0;

	return f && f->level > level ? f : NULL;
}

/*
 * Nodes of a lower level, which there may be, know nothing of it and leave it out; so do all, index included. Senders ask first, so this is for
 * a command that overtook the state: said in a view whose LEVEL was lost.
 */
static bool too_early(const struct clu_node *n, const struct clu_cmd *c)
{
	return n->phase == CLU_NODE_ACTIVE && !n->behind && c->needs > n->s->level;
}

static void command(struct node_step *st, const struct clu_msg *m)
{
	struct clu_node *n = st->n;
	struct clu_answer answer;

	if (m->cmd.origin != m->from)
		return;
	/* now, also by those that are behind: what is known of the others when they have caught up is more */
	if (m->cmd.kind == CLU_CMD_LEVEL && m->cmd.level > clu_node_level(n))
		return;
	if (n->phase == CLU_NODE_ACTIVE && n->behind) {
		node_act(st, CLU_ACT_BUFFER);
		return;
	}
	bool mine = m->from == n->node && m->cmd.request;
	if (n->phase != CLU_NODE_ACTIVE) {
		if (mine) {
			struct clu_action *a = node_act(st, CLU_ACT_ANSWER);
			a->request = m->cmd.request;
			a->answer.status = -EAGAIN;
			strcpy(a->answer.text, "the cluster is just finding together; it was not done");
		}
		return;
	}
	if (too_early(n, &m->cmd)) {
		if (mine) {
			struct clu_action *a = node_act(st, CLU_ACT_ANSWER);
			a->request = m->cmd.request;
			a->answer.status = -EAGAIN;
			strcpy(a->answer.text, "not every host knows that; it was not done");
		}
		return;
	}
	clu_apply(n->s, &m->cmd, st->changes, &answer);
	node_act(st, CLU_ACT_STORE);
	if (mine) {
		struct clu_action *a = node_act(st, CLU_ACT_ANSWER);
		a->request = m->cmd.request;
		a->index = n->s->index;
		a->answer = answer;
	}
}

static void (*const heard[])(struct node_step *st, const struct clu_msg *m) = {
	[CLU_MSG_HELLO] = node_view_hello,
	[CLU_MSG_OPEN] = node_view_open,
	[CLU_MSG_SNAPSHOT] = node_view_snapshot,
	[CLU_MSG_SYNCED] = node_view_synced,
	[CLU_MSG_RESYNC] = node_view_resync,
	[CLU_MSG_BEAT] = node_lease_heard,
	[CLU_MSG_CMD] = command,
	[CLU_MSG_PROMISE] = node_view_promise,
};

static void message(struct node_step *st, const struct clu_msg *m)
{
	int slot = node_slot(st->n, m->from);

	if (st->n->phase == CLU_NODE_OUT || slot < 0)
		return;
	st->n->peer[slot].heard_ns = st->now;
	if ((size_t)m->kind < sizeof(heard) / sizeof(heard[0]) && heard[m->kind])
		heard[m->kind](st, m);
}

static void stored(struct node_step *st, const struct clu_event *ev)
{
	struct clu_node *n = st->n;

	bool more = ev->epoch > n->stored_epoch || (ev->epoch == n->stored_epoch && ev->index > n->stored_index);
	if (ev->promised > n->stored_promised)
		n->stored_promised = ev->promised;
	if (more) {
		n->stored_epoch = ev->epoch;
		n->stored_index = ev->index;
	}
	if (n->phase == CLU_NODE_GATHER || n->phase == CLU_NODE_OPENED)
		node_view_stored(st);
	if (more && n->begun && !n->behind)
		node_lease_beat(st);
}

void clu_node_step(struct clu_node *n, const struct clu_event *ev, struct clu_changes *changes, struct clu_actions *out)
{
	struct node_step st = { .n = n, .now = ev->now_ns, .changes = changes, .out = out };
	bool asleep = ev->now_ns > n->now_ns + ASLEEP_NS;

	node_await_pass(n, ev->now_ns, asleep);
	n->now_ns = ev->now_ns;
	n->tick = ev->tick;
	node_lease_look(n);
	if (asleep)
		node_hear_all(n);
	switch (ev->kind) {
	case CLU_EV_VIEW:
		node_view_begin(&st, ev);
		break;
	case CLU_EV_MSG:
		message(&st, ev->msg);
		break;
	case CLU_EV_STORED:
		stored(&st, ev);
		break;
	case CLU_EV_LOADED:
		node_view_loaded(&st, ev->ok);
		break;
	case CLU_EV_QUORATE:
		n->quorate = ev->ok;
		node_lease_renew(&st);
		break;
	case CLU_EV_TICK:
		node_view_tick(&st);
		node_lease_tick(&st);
		break;
	case CLU_EV_PULSE:
		node_pulse_heard(&st, ev->pulse);
		break;
	}
	node_lease_look(n);
}

uint64_t clu_node_deadline_ns(const struct clu_node *n)
{
	uint64_t a = node_view_deadline(n), b = node_lease_deadline(n);

	return a < b ? a : b;
}

bool clu_node_coordinates(const struct clu_node *n)
{
	return n->phase == CLU_NODE_ACTIVE && !n->behind && n->quorate && n->coordinator == n->node;
}

const char *clu_node_phase_name(enum clu_node_phase p)
{
	static const char *const t[] = { "out", "gather", "opened", "active" };

	return (size_t)p < sizeof(t) / sizeof(t[0]) ? t[p] : "?";
}
