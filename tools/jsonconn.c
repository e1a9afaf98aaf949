/* SPDX-License-Identifier: GPL-2.0-or-later */
/* JSON lines over a daemon's control socket. See jsonconn.h. */
#include "config.h"
#include "tools/jsonconn.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "common/util.h"

#define RECV_BYTES 65536

/* It accepts or takes nothing any more. */
static int stands_still(const struct jsonconn_peer *peer, struct err *err)
{
	return err_set(err, ETIMEDOUT, "%s does not answer: it stands still, or this host is overloaded", peer->daemon);
}

int jsonconn_open(struct jsonconn *c, const struct jsonconn_peer *peer, struct err *err)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct timeval limit = { .tv_sec = peer->answer_s };
	_cleanup_free_ char *path = xasprintf("%s/%s.sock", path_run(), peer->daemon);

	*c = (struct jsonconn){ .peer = peer, .fd = -1 };
	if (strlen(path) >= sizeof(a.sun_path))
		return err_set(err, ENAMETOOLONG, "%s is too long for a socket", path);
	strcpy(a.sun_path, path);
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		return err_sys(err, errno, "socket");
	setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)); /* of connect(), too */
	if (!connect(c->fd, (struct sockaddr *)&a, sizeof(a)))
		return 0;
	int r = errno;
	jsonconn_close(c);
	if (r == EAGAIN) /* too many wait to be accepted */
		return stands_still(peer, err);
	if (r == EACCES)
		return err_set(err, r, "%s: permission denied; run as root", path);
	return err_set(err, r, "%s does not run on this host (%s: %s): %s", peer->daemon, path, strerror(r),
	               peer->start);
}

void jsonconn_close(struct jsonconn *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	buf_done(&c->in);
}

int jsonconn_send(struct jsonconn *c, json_t *o, struct err *err)
{
	_cleanup_free_ char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
	int r;

	json_decref(o);
	if (!text)
		return err_sys(err, ENOMEM, "order");
	r = write_full(c->fd, text, strlen(text));
	if (!r)
		r = write_full(c->fd, "\n", 1);
	if (r == -EAGAIN)
		return stands_still(c->peer, err);
	return r < 0 ? err_sys(err, r, "%s", c->peer->daemon) : 0;
}

int jsonconn_order(struct jsonconn *c, const struct jsonconn_peer *peer, json_t *order, struct err *err)
{
	int r = jsonconn_open(c, peer, err);

	if (r < 0) {
		json_decref(order);
		return r;
	}
	r = jsonconn_send(c, order, err);
	if (r < 0)
		jsonconn_close(c);
	return r;
}

/* The first whole line of what came, as an object. 0: there is none. */
static int take_line(struct jsonconn *c, json_t **ret, struct err *err)
{
	uint8_t *nl = c->in.len ? memchr(c->in.data, '\n', c->in.len) : NULL;

	if (!nl)
		return 0;
	size_t len = (size_t)(nl - c->in.data);
	json_t *o = json_loadb((char *)c->in.data, len, 0, NULL);

	memmove(c->in.data, nl + 1, c->in.len - len - 1);
	c->in.len -= len + 1;
	if (!json_is_object(o)) {
		json_decref(o);
		return err_set(err, EPROTO, "%s said something that is not %s", c->peer->daemon, c->peer->expected);
	}
	*ret = o;
	return 1;
}

int jsonconn_recv(struct jsonconn *c, bool wait, json_t **ret, struct err *err)
{
	for (;;) {
		int r = take_line(c, ret, err);

		if (r)
			return r < 0 ? r : 0;
		void *p = c->in.len < c->peer->line_bytes_max ? buf_reserve(&c->in, RECV_BYTES) : NULL;
		if (!p)
			return err_set(err, ENOMEM, "%s says too much", c->peer->daemon);
		ssize_t n = recv(c->fd, p, RECV_BYTES, wait ? 0 : MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			return -EAGAIN;
		if (n < 0 && errno == EINTR)
			return err_set(err, EINTR, "interrupted");
		if (n <= 0)
			return err_set(err, ECONNRESET, "%s went away; %s", c->peer->daemon, c->peer->lost);
		c->in.len += (size_t)n;
	}
}

void jsonconn_print(const json_t *o)
{
	(void)json_dumpf(o, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(9));
	putchar('\n');
	fflush(stdout);
}

double field_num(const json_t *o, const char *key)
{
	return json_number_value(json_object_get(o, key));
}

const char *field_text(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key)) ?: "";
}

/* Daemons name what went wrong, so that numbers stay out of the contract. */
int field_errno(const json_t *o, const char *key)
{
	const char *name = field_text(o, key);

	for (int i = 1; i < 134; i++) {
		const char *n = strerrorname_np(i);

		if (n && !strcmp(n, name))
			return i;
	}
	return EIO;
}

bool field_true(const json_t *o, const char *key)
{
	return json_is_true(json_object_get(o, key));
}
