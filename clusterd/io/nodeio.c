/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Events in, actions out: see nodeio.h. nodeio_feed() gives one event to the core and carries out its actions. What is to be stored goes
 * to the storer's thread when the batch is over, so that one transaction serves many messages; STORED and LOADED come back from there.
 * Nothing here waits for a disk: beats go on, with the index that was stored last.
 */
#include <config.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include "clusterd/io/nodeio_int.h"
#include "common/fault.h"
#include "common/log.h"
#include "common/util.h"

#define HOUSE_NS      (250 * NS_PER_MS)
#define BAD_SAY_NS    (10 * NS_PER_S)
#define LOUD_SHOWN_NS (60 * NS_PER_S)

/* Actions -------------------------------------------------------------------------------------------------------------- */

static void send_msg(struct nodeio *n, const struct clu_msg *m, const char *xml, size_t xml_len)
{
	_cleanup_buf_ struct buf b = { 0 };
	int r = cluwire_pack(m, n->cfg.cluster, n->cfg.node, xml, xml_len, &b);

	if (r == 0)
		r = cpglink_send(n->cpg, b.data, b.len);
	if (r == -ENOBUFS) {
		log_error("too many messages wait for corosync: leaving the group to begin anew");
		cpglink_rejoin(n->cpg);
	} else if (r < 0 && r != -ENOTCONN) {
		log_error("cannot send a message: %s", strerror(-r));
	}
}

static void hold_answer(struct nodeio *n, const struct clu_action *a)
{
	struct nodeio_answer *h;

	if (!a->index) { /* it was not done */
		n->ops->answer(n->arg, a->request, &a->answer);
		return;
	}
	h = calloc(1, sizeof(*h));
	if (!h)
		return; /* the client's time limit tells it */
	h->request = a->request;
	h->index = a->index;
	h->answer = a->answer;
	h->next = n->answers;
	n->answers = h;
}

/* Answers go out when what they answer cannot be undone any more. */
static void release_answers(struct nodeio *n, uint64_t commit)
{
	for (struct nodeio_answer **p = &n->answers; *p;) {
		struct nodeio_answer *h = *p;

		if (h->index > commit) {
			p = &h->next;
			continue;
		}
		*p = h->next;
		n->ops->answer(n->arg, h->request, &h->answer);
		free(h);
	}
}

/* The state was replaced: whether a command is part of it nobody can tell. */
static void forget_answers(struct nodeio *n)
{
	static const struct clu_answer unknown = {
		.status = -EIO,
		.text = "this node lost touch with the cluster: it is not known whether that was done, see vmclus status"
	};

	while (n->answers) {
		struct nodeio_answer *h = n->answers;

		n->answers = h->next;
		n->ops->answer(n->arg, h->request, &unknown);
		free(h);
	}
}

static void forget_buffered(struct nodeio *n)
{
	while (n->buffered) {
		struct nodeio_buffered *b = n->buffered;

		n->buffered = b->next;
		free(b);
	}
	n->buffered_end = &n->buffered;
}

static void act_loud(struct nodeio *n, const char *text)
{
	log_warn("%s", text);
	(void)snprintf(n->loud_text, sizeof(n->loud_text), "%s", text);
	n->loud_ns = boot_ns();
	n->loud_few = n->node.n_members < clu_majority(n->s);
}

static void act(struct nodeio *n, const struct clu_action *a)
{
	switch (a->kind) {
	case CLU_ACT_SEND:
		send_msg(n, &a->msg, NULL, 0);
		break;
	case CLU_ACT_STORE:
		n->store_wanted = true;
		break;
	case CLU_ACT_SNAPSHOT:
		nodeio_snapshot_send(n, a->msg.to, a->msg.seq);
		break;
	case CLU_ACT_LOAD:
		n->loaded_ok = nodeio_snapshot_load(n);
		n->loaded_wanted = true;
		forget_answers(n);
		break;
	case CLU_ACT_BUFFER:
		break; /* by whoever gave the message: it has the octets */
	case CLU_ACT_FORGET:
		forget_buffered(n);
		nodeio_snapshot_drop(n);
		break;
	case CLU_ACT_ANSWER:
		hold_answer(n, a);
		break;
	case CLU_ACT_COMMITTED:
		release_answers(n, a->index);
		n->touched = true;
		break;
	case CLU_ACT_LEASE:
		nodeio_clock_lease(n, a);
		break;
	case CLU_ACT_OVER:
		guardlink_stood(n->guard);
		break;
	case CLU_ACT_STOOD:
		nodeio_clock_stood(n, a->at_ns);
		break;
	case CLU_ACT_SUBMIT:
		(void)!nodeio_submit(n, &a->cmd, NULL, 0);
		break;
	case CLU_ACT_PULSE:
		nodeio_reach_send(n);
		break;
	case CLU_ACT_LOUD:
		act_loud(n, a->text);
		break;
	}
}

void nodeio_feed(struct nodeio *n, struct clu_event *ev)
{
	struct moment now = moment_now();

	ev->now_ns = now.boot_ns;
	ev->tick = n->use_tsc ? now.tsc : 0;
	n->acts->n = 0;
	n->stepping = true;
	clu_node_step(&n->node, ev, &n->changes, n->acts);
	for (size_t i = 0; i < n->acts->n; i++)
		act(n, &n->acts->a[i]);
	n->stepping = false;
}

/* Messages ------------------------------------------------------------------------------------------------------------- */

static bool wants_buffer(const struct nodeio *n)
{
	for (size_t i = 0; i < n->acts->n; i++)
		if (n->acts->a[i].kind == CLU_ACT_BUFFER)
			return true;
	return false;
}

static void keep(struct nodeio *n, uint32_t node, const void *p, size_t len)
{
	struct nodeio_buffered *b = malloc(sizeof(*b) + len);

	if (!b) {
		/* a command that is left out would make this state another one: better begin anew */
		log_error("out of memory: leaving the group to begin anew");
		cpglink_rejoin(n->cpg);
		return;
	}
	b->next = NULL;
	b->node = node;
	b->len = len;
	memcpy(b->octets, p, len);
	*n->buffered_end = b;
	n->buffered_end = &b->next;
}

static void command(struct nodeio *n, struct cluwire *w)
{
	struct clu_event ev = { .kind = CLU_EV_MSG, .msg = &w->msg };
	const struct clu_cmd *c = &w->msg.cmd;
	uint64_t index = n->s->index;
	const struct clu_dom *d = clu_dom_of(n->s, c->uuid);
	const struct clu_host *h = clu_host_of(n->s, c->host ? c->host : c->origin);
	struct clu_dom before = d ? *d : (struct clu_dom){ 0 };
	struct clu_host hbefore = h ? *h : (struct clu_host){ 0 };

	nodeio_feed(n, &ev);
	if (n->s->index != index + 1)
		return;
	n->touched = true;
	d = c->kind == CLU_CMD_DEFINE ? clu_dom_of(n->s, c->uuid) : NULL;
	if (d && d->xml_id == n->s->index)
		nodeio_text_put(n, (uint32_t)(d - n->s->dom), d->xml_id, w->xml, w->xml_len);
	if (c->kind == CLU_CMD_UNDEFINE)
		nodeio_texts_tidy(n);
	nodeio_note(n, c, &before, &hbefore);
}

static void bad_message(struct nodeio *n, uint32_t node, const char *text)
{
	uint64_t now = boot_ns();

	n->bad_messages++;
	if (n->bad_ns && now < n->bad_ns + BAD_SAY_NS)
		return;
	n->bad_ns = now;
	log_warn("a message from node %u is dropped: %s (%" PRIu64 " so far)", node, text, n->bad_messages);
	(void)snprintf(n->loud_text, sizeof(n->loud_text), "node %u sends messages that are dropped: %.130s", node,
	               text);
	n->loud_ns = now;
	n->loud_few = false;
}

static void message(struct nodeio *n, uint32_t node, const void *p, size_t len, bool again)
{
	struct cluwire w;
	struct err err = { 0 };
	struct clu_event ev = { .kind = CLU_EV_MSG, .msg = &w.msg };

	if (cluwire_unpack(p, len, n->cfg.cluster, node, &w, &err) < 0) {
		bad_message(n, node, err.text);
		return;
	}
	switch ((int)w.msg.kind) {
	case CLUWIRE_USAGE:
		nodeio_take_usage(n, node, w.env->usage);
		break;
	case CLUWIRE_PROGRESS:
		n->ops->progress(n->arg, w.env->progress->uuid, (const char *)w.env->progress->json.data,
		                 w.env->progress->json.len);
		break;
	case CLU_MSG_SNAPSHOT:
		nodeio_snapshot_part(n, &w);
		if (n->snap.whole && n->snap.n) {
			ev.msg = &n->snap.part[n->snap.n - 1].msg;
			nodeio_feed(n, &ev);
			nodeio_snapshot_drop(n);
		}
		break;
	case CLU_MSG_CMD:
		if (node == n->cfg.node && !again)
			n->seen_cmds++;
		command(n, &w);
		if (wants_buffer(n) && !again)
			keep(n, node, p, len);
		break;
	default:
		nodeio_feed(n, &ev);
	}
	cluwire_done(&w);
}

/* What was kept meanwhile comes now, before anything newer. */
static void feed_buffered(struct nodeio *n)
{
	struct nodeio_buffered *list = n->buffered;

	if (n->node.behind)
		return; /* another snapshot is awaited: they belong to that one */
	n->buffered = NULL;
	n->buffered_end = &n->buffered;
	while (list) {
		struct nodeio_buffered *b = list;

		list = b->next;
		message(n, b->node, b->octets, b->len, true);
		free(b);
	}
}

void nodeio_loaded(struct nodeio *n, bool ok)
{
	struct clu_event ev = { .kind = CLU_EV_LOADED, .ok = ok };

	n->loaded_wanted = false;
	nodeio_feed(n, &ev);
	if (ok)
		feed_buffered(n);
	n->touched = true;
}

static void set_tick(struct nodeio *n)
{
	uint64_t at = n->have_cfg ? clu_node_deadline_ns(&n->node) : CLU_NEVER, now = boot_ns();

	if (at == CLU_NEVER)
		loop_timer_at(n->tick, UINT64_MAX);
	else
		loop_timer_in(n->tick, at > now ? at - now : 0);
}

void nodeio_settle(struct nodeio *n)
{
	if (n->have_cfg && n->loaded_wanted && !n->loaded_ok)
		nodeio_loaded(n, false);
	nodeio_save(n);
	set_tick(n);
	if (!n->touched)
		return;
	n->touched = false;
	nodeio_house(n);
	n->ops->changed(n->arg);
}

/* Corosync ------------------------------------------------------------------------------------------------------------- */

uint64_t nodeio_random_id(void)
{
	uint64_t v = 0;

	while (!v)
		if (getrandom(&v, sizeof(v), 0) < 0)
			v = boot_ns();
	return v;
}

/* The first time, and after the disk failed: the state is what the disk holds, and this node another life of it. */
static int begin(struct nodeio *n, const struct cpg_config *c, struct err *err)
{
	uint64_t lease;
	int r;

	n->cfg = *c;
	n->have_cfg = false;
	r = nodeio_open(n, err);
	if (r < 0)
		return r;
	n->loaded_wanted = false;
	n->lease_auto = !n->s->policy.lease_ns;
	lease = n->s->policy.lease_ns ? n->s->policy.lease_ns : nodeio_lease_auto_ns(c);
	n->life = nodeio_random_id();
	clu_node_init(&n->node, n->s, c->node, nodeio_random_id(), lease, boot_ns());
	n->node.clock_stops = n->clocks == CLOCKS_MAY_STOP;
	n->changes = (struct clu_changes){ .all = true }; /* the node list */
	n->have_cfg = true;
	n->must_reload = false;
	n->store_wanted = true;
	nodeio_save(n);
	nodeio_reach_config(n);
	log_info("node %u of cluster %s, state %" PRIu64 ".%" PRIu64 ", lease %.1f s", c->node, c->cluster, n->s->epoch,
	         n->s->index, (double)lease / 1e9);
	return 0;
}

static int on_config(void *arg, const struct cpg_config *c, struct err *err)
{
	struct nodeio *n = arg;
	int r = nodeio_check_config(n, c, err);

	if (r < 0)
		return r;
	if (!n->have_cfg || n->must_reload)
		return begin(n, c, err);
	if (c->n_nodes != n->cfg.n_nodes || memcmp(c->id, n->cfg.id, sizeof(c->id)) != 0 ||
	    memcmp(c->name, n->cfg.name, sizeof(c->name)) != 0) {
		struct clu_event ev = {
			.kind = CLU_EV_VIEW, .ring = n->ring, .member = n->member, .n_members = n->n_members
		};

		log_info("corosync's node list changed: %u nodes now", c->n_nodes);
		clu_nodes_set(n->s, c->id, (char(*)[CLU_NAME_MAX])(uintptr_t)c->name, c->n_nodes);
		n->changes.all = true;
		n->cfg = *c;
		n->store_wanted = true;
		if (n->n_members)
			nodeio_feed(n, &ev);
		nodeio_settle(n);
	}
	n->cfg = *c;
	nodeio_reach_config(n); /* addresses, ports or the key may be others */
	return 0;
}

static void on_view(void *arg, uint64_t ring, const uint32_t *member, uint32_t n_members)
{
	struct nodeio *n = arg;
	struct clu_event ev = { .kind = CLU_EV_VIEW, .ring = ring, .member = member, .n_members = n_members };

	if (!n->have_cfg)
		return;
	n->ring = ring;
	n->n_members = n_members;
	n->view_ns = boot_ns();
	memcpy(n->member, member ? member : n->member, n_members * sizeof(member[0]));
	n->seen_cmds = n->sent_cmds;
	n->host_up_ns = 0;
	nodeio_snapshot_drop(n);
	log_info("view: ring %" PRIu64 ", %u of %u nodes", ring, n_members, n->s->n_nodes);
	nodeio_feed(n, &ev);
	n->touched = true;
	if (!n_members)
		nodeio_settle(n); /* out of the group: no batch ends */
}

static void on_message(void *arg, uint32_t node, const void *p, size_t len)
{
	struct nodeio *n = arg;

	if (node == n->cfg.node)
		n->own_ns = boot_ns();
	if (n->have_cfg)
		message(n, node, p, len, false);
}

static void on_quorate(void *arg, bool on)
{
	struct nodeio *n = arg;
	struct clu_event ev = { .kind = CLU_EV_QUORATE, .ok = on };

	if (!n->have_cfg)
		return;
	if (n->node.quorate != on)
		log_info("corosync says: %squorate", on ? "" : "not ");
	nodeio_feed(n, &ev);
	n->touched = true;
}

static void on_batch_end(void *arg)
{
	nodeio_settle(arg);
}

static void on_state(void *arg, const char *text)
{
	struct nodeio *n = arg;

	(void)snprintf(n->corosync_text, sizeof(n->corosync_text), "%s", text ? text : "");
	if (text)
		log_warn("%s", text);
	else
		log_info("joined the group");
	n->ops->changed(n->arg);
}

static const struct cpglink_ops cpg_ops = { .config = on_config,
	                                    .view = on_view,
	                                    .message = on_message,
	                                    .quorate = on_quorate,
	                                    .batch_end = on_batch_end,
	                                    .state = on_state };

/* Clock and guard ------------------------------------------------------------------------------------------------------ */

static void on_tick(void *arg)
{
	struct nodeio *n = arg;
	struct clu_event ev = { .kind = CLU_EV_TICK };

	if (n->have_cfg)
		nodeio_feed(n, &ev);
	nodeio_settle(n);
}

static void on_house(void *arg)
{
	struct nodeio *n = arg;

	loop_timer_in(n->house, HOUSE_NS);
	if (n->use_tsc)
		tsc_rate_measure(&n->rate);
	nodeio_disk_look(n);
	/* without a guard and past the lease this node is nobody's to count on: others take its domains over */
	if (!guardlink_there(n->guard) && n->have_cfg && boot_ns() > n->node.lease_until_ns)
		cpglink_enable(n->cpg, false);
	if (n->have_cfg)
		nodeio_house(n);
}

static void on_guard(void *arg, bool there)
{
	struct nodeio *n = arg;

	if (there)
		cpglink_enable(n->cpg, true);
	n->ops->changed(n->arg);
}

/* For others ----------------------------------------------------------------------------------------------------------- */

struct clu_state *nodeio_state(const struct nodeio *n)
{
	return n->have_cfg ? n->s : NULL;
}

const struct clu_node *nodeio_node(const struct nodeio *n)
{
	return &n->node;
}

const struct cpg_config *nodeio_config(const struct nodeio *n)
{
	return &n->cfg;
}

bool nodeio_acts(const struct nodeio *n)
{
	return n->have_cfg && !n->must_reload && n->node.phase == CLU_NODE_ACTIVE && !n->node.behind;
}

uint64_t nodeio_lease_left_ns(const struct nodeio *n)
{
	uint64_t until = guardlink_deadline_ns(n->guard), now = boot_ns();

	return until > now ? until - now : 0;
}

uint64_t nodeio_lease_until_ns(const struct nodeio *n)
{
	return guardlink_deadline_ns(n->guard);
}

uint64_t nodeio_park_ns(const struct nodeio *n)
{
	return clu_park_ns(&n->s->policy, n->node.lease_ns);
}

bool nodeio_has_lease(const struct nodeio *n)
{
	return nodeio_lease_left_ns(n) > nodeio_park_ns(n) + NS_PER_S;
}

struct fence *nodeio_fence(const struct nodeio *n)
{
	return n->fence;
}

const struct eventlist *nodeio_events(const struct nodeio *n)
{
	return n->events;
}

const char *nodeio_trouble(const struct nodeio *n)
{
	if (n->disk_text[0])
		return n->disk_text;
	if (n->stuck)
		return n->stuck_text;
	if (!guardlink_there(n->guard))
		return "hospes-guard does not run: this host gets no lease (systemctl start hospes-guard)";
	if (nodeio_reach_trouble(n)[0])
		return nodeio_reach_trouble(n);
	if (n->corosync_text[0])
		return n->corosync_text;
	if (n->aside_text[0])
		return n->aside_text;
	if (n->loud_few && nodeio_acts(n))
		return ""; /* there is a majority again */
	return n->loud_ns && boot_ns() < n->loud_ns + LOUD_SHOWN_NS ? n->loud_text : "";
}

const struct clu_load *nodeio_load(const struct nodeio *n)
{
	return &n->load;
}

uint64_t nodeio_request(struct nodeio *n)
{
	if (!++n->next_request)
		n->next_request = 1;
	return n->next_request;
}

int nodeio_submit(struct nodeio *n, const struct clu_cmd *c, const char *xml, size_t xml_len)
{
	_cleanup_buf_ struct buf b = { 0 };
	struct clu_msg *m = calloc(1, sizeof(*m));
	struct timespec ts;
	int r;

	if (!m)
		return -ENOMEM;
	clock_gettime(CLOCK_REALTIME, &ts);
	m->kind = CLU_MSG_CMD;
	m->cmd = *c;
	m->cmd.origin = n->cfg.node;
	m->cmd.time_ns = (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
	if (fault_point("clu", "submit", clu_cmd_name(c->kind), "", 0)) {
		free(m);
		return 0;
	}
	r = n->have_cfg ? cluwire_pack(m, n->cfg.cluster, n->cfg.node, xml, xml_len, &b) : -ENOTCONN;
	free(m);
	if (r == 0)
		r = cpglink_send(n->cpg, b.data, b.len);
	if (r == 0) {
		n->sent_cmds++;
		n->sent_ns = boot_ns();
	}
	return r;
}

static void send_env(struct nodeio *n, Hospes__Clu__Envelope *env)
{
	_cleanup_buf_ struct buf b = { 0 };

	if (n->have_cfg && cluwire_pack_env(env, n->cfg.cluster, n->cfg.node, &b) == 0)
		(void)!cpglink_send(n->cpg, b.data, b.len); /* the next one tells as well */
}

void nodeio_usage(struct nodeio *n, Hospes__Clu__Usage *u)
{
	Hospes__Clu__Envelope env = HOSPES__CLU__ENVELOPE__INIT;

	env.body_case = HOSPES__CLU__ENVELOPE__BODY_USAGE;
	env.usage = u;
	send_env(n, &env);
}

void nodeio_progress(struct nodeio *n, const char *uuid, const char *json, size_t len)
{
	Hospes__Clu__Envelope env = HOSPES__CLU__ENVELOPE__INIT;
	Hospes__Clu__Progress p = HOSPES__CLU__PROGRESS__INIT;

	if (len > CLUWIRE_PROGRESS_MAX)
		return;
	p.uuid = (char *)(uintptr_t)uuid;
	p.json = (ProtobufCBinaryData){ .len = len, .data = (uint8_t *)(uintptr_t)json };
	env.body_case = HOSPES__CLU__ENVELOPE__BODY_PROGRESS;
	env.progress = &p;
	send_env(n, &env);
}

void nodeio_leaving(struct nodeio *n, enum clu_leaving how, bool left)
{
	n->leaving = how;
	n->left = left;
}

void nodeio_new_life(struct nodeio *n)
{
	n->must_reload = true;
	cpglink_rejoin(n->cpg);
}

bool nodeio_child(struct nodeio *n, pid_t pid, int status)
{
	return fence_child(n->fence, pid, status) || nodeio_reach_child(n, pid, status);
}

/* Life ----------------------------------------------------------------------------------------------------------------- */

static void fence_done(void *arg, const char *host, uint64_t lost_id)
{
	struct nodeio *n = arg;
	const struct clu_host *h = n->have_cfg ? clu_host_named(n->s, host) : NULL;
	struct clu_cmd c = { .kind = CLU_CMD_HOST_SAFE, .safe_by = CLU_SAFE_AGENT, .op_id = lost_id };

	if (!h || h->state != CLU_HOST_LOST || h->lost_id != lost_id)
		return;
	c.host = h->node;
	(void)!nodeio_submit(n, &c, NULL, 0);
}

static void fence_failed(void *arg, const char *host, const char *why)
{
	struct nodeio *n = arg;
	char text[2 * CLU_TEXT_MAX];
	struct store_event ev = { .kind = "fence-failed", .text = text, .domain = "", .host = host };

	if (!n->have_cfg)
		return;
	ev.index = n->s->index, ev.time_ns = n->s->time_ns;
	(void)snprintf(text, sizeof(text), "fencing %s: %.300s", host, why);
	nodeio_event(n, &ev);
	n->store_wanted = true; /* no command may come for long: written at the next tick */
}

static const struct fence_ops fence_ops = { .done = fence_done, .failed = fence_failed };

struct nodeio *nodeio_new(struct loop *loop, const struct hostconf *conf, const struct nodeio_ops *ops, void *arg)
{
	struct nodeio *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	n->loop = loop, n->conf = conf, n->ops = ops, n->arg = arg;
	n->buffered_end = &n->buffered;
	n->next_request = nodeio_random_id();
	nodeio_clock_init(n);
	n->s = calloc(1, sizeof(*n->s));
	if (n->s)
		n->s->dom = calloc(CLU_DOMS_MAX, sizeof(n->s->dom[0]));
	n->acts = calloc(1, sizeof(*n->acts));
	n->text = calloc(CLU_DOMS_MAX, sizeof(n->text[0]));
	n->dom_load = calloc(CLU_DOMS_MAX, sizeof(n->dom_load[0]));
	n->load_uuid = calloc(CLU_DOMS_MAX, sizeof(n->load_uuid[0]));
	n->start = calloc(CLU_DOMS_MAX, sizeof(n->start[0]));
	n->proposals = calloc(1, sizeof(*n->proposals));
	n->load.dom = n->dom_load;
	n->events = eventlist_new();
	n->storer = storer_new(loop, &nodeio_storer_ops, n);
	n->tick = loop_add_timer(loop, on_tick, n);
	n->house = loop_add_timer(loop, on_house, n);
	n->fence = fence_new(loop, &fence_ops, n);
	n->guard = n->house ? guardlink_new(loop, on_guard, n) : NULL;
	n->cpg = n->guard ? cpglink_new(loop, &cpg_ops, n) : NULL;
	n->reach = n->cpg ? nodeio_reach_new(n) : NULL;
	if (!n->reach || !n->s || !n->s->dom || !n->acts || !n->text || !n->dom_load || !n->load_uuid ||
	    !n->proposals || !n->start || !n->tick || !n->fence || !n->cpg || !n->events || !n->storer) {
		nodeio_free(n);
		return NULL;
	}
	loop_timer_in(n->house, HOUSE_NS);
	return n;
}

void nodeio_free(struct nodeio *n)
{
	if (!n)
		return;
	nodeio_reach_free(n->reach);
	cpglink_free(n->cpg);
	guardlink_free(n->guard);
	fence_free(n->fence);
	loop_del_timer(n->house);
	loop_del_timer(n->tick);
	forget_buffered(n);
	nodeio_snapshot_drop(n);
	while (n->answers) {
		struct nodeio_answer *h = n->answers;

		n->answers = h->next;
		free(h);
	}
	for (uint32_t i = 0; n->text && i < CLU_DOMS_MAX; i++)
		free(n->text[i].xml);
	storer_free(n->storer);
	store_image_free(n->image);
	eventlist_free(n->events);
	free(n->text);
	free(n->proposals);
	free(n->start);
	free(n->load_uuid);
	free(n->dom_load);
	free(n->acts);
	if (n->s)
		free(n->s->dom);
	free(n->s);
	free(n);
}
