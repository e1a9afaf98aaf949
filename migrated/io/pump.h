/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What source and target sessions have in common: the pump that gives events to the session's state machine, one at a time, and has
 * its actions carried out in order; and the hypercalls that the machines name. Loop thread.
 */
#ifndef HOSPES_MIGRATED_IO_PUMP_H
#define HOSPES_MIGRATED_IO_PUMP_H

#include "hypervisor/api/hva.h"
#include "migrated/core/mig.h"

#define PUMP_EVENTS_MAX 32u

struct pump_ops {
	void (*step)(void *arg, const struct mig_event *ev, struct mig_actions *out); /* the machine's step */
	void (*act)(void *arg, const struct mig_action *a);                           /* may feed */
	void (*drained)(void *arg); /* no event waits: time to look at the machine's deadline */
};

struct pump {
	const struct pump_ops *ops;
	void *arg;
	struct mig_event ev[PUMP_EVENTS_MAX]; /* ring */
	unsigned head, n;
	bool stepping;
};

/*
 * Step with a copy of @ev and carry out what follows. An event that comes up meanwhile waits until that is done; one for which the ring
 * has no room is dropped, which cannot be: at most one comes per answer under way. An event without a time gets the present one.
 */
void pump_feed(struct pump *p, const struct mig_event *ev);

/* Requests of these hypercalls; those that are not listed here have none. */
union pump_req {
	struct hv_logdirty_req logdirty; /* LOGDIRTY_ENABLE */
	struct hv_throttle_req throttle;
	struct hv_destroy_req destroy; /* DESTROY_MOVED */
	struct hv_owner owner;         /* RELINQUISH, RECLAIM, TAKE */
	struct hv_state_req state;     /* SET_STATE */
};
/* Queue hypercall @op on @h; @fd is borrowed, -1: none. False: the connection is gone, or @h is NULL. */
bool pump_call(struct hva *h, enum mig_hv op, const union pump_req *req, int fd);
/* The hypercall that HV_OP_* @op answers; 0: none of the machines'. */
enum mig_hv pump_hv_of(uint16_t op);

#endif
