/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The deadline of this host's lease, published by the guard in a page of shared memory (<run>/cluster/deadline.page; root's). hvdom reads
 * it before each I/O that its guest ordered, so a domain that was not killed in time writes nothing. One writer, any number of readers, no
 * locks: readers never wait for the writer, dead or alive. See docs/fencing.md.
 */
#ifndef HOSPES_CLUSTERD_GUARD_DEADLINE_H
#define HOSPES_CLUSTERD_GUARD_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>
#include "common/cleanup.h"
#include "common/clocks.h"
#include "common/err.h"

/* True if @deadline has passed: on the first of its two clocks. tsc 0: that clock has no say. All 0: passed. */
static inline bool moment_over(const struct moment *deadline, const struct moment *now)
{
	return now->boot_ns >= deadline->boot_ns || (deadline->tsc && now->tsc >= deadline->tsc);
}
/*
 * CLOCK_BOOTTIME, moved ahead where the TSC is ahead of it: to the deadline if that has passed by the TSC, or to @before_ns before the
 * deadline if the TSC is within @before_ticks of it.
 */
uint64_t deadline_now_ns(const struct moment *deadline, uint64_t before_ns, uint64_t before_ticks);
/* A tsc that has passed, because the TSC of a running machine is higher: the deadline has passed, whatever the other clock says. */
#define MOMENT_OVER_TSC 1u

#define DEADLINE_BOOT_ID 40u
/* The id of this boot of the kernel, to whose clocks deadlines belong; padded with NULs. False: unknown, and empty. */
bool deadline_boot_id(char ret[DEADLINE_BOOT_ID]);

struct deadline_page;

/*
 * For the guard: open the page, or make it, and publish @at. A page that is sound keeps its place in memory, so running domains see the new
 * deadline.
 */
int deadline_page_make(const struct moment *at, struct deadline_page **ret, struct err *err) _must_check_;
void deadline_page_set(struct deadline_page *p, const struct moment *at);

/*
 * For hvdom, with privileges: the page, if domain @name is the cluster's (it has a marker, managed.h); else NULL. Fails if the page is
 * missing, damaged or of another boot.
 */
int deadline_page_of(const char *name, struct deadline_page **ret, struct err *err) _must_check_;
/* True if the lease has expired. NULL: false, for a domain outside the cluster. Some 50 ns; any thread. */
bool deadline_page_over(const struct deadline_page *p);
void deadline_page_get(const struct deadline_page *p, struct moment *ret);

void deadline_page_free(struct deadline_page *p); /* takes NULL; the file stays */

#endif
