/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What `hvdom --engines` and `hvdom --check FILE` say: can this host run domains, can it run this one? One line of JSON each on standard
 * output (hvdom(8)). Nothing is locked or changed; storage may keep it waiting for ever. Who asks: hypervisor/api/hvcheck.h.
 */
#ifndef HOSPES_HYPERVISOR_CHECK_H
#define HOSPES_HYPERVISOR_CHECK_H

#include <stdbool.h>

/* Exit status of hvdom: 0, or 1 when nothing could be said. */
int check_engines(void);
/* Exit status: 0, or 1 when it cannot run here. @local: the definition is this host's own. */
int check_domain(const char *file, bool local);

#endif
