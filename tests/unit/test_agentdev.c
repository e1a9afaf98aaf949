/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The console of the guest's agent: orders, its heartbeat, and what the log says of a guest that is silent. */
#include "config.h"
#include "tests/unit/devfixture.h"

#include <poll.h>
#include <sys/socket.h>

#include "common/loop.h"
#include "common/util.h"

/* An order to the guest's agent reaches it although the host hung up before the guest had room for it. */
static void test_agent(void **state)
{
	const uint64_t seg[][2] = { { FX_DATA, 64 } };
	uint32_t id, len;
	(void)state;

	fx_attach(AGENT);
	int c = devs_console(fx.devs, 1, true, NULL);
	assert_true(c >= 0);
	assert_int_equal(write(c, "hospes:ping\n", 12), 12);
	close(c);
	fx_settle(AGENT);
	vdriver_chain(&fx.drv[AGENT][0], 0, 1, seg);
	fx_kick(AGENT, 0);
	fx_wait_used(AGENT, 0, 1);
	vdriver_used(&fx.drv[AGENT][0], 0, &id, &len);
	assert_int_equal(len, 12);
	assert_memory_equal(fx.mem.base + FX_DATA, "hospes:ping\n", 12);
	/* the next one is not refused for the sake of the one that left */
	vdriver_chain(&fx.drv[AGENT][0], 0, 1, seg);
	fx_kick(AGENT, 0);
	fx_settle(AGENT);
	c = devs_console(fx.devs, 1, false, NULL);
	assert_true(c >= 0);
	assert_int_equal(write(c, "x", 1), 1);
	fx_wait_used(AGENT, 0, 2);
	close(c);
}

static bool silent_within_ms(unsigned ms, int n)
{
	/* by the clock: on a busy machine a sleep takes longer than it says */
	for (uint64_t end = now_ns() + ms * NS_PER_MS; now_ns() < end && atomic_load(&fx.silent_events) < n;)
		usleep(1000);
	return atomic_load(&fx.silent_events) == n;
}

/* The agent's heartbeat, in the shortest time that there is: missed once in a silence, never while quiesced, gone with the driver. */
static void test_heartbeat(void **state)
{
	const uint64_t beyond[][2] = { { FX_MEM, 1 } };
	(void)state;

	assert_int_equal(devs_beat(fx.devs), 0);
	devs_beat_anew(fx.devs);
	fx_attach(HVC0);
	fx_attach(AGENT);
	fx_console_out("hospes:beat 2\n"); /* anybody can write there */
	assert_int_equal(devs_beat(fx.devs), 0);
	fx_say(AGENT, "hospes:hello 1\nhospes:beat 2\n");
	/* asked for a moment only, then it says what it knew last */
	for (int i = 0; i < 5000 && devs_beat(fx.devs) != 2; i++)
		usleep(1000);
	assert_int_equal(devs_beat(fx.devs), 2);
	assert_int_equal(devs_quiesce(fx.devs, NULL), 0);
	assert_false(silent_within_ms(2500, 1));
	assert_int_equal(devs_resume(fx.devs, false, NULL), 0);
	assert_false(silent_within_ms(1500, 1));
	assert_true(silent_within_ms(10000, 1));
	assert_true(devs_silent(fx.devs));
	assert_false(silent_within_ms(2500, 2));
	/* heard again before anybody acted upon it */
	assert_true(devs_silent(fx.devs));
	fx_say(AGENT, "hospes:beat 2\n");
	assert_false(devs_silent(fx.devs));
	/* rings that were scribbled over are no way out; a driver that begins anew is */
	fx_say(AGENT, "hospes:beat 2\n");
	vdriver_chain(&fx.drv[AGENT][1], 1, 0, beyond);
	fx_kick(AGENT, 1);
	fx_settle(AGENT);
	assert_int_equal(atomic_load(&fx.broken_events), 1);
	assert_true(silent_within_ms(10000, 2));
	close(fx.sock[AGENT]);
	for (int i = 0; i < 5000 && devs_beat(fx.devs); i++)
		usleep(1000);
	assert_int_equal(devs_beat(fx.devs), 0);
	fx.sock[AGENT] = -1;
}

static bool look_has(const char *text, int within_ms)
{
	char buf[DEVS_LOOK_MAX];

	for (int i = 0;; i++) {
		devs_look(fx.devs, buf, sizeof(buf));
		assert_true(strlen(buf) < sizeof(buf));
		if (strstr(buf, text) || i >= within_ms)
			break;
		usleep(1000);
	}
	if (!strstr(buf, text))
		print_message("%s\n", buf);
	return strstr(buf, text) != NULL;
}

#define ROW(start, avail, taken)                                                                                       \
	start "[0: avail 0 taken 0, used 0 called 0 wanted 0] [1: avail " #avail " taken " #taken ", used"
/* What the log says of a guest that seems to hang: whose turn it is. */
static void test_look(void **state)
{
	const uint64_t seg[][2] = { { FX_DATA, 3 } };
	char small[40];
	(void)state;

	fx_attach(HVC0);
	fx_attach(AGENT);
	assert_true(look_has("vda: stands still [0: off] unread: 0 of its, none of ours; 0 under way", 5000));
	fx_say(AGENT, "hospes:beat 600\n");
	assert_true(look_has("last heartbeat 0.", 5000));
	fx_console_out("abc");
	/* answered, and the driver has not looked */
	assert_true(look_has(ROW("hvc0: ", 1, 1), 5000));
	assert_true(look_has("used 1 called 1 wanted 0] unread: 0 of its, some of ours", 5000));
	fx_wait_call(HVC0, 1);
	assert_true(look_has("[1: avail 1 taken 1, used 1 called 1 wanted 0] unread: 0 of its, none of ours", 5000));
	/* offered without a kick; and a kick while they stand still */
	vdriver_chain(&fx.drv[HVC0][1], 1, 0, seg);
	assert_true(look_has("[1: avail 2 taken 1, used 1 called 1 wanted 0] unread: 0 of its", 5000));
	assert_int_equal(devs_quiesce(fx.devs, NULL), 0);
	fx_kick(HVC0, 1);
	assert_true(look_has(ROW("hvc0: stands still ", 2, 1), 5000));
	assert_true(look_has("[1: avail 2 taken 1, used 1 called 1 wanted 0] unread: 20 of its", 5000));
	assert_int_equal(devs_resume(fx.devs, false, NULL), 0);
	assert_true(look_has("[1: avail 2 taken 2, used 2 called 2 wanted 0]", 5000));
	/* cut, never overrun */
	memset(small, 'x', sizeof(small));
	devs_look(fx.devs, small, sizeof(small) - 1);
	assert_int_equal(strlen(small), sizeof(small) - 2);
	assert_int_equal(small[sizeof(small) - 1], 'x');
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, fx_setup, fx_teardown)
	const struct CMUnitTest tests[] = { T(test_agent), T(test_heartbeat), T(test_look) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
