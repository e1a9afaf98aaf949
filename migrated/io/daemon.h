/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Shared by the parts of the migration daemon: link.c (sockets, ZAP), ctl.c (orders), outgoing*.c (source sessions), incoming*.c (target
 * sessions). Everything here belongs to the loop's thread. The data planes (outpipe, inpipe) have threads of their own.
 */
#ifndef HOSPES_MIGRATED_IO_DAEMON_H
#define HOSPES_MIGRATED_IO_DAEMON_H

#include <jansson.h>
#include "common/loop.h"
#include "migrated/core/mig.h"
#include "migrated/io/inpipe.h"
#include "migrated/io/peers.h"
#include "migrated/io/wire.h"
#include "migrated/io/zsock.h"

#define PEER_ID_MAX 64u
#define RECOVER_MS  300         /* how long a start of the daemon waits for an hvdom; a slower one is asked again later */
#define KNOCK_NS    (2 * MIG_S) /* how long an hvdom may take to answer */

struct outgoing;
struct incoming;
struct stray;
struct ctlsock;
struct recorder;
struct workers;
struct unsettled;

struct migrated {
	struct loop *loop;
	struct node node;
	void *zmq;            /* control context: CURVE */
	void *zmq_data;       /* data context: sealed frames */
	struct zsock *router; /* control socket */
	struct zsock *zap, *zap_data;
	struct inpipe *inpipe;
	struct outgoing *outs; /* list */
	struct incoming *ins;  /* list */
	struct stray *strays;  /* list: incoming_stray.c */
	struct ctlsock *ctl;
	struct workers *helpers;     /* processes that may block: preflight_ask.h */
	struct unsettled *unsettled; /* list: sessions whose hvdom has not answered since the start */
	struct loop_timer *unsettled_timer;
	bool closing;              /* the daemon ends */
	uint64_t rate_bps;         /* octets per second of the last migration from here, the guess for the next one */
	struct recorder *recorder; /* the journal: <state>/migrations */
};

/* The sender of a control message: the routing id on the ROUTER, and the peer's name, by its key. */
struct peer_id {
	uint8_t id[PEER_ID_MAX];
	size_t len;
	char name[64];
	char address[64];
};

/* Open the sockets of the daemon and listen. */
int link_open(struct migrated *d, struct err *err) _must_check_;
void link_close(struct migrated *d);
/* Make a DEALER for @peer with CURVE, not connected yet, owned by the caller. NULL: @err. */
void *link_dealer(struct migrated *d, const struct peer *peer, struct err *err);
/*
 * Send @env, whose body is set to that of a @kind message of @session, on @z: to @to if @z is the ROUTER, else @to is NULL. An error is
 * silence, as in the protocol.
 */
void link_send(struct zsock *z, const struct peer_id *to, uint64_t session, enum mig_msg_kind kind, Hospes__Mig__Envelope *env);
void link_hello(struct migrated *d, Hospes__Mig__Hello *h, bool reply); /* fill @h, which borrows from @d */

/* Read or make keys and configuration, listen on both ports and on the order socket. NULL: @err. */
struct migrated *migrated_new(struct loop *loop, struct err *err);
/* Settle the migrations that were under way when the daemon ended: read the journal, ask each hvdom that it names. */
int migrated_recover(struct migrated *d, struct err *err) _must_check_;
/* Append a status object to @list for each session (of @domain, NULL: all) whose hvdom has not answered since the start. */
void migrated_unsettled(const struct migrated *d, const char *domain, json_t *list);
bool migrated_is_unsettled(const struct migrated *d, const char *domain);
void migrated_free(struct migrated *d); /* takes NULL */

uint64_t random_u64(void);

#endif
