/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The connection to the order socket of a daemon of this host, migrated or clusterd: one JSON object per line in each direction. The caller
 * knows what the objects mean (docs/wire/clusterctl.md, migrated/io/ctl.h). One thread.
 */
#ifndef HOSPES_TOOLS_JSONCONN_H
#define HOSPES_TOOLS_JSONCONN_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include "common/buf.h"
#include "common/cleanup.h"
#include "common/err.h"

static inline void cleanup_json(json_t **o) { json_decref(*o); }
#define _cleanup_json_ __attribute__((cleanup(cleanup_json)))

/* The daemon at the other end, and the words that make its errors helpful. */
struct jsonconn_peer {
	const char *daemon;    /* its socket is <run>/DAEMON.sock */
	const char *start;     /* "DAEMON does not run on this host (...): START" */
	const char *expected;  /* "DAEMON said something that is not EXPECTED" */
	const char *lost;      /* "DAEMON went away; LOST" */
	size_t line_bytes_max; /* approximate; a longer line fails with -ENOMEM */
	unsigned answer_s;     /* seconds that it may take to accept a connection, or a part of an order; 0: no limit */
};

struct jsonconn {
	const struct jsonconn_peer *peer; /* borrowed */
	int fd;                           /* -1: closed */
	struct buf in;                    /* received and not yet taken */
};

/* Connect. @c is closed on failure. -ETIMEDOUT: not accepted within answer_s; -EACCES; -ENAMETOOLONG; as connect(2). */
int jsonconn_open(struct jsonconn *c, const struct jsonconn_peer *peer, struct err *err) _must_check_;
/* Connect and send @order, which is released in any case. @c is closed on failure. */
int jsonconn_order(struct jsonconn *c, const struct jsonconn_peer *peer, json_t *order, struct err *err) _must_check_;
void jsonconn_close(struct jsonconn *c); /* may be called again */
static inline void cleanup_jsonconn(struct jsonconn *c) { jsonconn_close(c); }
#define _cleanup_jsonconn_ __attribute__((cleanup(cleanup_jsonconn)))
/* Send @o as one line, and release it. NULL counts as out of memory. -ETIMEDOUT: not taken within answer_s. */
int jsonconn_send(struct jsonconn *c, json_t *o, struct err *err) _must_check_;
/*
 * Receive the next object, which the caller owns. Without @wait: -EAGAIN, and no text, if none is complete yet. -EINTR: a signal came.
 * -ECONNRESET: the daemon closed the connection. -EPROTO: the line is no object; the next one may be.
 */
int jsonconn_recv(struct jsonconn *c, bool wait, json_t **ret, struct err *err) _must_check_;

void jsonconn_print(const json_t *o); /* one line on standard output, flushed */

/* Fields of an object, with defaults instead of failures: tools show what a daemon says, and do not judge it. */
double field_num(const json_t *o, const char *key);       /* 0 when absent */
const char *field_text(const json_t *o, const char *key); /* "" when absent or null; borrowed from @o */
bool field_true(const json_t *o, const char *key);
int field_errno(const json_t *o, const char *key);        /* of a name: EAGAIN for "EAGAIN"; EIO when it is none */

#endif
