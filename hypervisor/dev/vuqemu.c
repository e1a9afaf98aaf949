/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vhost-user as QEMU speaks it (docs/wire/vhost-user.md, "QEMU's dialect"): kicks and calls are eventfds, rings are named by addresses in QEMU, and
 * a virtual machine that stops takes its rings back (GET_VRING_BASE) and sets them anew when it goes on. Between the two the device
 * keeps what storage has under way, as it does for a guest that is suspended. The connection is vudev.c's. Threading: the io thread.
 */
#include "config.h"
#include "hypervisor/dev/vudev.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include "hypervisor/dev/vudev_int.h"

#define PF_OFFERED (VU_PF_MQ | VU_PF_LOG_SHMFD | VU_PF_BACKEND_REQ | VU_PF_CONFIG)

static void on_kick(void *arg, int fd, uint32_t events)
{
	struct vdev *v = arg;
	struct vu_conn *c = v->port;
	uint64_t n;

	if (events & (EPOLLHUP | EPOLLERR) || (read(fd, &n, sizeof(n)) < 0 && errno != EAGAIN))
		return;
	for (unsigned q = 0; q < v->n_vq; q++)
		if (c->ring[q].kick == fd)
			v->pending |= 1u << q;
	vdev_run_pending(v);
}

static int watch(struct vdev *v, bool on)
{
	struct vu_conn *c = v->port;

	for (unsigned q = 0; q < v->n_vq; q++) {
		struct vu_ring *r = &c->ring[q];

		if (!on) {
			loop_del_fd(r->kick_src);
			r->kick_src = NULL;
		} else if (r->kick >= 0 && !r->kick_src && !v->devs->quiesced) {
			r->kick_src = loop_add_fd(v->devs->loop, r->kick, EPOLLIN, on_kick, v);
			if (!r->kick_src)
				return -ENOMEM;
		}
	}
	return 0;
}

static void drop_kick(struct vu_ring *r)
{
	loop_del_fd(r->kick_src);
	r->kick_src = NULL;
	if (r->kick >= 0)
		close(r->kick);
	r->kick = -1;
}

static void drop_call(struct vu_ring *r)
{
	if (r->call >= 0)
		close(r->call);
	r->call = -1;
}

static void hang_up(struct vdev *v)
{
	struct vu_conn *c = v->port;

	for (unsigned q = 0; q < v->n_vq; q++) {
		drop_kick(&c->ring[q]);
		drop_call(&c->ring[q]);
		c->ring[q].enabled = false;
	}
	c->driver = false;
}

/* Reading any other file could block the thread. */
static bool is_eventfd(int fd)
{
	char path[40], to[40];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(path, to, sizeof(to) - 1);
	if (n < 0)
		return false;
	to[n] = 0;
	return !strcmp(to, "anon_inode:[eventfd]");
}

static void call(struct vdev *v, unsigned q)
{
	struct vu_conn *c = v->port;
	uint64_t one = 1;

	/* a counter that is full has been told already */
	if (c->ring[q].call >= 0)
		(void)!write(c->ring[q].call, &one, sizeof(one));
}

/* Regions of QEMU's memory that are not the guest's RAM are of no use to a ring. */
static const char *table_wrong(const struct vdev *v)
{
	const struct vu_conn *c = v->port;

	for (const struct vu_region *r = c->region; r < c->region + c->n_regions; r++)
		if (r->bytes > UINT64_MAX - r->guest_addr || r->bytes > UINT64_MAX - r->user_addr)
			return "an impossible memory table";
	return NULL;
}

/* The guest address of QEMU's @user; one outside all regions becomes one outside guest memory. */
static struct gpa gpa_of(const struct vu_conn *c, uint64_t user)
{
	for (const struct vu_region *r = c->region; r < c->region + c->n_regions; r++)
		if (user >= r->user_addr && user - r->user_addr < r->bytes)
			return (struct gpa){ r->guest_addr + (user - r->user_addr) };
	return (struct gpa){ UINT64_MAX - 15 };
}

static void set_addr(struct vdev *v, struct vq *q, const struct vu_msg *m)
{
	const struct vu_conn *c = v->port;
	struct gpa desc = gpa_of(c, m->addr.desc), avail = gpa_of(c, m->addr.avail), used = gpa_of(c, m->addr.used);

	if (q->mem && (desc.v != q->c.desc.v || avail.v != q->c.avail.v || used.v != q->c.used.v)) {
		/* another ring, or the old one of a driver that began anew: nothing of before may land in it */
		v->ops->stop(v);
		vq_unmap(q);
	}
	q->c.desc = desc;
	q->c.avail = avail;
	q->c.used = used;
}

/* The virtual machine stops: the ring keeps its place, and what storage has under way ends in it. */
static void park(struct vdev *v, struct vq *q)
{
	if (v->ops->storage)
		v->running = false;
	else
		vdev_stop(v);
	q->c.enabled = false;
}

/* A ring runs that was enabled and has a kick, whichever comes first: NICs' are enabled before they are made, disks' after. */
static void go(struct vdev *v, unsigned index)
{
	const struct vu_ring *r = &((struct vu_conn *)v->port)->ring[index];
	struct vq *q = &v->vq[index];
	uint16_t used;

	if (q->c.enabled || !r->enabled || r->kick < 0)
		return;
	if (v->devs->mem && !q->mem && vq_map(q, v->devs->mem) == 0) {
		/* what was answered since SET_VRING_BASE was asked for stands in the ring alone */
		memcpy(&used, q->used + 2, sizeof(used));
		q->c.used_idx = q->signalled = used;
	} /* else it is the one that was parked, or what is wrong with it breaks the device in vdev_start() */
	v->pending |= 1u << index;
	v->kick_all = true; /* a call while QEMU did not listen is made up for */
	vdev_enable(v, index, true);
}

static int on_ring(struct vdev *v, uint32_t index, const struct vu_msg *m)
{
	struct vu_conn *c = v->port;
	uint8_t msg[VU_MSG_MAX];

	if (index >= v->n_vq)
		return 1; /* refused there */
	struct vq *q = &v->vq[index];
	switch (m->req) {
	case VU_SET_VRING_ADDR:
		if (q->c.enabled)
			return 1;
		set_addr(v, q, m);
		return 0;
	case VU_SET_VRING_BASE:
		if (q->c.enabled || !q->mem)
			return 1;
		q->c.last_avail = (uint16_t)m->state.num; /* parked: its used index is what it is */
		return 0;
	case VU_SET_VRING_ENABLE:
		c->ring[index].enabled = m->state.num == 1;
		if (!c->ring[index].enabled)
			return q->c.enabled && !v->devs->parks ? 1 : 0;
		go(v, index);
		return 0;
	case VU_GET_VRING_BASE:
		drop_kick(&c->ring[index]);
		if (!v->devs->parks)
			return 1;
		park(v, q);
		return vu_reply(v, msg, vu_reply_state(msg, m->req, index, q->c.last_avail));
	default:
		return 1;
	}
}

/* SET_VRING_KICK and SET_VRING_CALL. */
static int on_eventfd(struct vdev *v, const struct vu_msg *m, const char **why)
{
	struct vu_conn *c = v->port;
	unsigned q = m->u64 & 0xff;
	int fd = -1;

	if (q >= v->n_vq) {
		*why = "a queue index that the device does not have";
		return -EPROTO;
	}
	if (m->takes_fds) {
		if (c->n_fds != 1 || !is_eventfd(c->fds[0]) || fcntl(c->fds[0], F_SETFL, O_NONBLOCK) < 0) {
			*why = "a kick or a call is no eventfd";
			return -EPROTO;
		}
		fd = c->fds[0];
		c->n_fds = 0;
	}
	struct vu_ring *r = &c->ring[q];
	if (m->req == VU_SET_VRING_CALL) {
		drop_call(r);
		r->call = fd;
		return 0;
	}
	drop_kick(r);
	r->kick = fd;
	if (watch(v, true) < 0) {
		*why = "out of memory";
		return -ENOMEM;
	}
	go(v, q);
	return 0;
}

static int dispatch(struct vdev *v, const struct vu_msg *m, const char **why)
{
	struct vu_conn *c = v->port;
	uint8_t msg[VU_MSG_MAX];
	int r;

	switch (m->req) {
	case VU_GET_PROTOCOL_FEATURES: /* a NIC's config is QEMU's */
		return vu_reply(v, msg,
		                vu_reply_u64(msg, m->req, v->ops->net ? PF_OFFERED & ~VU_PF_CONFIG : PF_OFFERED));
	case VU_SET_FEATURES:
		r = vu_set_features(v, (m->u64 & ~VU_F_LOG_ALL) | VU_F_PROTOCOL_FEATURES, why);
		c->driver = r == 0;
		return r;
	case VU_SET_VRING_KICK:
	case VU_SET_VRING_CALL:
		return on_eventfd(v, m, why);
	case VU_SET_LOG_BASE: /* nothing is migrated while it runs; QEMU waits for the answer */
		return vu_reply(v, msg, vu_reply_u64(msg, m->req, 0));
	case VU_SET_VRING_ADDR:
		return on_ring(v, m->addr.index, m);
	case VU_SET_VRING_BASE:
	case VU_SET_VRING_ENABLE:
	case VU_GET_VRING_BASE:
		return on_ring(v, m->state.index, m);
	default:
		return 1;
	}
}

static bool has_driver(const struct vdev *v)
{
	return ((const struct vu_conn *)v->port)->driver;
}

static const struct vu_dialect qemu = {
	.offered = PF_OFFERED,
	.lacks = "QEMU chose protocol features that were not offered",
	.dispatch = dispatch,
	.table_wrong = table_wrong,
	.watch = watch,
	.hang_up = hang_up,
	.has_driver = has_driver,
	.patient = true,
};

static int open_conn(struct vdev *v, struct err *err)
{
	return vu_conn_open(v, &qemu, err);
}

/* The driver goes; QEMU, which may wait for the state of the next one, stays. */
static void close_driver(struct vdev *v)
{
	((struct vu_conn *)v->port)->driver = false;
	vdev_reset(v);
}

static bool connected(const struct vdev *v)
{
	return ((const struct vu_conn *)v->port)->sock >= 0 && has_driver(v);
}

static int watch_conn(struct vdev *v, bool on)
{
	return on ? vu_conn_watch(v, true) : watch(v, false);
}

/* A connection is not part of the state: QEMU sets everything anew. */
static uint64_t save(const struct vdev *v, struct buf *out)
{
	(void)v, (void)out;
	return 0;
}

static int load(struct vdev *v, uint64_t word, const void *in, size_t len, bool commit, struct err *err)
{
	(void)in, (void)commit;
	return word || len ? err_set(err, EINVAL, "saved state of device %s: not one of QEMU's", v->name) : 0;
}

const struct vdev_transport_ops vuqemu_transport = {
	.features = VU_F_PROTOCOL_FEATURES | VU_F_LOG_ALL,
	.open = open_conn,
	.free = vu_conn_free,
	.close = close_driver,
	.connected = connected,
	.watch = watch_conn,
	.drain = vu_conn_drain,
	.call = call,
	.config_changed = vu_config_changed,
	.save = save,
	.load = load,
	.look = vu_conn_look,
};

void vuqemu_park(struct devs *d, bool on)
{
	atomic_store(&d->parks, on);
}
