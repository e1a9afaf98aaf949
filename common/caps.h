/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a daemon keeps of root's privileges. It starts hvdoms (which need namespaces, taps, user ids, disks, priorities), so the bounding
 * set stays wide; kernel modules, auditing, accounting and the like nobody below it has a use for.
 */
#ifndef HOSPES_COMMON_CAPS_H
#define HOSPES_COMMON_CAPS_H

#include <linux/capability.h>
#include <stdint.h>
#include "common/cleanup.h"
#include "common/err.h"

#define CAPS_BIT(cap) (1ull << (cap))

/*
 * Take what no part of Hospes needs, and @more (CAPS_BITs), out of the bounding and permitted sets of the whole process. Before any thread
 * is made.
 */
int caps_bound(uint64_t more, struct err *err) _must_check_;

#endif
