/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A disk as an NBD server for one client, QEMU: see nblk.h, docs/wire/nbd.md, ADR 87. Octets are nbd.c's, the image is blkdisk.c's.
 *
 * A request that failed and is to be held (blkerr.c) is answered with ENOSPC: QEMU then keeps it in the state of its controller, stops the
 * guest, and does it again when the guest goes on, here or elsewhere. A copy of the first one is tried from time to time, to see when that is.
 * The client is hostile: lengths are checked before memory is taken, and what it leaves unread bounds what is read from it.
 * Threading: the io thread; nblk_lock(), nblk_unlock(), nblk_held_err() on any.
 */
#include "config.h"
#include "hypervisor/dev/nblk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hypervisor/dev/blkdisk_int.h"
#include "hypervisor/dev/blkerr.h"
#include "hypervisor/dev/nbd.h"

#define REQS         16u        /* QEMU has no more under way */
#define BLOCK_MAX    (1u << 20) /* octets of one transfer */
#define BLOCK_USUAL  4096u
#define BYTES_MAX    (3u << 20)  /* of all transfers under way, before one more is taken */
#define ZEROES_MAX   (32u << 20) /* may have to be written */
#define READS        32          /* per wake-up */
#define OPTIONS_MAX  32u         /* of one connection */
#define HELD_UNKNOWN ENOSPC      /* why a request was held on the host that the domain came from */

enum phase { PH_FLAGS, PH_OPTIONS, PH_REQUESTS };

struct nreq {
	struct blkio_req io; /* first: io_done() finds the request */
	struct nblk *b;
	struct nreq *next; /* free, or an answer that waits */
	struct nbd_request q;
	struct iovec data; /* owned, NULL: none */
	unsigned conn;     /* the connection that it came by */
	bool queued;       /* its answer waits */
	bool probe;        /* it is b->held, or was, and is being tried */
	uint8_t answer[NBD_REPLY_BYTES];
	size_t answer_bytes, sent; /* with its data; of both */
};

struct nblk {
	struct blkdisk d; /* first */
	atomic_bool owned;
	int listen_fd, sock; /* owned, -1: none */
	struct loop_fd *listen_src, *sock_src;
	unsigned conn; /* counts connections */
	enum phase phase;
	unsigned options;
	uint8_t in[NBD_OPTION_BYTES + NBD_OPTION_MAX];
	size_t in_len;
	uint8_t out[NBD_ANSWER_MAX]; /* of the negotiation */
	size_t out_len;
	struct nreq req[REQS], *free, *first, **last; /* answers that wait, in their order */
	struct nreq *arriving;                        /* what it writes is being read */
	size_t arrived, bytes;                        /* of that; of all transfers */
	struct nreq *held;                            /* the copy of a request that QEMU keeps; NULL: none */
	bool probing;                                 /* it is being tried */
	atomic_int held_err;                          /* errno of a request that QEMU keeps, 0: none */
};

static struct nblk *nblk_of(const struct vdev *v)
{
	return (struct nblk *)v;
}

/* Requests ------------------------------------------------------------------------------------------------------------ */

static void req_put(struct nreq *x)
{
	struct nblk *b = x->b;

	if (x->queued || b->held == x)
		return;
	free(x->data.iov_base);
	b->bytes -= x->data.iov_len;
	x->data = (struct iovec){ 0 };
	x->next = b->free;
	b->free = x;
}

static void drop_held(struct nblk *b)
{
	struct nreq *x = b->held;

	atomic_store(&b->held_err, 0);
	b->held = NULL;
	if (x && !b->probing)
		req_put(x);
}

static bool can_take(const struct nblk *b)
{
	return b->sock >= 0 && !b->out_len && !b->probing && (b->arriving || (b->free && b->bytes < BYTES_MAX));
}

static void set_watch(struct nblk *b)
{
	if (b->sock_src)
		loop_mod_fd(b->sock_src, (can_take(b) ? EPOLLIN : 0u) | (b->first || b->out_len ? EPOLLOUT : 0u));
}

static void hang_up(struct nblk *b)
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
		req_put(x);
	}
	while ((x = b->first)) {
		b->first = x->next;
		x->queued = false;
		req_put(x);
	}
	b->last = &b->first;
	drop_held(b);
	if (b->listen_src)
		loop_mod_fd(b->listen_src, EPOLLIN);
}

static void fail(struct nblk *b, const char *why)
{
	hang_up(b); /* first: nothing is waited for then */
	vdev_break(&b->d.v, why);
}

static void answer(struct nreq *x, enum nbd_error error)
{
	struct nblk *b = x->b;

	x->answer_bytes = nbd_reply(x->answer, x->q.cookie, error);
	if (!error && x->q.cmd == NBD_READ)
		x->answer_bytes += x->q.bytes;
	x->sent = 0;
	x->queued = true;
	x->next = NULL;
	*b->last = x;
	b->last = &x->next;
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
		req_put(x);
	}
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		hang_up(b);
		return false;
	}
	return true;
}

static void pump(struct nblk *b);

static void probe_done(struct nblk *b, struct nreq *x, int res)
{
	struct vdev *v = &b->d.v;
	bool held = b->held == x, room = held && !v->running && !res;

	x->probe = b->probing = false;
	if (!held) {
		req_put(x);
	} else if (v->running || room) { /* the guest goes on, whatever came of it: QEMU does its own */
		drop_held(b);
	} else {
		atomic_store(&b->held_err, -res);
	}
	if (room && v->devs->ev.disk_room)
		v->devs->ev.disk_room(v->devs->ev.arg);
}

static enum nbd_error failed(struct nreq *x, int res)
{
	struct nblk *b = x->b;
	const struct devs_events *ev = &b->d.v.devs->ev;
	enum blkerr_verdict what = blkerr_judge(b->d.cfg, x->io.op, res);
	bool read = x->io.op == BLKIO_READ;

	if (what == BLKERR_HOLD) {
		if (!b->held)
			b->held = x;
		atomic_store(&b->held_err, -res);
	} else if (what == BLKERR_REPORT) {
		b->d.v.st.errors++;
	} else if (read) {
		memset(x->data.iov_base, 0, x->data.iov_len); /* what was not read is not our memory */
	}
	if (ev->disk_error)
		ev->disk_error(ev->arg, b->d.v.name, -res, read, what == BLKERR_HOLD);
	return what == BLKERR_HOLD ? NBD_ENOSPC : what == BLKERR_REPORT ? NBD_EIO : NBD_OK;
}

static void io_done(struct blkio_req *io, int res)
{
	struct nreq *x = (struct nreq *)io;
	struct nblk *b = x->b;

	res = blkdisk_ended(&b->d, io, (unsigned)(x - b->req), res);
	if (x->probe)
		probe_done(b, x, res);
	else if (x->conn != b->conn) /* nobody asks any more */
		req_put(x);
	else if (res == -ECANCELED) /* held back for want of a lease, and the domain ends */
		answer(x, NBD_EIO);
	else
		answer(x, res < 0 ? failed(x, res) : NBD_OK);
	pump(b);
	blkdisk_settled(&b->d);
}

static void submit(struct nreq *x)
{
	static const enum blkio_op ops[] = { [NBD_READ] = BLKIO_READ,
		                             [NBD_WRITE] = BLKIO_WRITE,
		                             [NBD_FLUSH] = BLKIO_FLUSH,
		                             [NBD_TRIM] = BLKIO_DISCARD,
		                             [NBD_WRITE_ZEROES] = BLKIO_ZERO };

	x->io = (struct blkio_req){ .op = ops[x->q.cmd],
		                    .offset = x->q.offset,
		                    .bytes = x->q.bytes,
		                    .iov = &x->data,
		                    .n_iov = x->data.iov_base != NULL,
		                    .dsync = x->q.flags & NBD_CMD_FUA,
		                    .may_unmap = !(x->q.flags & NBD_CMD_NO_HOLE),
		                    .done = io_done };
	blkdisk_submit(&x->b->d, &x->io, (unsigned)(x - x->b->req));
}

/* What is wrong with it; NBD_OK: it may be done. */
static enum nbd_error check(const struct nreq *x)
{
	const struct nblk *b = x->b;
	const struct nbd_request *q = &x->q;
	bool writes = q->cmd != NBD_READ && q->cmd != NBD_FLUSH;
	unsigned flags = q->cmd == NBD_WRITE          ? NBD_CMD_FUA
	                 : q->cmd == NBD_WRITE_ZEROES ? NBD_CMD_FUA | NBD_CMD_NO_HOLE
	                                              : 0;

	if (q->flags & ~flags)
		return NBD_EINVAL;
	if (writes && b->d.cfg->readonly)
		return NBD_EPERM;
	if (q->cmd == NBD_FLUSH)
		return q->offset || q->bytes ? NBD_EINVAL : NBD_OK;
	if ((q->offset | q->bytes) % BLKDISK_SECTOR ||
	    !blkdisk_in_range(&b->d, q->offset / BLKDISK_SECTOR, q->bytes / BLKDISK_SECTOR) ||
	    (q->cmd == NBD_TRIM && !b->d.cfg->discard) || (q->cmd == NBD_WRITE_ZEROES && q->bytes > ZEROES_MAX))
		return NBD_EINVAL;
	return NBD_OK;
}

static void count(struct nblk *b, const struct nbd_request *q)
{
	struct hv_dev_stats *st = &b->d.v.st;

	if (q->cmd == NBD_READ) {
		st->rd_ops++;
		st->rd_bytes += q->bytes;
	} else if (q->cmd == NBD_WRITE) {
		st->wr_ops++;
		st->wr_bytes += q->bytes;
	} else if (q->cmd == NBD_FLUSH) {
		st->flushes++;
	}
}

/* It has arrived whole. */
static void handle(struct nreq *x)
{
	struct nblk *b = x->b;
	enum nbd_error wrong = check(x);

	if (!wrong && (!b->d.v.running || !atomic_load(&b->owned)))
		wrong = NBD_ESHUTDOWN;
	if (!wrong)
		count(b, &x->q);
	if (wrong || (x->q.cmd != NBD_FLUSH && !x->q.bytes) || (x->q.cmd == NBD_FLUSH && b->d.cfg->readonly))
		answer(x, wrong);
	else
		submit(x);
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
		                .block_max = BLOCK_MAX };
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
	       : data && q.bytes > BLOCK_MAX            ? "an NBD transfer that is too long"
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
		handle(x);
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
	handle(x);
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
		hang_up(b);
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

static void pump(struct nblk *b)
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
		hang_up(b);
	else
		pump(b);
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
	pump(b);
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

static const struct vdev_ops nblk_ops;

static int do_listen(struct devs *d, void *arg, struct err *err)
{
	struct listening *l = arg;
	struct nblk *b = l->i < d->n && d->v[l->i]->ops == &nblk_ops ? nblk_of(d->v[l->i]) : NULL;

	if (!b)
		return err_set(err, EINVAL, "there is no such disk %zu", l->i);
	close_listen(b);
	hang_up(b);
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

bool nblk_waits(const struct devs *d, const char **ret_name, uint64_t *ret_age_ns)
{
	uint64_t now = now_ns(), worst = 0;

	for (size_t i = 0; i < d->n; i++) {
		uint64_t age = d->v[i]->ops == &nblk_ops ? blkdisk_age_ns(d->v[i], now) : 0;
		if (age > worst) {
			worst = *ret_age_ns = age;
			*ret_name = d->v[i]->name;
		}
	}
	return worst > 0;
}

/* The transport of a disk without rings. QEMU is there before a state, and stays over it. */
static int port_open(struct vdev *v, struct err *err)
{
	(void)v, (void)err;
	return 0;
}
static void port_free(struct vdev *v)
{
	close_listen(nblk_of(v));
	hang_up(nblk_of(v));
}
static void port_close(struct vdev *v)
{
	drop_held(nblk_of(v));
}
static bool port_connected(const struct vdev *v)
{
	return nblk_of(v)->sock >= 0;
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

static const struct vdev_transport_ops nblk_transport = {
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

/* The device ---------------------------------------------------------------------------------------------------------- */

static int nblk_lock(struct vdev *v, struct err *err)
{
	int r = blkdisk_lock(v, err);

	if (!r)
		atomic_store(&nblk_of(v)->owned, true);
	return r;
}

static void nblk_unlock(struct vdev *v)
{
	atomic_store(&nblk_of(v)->owned, false);
	blkdisk_unlock(v);
}

static void nblk_retry(struct vdev *v)
{
	struct nblk *b = nblk_of(v);

	if (!atomic_load(&b->held_err) || v->running || b->probing || b->d.in_flight)
		return;
	if (!b->held) { /* it came with the state: QEMU finds out */
		atomic_store(&b->held_err, 0);
		if (v->devs->ev.disk_room)
			v->devs->ev.disk_room(v->devs->ev.arg);
		return;
	}
	b->held->probe = b->probing = true;
	submit(b->held);
	blkio_kick(v->devs->blkio);
}

static unsigned nblk_held(const struct vdev *v)
{
	(void)v; /* those are QEMU's */
	return 0;
}

static int nblk_held_err(const struct vdev *v)
{
	return atomic_load(&nblk_of(v)->held_err);
}

/* QEMU is about to do again what it kept. A trial that is under way is waited for: it must not land after what comes now. */
static void nblk_start(struct vdev *v)
{
	struct nblk *b = nblk_of(v);

	if (!b->probing)
		drop_held(b);
	pump(b);
}

static void nblk_reset(struct vdev *v)
{
	drop_held(nblk_of(v));
}

static void nblk_acked(struct vdev *v)
{
	(void)v;
}
static void nblk_run(struct vdev *v, unsigned q)
{
	(void)v, (void)q;
}
static void nblk_config_set(struct vdev *v, unsigned offset, const uint8_t *p, unsigned len)
{
	(void)v, (void)offset, (void)p, (void)len;
}

static void nblk_save(struct vdev *v, struct buf *out)
{
	blkdisk_save(&nblk_of(v)->d, out);
	buf_put_u8(out, nblk_held_err(v) != 0);
}

static int nblk_load(struct vdev *v, struct rd *in, bool commit, struct err *err)
{
	struct nblk *b = nblk_of(v);
	int r = blkdisk_load(&b->d, in, err);
	uint8_t held = r ? 0 : rd_u8(in);

	if (!r && (in->bad || held > 1))
		r = err_set(err, EINVAL, "saved state of device %s is damaged", v->name);
	if (!r && commit) {
		drop_held(b);
		atomic_store(&b->held_err, held ? HELD_UNKNOWN : 0);
	}
	return r;
}

static void nblk_free(struct vdev *v)
{
	struct nblk *b = nblk_of(v);

	blkdisk_close(&b->d);
	for (unsigned i = 0; i < REQS; i++)
		free(b->req[i].data.iov_base);
	free(b);
}

static const struct vdev_storage_ops nblk_storage = {
	.lock = nblk_lock,
	.unlock = nblk_unlock,
	.sync = blkdisk_sync,
	.dirty = blkdisk_dirty,
	.writeback = blkdisk_writeback,
	.retry = nblk_retry,
	.in_flight = blkdisk_in_flight,
	.held = nblk_held,
	.held_err = nblk_held_err,
	.age_ns = blkdisk_age_ns,
};

static const struct vdev_ops nblk_ops = {
	.virtio_id = 2, /* a disk, to all who ask */
	.acked = nblk_acked,
	.start = nblk_start,
	.stop = blkdisk_stop,
	.run = nblk_run,
	.config_set = nblk_config_set,
	.reset = nblk_reset,
	.save = nblk_save,
	.load = nblk_load,
	.free = nblk_free,
	.storage = &nblk_storage,
};

int nblk_new(struct devs *d, const struct dom_disk *cfg, struct vdev **ret, struct err *err)
{
	struct nblk *b = calloc(1, sizeof(*b));

	if (!b)
		return err_sys(err, ENOMEM, "disk %s", cfg->target);
	b->listen_fd = b->sock = -1;
	b->last = &b->first;
	for (unsigned i = REQS; i--;) {
		b->req[i] = (struct nreq){ .b = b, .next = b->free };
		b->free = &b->req[i];
	}
	int r = blkdisk_open(&b->d, d, cfg, err);
	if (r < 0) {
		nblk_free(&b->d.v);
		return r;
	}
	vdev_setup(&b->d.v, d, &nblk_ops, cfg->target, 0, 0);
	b->d.v.transport = &nblk_transport;
	vdev_ack(&b->d.v, VIRTIO_F_VERSION_1); /* there is no driver to negotiate with */
	*ret = &b->d.v;
	return 0;
}
