/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tracking: see qtrack.h. A userfaultfd belongs to the address space that asks for it, so we make QEMU's main thread ask: ptrace stops it
 * while it waits in a system call, whose `syscall` instruction carries out ours. The interrupted call begins anew afterwards.
 */
#include "config.h"
#include "hypervisor/qemu/qtrack.h"

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
#include "hypervisor/logdirty/uffd.h"
#include "hypervisor/qemu/qholes.h"

#define STOP_NS   (1000 * NS_PER_MS) /* until its main thread stands in a system call */
#define MAPS_MAX  16u
#define MAPS_TEXT (1u << 22)

struct qtrack_state {
	struct guestmem *m; /* borrowed */
	int uffd, pagemap;  /* owned, -1: none */
	struct qholes_map map[MAPS_MAX];
	size_t n_maps;
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

static int get_uffd(const struct qtrack_guest *g, int *ret)
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

static int find_maps(struct qtrack_state *t, pid_t pid)
{
	char path[64];
	_cleanup_free_ char *text = NULL;
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	int r = file_read(path, MAPS_TEXT, &text, NULL);
	if (r < 0)
		return r;
	if (fstat(t->m->fd, &st) < 0)
		return -errno;
	for (char *line = text, *next; line && *line; line = next) {
		struct qholes_map m;
		uint64_t inode;
		unsigned major, minor;

		next = strchr(line, '\n');
		next = next ? next + 1 : NULL;
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %" SCNx64 " %x:%x %" SCNu64, &m.start, &m.end, &m.offset,
		           &major, &minor, &inode) != 6 ||
		    inode != st.st_ino || major != major(st.st_dev) || minor != minor(st.st_dev))
			continue;
		if (t->n_maps == MAPS_MAX || m.offset + (m.end - m.start) > t->m->size)
			return -E2BIG;
		t->map[t->n_maps++] = m;
	}
	return t->n_maps ? 0 : -ENOENT;
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
	char path[64];
	int r = uffd_probe(err);

	if (r < 0)
		return r;
	struct qtrack_state *t = calloc(1, sizeof(*t));
	if (!t)
		return err_set(err, ENOMEM, "out of memory");
	t->m = m;
	t->uffd = t->pagemap = -1;
	snprintf(path, sizeof(path), "/proc/%d/pagemap", g->pid);
	t->pagemap = open(path, O_RDONLY | O_CLOEXEC);
	r = t->pagemap < 0 ? -errno : find_maps(t, g->pid);
	if (!r)
		r = get_uffd(g, &t->uffd);
	if (!r)
		r = uffd_setup(t->uffd, g->holes);
	/* before there is anything to hear: QEMU must not wait for us */
	if (!r && g->holes)
		r = qholes_new(t->uffd, t->map, t->n_maps, m->size / PAGE_BYTES, &t->holes, err);
	for (size_t i = 0; i < t->n_maps && !r; i++)
		r = uffd_register(t->uffd, t->map[i].start, t->map[i].end);
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
	uint64_t first = (t->at->offset + (start - t->at->start)) / PAGE_BYTES;

	for (uint64_t i = 0; i < (stop_at - start) / PAGE_BYTES; i++)
		t->written[(first + i) / 64] |= 1ull << ((first + i) % 64);
}

static int collect(void *arg, bool suspended, uint64_t *written, uint64_t *cand, bool *ret_all, const char **ret_why,
                   struct err *err)
{
	struct qtrack_state *t = arg;
	int r = t->holes ? qholes_collect(t->holes, written) : 0;

	(void)suspended, (void)cand, (void)ret_all, (void)ret_why;
	t->written = written;
	for (size_t i = 0; i < t->n_maps && !r; i++) {
		t->at = &t->map[i];
		r = uffd_scan(&t->scan, t->pagemap, t->at->start, t->at->end, UFFD_WRITTEN, on_written, t);
	}
	t->written = NULL;
	return r < 0 ? err_sys(err, -r, "cannot see what QEMU writes") : 0;
}

const struct logdirty_tracker qtrack = { .begin = begin, .collect = collect, .free = end };
