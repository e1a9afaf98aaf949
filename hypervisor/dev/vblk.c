/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio block (virtio 1.2, 5.2) on an image or block device: read, write, flush, discard, write zeroes, get id. One
 * queue. The transfers are blkio.c's, by way of qcow2.c if the image is not raw; what becomes of one that failed is
 * blkerr.c's. Threading: the io thread; vblk_sync(), vblk_dirty(), the locks and vblk_age_ns() on any.
 */
#include "config.h"
#include "hypervisor/dev/vdev_int.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "common/util.h"
#include "hypervisor/dev/blkerr.h"
#include "hypervisor/dev/blkio.h"
#include "hypervisor/dev/qcow2.h"
#include "common/pathopen.h"

#define F_SEG_MAX      (1ull << 2)
#define F_RO           (1ull << 5)
#define F_BLK_SIZE     (1ull << 6)
#define F_FLUSH        (1ull << 9)
#define F_DISCARD      (1ull << 13)
#define F_WRITE_ZEROES (1ull << 14)

enum { T_IN = 0, T_OUT = 1, T_FLUSH = 4, T_GET_ID = 8, T_DISCARD = 11, T_WRITE_ZEROES = 13 };
enum { S_OK = 0, S_IOERR = 1, S_UNSUPP = 2 };

#define SECTOR          512u
#define REQS            256u /* a queue cannot hold more */
#define RUN_BUDGET      64   /* requests per turn */
#define SEG_MAX         126u
#define DISCARD_SECTORS (1u << 21) /* 1 GiB at once */
#define ZEROES_SECTORS  (1u << 16) /* 32 MiB: may have to be written */
#define ID_BYTES        20u
#define DIO_ALIGN       512u

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
	struct vdev v;
	const struct dom_disk *cfg; /* borrowed */
	struct qcow2 *q;            /* owned, NULL: the image is raw */
	int fd;                     /* owned, unless it is q's */
	char what[24];              /* "disk vda" */
	bool direct;                /* opened with O_DIRECT */
	bool write_through;         /* a write is on the disk when it is answered */
	bool network_fs;            /* another host may have changed what our page cache holds */
	uint64_t sectors;
	unsigned in_flight;
	struct req *reqs, *free; /* owned: REQS of them, touched only as needed */
	unsigned fresh;          /* reqs[fresh...] were never used */
	struct blkerr_held held; /* while there are any, no others are taken */
	_Atomic uint64_t
		since[REQS + 1]; /* when reqs[i] was handed on; the last one: of vblk_sync(); 0: not under way */
	atomic_int sync_err;     /* errno of a failed vblk_sync() that the guest has not heard of, 0: none */
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
	struct vdev *v = &b->v;
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
	const struct devs_events *ev = &b->v.devs->ev;
	enum blkerr_verdict what = blkerr_judge(b->cfg, r->io.op, res);
	bool told = r->probe && what == BLKERR_HOLD, read = r->io.op == BLKIO_READ;

	if (what != BLKERR_HOLD) {
		/* a read that failed half way wrote anything up to its length */
		finish(r, what == BLKERR_REPORT ? S_IOERR : S_OK, r->type == T_IN ? r->io.bytes : 0);
	} else {
		/* so did one that is held: the log of written pages must know before the guest moves */
		if (r->type == T_IN)
			vq_mark(&b->v.vq[0], r->e.iov + r->e.n_out, r->e.n_in, r->io.bytes);
		if (r->probe)
			blkerr_probe_done(&b->held, res);
		else
			blkerr_hold(&b->held, r->e.head, res);
		req_put(r);
	}
	if (ev->disk_error && !told)
		ev->disk_error(ev->arg, b->v.name, -res, read, what == BLKERR_HOLD);
}

static void io_done(struct blkio_req *io, int res)
{
	struct req *r = (struct req *)io;
	struct vblk *b = r->b;
	bool was_full = !b->free && b->fresh == REQS;

	b->in_flight--;
	atomic_store(&b->since[r - b->reqs], 0);
	if (io->op == BLKIO_FLUSH && !res)
		res = -atomic_exchange(&b->sync_err, 0);
	if (res == -ECANCELED) /* held back for want of a lease, and the domain ends */
		finish(r, S_IOERR, 0);
	else if (res < 0)
		io_failed(r, res);
	else
		finish(r, S_OK, r->type == T_IN ? io->bytes : 0);
	if (was_full && b->v.running) {
		vdev_again(&b->v, 0);
		vdev_run_pending(&b->v);
	}
	if (!b->in_flight && b->v.devs->quiesced)
		devs_drained(b->v.devs);
}

static bool aligned(const struct iovec *iov, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (((uintptr_t)iov[i].iov_base | iov[i].iov_len) % DIO_ALIGN)
			return false;
	return true;
}

static void submit(struct req *r, enum blkio_op op, uint64_t sector, uint64_t bytes)
{
	struct vblk *b = r->b;

	r->io = (struct blkio_req){ .op = op,
		                    .fd = b->fd,
		                    .offset = sector * SECTOR,
		                    .bytes = bytes,
		                    .done = io_done,
		                    .dsync = b->write_through };
	b->in_flight++;
	atomic_store(&b->since[r - b->reqs], now_ns());
}

static void hand_on(struct req *r)
{
	struct vblk *b = r->b;

	if (b->q)
		qcow2_submit(b->q, &r->io);
	else
		blkio_submit(b->v.devs->blkio, &r->io);
}

static bool in_range(const struct vblk *b, uint64_t sector, uint64_t sectors)
{
	return sector <= b->sectors && sectors <= b->sectors - sector;
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

	if (bytes % SECTOR || !in_range(b, sector, bytes / SECTOR) || (out && b->cfg->readonly))
		return S_IOERR;
	if (!bytes)
		return S_OK;
	if (out) {
		unsigned skip = vq_iov_skip(iov, n, 16);
		iov += skip;
		n -= skip;
		b->v.st.wr_ops++;
		b->v.st.wr_bytes += bytes;
	} else {
		/* without the status octet */
		iov += e->n_out;
		n = e->n_in;
		if (!--iov[n - 1].iov_len)
			n--;
		b->v.st.rd_ops++;
		b->v.st.rd_bytes += bytes;
	}
	submit(r, out ? BLKIO_WRITE : BLKIO_READ, sector, bytes);
	r->io.iov = iov;
	r->io.n_iov = n;
	r->io.bounce = b->direct && !aligned(iov, n);
	hand_on(r);
	return -1;
}

static int do_range(struct req *r)
{
	struct vblk *b = r->b;
	struct range g;
	bool zero = r->type == T_WRITE_ZEROES;

	if (!(b->v.features & (zero ? F_WRITE_ZEROES : F_DISCARD)))
		return S_UNSUPP;
	if (r->e.out_bytes != 16 + sizeof(g) || vq_copy_from(r->e.iov, r->e.n_out, 16, &g, sizeof(g)) != sizeof(g))
		return S_IOERR;
	uint64_t sector = le64toh(g.sector);
	uint32_t sectors = le32toh(g.sectors), flags = le32toh(g.flags);
	/* virtio 1.2, 5.2.6.2: the unmap flag is for zeroing only, others are reserved */
	if (flags & ~(zero ? 1u : 0u))
		return S_UNSUPP;
	if (b->cfg->readonly || !in_range(b, sector, sectors) || sectors > (zero ? ZEROES_SECTORS : DISCARD_SECTORS))
		return S_IOERR;
	if (!sectors)
		return S_OK;
	submit(r, zero ? BLKIO_ZERO : BLKIO_DISCARD, sector, (uint64_t)sectors * SECTOR);
	r->io.may_unmap = flags & 1;
	hand_on(r);
	return -1;
}

static int do_id(struct req *r, uint64_t *ret_in)
{
	const char *serial = r->b->cfg->serial ? r->b->cfg->serial : r->b->v.name;
	char id[ID_BYTES] = "";

	if (r->e.in_bytes != ID_BYTES + 1)
		return S_IOERR;
	memcpy(id, serial, strnlen(serial, sizeof(id)));
	*ret_in = vq_copy_to(&r->b->v.vq[0], r->e.iov + r->e.n_out, r->e.n_in, 0, id, sizeof(id));
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
		b->v.vq[0].broken = "a block request without header or status";
		req_put(r);
		return;
	}
	struct iovec *last = &e->iov[e->n_out + e->n_in - 1];
	r->status = (uint8_t *)last->iov_base + last->iov_len - 1;
	r->type = le32toh(h.type);
	switch (r->type) {
	case T_IN:
	case T_OUT:
		status = do_rw(r, le64toh(h.sector));
		break;
	case T_FLUSH:
		b->v.st.flushes++;
		if (b->cfg->readonly) {
			status = S_OK;
			break;
		}
		submit(r, BLKIO_FLUSH, 0, 0);
		hand_on(r);
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
	struct vdev *v = &b->v;
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

	if (!b->held.n || b->in_flight || !vq_ready(&v->vq[0]))
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

static unsigned vblk_in_flight(const struct vdev *v)
{
	return ((const struct vblk *)v)->in_flight;
}

static unsigned vblk_held(const struct vdev *v)
{
	return ((const struct vblk *)v)->held.n;
}

static int vblk_held_err(const struct vdev *v)
{
	return blkerr_why(&((const struct vblk *)v)->held);
}

static uint64_t vblk_age_ns(const struct vdev *v, uint64_t now)
{
	const struct vblk *b = (const struct vblk *)v;
	uint64_t oldest = now;

	for (unsigned i = 0; i <= REQS; i++) {
		uint64_t t = atomic_load_explicit(&b->since[i], memory_order_relaxed);
		if (t && t < oldest)
			oldest = t;
	}
	return now - oldest;
}

static void vblk_stop(struct vdev *v)
{
	struct vblk *b = (struct vblk *)v;

	while (b->in_flight && blkio_wait(v->devs->blkio))
		;
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

	buf_put_u64(out, b->sectors);
	blkerr_save(&b->held, out);
}

static int vblk_load(struct vdev *v, struct rd *in, bool commit, struct err *err)
{
	struct vblk *b = (struct vblk *)v;
	uint64_t sectors = rd_u64(in);

	if (in->bad)
		return err_set(err, EINVAL, "saved state of device %s: it ends early", v->name);
	if (sectors != b->sectors)
		return err_set(err, EINVAL,
		               "%s: the image %s has %llu sectors here, the guest knows %llu: not the same disk",
		               v->name, b->cfg->source, (unsigned long long)b->sectors, (unsigned long long)sectors);
	if (blkerr_load(&b->held, in, commit) < 0)
		return err_set(err, EINVAL, "saved state of device %s: impossible unanswered requests", v->name);
	return 0;
}

static void vblk_free(struct vdev *v)
{
	struct vblk *b = (struct vblk *)v;

	if (b->q)
		qcow2_free(b->q);
	else if (b->fd >= 0)
		close(b->fd);
	free(b->reqs);
	free(b);
}

/* Locks, and what two hosts must agree on ------------------------------------------------------------------------------- */

static int vblk_lock(struct vdev *v, struct err *err)
{
	struct vblk *b = (struct vblk *)v;
	bool shared = b->cfg->readonly || b->cfg->shareable;
	struct flock fl = { .l_type = shared ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET };

	if (fcntl(b->fd, F_OFD_SETLK, &fl) < 0) {
		if (errno == EAGAIN || errno == EACCES)
			return err_set(err, EAGAIN, "disk %s: the image %s is locked by another domain or host",
			               v->name, b->cfg->source);
		return err_sys(err, errno, "disk %s: cannot lock %s", v->name, b->cfg->source);
	}
	if (b->network_fs)
		posix_fadvise(b->fd, 0, 0, POSIX_FADV_DONTNEED);
	int r = b->q ? qcow2_own(b->q, err) : 0;
	if (r < 0) {
		fl.l_type = F_UNLCK;
		fcntl(b->fd, F_OFD_SETLK, &fl);
	}
	return r;
}

static void vblk_unlock(struct vdev *v)
{
	struct vblk *b = (struct vblk *)v;
	struct flock fl = { .l_type = F_UNLCK, .l_whence = SEEK_SET };

	if (b->q)
		qcow2_disown(b->q);
	fcntl(b->fd, F_OFD_SETLK, &fl);
}

static void vblk_writeback(struct vdev *v)
{
	struct vblk *b = (struct vblk *)v;

	if (!b->cfg->readonly)
		sync_file_range(b->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
}

static int vblk_sync(struct vdev *v, struct err *err)
{
	struct vblk *b = (struct vblk *)v;

	if (!b->cfg->readonly && deadline_page_over(v->devs->ev.deadline))
		return err_set(err, ETIME, "disk %s: this host's lease is over", v->name);
	if (b->cfg->readonly)
		return 0;
	atomic_store(&b->since[REQS], now_ns());
	int e = b->q ? -qcow2_sync(b->q) : fsync(b->fd) < 0 ? errno : 0;
	atomic_store(&b->since[REQS], 0);
	if (!e)
		return 0;
	/* the kernel tells each failure once: the guest's next flush must not succeed for that */
	atomic_store(&b->sync_err, e);
	return err_sys(err, e, "disk %s: cannot write %s to stable storage", v->name, b->cfg->source);
}

static bool vblk_dirty(const struct vdev *v)
{
	const struct vblk *b = (const struct vblk *)v;

	return b->q && qcow2_dirty(b->q);
}

/* Life ---------------------------------------------------------------------------------------------------------------- */

static const struct vdev_storage_ops vblk_storage = {
	.lock = vblk_lock,
	.unlock = vblk_unlock,
	.sync = vblk_sync,
	.dirty = vblk_dirty,
	.writeback = vblk_writeback,
	.retry = vblk_retry,
	.in_flight = vblk_in_flight,
	.held = vblk_held,
	.held_err = vblk_held_err,
	.age_ns = vblk_age_ns,
};

static const struct vdev_ops vblk_ops = {
	.virtio_id = 2,
	.acked = vblk_acked,
	.start = vblk_start,
	.stop = vblk_stop,
	.run = vblk_run,
	.config_set = vblk_config_set,
	.reset = vblk_reset,
	.save = vblk_save,
	.load = vblk_load,
	.free = vblk_free,
	.storage = &vblk_storage,
};

/* Does O_DIRECT take transfers of one sector? Else the page cache serves better than a bounce of every request. */
static bool direct_works(int fd)
{
	void *p = NULL;

	if (posix_memalign(&p, 4096, 4096))
		return false;
	/* the buffer starts one sector into the page, like a guest's may */
	ssize_t r = pread(fd, (uint8_t *)p + DIO_ALIGN, DIO_ALIGN, 0);
	free(p);
	return r == (ssize_t)DIO_ALIGN;
}

static int open_raw(struct vblk *b, const struct path_rules *paths, bool want_direct, const char *what, struct err *err)
{
	int flags = b->cfg->readonly ? O_RDONLY : O_RDWR;
	enum path_kind kind = b->cfg->type == DOM_DISK_BLOCK ? PATH_DEVICE : PATH_IMAGE;
	uint64_t bytes;

	if (want_direct) {
		b->fd = path_open(paths, kind, b->cfg->source, flags | O_DIRECT, what, err);
		b->direct = b->fd >= 0 && direct_works(b->fd);
		if (b->fd >= 0 && !b->direct) {
			close(b->fd);
			b->fd = -1;
		}
	}
	if (b->fd < 0)
		b->fd = path_open(paths, kind, b->cfg->source, flags, what, err);
	if (b->fd < 0)
		return b->fd;
	int r = img_file_bytes(b->fd, &bytes);
	if (r < 0)
		return err_sys(err, -r, "%s: cannot get the size of %s", what, b->cfg->source);
	b->sectors = bytes / SECTOR;
	return 0;
}

static int open_qcow2(struct vblk *b, const struct path_rules *paths, bool want_direct, const char *what,
                      struct imgchain *chain, struct err *err)
{
	int r = imgchain_open(paths, b->cfg, what, chain, err);

	if (r < 0)
		return r;
	int fd = chain->m[0].fd, flags = fcntl(fd, F_GETFL);
	/* not those below: many disks stand on one image, and nobody writes it */
	if (want_direct && fcntl(fd, F_SETFL, flags | O_DIRECT) == 0) {
		b->direct = direct_works(fd);
		if (!b->direct && fcntl(fd, F_SETFL, flags) < 0)
			return err_sys(err, errno, "%s: cannot use %s", what, b->cfg->source);
	}
	b->fd = fd;
	b->sectors = chain->m[0].size / SECTOR;
	return 0;
}

static int open_image(struct vblk *b, const struct path_rules *paths, struct err *err)
{
	bool qcow2 = b->cfg->format == DOM_FORMAT_QCOW2, leased = b->v.devs->ev.deadline != NULL;
	/*
	 * With a lease, what is written must not wait in this host's page cache, from where the kernel would write it on when the domain is long
	 * gone and runs elsewhere.
	 */
	bool want_direct = b->cfg->cache == DOM_CACHE_NONE || (leased && b->cfg->cache == DOM_CACHE_DEFAULT);
	const char *what = b->what;
	struct imgchain chain = { 0 };
	struct stat st;
	int r = qcow2 ? open_qcow2(b, paths, want_direct, what, &chain, err)
	              : open_raw(b, paths, want_direct, what, err);

	if (!r && !b->sectors)
		r = err_set(err, EINVAL, "%s: %s is empty; give it a size first (truncate -s 1G)", what,
		            b->cfg->source);
	if (!r && fstat(b->fd, &st) < 0)
		r = err_sys(err, errno, "%s: cannot examine %s", what, b->cfg->source);
	b->write_through = b->cfg->cache == DOM_CACHE_WRITETHROUGH || (leased && !b->direct);
	struct statfs fs;
	if (!r && S_ISREG(st.st_mode) && !fstatfs(b->fd, &fs))
		b->network_fs = fs.f_type == 0x6969 /* nfs */ || (uint32_t)fs.f_type == 0xff534d42u /* cifs */ ||
		                (uint32_t)fs.f_type == 0xfe534d42u /* smb2 */ || fs.f_type == 0x00c36400 /* ceph */ ||
		                fs.f_type == 0x65735546 /* fuse */;
	const struct qcow2_opts o = { .what = b->what,
		                      .blkio = b->v.devs->blkio,
		                      .writable = !b->cfg->readonly,
		                      .direct = b->direct,
		                      .dsync = b->write_through,
		                      .punch = b->cfg->discard };
	if (!r && qcow2)
		r = qcow2_new(&chain, &o, &b->q, err);
	if (r < 0 && qcow2)
		b->fd = -1;
	imgchain_done(&chain);
	return r;
}

int vblk_new(struct devs *d, const struct dom_disk *cfg, struct vdev **ret, struct err *err)
{
	struct vblk *b = calloc(1, sizeof(*b));

	if (!b)
		return err_sys(err, ENOMEM, "disk %s", cfg->target);
	b->v.devs = d;
	b->cfg = cfg;
	b->fd = -1;
	snprintf(b->what, sizeof(b->what), "disk %s", cfg->target);
	/* more than 128 KiB: mapped from the kernel as zeros, so that unused requests cost nothing */
	b->reqs = calloc(REQS, sizeof(*b->reqs));
	int r = b->reqs ? open_image(b, d->cfg->paths, err) : err_sys(err, ENOMEM, "disk %s", cfg->target);
	if (r < 0) {
		vblk_free(&b->v);
		return r;
	}
	uint64_t f = F_SEG_MAX | F_BLK_SIZE;
	if (cfg->readonly)
		f |= F_RO;
	else
		f |= F_WRITE_ZEROES | (cfg->discard ? F_DISCARD : 0);
	if (cfg->cache != DOM_CACHE_WRITETHROUGH)
		f |= F_FLUSH;
	vdev_setup(&b->v, d, &vblk_ops, cfg->target, 1, f);
	struct config_space c = {
		.capacity = htole64(b->sectors),
		.seg_max = htole32(SEG_MAX),
		.blk_size = htole32(SECTOR),
		.num_queues = htole16(1),
		.max_discard_sectors = htole32(DISCARD_SECTORS),
		.max_discard_seg = htole32(1),
		.discard_sector_alignment = htole32(b->q ? (uint32_t)(qcow2_cluster(b->q) / SECTOR) : 8),
		.max_write_zeroes_sectors = htole32(ZEROES_SECTORS),
		.max_write_zeroes_seg = htole32(1),
		.write_zeroes_may_unmap = 1,
	};
	memcpy(b->v.config, &c, sizeof(c));
	b->v.config_len = sizeof(c);
	*ret = &b->v;
	return 0;
}
