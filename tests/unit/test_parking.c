/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Markers of the cluster's domains (managed.c), how what they mark ends, and parking (parking.c) by a clock of the test; against stand-ins
 * for hvdom that answer, hang, refuse or cheat.
 */
#include "config.h"
#include "tests/unit/testutil.h"
#include <unistd.h>
#include "clusterd/guard/managed.h"
#include "clusterd/guard/parking.h"
#include "common/util.h"
#include "hypervisor/api/hvproc.h"
#include "tests/unit/standin.h"

#define UUID_A "c7a5fdbd-cdaf-9455-926a-d65c16db1809"
#define UUID_B "c7a5fdbd-cdaf-9455-926a-d65c16db180a"

static void test_markers(void **state)
{
	char uuid[MANAGED_UUID];
	struct err err;
	(void)state;

	assert_int_equal(managed_uuid("a", uuid), -ENOENT);
	assert_int_equal(managed_kill_all(NULL, NULL, NULL, NULL), 0);
	assert_int_equal(managed_add("a", UUID_A, &err), 0);
	assert_int_equal(managed_add("a", UUID_B, &err), 0);
	assert_int_equal(managed_uuid("a", uuid), 0);
	assert_string_equal(uuid, UUID_B);
	managed_remove("a");
	managed_remove("a");
	assert_int_equal(managed_uuid("a", uuid), -ENOENT);
	/* who is on the list */
	assert_false(managed_listed("a", NULL));
	_cleanup_free_ char *list = xasprintf("%s/cluster/domains", test_dir);
	const char *text = UUID_A " web1\n" UUID_B " web2\n";
	assert_int_equal(file_write_atomic(list, text, strlen(text), 0600), 0);
	assert_true(managed_listed("web2", NULL));
	assert_true(managed_listed("x", UUID_A));
	assert_false(managed_listed("web", NULL));
}

static void test_kill(void **state)
{
	static const enum manner manners[] = { UNREGISTERED, LISTENS, NO_SOCKET, FULL_BACKLOG, UNLOCKS };
	(void)state;

	assert_false(hvproc_alive("a"));
	assert_int_equal(hvproc_kill("a"), 0);
	for (size_t i = 0; i < ARRAY_SIZE(manners); i++) {
		pid_t pid = hvdom("a", manners[i]);

		assert_true(hvproc_alive("a"));
		assert_int_equal(hvproc_kill("a"), 0);
		assert_true(ends(pid, 5000));
		assert_false(hvproc_alive("a"));
	}
}

#define T(ms) ((ms)*NS_PER_MS)

/* Looks at @at_ms until @state is what @name's slot has, for the answers take their real time; false: it stays otherwise. */
static bool slot_becomes(struct parking *p, uint64_t at_ms, uint64_t deadline_ms, const char *name,
                         enum parking_state state)
{
	for (unsigned i = 0; i < 400; i++) {
		assert_int_equal(parking_look(p, T(at_ms), T(deadline_ms), T(1000), NULL, NULL), 0);
		for (unsigned k = 0; k < p->n; k++)
			if (!strcmp(p->slot[k].name, name) && p->slot[k].state == state)
				return true;
		usleep(5000);
	}
	return false;
}

static void count_told(void *arg, const char *name)
{
	(void)name;
	++*(unsigned *)arg;
}

static void test_parking(void **state)
{
	static struct parking p;
	struct err err;
	unsigned told = 0;
	(void)state;

	assert_int_equal(managed_add("parks", UUID_A, &err), 0);
	assert_int_equal(managed_add("mute", UUID_B, &err), 0);
	assert_int_equal(managed_add("refuses", UUID_B, &err), 0);
	pid_t parks = hvdom("parks", PARKS), mute = hvdom("mute", LISTENS), refuses = hvdom("refuses", REFUSES);
	pid_t foreign = hvdom("foreign", LISTENS);
	/* nothing is asked too early, nor without a lease */
	assert_int_equal(parking_look(&p, T(8999), T(10000), T(1000), NULL, NULL), 0);
	assert_int_equal(p.n, 0);
	assert_true(slot_becomes(&p, 9000, 10000, "parks", PARKING_PARKED));
	assert_true(slot_becomes(&p, 9100, 10000, "refuses", PARKING_REFUSED));
	assert_true(slot_becomes(&p, 9200, 10000, "mute", PARKING_ASKED));
	/* a new lease: what was said does not count for it */
	assert_int_equal(parking_look(&p, T(9300), T(20000), T(1000), NULL, NULL), 0);
	assert_int_equal(p.n, 0);
	assert_true(slot_becomes(&p, 19100, 20000, "parks", PARKING_PARKED));
	assert_true(slot_becomes(&p, 19200, 20000, "mute", PARKING_ASKED));
	assert_int_equal(parking_look(&p, T(19999), T(20000), T(1000), NULL, NULL), 0);
	assert_false(ends(mute, 50) || ends(refuses, 50));
	/* the deadline: who did not say that it is parked dies, whatever it is about */
	assert_int_equal(parking_look(&p, T(20000), T(20000), T(1000), count_told, &told), 2);
	assert_int_equal(told, 2);
	assert_true(ends(mute, 5000));
	assert_true(ends(refuses, 5000));
	assert_int_equal(parking_look(&p, T(20100), T(20000), T(1000), count_told, &told), 0);
	assert_false(ends(parks, 100));
	/* one that comes up later was never asked; one whose hvdom ended was parked no more than a new one of its name is */
	mute = hvdom("mute", PARKS);
	end_child(parks);
	parks = hvdom("parks", PARKS);
	assert_int_equal(parking_look(&p, T(20200), T(20000), T(1000), NULL, NULL), 2);
	assert_true(ends(mute, 5000));
	assert_true(ends(parks, 5000));
	assert_false(ends(foreign, 0));
	end_child(foreign);
	parking_reset(&p);
}

/* The policy is gone, or no lease is known: whatever is parked ends with the others. */
static void test_parking_not_wanted(void **state)
{
	static struct parking p;
	struct err err;
	(void)state;

	assert_int_equal(managed_add("a", UUID_A, &err), 0);
	pid_t a = hvdom("a", PARKS);
	assert_true(slot_becomes(&p, 9100, 10000, "a", PARKING_PARKED));
	assert_int_equal(parking_look(&p, T(9900), T(10000), 0, NULL, NULL), 0);
	assert_int_equal(parking_look(&p, T(10000), T(10000), 0, NULL, NULL), 1);
	assert_true(ends(a, 5000));
	a = hvdom("a", PARKS);
	assert_int_equal(parking_look(&p, T(10000), 0, T(1000), NULL, NULL), 1);
	assert_true(ends(a, 5000));
	/* what hangs up may do anything */
	a = hvdom("a", PARKS_AND_HANGS_UP);
	(void)slot_becomes(&p, 9100, 10000, "a", PARKING_PARKED);
	usleep(20000);
	assert_int_equal(parking_look(&p, T(10000), T(10000), T(1000), NULL, NULL), 1);
	assert_true(ends(a, 5000));
	parking_reset(&p);
}

/* Who takes over past the deadline asks first, but not for long. */
static void test_parking_taken_over(void **state)
{
	static struct parking p;
	struct err err;
	(void)state;

	assert_int_equal(managed_add("parks", UUID_A, &err), 0);
	assert_int_equal(managed_add("mute", UUID_B, &err), 0);
	pid_t parks = hvdom("parks", PARKS), mute = hvdom("mute", LISTENS);
	parking_take_over(&p, T(50000));
	assert_true(slot_becomes(&p, 50199, 10000, "parks", PARKING_PARKED));
	assert_int_equal(parking_look(&p, T(50200), T(10000), T(1000), NULL, NULL), 1);
	assert_true(ends(mute, 5000));
	assert_false(ends(parks, 100));
	end_child(parks);
	parking_reset(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_markers, test_dir_setup, test_dir_teardown),
		cmocka_unit_test_setup_teardown(test_kill, test_dir_setup, test_dir_teardown),
		cmocka_unit_test_setup_teardown(test_parking, test_dir_setup, test_dir_teardown),
		cmocka_unit_test_setup_teardown(test_parking_not_wanted, test_dir_setup, test_dir_teardown),
		cmocka_unit_test_setup_teardown(test_parking_taken_over, test_dir_setup, test_dir_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
