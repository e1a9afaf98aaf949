/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The source side of one migration as a pure state machine: preflight, rounds, switchover, doubt.
 *
 * The invariant: after RELINQUISH was issued, RESUME is issued only after a RECLAIM that succeeded, and RECLAIM only after the target's
 * fate GONE or an operator's order.
 */
#ifndef HOSPES_MIGRATED_CORE_SOURCE_H
#define HOSPES_MIGRATED_CORE_SOURCE_H

#include "migrated/core/controller.h"
#include "migrated/core/mig.h"

enum mig_source_state {
	MIG_SRC_IDLE = 0,
	MIG_SRC_HELLO,      /* waits for Hello */
	MIG_SRC_OFFER,      /* waits for Accept or Refuse */
	MIG_SRC_ARM,        /* log-dirty is being switched on; first harvest */
	MIG_SRC_PASS,       /* a round is on the wire */
	MIG_SRC_CLEAN,      /* harvest between rounds */
	MIG_SRC_JOURNAL,    /* the guest runs; waits until RELINQUISHING is durable */
	MIG_SRC_SUSPEND,    /* the guest is being stopped; last harvest, state */
	MIG_SRC_FINAL,      /* all sent; waits for Ready */
	MIG_SRC_RELINQUISH, /* ownership is being given up */
	MIG_SRC_GO,         /* waits for Running */
	MIG_SRC_DOUBT,      /* repeats Resolve until the fate is known */
	MIG_SRC_RECLAIM,    /* takes ownership back */
	MIG_SRC_DESTROY,    /* its copy is being removed */
	MIG_SRC_END,
};

struct mig_source_config {
	struct mig_ctl_config ctl;
	uint64_t generation; /* of the run here */
	uint64_t timeout_ns; /* for everything before RELINQUISH, 0: none */
	bool plan_only;
	bool stay_paused;
	bool audit;        /* HV_OP_AUDIT after the last harvest */
	bool verify;       /* hash all memory; the target compares */
	uint32_t logdirty; /* mode wished for, 0: hvdom chooses */
};

struct mig_source {
	struct mig_source_config cfg;
	struct mig_ctl ctl;
	enum mig_source_state state;
	uint64_t started_ns;
	uint64_t heard_ns;       /* time of the peer's last message */
	uint64_t stage_ns;       /* when the present state began to wait */
	uint64_t ping_ns;        /* time of the next Ping */
	uint64_t suspend_ns;     /* when SUSPEND was issued, 0: it was not */
	uint64_t armed_ns;       /* when log-dirty was on */
	uint64_t retry_ns;       /* time of the next Resolve */
	uint64_t generation_new; /* the generation that is given away */
	uint64_t running_at_ns;  /* of Running, by the target's clock */
	uint64_t audit_missed;   /* with audit: pages that log-dirty missed */
	enum mig_logdirty mode;
	enum mig_reason reason; /* why it fails, once it does */
	enum mig_outcome outcome;
	bool logdirty_on, suspended, link_down, recovered;
	bool must_tell;   /* in END: the journal stays and Abort is repeated until the target says GONE */
	bool ended_there; /* the target owned the domain, and it ended there: moved, but not running */
	bool copy_lost;   /* hvdom died after ownership was given away */
	bool final_cleaned, final_captured, final_hashed, final_passed, final_sent, state_sent, ready, journaled;
	uint32_t doubt_asked;                    /* Resolves sent */
	uint64_t pages_data, pages_zero, octets; /* of all rounds */
};

void mig_source_init(struct mig_source *m, const struct mig_source_config *cfg);
/* After a restart: the journal says RELINQUISHING(@generation_new), and hvdom has a relinquished copy. The state is DOUBT. */
void mig_source_init_doubt(struct mig_source *m, const struct mig_source_config *cfg, uint64_t generation_new);
/* @out is emptied first. Events that do not fit the state are ignored; those that the peer sent may end the migration. */
void mig_source_step(struct mig_source *m, const struct mig_event *ev, struct mig_actions *out);
uint64_t mig_source_deadline_ns(const struct mig_source *m); /* MIG_NEVER: none */
/* Can it still be cancelled? */
bool mig_source_cancellable(const struct mig_source *m);
const char *mig_source_state_name(enum mig_source_state s);

#endif
