/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Guest memory of two regions with a hole between them: addresses, marks, and a ring with its buffers on both sides of the hole. */
#include "config.h"
#include "tests/unit/testutil.h"
#include "tests/unit/vdriver.h"

#include <sys/mman.h>

#define LOW   (512u << 10)      /* octets below the hole */
#define HIGH  (1ull << 32)      /* where the memory goes on */
#define ABOVE (LOW / 2 + 4096u) /* octets there */

static const struct guestmem_region two[] = { { .bytes = LOW }, { .start = { HIGH }, .bytes = ABOVE } };
static struct guestmem mem;

static int init(const struct guestmem_region *r, unsigned n, uint64_t file)
{
	struct err err = { 0 };
	int fd = memfd_create("guest", MFD_CLOEXEC);

	assert_true(fd >= 0 && ftruncate(fd, (off_t)file) == 0);
	int ret = guestmem_init_regions(&mem, fd, r, n, &err);
	assert_int_equal(ret, -err.code);
	return ret;
}

static int setup(void **state)
{
	(void)state;
	return init(two, 2, LOW + ABOVE);
}

static int teardown(void **state)
{
	(void)state;
	guestmem_done(&mem);
	guestmem_done(&mem); /* again does no harm */
	return 0;
}

static void test_addresses(void **state)
{
	static const struct {
		uint64_t at, len;
		int64_t offset; /* -1: outside */
	} t[] = {
		{ 0, 1, 0 },
		{ LOW - 1, 1, LOW - 1 },
		{ 0, LOW, 0 },
		{ LOW, 0, LOW },
		{ LOW, 1, -1 },
		{ LOW - 1, 2, -1 }, /* into the hole */
		{ 0, LOW + 1, -1 },
		{ HIGH - 1, 1, -1 },
		{ HIGH - 1, 2, -1 }, /* out of it */
		{ HIGH, 1, LOW },
		{ HIGH, ABOVE, LOW },
		{ HIGH, ABOVE + 1, -1 },
		{ HIGH + ABOVE - 1, 1, LOW + ABOVE - 1 },
		{ HIGH + ABOVE, 1, -1 },
		{ 0, HIGH + 1, -1 },   /* over it */
		{ 1, UINT64_MAX, -1 }, /* ends wrap */
		{ HIGH + 1, UINT64_MAX, -1 },
		{ UINT64_MAX, 1, -1 },
		{ UINT64_MAX, 2, -1 },
	};

	(void)state;
	assert_int_equal(mem.size, LOW + ABOVE);
	for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
		const uint8_t *p = guestmem_at(&mem, (struct gpa){ t[i].at }, t[i].len);

		if (t[i].offset < 0 ? p != NULL : !p || guestmem_offset(&mem, p) != (uint64_t)t[i].offset)
			fail_msg("[0x%lx, +0x%lx) is wrong", (unsigned long)t[i].at, (unsigned long)t[i].len);
	}
}

static void test_marks(void **state)
{
	uint8_t *low = guestmem_at(&mem, (struct gpa){ LOW - 4096 }, 4096);
	uint8_t *high = guestmem_at(&mem, (struct gpa){ HIGH + 4096 }, 8192);

	(void)state;
	guestmem_mark(&mem, low + 4095, 1);
	guestmem_mark(&mem, high + 4095, 2);
	guestmem_mark(&mem, high + 8192, 0);
	for (uint64_t i = 0; i < mem.size / 4096; i++)
		assert_int_equal(mem.dev_dirty[i / 64] >> (i % 64) & 1,
		                 i == LOW / 4096 - 1 || i == LOW / 4096 + 1 || i == LOW / 4096 + 2);
	/* a region's bits begin with a word */
	assert_int_equal(mem.region[1].offset / 4096 % 64, 0);
}

/* The ring lies above the hole, its buffers on both sides. */
static void test_ring(void **state)
{
	const uint64_t seg[][2] = { { 0x3000, 16 }, { HIGH + 0x8000, 16 }, { LOW - 16, 16 } };
	const uint64_t over[][2] = { { LOW - 16, 17 } }, hole[][2] = { { HIGH - 4096, 1 } };
	struct vdriver drv;
	struct vq_elem e;

	(void)state;
	vdriver_init(&drv, &mem, HIGH, 16);
	struct vq q = { .c = drv.c };
	assert_int_equal(vq_map(&q, &mem), 0);
	uint16_t head = vdriver_chain(&drv, 1, 2, seg);
	assert_int_equal(vq_pop(&q, &e), 1);
	assert_int_equal(vq_copy_to(&q, e.iov + 1, 2, 0, "0123456789abcdefABCDEFGH", 24), 24);
	assert_memory_equal(guestmem_at(&mem, (struct gpa){ HIGH + 0x8000 }, 16), "0123456789abcdef", 16);
	assert_memory_equal(guestmem_at(&mem, (struct gpa){ LOW - 16 }, 8), "ABCDEFGH", 8);
	vq_push(&q, head, 24);
	vq_publish(&q);
	assert_int_equal(vdriver_used_idx(&drv), 1);
	assert_true(vdriver_dirty(&mem, HIGH + 0x8000));
	assert_true(vdriver_dirty(&mem, LOW - 16));
	assert_true(vdriver_dirty(&mem, drv.c.used.v));
	assert_false(vdriver_dirty(&mem, 0x3000));
	assert_false(vdriver_dirty(&mem, drv.c.desc.v));
	vdriver_chain(&drv, 0, 1, over);
	assert_int_equal(vq_pop(&q, &e), -EINVAL);
	q.broken = NULL;
	drv.next = 0;
	vdriver_set(&drv, 3, hole[0][0], 1, 0, 0);
	assert_int_equal(vq_pop(&q, &e), -EINVAL);
	assert_string_equal(q.broken, "a descriptor is outside guest memory");
	/* a ring with its end in the hole */
	vdriver_init(&drv, &mem, LOW - 4096, 16);
	q = (struct vq){ .c = drv.c };
	assert_int_equal(vq_map(&q, &mem), -EINVAL);
}

static void test_refused(void **state)
{
	static const struct {
		struct guestmem_region r[5];
		unsigned n;
		uint64_t file;
	} t[] = {
		{ .n = 0, .file = LOW },
		{ .n = 5,
		  .file = 5u * LOW,
		  .r = { { .bytes = LOW }, { .bytes = LOW }, { .bytes = LOW }, { .bytes = LOW }, { .bytes = LOW } } },
		{ .n = 1, .file = LOW, .r = { { .bytes = 0 } } },
		{ .n = 1, .file = LOW, .r = { { .bytes = 4097 } } },
		{ .n = 1, .file = LOW - 1, .r = { { .bytes = LOW } } }, /* a file that is too short */
		{ .n = 1, .file = LOW, .r = { { .start = { 1 }, .bytes = LOW } } },
		{ .n = 1, .file = LOW, .r = { { .start = { UINT64_MAX - 4095 }, .bytes = 4096 } } }, /* ends wrap */
		{ .n = 2,
		  .file = 2u * LOW,
		  .r = { { .bytes = LOW }, { .start = { LOW - 4096 }, .bytes = LOW } } }, /* in the first */
		{ .n = 2,
		  .file = 2u * LOW,
		  .r = { { .start = { LOW }, .bytes = LOW }, { .start = { 4096 }, .bytes = LOW } } },
		{ .n = 2,
		  .file = 2u * LOW,
		  .r = { { .bytes = 4096 }, { .start = { LOW }, .bytes = LOW } } }, /* bits in one word */
		{ .n = 2, .file = LOW, .r = { { .bytes = LOW }, { .start = { LOW }, .bytes = UINT64_MAX - 4095 } } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
		if (init(t[i].r, t[i].n, t[i].file) != -EINVAL)
			fail_msg("case %zu was taken", i);
		assert_null(guestmem_at(&mem, (struct gpa){ 0 }, 0));
		guestmem_done(&mem);
	}
	/* in any order, and one behind the other */
	static const struct guestmem_region good[] = { { .start = { LOW }, .bytes = LOW }, { .bytes = LOW } };
	assert_int_equal(init(good, 2, 2u * LOW), 0);
	assert_ptr_equal(guestmem_at(&mem, (struct gpa){ LOW }, LOW), mem.base);
	assert_ptr_equal(guestmem_at(&mem, (struct gpa){ 0 }, LOW), mem.base + LOW);
	guestmem_done(&mem);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	static const struct CMUnitTest tests[] = { T(test_addresses), T(test_marks), T(test_ring),
		                                   cmocka_unit_test(test_refused) };

	return cmocka_run_group_tests_name("guestmem", tests, NULL, NULL);
}
