/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Basic ptrace: seize, wait with a deadline, registers, system calls inside a stopped process.
 * Call all functions from the thread that seized. Functions return 0 or -errno.
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
 * Timeout for a process that does something for us and then stops by itself. It needs a moment on a CPU, and on a busy host that may come
 * late. After a timeout the process would stay attached, at that stop, for ever.
 */
#define PT_PATIENCE_US 60000000u

/* PTRACE_SEIZE with TRACESYSGOOD. */
int pt_seize(pid_t pid, struct err *err) _must_check_;
/* Wait until @pid stops (*ret_stopped) or @timeout_us is over. *ret_status: as of waitpid(). -ESRCH: it died. */
int pt_wait(pid_t pid, uint64_t timeout_us, bool *ret_stopped, int *ret_status) _must_check_;
/* Stop a seized process where it is, with a group-stop event. A signal that comes first is delivered. -ETIMEDOUT after 2 s. */
int pt_interrupt(pid_t pid, struct err *err) _must_check_;
void pt_detach(pid_t pid);
/* Kill @pid, and wait for its end if we trace it: its parent cannot reap it before. */
void pt_kill(pid_t pid);

int pt_get_regs(pid_t pid, struct user_regs_struct *ret) _must_check_;
int pt_set_regs(pid_t pid, const struct user_regs_struct *r) _must_check_;
/* *@len: in: octets of room at @buf; out: octets used. */
int pt_get_xstate(pid_t pid, void *buf, size_t *len) _must_check_;
int pt_set_xstate(pid_t pid, const void *buf, size_t len) _must_check_;
int pt_get_sigmask(pid_t pid, uint64_t *ret) _must_check_;
int pt_set_sigmask(pid_t pid, uint64_t mask) _must_check_;

/*
 * Run one system call in stopped @pid, at the `syscall` instruction at @insn, with all signals blocked. It clobbers the registers: the
 * caller sets them afterwards. *ret: the raw result. -EIO: the process did not stop where it had to.
 */
int pt_syscall(pid_t pid, uint64_t insn, long nr, const uint64_t args[6], long *ret) _must_check_;

/* Copy all of @len octets between @p and the process's memory at @addr. Writes reach writable mappings only. */
int pt_read(pid_t pid, uint64_t addr, void *p, size_t len) _must_check_;
int pt_write(pid_t pid, uint64_t addr, const void *p, size_t len) _must_check_;

/*
 * From /proc/@pid/status: its pid in its own namespace and its signal masks (bit n-1: signal n), pending ones of thread and process
 * together. Each but the pid may be NULL. -ESRCH or -ENOENT: it is gone; -EPROTO: the kernel writes it in another way.
 */
int pt_status(pid_t pid, int32_t *ret_nspid, uint64_t *ret_blocked, uint64_t *ret_pending, uint64_t *ret_ign,
              uint64_t *ret_cgt) _must_check_;

#endif
