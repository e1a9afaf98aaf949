/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See relay.h. */
#include "config.h"
#include "hypervisor/relay.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define TURNS 4 /* buffers that one event moves: others have their turn */

/* One direction. */
struct half {
	int from, to;
	bool ended; /* nothing more comes */
	size_t at, len;
	uint64_t bytes;
	uint8_t buf[RELAY_BYTES];
};

struct relay {
	int fd[2]; /* owned */
	struct loop_fd *src[2];
	void (*over)(void *arg, struct relay *r);
	void *arg;
	bool told;
	struct half half[2]; /* from fd[0], from fd[1] */
};

static bool again(void)
{
	return errno == EAGAIN || errno == EINTR;
}

/* False: a side is gone. */
static bool pump(struct half *h)
{
	for (int i = 0; i < TURNS; i++) {
		ssize_t n;

		if (!h->len && !h->ended) {
			n = recv(h->from, h->buf, sizeof(h->buf), MSG_DONTWAIT);
			if (n < 0)
				return again();
			h->ended = n == 0;
			h->at = 0;
			h->len = (size_t)n;
			h->bytes += (uint64_t)n;
		}
		if (!h->len)
			break;
		n = send(h->to, h->buf + h->at, h->len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0)
			return again();
		h->at += (size_t)n;
		h->len -= (size_t)n;
	}
	return h->len || !h->ended;
}

static uint32_t events(const struct relay *r, unsigned side)
{
	const struct half *in = &r->half[side], *out = &r->half[!side];

	return (in->len || in->ended ? 0 : EPOLLIN) | (out->len ? EPOLLOUT : 0);
}

static void on_side(void *arg, int fd, uint32_t ev)
{
	struct relay *r = arg;
	bool lives = pump(&r->half[0]);

	(void)fd;
	lives = pump(&r->half[1]) && lives && !(ev & (EPOLLHUP | EPOLLERR));
	for (unsigned i = 0; i < 2; i++)
		if (loop_mod_fd(r->src[i], lives ? events(r, i) : 0) < 0)
			lives = false;
	if (lives || r->told)
		return;
	r->told = true;
	loop_del_fd(r->src[0]);
	loop_del_fd(r->src[1]);
	r->src[0] = r->src[1] = NULL;
	r->over(r->arg, r);
}

struct relay *relay_new(struct loop *l, int a, int b, void (*over)(void *arg, struct relay *r), void *arg)
{
	struct relay *r = calloc(1, sizeof(*r));

	if (!r) {
		close(a);
		close(b);
		return NULL;
	}
	r->fd[0] = r->half[0].from = r->half[1].to = a;
	r->fd[1] = r->half[1].from = r->half[0].to = b;
	r->over = over;
	r->arg = arg;
	r->src[0] = loop_add_fd(l, a, EPOLLIN, on_side, r);
	r->src[1] = loop_add_fd(l, b, EPOLLIN, on_side, r);
	if (r->src[0] && r->src[1])
		return r;
	relay_free(r);
	return NULL;
}

void relay_free(struct relay *r)
{
	if (!r)
		return;
	for (unsigned i = 0; i < 2; i++) {
		loop_del_fd(r->src[i]);
		close(r->fd[i]);
	}
	free(r);
}

uint64_t relay_from_b(const struct relay *r)
{
	return r->half[1].bytes;
}
