/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * NICs behind a card that an engine's device model has itself (e1000, e1000e, rtl8139): frames go between that and hvdom as datagrams, one
 * frame each, without any header. Frames are passed while the devices run; at any other time they wait. ADR 96. Call from the main thread.
 */
#ifndef HOSPES_HYPERVISOR_DEV_ENIC_H
#define HOSPES_HYPERVISOR_DEV_ENIC_H

#include <stddef.h>
#include "common/cleanup.h"
#include "common/err.h"

struct devs;

/* A pair of sockets as enic_connect() takes it. @ret: hvdom's end, the device model's. */
int enic_pair(int ret[2], struct err *err) _must_check_;
/*
 * NIC @i, which is such a one, passes frames over @ours from now on. @theirs is the other end, which the device model has as well: what it
 * leaves unread is taken from there when the guest has moved. Both are owned from now on, also on failure.
 */
int enic_connect(struct devs *d, size_t i, int ours, int theirs, struct err *err) _must_check_;

#endif
