/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Clusters of a qcow2 image: refcounts, allocation, L2 entries. All under `op`; see qcow2_int.h. */
#include "config.h"
#include "hypervisor/dev/qcow2_int.h"

#include <errno.h>
#include <string.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#define REF_PAGE (QC_PAGE / 2) /* refcounts in a page */
#define FAR      (1ull << 55)  /* no cluster lies there */

/* Writing ---------------------------------------------------------------------------------------------------------- */

int qc_pwrite(struct qcow2 *q, const void *buf, size_t len, uint64_t at)
{
	for (size_t done = 0; done < len;) {
		struct iovec v = { (uint8_t *)(uintptr_t)buf + done, len - done };
		int r = q->failed ? -q->failed : blkio_may_write(q->o.blkio, q->wait);
		if (r < 0)
			return r;
		ssize_t k = pwritev2(q->chain.m[0].fd, &v, 1, (off_t)(at + done), q->o.dsync ? RWF_DSYNC : 0);
		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return k < 0 ? -errno : -EIO;
		done += (size_t)k;
	}
	struct qc_image *g = &q->img[0];
	pthread_mutex_lock(&q->map);
	if (at + len > g->file_end)
		g->file_end = at + len;
	pthread_mutex_unlock(&q->map);
	if (at + len > q->fresh_at)
		q->fresh_at = (at + len + g->csize - 1) & ~(g->csize - 1);
	return 0;
}

int qc_fdatasync(struct qcow2 *q)
{
	int r = blkio_may_write(q->o.blkio, q->wait);

	if (!q->failed)
		q->failed = atomic_load(&q->sync_failed);
	if (r < 0 || q->failed)
		return r < 0 ? r : -q->failed;
	if (fdatasync(q->chain.m[0].fd) < 0)
		q->failed = errno;
	return -q->failed;
}

/* Refcounts -------------------------------------------------------------------------------------------------------- */

/* The page with the refcount of @cluster; *@ret NULL: there is no block, so it is 0. */
static int ref_page(struct qcow2 *q, uint64_t cluster, struct qc_page **ret)
{
	unsigned bits = q->img[0].cbits - 1; /* clusters of a block */
	uint64_t i = cluster >> bits, in = cluster & ((1ull << bits) - 1);

	*ret = NULL;
	if (i >= q->reft_n || !q->reft[i])
		return 0;
	return qc_page_get(q, 0, q->reft[i] + (in * 2 & ~(uint64_t)(QC_PAGE - 1)), QC_PAGE_REF, ret);
}

static uint16_t ref_of(struct qcow2 *q, struct qc_page *p, uint64_t cluster)
{
	const uint16_t *e = qc_data(&q->img[0].cache, p);

	return be16toh(e[cluster % REF_PAGE]);
}

static void ref_set(struct qcow2 *q, struct qc_page *p, uint64_t cluster, uint16_t v)
{
	uint16_t *e = qc_data(&q->img[0].cache, p);

	/* the io thread never looks at refcounts */
	e[cluster % REF_PAGE] = htobe16(v);
	p->dirty = true;
	atomic_store(&q->dirty, true);
}

int qc_ref_add(struct qcow2 *q, uint64_t cluster, int by, uint16_t *ret)
{
	struct qc_page *p;
	int r = ref_page(q, cluster, &p);

	if (r < 0)
		return r;
	int v = p ? ref_of(q, p, cluster) + by : -1;
	if (v < 0 || v > UINT16_MAX)
		return -EUCLEAN;
	ref_set(q, p, cluster, (uint16_t)v);
	*ret = (uint16_t)v;
	return 0;
}

/* New refcount blocks and tables: written at once and in order, they are rare -------------------------------------- */

/* These are a table's from now on. What was there before is not in memory any more. */
int qc_own_clusters(struct qcow2 *q, uint64_t first, uint64_t n)
{
	uint64_t i = 0;
	int r = 0;

	pthread_mutex_lock(&q->map);
	for (; i < n && !r; i++)
		r = qc_set_add(&q->own, first + i);
	if (r < 0)
		for (i--; i--;)
			qc_set_del(&q->own, first + i);
	else
		qc_cache_drop(&q->img[0].cache, first << q->img[0].cbits, n << q->img[0].cbits);
	pthread_mutex_unlock(&q->map);
	return r == -EEXIST ? -EUCLEAN : r;
}

void qc_disown_clusters(struct qcow2 *q, uint64_t first, uint64_t n)
{
	pthread_mutex_lock(&q->map);
	for (uint64_t i = 0; i < n; i++)
		qc_set_del(&q->own, first + i);
	pthread_mutex_unlock(&q->map);
}

/*
 * Write a refcount block that counts one reference for its first @n clusters, the first of which is the block itself.
 */
static int write_ref_block(struct qcow2 *q, uint64_t first, uint64_t n)
{
	uint64_t csize = q->img[0].csize;
	uint16_t *e = NULL;
	void *p = NULL;

	if (posix_memalign(&p, QC_PAGE, csize))
		return -ENOMEM;
	e = p;
	memset(p, 0, csize);
	for (uint64_t i = 0; i < n; i++)
		e[i] = htobe16(1);
	int r = qc_pwrite(q, p, csize, first << q->img[0].cbits);
	free(p);
	return r;
}

int qc_write_table_page(struct qcow2 *q, const uint64_t *table, uint64_t n, uint64_t at, uint64_t page)
{
	uint64_t *to = (uint64_t *)(void *)q->page, from = page * (QC_PAGE / 8);

	for (unsigned i = 0; i < QC_PAGE / 8; i++)
		to[i] = from + i < n ? htobe64(table[from + i]) : 0;
	return qc_pwrite(q, q->page, QC_PAGE, at + page * QC_PAGE);
}

/* The refcount table has room for block @i: a block at the start of what it counts. */
static int new_ref_block(struct qcow2 *q, uint64_t i)
{
	unsigned bits = q->img[0].cbits - 1;
	uint64_t first = i << bits;
	int r = qc_own_clusters(q, first, 1);

	if (r < 0)
		return r;
	r = write_ref_block(q, first, 1);
	if (!r)
		r = qc_fdatasync(q);
	if (!r) {
		q->reft[i] = first << q->img[0].cbits;
		r = qc_write_table_page(q, q->reft, q->reft_n, q->reft_at, i * 8 / QC_PAGE);
		if (r < 0)
			q->reft[i] = 0;
	}
	if (r < 0)
		qc_disown_clusters(q, first, 1);
	return r;
}

static int write_reft_place(struct qcow2 *q, uint64_t at, uint32_t clusters)
{
	uint64_t be_at = htobe64(at);
	uint32_t be_n = htobe32(clusters);
	int r = qc_pread(&q->img[0], q->page, QC_PAGE, 0);

	if (r < 0)
		return r;
	memcpy(q->page + QCOW2_REFTABLE_AT, &be_at, sizeof(be_at));
	memcpy(q->page + QCOW2_REFTABLE_AT + 8, &be_n, sizeof(be_n));
	r = qc_pwrite(q, q->page, QC_PAGE, 0);
	return r < 0 ? r : qc_fdatasync(q);
}

/* The new table, behind the new block @i that counts it: written, synced, then named by the header. */
static int write_new_reft(struct qcow2 *q, const uint64_t *table, uint64_t n, uint64_t i, uint32_t clusters)
{
	uint64_t first = i << (q->img[0].cbits - 1), at = (first + 1) << q->img[0].cbits;
	int r = write_ref_block(q, first, clusters + 1ull);

	for (uint64_t page = 0; page < n * 8 / QC_PAGE && !r; page++)
		r = qc_write_table_page(q, table, n, at, page);
	if (!r)
		r = qc_fdatasync(q);
	return r < 0 ? r : write_reft_place(q, at, clusters);
}

/* The refcount table is too short for block @i, the next one: a table twice as long. */
static int grow_reft(struct qcow2 *q, uint64_t i)
{
	unsigned cbits = q->img[0].cbits;
	uint64_t first = i << (cbits - 1), n = 2 * q->reft_n, old_at = q->reft_at;
	uint32_t clusters = 2 * q->reft_clusters, old_n = q->reft_clusters;

	if (n * 8 > QCOW2_TABLE_MAX || clusters + 1ull > 1ull << (cbits - 1))
		return -EFBIG;
	uint64_t *table = calloc(n, sizeof(*table));
	if (!table)
		return -ENOMEM;
	memcpy(table, q->reft, q->reft_n * sizeof(*table));
	table[i] = first << cbits;
	int r = qc_own_clusters(q, first, clusters + 1ull);
	if (!r) {
		r = write_new_reft(q, table, n, i, clusters);
		if (r < 0)
			qc_disown_clusters(q, first, clusters + 1ull);
	}
	if (r < 0) {
		free(table);
		return r;
	}
	free(q->reft);
	q->reft = table;
	q->reft_n = n;
	q->reft_at = (first + 1) << cbits;
	q->reft_clusters = clusters;
	qc_disown_clusters(q, old_at >> cbits, old_n);
	qc_free_later(q, old_at >> cbits, old_n);
	return 0;
}

static int need_ref_block(struct qcow2 *q, uint64_t cluster)
{
	uint64_t i = cluster >> (q->img[0].cbits - 1);

	return i < q->reft_n ? new_ref_block(q, i) : grow_reft(q, i);
}

/* Allocation ------------------------------------------------------------------------------------------------------- */

/* The first free cluster from q->hint on. */
static int find_free(struct qcow2 *q, uint64_t *ret, struct qc_page **ret_page)
{
	uint64_t c = q->hint;

	while (c < FAR >> q->img[0].cbits) {
		int r = ref_page(q, c, ret_page);
		if (!r && !*ret_page) {
			r = need_ref_block(q, c);
			if (!r)
				continue;
		}
		if (r < 0)
			return r;
		do {
			if (!ref_of(q, *ret_page, c)) {
				*ret = q->hint = c;
				return 0;
			}
		} while (++c % REF_PAGE);
	}
	return -EFBIG;
}

int64_t qc_alloc(struct qcow2 *q, uint64_t n, uint64_t *ret)
{
	uint64_t first, got = 0;
	struct qc_page *p;
	int r = find_free(q, &first, &p);

	if (r < 0)
		return r;
	while (got < n) {
		uint64_t c = first + got;
		/* the next page is another day's */
		if (got && c % REF_PAGE == 0)
			break;
		if (ref_of(q, p, c))
			break;
		if (qc_set_has(&q->own, c))
			return got ? (int64_t)got : -EUCLEAN; /* it counts no reference to a table of its own */
		ref_set(q, p, c, 1);
		got++;
	}
	*ret = first << q->img[0].cbits;
	q->hint = first + got;
	return (int64_t)got;
}

void qc_unalloc(struct qcow2 *q, uint64_t at, uint64_t n)
{
	uint64_t first = at >> q->img[0].cbits;
	uint16_t left;

	for (uint64_t i = 0; i < n; i++)
		if (qc_ref_add(q, first + i, -1, &left) < 0)
			return; /* lost until qemu-img check -r leaks */
	if (first < q->hint)
		q->hint = first;
}

void qc_free_later(struct qcow2 *q, uint64_t cluster, uint64_t n)
{
	struct qc_run *last = q->n_frees ? &q->frees[q->n_frees - 1] : NULL;

	atomic_store(&q->dirty, true);
	if (last && last->cluster + last->n == cluster)
		last->n += n;
	else if (q->n_frees < QC_FREES_MAX)
		q->frees[q->n_frees++] = (struct qc_run){ cluster, n };
	/* else lost; whoever frees much flushes before that */
}

/* L2 --------------------------------------------------------------------------------------------------------------- */

/* Copy the L2 table at @from, 0: none, to @to. */
static int copy_table(struct qcow2 *q, uint64_t from, uint64_t to)
{
	memset(q->cow, 0, q->img[0].csize);
	int r = from ? qc_pread(&q->img[0], q->cow, q->img[0].csize, from) : 0;

	return r < 0 ? r : qc_pwrite(q, q->cow, q->img[0].csize, to);
}

/* A table that is ours in place of L1 entry @i: a new one, or a copy of one that a snapshot has as well. */
static int new_table(struct qcow2 *q, uint64_t i)
{
	struct qc_image *g = &q->img[0];
	uint64_t old = g->l1[i] & QC_OFFSET, at;
	int64_t n = qc_alloc(q, 1, &at);

	if (n < 0)
		return (int)n;
	int r = qc_own_clusters(q, at >> g->cbits, 1);
	if (!r)
		/* at once, so that a later flush only overwrites, and cannot find the file system full */
		r = copy_table(q, old, at);
	if (r < 0) {
		qc_disown_clusters(q, at >> g->cbits, 1);
		qc_unalloc(q, at, 1);
		return r;
	}
	pthread_mutex_lock(&q->map);
	g->l1[i] = at | QC_COPIED;
	pthread_mutex_unlock(&q->map);
	q->l1_dirty[i * 8 / QC_PAGE] = q->any_l1_dirty = true;
	atomic_store(&q->dirty, true);
	if (old) {
		qc_disown_clusters(q, old >> g->cbits, 1);
		qc_free_later(q, old >> g->cbits, 1);
	}
	return 0;
}

int qc_l2_page(struct qcow2 *q, uint64_t off, struct qc_page **ret)
{
	struct qc_image *g = &q->img[0];
	uint64_t i = off >> (2 * g->cbits - 3), index = (off >> g->cbits) & (g->csize / 8 - 1);
	int r = g->l1[i] & QC_COPIED ? 0 : new_table(q, i);

	if (r < 0)
		return r;
	return qc_page_get(q, 0, (g->l1[i] & QC_OFFSET) + (index * 8 & ~(uint64_t)(QC_PAGE - 1)), QC_PAGE_L2, ret);
}

/* What @entry named is freed when nothing on disk names it any more. */
static void free_entry(struct qcow2 *q, uint64_t entry)
{
	unsigned cbits = q->img[0].cbits, x = 62 - (cbits - 8);

	if (entry & QC_PACKED) {
		uint64_t at = entry & ((1ull << x) - 1), n = (entry >> x & ((1ull << (cbits - 8)) - 1)) + 1;
		uint64_t last = ((at & ~511ull) + n * 512 - 1) >> cbits;
		qc_free_later(q, at >> cbits, last - (at >> cbits) + 1);
	} else if (entry & QC_OFFSET) {
		qc_free_later(q, (entry & QC_OFFSET) >> cbits, 1);
	}
}

int qc_set_entry(struct qcow2 *q, uint64_t off, uint64_t entry)
{
	struct qc_image *g = &q->img[0];
	struct qc_page *p;
	/* room for what a compressed cluster and a table leave behind */
	int r = q->n_frees + 4 > QC_FREES_MAX ? qc_flush(q, false) : 0;

	if (!r)
		r = qc_l2_page(q, off, &p);
	if (r < 0)
		return r;
	uint64_t *e = (uint64_t *)qc_data(&g->cache, p) + (off >> g->cbits) % (QC_PAGE / 8), old = be64toh(*e);
	pthread_mutex_lock(&q->map);
	*e = htobe64(entry);
	p->dirty = true;
	pthread_mutex_unlock(&q->map);
	atomic_store(&q->dirty, true);
	/* a cluster that stays is not freed */
	if ((old & (QC_PACKED | QC_OFFSET)) != (entry & (QC_PACKED | QC_OFFSET)) || (old & QC_PACKED))
		free_entry(q, old);
	return 0;
}
