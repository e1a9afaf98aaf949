/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A process in QEMU's place, for tests of the trackers of its writes: it maps a memory file, and its threads read and write pages at
 * random, by hand and by system calls. Log-dirty is on the file, with the audit. One at a time.
 */
#ifndef HOSPES_TESTS_UNIT_TRACKGUEST_H
#define HOSPES_TESTS_UNIT_TRACKGUEST_H

#include "hypervisor/guestmem.h"
#include "hypervisor/logdirty/logdirty.h"
#include "hypervisor/qemu/qtrack_int.h"

#define TRACKGUEST_PAGES   24576u /* larger than what is hashed anyway */
#define TRACKGUEST_THREADS 2u

/* in memory that the process shares with the test */
struct trackguest_orders {
	_Atomic bool go, end, hold;
	_Atomic bool fork, madvise; /* its threads also do that, over and over */
	_Atomic unsigned held;
	_Atomic uint64_t writes;
};

struct trackguest {
	struct guestmem m;
	struct trackguest_orders *o;
	pid_t pid;
	int pidfd;
	bool marks;
	struct qtrack_guest g; /* what a tracker's probe() and begin() take */
	struct logdirty *l;
	uint64_t bits[TRACKGUEST_PAGES / 64];
};

extern struct trackguest trackguest;

/* cmocka's set-up and tear-down: the process is there and waits for trackguest_begin(); each page was read, and none written. */
int trackguest_up(void **state);
int trackguest_down(void **state);
/* It stands still (in user mode), or goes on. */
void trackguest_hold(bool on);
/* Log-dirty by @tracker, which has to begin; then the threads go. */
void trackguest_begin(const struct logdirty_tracker *tracker);
/* The number of pages that are dirty. */
uint64_t trackguest_collect(bool suspended);
/* The number of pages that were missed. It is held, and was collected so. */
uint64_t trackguest_audit(void);

#endif
