/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clusterd's I/O layer around the real core: events in, actions out, a disk that loses what was not written, snapshots as records, own
 * commands (HOST_UP, proposals). As clusterd/io/nodeio*.c does it: messages go on while the disk writes, which may take very long.
 */
#include "config.h"
#include "clusterd/core/level.h"
#include "tests/sim/simclu.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define HOUSE_NS    (1 * S)
#define AGAIN_NS    (1 * S)
#define LOST_CMD_NS (2 * S)
#define LEASE_NS    (5 * S)

/* Sending -------------------------------------------------------------------------------------------------------------- */

static void send_msg(struct sc *w, uint32_t node, const struct clu_msg *m)
{
	struct sc_msg *to = sc_msg_new(w);

	/* a beat and HELLO have something for each node; a command, which is large, comes by sc_submit() */
	memcpy(&to->m, m, offsetof(struct clu_msg, await_ns));
	if (m->kind == CLU_MSG_HELLO)
		memcpy(to->m.await_ns, m->await_ns, sc_slots(w) * sizeof(m->await_ns[0]));
	if (m->kind == CLU_MSG_BEAT) {
		memcpy(to->m.ack_boot, m->ack_boot, sc_slots(w) * sizeof(m->ack_boot[0]));
		memcpy(to->m.ack_seq, m->ack_seq, sc_slots(w) * sizeof(m->ack_seq[0]));
	}
	sc_cpg_send(w, node, to);
}

void sc_submit(struct sc *w, uint32_t node, const struct clu_cmd *c)
{
	struct sc_node *n = &w->node[node];
	const struct clu_feature *f = clu_cmd_needs(c);
	struct sc_msg *to;

	if (!n->up || (f && f->level > n->s->level)) /* nodeio_submit() */
		return;
	to = sc_msg_new(w);
	memset(&to->m, 0, offsetof(struct clu_msg, await_ns));
	to->m.kind = CLU_MSG_CMD;
	to->m.from = n->id;
	to->m.cmd = *c;
	to->m.cmd.origin = n->id;
	to->m.cmd.needs = f ? f->level : 0;
	to->m.cmd.time_ns = 1000000 * S + w->now + n->offset % (3 * S);
	if (c->n_inventory) {
		if (to->inventory_cap < c->n_inventory) {
			free(to->inventory);
			to->inventory_cap = c->n_inventory + 64;
			to->inventory = calloc(to->inventory_cap, sizeof(*to->inventory));
		}
		memcpy(to->inventory, c->inventory, c->n_inventory * sizeof(*to->inventory));
		to->m.cmd.inventory = to->inventory;
	}
	n->sent_cmds++;
	n->sent_ns = sc_clock(w, n);
	sc_cpg_send(w, node, to);
}

static void pack_record(struct clu_state *s, struct sc_msg *m, enum clu_object kind, uint32_t slot)
{
	if (m->octets_cap < m->octets_len + CLU_RECORD_MAX + 9) {
		m->octets_cap = (m->octets_len + CLU_RECORD_MAX + 9) * 2;
		m->octets = realloc(m->octets, m->octets_cap);
	}
	uint8_t *p = m->octets + m->octets_len;
	uint32_t len = (uint32_t)clu_record_pack(s, kind, slot, p + 9);
	if (!len)
		return;
	p[0] = (uint8_t)kind;
	memcpy(p + 1, &slot, 4);
	memcpy(p + 5, &len, 4);
	m->octets_len += 9 + len;
}

static void send_snapshot(struct sc *w, uint32_t node, const struct clu_msg *m)
{
	struct clu_state *s = w->node[node].s;
	struct sc_msg *to = sc_msg_new(w);

	memcpy(&to->m, m, offsetof(struct clu_msg, cmd));
	to->m.kind = CLU_MSG_SNAPSHOT;
	to->m.from = w->node[node].id;
	pack_record(s, to, CLU_OBJ_META, 0);
	pack_record(s, to, CLU_OBJ_POLICY, 0);
	pack_record(s, to, CLU_OBJ_DISARM, 0);
	for (uint32_t i = 0; i < CLU_HOSTS_MAX && s->host[i].node; i++)
		pack_record(s, to, CLU_OBJ_HOST, i);
	for (uint32_t i = 0; i < SC_RULES; i++)
		pack_record(s, to, CLU_OBJ_RULE, i);
	for (uint32_t i = 0; i < s->n_dom; i++)
		pack_record(s, to, CLU_OBJ_DOM, i);
	sc_cpg_send(w, node, to);
}

/* Disk ----------------------------------------------------------------------------------------------------------------- */

/* What of a state a story uses. */
static void copy_state(struct clu_state *to, const struct clu_state *s, uint32_t slots)
{
	uint32_t doms = s->n_dom > to->n_dom ? s->n_dom : to->n_dom;

	to->epoch = s->epoch, to->promised = s->promised, to->index = s->index, to->sum = s->sum;
	to->level = s->level, to->level_id = s->level_id;
	to->time_ns = s->time_ns, to->n_nodes = s->n_nodes, to->n_dom = s->n_dom, to->policy = s->policy,
	to->disarm = s->disarm;
	memcpy(to->host, s->host, slots * sizeof(s->host[0]));
	memcpy(to->rule, s->rule, SC_RULES * sizeof(s->rule[0]));
	memcpy(to->dom, s->dom, doms * sizeof(s->dom[0]));
}

static void write_begin(struct sc *w, uint32_t node)
{
	struct sc_node *n = &w->node[node];
	struct sc_write *wr = n->write;
	struct clu_state *s = n->s;

	n->store_wanted = false;
	n->writing = true;
	wr->n = 0;
	wr->all = n->changes.all;
	wr->epoch = s->epoch, wr->index = s->index, wr->promised = s->promised, wr->sum = s->sum,
	wr->time_ns = s->time_ns, wr->level = s->level, wr->level_id = s->level_id;
	wr->n_dom = s->n_dom;
	if (wr->all)
		copy_state(n->write_all, s, sc_slots(w));
	for (uint32_t i = 0; i < n->changes.n && !wr->all; i++) {
		struct sc_record *r = &wr->r[wr->n++];
		r->kind = n->changes.c[i].kind;
		r->slot = n->changes.c[i].slot;
		if (r->kind == CLU_OBJ_HOST)
			r->u.host = s->host[r->slot];
		else if (r->kind == CLU_OBJ_DOM)
			r->u.dom = s->dom[r->slot];
		else if (r->kind == CLU_OBJ_RULE)
			r->u.rule = s->rule[r->slot];
		else if (r->kind == CLU_OBJ_POLICY)
			r->u.policy = s->policy;
		else if (r->kind == CLU_OBJ_DISARM)
			r->u.disarm = s->disarm;
	}
	n->changes.n = 0;
	n->changes.all = false;
	uint64_t took = MS / 2 + sc_rnd(w, n->slow_disk ? 1500 * MS : w->disk_ns);
	sc_at(w, w->now + took, SC_EV_STORED, node, 0, ++wr->serial);
}

static void write_lands(struct sc *w, uint32_t node)
{
	struct sc_node *n = &w->node[node];
	struct sc_write *wr = n->write;
	struct clu_state *d = n->disk;

	if (wr->all) {
		copy_state(d, n->write_all, sc_slots(w));
		return;
	}
	d->epoch = wr->epoch, d->index = wr->index, d->promised = wr->promised, d->sum = wr->sum,
	d->time_ns = wr->time_ns, d->level = wr->level, d->level_id = wr->level_id;
	d->n_dom = wr->n_dom;
	for (uint32_t i = 0; i < wr->n; i++) {
		const struct sc_record *r = &wr->r[i];
		if (r->kind == CLU_OBJ_HOST)
			d->host[r->slot] = r->u.host;
		else if (r->kind == CLU_OBJ_DOM)
			d->dom[r->slot] = r->u.dom;
		else if (r->kind == CLU_OBJ_RULE)
			d->rule[r->slot] = r->u.rule;
		else if (r->kind == CLU_OBJ_POLICY)
			d->policy = r->u.policy;
		else if (r->kind == CLU_OBJ_DISARM)
			d->disarm = r->u.disarm;
	}
}

static char (*names(const struct sc_list *l))[CLU_NAME_MAX]
{
	static char name[SC_NODES][CLU_NAME_MAX];

	for (uint32_t i = 0; i < l->n; i++)
		snprintf(name[i], sizeof(name[i]), "host-%u", l->id[i]);
	return name;
}

static void take_list(struct sc_node *n)
{
	clu_nodes_set(n->s, n->knows.id, names(&n->knows), n->knows.n);
}

static bool load_snapshot(struct sc *w, uint32_t node, const struct sc_msg *m)
{
	struct sc_node *n = &w->node[node];

	n->loads++;
	clu_state_clear(n->s);
	for (size_t at = 0; at < m->octets_len;) {
		uint32_t slot, len;
		memcpy(&slot, m->octets + at + 1, 4);
		memcpy(&len, m->octets + at + 5, 4);
		if (clu_record_unpack(n->s, (enum clu_object)m->octets[at], slot, m->octets + at + 9, len) < 0) {
			sc_violation(w, "%c cannot read the record of a snapshot", sc_letter(node));
			return false;
		}
		at += 9 + len;
	}
	if (n->s->sum != m->m.sum || n->s->index != m->m.index || clu_sum(n->s) != m->m.sum)
		sc_violation(w, "%c loaded a snapshot and has another state than its sender", sc_letter(node));
	if (w->opt.lists)
		take_list(n);
	n->changes.n = 0;
	n->changes.all = true;
	return true;
}

/* The core ------------------------------------------------------------------------------------------------------------- */

static void feed(struct sc *w, uint32_t node, struct clu_event *ev, struct sc_msg *msg);

static void keep(struct sc_node *n, struct sc_msg *m)
{
	if (n->kept_n == n->kept_cap) {
		n->kept_cap = n->kept_cap ? n->kept_cap * 2 : 64;
		n->kept = realloc(n->kept, n->kept_cap * sizeof(struct sc_msg *));
	}
	m->refs++;
	n->kept[n->kept_n++] = m;
}

static void forget(struct sc *w, struct sc_node *n)
{
	for (uint32_t i = 0; i < n->kept_n; i++)
		sc_msg_put(w, n->kept[i]);
	n->kept_n = 0;
}

static void act(struct sc *w, uint32_t node, const struct clu_action *a, struct sc_msg *msg)
{
	struct sc_node *n = &w->node[node];

	switch (a->kind) {
	case CLU_ACT_SEND:
		send_msg(w, node, &a->msg);
		break;
	case CLU_ACT_STORE:
		n->store_wanted = true;
		break;
	case CLU_ACT_SNAPSHOT:
		sc_trace(w, "%c sends its state %llu.%llu", sc_letter(node), (unsigned long long)n->s->epoch,
		         (unsigned long long)n->s->index);
		send_snapshot(w, node, &a->msg);
		break;
	case CLU_ACT_LOAD:
		n->load_ok = load_snapshot(w, node, msg);
		n->loading = true;
		break;
	case CLU_ACT_BUFFER:
		keep(n, msg);
		break;
	case CLU_ACT_FORGET:
		forget(w, n);
		break;
	case CLU_ACT_ANSWER:
		break;
	case CLU_ACT_COMMITTED:
		n->touched = true;
		sc_check_committed(w, node, a->index);
		sc_ambush_commit(w);
		break;
	case CLU_ACT_LEASE:
		sc_lease(w, node, a->at_ns, a->from_tick);
		if (a->permitted && n->guard_until == a->at_ns && n->guard_tick > n->permit_tick && n->permit_tick)
			n->guard_tick = n->permit_tick;
		break;
	case CLU_ACT_PERMIT:
		n->permit_tick = a->at_ns && a->from_tick ? a->from_tick + a->lease_ns : 0;
		sc_trace(w, "%c: permit %s", sc_letter(node), a->at_ns ? "held" : "dropped");
		break;
	case CLU_ACT_SUBMIT:
		sc_submit(w, node, &a->cmd);
		break;
	case CLU_ACT_PULSE:
		sc_pulse(w, node);
		break;
	case CLU_ACT_EXPIRED:
		sc_lease_over(w, node);
		break;
	case CLU_ACT_CLOCK_STOPPED:
		sc_trace(w, "%c: its clock stood still for %.1f s", sc_letter(node), (double)a->at_ns / 1e9);
		break;
	case CLU_ACT_WARN:
		sc_trace(w, "%c says: %s", sc_letter(node), a->text);
		break;
	}
}

static void set_tick(struct sc *w, uint32_t node)
{
	struct sc_node *n = &w->node[node];
	uint64_t clock = clu_node_deadline_ns(n->n), at;

	if (clock == CLU_NEVER)
		return;
	at = sc_when(w, n, clock);
	if (at <= w->now)
		at = w->now + MS;
	if (at >= n->tick_at && n->tick_at > w->now)
		return;
	n->tick_at = at;
	sc_at(w, at, SC_EV_TICK, node, 0, 0);
}

static void feed(struct sc *w, uint32_t node, struct clu_event *ev, struct sc_msg *msg)
{
	struct sc_node *n = &w->node[node];
	uint64_t index = n->s->index;
	enum clu_node_phase phase = n->n->phase;

	ev->now_ns = sc_clock(w, n);
	ev->tick = sc_tick(w, n);
	w->acts->n = 0;
	if (sc_planted(w, "permit-unpromised"))
		for (uint32_t i = 0; i < sc_slots(w); i++)
			n->n->peer[i].wait_permit_ns = 0;
	uint64_t permitted = n->n->permit.until_ns;
	clu_node_step(n->n, ev, &n->changes, w->acts);
	if (n->s->index != index)
		sc_check_applied(w, node, false);
	if (w->opt.trace && n->n->phase != phase)
		sc_trace(w, "%c: view is %s, state %llu.%llu", sc_letter(node), clu_node_phase_name(n->n->phase),
		         (unsigned long long)n->s->epoch, (unsigned long long)n->s->index);
	for (size_t i = 0; i < w->acts->n; i++)
		act(w, node, &w->acts->a[i], msg);
	if (permitted && !n->n->permit.until_ns && sc_planted(w, "permit-undropped"))
		n->undropped = permitted; /* it says that it makes no more use of it, and does */
	if (n->undropped > ev->now_ns)
		sc_lease(w, node, ev->now_ns + LEASE_NS < n->undropped ? ev->now_ns + LEASE_NS : n->undropped, 0);
}

static void write_if_wanted(struct sc *w, uint32_t node)
{
	struct sc_node *n = &w->node[node];

	if (!n->store_wanted || n->writing)
		return;
	if (sc_planted(w, "ack-before-persist")) {
		struct clu_event ev = {
			.kind = CLU_EV_STORED, .epoch = n->s->epoch, .index = n->s->index, .promised = n->s->promised
		};
		write_begin(w, node);
		feed(w, node, &ev, NULL);
		return;
	}
	write_begin(w, node);
}

void sc_node_settle(struct sc *w, uint32_t node)
{
	struct sc_node *n = &w->node[node];

	if (n->loading && !n->writing) {
		n->loading = false;
		n->writing_load = true;
		write_begin(w, node);
	} else {
		write_if_wanted(w, node);
	}
	set_tick(w, node);
	if (n->touched) {
		n->touched = false;
		sc_node_house(w, node);
	}
}

void sc_node_loaded(struct sc *w, uint32_t node)
{
	struct sc_node *n = &w->node[node];
	struct clu_event ev = { .kind = CLU_EV_LOADED, .ok = n->load_ok };
	uint32_t k;

	sc_check_applied(w, node, true);
	feed(w, node, &ev, NULL);
	n->touched = true;
	if (n->n->behind)
		return;
	k = n->kept_n;
	for (uint32_t i = 0; i < k; i++) {
		sc_node_message(w, node, n->kept[i], true);
		sc_msg_put(w, n->kept[i]);
	}
	if (n->kept_n > k)
		memmove(n->kept, n->kept + k, (n->kept_n - k) * sizeof(struct sc_msg *));
	n->kept_n -= k;
}

/* @serial 0: the node dies, and the disk got it all the same. */
void sc_node_stored(struct sc *w, uint32_t node, uint64_t serial)
{
	struct sc_node *n = &w->node[node];
	struct clu_event ev = { .kind = CLU_EV_STORED };

	if (!n->writing || (serial && serial != n->write->serial))
		return;
	if (serial && w->now < n->stalled) {
		sc_at(w, n->stalled, SC_EV_STORED, node, 0, serial);
		return;
	}
	n->writing = false;
	write_lands(w, node);
	if (!serial)
		return;
	ev.epoch = n->write->epoch, ev.index = n->write->index, ev.promised = n->write->promised;
	if (!n->writing_load) {
		feed(w, node, &ev, NULL);
	} else {
		n->writing_load = false;
		if (ev.epoch != n->s->epoch || ev.index != n->s->index || ev.promised != n->s->promised)
			sc_violation(w, "%c changed the state that it was loading", sc_letter(node));
		sc_node_loaded(w, node);
	}
	sc_node_settle(w, node);
}

void sc_node_view(struct sc *w, uint32_t node, uint32_t ring, const uint32_t *member, uint32_t n_members)
{
	struct sc_node *n = &w->node[node];
	struct clu_event ev = { .kind = CLU_EV_VIEW, .ring = ring, .member = member, .n_members = n_members };
	struct clu_event q = { .kind = CLU_EV_QUORATE };
	uint32_t votes = 0;

	for (uint32_t i = 0; i < n_members; i++)
		votes += sc_list_has(&n->runs, member[i]);
	q.ok = votes >= n->runs.n / 2 + 1;
	n->n_members = n_members;
	n->view_ns = sc_clock(w, n);
	memcpy(n->member, member, n_members * sizeof(*member));
	n->seen_cmds = n->sent_cmds;
	n->host_up_ns = 0;
	feed(w, node, &q, NULL);
	feed(w, node, &ev, NULL);
	n->touched = true;
}

/* As nodeio_config.c: the view begins anew. */
void sc_node_list(struct sc *w, uint32_t node)
{
	struct sc_node *n = &w->node[node];
	static uint32_t member[SC_NODES];
	static struct clu_peer peer[CLU_HOSTS_MAX];
	uint32_t n_members = n->n_members;

	sc_trace(w, "%c: clusterd takes over list %llu", sc_letter(node), (unsigned long long)n->runs.version);
	n->knows = n->runs;
	memcpy(peer, n->n->peer, sizeof(peer));
	clu_node_list(n->n, n->knows.id, names(&n->knows), n->knows.n);
	if (sc_planted(w, "lists-and-old-peers")) /* the word of one that was taken out counts for another one */
		memcpy(n->n->peer, peer, sizeof(peer));
	n->loads++; /* the sum is another one */
	n->changes.all = n->store_wanted = true;
	if (n->reach.out)
		sc_cpg_links_changed(w, 500 * MS);
	reach_init(&n->reach, n->knows.n, sc_list_place(&n->knows, n->id));
	memcpy(member, n->member, n_members * sizeof(*member));
	if (n_members)
		sc_node_view(w, node, (uint32_t)n->n->ring, member, n_members);
	sc_node_settle(w, node);
}

/* @again: kept while a snapshot was loaded. */
void sc_node_message(struct sc *w, uint32_t node, struct sc_msg *m, bool again)
{
	struct sc_node *n = &w->node[node];
	struct clu_event ev = { .kind = CLU_EV_MSG, .msg = &m->m };
	uint64_t index = n->s->index;

	if (m->m.kind == CLU_MSG_SNAPSHOT && m->m.to && m->m.to != n->id)
		return;
	if (m->m.from == n->id)
		n->own_ns = sc_clock(w, n);
	if (m->m.kind == CLU_MSG_CMD && m->m.from == n->id && !again)
		n->seen_cmds++;
	bool start = m->m.kind == CLU_MSG_CMD && m->m.cmd.kind == CLU_CMD_START;
	bool calm = n->s->disarm.id && m->m.kind == CLU_MSG_CMD && (start || m->m.cmd.kind == CLU_CMD_HOST_LOST);
	uint64_t sum = n->s->sum;
	if (start)
		sc_after_before(w, node, &m->m.cmd);
	if (m->m.kind == CLU_MSG_CMD)
		sc_set_before(w, node, &m->m.cmd);
	feed(w, node, &ev, m);
	if (m->m.kind == CLU_MSG_CMD)
		sc_set_applied(w, node, &m->m.cmd);
	if (calm && n->s->sum != sum)
		sc_violation(w, "%s counts at %c while the cluster is disarmed", clu_cmd_name(m->m.cmd.kind),
		             sc_letter(node));
	if (start)
		sc_after_applied(w, node, &m->m.cmd);
	if (n->s->index != index)
		n->touched = true;
	if (n->loading)
		sc_node_settle(w, node); /* before the next message */
}

void sc_node_pulse(struct sc *w, uint32_t node, const struct clu_pulse *p)
{
	struct sc_node *n = &w->node[node];
	struct clu_event ev = { .kind = CLU_EV_PULSE, .pulse = p };
	struct clu_peer *peer = &n->n->peer[sc_list_place(&n->knows, p->from)];
	uint64_t promised = peer->wait_until_ns;

	feed(w, node, &ev, NULL);
	if (sc_planted(w, "pulse-no-promise"))
		peer->wait_until_ns = promised;
}

void sc_node_tick(struct sc *w, uint32_t node)
{
	struct sc_node *n = &w->node[node];
	struct clu_event ev = { .kind = CLU_EV_TICK };

	n->tick_at = 0;
	if (n->paused > w->now) {
		n->tick_at = n->paused;
		sc_at(w, n->paused, SC_EV_TICK, node, 0, 0);
		return;
	}
	feed(w, node, &ev, NULL);
	sc_node_settle(w, node);
}

/* Own words ------------------------------------------------------------------------------------------------------------ */

bool sc_node_acts(const struct sc_node *n)
{
	return n->up && n->n->phase == CLU_NODE_ACTIVE && !n->n->behind;
}

static void host_up(struct sc *w, uint32_t node)
{
	struct sc_node *n = &w->node[node];
	const struct clu_host *h = clu_host_of(n->s, n->id);
	static struct clu_inventory inv[CLU_INVENTORY_MAX];
	uint64_t now = sc_clock(w, n);
	struct clu_cmd c = { .kind = CLU_CMD_HOST_UP };
	uint64_t said;

	if (sc_chance(w, 2) && !w->stopped && !w->opt.apart) {
		uint64_t was = n->lease_want;
		n->lease_want = (3 + sc_rnd(w, 8)) * S;
		if (n->lease_want > was)
			sc_ambush_lease(w, node);
	} else if (w->stopped) {
		n->lease_want = LEASE_NS;
	}
	said = clu_node_lease(n->n, n->lease_want, now);
	if (sc_planted(w, "lease-longer-early")) { /* and for beats that are under way */
		n->n->lease_ns = n->lease_want;
		for (uint32_t i = 0; i < CLU_BEATS_KEPT; i++)
			n->n->beat[i].lease_ns = n->lease_want;
	}
	if (!h || n->leave == SC_LEAVES_LEFT ||
	    (h->state == CLU_HOST_ONLINE && h->boot == n->n->boot && h->lease_ns == said) ||
	    (n->host_up_ns && now < n->host_up_ns + AGAIN_NS))
		return;
	n->host_up_ns = now;
	memcpy(c.name, h->name, sizeof(c.name));
	c.boot = n->n->boot;
	c.lease_ns = said;
	c.witness = sc_is_witness(w, node) && !sc_planted(w, "witness-unsaid");
	c.self_fencing = !sc_is_witness(w, node);
	c.leaving = n->leave == SC_STAYS          ? CLU_LEAVING_NOT
	            : n->leave == SC_LEAVES_DRAIN ? CLU_LEAVING_DRAIN
	                                          : CLU_LEAVING_ENDING;
	c.clock_stops = n->clocks == SC_CLOCKS_STOP && !sc_planted(w, "stopped-clock-trusted");
	c.rev = n->s->index;
	if (!c.witness) {
		c.cap.mem_bytes = (uint64_t)w->opt.doms << 30;
		c.cap.cpu_milli = 8000;
		c.cap.engines = CLU_ENGINE_PV;
		strcpy(c.cap.build[0], "pv 1");
	}
	c.n_inventory = sc_inventory(w, node, inv, CLU_INVENTORY_MAX);
	c.inventory = inv;
	sc_submit(w, node, &c);
}

/* The state as a coordinator sees it that does not know who failed with what. */
static const struct clu_state *forgetful(struct sc *w, const struct clu_state *s)
{
	copy_state(w->scratch, s, sc_slots(w));
	for (uint32_t i = 0; i < s->n_dom; i++) {
		memset(w->scratch->dom[i].failed, 0, sizeof(s->dom[i].failed));
		memset(w->scratch->dom[i].fail, 0, sizeof(s->dom[i].fail));
	}
	for (uint32_t i = 0; i < sc_slots(w); i++)
		w->scratch->host[i].start_fails = 0;
	return w->scratch;
}

static bool awaits(const struct sc *w, const struct sc_node *n, uint32_t slot)
{
	/* for token and consensus, however long nobody had quorum */
	if (sc_planted(w, "waits-briefly") && n->n->peer[slot].awaited_ns > SC_SETTLE_NS)
		return false;
	return clu_node_awaits(n->n, slot);
}

static void decide(struct sc *w, uint32_t node)
{
	struct sc_node *n = &w->node[node];
	uint32_t alive[SC_NODES];
	struct clu_view v = { .member = alive,
		              .n = clu_node_alive(n->n, alive),
		              .commit = n->n->commit,
		              .disarm_left_ns = clu_node_disarm_left(n->n) };
	uint64_t now = sc_clock(w, n);

	if (!clu_node_coordinates(n->n) || (n->seen_cmds < n->sent_cmds && now < n->sent_ns + LOST_CMD_NS))
		return;
	n->seen_cmds = n->sent_cmds;
	for (uint32_t i = 0; i < sc_slots(w); i++)
		if (awaits(w, n, i))
			clu_bit_set(v.awaited, i);
	for (uint32_t i = 0; i < n->reach.n && n->n->pulses && !sc_planted(w, "gives-up-at-once"); i++)
		if (reach_coming(&n->reach, i, n->view_ns, now))
			v.coming[i / 64] |= 1ull << (i % 64);
	if (clu_node_level(n->n) > n->s->level)
		sc_submit(w, node, &(struct clu_cmd){ .kind = CLU_CMD_LEVEL, .level = clu_node_level(n->n) });
	sc_after_hide(w, n->s, true);
	sc_set_hide(w, n->s, true);
	clu_decide(sc_planted(w, "forgets-failures") ? forgetful(w, n->s) : n->s, &v, &n->load, 1000000 * S + w->now,
	           w->proposals);
	sc_set_hide(w, n->s, false);
	sc_after_hide(w, n->s, false);
	for (uint32_t i = 0; i < CLU_HOSTS_MAX && n->s->host[i].node; i++) {
		const struct clu_host *h = &n->s->host[i];
		if (!clu_bit(w->proposals->fence, i) || n->fence_asked[i] == h->lost_id ||
		    !clu_node_committed(n->n, h->lost_id) || sc_node_by(w, h->node) == NOHOST)
			continue;
		n->fence_asked[i] = h->lost_id;
		sc_fence_asked(w, node, sc_node_by(w, h->node), h->lost_id);
	}
	for (uint32_t i = 0; i < w->proposals->n; i++) {
		sc_trace(w, "%c proposes %s %s %c", sc_letter(node), clu_cmd_name(w->proposals->cmd[i].kind),
		         w->proposals->cmd[i].uuid, sc_letter_of(w, w->proposals->cmd[i].host));
		sc_set_proposed(w, node, &w->proposals->cmd[i]);
		sc_submit(w, node, &w->proposals->cmd[i]);
		if (sc_chance(w, 3))
			sc_submit(w, node, &w->proposals->cmd[i]); /* twice does no harm */
	}
}

void sc_node_house(struct sc *w, uint32_t node)
{
	struct sc_node *n = &w->node[node];

	if (!n->up || n->paused > w->now)
		return;
	if (!sc_node_acts(n))
		return;
	host_up(w, node);
	if (n->leave == SC_STAYS)
		sc_leave_look(w, node);
	sc_manage(w, node);
	decide(w, node);
}

/* Life ----------------------------------------------------------------------------------------------------------------- */

void sc_node_init(struct sc *w, uint32_t node)
{
	struct sc_node *n = &w->node[node];
	n->n_members = 0;
	if (n->disk->host[0].node) { /* a story before this one */
		clu_state_clear(n->disk);
		n->disk->promised = 0;
	}
	memset(n->disk->host, 0, sizeof(n->disk->host));
	clu_nodes_set(n->disk, n->conf.id, names(&n->conf), n->conf.n);
}

void sc_node_start(struct sc *w, uint32_t node)
{
	struct sc_node *n = &w->node[node];

	if (n->up || !n->power || !n->conf.n)
		return;
	n->up = n->joined = true;
	n->life++;
	n->paused = 0;
	n->tick_at = 0;
	n->in_at = NEVER;
	n->store_wanted = n->writing = n->writing_load = n->loading = n->touched = false;
	n->changes.n = 0;
	n->permit_tick = n->undropped = 0;
	n->changes.all = false;
	n->host_up_ns = n->sent_ns = 0;
	n->sent_cmds = n->seen_cmds = 0;
	memset(n->fence_asked, 0, sizeof(n->fence_asked));
	memset(sc_ldom(w, node, 0), 0, w->opt.doms * sizeof(struct sc_ldom));
	copy_state(n->s, n->disk, sc_slots(w));
	n->knows = n->runs;
	take_list(n); /* it may have changed while this node was away */
	n->changes.all = n->store_wanted = w->opt.lists;
	sc_trace(w, "%c: clusterd starts with state %llu.%llu", sc_letter(node), (unsigned long long)n->s->epoch,
	         (unsigned long long)n->s->index);
	clu_node_init(n->n, n->s, n->id, 1 + (w->seq << 20) + n->life + ((uint64_t)node << 50),
	              sc_is_witness(w, node) ? 0 : LEASE_NS, sc_clock(w, n));
	/* in some stories hosts begin as an earlier release, until they are started anew */
	if (w->opt.seed % 3 == 0 && w->opt.seed >> (2 + node % 8) & 1 && !n->upgraded)
		n->n->level = 0;
	n->upgraded = true;
	n->lease_want = LEASE_NS;
	n->n->await_least_ns = sc_planted(w, "waits-briefly") ? SC_SETTLE_NS : SC_AWAIT_LEAST_NS;
	n->n_members = 0;
	reach_init(&n->reach, n->knows.n, sc_list_place(&n->knows, n->id));
	n->n->pulses = w->opt.nodes <= SC_PULSE_NODES;
	n->n->clock_stops = n->clocks == SC_CLOCKS_STOP;
	if (sc_planted(w, "no-wait-after-restart"))
		n->n->start_ns = 0;
	sc_check_applied(w, node, true);
	sc_cpg_group(w, node);
	sc_at(w, w->now + sc_rnd(w, HOUSE_NS), SC_EV_HOUSE, node, 0, 0);
}

void sc_node_die(struct sc *w, uint32_t node)
{
	struct sc_node *n = &w->node[node];

	if (!n->up)
		return;
	if (n->writing && sc_chance(w, 50))
		sc_node_stored(w, node, 0);
	n->writing = false;
	n->up = n->joined = false;
	n->life++;
	forget(w, n);
	sc_cpg_clear(w, node);
	sc_cpg_group(w, node);
}
