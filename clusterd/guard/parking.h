/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The end of a lease, carried out by hospes-guard, or by clusterd while there is no guard. Some time before the deadline all domains of
 * the cluster are asked to park, at once. At the deadline each one that has not answered that it is parked is killed. Nothing waits for an
 * answer. No clock of its own; never blocks; one thread.
 *
 * An answer counts for the deadline for which the domain was asked, and as long as its connection lasts: a new deadline voids it, and so
 * does the end of its hvdom. docs/fencing.md says why that is enough.
 */
#ifndef HOSPES_CLUSTERD_GUARD_PARKING_H
#define HOSPES_CLUSTERD_GUARD_PARKING_H

#include <stdbool.h>
#include <stdint.h>
#include "hypervisor/api/hypercall.h"

#define PARKING_MAX 512u /* domains; further ones are killed */

enum parking_state { PARKING_FREE = 0, PARKING_ASKED, PARKING_PARKED, PARKING_REFUSED };

struct parking_slot {
	char name[HV_NAME_MAX];
	enum parking_state state;
	int fd; /* owned; -1: none */
};

struct parking {
	uint64_t deadline_ns; /* of the answers in the slots */
	uint64_t grace_ns;    /* nobody is killed before that, whatever the deadline */
	unsigned n;           /* slots used for that deadline so far */
	struct parking_slot slot[PARKING_MAX];
};

/* Take over from a process that knew who is parked: only ask for 200 ms. @p is zeroed before the first time. */
void parking_take_over(struct parking *p, uint64_t now_ns);
/* Forget all answers and close all connections. */
void parking_reset(struct parking *p);
/* True if @name has answered, for the present deadline and on a connection that lasts, that it is parked. @parking: struct parking. */
bool parking_spares(void *parking, const char *name);
/*
 * One look. It is due from @park_ns before the deadline on, every 100 ms, and at the deadline. @park_ns 0: nothing is parked. Past the
 * deadline it kills what is not parked, as managed_kill_all() with @on_kill, and returns how many of those live, or -errno; before, 0.
 */
int parking_look(struct parking *p, uint64_t now_ns, uint64_t deadline_ns, uint64_t park_ns,
                 void (*on_kill)(void *arg, const char *name), void *arg);

#endif
