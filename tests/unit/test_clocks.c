/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Moments on two clocks, the rate of the second one, and the page in which the guard says until when domains may run. */
#include "config.h"
#include "tests/unit/testutil.h"
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "clusterd/guard/deadline.h"
#include "common/util.h"

#define S NS_PER_S

static void test_moment(void **state)
{
	static const struct {
		struct moment deadline, now;
		bool over;
	} t[] = {
		{ { 0, 0 }, { 1, 1 }, true },
		{ { 100, 0 }, { 99, UINT64_MAX }, false },
		{ { 100, 0 }, { 100, 0 }, true },
		{ { 100, 50 }, { 99, 49 }, false },
		{ { 100, 50 }, { 20, 50 }, true }, /* CLOCK_BOOTTIME stood still */
		{ { 100, 50 }, { 100, 3 }, true }, /* the counter began anew */
		{ { 100, MOMENT_OVER_TSC }, { 1, 1 }, true },
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		assert_int_equal(moment_over(&t[i].deadline, &t[i].now), t[i].over);
	struct moment now = moment_now(), far = { now.boot_ns + 60 * S, 0 },
		      soon = { now.boot_ns + 60 * S, UINT64_MAX };
	assert_in_range(deadline_now_ns(&far, 10 * S, 1000), now.boot_ns, now.boot_ns + S);
	assert_in_range(deadline_now_ns(&soon, 10 * S, 0), now.boot_ns, now.boot_ns + S);
	if (!now.tsc)
		return;
	soon.tsc = now.tsc + (UINT64_MAX - now.tsc) / 2; /* within @before_ticks, and over */
	assert_int_equal(deadline_now_ns(&soon, 10 * S, soon.tsc - now.tsc), soon.boot_ns - 10 * S);
	soon.tsc = now.tsc;
	assert_int_equal(deadline_now_ns(&soon, 10 * S, 0), soon.boot_ns);
}

/* A clock of 2.4 GHz: samples at @raw_ns, after the machine was paused for @paused_ns in all. */
static void sample(struct tsc_rate *r, uint64_t raw_ns, uint64_t paused_ns)
{
	tsc_rate_sample(r, raw_ns, (raw_ns + paused_ns) / 5 * 12, raw_ns + 200);
}

static void test_rate(void **state)
{
	struct tsc_rate r = { 0 };
	(void)state;

	assert_int_equal(tsc_rate_ticks(&r, S), 0);
	sample(&r, 100 * S, 0);
	assert_int_equal(tsc_rate_ticks(&r, S), 0);
	sample(&r, 100 * S + NS_PER_MS, 0); /* too soon to tell anything */
	assert_int_equal(tsc_rate_ticks(&r, S), 0);
	/* the first window has a pause in it: far too many ticks. The next says better */
	sample(&r, 100 * S + 10 * NS_PER_MS, 30 * S);
	assert_true(tsc_rate_ticks(&r, S) > 7000000000000ull);
	for (unsigned i = 2; i < 6; i++)
		sample(&r, 100 * S + i * 10 * NS_PER_MS, 30 * S);
	assert_in_range(tsc_rate_ticks(&r, S), 2390000000ull, 2400000000ull);
	/* never up again, whatever one window says */
	sample(&r, 200 * S, 90 * S);
	assert_in_range(tsc_rate_ticks(&r, S), 2390000000ull, 2400000000ull);
	/* a counter that began anew, or was set to little more than it was, tells nothing; nor does a sample that took long */
	tsc_rate_sample(&r, 210 * S, 1000, 210 * S + 100);
	sample(&r, 220 * S, 0);
	tsc_rate_sample(&r, 230 * S, r.tsc + 1000, 230 * S + 100);
	tsc_rate_sample(&r, 240 * S, r.tsc + 1000, 250 * S);
	assert_in_range(tsc_rate_ticks(&r, S), 2390000000ull, 2400000000ull);
	/* but what goes on so is true */
	for (unsigned i = 0; i < 3; i++)
		tsc_rate_sample(&r, (300 + i) * S, 1000 * S + i * 2 * S, (300 + i) * S + 100);
	assert_in_range(tsc_rate_ticks(&r, S), 2390000000ull, 2400000000ull);
	tsc_rate_sample(&r, 303 * S, 1006 * S, 303 * S + 100);
	assert_in_range(tsc_rate_ticks(&r, S), 1990000000ull, 2000000000ull);
}

static void test_rate_of_this_machine(void **state)
{
	struct tsc_rate r = { 0 };
	struct timespec t = { .tv_nsec = 200000000 };
	bool use;
	(void)state;

	assert_int_equal(setenv("HOSPES_CLOCKS", "boottime", 1), 0);
	assert_int_equal(clocks_look(&use), CLOCKS_MAY_STOP);
	assert_false(use);
	assert_int_equal(setenv("HOSPES_CLOCKS", "trusted", 1), 0);
	assert_int_equal(clocks_look(&use), CLOCKS_VOUCHED_FOR);
	unsetenv("HOSPES_CLOCKS");
	if (!tsc_runs_on())
		skip(); /* needs a processor with an invariant TSC */
	assert_int_equal(clocks_look(&use), CLOCKS_RUN_ON);
	assert_true(use);
	tsc_rate_measure(&r);
	uint64_t tsc = tsc_read(), at = boot_ns();
	nanosleep(&t, NULL);
	uint64_t took = boot_ns() - at;
	tsc = tsc_read() - tsc;
	/* on the safe side, and not by much */
	assert_in_range(tsc_rate_ticks(&r, took), tsc / 100 * 97, tsc);
}

/* The page ------------------------------------------------------------------------------------------------------------- */

static int setup(void **state)
{
	int r = test_dir_setup(state);
	_cleanup_free_ char *d = xasprintf("%s/cluster/managed", test_dir);

	return r == 0 ? mkdir_p(d, 0700) : r;
}

static void mark(const char *name)
{
	_cleanup_free_ char *path = xasprintf("%s/cluster/managed/%s", test_dir, name);

	assert_int_equal(file_write_atomic(path, "x", 1, 0600), 0);
}

static void test_page(void **state)
{
	struct deadline_page *guard = NULL, *hvdom = NULL, *other = NULL;
	_cleanup_free_ char *path = xasprintf("%s/cluster/deadline.page", test_dir);
	struct moment at = { boot_ns() + 60 * S, 0 }, got;
	struct err err;
	(void)state;

	/* a domain of nobody's needs none; one of the cluster's does */
	assert_int_equal(deadline_page_of("alone", &hvdom, &err), 0);
	assert_null(hvdom);
	assert_false(deadline_page_over(NULL));
	mark("a");
	assert_int_equal(deadline_page_of("a", &hvdom, &err), -ENOENT);
	assert_int_equal(deadline_page_make(&at, &guard, &err), 0);
	assert_int_equal(deadline_page_of("a", &hvdom, &err), 0);
	assert_non_null(hvdom);
	deadline_page_get(hvdom, &got);
	assert_int_equal(got.boot_ns, at.boot_ns);
	assert_false(deadline_page_over(hvdom));
	deadline_page_set(guard, &(struct moment){ boot_ns(), 0 });
	assert_true(deadline_page_over(hvdom));
	/* another guard says what it knows, in the same place */
	deadline_page_free(guard);
	assert_true(deadline_page_over(hvdom));
	assert_int_equal(deadline_page_make(&at, &guard, &err), 0);
	assert_false(deadline_page_over(hvdom));
	/* damage ends everything, and a guard that comes mends it */
	int fd = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "x", 1, 0), 1);
	assert_true(deadline_page_over(hvdom));
	assert_int_equal(deadline_page_of("a", &other, &err), -EINVAL);
	assert_null(other);
	deadline_page_free(guard);
	assert_int_equal(deadline_page_make(&at, &guard, &err), 0);
	assert_false(deadline_page_over(hvdom));
	/* so does the page of another boot, or one that is too short */
	assert_int_equal(pwrite(fd, "another-boot", 12, 16), 12);
	assert_int_equal(deadline_page_of("a", &other, &err), -EINVAL);
	assert_int_equal(pwrite(fd, "", 1, 0), 1);
	close(fd);
	deadline_page_free(hvdom);
	deadline_page_free(guard);
	assert_int_equal(truncate(path, 50), 0);
	assert_int_equal(deadline_page_of("a", &other, &err), -EINVAL);
}

static atomic_bool enough;
static atomic_uint looked;

/* Whatever the writer is about, a reader sees what was said together. */
static void *look(void *arg)
{
	while (!atomic_load(&enough)) {
		struct moment m;

		deadline_page_get(arg, &m);
		if (m.tsc != ~m.boot_ns)
			return arg; /* torn */
		atomic_fetch_add(&looked, 1);
	}
	return NULL;
}

static void test_page_whole(void **state)
{
	struct deadline_page *guard = NULL, *hvdom = NULL;
	struct moment at = { 1, ~1ull };
	struct err err;
	pthread_t t;
	void *r;
	(void)state;

	mark("a");
	assert_int_equal(deadline_page_make(&at, &guard, &err), 0);
	assert_int_equal(deadline_page_of("a", &hvdom, &err), 0);
	assert_int_equal(pthread_create(&t, NULL, look, hvdom), 0);
	for (uint64_t i = 2; i < 200000 || atomic_load(&looked) < 1000; i++) {
		/* no faster than they are looked at, or it gives up and takes it for over */
		deadline_page_set(guard, &(struct moment){ i, ~i });
		for (volatile unsigned k = 0; k < 200; k++)
			;
	}
	atomic_store(&enough, true);
	assert_int_equal(pthread_join(t, &r), 0);
	assert_null(r); /* nothing torn */
	deadline_page_free(hvdom);
	deadline_page_free(guard);
}

int main(void)
{
#define P(f) cmocka_unit_test_setup_teardown(f, setup, test_dir_teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_moment),
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_rate_of_this_machine),
		P(test_page),
		P(test_page_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
