/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What becomes of a block request that failed: the guest is told, or it is not, or the request is held back and the domain stands still
 * until it can be done (hospes-domain(5), error_policy; ADR 65). Requests are held as the heads of their chains: the chains stay in guest
 * memory, taken and unanswered, so that a saved state can carry them. Threading: the io thread; blkerr_why() on any.
 */
#ifndef HOSPES_HYPERVISOR_DEV_BLKERR_H
#define HOSPES_HYPERVISOR_DEV_BLKERR_H

#include <stdatomic.h>
#include "common/buf.h"
#include "hypervisor/dev/blkio.h"
#include "hypervisor/api/domcfg.h"

#define BLKERR_HELD_MAX 256u /* as many as a queue can have */

enum blkerr_verdict { BLKERR_REPORT, BLKERR_IGNORE, BLKERR_HOLD };

/*
 * By the disk's policy; @res is -errno. A failed flush is always reported: after it the kernel takes the pages that it could not write for
 * clean, so a second flush that succeeds would promise what is not true.
 */
enum blkerr_verdict blkerr_judge(const struct dom_disk *cfg, enum blkio_op op, int res);

struct blkerr_held {
	uint16_t head[BLKERR_HELD_MAX]; /* in the order of their failures */
	unsigned n;
	bool probing;   /* head[0] is being tried; it stays in the list until it succeeds */
	atomic_int err; /* errno of the last failure while any are held, 0: none are */
};

void blkerr_hold(struct blkerr_held *h, uint16_t head, int res);
void blkerr_probe_done(struct blkerr_held *h, int res); /* 0: head[0] leaves the list */
void blkerr_clear(struct blkerr_held *h);
static inline int blkerr_why(const struct blkerr_held *h)
{
	return atomic_load(&h->err);
}

/* State: docs/wire/devstate.md. Nothing is written when nothing is held. */
void blkerr_save(const struct blkerr_held *h, struct buf *out);
/* -EINVAL: impossible. @in at its end: none are held. */
int blkerr_load(struct blkerr_held *h, struct rd *in, bool commit) _must_check_;

#endif
