/* SPDX-License-Identifier: GPL-2.0-or-later */
/* CPU features that a guest can see, which the target of a migration must have, too. Used by migrated, clusterd and engine kvm. */
#ifndef HOSPES_HYPERVISOR_CPUFEAT_H
#define HOSPES_HYPERVISOR_CPUFEAT_H

#include <stdbool.h>
#include <stdint.h>
#include "common/cleanup.h"
#include "common/err.h"

#define CPU_FEATURES_MAX  256u
#define CPU_FEATURE_WORDS 4u
#define CPU_FEATURE_USER_WORDS 2u /* the first words: what programs use. The others: what only kernels do */

/* What programs can use of this host, by the names of /proc/cpuinfo (static strings). Returns how many there are. */
unsigned cpu_features_here(const char *ret[CPU_FEATURES_MAX], struct err *err);
/* What programs and kernels can use, as bits. A bit means the same on all hosts, in this version and later ones. */
void cpu_features_bits(uint64_t ret[CPU_FEATURE_WORDS]);
/* The name of a bit in /proc/cpuinfo, and the one that libvirt and QEMU have for it (static strings); NULL: it has none. */
const char *cpu_feature_name(unsigned bit);
const char *cpu_feature_model_name(unsigned bit);
/* The bit of a name of libvirt's or QEMU's, -1: it is not in the table. */
int cpu_feature_bit(const char *model_name);
/* Are these names of one feature? QEMU takes _ and - for one another. */
bool cpu_feature_same(const char *a, const char *b);
/* "WORD/WORD/...": four words in hexadecimal, and back: -EINVAL. For command lines. */
#define CPU_BITS_TEXT (CPU_FEATURE_WORDS * 17u)
void cpu_bits_format(const uint64_t w[CPU_FEATURE_WORDS], char ret[CPU_BITS_TEXT]);
int cpu_bits_parse(const char *text, uint64_t ret[CPU_FEATURE_WORDS]) _must_check_;
/* "VENDOR FAMILY MODEL STEPPING" of this host's first processor, "" if it cannot be read. */
void cpu_identity(char ret[64]);

#endif
