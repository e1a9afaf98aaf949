/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Disks that fail, are full, or do not answer: what the guest hears of it, what is kept for later, what others can do meanwhile. */
#include "config.h"
#include "tests/unit/devfixture.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "common/util.h"
#include "hypervisor/dev/blkerr.h"

/* Between the worker and the kernel: errors and stalls. */
static atomic_int write_err, read_err, sync_err, stall;

static bool fails(atomic_int *err)
{
	while (atomic_load(&stall))
		usleep(1000);
	errno = atomic_load(err);
	return errno != 0;
}

#define WRAP(type, name, args, call, err)                                                                              \
	type __real_##name args;                                                                                       \
	type __wrap_##name args;                                                                                       \
	type __wrap_##name args                                                                                        \
	{                                                                                                              \
		return fails(err) ? -1 : __real_##name call;                                                           \
	}
WRAP(ssize_t, pwritev2, (int fd, const struct iovec *v, int n, off_t at, int fl), (fd, v, n, at, fl), &write_err)
WRAP(ssize_t, pwritev64v2, (int fd, const struct iovec *v, int n, off_t at, int fl), (fd, v, n, at, fl), &write_err)
WRAP(ssize_t, preadv, (int fd, const struct iovec *v, int n, off_t at), (fd, v, n, at), &read_err)
WRAP(ssize_t, preadv64, (int fd, const struct iovec *v, int n, off_t at), (fd, v, n, at), &read_err)
WRAP(int, fsync, (int fd), (fd), &sync_err)

static int set_up(void **state)
{
	setenv("HOSPES_IO_URING", "0", 1);
	atomic_store(&write_err, 0);
	atomic_store(&read_err, 0);
	atomic_store(&sync_err, 0);
	atomic_store(&stall, 0);
	int r = fx_setup(state);
	fx.error_policy = fx.rerror_policy = DOM_ERROR_DEFAULT;
	return r;
}

static int set_up_ignore(void **state)
{
	fx.error_policy = DOM_ERROR_IGNORE;
	return set_up(state);
}

static int set_up_stop_reads(void **state)
{
	fx.rerror_policy = DOM_ERROR_STOP;
	return set_up(state);
}

#define SLOT(i) (FX_DATA + (uint64_t)(i)*0x2000)

/* A write of 4 KiB of octet @i at page @i, without waiting. */
static void put(unsigned i)
{
	const uint64_t seg[3][2] = { { SLOT(i), 16 }, { SLOT(i) + 0x1000, 4096 }, { SLOT(i) + 0x20, 1 } };
	uint32_t type = 1;
	uint64_t sector = i * 8ull;

	memcpy(fx.mem.base + SLOT(i), &type, 4);
	memcpy(fx.mem.base + SLOT(i) + 8, &sector, 8);
	fx.mem.base[SLOT(i) + 0x20] = 0xee;
	memset(fx.mem.base + SLOT(i) + 0x1000, (int)i, 4096);
	vdriver_chain(&fx.drv[VDA][0], 2, 1, seg);
	fx_kick(VDA, 0);
}

static uint8_t status(unsigned i)
{
	return fx.mem.base[SLOT(i) + 0x20];
}

static void written(unsigned i)
{
	uint8_t page[4096], want[4096];
	int fd = open(fx.cfg.disk[0].source, O_RDONLY | O_CLOEXEC);

	memset(want, (int)i, sizeof(want));
	assert_true(fd >= 0 && pread(fd, page, sizeof(page), i * 4096) == 4096);
	close(fd);
	assert_memory_equal(page, want, sizeof(page));
	assert_int_equal(status(i), 0);
}

static void wait_for(atomic_int *n, int want)
{
	for (int i = 0; i < 5000 && atomic_load(n) != want; i++)
		usleep(1000);
	assert_int_equal(atomic_load(n), want);
}

static void test_policies(void **state)
{
	static const struct {
		enum dom_error_policy w, r;
		enum blkerr_verdict full, write, read;
	} t[] = {
		{ DOM_ERROR_DEFAULT, DOM_ERROR_DEFAULT, BLKERR_HOLD, BLKERR_REPORT, BLKERR_REPORT },
		{ DOM_ERROR_ENOSPACE, DOM_ERROR_DEFAULT, BLKERR_HOLD, BLKERR_REPORT, BLKERR_REPORT },
		{ DOM_ERROR_REPORT, DOM_ERROR_DEFAULT, BLKERR_REPORT, BLKERR_REPORT, BLKERR_REPORT },
		{ DOM_ERROR_STOP, DOM_ERROR_DEFAULT, BLKERR_HOLD, BLKERR_HOLD, BLKERR_HOLD },
		{ DOM_ERROR_STOP, DOM_ERROR_IGNORE, BLKERR_HOLD, BLKERR_HOLD, BLKERR_IGNORE },
		{ DOM_ERROR_IGNORE, DOM_ERROR_STOP, BLKERR_IGNORE, BLKERR_IGNORE, BLKERR_HOLD },
		{ DOM_ERROR_DEFAULT, DOM_ERROR_STOP, BLKERR_HOLD, BLKERR_REPORT, BLKERR_HOLD },
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct dom_disk d = { .error_policy = t[i].w, .rerror_policy = t[i].r };
		assert_int_equal(blkerr_judge(&d, BLKIO_WRITE, -ENOSPC), t[i].full);
		assert_int_equal(blkerr_judge(&d, BLKIO_ZERO, -EDQUOT), t[i].full);
		assert_int_equal(blkerr_judge(&d, BLKIO_WRITE, -EIO), t[i].write);
		assert_int_equal(blkerr_judge(&d, BLKIO_READ, -EIO), t[i].read);
		assert_int_equal(blkerr_judge(&d, BLKIO_FLUSH, -EIO), BLKERR_REPORT);
	}
}

/* A full disk: requests stay with the device, in the state too, and are done once there is room; nothing is lost and nothing told. */
static void test_full(void **state)
{
	const char *name = "";
	int code = 0;
	(void)state;

	fx_attach(VDA);
	atomic_store(&write_err, ENOSPC);
	assert_false(devs_held(fx.devs, &name, &code));
	put(1);
	wait_for(&fx.disk_held, 1);
	assert_int_equal(atomic_load(&fx.disk_code), ENOSPC);
	assert_true(devs_held(fx.devs, &name, &code));
	assert_string_equal(name, "vda");
	assert_int_equal(code, ENOSPC);
	put(2);
	fx_settle(VDA);
	assert_int_equal(vdriver_used_idx(&fx.drv[VDA][0]), 0);
	/* stands still: tried again without effect, and without a word */
	assert_int_equal(devs_quiesce(fx.devs, NULL), 0);
	devs_retry(fx.devs);
	assert_int_equal(devs_quiesced(fx.devs, NS_PER_S, NULL), 0);
	assert_int_equal(atomic_load(&fx.disk_rooms), 0);
	assert_int_equal(status(1), 0xee);
	atomic_store(&write_err, 0);
	devs_retry(fx.devs);
	wait_for(&fx.disk_rooms, 1);
	assert_int_equal(vdriver_used_idx(&fx.drv[VDA][0]), 1);
	assert_false(devs_held(fx.devs, &name, &code));
	written(1);
	assert_int_equal(devs_resume(fx.devs, false, NULL), 0);
	fx_wait_used(VDA, 0, 2);
	written(2);
	assert_int_equal(atomic_load(&fx.disk_held), 1);
	assert_int_equal(atomic_load(&fx.disk_errors), 0);
}

/* No room yet when the guest is let go on: held again, in order. And a guest that boots is served in place. */
static void test_full_again(void **state)
{
	const char *name;
	int code;
	(void)state;

	fx_attach(VDA);
	atomic_store(&stall, 1);
	for (unsigned i = 1; i <= 3; i++)
		put(i);
	fx_settle(VDA);
	atomic_store(&write_err, ENOSPC);
	atomic_store(&stall, 0);
	wait_for(&fx.disk_held, 3);
	assert_int_equal(devs_quiesce(fx.devs, NULL), 0);
	assert_int_equal(devs_resume(fx.devs, false, NULL), 0);
	wait_for(&fx.disk_held, 6);
	assert_true(devs_held(fx.devs, &name, &code));
	atomic_store(&write_err, 0);
	devs_retry(fx.devs);
	fx_wait_used(VDA, 0, 3);
	for (unsigned i = 1; i <= 3; i++)
		written(i);
	assert_false(devs_held(fx.devs, &name, &code));
	put(4);
	fx_wait_used(VDA, 0, 4);
	written(4);
}

static void test_state(void **state)
{
	_cleanup_buf_ struct buf a = { 0 };
	struct devs *old = fx.devs, *d2 = NULL;
	(void)state;

	fx_attach(VDA);
	put(1);
	fx_wait_used(VDA, 0, 1);
	atomic_store(&write_err, ENOSPC);
	put(2);
	wait_for(&fx.disk_held, 1);
	put(3);
	assert_int_equal(devs_quiesce(old, NULL), 0);
	assert_int_equal(devs_save(old, &a, NULL), 0);
	assert_int_equal(a.data[4], 2); /* not for readers that would lose it */
	devs_free(old);
	close(fx.sock[VDA]);
	close(fx.req[VDA]);
	assert_int_equal(devs_new(&fx.cfg, &vudev_transport, &fx_events, &d2, NULL), 0);
	fx.devs = d2;
	assert_int_equal(devs_start(d2, NULL), 0);
	/* every octet turned over harms nobody */
	for (size_t n = 0; n < a.len; n++) {
		a.data[n] ^= 0x11;
		struct rd rd = rd_of(a.data, a.len);
		int r = devs_load(d2, &rd, NULL);
		assert_true(r == 0 || r == -EINVAL);
		a.data[n] ^= 0x11;
	}
	struct rd rd = rd_of(a.data, a.len);
	assert_int_equal(devs_load(d2, &rd, NULL), 0);
	devs_set_mem(d2, &fx.mem);
	fx_pair(VDA);
	atomic_store(&write_err, 0);
	assert_int_equal(devs_resume(d2, true, NULL), 0);
	fx_wait_used(VDA, 0, 3);
	written(2);
	written(3);
}

/* A driver that is gone: nothing of it is done later. */
static void test_reset(void **state)
{
	const char *name;
	int code;
	(void)state;

	fx_attach(VDA);
	atomic_store(&write_err, ENOSPC);
	put(1);
	wait_for(&fx.disk_held, 1);
	close(fx.sock[VDA]);
	close(fx.req[VDA]);
	for (int i = 0; i < 5000 && devs_held(fx.devs, &name, &code); i++)
		usleep(1000);
	assert_false(devs_held(fx.devs, &name, &code));
	atomic_store(&write_err, 0);
	fx_attach(VDA);
	put(2);
	fx_wait_used(VDA, 0, 1);
	written(2);
	assert_int_equal(status(1), 0xee);
}

/* Errors by the other policies. */
static void test_report(void **state)
{
	(void)state;
	fx_attach(VDA);
	atomic_store(&write_err, EIO);
	atomic_store(&read_err, EIO);
	assert_int_equal(fx_blk(1, 0, 4096), 1);
	assert_int_equal(fx_blk(0, 0, 4096), 1);
	wait_for(&fx.disk_errors, 2);
	assert_int_equal(atomic_load(&fx.disk_held), 0);
}

static void test_ignore(void **state)
{
	(void)state;
	fx_attach(VDA);
	atomic_store(&write_err, EIO);
	assert_int_equal(fx_blk(1, 0, 4096), 0);
	wait_for(&fx.disk_errors, 1);
	assert_int_equal(atomic_load(&fx.disk_held), 0);
}

static bool marked(uint64_t at)
{
	return fx.mem.dev_dirty[at / 4096 / 64] >> (at / 4096 % 64) & 1;
}

/* A read that fails half way has written into the guest's memory. Held back, it is not answered: its pages are marked all the same. */
static void test_held_read_is_marked(void **state)
{
	const uint64_t at = SLOT(1), seg[3][2] = { { at, 16 }, { at + 0x1000, 8192 }, { at + 0x20, 1 } };
	(void)state;

	fx_attach(VDA);
	memset(fx.mem.base + at, 0, 16); /* a read at sector 0 */
	memset(fx.mem.base + at + 0x1000, 0xaa, 8192);
	assert_int_equal(truncate(fx.cfg.disk[0].source, 4096), 0);
	assert_false(marked(at + 0x1000));
	vdriver_chain(&fx.drv[VDA][0], 1, 2, seg);
	fx_kick(VDA, 0);
	wait_for(&fx.disk_held, 1);
	assert_int_not_equal(fx.mem.base[at + 0x1000], 0xaa);
	assert_true(marked(at + 0x1000));
	assert_true(marked(at + 0x2000));
	assert_int_equal(truncate(fx.cfg.disk[0].source, FX_DISK_BYTES), 0);
	devs_retry(fx.devs);
	fx_wait_used(VDA, 0, 1);
	assert_int_equal(status(1), 0);
}

/* The kernel tells a failed write-back once. If a migration hears it, the guest's next flush must hear it, too. */
static void test_sync_error_is_the_guests(void **state)
{
	(void)state;
	fx_attach(VDA);
	atomic_store(&sync_err, EIO);
	assert_int_equal(devs_sync(fx.devs, NULL), -EIO);
	atomic_store(&sync_err, 0);
	assert_int_equal(fx_blk(4, 0, 0), 1);
	assert_int_equal(fx_blk(4, 0, 0), 0);
}

/* Storage that does not answer: whoever asks gets an answer, and a stop gives up in time, with the disk's name. */
static void test_stall(void **state)
{
	const char *name = "";
	struct err err = { 0 };
	struct buf a = { 0 };
	uint64_t age = 0, t0;
	(void)state;

	fx_attach(VDA);
	assert_false(devs_waits(fx.devs, &name, &age));
	atomic_store(&stall, 1);
	put(1);
	fx_settle(VDA);
	t0 = now_ns();
	usleep(20000);
	assert_true(devs_waits(fx.devs, &name, &age));
	assert_string_equal(name, "vda");
	assert_true(age >= 20 * NS_PER_MS && age < 10 * NS_PER_S);
	assert_int_equal(devs_quiesce_begin(fx.devs, &err), 0);
	assert_int_equal(devs_quiesced(fx.devs, 50 * NS_PER_MS, &err), -ETIMEDOUT);
	assert_non_null(strstr(err.text, "disk vda has not answered"));
	assert_int_equal(devs_save(fx.devs, &a, NULL), -EBUSY);
	assert_int_equal(devs_balloon_bytes(fx.devs), 0);
	assert_int_equal(devs_resume(fx.devs, false, NULL), 0);
	put(2);
	fx_settle(VDA);
	assert_true(now_ns() - t0 < 3 * NS_PER_S);
	atomic_store(&stall, 0);
	fx_wait_used(VDA, 0, 2);
	written(1);
	written(2);
	assert_false(devs_waits(fx.devs, &name, &age));
	assert_int_equal(devs_quiesce(fx.devs, NULL), 0);
	assert_int_equal(devs_save(fx.devs, &a, NULL), 0);
	assert_int_equal(a.data[4], 1);
	buf_done(&a);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, fx_teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_policies),
		T(test_full),
		T(test_full_again),
		T(test_state),
		T(test_reset),
		T(test_report),
		cmocka_unit_test_setup_teardown(test_ignore, set_up_ignore, fx_teardown),
		cmocka_unit_test_setup_teardown(test_held_read_is_marked, set_up_stop_reads, fx_teardown),
		T(test_sync_error_is_the_guests),
		T(test_stall),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
