/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Octets of a guest's state: docs/wire/pvstate.md. Encode trusts the dump; decode trusts nothing. No I/O. */
#include "config.h"
#include "hypervisor/pv/image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include "common/util.h"
#include "hypervisor/pv/pt.h"
#include "hypervisor/pv/restorer.h"

void pv_image_done(struct pv_image *im)
{
	free(im->k.xstate);
	for (size_t i = 0; i < im->n_helpers; i++)
		free(im->helper[i].xstate);
	for (size_t i = 0; im->fd && i < im->n_fds; i++)
		free(im->fd[i].queued);
	for (size_t i = 0; i < im->n_files; i++)
		free(im->file[i].path);
	free(im->fd);
	free(im->ep);
	free(im->vma);
	free(im->pages);
	free(im->page_data);
	free(im->stub);
	free(im->stub_vma);
	*im = (struct pv_image){ 0 };
}

#define EFLAGS_NO 0x27100u /* trap, I/O level, nested task, virtual 8086: never set where a guest kernel rests */

static void put_var(struct buf *b, uint64_t v)
{
	uint8_t tmp[10];
	size_t n = 0;

	do {
		tmp[n++] = (uint8_t)(v & 127) | (v > 127 ? 128 : 0);
		v >>= 7;
	} while (v);
	buf_put(b, tmp, n);
}

static uint64_t get_var(struct rd *r)
{
	uint64_t v = 0;

	for (unsigned s = 0; s < 64; s += 7) {
		uint8_t c = rd_u8(r);
		v |= (uint64_t)(c & 127) << s;
		if (!(c & 128))
			return v;
	}
	r->bad = true;
	return 0;
}

static uint64_t zigzag(int64_t v)
{
	return (uint64_t)v << 1 ^ (uint64_t)(v >> 63);
}

static int64_t unzigzag(uint64_t v)
{
	return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

/* VMAs as pages: gap to the previous end, length, flags and backing, offset relative to where the last one ended. */
static void put_vmas(struct buf *b, const struct vma *v, size_t n)
{
	uint64_t at = 0, off = 0;

	put_var(b, n);
	for (size_t i = 0; i < n; i++, v++) {
		put_var(b, (v->start - at) >> 12);
		put_var(b, (v->end - v->start) >> 12);
		put_var(b, (v->flags & 15) | v->inode << 4);
		if (v->inode != PV_BACK_ANON) {
			put_var(b, zigzag((int64_t)(v->offset >> 12) - (int64_t)off));
			off = (v->offset + (v->end - v->start)) >> 12;
		}
		at = v->end;
	}
}

/* Returns the count; ret gets a malloc'd array. Checks order, range [0, limit) and offsets within the memory region. */
static int get_vmas(struct rd *r, struct vma **arr, size_t *n_all, size_t *cap, uint64_t limit, uint64_t mem_bytes,
                    uint64_t *ret_n)
{
	uint64_t n = get_var(r), at = 0, off = 0;

	if (r->bad || n > PV_VMAS_MAX || n > r->left / 3 ||
	    *n_all + n > pv_stub_vmas_max(mem_bytes)) /* each takes three octets or more */
		return -EINVAL;
	if (*n_all + n > *cap) {
		*cap = (*n_all + n) * 2;
		struct vma *v = reallocarray(*arr, *cap, sizeof(*v));
		if (!v)
			return -ENOMEM;
		*arr = v;
	}
	for (uint64_t i = 0; i < n; i++) {
		uint64_t gap = get_var(r), len = get_var(r), fb = get_var(r);
		struct vma v = { .flags = (uint32_t)(fb & 15), .inode = fb >> 4 };
		if (r->bad || gap > limit >> 12 || !len || len > limit >> 12)
			return -EINVAL;
		v.start = at + (gap << 12);
		v.end = v.start + (len << 12);
		if (v.end > limit || v.inode >= PV_BACK_FILE0 + PV_FILES_MAX)
			return -EINVAL;
		if (v.inode != PV_BACK_ANON) {
			int64_t o;
			if (__builtin_add_overflow(unzigzag(get_var(r)), (int64_t)off, &o) || r->bad || o < 0 ||
			    o > (1ll << 40))
				return -EINVAL;
			v.offset = (uint64_t)o << 12;
			if (v.inode == PV_BACK_MEM && (v.offset > mem_bytes || v.end - v.start > mem_bytes - v.offset))
				return -EINVAL;
			off = (v.offset + (v.end - v.start)) >> 12;
		}
		at = v.end;
		(*arr)[(*n_all)++] = v;
	}
	*ret_n = n;
	return 0;
}

static void put_regs(struct buf *b, const struct pv_regs *r)
{
	buf_put_u32(b, (uint32_t)r->pid);
	buf_put_u64(b, r->sigmask);
	buf_put(b, &r->regs, sizeof(r->regs));
	buf_put_u32(b, r->xstate_len);
	buf_put(b, r->xstate, r->xstate_len);
}

static int get_regs(struct rd *in, struct pv_regs *r)
{
	r->pid = (int32_t)rd_u32(in);
	r->sigmask = rd_u64(in);
	const void *p = rd_bytes(in, sizeof(r->regs));
	uint32_t n = rd_u32(in);
	if (!p || in->bad || n < 576 || n > PT_XSTATE_MAX || r->pid < 2 || r->pid > 4194304)
		return -EINVAL;
	memcpy(&r->regs, p, sizeof(r->regs));
	p = rd_bytes(in, n);
	if (!p)
		return -EINVAL;
	r->xstate = malloc(n);
	if (!r->xstate)
		return -ENOMEM;
	memcpy(r->xstate, p, n);
	r->xstate_len = n;
	/* user mode, no segments, no single step, and in the part of the address space that K uses */
	const struct user_regs_struct *u = &r->regs;
	if (u->cs != 0x33 || u->ss != 0x2b || u->ds || u->es || u->fs || u->gs || (u->eflags & EFLAGS_NO) ||
	    u->rip >= PV_TASK_TOP || u->fs_base >= PV_TASK_TOP || u->gs_base >= PV_TASK_TOP)
		return -EINVAL;
	return 0;
}

int pv_image_encode(const struct pv_image *im, struct buf *out, struct err *err)
{
	buf_put_u32(out, PV_IMAGE_MAGIC);
	buf_put_u32(out, PV_IMAGE_VERSION);
	buf_put_u64(out, im->mem_bytes);
	buf_put_u64(out, im->mono_ns);
	buf_put_u64(out, im->real_ns);
	buf_put_u32(out, (uint32_t)im->n_files);
	for (size_t i = 0; i < im->n_files; i++) {
		buf_put_str(out, im->file[i].path);
		buf_put_u64(out, im->file[i].size);
		buf_put(out, im->file[i].id, sizeof(im->file[i].id));
	}
	put_regs(out, &im->k);
	buf_put_u64(out, im->pending);
	buf_put(out, im->sa, sizeof(im->sa));
	buf_put_u64(out, im->altstack_sp);
	buf_put_u64(out, im->altstack_size);
	buf_put_u32(out, im->altstack_flags);
	buf_put_u32(out, im->has_timer);
	buf_put_u64(out, (uint64_t)im->timer_value_ns);
	buf_put_u64(out, (uint64_t)im->timer_interval_ns);
	buf_put(out, &im->mm, sizeof(im->mm));
	buf_put_u64(out, im->segv_handler);
	buf_put_u32(out, (uint32_t)im->ep_fd);
	buf_put_u32(out, (uint32_t)im->n_fds);
	for (size_t i = 0; i < im->n_fds; i++) {
		const struct pv_fd *e = &im->fd[i];
		buf_put_u32(out, (uint32_t)e->fd);
		buf_put_u32(out, e->kind);
		buf_put_u32(out, e->arg);
		buf_put_u32(out, (uint32_t)e->dup_of);
		buf_put_u32(out, e->flags);
		buf_put_u32(out, e->owned | e->cloexec << 1);
		buf_put_u32(out, e->queued_len);
		buf_put(out, e->queued, e->queued_len);
	}
	buf_put_u32(out, (uint32_t)im->n_ep);
	for (size_t i = 0; i < im->n_ep; i++) {
		buf_put_u32(out, (uint32_t)im->ep[i].fd);
		buf_put_u32(out, im->ep[i].events);
		buf_put_u64(out, im->ep[i].data);
	}
	put_vmas(out, im->vma, im->n_vmas);
	put_var(out, im->n_pages);
	for (size_t i = 0; i < im->n_pages; i++) {
		buf_put_u64(out, im->pages[i].addr);
		put_var(out, im->pages[i].n);
	}
	buf_put(out, im->page_data, im->page_data_len);
	put_var(out, im->n_helpers);
	for (size_t i = 0; i < im->n_helpers; i++)
		put_regs(out, &im->helper[i]);
	put_var(out, im->n_stubs);
	for (size_t i = 0; i < im->n_stubs; i++) {
		put_var(out, (uint64_t)im->stub[i].pid);
		buf_put_u64(out, im->stub[i].sigmask);
		put_vmas(out, im->stub_vma + im->stub[i].first_vma, im->stub[i].n_vmas);
	}
	return out->failed ? err_set(err, ENOMEM, "out of memory for the guest's state") : 0;
}

static int get_files(struct pv_image *im, struct rd *in)
{
	uint32_t n = rd_u32(in);

	if (n > PV_FILES_MAX)
		return -EINVAL;
	for (uint32_t i = 0; i < n; i++) {
		im->file[i].path = rd_str(in, 4096);
		im->n_files = i + 1;
		im->file[i].size = rd_u64(in);
		im->file[i].id[0] = rd_u64(in);
		im->file[i].id[1] = rd_u64(in);
		if (!im->file[i].path || in->bad)
			return -EINVAL;
	}
	return 0;
}

static int get_fds(struct pv_image *im, struct rd *in, uint32_t n_devs)
{
	im->ep_fd = (int32_t)rd_u32(in);
	uint32_t n = rd_u32(in);
	if (in->bad || n > PV_FDS_MAX)
		return -EINVAL;
	im->fd = calloc(n ? n : 1, sizeof(*im->fd));
	if (!im->fd)
		return -ENOMEM;
	int32_t last = -1;
	for (uint32_t i = 0; i < n; i++) {
		struct pv_fd *e = &im->fd[i];
		e->fd = (int32_t)rd_u32(in);
		e->kind = rd_u32(in);
		e->arg = rd_u32(in);
		e->dup_of = (int32_t)rd_u32(in);
		e->flags = rd_u32(in);
		uint32_t f = rd_u32(in);
		e->owned = f & 1;
		e->cloexec = f >> 1 & 1;
		e->queued_len = rd_u32(in);
		im->n_fds = i + 1;
		if (in->bad || e->fd <= last || e->fd >= 900 || !e->kind || e->kind >= PV_FD_KIND_MAX ||
		    e->dup_of >= e->fd || e->queued_len > PV_QUEUE_MAX ||
		    (e->flags & ~(uint32_t)(O_ACCMODE | O_NONBLOCK | O_ASYNC | O_APPEND)) || f > 3 ||
		    ((e->kind == PV_FD_VHOST || e->kind == PV_FD_VREQ) && e->arg >= n_devs))
			return -EINVAL;
		last = e->fd;
		const void *p = rd_bytes(in, e->queued_len);
		if (!p)
			return -EINVAL;
		if (e->queued_len) {
			e->queued = malloc(e->queued_len);
			if (!e->queued)
				return -ENOMEM;
			memcpy(e->queued, p, e->queued_len);
		}
	}
	uint32_t n_ep = rd_u32(in);
	if (in->bad || n_ep > PV_EPOLL_MAX)
		return -EINVAL;
	im->ep = calloc(n_ep ? n_ep : 1, sizeof(*im->ep));
	if (!im->ep)
		return -ENOMEM;
	for (; im->n_ep < n_ep; im->n_ep++) {
		struct pv_epoll *e = &im->ep[im->n_ep];
		e->fd = (int32_t)rd_u32(in);
		e->events = rd_u32(in);
		e->data = rd_u64(in);
	}
	return in->bad ? -EINVAL : 0;
}

/* Is [addr, addr + len) inside one private VMA of K? */
static bool in_private_vma(const struct pv_image *im, uint64_t addr, uint64_t len)
{
	for (size_t i = 0; i < im->n_vmas; i++) {
		const struct vma *v = &im->vma[i];
		if (addr >= v->start && addr < v->end)
			return len <= v->end - addr && v->inode != PV_BACK_MEM;
	}
	return false;
}

static int get_pages(struct pv_image *im, struct rd *in)
{
	uint64_t n = get_var(in);

	if (in->bad || n > PV_RUNS_MAX || n * 9 > in->left)
		return -EINVAL;
	im->pages = calloc(n ? n : 1, sizeof(*im->pages));
	if (!im->pages)
		return -ENOMEM;
	for (; im->n_pages < n; im->n_pages++) {
		struct pv_pages *p = &im->pages[im->n_pages];
		p->addr = rd_u64(in);
		uint64_t pages = get_var(in);
		p->data = im->page_data_len;
		if (in->bad || p->addr % PAGE_BYTES || !pages || pages > 65536 ||
		    !in_private_vma(im, p->addr, pages * PAGE_BYTES))
			return -EINVAL;
		p->n = (uint32_t)pages;
		im->page_data_len += pages * PAGE_BYTES;
		if (im->page_data_len > PV_PRIVATE_MAX)
			return -EINVAL;
	}
	const void *d = rd_bytes(in, im->page_data_len);
	if (!d)
		return -EINVAL;
	im->page_data = malloc(im->page_data_len ? im->page_data_len : 1);
	if (!im->page_data)
		return -ENOMEM;
	memcpy(im->page_data, d, im->page_data_len);
	return 0;
}

static int check_k_vmas(const struct pv_image *im)
{
	for (size_t i = 0; i < im->n_vmas; i++) {
		const struct vma *v = &im->vma[i];
		if (v->start < 65536 || (v->start < RESTORER_TOP && v->end > RESTORER_BASE))
			return -EINVAL;
		if ((v->inode == PV_BACK_MEM) != !!(v->flags & VMA_SHARED))
			return -EINVAL;
		if (v->inode >= PV_BACK_FILE0 && v->inode - PV_BACK_FILE0 >= im->n_files)
			return -EINVAL;
	}
	return 0;
}

/*
 * Where the guest kernel's threads stand: before one of the system calls of a safe point (K) or before a poll (a helper), in code that comes
 * from one of its files. What they do afterwards is the guest's affair, but only there can they have been when they were frozen.
 */
static bool at_rest(const struct pv_image *im, const struct pv_regs *t, bool helper)
{
	const struct user_regs_struct *r = &t->regs;

	if (r->orig_rax != ~0ull)
		return false; /* else the kernel would "restart" a call of its own choice */
	if (helper ? r->rax != SYS_poll
	           : r->rax != SYS_rt_sigsuspend && (r->rax != SYS_ptrace || (uint32_t)r->rdi != PTRACE_SETREGS))
		return false;
	for (size_t i = 0; i < im->n_vmas; i++) {
		const struct vma *v = &im->vma[i];
		if (r->rip >= v->start && r->rip < v->end - 1)
			return v->inode >= PV_BACK_FILE0 && (v->flags & VMA_EXEC);
	}
	return false;
}

static int get_stubs(struct pv_image *im, struct rd *in)
{
	uint64_t n = get_var(in);
	size_t cap = 0;

	if (in->bad || n > 32768 || n * 10 > in->left)
		return -EINVAL;
	im->stub = calloc(n ? n : 1, sizeof(*im->stub));
	if (!im->stub)
		return -ENOMEM;
	for (; im->n_stubs < n; im->n_stubs++) {
		struct pv_stub *s = &im->stub[im->n_stubs];
		uint64_t pid = get_var(in), nv = 0;
		s->sigmask = rd_u64(in);
		s->first_vma = (uint32_t)im->n_stub_vmas;
		if (in->bad || pid < 2 || pid > 4194304)
			return -EINVAL;
		s->pid = (int32_t)pid;
		int r = get_vmas(in, &im->stub_vma, &im->n_stub_vmas, &cap, PV_STUB_TOP, im->mem_bytes, &nv);
		if (r < 0)
			return r;
		s->n_vmas = (uint32_t)nv;
		bool code = false, data = false;
		for (uint64_t i = 0; i < nv; i++) {
			const struct vma *v = &im->stub_vma[s->first_vma + i];
			if (v->inode != PV_BACK_MEM || (!(v->flags & VMA_SHARED) && v->start != PV_STUB_CODE))
				return -EINVAL;
			code |= v->start == PV_STUB_CODE && v->end == PV_STUB_DATA;
			data |= v->start == PV_STUB_DATA && v->end == PV_STUB_TOP;
			if (v->start < PV_STUB_CODE && v->end > PV_STUB_CODE)
				return -EINVAL;
		}
		if (!code || !data)
			return -EINVAL;
	}
	return 0;
}

static int decode(struct pv_image *im, struct rd *in, uint64_t mem_bytes, uint32_t n_devs, const char **what)
{
	size_t cap = 0;
	uint64_t n = 0;

	*what = "header";
	if (rd_u32(in) != PV_IMAGE_MAGIC || rd_u32(in) != PV_IMAGE_VERSION)
		return -EINVAL;
	im->mem_bytes = rd_u64(in);
	im->mono_ns = rd_u64(in);
	im->real_ns = rd_u64(in);
	if (in->bad || im->mem_bytes != mem_bytes || im->mono_ns > (1ull << 62))
		return -EINVAL;
	*what = "files";
	int r = get_files(im, in);
	if (r < 0)
		return r;
	*what = "kernel registers";
	r = get_regs(in, &im->k);
	if (r < 0)
		return r;
	im->pending = rd_u64(in);
	const void *sa = rd_bytes(in, sizeof(im->sa));
	if (!sa)
		return -EINVAL;
	memcpy(im->sa, sa, sizeof(im->sa));
	im->altstack_sp = rd_u64(in);
	im->altstack_size = rd_u64(in);
	im->altstack_flags = rd_u32(in);
	im->has_timer = rd_u32(in);
	im->timer_value_ns = (int64_t)rd_u64(in);
	im->timer_interval_ns = (int64_t)rd_u64(in);
	const void *mm = rd_bytes(in, sizeof(im->mm));
	if (!mm)
		return -EINVAL;
	memcpy(&im->mm, mm, sizeof(im->mm));
	im->segv_handler = rd_u64(in);
	if (in->bad || im->segv_handler < PV_STUB_CODE || im->segv_handler >= PV_STUB_DATA)
		return -EINVAL;
	*what = "descriptors";
	r = get_fds(im, in, n_devs);
	if (r < 0)
		return r;
	*what = "kernel mappings";
	r = get_vmas(in, &im->vma, &im->n_vmas, &cap, PV_TASK_TOP, mem_bytes, &n);
	if (!r)
		r = check_k_vmas(im);
	if (r < 0)
		return r;
	*what = "the kernel is not at a safe point";
	if (!at_rest(im, &im->k, false))
		return -EINVAL;
	*what = "kernel pages";
	r = get_pages(im, in);
	if (r < 0)
		return r;
	*what = "helpers";
	n = get_var(in);
	if (in->bad || n > ARRAY_SIZE(im->helper))
		return -EINVAL;
	for (uint64_t i = 0; i < n; i++) {
		im->n_helpers = i + 1;
		r = get_regs(in, &im->helper[i]);
		if (r < 0)
			return r;
		*what = "a helper of the kernel does not wait in poll";
		if (!at_rest(im, &im->helper[i], true))
			return -EINVAL;
		*what = "helpers";
	}
	*what = "address spaces";
	r = get_stubs(im, in);
	return r ? r : in->bad ? -EINVAL : 0;
}

int pv_image_decode(struct pv_image *im, struct rd *in, uint64_t mem_bytes, uint32_t n_devs, struct err *err)
{
	const char *what = "";

	*im = (struct pv_image){ .ep_fd = -1 };
	int r = decode(im, in, mem_bytes, n_devs, &what);
	if (r < 0) {
		pv_image_done(im);
		return r == -ENOMEM ? err_set(err, ENOMEM, "out of memory for the guest's state")
		                    : err_set(err, EINVAL, "the guest's state is damaged: %s", what);
	}
	return 0;
}
