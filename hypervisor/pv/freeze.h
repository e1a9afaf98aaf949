/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Freeze and thaw of a user-mode guest: one kernel process K, one ptrace-stopped stub per address space, and a few helper threads of K
 * (CLONE_VM). K and the helpers are stopped. K stops at the entry of a system call after which no register of a stub is live:
 * rt_sigsuspend(), or ptrace(SETREGS), which comes before every run of a stub. Main thread.
 */
#ifndef HOSPES_PV_FREEZE_H
#define HOSPES_PV_FREEZE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>
#include "hypervisor/pv/pt.h"

#define PV_HELPERS_MAX 8
#define PV_STUBS_MAX 32768

struct pv_thread {
	pid_t pid;                     /* in hvdom's pid namespace */
	struct user_regs_struct regs;  /* to resume with: an interrupted system call runs again */
	uint64_t sigmask;
};

struct pv_helpers { pid_t pid[PV_HELPERS_MAX]; size_t n; };

struct pv_frozen {
	bool active;
	struct pv_thread k;
	uint64_t insn;                 /* address of a `syscall` instruction mapped in K */
	struct pv_thread helper[PV_HELPERS_MAX];
	size_t n_helpers;
	pid_t *stub;                   /* owned; in the order of creation */
	size_t n_stubs;
	uint64_t took_ns;              /* how long the freeze took */
};

enum pv_freeze_flags {
	PV_FREEZE_USER = 1,            /* stop at SETREGS only: the guest runs user processes by then */
};

/*
 * Freeze K. @known: its helper threads; NULL: find them (after a boot). Devices must be served meanwhile, since K may wait for one.
 * -ETIMEDOUT after @timeout_ms: K did not come to a safe point. On failure nothing is stopped. pv_thaw(), pv_frozen_kill() or
 * pv_frozen_done() frees @f.
 */
int pv_freeze(pid_t k, unsigned flags, unsigned timeout_ms, const struct pv_helpers *known, struct pv_frozen *f,
              struct err *err) _must_check_;
/* The guest has a user process, of whatever life. Reads /proc only. */
bool pv_has_process(pid_t k);
/* Let the guest run on. */
void pv_thaw(struct pv_frozen *f);
/* Kill the frozen guest, stubs first. */
void pv_frozen_kill(struct pv_frozen *f);
/* Free @f only: the processes are gone. */
void pv_frozen_done(struct pv_frozen *f);

#endif
