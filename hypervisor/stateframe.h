/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The frame of a domain's state as GET_STATE gives and SET_STATE takes it: "HDst", u32 version, u64 octets of the devices' part,
 * the devices' part (docs/wire/devstate.md), the engine's part (docs/wire/pvstate.md) to the end. Pure.
 */
#ifndef HOSPES_HYPERVISOR_STATEFRAME_H
#define HOSPES_HYPERVISOR_STATEFRAME_H

#include "common/buf.h"
#include "common/err.h"
#include "common/cleanup.h"

#define STATEFRAME_MAGIC 0x74734448u
#define STATEFRAME_VERSION 1u

/* Begin a state in @out with the devices' part; the engine appends its own. */
void stateframe_begin(struct buf *out, const struct buf *devices);
/* The two parts of hostile octets, borrowed from @p. -EINVAL. */
int stateframe_split(const void *p, size_t len, struct rd *ret_devices, struct rd *ret_engine, struct err *err) _must_check_;

#endif
