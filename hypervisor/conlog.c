/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See conlog.h. Main thread; output is dropped rather than waited for. */
#include "config.h"
#include "hypervisor/conlog.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define RING_BYTES 16384u

struct conlog {
	struct loop *loop;
	struct boundlog log;
	int client;
	struct loop_fd *src;
	void (*input)(void *arg, const void *p, size_t len);
	void *arg;
	char ring[RING_BYTES];
	size_t at; /* octets ever put */
};

struct conlog *conlog_new(struct loop *loop, struct boundlog log, void (*input)(void *arg, const void *p, size_t len),
                          void *arg)
{
	struct conlog *c = calloc(1, sizeof(*c));

	if (!c) {
		boundlog_done(&log);
		return NULL;
	}
	c->loop = loop;
	c->log = log;
	c->client = -1;
	c->input = input;
	c->arg = arg;
	return c;
}

static void drop_client(struct conlog *c)
{
	loop_del_fd(c->src);
	c->src = NULL;
	if (c->client >= 0)
		close(c->client);
	c->client = -1;
}

void conlog_free(struct conlog *c)
{
	if (!c)
		return;
	drop_client(c);
	boundlog_done(&c->log);
	free(c);
}

void conlog_put(struct conlog *c, const void *p, size_t len)
{
	const char *s = p;

	(void)boundlog_put(&c->log, p, len); /* what a full disk does not take is lost, as below */
	for (size_t i = 0; i < len; i++)
		c->ring[c->at++ % RING_BYTES] = s[i];
	if (c->client >= 0 && send(c->client, p, len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno != EAGAIN)
		drop_client(c);
}

static void on_client(void *arg, int fd, uint32_t ev)
{
	struct conlog *c = arg;
	char buf[1024];
	(void)ev;
	ssize_t n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);

	if (n > 0)
		c->input(c->arg, buf, (size_t)n);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		drop_client(c);
}

int conlog_attach(struct conlog *c, bool take, struct err *err)
{
	int sv[2];

	if (c->client >= 0 && !take)
		return err_set(err, EBUSY, "somebody is attached to this console already (--force takes it over)");
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
		return err_sys(err, errno, "cannot make a console connection");
	drop_client(c);
	c->client = sv[0];
	c->src = loop_add_fd(c->loop, sv[0], EPOLLIN, on_client, c);
	if (!c->src) {
		drop_client(c);
		close(sv[1]);
		return err_set(err, ENOMEM, "out of memory");
	}
	size_t have = c->at < RING_BYTES ? c->at : RING_BYTES, from = c->at - have;
	while (have) {
		size_t i = from % RING_BYTES, n = RING_BYTES - i < have ? RING_BYTES - i : have;
		if (send(c->client, c->ring + i, n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			break;
		from += n;
		have -= n;
	}
	return sv[1];
}
