/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A disk as an NBD server for one client, QEMU: see nblk.h, docs/wire/nbd.md, ADR 87. Octets are nblk_conn.c's, the image is blkdisk.c's.
 *
 * A request that failed and is to be held (blkerr.c) is answered with ENOSPC: QEMU then keeps it in the state of its controller, stops the
 * guest, and does it again when the guest goes on, here or elsewhere. A copy of the first one is tried from time to time, to see when that is.
 * The client is hostile: lengths are checked before memory is taken, and what it leaves unread bounds what is read from it.
 * Threading: the io thread; nblk_lock(), nblk_unlock(), nblk_held_err() on any.
 */
#include "config.h"
#include "hypervisor/dev/nblk_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hypervisor/dev/blkerr.h"

#define ZEROES_MAX   (32u << 20) /* may have to be written */
#define HELD_UNKNOWN ENOSPC      /* why a request was held on the host that the domain came from */

/* Requests ------------------------------------------------------------------------------------------------------------ */

void nblk_put_req(struct nreq *x)
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

void nblk_drop_held(struct nblk *b)
{
	struct nreq *x = b->held;

	atomic_store(&b->held_err, 0);
	b->held = NULL;
	if (x && !b->probing)
		nblk_put_req(x);
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

static void probe_done(struct nblk *b, struct nreq *x, int res)
{
	struct vdev *v = &b->d.v;
	bool held = b->held == x, room = held && !v->running && !res;

	x->probe = b->probing = false;
	if (!held) {
		nblk_put_req(x);
	} else if (v->running || room) { /* the guest goes on, whatever came of it: QEMU does its own */
		nblk_drop_held(b);
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
	if (io->op == BLKIO_FLUSH && !res && b->flushed < x->writes)
		b->flushed = x->writes;
	else if (io->op != BLKIO_READ && io->op != BLKIO_FLUSH && !x->probe) /* QEMU does a trial's again */
		b->writes++;
	if (x->probe)
		probe_done(b, x, res);
	else if (x->conn != b->conn) /* nobody asks any more */
		nblk_put_req(x);
	else if (res == -ECANCELED) /* held back for want of a lease, and the domain ends */
		answer(x, NBD_EIO);
	else
		answer(x, res < 0 ? failed(x, res) : NBD_OK);
	nblk_pump(b);
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
	x->writes = x->b->writes;
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

/* QEMU flushes at each stop, and once more before it tells its state. */
static bool is_flushed(const struct nblk *b)
{
	return !b->d.in_flight && b->flushed == b->writes && !atomic_load(&b->d.sync_err);
}

void nblk_handle(struct nreq *x)
{
	struct nblk *b = x->b;
	enum nbd_error wrong = check(x);

	bool nothing = x->q.cmd == NBD_FLUSH ? b->d.cfg->readonly || is_flushed(b) : !x->q.bytes;

	if (!wrong && !nothing && (!b->d.v.running || !atomic_load(&b->owned)))
		wrong = NBD_ESHUTDOWN;
	if (!wrong)
		count(b, &x->q);
	if (wrong || nothing)
		answer(x, wrong);
	else
		submit(x);
}

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

static int nblk_grow(struct vdev *v, uint64_t bytes, struct err *err)
{
	(void)bytes;
	return err_set(
		err, EOPNOTSUPP,
		"disk %s: QEMU does not hear of another size; make it larger while the domain is off, or have it on bus "
		"'virtio'",
		v->name);
}
static void nblk_grown(struct vdev *v)
{
	(void)v;
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
		nblk_drop_held(b);
	nblk_pump(b);
}

static void nblk_reset(struct vdev *v)
{
	nblk_drop_held(nblk_of(v));
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
		nblk_drop_held(b);
		atomic_store(&b->held_err, held ? HELD_UNKNOWN : 0);
	}
	return r;
}

static void nblk_free(struct vdev *v)
{
	struct nblk *b = nblk_of(v);

	blkdisk_close(&b->d);
	for (unsigned i = 0; i < NBLK_REQS; i++)
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
	.grow = nblk_grow,
	.grown = nblk_grown,
};

const struct vdev_ops nblk_ops = {
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

int nblk_new(struct devs *d, const struct dom_disk *cfg, struct devs_files *files, struct vdev **ret, struct err *err)
{
	struct nblk *b = calloc(1, sizeof(*b));

	if (!b)
		return err_sys(err, ENOMEM, "disk %s", cfg->target);
	b->listen_fd = b->sock = -1;
	b->last = &b->first;
	for (unsigned i = NBLK_REQS; i--;) {
		b->req[i] = (struct nreq){ .b = b, .next = b->free };
		b->free = &b->req[i];
	}
	int r = blkdisk_open(&b->d, d, cfg, files, err);
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
