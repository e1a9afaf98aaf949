/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The order socket of a daemon: see ctlsock.h. */
#include "config.h"
#include "common/ctlsock.h"
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include "common/util.h"

struct ctlsock {
	struct loop *loop;
	const struct ctlsock_type *type;
	void *arg;
	int fd;
	char *path; /* NULL: nothing is there that is ours to remove */
	struct loop_fd *src;
	struct ctlsock_client *clients;
	unsigned n_clients;
};

/* Clients -------------------------------------------------------------------------------------------------------------- */

static void client_free(void *arg)
{
	struct ctlsock_client *c = arg;
	struct ctlsock *s = c->sock;

	for (struct ctlsock_client **p = &s->clients; *p; p = &(*p)->next) {
		if (*p == c) {
			*p = c->next;
			break;
		}
	}
	s->type->gone(s->arg, c);
	loop_del_fd(c->src);
	loop_del_timer(c->reap);
	close(c->fd);
	buf_done(&c->in);
	buf_done(&c->out);
	s->n_clients--;
	free(c);
}

/* May be called from anywhere below the loop: the client goes when the loop is back. */
static void client_drop(struct ctlsock_client *c)
{
	if (c->dead)
		return;
	c->dead = true;
	loop_timer_in(c->reap, 0);
}

static void flush(struct ctlsock_client *c)
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

void ctlsock_reply(struct ctlsock_client *c, json_t *o)
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
	if (c->out.failed || c->out.len > c->sock->type->out_bytes_max)
		client_drop(c);
	else
		flush(c);
}

static void do_line(struct ctlsock_client *c, const char *line, size_t len)
{
	json_error_t je;
	json_t *o = json_loadb(line, len, JSON_REJECT_DUPLICATES, &je);
	const char *wrong = o ? "not a JSON object" : je.text;

	if (!json_is_object(o)) {
		json_decref(o);
		o = NULL;
	}
	c->sock->type->order(c->sock->arg, c, o, wrong);
}

void ctlsock_go_on(struct ctlsock_client *c)
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
	struct ctlsock_client *c = arg;
	char chunk[CTLSOCK_READ_MAX];

	if (c->dead)
		return;
	if (revents & EPOLLOUT)
		flush(c);
	if (!(revents & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		return;
	ssize_t n = recv(fd, chunk, c->sock->type->read_bytes, MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		client_drop(c);
		return;
	}
	buf_put(&c->in, chunk, (size_t)n);
	if (c->in.failed || c->in.len > c->sock->type->in_bytes_max) {
		client_drop(c);
		return;
	}
	ctlsock_go_on(c);
}

static void on_connect(void *arg, int fd, uint32_t revents)
{
	struct ctlsock *s = arg;
	int client_fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)revents;
	if (client_fd < 0)
		return;
	struct ctlsock_client *c = s->n_clients < s->type->clients_max ? calloc(1, s->type->client_bytes) : NULL;
	if (!c) {
		close(client_fd);
		return;
	}
	c->sock = s;
	c->fd = client_fd;
	c->next = s->clients;
	s->clients = c;
	s->n_clients++;
	c->reap = loop_add_timer(s->loop, client_free, c);
	c->src = c->reap ? loop_add_fd(s->loop, client_fd, EPOLLIN, on_client, c) : NULL;
	if (!c->src)
		client_free(c);
}

struct ctlsock_client *ctlsock_clients(struct ctlsock *s)
{
	return s->clients;
}

/* Life ----------------------------------------------------------------------------------------------------------------- */

static int listen_on(struct ctlsock *s, struct err *err)
{
	_cleanup_free_ char *path = xasprintf("%s/%s.sock", path_run(), s->type->name);
	int r = mkdir_p(path_run(), 0755);

	if (r < 0)
		return err_sys(err, r, "create %s", path_run());
	s->fd = sock_listen(path, SOCK_STREAM, s->type->backlog, s->type->name, err);
	if (s->fd < 0)
		return s->fd;
	s->path = steal_ptr(&path);
	s->src = loop_add_fd(s->loop, s->fd, EPOLLIN, on_connect, s);
	return s->src ? 0 : err_sys(err, ENOMEM, "listen on %s", s->path);
}

struct ctlsock *ctlsock_new(struct loop *loop, const struct ctlsock_type *type, void *arg, struct err *err)
{
	struct ctlsock *s = calloc(1, sizeof(*s));

	if (!s) {
		(void)err_sys(err, ENOMEM, "order socket");
		return NULL;
	}
	*s = (struct ctlsock){ .loop = loop, .type = type, .arg = arg, .fd = -1 };
	if (listen_on(s, err) < 0) {
		ctlsock_free(s);
		return NULL;
	}
	return s;
}

void ctlsock_free(struct ctlsock *s)
{
	if (!s)
		return;
	while (s->clients)
		client_free(s->clients);
	loop_del_fd(s->src);
	if (s->fd >= 0)
		close(s->fd);
	if (s->path)
		unlink(s->path);
	free(s->path);
	free(s);
}
