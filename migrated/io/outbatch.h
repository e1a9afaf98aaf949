/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The batch builder of the source's data plane: pages go in, frames come out. It leaves out pages that the target has already,
 * notes runs, and compresses when that pays. One builder per worker thread; it knows no socket, lock or clock (outpipe.c has them).
 */
#ifndef HOSPES_MIGRATED_IO_OUTBATCH_H
#define HOSPES_MIGRATED_IO_OUTBATCH_H

#include "migrated/core/window.h"
#include "migrated/io/outpipe.h"
#include "migrated/io/wire.h"

#define BATCH_PAGES 64u /* 256 KiB: stays in the second-level cache between copy, hash and seal */
#define BATCH_BYTES (BATCH_PAGES * PAGE_BYTES)

struct outbatch_ops {
	/* Take a frame: all of @f but its seq is set, @data is valid until return. 0 or -errno, which goes to the builder's caller. */
	int (*send)(void *arg, struct wire_frame *f, const void *data, size_t len);
	/* Does the wire hold the pass up, rather than the processor? Asked for OUT_COMPRESS_AUTO only. */
	bool (*wire_bound)(void *arg);
};

struct outbatch {
	const struct outbatch_ops *ops;
	void *arg;
	const struct mig_window *win; /* bounds a frame's octets */
	enum out_compress compress;
	unsigned skip, skip_next; /* batches sent raw before the next lz4 trial; after one that does not pay */
	struct wire_frame frame;  /* being built */
	uint64_t run_end;         /* page after the last run */
	uint8_t *raw, *comp;      /* BATCH_BYTES each */
	/* pages since the start; other threads may read them */
	_Atomic uint64_t n_data, n_zero, n_same;
};

/* @ops, @arg and @win are borrowed and outlive @b. -ENOMEM; outbatch_done() is needed after failure too. */
int outbatch_init(struct outbatch *b, const struct outbatch_ops *ops, void *arg, const struct mig_window *win,
                  enum out_compress compress, uint64_t session, unsigned stream) _must_check_;
void outbatch_done(struct outbatch *b); /* takes one that is all zeros */

/* What a page is known by; 0: all zeros. */
uint64_t outbatch_hash(const void *page);

/*
 * Add page @page of @region, which stands at @src. @hash: what the target has there (outbatch_hash()), brought up to date. A page
 * that the target has is left out. The guest may write to @src meanwhile: what is hashed is what is sent. @still: the guest is stopped.
 */
int outbatch_page(struct outbatch *b, unsigned region, uint64_t page, const uint8_t *src, uint64_t *hash,
                  bool still) _must_check_;
/* Add a page that is a hole, or reads as zeros. */
int outbatch_zero(struct outbatch *b, unsigned region, uint64_t page, uint64_t *hash) _must_check_;
/* From now on pages go to dense memory of the target, or not: one frame never has both. */
int outbatch_dense(struct outbatch *b, bool dense) _must_check_;
/* Send what is there. A batch that is full is sent without; one frame never has pages of two regions, so flush between them. */
int outbatch_flush(struct outbatch *b) _must_check_;
/* Send the first @len octets of b->raw as a piece of the guest's state, at @offset. The batch must be empty. */
int outbatch_state(struct outbatch *b, uint64_t offset, size_t len) _must_check_;

#endif
