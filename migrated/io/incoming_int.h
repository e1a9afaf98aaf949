/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inside of incoming*.c: one target session. */
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
	struct peer_id from;          /* where the peer spoke from last */
	Hospes__Mig__Envelope *offer; /* owned; NULL after a restart */
	Hospes__Mig__Final *final_pb; /* borrowed while the message is handled */
	char name[64], uuid[37];
	char text[ERR_TEXT_MAX]; /* why it failed here */
	uint64_t ram_available, begun_ns;
	bool ended, ram_arrived;
	/* hvdom */
	int pid;      /* 0: none */
	bool child;   /* ours to reap */
	int ready_fd; /* its readiness pipe, -1 */
	struct loop_fd *ready_src;
	char *xml_path;
	struct hva *hva;
	struct memmap mem;
	bool mem_open;
	int state_fd;
	uint64_t state_bytes;
	struct insession *data;
	struct hv_memhash_rep memhash; /* as Final said; n_regions 0: not asked for */
	struct loop_timer *timer, *spawn_timer, *end, *again;
	unsigned preflights;
	struct work *asked; /* the preflight, under way */
	uint64_t asked_promised;
	struct pump pump;
	uint64_t go_ns, running_ns, restore_ns, final_ns;
};

#define INCOMING_SESSIONS_MAX 64u /* those that have just ended included */

struct incoming *incoming_new(struct migrated *d, uint64_t session, const char *name,
                              const char *uuid); /* in d->ins; NULL: no memory */
void incoming_feed(struct incoming *in, const struct mig_event *ev);

/* incoming_stray.c: messages that need no session. */
void incoming_answer_hello(struct migrated *d, const struct peer_id *from, uint64_t session);
void incoming_answer_ping(struct migrated *d, const struct peer_id *from, const Hospes__Mig__Envelope *ping);
/* Go, Resolve or Abort of a session that no machine holds: the journal knows (@rec, NULL: no record), or it never was ready here. */
void incoming_unknown(struct migrated *d, const struct peer_id *from, const Hospes__Mig__Envelope *env,
                      const struct mig_msg *msg, const struct journal_rec *rec);
void incoming_strays_free(struct migrated *d);

/* incoming_hvdom.c: the incoming domain's process. */
void incoming_spawn(struct incoming *in);                               /* -> MIG_EV_SPAWNED */
void incoming_spawn_late(void *arg);                                    /* timer: it was not ready in time */
void incoming_kill(struct incoming *in);                                /* -> MIG_EV_ENDED, when it is certainly gone */
int incoming_attach(struct incoming *in, struct err *err) _must_check_; /* connect to its socket; maps nothing */
void incoming_hv(struct incoming *in, enum mig_hv op, uint64_t v0);
void incoming_hvdom_done(struct incoming *in); /* lets go of everything; ends a process that was not taken */

#endif
