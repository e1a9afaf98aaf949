/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is left out of a state of QEMU's, and that its reader makes the same memory of the rest. */
#include "config.h"
#include "tests/unit/testutil.h"

#include "common/buf.h"
#include "hypervisor/qemu/qstate.h"

#define PAGE  4096u
#define PAGES 4u

static uint8_t code[PAGES * PAGE]; /* page 2 is zeros */

static void be(struct buf *b, uint64_t v, int octets)
{
	for (int i = 8 * (octets - 1); i >= 0; i -= 8)
		buf_put_u8(b, (uint8_t)(v >> i));
}
static void name(struct buf *b, const char *s)
{
	buf_put_u8(b, (uint8_t)strlen(s));
	buf_put(b, s, strlen(s));
}
static void section(struct buf *b, unsigned kind)
{
	be(b, kind, 1);
	be(b, 3, 4);
}
static void footer(struct buf *b)
{
	be(b, 0x10, 8); /* the end of the records */
	be(b, 0x7e, 1);
	be(b, 3, 4);
}
/* @block NULL: the one of before. */
static void page(struct buf *b, const char *block, uint64_t at, const void *p)
{
	be(b, at | (p ? 8 : 2) | (block ? 0 : 0x20), 8);
	if (block)
		name(b, block);
	if (p)
		buf_put(b, p, PAGE);
	else
		be(b, 0, 1);
}

/* As QEMU 7.2 writes it, with x-ignore-shared. */
static void stream(struct buf *b, const uint8_t *changed)
{
	static const uint8_t vars[PAGE] = { 7 };

	memset(code, 0, sizeof(code));
	for (unsigned i = 0; i < PAGES; i++)
		memset(code + i * PAGE, i == 2 ? 0 : (int)i + 1, PAGE);
	be(b, 0x5145564d, 4);
	be(b, 3, 4);
	be(b, 7, 1); /* what the machine is called */
	be(b, 6, 4);
	buf_put(b, "pc-q35", 6);
	section(b, 1);
	name(b, "ram");
	be(b, 0, 4);
	be(b, 4, 4);
	be(b, (PAGES * PAGE + 2 * PAGE) | 4, 8);
	name(b, "system.flash0");
	be(b, PAGES * PAGE, 8);
	be(b, 0xffc00000, 8);
	name(b, "vars");
	be(b, 2 * PAGE, 8);
	be(b, 0, 8);
	footer(b);
	section(b, 2);
	page(b, "vars", 0, vars);
	page(b, "system.flash0", 0, code);
	page(b, NULL, PAGE, changed ? changed : code + PAGE);
	page(b, NULL, 2 * PAGE, NULL);
	footer(b);
	section(b, 3);
	page(b, NULL, 3 * PAGE, code + 3 * PAGE);
	page(b, "vars", PAGE, NULL);
	footer(b);
	buf_put(b, "devices", 7);
}

/* What a reader has in memory then; it is of the form that stream() makes. */
static void replay(const struct buf *b, uint8_t flash[PAGES * PAGE], uint8_t vars[2 * PAGE], const char **rest)
{
	size_t head = 8 + 5 + 6 + 5 + 4 + 8 + 8 + 14 + 16 + 5 + 16 + 13, at = head;
	uint8_t *block = NULL;
	int ends = 0;

	while (ends < 2) {
		struct rd in = rd_of(b->data + at, b->len - at);
		uint64_t v = 0;
		assert_true(in.left > 13);
		if (*in.p == 2 || (*in.p == 3 && in.p[4] == 3 && !in.p[1])) {
			at += 5;
			continue;
		}
		for (int i = 0; i < 8; i++)
			v = v << 8 | rd_u8(&in);
		if (v == 0x10) {
			at += 13;
			ends++;
			continue;
		}
		at += 8;
		if (!(v & 0x20)) {
			block = b->data[at + 1] == 's' ? flash : vars;
			at += 1u + b->data[at];
		}
		assert_non_null(block);
		if (v & 8)
			memcpy(block + (v & ~4095ull), b->data + at, PAGE);
		else
			memset(block + (v & ~4095ull), 0, PAGE);
		at += v & 8 ? PAGE : 1;
	}
	*rest = (const char *)b->data + at;
	assert_int_equal(b->len - at, 7);
}

static void check(const uint8_t *changed, long left)
{
	static uint8_t flash[2][PAGES * PAGE], vars[2][2 * PAGE];
	struct qstate_known k = { .block = "system.flash0", .p = code, .len = sizeof(code) };
	struct buf whole = { 0 }, less = { 0 };
	const char *rest[2];

	stream(&whole, changed);
	buf_put(&less, "x", 1);
	assert_int_equal(qstate_leave(whole.data, whole.len, &k, &less), left);
	memmove(less.data, less.data + 1, --less.len);
	assert_in_range(whole.len - less.len, left ? (left - 1) * PAGE : 0, (left + 1) * (PAGE + 40));
	memset(flash[0], 0xee, sizeof(flash[0]));
	memset(vars, 0xee, sizeof(vars));
	memcpy(flash[1], code, sizeof(code)); /* what it has by itself */
	replay(&whole, flash[0], vars[0], &rest[0]);
	replay(&less, flash[1], vars[1], &rest[1]);
	assert_memory_equal(flash[0], flash[1], sizeof(flash[0]));
	assert_memory_equal(vars[0], vars[1], sizeof(vars[0]));
	assert_memory_equal(rest[0], "devices", 7);
	assert_memory_equal(rest[1], "devices", 7);
	buf_done(&whole);
	buf_done(&less);
}

static void test_left_out(void **state)
{
	static uint8_t other[PAGE] = { 9 };
	(void)state;

	check(NULL, PAGES);
	/* another firmware's page stays, and those after it are still the same block's */
	check(other, PAGES - 1);
}

/* Another place, block or length: nothing is. */
static void test_not_known(void **state)
{
	struct qstate_known k = { .block = "system.flash1", .p = code, .len = sizeof(code) };
	struct buf whole = { 0 }, less = { 0 };
	(void)state;

	stream(&whole, NULL);
	assert_int_equal(qstate_leave(whole.data, whole.len, &k, &less), 0);
	assert_int_equal(less.len, whole.len);
	assert_memory_equal(less.data, whole.data, less.len);
	less.len = 0;
	k = (struct qstate_known){ .block = "system.flash0", .p = code + PAGE, .len = sizeof(code) - PAGE };
	assert_int_equal(qstate_leave(whole.data, whole.len, &k, &less), 0);
	assert_memory_equal(less.data, whole.data, less.len);
	less.len = 0;
	k = (struct qstate_known){ .block = "system.flash0", .p = code, .len = PAGE };
	assert_int_equal(qstate_leave(whole.data, whole.len, &k, &less), 1);
	buf_done(&whole);
	buf_done(&less);
}

/* Cut anywhere, or with any octet of its form changed: refused, or the same as it came; never a crash. */
static void test_hostile(void **state)
{
	struct qstate_known k = { .block = "system.flash0", .p = code, .len = sizeof(code) };
	struct buf whole = { 0 }, less = { 0 };
	(void)state;

	stream(&whole, NULL);
	for (size_t n = 0; n < whole.len - 7; n += n < 400 ? 1 : 97) {
		uint8_t *exact = malloc(n + !n);
		assert_non_null(exact);
		memcpy(exact, whole.data, n);
		assert_true(qstate_leave(exact, n, &k, &less) < 0);
		assert_int_equal(less.len, 0);
		free(exact);
	}
	for (size_t at = 0; at < 160; at++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			whole.data[at] ^= (uint8_t)(1u << bit);
			(void)!qstate_leave(whole.data, whole.len, &k, &less);
			less.len = 0;
			whole.data[at] ^= (uint8_t)(1u << bit);
		}
	}
	buf_done(&whole);
	buf_done(&less);
}

static void test_base(void **state)
{
	uint64_t a[2], b[2];
	(void)state;

	qstate_base("a", 1, a);
	qstate_base("b", 1, b);
	assert_memory_not_equal(a, b, sizeof(a));
	qstate_base("b", 1, a);
	assert_memory_equal(a, b, sizeof(a));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_left_out), cmocka_unit_test(test_not_known),
		                            cmocka_unit_test(test_hostile), cmocka_unit_test(test_base) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
