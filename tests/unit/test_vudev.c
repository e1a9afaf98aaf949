/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The memory table of a driver, compared with guest memory that has a hole below 4 GiB. */
#include "config.h"
#include "tests/unit/devfixture.h"

#include <sys/mman.h>

#include "common/util.h"

#define LOW   (1u << 20)   /* octets below the hole */
#define HIGH  (1ull << 32) /* where the memory goes on */
#define ABOVE (2u << 20)   /* octets there */

#define OUTSIDE "rng0: a region of the guest's memory table is not within a region of its memory"
#define OFFSET  "rng0: a region of the guest's memory table has another offset in the memory file"
#define USER    "rng0: a region of the guest's memory table has a user address that is not its guest address"
#define OVERLAP "rng0: two regions of the guest's memory table overlap"

struct table {
	uint32_t n, pad;
	struct vu_region r[3]; /* guest address, octets, user address, offset */
};

static const struct table good[] = {
	{ 2, 0, { { 0, LOW, 0, 0 }, { HIGH, ABOVE, HIGH, LOW } } },
	{ 2, 0, { { HIGH, ABOVE, HIGH, LOW }, { 0, LOW, 0, 0 } } },
	{ 1, 0, { { HIGH + ABOVE - 4096, 4096, HIGH + ABOVE - 4096, LOW + ABOVE - 4096 } } },
	/* parts of a region, side by side, and not all of the memory */
	{ 2, 0, { { 4096, 4096, 4096, 4096 }, { 8192, LOW - 8192, 8192, 8192 } } },
	{ 0 },
};
static const struct {
	struct table t;
	const char *why;
} bad[] = {
	/* across the hole, into it, in it, out of it */
	{ { 1, 0, { { 0, HIGH + ABOVE, 0, 0 } } }, OUTSIDE },
	{ { 1, 0, { { 0, LOW + ABOVE, 0, 0 } } }, OUTSIDE },
	{ { 1, 0, { { LOW - 4096, 8192, LOW - 4096, LOW - 4096 } } }, OUTSIDE },
	{ { 1, 0, { { LOW, 4096, LOW, LOW } } }, OUTSIDE },
	{ { 1, 0, { { HIGH - 4096, 8192, HIGH - 4096, LOW - 4096 } } }, OUTSIDE },
	/* too long, empty, beyond, with an end that wraps; also as the second of two */
	{ { 1, 0, { { HIGH, ABOVE + 1, HIGH, LOW } } }, OUTSIDE },
	{ { 2, 0, { { 0, LOW, 0, 0 }, { HIGH, ABOVE + 4096, HIGH, LOW } } }, OUTSIDE },
	{ { 1, 0, { { HIGH, 0, HIGH, LOW } } }, OUTSIDE },
	{ { 1, 0, { { HIGH + ABOVE, 4096, HIGH + ABOVE, LOW + ABOVE } } }, OUTSIDE },
	{ { 1, 0, { { 4096, UINT64_MAX, 4096, 4096 } } }, OUTSIDE },
	{ { 1, 0, { { HIGH, UINT64_MAX - HIGH + 1, HIGH, LOW } } }, OUTSIDE },
	{ { 1, 0, { { UINT64_MAX - 4095, 4096, UINT64_MAX - 4095, 0 } } }, OUTSIDE },
	/* another place in the file: a hole that the file does not have, the other region's, one that wraps */
	{ { 1, 0, { { HIGH, ABOVE, HIGH, HIGH } } }, OFFSET },
	{ { 1, 0, { { HIGH, LOW, HIGH, 0 } } }, OFFSET },
	{ { 1, 0, { { 4096, 4096, 4096, 0 } } }, OFFSET },
	{ { 1, 0, { { HIGH, 4096, HIGH, UINT64_MAX } } }, OFFSET },
	{ { 1, 0, { { HIGH, ABOVE, LOW, LOW } } }, USER },
	/* the same twice, one in the other, one octet */
	{ { 2, 0, { { 0, LOW, 0, 0 }, { 0, LOW, 0, 0 } } }, OVERLAP },
	{ { 2, 0, { { HIGH + 4096, 4096, HIGH + 4096, LOW + 4096 }, { HIGH, ABOVE, HIGH, LOW } } }, OVERLAP },
	{ { 3, 0, { { 0, 4097, 0, 0 }, { HIGH, ABOVE, HIGH, LOW }, { 4096, 4096, 4096, 4096 } } }, OVERLAP },
};

static struct guestmem holed;

static int setup(void **state)
{
	static const struct guestmem_region two[] = { { .bytes = LOW }, { .start = { HIGH }, .bytes = ABOVE } };
	int r = fx_setup(state), fd = memfd_create("guest", MFD_CLOEXEC);

	if (r < 0 || fd < 0 || ftruncate(fd, LOW + ABOVE) < 0)
		return -1;
	r = guestmem_init_regions(&holed, fd, two, 2, NULL);
	devs_set_mem(fx.devs, &holed);
	return r;
}

static int teardown(void **state)
{
	int r = fx_teardown(state);

	guestmem_done(&holed);
	return r;
}

static void send_table(const struct table *t)
{
	fx_put(fx.sock[RNG0], VU_SET_MEM_TABLE, t, 8 + t->n * (uint32_t)sizeof(*t->r));
}

static void hang_up(void)
{
	close(fx.sock[RNG0]);
	close(fx.req[RNG0]);
	fx.sock[RNG0] = fx.req[RNG0] = -1;
}

/* The connection ended for this reason. */
static void refused(size_t i)
{
	if (!fx_closed(fx.sock[RNG0]) || atomic_load(&fx.broken_events) != (int)i + 1 ||
	    strcmp(fx.broken_why, bad[i].why))
		fail_msg("case %zu: %s", i, fx.broken_why);
	hang_up();
}

static void test_good(void **state)
{
	(void)state;
	fx_pair(RNG0);
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		send_table(&good[i]);
		fx_settle(RNG0);
	}
	assert_int_equal(atomic_load(&fx.broken_events), 0);
}

static void test_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		fx_pair(RNG0);
		send_table(&bad[i].t);
		refused(i);
	}
}

/* A guest that boots sends its table before hvdom has its memory: it is looked at before a queue runs. */
static void test_memory_comes_later(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		devs_set_mem(fx.devs, NULL);
		fx_pair(RNG0);
		send_table(&bad[i].t);
		fx_settle(RNG0);
		assert_int_equal(atomic_load(&fx.broken_events), (int)i);
		assert_int_equal(devs_quiesce(fx.devs, NULL), 0);
		devs_set_mem(fx.devs, &holed);
		assert_int_equal(devs_resume(fx.devs, false, NULL), 0);
		refused(i);
	}
	devs_set_mem(fx.devs, NULL);
	fx_pair(RNG0);
	send_table(&good[0]);
	fx_settle(RNG0);
	assert_int_equal(devs_quiesce(fx.devs, NULL), 0);
	devs_set_mem(fx.devs, &holed);
	assert_int_equal(devs_resume(fx.devs, false, NULL), 0);
	fx_settle(RNG0);
	assert_int_equal(atomic_load(&fx.broken_events), (int)ARRAY_SIZE(bad));
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	static const struct CMUnitTest tests[] = { T(test_good), T(test_bad), T(test_memory_comes_later) };

	return cmocka_run_group_tests_name("vudev", tests, NULL, NULL);
}
