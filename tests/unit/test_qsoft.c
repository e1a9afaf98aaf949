/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Soft-dirty marks: what is believed of the host, by files that say so; and, with a kernel that has marks (Debian's 6.1: `make check-kernels`),
 * tracking of a process in QEMU's place, which maps a memory file and writes to it.
 */
#include "config.h"
#include "tests/unit/testutil.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "common/loop.h"
#include "common/util.h"
#include "hypervisor/api/hypercall.h"
#include "hypervisor/logdirty/softdirty.h"
#include "tests/unit/trackguest.h"

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

/* The host --------------------------------------------------------------------------------------------------------------- */

struct host {
	const char *what, *swap, *scanned, *made, *huge, *shmem, *l1tf, *release;
	bool good;
};

#define GOOD_HOST "0", "17", "3", "0", "always within_size advise [never] deny force", "Not affected", "6.1.0-57-amd64"

static void put(const char *path, const char *text)
{
	_cleanup_free_ char *full = xasprintf("%s%s", test_dir, path);

	for (char *p = strchr(full + strlen(test_dir) + 1, '/'); p; p = strchr(p + 1, '/')) {
		*p = 0;
		(void)!mkdir(full, 0700);
		*p = '/';
	}
	if (!text)
		(void)!unlink(full);
	else
		assert_int_equal(file_write_atomic(full, text, strlen(text), 0600), 0);
}

static void put_host(const struct host *h)
{
	_cleanup_free_ char *mem = xasprintf("MemTotal: 1 kB\nSwapTotal:       %s kB\nShmemHugePages: %s kB\n", h->swap,
	                                     h->huge);
	_cleanup_free_ char *stat = xasprintf("pgscan_direct 5\npgscan_anon %s\nthp_file_alloc %s\n", h->scanned,
	                                      h->made);

	put("/proc/meminfo", mem);
	put("/proc/vmstat", stat);
	put("/sys/kernel/mm/transparent_hugepage/shmem_enabled", h->shmem);
	put("/sys/devices/system/cpu/vulnerabilities/l1tf", h->l1tf);
	put("/proc/sys/kernel/osrelease", h->release);
}

static void test_hosts(void **state)
{
	static const struct host hosts[] = {
		{ "good", GOOD_HOST, true },
		{ "no huge pages in this kernel", "0", "17", "3", "0", NULL, "Not affected", "6.1.0", true },
		{ "huge pages denied", "0", "17", "3", "0", "always [deny] force", "Not affected", "6.1.0", true },
		{ "swap", "4", "17", "3", "0", "[never]", "Not affected", "6.1.0", false },
		{ "huge pages", "0", "17", "3", "2048", "[never]", "Not affected", "6.1.0", false },
		{ "huge pages to come", "0", "17", "3", "0", "[always] never", "Not affected", "6.1.0", false },
		{ "huge pages on advice, which QEMU gives", "0", "17", "3", "0", "[advise] never", "Not affected",
		  "6.1.0", false },
		{ "L1TF", "0", "17", "3", "0", "[never]", "Mitigation: PTE Inversion", "6.1.0", false },
		{ "nothing said of L1TF", "0", "17", "3", "0", "[never]", NULL, "6.1.0", false },
		{ "an earlier kernel", "0", "17", "3", "0", "[never]", "Not affected", "5.15.0", false },
		{ "a later kernel", "0", "17", "3", "0", "[never]", "Not affected", "6.12.9+deb12", false },
		{ "the last one", "0", "17", "3", "0", "[never]", "Not affected", "6.6.30", true },
	};
	static struct softdirty s;
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
		put_host(&hosts[i]);
		int r = softdirty_begin(&s, test_dir, &err);
		if (r != (hosts[i].good ? 0 : -ENOTSUP))
			fail_msg("%s: %d", hosts[i].what, r);
		if (hosts[i].good && !softdirty_sure(&s))
			fail_msg("%s: not sure: %s", hosts[i].what, s.unsure);
	}
	put("/proc/vmstat", "pgscan_direct 5\n");
	put_host(&hosts[0]);
	put("/proc/meminfo", NULL);
	assert_int_equal(softdirty_begin(&s, test_dir, &err), -ENOTSUP);
}

static void test_hosts_change(void **state)
{
	static const struct host good = { "", GOOD_HOST, true }, changes[] = {
		{ "swap", "4", "17", "3", "0", "[never]", "Not affected", "6.1.0", false },
		{ "it swapped", "0", "18", "3", "0", "[never]", "Not affected", "6.1.0", false },
		{ "a huge page was made", "0", "17", "4", "0", "[never]", "Not affected", "6.1.0", false },
		{ "a huge page", "0", "17", "3", "2048", "[never]", "Not affected", "6.1.0", false },
		{ "huge pages to come", "0", "17", "3", "0", "[within_size] never", "Not affected", "6.1.0", false },
	};
	static struct softdirty s;
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		put_host(&good);
		assert_int_equal(softdirty_begin(&s, test_dir, &err), 0);
		assert_true(softdirty_sure(&s));
		put_host(&changes[i]);
		if (softdirty_sure(&s))
			fail_msg("%s: it is sure", changes[i].what);
		put_host(&good);
		if (softdirty_sure(&s))
			fail_msg("%s: it is sure again", changes[i].what);
	}
}

/* A guest ---------------------------------------------------------------------------------------------------------------- */

#define w trackguest

static bool has_marks(void)
{
	struct err err;
	int r = qtrack_soft.probe(&w.g, &w.m, &err);

	if (r < 0)
		print_message("no tracking by marks here: %s\n", err.text);
	return r == 0;
}

static void test_nothing_is_missed(void **state)
{
	struct logdirty_stats st;
	uint64_t rounds = getenv("HOSPES_ROUNDS") ? strtoull(getenv("HOSPES_ROUNDS"), NULL, 10) : 40, live = 0,
		 last = 0;

	(void)state;
	if (!has_marks())
		skip();
	trackguest_begin(&qtrack_soft);
	for (uint64_t i = 0; i < rounds; i++) {
		uint64_t wrote = w.o->writes;
		live += trackguest_collect(false);
		while (w.o->writes < wrote + 4)
			usleep(500);
		trackguest_hold(true);
		last += trackguest_collect(true);
		assert_int_equal(trackguest_audit(), 0);
		trackguest_hold(false);
	}
	/* it found them by the marks, and not by looking at everything */
	logdirty_stats(w.l, &st);
	print_message("%lu pages while it ran, %lu while it stood; %lu of %lu looks were at everything\n", live, last,
	              st.whole, st.collections);
	assert_int_equal(st.whole, 1);
	assert_true(last < rounds * TRACKGUEST_PAGES / 2);
	/* what no collection saw, the audit does */
	while (!trackguest_audit())
		usleep(1000);
	trackguest_hold(true);
}

/* A page that leaves the table takes its mark along: the reason for all that is asked of the host. */
static void test_marks_get_lost(void **state)
{
	(void)state;
	if (!has_marks())
		skip();
	/* a page that is in no other table */
	_cleanup_close_ int fd = memfd_create("page", MFD_CLOEXEC);
	assert_int_equal(ftruncate(fd, PAGE_BYTES), 0);
	uint8_t *m = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	_cleanup_close_ int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC),
			    clear = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
	uint64_t at = (uint64_t)(uintptr_t)m;

	assert_true(m != MAP_FAILED);
	*m = 1;
	assert_int_equal(softdirty_has(pagemap, at), 1);
	assert_int_equal(softdirty_clear(clear), 0);
	assert_int_equal(softdirty_has(pagemap, at), 0);
	*m = 2;
	assert_int_equal(softdirty_has(pagemap, at), 1);
	assert_int_equal(madvise(m, PAGE_BYTES, MADV_PAGEOUT), 0);
	assert_int_equal(*(volatile uint8_t *)m, 2);
	assert_int_equal(softdirty_has(pagemap, at), 0);
	munmap(m, PAGE_BYTES);
}

/* Who was stopped by somebody else is not let go. */
static void test_stopped_by_others(void **state)
{
	siginfo_t si;
	struct err err;
	uint64_t n;

	(void)state;
	if (!has_marks())
		skip();
	trackguest_begin(&qtrack_soft);
	kill(w.pid, SIGSTOP);
	assert_int_equal(waitid(P_PID, (id_t)w.pid, &si, WSTOPPED), 0);
	uint64_t wrote = w.o->writes;
	assert_int_equal(logdirty_collect(w.l, false, true, w.bits, &n, &err), -EBUSY);
	usleep(20000);
	assert_int_equal(w.o->writes, wrote);
	kill(w.pid, SIGCONT);
	while (w.o->writes == wrote)
		usleep(1000);
	trackguest_collect(false);
	trackguest_hold(true);
	trackguest_collect(true);
	assert_int_equal(trackguest_audit(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_hosts, test_dir_setup, test_dir_teardown),
		cmocka_unit_test_setup_teardown(test_hosts_change, test_dir_setup, test_dir_teardown),
		cmocka_unit_test_setup_teardown(test_nothing_is_missed, trackguest_up, trackguest_down),
		cmocka_unit_test_setup_teardown(test_marks_get_lost, trackguest_up, trackguest_down),
		cmocka_unit_test_setup_teardown(test_stopped_by_others, trackguest_up, trackguest_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
