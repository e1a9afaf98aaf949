/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Asynchronous disk I/O for virtio block, one per domain: io_uring where the host allows it, and one worker thread for the rest (no
 * io_uring, short transfers, buffers that O_DIRECT refuses, discard and zeroing).
 * Threading: the io thread, or any one thread before it starts, except where a function says otherwise.
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

enum blkio_op { BLKIO_READ, BLKIO_WRITE, BLKIO_FLUSH, BLKIO_DISCARD, BLKIO_ZERO, BLKIO_CALL };

struct blkio_req {
	enum blkio_op op;
	int fd;                  /* borrowed until done */
	const struct iovec *iov; /* borrowed until done; READ, WRITE */
	unsigned n_iov;
	uint64_t offset, bytes;                     /* in the file */
	bool dsync;                                 /* WRITE, ZERO: on stable storage before done() */
	bool bounce;                                /* READ, WRITE: the buffers are not aligned for O_DIRECT */
	bool may_unmap;                             /* ZERO: may punch a hole */
	int (*call)(struct blkio_req *r);           /* CALL: run on the worker thread; returns done()'s @res */
	void (*done)(struct blkio_req *r, int res); /* on the io thread; @res 0: all octets are transferred, or -errno */
	struct blkio_req *next;                     /* blkio's own, as is res */
	int res;
};

int blkio_new(struct loop *l, struct blkio **ret, struct err *err) _must_check_;
int blkio_start(struct blkio *b, struct err *err) _must_check_; /* start the worker thread */
void blkio_free(struct blkio *b); /* takes NULL; no request may be in flight, except after blkio_wait() was false */
/*
 * While @page (borrowed) says that this host's lease has expired, no request goes to the kernel: it waits for a new lease. The kernel may
 * finish the requests that it has already. Call before the first request.
 */
void blkio_guard(struct blkio *b, const struct deadline_page *page);
/* The domain ends: from now on requests that wait for a lease fail with -ECANCELED. Any thread. */
void blkio_drop_held(struct blkio *b);

void blkio_submit(struct blkio *b, struct blkio_req *r); /* owned by blkio until done() */
/* Have done(@r, @res) called as if the worker had done it: not before this call returns. */
void blkio_finish(struct blkio *b, struct blkio_req *r, int res);
/*
 * Asked by a call right before each system call that changes a disk. With @wait it waits for a lease. -ECANCELED: the domain ends;
 * -ETIME: the lease is over. Any thread but the io thread.
 */
int blkio_may_write(struct blkio *b, bool wait) _must_check_;
void blkio_kick(struct blkio *b);                        /* hand submitted requests to the kernel */
/*
 * While @on, kicks are left to the loop's next turn. Kernels before 6.12 block a thread that submits a write to a frozen file system, and
 * the main thread must not wait for such a thread.
 */
void blkio_defer(struct blkio *b, bool on);
/* Wait until at least one request has ended, and call done() for each that has. False: the requests in flight will never end. */
bool blkio_wait(struct blkio *b);
bool blkio_uses_uring(const struct blkio *b);

#endif
