/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The boot console con0: appended to a log file, kept in a small ring for late clients, passed to one attached client. */
#ifndef HOSPES_HYPERVISOR_CONLOG_H
#define HOSPES_HYPERVISOR_CONLOG_H

#include <stdbool.h>
#include <stddef.h>
#include "common/boundlog.h"
#include "common/err.h"
#include "common/loop.h"

struct conlog;

/* @log: taken over, also on failure; it may be of no file. @input: octets typed by the client. */
struct conlog *conlog_new(struct loop *loop, struct boundlog log, void (*input)(void *arg, const void *p, size_t len),
                          void *arg);
void conlog_free(struct conlog *c);
void conlog_put(struct conlog *c, const void *p, size_t len);
/* A stream socket that first says what the ring holds; -EBUSY when another client is there and not @take. */
int conlog_attach(struct conlog *c, bool take, struct err *err) _must_check_;

#endif
