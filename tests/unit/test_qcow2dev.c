/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest's block device on a qcow2 image: its size, whose it is, what is marked, a full disk, the end. Images
 * themselves: test_qcow2.c.
 */
#include "config.h"
#include "tests/unit/devfixture.h"

#include <fcntl.h>
#include <sys/uio.h>
#include "common/util.h"

#define T_IN    0u
#define T_OUT   1u
#define T_FLUSH 4u

static atomic_int write_err;

#define WRAP(name)                                                                                                     \
	ssize_t __real_##name(int fd, const struct iovec *v, int n, off_t at, int fl);                                 \
	ssize_t __wrap_##name(int fd, const struct iovec *v, int n, off_t at, int fl);                                 \
	ssize_t __wrap_##name(int fd, const struct iovec *v, int n, off_t at, int fl)                                  \
	{                                                                                                              \
		errno = atomic_load(&write_err);                                                                       \
		return errno ? -1 : __real_##name(fd, v, n, at, fl);                                                   \
	}
WRAP(pwritev2)
WRAP(pwritev64v2)

static int set_up(void **state)
{
	setenv("HOSPES_IO_URING", "0", 1);
	atomic_store(&write_err, 0);
	fx.qcow2 = true;
	return fx_setup(state);
}

/* The exit status of qemu-img check. */
static int check(void)
{
	char line[600];

	snprintf(line, sizeof(line), "qemu-img check '%s' >/dev/null 2>&1", fx.cfg.disk[0].source);
	return system(line) >> 8;
}

static bool marked(uint64_t at)
{
	return fx.mem.dev_dirty[at / 4096 / 64] >> (at / 4096 % 64) & 1;
}

static void test_life(void **state)
{
	uint8_t *data = fx.mem.base + FX_DATA;
	(void)state;

	fx_attach(VDA);
	/* not ours yet: no table was read, and nothing is answered from old ones */
	assert_int_equal(fx_blk(T_IN, 0, 4096), 1);
	assert_int_equal(devs_lock(fx.devs, NULL), 0);
	memset(data, 0x5a, 8192);
	assert_int_equal(fx_blk(T_OUT, 8, 8192), 0);
	/* the last sector is the virtual disk's */
	assert_int_equal(fx_blk(T_OUT, FX_DISK_BYTES / 512 - 1, 512), 0);
	assert_int_equal(fx_blk(T_OUT, FX_DISK_BYTES / 512, 512), 1);
	memset(data, 0, 16384);
	assert_false(marked(FX_DATA + 8192));
	assert_int_equal(fx_blk(T_IN, 4, 16384), 0);
	for (unsigned i = 0; i < 16384; i++)
		assert_int_equal(data[i], i >= 2048 && i < 2048 + 8192 ? 0x5a : 0);
	for (unsigned i = 0; i < 4; i++)
		assert_true(marked(FX_DATA + i * 4096));
	/* given away: everything is in the image, and another may open it */
	assert_int_equal(devs_quiesce(fx.devs, NULL), 0);
	assert_int_equal(check(), 1); /* locked */
	assert_int_equal(devs_sync(fx.devs, NULL), 0);
	devs_unlock(fx.devs);
	assert_int_equal(check(), 0);
	/* another host wrote to it, then it is ours again */
	char cmd[512];
	snprintf(cmd, sizeof(cmd), "qemu-io -c 'write -P 66 0 1M' '%s' >/dev/null", fx.cfg.disk[0].source);
	assert_int_equal(system(cmd), 0);
	assert_int_equal(devs_lock(fx.devs, NULL), 0);
	assert_int_equal(devs_resume(fx.devs, false, NULL), 0);
	assert_int_equal(fx_blk(T_IN, 8, 8192), 0);
	for (unsigned i = 0; i < 8192; i++)
		assert_int_equal(data[i], 66);
}

/* A full disk: the request is held, and done when there is room. */
static void test_full(void **state)
{
	const uint64_t hdr = FX_DATA - 0x1000, seg[3][2] = { { hdr, 16 }, { FX_DATA, 4096 }, { hdr + 0x800, 1 } };
	uint64_t header[2] = { T_OUT, 64 };
	(void)state;

	fx_attach(VDA);
	assert_int_equal(devs_lock(fx.devs, NULL), 0);
	atomic_store(&write_err, ENOSPC);
	memcpy(fx.mem.base + hdr, header, sizeof(header));
	memset(fx.mem.base + FX_DATA, 0x77, 4096);
	vdriver_chain(&fx.drv[VDA][0], 2, 1, seg);
	fx_kick(VDA, 0);
	for (int i = 0; i < 5000 && !atomic_load(&fx.disk_held); i++)
		usleep(1000);
	assert_int_equal(atomic_load(&fx.disk_held), 1);
	assert_int_equal(atomic_load(&fx.disk_code), ENOSPC);
	assert_int_equal(vdriver_used_idx(&fx.drv[VDA][0]), 0);
	assert_int_equal(devs_quiesce(fx.devs, NULL), 0);
	atomic_store(&write_err, 0);
	devs_retry(fx.devs);
	fx_wait_used(VDA, 0, 1);
	assert_int_equal(devs_quiesced(fx.devs, NS_PER_S, NULL), 0);
	assert_int_equal(devs_sync(fx.devs, NULL), 0);
	devs_unlock(fx.devs);
	assert_int_equal(check(), 0);
	char cmd[512];
	snprintf(cmd, sizeof(cmd), "qemu-io -c 'read -vP 119 32k 4k' '%s' | grep -q 'read 4096'",
	         fx.cfg.disk[0].source);
	assert_int_equal(system(cmd), 0);
}

/* A domain that ends: what the guest wrote and did not flush is in the image, as with a raw one. */
static void test_end(void **state)
{
	(void)state;
	fx_attach(VDA);
	assert_int_equal(devs_lock(fx.devs, NULL), 0);
	assert_int_equal(devs_settle(fx.devs, NS_PER_S, NULL), 0);
	memset(fx.mem.base + FX_DATA, 0x42, 4096);
	assert_int_equal(fx_blk(T_OUT, 128, 4096), 0);
	assert_int_equal(devs_settle(fx.devs, NS_PER_S, NULL), 0);
	devs_unlock(fx.devs);
	assert_int_equal(check(), 0);
	assert_int_equal(devs_lock(fx.devs, NULL), 0);
	assert_int_equal(devs_resume(fx.devs, false, NULL), 0);
	fx.mem.base[FX_DATA] = 0;
	assert_int_equal(fx_blk(T_IN, 128, 4096), 0);
	assert_int_equal(fx.mem.base[FX_DATA], 0x42);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, fx_teardown)
	const struct CMUnitTest tests[] = { T(test_life), T(test_full), T(test_end) };

	if (system("command -v qemu-img >/dev/null && command -v qemu-io >/dev/null")) {
		puts("missing: qemu-img, qemu-io (package qemu-utils)");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
