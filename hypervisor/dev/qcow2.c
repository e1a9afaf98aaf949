/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Requests to a qcow2 disk, on the io thread: cut into pieces by where they are, handed to blkio. What needs tables
 * that are not in memory, or changes them, is a call on blkio's worker in between. Two requests that are under way at
 * once have no cluster in common, unless both leave the tables alone. See qcow2.h.
 */
#include "config.h"
#include "hypervisor/dev/qcow2_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define SUBS      8u
#define IOV_MAX_  (256u + 2 * SUBS) /* VQ_SEGS_MAX, and the cuts */
#define SPARE_MAX 16u

enum sub_op { SUB_DATA, SUB_SLOW, SUB_LOAD, SUB_PREPARE, SUB_FRESH, SUB_LINK, SUB_GIVE_UP, SUB_CLEAR, SUB_FLUSH };

struct sub {
	struct blkio_req io; /* first: done() finds it */
	struct qreq *r;
	enum sub_op op;
	struct qc_ext e;
	uint64_t off; /* in the disk */
};

struct qreq {
	struct qcow2 *q;
	struct blkio_req *up; /* the disk's request, borrowed until its done() */
	struct qreq *next;
	uint64_t from, to; /* octets of the disk that it is about, whole clusters; nothing for a flush */
	bool excl;         /* may change what the tables say of them */
	bool active;       /* else it waits for others */
	bool inside;       /* called from submit(): done() has to wait */
	bool ordered;      /* WRITE: it is known whether it changes the tables */
	bool linked;       /* it did */
	uint64_t seen;     /* WRITE: octets that are known to be in place */
	uint64_t at;       /* octets done or in pieces under way */
	uint64_t new_at, new_bytes;
	int res;
	unsigned pending, n_sub;
	unsigned seg; /* where @at is in up->iov: segment, octets into it */
	uint64_t seg_off;
	unsigned n_iov;
	struct sub sub[SUBS];
	struct iovec iov[IOV_MAX_];
};

static void step(struct qreq *r);

/* Calls, on the worker --------------------------------------------------------------------------------------------- */

static int slow_read(struct qcow2 *q, struct sub *s)
{
	const uint8_t *from;
	int r = qc_read_slow(q, &s->e, s->off, &from);
	uint64_t done = 0;

	for (unsigned i = 0; !r && i < s->io.n_iov; i++) {
		memcpy(s->io.iov[i].iov_base, from + done, s->io.iov[i].iov_len);
		done += s->io.iov[i].iov_len;
	}
	return r;
}

static int clear(struct qcow2 *q, const struct blkio_req *up)
{
	int r = qc_clear(q, up->offset, up->bytes, up->op == BLKIO_ZERO, up->op == BLKIO_DISCARD || up->may_unmap);

	return r || !up->dsync ? r : qc_flush(q, false);
}

static int called(struct qcow2 *q, struct sub *s)
{
	struct qreq *r = s->r;

	if (!q->loaded)
		return -EPERM;
	switch (s->op) {
	case SUB_SLOW:
		return slow_read(q, s);
	case SUB_LOAD:
		return qc_load_page(q, s->e.img, s->e.at, QC_PAGE_L2);
	case SUB_PREPARE:
		return qc_prepare(q, s->off, s->e.bytes, &r->new_at, &r->new_bytes);
	case SUB_LINK:
		return qc_link(q, s->off, r->new_bytes, r->new_at);
	case SUB_GIVE_UP:
		qc_give_up(q, s->off, r->new_bytes, r->new_at);
		return 0;
	case SUB_CLEAR:
		return clear(q, r->up);
	default:
		return qc_flush(q, false);
	}
}

static int on_worker(struct blkio_req *io)
{
	struct sub *s = (struct sub *)io;
	struct qcow2 *q = s->r->q;

	pthread_mutex_lock(&q->op);
	int r = called(q, s);
	pthread_mutex_unlock(&q->op);
	return r;
}

/* Pieces ----------------------------------------------------------------------------------------------------------- */

static void sub_done(struct blkio_req *io, int res);

static struct sub *sub_new(struct qreq *r, enum sub_op op, uint64_t off, const struct qc_ext *e)
{
	struct sub *s = &r->sub[r->n_sub++];

	s->io = (struct blkio_req){ .op = BLKIO_CALL, .done = sub_done, .call = on_worker };
	s->r = r;
	s->op = op;
	s->off = off;
	s->e = e ? *e : (struct qc_ext){ 0 };
	r->pending++;
	return s;
}

static void call(struct qreq *r, enum sub_op op, uint64_t off, const struct qc_ext *e)
{
	blkio_submit(r->q->o.blkio, &sub_new(r, op, off, e)->io);
}

/* The next @bytes of the request's buffers, as segments of r->iov. */
static const struct iovec *slice(struct qreq *r, uint64_t bytes, unsigned *ret_n)
{
	struct iovec *v = &r->iov[r->n_iov];
	unsigned n = 0;

	while (bytes) {
		const struct iovec *from = &r->up->iov[r->seg];
		uint64_t left = from->iov_len - r->seg_off, k = left < bytes ? left : bytes;
		if (k)
			v[n++] = (struct iovec){ (uint8_t *)from->iov_base + r->seg_off, k };
		bytes -= k;
		r->seg_off += k;
		if (r->seg_off == from->iov_len) {
			r->seg++;
			r->seg_off = 0;
		}
	}
	r->n_iov += n;
	*ret_n = n;
	return v;
}

static bool aligned(const struct iovec *iov, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (((uintptr_t)iov[i].iov_base | iov[i].iov_len) % 512)
			return false;
	return true;
}

static void piece(struct qreq *r, enum sub_op op, const struct qc_ext *e)
{
	struct qcow2 *q = r->q;
	struct sub *s = sub_new(r, op, r->up->offset + r->at, e);

	s->io.iov = slice(r, e->bytes, &s->io.n_iov);
	s->io.bytes = e->bytes;
	r->at += e->bytes;
	if (op != SUB_SLOW) {
		s->io.op = r->up->op;
		s->io.fd = q->chain.m[e->img].fd;
		s->io.offset = e->at;
		s->io.dsync = r->up->dsync;
		s->io.bounce = q->img[e->img].direct && !aligned(s->io.iov, s->io.n_iov);
	}
	blkio_submit(q->o.blkio, &s->io);
}

static void zeros(struct qreq *r, uint64_t bytes)
{
	unsigned n, before = r->n_iov;
	const struct iovec *v = slice(r, bytes, &n);

	for (unsigned i = 0; i < n; i++)
		memset(v[i].iov_base, 0, v[i].iov_len);
	r->n_iov = before;
	r->at += bytes;
}

/* What is at octet @off, as far as it is of one kind and in one piece. */
static int look(struct qcow2 *q, bool write, uint64_t off, uint64_t bytes, struct qc_ext *ret)
{
	struct qc_ext e;
	int r;

	pthread_mutex_lock(&q->map);
	r = write ? qc_map_write(q, off, bytes, ret) : qc_map(q, 0, off, bytes, ret);
	while (!r && ret->bytes < bytes && (ret->kind == QC_IS_DATA || ret->kind == QC_IS_ZERO)) {
		uint64_t on = off + ret->bytes, left = bytes - ret->bytes;
		if ((write ? qc_map_write(q, on, left, &e) : qc_map(q, 0, on, left, &e)) < 0 || e.kind != ret->kind ||
		    (e.kind == QC_IS_DATA && (e.img != ret->img || e.at != ret->at + ret->bytes)))
			break;
		ret->bytes += e.bytes;
	}
	pthread_mutex_unlock(&q->map);
	return r;
}

/* Read or write the next pieces. */
static int gather(struct qreq *r)
{
	bool write = r->up->op == BLKIO_WRITE;
	struct qc_ext e;

	while (r->at < r->up->bytes && r->n_sub < SUBS) {
		uint64_t off = r->up->offset + r->at;
		int res = look(r->q, write, off, r->up->bytes - r->at, &e);
		if (res < 0)
			return res;
		if (e.kind == QC_IS_AWAY || (write && !e.in_place)) {
			if (!r->n_sub)
				call(r, e.kind == QC_IS_AWAY ? SUB_LOAD : SUB_PREPARE, off, &e);
			break;
		}
		if (e.kind == QC_IS_ZERO)
			zeros(r, e.bytes);
		else
			piece(r, e.kind == QC_IS_SLOW ? SUB_SLOW : SUB_DATA, &e);
	}
	return 0;
}

/* Order ------------------------------------------------------------------------------------------------------------ */

static bool can_run(const struct qreq *r)
{
	bool ahead = true;

	for (const struct qreq *o = r->q->first; o; o = o->next) {
		if (o == r)
			ahead = false;
		else if ((o->active || ahead) && (o->excl || r->excl) && o->from < r->to && r->from < o->to)
			return false;
	}
	return true;
}

static bool start(struct qreq *r)
{
	r->active = can_run(r);
	if (!r->active)
		r->q->n_waiting++;
	return r->active;
}

/* Those that waited for one that is gone. */
static void wake(struct qcow2 *q)
{
	struct qreq *r = q->first;

	while (r && q->n_waiting) {
		if (r->active || !can_run(r)) {
			r = r->next;
			continue;
		}
		r->active = true;
		q->n_waiting--;
		r->inside = true;
		step(r);
		r = q->first; /* it may have ended */
	}
}

/*
 * Whether a write is in place all through. It looks before it has done anything, so it can wait for others as one that
 * is not.
 */
static int order_write(struct qreq *r)
{
	struct qc_ext e;

	for (; r->seen < r->up->bytes && !r->excl; r->seen += e.bytes) {
		uint64_t off = r->up->offset + r->seen;
		int res = look(r->q, true, off, r->up->bytes - r->seen, &e);
		if (res < 0)
			return res;
		if (e.kind == QC_IS_AWAY) {
			call(r, SUB_LOAD, off, &e);
			return 0;
		}
		r->excl = !e.in_place;
	}
	r->ordered = true;
	return 0;
}

/* Life ------------------------------------------------------------------------------------------------------------- */

static void end(struct qreq *r)
{
	struct qcow2 *q = r->q;
	struct blkio_req *up = r->up;
	bool inside = r->inside;
	int res = r->res;
	struct qreq **p = &q->first;

	while (*p != r)
		p = &(*p)->next;
	*p = r->next;
	if (!*p)
		q->last = p;
	if (q->n_spare < SPARE_MAX) {
		r->next = q->spare;
		q->spare = r;
		q->n_spare++;
	} else {
		free(r);
	}
	wake(q);
	if (inside)
		blkio_finish(q->o.blkio, up, res);
	else
		up->done(up, res);
}

static bool complete(const struct qreq *r)
{
	switch (r->up->op) {
	case BLKIO_READ:
	case BLKIO_WRITE:
		return r->at == r->up->bytes;
	default:
		return r->at; /* of the others one piece is all */
	}
}

static int next_pieces(struct qreq *r)
{
	struct qcow2 *q = r->q;

	switch (r->up->op) {
	case BLKIO_READ:
		return gather(r);
	case BLKIO_WRITE:
		if (r->ordered)
			return gather(r);
		int res = order_write(r);
		if (res < 0 || !r->ordered || (r->excl && !start(r)))
			return res;
		return gather(r);
	case BLKIO_FLUSH:
		r->at = 1;
		if (qcow2_dirty(q) || atomic_load(&q->sync_failed)) {
			call(r, SUB_FLUSH, 0, NULL);
			return 0;
		}
		struct sub *s = sub_new(r, SUB_DATA, 0, NULL);
		s->io.op = BLKIO_FLUSH;
		s->io.fd = q->chain.m[0].fd;
		blkio_submit(q->o.blkio, &s->io);
		return 0;
	default:
		r->at = 1;
		call(r, SUB_CLEAR, 0, NULL);
		return 0;
	}
}

/* Go on with @r, which is active and has nothing under way. */
static void step(struct qreq *r)
{
	r->n_sub = r->n_iov = 0;
	if (!r->res && complete(r) && r->linked && r->up->dsync) {
		r->linked = false;
		call(r, SUB_FLUSH, 0, NULL);
		return;
	}
	if (!r->res && !complete(r)) {
		r->res = next_pieces(r);
		if (r->pending || (!r->res && !r->active))
			return;
	}
	end(r); /* pieces that were all zeros, too */
}

/* New clusters: their data is written, then the tables learn of them. True: there is more to do for them. */
static bool fresh_step(struct qreq *r, struct sub *s, int res)
{
	struct qc_ext e = { .at = r->new_at, .bytes = r->new_bytes };
	enum sub_op op = s->op;
	uint64_t off = s->off;

	if (op == SUB_PREPARE && !res) {
		r->n_sub = r->n_iov = 0;
		piece(r, SUB_FRESH, &e);
		return true;
	}
	if (op == SUB_FRESH) {
		r->n_sub = 0;
		call(r, res < 0 ? SUB_GIVE_UP : SUB_LINK, off, NULL);
		return true;
	}
	r->linked |= op == SUB_LINK;
	return false;
}

static void sub_done(struct blkio_req *io, int res)
{
	struct sub *s = (struct sub *)io;
	struct qreq *r = s->r;
	struct qcow2 *q = r->q;
	uint64_t end_at = io->offset + io->bytes;

	r->pending--;
	r->inside = false;
	if (res < 0 && !r->res)
		r->res = res;
	if (io->op == BLKIO_WRITE) {
		/* also one that failed may have written */
		pthread_mutex_lock(&q->map);
		if (end_at > q->img[0].file_end)
			q->img[0].file_end = end_at;
		pthread_mutex_unlock(&q->map);
	}
	if (io->op == BLKIO_FLUSH && res < 0 && res != -ECANCELED)
		atomic_store(&q->sync_failed, -res); /* data that no table names yet may be lost */
	if (!r->pending && !fresh_step(r, s, res))
		step(r);
	blkio_kick(q->o.blkio);
}

void qcow2_submit(struct qcow2 *q, struct blkio_req *up)
{
	struct qreq *r = q->spare;
	bool ranged = up->op != BLKIO_FLUSH;
	uint64_t csize = q->img[0].csize;

	if (r) {
		q->spare = r->next;
		q->n_spare--;
	} else {
		r = malloc(sizeof(*r));
	}
	if (!r) {
		blkio_finish(q->o.blkio, up, -ENOMEM);
		return;
	}
	/* not the arrays, which are large */
	memset(r, 0, offsetof(struct qreq, sub));
	r->q = q;
	r->up = up;
	r->from = ranged ? up->offset & ~(csize - 1) : 0;
	r->to = ranged ? (up->offset + up->bytes + csize - 1) & ~(csize - 1) : 0;
	r->excl = up->op == BLKIO_DISCARD || up->op == BLKIO_ZERO;
	r->inside = true;
	*q->last = r;
	q->last = &r->next;
	if (start(r))
		step(r);
}

/* The image -------------------------------------------------------------------------------------------------------- */

bool qcow2_dirty(const struct qcow2 *q)
{
	return atomic_load(&q->dirty);
}

uint64_t qcow2_size(const struct qcow2 *q)
{
	return q->img[0].size;
}

uint64_t qcow2_cluster(const struct qcow2 *q)
{
	return q->img[0].csize;
}

static int lock_below(struct qcow2 *q, short type, struct err *err)
{
	struct flock fl = { .l_type = type, .l_whence = SEEK_SET };

	for (unsigned i = 1; i < q->chain.n; i++) {
		if (fcntl(q->chain.m[i].fd, F_OFD_SETLK, &fl) >= 0)
			continue;
		if (errno == EAGAIN || errno == EACCES)
			return err_set(err, EAGAIN,
			               "%s: the backing file %s is being written by another domain or host", q->o.what,
			               q->chain.m[i].path);
		return err_sys(err, errno, "%s: cannot lock %s", q->o.what, q->chain.m[i].path);
	}
	return 0;
}

int qcow2_own(struct qcow2 *q, struct err *err)
{
	int r = lock_below(q, F_RDLCK, err);

	pthread_mutex_lock(&q->op);
	if (!r && !q->loaded)
		r = qc_load(q, err);
	pthread_mutex_unlock(&q->op);
	if (r < 0)
		qcow2_disown(q);
	return r;
}

void qcow2_disown(struct qcow2 *q)
{
	pthread_mutex_lock(&q->op);
	qc_unload(q);
	pthread_mutex_unlock(&q->op);
	(void)lock_below(q, F_UNLCK, NULL);
}

int qcow2_sync(struct qcow2 *q)
{
	int r = 0;

	pthread_mutex_lock(&q->op);
	q->wait = false;
	if (q->loaded && q->o.writable)
		r = qc_flush(q, true);
	if (!r && q->loaded && q->o.writable)
		qc_trim_file(q);
	q->wait = true;
	pthread_mutex_unlock(&q->op);
	return r;
}

int qcow2_new(struct imgchain *chain, const struct qcow2_opts *o, struct qcow2 **ret, struct err *err)
{
	struct qcow2 *q = calloc(1, sizeof(*q));
	void *page = NULL;

	if (!q || posix_memalign(&page, QC_PAGE, QC_PAGE)) {
		free(q);
		return err_sys(err, ENOMEM, "%s", o->what);
	}
	q->page = page;
	q->o = *o;
	q->wait = true;
	q->last = &q->first;
	q->chain = *chain;
	chain->n = 0;
	pthread_mutex_init(&q->op, NULL);
	pthread_mutex_init(&q->map, NULL);
	for (unsigned i = 0; i < q->chain.n; i++) {
		const struct img_member *m = &q->chain.m[i];
		q->img[i] = (struct qc_image){ .m = m,
			                       .qcow2 = m->format == DOM_FORMAT_QCOW2,
			                       .direct = i == 0 && o->direct,
			                       .cbits = m->head.cluster_bits,
			                       .csize = 1ull << m->head.cluster_bits,
			                       .size = m->size };
	}
	*ret = q;
	return 0;
}

void qcow2_free(struct qcow2 *q)
{
	if (!q)
		return;
	qc_unload(q);
	for (unsigned i = 0; i < q->chain.n; i++) {
		qc_cache_done(&q->img[i].cache);
		free(q->img[i].plain);
	}
	while (q->first) { /* blkio gave them up */
		struct qreq *r = q->first;
		q->first = r->next;
		free(r);
	}
	while (q->spare) {
		struct qreq *r = q->spare;
		q->spare = r->next;
		free(r);
	}
	free(q->frees);
	free(q->cow);
	free(q->page);
	pthread_mutex_destroy(&q->op);
	pthread_mutex_destroy(&q->map);
	imgchain_done(&q->chain);
	free(q);
}
