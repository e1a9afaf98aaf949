/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A client of QEMU's monitor (QMP) on a connected stream socket. A guest may have taken over the other end, so lines are bounded, and what
 * is not QMP ends the connection. Calls wait for their answers, and keep events that arrive meanwhile for qmp_event(). Main thread.
 */
#ifndef HOSPES_QEMU_QMP_H
#define HOSPES_QEMU_QMP_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include "common/cleanup.h"
#include "common/err.h"

#define QMP_LINE_MAX   (1u << 20) /* octets of a message that is accepted */
#define QMP_EVENTS_MAX 1024u      /* events that are kept; more are a protocol error */

struct qmp;

/* @fd is owned from now on. NULL: out of memory, @fd is closed. */
struct qmp *qmp_new(int fd);
void qmp_free(struct qmp *q); /* takes NULL */
int qmp_fd(const struct qmp *q);
/* True if QEMU's greeting has arrived. */
bool qmp_greeted(const struct qmp *q);
/* The version that it gave there ("7.2.22"), borrowed; empty: none that makes sense. */
const char *qmp_version(const struct qmp *q);
/* Take the messages that have arrived, without waiting: 0, -EPIPE (the end), -EPROTO. After a failure the connection is of no use. */
int qmp_read(struct qmp *q, struct err *err) _must_check_;
/* The same, but wait for a message first: also -ETIMEDOUT. */
int qmp_wait(struct qmp *q, uint64_t until_ns, struct err *err) _must_check_;
/* Take the oldest event, owned by the caller from then on; NULL: there is none. */
json_t *qmp_event(struct qmp *q);
/*
 * Execute @cmd with @args (taken over, NULL: none), and send it descriptor @fd (borrowed, -1: none). -EREMOTEIO: QEMU refused, and @err
 * says why. -ETIMEDOUT: no answer within @limit_ns; QEMU may still execute the command, and its late answer is dropped.
 */
int qmp_call(struct qmp *q, const char *cmd, json_t *args, int fd, uint64_t limit_ns, struct err *err) _must_check_;
/* The same, and what it returns in *@ret, owned by the caller. */
int qmp_ask(struct qmp *q, const char *cmd, json_t *args, uint64_t limit_ns, json_t **ret, struct err *err) _must_check_;
/* A number of QEMU's without a sign. UINT64_MAX: it is that, none, or below 0; from 2^53 on it may be rounded. */
uint64_t qmp_uint(const json_t *number);
/* The halves of qmp_call(), for use in a loop. -EAGAIN: no answer yet. */
int qmp_send(struct qmp *q, const char *cmd, json_t *args, int fd, struct err *err) _must_check_;
int qmp_answer(const struct qmp *q, struct err *err) _must_check_;
/* The number of the last command, from 1: one that was sent later took the place of an answer that had not come. */
int64_t qmp_number(const struct qmp *q);
/* What the last command returned, borrowed until the next one; NULL: nothing, or not yet. */
const json_t *qmp_returned(const struct qmp *q);

#endif
