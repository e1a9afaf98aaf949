/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See nodeio.h: its life, its clock, what others ask it. Events and actions: nodeio_pump.c. */
#include "config.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include "clusterd/io/nodeio_int.h"
#include "common/fault.h"
#include "common/util.h"

#define PERIOD_NS     (250 * NS_PER_MS)
#define WARN_SHOWN_NS (60 * NS_PER_S)

/* Clock and guard ------------------------------------------------------------------------------------------------------ */

static void on_tick(void *arg)
{
	struct nodeio *n = arg;
	struct clu_event ev = { .kind = CLU_EV_TICK };

	if (n->have_cfg)
		nodeio_feed(n, &ev);
	nodeio_settle(n);
}

static void on_period(void *arg)
{
	struct nodeio *n = arg;

	loop_timer_in(n->period, PERIOD_NS);
	if (n->use_tsc)
		tsc_rate_measure(&n->rate);
	nodeio_disk_look(n);
	/* without a guard and past the lease this node is nobody's to count on: others take its domains over */
	if (!n->conf->witness && !guardlink_there(n->guard) && n->have_cfg && boot_ns() > n->node.lease_until_ns)
		cpglink_enable(n->cpg, false);
	if (n->have_cfg)
		nodeio_propose(n);
}

static void on_guard(void *arg, bool there)
{
	struct nodeio *n = arg;

	if (there)
		cpglink_enable(n->cpg, true);
	n->ops->changed(n->arg);
}

uint64_t nodeio_real_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t nodeio_random_id(void)
{
	uint64_t v = 0;

	while (!v)
		if (getrandom(&v, sizeof(v), 0) < 0)
			v = boot_ns();
	return v;
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
	if (n->conf->witness && n->role_text[0])
		return n->role_text;
	if (!n->conf->witness && guardlink_awaited(n->guard))
		return "hospes-guard has not answered yet";
	if (!n->conf->witness && !guardlink_there(n->guard))
		return "hospes-guard does not run: this host gets no lease (systemctl start hospes-guard)";
	if (nodeio_reach_trouble(n)[0])
		return nodeio_reach_trouble(n);
	if (n->corosync_text[0])
		return n->corosync_text;
	if (n->aside_text[0])
		return n->aside_text;
	if (n->warned_few && nodeio_acts(n))
		return ""; /* there is a majority again */
	return n->warned_ns && boot_ns() < n->warned_ns + WARN_SHOWN_NS ? n->warn_text : "";
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
	const struct clu_feature *f = clu_cmd_needs(c);
	int r;

	if (!m)
		return -ENOMEM;
	if (n->have_cfg && clu_node_lacks(&n->node, c)) {
		free(m);
		return -EOPNOTSUPP;
	}
	m->kind = CLU_MSG_CMD;
	m->cmd = *c;
	m->cmd.needs = f ? f->level : 0;
	m->cmd.origin = n->cfg.node;
	m->cmd.time_ns = nodeio_real_ns();
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

void nodeio_call_off(struct nodeio *n, const char *uuid, uint64_t op_id)
{
	Hospes__Clu__Envelope env = HOSPES__CLU__ENVELOPE__INIT;
	Hospes__Clu__CallOff c = HOSPES__CLU__CALL_OFF__INIT;

	c.uuid = (char *)(uintptr_t)uuid;
	c.op_id = op_id;
	env.body_case = HOSPES__CLU__ENVELOPE__BODY_CALL_OFF;
	env.call_off = &c;
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

	if (!n->have_cfg)
		return;
	snprintf(text, sizeof(text), "fencing %s: %.300s", host, why);
	nodeio_event(n, n->s->index, "fence-failed", host, text);
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
	n->period = loop_add_timer(loop, on_period, n);
	n->fence = fence_new(loop, &fence_ops, n);
	n->guard = n->period ? guardlink_new(loop, on_guard, n) : NULL;
	n->cpg = n->guard ? cpglink_new(loop, &nodeio_cpg_ops, n) : NULL;
	n->reach = n->cpg ? nodeio_reach_new(n) : NULL;
	if (!n->reach || !n->s || !n->s->dom || !n->acts || !n->text || !n->dom_load || !n->load_uuid ||
	    !n->proposals || !n->start || !n->tick || !n->fence || !n->cpg || !n->events || !n->storer) {
		nodeio_free(n);
		return NULL;
	}
	loop_timer_in(n->period, PERIOD_NS);
	if (conf->witness) /* nothing to be guarded, nobody to wait for */
		cpglink_enable(n->cpg, true);
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
	loop_del_timer(n->period);
	loop_del_timer(n->tick);
	nodeio_buffered_forget(n);
	nodeio_snapshot_drop(n);
	nodeio_answers_forget(n, false);
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
