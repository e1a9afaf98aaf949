/* SPDX-License-Identifier: GPL-2.0-or-later */
/* QEMU's connection to a disk on one of its controllers: negotiation, octets of requests and answers, and the transport's ops. See nblk_int.h. */
#include "config.h"
#include "hypervisor/dev/nblk_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define BLOCK_USUAL 4096u
#define BYTES_MAX   (3u << 20) /* of all transfers under way, before one more is taken */
#define READS       32         /* per wake-up */
#define OPTIONS_MAX 32u        /* of one connection */

static bool can_take(const struct nblk *b)
{
	return b->sock >= 0 && !b->out_len && !b->probing && (b->arriving || (b->free && b->bytes < BYTES_MAX));
}

static void set_watch(struct nblk *b)
{
	if (b->sock_src)
		loop_mod_fd(b->sock_src, (can_take(b) ? EPOLLIN : 0u) | (b->first || b->out_len ? EPOLLOUT : 0u));
}

void nblk_hang_up(struct nblk *b)
{
	struct nreq *x;

	loop_del_fd(b->sock_src);
	b->sock_src = NULL;
	if (b->sock >= 0)
		close(b->sock);
	b->sock = -1;
	b->d.v.running = false; /* what storage has under way concerns nobody any more */
	b->conn++;
	b->in_len = b->out_len = 0;
	if (b->arriving) {
		x = b->arriving;
		b->arriving = NULL;
		nblk_put_req(x);
	}
	while ((x = b->first)) {
		b->first = x->next;
		x->queued = false;
		nblk_put_req(x);
	}
	b->last = &b->first;
	nblk_drop_held(b);
	if (b->listen_src)
		loop_mod_fd(b->listen_src, EPOLLIN);
}

static void fail(struct nblk *b, const char *why)
{
	nblk_hang_up(b); /* first: nothing is waited for then */
	vdev_break(&b->d.v, why);
}

/* Send what waits. False: the connection is gone. */
static bool flush_out(struct nblk *b)
{
	ssize_t n = 0;

	if (b->out_len && b->sock >= 0) {
		n = send(b->sock, b->out, b->out_len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n > 0) {
			b->out_len -= (size_t)n;
			memmove(b->out, b->out + n, b->out_len);
		}
	}
	while (b->first && b->sock >= 0 && n >= 0) {
		struct nreq *x = b->first;
		size_t head = x->sent < NBD_REPLY_BYTES ? NBD_REPLY_BYTES - x->sent : 0,
		       left = x->answer_bytes - x->sent;
		struct iovec iov[2] = { { x->answer + NBD_REPLY_BYTES - head, head } };
		struct msghdr m = { .msg_iov = iov, .msg_iovlen = 1 };

		if (left > head) {
			iov[1] = (struct iovec){ (uint8_t *)x->data.iov_base + (x->q.bytes - (left - head)),
				                 left - head };
			m.msg_iovlen = 2;
		}
		n = sendmsg(b->sock, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0)
			break;
		x->sent += (size_t)n;
		if (x->sent < x->answer_bytes)
			break;
		b->first = x->next;
		if (!b->first)
			b->last = &b->first;
		x->queued = false;
		nblk_put_req(x);
	}
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		nblk_hang_up(b);
		return false;
	}
	return true;
}

/* Octets of the client ------------------------------------------------------------------------------------------------- */

static int take_in(struct nblk *b, size_t n)
{
	b->in_len -= n;
	memmove(b->in, b->in + n, b->in_len);
	return 1;
}

/* As those below: 1 when something was done; 0: more octets are needed; -errno, with *why. */
static int on_option(struct nblk *b, const char **why)
{
	const struct dom_disk *cfg = b->d.cfg;
	struct nbd_option_msg m;
	int n = nbd_parse_option(b->in, b->in_len, &m, why);

	if (n <= 0)
		return n;
	if (m.option == NBD_OPT_ABORT || ++b->options > OPTIONS_MAX) {
		*why = m.option == NBD_OPT_ABORT ? "the NBD client gave up" : "too many NBD options";
		return -EPROTO;
	}
	uint32_t wrong = m.option != NBD_OPT_GO && m.option != NBD_OPT_INFO ? NBD_REP_ERR_UNSUP : nbd_check_go(&m);
	struct nbd_export e = { .bytes = b->d.sectors * BLKDISK_SECTOR,
		                .block_min = BLKDISK_SECTOR,
		                .block_preferred = BLOCK_USUAL,
		                .block_max = NBLK_BLOCK_MAX };
	if (cfg->readonly)
		e.flags = NBD_FLAG_READ_ONLY;
	else
		e.flags = (uint16_t)(NBD_FLAG_FUA | NBD_FLAG_WRITE_ZEROES | (cfg->discard ? NBD_FLAG_TRIM : 0) |
		                     (cfg->cache != DOM_CACHE_WRITETHROUGH ? NBD_FLAG_FLUSH : 0));
	b->out_len = wrong ? nbd_option_reply(b->out, m.option, wrong) : nbd_export_info(b->out, m.option, &e);
	if (!wrong && m.option == NBD_OPT_GO)
		b->phase = PH_REQUESTS;
	return take_in(b, (size_t)n);
}

static int on_request(struct nblk *b, const char **why)
{
	struct nbd_request q;
	int n = nbd_parse_request(b->in, b->in_len, &q, why);

	if (n <= 0)
		return n;
	bool data = q.cmd == NBD_READ || q.cmd == NBD_WRITE;
	*why = q.cmd == NBD_DISC                        ? "the NBD client said goodbye"
	       : q.cmd > NBD_WRITE_ZEROES || q.cmd == 5 ? "an unknown NBD request"
	       : data && q.bytes > NBLK_BLOCK_MAX       ? "an NBD transfer that is too long"
	                                                : NULL;
	if (*why)
		return -EPROTO;
	struct nreq *x = b->free;
	if (data && q.bytes && posix_memalign(&x->data.iov_base, 4096, q.bytes)) {
		x->data = (struct iovec){ 0 };
		*why = "out of memory";
		return -ENOMEM;
	}
	b->free = x->next;
	x->q = q;
	x->conn = b->conn;
	x->data.iov_len = x->data.iov_base ? q.bytes : 0;
	b->bytes += x->data.iov_len;
	if (q.cmd == NBD_WRITE && q.bytes) {
		b->arriving = x;
		b->arrived = 0;
	} else {
		nblk_handle(x);
	}
	return take_in(b, (size_t)n);
}

static int on_flags(struct nblk *b, const char **why)
{
	int n = nbd_parse_flags(b->in, b->in_len, why);

	if (n <= 0)
		return n;
	b->phase = PH_OPTIONS;
	return take_in(b, (size_t)n);
}

/* Octets of what is written that came together with the request. */
static int on_data(struct nblk *b)
{
	struct nreq *x = b->arriving;
	size_t n = x->data.iov_len - b->arrived;

	if (n > b->in_len)
		n = b->in_len;
	memcpy((uint8_t *)x->data.iov_base + b->arrived, b->in, n);
	b->arrived += n;
	(void)take_in(b, n);
	if (b->arrived < x->data.iov_len)
		return 0;
	b->arriving = NULL;
	nblk_handle(x);
	return 1;
}

/* False: nothing is there now, or the connection is gone. */
static bool receive(struct nblk *b)
{
	struct nreq *x = b->arriving;
	size_t room = x ? x->data.iov_len - b->arrived : sizeof(b->in) - b->in_len;
	ssize_t n = recv(b->sock, x ? (uint8_t *)x->data.iov_base + b->arrived : b->in + b->in_len, room, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) { /* QEMU is gone: no fault of the device */
		nblk_hang_up(b);
		return false;
	}
	if (x)
		b->arrived += (size_t)n;
	else
		b->in_len += (size_t)n;
	return true;
}

static void take(struct nblk *b)
{
	const char *why = NULL;
	int reads = READS, r = 1;

	while (can_take(b)) {
		r = b->arriving               ? on_data(b)
		    : b->phase == PH_REQUESTS ? on_request(b, &why)
		    : b->phase == PH_OPTIONS  ? on_option(b, &why)
		                              : on_flags(b, &why);
		if (r < 0) {
			fail(b, why);
			return;
		}
		if (!flush_out(b) || (!r && (!reads-- || !receive(b))))
			return;
	}
}

void nblk_pump(struct nblk *b)
{
	if (b->sock < 0)
		return;
	if (flush_out(b))
		take(b);
	blkio_kick(b->d.v.devs->blkio);
	set_watch(b);
}

static void on_sock(void *arg, int fd, uint32_t events)
{
	struct nblk *b = arg;
	(void)fd;

	if (events & (EPOLLHUP | EPOLLERR))
		nblk_hang_up(b);
	else
		nblk_pump(b);
}

/* Connection ---------------------------------------------------------------------------------------------------------- */

static void on_listen(void *arg, int fd, uint32_t events)
{
	struct nblk *b = arg;
	struct vdev *v = &b->d.v;
	(void)events;

	b->sock = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (b->sock < 0)
		return;
	/* one client at a time */
	loop_mod_fd(b->listen_src, 0);
	v->broken = NULL;
	v->st.broken = 0;
	b->phase = PH_FLAGS;
	b->options = 0;
	b->out_len = nbd_greeting(b->out);
	b->sock_src = loop_add_fd(v->devs->loop, b->sock, EPOLLIN, on_sock, b);
	if (!b->sock_src) {
		fail(b, "out of memory");
		return;
	}
	vdev_start(v);
	nblk_pump(b);
}

static void close_listen(struct nblk *b)
{
	loop_del_fd(b->listen_src);
	b->listen_src = NULL;
	if (b->listen_fd >= 0)
		close(b->listen_fd);
	b->listen_fd = -1;
}

struct listening {
	size_t i;
	int fd; /* -1: the device has it */
};

static int do_listen(struct devs *d, void *arg, struct err *err)
{
	struct listening *l = arg;
	struct nblk *b = l->i < d->n && d->v[l->i]->ops == &nblk_ops ? nblk_of(d->v[l->i]) : NULL;

	if (!b)
		return err_set(err, EINVAL, "there is no such disk %zu", l->i);
	close_listen(b);
	nblk_hang_up(b);
	b->listen_fd = l->fd;
	l->fd = -1;
	b->listen_src = loop_add_fd(d->loop, b->listen_fd, EPOLLIN, on_listen, b);
	return b->listen_src ? 0 : err_sys(err, ENOMEM, "cannot serve disk %s", b->d.v.name);
}

int nblk_listen(struct devs *d, size_t i, int listen_fd, struct err *err)
{
	struct listening l = { i, listen_fd };

	/* the accept in the loop must never wait */
	fcntl(listen_fd, F_SETFL, O_NONBLOCK);
	int r = devs_call(d, do_listen, &l, err);
	if (l.fd >= 0)
		close(l.fd);
	return r;
}

/* QEMU is there before a state, and stays over it. */
static int port_open(struct vdev *v, struct err *err)
{
	(void)v, (void)err;
	return 0;
}
static void port_free(struct vdev *v)
{
	close_listen(nblk_of(v));
	nblk_hang_up(nblk_of(v));
}
static void port_close(struct vdev *v)
{
	nblk_drop_held(nblk_of(v));
}
/* QEMU that waits for a state is no driver yet. */
static bool port_connected(const struct vdev *v)
{
	return nblk_of(v)->sock >= 0 && atomic_load(&nblk_of(v)->owned);
}
static int port_watch(struct vdev *v, bool on)
{
	(void)v, (void)on; /* always: what must not be done is answered with an error */
	return 0;
}
static void port_drain(struct vdev *v)
{
	(void)v; /* QEMU has done that: a machine that stands still has no request under way */
}
static void port_call(struct vdev *v, unsigned q)
{
	(void)v, (void)q;
}
static void port_config_changed(struct vdev *v)
{
	(void)v;
}
static uint64_t port_save(const struct vdev *v, struct buf *out)
{
	(void)v, (void)out;
	return 0;
}
static int port_load(struct vdev *v, uint64_t word, const void *p, size_t len, bool commit, struct err *err)
{
	(void)p, (void)commit;
	return word || len ? err_set(err, EINVAL, "saved state of device %s: not one of a disk's", v->name) : 0;
}
static void port_look(const struct vdev *v, char *buf, size_t len)
{
	const struct nblk *b = nblk_of(v);

	snprintf(buf, len, "%zu octets of requests unread, %zu in transfers%s", b->in_len, b->bytes,
	         b->first ? ", answers wait for QEMU" : "");
}

const struct vdev_transport_ops nblk_transport = {
	.open = port_open,
	.free = port_free,
	.close = port_close,
	.connected = port_connected,
	.watch = port_watch,
	.drain = port_drain,
	.call = port_call,
	.config_changed = port_config_changed,
	.save = port_save,
	.load = port_load,
	.look = port_look,
};
