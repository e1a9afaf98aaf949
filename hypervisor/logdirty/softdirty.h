/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Soft-dirty marks of another process' pages (/proc/PID/clear_refs and bit 55 of /proc/PID/pagemap), for kernels without PAGEMAP_SCAN. The
 * kernel forgets the mark of a page of a memory file when it takes the page out of the process' tables: so it may be relied on only where
 * nothing does that. softdirty_sure() says whether something may. ADR 98. Main thread.
 */
#ifndef HOSPES_HYPERVISOR_LOGDIRTY_SOFTDIRTY_H
#define HOSPES_HYPERVISOR_LOGDIRTY_SOFTDIRTY_H

#include <stdbool.h>
#include <stdint.h>
#include "common/cleanup.h"
#include "common/err.h"

#define SOFTDIRTY_PAGES 8192u /* read at once */

struct softdirty {
	const char *root; /* borrowed; before "/proc" and "/sys": "" */
	uint64_t scanned, huge; /* the kernel's counters when it began: pages looked at to be swapped out, huge pages of memory files */
	const char *unsure; /* static text: why marks may have been lost since it began; NULL: they were not */
	uint64_t entry[SOFTDIRTY_PAGES]; /* scratch */
};

/*
 * Begin to watch whether this host loses marks. @root: "", or where a test has files instead. -ENOTSUP: it may, or its kernel has none;
 * @err says why. Whether the kernel was built with marks is seen by softdirty_has().
 */
int softdirty_begin(struct softdirty *s, const char *root, struct err *err) _must_check_;
/* Were all marks kept since softdirty_begin()? Once unsure, it stays so. To be asked after the marks were read, and before clearing. */
bool softdirty_sure(struct softdirty *s);
/* Is the page at @addr marked? A mapping that was never cleared has all its pages marked. 1, 0, or -errno. */
int softdirty_has(int pagemap, uint64_t addr) _must_check_;
/* Call @fn for each range of marked pages in [@start, @end), ascending. The process stands still. */
int softdirty_read(struct softdirty *s, int pagemap, uint64_t start, uint64_t end,
                   void (*fn)(void *arg, uint64_t start, uint64_t end), void *arg) _must_check_;
/* Raise *@at, not beyond @end, to the first page that is not in its place just now, since the kernel moves it. 0 or -errno. */
int softdirty_in_place(struct softdirty *s, int pagemap, uint64_t *at, uint64_t end) _must_check_;
/* Remove all marks of the process whose clear_refs is open as @fd. It stands still. */
int softdirty_clear(int fd) _must_check_;

#endif
