/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The file <run>/cluster/leaving: this host is being shut down in order, and how far that is. It outlives clusterd, not the
 * boot: a clusterd
 * that is restarted goes on leaving. Shared by clusterd, migrated and the guard; libc and common/ only. Short blocking calls; any thread.
 */
#ifndef HOSPES_CLUSTERD_IO_LEAVING_H
#define HOSPES_CLUSTERD_IO_LEAVING_H

#include <stdbool.h>
#include <stdint.h>
#include "common/cleanup.h"
#include "common/err.h"

enum leaving_stage {
	LEAVING_NOT = 0,
	LEAVING_DRAIN = 1,  /* its domains are moved away */
	LEAVING_ENDING = 2, /* what is left is ended; none is started or let in from here on */
	LEAVING_LEFT = 3,   /* none lives, and others may have been told so: none may run before clusterd begins another life */
};
struct leaving {
	enum leaving_stage stage;
	unsigned mode;           /* enum clu_on_shutdown */
	uint64_t drain_until_ns, until_ns; /* CLOCK_BOOTTIME */
};

/* What the file says; NOT: there is none, or it is of another boot. One that cannot be read counts as ENDING, at once. */
void leaving_load(struct leaving *ret);
/* Write it, or remove it (NOT). */
int leaving_save(const struct leaving *l, struct err *err) _must_check_;
/* May no domain of the cluster be started or let in here? */
bool leaving_closed(void);

#endif
