/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What becomes of a block request that failed: it is reported to the guest, ignored, or held while the domain stands still until it can be
 * done (hospes-domain(5), error_policy; ADR 65). A held request is kept as the head of its chain. The chain stays in guest memory, taken
 * and unanswered, so that a saved state can carry it. Threading: the io thread; blkerr_why() on any.
 */
#ifndef HOSPES_HYPERVISOR_DEV_BLKERR_H
#define HOSPES_HYPERVISOR_DEV_BLKERR_H

#include <stdatomic.h>
#include "common/buf.h"
#include "hypervisor/dev/blkio.h"
#include "hypervisor/api/domcfg.h"

#define BLKERR_HELD_MAX 256u /* VQ_SIZE_MAX */

enum blkerr_verdict { BLKERR_REPORT, BLKERR_IGNORE, BLKERR_HOLD };

/*
 * Apply the disk's policy to a request that failed with @res (-errno). A failed flush is always reported: the kernel marks the pages that
 * it could not write as clean, so a second flush would succeed although the data is lost.
 */
enum blkerr_verdict blkerr_judge(const struct dom_disk *cfg, enum blkio_op op, int res);

struct blkerr_held {
	uint16_t head[BLKERR_HELD_MAX]; /* in the order of their failures */
	unsigned n;
	bool probing;   /* head[0] is being tried again; it stays in the list until it succeeds */
	atomic_int err; /* errno of the last failure, 0: no request is held */
};

void blkerr_hold(struct blkerr_held *h, uint16_t head, int res);
void blkerr_probe_done(struct blkerr_held *h, int res); /* @res 0: head[0] leaves the list */
void blkerr_clear(struct blkerr_held *h);
static inline int blkerr_why(const struct blkerr_held *h)
{
	return atomic_load(&h->err);
}

/* Append the state (docs/wire/devstate.md) to @out; nothing if no request is held. */
void blkerr_save(const struct blkerr_held *h, struct buf *out);
/* Check a state, and with @commit take it over. An @in at its end: no request is held. -EINVAL: it is damaged. */
int blkerr_load(struct blkerr_held *h, struct rd *in, bool commit) _must_check_;

#endif
