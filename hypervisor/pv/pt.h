/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ptrace in the small: seize, wait with a deadline, registers, and system calls run inside a stopped process.
 * All functions must be called from the thread that seized.
 */
#ifndef HOSPES_PV_PT_H
#define HOSPES_PV_PT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>
#include "common/cleanup.h"
#include "common/err.h"

#define PT_XSTATE_MAX 16384u    /* AVX-512 and AMX fit; more is refused */
/*
 * For a process that does something for us and then stops by itself: it needs a moment on a CPU, which a busy host may give it late. One
 * that is given up stays attached, and stands at that stop for ever.
 */
#define PT_PATIENCE_US 60000000u

/* PTRACE_SEIZE with TRACESYSGOOD. -errno. */
int pt_seize(pid_t pid, struct err *err) _must_check_;
/* Wait until @pid stops (true in *ret_stopped) or @timeout_us is over. -ESRCH: it died. *ret_status as waitpid's. */
int pt_wait(pid_t pid, uint64_t timeout_us, bool *ret_stopped, int *ret_status) _must_check_;
/* Stop a seized process wherever it is (group-stop event). -ETIMEDOUT after 2 s. A signal met on the way is put back. */
int pt_interrupt(pid_t pid, struct err *err) _must_check_;
void pt_detach(pid_t pid);
/* Kill @pid and, if it is traced by us, see it die: else nobody can reap it. */
void pt_kill(pid_t pid);

int pt_get_regs(pid_t pid, struct user_regs_struct *ret) _must_check_;
int pt_set_regs(pid_t pid, const struct user_regs_struct *r) _must_check_;
/* @len: room in, octets out. */
int pt_get_xstate(pid_t pid, void *buf, size_t *len) _must_check_;
int pt_set_xstate(pid_t pid, const void *buf, size_t len) _must_check_;
int pt_get_sigmask(pid_t pid, uint64_t *ret) _must_check_;
int pt_set_sigmask(pid_t pid, uint64_t mask) _must_check_;

/*
 * Run one system call in stopped @pid at the `syscall` instruction @insn (all signals must be blocked). Clobbers its
 * registers: the caller sets them afterwards. *ret: the raw result. -EIO: the process did not stop where it had to.
 */
int pt_syscall(pid_t pid, uint64_t insn, long nr, const uint64_t args[6], long *ret) _must_check_;

int pt_read(pid_t pid, uint64_t addr, void *p, size_t len) _must_check_;    /* whole range or -errno */
int pt_write(pid_t pid, uint64_t addr, const void *p, size_t len) _must_check_; /* writable mappings only */

#endif
