/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Does an hvdom live and answer? The question does not block, so an hvdom that hangs (stopped, or in the kernel) does not stop the loop.
 * After an answer short blocking hypercalls (hypervisor/api/hvcall.h) are safe, since hvdom's own loop runs. Loop thread.
 */
#ifndef HOSPES_MIGRATED_IO_KNOCK_H
#define HOSPES_MIGRATED_IO_KNOCK_H

#include "common/loop.h"
#include "hypervisor/api/hypercall.h"

struct knock;

/* @status 0: it answered, @info is borrowed; -ENOENT, -ECONNREFUSED: there is none; -ETIMEDOUT: it does not answer; else -errno. */
typedef void knock_fn(void *arg, int status, const struct hv_info *info);

/* Ask the hvdom of domain @name. @fn is called later, once, from the loop. NULL: out of memory. */
struct knock *knock(struct loop *loop, const char *name, uint64_t timeout_ns, knock_fn *fn, void *arg);
void knock_drop(struct knock *k); /* cancel it: @fn is not called. Takes NULL. After @fn the pointer is invalid */

#endif
