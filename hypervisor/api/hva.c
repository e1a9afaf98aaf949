/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Asynchronous hypercalls: see hva.h. */
#include "config.h"
#include "hypervisor/api/hva.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include "common/util.h"

#define FDS_MAX 8u

struct hva {
	struct loop *loop;
	struct loop_fd *src;
	int fd; /* -1 once lost */
	uint64_t cookie;
	unsigned pending;
	const struct hva_ops *ops;
	void *arg;
	bool freed, busy; /* freed while a call-back runs */
	uint8_t in[sizeof(struct hv_msg) + HV_PAYLOAD_MAX];
};

static void lose(struct hva *h)
{
	if (h->fd < 0)
		return;
	loop_del_fd(h->src);
	h->src = NULL;
	close(h->fd);
	h->fd = -1;
}

static void dispatch(struct hva *h, size_t len, int *fds, size_t n_fds)
{
	struct hv_msg m;
	char text[ERR_TEXT_MAX] = "";

	memcpy(&m, h->in, sizeof(m));
	const uint8_t *payload = h->in + sizeof(m);
	len -= sizeof(m);
	if (m.op == HV_OP_EVENT) {
		struct hv_event ev = { 0 };
		memcpy(&ev, payload, len < sizeof(ev) ? len : sizeof(ev));
		ev.text[sizeof(ev.text) - 1] = 0;
		if (h->ops->event)
			h->ops->event(h->arg, &ev);
		return;
	}
	if (h->pending)
		h->pending--;
	if (m.status < 0) {
		size_t n = len < sizeof(text) - 1 ? len : sizeof(text) - 1;
		memcpy(text, payload, n);
		text[n] = 0;
		len = 0;
	}
	h->ops->reply(h->arg, m.op, m.status < 0 ? m.status : 0, payload, len, fds, n_fds, text);
}

static void readable(void *arg, int fd, uint32_t revents)
{
	struct hva *h = arg;

	(void)revents;
	h->busy = true;
	for (unsigned i = 0; i < 16 && !h->freed && h->fd >= 0; i++) {
		int fds[FDS_MAX];
		size_t n_fds = FDS_MAX;
		ssize_t n = sock_recv_fds(fd, h->in, sizeof(h->in), fds, &n_fds);
		if (n == -EAGAIN)
			break;
		struct hv_msg m;
		bool bad = n < (ssize_t)sizeof(m);
		if (!bad) {
			memcpy(&m, h->in, sizeof(m));
			bad = m.magic != HV_MAGIC || m.len != (size_t)n - sizeof(m);
		}
		if (!bad)
			dispatch(h, (size_t)n, fds, n_fds);
		if (n >= 0)
			for (size_t k = 0; k < n_fds; k++)
				if (fds[k] >= 0)
					close(fds[k]);
		if (bad) {
			lose(h);
			if (!h->freed) /* a Unix socket closed with unread messages says ECONNRESET */
				h->ops->lost(h->arg, n == -ECONNRESET);
		}
	}
	h->busy = false;
	if (h->freed)
		free(h);
}

struct hva *hva_new(struct loop *loop, int fd, const struct hva_ops *ops, void *arg, struct err *err)
{
	struct hva *h = calloc(1, sizeof(*h));

	if (h) {
		h->loop = loop;
		h->fd = fd;
		h->cookie = 1u << 20; /* apart from those of the blocking client */
		h->ops = ops;
		h->arg = arg;
		if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == 0)
			h->src = loop_add_fd(loop, fd, EPOLLIN, readable, h);
	}
	if (!h || !h->src) {
		(void)err_sys(err, ENOMEM, "hypercall connection");
		close(fd);
		free(h);
		return NULL;
	}
	return h;
}

void hva_free(struct hva *h)
{
	if (!h)
		return;
	lose(h);
	h->freed = true;
	if (!h->busy)
		free(h);
}

bool hva_call(struct hva *h, uint16_t op, const void *req, size_t len, int fd)
{
	uint8_t msg[sizeof(struct hv_msg) + 256];
	struct hv_msg m = {
		.magic = HV_MAGIC, .version = HV_VERSION, .op = op, .cookie = ++h->cookie, .len = (uint32_t)len
	};

	if (h->fd < 0 || len > 256)
		return false;
	memcpy(msg, &m, sizeof(m));
	if (len)
		memcpy(msg + sizeof(m), req, len);
	/* a few small requests always fit the socket's buffer; when they do not, hvdom hangs, and the deadlines act */
	if (sock_send_fds(h->fd, msg, sizeof(m) + len, &fd, fd >= 0) < 0)
		return false;
	h->pending++;
	return true;
}

unsigned hva_pending(const struct hva *h)
{
	return h->fd < 0 ? 0 : h->pending;
}
