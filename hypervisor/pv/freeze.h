/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Freeze and thaw of a user-mode guest. The guest is one kernel process K, one ptrace-stopped stub per address space, and
 * a few helper threads of K (CLONE_VM). Only K and the helpers are stopped: K at the entry of a system call after which no
 * stub register is live (rt_sigsuspend, or ptrace(SETREGS), which precedes every run of a stub).
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
	struct user_regs_struct regs;  /* as they will be resumed: an interrupted system call runs again */
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
	uint64_t took_ns;
};

enum pv_freeze_flags {
	PV_FREEZE_USER = 1,            /* only at SETREGS: the guest runs user processes already */
};

/*
 * Freeze K. @known: its helper threads, NULL: find out (after a boot). On failure nothing is stopped.
 * -ETIMEDOUT after @timeout_ms: the guest kernel never came to a safe point.
 * Devices must go on being served meanwhile (K may wait for one).
 */
int pv_freeze(pid_t k, unsigned flags, unsigned timeout_ms, const struct pv_helpers *known, struct pv_frozen *f,
              struct err *err) _must_check_;
/* Let it run on. Frees what @f holds. */
void pv_thaw(struct pv_frozen *f);
/* Kill what is frozen instead; the stubs end with their namespace or with K. */
void pv_frozen_kill(struct pv_frozen *f);
/* Free without thawing (the processes are gone). */
void pv_frozen_done(struct pv_frozen *f);

#endif
