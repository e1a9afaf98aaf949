/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The frame of a domain's state in GET_STATE and SET_STATE: "HDst", u32 version, u64 length of the devices' part, the devices' part
 * (docs/wire/devstate.md), the engine's part (docs/wire/pvstate.md) up to the end. Pure.
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
/* Find the two parts in @len hostile octets at @p, which the results borrow. -EINVAL: no frame. */
int stateframe_split(const void *p, size_t len, struct rd *ret_devices, struct rd *ret_engine, struct err *err) _must_check_;

#endif
