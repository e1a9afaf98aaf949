/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Datagrams from and to the other clusterds: pulses of the core (leases that do not wait for Corosync) and the matrix of who hears whom.
 * docs/wire/reach.md.
 */
#include "config.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "clusterd/core/settings.h"
#include "clusterd/io/aside.h"
#include "clusterd/io/nodeio_int.h"
#include "clusterd/io/pulseio.h"
#include "clusterd/io/reachwire.h"
#include "common/log.h"
#include "common/util.h"

#define TICK_NS  (100 * NS_PER_MS)
#define EVERY_NS (250 * NS_PER_MS) /* a datagram to each, pulse or not */
#define RETRY_NS (5 * NS_PER_S)
#define STALL_NS (400 * NS_PER_MS) /* a beat that is so late: corosync orders nothing */
#define CALM_NS  (5 * NS_PER_S)    /* since the last change of view */
#define SAY_NS   (60 * NS_PER_S)
#define KEY_PATH "/etc/corosync/authkey"

struct nodeio_reach {
	struct nodeio *n;
	struct pulseio *io;
	struct loop_timer *tick;
	struct reach reach;
	bool ready; /* the node list is known */
	uint8_t key[REACHWIRE_KEY];
	uint64_t list, start_ns; /* start_ns: CLOCK_REALTIME less CLOCK_BOOTTIME when this began */
	uint64_t sent_ns, open_ns;
	uint32_t next; /* row to begin with: they take turns */
	uint64_t bad;
	struct aside *aside;
	uint64_t said_ns;        /* that others cannot talk */
	char text[ERR_TEXT_MAX]; /* for people; "" all is well */
};

static uint64_t stamp(const struct nodeio_reach *r)
{
	return r->start_ns + boot_ns();
}

/* What is lost when this host yields: its guests, those with a priority more, those that nobody starts elsewhere twice. */
static uint32_t weight(const struct nodeio *n)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < n->s->n_dom; i++) {
		const struct clu_dom *d = &n->s->dom[i];
		int32_t p = clu_priority(d);

		if (d->uuid[0] && d->host == n->cfg.node)
			sum += (uint32_t)(16 + (p < -15 ? -15 : p > 240 ? 240 : p)) * (d->spec.ha ? 1 : 2);
	}
	return sum;
}

/* Sending ---------------------------------------------------------------------------------------------------------------- */

static void add_rows(struct nodeio_reach *r, struct reach_dgram *d)
{
	const struct reach *m = &r->reach;

	d->row[0].of = m->me;
	d->row[0].row = m->row[m->me];
	d->n = 1;
	for (uint32_t k = 0; k < m->n && d->n < REACHWIRE_ROWS_MAX; k++) {
		uint32_t i = (r->next + k) % m->n;

		if (i == m->me || !reach_fresh(m, i, r->sent_ns))
			continue;
		d->row[d->n].of = i;
		d->row[d->n++].row = m->row[i];
	}
	r->next = (r->next + REACHWIRE_ROWS_MAX - 1) % m->n;
}

void nodeio_reach_send(struct nodeio *n)
{
	struct nodeio_reach *r = n->reach;
	struct reach_dgram d = { 0 };
	uint8_t octets[REACHWIRE_MAX];

	if (!r || !r->io || !r->ready || !n->have_cfg || n->must_reload)
		return;
	r->sent_ns = boot_ns();
	d.stamp = stamp(r);
	d.list = r->list;
	d.nodes = n->cfg.n_nodes;
	reach_mine(&r->reach, d.stamp, weight(n), r->sent_ns);
	add_rows(r, &d);
	for (uint32_t i = 0; i < n->cfg.n_nodes; i++) {
		const struct clu_host *h = i == r->reach.me ? NULL : clu_host_of(n->s, n->cfg.id[i]);
		int len;

		if (!h)
			continue;
		d.to = n->cfg.id[i];
		clu_node_pulse(&n->node, clu_slot(n->s, h), &d.pulse);
		len = reachwire_pack(&d, r->key, octets);
		if (len > 0)
			pulseio_send(r->io, i, octets, (size_t)len);
	}
}

/* Receiving -------------------------------------------------------------------------------------------------------------- */

static void on_datagram(void *arg, const void *p, size_t len, const struct sockaddr_in6 *from)
{
	struct nodeio_reach *r = arg;
	struct nodeio *n = r->n;
	struct reach_dgram d;
	uint64_t now = boot_ns();
	int place;

	if (!r->ready || !n->have_cfg || n->must_reload)
		return;
	place = reachwire_unpack(p, len, r->key, &d) == 0 ? nodeio_place(&n->cfg, d.pulse.from) : -1;
	if (place < 0 || d.list != r->list || d.nodes != n->cfg.n_nodes || d.to != n->cfg.node) {
		if (!r->bad++)
			log_warn(
				"a datagram between hosts is dropped: another cluster's, another node list's or key's, or damaged; later ones only "
				"count");
		return;
	}
	if (!reach_heard(&r->reach, (uint32_t)place, d.stamp, now))
		return;
	pulseio_learn(r->io, (uint32_t)place, from);
	for (uint32_t i = 0; i < d.n; i++)
		reach_learn(&r->reach, d.row[i].of, &d.row[i].row, now);
	d.pulse.clock_ns = d.stamp;
	struct clu_event ev = { .kind = CLU_EV_PULSE, .pulse = &d.pulse };
	nodeio_feed(n, &ev);
}

static void batch_end(void *arg)
{
	struct nodeio_reach *r = arg;

	nodeio_settle(r->n);
}

static const struct pulseio_ops io_ops = { .received = on_datagram, .batch_end = batch_end };

/* Clock and life --------------------------------------------------------------------------------------------------------- */

static void open_io(struct nodeio_reach *r)
{
	struct err err = { 0 };
	uint64_t now = boot_ns();

	if (r->io || (r->open_ns && now < r->open_ns + RETRY_NS))
		return;
	r->io = pulseio_new(r->n->loop, r->n->conf->reach_port, &io_ops, r, &err);
	if (!r->io && !r->open_ns)
		log_warn("%s: leases wait for corosync alone until then", err.text);
	r->open_ns = now;
	if (r->io && r->ready)
		pulseio_peers(r->io, &r->n->cfg);
}

/* Does Corosync have trouble? A pair that cannot talk stops its order at once; the view changes a few seconds later, again and again. */
static bool in_trouble(const struct nodeio *n, uint64_t now)
{
	const struct clu_node *c = &n->node;
	uint64_t every = c->lease_ns / 16 > CLU_BEAT_NS ? c->lease_ns / 16 : CLU_BEAT_NS;

	return c->phase != CLU_NODE_ACTIVE || !c->quorate || now > n->own_ns + every + STALL_NS ||
	       now < c->view_ns + CALM_NS;
}

static void say_pair(struct nodeio_reach *r, uint64_t now)
{
	const struct cpg_config *c = &r->n->cfg;
	uint32_t a = 0, b = 0, k = reach_broken(&r->reach, now, &a, &b);

	if (!k) {
		if (!r->reach.out)
			r->text[0] = 0;
		return;
	}
	if (!r->reach.out)
		snprintf(r->text, sizeof(r->text), "%s and %s cannot talk to each other%s", c->name[a], c->name[b],
		         k > 1 ? ", nor can others" : "");
	if ((r->said_ns && now < r->said_ns + SAY_NS) || now < r->reach.met_ns + 2 * REACH_MET_NS)
		return;
	r->said_ns = now;
	log_warn("%s and %s cannot talk to each other, while others hear both", c->name[a], c->name[b]);
}

/* Step aside, or come back. */
static void judge(struct nodeio_reach *r, uint64_t now)
{
	struct nodeio *n = r->n;
	bool was = r->reach.out, out = reach_judge(&r->reach, in_trouble(n, now), now);
	uint32_t a = r->reach.me, b = a;

	say_pair(r, now);
	if (out == was)
		return;
	if (out) {
		(void)reach_broken(&r->reach, now, &a, &b);
		snprintf(
			r->text, sizeof(r->text),
			"%s and %s cannot talk to each other: this host steps aside, so that the others keep quorum; it comes back by "
			"itself %.0f s after all can talk again",
			n->cfg.name[a], n->cfg.name[b], (double)r->reach.back_ns / 1e9);
		log_error("%s", r->text);
	} else {
		r->text[0] = 0;
		log_info("all hosts can talk to this one again: it is back");
	}
	aside_set(r->aside, out, n->cfg.port, CPG_PORTS);
	nodeio_reach_send(n);
	n->ops->changed(n->arg);
}

uint64_t nodeio_lease_auto_ns(const struct cpg_config *c)
{
	uint64_t ns = 2 * (c->token_ns + c->consensus_ns) + 500 * NS_PER_MS;

	return ns > NODEIO_LEASE_MIN ? ns : NODEIO_LEASE_MIN;
}

/* Do datagrams come from and to all whom Corosync has in the view? */
static void look_at_datagrams(struct nodeio_reach *r, uint64_t now)
{
	const struct nodeio *n = r->n;
	uint64_t members[REACH_WORDS] = { 0 };

	for (uint32_t i = 0; i < n->n_members && n->node.pulses; i++) {
		int place = nodeio_place(&n->cfg, n->member[i]);

		if (place >= 0)
			clu_bit_set(members, place);
	}
	(void)reach_sure(&r->reach, members, now);
}

uint64_t nodeio_reach_lease(const struct nodeio *n)
{
	if (!n->reach || !n->lease_auto)
		return n->node.lease_ns;
	return n->reach->reach.sure ? NODEIO_LEASE_MIN : nodeio_lease_auto_ns(&n->cfg);
}

bool nodeio_reach_child(struct nodeio *n, pid_t pid, int status)
{
	return n->reach && aside_child(n->reach->aside, pid, status);
}

void nodeio_reach_coming(const struct nodeio *n, uint64_t *slots)
{
	uint64_t now = boot_ns();

	for (uint32_t i = 0; n->reach && i < CLU_HOSTS_MAX && n->s->host[i].node; i++) {
		int place = nodeio_place(&n->cfg, n->s->host[i].node);

		if (place >= 0 && reach_coming(&n->reach->reach, (uint32_t)place, n->view_ns, now))
			clu_bit_set(slots, i);
	}
}

const char *nodeio_reach_trouble(const struct nodeio *n)
{
	return n->reach ? n->reach->text : "";
}

static void on_tick(void *arg)
{
	struct nodeio_reach *r = arg;
	uint64_t now = boot_ns();

	loop_timer_in(r->tick, TICK_NS);
	open_io(r);
	r->n->node.pulses = r->io && r->ready;
	if (now >= r->sent_ns + EVERY_NS)
		nodeio_reach_send(r->n);
	if (r->n->have_cfg && r->ready)
		look_at_datagrams(r, now);
	if (r->n->node.pulses && r->n->have_cfg)
		judge(r, now);
}

void nodeio_reach_config(struct nodeio *n)
{
	struct nodeio_reach *r = n->reach;
	_cleanup_free_ char *key = NULL;
	struct err err = { 0 };
	size_t len = 0;
	uint64_t list;
	int me = nodeio_place(&n->cfg, n->cfg.node);

	if (!r)
		return;
	if (file_read(KEY_PATH, 65536, &key, &len) < 0)
		len = 0;
	r->ready = me >= 0 && reachwire_key(n->cfg.cluster, key, len, r->key, &err) == 0;
	if (me >= 0 && !r->ready)
		log_error("%s: leases wait for corosync alone", err.text);
	if (key)
		explicit_bzero(key, len);
	list = reachwire_list(n->cfg.cluster, n->cfg.id, n->cfg.n_nodes);
	if (list != r->list) {
		if (r->reach.out)
			aside_set(r->aside, false, n->cfg.port, CPG_PORTS);
		r->list = list;
		r->text[0] = 0;
		reach_init(&r->reach, n->cfg.n_nodes, me < 0 ? 0 : (uint32_t)me);
	}
	open_io(r);
	if (r->io)
		pulseio_peers(r->io, &n->cfg);
	n->node.pulses = r->io && r->ready;
}

struct nodeio_reach *nodeio_reach_new(struct nodeio *n)
{
	struct nodeio_reach *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->n = n;
	r->start_ns = nodeio_real_ns() - boot_ns();
	r->tick = loop_add_timer(n->loop, on_tick, r);
	r->aside = aside_new(n->loop);
	if (!r->tick || !r->aside) {
		nodeio_reach_free(r);
		return NULL;
	}
	loop_timer_in(r->tick, TICK_NS);
	return r;
}

void nodeio_reach_free(struct nodeio_reach *r)
{
	if (!r)
		return;
	loop_del_timer(r->tick);
	aside_free(r->aside);
	pulseio_free(r->io);
	explicit_bzero(r->key, sizeof(r->key));
	free(r);
}
