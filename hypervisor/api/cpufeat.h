/* SPDX-License-Identifier: GPL-2.0-or-later */
/* CPU features that a guest can see, which the target of a migration must have, too. Used by migrated and clusterd. */
#ifndef HOSPES_HYPERVISOR_CPUFEAT_H
#define HOSPES_HYPERVISOR_CPUFEAT_H

#include <stdint.h>
#include "common/cleanup.h"
#include "common/err.h"

#define CPU_FEATURES_MAX  256u
#define CPU_FEATURE_WORDS 4u

/* The features of this host, by their names in /proc/cpuinfo (static strings). Returns how many there are. */
unsigned cpu_features_here(const char *ret[CPU_FEATURES_MAX], struct err *err);
/* The same as bits. A bit means the same on all hosts, in this version and later ones. */
void cpu_features_bits(uint64_t ret[CPU_FEATURE_WORDS]);

#endif
