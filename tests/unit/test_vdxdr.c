/* SPDX-License-Identifier: GPL-2.0-or-later */
/* XDR: what is written is read again, and nothing is read that is not there. */
#include "config.h"
#include "tests/unit/testutil.h"

#include <string.h>
#include "virtd/vdxdr.h"

static void round_trip(void **state)
{
	_cleanup_buf_ struct buf b = { 0 };
	struct xdr x;
	size_t len;
	char *s;

	(void)state;
	xdr_put_u32(&b, 0x01020304);
	xdr_put_u64(&b, 0x0102030405060708ull);
	xdr_put_string(&b, "hello");
	xdr_put_opt_string(&b, NULL);
	xdr_put_opt_string(&b, "");
	xdr_put_opaque(&b, "\0\1\2", 3);
	assert_int_equal(b.len, 4 + 8 + 4 + 8 + 4 + 8 + 8);
	assert_memory_equal(b.data, "\1\2\3\4\1\2\3\4\5\6\7\10\0\0\0\5hello\0\0\0", 24);
	x = xdr_of(b.data, b.len);
	assert_int_equal(xdr_u32(&x), 0x01020304);
	assert_true(xdr_u64(&x) == 0x0102030405060708ull);
	s = xdr_string(&x);
	assert_string_equal(s, "hello");
	free(s);
	assert_true(xdr_opt_string(&x, &s));
	assert_null(s);
	assert_true(xdr_opt_string(&x, &s));
	assert_string_equal(s, "");
	free(s);
	assert_memory_equal(xdr_opaque(&x, 3, &len), "\0\1\2", 3);
	assert_int_equal(len, 3);
	assert_false(x.bad);
	assert_int_equal(x.left, 0);
}

static void any_true(void **state)
{
	static const uint8_t go[] = { 1, 0, 0, 0, 0, 0, 0, 1, 'a', 0, 0, 0 };
	struct xdr x = xdr_of(go, sizeof(go));
	char *s;

	(void)state;
	assert_true(xdr_opt_string(&x, &s));
	assert_string_equal(s, "a");
	free(s);
}

/* Each is wrong in one way. */
static void hostile(void **state)
{
	static const struct {
		const char *what;
		uint8_t octets[16];
		size_t len;
	} wrong[] = {
		{ "nothing", { 0 }, 0 },
		{ "half a length", { 0, 0 }, 2 },
		{ "short", { 0, 0, 0, 5, 'a', 'b', 'c', 'd' }, 8 },
		{ "the padding is missing", { 0, 0, 0, 1, 'a' }, 5 },
		{ "the padding is not zero", { 0, 0, 0, 1, 'a', 0, 0, 7 }, 8 },
		{ "a NUL in it", { 0, 0, 0, 2, 'a', 0, 0, 0 }, 8 },
		{ "absurd", { 0xff, 0xff, 0xff, 0xff, 'a', 0, 0, 0 }, 8 },
		{ "just beyond the limit", { 0, 0x40, 0, 1, 'a', 0, 0, 0 }, 8 },
		{ "padded to 2^32", { 0xff, 0xff, 0xff, 0xfd, 'a', 0, 0, 0 }, 8 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		/* a copy of its exact size, so that a sanitizer sees a step too far */
		uint8_t *p = malloc(wrong[i].len ? wrong[i].len : 1);
		struct xdr x;
		char *s;

		memcpy(p, wrong[i].octets, wrong[i].len);
		x = xdr_of(p, wrong[i].len);
		s = xdr_string(&x);
		if (s || !x.bad)
			fail_msg("%s: was read", wrong[i].what);
		assert_int_equal(xdr_u32(&x), 0);
		assert_true(xdr_u64(&x) == 0);
		assert_null(xdr_fixed(&x, 0));
		free(p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(any_true),
		cmocka_unit_test(hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
