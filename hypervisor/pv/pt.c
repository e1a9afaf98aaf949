/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ptrace helpers; see pt.h. Used by freeze.c, dump.c, restore.c. Main thread only. */
#include "config.h"
#include "hypervisor/pv/pt.h"

#include <elf.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include "common/loop.h"
#include "common/util.h"

int pt_seize(pid_t pid, struct err *err)
{
	if (ptrace(PTRACE_SEIZE, pid, 0, (void *)(PTRACE_O_TRACESYSGOOD)) < 0)
		return err_sys(err, errno, "cannot attach to guest process %d", pid);
	return 0;
}

int pt_wait(pid_t pid, uint64_t timeout_us, bool *ret_stopped, int *ret_status)
{
	uint64_t end = now_ns() + timeout_us * 1000;

	for (unsigned spins = 0;; spins++) {
		pid_t r = waitpid(pid, ret_status, __WALL | WNOHANG);
		if (r < 0 && errno != EINTR)
			return -errno;
		if (r == pid) {
			if (!WIFSTOPPED(*ret_status))
				return -ESRCH;
			*ret_stopped = true;
			return 0;
		}
		if (now_ns() >= end) {
			*ret_stopped = false;
			return 0;
		}
		if (spins > 4) {
			/* back off: the guest needs this CPU to reach its stop */
			struct timespec ts = { .tv_nsec = spins < 40 ? 10000 : 100000 };
			nanosleep(&ts, NULL);
		} else {
			sched_yield();
		}
	}
}

int pt_interrupt(pid_t pid, struct err *err)
{
	uint64_t end = now_ns() + 2000000000ull;

	if (ptrace(PTRACE_INTERRUPT, pid, 0, 0) < 0)
		return err_sys(err, errno, "cannot interrupt guest process %d", pid);
	while (now_ns() < end) {
		bool stopped;
		int status;
		int r = pt_wait(pid, 100000, &stopped, &status);
		if (r < 0)
			return err_sys(err, -r, "guest process %d ended while it was being stopped", pid);
		if (!stopped)
			continue;
		if (status >> 16 == PTRACE_EVENT_STOP)
			return 0;
		/* a signal-delivery stop came first: let the signal go its way; the interrupt stays pending */
		int sig = WSTOPSIG(status);
		if (sig & 0x80)
			sig = 0;
		if (ptrace(PTRACE_CONT, pid, 0, (void *)(intptr_t)sig) < 0)
			return err_sys(err, errno, "cannot continue guest process %d", pid);
	}
	return err_set(err, ETIMEDOUT, "guest process %d did not stop within 2 s", pid);
}

void pt_detach(pid_t pid)
{
	ptrace(PTRACE_DETACH, pid, 0, 0);
}

void pt_kill(pid_t pid)
{
	int st = 0;

	if (kill(pid, SIGKILL) < 0 && errno != ESRCH)
		return;
	while (waitpid(pid, &st, __WALL) < 0 ? errno == EINTR : WIFSTOPPED(st))
		;
}

int pt_get_regs(pid_t pid, struct user_regs_struct *ret)
{
	return ptrace(PTRACE_GETREGS, pid, 0, ret) < 0 ? -errno : 0;
}

int pt_set_regs(pid_t pid, const struct user_regs_struct *r)
{
	return ptrace(PTRACE_SETREGS, pid, 0, r) < 0 ? -errno : 0;
}

int pt_get_xstate(pid_t pid, void *buf, size_t *len)
{
	struct iovec iov = { .iov_base = buf, .iov_len = *len };

	if (ptrace(PTRACE_GETREGSET, pid, (void *)NT_X86_XSTATE, &iov) < 0)
		return -errno;
	*len = iov.iov_len;
	return 0;
}

int pt_set_xstate(pid_t pid, const void *buf, size_t len)
{
	struct iovec iov = { .iov_base = (void *)buf, .iov_len = len };

	return ptrace(PTRACE_SETREGSET, pid, (void *)NT_X86_XSTATE, &iov) < 0 ? -errno : 0;
}

int pt_get_sigmask(pid_t pid, uint64_t *ret)
{
	return ptrace(PTRACE_GETSIGMASK, pid, (void *)sizeof(*ret), ret) < 0 ? -errno : 0;
}

int pt_set_sigmask(pid_t pid, uint64_t mask)
{
	return ptrace(PTRACE_SETSIGMASK, pid, (void *)sizeof(mask), &mask) < 0 ? -errno : 0;
}

int pt_syscall(pid_t pid, uint64_t insn, long nr, const uint64_t args[6], long *ret)
{
	struct user_regs_struct r;
	int e = pt_get_regs(pid, &r);

	if (e < 0)
		return e;
	r.rip = insn;
	r.rax = (uint64_t)nr;
	r.orig_rax = ~0ull; /* no restart games */
	r.rdi = args[0];
	r.rsi = args[1];
	r.rdx = args[2];
	r.r10 = args[3];
	r.r8 = args[4];
	r.r9 = args[5];
	e = pt_set_regs(pid, &r);
	if (e < 0)
		return e;
	if (ptrace(PTRACE_SINGLESTEP, pid, 0, 0) < 0)
		return -errno;
	/* bounded: an instruction that jumps to itself never gets on */
	for (int tries = 0;; tries++) {
		bool stopped;
		int status;
		e = pt_wait(pid, PT_PATIENCE_US, &stopped, &status);
		if (e < 0)
			return e;
		if (!stopped || WSTOPSIG(status) != SIGTRAP)
			return -EIO;
		e = pt_get_regs(pid, &r);
		if (e < 0)
			return e;
		if (r.rip == insn + 2)
			break;
		if (r.rip != insn || tries > 64)
			return -EIO;
		/* a pending stop event came before the instruction ran */
		if (ptrace(PTRACE_SINGLESTEP, pid, 0, 0) < 0)
			return -errno;
	}
	*ret = (long)r.rax;
	return 0;
}

int pt_read(pid_t pid, uint64_t addr, void *p, size_t len)
{
	while (len) {
		struct iovec l = { .iov_base = p, .iov_len = len };
		struct iovec r = { .iov_base = (void *)(uintptr_t)addr, .iov_len = len };
		ssize_t n = process_vm_readv(pid, &l, 1, &r, 1, 0);
		if (n <= 0)
			return n < 0 ? -errno : -EFAULT;
		p = (char *)p + n;
		addr += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

int pt_write(pid_t pid, uint64_t addr, const void *p, size_t len)
{
	while (len) {
		struct iovec l = { .iov_base = (void *)p, .iov_len = len };
		struct iovec r = { .iov_base = (void *)(uintptr_t)addr, .iov_len = len };
		ssize_t n = process_vm_writev(pid, &l, 1, &r, 1, 0);
		if (n <= 0)
			return n < 0 ? -errno : -EFAULT;
		p = (const char *)p + n;
		addr += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

int pt_status(pid_t pid, int32_t *ret_nspid, uint64_t *ret_blocked, uint64_t *ret_pending, uint64_t *ret_ign,
              uint64_t *ret_cgt)
{
	char path[64];
	_cleanup_free_ char *text = NULL;
	size_t len;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	int r = file_read(path, 65536, &text, &len);
	if (r < 0)
		return r;
	char *p = strstr(text, "\nNSpid:");
	if (!p)
		return -EPROTO;
	char *end = strchr(p + 1, '\n');
	if (!end)
		return -EPROTO;
	while (end > p && end[-1] != '\t' && end[-1] != ' ')
		end--;
	*ret_nspid = atoi(end);
	const struct {
		const char *name;
		uint64_t *ret;
	} want[] = {
		{ "\nSigBlk:", ret_blocked },
		{ "\nSigIgn:", ret_ign },
		{ "\nSigCgt:", ret_cgt },
	};
	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		p = strstr(text, want[i].name);
		if (!p)
			return -EPROTO;
		if (want[i].ret)
			*want[i].ret = strtoull(p + 8, NULL, 16);
	}
	if (ret_pending) {
		char *a = strstr(text, "\nSigPnd:"), *b = strstr(text, "\nShdPnd:");
		if (!a || !b)
			return -EPROTO;
		*ret_pending = strtoull(a + 8, NULL, 16) | strtoull(b + 8, NULL, 16);
	}
	return *ret_nspid > 0 ? 0 : -EPROTO;
}
