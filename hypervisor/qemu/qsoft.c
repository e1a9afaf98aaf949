/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tracking by soft-dirty marks: see qtrack.h, hypervisor/logdirty/softdirty.h. To read the marks and to remove them are two steps, and what is
 * written between them would be lost, so QEMU is stopped for both, whether its virtual machine runs or not. If hvdom dies meanwhile, QEMU
 * does, too. Holes that a balloon makes are told as in qtrack.c: what QEMU takes out loses its mark.
 */
#include "config.h"
#include "hypervisor/qemu/qtrack_int.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "common/loop.h"
#include "common/util.h"
#include "hypervisor/api/hypercall.h"
#include "hypervisor/logdirty/softdirty.h"
#include "hypervisor/logdirty/uffd.h"

#define STOP_NS   (2000 * NS_PER_MS) /* until all its threads stand */
#define SETTLE_NS (500 * NS_PER_MS)
#define POLL_US   50

struct qsoft {
	pid_t pid;
	int pagemap, clear, uffd; /* owned, -1: none */
	struct qtrack_maps maps;
	struct qholes *holes; /* owned, NULL: it makes none */
	bool cleared;         /* at least once: before, all is marked */
	uint64_t *written;    /* borrowed, of the collection under way */
	const struct qholes_map *at;
	struct softdirty s;
};

static bool is_stopped(pid_t pid)
{
	char b[64] = "";
	_cleanup_close_ int fd = qtrack_open(pid, "stat", O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, b, sizeof(b) - 1);

	/* its name has no parenthesis */
	const char *p = n > 0 ? strrchr(b, ')') : NULL;
	return p && p[1] == ' ' && p[2] == 'T';
}

/* -EBUSY: somebody else stopped it, and is to let it go on. -ETIMEDOUT: a thread of its does not stop. */
static int stop(pid_t pid)
{
	uint64_t until = now_ns() + STOP_NS;

	if (is_stopped(pid))
		return -EBUSY;
	if (kill(pid, SIGSTOP) < 0)
		return -errno;
	for (;;) {
		siginfo_t si = { 0 };
		if (waitid(P_PID, (id_t)pid, &si, WSTOPPED | WNOHANG | __WALL) < 0 && errno != EINTR)
			return -errno;
		if (si.si_pid == pid)
			return 0;
		if (now_ns() > until)
			return -ETIMEDOUT;
		usleep(POLL_US);
	}
}

static void end(void *arg)
{
	struct qsoft *t = arg;

	if (!t)
		return;
	qholes_free(t->holes);
	int fds[] = { t->pagemap, t->clear, t->uffd };
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	free(t);
}

/* The pages of a mapping that was never cleared are all marked, if the kernel has marks. */
static int has_marks(const struct qsoft *t, bool known, struct err *err)
{
	int r = known ? 1 : softdirty_has(t->pagemap, t->maps.map[0].start);

	if (r < 0)
		return err_sys(err, -r, "cannot read QEMU's page table");
	return r ? 0 : err_set(err, ENOTSUP, "this host's kernel has no soft-dirty marks");
}

static int open_all(struct qsoft *t, const struct qtrack_guest *g, const struct guestmem *m, struct err *err)
{
	int r = softdirty_begin(&t->s, "", err);

	if (r < 0)
		return r;
	t->pid = g->pid;
	t->pagemap = qtrack_open(g->pid, "pagemap", O_RDONLY);
	t->clear = qtrack_open(g->pid, "clear_refs", O_WRONLY);
	r = t->pagemap < 0 ? t->pagemap : t->clear < 0 ? t->clear : qtrack_find_maps(g->pid, m, &t->maps);
	return r < 0 ? err_sys(err, -r, "cannot track what QEMU writes") : has_marks(t, *g->marks_seen, err);
}

static struct qsoft *new (void)
{
	struct qsoft *t = calloc(1, sizeof(*t));

	if (t)
		t->pagemap = t->clear = t->uffd = -1;
	return t;
}

static int probe(void *arg, const struct guestmem *m, struct err *err)
{
	const struct qtrack_guest *g = arg;
	struct qsoft *t = new ();
	int r = t ? open_all(t, g, m, err) : err_set(err, ENOMEM, "out of memory");

	end(t);
	return r;
}

/* Its userfaultfd protects nothing: it is there to tell what is taken out. */
static int listen_to_holes(struct qsoft *t, const struct qtrack_guest *g, uint64_t pages, struct err *err)
{
	int r = qtrack_get_uffd(g, &t->uffd);

	if (!r)
		r = uffd_setup_removals(t->uffd);
	if (!r)
		r = qholes_new(t->uffd, t->maps.map, t->maps.n, pages, &t->holes, err);
	for (size_t i = 0; i < t->maps.n && !r; i++)
		r = uffd_register(t->uffd, t->maps.map[i].start, t->maps.map[i].end);
	return r < 0 ? err_sys(err, -r, "cannot see what QEMU takes out of guest memory") : 0;
}

/*
 * A page that was only read is writable and not dirty. If the kernel moves it while marks are removed for the first time, it stays so, and nothing marks
 * it when it is written. So marks are removed once before they count, and each page is seen in its place after that; the first collection does the rest.
 */
static int settle(struct qsoft *t, struct err *err)
{
	uint64_t until = now_ns() + SETTLE_NS;
	int r = softdirty_clear(t->clear);

	for (size_t i = 0; i < t->maps.n && !r; i++) {
		uint64_t at = t->maps.map[i].start, end = t->maps.map[i].end;
		while (!r && at < end) {
			r = softdirty_in_place(&t->s, t->pagemap, &at, end);
			if (!r && at < end && now_ns() > until)
				r = -ETIMEDOUT;
			else if (!r && at < end)
				usleep(POLL_US);
		}
	}
	return r == -ETIMEDOUT ? err_set(err, ENOTSUP,
	                                 "a page of QEMU's is on its way for too long, which loses its soft-dirty mark")
	       : r < 0         ? err_sys(err, -r, "cannot remove QEMU's soft-dirty marks")
	                       : 0;
}

static int begin(void *arg, struct guestmem *m, void **ret, struct err *err)
{
	const struct qtrack_guest *g = arg;
	struct qsoft *t = new ();
	int r = t ? open_all(t, g, m, err) : err_set(err, ENOMEM, "out of memory");

	if (!r && g->holes)
		r = listen_to_holes(t, g, m->size / PAGE_BYTES, err);
	if (!r)
		r = settle(t, err);
	if (r < 0) {
		end(t);
		return r;
	}
	*g->marks_seen = true;
	*ret = t;
	return 0;
}

static void on_marked(void *arg, uint64_t start, uint64_t stop_at)
{
	struct qsoft *t = arg;

	qtrack_mark(t->at, start, stop_at, t->written);
}

/* It stands. Removals that it was done with are told before; one that it stands in is told by the thread, now or later. */
static int read_and_clear(struct qsoft *t, bool *ret_sure)
{
	int r = t->holes ? qholes_collect(t->holes, t->written) : 0;

	for (size_t i = 0; i < t->maps.n && !r; i++) {
		t->at = &t->maps.map[i];
		r = softdirty_read(&t->s, t->pagemap, t->at->start, t->at->end, on_marked, t);
	}
	*ret_sure = softdirty_sure(&t->s);
	return r ? r : softdirty_clear(t->clear);
}

static int collect(void *arg, bool suspended, uint64_t *written, uint64_t *cand, bool *ret_all, const char **ret_why,
                   struct err *err)
{
	struct qsoft *t = arg;
	bool sure = false;
	int r = stop(t->pid);

	(void)suspended, (void)cand;
	t->written = written;
	if (!r)
		r = read_and_clear(t, &sure);
	if (r != -EBUSY)
		kill(t->pid, SIGCONT); /* also if it did not stop yet */
	t->written = NULL;
	if (r < 0)
		return err_sys(err, -r, "cannot see what QEMU writes");
	if (!sure || !t->cleared) {
		*ret_all = true;
		*ret_why = sure ? "the first look" : t->s.unsure;
	}
	t->cleared = true;
	return 0;
}

const struct logdirty_tracker qtrack_soft = {
	.method = HV_LOGDIRTY_BY_SOFT_DIRTY, .probe = probe, .begin = begin, .collect = collect, .free = end
};
