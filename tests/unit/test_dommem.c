/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A domain's memory and bitmap: sealed against whoever gets the descriptor; the hash that proves a move. */
#include "config.h"
#include "tests/unit/testutil.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include "common/util.h"
#include "hypervisor/domain_int.h"

#define BYTES (40ull << 20)

/* Two engines: one region; two with a hole. */
static unsigned whole(const struct dom_config *cfg, struct guestmem_region ret[GUESTMEM_REGIONS_MAX])
{
	ret[0] = (struct guestmem_region){ .bytes = cfg->memory_bytes };
	return 1;
}

static unsigned holed(const struct dom_config *cfg, struct guestmem_region ret[GUESTMEM_REGIONS_MAX])
{
	ret[0] = (struct guestmem_region){ .bytes = 30u << 20 };
	ret[1] = (struct guestmem_region){ .start = { 1ull << 32 }, .bytes = cfg->memory_bytes - (30u << 20) };
	return 2;
}

static const struct hv_engine_ops one = { .regions = whole }, two = { .regions = holed };

struct fixture {
	struct domain d;
	struct dom_config cfg;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct err err;

	f->cfg.memory_bytes = BYTES;
	f->d = (struct domain){ .mem.fd = -1, .bitmap_fd = -1, .cfg = &f->cfg, .ops = &one };
	if (dommem_new(&f->d, &err))
		fail_msg("%s", err.text);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	dommem_done(&f->d);
	dommem_done(&f->d); /* again does no harm */
	free(f);
	return 0;
}

static void is_sealed(int fd, uint64_t bytes)
{
	struct stat st;

	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(fd, (off_t)bytes - 1), -1);
	assert_int_equal(ftruncate(fd, (off_t)bytes + 4096), -1);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, bytes);
}

static void sealed(void **state)
{
	struct fixture *f = *state;
	struct err err;

	is_sealed(f->d.mem.fd, BYTES);
	assert_int_equal(dommem_bitmap(&f->d, &err), 0);
	assert_true(f->d.bitmap_bytes >= BYTES / PAGE_BYTES / 8);
	is_sealed(f->d.bitmap_fd, f->d.bitmap_bytes);
	/* the second wish gets the same one */
	uint64_t *was = f->d.bitmap;
	was[0] = 5;
	assert_int_equal(dommem_bitmap(&f->d, &err), 0);
	assert_ptr_equal(f->d.bitmap, was);
	assert_int_equal(f->d.bitmap[0], 5);
}

static void bitmap_sizes(void **state)
{
	static const struct {
		uint64_t mem, bitmap;
	} t[] = {
		{ PAGE_BYTES, 4096 },        { 64ull << 20, 4096 },
		{ 128ull << 20, 4096 },      { (128ull << 20) + PAGE_BYTES, 8192 },
		{ 1ull << 40, 32ull << 20 },
	};
	struct fixture *f = *state;
	struct err err;

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		dommem_done(&f->d);
		f->cfg.memory_bytes = t[i].mem;
		assert_int_equal(dommem_bitmap(&f->d, &err), 0);
		assert_int_equal(f->d.bitmap_bytes, t[i].bitmap);
	}
}

static uint64_t hash(struct fixture *f)
{
	struct err err;
	uint64_t h = 0;

	assert_int_equal(dommem_hash(&f->d, &h, &err), 0);
	return h;
}

static void hashes(void **state)
{
	struct fixture *f = *state;
	uint64_t empty = hash(f);
	struct stat st;

	/* hashing allocates nothing, and a page of zeroes is a hole */
	assert_int_equal(fstat(f->d.mem.fd, &st), 0);
	assert_int_equal(st.st_blocks, 0);
	memset(f->d.mem.base + 8 * PAGE_BYTES, 0, 3 * PAGE_BYTES);
	assert_int_equal(hash(f), empty);
	/* content and place count, to the last octet */
	f->d.mem.base[5 * PAGE_BYTES] = 1;
	uint64_t a = hash(f);
	assert_int_not_equal(a, empty);
	f->d.mem.base[5 * PAGE_BYTES] = 0;
	f->d.mem.base[6 * PAGE_BYTES] = 1;
	uint64_t b = hash(f);
	assert_int_not_equal(a, b);
	assert_int_not_equal(b, empty);
	f->d.mem.base[BYTES - 1] = 1;
	assert_int_not_equal(hash(f), b);
	f->d.mem.base[BYTES - 1] = 0;
	assert_int_equal(hash(f), b);
	/* as read from another memory with the same content but other holes */
	assert_int_equal(fallocate(f->d.mem.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 8 * PAGE_BYTES, PAGE_BYTES),
	                 0);
	assert_int_equal(hash(f), b);
}

static void new_memory_is_empty(void **state)
{
	struct fixture *f = *state;
	struct err err;
	uint64_t empty = hash(f);

	f->d.mem.base[77] = 1;
	assert_int_equal(dommem_new(&f->d, &err), 0); /* a reboot */
	assert_int_equal(hash(f), empty);
	assert_int_equal(f->d.mem.size, BYTES);
}

/* One file, one bitmap and one hash, whatever the guest's addresses are. */
static void regions(void **state)
{
	struct fixture *f = *state;
	struct err err;

	f->d.mem.base[5 * PAGE_BYTES] = 1;
	f->d.mem.base[BYTES - 1] = 2;
	uint64_t h = hash(f);
	f->d.ops = &two;
	assert_int_equal(dommem_new(&f->d, &err), 0);
	assert_int_equal(f->d.mem.size, BYTES);
	is_sealed(f->d.mem.fd, BYTES);
	*(uint8_t *)guestmem_at(&f->d.mem, (struct gpa){ 5 * PAGE_BYTES }, 1) = 1;
	assert_null(guestmem_at(&f->d.mem, (struct gpa){ BYTES - 1 }, 1));
	*(uint8_t *)guestmem_at(&f->d.mem, (struct gpa){ (1ull << 32) + (10u << 20) - 1 }, 1) = 2;
	assert_int_equal(hash(f), h);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	static const struct CMUnitTest tests[] = { T(sealed), T(bitmap_sizes), T(hashes), T(new_memory_is_empty),
		                                   T(regions) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
