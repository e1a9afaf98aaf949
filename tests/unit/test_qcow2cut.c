/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A qcow2 image whose host loses power. All writes to the image are recorded between worker and kernel; then the image
 * is made again as a cut at some moment would leave it: what was synced is there, of what came after the last sync any
 * part. qemu-img must find no errors in it, apart from leaks, and the guest must find what it had flushed. Also: writes
 * that fail, and a lease that is over.
 */
#include "config.h"
#include "tests/unit/qcow2fix.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <sys/uio.h>
#include <time.h>
#include "clusterd/guard/deadline.h"
#include "common/util.h"

#define DISK    (2u << 20)
#define SECTORS (DISK / Q_SECTOR)
#define OPS     90
#define ANY     UINT32_MAX
#define BASE    0xba5eu

/* Recording -------------------------------------------------------------------------------------------------------- */

enum rec_kind { REC_WRITE, REC_SYNC, REC_PUNCH };
struct rec {
	enum rec_kind kind;
	bool dsync; /* it is on stable storage when it is done */
	uint64_t at, len;
	uint8_t *data;
};
static struct rec rec[20000];
static atomic_uint n_rec;
static atomic_int write_err, write_ok, sync_err; /* the write after write_ok others fails with write_err, once */

static struct rec *record(enum rec_kind kind, uint64_t at, uint64_t len)
{
	unsigned i = atomic_load(&n_rec);

	assert_true(i < ARRAY_SIZE(rec));
	rec[i] = (struct rec){ .kind = kind, .at = at, .len = len };
	return &rec[i];
}

static bool fails(void)
{
	int e = atomic_load(&write_err);

	if (!e || atomic_fetch_sub(&write_ok, 1) > 0)
		return false;
	atomic_store(&write_err, 0);
	errno = e;
	return true;
}

static void record_write(const struct iovec *v, int n, off_t at, bool dsync)
{
	uint64_t len = 0, done = 0;

	for (int i = 0; i < n; i++)
		len += v[i].iov_len;
	struct rec *r = record(REC_WRITE, (uint64_t)at, len);
	r->dsync = dsync;
	r->data = malloc(len);
	for (int i = 0; i < n; done += v[i++].iov_len)
		memcpy(r->data + done, v[i].iov_base, v[i].iov_len);
	atomic_fetch_add(&n_rec, 1);
}

#define WRAP(name)                                                                                                     \
	ssize_t __real_##name(int fd, const struct iovec *v, int n, off_t at, int fl);                                 \
	ssize_t __wrap_##name(int fd, const struct iovec *v, int n, off_t at, int fl);                                 \
	ssize_t __wrap_##name(int fd, const struct iovec *v, int n, off_t at, int fl)                                  \
	{                                                                                                              \
		if (fails())                                                                                           \
			return -1;                                                                                     \
		record_write(v, n, at, fl &RWF_DSYNC);                                                                 \
		return __real_##name(fd, v, n, at, fl);                                                                \
	}
WRAP(pwritev2)
WRAP(pwritev64v2)
int __wrap_fdatasync(int fd);
int __wrap_fdatasync(int fd)
{
	(void)fd; /* the kernel's would only take time */
	if ((errno = atomic_load(&sync_err)))
		return -1;
	(void)record(REC_SYNC, 0, 0);
	atomic_fetch_add(&n_rec, 1);
	return 0;
}
#define WRAP_PUNCH(name)                                                                                               \
	int __real_##name(int fd, int mode, off_t at, off_t len);                                                      \
	int __wrap_##name(int fd, int mode, off_t at, off_t len);                                                      \
	int __wrap_##name(int fd, int mode, off_t at, off_t len)                                                       \
	{                                                                                                              \
		(void)record(REC_PUNCH, (uint64_t)at, (uint64_t)len);                                                  \
		atomic_fetch_add(&n_rec, 1);                                                                           \
		return __real_##name(fd, mode, at, len);                                                               \
	}
WRAP_PUNCH(fallocate)
WRAP_PUNCH(fallocate64)

/* What the guest did ----------------------------------------------------------------------------------------------- */

struct op {
	uint64_t first, n; /* sectors */
	bool zero, discard;
};
struct flush {
	unsigned at_rec;        /* records before it was answered */
	unsigned ops;           /* operations before it */
	uint32_t last[SECTORS]; /* the operation that each sector has, BASE, 0: zeros, ANY */
};
static struct op ops[OPS + 1]; /* from 1 on */
static struct flush flushes[OPS + 2];
static unsigned n_flushes;
static struct qfix fx;

static uint64_t rnd_state;
static uint64_t rnd(uint64_t below)
{
	rnd_state = rnd_state * 6364136223846793005ull + 1442695040888963407ull;
	return (rnd_state >> 33) % below;
}

static void fill(uint8_t *p, uint64_t sector, uint32_t id)
{
	for (unsigned i = 0; i < Q_SECTOR / 8; i++) {
		uint64_t v = (uint64_t)id << 32 | sector;
		memcpy(p + i * 8, &v, 8);
	}
}

static void one(uint32_t id, uint32_t *now)
{
	struct op *o = &ops[id];
	unsigned kind = (unsigned)rnd(10);
	static uint8_t buf[DISK] __attribute__((aligned(4096)));

	o->n = 1 + rnd(rnd(6) ? 24 : 400);
	o->first = rnd(SECTORS - o->n);
	o->zero = kind == 8;
	o->discard = kind == 9;
	for (uint64_t i = 0; i < o->n; i++) {
		fill(buf + i * Q_SECTOR, o->first + i, id);
		now[o->first + i] = o->discard ? ANY : o->zero ? 0 : id;
	}
	enum blkio_op op = o->discard ? BLKIO_DISCARD : o->zero ? BLKIO_ZERO : BLKIO_WRITE;
	assert_int_equal(qf_io(&fx, op, o->first * Q_SECTOR, buf, o->n * Q_SECTOR), 0);
}

static void flushed(unsigned ops_done, const uint32_t *now)
{
	struct flush *f = &flushes[n_flushes++];

	f->at_rec = atomic_load(&n_rec);
	f->ops = ops_done;
	memcpy(f->last, now, sizeof(f->last));
}

/* Cuts ------------------------------------------------------------------------------------------------------------- */

static void put(int fd, const struct rec *r, bool whole)
{
	for (uint64_t at = 0; at < r->len; at += Q_SECTOR) {
		uint64_t len = r->len - at < Q_SECTOR ? r->len - at : Q_SECTOR;
		if (!whole && rnd(2))
			continue;
		assert_int_equal(pwrite(fd, r->data + at, len, (off_t)(r->at + at)), len);
	}
}

static void apply(int fd, const struct rec *r, bool synced)
{
	if (r->kind == REC_WRITE && (synced || rnd(2)))
		put(fd, r, synced || rnd(2));
	else if (r->kind == REC_PUNCH && (synced || rnd(2)))
		assert_int_equal(__real_fallocate(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, (off_t)r->at,
		                                  (off_t)r->len),
		                 0);
}

/* cut.qcow2: the image after records [0, @n). */
static void cut(unsigned n)
{
	_cleanup_free_ char *path = xasprintf("%s/cut.qcow2", test_dir);
	unsigned synced = 0;

	assert_int_equal(q_sh("cp --sparse=always before.qcow2 cut.qcow2"), 0);
	_cleanup_close_ int fd = open(path, O_RDWR | O_CLOEXEC);
	for (unsigned i = 0; i < n; i++)
		if (rec[i].kind == REC_SYNC)
			synced = i;
	for (unsigned i = 0; i < n; i++)
		apply(fd, &rec[i], i < synced || rec[i].dsync);
}

static bool later(const struct flush *f, uint64_t sector, uint32_t id)
{
	const struct op *o = &ops[id];

	return id > f->ops && id <= OPS && sector >= o->first && sector < o->first + o->n;
}

/* Zeros, by an operation behind flush @f; or what a discard leaves. */
static bool later_none(const struct flush *f, uint64_t sector, bool zero)
{
	for (uint32_t id = f->ops + 1; id <= OPS; id++)
		if (later(f, sector, id) && (ops[id].discard || (zero && ops[id].zero)))
			return true;
	return false;
}

static void check_sector(unsigned n, const struct flush *f, uint64_t sector, const uint8_t *p)
{
	static const uint8_t none[Q_SECTOR];
	uint8_t want[Q_SECTOR];
	uint64_t v;
	uint32_t last = f->last[sector];

	memcpy(&v, p, 8);
	uint32_t id = (uint32_t)(v >> 32);
	bool zero = !memcmp(p, none, Q_SECTOR);
	fill(want, sector, id);
	if (last == ANY || later_none(f, sector, zero))
		return;
	if (zero ? last == 0 : !memcmp(p, want, Q_SECTOR) && (id == last || later(f, sector, id)))
		return;
	print_error("cut at %u: sector %llu has %#llx; flushed was %u\n", n, (unsigned long long)sector,
	            (unsigned long long)v, last);
	fail();
}

static void check_cut(unsigned n)
{
	_cleanup_free_ char *path = xasprintf("%s/cut.raw", test_dir), *data = NULL;
	const struct flush *f = &flushes[0];
	size_t len;

	cut(n);
	int r = q_sh("qemu-img check cut.qcow2");
	if (r && r != 3) {
		print_error("cut at %u of %u: qemu-img check: %d: %s\n", n, atomic_load(&n_rec), r, q_out);
		fail();
	}
	assert_int_equal(q_sh("qemu-img convert -O raw cut.qcow2 cut.raw"), 0);
	assert_int_equal(file_read(path, DISK + 1, &data, &len), 0);
	assert_int_equal(len, DISK);
	for (unsigned i = 0; i < n_flushes; i++)
		if (flushes[i].at_rec <= n)
			f = &flushes[i];
	for (uint64_t s = 0; s < SECTORS; s++)
		check_sector(n, f, s, (uint8_t *)data + s * Q_SECTOR);
}

static void forget(void)
{
	for (unsigned i = 0; i < atomic_load(&n_rec); i++)
		free(rec[i].data);
	atomic_store(&n_rec, 0);
	n_flushes = 0;
}

/* A base of patterned sectors, and an image on it; @now: what each sector has. */
static void make(const char *opts, bool below, const char *more, uint32_t *now)
{
	_cleanup_free_ char *path = xasprintf("%s/base", test_dir);
	_cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	uint8_t sector[Q_SECTOR];

	for (uint64_t s = 0; s < SECTORS; s++) {
		now[s] = below && s % 3 == 0 && s < SECTORS / 2 ? BASE : 0;
		if (!now[s])
			continue;
		fill(sector, s, BASE);
		assert_int_equal(pwrite(fd, sector, sizeof(sector), (off_t)(s * Q_SECTOR)), sizeof(sector));
	}
	int r = below ? q_sh("qemu-img create -f qcow2 -o %s -b base -F raw d.qcow2 %u %s", opts, DISK, more)
	              : q_sh("qemu-img create -f qcow2 -o %s d.qcow2 %u %s", opts, DISK, more);
	assert_int_equal(r, 0);
	assert_int_equal(q_sh("cp --sparse=always d.qcow2 before.qcow2"), 0);
}

enum { DSYNC = 1, DIRECT = 2 };
static void run_kind(const char *opts, bool below, const char *more, unsigned how, unsigned cuts)
{
	static uint32_t now[SECTORS];

	make(opts, below, more, now);
	qf_start(&fx, "d.qcow2");
	fx.opts.punch = true;
	fx.opts.dsync = how & DSYNC;
	fx.opts.direct = how & DIRECT;
	qf_open(&fx);
	flushed(0, now);
	for (uint32_t id = 1; id <= OPS; id++) {
		one(id, now);
		if (rnd(7) == 0) {
			assert_int_equal(qf_io(&fx, BLKIO_FLUSH, 0, NULL, 0), 0);
			flushed(id, now);
		} else if (how & DSYNC) {
			flushed(id, now);
		}
	}
	qf_close(&fx);
	flushed(OPS, now);
	qf_end(&fx);
	unsigned n = atomic_load(&n_rec);
	for (unsigned i = 0; i < cuts; i++)
		check_cut((unsigned)rnd(n + 1));
	check_cut(n);
	print_message("%s: %u records, %u flushes, %u cuts\n", opts, n, n_flushes, cuts);
	forget();
}

static void test_cuts(void **state)
{
	const char *seed = getenv("HOSPES_SEED"), *many = getenv("HOSPES_CUTS");
	unsigned cuts = many ? (unsigned)atoi(many) : 25;
	(void)state;

	rnd_state = seed ? strtoull(seed, NULL, 10) : (uint64_t)time(NULL);
	print_message("HOSPES_SEED=%llu\n", (unsigned long long)rnd_state);
	run_kind("compat=1.1,cluster_size=4k", false, "", 0, cuts);
	run_kind("compat=1.1,cluster_size=16k", true, "", DIRECT, cuts);
	run_kind("compat=1.1", true, "", DSYNC, cuts);
	run_kind("compat=0.10,cluster_size=8k", true, "", 0, cuts);
	run_kind("compat=1.1,cluster_size=4k", true, "&& qemu-img snapshot -c s1 d.qcow2", DIRECT | DSYNC, cuts);
}

/* What is allocated is written as a raw image is: one write, and no table has to be. */
static void test_hot_path(void **state)
{
	static uint8_t buf[65536] __attribute__((aligned(4096)));
	static uint32_t now[SECTORS];
	(void)state;

	make("compat=1.1", true, "", now);
	qf_start(&fx, "d.qcow2");
	qf_open(&fx);
	for (uint64_t off = 0; off < 1 << 20; off += sizeof(buf))
		assert_int_equal(qf_io(&fx, BLKIO_WRITE, off, buf, sizeof(buf)), 0);
	assert_int_equal(qcow2_sync(fx.q), 0);
	unsigned before = atomic_load(&n_rec), n = 0;
	for (uint64_t off = 0; off < 1 << 20; off += sizeof(buf), n++)
		assert_int_equal(qf_io(&fx, BLKIO_WRITE, off, buf, sizeof(buf)), 0);
	/* clusters that lie one behind the other are one write */
	static uint8_t all[1 << 20];
	assert_int_equal(qf_io(&fx, BLKIO_WRITE, 0, all, sizeof(all)), 0);
	assert_false(qcow2_dirty(fx.q));
	assert_int_equal(atomic_load(&n_rec), before + n + 1);
	qf_end(&fx);
	forget();
}

/* Failures --------------------------------------------------------------------------------------------------------- */

static int settle(enum blkio_op op, uint64_t off, void *buf, uint64_t len)
{
	int r = qf_io(&fx, op, off, buf, len);

	return r < 0 && r != -ENOSPC ? r : r < 0 ? qf_io(&fx, op, off, buf, len) : 0;
}

/*
 * A file system that is full at each write in turn: the request fails, does no harm, and works when it is tried again.
 */
static void test_full(void **state)
{
	static uint8_t buf[100 * 1024];
	static uint32_t now[SECTORS];
	bool hit = true;
	(void)state;

	for (int at = 0; hit; at++) {
		make("compat=1.1,cluster_size=16k", true, "", now);
		qf_start(&fx, "d.qcow2");
		qf_model(&fx);
		qf_open(&fx);
		atomic_store(&write_ok, at);
		atomic_store(&write_err, ENOSPC);
		memset(buf, at + 1, sizeof(buf));
		assert_int_equal(settle(BLKIO_WRITE, 5 * 512, buf, sizeof(buf)), 0);
		assert_int_equal(settle(BLKIO_ZERO, 300 * 1024 + 512, NULL, 40 * 1024), 0);
		assert_int_equal(settle(BLKIO_FLUSH, 0, NULL, 0), 0);
		assert_int_equal(settle(BLKIO_DISCARD, 0, NULL, 0x8000), 0);
		assert_int_equal(settle(BLKIO_WRITE, 0, buf, 0x8000), 0);
		hit = !atomic_exchange(&write_err, 0);
		memcpy(fx.model + 5 * 512, buf, sizeof(buf));
		memset(fx.model + 300 * 1024 + 512, 0, 40 * 1024);
		memcpy(fx.model, buf, 0x8000);
		qf_compare(&fx);
		qf_close(&fx);
		qf_verify(&fx, true);
		qf_end(&fx);
		forget();
	}
}

/* A sync that failed may have lost data: nothing names it, and every later flush says so. */
static void test_sync_fails(void **state)
{
	static uint8_t buf[4096];
	static uint32_t now[SECTORS];
	(void)state;

	make("compat=1.1", true, "", now);
	qf_start(&fx, "d.qcow2");
	qf_open(&fx);
	assert_int_equal(qf_io(&fx, BLKIO_WRITE, 0, buf, sizeof(buf)), 0);
	atomic_store(&sync_err, EIO);
	assert_int_equal(qf_io(&fx, BLKIO_FLUSH, 0, NULL, 0), -EIO);
	atomic_store(&sync_err, 0);
	assert_int_equal(qf_io(&fx, BLKIO_FLUSH, 0, NULL, 0), -EIO);
	assert_int_equal(qf_io(&fx, BLKIO_WRITE, 1 << 20, buf, sizeof(buf)), -EIO);
	assert_int_equal(qf_io(&fx, BLKIO_WRITE, 512, buf, 512), 0);
	assert_int_equal(qcow2_sync(fx.q), -EIO);
	qf_end(&fx);
	int r = q_sh("qemu-img check d.qcow2");
	assert_true(r == 0 || r == 3);
	forget();
}

/* A lease that is over: no write of whatever kind, until there is another. */
static void test_lease(void **state)
{
	_cleanup_free_ char *dir = xasprintf("%s/cluster/managed", test_dir), *path = xasprintf("%s/unit", dir);
	struct deadline_page *guard = NULL, *page = NULL;
	struct moment at = { 0 }, on = { boot_ns() + 600 * NS_PER_S, 0 }, off = { boot_ns(), 0 };
	static uint8_t buf[4096];
	static uint32_t now[SECTORS];
	struct qio io[3];
	struct err err;
	(void)state;

	setenv("HOSPES_RUNDIR", test_dir, 1);
	assert_int_equal(mkdir_p(dir, 0700), 0);
	assert_int_equal(file_write_atomic(path, "x", 1, 0600), 0);
	assert_int_equal(deadline_page_make(&at, &guard, &err), 0);
	assert_int_equal(deadline_page_of("unit", &page, &err), 0);
	deadline_page_set(guard, &on);
	make("compat=1.1", true, "", now);
	qf_start(&fx, "d.qcow2");
	blkio_guard(fx.blkio, page);
	qf_open(&fx);
	assert_int_equal(qf_io(&fx, BLKIO_WRITE, 0, buf, sizeof(buf)), 0);
	assert_true(qcow2_dirty(fx.q));
	deadline_page_set(guard, &off);
	unsigned before = atomic_load(&n_rec);
	assert_int_equal(qcow2_sync(fx.q), -ETIME);
	qf_begin(&fx, &io[0], BLKIO_WRITE, 1 << 20, buf, sizeof(buf));
	qf_begin(&fx, &io[1], BLKIO_ZERO, 4096, NULL, 4096);
	qf_begin(&fx, &io[2], BLKIO_FLUSH, 0, NULL, 0);
	usleep(150000);
	assert_int_equal(atomic_load(&n_rec), before);
	deadline_page_set(guard, &on);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(qf_wait(&fx, &io[i]), 0);
	assert_true(atomic_load(&n_rec) > before);
	/* the end does not wait for one */
	assert_int_equal(qf_io(&fx, BLKIO_WRITE, 300 << 10, buf, sizeof(buf)), 0);
	deadline_page_set(guard, &off);
	before = atomic_load(&n_rec);
	qf_begin(&fx, &io[0], BLKIO_FLUSH, 0, NULL, 0);
	blkio_drop_held(fx.blkio);
	assert_int_equal(qf_wait(&fx, &io[0]), -ECANCELED);
	assert_int_equal(atomic_load(&n_rec), before);
	qf_end(&fx);
	int r = q_sh("qemu-img check d.qcow2");
	assert_true(r == 0 || r == 3);
	deadline_page_free(page);
	deadline_page_free(guard);
	forget();
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, test_dir_setup, test_dir_teardown)
	const struct CMUnitTest tests[] = { T(test_cuts), T(test_hot_path), T(test_full), T(test_sync_fails),
		                            T(test_lease) };

	/* all by the worker, where it can be seen */
	setenv("HOSPES_IO_URING", "0", 1);
	return q_have_tools() ? cmocka_run_group_tests(tests, NULL, NULL) : 77;
}
