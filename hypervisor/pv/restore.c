/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Restore: writes the plan for restorer.c and has the holder start a process that carries it out; adopt.c takes over what that made.
 * Main thread only.
 */
#include "config.h"
#include "hypervisor/pv/restore.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include "common/loop.h"
#include "common/util.h"
#include "hypervisor/pv/adopt.h"
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
		if (r < 0)
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
	       im->n_stubs * sizeof(struct plan_stub) + im->n_helpers * sizeof(struct plan_helper) +
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
		            .has_timer = im->has_timer };
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
	if (r < 0)
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
	for (size_t i = 0; i < im->n_helpers; i++)
		((struct plan_helper *)((char *)p + p->helpers))[i] = (struct plan_helper){ .pid = im->helper[i].pid };
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
		int m = memfd_create("restorer", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		if (m < 0 || ftruncate(m, RESTORER_CODE_BYTES) < 0 || write_full(m, __start_restorer_code, len) ||
		    fcntl(m, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0) {
			if (m >= 0)
				close(m);
			return -1;
		}
		fd = m;
	}
	return fd;
}

static const char *const stage_name[] = { "starting",        "descriptors",
	                                  "address spaces",  "inside an address space",
	                                  "kernel mappings", "kernel pages",
	                                  "signals",         "helpers",
	                                  "sandbox",         "done" };

/* Until the restorer is done; as soon as it has made the stubs they are looked at (@f). */
static int wait_done(struct work *w, int k_pidfd, int cpu, struct pv_frozen *f, struct err *err)
{
	uint64_t end = now_ns() + 20 * NS_PER_S;
	struct plan *p = w->plan;
	bool seen = false;
	uint32_t st;

	for (unsigned n = 0;; n++) {
		st = __atomic_load_n(&p->stage, __ATOMIC_ACQUIRE);
		if (!seen && st > PLAN_STUB_CHILD && !p->error) {
			int r = pv_adopt_stubs(w->out->k, w->im, cpu, f, err);
			if (r < 0 && !p->error)
				return r;
			seen = !r;
		}
		if (seen && st == PLAN_DONE)
			return 0;
		struct timespec ts = { .tv_nsec = 30000 };
		nanosleep(&ts, NULL);
		if (p->error || now_ns() > end ||
		    (n % 64 == 63 && syscall(SYS_pidfd_send_signal, k_pidfd, 0, NULL, 0) < 0))
			break;
	}
	int64_t e = p->error;
	return err_sys(err,
	               e < 0 && e > -4096 ? (int)-e
	               : e                ? EIO
	                                  : ETIMEDOUT,
	               "cannot rebuild the guest (%s, %lx)", st < ARRAY_SIZE(stage_name) ? stage_name[st] : "?",
	               p->detail);
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
	_cleanup_close_ int plan = memfd_create("plan", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (code < 0 || plan < 0 || ftruncate(plan, (off_t)w.cap) < 0 ||
	    fcntl(plan, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
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
		r = wait_done(&w, out->k_pidfd, cpu, f, err);
	else if (w.plan->error)
		r = wait_done(&w, -1, cpu, f, err); /* it failed so fast that it was gone before we looked: say why */
	munmap(w.plan, w.cap); /* and is not looked at again: what comes now believes only what it sees from outside */
	if (!r)
		r = pv_adopt(s->holder, im, cpu, f, err);
	if (!r) {
		out->helpers.n = f->n_helpers;
		for (size_t i = 0; i < f->n_helpers; i++)
			out->helpers.pid[i] = f->helper[i].pid;
		return 0;
	}
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
