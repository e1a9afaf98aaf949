/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Getting a userfaultfd for each address space of a frozen guest. A userfaultfd belongs to the address space that asks for
 * it. K is ours to command by ptrace; a stub is traced by K, so K runs a little code (armer.c) that makes the ptrace calls:
 * set the stub's registers to userfaultfd() at a `syscall` instruction of STUB_CODE, step, read the answer, put the
 * registers back. The stub's STUB_DATA page is not touched, it may hold pending work. K and stubs share one descriptor
 * table, so the new descriptor is taken from K and closed there. Why a stub may be changed at all: K sets all its registers
 * before it runs it again (freeze.h). The code runs in a page of K's image that is
 * private to K, writable and executable: neither stubs nor devices see it. Main thread only.
 */
#include "config.h"
#include "hypervisor/pv/uffd_int.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "hypervisor/logdirty/uffd.h"
#include "hypervisor/pv/armer_int.h"

/* the borrowed piece of K's memory: code, the struct, a stack for the code */
#define AT_ARMER     2048u
#define AT_STACK_END (UFFD_ROOM_BYTES - 64u)

_Static_assert(AT_ARMER + sizeof(struct armer) + 512 < AT_STACK_END, "room");

int uffd_inject_begin(struct uffd_inject *i, const struct pv_frozen *f, int k_pidfd, uint64_t room, struct err *err)
{
	size_t len = (size_t)((uintptr_t)__stop_armer_code - (uintptr_t)__start_armer_code);

	*i = (struct uffd_inject){ .f = f, .k_pidfd = k_pidfd, .close_fd = -1, .room = room };
	if (len > AT_ARMER)
		return err_set(err, E2BIG, "the code that arms log-dirty is too long");
	int r = pt_read(f->k.pid, i->room, i->saved, sizeof(i->saved));
	if (!r)
		r = pt_write(f->k.pid, i->room, __start_armer_code, len);
	if (r < 0)
		return err_sys(err, -r, "cannot borrow a page of the guest kernel");
	/* many waits for a few microseconds each follow */
	i->slack = prctl(PR_GET_TIMERSLACK);
	prctl(PR_SET_TIMERSLACK, 1000);
	return 0;
}

/* Let K run the code until its breakpoint. */
static int run(struct uffd_inject *i, pid_t nspid, uint64_t insn, long *ret)
{
	struct armer a = { .insn = insn, .nspid = nspid, .close_fd = i->close_fd };
	struct user_regs_struct regs = i->f->k.regs;
	bool stopped;
	int status, r = pt_write(i->f->k.pid, i->room + AT_ARMER, &a, sizeof(a));

	regs.rip = i->room + (uintptr_t)armer_entry - (uintptr_t)__start_armer_code;
	regs.rdi = i->room + AT_ARMER;
	regs.rsp = i->room + AT_STACK_END - 8; /* as after a call */
	regs.orig_rax = ~0ull;
	if (!r)
		r = pt_set_regs(i->f->k.pid, &regs);
	if (!r && ptrace(PTRACE_CONT, i->f->k.pid, 0, 0) < 0)
		r = -errno;
	/* stops that were due before come first; every signal but the breakpoint's is blocked */
	for (int n = 0; !r; n++) {
		r = pt_wait(i->f->k.pid, PT_PATIENCE_US, &stopped, &status);
		if (!r && !stopped && pt_interrupt(i->f->k.pid, NULL))
			r = -ESRCH;
		if (!r && !stopped)
			r = -ETIMEDOUT;
		if (!r && status >> 8 == SIGTRAP)
			break;
		if (!r && (status >> 16 == 0 || n == 8 || ptrace(PTRACE_CONT, i->f->k.pid, 0, 0) < 0))
			r = -EIO;
	}
	if (!r)
		r = pt_read(i->f->k.pid, i->room + AT_ARMER, &a, sizeof(a));
	if (r < 0)
		return r;
	i->close_fd = -1;
	*ret = a.ret;
	return 0;
}

int uffd_inject_end(struct uffd_inject *i, struct err *err)
{
	long ret;
	int r = i->close_fd < 0 ? 0 : run(i, -1, 0, &ret);

	prctl(PR_SET_TIMERSLACK, i->slack > 0 ? i->slack : 0);
	int e = pt_write(i->f->k.pid, i->room, i->saved, sizeof(i->saved));
	if (!r)
		r = e;
	return r ? err_sys(err, -r, "cannot put back a page of the guest kernel") : 0;
}

int uffd_inject_get(struct uffd_inject *i, pid_t pid, uint64_t insn, int *ret_uffd, struct err *err)
{
	long fd = -1;
	pid_t nspid = 0;
	int uffd = -1, r = pid ? pt_status(pid, &nspid, NULL, NULL, NULL, NULL) : 0;

	if (!r)
		r = run(i, nspid, insn, &fd);
	if (!r && fd < 0)
		r = (int)fd;
	if (!r) {
		/* the next run closes it in K */
		i->close_fd = (int)fd;
		uffd = (int)syscall(SYS_pidfd_getfd, i->k_pidfd, (int)fd, 0);
		r = uffd < 0 ? -errno : uffd_setup(uffd, false);
	}
	if (r < 0) {
		if (uffd >= 0)
			close(uffd);
		return err_sys(err, -r, "cannot get a userfaultfd from %s %d",
		               pid ? "guest address space" : "the guest kernel", pid ? pid : i->f->k.pid);
	}
	*ret_uffd = uffd;
	return 0;
}
