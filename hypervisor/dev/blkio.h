/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Asynchronous disk I/O for virtio block: io_uring where the host allows it, and one worker thread for the rest (no io_uring,
 * short transfers, buffers that O_DIRECT refuses, discard and zeroing). One per domain.
 * Threading: all functions on the io thread, or on any one thread before it starts.
 */
#ifndef HOSPES_HYPERVISOR_DEV_BLKIO_H
#define HOSPES_HYPERVISOR_DEV_BLKIO_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>
#include "common/cleanup.h"
#include "clusterd/guard/deadline.h"
#include "common/err.h"
#include "common/loop.h"

struct blkio;

enum blkio_op { BLKIO_READ, BLKIO_WRITE, BLKIO_FLUSH, BLKIO_DISCARD, BLKIO_ZERO };

struct blkio_req {
	enum blkio_op op;
	int fd;                  /* borrowed until done */
	const struct iovec *iov; /* borrowed until done; READ, WRITE */
	unsigned n_iov;
	uint64_t offset, bytes;                     /* in the file */
	bool dsync;                                 /* WRITE: stable before done */
	bool bounce;                                /* READ, WRITE: the buffers are not aligned for O_DIRECT */
	bool may_unmap;                             /* ZERO: a hole is fine */
	void (*done)(struct blkio_req *r, int res); /* io thread; 0: all transferred, or -errno */
	struct blkio_req *next;                     /* blkio's own */
	int res;
};

int blkio_new(struct loop *l, struct blkio **ret, struct err *err) _must_check_;
int blkio_start(struct blkio *b, struct err *err) _must_check_; /* the worker thread */
void blkio_free(struct blkio *b); /* takes NULL; nothing may be in flight, but see blkio_wait() */
/*
 * Nothing that is ordered reaches a disk while @page says that this host's lease is over: it is held back, and goes on if there is another
 * lease. What the kernel has by then it may finish. @page is borrowed; before the first request.
 */
void blkio_guard(struct blkio *b, const struct deadline_page *page);
/* From now on what is held back fails (-ECANCELED) instead of waiting: the domain ends. Any thread. */
void blkio_drop_held(struct blkio *b);

void blkio_submit(struct blkio *b, struct blkio_req *r); /* owned by blkio until done() */
void blkio_kick(struct blkio *b);                        /* hand submitted requests to the kernel */
/*
 * While @on a kick is left to the loop's next turn. Kernels before 6.12 may keep whoever submits a write while its file system is frozen:
 * what the main thread waits for must not run into that.
 */
void blkio_defer(struct blkio *b, bool on);
/* Wait for at least one request to end and run the done() of all that did. False: what is left will never end. */
bool blkio_wait(struct blkio *b);
bool blkio_uses_uring(const struct blkio *b);

#endif
