/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Instruction-set features that a guest can see: what a target of a migration must have. Used by migrated and clusterd. */
#ifndef HOSPES_HYPERVISOR_CPUFEAT_H
#define HOSPES_HYPERVISOR_CPUFEAT_H

#include <stdint.h>
#include "common/cleanup.h"
#include "common/err.h"

#define CPU_FEATURES_MAX  256u
#define CPU_FEATURE_WORDS 4u

/* Those of this host, by their names in /proc/cpuinfo. Static strings. Returns how many. */
unsigned cpu_features_here(const char *ret[CPU_FEATURES_MAX], struct err *err);
/* The same as bits; a bit means the same on all hosts, in this version and later ones. */
void cpu_features_bits(uint64_t ret[CPU_FEATURE_WORDS]);

#endif
