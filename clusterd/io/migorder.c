/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Orders to migrated: see migorder.h. */
#include "config.h"
#include "clusterd/io/migorder.h"
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "common/buf.h"
#include "common/util.h"

#define LINE_MAX_BYTES (1u << 20)

struct migorder {
	struct loop *loop;
	const struct migorder_ops *ops;
	void *arg;
	int fd;
	struct loop_fd *src;
	struct buf in;
	bool busy, freed;
};

static void destroy(struct migorder *m)
{
	loop_del_fd(m->src);
	close(m->fd);
	buf_done(&m->in);
	free(m);
}

void migorder_free(struct migorder *m)
{
	if (!m)
		return;
	m->freed = true;
	if (!m->busy)
		destroy(m);
}

static void lines(struct migorder *m)
{
	uint8_t *nl;

	while (!m->freed && m->in.len && (nl = memchr(m->in.data, '\n', m->in.len))) {
		size_t len = (size_t)(nl - m->in.data);
		json_t *o = json_loadb((char *)m->in.data, len, 0, NULL);

		if (json_is_object(o))
			m->ops->answer(m->arg, o);
		json_decref(o);
		memmove(m->in.data, nl + 1, m->in.len - len - 1);
		m->in.len -= len + 1;
	}
}

static void on_readable(void *arg, int fd, uint32_t revents)
{
	struct migorder *m = arg;
	char chunk[8192];
	ssize_t n = recv(fd, chunk, sizeof(chunk), MSG_DONTWAIT);

	(void)revents;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	m->busy = true;
	if (n > 0) {
		buf_put(&m->in, chunk, (size_t)n);
		lines(m);
	}
	if (!m->freed && (n <= 0 || m->in.failed || m->in.len > LINE_MAX_BYTES)) {
		loop_del_fd(m->src);
		m->src = NULL;
		m->ops->ended(m->arg, "migrated on this host ended or closed the connection");
	}
	m->busy = false;
	if (m->freed)
		destroy(m);
}

struct migorder *migorder_new(struct loop *loop, json_t *order, const struct migorder_ops *ops, void *arg)
{
	_cleanup_free_ char *path = xasprintf("%s/migrated.sock", path_run()), *text = json_dumps(order, JSON_COMPACT),
			    *line = NULL;
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct migorder *m;

	json_decref(order);
	if (fd < 0 || !text || strlen(path) >= sizeof(a.sun_path))
		return NULL;
	strcpy(a.sun_path, path);
	line = xasprintf("%s\n", text);
	/* an order is small: the socket's buffer takes it whole */
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    send(fd, line, strlen(line), MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)strlen(line))
		return NULL;
	m = calloc(1, sizeof(*m));
	if (!m)
		return NULL;
	*m = (struct migorder){ .loop = loop, .ops = ops, .arg = arg, .fd = fd };
	m->src = loop_add_fd(loop, fd, EPOLLIN, on_readable, m);
	if (!m->src) {
		free(m);
		errno = ENOMEM;
		return NULL;
	}
	(void)steal_fd(&fd);
	return m;
}
