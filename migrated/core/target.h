/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The target side of one migration as a pure state machine.
 *
 * The invariant: RESUME is only ever issued after TAKE(G) succeeded and TAKEN(G) is durable; TAKE only after Go(G), or after the
 * shared lease said owner = here and generation = G, or an operator's word; and never after GONE(G) was written.
 */
#ifndef HOSPES_MIGRATED_CORE_TARGET_H
#define HOSPES_MIGRATED_CORE_TARGET_H

#include "migrated/core/mig.h"

enum mig_target_state {
	MIG_TGT_IDLE = 0,
	MIG_TGT_PREFLIGHT, /* the offer is being checked */
	MIG_TGT_SPAWN,     /* the incoming hvdom starts */
	MIG_TGT_RECEIVE,   /* pages arrive */
	MIG_TGT_FINAL,     /* Final came; waits for the last frames */
	MIG_TGT_RESTORE,   /* SET_STATE and the journal */
	MIG_TGT_READY,     /* restored, stopped, waits for Go */
	MIG_TGT_TAKE,      /* TAKE, then the journal */
	MIG_TGT_RESUME,
	MIG_TGT_RUNNING, /* waits for Done */
	MIG_TGT_DISCARD, /* hvdom is being ended before GONE is written */
	MIG_TGT_NOTE,    /* GONE is being written */
	MIG_TGT_END,
};

struct mig_target {
	enum mig_target_state state;
	uint64_t generation; /* G */
	uint64_t heard_ns;
	uint64_t lease_ns;      /* next look at the lease */
	uint64_t peer_lease_ns; /* since when a shared lease says that the source still owns it, 0: it does not */
	uint64_t go_ns;         /* Go came */
	uint64_t note_ns; /* NOTE: GONE, RUNNING: TAKEN could not be written, try again then; 0: it is being written */
	uint64_t running_at_ns;
	enum mig_reason reason;
	bool stay_paused, restored, journaled, link_dead, lease_asked;
	bool abort_pending; /* Abort with check_lease: the next lease answer decides */
	bool started;       /* RESUME was issued: this generation may have run here */
};

void mig_target_init(struct mig_target *t, uint64_t generation, bool stay_paused);
/* After a restart. @hv_restored: the incoming hvdom still stands, taken but not resumed. @rec: last journal record.
 * The first step (MIG_EV_START) goes on from there. */
void mig_target_init_recover(struct mig_target *t, uint64_t generation, bool stay_paused, enum mig_record rec,
                             bool hv_running, bool hv_taken);
void mig_target_step(struct mig_target *t, const struct mig_event *ev, struct mig_actions *out);
uint64_t mig_target_deadline_ns(const struct mig_target *t);
/* What Resolve is answered with in this state. */
enum mig_fate mig_target_fate(const struct mig_target *t);
const char *mig_target_state_name(enum mig_target_state s);

#endif
