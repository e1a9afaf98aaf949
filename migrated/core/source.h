/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The source side of one migration as a pure state machine: preflight, rounds, switchover, and what to do in doubt.
 *
 * The one invariant above all: after MIG_ACT_HV(RELINQUISH) was issued, RESUME is only ever issued after a RECLAIM that
 * succeeded, and RECLAIM only after the target's fate GONE (or an operator's word).
 */
#ifndef HOSPES_MIGRATED_CORE_SOURCE_H
#define HOSPES_MIGRATED_CORE_SOURCE_H

#include "migrated/core/controller.h"
#include "migrated/core/mig.h"

enum mig_source_state {
	MIG_SRC_IDLE = 0,
	MIG_SRC_HELLO,      /* waits for Hello */
	MIG_SRC_OFFER,      /* waits for Accept or Refuse */
	MIG_SRC_ARM,        /* log-dirty is being switched on, first harvest */
	MIG_SRC_PASS,       /* a round is on the wire */
	MIG_SRC_CLEAN,      /* harvest between rounds */
	MIG_SRC_JOURNAL,    /* the guest runs; waits until RELINQUISHING is durable */
	MIG_SRC_SUSPEND,    /* guest being stopped, last harvest, state */
	MIG_SRC_FINAL,      /* all sent; waits for Ready */
	MIG_SRC_RELINQUISH, /* ownership is being given up */
	MIG_SRC_GO,         /* waits for Running */
	MIG_SRC_DOUBT,      /* asks Resolve until it is settled */
	MIG_SRC_RECLAIM,    /* takes ownership back */
	MIG_SRC_DESTROY,    /* its copy is being removed */
	MIG_SRC_END,
};

struct mig_source_config {
	struct mig_ctl_config ctl;
	uint64_t generation; /* of the run here */
	uint64_t timeout_ns; /* for all that comes before RELINQUISH, 0: none */
	bool plan_only;
	bool stay_paused;
	bool audit;        /* HV_OP_AUDIT after the last harvest */
	bool verify;       /* hash all memory, for the target to compare */
	uint32_t logdirty; /* mode wished for, 0: let hvdom choose */
};

struct mig_source {
	struct mig_source_config cfg;
	struct mig_ctl ctl;
	enum mig_source_state state;
	uint64_t started_ns;
	uint64_t heard_ns;       /* last message of the peer */
	uint64_t stage_ns;       /* the present state began to wait */
	uint64_t ping_ns;        /* next ping */
	uint64_t suspend_ns;     /* SUSPEND was issued, 0: not */
	uint64_t armed_ns;       /* setup ended */
	uint64_t retry_ns;       /* next Resolve */
	uint64_t generation_new; /* the one given away */
	uint64_t running_at_ns;  /* as the target said, its clock */
	uint64_t audit_missed;   /* pages that the dirty log missed, with audit */
	enum mig_logdirty mode;
	enum mig_reason reason; /* why it fails, once it does */
	enum mig_outcome outcome;
	bool logdirty_on, suspended, link_down, recovered;
	bool must_tell;   /* END, but the journal stays: Abort is repeated until the target says GONE */
	bool ended_there; /* the target owned it, and it ended there: moved, but not running */
	bool copy_lost;   /* hvdom died after ownership was given away */
	bool final_cleaned, final_captured, final_hashed, final_passed, final_sent, state_sent, ready, journaled;
	uint32_t doubt_asked;                    /* Resolves sent */
	uint64_t pages_data, pages_zero, octets; /* all passes */
};

void mig_source_init(struct mig_source *m, const struct mig_source_config *cfg);
/* After a restart: the journal says RELINQUISHING(@generation_new) and hvdom still holds a relinquished copy. Ends in DOUBT. */
void mig_source_init_doubt(struct mig_source *m, const struct mig_source_config *cfg, uint64_t generation_new);
/* @out is emptied first. Events that do not fit the state are ignored, or end the migration when a peer sent them. */
void mig_source_step(struct mig_source *m, const struct mig_event *ev, struct mig_actions *out);
uint64_t mig_source_deadline_ns(const struct mig_source *m); /* MIG_NEVER: none */
/* Cancelling is still possible. */
bool mig_source_cancellable(const struct mig_source *m);
const char *mig_source_state_name(enum mig_source_state s);

#endif
