/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The conformance test itself: an engine that keeps the contract passes, and one that breaks any of its promises is found out. */
#include "config.h"
#include "tests/unit/testutil.h"

#include <sys/mman.h>
#include <unistd.h>
#include "common/util.h"
#include "tests/unit/conform.h"
#include "tests/unit/fake_engine.h"

#define PAGES 96u

static struct guestmem mem;

static int fresh(struct conform *c)
{
	(void)c;
	memset(mem.base, 0, mem.size);
	return 0;
}
static int quiet(struct conform *c)
{
	(void)c;
	return 0;
}
static int serve(struct conform *c, bool kick)
{
	(void)c, (void)kick;
	return 0;
}
static int load(struct conform *c, struct rd *in, struct err *err)
{
	return c->ops->load(c->vm, in, err);
}
static int save(struct conform *c, struct buf *out, struct err *err)
{
	return c->ops->save(c->vm, NULL, out, err);
}
static void end(struct conform *c)
{
	fake_end(c->vm, HV_EXIT_CRASH);
}
static void spoil(struct conform *c, bool on)
{
	(void)c;
	fake_boot_fails = on;
}
static bool poke(struct conform *c, uint32_t mode, uint64_t page, uint8_t v)
{
	(void)mode;
	fake_write(c->vm, page, v);
	return true;
}
static uint64_t age(struct conform *c)
{
	return fake_age(c->vm);
}

static int conforms(enum fake_breach b, char *why, size_t len)
{
	static const uint32_t modes[] = { HV_LOGDIRTY_RECORD, HV_LOGDIRTY_COMPARE };
	struct err err;
	struct conform c = { .ops = &fake_engine,
		             .modes = modes,
		             .n_modes = ARRAY_SIZE(modes),
		             .fresh = fresh,
		             .quiet = quiet,
		             .serve = serve,
		             .load = load,
		             .save = save,
		             .end = end,
		             .spoil = spoil,
		             .poke = poke,
		             .age = age,
		             .all_orders = true,
		             /* a breach may mean that nothing comes any more */
		             .patience_ns = b ? NS_PER_S / 5 : 30 * NS_PER_S };
	int fd = memfd_create("ram", MFD_CLOEXEC);

	assert_int_equal(ftruncate(fd, PAGES * PAGE_BYTES), 0);
	assert_int_equal(guestmem_init(&mem, fd, PAGES * PAGE_BYTES, &err), 0);
	c.env = (struct hv_engine_env){ .loop = loop_new(), .mem = &mem, .cpu = -1 };
	fake_breach = b;
	int r = conform_run(&c);
	fake_breach = FAKE_NOTHING;
	fake_boot_fails = false;
	loop_free(c.env.loop);
	guestmem_done(&mem);
	snprintf(why, len, "%s", c.why);
	return r;
}

static void test_keeps_it(void **state)
{
	char why[300];

	(void)state;
	if (conforms(FAKE_NOTHING, why, sizeof(why)))
		fail_msg("%s", why);
}

static void test_breaches(void **state)
{
	char why[300];

	(void)state;
	for (enum fake_breach b = FAKE_NOTHING + 1; b < FAKE_N_BREACHES; b++) {
		if (!conforms(b, why, sizeof(why)))
			fail_msg("%s was not noticed", fake_breach_name[b]);
		fprintf(stderr, "# %s: %s\n", fake_breach_name[b], why);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_keeps_it), cmocka_unit_test(test_breaches) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
