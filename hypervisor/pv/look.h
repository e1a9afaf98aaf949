/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a guest's processes are doing, by /proc, frozen or not. @k: pid of the guest kernel. Any thread. */
#ifndef HOSPES_HYPERVISOR_PV_LOOK_H
#define HOSPES_HYPERVISOR_PV_LOOK_H

#include <sys/types.h>
#include "hypervisor/engine.h"

void pv_look_at(pid_t k, struct hv_look *ret);
/*
 * Fill in CPU time, hv_rss_bytes and processes. @k: 0 if there is no guest. @holder: pid 1 of its sandbox. @helpers: how
 * many children of K are none of the guest's processes.
 */
void pv_look_stats(pid_t k, pid_t holder, unsigned helpers, struct hv_stats *st);

#endif
