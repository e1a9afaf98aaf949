/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clusterd's side of the guard: tells it the lease, and stands in for it when it is gone - at the deadline that it last knew the domains
 * are ended from here, by the same code (managed.h). Loop thread.
 */
#ifndef HOSPES_CLUSTERD_IO_GUARDLINK_H
#define HOSPES_CLUSTERD_IO_GUARDLINK_H

#include <stdbool.h>
#include <stdint.h>
#include "common/clocks.h"
#include "common/loop.h"

struct guardlink;

/* @changed: the guard came or went. */
struct guardlink *guardlink_new(struct loop *loop, void (*changed)(void *arg, bool there), void *arg);
void guardlink_free(struct guardlink *g); /* takes NULL */
bool guardlink_there(const struct guardlink *g);
/*
 * Domains may run until @at, and are parked @park_ns (@park_ticks by the TSC) before that (0: killed at it). @life: of this host in the
 * cluster (guardmsg.h). Without a guard it is not told on, and changes nothing.
 */
void guardlink_lease(struct guardlink *g, const struct moment *at, uint64_t park_ns, uint64_t park_ticks,
                     uint64_t life);
/* This host's clocks stood still: the lease that is held is over, until there is another one. */
void guardlink_expire(struct guardlink *g);
/* Until when they may run for certain, by CLOCK_BOOTTIME: what the guard said that it holds. 0: not at all, or that is over. */
uint64_t guardlink_deadline_ns(const struct guardlink *g);

#endif
