/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A disk of a domain that needs this host's lease: nothing reaches the image while that is over, by whichever way; all does when it goes on. */
#include "config.h"
#include "tests/unit/devfixture.h"
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "common/util.h"

static struct deadline_page *guard, *page;

static void lease(bool on)
{
	struct moment at = { on ? boot_ns() + 600 * NS_PER_S : boot_ns(), 0 };

	deadline_page_set(guard, &at);
}

static void prepare(void)
{
	_cleanup_free_ char *dir = xasprintf("%s/cluster/managed", fx.dir), *path = xasprintf("%s/unit", dir);
	struct moment at = { 0 };
	struct err err;

	setenv("HOSPES_RUNDIR", fx.dir, 1);
	assert_int_equal(mkdir_p(dir, 0700), 0);
	assert_int_equal(file_write_atomic(path, "x", 1, 0600), 0);
	assert_int_equal(deadline_page_make(&at, &guard, &err), 0);
	assert_int_equal(deadline_page_of("unit", &page, &err), 0);
	lease(true);
	fx.page = page;
}

static int setup(void **state)
{
	fx.prepare = prepare;
	return fx_setup(state);
}

static int setup_worker(void **state)
{
	setenv("HOSPES_IO_URING", "0", 1);
	int r = setup(state);
	unsetenv("HOSPES_IO_URING");
	return r;
}

static int teardown(void **state)
{
	int r = fx.dir ? fx_teardown(state) : 0;

	deadline_page_free(page);
	deadline_page_free(guard);
	fx.page = page = guard = NULL;
	fx.prepare = NULL;
	return r;
}

/* The first octet of the image at @sector, as the disk has it. */
static int on_disk(uint64_t sector)
{
	_cleanup_close_ int fd = open(fx.cfg.disk[0].source, O_RDONLY | O_CLOEXEC);
	uint8_t c;

	return pread(fd, &c, 1, (off_t)sector * 512) == 1 ? c : -1;
}

/* A request that is not waited for: fx_blk() in two parts. */
static void order(uint32_t type, uint64_t sector, uint32_t len, unsigned n)
{
	const uint64_t at = FX_DATA - 0x10000 + (uint64_t)n * 0x1000;
	uint64_t seg[3][2] = { { at, 16 }, { FX_DATA, len }, { at + 0x800, 1 } };

	memcpy(fx.mem.base + at, &type, 4);
	memcpy(fx.mem.base + at + 8, &sector, 8);
	fx.mem.base[at + 0x800] = 0xee;
	if (!len)
		memcpy(seg[1], seg[2], sizeof(seg[1]));
	vdriver_chain(&fx.drv[VDA][0], 1 + (len != 0), 1, (const uint64_t(*)[2])seg);
	fx_kick(VDA, 0);
}

static uint8_t status(unsigned n)
{
	return fx.mem.base[FX_DATA - 0x10000 + (uint64_t)n * 0x1000 + 0x800];
}

static void test_held(void **state)
{
	struct {
		uint64_t sector;
		uint32_t n, flags;
	} range = { 0, 8, 0 };
	(void)state;

	fx_attach(VDA);
	memset(fx.mem.base + FX_DATA, 0x11, 4096);
	assert_int_equal(fx_blk(1, 0, 4096), 0);
	assert_int_equal(fx_blk(1, 64, 4096), 0);
	uint16_t before = vdriver_used_idx(&fx.drv[VDA][0]);
	lease(false);
	memset(fx.mem.base + FX_DATA, 0x22, 4096);
	order(1, 0, 4096, 0);
	order(4, 0, 0, 1);
	fx_settle(VDA);
	memcpy(fx.mem.base + FX_DATA + 4096, &range, sizeof(range));
	usleep(150000);
	assert_int_equal(vdriver_used_idx(&fx.drv[VDA][0]), before);
	assert_int_equal(on_disk(0), 0x11);
	assert_int_equal(status(0), 0xee);
	/* another lease: it goes on as if nothing had been */
	lease(true);
	fx_wait_used(VDA, 0, (uint16_t)(before + 2));
	assert_int_equal(status(0), 0);
	assert_int_equal(status(1), 0);
	assert_int_equal(on_disk(0), 0x22);
	/* zeroes and holes go another way */
	for (uint32_t type = 11; type <= 13; type += 2) {
		before = vdriver_used_idx(&fx.drv[VDA][0]);
		memset(fx.mem.base + FX_DATA, 0x33, 4096);
		assert_int_equal(fx_blk(1, 0, 4096), 0);
		lease(false);
		memcpy(fx.mem.base + FX_DATA, &range, sizeof(range));
		order(type, 0, 16, 2);
		fx_settle(VDA);
		usleep(100000);
		assert_int_equal(vdriver_used_idx(&fx.drv[VDA][0]), (uint16_t)(before + 1));
		assert_int_equal(on_disk(0), 0x33);
		lease(true);
		fx_wait_used(VDA, 0, (uint16_t)(before + 2));
		assert_int_equal(status(2), 0);
		assert_int_equal(on_disk(0), 0);
	}
}

/* The guest's disk is to be quiet, which takes what is held back; and then it is let go. */
static void test_quiesce(void **state)
{
	(void)state;
	fx_attach(VDA);
	assert_int_equal(fx_blk(1, 0, 4096), 0);
	uint16_t before = vdriver_used_idx(&fx.drv[VDA][0]);
	lease(false);
	memset(fx.mem.base + FX_DATA, 0x44, 4096);
	order(1, 0, 4096, 0);
	fx_settle(VDA);
	struct err err;
	assert_int_equal(devs_sync(fx.devs, &err), -ETIME);
	pid_t later = fork();
	if (!later) {
		usleep(300000);
		lease(true);
		_exit(0);
	}
	assert_int_equal(devs_quiesce(fx.devs, NULL), 0);
	assert_int_equal(waitpid(later, NULL, 0), later);
	assert_int_equal(vdriver_used_idx(&fx.drv[VDA][0]), (uint16_t)(before + 1));
	assert_int_equal(on_disk(0), 0x44);
	assert_int_equal(devs_sync(fx.devs, NULL), 0);
}

/* The end of a domain does not wait for a lease, and writes nothing. */
static void test_end(void **state)
{
	_cleanup_free_ char *image = NULL;
	(void)state;

	fx_attach(VDA);
	memset(fx.mem.base + FX_DATA, 0x11, 4096);
	assert_int_equal(fx_blk(1, 0, 4096), 0);
	lease(false);
	memset(fx.mem.base + FX_DATA, 0x55, 4096);
	order(1, 0, 4096, 0);
	order(4, 0, 0, 1);
	order(1, 64, 4096, 2);
	fx_settle(VDA);
	uint64_t at = boot_ns();
	devs_free(fx.devs);
	fx.devs = NULL;
	assert_true(boot_ns() < at + 3 * NS_PER_S);
	assert_int_equal(on_disk(0), 0x11);
	assert_int_equal(on_disk(64), 0);
}

/* What it costs: printed, and bounded generously. */
static void test_cost(void **state)
{
	enum { N = 1000000 };
	unsigned over = 0;
	(void)state;

	uint64_t at = boot_ns();
	for (unsigned i = 0; i < N; i++)
		over += deadline_page_over(page);
	at = (boot_ns() - at) / N;
	print_message("a look at the deadline takes %lu ns\n", (unsigned long)at);
	assert_int_equal(over, 0);
	assert_true(at < 10000);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define W(f)                                                                                                           \
	{                                                                                                              \
#f " (worker)", f, setup_worker, teardown, NULL                                                        \
	}
	const struct CMUnitTest tests[] = {
		T(test_held), W(test_held), T(test_quiesce), W(test_quiesce), T(test_end), W(test_end), T(test_cost),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
