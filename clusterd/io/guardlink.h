/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clusterd's side of the guard: passes the lease on. When the guard is gone, it takes the guard's place: it parks and kills the domains at
 * the last known deadline, by the same code (parking.h). Loop thread.
 */
#ifndef HOSPES_CLUSTERD_IO_GUARDLINK_H
#define HOSPES_CLUSTERD_IO_GUARDLINK_H

#include <stdbool.h>
#include <stdint.h>
#include "common/clocks.h"
#include "common/loop.h"

struct guardlink;

/* @changed: the guard came or went. NULL: out of memory. */
struct guardlink *guardlink_new(struct loop *loop, void (*changed)(void *arg, bool there), void *arg);
void guardlink_free(struct guardlink *g); /* takes NULL */
bool guardlink_there(const struct guardlink *g);
/* It has not answered yet, and this clusterd is so young that it need not have. */
bool guardlink_awaited(const struct guardlink *g);
/*
 * Domains may run until @at, and are parked @park_ns before it (@park_ticks by the TSC; 0: never). @life: guardmsg.h. Ignored unless @at is
 * later than the last one. Without a guard it takes effect when the guard is back.
 */
void guardlink_lease(struct guardlink *g, const struct moment *at, uint64_t park_ns, uint64_t park_ticks,
                     uint64_t life);
/* The present lease has expired, because this host's clocks stood still. */
void guardlink_expire(struct guardlink *g);
/* The deadline that the guard has acknowledged, CLOCK_BOOTTIME; 0: none, or it has passed. */
uint64_t guardlink_deadline_ns(const struct guardlink *g);

#endif
