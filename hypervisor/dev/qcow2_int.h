/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Shared by qcow2*.c. Two locks: `op` is held for a whole operation that reads or changes tables, I/O included, by the
 * worker or by a helper thread, so there is one at a time. `map` is held for moments, by whoever looks at tables or
 * changes them in memory; the io thread takes only that one. Only the holder of `op` changes anything, so it may read
 * without `map`.
 *
 * The order of writes is what keeps an image consistent (ADR 81):
 *   refcounts that grew, data  |sync|  L2 entries  |sync|  L1 entries  |sync|  refcounts that shrink
 * Anything in front of a sync may reach the disk in any order. A cluster is not used again before the sync behind what
 * named it.
 */
#ifndef HOSPES_HYPERVISOR_DEV_QCOW2_INT_H
#define HOSPES_HYPERVISOR_DEV_QCOW2_INT_H

#include <endian.h>
#include <pthread.h>
#include <stdatomic.h>
#include "hypervisor/dev/qcow2.h"

#define QC_PAGE        4096u /* tables are read, cached and written in such pieces */
/*
 * Pages of an image's tables in memory: 1 MiB, L2 entries of 8 GiB with clusters of 64 KiB. As many as a queue has
 * requests, so that no request's page is gone again before it was looked at.
 */
#define QC_PAGES       256u
#define QC_BUCKETS     256u
#define QC_FREES_MAX   4096u
#define QC_GROW        (16ull << 20) /* the file is made longer by so much at once */
#define QC_NONE        UINT16_MAX

#define QC_OFFSET 0x00fffffffffffe00ull
#define QC_COPIED (1ull << 63) /* nobody else names this cluster */
#define QC_PACKED (1ull << 62)
#define QC_ZERO   1ull

enum qc_page_kind { QC_PAGE_L2, QC_PAGE_REF };

struct qc_page {
	uint64_t at; /* file offset, 0: unused */
	uint64_t used;
	uint16_t next; /* in its bucket */
	bool dirty;
	enum qc_page_kind kind;
};

struct qc_cache {
	struct qc_page *page; /* owned, n of them */
	uint8_t *data;        /* owned, QC_PAGE for each, aligned */
	unsigned n;
	uint16_t bucket[QC_BUCKETS];
	uint64_t clock;
};

/* A set of cluster numbers: the tables of a writable image, which no data may overwrite. */
struct qc_set {
	uint64_t *slot; /* owned, cluster + 1, 0: free */
	size_t size, n; /* size: a power of two */
	uint64_t seed;
};

struct qc_image {
	const struct img_member *m; /* borrowed */
	bool qcow2, direct;
	unsigned cbits;
	uint64_t csize;
	uint64_t size;     /* of its virtual disk */
	uint64_t file_end; /* what is behind reads as zeros */
	uint64_t *l1;      /* owned, in host order */
	struct qc_cache cache;
	uint8_t *plain; /* owned: the cluster that was decompressed last; under op */
	uint64_t plain_entry;
};

struct qc_run {
	uint64_t cluster, n;
};

struct qreq;

struct qcow2 {
	struct imgchain chain; /* owned */
	struct qcow2_opts o;
	struct qc_image img[IMGCHAIN_MAX];

	pthread_mutex_t op, map;
	bool loaded;            /* under map: the tables are there and ours */
	bool wait;              /* under op: writes wait for a lease */
	int failed;             /* errno of a sync that failed: tables are not written any more */
	atomic_int sync_failed; /* the same, found by the io thread */
	atomic_bool dirty;
	bool *l1_dirty;         /* owned, one for each QC_PAGE of the L1 table */
	bool any_l1_dirty;
	uint64_t *reft; /* owned, in host order */
	uint64_t reft_n;
	uint64_t reft_at;
	uint32_t reft_clusters;
	struct qc_set own;
	uint64_t hint;      /* no cluster below is free */
	uint64_t fresh_at;  /* from this file offset on nothing was ever written */
	bool grown;         /* the file is longer than that */
	struct qc_run *frees; /* owned: clusters that lose a reference with the next flush */
	size_t n_frees;
	uint8_t *cow;  /* owned, a cluster, aligned */
	uint8_t *page; /* owned, QC_PAGE, aligned */

	struct qreq *first, **last; /* in the order of their arrival */
	struct qreq *spare;
	unsigned n_spare, n_waiting;
};

/* A piece of the virtual disk, in one place. */
enum qc_kind {
	QC_IS_ZERO,
	QC_IS_DATA, /* at @at in image @img */
	QC_IS_SLOW, /* only qc_read() can read it */
	QC_IS_AWAY  /* the table's page at @at in image @img is not in memory: qc_load_page() */
};
struct qc_ext {
	enum qc_kind kind;
	unsigned img;
	uint64_t at, bytes;
	uint64_t entry; /* SLOW: of a compressed cluster, 0: it is the file's end */
	bool in_place;  /* may be overwritten where it is */
};

static inline void *qc_data(struct qc_cache *c, const struct qc_page *p)
{
	return c->data + (size_t)(p - c->page) * QC_PAGE;
}

/* qcow2_cache.c ---------------------------------------------------------------------------------------------------- */
int qc_cache_init(struct qc_cache *c, unsigned n) _must_check_;
void qc_cache_done(struct qc_cache *c);
void qc_cache_clear(struct qc_cache *c);
struct qc_page *qc_cache_find(struct qc_cache *c, uint64_t at); /* NULL: it is not there. Under map */
/* Under op: the page that has been used least of those that @c can give up without a write, NULL: there is none. */
struct qc_page *qc_cache_victim(struct qc_cache *c);
void qc_cache_put(struct qc_cache *c, struct qc_page *p, uint64_t at, enum qc_page_kind kind, const void *data);
void qc_cache_drop(struct qc_cache *c, uint64_t at, uint64_t bytes); /* forget the pages there */
bool qc_set_has(const struct qc_set *s, uint64_t v);
int qc_set_add(struct qc_set *s, uint64_t v) _must_check_; /* -EEXIST, -ENOMEM */
void qc_set_del(struct qc_set *s, uint64_t v);
void qc_set_done(struct qc_set *s);

/* qcow2_read.c: without changing anything -------------------------------------------------------------------------- */
/* Under map or op: the L2 entry of octet @off in image @img. 1; 0: its page is at *@ret and not in memory; -EUCLEAN. */
int qc_entry(struct qcow2 *q, unsigned img, uint64_t off, uint64_t *ret) _must_check_;
/*
 * Under map: where octet @off of the disk is, seen from image @from down, at most @bytes octets. 0, -EUCLEAN, -EPERM.
 */
int qc_map(struct qcow2 *q, unsigned from, uint64_t off, uint64_t bytes, struct qc_ext *ret) _must_check_;
/* Under map: the same for a write. Either DATA that is in place, or ZERO that is not, or AWAY. */
int qc_map_write(struct qcow2 *q, uint64_t off, uint64_t bytes, struct qc_ext *ret) _must_check_;
/* Under op, and not map, are the following. */
/* As qc_map(), but never AWAY. */
int qc_map_op(struct qcow2 *q, unsigned from, uint64_t off, uint64_t bytes, struct qc_ext *ret) _must_check_;
int qc_pread(const struct qc_image *g, void *buf, size_t len, uint64_t at) _must_check_; /* zeros behind the end */
int qc_load_page(struct qcow2 *q, unsigned img, uint64_t at, enum qc_page_kind kind) _must_check_;
/* The page at @at, loaded if need be; valid until the next one is. */
int qc_page_get(struct qcow2 *q, unsigned img, uint64_t at, enum qc_page_kind kind, struct qc_page **ret) _must_check_;
int qc_entry_op(struct qcow2 *q, uint64_t off, uint64_t *ret) _must_check_; /* of the disk's own image; never away */
/* Read the disk into @buf; @off, @len and @buf are multiples of 512. */
int qc_read(struct qcow2 *q, uint64_t off, void *buf, size_t len) _must_check_;
/* Read a piece that is SLOW: *@ret is where its octets are, until the next call. */
int qc_read_slow(struct qcow2 *q, const struct qc_ext *e, uint64_t off, const uint8_t **ret) _must_check_;
/* Whether @len octets from @off on read as zeros without a look at data: 1, 0, -errno. */
int qc_is_zero(struct qcow2 *q, uint64_t off, uint64_t len) _must_check_;

/* qcow2_load.c ----------------------------------------------------------------------------------------------------- */
int qc_load(struct qcow2 *q, struct err *err) _must_check_; /* under op */
void qc_unload(struct qcow2 *q);                            /* under op */

/* qcow2_alloc.c: all under op -------------------------------------------------------------------------------------- */
int qc_pwrite(struct qcow2 *q, const void *buf, size_t len, uint64_t at) _must_check_;
int qc_fdatasync(struct qcow2 *q) _must_check_; /* a failure is kept: nothing may name data that may be lost */
/*
 * Find up to @n clusters one behind the other and count a reference each. *@ret: the first one's file offset. Returns
 * how many, -errno.
 */
int64_t qc_alloc(struct qcow2 *q, uint64_t n, uint64_t *ret) _must_check_;
void qc_unalloc(struct qcow2 *q, uint64_t at, uint64_t n); /* take back what no table names yet */
/* These are a table's, or not any more. What was there before is not in memory any more. -EUCLEAN, -ENOMEM. */
int qc_own_clusters(struct qcow2 *q, uint64_t first, uint64_t n) _must_check_;
void qc_disown_clusters(struct qcow2 *q, uint64_t first, uint64_t n);
int qc_ref_add(struct qcow2 *q, uint64_t cluster, int by, uint16_t *ret) _must_check_;
/*
 * The page with the L2 entry of octet @off, in a table that only we use. It is valid until the next call that loads a
 * page.
 */
int qc_l2_page(struct qcow2 *q, uint64_t off, struct qc_page **ret) _must_check_;
/* Write page @page (of QC_PAGE) of the table at @at, whose @n numbers are in host order. */
int qc_write_table_page(struct qcow2 *q, const uint64_t *table, uint64_t n, uint64_t at, uint64_t page) _must_check_;
int qc_set_entry(struct qcow2 *q, uint64_t off, uint64_t entry) _must_check_; /* what it named before is freed later */
void qc_free_later(struct qcow2 *q, uint64_t cluster, uint64_t n);

/* qcow2_flush.c: under op ------------------------------------------------------------------------------------------ */
int qc_flush(struct qcow2 *q, bool all) _must_check_; /* data and tables; @all: refcounts that shrink, too */
void qc_trim_file(struct qcow2 *q); /* a file that was made longer ends behind its last cluster again */
int qc_write_dirty(struct qcow2 *q, enum qc_page_kind kind) _must_check_;

/* qcow2_write.c: under op ------------------------------------------------------------------------------------------ */
/*
 * Clusters for @bytes octets from @off on, which are not in place, or as many of them as there are in one piece:
 * *@ret_at, where octet @off is to be written, and *@ret_bytes. What the clusters hold besides is copied. qc_link()
 * makes them part of the disk.
 */
int qc_prepare(struct qcow2 *q, uint64_t off, uint64_t bytes, uint64_t *ret_at, uint64_t *ret_bytes) _must_check_;
int qc_link(struct qcow2 *q, uint64_t off, uint64_t bytes, uint64_t at) _must_check_;
void qc_give_up(struct qcow2 *q, uint64_t off, uint64_t bytes, uint64_t at);
/* Discard, or write zeroes. */
int qc_clear(struct qcow2 *q, uint64_t off, uint64_t bytes, bool zero, bool unmap) _must_check_;

#endif
