/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How much of one stream of guest memory may be under way, so that the queue before a bottleneck stays short: whatever else crosses
 * the same wire, Corosync's packets for one, waits behind all that stands there, and is lost when it is full. The queue shows as time
 * that answers take beyond the least that one took. Pure arithmetic, on octets as they are acknowledged (Credit). ADR 69.
 */
#ifndef HOSPES_MIGRATED_CORE_WINDOW_H
#define HOSPES_MIGRATED_CORE_WINDOW_H

#include <stdint.h>

#define MIG_WINDOW_QUEUE_NS  50000000ull /* what the queue may take of everybody's time */
#define MIG_WINDOW_RATES    3u /* the best of so many says what the wire carries */
#define MIG_WINDOW_MIN       4096u /* a page, and what it begins with. One frame may be under way always, however long it is */

struct mig_window {
	uint64_t octets, max;
	uint64_t least_ns; /* the quickest answer; 0: none yet */
	/* the frame that is timed: answered when so much is acknowledged; 0: none */
	uint64_t mark, mark_ns, mark_acked;
	uint64_t rate[MIG_WINDOW_RATES]; /* octets per second that arrived while the last frames were timed */
	unsigned n_rates;
	uint64_t most; /* under way at once since it was sent */
};

/* At most @max octets, ever. */
void mig_window_init(struct mig_window *w, uint64_t max);
/* A frame went out at @now_ns: @sent octets did by now, @acked of them are acknowledged. */
void mig_window_sent(struct mig_window *w, uint64_t sent, uint64_t acked, uint64_t now_ns);
/* An acknowledgement came; octets may be another now. */
void mig_window_acked(struct mig_window *w, uint64_t acked, uint64_t now_ns);
/* Octets that a frame should have, @most at most: several go into the window, so that the wire has work while answers are on their way. */
uint64_t mig_window_frame(const struct mig_window *w, uint64_t most);

#endif
