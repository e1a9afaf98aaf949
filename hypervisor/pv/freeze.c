/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Freeze: see freeze.h. Main thread only (ptrace). The safe points and the poking rule are explained in
 * docs/adr/0002-safe-points.md.
 */
#include "config.h"
#include "hypervisor/pv/freeze.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <linux/ptrace.h>
#include "common/loop.h"
#include "common/util.h"

#define POKE_FIRST_US 300
#define POKE_NEXT_US  2000
#define HELPER_TRIES  20

static pid_t status_pid(pid_t pid, const char *field)
{
	char path[64], *text = NULL;
	size_t len;
	pid_t r = 0;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	if (file_read(path, 65536, &text, &len) < 0)
		return -1;
	char *p = strstr(text, field);
	if (p)
		r = atoi(p + strlen(field));
	free(text);
	return r;
}

static int add_stub(struct pv_frozen *f, size_t *cap, pid_t pid, struct err *err)
{
	if (f->n_stubs == PV_STUBS_MAX)
		return err_set(err, E2BIG, "guest has more than %d address spaces", PV_STUBS_MAX);
	if (f->n_stubs == *cap) {
		*cap = *cap ? *cap * 2 : 64;
		pid_t *s = reallocarray(f->stub, *cap, sizeof(*s));
		if (!s)
			return err_set(err, ENOMEM, "out of memory");
		f->stub = s;
	}
	f->stub[f->n_stubs++] = pid;
	return 0;
}

/* Split K's children into stubs (traced by K) and helpers: the ones known from before, or, after a boot, by looking. */
static int list_children(pid_t k, const struct pv_helpers *known, struct pv_frozen *f, struct err *err)
{
	char path[64];
	_cleanup_free_ char *text = NULL;
	size_t len, cap = 0;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", k, k);
	int r = file_read(path, 1 << 20, &text, &len);
	if (r < 0)
		return err_sys(err, -r, "cannot read %s", path);
	for (char *p = text, *e; !r; p = e) {
		pid_t pid = (pid_t)strtol(p, &e, 10);
		bool is_helper = false;
		if (e == p)
			break;
		for (size_t i = 0; known && i < known->n; i++)
			is_helper |= known->pid[i] == pid;
		if (!known)
			is_helper = status_pid(pid, "\nTracerPid:") != k;
		if (!is_helper)
			r = add_stub(f, &cap, pid, err);
		else if (f->n_helpers == PV_HELPERS_MAX)
			r = err_set(err, E2BIG, "guest kernel has more than %d helper threads", PV_HELPERS_MAX);
		else
			f->helper[f->n_helpers++].pid = pid;
	}
	return r;
}

static bool at_safe_point(pid_t k, unsigned flags, long *ret_nr)
{
	struct ptrace_syscall_info si;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, k, (void *)sizeof(si), &si) < 0 || si.op != PTRACE_SYSCALL_INFO_ENTRY)
		return false;
	*ret_nr = (long)si.entry.nr;
	if (si.entry.nr == SYS_ptrace)
		return si.entry.args[0] == PTRACE_SETREGS;
	return si.entry.nr == SYS_rt_sigsuspend && !(flags & PV_FREEZE_USER);
}

/* Does K sleep, as it does in wait4 while a stub runs? On a busy machine it may as well be runnable and just not get a CPU. */
static bool sleeps(pid_t k)
{
	_cleanup_free_ char *text = NULL;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/stat", k);
	if (file_read(path, 4096, &text, NULL) < 0)
		return true;
	const char *p = strrchr(text, ')');
	return !p || p[1] != ' ' || p[2] == 'S';
}

/* Let go of a process that would not stop. Detaching needs a stop, and one that stays attached to us stands for ever at the next one. */
static void let_go(pid_t pid)
{
	for (int i = 0; i < 30; i++) {
		struct err err;
		int r = pt_interrupt(pid, &err);

		if (!r)
			pt_detach(pid);
		if (r != -ETIMEDOUT)
			return; /* detached, or not ours any more */
	}
}

/* Run K from system call to system call until it stands at a safe one. */
static int run_to_safe_point(pid_t k, unsigned flags, uint64_t deadline, long *ret_nr, struct err *err)
{
	int sig = 0;
	uint64_t wait_us = POKE_FIRST_US;

	for (;;) {
		bool stopped;
		int status;
		if (ptrace(PTRACE_SYSCALL, k, 0, (void *)(intptr_t)sig) < 0)
			return err_sys(err, errno, "cannot continue the guest kernel");
		sig = 0;
		for (;;) {
			int r = pt_wait(k, wait_us, &stopped, &status);
			if (r < 0)
				return err_sys(err, -r, "the guest ended while it was being frozen");
			if (stopped)
				break;
			if (now_ns() > deadline)
				return err_set(err, ETIMEDOUT, "the guest kernel did not come to a safe point in time");
			/*
			 * It waits for a running stub: its own timer tick makes it stop the stub. Poke K, never the stub; and not a
			 * K that only waits for a CPU: it would do nothing but take ticks.
			 */
			if (sleeps(k))
				kill(k, SIGALRM);
			wait_us = POKE_NEXT_US;
		}
		wait_us = POKE_FIRST_US;
		int s = WSTOPSIG(status);
		if (s == (SIGTRAP | 0x80)) {
			if (at_safe_point(k, flags, ret_nr))
				return 0;
		} else if (status >> 16 == 0) {
			sig = s; /* signal-delivery stop: pass it on */
		}
		if (now_ns() > deadline) {
			ptrace(PTRACE_DETACH, k, 0, (void *)(intptr_t)sig);
			return err_set(err, ETIMEDOUT, "the guest kernel did not come to a safe point in time");
		}
	}
}

/* Cancel the system call K is about to make, so that it is made again on thaw. */
static int cancel_syscall(struct pv_thread *t, long nr, struct err *err)
{
	bool stopped;
	int status, r;

	r = pt_get_regs(t->pid, &t->regs);
	if (!r)
		r = pt_get_sigmask(t->pid, &t->sigmask);
	if (!r)
		r = pt_set_sigmask(t->pid, ~0ull);
	if (r < 0)
		return err_sys(err, -r, "cannot read the guest kernel's registers");
	struct user_regs_struct c = t->regs;
	c.orig_rax = ~0ull;
	r = pt_set_regs(t->pid, &c);
	if (!r && ptrace(PTRACE_SYSCALL, t->pid, 0, 0) < 0)
		r = -errno;
	if (!r)
		r = pt_wait(t->pid, PT_PATIENCE_US, &stopped, &status);
	if (!r && (!stopped || WSTOPSIG(status) != (SIGTRAP | 0x80)))
		r = -EIO;
	if (r < 0) {
		if (pt_set_sigmask(t->pid, t->sigmask) < 0)
			return err_set(err, ESRCH, "the guest ended while it was being frozen");
		return err_sys(err, -r, "cannot cancel the guest kernel's system call");
	}
	t->regs.rip -= 2;
	t->regs.rax = (uint64_t)nr;
	t->regs.orig_rax = ~0ull;
	return 0;
}

static int stop_once(struct pv_thread *t, struct err *err)
{
	int r = pt_seize(t->pid, err);
	if (r < 0)
		return r;
	r = pt_interrupt(t->pid, err);
	if (!r) {
		int e = pt_get_regs(t->pid, &t->regs);
		if (!e)
			e = pt_get_sigmask(t->pid, &t->sigmask);
		if (e < 0)
			r = err_sys(err, -e, "cannot read a guest helper's registers");
	}
	if (r < 0) {
		pt_detach(t->pid);
		let_go(t->pid); /* if it is ours still: it did not stop */
		return r;
	}
	/*
	 * An interrupted system call shows -ERESTART*: what we save must simply make it again. A poll that was interrupted once
	 * already goes on as restart_syscall, which means nothing in another process: its arguments still stand in the
	 * registers, so it becomes the poll it is (helpers restart nothing else). So a rebuilt helper runs no instruction of
	 * its own before something wakes it.
	 */
	int64_t rax = (int64_t)t->regs.rax;
	if ((int64_t)t->regs.orig_rax >= 0 && (rax == -512 || rax == -513 || rax == -514 || rax == -516)) {
		t->regs.rip -= 2;
		t->regs.rax = t->regs.orig_rax;
	}
	if (t->regs.rax == SYS_restart_syscall)
		t->regs.rax = SYS_poll;
	t->regs.orig_rax = ~0ull;
	return 0;
}

/* One that was met on its short way from poll to poll gets some more moments. Whether it came there counts only when it is to move (dump.c). */
static int stop_helper(struct pv_thread *t, struct err *err)
{
	for (int tries = 0;; tries++) {
		int r = stop_once(t, err);
		if (r < 0 || t->regs.rax == SYS_poll || tries == HELPER_TRIES)
			return r;
		pt_detach(t->pid);
		struct timespec ts = { .tv_nsec = 100000 };
		nanosleep(&ts, NULL);
	}
}

void pv_frozen_done(struct pv_frozen *f)
{
	free(f->stub);
	*f = (struct pv_frozen){ 0 };
}

void pv_frozen_kill(struct pv_frozen *f)
{
	/* stubs first: without their tracer they would run guest code natively, in memory that may be in use elsewhere */
	for (size_t i = 0; i < f->n_stubs; i++)
		kill(f->stub[i], SIGKILL);
	/* their real parent may reap these only after the tracer did */
	for (size_t i = 0; f->active && i <= f->n_helpers; i++)
		pt_kill(i < f->n_helpers ? f->helper[i].pid : f->k.pid);
	pv_frozen_done(f);
}

int pv_freeze(pid_t k, unsigned flags, unsigned timeout_ms, const struct pv_helpers *known, struct pv_frozen *f,
              struct err *err)
{
	uint64_t t0 = now_ns();
	long nr = 0;

	*f = (struct pv_frozen){ .k.pid = k };
	int r = pt_seize(k, err);
	if (r < 0)
		return r;
	r = pt_interrupt(k, err);
	if (!r)
		r = run_to_safe_point(k, flags, t0 + timeout_ms * NS_PER_MS, &nr, err);
	if (r < 0) {
		if (r != -ESRCH)
			let_go(k);
		return r;
	}
	r = cancel_syscall(&f->k, nr, err);
	if (r < 0) {
		pt_detach(k);
		return r;
	}
	f->insn = f->k.regs.rip;
	r = list_children(k, known, f, err);
	size_t done = 0;
	for (; !r && done < f->n_helpers; done++)
		r = stop_helper(&f->helper[done], err);
	if (r < 0) {
		f->n_helpers = done ? done - 1 : 0;
		f->active = true;
		pv_thaw(f);
		return r;
	}
	f->active = true;
	f->took_ns = now_ns() - t0;
	return 0;
}

void pv_thaw(struct pv_frozen *f)
{
	if (!f->active)
		return;
	for (size_t i = 0; i < f->n_helpers; i++)
		pt_detach(f->helper[i].pid);
	/* failures mean that it died under us: whoever watches its pidfd sees that */
	if (pt_set_regs(f->k.pid, &f->k.regs) == 0 && pt_set_sigmask(f->k.pid, f->k.sigmask) == 0) {
		pt_detach(f->k.pid);
		/*
		 * An I/O signal on K's way to its sleep waits until something else wakes it up, the next tick. That way is short, but not for one
		 * that was led along it from call to call. So there is a tick, which K lets in only where it sleeps.
		 */
		if (f->k.regs.rax == SYS_rt_sigsuspend)
			kill(f->k.pid, SIGALRM);
	}
	pv_frozen_done(f);
}

bool pv_has_process(pid_t k)
{
	char path[64];
	_cleanup_free_ char *text = NULL;
	size_t len;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", k, k);
	if (file_read(path, 4096, &text, &len) < 0)
		return false;
	/* two helpers come first; the check of ptrace very early in the boot makes one child at a time */
	int n = 0;
	for (char *p = text; *p; p++)
		n += *p == ' ';
	return n >= 3;
}
