/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The deadline of this host's lease, for who must not act when it is over: the guard publishes it in a page of shared memory
 * (<run>/cluster/deadline.page, the guard's user only), hvdom looks there before each I/O that its guest ordered, so that a domain that was
 * not killed in time writes nothing. One writer, any number of readers, no locks: readers never wait for the writer, dead or alive.
 */
#ifndef HOSPES_COMMON_DEADLINE_H
#define HOSPES_COMMON_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>
#include "common/cleanup.h"
#include "common/clocks.h"
#include "common/err.h"

/* A moment on each clock; it is over when the first of them is there. tsc 0: that clock has no say. All 0: long over. */
static inline bool moment_over(const struct moment *deadline, const struct moment *now)
{
	return now->boot_ns >= deadline->boot_ns || (deadline->tsc && now->tsc >= deadline->tsc);
}
/*
 * The time by CLOCK_BOOTTIME as far as @deadline is concerned: where the other clock has more of it behind it, at least the deadline less
 * @before_ns (@before_ticks of the other), or the deadline itself.
 */
uint64_t deadline_now_ns(const struct moment *deadline, uint64_t before_ns, uint64_t before_ticks);
/* For tsc: over already, whatever the other clock says. A machine of today has counted on before anybody reads it. */
#define MOMENT_OVER_TSC 1u

#define DEADLINE_BOOT_ID 40u
/* The id of this boot of the kernel, to whose clocks deadlines belong; padded with NULs. False: unknown, and empty. */
bool deadline_boot_id(char ret[DEADLINE_BOOT_ID]);

struct deadline_page;

/*
 * For the guard: open the page, or make it; one that is sound keeps its place in memory, so that domains that look at it go on to. Its
 * deadline is @at from now on.
 */
int deadline_page_make(const struct moment *at, struct deadline_page **ret, struct err *err) _must_check_;
void deadline_page_set(struct deadline_page *p, const struct moment *at);

/*
 * For hvdom, with privileges: the page, if domain @name is the cluster's (it has a marker, managed.h), else NULL. Fails if it
 * should be there and is not, or is damaged, or of another boot.
 */
int deadline_page_of(const char *name, struct deadline_page **ret, struct err *err) _must_check_;
/* Is the lease over? NULL: there is none that it could be. Some 50 ns; any thread. */
bool deadline_page_over(const struct deadline_page *p);
void deadline_page_get(const struct deadline_page *p, struct moment *ret);

void deadline_page_free(struct deadline_page *p); /* takes NULL; the file stays */

#endif
