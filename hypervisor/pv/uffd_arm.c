/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Getting a userfaultfd for each address space of a frozen guest. A userfaultfd belongs to the address space that asks for
 * it. K is ours to command by ptrace; a stub is traced by K, so K is made to make the ptrace calls: set the stub's
 * registers to userfaultfd() at a `syscall` instruction of STUB_CODE, step, read the answer, put the registers back. The
 * stub's STUB_DATA page is not touched, it may hold pending work. K and stubs share one descriptor table, so the new
 * descriptor is taken from K and closed there. Why a stub may be changed at all: K sets all its registers before it runs
 * it again (freeze.h). Main thread only.
 */
#include "config.h"
#include "hypervisor/pv/uffd_int.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "common/util.h"
#include "hypervisor/pv/image.h"

#define SCRATCH_BELOW 2048u     /* below K's stack pointer, beyond the red zone */
#define AT_STATUS 256u          /* in the scratch area; registers are at 0 */
#define STEPS_MAX 16            /* stops of other kinds before the instruction has run */

_Static_assert(sizeof(struct user_regs_struct) <= AT_STATUS, "scratch layout");

static long k_call(struct uffd_inject *i, long nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	long ret;
	int r = pt_syscall(i->f->k.pid, i->f->insn, nr, (uint64_t[6]){ a, b, c, d, 0, 0 }, &ret);

	return r ? r : ret;
}

int uffd_inject_begin(struct uffd_inject *i, const struct pv_frozen *f, int k_pidfd, struct err *err)
{
	*i = (struct uffd_inject){ .f = f, .k_pidfd = k_pidfd, .scratch = (f->k.regs.rsp - SCRATCH_BELOW) & ~63ull };
	int r = pt_read(f->k.pid, i->scratch, i->saved, sizeof(i->saved));
	if (r)
		return err_sys(err, -r, "cannot read the guest kernel's stack");
	/* hundreds of waits for a few microseconds each follow */
	i->slack = prctl(PR_GET_TIMERSLACK);
	prctl(PR_SET_TIMERSLACK, 1000);
	return 0;
}

int uffd_inject_end(struct uffd_inject *i, struct err *err)
{
	prctl(PR_SET_TIMERSLACK, i->slack > 0 ? i->slack : 0);
	int r = pt_write(i->f->k.pid, i->scratch, i->saved, sizeof(i->saved));
	return r ? err_sys(err, -r, "cannot write the guest kernel's stack") : 0;
}

/* Take descriptor @fd out of K. */
static int take_fd(struct uffd_inject *i, long fd, int *ret)
{
	if (fd < 0)
		return (int)fd;
	int mine = (int)syscall(SYS_pidfd_getfd, i->k_pidfd, (int)fd, 0);
	int e = errno;
	long c = k_call(i, SYS_close, (uint64_t)fd, 0, 0, 0);
	if (mine < 0)
		return -e;
	if (c < 0) {
		close(mine);
		return (int)c;
	}
	*ret = mine;
	return 0;
}

static int ns_pid_of(pid_t pid, pid_t *ret)
{
	char path[64];
	_cleanup_free_ char *text = NULL;
	size_t len;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	int r = file_read(path, 65536, &text, &len);
	if (r)
		return r;
	char *p = strstr(text, "\nNSpid:"), *end = p ? strchr(p + 1, '\n') : NULL;
	if (!end)
		return -EPROTO;
	while (end > p && end[-1] != '\t' && end[-1] != ' ')
		end--;
	*ret = (pid_t)strtol(end, NULL, 10);
	return *ret > 0 ? 0 : -EPROTO;
}

/* One step of stub @nspid; 0 when it stopped. Its registers are in *@regs then. A signal met on the way joins *@sigs. */
static int step(struct uffd_inject *i, pid_t nspid, struct user_regs_struct *regs, uint64_t *sigs)
{
	int32_t status;
	long ret = k_call(i, SYS_ptrace, PTRACE_SINGLESTEP, (uint64_t)nspid, 0, 0);

	if (ret < 0)
		return (int)ret;
	ret = k_call(i, SYS_wait4, (uint64_t)nspid, i->scratch + AT_STATUS, __WALL, 0);
	if (ret < 0)
		return (int)ret;
	int r = pt_read(i->f->k.pid, i->scratch + AT_STATUS, &status, sizeof(status));
	if (r)
		return r;
	if (ret != nspid || !WIFSTOPPED(status))
		return -ESRCH;
	if ((WSTOPSIG(status) & 0x7f) != SIGTRAP)
		*sigs |= 1ull << (WSTOPSIG(status) & 63);
	ret = k_call(i, SYS_ptrace, PTRACE_GETREGS, (uint64_t)nspid, 0, i->scratch);
	if (ret < 0)
		return (int)ret;
	return pt_read(i->f->k.pid, i->scratch, regs, sizeof(*regs));
}

static int put_regs(struct uffd_inject *i, pid_t nspid, const struct user_regs_struct *regs)
{
	int r = pt_write(i->f->k.pid, i->scratch, regs, sizeof(*regs));

	return r ? r : (int)k_call(i, SYS_ptrace, PTRACE_SETREGS, (uint64_t)nspid, 0, i->scratch);
}

static int stub_call(struct uffd_inject *i, pid_t nspid, uint64_t insn, long *ret_fd)
{
	struct user_regs_struct regs, was;
	uint64_t sigs = 0;
	int r = (int)k_call(i, SYS_ptrace, PTRACE_GETREGS, (uint64_t)nspid, 0, i->scratch);

	if (!r)
		r = pt_read(i->f->k.pid, i->scratch, &was, sizeof(was));
	if (r)
		return r;
	regs = was;
	regs.rip = insn;
	regs.rax = SYS_userfaultfd;
	regs.orig_rax = ~0ull;
	regs.rdi = UFFD_USER_MODE_ONLY | O_CLOEXEC | O_NONBLOCK;
	r = put_regs(i, nspid, &regs);
	/* the rest of a stop at a system call or signal comes first */
	for (int n = 0; !r; n++) {
		if (n == STEPS_MAX) {
			r = -EIO;
			break;
		}
		r = step(i, nspid, &regs, &sigs);
		if (!r && regs.rip == insn + 2)
			break;
		if (!r && regs.rip != insn)
			r = -EIO;
	}
	if (!r)
		*ret_fd = (long)regs.rax;
	/* also after a failure: as it was, as far as that goes */
	int e = put_regs(i, nspid, &was);
	/* a signal was on its way to the stub (the tick that ends its turn): it gets it when it runs again */
	for (; sigs && !e; sigs &= sigs - 1)
		e = (int)k_call(i, SYS_kill, (uint64_t)nspid, (uint64_t)__builtin_ctzll(sigs), 0, 0);
	return r ? r : e;
}

int uffd_inject_get(struct uffd_inject *i, pid_t pid, uint64_t insn, int *ret_uffd, struct err *err)
{
	long fd = -1;
	int r = 0, uffd = -1;
	pid_t nspid = 0;

	if (!pid) {
		fd = k_call(i, SYS_userfaultfd, UFFD_USER_MODE_ONLY | O_CLOEXEC | O_NONBLOCK, 0, 0, 0);
	} else {
		r = ns_pid_of(pid, &nspid);
		if (!r)
			r = stub_call(i, nspid, insn, &fd);
	}
	if (!r)
		r = take_fd(i, fd, &uffd);
	if (!r)
		r = uffd_setup(uffd);
	if (r) {
		if (uffd >= 0)
			close(uffd);
		return err_sys(err, -r, "cannot get a userfaultfd from %s %d", pid ? "guest address space" : "the guest kernel",
		               pid ? pid : i->f->k.pid);
	}
	*ret_uffd = uffd;
	return 0;
}
