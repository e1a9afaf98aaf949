/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Shared by nblk.c (what is done, and what becomes of failures) and nblk_conn.c (QEMU's connection). Threading: the io thread.
 */
#ifndef HOSPES_HYPERVISOR_DEV_NBLK_INT_H
#define HOSPES_HYPERVISOR_DEV_NBLK_INT_H

#include "hypervisor/dev/blkdisk_int.h"
#include "hypervisor/dev/nbd.h"
#include "hypervisor/dev/nblk.h"

#define NBLK_REQS      16u        /* QEMU has no more under way */
#define NBLK_BLOCK_MAX (1u << 20) /* octets of one transfer */

enum phase { PH_FLAGS, PH_OPTIONS, PH_REQUESTS };

struct nreq {
	struct blkio_req io; /* first: done() finds the request */
	struct nblk *b;
	struct nreq *next; /* free, or an answer that waits */
	struct nbd_request q;
	struct iovec data; /* owned, NULL: none */
	unsigned conn;     /* the connection that it came by */
	uint64_t writes;     /* FLUSH: that had ended before */
	bool queued;       /* its answer waits */
	bool probe;        /* it is b->held, or was, and is being tried */
	uint8_t answer[NBD_REPLY_BYTES];
	size_t answer_bytes, sent; /* with its data; of both */
};

struct nblk {
	struct blkdisk d; /* first */
	atomic_bool owned;
	int listen_fd, sock; /* owned, -1: none */
	struct loop_fd *listen_src, *sock_src;
	unsigned conn; /* counts connections */
	enum phase phase;
	unsigned options;
	uint8_t in[NBD_OPTION_BYTES + NBD_OPTION_MAX];
	size_t in_len;
	uint8_t out[NBD_ANSWER_MAX]; /* of the negotiation */
	size_t out_len;
	struct nreq req[NBLK_REQS], *free, *first, **last; /* answers that wait, in their order */
	struct nreq *arriving;                        /* what it writes is being read */
	uint64_t writes, flushed;                     /* that have ended; of them, those that a flush has covered */
	size_t arrived, bytes;                        /* of that; of all transfers */
	struct nreq *held;                            /* the copy of a request that QEMU keeps; NULL: none */
	bool probing;                                 /* it is being tried */
	atomic_int held_err;                          /* errno of a request that QEMU keeps, 0: none */
};

static inline struct nblk *nblk_of(const struct vdev *v)
{
	return (struct nblk *)v;
}
extern const struct vdev_ops nblk_ops;
extern const struct vdev_transport_ops nblk_transport; /* of a disk without rings */

/* nblk.c */
void nblk_handle(struct nreq *x);  /* it has arrived whole: do it, or answer it */
void nblk_put_req(struct nreq *x); /* it is free again, unless its answer waits or it is held */
void nblk_drop_held(struct nblk *b);

/* nblk_conn.c */
void nblk_hang_up(struct nblk *b); /* QEMU is gone; the next one may come */
void nblk_pump(struct nblk *b);    /* send answers, take requests, as far as it goes */

#endif
