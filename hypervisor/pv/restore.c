/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Restore: writes the plan for restorer.c, has the holder start a process that carries it out, and gives K its registers.
 * Main thread only.
 */
#include "config.h"
#include "hypervisor/pv/restore.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include "common/loop.h"
#include "common/util.h"
#include "hypervisor/pv/filter.h"
#include "hypervisor/pv/restorer.h"

struct work {
	const struct pv_image *im;
	struct pv_restored *out;
	int fds[SANDBOX_FDS_MAX]; /* what is sent; owned ones are closed at the end */
	bool own[SANDBOX_FDS_MAX];
	unsigned n_fds;
	struct plan *plan;
	uint64_t used, cap;
};

static int add_fd(struct work *w, int fd, bool own)
{
	if (w->n_fds == SANDBOX_FDS_MAX)
		return -E2BIG;
	w->fds[w->n_fds] = fd;
	w->own[w->n_fds] = own;
	return (int)(SANDBOX_FD_BASE + w->n_fds++);
}

/* Write what waited in a socket into its other end @fd. */
static int refill(int fd, const struct pv_fd *e)
{
	if (!e->queued_len)
		return 0;
	return send(fd, e->queued, e->queued_len, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)e->queued_len ? 0 : -EIO;
}

/* A pair whose one end goes to K and the other stays with hvdom in *ret_mine. */
static int make_pair(const struct pv_fd *e, int *ret_theirs, int *ret_mine)
{
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
		return -errno;
	*ret_theirs = sv[0];
	*ret_mine = sv[1];
	return refill(sv[1], e);
}

static int make_one(struct work *w, size_t i, int mem_fd, int *made)
{
	const struct pv_image *im = w->im;
	const struct pv_fd *e = &im->fd[i];
	struct pv_restored *o = w->out;
	int sv[2], r = 0;

	if (made[i] >= 0)
		return 0;
	if (e->dup_of >= 0) {
		for (size_t j = 0; j < i; j++)
			if (im->fd[j].fd == e->dup_of)
				made[i] = made[j];
		return made[i] >= 0 ? 0 : -EINVAL;
	}
	switch (e->kind) {
	case PV_FD_CON:
		r = o->con < 0 ? make_pair(e, &made[i], &o->con) : -EINVAL;
		break;
	case PV_FD_ERR:
		r = o->err < 0 ? make_pair(e, &made[i], &o->err) : -EINVAL;
		break;
	case PV_FD_MEM:
		made[i] = fcntl(mem_fd, F_DUPFD_CLOEXEC, 0);
		break;
	case PV_FD_EPOLL:
		made[i] = open("/dev/null", O_RDWR | O_CLOEXEC); /* a placeholder: the restorer makes the epoll set */
		break;
	case PV_FD_PAIR:
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
			return -errno;
		made[i] = sv[0];
		for (size_t j = i + 1; j < im->n_fds; j++)
			if (im->fd[j].fd == (int)e->arg && im->fd[j].kind == PV_FD_PAIR &&
			    im->fd[j].arg == (uint32_t)e->fd && made[j] < 0 && im->fd[j].dup_of < 0) {
				made[j] = sv[1];
				r = refill(sv[1], e);
				return r ? r : refill(sv[0], &im->fd[j]);
			}
		close(sv[1]);
		return -EINVAL;
	case PV_FD_DGRAM:
		made[i] = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		break;
	case PV_FD_PATH:
		made[i] = open(e->arg ? "/dev/null" : "/dev/random", (e->arg ? O_RDWR : O_RDONLY) | O_CLOEXEC);
		break;
	case PV_FD_VHOST:
		r = e->arg < ARRAY_SIZE(o->vsock) && o->vsock[e->arg] < 0 ? make_pair(e, &made[i], &o->vsock[e->arg])
		                                                          : -EINVAL;
		break;
	case PV_FD_VREQ:
		r = e->arg < ARRAY_SIZE(o->vreq) && o->vreq[e->arg] < 0 ? make_pair(e, &made[i], &o->vreq[e->arg])
		                                                        : -EINVAL;
		break;
	default:
		return -EINVAL;
	}
	return r ? r : made[i] >= 0 ? 0 : -errno;
}

static int make_fds(struct work *w, int mem_fd, struct err *err)
{
	int made[PV_FDS_MAX];
	const struct pv_image *im = w->im;
	struct pv_fds *now = &w->out->fds;
	int r = 0;

	for (size_t i = 0; i < im->n_fds; i++)
		made[i] = -1;
	*now = (struct pv_fds){ .n = im->n_fds, .ep_fd = im->ep_fd };
	for (size_t i = 0; i < im->n_fds && !r; i++) {
		struct stat st = { 0 };
		r = make_one(w, i, mem_fd, made);
		if (r)
			break;
		fstat(made[i], &st);
		now->fd[i] = im->fd[i];
		now->fd[i].queued = NULL;
		now->fd[i].queued_len = 0;
		now->fd[i].inode = st.st_ino;
	}
	struct plan_fd *pf = (struct plan_fd *)((char *)w->plan + w->plan->fds);
	for (size_t i = 0; i < im->n_fds && !r; i++) {
		int at = add_fd(w, made[i], im->fd[i].dup_of < 0);
		if (at < 0) {
			r = at;
			break;
		}
		pf[i] = (struct plan_fd){ .from = at,
			                  .to = im->fd[i].fd,
			                  .flags = im->fd[i].flags,
			                  .owned = im->fd[i].owned,
			                  .cloexec = im->fd[i].cloexec };
		if (im->fd[i].kind == PV_FD_MEM)
			w->plan->mem_fd = im->fd[i].fd;
		made[i] = -1;
	}
	for (size_t i = 0; i < im->n_fds; i++)
		if (made[i] >= 0 && im->fd[i].dup_of < 0)
			close(made[i]);
	if (!r && w->plan->mem_fd < 0)
		r = -EINVAL;
	return r ? err_sys(err, -r, "cannot make the guest kernel's descriptors") : 0;
}

static uint64_t take(struct work *w, uint64_t bytes)
{
	uint64_t at = w->used;

	w->used = (w->used + bytes + 63) & ~63ull;
	return at;
}

static struct plan_vma plan_vma_of(const struct vma *v, int mem_fd, const int *file_at)
{
	struct plan_vma p = { .start = v->start, .len = v->end - v->start, .off = v->offset };

	p.prot = (uint16_t)((v->flags & VMA_READ ? PROT_READ : 0) | (v->flags & VMA_WRITE ? PROT_WRITE : 0) |
	                    (v->flags & VMA_EXEC ? PROT_EXEC : 0));
	p.flags = MAP_FIXED | (v->flags & VMA_SHARED ? MAP_SHARED : MAP_PRIVATE);
	if (v->inode == PV_BACK_ANON) {
		p.fd = -1;
		p.flags |= MAP_ANONYMOUS;
	} else {
		p.fd = v->inode == PV_BACK_MEM ? mem_fd : file_at[v->inode - PV_BACK_FILE0];
	}
	return p;
}

/* An rt_sigreturn frame: struct ucontext of the kernel's ABI, without floating-point state (a helper sits in poll). */
static void write_frame(void *to, const struct pv_regs *h)
{
	ucontext_t *uc = to;
	const struct user_regs_struct *r = &h->regs;
	greg_t *g = uc->uc_mcontext.gregs;

	memset(to, 0, 512);
	uc->uc_flags = 6;          /* UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS */
	uc->uc_stack.ss_flags = 2; /* SS_DISABLE */
	g[REG_R8] = (greg_t)r->r8;
	g[REG_R9] = (greg_t)r->r9;
	g[REG_R10] = (greg_t)r->r10;
	g[REG_R11] = (greg_t)r->r11;
	g[REG_R12] = (greg_t)r->r12;
	g[REG_R13] = (greg_t)r->r13;
	g[REG_R14] = (greg_t)r->r14;
	g[REG_R15] = (greg_t)r->r15;
	g[REG_RDI] = (greg_t)r->rdi;
	g[REG_RSI] = (greg_t)r->rsi;
	g[REG_RBP] = (greg_t)r->rbp;
	g[REG_RBX] = (greg_t)r->rbx;
	g[REG_RDX] = (greg_t)r->rdx;
	g[REG_RAX] = (greg_t)r->rax;
	g[REG_RCX] = (greg_t)r->rcx;
	g[REG_RSP] = (greg_t)r->rsp;
	g[REG_RIP] = (greg_t)r->rip;
	g[REG_EFL] = (greg_t)r->eflags;
	g[REG_CSGSFS] = (greg_t)(0x33ull | 0x2bull << 48);
	memcpy(&uc->uc_sigmask, &h->sigmask, 8);
}

static void write_stubs(struct work *w, const int *file_at)
{
	const struct pv_image *im = w->im;
	struct plan *p = w->plan;
	struct plan_vma *v = (struct plan_vma *)((char *)p + p->vmas);
	struct plan_stub *s = (struct plan_stub *)((char *)p + p->stubs);

	for (size_t i = 0; i < im->n_vmas; i++)
		*v++ = plan_vma_of(&im->vma[i], p->mem_fd, file_at);
	for (size_t i = 0; i < im->n_stub_vmas; i++)
		*v++ = plan_vma_of(&im->stub_vma[i], p->mem_fd, file_at);
	for (size_t i = 0; i < im->n_stubs; i++)
		s[i] = (struct plan_stub){ .pid = im->stub[i].pid,
			                   .n_vmas = im->stub[i].n_vmas,
			                   .first_vma = im->n_vmas + im->stub[i].first_vma,
			                   .sigmask = im->stub[i].sigmask };
}

static uint64_t plan_bytes_for(const struct pv_image *im)
{
	return sizeof(struct plan) + PV_FILTER_MAX * sizeof(struct sock_filter) + im->n_fds * sizeof(struct plan_fd) +
	       im->n_ep * sizeof(struct plan_ep) + (im->n_vmas + im->n_stub_vmas) * sizeof(struct plan_vma) +
	       im->n_stubs * sizeof(struct plan_stub) + im->n_helpers * (sizeof(struct plan_helper) + 1024) +
	       im->n_pages * sizeof(struct plan_pages) + im->page_data_len + 64 * 32;
}

static int write_plan(struct work *w, int mem_fd, const int *file_fd, struct err *err)
{
	const struct pv_image *im = w->im;
	struct plan *p = w->plan;
	int file_at[PV_FILES_MAX];

	*p = (struct plan){ .magic = PLAN_MAGIC,
		            .total_bytes = w->cap,
		            .mem_fd = -1,
		            .ep_fd = im->ep_fd,
		            .keep_below = SANDBOX_FD_BASE,
		            .segv_handler = im->segv_handler,
		            .altstack_sp = im->altstack_sp,
		            .altstack_size = im->altstack_size,
		            .fs_base = im->k.regs.fs_base,
		            .has_timer = im->has_timer,
		            .drop_caps = 1 };
	w->used = (sizeof(*p) + 63) & ~63ull;
	p->seccomp = take(w, PV_FILTER_MAX * sizeof(struct sock_filter));
	p->seccomp_len = (uint32_t)pv_filter_build((struct sock_filter *)((char *)p + p->seccomp));
	p->fds = take(w, im->n_fds * sizeof(struct plan_fd));
	p->n_fds = (uint32_t)im->n_fds;
	p->eps = take(w, im->n_ep * sizeof(struct plan_ep));
	p->n_eps = (uint32_t)im->n_ep;
	for (size_t i = 0; i < im->n_ep; i++)
		((struct plan_ep *)((char *)p + p->eps))[i] =
			(struct plan_ep){ .fd = im->ep[i].fd, .events = im->ep[i].events, .data = im->ep[i].data };
	int r = make_fds(w, mem_fd, err);
	if (r)
		return r;
	for (size_t i = 0; i < im->n_files; i++) {
		file_at[i] = add_fd(w, file_fd[i], false);
		if (file_at[i] < 0)
			return err_set(err, E2BIG, "the guest kernel has too many descriptors");
	}
	p->vmas = take(w, (im->n_vmas + im->n_stub_vmas) * sizeof(struct plan_vma));
	p->n_k_vmas = im->n_vmas;
	p->stubs = take(w, im->n_stubs * sizeof(struct plan_stub));
	p->n_stubs = im->n_stubs;
	write_stubs(w, file_at);
	p->helpers = take(w, im->n_helpers * sizeof(struct plan_helper));
	p->n_helpers = im->n_helpers;
	for (size_t i = 0; i < im->n_helpers; i++) {
		uint64_t fr = take(w, 1024);
		write_frame((char *)p + fr, &im->helper[i]);
		((struct plan_helper *)((char *)p + p->helpers))[i] = (struct plan_helper){
			.pid = im->helper[i].pid, .fs_base = im->helper[i].regs.fs_base, .frame = fr
		};
	}
	p->pages = take(w, im->n_pages * sizeof(struct plan_pages));
	p->n_pages = im->n_pages;
	uint64_t data = take(w, im->page_data_len);
	memcpy((char *)p + data, im->page_data, im->page_data_len);
	for (size_t i = 0; i < im->n_pages; i++)
		((struct plan_pages *)((char *)p + p->pages))[i] =
			(struct plan_pages){ .addr = im->pages[i].addr,
			                     .len = (uint64_t)im->pages[i].n * PAGE_BYTES,
			                     .data = data + im->pages[i].data };
	for (int i = 0; i < 64; i++)
		p->sa[i] = (struct plan_sa){ im->sa[i].handler, im->sa[i].flags, im->sa[i].restorer, im->sa[i].mask };
	memcpy(p->mm, &im->mm, sizeof(p->mm));
	return 0;
}

/* The restorer's section as a memfd, made once. */
static int code_memfd(void)
{
	static int fd = -1;

	if (fd < 0) {
		size_t len = (size_t)(__stop_restorer_code - __start_restorer_code);
		int m = memfd_create("restorer", MFD_CLOEXEC);
		if (m < 0 || ftruncate(m, RESTORER_CODE_BYTES) < 0 || write_full(m, __start_restorer_code, len))
			return -1;
		fd = m;
	}
	return fd;
}

static const char *const stage_name[] = { "starting",        "descriptors",
	                                  "address spaces",  "inside an address space",
	                                  "kernel mappings", "kernel pages",
	                                  "signals",         "helpers",
	                                  "sandbox",         "done" };

static int wait_done(struct work *w, int k_pidfd, struct err *err)
{
	uint64_t end = now_ns() + 20 * NS_PER_S;
	struct plan *p = w->plan;

	for (unsigned n = 0; __atomic_load_n(&p->stage, __ATOMIC_ACQUIRE) != PLAN_DONE; n++) {
		struct timespec ts = { .tv_nsec = 30000 };
		nanosleep(&ts, NULL);
		if (p->error || now_ns() > end ||
		    (n % 64 == 63 && syscall(SYS_pidfd_send_signal, k_pidfd, 0, NULL, 0) < 0)) {
			uint32_t st = p->stage;
			int64_t e = p->error;
			return err_sys(err,
			               e < 0 && e > -4096 ? (int)-e
			               : e                ? EIO
			                                  : ETIMEDOUT,
			               "cannot rebuild the guest (%s, %lx)",
			               st < ARRAY_SIZE(stage_name) ? stage_name[st] : "?", p->detail);
		}
	}
	return 0;
}

/* One CPU for K and all its stubs: a guest system call is two switches between them. Best effort: a cpuset may forbid it. */
static void pin_all(pid_t k, const char *kids, int cpu)
{
	cpu_set_t set;

	if (cpu < 0)
		return;
	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	if (sched_setaffinity(k, sizeof(set), &set) < 0)
		return;
	for (char *e;; kids = e) {
		pid_t pid = (pid_t)strtol(kids, &e, 10);
		if (e == kids || sched_setaffinity(pid, sizeof(set), &set) < 0)
			return;
	}
}

/* The helpers must have left the restorer's memory before it is unmapped. */
static int wait_helpers(pid_t k, int cpu, struct pv_restored *o, size_t n_stubs, size_t n_helpers, struct err *err)
{
	char path[64];
	_cleanup_free_ char *kids = NULL;
	size_t len, i = 0;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", k, k);
	if (file_read(path, 1 << 20, &kids, &len))
		return err_set(err, EIO, "cannot read %s", path);
	pin_all(k, kids, cpu);
	o->helpers.n = 0;
	for (char *p = kids, *e;; p = e, i++) {
		pid_t pid = (pid_t)strtol(p, &e, 10);
		if (e == p)
			break;
		if (i >= n_stubs && o->helpers.n < PV_HELPERS_MAX)
			o->helpers.pid[o->helpers.n++] = pid;
	}
	if (o->helpers.n != n_helpers)
		return err_set(err, EIO, "the rebuilt guest lost a helper");
	for (size_t j = 0; j < n_helpers; j++) {
		for (int tries = 0;; tries++) {
			_cleanup_free_ char *text = NULL;
			snprintf(path, sizeof(path), "/proc/%d/syscall", o->helpers.pid[j]);
			int r = file_read(path, 4096, &text, &len);
			if (r || tries > 20000) {
				_cleanup_free_ char *st = NULL;
				snprintf(path, sizeof(path), "/proc/%d/stat", o->helpers.pid[j]);
				if (file_read(path, 4096, &st, &len) == 0)
					st[strcspn(st, "\n")] = 0;
				return err_sys(err, r ? -r : ETIMEDOUT,
				               "a helper of the rebuilt guest did not start (%s)", st ? st : "gone");
			}
			char *pc = strrchr(text, ' ');
			uint64_t at = pc ? strtoull(pc, NULL, 16) : RESTORER_BASE;
			if (strncmp(text, "running", 7) && (at < RESTORER_BASE || at >= RESTORER_TOP))
				break;
			struct timespec ts = { .tv_nsec = 20000 };
			nanosleep(&ts, NULL);
		}
	}
	return 0;
}

/* Take K over from the restorer: registers, no restorer mapping; all signals stay blocked until the thaw. */
static int take_over(const struct pv_image *im, pid_t k, struct pv_frozen *f, struct err *err)
{
	long ret;
	int r = pt_seize(k, err);

	if (!r)
		r = pt_interrupt(k, err);
	if (r)
		return r;
	r = pt_syscall(k, im->k.regs.rip, SYS_munmap, (uint64_t[6]){ RESTORER_BASE, RESTORER_TOP - RESTORER_BASE },
	               &ret);
	if (!r && ret < 0)
		r = (int)ret;
	if (r)
		return err_sys(err, -r, "cannot clean up inside the rebuilt guest");
	r = pt_set_xstate(k, im->k.xstate, im->k.xstate_len);
	if (r)
		return err_sys(
			err, -r,
			"cannot set the guest's floating-point state (%u octets): does this CPU differ from the source's?",
			im->k.xstate_len);
	r = pt_set_regs(k, &im->k.regs);
	if (r)
		return err_sys(err, -r, "cannot set the guest's registers");
	*f = (struct pv_frozen){ .active = true,
		                 .k = { .pid = k, .regs = im->k.regs, .sigmask = im->k.sigmask },
		                 .insn = im->k.regs.rip };
	return 0;
}

static int64_t clock_offset(const struct pv_image *im, bool gap)
{
	struct timespec m, t;

	clock_gettime(CLOCK_MONOTONIC, &m);
	clock_gettime(CLOCK_REALTIME, &t);
	int64_t off = (int64_t)im->mono_ns - (int64_t)((uint64_t)m.tv_sec * NS_PER_S + (uint64_t)m.tv_nsec);
	int64_t passed = (int64_t)((uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec) - (int64_t)im->real_ns;
	/* clocks of two hosts differ: only a forward step of sane size is believed */
	if (gap && passed > 0 && passed < 86400ll * 365 * 1000000000)
		off += passed;
	return off;
}

int pv_restore(struct pv_sandbox *s, const struct pv_image *im, int mem_fd, const int *file_fd, bool gap, int cpu,
               struct pv_restored *out, struct pv_frozen *f, struct err *err)
{
	struct work w = { .im = im, .out = out };
	int r, code = code_memfd();

	*out = (struct pv_restored){ .k_pidfd = -1, .con = -1, .err = -1, .mono_offset_ns = clock_offset(im, gap) };
	for (size_t i = 0; i < ARRAY_SIZE(out->vsock); i++)
		out->vsock[i] = out->vreq[i] = -1;
	*f = (struct pv_frozen){ 0 };
	w.cap = (plan_bytes_for(im) + 65535) & ~65535ull;
	_cleanup_close_ int plan = memfd_create("plan", MFD_CLOEXEC);
	if (code < 0 || plan < 0 || ftruncate(plan, (off_t)w.cap) < 0)
		return err_sys(err, errno, "cannot make the plan of the restore");
	w.plan = mmap(NULL, w.cap, PROT_READ | PROT_WRITE, MAP_SHARED, plan, 0);
	if (w.plan == MAP_FAILED)
		return err_sys(err, errno, "cannot map the plan of the restore");
	r = write_plan(&w, mem_fd, file_fd, err);
	if (!r)
		r = pv_sandbox_restore(s, code, plan, w.cap, w.fds, w.n_fds, im->k.pid, out->mono_offset_ns, &out->k,
		                       &out->k_pidfd, err);
	for (unsigned i = 0; i < w.n_fds; i++)
		if (w.own[i])
			close(w.fds[i]);
	if (!r)
		r = wait_done(&w, out->k_pidfd, err);
	if (!r)
		r = wait_helpers(out->k, cpu, out, im->n_stubs, im->n_helpers, err);
	if (!r) {
		r = take_over(im, out->k, f, err);
		if (r) {
			/* we are its tracer: its parent, the holder, cannot reap it before we have seen it die */
			int st = 0;
			kill(out->k, SIGKILL);
			while (waitpid(out->k, &st, __WALL) < 0 ? errno == EINTR : WIFSTOPPED(st))
				;
		}
	} else if (w.plan->error) {
		/* it failed so fast that it was gone before we looked: say why */
		r = wait_done(&w, out->k_pidfd, err);
	}
	munmap(w.plan, w.cap);
	if (!r)
		return 0;
	pv_frozen_done(f);
	int fds[] = { out->k_pidfd, out->con, out->err };
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	for (size_t i = 0; i < ARRAY_SIZE(out->vsock); i++) {
		if (out->vsock[i] >= 0)
			close(out->vsock[i]);
		if (out->vreq[i] >= 0)
			close(out->vreq[i]);
	}
	struct err ignored;
	if (out->k > 0 && pv_sandbox_clear(s, &ignored))
		return r;
	return r;
}
