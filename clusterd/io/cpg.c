/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Corosync on the event loop: see cpg.h. Call-backs of its libraries run inside *_dispatch() and must not close what is being
 * dispatched, so whatever fails only sets `broken`; the end of the loop's handler acts on it.
 *
 * While Corosync synchronizes a new membership, on a bad link for many seconds, it answers nobody but votequorum's clients: who asks
 * anything else waits for the end of that, and has Corosync spin meanwhile. So nothing is asked then once the connection is made (ADR 56);
 * messages wait in our queue.
 */
#include "config.h"
#include "clusterd/io/cpg.h"
#include <corosync/cmap.h>
#include <corosync/cpg.h>
#include <corosync/votequorum.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include "common/log.h"
#include "common/util.h"

#define GROUP       "hospes"
#define BACKOFF_NS  (200 * NS_PER_MS)
#define BACKOFF_MAX (2 * NS_PER_S)
#define RETRY_NS    (2 * NS_PER_MS)
#define CHECK_NS    NS_PER_S /* two_node and a quorum device are looked for so often: they may come at run time */
#define FRESH_NS    (20 * NS_PER_MS)
#define SILENT_NS   (3 * NS_PER_S)
#define QUEUE_MAX   (64u << 20)
#define LOST_TEXT   "lost the connection to corosync: is it running? (systemctl status corosync)"

struct waiting {
	struct waiting *next;
	size_t len;
	uint8_t data[];
};

struct cpglink {
	struct loop *loop;
	const struct cpglink_ops *ops;
	void *arg;
	bool enabled, connected, joined, broken, config_changed;
	cpg_handle_t cpg;
	votequorum_handle_t vq;
	cmap_handle_t cmap;
	uint64_t flowed_ns; /* Corosync took a message */
	bool have_cpg, have_vq, have_cmap;
	struct loop_fd *cpg_src, *vq_src, *cmap_src;
	struct loop_timer *again, *retry, *check;
	uint64_t backoff_ns;
	struct cpg_config cfg;
	uint64_t ring;
	uint32_t n_members, member[CLU_HOSTS_MAX];
	bool have_ring, view_changed;
	struct waiting *first, **last;
	size_t waiting_bytes;
	const char *why; /* broken, because; static text */
	char said[ERR_TEXT_MAX];
};

static struct cpg_name group_name(void)
{
	struct cpg_name n = { .length = sizeof(GROUP) - 1 };

	memcpy(n.value, GROUP, sizeof(GROUP));
	return n;
}

static void say(struct cpglink *c, const char *text)
{
	if (!strcmp(c->said, text ? text : ""))
		return;
	snprintf(c->said, sizeof(c->said), "%s", text ? text : "");
	c->ops->state(c->arg, text);
}

/* Views ---------------------------------------------------------------------------------------------------------------- */

/* Members and ring come one after the other: told when both are there, before any message of the new view. */
static void tell_view(struct cpglink *c)
{
	bool here = false;

	if (!c->view_changed)
		return;
	c->view_changed = false;
	for (uint32_t i = 0; i < c->n_members; i++)
		here |= c->member[i] == c->cfg.node;
	if (here && c->have_ring)
		c->ops->view(c->arg, c->ring, c->member, c->n_members);
}

/* NULL: it has none (any more). */
static struct cpglink *link_of(cpg_handle_t h)
{
	void *arg = NULL;

	return cpg_context_get(h, &arg) == CS_OK ? arg : NULL;
}

static void on_confchg(cpg_handle_t h, const struct cpg_name *g, const struct cpg_address *m, size_t n,
                       const struct cpg_address *left, size_t n_left, const struct cpg_address *joined, size_t n_joined)
{
	struct cpglink *c = link_of(h);

	(void)g, (void)left, (void)n_left, (void)joined, (void)n_joined;
	if (!c)
		return;
	c->n_members = 0;
	for (size_t i = 0; i < n && c->n_members < CLU_HOSTS_MAX; i++) {
		uint32_t at = c->n_members;

		/* sorted; a daemon that dies and its successor are one node */
		while (at > 0 && c->member[at - 1] > m[i].nodeid)
			at--;
		if (at > 0 && c->member[at - 1] == m[i].nodeid)
			continue;
		memmove(&c->member[at + 1], &c->member[at], (c->n_members - at) * sizeof(c->member[0]));
		c->member[at] = m[i].nodeid;
		c->n_members++;
	}
	c->view_changed = true;
}

static void on_totem(cpg_handle_t h, struct cpg_ring_id ring, uint32_t n, const uint32_t *member)
{
	struct cpglink *c = link_of(h);

	(void)n, (void)member;
	if (!c || (c->have_ring && c->ring == ring.seq))
		return;
	c->ring = ring.seq;
	c->have_ring = true;
	c->view_changed = true;
}

static void on_deliver(cpg_handle_t h, const struct cpg_name *g, uint32_t node, uint32_t pid, void *msg, size_t len)
{
	struct cpglink *c = link_of(h);

	(void)g, (void)pid;
	if (!c || c->broken)
		return;
	tell_view(c);
	if (!c->broken)
		c->ops->message(c->arg, node, msg, len);
}

static void on_quorum(votequorum_handle_t h, uint64_t context, uint32_t quorate, uint32_t n, votequorum_node_t list[])
{
	struct cpglink *c = (struct cpglink *)(uintptr_t)context;

	(void)h, (void)n, (void)list;
	c->ops->quorate(c->arg, quorate != 0);
}

static void on_expected(votequorum_handle_t h, uint64_t context, uint32_t expected)
{
	(void)h, (void)context;
	log_debug("corosync expects %u votes", expected);
}

static void on_config_key(cmap_handle_t h, cmap_track_handle_t t, int32_t event, const char *key,
                          struct cmap_notify_value now, struct cmap_notify_value before, void *arg)
{
	struct cpglink *c = arg;

	(void)h, (void)t, (void)event, (void)key, (void)now, (void)before;
	c->config_changed = true;
}

/* Configuration -------------------------------------------------------------------------------------------------------- */

static int add_node(struct cpg_config *cfg, uint32_t id, const char *name, uint32_t *ret_at, struct err *err)
{
	uint32_t at = cfg->n_nodes;

	if (cfg->n_nodes == CLU_HOSTS_MAX)
		return err_set(err, E2BIG, "corosync's node list has more than %u nodes", CLU_HOSTS_MAX);
	while (at > 0 && cfg->id[at - 1] > id)
		at--;
	memmove(&cfg->id[at + 1], &cfg->id[at], (cfg->n_nodes - at) * sizeof(cfg->id[0]));
	memmove(cfg->name[at + 1], cfg->name[at], (cfg->n_nodes - at) * sizeof(cfg->name[0]));
	memmove(cfg->addr[at + 1], cfg->addr[at], (cfg->n_nodes - at) * sizeof(cfg->addr[0]));
	memset(cfg->addr[at], 0, sizeof(cfg->addr[at]));
	cfg->id[at] = id;
	snprintf(cfg->name[at], sizeof(cfg->name[at]), "%s", name);
	cfg->n_nodes++;
	*ret_at = at;
	return 0;
}

static void read_addrs(struct cpglink *c, unsigned i, char addr[CPG_LINKS][CPG_ADDR_MAX])
{
	for (unsigned link = 0; link < CPG_LINKS; link++) {
		char key[CMAP_KEYNAME_MAXLEN + 1], *a = NULL;

		snprintf(key, sizeof(key), "nodelist.node.%u.ring%u_addr", i, link);
		if (cmap_get_string(c->cmap, key, &a) == CS_OK && strlen(a) < CPG_ADDR_MAX)
			snprintf(addr[link], CPG_ADDR_MAX, "%s", a);
		free(a);
	}
}

/* The name in the list, else its address: Corosync itself takes it for one. */
static int read_node(struct cpglink *c, unsigned i, struct cpg_config *cfg, struct err *err)
{
	char key[CMAP_KEYNAME_MAXLEN + 1], *name = NULL;
	uint32_t id = 0, at = 0;
	int r;

	snprintf(key, sizeof(key), "nodelist.node.%u.nodeid", i);
	if (cmap_get_uint32(c->cmap, key, &id) != CS_OK || !id)
		return err_set(err, EINVAL,
		               "node %u of corosync's node list has no nodeid: give each one in corosync.conf", i);
	snprintf(key, sizeof(key), "nodelist.node.%u.name", i);
	if (cmap_get_string(c->cmap, key, &name) != CS_OK) {
		snprintf(key, sizeof(key), "nodelist.node.%u.ring0_addr", i);
		if (cmap_get_string(c->cmap, key, &name) != CS_OK)
			name = NULL;
	}
	if (!name || !name_is_valid(name))
		r = err_set(
			err, EINVAL,
			"node %u of corosync's node list has no name that hospes can use: give it one in corosync.conf",
			id);
	else
		r = add_node(cfg, id, name, &at, err);
	if (r == 0)
		read_addrs(c, i, cfg->addr[at]);
	free(name);
	return r;
}

static int read_nodes(struct cpglink *c, struct cpg_config *cfg, struct err *err)
{
	cmap_iter_handle_t it;
	char key[CMAP_KEYNAME_MAXLEN + 1];
	int r = 0;

	if (cmap_iter_init(c->cmap, "nodelist.node.", &it) != CS_OK)
		return err_set(err, EIO, "cannot read corosync's node list");
	while (r == 0 && cmap_iter_next(c->cmap, it, key, NULL, NULL) == CS_OK) {
		unsigned i;
		char what[64] = "";

		if (sscanf(key, "nodelist.node.%u.%60s", &i, what) == 2 && !strcmp(what, "ring0_addr"))
			r = read_node(c, i, cfg, err);
	}
	(void)cmap_iter_finalize(c->cmap, it);
	if (r == 0 && !cfg->n_nodes)
		r = err_set(err, EINVAL, "corosync.conf has no nodelist: hospes takes its hosts from there");
	return r;
}

static uint64_t read_ms(struct cpglink *c, const char *key, uint64_t fallback_ms)
{
	uint32_t ms;

	return (cmap_get_uint32(c->cmap, key, &ms) == CS_OK && ms ? ms : fallback_ms) * NS_PER_MS;
}

/* As corosync.conf(5) has it: 5405 + the link's number, unless told otherwise. */
static void read_ports(struct cpglink *c, struct cpg_config *cfg)
{
	for (uint32_t i = 0; i + 1 < CPG_PORTS; i++) {
		char key[CMAP_KEYNAME_MAXLEN + 1];
		uint16_t port;

		snprintf(key, sizeof(key), "totem.interface.%u.mcastport", i);
		if (cmap_get_uint16(c->cmap, key, &port) != CS_OK || !port)
			port = (uint16_t)(5405 + i);
		cfg->port[i + 1] = port;
	}
	cfg->port[0] = (uint16_t)(cfg->port[1] - 1);
}

static void read_votes(struct cpglink *c, struct cpg_config *cfg)
{
	struct votequorum_info info;

	memset(&info, 0, sizeof(info));
	if (votequorum_getinfo(c->vq, cfg->node, &info) != CS_OK)
		return;
	cfg->two_node = info.flags & VOTEQUORUM_INFO_TWONODE;
	cfg->qdevice = info.flags & VOTEQUORUM_INFO_QDEVICE_REGISTERED;
}

static int read_config(struct cpglink *c, struct cpg_config *cfg, struct err *err)
{
	unsigned int node = 0;
	char *name = NULL;

	memset(cfg, 0, sizeof(*cfg));
	if (cpg_local_get(c->cpg, &node) != CS_OK || !node)
		return err_set(err, EAGAIN, "corosync does not say which node this is");
	cfg->node = node;
	if (cmap_get_string(c->cmap, "totem.cluster_name", &name) == CS_OK)
		snprintf(cfg->cluster, sizeof(cfg->cluster), "%s", name);
	free(name);
	if (!cfg->cluster[0])
		return err_set(err, EINVAL, "corosync.conf has no totem.cluster_name: give the cluster one");
	cfg->token_ns = read_ms(c, "runtime.config.totem.token", 3000);
	cfg->consensus_ns = read_ms(c, "runtime.config.totem.consensus", cfg->token_ns / NS_PER_MS * 12 / 10);
	read_ports(c, cfg);
	read_votes(c, cfg);
	return read_nodes(c, cfg, err);
}

/* Connections ---------------------------------------------------------------------------------------------------------- */

static void drop_queue(struct cpglink *c)
{
	while (c->first) {
		struct waiting *w = c->first;

		c->first = w->next;
		free(w);
	}
	c->last = &c->first;
	c->waiting_bytes = 0;
}

static void disconnect(struct cpglink *c)
{
	bool was = c->joined;

	loop_del_fd(c->cpg_src);
	loop_del_fd(c->vq_src);
	loop_del_fd(c->cmap_src);
	c->cpg_src = c->vq_src = c->cmap_src = NULL;
	if (c->have_cpg)
		(void)cpg_finalize(c->cpg);
	if (c->have_vq)
		(void)votequorum_finalize(c->vq);
	if (c->have_cmap)
		(void)cmap_finalize(c->cmap);
	c->have_cpg = c->have_vq = c->have_cmap = false;
	c->connected = c->joined = c->broken = c->have_ring = c->view_changed = c->config_changed = false;
	c->n_members = 0;
	loop_timer_at(c->retry, UINT64_MAX);
	loop_timer_at(c->check, UINT64_MAX);
	drop_queue(c);
	if (was) {
		c->ops->quorate(c->arg, false);
		c->ops->view(c->arg, 0, NULL, 0);
	}
}

static void later(struct cpglink *c)
{
	c->backoff_ns = c->backoff_ns * 2 > BACKOFF_MAX ? BACKOFF_MAX : c->backoff_ns * 2;
	loop_timer_in(c->again, c->backoff_ns);
}

static void lost(struct cpglink *c, const char *why)
{
	if (c->why)
		why = c->why;
	c->why = NULL;
	disconnect(c);
	say(c, why);
	later(c);
}

/* After each dispatch: what call-backs could not do themselves. */
static void after(struct cpglink *c, cs_error_t e)
{
	if (c->broken || (e != CS_OK && e != CS_ERR_TRY_AGAIN)) {
		lost(c, LOST_TEXT);
		return;
	}
	if (!c->joined)
		return;
	tell_view(c);
	c->ops->batch_end(c->arg);
}

static void on_cpg(void *arg, int fd, uint32_t revents)
{
	struct cpglink *c = arg;

	(void)fd, (void)revents;
	after(c, cpg_dispatch(c->cpg, CS_DISPATCH_ALL));
}

static void on_vq(void *arg, int fd, uint32_t revents)
{
	struct cpglink *c = arg;

	(void)fd, (void)revents;
	after(c, votequorum_dispatch(c->vq, CS_DISPATCH_ALL));
}

/* @all false: only what votequorum says. */
static void look_at_config(struct cpglink *c, bool all)
{
	struct cpg_config cfg = c->cfg;
	struct err err = { 0 };
	int r = 0;

	if (all) {
		c->config_changed = false;
		r = read_config(c, &cfg, &err);
	} else {
		read_votes(c, &cfg);
	}
	if (r == 0 && !memcmp(&cfg, &c->cfg, sizeof(cfg)))
		return;
	if (r == 0)
		r = c->ops->config(c->arg, &cfg, &err);
	if (r < 0)
		lost(c, err.text);
	else
		c->cfg = cfg;
}

static void on_cmap(void *arg, int fd, uint32_t revents)
{
	struct cpglink *c = arg;

	(void)fd, (void)revents;
	after(c, cmap_dispatch(c->cmap, CS_DISPATCH_ALL));
}

/* Not while messages wait. All is read anew just after one went out, or when nobody sends any. */
static void on_check(void *arg)
{
	struct cpglink *c = arg;
	uint64_t since = now_ns() - c->flowed_ns;

	loop_timer_in(c->check, CHECK_NS);
	if (!c->first)
		look_at_config(c, c->config_changed && (since < FRESH_NS || since > SILENT_NS));
}

static int open_all(struct cpglink *c, struct err *err)
{
	cpg_model_v1_data_t model;
	votequorum_callbacks_t vq = { .votequorum_quorum_notify_fn = on_quorum,
		                      .votequorum_expectedvotes_notify_fn = on_expected };
	int cpg_fd, vq_fd, cmap_fd;

	memset(&model, 0, sizeof(model));
	model.model = CPG_MODEL_V1;
	model.cpg_deliver_fn = on_deliver;
	model.cpg_confchg_fn = on_confchg;
	model.cpg_totem_confchg_fn = on_totem;
	model.flags = CPG_MODEL_V1_DELIVER_INITIAL_TOTEM_CONF;
	c->have_cmap = cmap_initialize(&c->cmap) == CS_OK;
	c->have_cpg = c->have_cmap &&
	              cpg_model_initialize(&c->cpg, CPG_MODEL_V1, (cpg_model_data_t *)&model, c) == CS_OK;
	c->have_vq = c->have_cpg && votequorum_initialize(&c->vq, &vq) == CS_OK;
	if (!c->have_vq)
		return err_set(err, ENOTCONN, "%s: waiting for it (systemctl start corosync)",
		               c->have_cpg ? "corosync runs without votequorum (quorum.provider in corosync.conf)"
		                           : "corosync does not run or does not admit us");
	if (cpg_fd_get(c->cpg, &cpg_fd) != CS_OK || votequorum_fd_get(c->vq, &vq_fd) != CS_OK ||
	    cmap_fd_get(c->cmap, &cmap_fd) != CS_OK)
		return err_set(err, EIO, "corosync's libraries give no descriptors");
	c->cpg_src = loop_add_fd(c->loop, cpg_fd, EPOLLIN, on_cpg, c);
	c->vq_src = loop_add_fd(c->loop, vq_fd, EPOLLIN, on_vq, c);
	c->cmap_src = loop_add_fd(c->loop, cmap_fd, EPOLLIN, on_cmap, c);
	if (!c->cpg_src || !c->vq_src || !c->cmap_src)
		return err_sys(err, ENOMEM, "watching corosync");
	return 0;
}

static int join(struct cpglink *c, struct err *err)
{
	static const char *const watched[] = { "nodelist.", "totem.", "runtime.config.totem." };
	cmap_track_handle_t track;
	struct cpg_name g = group_name();
	cs_error_t e;

	for (unsigned i = 0; i < sizeof(watched) / sizeof(watched[0]); i++)
		if (cmap_track_add(c->cmap, watched[i],
		                   CMAP_TRACK_ADD | CMAP_TRACK_DELETE | CMAP_TRACK_MODIFY | CMAP_TRACK_PREFIX,
		                   on_config_key, c, &track) != CS_OK)
			return err_set(err, EIO, "cannot watch corosync's configuration");
	c->joined = true; /* call-backs may come at once */
	if (votequorum_trackstart(c->vq, (uint64_t)(uintptr_t)c, CS_TRACK_CURRENT | CS_TRACK_CHANGES) != CS_OK)
		return err_set(err, EIO, "cannot watch corosync's quorum");
	e = cpg_join(c->cpg, &g);
	if (e != CS_OK)
		return err_set(err, EAGAIN, "cannot join corosync's group " GROUP " (error %d): trying again", (int)e);
	return 0;
}

static void on_again(void *arg)
{
	struct cpglink *c = arg;
	struct err err = { 0 };
	int r;

	if (!c->enabled || c->connected)
		return;
	r = open_all(c, &err);
	if (r == 0)
		r = read_config(c, &c->cfg, &err);
	if (r == 0)
		r = c->ops->config(c->arg, &c->cfg, &err);
	if (r == 0)
		r = join(c, &err);
	if (r == -EINPROGRESS) {
		disconnect(c);
		later(c);
		return;
	}
	if (r < 0) {
		lost(c, err.text);
		return;
	}
	c->connected = true;
	c->backoff_ns = BACKOFF_NS;
	loop_timer_in(c->check, CHECK_NS);
	say(c, NULL);
}

/* Sending -------------------------------------------------------------------------------------------------------------- */

/* 0: gone; -EAGAIN: later. */
static int send_now(struct cpglink *c, const void *p, size_t len)
{
	struct iovec iov = { .iov_base = (void *)(uintptr_t)p, .iov_len = len };
	cs_error_t e = cpg_mcast_joined(c->cpg, CPG_TYPE_AGREED, &iov, 1);

	if (e == CS_ERR_TRY_AGAIN)
		return -EAGAIN;
	if (e == CS_OK) {
		c->flowed_ns = now_ns();
		if (c->config_changed)
			loop_timer_in(c->check, 0);
		return 0;
	}
	log_warn("corosync does not take a message (error %d)", (int)e);
	c->broken = true;
	loop_timer_in(c->retry, 0);
	return -EIO;
}

static void on_retry(void *arg)
{
	struct cpglink *c = arg;

	if (c->broken) {
		lost(c, LOST_TEXT);
		return;
	}
	while (c->first) {
		struct waiting *w = c->first;

		if (send_now(c, w->data, w->len) < 0)
			break;
		c->first = w->next;
		if (!c->first)
			c->last = &c->first;
		c->waiting_bytes -= w->len;
		free(w);
	}
	if (c->first)
		loop_timer_in(c->retry, RETRY_NS);
}

int cpglink_send(struct cpglink *c, const void *p, size_t len)
{
	struct waiting *w;
	int r;

	if (!c->joined || c->broken)
		return -ENOTCONN;
	if (!c->first) {
		r = send_now(c, p, len);
		if (r != -EAGAIN)
			return r < 0 ? -ENOTCONN : 0;
	}
	if (len > QUEUE_MAX - c->waiting_bytes)
		return -ENOBUFS;
	w = malloc(sizeof(*w) + len);
	if (!w)
		return -ENOBUFS;
	w->next = NULL;
	w->len = len;
	memcpy(w->data, p, len);
	*c->last = w;
	c->last = &w->next;
	c->waiting_bytes += len;
	loop_timer_in(c->retry, RETRY_NS);
	return 0;
}

/* Life ----------------------------------------------------------------------------------------------------------------- */

static void do_enable(struct cpglink *c)
{
	if (c->joined || c->connected)
		disconnect(c);
	loop_timer_in(c->again, c->enabled ? 0 : UINT64_MAX);
}

/* The check timer is free when there is no connection; when there is one, a handler is on the stack at worst: `broken` waits for it. */
void cpglink_enable(struct cpglink *c, bool on)
{
	if (c->enabled == on)
		return;
	c->enabled = on;
	if (!on && c->joined) {
		c->broken = true;
		c->why = "left the group";
		loop_timer_in(c->retry, 0);
	} else {
		do_enable(c);
	}
}

void cpglink_again(struct cpglink *c)
{
	c->backoff_ns = BACKOFF_NS;
	if (c->enabled && !c->connected)
		loop_timer_in(c->again, 0);
}

void cpglink_rejoin(struct cpglink *c)
{
	if (!c->joined)
		return;
	c->broken = true;
	c->why = "left the group, joins it again";
	loop_timer_in(c->retry, 0);
}

struct cpglink *cpglink_new(struct loop *loop, const struct cpglink_ops *ops, void *arg)
{
	struct cpglink *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	*c = (struct cpglink){ .loop = loop, .ops = ops, .arg = arg, .enabled = true, .backoff_ns = BACKOFF_NS };
	c->last = &c->first;
	c->again = loop_add_timer(loop, on_again, c);
	c->retry = loop_add_timer(loop, on_retry, c);
	c->check = loop_add_timer(loop, on_check, c);
	if (!c->again || !c->retry || !c->check) {
		cpglink_free(c);
		return NULL;
	}
	loop_timer_in(c->again, 0);
	return c;
}

void cpglink_free(struct cpglink *c)
{
	if (!c)
		return;
	if (c->have_cpg && c->joined) {
		struct cpg_name g = group_name();

		(void)cpg_leave(c->cpg, &g);
	}
	c->joined = false;
	disconnect(c);
	loop_del_timer(c->again);
	loop_del_timer(c->retry);
	loop_del_timer(c->check);
	free(c);
}
