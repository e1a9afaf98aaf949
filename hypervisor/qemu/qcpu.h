/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest's processor in QEMU's words. Pure. ADR 84. */
#ifndef HOSPES_QEMU_QCPU_H
#define HOSPES_QEMU_QCPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "hypervisor/api/cpufeat.h"
#include "hypervisor/api/domcfg.h"

/* The value of -cpu, malloc'd; NULL: out of memory. */
char *qcpu_text(const struct dom_config *cfg, bool kvm);
/* The value of -smp, malloc'd; NULL: out of memory. */
char *qcpu_smp(const struct dom_config *cfg);
/* Does the document ask for another processor than guests have without <cpu>? */
bool qcpu_is_special(const struct dom_config *cfg);
/* Is it the same processor under later versions of QEMU: a model, which goes with the machine's version, with all of its features? */
bool qcpu_is_fixed(const struct dom_config *cfg, bool kvm);
/*
 * What host-model comes to, and optional features: a processor of QEMU's plainest model with the features of @bits (cpufeat.h) that QEMU
 * gives by name, in @cpu's place, which keeps what it asks for itself. Nothing in it depends on the host any more.
 */
void qcpu_pin(struct dom_cpu *cpu, const uint64_t bits[CPU_FEATURE_WORDS]);
/*
 * The names of features that @cpu requires and @bits lacks into @names, "a, b". Those that are not in the table are not judged. Returns
 * how many.
 */
unsigned qcpu_lacking(const struct dom_cpu *cpu, const uint64_t bits[CPU_FEATURE_WORDS], char *names, size_t size);
/* The same of what QEMU said (@text) when it was told to enforce a processor. */
unsigned qcpu_refused(const char *text, char *names, size_t size);
/* Take the features of @names (as qcpu_refused() wrote them) out of @cpu. */
void qcpu_drop(struct dom_cpu *cpu, const char *names);

#endif
