/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The node list changes while the story goes on: hosts join, leave in order, are taken out when they are safe, and are replaced. As
 * tools/member_set.c, memberd.c and vmclus_part.c do it (docs/wire/member.md): a change is a program on one host that asks and tells the others one
 * after the other, and may die at each step. Each machine has three lists: that of its file, that by which its Corosync runs, and that which its
 * clusterd has taken over. A host that was taken out without being asked goes on by its old one.
 */
#include "config.h"
#include "tests/sim/simclu.h"
#include "tests/sim/simclu_mig.h"

#include <string.h>

#define ONLINE_NS  (20 * S)
#define UNANSWERED (1500 * MS)
#define LEAST      2u        /* hosts that stay */
#define BOUND_NS   (120 * S) /* one that asked to be taken out agrees to nothing else */
#define LEAVE_NS   (60 * S)

/* sc_ev.arg */
enum { PERSON, CHANGE, READS, NOTICES, FINISH };

/* Machines --------------------------------------------------------------------------------------------------------------- */

/* Do hospes-member of @a and of @b talk? A firewall may let that through and not Corosync. */
static bool talk(const struct sc *w, uint32_t a, uint32_t b)
{
	const struct sc_node *x = &w->node[a], *y = &w->node[b];

	if (!x->power || !y->power || sc_frozen(w, a) || sc_frozen(w, b))
		return false;
	return a == b || w->tcp_passes || (w->link[a * w->opt.nodes + b] && w->link[b * w->opt.nodes + a]);
}

/* @b answers @a, which has to be in the list of its file. */
static bool answers(const struct sc *w, uint32_t a, uint32_t b)
{
	return talk(w, a, b) && sc_list_knows(w, &w->node[b].conf, a);
}

static void in(struct sc *w, uint64_t ns, uint32_t node, uint32_t what, uint64_t val)
{
	sc_at(w, w->now + ns, SC_EV_LIST, node, what, val);
}

/* Its Corosync has read its file. */
static void runs(struct sc *w, uint32_t node)
{
	struct sc_node *n = &w->node[node];

	if (!n->power || sc_list_same(&n->runs, &n->conf))
		return;
	n->runs = n->conf;
	sc_trace(w, "%c: corosync runs by list %llu: %s", sc_letter(node), (unsigned long long)n->runs.version,
	         sc_list_text(&n->runs));
	sc_cpg_links_changed(w, 200 * MS + sc_rnd(w, 800 * MS));
	in(w, sc_rnd(w, 1200 * MS), node, NOTICES, 0);
}

/* "hospes-member --sync", then Corosync starts. */
void sc_list_boot(struct sc *w, uint32_t node)
{
	struct sc_node *n = &w->node[node];
	uint32_t silent = 0;

	for (uint32_t i = 0; i < n->conf.n && silent < 2; i++) {
		uint32_t m = n->conf.at[i];

		if (m == node)
			continue;
		if (!answers(w, node, m)) {
			silent++;
			continue;
		}
		if (w->node[m].conf.version > n->conf.version && sc_list_knows(w, &w->node[m].conf, node))
			n->conf = w->node[m].conf;
		break;
	}
	n->runs = n->conf;
}

void sc_list_reset(struct sc *w)
{
	uint32_t spare = w->opt.lists && w->opt.nodes > 3 ? (uint32_t)sc_rnd(w, w->opt.nodes - 2) : 0;
	struct sc_list l = { .version = w->opt.nodes + 1, .n = w->opt.nodes - spare };

	for (uint32_t i = 0; i < l.n; i++) {
		l.id[i] = i + 1;
		l.at[i] = (uint8_t)i;
	}
	memset(w->change, 0, sizeof(w->change));
	w->tcp_passes = w->opt.lists && sc_chance(w, 30);
	w->joins = w->list_lives = 0;
	w->list_done = !w->opt.lists;
	for (uint32_t i = 0; i < w->opt.nodes; i++) {
		struct sc_node *n = &w->node[i];

		n->id = i < l.n ? i + 1 : 0;
		n->goes = false;
		n->bound = 0;
		n->conf = n->runs = n->knows = i < l.n ? l : (struct sc_list){ .n = 0 };
	}
	if (w->opt.lists)
		sc_at(w, 20 * S, SC_EV_LIST, 0, PERSON, 0);
}

/* Another machine, or this one as it came from the shop: nothing is on its disks. */
static void wipe(struct sc *w, uint32_t node)
{
	struct sc_node *n = &w->node[node];

	sc_power_off(w, node);
	sc_trace(w, "%c is empty now", sc_letter(node));
	n->conf = n->runs = n->knows = (struct sc_list){ .n = 0 };
	n->id = 0;
	n->bound = 0;
	n->goes = false;
	n->journal_n = 0;
	memset(sc_local(w, node, 0), 0, w->opt.doms * sizeof(struct sc_local));
	sc_node_init(w, node);
	sc_power_on(w, node);
}

/* A change --------------------------------------------------------------------------------------------------------------- */

enum step { ASK = 1, EARLIER, READ, PUT, RELOAD, TELL, AWAIT };

static void again(struct sc *w, struct sc_change *c, uint64_t ns)
{
	in(w, ns, c->at, CHANGE, (uint64_t)(c - w->change) << 32 | c->life);
}

static bool bound(const struct sc *w, uint32_t node)
{
	return w->now < w->node[node].bound && !sc_planted(w, "lists-unbound");
}

static struct sc_change *begin(struct sc *w, uint32_t at, uint32_t joins, uint32_t remove)
{
	struct sc_change *c = NULL;

	for (unsigned i = 0; i < SC_CHANGES && !c; i++)
		if (!w->change[i].step)
			c = &w->change[i];
	if (!c || !w->node[at].conf.n || bound(w, at))
		return NULL;
	*c = (struct sc_change){ .step = ASK,
		                 .life = ++w->list_lives,
		                 .began = w->now,
		                 .at = at,
		                 .joins = joins,
		                 .remove = remove,
		                 .own = w->node[at].conf };
	again(w, c, sc_rnd(w, 20 * MS));
	return c;
}

static void fail(struct sc *w, struct sc_change *c, const char *why)
{
	sc_trace(w, "%c: the change of the list ends: %s", sc_letter(c->at), why);
	c->step = 0;
}

/* One member after the other. False: that was the last. */
static bool ask(struct sc *w, struct sc_change *c, uint64_t *took)
{
	if (c->i == c->own.n)
		return false;
	uint32_t i = c->i++, id = c->own.id[i], m = c->own.at[i];

	*took = MS + sc_rnd(w, 30 * MS);
	if (id == c->remove && m != c->at && !c->leaves)
		return true;
	if ((m != c->at && !answers(w, c->at, m))) {
		*took = sc_rnd(w, UNANSWERED);
		return true;
	}
	if (bound(w, m) && !(c->leaves && id == c->remove))
		return true;
	c->of[i].heard = true;
	c->of[i].got = w->node[m].conf;
	c->heard++;
	return true;
}

/* find_newest() and enough(); NULL: all is well. */
static const char *judge(struct sc *w, struct sc_change *c)
{
	c->newest = (struct sc_list){ .n = 0 };
	for (uint32_t i = 0; i < c->own.n; i++)
		if (c->of[i].heard && c->of[i].got.version > c->newest.version)
			c->newest = c->of[i].got;
	for (uint32_t i = 0; i < c->own.n; i++)
		if (c->of[i].heard && c->of[i].got.version == c->newest.version &&
		    !sc_list_same(&c->of[i].got, &c->newest))
			return "two lists of one version";
	if (!sc_list_knows(w, &c->newest, c->at))
		return "this host was taken out";
	if (sc_planted(w, "lists-unasked"))
		return NULL;
	for (uint32_t i = 0; i < c->own.n; i++)
		if (!c->of[i].heard && c->own.id[i] != c->remove && sc_list_has(&c->newest, c->own.id[i]) &&
		    c->joins != NOHOST)
			return "one does not take part";
	if (c->heard + c->undo < c->newest.n / 2 + 1)
		return "no majority";
	return NULL;
}

/* member_conf_put() on the host at place @i of the own list. */
static const char *put_one(struct sc *w, struct sc_change *c, uint32_t i, const struct sc_list *l)
{
	uint32_t m = c->own.at[i];
	struct sc_node *n;

	if ((m != c->at && !answers(w, c->at, m)))
		return "one does not answer any more";
	n = &w->node[m];
	if (bound(w, m))
		return "one leaves";
	if (c->leaves && w->now > c->began + LEAVE_NS)
		return "it took too long";
	if (sc_list_same(&n->conf, l)) {
		c->of[i].got = *l;
		return NULL;
	}
	if (n->conf.version != c->of[i].got.version || l->version < n->conf.version)
		return "somebody else changed it meanwhile";
	sc_trace(w, "%c: its file has list %llu: %s", sc_letter(m), (unsigned long long)l->version, sc_list_text(l));
	n->conf = *l;
	c->of[i].got = *l;
	return NULL;
}

/* One of those that answered and stay. False: that was the last. */
static bool put(struct sc *w, struct sc_change *c, const struct sc_list *l, const char **why)
{
	while (c->i < c->own.n) {
		uint32_t i = c->i++;

		if (!c->of[i].heard || !sc_list_has(l, c->own.id[i]) || (c->leaves && c->own.id[i] == c->remove))
			continue;
		*why = put_one(w, c, i, l);
		return true;
	}
	return false;
}

/* conf_add(), conf_remove(); false: there is nothing to do. */
static bool new_list(struct sc *w, struct sc_change *c)
{
	const struct sc_node *j = c->joins == NOHOST ? NULL : &w->node[c->joins];

	c->now = c->newest;
	if (j) {
		if (sc_list_knows(w, &c->newest, c->joins))
			return false;
		sc_list_add(&c->now, c->joins);
		return true;
	}
	if (!c->remove || !sc_list_has(&c->newest, c->remove) || c->newest.n <= LEAST)
		return false;
	sc_list_take_out(&c->now, c->remove);
	return true;
}

/* corosync-cfgtool -R: all Corosyncs of the ring. */
static void reload(struct sc *w, uint32_t at)
{
	for (uint32_t i = 0; i < w->opt.nodes; i++)
		if (w->node[i].ring == w->node[at].ring && (i == at || sc_linked(w, i, at)))
			in(w, sc_rnd(w, 300 * MS), i, READS, 0);
}

/* One after the other has its Corosync read the file, if it has not: it may be in another ring. False: that was the last. */
static bool tell(struct sc *w, struct sc_change *c)
{
	while (c->i < c->own.n) {
		uint32_t i = c->i++, m = c->own.at[i];

		if (!c->of[i].heard || !sc_list_has(&w->node[c->at].conf, c->own.id[i]) ||
		    (m != c->at && !answers(w, c->at, m)))
			continue;
		if (w->node[m].runs.version != w->node[m].conf.version)
			reload(w, m);
		return true;
	}
	return false;
}

/* host_goes_by(): before the next change the last one is in force. */
static const char *settled(const struct sc *w, const struct sc_change *c)
{
	const struct sc_node *n = &w->node[c->at];
	bool by_it = sc_node_acts(n) && n->paused <= w->now && sc_list_same(&n->knows, &c->newest);

	return by_it || c->undo || sc_planted(w, "lists-unread") || sc_planted(w, "lists-unasked")
	               ? NULL
	               : "the cluster does not go by the list yet";
}

static enum clu_host_state state_at(const struct sc *w, uint32_t at, uint32_t id)
{
	const struct clu_host *h = w->node[at].up ? clu_host_of(w->node[at].s, id) : NULL;

	return h ? h->state : CLU_HOST_NEW;
}

/* await_new(): it is undone, unless the new host was there once. */
static void await(struct sc *w, struct sc_change *c)
{
	uint32_t id = w->node[c->joins].id;

	if (sc_node_acts(&w->node[c->at]) && state_at(w, c->at, id) == CLU_HOST_ONLINE) {
		sc_trace(w, "%c is in the cluster", sc_letter(c->joins));
		c->step = 0;
		return;
	}
	if (w->now < c->until) {
		again(w, c, 500 * MS);
		return;
	}
	const struct sc_node *n = &w->node[c->at];
	bool alone = c->own.n == 1, answers = n->up && n->paused <= w->now,
	     undo = answers && state_at(w, c->at, id) == CLU_HOST_NEW && (sc_node_acts(n) || alone);
	fail(w, c, undo ? "it does not come: undone" : "it does not come");
	if (undo)
		c = begin(w, c->at, NOHOST, id);
	if (undo && c)
		c->undo = alone;
}

static void put_begins(struct sc_change *c, enum step s)
{
	c->i = 0;
	c->step = s;
}

/* A member that left in order is told, and forgets the cluster. */
static void left(struct sc *w, struct sc_change *c)
{
	uint32_t m = sc_list_machine(&c->own, c->remove);

	if (m != NOHOST && c->leaves && w->node[m].goes && w->node[m].leave == SC_LEAVES_LEFT && talk(w, c->at, m) &&
	    !sc_list_has(&w->node[c->at].conf, c->remove))
		wipe(w, m);
}

static void change(struct sc *w, struct sc_change *c)
{
	uint64_t took = MS + sc_rnd(w, 30 * MS);
	const char *why = NULL;

	if (!w->node[c->at].power || !w->node[c->at].conf.n || (!w->stopped && sc_chance(w, w->list_deaths))) {
		fail(w, c, "its process dies");
		return;
	}
	switch ((enum step)c->step) {
	case ASK:
		if (ask(w, c, &took))
			break;
		why = judge(w, c);
		put_begins(c, EARLIER);
		break;
	case EARLIER:
		if (put(w, c, &c->newest, &why))
			break;
		put_begins(c, READ);
		break;
	case READ:
		if (!sc_planted(w, "lists-unread") && tell(w, c))
			break;
		if ((c->joins != NOHOST || c->remove) && c->tries++ < 5 && settled(w, c)) { /* it takes a moment */
			took = S;
			put_begins(c, READ);
			break;
		}
		if (new_list(w, c)) {
			if (c->joins != NOHOST && !sc_list_same(&c->now, &w->node[c->joins].conf))
				why = "the configuration has changed meanwhile";
			if (!why)
				why = settled(w, c);
			put_begins(c, PUT);
		} else {
			c->step = RELOAD;
		}
		break;
	case PUT:
		if (!put(w, c, &c->now, &why))
			c->step = RELOAD;
		break;
	case RELOAD:
		if (w->node[c->at].runs.version != w->node[c->at].conf.version)
			reload(w, c->at);
		took = S / 2;
		put_begins(c, TELL);
		break;
	case TELL:
		if (!sc_planted(w, "lists-unread") && tell(w, c))
			break;
		left(w, c);
		c->step = c->joins != NOHOST ? AWAIT : 0;
		c->until = w->now + ONLINE_NS;
		break;
	case AWAIT:
		await(w, c);
		return;
	}
	if (why)
		fail(w, c, why);
	else if (c->step)
		again(w, c, took);
}

/* What people do --------------------------------------------------------------------------------------------------------- */

/* vmclus join: the new host has all files, and its Corosync is up and alone. check_cluster() of memberd.c comes first. */
static void join(struct sc *w, uint32_t at, uint32_t who)
{
	const struct sc_node *by = &w->node[at];
	struct sc_node *n = &w->node[who];
	bool again = n->conf.n;

	if (!n->power || sc_frozen(w, who) || w->joins == SC_JOINS || !sc_node_acts(by))
		return;
	for (uint32_t i = 0; i < by->conf.n; i++)
		if (by->conf.id[i] != n->id && state_at(w, at, by->conf.id[i]) != CLU_HOST_ONLINE)
			return;
	if (again && sc_list_knows(w, &by->conf, who)) {
		(void)begin(w, at, who, 0);
		return;
	}
	w->joins++;
	wipe(w, who);
	n->conf = by->conf;
	sc_list_add(&n->conf, who);
	n->id = (uint32_t)n->conf.version;
	n->runs = n->conf;
	sc_trace(w, "%c joins, invited by %c: %s", sc_letter(who), sc_letter(at), sc_list_text(&n->conf));
	sc_node_init(w, who);
	/* of an earlier release it would be refused by a cluster that has a later one's level, or is about to */
	n->upgraded = by->n->level > 0;
	sc_node_start(w, who);
	(void)begin(w, at, who, 0);
}

/* vmclus remove: one that the cluster knows as safe. */
static void remove_one(struct sc *w, uint32_t at)
{
	const struct sc_list *l = &w->node[at].conf;
	uint32_t first = (uint32_t)sc_rnd(w, l->n);

	if (l->n <= LEAST || (!sc_node_acts(&w->node[at]) && !sc_planted(w, "lists-unasked")))
		return;
	for (uint32_t k = 0; k < l->n; k++) {
		uint32_t id = l->id[(first + k) % l->n];
		enum clu_host_state s = state_at(w, at, id);

		if (id == w->node[at].id ||
		    (!sc_planted(w, "lists-unasked") && s != CLU_HOST_SAFE && s != CLU_HOST_NEW))
			continue;
		sc_trace(w, "somebody at %c takes %c out", sc_letter(at), sc_letter_of(w, id));
		(void)begin(w, at, NOHOST, id);
		return;
	}
}

void sc_list_left(struct sc *w, uint32_t node)
{
	struct sc_node *n = &w->node[node];
	uint32_t first = (uint32_t)sc_rnd(w, w->opt.nodes);

	for (uint32_t k = 0; k < w->opt.nodes; k++) {
		uint32_t m = (first + k) % w->opt.nodes;
		enum clu_host_state s = state_at(w, m, n->id);

		if (m == node || !answers(w, node, m) || !w->node[m].up ||
		    (s != CLU_HOST_SAFE && (s != CLU_HOST_NEW || !sc_node_acts(&w->node[m]))))
			continue;
		n->bound = w->now + BOUND_NS;
		struct sc_change *c = begin(w, m, NOHOST, n->id);
		if (c)
			c->leaves = true;
		return;
	}
}

/* Nobody's list has it any more. */
static bool nobodys(const struct sc *w, uint32_t node)
{
	for (uint32_t i = 0; i < w->opt.nodes; i++)
		if (i != node && sc_list_knows(w, &w->node[i].conf, node))
			return false;
	return true;
}

static void person(struct sc *w)
{
	uint32_t who = (uint32_t)sc_rnd(w, w->opt.nodes), at = (uint32_t)sc_rnd(w, w->opt.nodes);
	struct sc_node *n = &w->node[who];

	if (w->stopped)
		return;
	in(w, S + sc_rnd(w, w->list_gap), 0, PERSON, 0);
	if (!w->node[at].conf.n || !w->node[at].power || sc_frozen(w, at))
		return;
	switch (sc_rnd(w, 8)) {
	case 0:
	case 1:
	case 2:
		if (at != who && (!n->conf.n || (nobodys(w, who) && !sc_lives(w, who))))
			join(w, at, who);
		break;
	case 3:
		if (n->up && n->leave == SC_STAYS && n->conf.n > LEAST && !sc_frozen(w, who)) {
			n->goes = true;
			sc_leave_begin(w, who, true);
		}
		break;
	case 4:
	case 5:
		remove_one(w, at);
		break;
	case 6:
		if (n->power && n->conf.n)
			sc_power_off(w, who); /* for good, unless somebody or a fault's end finds otherwise */
		break;
	case 7:
		(void)begin(w, at, NOHOST, 0); /* what was begun is finished */
		break;
	}
}

/* When the faults have stopped ---------------------------------------------------------------------------------------------- */

/* Where the newest list is; of several of one version where something is decided. @alike: there is one, and all of its hosts go by it. */
static uint32_t newest(const struct sc *w, bool *alike)
{
	uint32_t at = NOHOST;

	*alike = true;
	for (uint32_t i = 0; i < w->opt.nodes; i++) {
		const struct sc_node *n = &w->node[i], *b = at == NOHOST ? NULL : &w->node[at];

		if (!n->conf.n || !sc_list_knows(w, &n->conf, i) || (n->conf.n > 1 && nobodys(w, i)))
			continue;
		if (!b || n->conf.version > b->conf.version ||
		    (n->conf.version == b->conf.version && sc_node_acts(n) && !sc_node_acts(b)))
			at = i;
	}
	for (uint32_t i = 0; at != NOHOST && i < w->node[at].conf.n; i++) {
		uint32_t m = w->node[at].conf.at[i];

		*alike &= sc_list_same(&w->node[m].conf, &w->node[at].conf) &&
		          sc_list_same(&w->node[m].runs, &w->node[at].conf);
	}
	return at;
}

/* Two lists of one version, or one that is of a host alone: a person makes the files alike. */
static void by_hand(struct sc *w)
{
	struct sc_list now = { .n = 0 };
	uint64_t most = 0;

	for (uint32_t i = 0; i < w->opt.nodes; i++) {
		const struct sc_node *n = &w->node[i];

		if (n->conf.version > most)
			most = n->conf.version;
		if (sc_node_acts(n) && n->conf.version > now.version)
			now = n->conf;
	}
	for (uint32_t i = 0; i < w->opt.nodes && !now.n; i++) {
		const struct sc_list *l = &w->node[i].conf;
		bool there = l->n, differ = false;

		for (uint32_t k = 0; k < l->n; k++)
			there &= sc_list_knows(w, l, l->at[k]);
		for (uint32_t k = 0; k < w->opt.nodes; k++)
			differ |= w->node[k].conf.version == l->version && !sc_list_same(&w->node[k].conf, l);
		if (there && differ)
			now = *l;
	}
	if (!now.n) {
		sc_violation(w, "nobody has a quorum, and the lists are not alike");
		return;
	}
	now.version = most + 1;
	sc_trace(w, "somebody makes the lists alike: %s", sc_list_text(&now));
	for (uint32_t i = 0; i < now.n; i++) {
		w->node[now.at[i]].conf = now;
		runs(w, now.at[i]);
	}
}

/* Of a machine that is no more a person knows that it runs nothing: vmclus fence confirm removed-ID. */
static void confirm(struct sc *w, uint32_t at)
{
	const struct sc_node *n = &w->node[at];

	for (uint32_t i = n->s->n_nodes; i < CLU_HOSTS_MAX && n->s->host[i].node; i++) {
		struct clu_cmd c = { .kind = CLU_CMD_HOST_SAFE,
			             .safe_by = CLU_SAFE_PERSON,
			             .host = n->s->host[i].node,
			             .op_id = n->s->host[i].lost_id };

		if (n->s->host[i].state == CLU_HOST_LOST)
			sc_submit(w, at, &c);
	}
	/* and a copy that was given away to it stands still for ever: vmmig resolve */
	for (uint32_t i = 0; i < w->ends; i++) {
		const struct sc_end *e = &w->mig[i];

		if (e->used && e->source && !sc_member(w, e->peer) && sc_copy(w, e->node, e->dom)->state == HV_GIVEN)
			sc_kill_copy(w, e->node, e->dom, "a person says that it was moved");
	}
	sc_undo_maintenance(w); /* there may have been nobody to decide it */
	if (w->now + 60 * S < w->end)
		in(w, 5 * S, 0, FINISH, 0);
}

static void finish(struct sc *w)
{
	bool alike;
	uint32_t at = newest(w, &alike);

	for (unsigned i = 0; i < SC_CHANGES; i++)
		if (w->change[i].step) {
			in(w, S, 0, FINISH, 0);
			return;
		}
	if (!alike && w->now < w->quiet + 25 * S) {
		/* some of them the others may not know yet */
		uint32_t by = w->node[at].conf.at[sc_rnd(w, w->node[at].conf.n)];
		(void)begin(w, sc_list_same(&w->node[by].conf, &w->node[at].conf) ? by : at, NOHOST, 0);
		in(w, 3 * S, 0, FINISH, 0);
		return;
	}
	if (!alike) {
		by_hand(w);
		in(w, 2 * S, 0, FINISH, 0);
		return;
	}
	const struct sc_list last = w->node[at].conf;
	for (uint32_t i = 0; i < w->opt.nodes && !w->list_done; i++)
		if (w->node[i].conf.n && !sc_list_knows(w, &last, i))
			wipe(w, i);
	w->list_done = true;
	confirm(w, at);
}

void sc_list_stop(struct sc *w)
{
	/* as if it were some minutes later: no change lasts so long, and no host is bound any more */
	for (unsigned i = 0; i < SC_CHANGES; i++)
		w->change[i].step = 0;
	for (uint32_t i = 0; i < w->opt.nodes; i++)
		w->node[i].bound = 0;
	if (!w->opt.lists)
		return;
	for (uint32_t i = 0; i < w->opt.nodes; i++) /* a clusterd that stood still looks sooner than it was to */
		in(w, S + sc_rnd(w, 1200 * MS), i, NOTICES, 0);
	in(w, 3 * S, 0, FINISH, 0);
}

bool sc_member(const struct sc *w, uint32_t node)
{
	return w->node[node].conf.n;
}

bool sc_list_at_host(const struct sc_ev *e)
{
	return e->arg != PERSON && e->arg != FINISH;
}

void sc_list_event(struct sc *w, const struct sc_ev *e)
{
	struct sc_node *n = &w->node[e->node];

	if (e->arg == PERSON) {
		person(w);
	} else if (e->arg == FINISH) {
		finish(w);
	} else if (e->arg == READS) {
		runs(w, e->node);
	} else if (e->arg == NOTICES) {
		if (n->up && n->paused > w->now)
			sc_at(w, n->paused + sc_rnd(w, 1200 * MS), SC_EV_LIST, e->node, NOTICES, 0);
		else if (n->up && !sc_list_same(&n->knows, &n->runs))
			sc_node_list(w, e->node);
	} else {
		struct sc_change *c = &w->change[e->val >> 32];

		if (c->step && c->life == (uint32_t)e->val)
			change(w, c);
	}
}
