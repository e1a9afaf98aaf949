/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Drops the capabilities that a daemon does not need. A daemon starts hvdoms, which need namespaces, taps, user ids,
 * disks and priorities, so the bounding set stays wide. It loses kernel modules, auditing, accounting and the like.
 */
#ifndef HOSPES_COMMON_CAPS_H
#define HOSPES_COMMON_CAPS_H

#include <linux/capability.h>
#include <stdint.h>
#include "common/cleanup.h"
#include "common/err.h"

#define CAPS_BIT(cap) (1ull << (cap))

/*
 * Remove the capabilities that no part of Hospes needs, and @more (CAPS_BITs), from the bounding and permitted sets of
 * the process. Call it before the first thread is made.
 */
int caps_bound(uint64_t more, struct err *err) _must_check_;

#endif
