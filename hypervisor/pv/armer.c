/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See armer_int.h. Freestanding, as restorer.c: no data, no calls out of its section. All system calls pass the guest's filter. */
#include "config.h"
#include "hypervisor/pv/armer_int.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define INL        static inline __attribute__((always_inline))
#define STEPS_MAX  16 /* stops of other kinds before the instruction has run */
#define UFFD_FLAGS (UFFD_USER_MODE_ONLY | O_CLOEXEC | O_NONBLOCK)

INL long sys(long nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	register uint64_t r10 __asm__("r10") = d;
	long ret;

	__asm__ volatile("syscall"
	                 : "=a"(ret)
	                 : "0"(nr), "D"(a), "S"(b), "d"(c), "r"(r10)
	                 : "rcx", "r8", "r9", "r11", "memory");
	return ret;
}

/* One step of the stub; its registers are in a->now then. */
INL long step(struct armer *a)
{
	long r = sys(SYS_ptrace, PTRACE_SINGLESTEP, (uint64_t)a->nspid, 0, 0);

	if (r < 0)
		return r;
	r = sys(SYS_wait4, (uint64_t)a->nspid, (uint64_t)(uintptr_t)&a->status, __WALL, 0);
	if (r < 0)
		return r;
	if (!WIFSTOPPED(a->status))
		return -ESRCH;
	int sig = WSTOPSIG(a->status) & 0x7f;
	if (sig != SIGTRAP && sig < 32)
		a->sigs |= 1u << sig;
	return sys(SYS_ptrace, PTRACE_GETREGS, (uint64_t)a->nspid, 0, (uint64_t)(uintptr_t)&a->now);
}

INL long in_stub(struct armer *a)
{
	const uint64_t *from = (const uint64_t *)&a->was;
	uint64_t *to = (uint64_t *)&a->now;
	long r = sys(SYS_ptrace, PTRACE_GETREGS, (uint64_t)a->nspid, 0, (uint64_t)(uintptr_t)&a->was);

	if (r < 0)
		return r;
	for (unsigned i = 0; i < sizeof(a->was) / 8; i++)
		to[i] = from[i];
	a->now.rip = a->insn;
	a->now.rax = SYS_userfaultfd;
	a->now.orig_rax = ~0ull;
	a->now.rdi = UFFD_FLAGS;
	r = sys(SYS_ptrace, PTRACE_SETREGS, (uint64_t)a->nspid, 0, (uint64_t)(uintptr_t)&a->now);
	/* the rest of a stop at a system call or signal comes first */
	for (int n = 0; r >= 0; n++) {
		r = step(a);
		if (r >= 0 && a->now.rip == a->insn + 2)
			break;
		if (r >= 0 && (a->now.rip != a->insn || n == STEPS_MAX))
			r = -EIO;
	}
	long fd = r < 0 ? r : (long)a->now.rax;
	/* also after a failure: as it was, as far as that goes */
	r = sys(SYS_ptrace, PTRACE_SETREGS, (uint64_t)a->nspid, 0, (uint64_t)(uintptr_t)&a->was);
	/* a signal was on its way to the stub (the tick that ends its turn): it gets it when it runs again */
	for (int sig = 1; sig < 32; sig++)
		if (a->sigs >> sig & 1)
			sys(SYS_kill, (uint64_t)a->nspid, (uint64_t)sig, 0, 0);
	return fd < 0 || r >= 0 ? fd : r;
}

__attribute__((section("armer_code"), used)) void armer_entry(struct armer *a)
{
	if (a->close_fd >= 0)
		sys(SYS_close, (uint64_t)a->close_fd, 0, 0, 0);
	a->sigs = 0;
	if (a->nspid > 0)
		a->ret = in_stub(a);
	else
		a->ret = a->nspid < 0 ? 0 : sys(SYS_userfaultfd, UFFD_FLAGS, 0, 0, 0);
	__asm__ volatile("int3");
	__builtin_unreachable();
}
