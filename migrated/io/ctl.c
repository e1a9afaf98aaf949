/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Orders from vmmig: see ctl.h. A client that does not read loses its connection, never the daemon's time. */
#include <config.h>
#include "migrated/io/ctl.h"
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "common/log.h"
#include "common/util.h"
#include "migrated/io/incoming.h"
#include "migrated/io/orphan.h"

#define LINE_MAX_BYTES 65536u
#define OUT_MAX_BYTES  (1u << 20)
#define CLIENTS_MAX    64u

struct client {
	struct client *next;
	struct ctl *ctl;
	int fd;
	struct loop_fd *src;
	struct buf in, out;
	bool dead, busy; /* busy: inside a handler; freed when it is over */
	struct loop_timer *reap;
};

struct ctl {
	struct migrated *d;
	int fd;
	char *path;
	struct loop_fd *src;
	struct client *clients;
	unsigned n;
};

static void client_free(void *arg)
{
	struct client *c = arg;
	struct ctl *ctl = c->ctl;

	for (struct client **p = &ctl->clients; *p; p = &(*p)->next) {
		if (*p == c) {
			*p = c->next;
			break;
		}
	}
	outgoing_detach(ctl->d, c);
	loop_del_fd(c->src);
	loop_del_timer(c->reap);
	close(c->fd);
	buf_done(&c->in);
	buf_done(&c->out);
	ctl->n--;
	free(c);
}

/* May be called from anywhere below the loop: the client goes when the loop is back. */
static void client_drop(struct client *c)
{
	if (c->dead)
		return;
	c->dead = true;
	outgoing_detach(c->ctl->d, c);
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
	memmove(c->out.data, c->out.data + done, c->out.len - done);
	c->out.len -= done;
	(void)loop_mod_fd(c->src, c->out.len ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

/* Takes @o. */
static void reply(struct client *c, json_t *o)
{
	_cleanup_free_ char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;

	json_decref(o);
	if (!text || c->dead)
		return;
	buf_put(&c->out, text, strlen(text));
	buf_put(&c->out, "\n", 1);
	if (c->out.failed || c->out.len > OUT_MAX_BYTES)
		client_drop(c);
	else
		flush(c);
}

static void report(void *arg, json_t *o)
{
	reply(arg, o);
}

static void fail(struct client *c, const struct err *err)
{
	reply(c, json_pack("{s:s, s:s}", "type", "error", "error", err->text));
}

static const char *text_of(json_t *o, const char *key, size_t cap)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s && strlen(s) < cap ? s : NULL;
}

/* A number in [0, @max]; absent: @ret untouched. */
static int number_of(json_t *o, const char *key, double max, double *ret, struct err *err)
{
	json_t *v = json_object_get(o, key);

	if (!v || json_is_null(v))
		return 0;
	double d = json_number_value(v);
	if (!json_is_number(v) || !(d >= 0) || d > max)
		return err_set(err, EINVAL, "\"%s\" must be a number from 0 to %.0f", key, max);
	*ret = d;
	return 0;
}

static int choice_of(json_t *o, const char *key, const char *const *names, unsigned n, unsigned *ret, struct err *err)
{
	json_t *v = json_object_get(o, key);

	if (!v || json_is_null(v))
		return 0;
	for (unsigned i = 0; i < n; i++) {
		if (json_is_string(v) && !strcmp(json_string_value(v), names[i])) {
			*ret = i;
			return 0;
		}
	}
	return err_set(err, EINVAL, "\"%s\" has an unknown value", key);
}

int ctl_parse_push(json_t *o, struct push_order *ret, struct err *err)
{
	static const char *const compress[] = { "auto", "lz4", "none" },
				 *const converge[] = { "auto", "throttle", "fail" },
				 *const logdirty[] = { "auto", "track", "hash", "stopcopy" };
	const char *domain = text_of(o, "domain", 64), *host = text_of(o, "host", 64);
	double downtime_ms = 50, mib = 0, timeout = 0, streams = 0;
	unsigned comp = 0, conv = 0, ld = 0;
	struct push_order p = { 0 };

	if (!domain || !name_is_valid(domain))
		return err_set(err, EINVAL, "\"domain\" is missing or no domain name");
	if (!host || !name_is_valid(host))
		return err_set(err, EINVAL, "\"host\" is missing or no host name");
	int r = number_of(o, "downtime_ms", 600000, &downtime_ms, err);
	r = r < 0 ? r : number_of(o, "bandwidth_mib", 1e6, &mib, err);
	r = r < 0 ? r : number_of(o, "timeout_s", 1e6, &timeout, err);
	r = r < 0 ? r : number_of(o, "streams", MIG_STREAMS_MAX, &streams, err);
	r = r < 0 ? r : choice_of(o, "compress", compress, 3, &comp, err);
	r = r < 0 ? r : choice_of(o, "converge", converge, 3, &conv, err);
	r = r < 0 ? r : choice_of(o, "logdirty", logdirty, 4, &ld, err);
	if (r < 0)
		return r;
	strcpy(p.domain, domain);
	strcpy(p.host, host);
	p.downtime_ns = (uint64_t)(downtime_ms * 1e6);
	p.bandwidth_bps = (uint64_t)(mib * 1048576);
	p.timeout_ns = (uint64_t)(timeout * 1e9);
	p.streams = (unsigned)streams;
	p.compress = (enum out_compress)comp;
	p.converge = (enum mig_converge)conv;
	p.logdirty = ld;
	p.suspend = json_is_true(json_object_get(o, "suspend"));
	p.persistent = json_is_true(json_object_get(o, "persistent"));
	p.cluster = json_is_true(json_object_get(o, "cluster"));
	p.audit = json_is_true(json_object_get(o, "audit")) || getenv("HOSPES_AUDIT");
	p.verify = p.audit || json_is_true(json_object_get(o, "verify"));
	*ret = p;
	return 0;
}

static void do_push(struct client *c, json_t *o, bool plan)
{
	struct push_order order;
	struct err err = { 0 };
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	int r = ctl_parse_push(o, &order, &err);
	if (r == 0) {
		order.plan = plan;
		if (!order.streams)
			order.streams = cpus >= 4 ? 4 : cpus >= 2 ? 2 : 1;
		r = outgoing_push(c->ctl->d, &order, report, c, &err);
	}
	if (r < 0)
		fail(c, &err);
}

static json_t *doubt_help(const char *domain)
{
	_cleanup_free_ char *t = xasprintf(
		"the other host does not answer; it is asked until it does. Only when you have made sure that the domain cannot run there: "
		"vmmig resolve %s --owner local (or HOST)",
		domain);

	return json_string(t);
}

static json_t *status_object(struct migrated *d, const char *domain)
{
	json_t *list = outgoing_status(d, domain), *in = incoming_status(d, domain);
	size_t i;
	json_t *v;

	(void)json_array_extend(list, in);
	json_decref(in);
	orphan_status(d, domain, list);
	migrated_unsettled(d, domain, list);
	json_array_foreach(list, i, v)
	{
		const char *phase = json_string_value(json_object_get(v, "phase"));
		if (phase && !strcmp(phase, "in-doubt"))
			(void)json_object_set_new(v, "help",
			                          doubt_help(json_string_value(json_object_get(v, "domain"))));
	}
	return json_pack("{s:s, s:s, s:o}", "type", "status", "host", d->node.name, "migrations", list);
}

static void do_cancel(struct client *c, const char *domain)
{
	struct err err = { 0 };
	struct migrated *d = c->ctl->d;
	int r = outgoing_cancel(d, domain, &err);

	if (r == -ENOENT)
		r = incoming_cancel(d, domain, &err);
	if (r < 0)
		fail(c, &err);
	else
		reply(c, json_pack("{s:s}", "type", "ok"));
}

static void do_resolve(struct client *c, const char *domain, json_t *o)
{
	struct err err = { 0 };
	struct migrated *d = c->ctl->d;
	const char *owner = text_of(o, "owner", 64);
	bool local = owner && (!strcmp(owner, "local") || !strcmp(owner, d->node.name));

	int r = owner ? outgoing_resolve(d, domain, local, &err) : err_set(&err, EINVAL, "\"owner\" is missing");
	if (r == -ENOENT)
		r = incoming_resolve(d, domain, local, &err);
	if (r == -ENOENT && owner)
		r = orphan_resolve(d, domain, local, &err);
	if (r < 0)
		fail(c, &err);
	else
		reply(c, json_pack("{s:s}", "type", "ok"));
}

static void do_loglevel(struct client *c, json_t *o)
{
	const char *text = text_of(o, "level", 16);
	enum log_level level;

	if (!text || log_level_parse(text, &level) < 0) {
		reply(c, json_pack("{s:s, s:s}", "type", "error", "error", "\"level\" is error, warn, info or debug"));
		return;
	}
	log_level_set(level);
	reply(c, json_pack("{s:s}", "type", "ok"));
}

static void do_order(struct client *c, json_t *o)
{
	const char *op = text_of(o, "op", 32), *domain = text_of(o, "domain", 64);

	if (domain && !name_is_valid(domain))
		domain = NULL;
	if (!op) {
		reply(c, json_pack("{s:s, s:s}", "type", "error", "error", "\"op\" is missing"));
	} else if (!strcmp(op, "push") || !strcmp(op, "plan")) {
		do_push(c, o, op[1] == 'l');
	} else if (!strcmp(op, "status") || !strcmp(op, "dump")) {
		reply(c, status_object(c->ctl->d, domain));
	} else if (!strcmp(op, "loglevel")) {
		do_loglevel(c, o);
	} else if (domain && !strcmp(op, "cancel")) {
		do_cancel(c, domain);
	} else if (domain && !strcmp(op, "resolve")) {
		do_resolve(c, domain, o);
	} else {
		_cleanup_free_ char *t = xasprintf("unknown order \"%s\", or \"domain\" is missing", op);
		reply(c, json_pack("{s:s, s:s}", "type", "error", "error", t));
	}
}

static void do_line(struct client *c, const char *line, size_t len)
{
	json_error_t je;
	json_t *o = json_loadb(line, len, JSON_REJECT_DUPLICATES, &je);

	if (!json_is_object(o))
		reply(c, json_pack("{s:s, s:s}", "type", "error", "error", o ? "not a JSON object" : je.text));
	else
		do_order(c, o);
	json_decref(o);
}

static void on_client(void *arg, int fd, uint32_t revents)
{
	struct client *c = arg;
	char chunk[4096];

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
	if (c->in.failed || c->in.len > LINE_MAX_BYTES) {
		client_drop(c);
		return;
	}
	uint8_t *nl;
	while (!c->dead && c->in.len && (nl = memchr(c->in.data, '\n', c->in.len))) {
		size_t len = (size_t)(nl - c->in.data);
		do_line(c, (char *)c->in.data, len);
		memmove(c->in.data, nl + 1, c->in.len - len - 1);
		c->in.len -= len + 1;
	}
}

static void on_connect(void *arg, int fd, uint32_t revents)
{
	struct ctl *ctl = arg;
	int s = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)revents;
	if (s < 0)
		return;
	struct client *c = ctl->n < CLIENTS_MAX ? calloc(1, sizeof(*c)) : NULL;
	if (!c) {
		close(s);
		return;
	}
	c->ctl = ctl;
	c->fd = s;
	c->next = ctl->clients;
	ctl->clients = c;
	ctl->n++;
	c->reap = loop_add_timer(ctl->d->loop, client_free, c);
	c->src = c->reap ? loop_add_fd(ctl->d->loop, s, EPOLLIN, on_client, c) : NULL;
	if (!c->src)
		client_free(c);
}

struct ctl *ctl_new(struct migrated *d, struct err *err)
{
	struct ctl *c = calloc(1, sizeof(*c));
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	if (!c) {
		(void)err_sys(err, ENOMEM, "order socket");
		return NULL;
	}
	c->d = d;
	c->path = xasprintf("%s/migrated.sock", path_run());
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (strlen(c->path) >= sizeof(a.sun_path)) {
		(void)err_set(err, ENAMETOOLONG, "%s is too long for a socket", c->path);
		goto fail;
	}
	strcpy(a.sun_path, c->path);
	int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool alive = probe >= 0 && connect(probe, (struct sockaddr *)&a, sizeof(a)) == 0;
	if (probe >= 0)
		close(probe);
	if (alive) {
		(void)err_set(err, EADDRINUSE, "another migrated serves %s", c->path);
		goto fail;
	}
	(void)unlink(c->path);
	mode_t old = umask(0177);
	int r = c->fd < 0 || bind(c->fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(c->fd, 16) < 0 ? -errno : 0;
	(void)umask(old);
	if (r == 0)
		c->src = loop_add_fd(d->loop, c->fd, EPOLLIN, on_connect, c);
	if (r < 0 || !c->src) {
		(void)err_sys(err, r < 0 ? r : ENOMEM, "listen on %s", c->path);
		goto fail;
	}
	return c;
fail:
	free(c->path);
	c->path = NULL;
	ctl_free(c);
	return NULL;
}

void ctl_free(struct ctl *c)
{
	if (!c)
		return;
	while (c->clients)
		client_free(c->clients);
	loop_del_fd(c->src);
	if (c->fd >= 0)
		close(c->fd);
	if (c->path)
		(void)unlink(c->path);
	free(c->path);
	free(c);
}
