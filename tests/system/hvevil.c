/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See hvevil.h. */
#include "config.h"
#include "tests/system/hvevil.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>
#include "common/util.h"
#include "hypervisor/pv/restorer.h"

struct code {
	uint8_t b[256];
	size_t n;
};

static void octets(struct code *c, const char *s, size_t len)
{
	memcpy(c->b + c->n, s, len);
	c->n += len;
}

static void number(struct code *c, uint64_t v)
{
	memcpy(c->b + c->n, &v, 8);
	c->n += 8;
}

/* The restorer's plan, if it is there: no filter for whoever enters the sandbox next. Then sleep in poll for ever. */
static void unfilter(struct code *c)
{
	octets(c, "\x48\xb8", 2); /* rax = &plan->seccomp_len */
	number(c, RESTORER_PLAN + offsetof(struct plan, seccomp_len));
	octets(c, "\xc7\x00\0\0\0\0", 6); /* *rax = 0 */
	octets(c, "\x31\xff\x31\xf6\xba\xff\xff\xff\x7f\xb8\x07\0\0\0\x0f\x05\xeb\xf0",
	       18); /* poll(0, 0, long), again */
}

/* Add a run of one page to K's private memory: its own text, changed, is as good as any. */
static uint64_t own_text(struct pv_image *im, const struct code *c)
{
	size_t i = 0;

	while (i < im->n_vmas && (im->vma[i].inode < PV_BACK_FILE0 || !(im->vma[i].flags & VMA_EXEC)))
		i++;
	struct pv_pages *p = reallocarray(im->pages, im->n_pages + 1, sizeof(*p));
	uint8_t *d = realloc(im->page_data, im->page_data_len + PAGE_BYTES);
	if (i == im->n_vmas || !p || !d)
		abort();
	im->pages = p;
	im->page_data = d;
	p[im->n_pages++] = (struct pv_pages){ .addr = im->vma[i].start, .n = 1, .data = im->page_data_len };
	memset(d + im->page_data_len, 0x90, PAGE_BYTES);
	memcpy(d + im->page_data_len, c->b, c->n);
	im->page_data_len += PAGE_BYTES;
	return im->vma[i].start;
}

static bool spin(struct pv_image *im)
{
	struct code c = { .b = { 0xeb, 0xfe }, .n = 2 }; /* jmp to itself */

	im->k.regs.rip = own_text(im, &c);
	return true;
}

/* Helpers, as many as may be, that stand before a poll in a text of the kernel's files, as they should; it returns at once. */
static bool escape(struct pv_image *im)
{
	struct code c = { .b = { 0x0f, 0x05 }, .n = 2 };

	unfilter(&c);
	uint64_t at = own_text(im, &c);
	for (int pid = 30000; im->n_helpers < 8; im->n_helpers++, pid++) {
		struct pv_regs *h = &im->helper[im->n_helpers];
		*h = im->helper[0];
		h->xstate = malloc(h->xstate_len);
		memcpy(h->xstate, im->helper[0].xstate, h->xstate_len);
		h->pid = pid;
	}
	for (size_t i = 0; i < im->n_helpers; i++) {
		im->helper[i].sigmask = ~0ull;
		im->helper[i].regs.rip = at;
		im->helper[i].regs.rdi = im->helper[i].regs.rsi = im->helper[i].regs.rdx = 0;
	}
	return true;
}

static void unkind(struct pv_image *im, uint32_t from, uint32_t to)
{
	for (size_t i = 0; i < im->n_fds; i++)
		if (im->fd[i].kind == from)
			im->fd[i].kind = to;
}

bool evil_mangle(struct pv_image *im, const char *what)
{
	if (!strcmp(what, "epoll"))
		im->ep[0].fd = 899;
	else if (!strcmp(what, "no-epoll"))
		im->ep_fd = 898;
	else if (!strcmp(what, "stub-twice"))
		im->stub[1].pid = im->stub[0].pid;
	else if (!strcmp(what, "stub-is-k"))
		im->stub[0].pid = im->k.pid;
	else if (!strcmp(what, "helper-is-k"))
		im->helper[0].pid = im->k.pid;
	else if (!strcmp(what, "k-far"))
		im->k.pid = 4194304;
	else if (!strcmp(what, "xstate"))
		memset(im->k.xstate + 512, 0xff, 64);
	else if (!strcmp(what, "mm"))
		memset(&im->mm, 0xff, sizeof(im->mm));
	else if (!strcmp(what, "no-console"))
		unkind(im, PV_FD_CON, PV_FD_DGRAM);
	else if (!strcmp(what, "no-memory"))
		unkind(im, PV_FD_MEM, PV_FD_PATH);
	else if (!strcmp(what, "no-device"))
		unkind(im, PV_FD_VHOST, PV_FD_DGRAM);
	else if (!strcmp(what, "one-device"))
		for (size_t i = 0; i < im->n_fds; i++)
			im->fd[i].arg = im->fd[i].kind == PV_FD_VHOST ? 0 : im->fd[i].arg;
	else if (!strcmp(what, "lone-pair"))
		unkind(im, PV_FD_EPOLL, PV_FD_PAIR);
	else if (!strcmp(what, "stub-low"))
		im->stub_vma[0] =
			(struct vma){ .start = 0, .end = 4096, .inode = PV_BACK_MEM, .flags = VMA_READ | VMA_SHARED };
	else if (!strcmp(what, "file-end"))
		for (size_t i = 0; i < im->n_vmas; i++)
			im->vma[i].offset = im->vma[i].inode >= PV_BACK_FILE0 ? 1ull << 35 : im->vma[i].offset;
	else if (!strcmp(what, "rip"))
		im->k.regs.rip = 0x10000;
	else if (!strcmp(what, "rip-after"))
		im->k.regs.rip += 2;
	else if (!strcmp(what, "spin"))
		return spin(im);
	else if (!strcmp(what, "helper-rip"))
		im->helper[0].regs.rip = 0x10000;
	else if (!strcmp(what, "helper-after"))
		im->helper[0].regs.rip += 2;
	else if (!strcmp(what, "helper-read"))
		im->helper[1].regs.rax = SYS_read;
	else if (!strcmp(what, "escape"))
		return escape(im);
	else if (!strcmp(what, "files"))
		im->file[0].id[0] ^= 1;
	else if (strcmp(what, "nothing"))
		return false;
	return true;
}

/* Where the text of the guest kernel begins. */
static uint64_t text_of(pid_t pid)
{
	_cleanup_free_ char *maps = NULL;
	char path[64], *p;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	if (file_read(path, 1 << 20, &maps, NULL) || !(p = strstr(maps, " r-xp ")))
		return 0;
	while (p > maps && p[-1] != '\n')
		p--;
	return strtoull(p, NULL, 16);
}

int evil_hijack(pid_t pid)
{
	struct user_regs_struct r;
	struct code c = { .n = 0 };
	uint64_t at = text_of(pid);
	char path[64];
	int st;

	octets(&c, "\x31\xff\xff\xc7\x48\xbe", 6); /* edi = 1; rsi = &plan->detail */
	number(&c, RESTORER_PLAN + offsetof(struct plan, detail));
	octets(&c, "\xb8\xe4\0\0\0\x0f\x05\x85\xc0\x75", 10); /* until clock_gettime(1, rsi) finds memory there */
	c.b[c.n] = (uint8_t) - (c.n + 1);
	c.n++;
	unfilter(&c);
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	_cleanup_close_ int f = open(path, O_RDWR | O_CLOEXEC);
	if (!at || f < 0 || ptrace(PTRACE_SEIZE, pid, 0, 0) || ptrace(PTRACE_INTERRUPT, pid, 0, 0) ||
	    waitpid(pid, &st, __WALL) != pid || pwrite(f, c.b, c.n, (off_t)at) != (ssize_t)c.n ||
	    ptrace(PTRACE_GETREGS, pid, 0, &r))
		return errno ? -errno : -EIO;
	r.rip = at;
	r.orig_rax = ~0ull;
	r.rax = 0;
	return ptrace(PTRACE_SETREGS, pid, 0, &r) || ptrace(PTRACE_DETACH, pid, 0, 0) ? -errno : 0;
}
