/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reading a qcow2 image's tables, when it becomes ours: L1 tables and the refcount table whole, of the others only
 * where they are. What would let two tables, or a table and data, lie over each other is found here. See qcow2_int.h.
 */
#include "config.h"
#include "hypervisor/dev/qcow2_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

static int damaged(struct qcow2 *q, unsigned i, const char *how, struct err *err)
{
	return err_set(err, EINVAL, "%s: the image %s is damaged: %s; look at it with qemu-img check", q->o.what,
	               q->chain.m[i].path, how);
}

/* @n big-endian numbers at @at, and those behind them in the last page. *@ret is malloc'd. */
static int read_table(const struct qc_image *g, uint64_t at, uint64_t n, uint64_t **ret)
{
	void *p = NULL;
	size_t len = ((size_t)n * 8 + QC_PAGE - 1) & ~(size_t)(QC_PAGE - 1);

	if (posix_memalign(&p, QC_PAGE, len ? len : QC_PAGE))
		return -ENOMEM;
	int r = qc_pread(g, p, len, at);
	if (r < 0) {
		free(p);
		return r;
	}
	*ret = p;
	for (size_t i = 0; i < len / 8; i++)
		(*ret)[i] = be64toh((*ret)[i]);
	return 0;
}

/* It is the image that was opened, as whoever ran the guest before has left it. */
static int read_again(struct qcow2 *q, unsigned i, struct err *err)
{
	struct img_member *m = &q->chain.m[i];
	struct qc_image *g = &q->img[i];
	struct qcow2_head h;

	/* those below do not change, and other guests need what the cache has of them */
	if (i == 0 && !g->direct)
		(void)posix_fadvise(m->fd, 0, 0, POSIX_FADV_DONTNEED);
	int r = img_read_head(m->fd, m->path, q->o.what, &m->file_bytes, &h, err);
	if (r < 0)
		return r;
	if (h.size != m->head.size || h.cluster_bits != m->head.cluster_bits || h.version != m->head.version ||
	    strcmp(h.backing, m->head.backing) || strcmp(h.backing_format, m->head.backing_format))
		return err_set(err, ESTALE, "%s: the image %s has another size or backing file than when it was opened",
		               q->o.what, m->path);
	m->head = h;
	return 0;
}

static int load_l1(struct qcow2 *q, unsigned i, struct err *err)
{
	struct qc_image *g = &q->img[i];
	const struct qcow2_head *h = &g->m->head;
	int r = read_table(g, h->l1_at, h->l1_entries, &g->l1);

	if (!r && !g->cache.n)
		r = qc_cache_init(&g->cache, QC_PAGES);
	if (r < 0)
		return err_sys(err, -r, "%s: cannot read the tables of %s", q->o.what, g->m->path);
	qc_cache_clear(&g->cache);
	for (uint32_t k = 0; k < h->l1_entries; k++)
		if ((g->l1[k] & QC_OFFSET) % g->csize || (g->l1[k] & QC_OFFSET) >= g->file_end)
			return damaged(q, i, "an L2 table is not in the file", err);
	return 0;
}

/* Remember that @n clusters from file offset @at on are a table. */
static int own(struct qcow2 *q, uint64_t at, uint64_t n, struct err *err)
{
	for (uint64_t i = 0; i < n; i++) {
		int r = qc_set_add(&q->own, (at >> q->img[0].cbits) + i);
		if (r == -EEXIST)
			return damaged(q, 0, "two of its tables are in the same place", err);
		if (r < 0)
			return err_sys(err, -r, "%s: the tables of %s", q->o.what, q->chain.m[0].path);
	}
	return 0;
}

static int own_tables(struct qcow2 *q, struct err *err)
{
	const struct qc_image *g = &q->img[0];
	const struct qcow2_head *h = &g->m->head;
	int r = own(q, 0, 1, err);

	if (!r && h->l1_entries)
		r = own(q, h->l1_at, (h->l1_entries * 8ull + g->csize - 1) >> g->cbits, err);
	if (!r)
		r = own(q, h->reft_at, h->reft_clusters, err);
	if (!r && h->snapshots_at)
		r = own(q, h->snapshots_at, 1, err);
	for (uint32_t i = 0; i < h->l1_entries && !r; i++)
		if (g->l1[i] & QC_OFFSET)
			r = own(q, g->l1[i] & QC_OFFSET, 1, err);
	for (uint64_t i = 0; i < q->reft_n && !r; i++)
		if (q->reft[i])
			r = own(q, q->reft[i], 1, err);
	return r;
}

/* Features that only hold as long as whoever writes knows them: a dirty bitmap, say. */
static int clear_autoclear(struct qcow2 *q, struct err *err)
{
	int r = qc_pread(&q->img[0], q->page, QC_PAGE, 0);

	if (!r) {
		memset(q->page + QCOW2_AUTOCLEAR_AT, 0, 8);
		r = qc_pwrite(q, q->page, QC_PAGE, 0);
	}
	if (!r)
		r = qc_fdatasync(q);
	return r < 0 ? err_sys(err, -r, "%s: cannot write the header of %s", q->o.what, q->chain.m[0].path) : 0;
}

static int load_for_writing(struct qcow2 *q, struct err *err)
{
	struct qc_image *g = &q->img[0];
	const struct qcow2_head *h = &g->m->head;
	void *cow = NULL;

	q->reft_at = h->reft_at;
	q->reft_clusters = h->reft_clusters;
	q->reft_n = (uint64_t)h->reft_clusters << (g->cbits - 3);
	int r = read_table(g, h->reft_at, q->reft_n, &q->reft);
	if (!r && !q->cow && posix_memalign(&cow, QC_PAGE, g->csize))
		r = -ENOMEM;
	if (cow)
		q->cow = cow;
	if (!r && !q->frees && !(q->frees = calloc(QC_FREES_MAX, sizeof(*q->frees))))
		r = -ENOMEM;
	if (!r && !(q->l1_dirty = calloc(h->l1_entries * 8ull / QC_PAGE + 1, sizeof(*q->l1_dirty))))
		r = -ENOMEM;
	if (r < 0)
		return err_sys(err, -r, "%s: cannot read the tables of %s", q->o.what, g->m->path);
	for (uint64_t i = 0; i < q->reft_n; i++) {
		q->reft[i] &= ~511ull;
		if (q->reft[i] % g->csize || q->reft[i] >= g->file_end)
			return damaged(q, 0, "a refcount block is not in the file", err);
	}
	r = own_tables(q, err);
	q->hint = 1;
	q->grown = false;
	q->fresh_at = (g->file_end + g->csize - 1) & ~(g->csize - 1);
	if (!r && h->version == 3 && h->autoclear)
		r = clear_autoclear(q, err);
	return r;
}

int qc_load(struct qcow2 *q, struct err *err)
{
	int r = 0;

	q->wait = false;
	for (unsigned i = 0; i < q->chain.n && !r; i++) {
		struct qc_image *g = &q->img[i];
		if (g->qcow2)
			r = read_again(q, i, err);
		g->file_end = g->m->file_bytes;
		if (!r && g->qcow2)
			r = load_l1(q, i, err);
		g->plain_entry = 0;
	}
	if (!r && q->o.writable)
		r = load_for_writing(q, err);
	q->wait = true;
	if (r < 0) {
		qc_unload(q);
		return r;
	}
	pthread_mutex_lock(&q->map);
	q->loaded = true;
	pthread_mutex_unlock(&q->map);
	return 0;
}

void qc_unload(struct qcow2 *q)
{
	pthread_mutex_lock(&q->map);
	q->loaded = false;
	for (unsigned i = 0; i < q->chain.n; i++) {
		free(q->img[i].l1);
		q->img[i].l1 = NULL;
		qc_cache_clear(&q->img[i].cache);
	}
	pthread_mutex_unlock(&q->map);
	free(q->reft);
	q->reft = NULL;
	free(q->l1_dirty);
	q->l1_dirty = NULL;
	q->any_l1_dirty = false;
	q->n_frees = 0;
	qc_set_done(&q->own);
	atomic_store(&q->dirty, false);
}
