/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The migration daemon: what its parts share. One loop thread owns everything here; data planes have threads of their own
 * (outpipe, inpipe). Parts: link.c (sockets, ZAP), ctl.c (orders), outgoing.c (source sessions), incoming.c (target sessions).
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
#define RECOVER_MS  300 /* how long a start waits for an hvdom; one that takes longer is asked again, without waiting */
#define KNOCK_NS    (2 * MIG_S) /* how long an hvdom may take to say that it is there */

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
	struct stray *strays;  /* list: incoming.c */
	struct ctlsock *ctl;
	struct workers *helpers;     /* for what may not answer: preflight_ask.h */
	struct unsettled *unsettled; /* list: sessions whose hvdom does not answer */
	struct loop_timer *unsettled_timer;
	bool closing;              /* the daemon ends: last words get little time */
	uint64_t rate_bps;         /* of the last migration from here: the guess for the next */
	struct recorder *recorder; /* the journal: <state>/migrations */
};

/* Who sent a control message: the routing id on the ROUTER, and the pinned name behind its key. */
struct peer_id {
	uint8_t id[PEER_ID_MAX];
	size_t len;
	char name[64];
	char address[64];
};

/* Start listening; nothing is recovered yet. */
int link_open(struct migrated *d, struct err *err) _must_check_;
void link_close(struct migrated *d);
/* A DEALER to @peer with CURVE; the endpoint of its data socket goes to @ret_host. */
void *link_dealer(struct migrated *d, const struct peer *peer, struct err *err);
/* Pack and send. To @to on the ROUTER, or through @z alone when @to is NULL. Errors are silence, as the protocol has it. */
void link_send(struct zsock *z, const struct peer_id *to, const Hospes__Mig__Envelope *env);
void link_hello(struct migrated *d, Hospes__Mig__Hello *h, bool reply);

/* Make or read keys and configuration, listen on both ports and on the order socket. */
struct migrated *migrated_new(struct loop *loop, struct err *err);
/* Read the journal, ask every hvdom it names: settle what was under way when the daemon ended. */
int migrated_recover(struct migrated *d, struct err *err) _must_check_;
/* Append one status object per session whose hvdom (of @domain, NULL: any) has not answered since the start. */
void migrated_unsettled(const struct migrated *d, const char *domain, json_t *list);
bool migrated_is_unsettled(const struct migrated *d, const char *domain);
void migrated_free(struct migrated *d); /* takes NULL */

uint64_t random_u64(void);

#endif
