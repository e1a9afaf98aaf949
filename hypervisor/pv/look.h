/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a guest's processes are at, seen from outside (/proc), whether they stand still or run. Any thread. */
#ifndef HOSPES_HYPERVISOR_PV_LOOK_H
#define HOSPES_HYPERVISOR_PV_LOOK_H

#include <sys/types.h>
#include "hypervisor/engine.h"

void pv_look_at(pid_t k, struct hv_look *ret);

#endif
