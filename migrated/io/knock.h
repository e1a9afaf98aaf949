/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Is an hvdom there, and does it answer? Asked without waiting, so that one that stands still (stopped, or in the kernel) does not stop
 * the loop. Who got an answer may make short blocking hypercalls (hypervisor/api/hvcall.h): it is at its loop.
 */
#ifndef HOSPES_MIGRATED_IO_KNOCK_H
#define HOSPES_MIGRATED_IO_KNOCK_H

#include "common/loop.h"
#include "hypervisor/api/hypercall.h"

struct knock;

/* 0 with @info; -ENOENT, -ECONNREFUSED: nobody there; -ETIMEDOUT: it does not answer, nor take what is said; else -errno. */
typedef void knock_fn(void *arg, int status, const struct hv_info *info);

/* Ask the hvdom of @name; @fn comes later, once, from the loop. NULL: out of memory. */
struct knock *knock(struct loop *loop, const char *name, uint64_t timeout_ns, knock_fn *fn, void *arg);
void knock_drop(struct knock *k); /* @fn does not come. Takes NULL; not for one whose @fn came */

#endif
