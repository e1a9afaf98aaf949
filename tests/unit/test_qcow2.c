/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qcow2 images against qemu-img: what is read and written, what is refused, images that are damaged. Power cuts are
 * test_qcow2cut.c's.
 */
#include "config.h"
#include "tests/unit/qcow2fix.h"

#include <fcntl.h>
#include <sys/stat.h>
#include "common/util.h"
#include "hypervisor/dev/qcow2_int.h"

#define DISK (6u << 20)

static struct qfix fx;

static int set_up(void **state)
{
	return test_dir_setup(state);
}

static int tear_down(void **state)
{
	qf_end(&fx);
	return test_dir_teardown(state);
}

static void sh_ok(int r)
{
	if (r)
		print_error("%s\n", q_out);
	assert_int_equal(r, 0);
}

/* A base with something in it, and an image d.qcow2. @opts: of its qemu-img create; @below: NULL, "raw" or "qcow2". */
static void make(const char *opts, const char *below)
{
	sh_ok(q_sh("rm -f d.qcow2 base.raw base; truncate -s 5M base.raw"));
	sh_ok(q_sh(
		"qemu-io -f raw -c 'write -P 17 100k 300k' -c 'write -P 18 2M 1M' -c 'write -P 19 4M 200k' base.raw"));
	if (below && !strcmp(below, "qcow2"))
		sh_ok(q_sh("qemu-img convert -O qcow2 -o cluster_size=32k -c base.raw base"));
	else
		sh_ok(q_sh("cp base.raw base"));
	if (below)
		sh_ok(q_sh("qemu-img create -f qcow2 -o %s -b base -F %s d.qcow2 %u", opts, below, DISK));
	else
		sh_ok(q_sh("qemu-img create -f qcow2 -o %s d.qcow2 %u", opts, DISK));
}

static const struct {
	const char *opts, *below;
} kinds[] = {
	{ "compat=1.1", NULL },
	{ "compat=1.1,cluster_size=4k", NULL },
	{ "compat=1.1,cluster_size=2M", NULL },
	{ "compat=0.10", NULL },
	{ "compat=1.1,lazy_refcounts=on", "raw" },
	{ "compat=1.1,cluster_size=4k", "raw" },
	{ "compat=1.1", "qcow2" },
	{ "compat=1.1,cluster_size=8k", "qcow2" },
	{ "compat=0.10,cluster_size=16k", "qcow2" },
	{ "compat=1.1,preallocation=metadata", NULL },
};

static void test_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		make(kinds[i].opts, kinds[i].below);
		sh_ok(q_sh("qemu-io -c 'write -P 1 0 4k' -c 'write -P 2 70k 1000k' -c 'write -P 3 5M 100k' "
		           "-c 'write -z 2100k 300k' -c 'discard 200k 200k' d.qcow2"));
		qf_start(&fx, "d.qcow2");
		qf_model(&fx);
		fx.readonly = i % 2;
		qf_open(&fx);
		qf_compare(&fx);
		/* in small pieces that lie across clusters */
		uint8_t buf[8192];
		for (uint64_t off = 3584; off + sizeof(buf) < DISK; off += 61 * 1024) {
			assert_int_equal(qf_io(&fx, BLKIO_READ, off, buf, sizeof(buf)), 0);
			assert_memory_equal(buf, fx.model + off, sizeof(buf));
		}
		qf_close(&fx);
		qf_end(&fx);
	}
}

/* Compressed clusters are read, and written over. */
static void test_compressed(void **state)
{
	(void)state;
	make("compat=1.1", NULL);
	sh_ok(q_sh("qemu-img convert -c -O qcow2 base.raw d.qcow2"));
	qf_start(&fx, "d.qcow2");
	qf_model(&fx);
	qf_open(&fx);
	qf_compare(&fx);
	for (unsigned i = 0; i < 40; i++)
		qf_write(&fx, i * 100 * 1024ull + 512, 1024 + 512 * i, (uint8_t)(i + 50));
	qf_compare(&fx);
	qf_close(&fx);
	qf_verify(&fx, true);
}

static uint64_t rnd_state = 1;
static uint64_t rnd(uint64_t below)
{
	rnd_state = rnd_state * 6364136223846793005ull + 1442695040888963407ull;
	return (rnd_state >> 33) % below;
}

/* One random operation on disk and model. */
static void one(void)
{
	uint64_t len = (1 + rnd(rnd(8) ? 16 : 1200)) * 512, off = rnd((DISK - len) / 512) * 512, op = rnd(12);

	if (op < 8) {
		qf_write(&fx, off, len, (uint8_t)rnd(256));
	} else if (op < 10) {
		assert_int_equal(qf_io(&fx, BLKIO_ZERO, off, NULL, len), 0);
		memset(fx.model + off, 0, len);
	} else if (op < 11) {
		/* what was discarded may read as anything: it is written anew */
		assert_int_equal(qf_io(&fx, BLKIO_DISCARD, off, NULL, len), 0);
		qf_write(&fx, off, len, (uint8_t)rnd(256));
	} else {
		assert_int_equal(qf_io(&fx, BLKIO_FLUSH, 0, NULL, 0), 0);
	}
}

static void test_random(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds) * 2; i++) {
		const size_t k = i % ARRAY_SIZE(kinds);
		make(kinds[k].opts, kinds[k].below);
		qf_start(&fx, "d.qcow2");
		fx.opts.punch = true;
		fx.opts.dsync = i % 3 == 0;
		fx.opts.direct = i >= ARRAY_SIZE(kinds);
		for (unsigned round = 0; round < 3; round++) {
			qf_model(&fx);
			qf_open(&fx);
			for (unsigned n = 0; n < 60; n++)
				one();
			qf_compare(&fx);
			qf_close(&fx);
			qf_verify(&fx, true);
		}
		qf_end(&fx);
	}
}

/* Many at once, in the same clusters but not the same sectors. */
static void test_at_once(void **state)
{
	enum { N = 64 };
	static uint8_t buf[N][4096] __attribute__((aligned(4096)));
	struct qio io[N];
	(void)state;

	for (unsigned kind = 0; kind < 3; kind++) {
		make(kinds[kind == 2 ? 6 : kind].opts, kinds[kind == 2 ? 6 : kind].below);
		qf_start(&fx, "d.qcow2");
		qf_model(&fx);
		qf_open(&fx);
		for (unsigned round = 0; round < 20; round++) {
			uint64_t base = rnd((DISK - N * 4096) / 4096) * 4096;
			for (unsigned i = 0; i < N; i++) {
				unsigned at = (i * 37 + round) % N; /* out of order */
				enum blkio_op op = i % 9 == 8 ? BLKIO_ZERO : i % 7 == 6 ? BLKIO_READ : BLKIO_WRITE;
				memset(buf[i], (int)(i + round), 4096);
				if (op != BLKIO_READ)
					memset(fx.model + base + at * 4096, op == BLKIO_ZERO ? 0 : (int)(i + round),
					       4096);
				qf_begin(&fx, &io[i], op, base + at * 4096, buf[i], 4096);
			}
			struct qio flush;
			qf_begin(&fx, &flush, BLKIO_FLUSH, 0, NULL, 0);
			for (unsigned i = 0; i < N; i++)
				assert_int_equal(qf_wait(&fx, &io[i]), 0);
			assert_int_equal(qf_wait(&fx, &flush), 0);
		}
		qf_compare(&fx);
		qf_close(&fx);
		qf_verify(&fx, true);
		qf_end(&fx);
	}
}

/* Writes leave internal snapshots as they are. */
static void test_snapshot(void **state)
{
	_cleanup_free_ uint8_t *then = NULL;
	(void)state;

	make("compat=1.1,cluster_size=4k", NULL);
	sh_ok(q_sh("qemu-io -c 'write -P 1 0 3M' d.qcow2 && qemu-img snapshot -c s1 d.qcow2"));
	qf_start(&fx, "d.qcow2");
	qf_model(&fx);
	then = malloc(DISK);
	memcpy(then, fx.model, DISK);
	qf_open(&fx);
	for (unsigned n = 0; n < 100; n++)
		one();
	qf_compare(&fx);
	qf_close(&fx);
	qf_verify(&fx, true);
	sh_ok(q_sh("qemu-img convert -l snapshot.name=s1 -O raw d.qcow2 s1.raw"));
	_cleanup_free_ char *path = xasprintf("%s/s1.raw", test_dir), *data = NULL;
	size_t len;
	assert_int_equal(file_read(path, DISK + 1, &data, &len), 0);
	assert_int_equal(len, DISK);
	assert_memory_equal(data, then, DISK);
}

/* The file grows past what the refcount table counts. */
static void test_long_file(void **state)
{
	(void)state;
	make("compat=1.1,cluster_size=4k", NULL);
	qf_start(&fx, "d.qcow2");
	qf_model(&fx);
	qf_open(&fx);
	qf_write(&fx, 0, 65536, 1);
	for (unsigned i = 1; i <= 3; i++) {
		/* the last cluster that the table as it is counts */
		fx.q->hint = ((uint64_t)fx.q->reft_clusters << (12 - 3)) * 2048 - 2;
		qf_write(&fx, i << 20, 65536, (uint8_t)i);
		assert_int_equal(fx.q->reft_clusters, 1u << i);
	}
	qf_compare(&fx);
	qf_close(&fx);
	qf_verify(&fx, true);
	qf_open(&fx);
	qf_write(&fx, 5 << 20, 65536, 7);
	qf_close(&fx);
	qf_verify(&fx, true);
}

/* More tables than the cache holds. */
static void test_large_disk(void **state)
{
	uint8_t buf[4096], got[4096];
	(void)state;

	make("compat=1.1,cluster_size=4k", "raw");
	sh_ok(q_sh("qemu-img resize d.qcow2 4G"));
	qf_start(&fx, "d.qcow2");
	qf_open(&fx);
	for (unsigned i = 0; i < 700; i++) {
		memset(buf, (int)i, sizeof(buf));
		assert_int_equal(qf_io(&fx, BLKIO_WRITE, i * (5ull << 20) + 2048, buf, sizeof(buf)), 0);
	}
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < 700; i++) {
			memset(buf, (int)i, sizeof(buf));
			assert_int_equal(qf_io(&fx, BLKIO_READ, i * (5ull << 20) + 2048, got, sizeof(got)), 0);
			assert_memory_equal(got, buf, sizeof(buf));
		}
		qf_close(&fx);
		sh_ok(q_sh("qemu-img check d.qcow2"));
		qf_open(&fx);
	}
	assert_int_equal(qf_io(&fx, BLKIO_DISCARD, 0, NULL, 4ull << 30), 0);
	qf_close(&fx);
	sh_ok(q_sh("qemu-img check d.qcow2"));
}

/* The disk grows, by a little and by so much that its table does; others see the same. */
static void test_grow(void **state)
{
	static const struct {
		const char *opts, *below;
		uint64_t to;
	} how[] = {
		{ "compat=1.1", NULL, DISK + 512 },
		{ "compat=1.1", "raw", 3ull * DISK },
		{ "compat=0.10,cluster_size=4k", "qcow2", 5ull * DISK },
		{ "compat=1.1,cluster_size=2M", NULL, 4ull * DISK },
	};
	uint8_t buf[4096], got[4096];
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(how); i++) {
		make(how[i].opts, how[i].below);
		qf_start(&fx, "d.qcow2");
		qf_model(&fx);
		qf_open(&fx);
		qf_write(&fx, 1 << 20, 65536, 1);
		assert_int_equal(qcow2_grow(fx.q, DISK - 512), -EINVAL);
		assert_int_equal(qcow2_grow(fx.q, how[i].to), 0);
		assert_int_equal(qcow2_size(fx.q), how[i].to);
		fx.model = realloc(fx.model, how[i].to);
		memset(fx.model + DISK, 0, how[i].to - DISK);
		fx.size = how[i].to;
		qf_write(&fx, how[i].to - 512, 512, 2);
		qf_write(&fx, 0, 4096, 3);
		qf_compare(&fx);
		qf_close(&fx);
		qf_verify(&fx, true);
		qf_end(&fx);
	}
	/* tables of several clusters, three times */
	make("compat=1.1,cluster_size=4k", NULL);
	qf_start(&fx, "d.qcow2");
	qf_open(&fx);
	for (uint64_t gib = 1; gib <= 100; gib *= 10) {
		memset(buf, (int)gib, sizeof(buf));
		assert_int_equal(qcow2_grow(fx.q, gib << 30), 0);
		assert_int_equal(qf_io(&fx, BLKIO_WRITE, (gib << 30) - 4096, buf, sizeof(buf)), 0);
	}
	qf_close(&fx);
	sh_ok(q_sh("qemu-img check d.qcow2"));
	qf_open(&fx);
	for (uint64_t gib = 1; gib <= 100; gib *= 10) {
		memset(buf, (int)gib, sizeof(buf));
		assert_int_equal(qf_io(&fx, BLKIO_READ, (gib << 30) - 4096, got, sizeof(got)), 0);
		assert_memory_equal(got, buf, sizeof(buf));
	}
	qf_close(&fx);
	sh_ok(q_sh("qemu-img snapshot -c s1 d.qcow2"));
	qf_open(&fx);
	assert_int_equal(qcow2_grow(fx.q, 200ull << 30), -EOPNOTSUPP);
	qf_close(&fx);
}

/* What was given back is used again: the file does not grow. */
static void test_reuse(void **state)
{
	struct stat a, b;
	(void)state;

	make("compat=1.1", NULL);
	qf_start(&fx, "d.qcow2");
	qf_model(&fx);
	fx.opts.punch = true;
	qf_open(&fx);
	qf_write(&fx, 0, 4 << 20, 1);
	qf_close(&fx);
	assert_int_equal(stat(fx.path, &a), 0);
	qf_open(&fx);
	for (unsigned i = 0; i < 10; i++) {
		assert_int_equal(qf_io(&fx, BLKIO_DISCARD, 0, NULL, 4 << 20), 0);
		assert_int_equal(qf_io(&fx, BLKIO_FLUSH, 0, NULL, 0), 0);
		qf_write(&fx, 0, 4 << 20, (uint8_t)i);
	}
	assert_int_equal(qf_io(&fx, BLKIO_DISCARD, 0, NULL, 4 << 20), 0);
	memset(fx.model, 0, 4 << 20);
	qf_close(&fx);
	qf_verify(&fx, true);
	assert_int_equal(stat(fx.path, &b), 0);
	assert_true(b.st_size <= a.st_size + 65536);
	assert_true(b.st_blocks < a.st_blocks / 4);
}

/* Another host, then we again: the tables are read anew. And the guest of a disk that is not ours gets nothing. */
static void test_take_turns(void **state)
{
	struct qfix other;
	uint8_t buf[512];
	(void)state;

	make("compat=1.1", "qcow2");
	qf_start(&fx, "d.qcow2");
	qf_model(&fx);
	qf_open(&fx);
	qf_start(&other, "d.qcow2");
	qf_open(&other);
	qcow2_disown(other.q);
	qf_write(&fx, 1 << 20, 65536, 1);
	assert_true(qcow2_dirty(fx.q));
	assert_int_equal(qcow2_sync(fx.q), 0);
	qcow2_disown(fx.q);
	assert_int_equal(qf_io(&fx, BLKIO_READ, 0, buf, 512), -EPERM);
	assert_int_equal(qf_io(&fx, BLKIO_WRITE, 0, buf, 512), -EPERM);
	assert_int_equal(qcow2_own(other.q, NULL), 0);
	other.model = fx.model;
	qf_compare(&other);
	qf_write(&other, 3 << 20, 65536, 2);
	assert_int_equal(qcow2_sync(other.q), 0);
	qcow2_disown(other.q);
	other.model = NULL;
	qf_end(&other);
	assert_int_equal(qcow2_own(fx.q, NULL), 0);
	qf_compare(&fx);
	qcow2_disown(fx.q);
	/* it was resized meanwhile: that is another disk */
	struct err err = { 0 };
	sh_ok(q_sh("qemu-img resize d.qcow2 8M"));
	assert_int_equal(qcow2_own(fx.q, &err), -ESTALE);
	qf_drop(&fx);
	/* somebody writes the backing file */
	_cleanup_free_ char *base = xasprintf("%s/base", test_dir);
	_cleanup_close_ int fd = open(base, O_RDWR | O_CLOEXEC);
	struct flock fl = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &fl), 0);
	assert_int_equal(qf_try(&fx, &err), -EAGAIN);
	assert_non_null(strstr(err.text, "/base is being written"));
}

/* Refusals --------------------------------------------------------------------------------------------------------- */

static void poke(const char *name, uint64_t at, const void *p, size_t len)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", test_dir, name);
	_cleanup_close_ int fd = open(path, O_RDWR | O_CLOEXEC);

	assert_int_equal(pwrite(fd, p, len, (off_t)at), len);
}

static void refused(const char *name, int code, const char *text)
{
	struct err err = { 0 };
	struct qfix f;

	qf_start(&f, name);
	int r = qf_try(&f, &err);
	if (r != -code || !strstr(err.text, text))
		print_error("%s: %d: %s (wanted: %s)\n", name, r, err.text, text);
	assert_int_equal(r, -code);
	assert_non_null(strstr(err.text, text));
	qf_end(&f);
}

static void test_refusals(void **state)
{
	static const struct {
		const char *make, *text;
		int code;
	} t[] = {
		{ "truncate -s 1M x", "no qcow2 image", EINVAL },
		{ "qemu-img create -f qcow2 -o cluster_size=512 x 1M", "clusters have 2^9", ENOTSUP },
		{ "qemu-img create -f qcow2 -o refcount_bits=1 x 1M", "refcounts have 1 bits", ENOTSUP },
		{ "qemu-img create -f qcow2 -o extended_l2=on,cluster_size=128k x 1M", "extended L2", ENOTSUP },
		{ "qemu-img create -f qcow2 -o data_file=raw,data_file_raw=on x 1M", "external data file", ENOTSUP },
		{ "qemu-img create -f qcow2 -b base x -F raw; qemu-img rebase -u -f qcow2 -b gone -F raw x", "/gone",
		  ENOENT },
		{ "qemu-img create -f qcow2 -u -b base -F raw x 1M; printf '\\1' | dd of=x bs=1 seek=112 conv=notrunc",
		  "does not say which format", EINVAL },
		{ "qemu-img create -f qcow2 -u -b base -F vmdk x 1M", "'vmdk'", ENOTSUP },
		{ "qemu-img create -f qcow2 -u -b nbd://h/x -F raw x 1M", "only plain paths", ENOTSUP },
		{ "qemu-img create -f qcow2 -u -b 'json:{\"driver\":\"null-co\"}' -F raw x 1M", "only plain paths",
		  ENOTSUP },
		{ "qemu-img create -f qcow2 y 1M; qemu-img rebase -u -f qcow2 -b x -F qcow2 y; mv y x",
		  "stands on itself", ELOOP },
		{ "qemu-img create -f qcow2 -u -b y -F qcow2 x 1M; qemu-img create -f qcow2 -u -b ./x -F qcow2 y 1M",
		  "stands on itself", ELOOP },
		{ "qemu-img create -f qcow2 0 1M; for i in $(seq 16); do qemu-img create -f qcow2 -u -b $((i - 1)) -F "
		  "qcow2 $i 1M; done; mv 16 x",
		  "more than 15 images", ELOOP },
		{ "truncate -s 1k y; qemu-img create -f qcow2 -u -b y -F qcow2 x 1M", "backing file of", EINVAL },
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		sh_ok(q_sh("rm -rf *; truncate -s 1M base; %s", t[i].make));
		refused("x", t[i].code, t[i].text);
	}
	/* fifteen below are fine */
	sh_ok(q_sh("rm -rf *; qemu-img create -f qcow2 0 1M; for i in $(seq 15); do "
	           "qemu-img create -f qcow2 -u -b $((i - 1)) -F qcow2 $i 1M; done; qemu-io -c 'write -P 9 0 64k' 0"));
	qf_start(&fx, "15");
	qf_model(&fx);
	qf_open(&fx);
	qf_compare(&fx);
}

/* A header with @len octets at @at replaced. */
static void test_header(void **state)
{
	static const struct {
		uint64_t at;
		const char *octets;
		size_t len;
		int code;
		const char *text;
	} t[] = {
		{ 4, "\0\0\0\4", 4, ENOTSUP, "version 4" },
		{ 20, "\0\0\0\77", 4, ENOTSUP, "2^63" },
		{ 24, "\377\377\377\377\377\377\377\377", 8, EINVAL, "a disk of" },
		{ 24, "\0\100\0\0\0\0\0\0", 8, ENOTSUP, "L1 table would have" },
		{ 32, "\0\0\0\1", 4, ENOTSUP, "encrypted (AES)" },
		{ 32, "\0\0\0\2", 4, ENOTSUP, "encrypted (LUKS)" },
		{ 36, "\0\0\0\0", 4, EINVAL, "L1 table" },
		{ 40, "\0\0\0\0\0\0\0\0", 8, EINVAL, "L1 table" },
		{ 40, "\0\0\0\0\0\3\0\10", 8, EINVAL, "L1 table" },
		{ 40, "\0\0\0\1\0\0\0\0", 8, EINVAL, "L1 table" },
		{ 48, "\0\0\0\0\0\0\0\0", 8, EINVAL, "refcount table" },
		{ 48, "\177\377\377\377\377\377\0\0", 8, EINVAL, "refcount table" },
		{ 48, "\0\0\0\0\0\2\0\0", 8, EINVAL, "refcount block is not in the file" },
		{ 0x10000, "\0\0\0\0\0\3\0\0", 8, EINVAL, "same place" },   /* a refcount block where the L1 table is */
		{ 0x30000, "\200\0\0\0\0\2\0\0", 8, EINVAL, "same place" }, /* an L2 table where that block is */
		{ 0x30000, "\200\0\0\0\0\2\2\0", 8, EINVAL, "L2 table is not in the file" },
		{ 0x30000, "\200\0\1\0\0\0\0\0", 8, EINVAL, "L2 table is not in the file" },
		{ 56, "\377\377\377\377", 4, EINVAL, "refcount table" },
		{ 60, "\0\0\0\1", 4, EINVAL, "snapshot table" },
		{ 79, "\1", 1, EINVAL, "dirty bit" },
		{ 79, "\2", 1, EINVAL, "marked as corrupt" },
		{ 79, "\10", 1, ENOTSUP, "compression" },
		{ 78, "\4", 1, ENOTSUP, "feature number 10" },
		{ 100, "\377\377\377\377", 4, EINVAL, "its header is damaged" },
		{ 100, "\0\0\0\10", 4, EINVAL, "its header is damaged" },
		{ 104, "\1", 1, ENOTSUP, "zstd" },
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		make("compat=1.1", NULL);
		poke("d.qcow2", t[i].at, t[i].octets, t[i].len);
		refused("d.qcow2", t[i].code, t[i].text);
	}
	/* a file that was cut off, at each of its first pages */
	make("compat=1.1", NULL);
	sh_ok(q_sh("qemu-io -c 'write 0 1M' d.qcow2"));
	for (unsigned kib = 320; kib >= 4; kib -= 4) {
		struct err err = { 0 };
		sh_ok(q_sh("truncate -s %uk d.qcow2", kib));
		qf_start(&fx, "d.qcow2");
		int r = qf_try(&fx, &err);
		assert_true(r == 0 || r == -EINVAL);
		assert_true(kib > 256 || r == -EINVAL);
		qf_end(&fx);
	}
	/* bitmaps that we do not keep must not be believed any more */
	make("compat=1.1", NULL);
	poke("d.qcow2", 95, "\1", 1);
	qf_start(&fx, "d.qcow2");
	qf_model(&fx);
	qf_open(&fx);
	qf_close(&fx);
	sh_ok(q_sh("[ $(od -An -tu1 -j95 -N1 d.qcow2) = 0 ]"));
}

/* A guest cannot get at the tables by an image that was made for that. */
/* What is made is read again: an empty disk, alone or on another image. */
static void test_make(void **state)
{
	static const uint64_t sizes[] = { 512, 64 << 10, 512ull << 20, (512ull << 20) + 512, 20ull << 30, 1ull << 49 };
	struct qcow2_head h;
	struct err err;
	size_t len;
	void *p;
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		const char *backing = i % 2 ? "/srv/base.qcow2" : NULL;

		assert_int_equal(qcow2_head_make(sizes[i], backing, "qcow2", &p, &len), 0);
		assert_int_equal(qcow2_head_parse(p, len < QCOW2_HEAD_MAX ? len : QCOW2_HEAD_MAX, len, &h, &err), 0);
		assert_int_equal(h.size, sizes[i]);
		assert_string_equal(h.backing, backing ?: "");
		assert_string_equal(h.backing_format, backing ? "qcow2" : "");
		assert_int_equal(len % 65536, 0);
		assert_true(h.l1_at + h.l1_entries * 8ull <= len);
		free(p);
	}
	assert_int_equal(qcow2_head_make(0, NULL, NULL, &p, &len), -EINVAL);
	assert_int_equal(qcow2_head_make(513, NULL, NULL, &p, &len), -EINVAL);
	assert_int_equal(qcow2_head_make(1ull << 60, NULL, NULL, &p, &len), -EINVAL);
}

static void test_overlap(void **state)
{
	static const uint64_t target[] = { 0x00000, 0x10000, 0x20000, 0x30000,
		                           0x40000 }; /* header, refcounts, L1, L2 */
	uint8_t buf[4096] = { 1 }, before[0x50000], *now;
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(target); i++) {
		make("compat=1.1", NULL);
		sh_ok(q_sh("qemu-io -c 'write 0 64k' d.qcow2"));
		uint64_t e = htobe64(target[i] | QC_COPIED);
		poke("d.qcow2", 0x40000 + 8, &e, 8);
		_cleanup_free_ char *path = xasprintf("%s/d.qcow2", test_dir), *data = NULL;
		size_t len;
		assert_int_equal(file_read(path, 1 << 20, &data, &len), 0);
		memcpy(before, data, sizeof(before));
		qf_start(&fx, "d.qcow2");
		qf_open(&fx);
		int r = qf_io(&fx, BLKIO_WRITE, 65536, buf, sizeof(buf));
		/* offset 0 is no cluster: there it is an ordinary write */
		assert_int_equal(r, target[i] ? -EUCLEAN : 0);
		if (!r)
			qf_close(&fx);
		qf_end(&fx);
		free(data);
		assert_int_equal(file_read(path, 1 << 20, &data, &len), 0);
		now = (uint8_t *)data;
		/* all tables but the refcounts and the L2 entry */
		assert_memory_equal(now, before, 0x20000);
		assert_memory_equal(now + 0x30000, before + 0x30000, 0x10000);
	}
	/* refcounts that say the tables are free */
	make("compat=1.1", NULL);
	poke("d.qcow2", 0x20000, "\0\0\0\0\0\0\0\0", 8);
	qf_start(&fx, "d.qcow2");
	qf_open(&fx);
	assert_int_equal(qf_io(&fx, BLKIO_WRITE, 65536, buf, sizeof(buf)), -EUCLEAN);
}

/* Tables with anything in them: errors, and nothing worse. */
static void test_damaged(void **state)
{
	static uint8_t image[1 << 20], copy[1 << 20];
	uint8_t *buf = calloc(1, 1 << 17);
	(void)state;

	make("compat=1.1,cluster_size=4k", "qcow2");
	sh_ok(q_sh("qemu-io -c 'write -P 1 0 300k' -c 'write -z 400k 64k' d.qcow2"));
	_cleanup_free_ char *path = xasprintf("%s/d.qcow2", test_dir);
	_cleanup_close_ int fd = open(path, O_RDWR | O_CLOEXEC);
	ssize_t len = pread(fd, image, sizeof(image), 0);
	assert_true(len > 300 * 1024);
	for (unsigned n = 0; n < 600; n++) {
		memcpy(copy, image, (size_t)len);
		for (unsigned k = 0; k < 1 + n % 6; k++) {
			uint64_t at = rnd(n % 3 == 0 ? 128 : 6 * 4096) & ~(uint64_t)(rnd(2) ? 7 : 0);
			copy[at] = (uint8_t)(rnd(3) ? rnd(256) : 1u << rnd(8));
		}
		assert_int_equal(pwrite(fd, copy, (size_t)len, 0), len);
		assert_int_equal(ftruncate(fd, len), 0);
		struct err err = { 0 };
		qf_start(&fx, "d.qcow2");
		if (qf_try(&fx, &err) == 0) {
			for (unsigned i = 0; i < 30 && fx.size > 1 << 20; i++) {
				enum blkio_op op = rnd(4) ? rnd(2) ? BLKIO_READ : BLKIO_WRITE : BLKIO_ZERO;
				uint64_t max = fx.size < DISK ? fx.size : DISK, bytes = (1 + rnd(250)) * 512;
				(void)qf_io(&fx, op, rnd((max - bytes) / 512) * 512, buf, bytes);
				if (i % 10 == 9)
					(void)qf_io(&fx, BLKIO_FLUSH, 0, NULL, 0);
			}
			(void)!qcow2_sync(fx.q);
		} else {
			assert_true(err.code > 0 && err.text[0]);
		}
		qf_end(&fx);
	}
	free(buf);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_read),      T(test_compressed), T(test_random),  T(test_at_once), T(test_snapshot),
		T(test_long_file), T(test_large_disk), T(test_grow),    T(test_reuse),   T(test_take_turns),
		T(test_refusals),  T(test_header),     T(test_overlap), T(test_damaged), T(test_make),
	};
	return q_have_tools() ? cmocka_run_group_tests(tests, NULL, NULL) : 77;
}
