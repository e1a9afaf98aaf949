/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a guest's watchdog or disk did is told once, and not forgotten because something else was said just before, or nobody could hear it. */
#include "config.h"
#include "tests/unit/testutil.h"
#include "clusterd/io/local_int.h"
#include "common/clocks.h"
#include "common/util.h"

static char said[4][CLU_TEXT_MAX];
static unsigned n_said;
static int no_quorum;

int __wrap_nodeio_submit(struct nodeio *n, const struct clu_cmd *c, const void *xml, size_t len);
int __wrap_nodeio_submit(struct nodeio *n, const struct clu_cmd *c, const void *xml, size_t len)
{
	(void)n, (void)xml, (void)len;
	if (no_quorum)
		return no_quorum;
	assert_int_equal(c->kind, CLU_CMD_OBSERVED);
	assert_int_equal(c->seen, CLU_SEEN_RUNNING);
	assert_true(n_said < ARRAY_SIZE(said));
	snprintf(said[n_said++], CLU_TEXT_MAX, "%s", c->text);
	return 0;
}

static struct local here;
static const struct clu_dom dom = { .name = "guest01", .generation = 7 };

/* One that runs here, with something to tell. */
static struct ldom guest(const char *news)
{
	struct ldom x = { .l = &here,
		          .name = "guest01",
		          .hv = { .alive = true,
		                  .have_info = true,
		                  .info_ns = boot_ns(),
		                  .info = { .state = HV_DOM_RUNNING, .generation = 7 } } };

	snprintf(x.news, sizeof(x.news), "%s", news);
	n_said = 0;
	return x;
}

/* A second and more goes by. */
static void later(struct ldom *x)
{
	x->said_ns -= x->said_ns ? 5 * NS_PER_S : 0;
}

static void test_told_once(void **state)
{
	struct ldom x = guest("the guest hung and was reset by its watchdog");
	(void)state;

	ldom_watch(&x, &dom);
	assert_int_equal(n_said, 1);
	assert_string_equal(said[0], "the guest hung and was reset by its watchdog");
	later(&x);
	ldom_watch(&x, &dom);
	assert_int_equal(n_said, 1);
}

static void test_two_in_a_second(void **state)
{
	struct ldom x = guest("first");
	(void)state;

	ldom_watch(&x, &dom);
	snprintf(x.news, sizeof(x.news), "second");
	for (unsigned i = 0; i < 3; i++) { /* looks of the same second */
		x.said_ns = boot_ns();
		ldom_watch(&x, &dom);
	}
	assert_int_equal(n_said, 1);
	later(&x);
	ldom_watch(&x, &dom);
	assert_int_equal(n_said, 2);
	assert_string_equal(said[1], "second");
}

static void test_nobody_hears(void **state)
{
	struct ldom x = guest("is paused: disk vda: no space left");
	(void)state;

	no_quorum = -EAGAIN;
	ldom_watch(&x, &dom);
	ldom_watch(&x, &dom);
	no_quorum = 0;
	assert_int_equal(n_said, 0);
	ldom_watch(&x, &dom);
	assert_int_equal(n_said, 1);
	assert_string_equal(said[0], "is paused: disk vda: no space left");
}

/* Of another run than the state knows: nobody's news. */
static void test_another_generation(void **state)
{
	struct ldom x = guest("old");
	(void)state;

	x.hv.info.generation = 6;
	ldom_watch(&x, &dom);
	assert_int_equal(n_said, 0);
	x.hv.info.generation = 7;
	ldom_watch(&x, &dom);
	assert_int_equal(n_said, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_told_once),
		cmocka_unit_test(test_two_in_a_second),
		cmocka_unit_test(test_nobody_hears),
		cmocka_unit_test(test_another_generation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
