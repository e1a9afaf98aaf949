/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of common/buf.c. */
#include "config.h"
#include "tests/unit/testutil.h"

#include "common/buf.h"

static void test_round_trip(void **state)
{
	_cleanup_buf_ struct buf b = { 0 };
	_cleanup_free_ char *s = NULL, *empty = NULL;
	struct rd r;

	(void)state;
	buf_put_u8(&b, 0x12);
	buf_put_u16(&b, 0x3456);
	buf_put_u32(&b, 0x789abcde);
	buf_put_u64(&b, 0x0123456789abcdefull);
	buf_put_str(&b, "guest01");
	buf_put_str(&b, NULL);
	assert_false(b.failed);
	assert_int_equal(b.len, 1 + 2 + 4 + 8 + 4 + 7 + 4);
	assert_int_equal(b.data[1], 0x56); /* little-endian */
	r = rd_of(b.data, b.len);
	assert_int_equal(rd_u8(&r), 0x12);
	assert_int_equal(rd_u16(&r), 0x3456);
	assert_int_equal(rd_u32(&r), 0x789abcde);
	assert_true(rd_u64(&r) == 0x0123456789abcdefull);
	s = rd_str(&r, 63);
	assert_string_equal(s, "guest01");
	empty = rd_str(&r, 63);
	assert_string_equal(empty, "");
	assert_false(r.bad);
	assert_int_equal(r.left, 0);
}

static void test_growth_keeps_content(void **state)
{
	_cleanup_buf_ struct buf b = { 0 };

	(void)state;
	for (uint32_t i = 0; i < 100000; i++)
		buf_put_u32(&b, i);
	assert_int_equal(b.len, 400000);
	for (uint32_t i = 0; i < 100000; i++) {
		uint32_t v;

		memcpy(&v, b.data + i * 4, 4);
		assert_int_equal(v, i);
	}
	buf_reset(&b);
	assert_int_equal(b.len, 0);
	assert_true(b.cap >= 400000);
}

static void test_reads_past_the_end(void **state)
{
	static const uint8_t bytes[] = { 1, 2, 3 };
	struct rd r = rd_of(bytes, sizeof(bytes));

	(void)state;
	assert_int_equal(rd_u32(&r), 0);
	assert_true(r.bad);
	assert_int_equal(rd_u8(&r), 0); /* sticky */
	r = rd_of(bytes, sizeof(bytes));
	assert_null(rd_bytes(&r, SIZE_MAX));
	assert_true(r.bad);
	r = rd_of(NULL, 0);
	assert_non_null(rd_bytes(&r, 0));
	assert_false(r.bad);
}

static void test_strings_from_outside(void **state)
{
	static const struct {
		const char *what;
		const char *bytes;
		size_t len, max;
		const char *want; /* NULL: refused */
	} cases[] = {
		{ "whole", "\3\0\0\0abc", 7, 3, "abc" },
		{ "empty", "\0\0\0\0", 4, 0, "" },
		{ "over the maximum", "\4\0\0\0abcd", 8, 3, NULL },
		{ "longer than the input", "\4\0\0\0abc", 7, 63, NULL },
		{ "huge length", "\377\377\377\377abc", 7, SIZE_MAX, NULL },
		{ "holds a NUL", "\3\0\0\0a\0c", 7, 63, NULL },
		{ "length cut", "\3\0", 2, 63, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct rd r = rd_of(cases[i].bytes, cases[i].len);
		_cleanup_free_ char *s = rd_str(&r, cases[i].max);

		if (cases[i].want && (!s || strcmp(s, cases[i].want)))
			fail_msg("%s: got %s", cases[i].what, s ? s : "nothing");
		if (!cases[i].want && (s || !r.bad))
			fail_msg("%s: accepted", cases[i].what);
	}
}

static void fill(struct buf *b)
{
	for (int i = 0; i < 200; i++)
		buf_put_str(b, "some text to grow by");
}

static void test_allocation_failures(void **state)
{
	unsigned failures = 0;
	struct buf b = { 0 };

	(void)state;
	FOR_EACH_ALLOC_FAILURE(fill(&b))
	{
		assert_int_equal(b.failed, alloc_failed);
		failures += alloc_failed;
		if (b.failed) {
			size_t len = b.len;

			buf_put_u8(&b, 1); /* sticky: nothing is added behind a gap */
			assert_int_equal(b.len, len);
		}
		buf_done(&b);
	}
	assert_true(failures > 2);
	assert_null(buf_reserve(&b, SIZE_MAX - 1));
	assert_true(b.failed);
	buf_done(&b);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),          cmocka_unit_test(test_growth_keeps_content),
		cmocka_unit_test(test_reads_past_the_end),  cmocka_unit_test(test_strings_from_outside),
		cmocka_unit_test(test_allocation_failures),
	};

	return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
