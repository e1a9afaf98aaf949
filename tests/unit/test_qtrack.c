/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel and others do to the memory of a QEMU while its writes are tracked: with each of it no page is missed. A process plays QEMU
 * (trackguest.h), this kernel is the real one. By marks with Linux 6.1 (`make check-kernels`), else by PAGEMAP_SCAN.
 */
#include "config.h"
#include "tests/unit/testutil.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#include "common/loop.h"
#include "common/util.h"
#include "hypervisor/api/hypercall.h"
#include "tests/unit/trackguest.h"

#ifndef MADV_PAGEOUT
#define MADV_COLD    20
#define MADV_PAGEOUT 21
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#define MPOL_MF_MOVE_ALL 4
#define MOVED            512u /* pages at once */
#define ROUNDS           8u

#define w trackguest

struct disturbance {
	const char *what;
	void (*once)(uint64_t n); /* the @n-th time, in a thread of the test; NULL: nothing */
	bool writes;              /* it changes memory, and stands while the process does */
	bool fork, madvise;       /* done by the process */
	bool scan_only; /* marks are not believed where it happens (ADR 98), or who does it has root's rights */
};

static struct {
	pthread_t thread;
	_Atomic bool end, stands;
	_Atomic uint64_t done; /* times that something was done */
	uint64_t at;           /* where the process has its memory */
} d;

/* Disturbances: done over and over, in a thread of their own -------------------------------------------------------------- */

static void advise_all(int advice)
{
	struct iovec v = { .iov_base = (void *)(uintptr_t)d.at, .iov_len = w.m.size };

	if (syscall(SYS_process_madvise, w.pidfd, &v, 1ul, advice, 0u) > 0)
		d.done++;
}

static void page_out(uint64_t n)
{
	/* only what nobody else has in a table goes out */
	(void)!madvise(w.m.base, w.m.size, MADV_DONTNEED);
	advise_all(n % 2 ? MADV_PAGEOUT : MADV_COLD);
}

static void make_huge(uint64_t n)
{
	(void)!madvise(w.m.base, w.m.size, MADV_DONTNEED);
	advise_all(n % 2 ? MADV_PAGEOUT : MADV_COLLAPSE);
}

/* To another node and back; where there is one node only, wherever the kernel likes. */
static void move(uint64_t n)
{
	static void *page[MOVED];
	static int node[MOVED], status[MOVED];
	uint64_t first = n % (TRACKGUEST_PAGES / MOVED) * MOVED;

	if (access("/sys/devices/system/node/node1", F_OK) < 0) {
		int fd = open("/proc/sys/vm/compact_memory", O_WRONLY | O_CLOEXEC);
		d.done += fd >= 0 && write(fd, "1", 1) == 1;
		if (fd >= 0)
			close(fd);
		return;
	}
	for (unsigned i = 0; i < MOVED; i++) {
		page[i] = (void *)(uintptr_t)(d.at + (first + i) * PAGE_BYTES);
		node[i] = (int)(n / (TRACKGUEST_PAGES / MOVED) % 2);
	}
	if (syscall(SYS_move_pages, w.pid, (unsigned long)MOVED, page, node, status, MPOL_MF_MOVE_ALL) >= 0)
		d.done++;
}

/* As hvdom's own balloon, which tells of it. */
static void punch(uint64_t n)
{
	uint64_t p = n * 2654435761u % TRACKGUEST_PAGES;

	if (!fallocate(w.m.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)(p * PAGE_BYTES), PAGE_BYTES)) {
		guestmem_mark(&w.m, w.m.base + p * PAGE_BYTES, PAGE_BYTES);
		d.done++;
	}
}

/* ... which splits a huge page */
static void punch_huge(uint64_t n)
{
	if (n % 64 == 0)
		advise_all(MADV_COLLAPSE);
	punch(n);
}

/* As hvdom's devices do with what they read for the guest. */
static void device_writes(uint64_t n)
{
	uint8_t *p = w.m.base + n * 2654435761u % TRACKGUEST_PAGES * PAGE_BYTES;

	__atomic_fetch_add(p, 1, __ATOMIC_RELAXED);
	guestmem_mark(&w.m, p, 1);
	d.done++;
}

static void *disturb(void *arg)
{
	const struct disturbance *x = arg;

	for (uint64_t n = 0; !d.end; n++) {
		while (x->writes && w.o->hold && !d.end) {
			d.stands = true;
			usleep(50);
		}
		d.stands = false;
		if (!x->writes || !w.o->hold)
			x->once(n);
	}
	return NULL;
}

static const struct disturbance disturbances[] = {
	{ .what = "nothing" },
	{ .what = "it forks", .fork = true },
	{ .what = "it gives advice about its memory", .madvise = true },
	{ .what = "the kernel moves pages", .once = move },
	{ .what = "hvdom's devices write", .once = device_writes, .writes = true },
	{ .what = "hvdom makes holes", .once = punch, .writes = true },
	{ .what = "forks, advice and moves", .once = move, .fork = true, .madvise = true },
	{ .what = "pages leave its table", .once = page_out, .scan_only = true },
	{ .what = "pages become huge, and small again", .once = make_huge, .scan_only = true },
	{ .what = "holes are made in huge pages", .once = punch_huge, .writes = true, .scan_only = true },
};

static void hold(const struct disturbance *x)
{
	trackguest_hold(true);
	while (x->writes && !d.stands)
		usleep(50);
}

static void rounds(const struct disturbance *x)
{
	uint64_t live = 0, last = 0, until;

	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t wrote = w.o->writes;
		live += trackguest_collect(false);
		until = now_ns() + 10000 * NS_PER_MS;
		while (w.o->writes < wrote + 4 && now_ns() < until)
			usleep(500);
		assert_true(w.o->writes >= wrote + 4);
		hold(x);
		last += trackguest_collect(true);
		uint64_t missed = trackguest_audit();
		if (missed)
			fail_msg("%s: %lu pages missed in round %u", x->what, missed, i);
		trackguest_hold(false);
	}
	print_message("%s: %lu pages while it ran, %lu while it stood, %lu times\n", x->what, live, last, d.done);
}

static void try_one(const struct disturbance *x, const struct logdirty_tracker *tracker)
{
	struct qtrack_maps maps;

	assert_int_equal(trackguest_up(NULL), 0);
	assert_int_equal(qtrack_find_maps(w.pid, &w.m, &maps), 0);
	d.at = maps.map[0].start;
	d.end = d.stands = false;
	d.done = 0;
	w.o->fork = x->fork;
	w.o->madvise = x->madvise;
	/* it goes on before tracking begins, which is where an engine finds it */
	if (x->once)
		assert_int_equal(pthread_create(&d.thread, NULL, disturb, (void *)(uintptr_t)x), 0);
	trackguest_begin(tracker);
	rounds(x);
	trackguest_hold(true);
	d.end = true;
	if (x->once)
		pthread_join(d.thread, NULL);
	trackguest_down(NULL);
}

static void test_disturbances(void **state)
{
	const struct logdirty_tracker *tracker = NULL;
	struct err err;

	(void)state;
	trackguest_up(NULL);
	for (const struct logdirty_tracker *const *t = qtrack; *t && !tracker; t++)
		if (!(*t)->probe(&w.g, &w.m, &err))
			tracker = *t;
	trackguest_down(NULL);
	if (!tracker) {
		print_message("no tracking here: %s\n", err.text);
		skip();
	}
	for (size_t i = 0; i < ARRAY_SIZE(disturbances); i++)
		if (tracker == &qtrack_scan || !disturbances[i].scan_only)
			try_one(&disturbances[i], tracker);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_disturbances) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
