/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What only memory knows of a qcow2 image goes to the disk, in the order of qcow2_int.h. All under `op`. */
#include "config.h"
#include "hypervisor/dev/qcow2_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

static int by_place(const void *a, const void *b)
{
	const struct qc_page *x = *(struct qc_page *const *)a, *y = *(struct qc_page *const *)b;

	return x->at < y->at ? -1 : x->at > y->at;
}

int qc_write_dirty(struct qcow2 *q, enum qc_page_kind kind)
{
	struct qc_cache *c = &q->img[0].cache;
	struct qc_page *p[QC_PAGES];
	unsigned n = 0;
	int r = 0;

	for (unsigned i = 0; i < c->n; i++)
		if (c->page[i].dirty && c->page[i].kind == kind)
			p[n++] = &c->page[i];
	if (n)
		qsort(p, n, sizeof(p[0]), by_place);
	for (unsigned i = 0; i < n && !r; i++) {
		r = qc_pwrite(q, qc_data(c, p[i]), QC_PAGE, p[i]->at);
		if (!r)
			p[i]->dirty = false;
	}
	return r;
}

static bool any_dirty(const struct qcow2 *q, enum qc_page_kind kind)
{
	const struct qc_cache *c = &q->img[0].cache;

	for (unsigned i = 0; i < c->n; i++)
		if (c->page[i].dirty && c->page[i].kind == kind)
			return true;
	return false;
}

static int write_l1(struct qcow2 *q)
{
	const struct qcow2_head *h = &q->chain.m[0].head;
	uint64_t pages = h->l1_entries * 8ull / QC_PAGE + 1, n = pages * (QC_PAGE / 8);
	int r = 0;

	for (uint64_t i = 0; i < pages && !r; i++) {
		if (!q->l1_dirty[i])
			continue;
		r = qc_write_table_page(q, q->img[0].l1, n, h->l1_at, i);
		if (!r)
			q->l1_dirty[i] = false;
	}
	if (!r)
		q->any_l1_dirty = false;
	return r;
}

static void punch(struct qcow2 *q, uint64_t cluster, uint64_t n)
{
	unsigned cbits = q->img[0].cbits;

	/* the space is wanted, not needed */
	if (n && q->o.punch && !blkio_may_write(q->o.blkio, q->wait))
		(void)!fallocate(q->chain.m[0].fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE,
		                 (off_t)(cluster << cbits), (off_t)(n << cbits));
}

/* Nothing on disk names them any more. */
static int free_run(struct qcow2 *q, struct qc_run run)
{
	uint64_t unused = 0;
	int ret = 0;

	for (uint64_t i = 0; i < run.n; i++) {
		uint64_t c = run.cluster + i;
		uint16_t left = 1;
		int r = qc_set_has(&q->own, c) ? -EUCLEAN : qc_ref_add(q, c, -1, &left);
		if (r < 0)
			ret = r;
		if (!left) {
			unused++;
			if (c < q->hint)
				q->hint = c;
			continue;
		}
		punch(q, c - unused, unused);
		unused = 0;
	}
	punch(q, run.cluster + run.n - unused, unused);
	return ret;
}

static int free_all(struct qcow2 *q)
{
	int ret = 0;

	/* whatever comes of them, they are done: what cannot be freed is lost, not damaged */
	while (q->n_frees) {
		int r = free_run(q, q->frees[--q->n_frees]);
		if (r < 0)
			ret = r;
	}
	return ret;
}

static int flush_once(struct qcow2 *q)
{
	bool l2, more;
	int r = qc_write_dirty(q, QC_PAGE_REF);

	if (!r)
		r = qc_fdatasync(q);
	l2 = any_dirty(q, QC_PAGE_L2);
	more = l2 || q->any_l1_dirty;
	if (!r && l2)
		r = qc_write_dirty(q, QC_PAGE_L2);
	if (!r && l2 && q->any_l1_dirty)
		r = qc_fdatasync(q);
	if (!r && q->any_l1_dirty)
		r = write_l1(q);
	if (!r && more)
		r = qc_fdatasync(q);
	return r < 0 ? r : free_all(q);
}

int qc_flush(struct qcow2 *q, bool all)
{
	int r;

	if (!q->failed)
		q->failed = atomic_load(&q->sync_failed);
	if (q->failed)
		return -q->failed;
	do {
		r = flush_once(q);
		atomic_store(&q->dirty, r < 0 || q->n_frees || q->any_l1_dirty || any_dirty(q, QC_PAGE_REF) ||
		                                any_dirty(q, QC_PAGE_L2));
	} while (!r && all && atomic_load(&q->dirty));
	return r;
}
