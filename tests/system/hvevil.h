/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a hostile image or a compromised guest kernel does, for hvtool: states with one thing made wrong, a helper that runs other code. */
#ifndef HOSPES_TESTS_SYSTEM_HVEVIL_H
#define HOSPES_TESTS_SYSTEM_HVEVIL_H

#include <stdbool.h>
#include <sys/types.h>
#include "hypervisor/pv/image.h"

/* False: @what is unknown. */
bool evil_mangle(struct pv_image *im, const char *what);
/* As the guest's own kernel could, but from outside (ptrace). 0 or -errno. */
int evil_hijack(pid_t helper);

#endif
