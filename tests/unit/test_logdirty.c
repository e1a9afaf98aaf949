/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of hypervisor/logdirty/logdirty.c and hashlog.c: everything but tracking, which needs a guest (test_track). */
#include "config.h"
#include "tests/unit/testutil.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include "common/util.h"
#include "hypervisor/api/hypercall.h"
#include "hypervisor/logdirty/hashlog.h"
#include "hypervisor/logdirty/logdirty.h"

#define PAGES 1500u /* two chunks and a part; not a multiple of 64 */
#define WORDS ((PAGES + 63) / 64)

struct fix {
	struct guestmem m;
	struct logdirty *l;
	uint64_t bits[WORDS];
};

static void setup(struct fix *x, uint32_t mode)
{
	struct err err = { 0 };
	int fd = memfd_create("ram", MFD_CLOEXEC);
	uint32_t got;

	assert_int_equal(ftruncate(fd, PAGES * PAGE_BYTES), 0);
	assert_int_equal(guestmem_init(&x->m, fd, PAGES * PAGE_BYTES, &err), 0);
	struct logdirty_cfg c = { .mode = mode, .audit = true };
	assert_int_equal(logdirty_new(&c, &x->m, &x->l, &got, &err), 0);
	if (mode != HV_LOGDIRTY_BEST)
		assert_int_equal(got, mode);
}

static void done(struct fix *x)
{
	logdirty_free(x->l);
	guestmem_done(&x->m);
}

static uint64_t collect_as(struct fix *x, bool frozen, bool clean)
{
	struct err err = { 0 };
	uint64_t n = ~0ull, seen = 0;

	memset(x->bits, 0xff, sizeof(x->bits));
	assert_int_equal(logdirty_collect(x->l, frozen, clean, x->bits, &n, &err), 0);
	for (unsigned i = 0; i < WORDS; i++)
		seen += (uint64_t)__builtin_popcountll(x->bits[i]);
	assert_int_equal(seen, n);
	return n;
}

static uint64_t collect(struct fix *x, bool clean)
{
	return collect_as(x, false, clean);
}

static bool bit(const struct fix *x, unsigned page)
{
	return x->bits[page / 64] >> (page % 64) & 1;
}

static uint64_t audit(struct fix *x)
{
	struct err err = { 0 };
	uint64_t n = ~0ull;

	assert_int_equal(logdirty_audit(x->l, x->bits, &n, &err), 0);
	return n;
}

static void poke(struct fix *x, unsigned page, uint8_t v)
{
	x->m.base[(size_t)page * PAGE_BYTES + page % PAGE_BYTES] = v;
}

static void punch(struct fix *x, unsigned page, unsigned n)
{
	assert_int_equal(fallocate(x->m.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)page * PAGE_BYTES,
	                           (off_t)n * PAGE_BYTES),
	                 0);
}

static uint64_t blocks(const struct fix *x)
{
	struct stat st;

	assert_int_equal(fstat(x->m.fd, &st), 0);
	return (uint64_t)st.st_blocks;
}

static void test_hash_rounds(void **state)
{
	static const unsigned pages[] = { 0, 1, 63, 64, 511, 512, 1023, 1024, PAGES - 1 };
	struct fix x;

	(void)state;
	setup(&x, HV_LOGDIRTY_COMPARE);
	assert_int_equal(collect(&x, true), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(pages); i++)
		poke(&x, pages[i], 7);
	assert_int_equal(audit(&x), ARRAY_SIZE(pages));
	assert_int_equal(collect(&x, false), ARRAY_SIZE(pages));
	assert_int_equal(collect(&x, true), ARRAY_SIZE(pages));
	for (unsigned i = 0; i < ARRAY_SIZE(pages); i++)
		assert_true(bit(&x, pages[i]));
	assert_int_equal(audit(&x), 0);
	assert_int_equal(collect(&x, true), 0);
	poke(&x, 511, 8);
	assert_int_equal(collect(&x, true), 1);
	assert_true(bit(&x, 511));
	done(&x);
}

/* A peek that saw a change keeps it although the content goes back before the clean: it may have been copied meanwhile. */
static void test_peek_keeps(void **state)
{
	struct fix x;

	(void)state;
	setup(&x, HV_LOGDIRTY_COMPARE);
	poke(&x, 5, 1);
	assert_int_equal(collect(&x, true), 1);
	poke(&x, 5, 2);
	assert_int_equal(collect(&x, false), 1);
	poke(&x, 5, 1);
	assert_int_equal(collect(&x, true), 1);
	assert_int_equal(collect(&x, true), 0);
	done(&x);
}

/* A page that changes after it was collected, is copied so, and changes back: its hash says nothing. Frozen, it is named again. */
static void test_there_and_back(void **state)
{
	struct fix x;

	(void)state;
	setup(&x, HV_LOGDIRTY_COMPARE);
	poke(&x, 5, 1);
	poke(&x, 6, 1);
	assert_int_equal(collect(&x, true), 2);
	poke(&x, 5, 2); /* copied */
	poke(&x, 5, 1);
	assert_int_equal(collect(&x, true), 0); /* while it runs there is time: rounds shrink */
	poke(&x, 7, 1);
	assert_int_equal(collect_as(&x, true, true), 3);
	assert_true(bit(&x, 5) && bit(&x, 6) && bit(&x, 7));
	assert_int_equal(audit(&x), 0);
	poke(&x, 7, 2); /* what is collected of a frozen guest may be copied after it went on */
	poke(&x, 7, 1);
	assert_int_equal(collect_as(&x, true, true), 3);
	done(&x);
}

static void test_holes(void **state)
{
	struct fix x;

	(void)state;
	setup(&x, HV_LOGDIRTY_COMPARE);
	poke(&x, 100, 1);
	uint64_t b = blocks(&x);
	assert_int_equal(collect(&x, true), 1);
	assert_int_equal(audit(&x), 0);
	assert_int_equal(blocks(&x), b); /* looking did not fill holes */
	poke(&x, 200, 0);                /* a page of zeros is as good as the hole it was */
	assert_int_equal(collect(&x, true), 0);
	for (unsigned i = 0; i < 600; i++)
		poke(&x, i, 3);
	assert_int_equal(collect(&x, true), 600);
	punch(&x, 10, 500);
	assert_int_equal(audit(&x), 500);
	assert_int_equal(collect(&x, true), 500);
	assert_true(bit(&x, 10) && bit(&x, 509) && !bit(&x, 9) && !bit(&x, 510));
	assert_int_equal(collect(&x, true), 0);
	done(&x);
}

static void test_devices(void **state)
{
	struct fix x;

	(void)state;
	setup(&x, HV_LOGDIRTY_COMPARE);
	poke(&x, 70, 1);
	assert_int_equal(collect(&x, true), 1);
	/* written by a device with what was there before: reported, for the copy may have caught something between */
	guestmem_mark(&x.m, x.m.base + 70 * PAGE_BYTES, 1);
	guestmem_mark(&x.m, x.m.base + 900 * PAGE_BYTES, 1); /* a hole that never had content */
	assert_int_equal(collect(&x, false), 1);
	assert_int_equal(collect(&x, true), 1);
	assert_true(bit(&x, 70));
	assert_int_equal(collect(&x, true), 0);
	punch(&x, 70, 1);
	guestmem_mark(&x.m, x.m.base + 70 * PAGE_BYTES, 1);
	assert_int_equal(collect(&x, true), 1);
	done(&x);
}

static void test_stopcopy(void **state)
{
	struct fix x;

	(void)state;
	setup(&x, HV_LOGDIRTY_NONE);
	poke(&x, 1, 1);
	poke(&x, 1000, 1);
	assert_int_equal(collect(&x, true), 2);
	assert_int_equal(collect(&x, true), 2);
	assert_int_equal(audit(&x), 0);
	punch(&x, 1, 1);
	poke(&x, 2, 1);
	assert_int_equal(audit(&x), 1);
	assert_int_equal(collect(&x, true), 3);
	assert_int_equal(collect(&x, true), 2);
	done(&x);
}

static void test_modes(void **state)
{
	struct err err = { 0 };
	struct fix x;
	struct logdirty *l = NULL;
	uint32_t got;

	(void)state;
	setup(&x, HV_LOGDIRTY_BEST);
	struct logdirty_cfg c = { .mode = 77 };
	assert_int_equal(logdirty_new(&c, &x.m, &l, &got, &err), -EINVAL);
	assert_non_null(strstr(err.text, "77"));
	/* tracking arms inside a frozen guest: without one it must say so */
	c.mode = HV_LOGDIRTY_RECORD;
	assert_int_not_equal(logdirty_new(&c, &x.m, &l, &got, &err), 0);
	assert_null(l);
	done(&x);
}

/* Allocation failures: reported, and no page is lost by them. */
static void test_no_memory(void **state)
{
	struct err err = { 0 };
	struct fix x;
	uint64_t n;
	int r = 0;

	(void)state;
	setup(&x, HV_LOGDIRTY_COMPARE);
	struct logdirty_cfg c = { .mode = HV_LOGDIRTY_COMPARE };
	FOR_EACH_ALLOC_FAILURE({
		struct logdirty *l = NULL;
		uint32_t got;
		r = logdirty_new(&c, &x.m, &l, &got, &err);
		logdirty_free(l);
	})
	assert_int_equal(r, alloc_failed ? -ENOMEM : 0);
	for (unsigned p = 0; p < PAGES; p += 500)
		poke(&x, p, 1);
	FOR_EACH_ALLOC_FAILURE(r = logdirty_collect(x.l, false, true, x.bits, &n, &err))
	assert_int_equal(r, alloc_failed ? -ENOMEM : 0);
	assert_int_equal(n, 3);
	assert_true(bit(&x, 0) && bit(&x, 500) && bit(&x, 1000));
	done(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hash_rounds),    cmocka_unit_test(test_peek_keeps),
		cmocka_unit_test(test_there_and_back), cmocka_unit_test(test_holes),
		cmocka_unit_test(test_devices),        cmocka_unit_test(test_stopcopy),
		cmocka_unit_test(test_modes),          cmocka_unit_test(test_no_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
