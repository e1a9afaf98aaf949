/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Client of the hypercall socket: see hvcall.h. Blocking; one thread per connection. */
#include "config.h"
#include "hypervisor/api/hvcall.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include "common/loop.h"
#include "common/util.h"
#include "hypervisor/api/dompath.h"
#include "hypervisor/api/hvmsg.h"
#include "hypervisor/api/rundir.h"

#define REP_FDS_MAX 16u

int hvcall_of_fd(struct hvcall *c, int fd)
{
	*c = (struct hvcall){ .fd = fd, .timeout_ms = 30000 };
	return 0;
}

int hvcall_open_path(struct hvcall *c, const char *path, struct err *err)
{
	_cleanup_close_ int fd = -1;

	*c = (struct hvcall){ .fd = -1 };
	if (strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path))
		return err_set(err, ENAMETOOLONG,
		               "%s: longer than %zu octets, choose a shorter run directory (HOSPES_RUNDIR)", path,
		               sizeof(((struct sockaddr_un *)0)->sun_path) - 1);
	fd = rundir_connect(path, 0);
	if (fd == -ENOENT)
		return err_set(err, ENOENT, "%s: no such socket, the domain does not run", path);
	if (fd == -ECONNREFUSED)
		return err_set(err, ECONNREFUSED, "%s: nobody listens, its hvdom died; start the domain again", path);
	if (fd == -EAGAIN)
		return err_set(err, ETIMEDOUT, "connect %s: hvdom does not accept connections", path);
	if (fd < 0)
		return err_sys(err, -fd, "connect %s", path);
	return hvcall_of_fd(c, steal_fd(&fd));
}

int hvcall_open(struct hvcall *c, const char *name, struct err *err)
{
	_cleanup_free_ char *path = NULL;

	*c = (struct hvcall){ .fd = -1 };
	if (!name_is_valid(name))
		return err_set(err, EINVAL, "\"%s\" is no domain name", name);
	path = dompath_sock(name);
	return hvcall_open_path(c, path, err);
}

void hvcall_close(struct hvcall *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

static void close_fds(const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
}

static int wait_readable(struct hvcall *c, uint64_t deadline_ns)
{
	for (;;) {
		struct pollfd p = { .fd = c->fd, .events = POLLIN };
		uint64_t now = now_ns();
		int r;

		if (c->stop && *c->stop)
			return -EINTR;
		if (now >= deadline_ns)
			return -ETIMEDOUT;
		r = poll(&p, 1, (int)((deadline_ns - now + NS_PER_MS - 1) / NS_PER_MS));
		if (r > 0)
			return 0;
		if (r < 0 && errno != EINTR)
			return -errno;
	}
}

static int send_request(struct hvcall *c, uint16_t op, const void *req, size_t len, const int *fds, size_t n_fds)
{
	struct timeval tv = { .tv_sec = c->timeout_ms / 1000, .tv_usec = c->timeout_ms % 1000 * 1000 };
	struct hv_msg h = {
		.magic = HV_MAGIC, .version = HV_VERSION, .op = op, .cookie = ++c->cookie, .len = (uint32_t)len
	};
	_cleanup_free_ uint8_t *msg = malloc(sizeof(h) + len);
	int r;

	if (!msg)
		return -ENOMEM;
	memcpy(msg, &h, sizeof(h));
	if (len)
		memcpy(msg + sizeof(h), req, len);
	if (setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)) < 0)
		return -errno;
	r = sock_send_fds(c->fd, msg, sizeof(h) + len, fds, n_fds);
	return r == -EAGAIN ? -ETIMEDOUT : r;
}

static void take_event(struct hvcall *c, const uint8_t *payload, size_t len)
{
	struct hv_event ev = { 0 };

	memcpy(&ev, payload, len < sizeof(ev) ? len : sizeof(ev));
	ev.text[sizeof(ev.text) - 1] = 0;
	if (c->on_event)
		c->on_event(c->arg, &ev);
}

/*
 * The next message that answers the last request, in @buf. Events go to the handler; answers to earlier calls that timed out
 * are dropped. Returns its octets or -errno.
 */
static ssize_t recv_reply(struct hvcall *c, uint8_t *buf, size_t cap, struct hv_msg *h, int *fds, size_t *n_fds,
                          uint64_t deadline_ns)
{
	for (;;) {
		size_t room = REP_FDS_MAX;
		ssize_t n = wait_readable(c, deadline_ns);

		if (n < 0)
			return n;
		n = sock_recv_fds(c->fd, buf, cap, fds, &room);
		if (n == -EMSGSIZE)
			return -EPROTO;
		if (n < 0)
			return n;
		if (!n)
			return -ECONNRESET;
		if ((size_t)n < sizeof(*h)) {
			close_fds(fds, room);
			return -EPROTO;
		}
		memcpy(h, buf, sizeof(*h));
		if (h->magic != HV_MAGIC || h->len != (size_t)n - sizeof(*h)) {
			close_fds(fds, room);
			return -EPROTO;
		}
		/* cookie 0: the server refuses the connection or a message that it could not read */
		if (h->op != HV_OP_EVENT && (h->cookie == c->cookie || (!h->cookie && h->status < 0))) {
			*n_fds = room;
			return n;
		}
		close_fds(fds, room);
		if (h->op == HV_OP_EVENT)
			take_event(c, buf + sizeof(*h), h->len);
		else if (h->cookie > c->cookie)
			return -EPROTO;
	}
}

int hvcall(struct hvcall *c, uint16_t op, const void *req, size_t req_len, const int *req_fds, size_t n_req_fds,
           void *rep, size_t rep_cap, size_t *ret_len, int *rep_fds, size_t *n_rep_fds, struct err *err)
{
	uint64_t deadline_ns = now_ns() + (uint64_t)c->timeout_ms * NS_PER_MS;
	_cleanup_free_ uint8_t *buf = NULL;
	int fds[REP_FDS_MAX];
	size_t n_fds = 0, room = n_rep_fds ? *n_rep_fds : 0, take;
	struct hv_msg h;
	ssize_t n;
	int r;

	if (n_rep_fds)
		*n_rep_fds = 0;
	if (c->fd < 0 || req_len > HV_PAYLOAD_MAX)
		return err_sys(err, EINVAL, "hypercall %s", hvmsg_op_name(op));
	buf = malloc(sizeof(h) + HV_PAYLOAD_MAX);
	if (!buf)
		return err_sys(err, ENOMEM, "hypercall %s", hvmsg_op_name(op));
	r = send_request(c, op, req, req_len, req_fds, n_req_fds);
	/* EPIPE: it hung up, but may have said why before */
	if (r < 0 && r != -EPIPE)
		return err_sys(err, r, "hypercall %s", hvmsg_op_name(op));
	n = recv_reply(c, buf, sizeof(h) + HV_PAYLOAD_MAX, &h, fds, &n_fds, deadline_ns);
	if (n == -ECONNRESET)
		return err_set(err, ECONNRESET, "hypercall %s: hvdom closed the connection", hvmsg_op_name(op));
	if (n == -ETIMEDOUT)
		return err_set(err, ETIMEDOUT, "hypercall %s: no answer within %d ms", hvmsg_op_name(op),
		               c->timeout_ms);
	if (n < 0)
		return err_sys(err, (int)n, "hypercall %s", hvmsg_op_name(op));
	if (h.status) {
		close_fds(fds, n_fds);
		if (h.status > 0 || h.status < -4095)
			h.status = -EPROTO;
		return err_set(err, h.status, "%.*s", (int)(h.len < ERR_TEXT_MAX ? h.len : ERR_TEXT_MAX),
		               (const char *)buf + sizeof(h));
	}
	take = h.len < rep_cap ? h.len : rep_cap;
	if (rep && rep_cap) {
		memcpy(rep, buf + sizeof(h), take);
		memset((uint8_t *)rep + take, 0, rep_cap - take);
	}
	if (ret_len)
		*ret_len = h.len;
	for (size_t i = 0; i < n_fds; i++) {
		if (i < room)
			rep_fds[i] = fds[i];
		else
			close(fds[i]);
	}
	if (n_rep_fds)
		*n_rep_fds = n_fds < room ? n_fds : room;
	return 0;
}

int hvcall_simple(struct hvcall *c, uint16_t op, const void *req, size_t req_len, void *rep, size_t rep_cap,
                  struct err *err)
{
	return hvcall(c, op, req, req_len, NULL, 0, rep, rep_cap, NULL, NULL, NULL, err);
}
