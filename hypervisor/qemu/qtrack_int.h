/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the two trackers of QEMU's writes share: qtrack.c by PAGEMAP_SCAN, qsoft.c by soft-dirty marks. Main thread. */
#ifndef HOSPES_QEMU_QTRACK_INT_H
#define HOSPES_QEMU_QTRACK_INT_H

#include "hypervisor/guestmem.h"
#include "hypervisor/qemu/qholes.h"
#include "hypervisor/qemu/qtrack.h"

#define QTRACK_MAPS_MAX 16u

struct qtrack_maps {
	struct qholes_map map[QTRACK_MAPS_MAX];
	size_t n;
};

/* QEMU's mappings of @m's file. -ENOENT: none; -E2BIG: too many. */
int qtrack_find_maps(pid_t pid, const struct guestmem *m, struct qtrack_maps *ret) _must_check_;
/* A userfaultfd of QEMU's address space, for the caller to close. It is stopped for a moment. */
int qtrack_get_uffd(const struct qtrack_guest *g, int *ret) _must_check_;
/* Set the bits of [@start, @end), which is in @at. */
void qtrack_mark(const struct qholes_map *at, uint64_t start, uint64_t end, uint64_t *bits);
/* Open /proc/@pid/@name, close-on-exec. A descriptor, or -errno. */
int qtrack_open(pid_t pid, const char *name, int flags) _must_check_;

extern const struct logdirty_tracker qtrack_scan, qtrack_soft;

#endif
