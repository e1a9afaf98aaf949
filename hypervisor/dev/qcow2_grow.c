/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A qcow2 disk grows: a new L1 table, stable before the header names it together with the new size, in one sector. A cut before that leaves
 * the old disk and leaks. Under `op`; see qcow2_int.h.
 */
#include "config.h"
#include "hypervisor/dev/qcow2_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CLUSTERS_MAX 1024u /* of the new table, in one piece */
#define PIECES_MAX   64u   /* that are too short for it */

/* @n clusters in one piece. */
static int alloc_whole(struct qcow2 *q, uint64_t n, uint64_t *ret)
{
	struct {
		uint64_t at, n;
	} lost[PIECES_MAX];
	unsigned k = 0;
	int64_t got = 0;

	while (k < PIECES_MAX) {
		got = qc_alloc(q, n, ret);
		if (got < 0 || (uint64_t)got == n)
			break;
		lost[k].at = *ret;
		lost[k++].n = (uint64_t)got;
	}
	while (k)
		k--, qc_unalloc(q, lost[k].at, lost[k].n);
	return got < 0 ? (int)got : (uint64_t)got == n ? 0 : -EFBIG;
}

static int write_header(struct qcow2 *q, uint64_t size, uint32_t entries, uint64_t at)
{
	uint64_t be_size = htobe64(size), be_at = htobe64(at);
	uint32_t be_entries = htobe32(entries);
	int r = qc_pread(&q->img[0], q->page, QC_PAGE, 0);

	if (r < 0)
		return r;
	memcpy(q->page + QCOW2_SIZE_AT, &be_size, sizeof(be_size));
	memcpy(q->page + QCOW2_L1_AT, &be_entries, sizeof(be_entries));
	memcpy(q->page + QCOW2_L1_AT + 4, &be_at, sizeof(be_at));
	r = qc_pwrite(q, q->page, QC_PAGE, 0);
	if (!r)
		r = qc_fdatasync(q);
	if (r < 0 && !q->failed)
		q->failed = -r; /* which table counts is not known: nothing is written to either */
	return r;
}

/* What the new table needs in memory. */
struct fresh {
	uint64_t *l1;
	bool *dirty;
	uint64_t pages, clusters, at;
	uint32_t entries;
};

static int prepare(struct qcow2 *q, uint64_t bytes, struct fresh *f)
{
	const struct qc_image *g = &q->img[0];
	uint64_t per = g->csize * (g->csize / 8), need = bytes / per + (bytes % per != 0);
	void *p = NULL;

	if (need > QCOW2_TABLE_MAX / 8)
		return -EFBIG;
	f->entries = (uint32_t)need;
	f->pages = need * 8 / QC_PAGE + 1;
	f->clusters = (need * 8 + g->csize - 1) >> g->cbits;
	if (f->clusters > CLUSTERS_MAX)
		return -EFBIG;
	f->dirty = calloc(f->pages, sizeof(*f->dirty));
	if (!f->dirty || posix_memalign(&p, QC_PAGE, f->pages * QC_PAGE))
		return -ENOMEM;
	f->l1 = p;
	memset(p, 0, f->pages * QC_PAGE);
	memcpy(p, g->l1, g->m->head.l1_entries * 8ull);
	return alloc_whole(q, f->clusters, &f->at);
}

static int write_table(struct qcow2 *q, const struct fresh *f)
{
	uint64_t pages = (f->clusters << q->img[0].cbits) / QC_PAGE;
	int r = 0;

	for (uint64_t i = 0; i < pages && !r; i++)
		r = qc_write_table_page(q, f->l1, f->entries, f->at, i);
	return r ? r : qc_flush(q, false); /* refcounts that grew, and a sync */
}

static void take_over(struct qcow2 *q, uint64_t bytes, struct fresh *f)
{
	struct qc_image *g = &q->img[0];
	struct img_member *m = &q->chain.m[0];
	uint64_t old = m->head.l1_at >> g->cbits, n = (m->head.l1_entries * 8ull + g->csize - 1) >> g->cbits;

	pthread_mutex_lock(&q->map);
	uint64_t *l1 = g->l1;
	g->l1 = f->l1;
	f->l1 = l1;
	g->size = m->size = m->head.size = bytes;
	m->head.l1_at = f->at;
	m->head.l1_entries = f->entries;
	pthread_mutex_unlock(&q->map);
	free(q->l1_dirty);
	q->l1_dirty = f->dirty;
	f->dirty = NULL;
	if (n) {
		qc_disown_clusters(q, old, n);
		qc_free_later(q, old, n);
	}
}

static int grow(struct qcow2 *q, uint64_t bytes)
{
	struct fresh f = { .at = 0 };
	int r = qc_flush(q, true); /* the old table is as memory has it */

	if (!r)
		r = prepare(q, bytes, &f);
	if (!r) {
		r = qc_own_clusters(q, f.at >> q->img[0].cbits, f.clusters);
		if (!r) {
			r = write_table(q, &f);
			if (r < 0)
				qc_disown_clusters(q, f.at >> q->img[0].cbits, f.clusters);
		}
		if (r < 0)
			qc_unalloc(q, f.at, f.clusters);
	}
	if (!r)
		r = write_header(q, bytes, f.entries, f.at);
	if (!r)
		take_over(q, bytes, &f);
	free(f.l1);
	free(f.dirty);
	return r < 0 ? r : qc_flush(q, true);
}

int qcow2_grow(struct qcow2 *q, uint64_t bytes)
{
	int r;

	pthread_mutex_lock(&q->op);
	q->wait = false;
	if (!q->loaded || !q->o.writable)
		r = -EPERM;
	else if (bytes < q->img[0].size)
		r = -EINVAL;
	else if (q->chain.m[0].head.snapshots_at)
		r = -EOPNOTSUPP;
	else
		r = bytes == q->img[0].size ? 0 : grow(q, bytes);
	q->wait = true;
	pthread_mutex_unlock(&q->op);
	return r;
}
