/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See adopt.h; docs/adr/0061-locked-in-before-it-runs.md. Main thread only (ptrace). In the blackout of a move: no allocation a process. */
#include "config.h"
#include "hypervisor/pv/adopt.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "common/util.h"
#include "hypervisor/pv/restorer.h"

/* The value of the line that begins with @name at or after *@at; NULL: there is none. Leaves *@at at it: lines come in a known order. */
static const char *line_of(const char **at, const char *name)
{
	const char *p = strstr(*at, name);

	if (!p)
		return NULL;
	*at = p;
	p += strlen(name);
	return p + strspn(p, " \t");
}

const char *pv_not_held(const char *text, pid_t tracer)
{
	static const struct {
		const char *line;
		unsigned base;
		uint64_t value;
	} want[] = {
		{ "\nThreads:", 10, 1 }, { "\nCapInh:", 16, 0 },     { "\nCapPrm:", 16, 0 },  { "\nCapEff:", 16, 0 },
		{ "\nCapAmb:", 16, 0 },  { "\nNoNewPrivs:", 10, 1 }, { "\nSeccomp:", 10, 2 },
	};
	const char *at = text, *v = line_of(&at, "\nState:");

	if (!v || *v != 't')
		return v ? at + 1 : "";
	v = line_of(&at, "\nTracerPid:");
	if (!v || strtol(v, NULL, 10) != tracer)
		return v ? at + 1 : "";
	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		char *end;
		v = line_of(&at, want[i].line);
		if (!v || strtoull(v, &end, (int)want[i].base) != want[i].value || end == v || *end != '\n')
			return v ? at + 1 : "";
	}
	return NULL;
}

static int check_one(pid_t pid, pid_t tracer, struct err *err)
{
	char text[8192], path[48];

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return err_sys(err, n < 0 ? errno : EIO, "cannot read %s", path);
	text[n] = 0;
	const char *bad = pv_not_held(text, tracer);
	return bad ? err_set(err, EPERM,
	                     "process %d of the rebuilt guest is not locked in (%.*s): the guest was killed", pid,
	                     (int)strcspn(bad, "\n"), bad)
	           : 0;
}

static int read_children(pid_t pid, char **ret, struct err *err)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	int r = file_read(path, 1 << 20, ret, NULL);
	return r ? err_sys(err, -r, "cannot read %s", path) : 0;
}

/* Best effort: a cpuset may forbid it. */
static void pin(pid_t pid, int cpu)
{
	cpu_set_t set;

	if (cpu < 0)
		return;
	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	sched_setaffinity(pid, sizeof(set), &set);
}

int pv_adopt_stubs(pid_t k, const struct pv_image *im, int cpu, struct pv_frozen *f, struct err *err)
{
	_cleanup_free_ char *kids = NULL;
	int r = read_children(k, &kids, err);

	*f = (struct pv_frozen){ .k.pid = k };
	if (r < 0)
		return r;
	f->stub = calloc(im->n_stubs ? im->n_stubs : 1, sizeof(*f->stub));
	if (!f->stub)
		return err_set(err, ENOMEM, "out of memory");
	for (char *p = kids, *e; f->n_stubs < im->n_stubs; p = e) {
		pid_t pid = (pid_t)strtol(p, &e, 10);
		if (e == p)
			return err_set(err, ESRCH, "the rebuilt guest has %zu address spaces instead of %zu",
			               f->n_stubs, im->n_stubs);
		f->stub[f->n_stubs++] = pid;
		r = check_one(pid, k, err);
		if (r < 0)
			return r;
		/* with K on one CPU: a guest system call is two switches between them */
		pin(pid, cpu);
	}
	return 0;
}

/* Exactly what the image asked for is there: K the holder's one child, K's children the stubs that we know and after them the helpers. */
static int list_helpers(pid_t holder, const struct pv_image *im, const struct pv_frozen *f, pid_t *helper,
                        struct err *err)
{
	_cleanup_free_ char *ks = NULL, *kids = NULL;
	char *e = NULL;
	size_t n = 0;
	bool same = true;
	int r = read_children(holder, &ks, err);

	if (!r)
		r = read_children(f->k.pid, &kids, err);
	if (r < 0)
		return r;
	if (strtol(ks, &e, 10) != f->k.pid || e[strspn(e, " \n")])
		return err_set(err, EPERM, "there are other processes in the guest's sandbox than its kernel");
	for (char *p = kids;; p = e, n++) {
		pid_t pid = (pid_t)strtol(p, &e, 10);
		if (e == p)
			break;
		if (n < f->n_stubs)
			same &= f->stub[n] == pid;
		else if (n < f->n_stubs + im->n_helpers)
			helper[n - f->n_stubs] = pid;
	}
	return same && n == f->n_stubs + im->n_helpers
	               ? 0
	               : err_set(err, ESRCH, "the rebuilt guest has %zu processes instead of %zu", n,
	                         f->n_stubs + im->n_helpers);
}

static int hold(pid_t pid, int cpu, struct err *err)
{
	int r = pt_interrupt(pid, err);

	if (!r)
		r = check_one(pid, getpid(), err);
	pin(pid, cpu);
	return r;
}

static int hold_all(pid_t holder, const struct pv_image *im, int cpu, struct pv_frozen *f, struct err *err)
{
	pid_t helper[PV_HELPERS_MAX];
	int r = pt_seize(f->k.pid, err);

	if (!r)
		r = hold(f->k.pid, cpu, err);
	if (!r)
		r = list_helpers(holder, im, f, helper, err);
	for (size_t i = 0; i < im->n_helpers && !r; i++) {
		r = pt_seize(helper[i], err);
		if (r < 0)
			break;
		f->helper[f->n_helpers++] = (struct pv_thread){ .pid = helper[i],
			                                        .regs = im->helper[i].regs,
			                                        .sigmask = im->helper[i].sigmask };
		r = hold(helper[i], cpu, err);
	}
	return r;
}

/* Does a thread of K, at @rip, stand before a system call? Its memory is complete now, and nobody runs who could change it. */
static int at_syscall(pid_t k, uint64_t rip, const char *who, struct err *err)
{
	uint8_t insn[2] = { 0 };

	if (pt_read(k, rip, insn, sizeof(insn)) || insn[0] != 0x0f || insn[1] != 0x05)
		return err_set(err, EINVAL, "the guest's state is refused: %s does not stand at a system call", who);
	return 0;
}

/* Unmap code, plan and stacks of the restorer, by the guest's own instruction since ours would go with it; and believe it only when seen. */
static int drop_restorer(const struct pv_image *im, pid_t k, struct err *err)
{
	static const uint64_t gone[] = { RESTORER_BASE, RESTORER_PLAN, RESTORER_TOP - PAGE_BYTES };
	long ret = 0;
	int r = pt_syscall(k, im->k.regs.rip, SYS_munmap, (uint64_t[6]){ RESTORER_BASE, RESTORER_TOP - RESTORER_BASE },
	                   &ret);

	if (!r && ret < 0)
		r = (int)ret;
	if (r < 0)
		return err_sys(err, -r, "cannot clean up inside the rebuilt guest");
	for (size_t i = 0; i < ARRAY_SIZE(gone); i++) {
		uint8_t c;
		if (pt_read(k, gone[i], &c, 1) != -EFAULT)
			return err_set(err, EPERM,
			               "what rebuilt the guest is still mapped in it: the guest was killed");
	}
	return 0;
}

static int load_regs(pid_t pid, const struct pv_regs *t, struct err *err)
{
	int r = pt_set_xstate(pid, t->xstate, t->xstate_len);

	if (r < 0)
		return err_sys(
			err, -r,
			"cannot set the guest's floating-point state (%u octets): does this CPU differ from the source's?",
			t->xstate_len);
	r = pt_set_regs(pid, &t->regs);
	return r ? err_sys(err, -r, "cannot set the guest's registers") : 0;
}

int pv_adopt(pid_t holder, const struct pv_image *im, int cpu, struct pv_frozen *f, struct err *err)
{
	pid_t k = f->k.pid;

	f->active = true;
	f->k = (struct pv_thread){ .pid = k, .regs = im->k.regs, .sigmask = im->k.sigmask };
	f->insn = im->k.regs.rip;
	int r = hold_all(holder, im, cpu, f, err);
	if (!r)
		r = at_syscall(k, im->k.regs.rip, "its kernel", err);
	for (size_t i = 0; i < f->n_helpers && !r; i++)
		r = at_syscall(k, im->helper[i].regs.rip, "a helper of its kernel", err);
	if (!r)
		r = drop_restorer(im, k, err);
	/* K's signals stay blocked until the thaw; a helper's wait for it as the helper does */
	for (size_t i = 0; i < f->n_helpers && !r; i++) {
		r = load_regs(f->helper[i].pid, &im->helper[i], err);
		if (!r && pt_set_sigmask(f->helper[i].pid, im->helper[i].sigmask))
			r = err_set(err, ESRCH, "a helper of the rebuilt guest ended");
	}
	if (!r)
		r = load_regs(k, &im->k, err);
	if (r < 0)
		pv_frozen_kill(f);
	return r;
}
