/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tracking of a pv guest's writes, for hypervisor/logdirty: asynchronous write-protection of all its address spaces. The rules:
 * docs/adr/0003-tracking-rules.md. Main thread.
 */
#ifndef HOSPES_PV_TRACK_H
#define HOSPES_PV_TRACK_H

#include <stdint.h>
#include "hypervisor/logdirty/logdirty.h"
#include "hypervisor/pv/freeze.h"

/* The argument of begin(). @f holds the guest at begin(), and whenever it is suspended. */
struct pv_track_guest {
	const struct pv_frozen *f; /* borrowed until free(); each freeze fills it again */
	int k_pidfd;               /* borrowed */
	uint64_t mem_inode;        /* of the memory file, as /proc/PID/maps shows it */
};

extern const struct logdirty_tracker *const pv_trackers[]; /* then NULL */

#endif
