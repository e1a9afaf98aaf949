/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The boot console con0: its output goes to a log file, to a small ring for late clients, and to one attached client. Main thread. */
#ifndef HOSPES_HYPERVISOR_CONLOG_H
#define HOSPES_HYPERVISOR_CONLOG_H

#include <stdbool.h>
#include <stddef.h>
#include "common/boundlog.h"
#include "common/err.h"
#include "common/loop.h"

struct conlog;

/* @log is owned from now on, also on failure; it may have no file. @input gets what the client types. NULL: out of memory. */
struct conlog *conlog_new(struct loop *loop, struct boundlog log, void (*input)(void *arg, const void *p, size_t len),
                          void *arg);
void conlog_free(struct conlog *c); /* takes NULL */
void conlog_put(struct conlog *c, const void *p, size_t len); /* output of the guest; a client that is too slow misses some */
/*
 * Returns the client's end of a stream socket, which begins with the content of the ring and which the caller owns. A present client is
 * dropped with @take, else -EBUSY.
 */
int conlog_attach(struct conlog *c, bool take, struct err *err) _must_check_;

#endif
