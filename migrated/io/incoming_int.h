/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared by incoming*.c: one target session. */
#ifndef HOSPES_MIGRATED_IO_INCOMING_INT_H
#define HOSPES_MIGRATED_IO_INCOMING_INT_H

#include "migrated/core/target.h"
#include "migrated/io/incoming.h"
#include "migrated/io/pump.h"

struct incoming {
	struct incoming *next;
	struct migrated *d;
	struct mig_target core;
	uint64_t session;
	struct peer_id from;          /* of the peer's last message */
	Hospes__Mig__Envelope *offer; /* owned; NULL after a restart */
	Hospes__Mig__Final *final_pb; /* borrowed while that message is handled */
	char name[64], uuid[37];
	char text[ERR_TEXT_MAX]; /* why it failed here */
	uint64_t ram_available, begun_ns;
	uint64_t base[2]; /* that the incoming hvdom has: hv_info */
	bool ended, ram_arrived;
	/* hvdom */
	int pid;      /* 0: none */
	bool child;   /* ours to reap */
	int ready_fd; /* pipe that says when it is ready, owned; -1: none */
	struct loop_fd *ready_src;
	char *xml_path;
	struct hva *hva;
	bool attaching; /* what it is, and its memory, were asked */
	struct memmap mem;
	bool mem_open;
	int state_fd;
	uint64_t state_bytes;
	struct insession *data;
	struct hv_memhash_rep memhash; /* of Final; n_regions 0: --verify is off */
	struct loop_timer *timer, *spawn_timer, *end, *again;
	unsigned preflights;
	struct work *asked;      /* the preflight under way, NULL: none */
	uint64_t asked_promised; /* incoming_ram_promised() when it began */
	struct pump pump;
	uint64_t go_ns, running_ns, restore_ns, final_ns;
	uint64_t arrived_ns, resume_ns; /* all frames written; RESUME was called */
	uint64_t io_cpu_ns;             /* zsock_io_cpu_ns() when it began */
};

#define INCOMING_SESSIONS_MAX 64u /* sessions that have just ended included */

/* In d->ins. NULL: out of memory. */
struct incoming *incoming_new(struct migrated *d, uint64_t session, const char *name, const char *uuid);
void incoming_feed(struct incoming *in, const struct mig_event *ev);

/* incoming_stray.c: messages without a session here. */
void incoming_answer_hello(struct migrated *d, const struct peer_id *from, uint64_t session);
void incoming_answer_ping(struct migrated *d, const struct peer_id *from, const Hospes__Mig__Envelope *ping);
/* Go, Resolve or Abort of a session that is not under way. @rec: its record in the journal, NULL: it was never READY here. */
void incoming_unknown(struct migrated *d, const struct peer_id *from, const Hospes__Mig__Envelope *env,
                      const struct mig_msg *msg, const struct journal_rec *rec);
void incoming_strays_free(struct migrated *d);

/* incoming_hvdom.c: the incoming domain's process. */
void incoming_spawn(struct incoming *in);                               /* -> MIG_EV_SPAWNED */
void incoming_spawn_late(void *arg);                                    /* of the timer: it was not ready in time */
void incoming_kill(struct incoming *in);                                /* -> MIG_EV_ENDED, when it is gone for certain */
/* Connect to one that runs already, after a restart of this daemon. Waits for its answer, RECOVER_MS at most. */
int incoming_attach(struct incoming *in, struct err *err) _must_check_;
void incoming_hv(struct incoming *in, enum mig_hv op, uint64_t v0);
void incoming_hvdom_done(struct incoming *in); /* free all of this; end the process unless the domain was taken */

#endif
