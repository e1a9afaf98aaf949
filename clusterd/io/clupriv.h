/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What clusterd keeps of root's privileges. It starts hvdoms (which need namespaces, taps, user ids, disks) and fence agents (which need
 * what they need), so the bounding set stays wide; kernel modules, clocks, auditing and the like nobody below it has a use for.
 */
#ifndef HOSPES_CLUSTERD_IO_CLUPRIV_H
#define HOSPES_CLUSTERD_IO_CLUPRIV_H

#include "common/cleanup.h"
#include "common/err.h"

int clupriv_bound(struct err *err) _must_check_;

#endif
