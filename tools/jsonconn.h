/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The connection to the control socket of a daemon of this host, migrated or clusterd: one JSON object per line, both ways. What the
 * objects say is the caller's business (docs/wire/clusterctl.md, migrated/io/ctl.h). One thread.
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

/* Who is at the other end, and how errors end that have to do with it. */
struct jsonconn_peer {
	const char *daemon;    /* its socket is <run>/DAEMON.sock */
	const char *start;     /* "DAEMON does not run on this host (...): START" */
	const char *expected;  /* "DAEMON said something that is not EXPECTED" */
	const char *lost;      /* "DAEMON went away; LOST" */
	size_t line_bytes_max; /* about; what is longer fails with -ENOMEM */
	unsigned answer_s;     /* how long it may take to accept a connection, or more of an order; 0: for ever */
};

struct jsonconn {
	const struct jsonconn_peer *peer; /* borrowed */
	int fd;                           /* -1: closed */
	struct buf in;                    /* received and not yet taken */
};

/* @c is closed on failure. -EACCES, -ETIMEDOUT (of answer_s) and what connect() says have a text of their own. */
int jsonconn_open(struct jsonconn *c, const struct jsonconn_peer *peer, struct err *err) _must_check_;
void jsonconn_close(struct jsonconn *c); /* again is fine */
static inline void cleanup_jsonconn(struct jsonconn *c) { jsonconn_close(c); }
#define _cleanup_jsonconn_ __attribute__((cleanup(cleanup_jsonconn)))
/* One object, one line. Takes @o; NULL counts as out of memory. -ETIMEDOUT: of answer_s. */
int jsonconn_send(struct jsonconn *c, json_t *o, struct err *err) _must_check_;
/*
 * The next object; owned by the caller. @wait false: -EAGAIN, without a text, when none is complete yet. -EINTR: a signal came.
 * -ECONNRESET: the daemon went away. -EPROTO: what came is no object; the next line may be one.
 */
int jsonconn_recv(struct jsonconn *c, bool wait, json_t **ret, struct err *err) _must_check_;
void jsonconn_print(const json_t *o); /* to standard output, one line, at once */

#endif
