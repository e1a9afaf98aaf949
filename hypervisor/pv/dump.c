/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From a frozen guest to a struct pv_image. What is visible from outside comes from /proc and ptrace; signal actions, the
 * alternate stack and the timer are asked for by system calls run inside K (a few microseconds each). Descriptors:
 * dumpfd.c. Main thread only.
 */
#include "config.h"
#include "hypervisor/pv/dump.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include "common/util.h"
#include "hypervisor/pv/dumpfd.h"
#include "hypervisor/pv/restorer.h"

#define SCRATCH_BELOW 1024u /* below K's stack pointer, beyond the red zone: used and put back */

struct k_vmas {
	const struct pv_dump_ctx *c;
	struct vma_list kept;
	bool failed;
	char why[160];
};

static void k_vma(void *arg, const struct vma *v, const char *name)
{
	struct k_vmas *k = arg;
	struct vma *kept;
	uint64_t back;

	if (k->failed || v->start >= PV_TASK_TOP || !strcmp(name, "[vvar]") || !strcmp(name, "[vvar_vclock]") ||
	    !strcmp(name, "[vdso]"))
		return;
	if (v->start >= RESTORER_BASE && v->end <= RESTORER_TOP)
		return;
	if (!(v->flags & VMA_FILE)) {
		if (v->flags & VMA_SHARED)
			goto bad;
		back = PV_BACK_ANON;
	} else if (v->inode == k->c->mem_inode && (v->flags & VMA_SHARED)) {
		back = PV_BACK_MEM;
	} else {
		const char *base = strrchr(name, '/');
		size_t i, n = base ? strcspn(base + 1, " ") : 0;
		for (i = 0; i < k->c->n_files; i++) {
			const char *fb = strrchr(k->c->file[i].path, '/');
			if (base && fb && strlen(fb + 1) == n && !strncmp(fb + 1, base + 1, n))
				break;
		}
		if (i == k->c->n_files || (v->flags & VMA_SHARED))
			goto bad;
		back = PV_BACK_FILE0 + i;
	}
	if (k->kept.n == k->kept.cap) {
		size_t cap = k->kept.cap ? k->kept.cap * 2 : 256;
		struct vma *nv = reallocarray(k->kept.v, cap, sizeof(*nv));
		if (!nv) {
			k->failed = true;
			return;
		}
		k->kept.v = nv;
		k->kept.cap = cap;
	}
	kept = &k->kept.v[k->kept.n++];
	*kept = *v;
	kept->inode = back;
	kept->dev = 0;
	return;
bad:
	k->failed = true;
	snprintf(k->why, sizeof(k->why), "mapping %lx-%lx %.100s", v->start, v->end, name);
}

static int dump_k_vmas(const struct pv_dump_ctx *c, pid_t pid, struct pv_image *im, struct err *err)
{
	struct k_vmas k = { .c = c };
	struct vma_list all = { 0 };
	int r = vma_list_read(&all, pid, PV_TASK_TOP, k_vma, &k, err);

	vma_list_done(&all);
	if (!r && k.failed)
		r = k.why[0] ? err_set(err, ENOTSUP, "the guest kernel has a %s that Hospes does not know", k.why)
		             : err_set(err, ENOMEM, "out of memory");
	if (r < 0) {
		free(k.kept.v);
		return r;
	}
	im->vma = k.kept.v;
	im->n_vmas = k.kept.n;
	return 0;
}

static int add_run(struct pv_image *im, size_t *cap, uint64_t addr, uint64_t n)
{
	if (im->n_pages == PV_RUNS_MAX || im->page_data_len + n * PAGE_BYTES > PV_PRIVATE_MAX)
		return -E2BIG;
	if (im->n_pages == *cap) {
		*cap = *cap ? *cap * 2 : 64;
		struct pv_pages *p = reallocarray(im->pages, *cap, sizeof(*p));
		if (!p)
			return -ENOMEM;
		im->pages = p;
	}
	im->pages[im->n_pages++] = (struct pv_pages){ .addr = addr, .n = (uint32_t)n, .data = im->page_data_len };
	im->page_data_len += n * PAGE_BYTES;
	return 0;
}

static int too_much(int r, struct err *err)
{
	return r == -ENOMEM
	               ? err_set(err, ENOMEM, "out of memory")
	               : err_set(err, E2BIG,
	                         "the guest kernel has more than %u MiB of memory beside its RAM: such a guest is neither moved nor saved",
	                         PV_PRIVATE_MAX >> 20);
}

/* Private pages that differ from their file, or are anonymous. */
static int dump_k_pages(pid_t pid, struct pv_image *im, struct err *err)
{
	char path[64];
	size_t cap = 0;
	uint64_t pm[512];

	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, errno, "cannot open %s", path);
	for (size_t i = 0; i < im->n_vmas; i++) {
		const struct vma *v = &im->vma[i];
		if (v->inode == PV_BACK_MEM || !(v->flags & VMA_READ))
			continue;
		uint64_t run = 0, run_n = 0;
		for (uint64_t a = v->start; a < v->end;) {
			uint64_t n = (v->end - a) / PAGE_BYTES;
			if (n > ARRAY_SIZE(pm))
				n = ARRAY_SIZE(pm);
			if (pread(fd, pm, n * 8, (off_t)(a / PAGE_BYTES * 8)) != (ssize_t)(n * 8))
				return err_sys(err, errno ? errno : EIO, "cannot read %s", path);
			for (uint64_t j = 0; j < n; j++, a += PAGE_BYTES) {
				bool priv = (pm[j] & (3ull << 62)) && !(pm[j] & (1ull << 61));
				if (priv && !run_n++)
					run = a;
				if (!priv && run_n) {
					int r = add_run(im, &cap, run, run_n);
					if (r < 0)
						return too_much(r, err);
					run_n = 0;
				}
			}
		}
		int r = run_n ? add_run(im, &cap, run, run_n) : 0;
		if (r < 0)
			return too_much(r, err);
	}
	im->page_data = malloc(im->page_data_len ? im->page_data_len : 1);
	if (!im->page_data)
		return err_set(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < im->n_pages; i++) {
		const struct pv_pages *p = &im->pages[i];
		int r = pt_read(pid, p->addr, im->page_data + p->data, (size_t)p->n * PAGE_BYTES);
		if (r < 0)
			return err_sys(err, -r, "cannot read the guest kernel's private memory");
	}
	return 0;
}

static int dump_stub(struct pv_image *im, size_t i, pid_t pid, uint64_t mem_inode, struct vma_list *l, size_t *cap,
                     struct err *err)
{
	struct pv_stub *s = &im->stub[i];
	int r = pt_status(pid, &s->pid, &s->sigmask, NULL, NULL, NULL);

	if (r < 0)
		return err_sys(err, -r, "cannot read the status of guest address space %d", pid);
	r = vma_list_read(l, pid, PV_STUB_TOP, NULL, NULL, err);
	if (r < 0)
		return r;
	if (im->n_stub_vmas + l->n > pv_stub_vmas_max(im->mem_bytes))
		return err_set(err, E2BIG,
		               "the guest has more than %llu mappings: such a guest is neither moved nor saved",
		               (unsigned long long)pv_stub_vmas_max(im->mem_bytes));
	if (im->n_stub_vmas + l->n > *cap) {
		*cap = (im->n_stub_vmas + l->n) * 2 + 4096;
		struct vma *v = reallocarray(im->stub_vma, *cap, sizeof(*v));
		if (!v)
			return err_set(err, ENOMEM, "out of memory");
		im->stub_vma = v;
	}
	s->first_vma = (uint32_t)im->n_stub_vmas;
	bool code = false, data = false;
	for (size_t j = 0; j < l->n; j++) {
		struct vma v = l->v[j];
		/* a stub made for a kernel thread has copies of K's own private mappings until it execs: nothing there is ever used */
		if (!(v.flags & VMA_SHARED) && v.start != PV_STUB_CODE)
			continue;
		if (v.inode != mem_inode || !(v.flags & VMA_FILE))
			return err_set(err, ENOTSUP,
			               "guest address space %d has a mapping at %lx that Hospes does not know", pid,
			               v.start);
		code |= v.start == PV_STUB_CODE;
		data |= v.start == PV_STUB_DATA;
		v.inode = PV_BACK_MEM;
		v.dev = 0;
		im->stub_vma[im->n_stub_vmas++] = v;
	}
	if (!code || !data)
		return err_set(err, EAGAIN, "guest address space %d is only half made", pid);
	s->n_vmas = (uint32_t)im->n_stub_vmas - s->first_vma;
	return 0;
}

static int dump_stubs(const struct pv_dump_ctx *c, const struct pv_frozen *f, struct pv_image *im, struct err *err)
{
	struct vma_list l = { 0 };
	size_t cap = 0;
	int r = 0;

	im->stub = calloc(f->n_stubs ? f->n_stubs : 1, sizeof(*im->stub));
	if (!im->stub)
		return err_set(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < f->n_stubs && !r; i++) {
		r = dump_stub(im, i, f->stub[i], c->mem_inode, &l, &cap, err);
		im->n_stubs = i + 1;
	}
	vma_list_done(&l);
	return r;
}

/* Signal actions, alternate stack and timer: system calls inside K, with scratch memory below its stack. */
static int dump_inside(const struct pv_frozen *f, uint64_t caught, uint64_t ignored, struct pv_image *im,
                       struct err *err)
{
	pid_t k = f->k.pid;
	uint64_t at = (f->k.regs.rsp - SCRATCH_BELOW) & ~15ull;
	uint8_t saved[128];
	long ret;
	int r = pt_read(k, at, saved, sizeof(saved));

	if (r < 0)
		return err_sys(err, -r, "cannot read the guest kernel's stack");
	for (int sig = 1; sig <= 64 && !r; sig++) {
		struct pv_sigaction *sa = &im->sa[sig - 1];
		if (ignored >> (sig - 1) & 1)
			sa->handler = 1; /* SIG_IGN */
		if (!(caught >> (sig - 1) & 1))
			continue;
		r = pt_syscall(k, f->insn, SYS_rt_sigaction, (uint64_t[6]){ (uint64_t)sig, 0, at, 8 }, &ret);
		if (!r && ret < 0)
			r = (int)ret;
		if (!r)
			r = pt_read(k, at, sa, sizeof(*sa));
	}
	struct {
		uint64_t sp;
		int32_t flags, pad;
		uint64_t size;
	} ss = { 0 };
	if (!r)
		r = pt_syscall(k, f->insn, SYS_sigaltstack, (uint64_t[6]){ 0, at }, &ret);
	if (!r)
		r = ret < 0 ? (int)ret : pt_read(k, at, &ss, sizeof(ss));
	im->altstack_sp = ss.sp;
	im->altstack_size = ss.size;
	im->altstack_flags = (uint32_t)ss.flags;
	struct itimerspec its = { 0 };
	if (!r)
		r = pt_syscall(k, f->insn, SYS_timer_gettime, (uint64_t[6]){ 0, at }, &ret);
	if (!r && ret == 0) {
		r = pt_read(k, at, &its, sizeof(its));
		im->has_timer = 1;
		im->timer_value_ns = its.it_value.tv_sec * 1000000000ll + its.it_value.tv_nsec;
		im->timer_interval_ns = its.it_interval.tv_sec * 1000000000ll + its.it_interval.tv_nsec;
	}
	int w = pt_write(k, at, saved, sizeof(saved));
	if (!r)
		r = w;
	return r ? err_sys(err, -r, "cannot read the guest kernel's signal state") : 0;
}

static int dump_mm(pid_t pid, struct pv_image *im, struct err *err)
{
	char path[64];
	_cleanup_free_ char *text = NULL;
	size_t len;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	int r = file_read(path, 65536, &text, &len);
	char *p = r ? NULL : strrchr(text, ')');
	if (!p)
		return err_sys(err, r ? -r : EPROTO, "cannot read %s", path);
	/* after ")": field 3 is the state; 26 startcode, 27 endcode, 28 startstack, 45 start_data, ... (proc(5)) */
	uint64_t f[53] = { 0 };
	p++;
	for (int i = 3; i <= 52; i++) {
		while (*p == ' ')
			p++;
		f[i] = strtoull(p, NULL, 10);
		p += strcspn(p, " ");
	}
	im->mm = (struct pv_mm){ .start_code = f[26],
		                 .end_code = f[27],
		                 .start_stack = f[28],
		                 .start_data = f[45],
		                 .end_data = f[46],
		                 .start_brk = f[47],
		                 .arg_start = f[48],
		                 .arg_end = f[49],
		                 .env_start = f[50],
		                 .env_end = f[51] };
	/* the current break is the end of the heap mapping */
	im->mm.brk = im->mm.start_brk;
	for (size_t i = 0; i < im->n_vmas; i++)
		if (im->vma[i].inode == PV_BACK_ANON && im->vma[i].start <= im->mm.start_brk &&
		    im->vma[i].end > im->mm.start_brk)
			im->mm.brk = im->vma[i].end;
	return 0;
}

/* A helper waits in poll, or is none that Hospes knows: its guest kernel would have it run something else after a move. */
static int check_helper(pid_t k, const struct pv_thread *t, struct err *err)
{
	uint8_t insn[2] = { 0 };

	if (t->regs.rax == SYS_poll && !pt_read(k, t->regs.rip, insn, sizeof(insn)) && insn[0] == 0x0f &&
	    insn[1] == 0x05)
		return 0;
	return err_set(
		err, ENOTSUP,
		"a helper of the guest kernel does not wait in poll (it is at %llx): such a guest is neither moved nor saved",
		t->regs.rip);
}

static int dump_regs(const struct pv_thread *t, struct pv_regs *out, struct err *err)
{
	size_t len = PT_XSTATE_MAX;

	out->regs = t->regs;
	out->sigmask = t->sigmask;
	out->xstate = malloc(len);
	if (!out->xstate)
		return err_set(err, ENOMEM, "out of memory");
	int r = pt_get_xstate(t->pid, out->xstate, &len);
	if (!r)
		r = pt_status(t->pid, &out->pid, NULL, NULL, NULL, NULL);
	if (r < 0)
		return err_sys(err, -r, "cannot read the guest kernel's registers");
	out->xstate_len = (uint32_t)len;
	return 0;
}

static uint64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

int pv_dump(const struct pv_dump_ctx *c, const struct pv_frozen *f, struct pv_image *im, struct err *err)
{
	uint64_t caught = 0, ignored = 0, blocked;
	int32_t nspid;

	*im = (struct pv_image){ .mem_bytes = c->mem_bytes, .segv_handler = c->segv_handler };
	im->mono_ns = clock_ns(CLOCK_MONOTONIC) + (uint64_t)c->mono_offset_ns;
	im->real_ns = clock_ns(CLOCK_REALTIME);
	int r = dump_regs(&f->k, &im->k, err);
	if (!r && pt_status(f->k.pid, &nspid, &blocked, &im->pending, &ignored, &caught) < 0)
		r = err_set(err, EIO, "cannot read the guest kernel's status");
	if (!r)
		r = dump_inside(f, caught, ignored, im, err);
	if (!r)
		r = dump_k_vmas(c, f->k.pid, im, err);
	if (!r)
		r = dump_mm(f->k.pid, im, err);
	if (!r)
		r = dump_k_pages(f->k.pid, im, err);
	for (size_t i = 0; i < f->n_helpers && !r; i++) {
		r = check_helper(f->k.pid, &f->helper[i], err);
		if (!r)
			r = dump_regs(&f->helper[i], &im->helper[i], err);
		im->n_helpers = i + 1;
	}
	if (!r)
		r = pv_dump_fds(c, f->k.pid, im, err);
	if (!r)
		r = dump_stubs(c, f, im, err);
	for (size_t i = 0; i < c->n_files && !r; i++) {
		im->file[i] = c->file[i];
		im->file[i].path = strdup(c->file[i].path);
		im->n_files = i + 1;
		if (!im->file[i].path)
			r = err_set(err, ENOMEM, "out of memory");
	}
	if (r < 0)
		pv_image_done(im);
	return r;
}
