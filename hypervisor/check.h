/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `hvdom --engines` and `hvdom --check FILE`: which engines can run on this host, and can it run this domain? Answers are lines of JSON on
 * standard output (hvdom(8)). Nothing is locked or changed. Storage that hangs blocks both. Callers use hypervisor/api/hvcheck.h.
 */
#ifndef HOSPES_HYPERVISOR_CHECK_H
#define HOSPES_HYPERVISOR_CHECK_H

#include <stdbool.h>

/* Returns hvdom's exit status: 0, or 1 if the answer could not be written. */
int check_engines(void);
/* Returns hvdom's exit status: 0, or 1 if the domain cannot run here. @local: the definition is this host's own. */
int check_domain(const char *file, bool local);

#endif
