/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The transport vhost-user: the connection of one device is two stream sockets, no REPLY_ACK (docs/wire/vhost-user.md). Octets are
 * vhost_user.c's business, rings virtq.c's, what only QEMU says vuqemu.c's. A driver that breaks the protocol loses its connection, nothing else.
 * Threading: the io thread; nothing here blocks.
 */
#include "config.h"
#include "hypervisor/dev/vudev.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include "hypervisor/dev/vudev_int.h"

#define READS_PER_WAKEUP 8
#define READS_PER_DRAIN  4096

static void on_sock(void *arg, int fd, uint32_t events);
static void on_req(void *arg, int fd, uint32_t events);
static void on_listen(void *arg, int fd, uint32_t events);

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void drop_fds(struct vu_conn *c)
{
	while (c->n_fds)
		close(c->fds[--c->n_fds]);
}

static void req_close(struct vu_conn *c)
{
	loop_del_fd(c->req_src);
	c->req_src = NULL;
	close_fd(&c->req);
	atomic_store(&c->wired, false);
}

static void hang_up(struct vdev *v, bool keep_listening)
{
	struct vu_conn *c = v->port;

	atomic_store(&c->attached, false);
	if (c->dialect->has_driver(v))
		vdev_reset(v);
	loop_del_fd(c->sock_src);
	c->sock_src = NULL;
	close_fd(&c->sock);
	req_close(c);
	drop_fds(c);
	c->dialect->hang_up(v);
	c->proto = 0;
	c->in_len = c->out_len = 0;
	c->call_pending = 0;
	c->config_pending = false;
	c->n_regions = 0;
	if (!keep_listening) {
		loop_del_fd(c->listen_src);
		c->listen_src = NULL;
		close_fd(&c->listen_fd);
	} else if (c->listen_src) {
		loop_mod_fd(c->listen_src, EPOLLIN);
	}
}

static void fail(struct vdev *v, const char *why)
{
	const struct devs_events *ev = &v->devs->ev;

	/* told first: who sees the connection end can rely on it */
	if (ev->broken)
		ev->broken(ev->arg, v->name, why);
	hang_up(v, true);
	v->st.broken = 1;
	v->broken = why;
}

/* Requests of the device ---------------------------------------------------------------------------------------------- */

/* 0, or -EAGAIN: call again when the socket is writable. One message is far below a socket buffer: it goes whole or not at all. */
static int req_send(struct vdev *v, const uint8_t *msg, size_t len)
{
	struct vu_conn *c = v->port;

	if (c->req < 0)
		return 0;
	ssize_t r = send(c->req, msg, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (r == (ssize_t)len)
		return 0;
	if (r < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS || errno == EINTR)) {
		if (c->req_src)
			loop_mod_fd(c->req_src, EPOLLOUT);
		return -EAGAIN;
	}
	/* half a message or a dead peer: the stream is of no use any more */
	req_close(c);
	return 0;
}

static void send_call(struct vdev *v, unsigned q)
{
	struct vu_conn *c = v->port;
	uint8_t msg[VU_MSG_MAX];

	if (c->call_pending & (1u << q))
		return;
	if (req_send(v, msg, vu_backend_call(msg, q)) == -EAGAIN)
		c->call_pending |= 1u << q;
}

void vu_config_changed(struct vdev *v)
{
	struct vu_conn *c = v->port;
	uint8_t msg[VU_MSG_MAX];

	c->config_pending = req_send(v, msg, vu_backend_config_change(msg)) == -EAGAIN;
}

static void on_req(void *arg, int fd, uint32_t events)
{
	struct vdev *v = arg;
	struct vu_conn *c = v->port;
	(void)fd;

	if (events & (EPOLLHUP | EPOLLERR)) {
		req_close(c);
		return;
	}
	uint32_t calls = c->call_pending;
	c->call_pending = 0;
	loop_mod_fd(c->req_src, 0);
	for (unsigned q = 0; calls && q < v->n_vq; q++)
		if (calls & (1u << q))
			send_call(v, q);
	if (c->config_pending)
		vu_config_changed(v);
}

/* Requests of the driver ---------------------------------------------------------------------------------------------- */

int vu_reply(struct vdev *v, const uint8_t *msg, size_t len)
{
	struct vu_conn *c = v->port;
	ssize_t r = send(c->sock, msg, len, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (r < 0)
		r = 0;
	if ((size_t)r < len) {
		/* the driver does not read: take no more requests until it does */
		c->out_len = len - (size_t)r;
		memcpy(c->out, msg + r, c->out_len);
		if (c->sock_src)
			loop_mod_fd(c->sock_src, EPOLLOUT);
	}
	return 0;
}

static struct vq *queue_at(struct vdev *v, uint32_t index)
{
	return index < v->n_vq ? &v->vq[index] : NULL;
}

static int on_mem_table(struct vdev *v, const struct vu_msg *m, const char **why)
{
	struct vu_conn *c = v->port;

	c->n_regions = m->mem.n;
	memcpy(c->region, m->mem.region, m->mem.n * sizeof(*c->region));
	*why = c->dialect->table_wrong(v);
	return *why ? -EPROTO : 0;
}

static int on_req_fd(struct vdev *v, const char **why)
{
	struct vu_conn *c = v->port;
	int type = 0, domain = 0;
	socklen_t tl = sizeof(type), dl = sizeof(domain);

	if (!c->n_fds) {
		*why = "no descriptor came with SET_BACKEND_REQ_FD";
		return -EPROTO;
	}
	/* anything but a stream socket could block us or worse */
	if (getsockopt(c->fds[0], SOL_SOCKET, SO_TYPE, &type, &tl) < 0 ||
	    getsockopt(c->fds[0], SOL_SOCKET, SO_DOMAIN, &domain, &dl) < 0 || type != SOCK_STREAM ||
	    domain != AF_UNIX) {
		*why = "the descriptor of SET_BACKEND_REQ_FD is not a local stream socket";
		return -EPROTO;
	}
	req_close(c);
	c->req = c->fds[0];
	c->fds[0] = c->fds[--c->n_fds];
	c->req_src = loop_add_fd(v->devs->loop, c->req, 0, on_req, v);
	if (!c->req_src) {
		*why = "out of memory";
		return -ENOMEM;
	}
	atomic_store(&c->wired, true);
	return 0;
}

static int on_ring(struct vdev *v, const struct vu_msg *m, const char **why)
{
	uint32_t index = m->req == VU_SET_VRING_ADDR ? m->addr.index : m->state.index;
	struct vq *q = queue_at(v, index);
	uint8_t msg[VU_MSG_MAX];

	if (!q) {
		*why = "a queue index that the device does not have";
		return -EPROTO;
	}
	bool sets = m->req == VU_SET_VRING_NUM || m->req == VU_SET_VRING_ADDR || m->req == VU_SET_VRING_BASE;
	if (sets && q->c.enabled) {
		*why = "a ring was changed while enabled";
		return -EPROTO;
	}
	switch (m->req) {
	case VU_SET_VRING_NUM:
		if (m->state.num > VQ_SIZE_MAX || (m->state.num & (m->state.num - 1))) {
			*why = "a queue size is not a power of two up to 256";
			return -EPROTO;
		}
		q->c.size = (uint16_t)m->state.num;
		return 0;
	case VU_SET_VRING_ADDR:
		q->c.desc.v = m->addr.desc;
		q->c.avail.v = m->addr.avail;
		q->c.used.v = m->addr.used;
		return 0;
	case VU_SET_VRING_BASE:
		q->c.last_avail = q->c.used_idx = (uint16_t)m->state.num;
		return 0;
	case VU_GET_VRING_BASE:
		vdev_enable(v, index, false);
		return vu_reply(v, msg, vu_reply_state(msg, m->req, index, q->c.last_avail));
	case VU_SET_VRING_ENABLE:
		vdev_enable(v, index, m->state.num == 1);
		return 0;
	default: /* VU_VRING_KICK */
		v->pending |= 1u << index;
		return 0;
	}
}

int vu_set_features(struct vdev *v, uint64_t features, const char **why)
{
	if (features & ~v->offered) {
		*why = "the driver chose features that were not offered";
		return -EPROTO;
	}
	if (!(features & VIRTIO_F_VERSION_1) || !(features & VU_F_PROTOCOL_FEATURES)) {
		*why = "the driver is older than virtio 1.0 or knows no protocol features";
		return -EPROTO;
	}
	for (unsigned q = 0; q < v->n_vq; q++)
		if (v->vq[q].c.enabled) {
			*why = "features were changed while a queue is enabled";
			return -EPROTO;
		}
	vdev_ack(v, features);
	return 0;
}

static int on_proto_features(struct vdev *v, uint64_t proto, const char **why)
{
	struct vu_conn *c = v->port;

	if ((proto & ~c->dialect->offered) || (proto & c->dialect->needed) != c->dialect->needed) {
		*why = c->dialect->lacks;
		return -EPROTO;
	}
	c->proto = proto;
	atomic_store(&c->attached, true);
	return 0;
}

static int on_set_config(struct vdev *v, const struct vu_msg *m)
{
	/* what lies beyond is ignored, as virtio 1.2, 2.5 lets a driver write no more than the device has */
	if (m->config.offset < v->config_len && m->config.bytes <= v->config_len - m->config.offset)
		v->ops->config_set(v, m->config.offset, m->config.data, m->config.bytes);
	return 0;
}

static int dispatch(struct vdev *v, const struct vu_msg *m, const char **why)
{
	const struct vu_dialect *dialect = ((const struct vu_conn *)v->port)->dialect;
	uint8_t msg[VU_MSG_MAX];
	int r = dialect->dispatch(v, m, why);

	if (r <= 0)
		return r;
	switch (m->req) {
	case VU_GET_FEATURES:
		return vu_reply(v, msg, vu_reply_u64(msg, m->req, v->offered));
	case VU_SET_FEATURES:
		return vu_set_features(v, m->u64, why);
	case VU_GET_PROTOCOL_FEATURES:
		return vu_reply(v, msg, vu_reply_u64(msg, m->req, dialect->offered));
	case VU_SET_PROTOCOL_FEATURES:
		return on_proto_features(v, m->u64, why);
	case VU_GET_QUEUE_NUM:
		return vu_reply(v, msg, vu_reply_u64(msg, m->req, v->n_vq));
	case VU_SET_MEM_TABLE:
		return on_mem_table(v, m, why);
	case VU_SET_BACKEND_REQ_FD:
		return on_req_fd(v, why);
	case VU_GET_CONFIG:
		v->config_news = false;
		return vu_reply(v, msg,
		                vu_reply_config(msg, m->config.offset, m->config.bytes, v->config, v->config_len));
	case VU_SET_CONFIG:
		return on_set_config(v, m);
	case VU_SET_VRING_NUM:
	case VU_SET_VRING_ADDR:
	case VU_SET_VRING_BASE:
	case VU_GET_VRING_BASE:
	case VU_SET_VRING_ENABLE:
	case VU_VRING_KICK:
		return on_ring(v, m, why);
	default: /* SET_OWNER, RESET_OWNER, log and eventfd messages: nothing to do, their descriptors are closed */
		return 0;
	}
}

/* Handle all complete requests in the buffer. False: the connection is gone. */
static bool handle_input(struct vdev *v)
{
	struct vu_conn *c = v->port;
	size_t at = 0;

	while (!c->out_len) {
		struct vu_msg m;
		const char *why = "";
		int n = vu_parse(c->in + at, c->in_len - at, &m, &why);
		if (n > 0) {
			at += (size_t)n;
			int r = dispatch(v, &m, &why);
			if (m.takes_fds)
				drop_fds(c);
			if (r < 0)
				n = r;
		}
		if (n < 0) {
			fail(v, why);
			return false;
		}
		if (!n)
			break;
	}
	memmove(c->in, c->in + at, c->in_len - at);
	c->in_len -= at;
	return true;
}

/* Octets read, 0 at the end of the stream, -EAGAIN, other -errno. */
static ssize_t receive(struct vu_conn *c)
{
	union {
		struct cmsghdr h;
		char space[CMSG_SPACE(sizeof(int) * VU_FDS_MAX)];
	} ctl;
	struct iovec iov = { .iov_base = c->in + c->in_len, .iov_len = sizeof(c->in) - c->in_len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &ctl, .msg_controllen = sizeof(ctl) };
	ssize_t r = recvmsg(c->sock, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (r < 0)
		return -errno;
	for (struct cmsghdr *h = CMSG_FIRSTHDR(&mh); h; h = CMSG_NXTHDR(&mh, h)) {
		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		size_t n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(h) + i * sizeof(int), sizeof(fd));
			if (c->n_fds < VU_FDS_MAX)
				c->fds[c->n_fds++] = fd;
			else
				close(fd);
		}
	}
	c->in_len += (size_t)r;
	return r;
}

/* False: the connection is gone. */
static bool read_requests(struct vdev *v, int reads)
{
	struct vu_conn *c = v->port;

	while (reads-- > 0 && !c->out_len) {
		ssize_t r = receive(c);
		if (r == -EINTR)
			continue;
		if (r == -EAGAIN)
			return true;
		if (r <= 0) {
			/* the guest is gone or restarts: no fault of the device */
			hang_up(v, true);
			return false;
		}
		bool full = c->in_len == sizeof(c->in);
		if (!handle_input(v))
			return false;
		if (!full)
			return true;
	}
	return true;
}

static void on_sock(void *arg, int fd, uint32_t events)
{
	struct vdev *v = arg;
	struct vu_conn *c = v->port;

	if (c->out_len) {
		ssize_t r = send(fd, c->out, c->out_len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (r < 0 && errno != EAGAIN && errno != EINTR) {
			hang_up(v, true);
			return;
		}
		if (r > 0) {
			c->out_len -= (size_t)r;
			memmove(c->out, c->out + r, c->out_len);
		}
		if (c->out_len)
			return;
		loop_mod_fd(c->sock_src, EPOLLIN);
		if (!handle_input(v))
			return;
	}
	if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && !read_requests(v, READS_PER_WAKEUP))
		return;
	vdev_run_pending(v);
}

void vu_conn_drain(struct vdev *v)
{
	struct vu_conn *c = v->port;

	for (int i = 0; i < READS_PER_DRAIN && c->sock >= 0 && !c->out_len; i++) {
		ssize_t r = receive(c);
		if (r == -EINTR)
			continue;
		/* an end of the stream is noticed when the device is served again */
		if (r <= 0 || !handle_input(v))
			return;
	}
}

/* Connections --------------------------------------------------------------------------------------------------------- */

int vu_conn_watch(struct vdev *v, bool on)
{
	struct vu_conn *c = v->port;
	struct loop *l = v->devs->loop;

	if (!on) {
		loop_del_fd(c->sock_src);
		loop_del_fd(c->req_src);
		loop_del_fd(c->listen_src);
		c->sock_src = c->req_src = c->listen_src = NULL;
		return c->dialect->watch(v, false);
	}
	const char *wrong = c->dialect->table_wrong(v);
	if (wrong)
		fail(v, wrong);
	if (c->sock >= 0 && !c->sock_src) {
		c->sock_src = loop_add_fd(l, c->sock, c->out_len ? EPOLLOUT : EPOLLIN, on_sock, v);
		if (!c->sock_src)
			return -ENOMEM;
	}
	if (c->req >= 0 && !c->req_src) {
		c->req_src = loop_add_fd(l, c->req, c->call_pending || c->config_pending ? EPOLLOUT : 0, on_req, v);
		if (!c->req_src)
			return -ENOMEM;
	}
	if (c->listen_fd >= 0 && !c->listen_src) {
		c->listen_src = loop_add_fd(l, c->listen_fd, c->sock < 0 ? EPOLLIN : 0, on_listen, v);
		if (!c->listen_src)
			return -ENOMEM;
	}
	return c->dialect->watch(v, true);
}

static void on_listen(void *arg, int fd, uint32_t events)
{
	struct vdev *v = arg;
	struct vu_conn *c = v->port;
	(void)events;

	int sock = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (sock < 0)
		return;
	/* one driver at a time */
	c->sock = sock;
	v->broken = NULL;
	v->st.broken = 0;
	c->sock_src = loop_add_fd(v->devs->loop, sock, EPOLLIN, on_sock, v);
	if (!c->sock_src) {
		fail(v, "out of memory");
		return;
	}
	if (c->listen_src)
		loop_mod_fd(c->listen_src, 0);
}

static int serve(struct vdev *v, struct err *err)
{
	const struct vu_conn *c = v->port;
	int r = v->devs->quiesced && !c->dialect->patient ? 0 : vu_conn_watch(v, true);

	return r < 0 ? err_sys(err, -r, "cannot serve device %s", v->name) : 0;
}

struct socks {
	size_t i;
	int sock, req;
	bool taken; /* they are the device's */
};

static int do_listen(struct devs *d, void *arg, struct err *err)
{
	struct socks *s = arg;
	struct vdev *v = d->v[s->i];
	struct vu_conn *c = v->port;

	s->taken = true;
	hang_up(v, false);
	c->listen_fd = s->sock;
	return serve(v, err);
}

static int do_pair(struct devs *d, void *arg, struct err *err)
{
	struct socks *s = arg;
	struct vdev *v = d->v[s->i];
	struct vu_conn *c = v->port;

	s->taken = true;
	vdev_stop(v);
	(void)vu_conn_watch(v, false);
	close_fd(&c->listen_fd);
	close_fd(&c->sock);
	req_close(c);
	drop_fds(c);
	c->out_len = 0;
	c->call_pending = 0;
	c->config_pending = false;
	c->sock = s->sock;
	c->req = s->req;
	atomic_store(&c->attached, c->proto != 0);
	return serve(v, err);
}

/* Each of @s is the device's now, or closed. */
static int attach(struct devs *d, int (*fn)(struct devs *d, void *arg, struct err *err), struct socks s,
                  struct err *err)
{
	int r = s.i < d->n ? devs_call(d, fn, &s, err) : err_set(err, EINVAL, "there is no device %zu", s.i);

	if (!s.taken) { /* @fn was not called, and will not be */
		close_fd(&s.sock);
		close_fd(&s.req);
	}
	return r;
}

int vudev_listen(struct devs *d, size_t i, int listen_fd, struct err *err)
{
	/* the accept in the loop must never wait */
	fcntl(listen_fd, F_SETFL, O_NONBLOCK);
	return attach(d, do_listen, (struct socks){ i, listen_fd, -1, false }, err);
}

int vudev_pair(struct devs *d, size_t i, int sock, int req_fd, struct err *err)
{
	return attach(d, do_pair, (struct socks){ i, sock, req_fd, false }, err);
}

void vudev_socks(const struct devs *d, size_t i, int *ret_sock, int *ret_req_fd)
{
	const struct vu_conn *c = d->v[i]->port;

	*ret_sock = c->sock;
	*ret_req_fd = c->req;
}

bool vudev_all_wired(const struct devs *d)
{
	for (size_t i = 0; i < d->n; i++)
		if (!atomic_load(&((const struct vu_conn *)d->v[i]->port)->wired))
			return false;
	return true;
}

bool vudev_attached(const struct devs *d, size_t i)
{
	return atomic_load(&((const struct vu_conn *)d->v[i]->port)->attached);
}

/* The transport ------------------------------------------------------------------------------------------------------- */

int vu_conn_open(struct vdev *v, const struct vu_dialect *dialect, struct err *err)
{
	struct vu_conn *c = calloc(1, sizeof(*c));

	if (!c)
		return err_sys(err, ENOMEM, "device %s", v->name);
	c->dialect = dialect;
	c->listen_fd = c->sock = c->req = -1;
	for (size_t i = 0; i < ARRAY_SIZE(c->ring); i++)
		c->ring[i] = (struct vu_ring){ .kick = -1, .call = -1 };
	v->port = c;
	return 0;
}

void vu_conn_close(struct vdev *v)
{
	hang_up(v, false);
}

void vu_conn_free(struct vdev *v)
{
	if (v->port)
		vu_conn_close(v);
	free(v->port);
	v->port = NULL;
}

static bool conn_up(const struct vdev *v)
{
	return ((const struct vu_conn *)v->port)->sock >= 0;
}

uint64_t vu_conn_save(const struct vdev *v, struct buf *out)
{
	const struct vu_conn *c = v->port;

	buf_put(out, c->in, c->in_len);
	return c->proto;
}

int vu_conn_load(struct vdev *v, uint64_t proto, const void *in, size_t len, bool commit, struct err *err)
{
	struct vu_conn *c = v->port;

	if (proto & ~c->dialect->offered)
		return err_set(err, EINVAL, "saved state of device %s: unknown protocol features", v->name);
	if (len > sizeof(c->in))
		return err_set(err, EINVAL, "saved state of device %s: too many octets of a request", v->name);
	if (commit) {
		c->proto = proto;
		memcpy(c->in, in, len);
		c->in_len = len;
	}
	return 0;
}

/* Octets that wait in a socket: to be read from it (SIOCINQ), or for the other end to read (SIOCOUTQ; 0 or more than they are). */
static int waiting(int fd, unsigned long what)
{
	int n = 0;

	return fd >= 0 && ioctl(fd, what, &n) == 0 ? n : 0;
}

void vu_conn_look(const struct vdev *v, char *buf, size_t len)
{
	const struct vu_conn *c = v->port;
	char calls[40] = "";

	if (c->call_pending)
		snprintf(calls, sizeof(calls), ", calls 0x%x unsent", c->call_pending);
	snprintf(buf, len, "unread: %d of its, %s of ours%s", waiting(c->sock, SIOCINQ),
	         waiting(c->req, SIOCOUTQ) ? "some" : "none", calls);
}

/* virtio_uml's dialect: nothing of its own. */
static int uml_dispatch(struct vdev *v, const struct vu_msg *m, const char **why)
{
	(void)v, (void)m, (void)why;
	return 1;
}

/*
 * What the driver says of its memory has to be what our own mapping has: rings and buffers are found in that. Before there is a mapping (a
 * guest that boots) the table is kept, and looked at when the device is served with one. Returns what is wrong, static text; NULL: nothing.
 */
static const char *uml_table_wrong(const struct vdev *v)
{
	const struct vu_conn *c = v->port;
	const struct guestmem *mem = v->devs->mem;

	for (uint32_t i = 0; mem && i < c->n_regions; i++) {
		const struct vu_region *r = &c->region[i];
		const void *p = guestmem_at(mem, (struct gpa){ r->guest_addr }, r->bytes);

		if (!p || !r->bytes)
			return "a region of the guest's memory table is not within a region of its memory";
		if (r->mmap_offset != guestmem_offset(mem, p))
			return "a region of the guest's memory table has another offset in the memory file";
		if (r->user_addr != r->guest_addr)
			return "a region of the guest's memory table has a user address that is not its guest address";
		for (const struct vu_region *o = c->region; o < r; o++)
			if (o->guest_addr < r->guest_addr + r->bytes && r->guest_addr < o->guest_addr + o->bytes)
				return "two regions of the guest's memory table overlap";
	}
	return NULL;
}

static int uml_watch(struct vdev *v, bool on)
{
	(void)v, (void)on;
	return 0;
}

static void uml_hang_up(struct vdev *v)
{
	(void)v;
}

static bool uml_has_driver(const struct vdev *v)
{
	(void)v;
	return true;
}

static int uml_open(struct vdev *v, struct err *err)
{
	static const struct vu_dialect uml = {
		.offered = VU_PF_OFFERED,
		.needed = VU_PF_NEEDED,
		.lacks = "the driver's protocol features do not include BACKEND_REQ, CONFIG and INBAND_NOTIFICATIONS",
		.dispatch = uml_dispatch,
		.table_wrong = uml_table_wrong,
		.watch = uml_watch,
		.hang_up = uml_hang_up,
		.has_driver = uml_has_driver,
	};

	return vu_conn_open(v, &uml, err);
}

const struct vdev_transport_ops vudev_transport = {
	.features = VU_F_PROTOCOL_FEATURES,
	.open = uml_open,
	.free = vu_conn_free,
	.close = vu_conn_close,
	.connected = conn_up,
	.watch = vu_conn_watch,
	.drain = vu_conn_drain,
	.call = send_call,
	.config_changed = vu_config_changed,
	.save = vu_conn_save,
	.load = vu_conn_load,
	.look = vu_conn_look,
};
