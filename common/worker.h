/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Helper processes that access storage in place of a daemon's loop, because storage may not answer. A thread that hangs
 * in stat(2) of a dead file server cannot be ended; a process can at least be left behind. A helper is the same
 * program, executed with "--helper", so it shares no memory, lock or descriptor with the daemon. It serves one request
 * at a time. A helper that does not answer in time is killed and replaced, and the request ends with -ETIMEDOUT.
 *
 * The number of helpers is bounded. At most `max` work at a time, one of them on slow requests, and WORKER_URGENT_MORE
 * more on urgent ones. At most WORKER_HUNG_MAX killed helpers that do not end are left behind; then no new one starts
 * until one of them ends.
 */
#ifndef HOSPES_COMMON_WORKER_H
#define HOSPES_COMMON_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/buf.h"
#include "common/loop.h"

#define WORKER_ARG      "--helper"
#define WORKER_URGENT_MORE 8u
#define WORKER_HUNG_MAX 32u
#define WORKER_REQUEST_MAX (2u << 20)
#define WORKER_REPLY_MAX 65536u
#define WORKER_AT_MAX 400u

struct workers;
struct work;

/*
 * SLOW: did not answer the last time, so others go first. URGENT: goes before all others, and is answered or fails
 * within twice the time limit.
 */
enum work_kind { WORK_URGENT, WORK_NORMAL, WORK_SLOW, WORK_KINDS };

/*
 * @status: 0 with the reply; -ETIMEDOUT: @reply says what the helper accessed (the C string of worker_at()), or is empty;
 * -ECONNRESET: the helper died; -ENOMEM and the like: no helper could be asked.
 */
typedef void work_done_fn(void *arg, int status, const uint8_t *reply, size_t len);

/* @max: helpers at a time. A helper is started when it is first needed. NULL: out of memory. */
struct workers *workers_new(struct loop *loop, unsigned max, uint64_t timeout_ns);
void workers_free(struct workers *ws); /* takes NULL; kills the helpers, and calls no @done */
/* Send a request; @req is copied. The loop calls @done later, once. NULL: out of memory, or too long. */
struct work *workers_ask(struct workers *ws, enum work_kind kind, const void *req, size_t len, work_done_fn *done, void *arg);
/* Forget a request: @done is not called. Takes NULL. */
void work_drop(struct work *w);
/* The number of helpers that were killed and have not ended, because they hang in storage. */
unsigned workers_hung(const struct workers *ws);

/* The helper's side. */
struct worker_here { int fd; size_t at; };
/* Record what is accessed next and may hang, so that people can be told. At most WORKER_AT_MAX octets are kept. */
void worker_at(const struct worker_here *here, const char *what);
/* The helper's main: serves requests on standard input until it is closed. @serve fills @reply (WORKER_REPLY_MAX). */
int worker_main(void (*serve)(struct worker_here *here, const uint8_t *req, size_t len, struct buf *reply));

#endif
