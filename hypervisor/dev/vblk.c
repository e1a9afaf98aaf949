/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio block (virtio 1.2, 5.2) on an image or block device: read, write, flush, discard, write zeroes, get id. One
 * queue. The image and the way there are blkdisk.c's; what becomes of a request that failed is blkerr.c's. Threading: the io thread.
 */
#include "config.h"
#include "hypervisor/dev/blkdisk_int.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "hypervisor/dev/blkerr.h"

#define F_SEG_MAX      (1ull << 2)
#define F_RO           (1ull << 5)
#define F_BLK_SIZE     (1ull << 6)
#define F_FLUSH        (1ull << 9)
#define F_DISCARD      (1ull << 13)
#define F_WRITE_ZEROES (1ull << 14)

enum { T_IN = 0, T_OUT = 1, T_FLUSH = 4, T_GET_ID = 8, T_DISCARD = 11, T_WRITE_ZEROES = 13 };
enum { S_OK = 0, S_IOERR = 1, S_UNSUPP = 2 };

#define SECTOR          BLKDISK_SECTOR
#define REQS            BLKDISK_REQS /* a queue cannot hold more */
#define RUN_BUDGET      64           /* requests per turn */
#define SEG_MAX         126u
#define DISCARD_SECTORS (1u << 21) /* 1 GiB at once */
#define ZEROES_SECTORS  (1u << 16) /* 32 MiB: may have to be written */
#define ID_BYTES        20u

struct config_space { /* virtio 1.2, 5.2.4 */
	uint64_t capacity;
	uint32_t size_max, seg_max;
	uint16_t cylinders;
	uint8_t heads, sectors;
	uint32_t blk_size;
	uint8_t physical_block_exp, alignment_offset;
	uint16_t min_io_size;
	uint32_t opt_io_size;
	uint8_t writeback, unused0;
	uint16_t num_queues;
	uint32_t max_discard_sectors, max_discard_seg, discard_sector_alignment;
	uint32_t max_write_zeroes_sectors, max_write_zeroes_seg;
	uint8_t write_zeroes_may_unmap, unused1[3];
} __attribute__((packed));
_Static_assert(sizeof(struct config_space) == 60, "virtio 1.2, 5.2.4");

struct range {
	uint64_t sector;
	uint32_t sectors, flags;
} __attribute__((packed));

struct req {
	struct blkio_req io; /* first: done() finds the request */
	struct vblk *b;
	struct req *next_free;
	uint8_t *status; /* last octet of the chain, in guest memory */
	uint32_t type;
	bool probe; /* the first of those that are held */
	struct vq_elem e;
};

struct vblk {
	struct blkdisk d;        /* first */
	struct req *reqs, *free; /* owned: REQS of them, touched only as needed */
	unsigned fresh;          /* reqs[fresh...] were never used */
	struct blkerr_held held; /* while there are any, no others are taken */
	bool batching;           /* push without publishing: run() does that at its end */
};

static void req_put(struct req *r)
{
	if (r->probe)
		r->b->held.probing = false;
	r->probe = false;
	r->next_free = r->b->free;
	r->b->free = r;
}

static void finish(struct req *r, uint8_t status, uint64_t bytes_in)
{
	struct vblk *b = r->b;
	struct vdev *v = &b->d.v;
	struct vq *q = &v->vq[0];

	if (status == S_IOERR)
		v->st.errors++;
	vq_mark(q, r->e.iov + r->e.n_out, r->e.n_in, bytes_in);
	*r->status = status;
	vq_mark(q, &(struct iovec){ r->status, 1 }, 1, 1);
	vq_push(q, r->e.head, (uint32_t)bytes_in + 1);
	if (r->probe) {
		blkerr_probe_done(&b->held, 0);
		if (v->devs->ev.disk_room)
			v->devs->ev.disk_room(v->devs->ev.arg);
	}
	req_put(r);
	if (!b->batching)
		vdev_flush(v, 0);
}

static void io_failed(struct req *r, int res)
{
	struct vblk *b = r->b;
	const struct devs_events *ev = &b->d.v.devs->ev;
	enum blkerr_verdict what = blkerr_judge(b->d.cfg, r->io.op, res);
	bool told = r->probe && what == BLKERR_HOLD, read = r->io.op == BLKIO_READ;

	if (what != BLKERR_HOLD) {
		/* a read that failed half way wrote anything up to its length */
		finish(r, what == BLKERR_REPORT ? S_IOERR : S_OK, r->type == T_IN ? r->io.bytes : 0);
	} else {
		/* so did one that is held: the log of written pages must know before the guest moves */
		if (r->type == T_IN)
			vq_mark(&b->d.v.vq[0], r->e.iov + r->e.n_out, r->e.n_in, r->io.bytes);
		if (r->probe)
			blkerr_probe_done(&b->held, res);
		else
			blkerr_hold(&b->held, r->e.head, res);
		req_put(r);
	}
	if (ev->disk_error && !told)
		ev->disk_error(ev->arg, b->d.v.name, -res, read, what == BLKERR_HOLD);
}

static void io_done(struct blkio_req *io, int res)
{
	struct req *r = (struct req *)io;
	struct vblk *b = r->b;
	bool was_full = !b->free && b->fresh == REQS;

	res = blkdisk_ended(&b->d, io, (unsigned)(r - b->reqs), res);
	if (res == -ECANCELED) /* held back for want of a lease, and the domain ends */
		finish(r, S_IOERR, 0);
	else if (res < 0)
		io_failed(r, res);
	else
		finish(r, S_OK, r->type == T_IN ? io->bytes : 0);
	if (was_full && b->d.v.running) {
		vdev_again(&b->d.v, 0);
		vdev_run_pending(&b->d.v);
	}
	blkdisk_settled(&b->d);
}

/* Its buffers, if it has any, are set before. */
static void submit(struct req *r, enum blkio_op op, uint64_t sector, uint64_t bytes)
{
	struct vblk *b = r->b;

	r->io.op = op;
	r->io.offset = sector * SECTOR;
	r->io.bytes = bytes;
	r->io.done = io_done;
	blkdisk_submit(&b->d, &r->io, (unsigned)(r - b->reqs));
}

/* Returns a status for a request that ends at once, -1 when it was submitted. */
static int do_rw(struct req *r, uint64_t sector)
{
	struct vblk *b = r->b;
	struct vq_elem *e = &r->e;
	bool out = r->type == T_OUT;
	uint64_t bytes = out ? e->out_bytes - 16 : e->in_bytes - 1;
	struct iovec *iov = e->iov;
	unsigned n = e->n_out;

	if (bytes % SECTOR || !blkdisk_in_range(&b->d, sector, bytes / SECTOR) || (out && b->d.cfg->readonly))
		return S_IOERR;
	if (!bytes)
		return S_OK;
	if (out) {
		unsigned skip = vq_iov_skip(iov, n, 16);
		iov += skip;
		n -= skip;
		b->d.v.st.wr_ops++;
		b->d.v.st.wr_bytes += bytes;
	} else {
		/* without the status octet */
		iov += e->n_out;
		n = e->n_in;
		if (!--iov[n - 1].iov_len)
			n--;
		b->d.v.st.rd_ops++;
		b->d.v.st.rd_bytes += bytes;
	}
	r->io.iov = iov;
	r->io.n_iov = n;
	submit(r, out ? BLKIO_WRITE : BLKIO_READ, sector, bytes);
	return -1;
}

static int do_range(struct req *r)
{
	struct vblk *b = r->b;
	struct range g;
	bool zero = r->type == T_WRITE_ZEROES;

	if (!(b->d.v.features & (zero ? F_WRITE_ZEROES : F_DISCARD)))
		return S_UNSUPP;
	if (r->e.out_bytes != 16 + sizeof(g) || vq_copy_from(r->e.iov, r->e.n_out, 16, &g, sizeof(g)) != sizeof(g))
		return S_IOERR;
	uint64_t sector = le64toh(g.sector);
	uint32_t sectors = le32toh(g.sectors), flags = le32toh(g.flags);
	/* virtio 1.2, 5.2.6.2: the unmap flag is for zeroing only, others are reserved */
	if (flags & ~(zero ? 1u : 0u))
		return S_UNSUPP;
	if (b->d.cfg->readonly || !blkdisk_in_range(&b->d, sector, sectors) ||
	    sectors > (zero ? ZEROES_SECTORS : DISCARD_SECTORS))
		return S_IOERR;
	if (!sectors)
		return S_OK;
	r->io.may_unmap = flags & 1;
	submit(r, zero ? BLKIO_ZERO : BLKIO_DISCARD, sector, (uint64_t)sectors * SECTOR);
	return -1;
}

static int do_id(struct req *r, uint64_t *ret_in)
{
	const char *serial = r->b->d.cfg->serial ? r->b->d.cfg->serial : r->b->d.v.name;
	char id[ID_BYTES] = "";

	if (r->e.in_bytes != ID_BYTES + 1)
		return S_IOERR;
	memcpy(id, serial, strnlen(serial, sizeof(id)));
	*ret_in = vq_copy_to(&r->b->d.v.vq[0], r->e.iov + r->e.n_out, r->e.n_in, 0, id, sizeof(id));
	return S_OK;
}

static void handle(struct req *r)
{
	struct {
		uint32_t type, reserved;
		uint64_t sector;
	} h;
	struct vq_elem *e = &r->e;
	struct vblk *b = r->b;
	uint64_t in = 0;
	int status;

	if (!e->n_in || vq_copy_from(e->iov, e->n_out, 0, &h, sizeof(h)) != sizeof(h)) {
		b->d.v.vq[0].broken = "a block request without header or status";
		req_put(r);
		return;
	}
	struct iovec *last = &e->iov[e->n_out + e->n_in - 1];
	r->status = (uint8_t *)last->iov_base + last->iov_len - 1;
	r->type = le32toh(h.type);
	r->io = (struct blkio_req){ 0 };
	switch (r->type) {
	case T_IN:
	case T_OUT:
		status = do_rw(r, le64toh(h.sector));
		break;
	case T_FLUSH:
		b->d.v.st.flushes++;
		if (b->d.cfg->readonly) {
			status = S_OK;
			break;
		}
		submit(r, BLKIO_FLUSH, 0, 0);
		return;
	case T_GET_ID:
		status = do_id(r, &in);
		break;
	case T_DISCARD:
	case T_WRITE_ZEROES:
		status = do_range(r);
		break;
	default:
		status = S_UNSUPP;
	}
	if (status >= 0)
		finish(r, (uint8_t)status, in);
}

static struct req *req_get(struct vblk *b)
{
	struct req *r = b->free;

	if (r) {
		b->free = r->next_free;
		return r;
	}
	if (b->fresh == REQS)
		return NULL;
	r = &b->reqs[b->fresh++];
	r->b = b;
	r->probe = false;
	return r;
}

static void vblk_run(struct vdev *v, unsigned q)
{
	struct vblk *b = (struct vblk *)v;
	int got = 0, n;

	if (b->held.n)
		return; /* those first */
	b->batching = true;
	for (n = 0; n < RUN_BUDGET; n++) {
		struct req *r = req_get(b);
		if (!r)
			break; /* io_done() runs us again */
		got = vq_pop(&v->vq[q], &r->e);
		if (got <= 0) {
			req_put(r);
			break;
		}
		handle(r);
	}
	b->batching = false;
	blkio_kick(v->devs->blkio);
	vdev_flush(v, q);
	if (n == RUN_BUDGET)
		vdev_again(v, q);
}

/* Those that were held, all anew. */
static void held_again(struct vblk *b)
{
	struct vdev *v = &b->d.v;
	uint16_t head[BLKERR_HELD_MAX];
	unsigned n = b->held.n;

	if (b->held.probing)
		return;
	memcpy(head, b->held.head, n * sizeof(head[0]));
	blkerr_clear(&b->held);
	b->batching = true;
	for (unsigned i = 0; i < n; i++) {
		struct req *r = req_get(b); /* there is one: each of them had one */
		if (!r || vq_take(&v->vq[0], head[i], &r->e) < 0) {
			if (r)
				req_put(r);
			break;
		}
		handle(r);
	}
	b->batching = false;
	blkio_kick(v->devs->blkio);
	vdev_flush(v, 0);
	vdev_again(v, 0);
}

static void vblk_retry(struct vdev *v)
{
	struct vblk *b = (struct vblk *)v;

	if (!b->held.n || b->d.in_flight || !vq_ready(&v->vq[0]))
		return;
	if (v->running) { /* a guest that boots is not stopped for it */
		held_again(b);
		vdev_run_pending(v);
		return;
	}
	struct req *r = req_get(b);
	if (!r || vq_take(&v->vq[0], b->held.head[0], &r->e) < 0) {
		if (r)
			req_put(r);
		return; /* the next start tells that it is broken */
	}
	r->probe = b->held.probing = true;
	handle(r);
	blkio_kick(v->devs->blkio);
}

static unsigned vblk_held(const struct vdev *v)
{
	return ((const struct vblk *)v)->held.n;
}

static int vblk_held_err(const struct vdev *v)
{
	return blkerr_why(&((const struct vblk *)v)->held);
}

static void vblk_start(struct vdev *v)
{
	struct vblk *b = (struct vblk *)v;

	if (b->held.n && vq_ready(&v->vq[0]))
		held_again(b);
}
static void vblk_acked(struct vdev *v)
{
	(void)v;
}
static void vblk_reset(struct vdev *v)
{
	blkerr_clear(&((struct vblk *)v)->held);
}
static void vblk_config_set(struct vdev *v, unsigned offset, const uint8_t *p, unsigned len)
{
	(void)v, (void)offset, (void)p, (void)len; /* nothing is writable: CONFIG_WCE is not offered */
}

static void vblk_save(struct vdev *v, struct buf *out)
{
	struct vblk *b = (struct vblk *)v;

	blkdisk_save(&b->d, out);
	blkerr_save(&b->held, out);
}

static int vblk_load(struct vdev *v, struct rd *in, bool commit, struct err *err)
{
	struct vblk *b = (struct vblk *)v;
	int r = blkdisk_load(&b->d, in, err);

	if (r < 0)
		return r;
	if (blkerr_load(&b->held, in, commit) < 0)
		return err_set(err, EINVAL, "saved state of device %s: impossible unanswered requests", v->name);
	return 0;
}

static void vblk_free(struct vdev *v)
{
	struct vblk *b = (struct vblk *)v;

	blkdisk_close(&b->d);
	free(b->reqs);
	free(b);
}

/* Life ---------------------------------------------------------------------------------------------------------------- */

static void vblk_grown(struct vdev *v)
{
	struct blkdisk *b = (struct blkdisk *)v;

	if (!blkdisk_grown(b))
		return;
	uint64_t capacity = htole64(b->sectors);
	memcpy(v->config, &capacity, sizeof(capacity)); /* its first field */
	vdev_config_changed(v);
}

static const struct vdev_storage_ops vblk_storage = {
	.lock = blkdisk_lock,
	.unlock = blkdisk_unlock,
	.sync = blkdisk_sync,
	.dirty = blkdisk_dirty,
	.writeback = blkdisk_writeback,
	.retry = vblk_retry,
	.in_flight = blkdisk_in_flight,
	.held = vblk_held,
	.held_err = vblk_held_err,
	.age_ns = blkdisk_age_ns,
	.grow = blkdisk_grow,
	.grown = vblk_grown,
};

static const struct vdev_ops vblk_ops = {
	.virtio_id = 2,
	.acked = vblk_acked,
	.start = vblk_start,
	.stop = blkdisk_stop,
	.run = vblk_run,
	.config_set = vblk_config_set,
	.reset = vblk_reset,
	.save = vblk_save,
	.load = vblk_load,
	.free = vblk_free,
	.storage = &vblk_storage,
};

int vblk_new(struct devs *d, const struct dom_disk *cfg, struct devs_files *files, struct vdev **ret, struct err *err)
{
	struct vblk *b = calloc(1, sizeof(*b));

	if (!b)
		return err_sys(err, ENOMEM, "disk %s", cfg->target);
	/* more than 128 KiB: mapped from the kernel as zeros, so that unused requests cost nothing */
	b->reqs = calloc(REQS, sizeof(*b->reqs));
	int r = blkdisk_open(&b->d, d, cfg, files, err);
	if (!r && !b->reqs)
		r = err_sys(err, ENOMEM, "disk %s", cfg->target);
	if (r < 0) {
		vblk_free(&b->d.v);
		return r;
	}
	uint64_t f = F_SEG_MAX | F_BLK_SIZE;
	if (cfg->readonly)
		f |= F_RO;
	else
		f |= F_WRITE_ZEROES | (cfg->discard ? F_DISCARD : 0);
	if (cfg->cache != DOM_CACHE_WRITETHROUGH)
		f |= F_FLUSH;
	vdev_setup(&b->d.v, d, &vblk_ops, cfg->target, 1, f);
	uint64_t cluster = blkdisk_cluster(&b->d);
	struct config_space c = {
		.capacity = htole64(b->d.sectors),
		.seg_max = htole32(SEG_MAX),
		.blk_size = htole32(SECTOR),
		.num_queues = htole16(1),
		.max_discard_sectors = htole32(DISCARD_SECTORS),
		.max_discard_seg = htole32(1),
		.discard_sector_alignment = htole32(cluster ? (uint32_t)(cluster / SECTOR) : 8),
		.max_write_zeroes_sectors = htole32(ZEROES_SECTORS),
		.max_write_zeroes_seg = htole32(1),
		.write_zeroes_may_unmap = 1,
	};
	memcpy(b->d.v.config, &c, sizeof(c));
	b->d.v.config_len = sizeof(c);
	*ret = &b->d.v;
	return 0;
}
