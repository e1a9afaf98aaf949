/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The window of one stream of guest memory: how many octets may be unacknowledged, so that the queue at a bottleneck stays short. Other
 * packets on the wire, such as Corosync's, wait behind that queue, and are lost when it is full. An answer's delay beyond the quickest
 * one shows its length. Pure arithmetic on acknowledged octets (Credit). ADR 69.
 */
#ifndef HOSPES_MIGRATED_CORE_WINDOW_H
#define HOSPES_MIGRATED_CORE_WINDOW_H

#include <stdint.h>

#define MIG_WINDOW_QUEUE_NS  50000000ull /* how long the queue may delay other packets */
#define MIG_WINDOW_RATES     3u    /* the wire's rate is the best of so many measurements */
#define MIG_WINDOW_MIN       4096u /* octets of the first window: a page. One frame of any length is always allowed */

struct mig_window {
	uint64_t octets, max; /* the window now, its limit */
	uint64_t least_ns;    /* the quickest answer; 0: none yet */
	/* the frame that is timed: acknowledged octets that answer it (0: none), when it was sent, octets acknowledged then */
	uint64_t mark, mark_ns, mark_acked;
	uint64_t rate[MIG_WINDOW_RATES]; /* octets per second that arrived while the last frames were timed */
	unsigned n_rates;
	uint64_t most; /* most octets unacknowledged at once since then */
};

/* @max: octets that the window never exceeds. */
void mig_window_init(struct mig_window *w, uint64_t max);
/* A frame was sent at @now_ns; @sent octets in total have been, @acked of them are acknowledged. */
void mig_window_sent(struct mig_window *w, uint64_t sent, uint64_t acked, uint64_t now_ns);
/* @acked octets in total are acknowledged at @now_ns. @w->octets may change. */
void mig_window_acked(struct mig_window *w, uint64_t acked, uint64_t now_ns);
/* Octets that a frame should have, up to @most: a part of the window, so that the wire is busy while answers are on their way. */
uint64_t mig_window_frame(const struct mig_window *w, uint64_t most);

#endif
