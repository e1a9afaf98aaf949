/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The order socket: see cluctl.h. A client has one order at a time; what it sends meanwhile waits. A client that does not read loses its
 * connection, never the daemon's time.
 */
#include <config.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "clusterd/io/cluctl_int.h"
#include "clusterd/io/guardmsg.h"
#include "common/log.h"
#include "common/util.h"

#define LINE_MAX_BYTES (2u << 20)
#define OUT_MAX_BYTES  (16u << 20)
#define CLIENTS_MAX    128u
#define TICK_NS        (250 * NS_PER_MS)
#define COMMIT_NS      (9 * NS_PER_S)
#define AGAIN_NS       (300 * NS_PER_MS)

/* Clients -------------------------------------------------------------------------------------------------------------- */

static void order_done(struct order *o)
{
	json_decref(o->req);
	json_decref(o->report);
	json_decref(o->warnings);
	free(o->cmd);
	free(o->xml);
	free(o->plan);
	balancer_run_done(&o->run);
	*o = (struct order){ 0 };
}

static void client_free(void *arg)
{
	struct client *c = arg;

	for (struct client **p = &c->ctl->clients; *p; p = &(*p)->next) {
		if (*p == c) {
			*p = c->next;
			break;
		}
	}
	order_done(&c->o);
	loop_del_fd(c->src);
	loop_del_timer(c->reap);
	close(c->fd);
	buf_done(&c->in);
	buf_done(&c->out);
	c->ctl->n_clients--;
	free(c);
}

/* May be called from anywhere below the loop: the client goes when the loop is back. */
static void client_drop(struct client *c)
{
	if (c->dead)
		return;
	c->dead = true;
	loop_timer_in(c->reap, 0);
}

static void flush(struct client *c)
{
	size_t done = 0;

	while (!c->dead && done < c->out.len) {
		ssize_t n = send(c->fd, c->out.data + done, c->out.len - done, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			client_drop(c);
			return;
		}
		done += (size_t)n;
	}
	if (done)
		memmove(c->out.data, c->out.data + done, c->out.len - done);
	c->out.len -= done;
	(void)loop_mod_fd(c->src, c->out.len ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

void ctl_reply(struct client *c, json_t *o)
{
	_cleanup_free_ char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;

	json_decref(o);
	if (c->dead)
		return;
	if (!text) {
		client_drop(c);
		return;
	}
	buf_put(&c->out, text, strlen(text));
	buf_put(&c->out, "\n", 1);
	if (c->out.failed || c->out.len > OUT_MAX_BYTES)
		client_drop(c);
	else
		flush(c);
}

void ctl_over(struct client *c, json_t *o)
{
	ctl_reply(c, o);
	order_done(&c->o);
	c->busy = false;
}

void ctl_ok(struct client *c)
{
	json_t *o = json_pack("{s:s}", "type", "ok");

	if (c->o.warnings)
		(void)json_object_set(o, "warnings", c->o.warnings);
	if (c->o.report)
		(void)json_object_set(o, "report", c->o.report);
	ctl_over(c, o);
}

void ctl_fail(struct client *c, int code, const char *fmt, ...)
{
	char text[ERR_TEXT_MAX];
	const char *name = strerrorname_np(code < 0 ? -code : code);
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	ctl_over(c, json_pack("{s:s, s:s+, s:s}", "type", "error", "error", text, "", "code", name ? name : "EIO"));
}

void ctl_warn(struct client *c, const char *fmt, ...)
{
	char text[ERR_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (!c->o.warnings)
		c->o.warnings = json_array();
	(void)json_array_append_new(c->o.warnings, json_string(text));
}

const char *ctl_text(struct client *c, const char *key)
{
	return json_string_value(json_object_get(c->o.req, key));
}

bool ctl_flag(struct client *c, const char *key, bool otherwise)
{
	json_t *v = json_object_get(c->o.req, key);

	return json_is_boolean(v) ? json_is_true(v) : otherwise;
}

struct clu_dom *ctl_dom(struct client *c)
{
	const char *name = ctl_text(c, "name");
	struct clu_dom *d = name ? clu_dom_named(ctl_state(c), name) : NULL;

	if (!d && name)
		d = clu_dom_of(ctl_state(c), name);
	if (!d && name)
		ctl_fail(c, ENOENT,
		         "no domain \"%.80s\" in the cluster: vmclus status lists them, vmclus define FILE adds one",
		         name);
	else if (!d)
		ctl_fail(c, EINVAL, "\"name\" is missing");
	return d;
}

struct clu_host *ctl_host(struct client *c)
{
	const char *name = ctl_text(c, "host");
	struct clu_host *h = name ? clu_host_named(ctl_state(c), name) : NULL;

	if (!h && name)
		ctl_fail(c, ENOENT, "no host \"%.80s\" in the cluster: hosts are those of corosync's node list", name);
	else if (!h)
		ctl_fail(c, EINVAL, "\"host\" is missing");
	return h;
}

/* Commands ------------------------------------------------------------------------------------------------------------- */

void ctl_commit(struct client *c)
{
	c->o.give_up_ns = boot_ns() + COMMIT_NS;
	c->o.again_ns = 0;
	c->o.request = 0;
}

static void no_commit(struct client *c)
{
	const char *trouble = nodeio_trouble(c->ctl->n);

	if (c->o.request)
		ctl_fail(c, ETIMEDOUT,
		         "not committed within %u s, and it is not known whether it will be: see vmclus status",
		         (unsigned)(COMMIT_NS / NS_PER_S));
	else
		ctl_fail(c, EAGAIN, "no quorum here, so nothing can be changed: %s",
		         trouble[0] ? trouble : "fewer than a majority of the hosts are together");
}

/* One look at an order that waits to be committed. */
static void try_commit(struct client *c)
{
	struct order *o = &c->o;
	uint64_t now = boot_ns();

	if (now >= o->give_up_ns) {
		no_commit(c);
		return;
	}
	if (o->request || now < o->again_ns)
		return;
	o->again_ns = now + AGAIN_NS;
	if (!nodeio_acts(c->ctl->n))
		return;
	o->request = o->cmd->request = nodeio_request(c->ctl->n);
	int r = nodeio_submit(c->ctl->n, o->cmd, o->xml, o->xml_len);
	if (r < 0)
		o->request = 0; /* it did not leave */
	if (r == -E2BIG)
		ctl_fail(c, r, "that is too big for one message of the cluster (256 KiB)");
}

static void look_at(struct client *c)
{
	if (c->dead || !c->busy)
		return;
	if (c->o.cmd)
		try_commit(c);
	else if (c->o.go_on && c->o.go_on(c) && c->busy)
		ctl_ok(c);
}

void cluctl_answer(struct cluctl *ctl, uint64_t request, const struct clu_answer *a)
{
	for (struct client *c = ctl->clients; c; c = c->next) {
		if (!c->busy || !request || c->o.request != request)
			continue;
		c->o.request = 0;
		if (a->status == -EAGAIN) {
			c->o.again_ns = boot_ns() + AGAIN_NS;
			return;
		}
		free(c->o.cmd);
		c->o.cmd = NULL;
		if (a->status < 0)
			ctl_fail(c, a->status, "%s", a->text);
		else if (a->text[0] && !c->o.go_on)
			ctl_warn(c, "%s", a->text);
		if (c->busy && !c->o.go_on)
			ctl_ok(c);
		return; /* what is to be waited for is looked at next */
	}
}

void cluctl_changed(struct cluctl *ctl)
{
	loop_timer_in(ctl->tick, 0);
}

void cluctl_progress(struct cluctl *ctl, const char *uuid, const char *json, size_t len)
{
	for (struct client *c = ctl->clients; c; c = c->next) {
		json_t *o;

		if (c->dead || !c->busy || strcmp(c->o.op, "move") != 0 || strcmp(c->o.uuid, uuid) != 0 || c->o.cmd)
			continue;
		o = json_loadb(json, len, 0, NULL);
		if (!json_is_object(o)) {
			json_decref(o);
			continue;
		}
		const char *type = json_string_value(json_object_get(o, "type"));
		if (type && !strcmp(type, "result")) {
			json_decref(c->o.report);
			(void)json_object_del(o, "type");
			c->o.report = o;
		} else {
			ctl_reply(c, o);
		}
	}
}

/* Orders --------------------------------------------------------------------------------------------------------------- */

static const struct {
	const char *op;
	void (*run)(struct client *c);
	bool any_time; /* answered without corosync, too */
} ops[] = {
	{ "status", ctl_status, true },
	{ "define", ctl_define, false },
	{ "undefine", ctl_undefine, false },
	{ "start", ctl_start, false },
	{ "stop", ctl_stop, false },
	{ "move", ctl_move, false },
	{ "drain", ctl_drain, false },
	{ "rule-add", ctl_rule_add, false },
	{ "rule-remove", ctl_rule_remove, false },
	{ "rule-list", ctl_rule_list, false },
	{ "explain", ctl_explain, false },
	{ "fence-confirm", ctl_fence_confirm, false },
	{ "events", ctl_events, false },
	{ "balance", ctl_balance, false },
	{ "policy", ctl_policy, false },
	{ "state", ctl_dump, true },
	{ "loglevel", ctl_loglevel, true },
};

static void run_order(struct client *c)
{
	const char *op = ctl_text(c, "op");

	for (size_t i = 0; op && i < ARRAY_SIZE(ops); i++) {
		if (strcmp(ops[i].op, op) != 0)
			continue;
		(void)snprintf(c->o.op, sizeof(c->o.op), "%s", op);
		if (!ops[i].any_time && !ctl_state(c))
			ctl_fail(c, EAGAIN, "this node is not in a cluster yet: %s", nodeio_trouble(c->ctl->n));
		else
			ops[i].run(c);
		return;
	}
	if (op)
		ctl_fail(c, EINVAL, "unknown order \"%.40s\"", op);
	else
		ctl_fail(c, EINVAL, "\"op\" is missing");
}

static void do_line(struct client *c, const char *line, size_t len)
{
	json_error_t je;

	c->busy = true;
	c->o.req = json_loadb(line, len, JSON_REJECT_DUPLICATES, &je);
	if (!json_is_object(c->o.req))
		ctl_fail(c, EINVAL, "%s", c->o.req ? "not a JSON object" : je.text);
	else
		run_order(c);
	look_at(c);
}

static void next_lines(struct client *c)
{
	uint8_t *nl;

	while (!c->dead && !c->busy && c->in.len && (nl = memchr(c->in.data, '\n', c->in.len))) {
		size_t len = (size_t)(nl - c->in.data);

		do_line(c, (char *)c->in.data, len);
		memmove(c->in.data, nl + 1, c->in.len - len - 1);
		c->in.len -= len + 1;
	}
}

static void on_client(void *arg, int fd, uint32_t revents)
{
	struct client *c = arg;
	char chunk[65536];

	if (c->dead)
		return;
	if (revents & EPOLLOUT)
		flush(c);
	if (!(revents & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		return;
	ssize_t n = recv(fd, chunk, sizeof(chunk), MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		client_drop(c);
		return;
	}
	buf_put(&c->in, chunk, (size_t)n);
	if (c->in.failed || c->in.len > LINE_MAX_BYTES + 1) {
		client_drop(c);
		return;
	}
	next_lines(c);
}

static void on_tick(void *arg)
{
	struct cluctl *ctl = arg;

	loop_timer_in(ctl->tick, TICK_NS);
	/* freed only by their timers: the list is stable here */
	for (struct client *c = ctl->clients; c; c = c->next) {
		look_at(c);
		next_lines(c);
	}
}

static void on_connect(void *arg, int fd, uint32_t revents)
{
	struct cluctl *ctl = arg;
	int s = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)revents;
	if (s < 0)
		return;
	struct client *c = ctl->n_clients < CLIENTS_MAX ? calloc(1, sizeof(*c)) : NULL;
	if (!c) {
		close(s);
		return;
	}
	c->ctl = ctl;
	c->fd = s;
	c->next = ctl->clients;
	ctl->clients = c;
	ctl->n_clients++;
	c->reap = loop_add_timer(ctl->loop, client_free, c);
	c->src = c->reap ? loop_add_fd(ctl->loop, s, EPOLLIN, on_client, c) : NULL;
	if (!c->src)
		client_free(c);
}

/* Life ----------------------------------------------------------------------------------------------------------------- */

static int listen_on(struct cluctl *c, struct err *err)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int r = mkdir_p(path_run(), 0755);

	if (r < 0)
		return err_sys(err, r, "create %s", path_run());
	c->path = xasprintf("%s/clusterd.sock", path_run());
	if (strlen(c->path) >= sizeof(a.sun_path))
		return err_set(err, ENAMETOOLONG, "%s is too long for a socket", c->path);
	strcpy(a.sun_path, c->path);
	int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool alive = probe >= 0 && connect(probe, (struct sockaddr *)&a, sizeof(a)) == 0;
	if (probe >= 0)
		close(probe);
	if (alive) {
		r = err_set(err, EADDRINUSE, "another clusterd serves %s", c->path);
		free(c->path);
		c->path = NULL; /* not ours to remove */
		return r;
	}
	(void)unlink(c->path);
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t old = umask(0177);
	r = c->fd < 0 || bind(c->fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(c->fd, 32) < 0 ? -errno : 0;
	(void)umask(old);
	return r < 0 ? err_sys(err, r, "listen on %s", c->path) : 0;
}

struct cluctl *cluctl_new(struct loop *loop, struct nodeio *n, struct err *err)
{
	struct cluctl *c = calloc(1, sizeof(*c));

	if (!c) {
		(void)err_sys(err, ENOMEM, "order socket");
		return NULL;
	}
	*c = (struct cluctl){ .loop = loop, .n = n, .fd = -1 };
	c->tick = loop_add_timer(loop, on_tick, c);
	if (!c->tick || listen_on(c, err) < 0 || !(c->src = loop_add_fd(loop, c->fd, EPOLLIN, on_connect, c))) {
		if (err && !err->code)
			(void)err_sys(err, ENOMEM, "order socket");
		cluctl_free(c);
		return NULL;
	}
	loop_timer_in(c->tick, TICK_NS);
	return c;
}

void cluctl_parts(struct cluctl *c, struct local *local, struct balancer *balancer)
{
	c->local = local;
	c->balancer = balancer;
}

void cluctl_free(struct cluctl *c)
{
	if (!c)
		return;
	while (c->clients)
		client_free(c->clients);
	loop_del_fd(c->src);
	loop_del_timer(c->tick);
	if (c->fd >= 0)
		close(c->fd);
	if (c->path)
		(void)unlink(c->path);
	free(c->path);
	free(c);
}
