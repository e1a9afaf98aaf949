/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes to a qcow2 disk that its tables must learn of: clusters for new data, with what was there around it; discard
 * and zeroes. All under `op`; see qcow2_int.h.
 */
#include "config.h"
#include "hypervisor/dev/qcow2_int.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static uint64_t start_of(const struct qcow2 *q, uint64_t off)
{
	return off & ~(q->img[0].csize - 1);
}

/* Less than a cluster of the disk, as it is now, to @to in the image. @fresh: there are zeros. */
static int copy(struct qcow2 *q, uint64_t off, uint64_t len, uint64_t to, bool fresh)
{
	int r = len ? qc_is_zero(q, off, len) : 1;

	if (r < 0 || !len || (r && fresh))
		return r < 0 ? r : 0;
	if (r)
		memset(q->cow, 0, len);
	else
		r = qc_read(q, off, q->cow, len);
	return r < 0 ? r : qc_pwrite(q, q->cow, len, to);
}

/*
 * File systems do writes with O_DIRECT that make a file longer one after the other, so it is made longer before.
 * Holes are zeros, so all stays fresh. Nothing depends on its success.
 */
static void grow_file(struct qcow2 *q, uint64_t end)
{
	struct qc_image *g = &q->img[0];
	uint64_t to = (end + QC_GROW - 1) & ~(QC_GROW - 1);

	if (!g->direct || end <= g->file_end || blkio_may_write(q->o.blkio, q->wait) ||
	    ftruncate(g->m->fd, (off_t)to) < 0)
		return;
	q->grown = true;
	pthread_mutex_lock(&q->map);
	g->file_end = to;
	pthread_mutex_unlock(&q->map);
}

void qc_trim_file(struct qcow2 *q)
{
	struct qc_image *g = &q->img[0];

	if (!q->grown || q->fresh_at >= g->file_end || blkio_may_write(q->o.blkio, q->wait) ||
	    ftruncate(g->m->fd, (off_t)q->fresh_at) < 0)
		return;
	q->grown = false;
	pthread_mutex_lock(&q->map);
	g->file_end = q->fresh_at;
	pthread_mutex_unlock(&q->map);
}

int qc_prepare(struct qcow2 *q, uint64_t off, uint64_t bytes, uint64_t *ret_at, uint64_t *ret_bytes)
{
	const struct qc_image *g = &q->img[0];
	uint64_t start = start_of(q, off), skip = off - start, table = g->csize * (g->csize / 8), at;
	struct qc_page *p;
	/* the table first: if there is no room for it, that is known before data is written */
	int r = q->failed ? -q->failed : qc_l2_page(q, off, &p);

	if (r < 0)
		return r;
	if (bytes > table - off % table)
		bytes = table - off % table;
	int64_t n = qc_alloc(q, (skip + bytes + g->csize - 1) >> g->cbits, &at);
	if (n < 0)
		return (int)n;
	uint64_t all = (uint64_t)n << g->cbits;
	bool fresh = at >= q->fresh_at;
	if (at + all > q->fresh_at)
		q->fresh_at = at + all;
	grow_file(q, at + all);
	if (bytes > all - skip)
		bytes = all - skip;
	r = copy(q, start, skip, at, fresh);
	if (!r)
		r = copy(q, off + bytes, all - skip - bytes, at + skip + bytes, fresh);
	if (r < 0) {
		qc_unalloc(q, at, (uint64_t)n);
		return r;
	}
	*ret_at = at + skip;
	*ret_bytes = bytes;
	return 0;
}

int qc_link(struct qcow2 *q, uint64_t off, uint64_t bytes, uint64_t at)
{
	uint64_t csize = q->img[0].csize, skip = off - start_of(q, off), n = (skip + bytes + csize - 1) / csize;
	uint64_t host = at - skip;
	int r = q->failed ? -q->failed : 0;

	for (uint64_t i = 0; i < n && !r; i++) {
		r = qc_set_entry(q, off - skip + i * csize, (host + i * csize) | QC_COPIED);
		if (r < 0)
			qc_unalloc(q, host + i * csize, n - i);
	}
	return r;
}

void qc_give_up(struct qcow2 *q, uint64_t off, uint64_t bytes, uint64_t at)
{
	uint64_t csize = q->img[0].csize, skip = off - start_of(q, off);

	qc_unalloc(q, at - skip, (skip + bytes + csize - 1) / csize);
}

/* Discard and zeroes ----------------------------------------------------------------------------------------------- */

/* Zeros as data, in one cluster. */
static int write_zeros(struct qcow2 *q, uint64_t off, uint64_t len)
{
	uint64_t at, got;
	struct qc_ext e;
	int r = qc_is_zero(q, off, len);

	if (r)
		return r < 0 ? r : 0;
	/* it is in memory now */
	pthread_mutex_lock(&q->map);
	r = qc_map_write(q, off, len, &e);
	pthread_mutex_unlock(&q->map);
	if (r < 0)
		return r;
	if (e.kind == QC_IS_AWAY)
		return -EIO;
	at = e.at;
	if (!e.in_place)
		r = qc_prepare(q, off, len, &at, &got);
	if (r < 0)
		return r;
	memset(q->cow, 0, len);
	r = qc_pwrite(q, q->cow, len, at);
	if (e.in_place)
		return r;
	if (r < 0) {
		qc_give_up(q, off, len, at);
		return r;
	}
	return qc_link(q, off, len, at);
}

static int clear_cluster(struct qcow2 *q, uint64_t off, uint64_t len, bool zero, bool unmap)
{
	bool v3 = q->chain.m[0].head.version == 3, below = q->chain.n > 1 && off < q->img[1].size;
	uint64_t entry, new;
	int r = qc_entry_op(q, off, &entry);

	if (r < 0)
		return r;
	bool is_zero = !(entry & QC_PACKED) && (entry & QC_ZERO);
	bool keep = zero && !unmap && !(entry & QC_PACKED) && (entry & QC_COPIED) && (entry & QC_OFFSET);
	if (!entry && (!zero || !below))
		return 0; /* a discard is a hint; and what is nowhere reads as zeros */
	if (is_zero && (keep || !(entry & QC_OFFSET)))
		return 0;
	if (!v3 && below)
		return zero ? write_zeros(q, off, len) : 0;
	if (!v3)
		new = 0;
	else if (keep)
		new = entry | QC_ZERO;
	else
		new = below ? QC_ZERO : 0;
	return qc_set_entry(q, off, new);
}

int qc_clear(struct qcow2 *q, uint64_t off, uint64_t bytes, bool zero, bool unmap)
{
	uint64_t csize = q->img[0].csize, end = off + bytes, size = q->img[0].size & ~511ull;
	int r = q->failed ? -q->failed : 0;

	for (uint64_t len; off < end && !r; off += len) {
		len = csize - off % csize;
		if (len > end - off)
			len = end - off;
		/* the disk may end amid a cluster */
		bool whole = off % csize == 0 && (len == csize || off + len == size);
		if (whole)
			r = clear_cluster(q, off, len, zero, unmap);
		else if (zero)
			r = write_zeros(q, off, len);
	}
	return r;
}
