/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The split ring against honest and hostile drivers. */
#include "config.h"
#include "tests/unit/testutil.h"
#include "tests/unit/vdriver.h"

#define MEM   (1u << 20)
#define RING  0x2000u
#define DATA  0x20000u
#define TABLE 0x40000u
#define SIZE  16u

static struct guestmem mem;
static struct vdriver drv;
static struct vq q;
static struct vq_elem e;

static int setup(void **state)
{
	(void)state;
	if (vdriver_mem(&mem, MEM))
		return -1;
	vdriver_init(&drv, &mem, RING, SIZE);
	q = (struct vq){ .c = drv.c, .indirect = true };
	return vq_map(&q, &mem);
}

static int teardown(void **state)
{
	(void)state;
	guestmem_done(&mem);
	return 0;
}

/* Honest ---------------------------------------------------------------------------------------------------------------- */

static void test_chain(void **state)
{
	(void)state;
	const uint64_t seg[][2] = {
		{ DATA, 16 }, { DATA + 0x1000, 100 }, { DATA + 0x2000, 512 }, { DATA + 0x3000, 1 }
	};
	uint32_t id, len;

	assert_int_equal(vq_pop(&q, &e), 0);
	uint16_t head = vdriver_chain(&drv, 2, 2, seg);
	assert_int_equal(vq_pop(&q, &e), 1);
	assert_int_equal(e.head, head);
	assert_int_equal(e.n_out, 2);
	assert_int_equal(e.n_in, 2);
	assert_int_equal(e.out_bytes, 116);
	assert_int_equal(e.in_bytes, 513);
	assert_ptr_equal(e.iov[1].iov_base, mem.base + DATA + 0x1000);
	assert_int_equal(vq_pop(&q, &e), 0);
	vq_push(&q, head, 77);
	assert_int_equal(vdriver_used_idx(&drv), 0);
	vq_publish(&q);
	assert_int_equal(vdriver_used_idx(&drv), 1);
	vdriver_used(&drv, 0, &id, &len);
	assert_int_equal(id, head);
	assert_int_equal(len, 77);
	/* the used ring is guest memory that we wrote */
	assert_true(vdriver_dirty(&mem, drv.c.used.v));
	assert_false(vdriver_dirty(&mem, drv.c.desc.v));
	assert_false(vdriver_dirty(&mem, DATA));
	vq_mark(&q, e.iov, 0, 5);
	assert_false(vdriver_dirty(&mem, DATA));
}

static void test_indirect(void **state)
{
	(void)state;
	struct vq_desc t[3] = { { DATA, 8, VIRTQ_DESC_F_NEXT, 2 }, { 0 }, { DATA + 64, 8, VIRTQ_DESC_F_WRITE, 0 } };

	memcpy(mem.base + TABLE, t, sizeof(t));
	/* a direct segment first, then the table */
	vdriver_set(&drv, 4, DATA + 128, 32, VIRTQ_DESC_F_NEXT, 5);
	vdriver_set(&drv, 5, TABLE, sizeof(t), VIRTQ_DESC_F_INDIRECT, 0);
	vdriver_offer(&drv, 4);
	assert_int_equal(vq_pop(&q, &e), 1);
	assert_int_equal(e.n_out, 2);
	assert_int_equal(e.n_in, 1);
	assert_ptr_equal(e.iov[2].iov_base, mem.base + DATA + 64);
}

/* Indices are 16 bits and wrap; go around them twice. */
static void test_wrap(void **state)
{
	(void)state;
	const uint64_t seg[][2] = { { DATA, 4 } };

	for (unsigned i = 0; i < 140000; i++) {
		uint16_t head = vdriver_chain(&drv, 0, 1, seg);
		assert_int_equal(vq_pop(&q, &e), 1);
		assert_int_equal(e.head, head);
		vq_push(&q, head, 4);
		vq_publish(&q);
		assert_true(vq_should_call(&q));
	}
	assert_int_equal(vdriver_used_idx(&drv), 140000 & 0xffff);
}

static void test_unpop(void **state)
{
	(void)state;
	const uint64_t seg[][2] = { { DATA, 4 } };
	uint16_t a = vdriver_chain(&drv, 0, 1, seg), b = vdriver_chain(&drv, 0, 1, seg);

	assert_int_equal(vq_pop(&q, &e), 1);
	assert_int_equal(vq_pop(&q, &e), 1);
	assert_int_equal(e.head, b);
	vq_unpop(&q, 2);
	assert_int_equal(vq_pop(&q, &e), 1);
	assert_int_equal(e.head, a);
}

static void test_event_idx(void **state)
{
	(void)state;
	const uint64_t seg[][2] = { { DATA, 4 } };

	q.event_idx = true;
	vdriver_clean(&mem);
	*vdriver_used_event(&drv) = 1; /* call me after the second */
	vdriver_chain(&drv, 0, 1, seg);
	vdriver_chain(&drv, 0, 1, seg);
	assert_int_equal(vq_pop(&q, &e), 1);
	vq_push(&q, e.head, 0);
	vq_publish(&q);
	assert_false(vq_should_call(&q));
	assert_int_equal(vq_pop(&q, &e), 1);
	assert_int_equal(*vdriver_avail_event(&drv), 0); /* no kick wanted while there is more */
	vq_push(&q, e.head, 0);
	vq_publish(&q);
	assert_true(vq_should_call(&q));
	assert_false(vq_should_call(&q));
	vdriver_clean(&mem);
	assert_int_equal(vq_pop(&q, &e), 0);
	assert_int_equal(*vdriver_avail_event(&drv), 2);
	assert_true(vdriver_dirty(&mem, drv.c.used.v));
}

static void test_no_interrupt(void **state)
{
	(void)state;
	const uint64_t seg[][2] = { { DATA, 4 } };

	*vdriver_avail_flags(&drv) = VIRTQ_AVAIL_F_NO_INTERRUPT;
	vdriver_chain(&drv, 0, 1, seg);
	assert_int_equal(vq_pop(&q, &e), 1);
	vq_push(&q, e.head, 0);
	vq_publish(&q);
	assert_false(vq_should_call(&q));
	q.call_always = true;
	assert_true(vq_should_call(&q));
	assert_false(vq_should_call(&q));
}

static void test_copy(void **state)
{
	(void)state;
	struct iovec iov[3] = { { mem.base + DATA, 3 },
		                { mem.base + DATA + 4095, 2 },
		                { mem.base + DATA + 0x3000, 10 } };
	char out[16] = "";

	vdriver_clean(&mem);
	assert_int_equal(vq_copy_to(&q, iov, 3, 1, "abcdefgh", 8), 8);
	assert_memory_equal(mem.base + DATA + 1, "ab", 2);
	assert_memory_equal(mem.base + DATA + 4095, "cd", 2);
	assert_memory_equal(mem.base + DATA + 0x3000, "efgh", 4);
	assert_true(vdriver_dirty(&mem, DATA));
	assert_true(vdriver_dirty(&mem, DATA + 0x1000));
	assert_true(vdriver_dirty(&mem, DATA + 0x3000));
	assert_false(vdriver_dirty(&mem, DATA + 0x2000));
	assert_int_equal(vq_copy_from(iov, 3, 2, out, sizeof(out)), 13);
	assert_memory_equal(out, "bcdefgh", 7);
	assert_int_equal(vq_copy_from(iov, 3, 15, out, sizeof(out)), 0);
	assert_int_equal(vq_iov_skip(iov, 3, 4), 1);
	assert_int_equal(iov[1].iov_len, 1);
	assert_int_equal(vq_iov_skip(iov + 1, 2, 100), 2);
}

/* Hostile --------------------------------------------------------------------------------------------------------------- */

static void table_at(uint64_t at, const struct vq_desc *t, size_t n)
{
	memcpy(mem.base + at, t, n * sizeof(*t));
}

static void h_loop(void)
{
	vdriver_set(&drv, 0, DATA, 4, VIRTQ_DESC_F_NEXT, 1);
	vdriver_set(&drv, 1, DATA, 4, VIRTQ_DESC_F_NEXT, 0);
	vdriver_offer(&drv, 0);
}
static void h_self_loop(void)
{
	vdriver_set(&drv, 3, DATA, 4, VIRTQ_DESC_F_NEXT, 3);
	vdriver_offer(&drv, 3);
}
static void h_outside(void)
{
	vdriver_set(&drv, 0, MEM, 1, 0, 0);
	vdriver_offer(&drv, 0);
}
static void h_across_end(void)
{
	vdriver_set(&drv, 0, MEM - 4, 5, 0, 0);
	vdriver_offer(&drv, 0);
}
static void h_overflow(void)
{
	vdriver_set(&drv, 0, UINT64_MAX - 1, 0xffffffff, VIRTQ_DESC_F_WRITE, 0);
	vdriver_offer(&drv, 0);
}
static void h_zero_length(void)
{
	vdriver_set(&drv, 0, DATA, 0, 0, 0);
	vdriver_offer(&drv, 0);
}
static void h_next_beyond(void)
{
	vdriver_set(&drv, 0, DATA, 4, VIRTQ_DESC_F_NEXT, SIZE);
	vdriver_offer(&drv, 0);
}
static void h_head_beyond(void)
{
	vdriver_offer(&drv, SIZE);
}
static void h_head_far(void)
{
	vdriver_offer(&drv, 0xffff);
}
static void h_avail_jump(void)
{
	*vdriver_avail_idx(&drv) = SIZE + 1;
}
static void h_avail_back(void)
{
	*vdriver_avail_idx(&drv) = 0xffff;
}
static void h_write_then_read(void)
{
	vdriver_set(&drv, 0, DATA, 4, VIRTQ_DESC_F_WRITE | VIRTQ_DESC_F_NEXT, 1);
	vdriver_set(&drv, 1, DATA, 4, 0, 0);
	vdriver_offer(&drv, 0);
}
static void indirect(uint64_t at, uint32_t len, uint16_t flags)
{
	vdriver_set(&drv, 0, at, len, VIRTQ_DESC_F_INDIRECT | flags, 1);
	vdriver_offer(&drv, 0);
}
static void h_indirect_next(void)
{
	indirect(TABLE, 16, VIRTQ_DESC_F_NEXT);
}
static void h_indirect_empty(void)
{
	indirect(TABLE, 0, 0);
}
static void h_indirect_odd(void)
{
	indirect(TABLE, 17, 0);
}
static void h_indirect_huge(void)
{
	indirect(TABLE, 0xfffffff0u, 0);
}
static void h_indirect_large(void)
{
	indirect(TABLE, 16 * (SIZE + 1), 0);
}
static void h_indirect_outside(void)
{
	indirect(MEM - 16, 32, 0);
}
static void h_indirect_nested(void)
{
	struct vq_desc t = { TABLE, 16, VIRTQ_DESC_F_INDIRECT, 0 };
	table_at(TABLE, &t, 1);
	indirect(TABLE, 16, 0);
}
static void h_indirect_loop(void)
{
	struct vq_desc t[2] = { { DATA, 1, VIRTQ_DESC_F_NEXT, 1 }, { DATA, 1, VIRTQ_DESC_F_NEXT, 0 } };
	table_at(TABLE, t, 2);
	indirect(TABLE, 32, 0);
}
static void h_indirect_beyond(void)
{
	struct vq_desc t = { DATA, 1, VIRTQ_DESC_F_NEXT, 2 };
	table_at(TABLE, &t, 1);
	indirect(TABLE, 32, 0);
}
static void h_indirect_unagreed(void)
{
	q.indirect = false;
	indirect(TABLE, 16, 0);
}

static const struct {
	const char *name;
	void (*attack)(void);
	const char *why;
} hostile[] = {
	{ "loop of two", h_loop, "loops" },
	{ "loop of one", h_self_loop, "loops" },
	{ "outside", h_outside, "outside guest memory" },
	{ "across the end", h_across_end, "outside guest memory" },
	{ "address overflow", h_overflow, "outside guest memory" },
	{ "zero length", h_zero_length, "length zero" },
	{ "next beyond the table", h_next_beyond, "beyond the table" },
	{ "head beyond the table", h_head_beyond, "beyond the table" },
	{ "head far beyond", h_head_far, "beyond the table" },
	{ "avail index jumps", h_avail_jump, "jumped" },
	{ "avail index goes back", h_avail_back, "jumped" },
	{ "readable after writable", h_write_then_read, "follows a writable" },
	{ "indirect with next", h_indirect_next, "has a next" },
	{ "indirect empty", h_indirect_empty, "wrong size" },
	{ "indirect odd", h_indirect_odd, "wrong size" },
	{ "indirect huge", h_indirect_huge, "wrong size" },
	{ "indirect larger than the queue", h_indirect_large, "wrong size" },
	{ "indirect outside", h_indirect_outside, "outside guest memory" },
	{ "indirect in indirect", h_indirect_nested, "inside an indirect" },
	{ "indirect loop", h_indirect_loop, "loops" },
	{ "indirect next beyond", h_indirect_beyond, "beyond the table" },
	{ "indirect not negotiated", h_indirect_unagreed, "without the feature" },
};

static void test_hostile(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(hostile); i++) {
		teardown(state);
		assert_int_equal(setup(state), 0);
		hostile[i].attack();
		int r = vq_pop(&q, &e);
		if (r != -EINVAL || !q.broken || !strstr(q.broken, hostile[i].why))
			fail_msg("%s: %d, %s", hostile[i].name, r, q.broken ? q.broken : "not broken");
		/* broken stays broken, quietly */
		assert_int_equal(vq_pop(&q, &e), -EINVAL);
		assert_false(vq_should_call(&q));
		assert_int_equal(vdriver_used_idx(&drv), 0);
	}
}

static void test_hostile_rings(void **state)
{
	static const struct {
		uint16_t size;
		uint64_t desc, avail, used;
		const char *why;
	} bad[] = {
		{ 0, 0, 0, 0, "power of two" },
		{ 3, 0, 0, 0, "power of two" },
		{ 512, 0, 0x10000, 0x20000, "power of two" },
		{ 16, 8, 0x1000, 0x2000, "aligned" },
		{ 16, 0, 0x1001, 0x2000, "aligned" },
		{ 16, 0, 0x1000, 0x2002, "aligned" },
		{ 16, MEM - 240, 0x1000, 0x2000, "outside" },
		{ 16, 0, MEM - 36, 0x2000, "outside" },
		{ 16, 0, 0x1000, MEM - 132, "outside" },
		{ 16, 0xfffffffffffffff0u, 0x1000, 0x2000, "outside" },
		{ 256, 0, 0xfffffffffffffffeu, 0x2000, "outside" },
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct vq x = { .c = { .size = bad[i].size,
			               .enabled = true,
			               .desc = { bad[i].desc },
			               .avail = { bad[i].avail },
			               .used = { bad[i].used } } };
		assert_int_equal(vq_map(&x, &mem), -EINVAL);
		assert_non_null(strstr(x.broken, bad[i].why));
		assert_false(vq_ready(&x));
		assert_int_equal(vq_pop(&x, &e), -EINVAL);
	}
}

/* A full table of tiny segments is fine, one more through an indirect table is not. */
static void test_segments_bound(void **state)
{
	struct vdriver big;
	struct vq b = { .indirect = true };
	struct vq_desc t[2] = { { DATA, 1, VIRTQ_DESC_F_NEXT, 1 }, { DATA, 1, 0, 0 } };
	(void)state;

	vdriver_init(&big, &mem, 0x10000, 256);
	b.c = big.c;
	b.c.used.v = big.c.used.v = 0x18000;
	assert_int_equal(vq_map(&b, &mem), 0);
	for (unsigned i = 0; i < 256; i++)
		vdriver_set(&big, i, DATA, 1, i < 255 ? VIRTQ_DESC_F_NEXT : 0, (uint16_t)(i + 1));
	vdriver_offer(&big, 0);
	assert_int_equal(vq_pop(&b, &e), 1);
	assert_int_equal(e.n_out, 256);
	table_at(TABLE, t, 2);
	vdriver_set(&big, 255, TABLE, 32, VIRTQ_DESC_F_INDIRECT, 0);
	vdriver_offer(&big, 0);
	assert_int_equal(vq_pop(&b, &e), -EINVAL);
	assert_non_null(strstr(b.broken, "too many segments"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_chain, setup, teardown),
		cmocka_unit_test_setup_teardown(test_indirect, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wrap, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unpop, setup, teardown),
		cmocka_unit_test_setup_teardown(test_event_idx, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_interrupt, setup, teardown),
		cmocka_unit_test_setup_teardown(test_copy, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile_rings, setup, teardown),
		cmocka_unit_test_setup_teardown(test_segments_bound, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
