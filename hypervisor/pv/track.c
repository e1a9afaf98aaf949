/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tracking: see track_int.h and docs/adr/0003-tracking-rules.md. Here: which address spaces there are and one look at
 * each. The kernel's interfaces are in uffd.c, getting at the stubs in uffd_arm.c, the rules in track_rules.c.
 * When anything surprises, the collection names every page a candidate (t->all): slow, never wrong. Main thread only.
 */
#include "config.h"
#include "hypervisor/pv/track_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "common/util.h"
#include "hypervisor/api/hypercall.h"
#include "hypervisor/pv/image.h"

#define STUB_LO        0x10000ull
#define LOOKS_MAX      8     /* attempts on an address space that changes under our eyes */
#define ARM_LATE_PAGES 1024u /* a new address space of this size is armed at the next freeze, smaller ones are hashed */

static void surprise(struct track *t, const char *why)
{
	t->all = true;
	t->why = why;
}

/* Address spaces ------------------------------------------------------------------------------------------------------ */

static void mm_done(struct track_mm *a)
{
	int *fds[] = { &a->uffd, &a->pagemap, &a->maps, &a->sched };

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		if (*fds[i] >= 0)
			close(*fds[i]);
	vma_list_done(&a->snap);
}

static int open_proc(pid_t pid, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Has process @pid given up its memory? Then its files in /proc belong to root, and opening them fails with EACCES. */
static bool is_ending(pid_t pid)
{
	char path[64], b[8];

	snprintf(path, sizeof(path), "/proc/%d/statm", pid);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 || read(fd, b, 2) != 2 || !memcmp(b, "0 ", 2);
}

/* -ESRCH: the process is gone. Not yet armed, nothing known of it. */
static int mm_add(struct track *t, pid_t pid, bool is_k, struct track_mm **ret)
{
	if (t->n_mm == t->cap_mm) {
		size_t cap = t->cap_mm ? t->cap_mm * 2 : 64;
		struct track_mm *v = reallocarray(t->mm, cap, sizeof(*v));
		if (!v)
			return -ENOMEM;
		t->mm = v;
		t->cap_mm = cap;
	}
	struct track_mm *a = &t->mm[t->n_mm];
	*a = (struct track_mm){ .pid = pid, .is_k = is_k, .force = true, .uffd = -1, .lo = STUB_LO, .hi = PV_STUB_TOP };
	a->maps = open_proc(pid, "maps");
	a->pagemap = open_proc(pid, "pagemap");
	a->sched = open_proc(pid, "schedstat");
	int r = a->maps < 0 ? a->maps : a->pagemap < 0 ? a->pagemap : 0;
	if (r < 0) {
		mm_done(a);
		return r == -ENOENT || ((r == -EACCES || r == -EPERM) && is_ending(pid)) ? -ESRCH : r;
	}
	t->n_mm++;
	*ret = a;
	return 0;
}

static void drop_dead(struct track *t)
{
	size_t n = 0;

	for (size_t i = 0; i < t->n_mm; i++) {
		if (t->mm[i].dead)
			mm_done(&t->mm[i]);
		else
			t->mm[n++] = t->mm[i];
	}
	t->n_mm = n;
}

/* Vanished rule for a whole address space. */
static void mm_died(struct track *t, struct track_mm *a)
{
	track_mark_list(t, t->cand, &a->snap, 0, ~0ull);
	a->dead = true;
}

/* CPU time and number of turns. -ESRCH: gone. -ENOTSUP: not told by this kernel. */
static int read_sched(const struct track_mm *a, uint64_t *run_ns, uint64_t *slices)
{
	char b[96];

	if (a->sched < 0)
		return -ENOTSUP;
	ssize_t n = pread(a->sched, b, sizeof(b) - 1, 0);
	if (n < 0)
		return errno == ESRCH ? -ESRCH : -ENOTSUP;
	b[n] = 0;
	uint64_t wait;
	char *p = b;
	*run_ns = strtoull(p, &p, 10);
	wait = strtoull(p, &p, 10);
	(void)wait;
	*slices = strtoull(p, &p, 10);
	return n && *slices ? 0 : -ENOTSUP;
}

static bool is_stopped(pid_t pid)
{
	char path[64], b[256];

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, b, sizeof(b) - 1);
	if (n <= 0)
		return false;
	b[n] = 0;
	char *p = strrchr(b, ')');
	return p && p[1] == ' ' && p[2] == 't';
}

/*
 * Did @a run since the last look? Remembers where it stands now. A stub seen stopped before the clock is read cannot write
 * before its number of turns goes up; one that may be running is looked at again in any case. In a frozen guest all stand.
 */
static int mm_moved(struct track_mm *a, bool frozen, bool *ret)
{
	uint64_t run = 0, n = 0;
	int r = read_sched(a, &run, &n);

	if (r == -ESRCH)
		return r;
	if (!r && !a->force && run == a->run_ns && n == a->slices) {
		*ret = false;
		return 0;
	}
	*ret = true;
	bool stopped = frozen || is_stopped(a->pid);
	r = read_sched(a, &run, &n);
	if (r == -ESRCH)
		return r;
	a->run_ns = run;
	a->slices = n;
	a->force = r || !stopped;
	return 0;
}

/* One look ------------------------------------------------------------------------------------------------------------ */

struct ranges {
	struct page_region_abi *v; /* owned */
	size_t n, cap;
	bool failed; /* out of memory */
};

static void add_range(void *arg, uint64_t start, uint64_t end)
{
	struct ranges *r = arg;

	if (r->n == r->cap) {
		size_t cap = r->cap ? r->cap * 2 : 256;
		struct page_region_abi *v = reallocarray(r->v, cap, sizeof(*v));
		if (!v) {
			r->failed = true;
			return;
		}
		r->v = v;
		r->cap = cap;
	}
	r->v[r->n++] = (struct page_region_abi){ .start = start, .end = end };
}

static int by_start(const void *x, const void *y)
{
	const struct page_region_abi *a = x, *b = y;

	return a->start < b->start ? -1 : a->start > b->start;
}

/* The part of [start, ...end) at @start that is all inside (*ret_in) or all outside of one of @r, which is sorted. */
static uint64_t cut_at(const struct ranges *r, uint64_t start, uint64_t end, bool *ret_in)
{
	size_t lo = 0, hi = r->n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		if (r->v[mid].end <= start)
			lo = mid + 1;
		else
			hi = mid;
	}
	*ret_in = lo < r->n && r->v[lo].start <= start;
	if (lo == r->n)
		return end;
	uint64_t at = *ret_in ? r->v[lo].end : r->v[lo].start;
	return at < end ? at : end;
}

static int read_vmas(const struct track_mm *a, struct vma_list *l)
{
	int r = vma_list_read_fd(l, a->maps, a->is_k ? PV_TASK_TOP : a->hi);

	return !r && !l->n ? -ESRCH : r;
}

static bool same_list(const struct vma_list *x, const struct vma_list *y)
{
	return x->n == y->n && !memcmp(x->v, y->v, x->n * sizeof(*x->v));
}

/* One attempt: register what is not, scan. -EPERM, -EINVAL, -ENOMEM: mappings came or went meanwhile. */
static int register_and_scan(struct track *t, struct track_mm *a, struct ranges *fresh, struct ranges *written)
{
	size_t first = fresh->n;
	int r = uffd_scan(&t->scan, a->pagemap, a->lo, a->hi, UFFD_UNREGISTERED, add_range, fresh);

	if (!r && !a->registered)
		r = uffd_register(a->uffd, a->lo, a->hi);
	else
		for (size_t i = first; i < fresh->n && !r; i++)
			r = uffd_register(a->uffd, fresh->v[i].start, fresh->v[i].end);
	return r ? r : uffd_scan(&t->scan, a->pagemap, a->lo, a->hi, UFFD_WRITTEN, add_range, written);
}

/*
 * Sort out what a look at @a found, by its mappings before (@l) and after (NULL: the same). A page written in a mapping
 * that was registered before is dirty. In a fresh mapping "written" may only mean "never protected", and pages that were at
 * its place before may have been written unseen: both are candidates.
 */
static void sort_out(struct track *t, const struct track_mm *a, const struct ranges *fresh,
                     const struct ranges *written, const struct vma_list *l, const struct vma_list *after)
{
	for (size_t i = 0; i < fresh->n; i++) {
		const struct page_region_abi *g = &fresh->v[i];
		track_mark_list(t, t->cand, &a->snap, g->start, g->end);
		track_mark_list(t, t->cand, l, g->start, g->end);
		if (after)
			track_mark_list(t, t->cand, after, g->start, g->end);
	}
	for (size_t i = 0; i < written->n; i++)
		for (uint64_t at = written->v[i].start, end; at < written->v[i].end; at = end) {
			bool in_fresh;
			end = cut_at(fresh, at, written->v[i].end, &in_fresh);
			uint64_t *to = in_fresh || !a->registered ? t->cand : t->written;
			for (const struct vma_list *x = l; x; x = x == l ? after : NULL) {
				track_mark_list(t, to, x, at, end);
				if (a->is_k)
					track_mark_list(t, t->k_written, x, at, end);
			}
		}
	if (after)
		track_mark_gone(t, t->cand, l, after);
}

/* t->before has its mappings. */
static int look_armed(struct track *t, struct track_mm *a, bool frozen)
{
	struct ranges fresh = { 0 }, written = { 0 };
	bool moved = false, sure = true;
	int r = 0;

	for (int i = 0; i < (frozen ? 2 : LOOKS_MAX); i++) {
		r = register_and_scan(t, a, &fresh, &written);
		if (r != -EPERM && r != -EINVAL && r != -ENOMEM)
			break;
	}
	if (r == -EPERM || r == -EINVAL || r == -ENOMEM) {
		surprise(t, "an address space would not be protected");
		r = 0;
		sure = false;
	}
	if (!r && !frozen) {
		r = read_vmas(a, &t->after);
		moved = !r && !same_list(&t->before, &t->after);
	}
	if (fresh.failed || written.failed) {
		surprise(t, "out of memory");
		sure = false;
	}
	if (fresh.n > 1)
		qsort(fresh.v, fresh.n, sizeof(*fresh.v), by_start);
	sort_out(t, a, &fresh, &written, &t->before, moved ? &t->after : NULL);
	free(fresh.v);
	free(written.v);
	a->registered |= !r && sure;
	return r;
}

/* Look at @a: what was written, what vanished. -ESRCH: it is gone. */
static int look(struct track *t, struct track_mm *a, bool frozen)
{
	bool moved = true;
	int r = a->is_k ? 0 : mm_moved(a, frozen, &moved);

	if (r < 0 || !moved)
		return r;
	r = read_vmas(a, &t->before);
	if (r < 0)
		return r;
	for (size_t i = 0; a->is_k && i < t->before.n; i++) {
		const struct vma *v = &t->before.v[i];
		if (track_is_mem(t, v) && (v->start < a->lo || v->end > a->hi))
			surprise(t, "the guest kernel maps its memory at an unknown place");
	}
	track_mark_gone(t, t->cand, &a->snap, &t->before);
	t->after.n = 0;
	if (a->uffd >= 0) {
		r = look_armed(t, a, frozen);
	} else {
		/* it may write anywhere it has mapped, unseen */
		track_mark_list(t, t->cand, &t->before, 0, ~0ull);
	}
	if (r < 0)
		return r;
	/* the younger list becomes the snapshot; the old one's memory is used again */
	struct vma_list *now = t->after.n ? &t->after : &t->before, old = a->snap;
	a->snap = *now;
	*now = old;
	now->n = 0;
	return 0;
}

/* Collection --------------------------------------------------------------------------------------------------------- */

static bool is_helper(const struct track *t, pid_t pid)
{
	for (size_t i = 0; i < t->helpers.n; i++)
		if (t->helpers.pid[i] == pid)
			return true;
	return false;
}

/* Stub @pid exists now: known, or new. *hint: where to look first; lists come in the order in which stubs were made. */
static int list_stub(struct track *t, pid_t pid, size_t *hint)
{
	uint64_t run, turns;
	struct track_mm *a;

	if (is_helper(t, pid))
		return 0;
	for (size_t n = 0; n < t->n_mm; n++) {
		size_t i = (*hint + n) % t->n_mm;
		a = &t->mm[i];
		if (a->pid != pid || a->dead || a->is_k)
			continue;
		*hint = i + 1;
		if (read_sched(a, &run, &turns) != -ESRCH) {
			a->seen = true;
			return 0;
		}
		mm_died(t, a); /* its number was given to another process */
		break;
	}
	int r = mm_add(t, pid, false, &a);
	if (r == -ESRCH)
		return 0;
	if (r < 0) {
		surprise(t, "a new address space could not be opened");
		return r == -ENOMEM ? r : 0;
	}
	a->seen = true;
	return 0;
}

static int list_stubs(struct track *t, pid_t k, const struct pv_frozen *f)
{
	char path[64];
	_cleanup_free_ char *text = NULL;
	size_t len, hint = 1;
	int r = 0;

	for (size_t i = 0; i < t->n_mm; i++)
		t->mm[i].seen = t->mm[i].is_k;
	if (f) {
		for (size_t i = 0; i < f->n_stubs && !r; i++)
			r = list_stub(t, f->stub[i], &hint);
		return r;
	}
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", k, k);
	r = file_read(path, 1 << 20, &text, &len);
	if (r < 0)
		return r == -ENOENT ? -ESRCH : r;
	for (char *p = text, *e; !r; p = e) {
		pid_t pid = (pid_t)strtol(p, &e, 10);
		if (e == p)
			break;
		r = list_stub(t, pid, &hint);
	}
	return r;
}

/*
 * All stubs run the same code page, a private mapping of one page of guest memory that may be executed only: it is read
 * from there.
 */
static int find_stub_insn(struct track *t, const struct track_mm *a)
{
	static const uint8_t insn[2] = { 0x0f, 0x05 };
	int r = read_vmas(a, &t->before);

	for (size_t i = 0; i < t->before.n && !r; i++) {
		const struct vma *v = &t->before.v[i];
		if (v->start > PV_STUB_CODE || v->end <= PV_STUB_CODE || v->inode != t->inode || v->dev != t->dev)
			continue;
		const uint8_t *page = guestmem_at(t->m, (struct gpa){ v->offset + PV_STUB_CODE - v->start },
		                                  PAGE_BYTES);
		const uint8_t *p = page ? memmem(page, PAGE_BYTES, insn, sizeof(insn)) : NULL;
		if (!p)
			break;
		t->stub_insn = PV_STUB_CODE + (uint64_t)(p - page);
		return 0;
	}
	return r ? r : -ENOEXEC;
}

static int arm_stub(struct track *t, struct uffd_inject *in, struct track_mm *a, struct err *err)
{
	int r = t->stub_insn ? 0 : find_stub_insn(t, a);

	if (r < 0)
		return err_sys(err, -r, "the code page of guest address space %d is not as expected", a->pid);
	return uffd_inject_get(in, a->pid, t->stub_insn, &a->uffd, err);
}

/* At a freeze: big address spaces that came since are armed, so that they need no hashing the next time. */
static void arm_late(struct track *t, const struct pv_frozen *f)
{
	struct uffd_inject in;
	struct err ignored;
	bool begun = false;

	for (size_t i = 1; i < t->n_mm; i++) {
		struct track_mm *a = &t->mm[i];
		uint64_t pages = 0;
		for (size_t j = 0; j < a->snap.n; j++)
			pages += (a->snap.v[j].end - a->snap.v[j].start) / PAGE_BYTES;
		if (a->dead || a->uffd >= 0 || pages < ARM_LATE_PAGES)
			continue;
		if (!begun && uffd_inject_begin(&in, f, t->k_pidfd, t->room, &ignored) < 0)
			return;
		begun = true;
		/* when that fails it stays as it is */
		if (!arm_stub(t, &in, a, &ignored))
			a->force = true; /* protected by the next look */
	}
	if (begun && uffd_inject_end(&in, &ignored) < 0)
		return; /* K is gone; whoever watches it sees that */
}

static int track_collect(void *arg, bool suspended, uint64_t *written, uint64_t *cand, bool *ret_all,
                         const char **ret_why, struct err *err)
{
	struct track *t = arg;
	const struct pv_frozen *f = suspended ? t->f : NULL;

	t->written = written;
	t->cand = cand;
	t->all = false;
	/* K was never protected: it seems to have written everything */
	if (!t->mm[0].registered)
		surprise(t, "the first look");
	memset(t->k_written, 0, t->words * 8);
	int r = list_stubs(t, t->mm[0].pid, f);
	for (size_t i = t->n_mm; i-- > 0 && !r;) {
		/* K last: what it noted about the mappings that it gave to stubs meanwhile is seen then */
		struct track_mm *a = &t->mm[i];
		if (a->dead)
			continue;
		if (f && !a->seen) {
			mm_died(t, a);
			continue;
		}
		r = look(t, a, f);
		if (r == -ESRCH && !a->is_k) {
			mm_died(t, a);
			r = 0;
		}
	}
	drop_dead(t);
	if (!r && !t->all)
		track_follow_k(t);
	if (!r && f)
		arm_late(t, f);
	*ret_all = t->all;
	*ret_why = t->why;
	t->written = t->cand = NULL;
	return r ? err_sys(err, -r, "cannot track the guest's writes") : 0;
}

/* Life --------------------------------------------------------------------------------------------------------------- */

static int arm_all(struct track *t, const struct pv_frozen *f, struct err *err)
{
	struct uffd_inject in;
	struct track_mm *a;
	int r = uffd_inject_begin(&in, f, t->k_pidfd, t->room, err);

	if (r < 0)
		return r;
	r = uffd_inject_get(&in, 0, 0, &t->mm[0].uffd, err);
	for (size_t i = 0; i < f->n_stubs && !r; i++) {
		r = mm_add(t, f->stub[i], false, &a);
		if (!r)
			r = arm_stub(t, &in, a, err);
		else if (r != -ESRCH)
			r = err_sys(err, -r, "cannot open guest address space %d", f->stub[i]);
		/* killed, not yet buried by K: it is dead at the first look */
		if (r == -ESRCH && is_ending(f->stub[i]) && !is_ending(f->k.pid))
			r = 0;
	}
	if (r == -ESRCH)
		r = err_set(err, ESRCH, "the guest ended while log-dirty was being armed");
	int e = uffd_inject_end(&in, r ? NULL : err);
	return r ? r : e;
}

/* Where K has guest memory: from its first mapping of it to where the stubs' code begins. */
static int find_k(struct track *t, const struct pv_frozen *f, struct err *err)
{
	struct track_mm *a;
	int r = mm_add(t, f->k.pid, true, &a);

	if (r < 0)
		return err_sys(err, -r, "cannot open the guest kernel's address space");
	r = read_vmas(a, &t->before);
	if (r < 0)
		return err_sys(err, -r, "cannot read the guest kernel's mappings");
	a->lo = a->hi = PV_STUB_CODE;
	for (size_t i = 0; i < t->before.n && a->lo == a->hi; i++) {
		const struct vma *v = &t->before.v[i];
		if (v->inode == t->inode && (v->flags & VMA_SHARED)) {
			a->lo = v->start;
			t->dev = v->dev;
		}
	}
	if (a->lo >= a->hi)
		return err_set(err, ENOTSUP, "the guest kernel does not map the guest's memory as expected");
	for (size_t i = 0; i < t->before.n && !t->room; i++) {
		const struct vma *v = &t->before.v[i];
		if ((v->flags & (VMA_READ | VMA_WRITE | VMA_EXEC | VMA_SHARED)) == (VMA_READ | VMA_WRITE | VMA_EXEC))
			t->room = v->start;
	}
	if (!t->room)
		return err_set(err, ENOTSUP,
		               "the guest kernel has no private memory to run the arming of log-dirty in");
	return track_find_mem_map(t, f->k.pid, &t->before, err);
}

static void track_free(void *arg)
{
	struct track *t = arg;

	if (!t)
		return;
	for (size_t i = 0; i < t->n_mm; i++)
		mm_done(&t->mm[i]);
	free(t->mm);
	vma_list_done(&t->before);
	vma_list_done(&t->after);
	free(t->k_written);
	free(t);
}

/* Arm K and its stubs, frozen. */
static int track_begin(void *arg, struct guestmem *m, void **ret, struct err *err)
{
	const struct pv_track_guest *g = arg;
	int r = uffd_probe(err);

	if (r < 0)
		return r;
	struct track *t = calloc(1, sizeof(*t));
	if (!t)
		return err_set(err, ENOMEM, "out of memory");
	t->m = m;
	t->f = g->f;
	t->k_pidfd = g->k_pidfd;
	t->inode = g->mem_inode;
	t->n_pages = m->size / PAGE_BYTES;
	t->words = (t->n_pages + 63) / 64;
	t->k_written = calloc(t->words, 8);
	for (size_t i = 0; i < g->f->n_helpers; i++)
		t->helpers.pid[t->helpers.n++] = g->f->helper[i].pid;
	r = t->k_written ? find_k(t, g->f, err) : err_set(err, ENOMEM, "out of memory");
	if (!r)
		r = arm_all(t, g->f, err);
	if (r < 0) {
		track_free(t);
		return r;
	}
	*ret = t;
	return 0;
}

static int track_probe(void *arg, const struct guestmem *m, struct err *err)
{
	(void)arg, (void)m;
	return uffd_probe(err);
}

static const struct logdirty_tracker tracker = { .method = HV_LOGDIRTY_BY_SCAN,
	                                         .probe = track_probe,
	                                         .begin = track_begin,
	                                         .collect = track_collect,
	                                         .free = track_free };
const struct logdirty_tracker *const pv_trackers[] = { &tracker, NULL };
