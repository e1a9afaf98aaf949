/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An engine without a guest: a counter in memory that a timer drives. It keeps the contract of hypervisor/engine.h, but for one breach
 * that a test may plant. Devices are not its business: env->devs may be NULL.
 */
#ifndef HOSPES_TESTS_UNIT_FAKE_ENGINE_H
#define HOSPES_TESTS_UNIT_FAKE_ENGINE_H

#include "hypervisor/engine.h"

#define FAKE_BREACHES(X)                                                                                               \
	X(NOTHING) /* keeps the contract */                                                                            \
	X(READY_RUNS) /* the guest runs when ready() comes */                                                          \
	X(READY_TWICE)                                                                                                 \
	X(READY_AFTER_KILL)                                                                                            \
	X(BOOT_OVER) /* over a guest that is there */                                                                  \
	X(LOAD_OVER)                                                                                                   \
	X(FAILED_BOOT_STAYS) /* a boot that failed leaves a guest */                                                   \
	X(FAILED_LOAD_STAYS)                                                                                           \
	X(SUSPEND_RUNS) /* the guest goes on writing */                                                                \
	X(SUSPEND_TWICE_FAILS)                                                                                         \
	X(RESUME_STANDS)                                                                                               \
	X(SAVE_RUNNING)                                                                                                \
	X(SAVE_RESUMES)                                                                                                \
	X(LOAD_RUNS)                                                                                                   \
	X(LOAD_FORGETS) /* goes on from the beginning */                                                               \
	X(END_UNSAID) /* of a guest that ends while suspended */                                                       \
	X(END_TWICE)                                                                                                   \
	X(END_STAYS) /* after exited() there is a guest still */                                                       \
	X(KILL_SAYS) /* exited() follows */                                                                            \
	X(KILL_RUNS) /* the guest writes on */                                                                         \
	X(START_RESUMES)                                                                                               \
	X(START_SUSPENDS)                                                                                              \
	X(START_ANY) /* accepts a mode that there is not */                                                            \
	X(START_TWICE)                                                                                                 \
	X(LOG_OUTLIVES) /* the guest's end does not end it */                                                          \
	X(STOP_STAYS)                                                                                                  \
	X(FIRST_EMPTY) /* the first collection names only what changed since start */                                  \
	X(PEEK_TAKES) /* what a collection without clean named is not named again */                                   \
	X(CLEAN_KEEPS_COUNT) /* the number is not that of the bitmap */                                                \
	X(BITMAP_ADDS) /* to what was in it */                                                                         \
	X(THERE_AND_BACK) /* a page that changed and changed back is not named */                                      \
	X(DEVICES_UNSEEN)                                                                                              \
	X(AUDIT_BLIND)                                                                                                 \
	X(AUDIT_RUNNING)

#define FAKE_NAME(n) FAKE_##n,
enum fake_breach { FAKE_BREACHES(FAKE_NAME) FAKE_N_BREACHES };

extern const struct hv_engine_ops fake_engine;
extern enum fake_breach fake_breach;
extern const char *const fake_breach_name[FAKE_N_BREACHES];
extern bool fake_boot_fails; /* the next boots */

void fake_write(void *vm, uint64_t page, uint8_t v); /* the guest writes */
void fake_end(void *vm, enum hv_exit how);           /* the guest ends; exited() follows */
uint64_t fake_age(const void *vm);                   /* how far the guest came: a state has it, a boot begins with 0 */

#endif
