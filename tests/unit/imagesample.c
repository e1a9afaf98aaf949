/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See imagesample.h. */
#include "config.h"
#include "tests/unit/imagesample.h"

#include <assert.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include "common/util.h"

#define XSTATE 832u

static void *dup_of(const void *p, size_t len)
{
	void *q = malloc(len);

	assert(q);
	return memcpy(q, p, len);
}

static void regs(struct pv_regs *r, int32_t pid, long nr)
{
	uint8_t x[XSTATE];

	memset(x, pid, sizeof(x));
	*r = (struct pv_regs){
		.pid = pid, .sigmask = 0x4000 + (uint64_t)pid, .xstate = dup_of(x, sizeof(x)), .xstate_len = sizeof(x)
	};
	r->regs.cs = 0x33;
	r->regs.ss = 0x2b;
	r->regs.rip = 0x60001234;
	r->regs.rsp = 0x7ffff0001000;
	r->regs.eflags = 0x202;
	r->regs.rax = (uint64_t)nr;
	r->regs.orig_rax = ~0ull;
}

void image_sample(struct pv_image *im)
{
	static const struct pv_fd fds[] = {
		{ .fd = 0, .kind = PV_FD_CON, .dup_of = -1, .flags = 2 },
		{ .fd = 1, .kind = PV_FD_CON, .dup_of = 0, .flags = 2 },
		{ .fd = 2, .kind = PV_FD_ERR, .dup_of = -1, .flags = 2 },
		{ .fd = 3, .kind = PV_FD_MEM, .dup_of = -1, .flags = 2, .cloexec = 1 },
		{ .fd = 4, .kind = PV_FD_EPOLL, .dup_of = -1, .flags = 2 },
		{ .fd = 5, .kind = PV_FD_PAIR, .arg = 6, .dup_of = -1, .flags = 2, .queued_len = 5 },
		{ .fd = 6, .kind = PV_FD_PAIR, .arg = 5, .dup_of = -1, .flags = 2 },
		{ .fd = 8, .kind = PV_FD_VHOST, .arg = 0, .dup_of = -1, .flags = 2, .owned = 1 },
		{ .fd = 9, .kind = PV_FD_VREQ, .arg = 1, .dup_of = -1, .flags = 2, .owned = 1 },
	};
	static const struct vma k[] = {
		{ .start = 0x60000000,
		  .end = 0x60002000,
		  .offset = 0,
		  .inode = PV_BACK_FILE0,
		  .flags = VMA_READ | VMA_EXEC },
		{ .start = 0x60002000, .end = 0x60005000, .inode = PV_BACK_ANON, .flags = VMA_READ | VMA_WRITE },
		{ .start = 0x60800000,
		  .end = 0x60800000 + SAMPLE_MEM_BYTES,
		  .inode = PV_BACK_MEM,
		  .flags = VMA_READ | VMA_WRITE | VMA_SHARED },
		{ .start = 0x7ffff0000000,
		  .end = 0x7ffff0010000,
		  .inode = PV_BACK_ANON,
		  .flags = VMA_READ | VMA_WRITE },
	};
	static const struct vma stub[] = {
		{ .start = 0x400000,
		  .end = 0x480000,
		  .offset = 0x10000,
		  .inode = PV_BACK_MEM,
		  .flags = VMA_READ | VMA_SHARED },
		{ .start = PV_STUB_CODE,
		  .end = PV_STUB_DATA,
		  .offset = 0x3000,
		  .inode = PV_BACK_MEM,
		  .flags = VMA_READ | VMA_EXEC },
		{ .start = PV_STUB_DATA,
		  .end = PV_STUB_TOP,
		  .offset = 0x7000,
		  .inode = PV_BACK_MEM,
		  .flags = VMA_READ | VMA_WRITE | VMA_SHARED },
		{ .start = PV_STUB_CODE,
		  .end = PV_STUB_DATA,
		  .offset = 0x3000,
		  .inode = PV_BACK_MEM,
		  .flags = VMA_READ | VMA_EXEC },
		{ .start = PV_STUB_DATA,
		  .end = PV_STUB_TOP,
		  .offset = 0x9000,
		  .inode = PV_BACK_MEM,
		  .flags = VMA_READ | VMA_WRITE | VMA_SHARED },
	};
	static const struct pv_stub stubs[] = { { .pid = 5, .sigmask = 1, .first_vma = 0, .n_vmas = 3 },
		                                { .pid = 6, .sigmask = 2, .first_vma = 3, .n_vmas = 2 } };
	static const struct pv_pages pages[] = { { .addr = 0x60003000, .n = 1, .data = 0 },
		                                 { .addr = 0x7ffff0002000, .n = 2, .data = PAGE_BYTES } };
	static const struct pv_epoll ep[] = { { .fd = 8, .events = 1, .data = 77 } };
	uint8_t data[3 * PAGE_BYTES];

	*im = (struct pv_image){ .mem_bytes = SAMPLE_MEM_BYTES,
		                 .mono_ns = 123456789,
		                 .real_ns = 1700000000000000000,
		                 .pending = 4,
		                 .altstack_sp = 0x60004000,
		                 .altstack_size = 8192,
		                 .has_timer = 1,
		                 .timer_value_ns = -5,
		                 .timer_interval_ns = 10000000,
		                 .segv_handler = PV_STUB_CODE + 0xcd,
		                 .ep_fd = 4 };
	regs(&im->k, 2, SYS_rt_sigsuspend);
	im->sa[SIGALRM - 1] = (struct pv_sigaction){ 0x60001000, 0x04000000, 0x60001100, 1 };
	im->mm = (struct pv_mm){
		.start_code = 0x60000000, .end_code = 0x60002000, .start_brk = 0x60004000, .brk = 0x60005000
	};
	im->fd = dup_of(fds, sizeof(fds));
	im->n_fds = ARRAY_SIZE(fds);
	im->fd[5].queued = dup_of("hello", 5);
	im->ep = dup_of(ep, sizeof(ep));
	im->n_ep = 1;
	for (uint64_t i = 0; i < 3; i++)
		im->file[i] = (struct pv_file){ strdup("/usr/bin/linux.uml"), 4096 * i, { i, ~i } };
	im->n_files = 3;
	im->vma = dup_of(k, sizeof(k));
	im->n_vmas = ARRAY_SIZE(k);
	im->pages = dup_of(pages, sizeof(pages));
	im->n_pages = ARRAY_SIZE(pages);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 >> 3);
	im->page_data = dup_of(data, sizeof(data));
	im->page_data_len = sizeof(data);
	regs(&im->helper[0], 3, SYS_poll);
	regs(&im->helper[1], 4, SYS_poll);
	im->n_helpers = 2;
	im->stub = dup_of(stubs, sizeof(stubs));
	im->n_stubs = ARRAY_SIZE(stubs);
	im->stub_vma = dup_of(stub, sizeof(stub));
	im->n_stub_vmas = ARRAY_SIZE(stub);
}
