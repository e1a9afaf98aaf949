/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pages that QEMU takes out of guest memory (balloon, free page reporting): holes that no write-protection sees, and that a read fills with
 * zeros unseen. The kernel tells of each before it is one, and QEMU waits until that was read; a thread here does so, since hvdom's main
 * thread may be waiting for QEMU. ADR 92. All functions but the thread's own: main thread.
 */
#ifndef HOSPES_QEMU_QHOLES_H
#define HOSPES_QEMU_QHOLES_H

#include <stdint.h>
#include "common/cleanup.h"
#include "common/err.h"

struct qholes;

/* What the tracker knows of one mapping: addresses [@start, @end) are the memory file's from @offset on. */
struct qholes_map {
	uint64_t start, end, offset;
};

/* Listen on @uffd (borrowed until qholes_free(); uffd_setup() with removals) for @n mappings of a memory file of @pages. */
int qholes_new(int uffd, const struct qholes_map *map, size_t n, uint64_t pages, struct qholes **ret,
               struct err *err) _must_check_;
/*
 * Add to @bits the pages taken out since the last call. A removal that QEMU was done with before is among them. -errno: what was removed is
 * not known any more, now and later.
 */
int qholes_collect(struct qholes *h, uint64_t *bits) _must_check_;
void qholes_free(struct qholes *h); /* takes NULL */

#endif
