/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tracking of the writes to guest memory by QEMU's vCPUs and devices, from outside: asynchronous write-protection of QEMU's mappings of the
 * memory file, through which all of them write; on kernels without it, soft-dirty marks of these mappings (ADR 98). Writes of hvdom's
 * devices come from guestmem's bitmap; holes that QEMU makes are qholes.c's. ADR 77, 92. Main thread.
 */
#ifndef HOSPES_QEMU_QTRACK_H
#define HOSPES_QEMU_QTRACK_H

#include <stdbool.h>
#include <sys/types.h>
#include "hypervisor/logdirty/logdirty.h"

/* The argument of probe() and begin(), which stops QEMU's main thread for a moment, whether its virtual machine runs or not. */
struct qtrack_guest {
	pid_t pid;
	int pidfd;  /* borrowed */
	bool holes; /* it may take pages out of memory, by a balloon */
	bool *marks_seen; /* borrowed: this QEMU is known to have soft-dirty marks; set by begin() */
};

extern const struct logdirty_tracker *const qtrack[]; /* in the order of choice, then NULL */

#endif
