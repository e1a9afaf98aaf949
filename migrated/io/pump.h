/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Common to source and target sessions: the pump, which feeds events to a session's state machine one at a time and carries out its actions
 * in order, and the mapping of the machines' hypercalls. Loop thread.
 */
#ifndef HOSPES_MIGRATED_IO_PUMP_H
#define HOSPES_MIGRATED_IO_PUMP_H

#include "hypervisor/api/hva.h"
#include "migrated/core/mig.h"

#define PUMP_EVENTS_MAX 32u

struct pump_ops {
	void (*step)(void *arg, const struct mig_event *ev, struct mig_actions *out); /* the machine's step */
	void (*act)(void *arg, const struct mig_action *a); /* carry out an action; may call pump_feed() */
	void (*drained)(void *arg); /* no event waits: set the timer to the machine's deadline */
};

struct pump {
	const struct pump_ops *ops;
	void *arg;
	struct mig_event ev[PUMP_EVENTS_MAX]; /* ring */
	unsigned head, n;
	bool stepping;
};

/*
 * Step with a copy of @ev and carry out the actions. Events that come up meanwhile wait. The ring never overflows, since at most one event
 * comes for each answer under way; an event that did not fit would be dropped. An event without a time gets the present one.
 */
void pump_feed(struct pump *p, const struct mig_event *ev);

/* Requests of hypercalls; those that are not named here have none. */
union pump_req {
	struct hv_logdirty_req logdirty; /* LOGDIRTY_ENABLE */
	struct hv_throttle_req throttle;
	struct hv_destroy_req destroy; /* DESTROY_MOVED */
	struct hv_owner owner;         /* RELINQUISH, RECLAIM, TAKE */
	struct hv_get_state_req get;   /* GET_STATE */
	struct hv_state_req state;     /* SET_STATE */
};
/* Queue hypercall @op on @h. @fd is borrowed, -1: none. False: the connection ended, or @h is NULL. */
bool pump_call(struct hva *h, enum mig_hv op, const union pump_req *req, int fd);
/* The machines' name of hypercall @op (HV_OP_*); 0: they do not use it. */
enum mig_hv pump_hv_of(uint16_t op);

#endif
