/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The order socket of a daemon, `<run>/NAME.sock` (mode 0600): one JSON object per line in each direction. The limits
 * in struct ctlsock_type bound the cost of a client. A client that exceeds them or does not read loses its connection,
 * and never blocks the daemon. The daemon gives the orders their meaning. Loop thread.
 */
#ifndef HOSPES_COMMON_CTLSOCK_H
#define HOSPES_COMMON_CTLSOCK_H

#include <jansson.h>
#include "common/buf.h"
#include "common/err.h"
#include "common/loop.h"

struct ctlsock;

struct ctlsock_client {
	struct ctlsock_client *next;
	struct ctlsock *sock;
	int fd;                 /* owned */
	struct loop_fd *src;
	struct loop_timer *reap;
	struct buf in, out;     /* out: what the client has not taken yet */
	bool dead;              /* dropped; freed in the loop's next round */
	bool busy;              /* set and cleared by the daemon: it carries out an order, the next line waits */
};

/* Describes a daemon's socket, and outlives it. */
struct ctlsock_type {
	const char *name;       /* of the daemon */
	size_t client_bytes;    /* size of its struct for a client, which begins with a struct ctlsock_client; zeroed at first */
	unsigned clients_max;   /* further connections are closed at once */
	int backlog;
	size_t read_bytes;      /* read from a client at once, at most CTLSOCK_READ_MAX */
	size_t in_bytes_max;    /* sent by a client and not carried out yet, newline included */
	size_t out_bytes_max;   /* sent to the client and not read by it yet */
	/* One order. @o: owned by the callee; NULL: the line is no JSON object, and @wrong (valid until the return) says why. */
	void (*order)(void *arg, struct ctlsock_client *c, json_t *o, const char *wrong);
	/* @c is about to be freed. */
	void (*gone)(void *arg, struct ctlsock_client *c);
};

#define CTLSOCK_READ_MAX 65536u

/* Serve in path_run(), and create that directory. NULL with the text: EADDRINUSE when another process serves there;
 * ENAMETOOLONG, ENOMEM, system errors. */
struct ctlsock *ctlsock_new(struct loop *loop, const struct ctlsock_type *type, void *arg, struct err *err);
void ctlsock_free(struct ctlsock *s); /* takes NULL; drops the clients, removes the socket */
/* The first client of the list. The list changes only in the loop's next round. */
struct ctlsock_client *ctlsock_clients(struct ctlsock *s);
/* Send a line. Takes ownership of @o; NULL (it could not be made) drops the client. */
void ctlsock_reply(struct ctlsock_client *c, json_t *o);
/* Carry out the lines that waited while the client was busy. */
void ctlsock_go_on(struct ctlsock_client *c);

#endif
