/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The end of a lease, as hospes-guard sees to it (and clusterd while there is no guard): some time before the deadline every domain of the
 * cluster is asked to park, all at once; at the deadline each one that did not say that it is parked is killed. Asking is all that needs
 * a domain's help, and nothing waits for it. No clock of its own, never blocks; one thread.
 *
 * What a domain says counts for the deadline that it was asked for, and while the connection lasts: a new deadline voids it, and so does
 * the end of its hvdom. Why that is enough: docs/fencing.md.
 */
#ifndef HOSPES_CLUSTERD_IO_PARKING_H
#define HOSPES_CLUSTERD_IO_PARKING_H

#include <stdbool.h>
#include <stdint.h>
#include "hypervisor/api/hypercall.h"

#define PARKING_MAX 512u /* domains; one more is killed */

enum parking_state { PARKING_FREE = 0, PARKING_ASKED, PARKING_PARKED, PARKING_REFUSED };

struct parking_slot {
	char name[HV_NAME_MAX];
	enum parking_state state;
	int fd; /* owned; -1: none */
};

struct parking {
	uint64_t deadline_ns; /* that the slots are about */
	uint64_t grace_ns;    /* not killed before, deadline or not */
	unsigned n;           /* slots that were ever used for it */
	struct parking_slot slot[PARKING_MAX];
};

/*
 * Who takes over from another one does not know who is parked: for 200 ms it only asks. @p zeroed before the first time.
 */
void parking_take_over(struct parking *p, uint64_t now_ns);
/* Forget what was said and close all connections. */
void parking_reset(struct parking *p);
/* Did @name say, for the present deadline, that it is parked, and is it still the one that said so? @parking: struct parking. */
bool parking_spares(void *parking, const char *name);
/*
 * One look, due from @park_ns before the deadline on, every 100 ms and at the deadline itself. @park_ns 0: nothing is parked. Past the
 * deadline it kills what is not parked and returns how many of those live still, -errno: cannot tell; before it, 0. @on_kill may be NULL.
 */
int parking_look(struct parking *p, uint64_t now_ns, uint64_t deadline_ns, uint64_t park_ns,
                 void (*on_kill)(void *arg, const char *name), void *arg);

#endif
