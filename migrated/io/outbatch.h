/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The batch builder of the source's data plane: pages in, frames out. It drops pages that the target has already, collects runs, and
 * compresses when that pays. One builder per worker thread, without sockets, locks or clocks (outpipe.c has them).
 */
#ifndef HOSPES_MIGRATED_IO_OUTBATCH_H
#define HOSPES_MIGRATED_IO_OUTBATCH_H

#include "migrated/core/window.h"
#include "migrated/io/outpipe.h"
#include "migrated/io/wire.h"

#define BATCH_PAGES 64u /* 256 KiB: fits the second-level cache between copy, hash and encryption */
#define BATCH_BYTES (BATCH_PAGES * PAGE_BYTES)

struct outbatch_ops {
	/* Send a frame. @f is complete except seq, @data is borrowed for the call. The builder's caller gets a failure, -errno. */
	int (*send)(void *arg, struct wire_frame *f, const void *data, size_t len);
	/* Is the wire the bottleneck, rather than the processor? Asked for OUT_COMPRESS_AUTO only. */
	bool (*wire_bound)(void *arg);
};

struct outbatch {
	const struct outbatch_ops *ops;
	void *arg;
	const struct mig_window *win; /* limits a frame's octets */
	enum out_compress compress;
	unsigned skip, skip_next; /* batches to send raw before lz4 is tried again; the same after the next trial that does not pay */
	struct wire_frame frame;  /* being built */
	uint64_t run_end;         /* page after the last run */
	uint8_t *raw, *comp;      /* BATCH_BYTES each */
	/* pages since the start: sent, sent as zeros, dropped; other threads may read them */
	_Atomic uint64_t n_data, n_zero, n_same;
	unsigned until_timed;             /* pages till one is timed again */
	_Atomic uint64_t copy_ns, hash_ns; /* of all pages, estimated from those that were timed */
};

/* @ops, @arg and @win are borrowed until outbatch_done(), which is needed after a failure, too. -ENOMEM. */
int outbatch_init(struct outbatch *b, const struct outbatch_ops *ops, void *arg, const struct mig_window *win,
                  enum out_compress compress, uint64_t session, unsigned stream) _must_check_;
void outbatch_done(struct outbatch *b); /* takes one that is all zeros */

/* The hash by which pages are compared; 0: the page is all zeros. */
uint64_t outbatch_hash(const void *page);

/*
 * Add page @page of @region, from @src. *@hash: outbatch_hash() of what the target has, updated. A page that the target has is dropped. The
 * guest may write to @src meanwhile, unless @still: what is hashed is what is sent.
 */
int outbatch_page(struct outbatch *b, unsigned region, uint64_t page, const uint8_t *src, uint64_t *hash,
                  bool still) _must_check_;
/* Add a page of zeros, or a hole. */
int outbatch_zero(struct outbatch *b, unsigned region, uint64_t page, uint64_t *hash) _must_check_;
/* The pages from now on go to memory of the target that is dense up to page @end; 0: it is not dense. A frame never has both kinds. */
int outbatch_dense(struct outbatch *b, uint64_t end) _must_check_;
/* Send the batch. A full one is sent by itself. A frame has pages of one region only: flush between regions. */
int outbatch_flush(struct outbatch *b) _must_check_;
/* Send the first @len octets of b->raw as a piece of the guest's state, at @offset. The batch must be empty. */
int outbatch_state(struct outbatch *b, uint64_t offset, size_t len) _must_check_;

#endif
