/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tracking by PAGEMAP_SCAN: see qtrack.h. A userfaultfd belongs to the address space that asks for it, so we make QEMU's main thread ask: ptrace stops it
 * while it waits in a system call, whose `syscall` instruction carries out ours. The interrupted call begins anew afterwards.
 */
#include "config.h"
#include "hypervisor/qemu/qtrack_int.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/user.h>
#include <sys/wait.h>
#include "common/loop.h"
#include "common/util.h"
#include "hypervisor/api/hypercall.h"
#include "hypervisor/logdirty/uffd.h"

#define STOP_NS   (1000 * NS_PER_MS) /* until its main thread stands in a system call */
#define MAPS_TEXT (1u << 22)

struct qtrack_state {
	struct guestmem *m; /* borrowed */
	int uffd, pagemap;  /* owned, -1: none */
	struct qtrack_maps maps;
	struct qholes *holes;  /* owned, NULL: it makes none */
	struct uffd_scan scan; /* scratch */
	uint64_t *written;     /* borrowed, of the collection under way */
	const struct qholes_map *at;
};

/* Ptrace ------------------------------------------------------------------------------------------------------------------ */

/* Wait for a stop. -ESRCH: it ended. */
static int wait_stop(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, __WALL) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFSTOPPED(status) ? 0 : -ESRCH;
}

static int stop(pid_t pid)
{
	if (ptrace(PTRACE_SEIZE, pid, 0, 0) < 0)
		return -errno;
	if (ptrace(PTRACE_INTERRUPT, pid, 0, 0) < 0)
		return -errno;
	return wait_stop(pid);
}

/* Is it in a system call, which it would repeat? */
static int in_syscall(pid_t pid, struct user_regs_struct *r)
{
	if (ptrace(PTRACE_GETREGS, pid, 0, r) < 0)
		return -errno;
	errno = 0;
	long word = ptrace(PTRACE_PEEKTEXT, pid, r->rip - 2, 0);
	if (errno)
		return -errno;
	return (long)r->orig_rax >= 0 && (word & 0xffff) == 0x050f ? 0 : -EAGAIN;
}

/* Main thread stopped where @r says; on failure it runs on. */
static int stop_in_syscall(pid_t pid, struct user_regs_struct *r)
{
	uint64_t until = now_ns() + STOP_NS;
	int e;

	do {
		e = stop(pid);
		if (e < 0)
			return e;
		e = in_syscall(pid, r);
		if (!e)
			return 0;
		ptrace(PTRACE_DETACH, pid, 0, 0);
		usleep(200);
	} while (e == -EAGAIN && now_ns() < until);
	return e;
}

/* Stopped by stop_in_syscall(): carry out one call. A signal that comes first is given back to it. */
static int do_syscall(pid_t pid, const struct user_regs_struct *at, long nr, uint64_t arg, long *ret)
{
	struct user_regs_struct r = *at;

	r.rax = (uint64_t)nr;
	r.rdi = arg;
	r.rip = at->rip - 2;
	r.orig_rax = ~0ull;
	if (ptrace(PTRACE_SETREGS, pid, 0, &r) < 0 || ptrace(PTRACE_SINGLESTEP, pid, 0, 0) < 0)
		return -errno;
	int e = wait_stop(pid);
	if (!e && ptrace(PTRACE_GETREGS, pid, 0, &r) < 0)
		e = -errno;
	if (!e && r.rip != at->rip)
		e = -EAGAIN;
	if (!e)
		*ret = (long)r.rax;
	return e;
}

int qtrack_get_uffd(const struct qtrack_guest *g, int *ret)
{
	struct user_regs_struct r;
	long fd = -1, closed;
	int e = stop_in_syscall(g->pid, &r);

	if (e < 0)
		return e;
	e = do_syscall(g->pid, &r, SYS_userfaultfd, UFFD_USER_MODE_ONLY | O_CLOEXEC | O_NONBLOCK, &fd);
	if (!e && fd < 0)
		e = (int)fd;
	if (!e) {
		*ret = (int)syscall(SYS_pidfd_getfd, g->pidfd, (int)fd, 0);
		e = *ret < 0 ? -errno : 0;
	}
	if (fd >= 0)
		(void)!do_syscall(g->pid, &r, SYS_close, (uint64_t)fd, &closed);
	if (ptrace(PTRACE_SETREGS, g->pid, 0, &r) < 0 && !e)
		e = -errno;
	if (ptrace(PTRACE_DETACH, g->pid, 0, 0) < 0 && !e)
		e = -errno;
	return e;
}

/* Tracking ---------------------------------------------------------------------------------------------------------------- */

int qtrack_open(pid_t pid, const char *name, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	int fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int qtrack_find_maps(pid_t pid, const struct guestmem *m, struct qtrack_maps *ret)
{
	char path[64];
	_cleanup_free_ char *text = NULL;
	struct stat st;

	ret->n = 0;
	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	int r = file_read(path, MAPS_TEXT, &text, NULL);
	if (r < 0)
		return r;
	if (fstat(m->fd, &st) < 0)
		return -errno;
	for (char *line = text, *next; line && *line; line = next) {
		struct qholes_map a;
		uint64_t inode;
		unsigned major, minor;

		next = strchr(line, '\n');
		next = next ? next + 1 : NULL;
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %" SCNx64 " %x:%x %" SCNu64, &a.start, &a.end, &a.offset,
		           &major, &minor, &inode) != 6 ||
		    inode != st.st_ino || major != major(st.st_dev) || minor != minor(st.st_dev))
			continue;
		if (ret->n == QTRACK_MAPS_MAX || a.offset + (a.end - a.start) > m->size)
			return -E2BIG;
		ret->map[ret->n++] = a;
	}
	return ret->n ? 0 : -ENOENT;
}

void qtrack_mark(const struct qholes_map *at, uint64_t start, uint64_t end, uint64_t *bits)
{
	uint64_t first = (at->offset + (start - at->start)) / PAGE_BYTES;

	for (uint64_t i = first; i < first + (end - start) / PAGE_BYTES; i++)
		bits[i / 64] |= 1ull << (i % 64);
}

static void end(void *arg)
{
	struct qtrack_state *t = arg;

	if (!t)
		return;
	qholes_free(t->holes);
	if (t->uffd >= 0)
		close(t->uffd); /* undoes the protection */
	if (t->pagemap >= 0)
		close(t->pagemap);
	free(t);
}

static int begin(void *arg, struct guestmem *m, void **ret, struct err *err)
{
	const struct qtrack_guest *g = arg;
	int r = uffd_probe(err);

	if (r < 0)
		return r;
	struct qtrack_state *t = calloc(1, sizeof(*t));
	if (!t)
		return err_set(err, ENOMEM, "out of memory");
	t->m = m;
	t->uffd = t->pagemap = -1;
	t->pagemap = qtrack_open(g->pid, "pagemap", O_RDONLY);
	r = t->pagemap < 0 ? t->pagemap : qtrack_find_maps(g->pid, m, &t->maps);
	if (!r)
		r = qtrack_get_uffd(g, &t->uffd);
	if (!r)
		r = uffd_setup(t->uffd, g->holes);
	/* before there is anything to hear: QEMU must not wait for us */
	if (!r && g->holes)
		r = qholes_new(t->uffd, t->maps.map, t->maps.n, m->size / PAGE_BYTES, &t->holes, err);
	for (size_t i = 0; i < t->maps.n && !r; i++)
		r = uffd_register(t->uffd, t->maps.map[i].start, t->maps.map[i].end);
	if (r < 0) {
		end(t);
		return err_sys(err, -r, "cannot track what QEMU writes");
	}
	*ret = t;
	return 0;
}

static void on_written(void *arg, uint64_t start, uint64_t stop_at)
{
	struct qtrack_state *t = arg;

	qtrack_mark(t->at, start, stop_at, t->written);
}

static int collect(void *arg, bool suspended, uint64_t *written, uint64_t *cand, bool *ret_all, const char **ret_why,
                   struct err *err)
{
	struct qtrack_state *t = arg;
	int r = t->holes ? qholes_collect(t->holes, written) : 0;

	(void)suspended, (void)cand, (void)ret_all, (void)ret_why;
	t->written = written;
	for (size_t i = 0; i < t->maps.n && !r; i++) {
		t->at = &t->maps.map[i];
		r = uffd_scan(&t->scan, t->pagemap, t->at->start, t->at->end, UFFD_WRITTEN, on_written, t);
	}
	t->written = NULL;
	return r < 0 ? err_sys(err, -r, "cannot see what QEMU writes") : 0;
}

static int probe(void *arg, const struct guestmem *m, struct err *err)
{
	(void)arg, (void)m;
	return uffd_probe(err);
}

const struct logdirty_tracker qtrack_scan = {
	.method = HV_LOGDIRTY_BY_SCAN, .probe = probe, .begin = begin, .collect = collect, .free = end
};
const struct logdirty_tracker *const qtrack[] = { &qtrack_scan, &qtrack_soft, NULL };
