/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A kernel that keeps the io thread itself in io_uring_enter(), as those before 6.12 do with a write to a frozen file system: what the main
 * thread asks of the devices ends in time, with the disk's name, nothing of it happens later, and when the kernel lets go all goes on. And one
 * that refuses a submission for now: it is made again.
 */
#include "config.h"
#include "tests/unit/devfixture.h"

#include <errno.h>
#include <liburing.h>
#include <unistd.h>

#include "common/loop.h"
#include "common/util.h"

static atomic_int blocked, entered, refusals;

int __real_io_uring_submit(struct io_uring *ring);
int __wrap_io_uring_submit(struct io_uring *ring);
int __wrap_io_uring_submit(struct io_uring *ring)
{
	atomic_store(&entered, 1);
	while (atomic_load(&blocked))
		usleep(1000);
	if (atomic_load(&refusals) > 0) {
		atomic_fetch_sub(&refusals, 1);
		return -EAGAIN;
	}
	return __real_io_uring_submit(ring);
}

static int set_up(void **state)
{
	unsetenv("HOSPES_IO_URING");
	atomic_store(&blocked, 0);
	atomic_store(&entered, 0);
	atomic_store(&refusals, 0);
	return fx_setup(state);
}

static int tear_down(void **state)
{
	atomic_store(&blocked, 0);
	return fx_teardown(state);
}

/* A write of one sector, without waiting. */
static void put(void)
{
	const uint64_t seg[3][2] = { { FX_DATA, 16 }, { FX_DATA + 0x1000, 512 }, { FX_DATA + 0x20, 1 } };
	uint32_t type = 1;

	memset(fx.mem.base + FX_DATA, 0, 16);
	memcpy(fx.mem.base + FX_DATA, &type, 4);
	fx.mem.base[FX_DATA + 0x20] = 0xee;
	vdriver_chain(&fx.drv[VDA][0], 2, 1, seg);
	fx_kick(VDA, 0);
}

static void test_orders_end(void **state)
{
	struct err err = { 0 };
	struct hv_stats st = { 0 };
	const char *name = "";
	uint64_t age = 0, begun;
	(void)state;

	fx_attach(VDA);
	atomic_store(&blocked, 1);
	put();
	for (unsigned i = 0; i < 2000 && !atomic_load(&entered); i++)
		usleep(1000);
	if (!atomic_load(&entered))
		skip(); /* no io_uring here: its disks have the worker, which is no device's thread */
	/* SUSPEND and all that needs the devices to stand still: an order's limit is 10 s, on a slow machine as well */
	begun = now_ns();
	assert_int_equal(devs_quiesce_begin(fx.devs, &err), -ETIMEDOUT);
	assert_true(now_ns() - begun < 10 * NS_PER_S);
	assert_non_null(strstr(err.text, "waits for storage"));
	assert_true(devs_waits(fx.devs, &name, &age));
	assert_string_equal(name, "vda");
	assert_true(age > 0);
	/* what INFO and STATS tell */
	begun = now_ns();
	devs_stats(fx.devs, &st);
	assert_true(now_ns() - begun < 5 * NS_PER_S);
	assert_int_equal(fx.mem.base[FX_DATA + 0x20], 0xee);
	atomic_store(&blocked, 0);
	fx_wait_used(VDA, 0, 1);
	assert_int_equal(fx.mem.base[FX_DATA + 0x20], 0);
	/* the order that was given up has no effect: the disk serves on */
	assert_int_equal(fx_blk(1, 8, 512), 0);
	assert_int_equal(devs_quiesce(fx.devs, &err), 0);
	assert_false(devs_waits(fx.devs, &name, &age));
}

/* The guest goes on with a request that came meanwhile: what runs into the kernel is the io thread, not the order that let it go on. */
static void test_resume_does_not_wait(void **state)
{
	struct err err = { 0 };
	(void)state;

	fx_attach(VDA);
	assert_int_equal(fx_blk(1, 8, 512), 0);
	if (!atomic_load(&entered))
		skip();
	assert_int_equal(devs_quiesce(fx.devs, &err), 0);
	put();
	atomic_store(&blocked, 1);
	alarm(60); /* it would wait for ever */
	assert_int_equal(devs_resume(fx.devs, true, &err), 0);
	assert_int_equal(devs_quiesce_begin(fx.devs, &err), -ETIMEDOUT);
	alarm(0);
	assert_int_equal(fx.mem.base[FX_DATA + 0x20], 0xee);
	atomic_store(&blocked, 0);
	fx_wait_used(VDA, 0, 2);
	assert_int_equal(fx.mem.base[FX_DATA + 0x20], 0);
	assert_int_equal(devs_quiesce(fx.devs, &err), 0);
}

/* A kernel that has no memory for a request, while none is under way whose end would be the time to try again. */
static void test_refused(void **state)
{
	(void)state;

	fx_attach(VDA);
	assert_int_equal(fx_blk(1, 8, 512), 0);
	if (!atomic_load(&entered))
		skip();
	atomic_store(&refusals, 3);
	put();
	fx_wait_used(VDA, 0, 2);
	assert_int_equal(fx.mem.base[FX_DATA + 0x20], 0);
	assert_int_equal(atomic_load(&refusals), 0);
	/* also when the guest is to stand still meanwhile */
	atomic_store(&refusals, 3);
	put();
	fx_settle(VDA);
	assert_int_equal(devs_quiesce(fx.devs, NULL), 0);
	assert_int_equal(vdriver_used_idx(&fx.drv[VDA][0]), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test_setup_teardown(test_orders_end, set_up, tear_down),
		                            cmocka_unit_test_setup_teardown(test_resume_does_not_wait, set_up,
		                                                            tear_down),
		                            cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
