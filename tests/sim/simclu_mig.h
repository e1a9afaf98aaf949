/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared by simclu_mig.c (sessions around the cores), simclu_miglink.c (messages, journal, restarts) and simclu_mighv.c (hypercalls). */
#ifndef HOSPES_TESTS_SIM_SIMCLU_MIG_H
#define HOSPES_TESTS_SIM_SIMCLU_MIG_H

#include "migrated/core/source.h"
#include "migrated/core/target.h"
#include "tests/sim/simclu.h"

/* One end of a migration, as a migrated has it: struct outgoing or incoming. */
struct sc_end {
	bool used, source;
	bool ended, telling, told; /* telling: Abort is repeated until the target has let go */
	uint32_t use;              /* number; what is under way for another one does not arrive */
	uint32_t node, peer, dom;
	uint64_t session;
	union {
		struct mig_source src;
		struct mig_target tgt;
	} core;
	enum mig_outcome outcome;
	uint64_t tick_at, out_ns;  /* next look at the deadline; messages leave in order */
	uint32_t conn;             /* to hvdom; 0: none */
	uint32_t unread, unanswered;
	uint64_t stall_ns;         /* since when no data flows; 0: it does */
	uint64_t memory;           /* source: what was captured. target: what arrived */
	uint32_t preflights;
};

enum sc_mev_kind {
	SC_MEV_FREE, SC_MEV_MSG, SC_MEV_CALL, SC_MEV_ANSWER, SC_MEV_CLOSE, SC_MEV_CORE, SC_MEV_DATA, SC_MEV_DURABLE, SC_MEV_TICK,
	SC_MEV_PREFLIGHT, SC_MEV_SPAWN, SC_MEV_END, SC_MEV_TELL, SC_MEV_RECOVER,
	SC_MEV_PARK, SC_MEV_PARKED, SC_MEV_UNPARK
};

/*
 * Something under way: to an end, to hvdom (CALL, CLOSE, PARK, UNPARK), to a guard (PARKED), or to a migrated (MSG; RECOVER, whose use
 * is that life of it; DURABLE, whose v0 is).
 */
struct sc_mev {
	enum sc_mev_kind kind;
	uint32_t use, conn;
	uint32_t end, node, from, dom; /* MSG: to node, from from */
	uint32_t next, tries;
	bool to_source;
	uint64_t session, memory, v0;
	struct mig_event ev;
};

/* simclu_mig.c */
void sc_end_feed(struct sc *w, struct sc_end *e, struct mig_event *ev);
struct sc_end *sc_end_new(struct sc *w, bool source, uint32_t node, uint32_t peer, uint32_t dom, uint64_t session);
struct sc_end *sc_end_find(struct sc *w, bool source, uint32_t node, uint32_t peer, uint64_t session);
void sc_end_free(struct sc *w, struct sc_end *e);
void sc_end_maybe(struct sc *w, struct sc_end *e); /* it is over, and all calls are answered */
struct sc_mev *sc_mev(struct sc *w, enum sc_mev_kind kind, uint64_t in_ns); /* until the next call */
struct sc_mev *sc_mev_to(struct sc *w, const struct sc_end *e, enum sc_mev_kind kind, uint64_t in_ns);

/* simclu_miglink.c */
void sc_link_send(struct sc *w, struct sc_end *e, const struct mig_msg *msg);
void sc_link_arrives(struct sc *w, const struct sc_mev *m);
void sc_link_tell(struct sc *w, struct sc_end *e);
void sc_mig_recover(struct sc *w, const struct sc_mev *m); /* hvdom said how it is: what to make of a record */
void sc_journal_write(struct sc *w, const struct sc_end *e, enum mig_record rec); /* -> SC_MEV_DURABLE */
void sc_journal_durable(struct sc *w, struct sc_mev *m);
void sc_journal_forget(struct sc *w, uint32_t node, uint64_t session);
void sc_journal_die(struct sc *w, uint32_t node); /* what is under way arrives, or does not */
bool sc_journal_half_called_off(const struct sc *w, uint32_t node, uint32_t dom);

/* simclu_park.c */
void sc_hv_park(struct sc *w, const struct sc_mev *m);
void sc_hv_unpark(struct sc *w, const struct sc_mev *m);
void sc_park_answered(struct sc *w, const struct sc_mev *m);

/* simclu_mighv.c */
uint64_t sc_hv_turn(struct sc *w, struct sc_copy *c); /* until it comes to what is asked now */
void sc_hv_open(struct sc *w, struct sc_end *e);
void sc_hv_close(struct sc *w, struct sc_end *e); /* hvdom undoes what belongs to the session, when it comes to it */
void sc_hv_call(struct sc *w, struct sc_end *e, enum mig_hv op, uint64_t v0);
void sc_hv_read(struct sc *w, const struct sc_mev *m);
void sc_hv_answered(struct sc *w, struct sc_mev *m);
void sc_hv_closed(struct sc *w, const struct sc_mev *m);

#endif
