/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The target side of one migration as a pure state machine.
 *
 * The invariant: RESUME is issued only after TAKE(G) succeeded and TAKEN(G) is durable. TAKE is issued only after Go(G), or after the
 * shared lease named this host and generation G, or by an operator's order; and never after GONE(G) was written.
 */
#ifndef HOSPES_MIGRATED_CORE_TARGET_H
#define HOSPES_MIGRATED_CORE_TARGET_H

#include "migrated/core/mig.h"

enum mig_target_state {
	MIG_TGT_IDLE = 0,
	MIG_TGT_PREFLIGHT, /* the offer is being checked */
	MIG_TGT_SPAWN,     /* the incoming hvdom starts */
	MIG_TGT_RECEIVE,   /* pages arrive */
	MIG_TGT_FINAL,     /* waits for the frames that Final counted */
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
	uint64_t heard_ns;      /* time of the peer's last message */
	uint64_t lease_ns;      /* time of the next look at the lease */
	uint64_t peer_lease_ns; /* since when the shared lease names the source, 0: it does not */
	uint64_t go_ns;         /* when Go came */
	uint64_t note_ns; /* when to write GONE (NOTE) or TAKEN (RUNNING) again after a failure; 0: it is being written */
	uint64_t running_at_ns; /* when the guest began to run here */
	enum mig_reason reason;
	bool stay_paused, restored, journaled, link_dead, lease_asked;
	bool abort_pending; /* an Abort with check_lease came: the next answer to LEASE decides */
	bool started;       /* RESUME was issued: this generation may have run here */
};

void mig_target_init(struct mig_target *t, uint64_t generation, bool stay_paused);
/*
 * After a restart. @rec: the last record of the journal. @hv_taken: the incoming hvdom owns the domain, which was not resumed yet;
 * @hv_running: it owns the domain, which was. The first step (MIG_EV_START) goes on from there.
 */
void mig_target_init_recover(struct mig_target *t, uint64_t generation, bool stay_paused, enum mig_record rec,
                             bool hv_running, bool hv_taken);
void mig_target_step(struct mig_target *t, const struct mig_event *ev, struct mig_actions *out); /* as mig_source_step() */
uint64_t mig_target_deadline_ns(const struct mig_target *t); /* MIG_NEVER: none */
/* The answer to Resolve in this state. */
enum mig_fate mig_target_fate(const struct mig_target *t);
const char *mig_target_state_name(enum mig_target_state s);

#endif
