/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Events in, actions out. nodeio_feed() gives one event to the core and carries out its actions; messages, views and quorum come from
 * Corosync. What is to be stored goes to the storer's thread when the batch is over, so that one transaction serves many messages; STORED
 * and LOADED come back from there. Nothing here waits for a disk: beats go on, with the index that was stored last.
 */
#include "config.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "clusterd/io/nodeio_int.h"
#include "common/log.h"
#include "common/util.h"

#define BAD_SAY_NS (10 * NS_PER_S)

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

void nodeio_buffered_forget(struct nodeio *n)
{
	while (n->buffered) {
		struct nodeio_buffered *b = n->buffered;

		n->buffered = b->next;
		free(b);
	}
	n->buffered_end = &n->buffered;
}

static void act_warn(struct nodeio *n, const char *text)
{
	log_warn("%s", text);
	snprintf(n->warn_text, sizeof(n->warn_text), "%s", text);
	n->warned_ns = boot_ns();
	n->warned_few = n->node.n_members < clu_majority(n->s);
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
		nodeio_answers_forget(n, true);
		break;
	case CLU_ACT_BUFFER:
		break; /* by whoever gave the message: it has the octets */
	case CLU_ACT_FORGET:
		nodeio_buffered_forget(n);
		nodeio_snapshot_drop(n);
		break;
	case CLU_ACT_ANSWER:
		nodeio_answer_hold(n, a);
		break;
	case CLU_ACT_COMMITTED:
		nodeio_answers_release(n, a->index);
		n->touched = true;
		break;
	case CLU_ACT_LEASE:
		nodeio_clock_lease(n, a);
		break;
	case CLU_ACT_PERMIT:
		nodeio_clock_permit(n, a);
		break;
	case CLU_ACT_EXPIRED:
		guardlink_expire(n->guard);
		break;
	case CLU_ACT_CLOCK_STOPPED:
		nodeio_clock_stood(n, a->at_ns);
		break;
	case CLU_ACT_SUBMIT:
		(void)!nodeio_submit(n, &a->cmd, NULL, 0);
		break;
	case CLU_ACT_PULSE:
		nodeio_reach_send(n);
		break;
	case CLU_ACT_WARN:
		act_warn(n, a->text);
		break;
	}
}

void nodeio_feed(struct nodeio *n, struct clu_event *ev)
{
	struct moment now = moment_now();

	ev->now_ns = now.boot_ns;
	ev->tick = n->use_tsc ? now.tsc : 0;
	n->acts->n = 0;
	clu_node_step(&n->node, ev, &n->changes, n->acts);
	for (size_t i = 0; i < n->acts->n; i++)
		act(n, &n->acts->a[i]);
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
	snprintf(n->warn_text, sizeof(n->warn_text), "node %u sends messages that are dropped: %.130s", node, text);
	n->warned_ns = now;
	n->warned_few = false;
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
	case CLUWIRE_CALL_OFF:
		n->ops->call_off(n->arg, w.env->call_off->uuid, w.env->call_off->op_id);
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
	nodeio_propose(n);
	n->ops->changed(n->arg);
}

/* Corosync ------------------------------------------------------------------------------------------------------------- */

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

	snprintf(n->corosync_text, sizeof(n->corosync_text), "%s", text ? text : "");
	if (text)
		log_warn("%s", text);
	else
		log_info("joined the group");
	n->ops->changed(n->arg);
}

const struct cpglink_ops nodeio_cpg_ops = { .config = nodeio_on_config,
	                                    .view = on_view,
	                                    .message = on_message,
	                                    .quorate = on_quorate,
	                                    .batch_end = on_batch_end,
	                                    .state = on_state };
