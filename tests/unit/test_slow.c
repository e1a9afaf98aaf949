/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Steps that may wait for storage: done in place, later, never. */
#include "config.h"
#include "tests/unit/testutil.h"

#include <stdatomic.h>
#include <unistd.h>
#include "common/util.h"
#include "hypervisor/slow.h"

static struct loop *loop;
static struct slow *s;
static atomic_int work_ms, stuck, committed;
static int told, result;

static int work(void *arg, struct err *err)
{
	int *ret = arg;

	while (atomic_load(&stuck))
		usleep(1000);
	usleep((unsigned)atomic_load(&work_ms) * 1000);
	return *ret ? err_sys(err, -*ret, "work") : 0;
}

static int work_committed(void *arg, struct err *err)
{
	atomic_store(&committed, slow_commit(s) ? 1 : -1);
	return work(arg, err);
}

static int work_late_commit(void *arg, struct err *err)
{
	int r = work(arg, err);

	atomic_store(&committed, slow_commit(s) ? 1 : -1);
	return r;
}

static void then(void *arg, int r, const struct err *err)
{
	(void)arg, (void)err;
	told++;
	result = r;
}

static int set_up(void **state)
{
	(void)state;
	told = result = 0;
	atomic_store(&work_ms, 0);
	atomic_store(&stuck, 0);
	atomic_store(&committed, 0);
	loop = loop_new();
	s = slow_new(loop);
	return s ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	slow_free(s);
	loop_free(loop);
	return 0;
}

static void run_until(bool (*ok)(void))
{
	for (int i = 0; i < 500 && !ok(); i++)
		(void)loop_run_once(loop, 10);
	assert_true(ok());
}

static bool is_told(void)
{
	return told > 0;
}

static bool is_idle(void)
{
	return !slow_busy(s);
}

static void quick(void **state)
{
	int ret = 0;
	struct slow_job job = { .work = work, .then = then, .arg = &ret, .limit_ns = NS_PER_S };
	struct err err = { 0 };
	(void)state;

	assert_int_equal(slow_run(s, &job, &err), 0);
	ret = -EIO;
	assert_int_equal(slow_run(s, &job, &err), -EIO);
	assert_int_equal(err.code, EIO);
	assert_false(slow_busy(s));
	assert_int_equal(told, 0);
}

static void later(void **state)
{
	int ret = -EIO;
	struct slow_job job = { .work = work, .then = then, .arg = &ret, .limit_ns = 5 * NS_PER_S };
	(void)state;

	atomic_store(&work_ms, 500);
	assert_int_equal(slow_run(s, &job, NULL), -EINPROGRESS);
	assert_true(slow_busy(s));
	assert_int_equal(slow_run(s, &job, NULL), -EBUSY);
	run_until(is_told);
	assert_int_equal(result, -EIO);
	assert_false(slow_busy(s));
}

static void stuck_until_its_limit(void **state)
{
	int ret = 0;
	struct slow_job job = { .work = work_late_commit, .then = then, .arg = &ret, .limit_ns = NS_PER_S };
	uint64_t t0 = now_ns();
	(void)state;

	atomic_store(&stuck, 1);
	assert_int_equal(slow_run(s, &job, NULL), -EINPROGRESS);
	run_until(is_told);
	assert_int_equal(result, -ETIMEDOUT);
	assert_true(now_ns() - t0 >= 900 * NS_PER_MS && now_ns() - t0 < 4 * NS_PER_S);
	assert_int_equal(slow_run(s, &job, NULL), -EBUSY);
	/* what was given up has no effect, and nobody hears of its end */
	atomic_store(&stuck, 0);
	run_until(is_idle);
	assert_int_equal(atomic_load(&committed), -1);
	assert_int_equal(told, 1);
	assert_int_equal(slow_run(s, &job, NULL), 0);
	assert_int_equal(atomic_load(&committed), 1);
}

static void committed_has_no_limit(void **state)
{
	int ret = 0;
	struct slow_job job = { .work = work_committed, .then = then, .arg = &ret, .limit_ns = 400 * NS_PER_MS };
	(void)state;

	atomic_store(&work_ms, 1200);
	assert_int_equal(slow_run(s, &job, NULL), -EINPROGRESS);
	assert_false(slow_give_up(s));
	run_until(is_told);
	assert_int_equal(result, 0);
	assert_int_equal(atomic_load(&committed), 1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	static const struct CMUnitTest tests[] = { T(quick), T(later), T(stuck_until_its_limit),
		                                   T(committed_has_no_limit) };

	return cmocka_run_group_tests_name("slow", tests, NULL, NULL);
}
