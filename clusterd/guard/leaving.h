/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The file <run>/cluster/leaving: this host is being shut down in order, and in which stage. It outlives clusterd, but not the boot, so a
 * clusterd that is restarted goes on. Shared by clusterd, migrated and the guard; libc and common/ only. Short blocking calls; any thread.
 */
#ifndef HOSPES_CLUSTERD_GUARD_LEAVING_H
#define HOSPES_CLUSTERD_GUARD_LEAVING_H

#include <stdbool.h>
#include <stdint.h>
#include "common/cleanup.h"
#include "common/err.h"

enum leaving_stage {
	LEAVING_NOT = 0,
	LEAVING_DRAIN = 1,  /* domains are moved away */
	LEAVING_ENDING = 2, /* the remaining ones are ended; from here on none is started or let in */
	LEAVING_LEFT = 3,   /* none lives, and the others may know: none may run before clusterd begins another life */
};
struct leaving {
	enum leaving_stage stage;
	unsigned mode;           /* enum clu_on_shutdown */
	uint64_t drain_until_ns, until_ns; /* CLOCK_BOOTTIME: end of DRAIN; end of the time for guests to power off */
};

/* Read the file. Without one, or with one of another boot, the stage is NOT. A file that cannot be read counts as ENDING, time over. */
void leaving_load(struct leaving *ret);
/* Write the file, or remove it (NOT). */
int leaving_save(const struct leaving *l, struct err *err) _must_check_;
/* True if no domain of the cluster may be started or let in here. */
bool leaving_closed(void);

#endif
