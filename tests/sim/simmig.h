/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two hosts in one thread: the source and target machines on a model of hvdom, journal, lease and wire, with virtual time.
 * Everything random comes from one seed; every fault is drawn from it or named by the caller.
 */
#ifndef HOSPES_TESTS_SIM_SIMMIG_H
#define HOSPES_TESTS_SIM_SIMMIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "migrated/core/source.h"
#include "migrated/core/target.h"

enum sim_host_id { SIM_SRC = 0, SIM_TGT = 1 };

enum sim_hv_state {
	SIM_HV_NONE,
	SIM_HV_RUNNING,
	SIM_HV_PAUSED,
	SIM_HV_SUSPENDED,
	SIM_HV_RELINQUISHED,
	SIM_HV_INCOMING,
	SIM_HV_RESTORED
};

struct sim_hv {
	enum sim_hv_state state;
	uint64_t generation;
	bool owner;     /* this copy owns the domain */
	bool ran;       /* ever */
	bool session;   /* the daemon's connection stands */
	uint32_t epoch; /* of the connection: answers of an older one are dropped */
};

struct sim_host {
	bool up;       /* migrated runs */
	uint32_t life; /* counts its starts */
	struct sim_hv hv;
	enum mig_record journal;
	uint64_t journal_generation;
	uint64_t last_hv_ns, last_out_ns, last_disk_ns; /* FIFO of answers, of messages and of what is written */
	bool machine;                                   /* a core lives here */
	bool telling;                                   /* source: Abort until it hears GONE */
};

enum sim_ev_kind {
	SIM_EV_CORE,
	SIM_EV_MSG,
	SIM_EV_DURABLE,
	SIM_EV_UNDO,
	SIM_EV_TICK,
	SIM_EV_FAULT,
	SIM_EV_RESTART,
	SIM_EV_HEAL,
	SIM_EV_TELL
};

struct sim_ev {
	uint64_t at_ns, order;
	enum sim_ev_kind kind;
	enum sim_host_id host;
	uint32_t life, epoch; /* dropped when the daemon or connection is another one by then */
	struct mig_event ev;
	unsigned fault;
};

#define SIM_EVENTS_MAX 512

enum sim_fault { SIM_KILL_SRC, SIM_KILL_TGT, SIM_KILL_SRC_HV, SIM_KILL_TGT_HV, SIM_CUT, SIM_CANCEL, SIM_FAULTS };

struct sim_options {
	uint64_t seed;
	bool shared_lease;
	unsigned faults;   /* random ones */
	int fault_at_step; /* >= 0: this fault before that many core steps, instead of random ones */
	enum sim_fault fault;
	bool restart; /* what was killed comes back, the wire heals */
	bool stay_paused;
	bool disk_stalls;  /* a journal's disk stands still now and then */
	const char *plant; /* name of a planted bug that the checker must find, NULL: none */
	FILE *trace;       /* NULL: silent */
};

struct sim {
	struct sim_options opt;
	uint64_t now, rng, order;
	struct sim_ev q[SIM_EVENTS_MAX];
	unsigned n;
	struct sim_host host[2];
	struct mig_source src;
	struct mig_target tgt;
	uint64_t lease_generation; /* shared */
	enum sim_host_id lease_owner;
	bool cut;
	uint32_t wire; /* counts cuts: data that was under way is lost */
	unsigned steps, faults_left;
	bool src_hv_killed, tgt_hv_killed_owning;
	char violation[160]; /* empty: none */
};

/* Run one story to its end. True: all invariants held. */
bool sim_run(struct sim *s, const struct sim_options *opt);
/* simcheck.c */
void sim_check_always(struct sim *s);
void sim_check_end(struct sim *s);

#endif
