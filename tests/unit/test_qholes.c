/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Holes that QEMU makes, with this kernel: what a balloon does (a hole, then madvise()) by this process' own hand, beside the scan of what was
 * written. The scan does not see a page that became a hole and was read, which is why qholes.c is there.
 */
#include "config.h"
#include "tests/unit/testutil.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "common/loop.h"
#include "common/util.h"
#include "hypervisor/logdirty/uffd.h"
#include "hypervisor/qemu/qholes.h"

#define PAGES 256u
#define P(n)  ((uint64_t)(n)*PAGE_BYTES)

static struct {
	int fd, uffd, pagemap;
	uint8_t *m;
	struct uffd_scan scan;
	bool scans; /* else removals alone are told (Linux 6.1), as for soft-dirty marks */
	struct qholes *h;
	uint64_t written[PAGES / 64], gone[PAGES / 64];
} w;

static bool bit(const uint64_t *bits, unsigned page)
{
	return bits[page / 64] >> (page % 64) & 1;
}

static int set_up(void **state)
{
	struct err err;

	(void)state;
	memset(&w, 0, sizeof(w));
	w.scans = uffd_probe(&err) == 0;
	if (!w.scans)
		printf("# nothing is scanned: %s\n", err.text);
	w.fd = memfd_create("ram", MFD_CLOEXEC);
	w.uffd = (int)syscall(SYS_userfaultfd, UFFD_USER_MODE_ONLY | O_CLOEXEC | O_NONBLOCK);
	w.pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	assert_true(w.fd >= 0 && w.uffd >= 0 && w.pagemap >= 0);
	assert_int_equal(ftruncate(w.fd, P(PAGES)), 0);
	w.m = mmap(NULL, P(PAGES), PROT_READ | PROT_WRITE, MAP_SHARED, w.fd, 0);
	assert_true(w.m != MAP_FAILED);
	memset(w.m, 0x55, P(PAGES));
	struct qholes_map map = { .start = (uint64_t)(uintptr_t)w.m, .end = (uint64_t)(uintptr_t)w.m + P(PAGES) };
	assert_int_equal(w.scans ? uffd_setup(w.uffd, true) : uffd_setup_removals(w.uffd), 0);
	assert_int_equal(qholes_new(w.uffd, &map, 1, PAGES, &w.h, &err), 0);
	assert_int_equal(uffd_register(w.uffd, map.start, map.end), 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	qholes_free(w.h);
	close(w.uffd);
	close(w.pagemap);
	munmap(w.m, P(PAGES));
	close(w.fd);
	return 0;
}

static void see(void *arg, uint64_t start, uint64_t end)
{
	(void)arg;
	for (uint64_t at = start; at < end; at += PAGE_BYTES) {
		uint64_t p = (at - (uint64_t)(uintptr_t)w.m) / PAGE_BYTES;
		w.written[p / 64] |= 1ull << (p % 64);
	}
}

static void collect(void)
{
	uint64_t at = (uint64_t)(uintptr_t)w.m;

	memset(w.written, 0, sizeof(w.written));
	memset(w.gone, 0, sizeof(w.gone));
	assert_int_equal(qholes_collect(w.h, w.gone), 0);
	if (!w.scans)
		return;
	assert_int_equal(uffd_scan(&w.scan, w.pagemap, at, at + P(PAGES), UFFD_WRITTEN, see, NULL), 0);
}

/* As ram_block_discard_range() of QEMU. */
static void take_out(unsigned page, unsigned n)
{
	assert_int_equal(fallocate(w.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)P(page), (off_t)P(n)), 0);
	assert_int_equal(madvise(w.m + P(page), P(n), MADV_DONTNEED), 0);
}

static void test_each_is_told(void **state)
{
	(void)state;
	collect();
	collect();
	assert_false(bit(w.gone, 3) || bit(w.written, 3));
	take_out(3, 1);
	take_out(70, 4);
	w.m[P(100)] = 1;
	volatile uint8_t *seen = w.m + P(3);
	assert_int_equal(*seen, 0); /* read: no hole any more */
	collect();
	for (unsigned p = 0; p < PAGES; p++)
		assert_int_equal(bit(w.gone, p), p == 3 || (p >= 70 && p < 74));
	assert_true(!w.scans || bit(w.written, 100));
	/* told once, and what is written there is seen as anywhere */
	w.m[P(71)] = 1;
	collect();
	assert_true(!w.scans || bit(w.written, 71));
	for (unsigned p = 0; p < PAGES; p++)
		assert_false(bit(w.gone, p));
}

static void *take_out_all(void *arg)
{
	(void)arg;
	for (unsigned p = 0; p < PAGES; p++)
		take_out(p, 1);
	return NULL;
}

/* What was done before a collection is in it or in an earlier one, however the threads run. */
static void test_none_is_lost(void **state)
{
	uint64_t all[PAGES / 64] = { 0 };
	pthread_t t;

	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		memset(all, 0, sizeof(all));
		assert_int_equal(pthread_create(&t, NULL, take_out_all, NULL), 0);
		for (unsigned k = 0; k < 5; k++)
			assert_int_equal(qholes_collect(w.h, all), 0);
		assert_int_equal(pthread_join(t, NULL), 0);
		assert_int_equal(qholes_collect(w.h, all), 0);
		for (unsigned p = 0; p < PAGES; p++)
			assert_true(bit(all, p));
	}
}

/* Who makes a hole while nobody listens any more does not wait for ever. */
static void test_end(void **state)
{
	pthread_t t;

	(void)state;
	qholes_free(w.h);
	w.h = NULL;
	assert_int_equal(pthread_create(&t, NULL, take_out_all, NULL), 0);
	usleep(20000);
	close(w.uffd);
	assert_int_equal(pthread_join(t, NULL), 0);
	w.uffd = open("/dev/null", O_RDONLY | O_CLOEXEC); /* for tear_down() */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_each_is_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_none_is_lost, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_end, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
