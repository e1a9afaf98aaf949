/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Helpers for what may not answer: processes that look at storage in place of a daemon's loop. A thread that hangs in stat(2) of a dead
 * file server cannot be ended, a process can at least be left behind. A helper is this program anew ("--helper"), so that it shares no
 * memory, lock or descriptor with the daemon; it serves one request at a time. One that does not answer in time is killed and another
 * takes its place; whoever asked is told -ETIMEDOUT.
 *
 * Bounded: at most `max` helpers work at a time (URGENT_MORE more for what is urgent), of which one serves what is asked slowly; at most
 * HUNG_MAX that were killed and do not end are left behind, then nothing new begins until one of them does.
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

/* SLOW: did not answer the last time; waits for others. URGENT: before all others, and told at the latest after twice the time limit. */
enum work_kind { WORK_URGENT, WORK_NORMAL, WORK_SLOW, WORK_KINDS };

/*
 * @status: 0 with the reply; -ETIMEDOUT, with what it looked at (worker_at(), a C string) or nothing; -ECONNRESET: the helper
 * died; -ENOMEM and the like: it could not be asked.
 */
typedef void work_done_fn(void *arg, int status, const uint8_t *reply, size_t len);

/* @max: helpers at a time. Nothing is started before it is needed. NULL: out of memory. */
struct workers *workers_new(struct loop *loop, unsigned max, uint64_t timeout_ns);
void workers_free(struct workers *ws); /* takes NULL; kills them, nobody is told */
/* Ask; @req is copied. @done comes later, once, from the loop. NULL: out of memory, or too long. */
struct work *workers_ask(struct workers *ws, enum work_kind kind, const void *req, size_t len, work_done_fn *done, void *arg);
/* Nobody wants to know any more: @done does not come. Takes NULL. */
void work_drop(struct work *w);
/* Helpers that were killed and have not ended: they hang in some storage. */
unsigned workers_hung(const struct workers *ws);

/* The helper's side. */
struct worker_here { int fd; size_t at; };
/* Before something that may hang: what it is, so that people can be told. At most WORKER_AT_MAX octets of it. */
void worker_at(const struct worker_here *here, const char *what);
/* Its main: serves requests on standard input until it is closed. @serve: into @reply, at most WORKER_REPLY_MAX. */
int worker_main(void (*serve)(struct worker_here *here, const uint8_t *req, size_t len, struct buf *reply));

#endif
