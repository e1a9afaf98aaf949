/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest's processor in QEMU's words. Pure. ADR 84. */
#ifndef HOSPES_QEMU_QCPU_H
#define HOSPES_QEMU_QCPU_H

#include <stdbool.h>
#include "hypervisor/api/domcfg.h"

/* The value of -cpu, malloc'd; NULL: out of memory. */
char *qcpu_text(const struct dom_config *cfg, bool kvm);
/* The value of -smp, malloc'd; NULL: out of memory. */
char *qcpu_smp(const struct dom_config *cfg);
/* Is the processor that of the host, as it is? */
bool qcpu_is_host(const struct dom_config *cfg, bool kvm);
/* Does the document ask for another processor than guests have without <cpu>? */
bool qcpu_is_special(const struct dom_config *cfg);

#endif
