/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Server of the hypercall socket: see hvserver.h. Main loop's thread only.
 *
 * A connection has at most one request at the dispatcher; until that is answered its socket is not read, so a flood waits in
 * the sender's socket buffer. What cannot be sent at once is not queued: that connection ends. Ending is by shutdown(), whose
 * hang-up event does the rest, so closed() never runs inside a call of the dispatcher.
 *
 * Before a request is handed over, the connections of clients that are gone are closed, and what they sent and nobody read is dropped:
 * a daemon that is started again and asks how things stand gets an answer that no word of its predecessor can change later.
 */
#include "config.h"
#include "hypervisor/hvserver.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include "common/util.h"
#include "hypervisor/api/hvmsg.h"

#define EVENTS_IDLE     (EPOLLIN | EPOLLRDHUP)
#define ACCEPT_PAUSE_NS (100 * NS_PER_MS)

struct hvconn {
	struct hvserver *server;
	struct hvconn *next;
	struct loop_fd *src;
	int fd;    /* owned */
	bool busy; /* a request is at the dispatcher */
	bool subscribed;
	bool doomed; /* shut down: no more requests, the hang-up event closes it */
};

struct hvserver {
	struct loop *loop;
	const struct hvserver_ops *ops;
	void *arg;
	int listen_fd; /* owned */
	struct loop_fd *listen_src;
	struct loop_timer *accept_again; /* armed while descriptors are short */
	struct hvconn *conns;
	size_t n_conns;
	uint8_t rx[sizeof(struct hv_msg) + HV_PAYLOAD_MAX];
	uint8_t tx[sizeof(struct hv_msg) + HV_PAYLOAD_MAX];
};

static void conn_free(struct hvconn *c)
{
	loop_del_fd(c->src);
	close(c->fd);
	free(c);
}

static void conn_close(struct hvconn *c)
{
	struct hvserver *s = c->server;

	for (struct hvconn **p = &s->conns; *p; p = &(*p)->next) {
		if (*p == c) {
			*p = c->next;
			break;
		}
	}
	s->n_conns--;
	s->ops->closed(s->arg, c);
	conn_free(c);
}

static void conn_doom(struct hvconn *c)
{
	c->doomed = true;
	c->subscribed = false;
	shutdown(c->fd, SHUT_RDWR);
}

/* One message to the client; it fits its socket buffer at once or the connection ends. */
static void conn_send(struct hvconn *c, uint16_t op, uint64_t cookie, int32_t status, const void *payload, size_t len,
                      const int *fds, size_t n_fds)
{
	struct hvserver *s = c->server;
	struct hv_msg h = {
		.magic = HV_MAGIC,
		.version = HV_VERSION,
		.op = op,
		.cookie = cookie,
		.status = status,
		.len = (uint32_t)len,
	};

	if (c->doomed)
		return;
	memcpy(s->tx, &h, sizeof(h));
	if (len)
		memcpy(s->tx + sizeof(h), payload, len);
	if (sock_send_fds(c->fd, s->tx, sizeof(h) + len, fds, n_fds) < 0)
		conn_doom(c);
}

static void conn_idle(struct hvconn *c)
{
	assert(c->busy); /* a dispatcher answers each request once */
	c->busy = false;
	if (!c->doomed && loop_mod_fd(c->src, EVENTS_IDLE) < 0)
		conn_doom(c);
}

void hvconn_reply(struct hvconn *c, uint16_t op, uint64_t cookie, const void *payload, size_t len, const int *fds,
                  size_t n_fds)
{
	if (len > HV_PAYLOAD_MAX) {
		static const struct err big = { EMSGSIZE, "hypercall: the answer does not fit a message" };

		hvconn_fail(c, op, cookie, &big);
		return;
	}
	conn_send(c, op, cookie, 0, payload, len, fds, n_fds);
	conn_idle(c);
}

void hvconn_fail(struct hvconn *c, uint16_t op, uint64_t cookie, const struct err *err)
{
	int code = err->code > 0 ? err->code : EIO;

	conn_send(c, op, cookie, -code, err->text, strnlen(err->text, sizeof(err->text)), NULL, 0);
	conn_idle(c);
}

void hvconn_subscribe(struct hvconn *c, bool on)
{
	c->subscribed = on && !c->doomed;
}

void hvserver_event(struct hvserver *s, const struct hv_event *ev)
{
	for (struct hvconn *c = s->conns; c; c = c->next)
		if (c->subscribed)
			conn_send(c, HV_OP_EVENT, 0, 0, ev, sizeof(*ev), NULL, 0);
}

/* See above. Both directions shut: the client is gone, or was told to go. */
static void close_gone(struct hvserver *s, const struct hvconn *but)
{
	struct pollfd p[HVSERVER_CONNS_MAX];
	struct hvconn *conn[HVSERVER_CONNS_MAX];
	nfds_t n = 0;

	for (struct hvconn *c = s->conns; c; c = c->next) {
		if (c == but)
			continue;
		p[n] = (struct pollfd){ .fd = c->fd };
		conn[n++] = c;
	}
	if (n && poll(p, n, 0) > 0)
		for (nfds_t i = 0; i < n; i++)
			if (p[i].revents & (POLLHUP | POLLERR))
				conn_close(conn[i]);
}

/* Read and dispatch one message. Returns false when the connection is over. */
static bool conn_read(struct hvconn *c)
{
	struct hvserver *s = c->server;
	struct err err = { 0 };
	size_t n_fds = HVMSG_FDS_MAX, len, want;
	int fds[HVMSG_FDS_MAX];
	ssize_t n = sock_recv_fds(c->fd, s->rx, sizeof(s->rx), fds, &n_fds);
	struct hv_msg h;

	if (n == -EAGAIN)
		return true;
	if (n == -EMSGSIZE) {
		static const char text[] = "hypercall: message too long or with too many descriptors";

		conn_send(c, 0, 0, -EMSGSIZE, text, sizeof(text) - 1, NULL, 0);
		return false;
	}
	if (n <= 0)
		return false;
	c->busy = true;
	switch (hvmsg_check(s->rx, (size_t)n, n_fds, &h, &err)) {
	case HVMSG_OK:
		len = h.len;
		want = hvmsg_req_len(h.op);
		if (len < want) {
			memset(s->rx + sizeof(h) + len, 0, want - len);
			len = want;
		}
		/* before the dispatcher, which may answer at once and so make it idle again */
		if (loop_mod_fd(c->src, 0) < 0)
			conn_doom(c);
		close_gone(s, c);
		s->ops->request(s->arg, c, h.op, h.cookie, s->rx + sizeof(h), len, fds, n_fds);
		break;
	case HVMSG_REFUSE:
		hvconn_fail(c, h.op, h.cookie, &err);
		break;
	case HVMSG_HANGUP:
		hvconn_fail(c, h.op, h.cookie, &err);
		conn_doom(c);
		break;
	}
	for (size_t i = 0; i < n_fds; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	return true;
}

static void on_conn(void *arg, int fd, uint32_t revents)
{
	struct hvconn *c = arg;

	(void)fd;
	/* what came before a hang-up still counts, if nothing is in work */
	if ((revents & EPOLLIN) && !c->busy && !c->doomed) {
		if (!conn_read(c))
			conn_close(c);
		return;
	}
	if (revents & (EPOLLHUP | EPOLLERR | EPOLLRDHUP))
		conn_close(c);
}

static void conn_add(struct hvserver *s, int fd)
{
	struct hvconn *c;

	if (s->n_conns >= HVSERVER_CONNS_MAX) {
		static const char text[] = "hypercall: too many connections to this domain; end some of its clients";
		struct {
			struct hv_msg h;
			char text[sizeof(text)];
		} m = { { HV_MAGIC, HV_VERSION, 0, 0, -EBUSY, sizeof(text) - 1 }, "" };
		int r;

		memcpy(m.text, text, sizeof(text));
		r = sock_send_fds(fd, &m, sizeof(m.h) + sizeof(text) - 1, NULL, 0);
		(void)r; /* a courtesy: closing says the same */
		close(fd);
		return;
	}
	c = calloc(1, sizeof(*c));
	if (!c) {
		close(fd);
		return;
	}
	c->server = s;
	c->fd = fd;
	c->src = loop_add_fd(s->loop, fd, EVENTS_IDLE, on_conn, c);
	if (!c->src) {
		close(fd);
		free(c);
		return;
	}
	c->next = s->conns;
	s->conns = c;
	s->n_conns++;
}

static void on_listen(void *arg, int fd, uint32_t revents)
{
	struct hvserver *s = arg;
	int conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)revents;
	if (conn >= 0) {
		conn_add(s, conn);
		return;
	}
	if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
		/* level-triggered: look away for a moment instead of spinning */
		if (!loop_mod_fd(s->listen_src, 0))
			loop_timer_in(s->accept_again, ACCEPT_PAUSE_NS);
	}
}

static void on_accept_again(void *arg)
{
	struct hvserver *s = arg;

	if (loop_mod_fd(s->listen_src, EPOLLIN) < 0)
		loop_timer_in(s->accept_again, ACCEPT_PAUSE_NS);
}

struct hvserver *hvserver_new(struct loop *loop, int listen_fd, const struct hvserver_ops *ops, void *arg,
                              struct err *err)
{
	struct hvserver *s = calloc(1, sizeof(*s));

	if (!s) {
		close(listen_fd);
		err_sys(err, ENOMEM, "hypercall server");
		return NULL;
	}
	s->loop = loop;
	s->ops = ops;
	s->arg = arg;
	s->listen_fd = listen_fd;
	if (fcntl(listen_fd, F_SETFL, O_NONBLOCK) < 0)
		goto fail;
	s->listen_src = loop_add_fd(loop, listen_fd, EPOLLIN, on_listen, s);
	if (!s->listen_src)
		goto fail;
	s->accept_again = loop_add_timer(loop, on_accept_again, s);
	if (!s->accept_again)
		goto fail;
	return s;
fail:
	err_sys(err, errno, "hypercall server");
	hvserver_free(s);
	return NULL;
}

void hvserver_close_door(struct hvserver *s)
{
	loop_del_timer(s->accept_again);
	loop_del_fd(s->listen_src);
	s->accept_again = NULL;
	s->listen_src = NULL;
	if (s->listen_fd >= 0)
		close(s->listen_fd);
	s->listen_fd = -1;
}

void hvserver_free(struct hvserver *s)
{
	if (!s)
		return;
	while (s->conns) {
		struct hvconn *c = s->conns;

		s->conns = c->next;
		conn_free(c);
	}
	hvserver_close_door(s);
	free(s);
}

/* A socket file at @addr is in the way: remove it if nobody listens any more. */
static int remove_stale(const struct sockaddr_un *addr, const char *path, struct err *err)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct stat st;

	if (fd < 0)
		return err_sys(err, errno, "%s", path);
	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : err_sys(err, errno, "%s", path);
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, EEXIST, "%s: is in the way and no socket; remove it", path);
	if (!connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) || errno == EAGAIN)
		return err_set(err, EADDRINUSE, "%s: in use, this domain runs already", path);
	if (errno != ECONNREFUSED)
		return err_sys(err, errno, "%s", path);
	return unlink(path) < 0 && errno != ENOENT ? err_sys(err, errno, "remove stale %s", path) : 0;
}

int hvserver_listen(const char *path, struct err *err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *copy = strdup(path);
	int r;

	if (!copy)
		return err_sys(err, ENOMEM, "%s", path);
	if (strlen(path) >= sizeof(addr.sun_path))
		return err_set(err, ENAMETOOLONG,
		               "%s: longer than %zu octets, choose a shorter run directory (HOSPES_RUNDIR)", path,
		               sizeof(addr.sun_path) - 1);
	strcpy(addr.sun_path, path);
	r = mkdir_p(dirname(copy), 0755);
	if (r < 0)
		return err_sys(err, r, "make directory of %s", path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_sys(err, errno, "hypercall socket");
	r = remove_stale(&addr, path, err);
	if (r < 0)
		return r;
	/* the mode of the socket becomes that of the file: no moment with a wider one */
	if (fchmod(fd, 0600) < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, 16) < 0)
		return err_sys(err, errno, "%s", path);
	return steal_fd(&fd);
}
