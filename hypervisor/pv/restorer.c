/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The restorer: see restorer.h. Freestanding: no libc, no data, no calls out of its section, since only the section's octets
 * are mapped into the new process (nm -u librestorer.a must be empty). Runs as K and, after clone3, as each stub and helper.
 */
#include "config.h"
#include "hypervisor/pv/restorer.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include "hypervisor/pv/image.h"

#if defined(__SSP__) || defined(__SSP_STRONG__) || defined(__SSP_ALL__)
#error "a stack protector calls out of the section, and its guard is not in the new process"
#endif

#define CODE __attribute__((section("restorer_code"), noinline, used))
#define INL  static inline __attribute__((always_inline))

INL long sys6(long nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
	register uint64_t r10 __asm__("r10") = d;
	register uint64_t r8 __asm__("r8") = e;
	register uint64_t r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall"
	                 : "=a"(ret)
	                 : "0"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
	                 : "rcx", "r11", "memory");
	return ret;
}
#define sys(nr, a, b, c, d) sys6(nr, (uint64_t)(a), (uint64_t)(b), (uint64_t)(c), (uint64_t)(d), 0, 0)

INL void copy(void *to, const void *from, uint64_t n)
{
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
}

CODE static __attribute__((noreturn)) void fail(struct plan *p, uint32_t stage, long error, uint64_t detail)
{
	p->stage = stage;
	p->detail = detail;
	__atomic_store_n(&p->error, error, __ATOMIC_RELEASE);
	for (;;)
		sys(SYS_exit_group, 70, 0, 0, 0);
}

INL void *at(struct plan *p, uint64_t off)
{
	return (char *)p + off;
}

CODE static void map_one(struct plan *p, const struct plan_vma *v, int extra_prot, uint32_t stage)
{
	long r = sys6(SYS_mmap, v->start, v->len, (uint64_t)(v->prot | extra_prot), v->flags, (uint64_t)(int64_t)v->fd,
	              v->off);

	if (r != (long)v->start)
		fail(p, stage, r, v->start);
}

/* No capability, no new privilege, the filter: nothing that runs guest code is without. No word of the plan leaves a part of it out. */
CODE static void enter_sandbox(struct plan *p, uint32_t stage)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	uint64_t d[3];
	struct {
		uint16_t len;
		uint64_t filter;
	} prog;
	long r;

	d[0] = d[1] = d[2] = 0;
	r = sys(SYS_capset, &h, d, 0, 0);
	if (r)
		fail(p, stage, r, 1);
	r = sys(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0);
	if (r)
		fail(p, stage, r, 2);
	prog.len = (uint16_t)p->seccomp_len;
	prog.filter = (uint64_t)at(p, p->seccomp);
	r = sys(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog, 0);
	if (r)
		fail(p, stage, r, 3);
}

/* The descriptor table, while it is still ours alone. */
CODE static void make_fds(struct plan *p)
{
	const struct plan_fd *f = at(p, p->fds);
	const struct plan_ep *e = at(p, p->eps);
	long r;

	for (uint32_t i = 0; i < p->n_fds; i++, f++) {
		if (f->to == p->ep_fd) {
			r = sys(SYS_epoll_create1, 0, 0, 0, 0);
			if (r >= 0 && r != f->to) {
				long t = r;
				r = sys(SYS_dup2, t, f->to, 0, 0);
				sys(SYS_close, t, 0, 0, 0);
			}
		} else {
			r = sys(SYS_dup3, f->from, f->to, f->cloexec ? O_CLOEXEC : 0, 0);
		}
		if (r != f->to)
			fail(p, PLAN_FDS, r, (uint64_t)f->to);
		if (f->to == p->ep_fd || f->to == p->mem_fd)
			continue;
		if (f->owned) {
			r = sys(SYS_fcntl, f->to, F_SETSIG, SIGIO, 0);
			if (!r)
				r = sys(SYS_fcntl, f->to, F_SETOWN, sys(SYS_getpid, 0, 0, 0, 0), 0);
			if (r)
				fail(p, PLAN_FDS, r, (uint64_t)f->to);
		}
		r = sys(SYS_fcntl, f->to, F_SETFL, f->flags, 0);
		if (r)
			fail(p, PLAN_FDS, r, (uint64_t)f->to);
	}
	for (uint32_t i = 0; i < p->n_eps; i++, e++) {
		struct epoll_event ev;
		ev.events = e->events;
		ev.data.u64 = e->data;
		r = sys(SYS_epoll_ctl, p->ep_fd, EPOLL_CTL_ADD, e->fd, &ev);
		if (r)
			fail(p, PLAN_FDS, r, (uint64_t)e->fd | 1ull << 32);
	}
}

INL void clone_args_zero(struct clone_args *a)
{
	uint64_t *w = (uint64_t *)a;

	for (unsigned i = 0; i < sizeof(*a) / 8; i++)
		__atomic_store_n(&w[i], 0, __ATOMIC_RELAXED); /* keeps the compiler from calling memset */
}

CODE static __attribute__((noreturn)) void stub_child(struct plan *p, const struct plan_stub *s)
{
	const struct plan_vma *v = (const struct plan_vma *)at(p, p->vmas) + s->first_vma;
	struct {
		uint64_t handler, flags, restorer, mask;
	} sa;
	struct {
		uint64_t sp;
		uint64_t flags, size;
	} ss;
	uint64_t mask = s->sigmask;
	long r = sys(SYS_ptrace, 0 /* TRACEME */, 0, 0, 0);

	if (r)
		fail(p, PLAN_STUB_CHILD, r, (uint64_t)s->pid);
	for (uint32_t i = 0; i < s->n_vmas; i++)
		map_one(p, v + i, 0, PLAN_STUB_CHILD);
	ss.sp = PV_STUB_DATA;
	ss.flags = 0;
	ss.size = 4096;
	r = sys(SYS_sigaltstack, &ss, 0, 0, 0);
	if (r)
		fail(p, PLAN_STUB_CHILD, r, PV_STUB_DATA);
	sa.handler = p->segv_handler;
	/* x86-64 refuses a frame without a restorer; the handler traps and never returns */
	sa.flags = SA_ONSTACK | SA_NODEFER | SA_SIGINFO | 0x04000000;
	sa.restorer = p->segv_handler;
	sa.mask = 0;
	r = sys(SYS_rt_sigaction, SIGSEGV, &sa, 0, 8);
	if (r)
		fail(p, PLAN_STUB_CHILD, r, SIGSEGV);
	enter_sandbox(p, PLAN_STUB_CHILD);
	r = sys(SYS_rt_sigprocmask, SIG_SETMASK, &mask, 0, 8);
	/* unmap this very code: the fault on the next instruction is the first stop that K waits for */
	__asm__ volatile("syscall"
	                 :
	                 : "a"(SYS_munmap), "D"(RESTORER_BASE), "S"(RESTORER_TOP - RESTORER_BASE)
	                 : "rcx", "r11", "memory");
	__builtin_unreachable();
}

CODE static void make_stubs(struct plan *p)
{
	const struct plan_stub *s = at(p, p->stubs);

	for (uint64_t i = 0; i < p->n_stubs; i++) {
		struct clone_args a;
		int32_t tid = s[i].pid;
		clone_args_zero(&a);
		a.flags = CLONE_FILES;
		a.exit_signal = SIGCHLD;
		a.set_tid = (uint64_t)&tid;
		a.set_tid_size = 1;
		long r = sys(SYS_clone3, &a, sizeof(a), 0, 0);
		if (r == 0)
			stub_child(p, &s[i]);
		if (r != s[i].pid)
			fail(p, PLAN_STUBS, r, (uint64_t)tid);
	}
	for (uint64_t i = 0; i < p->n_stubs; i++) {
		int st = 0;
		long r = sys(SYS_wait4, s[i].pid, &st, 0x40000002 /* __WALL | WUNTRACED */, 0);
		if (r != s[i].pid || (st & 0xff) != 0x7f || st >> 8 != SIGSEGV)
			fail(p, PLAN_STUBS,
			     p->error ? p->error
			     : r < 0  ? r
			              : -ECHILD,
			     (uint64_t)s[i].pid | (uint64_t)(uint32_t)st << 32);
		r = sys(SYS_ptrace, 0x4200 /* SETOPTIONS */, s[i].pid, 0, 1 | 1 << 20 /* TRACESYSGOOD | EXITKILL */);
		if (r)
			fail(p, PLAN_STUBS, r, (uint64_t)s[i].pid);
	}
}

CODE static void make_memory(struct plan *p)
{
	const struct plan_vma *v = at(p, p->vmas);
	const struct plan_pages *g = at(p, p->pages);

	for (uint64_t i = 0; i < p->n_k_vmas; i++)
		map_one(p, v + i, v[i].flags & MAP_PRIVATE ? PROT_READ | PROT_WRITE : 0, PLAN_VMAS);
	for (uint64_t i = 0; i < p->n_pages; i++)
		copy((void *)g[i].addr, at(p, g[i].data), g[i].len);
	for (uint64_t i = 0; i < p->n_k_vmas; i++) {
		if (!(v[i].flags & MAP_PRIVATE) || (v[i].prot & (PROT_READ | PROT_WRITE)) == (PROT_READ | PROT_WRITE))
			continue;
		long r = sys(SYS_mprotect, v[i].start, v[i].len, v[i].prot, 0);
		if (r)
			fail(p, PLAN_PAGES, r, v[i].start);
	}
	struct {
		uint64_t w[11];
		uint64_t auxv;
		uint32_t auxv_size;
		int32_t exe_fd;
	} mm;
	for (int i = 0; i < 11; i++)
		__atomic_store_n(&mm.w[i], p->mm[i], __ATOMIC_RELAXED);
	mm.auxv = 0;
	mm.auxv_size = 0;
	mm.exe_fd = -1;
	long r = sys(SYS_prctl, PR_SET_MM, PR_SET_MM_MAP, &mm, sizeof(mm));
	if (r)
		fail(p, PLAN_PAGES, r, 0);
}

CODE static void make_signals(struct plan *p)
{
	struct {
		uint64_t sp;
		uint64_t flags, size;
	} ss;
	long r;

	for (int sig = 1; sig <= 64; sig++) {
		if (sig == SIGKILL || sig == SIGSTOP || !p->sa[sig - 1].handler)
			continue;
		r = sys(SYS_rt_sigaction, sig, &p->sa[sig - 1], 0, 8);
		if (r)
			fail(p, PLAN_SIGNALS, r, (uint64_t)sig);
	}
	ss.sp = p->altstack_sp;
	ss.flags = p->altstack_size ? 0 : 2;
	ss.size = p->altstack_size;
	r = sys(SYS_sigaltstack, &ss, 0, 0, 0);
	if (r)
		fail(p, PLAN_SIGNALS, r, 100);
	if (p->has_timer) {
		int id = -1;
		r = sys(SYS_timer_create, 1 /* CLOCK_MONOTONIC */, 0, &id, 0);
		if (r || id != 0)
			fail(p, PLAN_SIGNALS, r ? r : -EEXIST, 101);
	}
	r = sys(SYS_arch_prctl, 0x1002 /* ARCH_SET_FS */, p->fs_base, 0, 0);
	if (r)
		fail(p, PLAN_SIGNALS, r, 102);
}

/* In the sandbox it sleeps, all signals blocked, until hvdom gives it its registers: no instruction of the guest's runs before that. */
CODE static __attribute__((noreturn)) void helper_child(struct plan *p)
{
	uint64_t all = ~0ull;

	enter_sandbox(p, PLAN_HELPERS);
	__atomic_fetch_add(&p->parked, 1, __ATOMIC_RELEASE);
	for (;;)
		sys(SYS_rt_sigsuspend, &all, 8, 0, 0);
}

CODE static void make_helpers(struct plan *p, uint64_t stacks)
{
	const struct plan_helper *h = at(p, p->helpers);

	for (uint64_t i = 0; i < p->n_helpers; i++) {
		struct clone_args a;
		int32_t tid = h[i].pid;
		clone_args_zero(&a);
		a.flags = CLONE_VM | CLONE_FILES;
		a.set_tid = (uint64_t)&tid;
		a.set_tid_size = 1;
		a.stack = stacks + i * 8192;
		a.stack_size = 8192;
		register struct plan *pp __asm__("r13") = p;
		register void (*fn)(struct plan *) __asm__("r14") = helper_child;
		long r;
		__asm__ volatile("syscall; test %%rax, %%rax; jnz 1f; mov %%r13, %%rdi; call *%%r14; 1:"
		                 : "=a"(r)
		                 : "0"(SYS_clone3), "D"(&a), "S"(sizeof(a)), "r"(pp), "r"(fn)
		                 : "rcx", "r11", "memory");
		if (r != tid)
			fail(p, PLAN_HELPERS, r, (uint64_t)tid);
	}
	while (__atomic_load_n(&p->parked, __ATOMIC_ACQUIRE) != p->n_helpers) {
		if (__atomic_load_n(&p->error, __ATOMIC_ACQUIRE))
			sys(SYS_exit_group, 70, 0, 0, 0);
		sys(SYS_sched_yield, 0, 0, 0, 0);
	}
}

CODE void restorer_entry(struct plan *p)
{
	uint64_t all = ~0ull;
	long r = sys(SYS_rt_sigprocmask, SIG_SETMASK, &all, 0, 8);

	p->stage = PLAN_START;
	if (!r)
		r = sys(SYS_munmap, 0, RESTORER_BASE, 0, 0);
	if (!r)
		r = sys(SYS_munmap, RESTORER_TOP, PV_TASK_TOP - RESTORER_TOP, 0, 0);
	if (r)
		fail(p, PLAN_START, r, 0);
	p->stage = PLAN_FDS;
	make_fds(p);
	p->stage = PLAN_STUBS;
	make_stubs(p);
	p->stage = PLAN_VMAS;
	make_memory(p);
	p->stage = PLAN_SIGNALS;
	make_signals(p);
	r = sys(SYS_close_range, p->keep_below, ~0u, 0, 0);
	if (r)
		fail(p, PLAN_HELPERS, r, (uint64_t)p->keep_below);
	p->stage = PLAN_HELPERS;
	/* the stack mapping is the last 256 KiB: our own stack is its upper half */
	make_helpers(p, RESTORER_TOP - 262144);
	enter_sandbox(p, PLAN_SANDBOX);
	__atomic_store_n(&p->stage, PLAN_DONE, __ATOMIC_RELEASE);
	for (;;) /* all signals are blocked: sleeps until hvdom takes over by ptrace */
		sys(SYS_rt_sigsuspend, &all, 8, 0, 0);
}
