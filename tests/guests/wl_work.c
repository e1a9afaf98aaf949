/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Workers of the test guest that use memory and the processor and check every result: counters, the 32 MiB checksum loop, memory held
 * or rewritten at a rate, fork/exec, floating point, clocks. A page that lost a write, or came from another time, is noticed: each
 * page's content follows from its number and version, and the versions stand in a table on other pages, with their sum elsewhere.
 */
#include "tests/guests/wl_int.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SUM_MIB       32u
#define TICK_NS       10000000u
#define COUNTER_PAGES 16

/* Memory whose every page is a function of (seed, page, version). */
struct pages {
	uint8_t *mem;
	uint32_t *version; /* one per page, in a mapping of its own */
	uint64_t n;        /* pages */
	uint64_t seed;
	uint64_t version_sum; /* of all versions: a table page that went back in time shows */
	uint64_t next_write, next_check;
};

static void *map_anon(size_t len)
{
	/* populated at once: a fault per page costs a pv guest ten times as much */
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static uint64_t page_seed(const struct pages *m, uint64_t i)
{
	return m->seed ^ (i << 32) ^ m->version[i];
}

static void page_write(struct pages *m, uint64_t i)
{
	m->version[i]++;
	m->version_sum++;
	wl_pattern(m->mem + i * WL_PAGE_BYTES, WL_PAGE_BYTES, page_seed(m, i));
}

static bool page_ok(struct wl_slot *s, const struct pages *m, uint64_t i)
{
	long at = wl_check(m->mem + i * WL_PAGE_BYTES, WL_PAGE_BYTES, page_seed(m, i));

	if (at < 0)
		return true;
	wl_error(s, "page %llu version %u is wrong at octet %ld", (unsigned long long)i, m->version[i], at);
	return false;
}

static void pages_done(struct pages *m)
{
	if (m->mem)
		munmap(m->mem, m->n * WL_PAGE_BYTES);
	if (m->version)
		munmap(m->version, m->n * sizeof(uint32_t));
	memset(m, 0, sizeof(*m));
}

static bool pages_init(struct wl_slot *s, struct pages *m, uint32_t mib)
{
	pages_done(m);
	if (mib == 0)
		return true;
	m->n = (uint64_t)mib * 256;
	m->seed = wl_mix((uint64_t)getpid() ^ wl_now_ns());
	m->mem = map_anon(m->n * WL_PAGE_BYTES);
	m->version = map_anon(m->n * sizeof(uint32_t));
	if (!m->mem || !m->version) {
		wl_error(s, "no memory for %u MiB", mib);
		pages_done(m);
		return false;
	}
	for (uint64_t i = 0; i < m->n; i++)
		page_write(m, i);
	return true;
}

static void versions_check(struct wl_slot *s, const struct pages *m)
{
	uint64_t sum = 0;

	for (uint64_t i = 0; i < m->n; i++)
		sum += m->version[i];
	if (sum != m->version_sum)
		wl_error(s, "version table sums to %llu, %llu writes were made", (unsigned long long)sum,
		         (unsigned long long)m->version_sum);
}

/* Rewrite @count pages, each checked before. */
static void pages_dirty(struct wl_slot *s, struct pages *m, uint64_t count)
{
	for (; count && m->n; count--) {
		page_ok(s, m, m->next_write);
		page_write(m, m->next_write);
		m->next_write = (m->next_write + 1) % m->n;
		atomic_fetch_add(&s->count, 1);
	}
}

static void tick_dirty(struct wl_slot *s, struct pages *m, uint32_t rate_mib, uint64_t tick)
{
	uint64_t before, after;

	if (rate_mib == WL_RATE_MAX) {
		pages_dirty(s, m, m->n);
		return;
	}
	before = tick * rate_mib * 256 / 100;
	after = (tick + 1) * rate_mib * 256 / 100;
	pages_dirty(s, m, after - before);
}

void wl_sum(struct wl_slot *s)
{
	struct pages m = { 0 };

	if (!pages_init(s, &m, SUM_MIB))
		return;
	for (uint64_t tick = 0;; tick++) {
		uint64_t t0 = wl_now_ns();
		uint64_t busy_ns = (uint64_t)TICK_NS * wl->cpu_percent / 100;

		tick_dirty(s, &m, wl->sum.rate_mib, tick);
		while (wl_now_ns() - t0 < busy_ns) {
			page_ok(s, &m, m.next_check);
			if (++m.next_check == m.n) {
				m.next_check = 0;
				versions_check(s, &m);
			}
		}
		if (wl_now_ns() - t0 < TICK_NS)
			wl_sleep_ns(TICK_NS - (wl_now_ns() - t0));
	}
}

static void order_done(struct wl_slot *s, struct wl_order *o, struct pages *m, uint32_t seq)
{
	uint64_t bad = 0;

	for (uint64_t i = 0; i < m->n; i++)
		bad += !page_ok(s, m, i);
	versions_check(s, m);
	o->hash_pages = m->n;
	o->hash_bad = bad;
	o->done = seq;
	wl_futex_wake(&o->done);
}

/* Fill @fd with @mib of content that does not compress, or check it. Returns the number of wrong pages. */
static uint64_t file_pass(struct wl_slot *s, int fd, uint32_t mib, uint64_t seed, bool check)
{
	static uint8_t chunk[256 * WL_PAGE_BYTES]; /* few system calls: each costs a pv guest 15 us */
	uint64_t bad = 0;

	for (uint32_t i = 0; i < mib; i++) {
		off_t at = (off_t)i * (off_t)sizeof(chunk);

		if (check && pread(fd, chunk, sizeof(chunk), at) != (ssize_t)sizeof(chunk)) {
			wl_error(s, "the fill cannot be read: %s", strerror(errno));
			bad += 256;
			continue;
		}
		for (uint64_t k = 0; k < 256; k++) {
			uint8_t *page = chunk + k * WL_PAGE_BYTES;

			if (!check) {
				wl_pattern(page, WL_PAGE_BYTES, seed + i * 256 + k);
			} else if (wl_check(page, WL_PAGE_BYTES, seed + i * 256 + k) >= 0) {
				wl_error(s, "page %llu of the fill is wrong", (unsigned long long)(i * 256 + k));
				bad++;
			}
		}
		if (!check && pwrite(fd, chunk, sizeof(chunk), at) != (ssize_t)sizeof(chunk)) {
			wl_error(s, "no memory for %u MiB: %s", mib, strerror(errno));
			return bad + 1;
		}
	}
	return bad;
}

/*
 * Holds memory and checks it when told; sleeps else. The memory is a memfd written with pwrite: the guest kernel fills it without
 * mapping it into a process, which takes a pv guest 65 us per page.
 */
void wl_fill(struct wl_slot *s)
{
	struct wl_order *o = &wl->fill;
	int fd = memfd_create("fill", MFD_CLOEXEC);
	uint64_t seed = 0;
	uint32_t seq = 0, held = 0;

	for (;;) {
		wl_futex_wait(&o->seq, seq);
		if (o->seq == seq)
			continue;
		seq = o->seq;
		if (held != o->size_mib) {
			held = o->size_mib;
			seed = wl_mix(wl_now_ns());
			if (fd < 0 || ftruncate(fd, 0) || file_pass(s, fd, held, seed, false))
				o->size_mib = held = 0;
			printf("workload: holds %u MiB\n", held);
			fflush(stdout);
		}
		o->hash_bad = file_pass(s, fd, held, seed, true);
		o->hash_pages = (uint64_t)held * 256;
		o->done = seq;
		atomic_fetch_add(&s->count, 1);
	}
}

/* Rewrites memory at the ordered rate. */
void wl_dirty(struct wl_slot *s)
{
	struct pages m = { 0 };
	uint32_t seq = 0;

	for (uint64_t tick = 0;; tick++) {
		uint64_t t0 = wl_now_ns();

		if (!m.n || !wl->dirty.rate_mib)
			wl_futex_wait(&wl->dirty.seq, seq);
		if (wl->dirty.seq != seq) {
			seq = wl->dirty.seq;
			if (m.n != (uint64_t)wl->dirty.size_mib * 256 && !pages_init(s, &m, wl->dirty.size_mib))
				wl->dirty.size_mib = 0;
			order_done(s, &wl->dirty, &m, seq);
		}
		if (!m.n || !wl->dirty.rate_mib)
			continue;
		tick_dirty(s, &m, wl->dirty.rate_mib, tick);
		if (wl->dirty.rate_mib != WL_RATE_MAX && wl_now_ns() - t0 < TICK_NS)
			wl_sleep_ns(TICK_NS - (wl_now_ns() - t0));
	}
}

void wl_counter(struct wl_slot *s)
{
	uint8_t *mem = map_anon(COUNTER_PAGES * WL_PAGE_BYTES);

	if (!mem) {
		wl_error(s, "no memory");
		return;
	}
	for (uint64_t n = 0;; n++) {
		for (int i = 0; i < COUNTER_PAGES; i++) {
			volatile uint64_t *p = (uint64_t *)(void *)(mem + i * WL_PAGE_BYTES);

			if (*p != n)
				wl_error(s, "page %d counts %llu, not %llu", i, (unsigned long long)*p,
				         (unsigned long long)n);
			*p = n + 1;
		}
		s->count = n + 1;
		wl_sleep_ns(50000000);
	}
}

/* Processes come and go: a child that execs must return the number it was given. */
void wl_forker(struct wl_slot *s)
{
	for (unsigned n = 1;; n = n % 100 + 1) {
		char arg[16];
		int st = 0;
		pid_t pid;

		snprintf(arg, sizeof(arg), "%u", n);
		pid = fork();
		if (pid == 0) {
			execl("/proc/self/exe", "workload", "child", arg, (char *)NULL);
			_exit(127);
		}
		if (pid < 0 || waitpid(pid, &st, 0) != pid)
			wl_error(s, "fork or wait: %s", strerror(errno));
		else if (!WIFEXITED(st) || WEXITSTATUS(st) != (int)n)
			wl_error(s, "child %u: wait status 0x%x", n, (unsigned)st);
		atomic_fetch_add(&s->count, 1);
		wl_sleep_ns(30000000);
	}
}

static double fpu_series(unsigned n)
{
	double a = 1.0, b = 0.5, c = 0.25, d = 0.125;

	for (unsigned i = 1; i <= n; i++) {
		a = a * 0.999999 + 1.0 / i;
		b = sqrt(b * b + a);
		c = c * 1.0000001 + b * 1e-6;
		d = fabs(d - c) + a * 0.5;
	}
	return a + b + c + d;
}

/* Values that live in vector registers for milliseconds: a move in between must not change one bit. */
void wl_fpu(struct wl_slot *s)
{
	double want = fpu_series(200000);

	for (;;) {
		double got = fpu_series(200000);

		if (memcmp(&got, &want, sizeof(got)) != 0)
			wl_error(s, "series gave %.17g, not %.17g", got, want);
		atomic_fetch_add(&s->count, 1);
		wl_sleep_ns(20000000);
	}
}

static uint64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Clocks never go back; the longest time between two looks is the blackout as the guest sees it. */
void wl_clock(struct wl_slot *s)
{
	uint64_t mono = clock_ns(CLOCK_MONOTONIC), real = clock_ns(CLOCK_REALTIME);

	for (;;) {
		uint64_t m, r;

		wl_sleep_ns(5000000);
		m = clock_ns(CLOCK_MONOTONIC);
		r = clock_ns(CLOCK_REALTIME);
		if (m < mono)
			wl_error(s, "monotonic clock went back by %llu ns", (unsigned long long)(mono - m));
		if (r + 1000000000u < real)
			wl_error(s, "wall clock went back by %llu ns", (unsigned long long)(real - r));
		if (m > mono && m - mono > wl->max_gap_ns)
			wl->max_gap_ns = m - mono;
		mono = m;
		real = r;
		s->count++;
	}
}
