/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Operations of struct hv_engine_ops that engine pv does not have: refused, or nothing to do. */
#ifndef HOSPES_HYPERVISOR_PV_LACKS_H
#define HOSPES_HYPERVISOR_PV_LACKS_H

#include "hypervisor/engine.h"

bool pv_newer(const struct dom_config *cfg);
int pv_balloon(void *vm, uint64_t target_bytes, struct err *err);
uint64_t pv_balloon_bytes(void *vm);
int pv_powerdown(void *vm, struct err *err);
int pv_plug(void *vm, const struct hv_plug *p, struct err *err);
int pv_unplug(void *vm, unsigned place, struct err *err);
int pv_screen_client(void *vm, int fd, struct err *err);
int pv_screenshot(void *vm, unsigned screen, struct err *err);

#endif
