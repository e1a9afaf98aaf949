/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fence agents: what they are given, what comes of success, failure, silence and nonsense; nothing ever waits for them. */
#include "config.h"
#include "tests/unit/testutil.h"
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "clusterd/io/fence.h"
#include "common/log.h"
#include "common/util.h"

static char *dir;
static struct loop *loop;
static struct fence *fence;
static unsigned n_done, n_failed;
static uint64_t done_id;
static char why[600];

static void on_done(void *arg, const char *host, uint64_t lost_id)
{
	(void)arg;
	assert_string_equal(host, "host-b");
	done_id = lost_id;
	n_done++;
}

static void on_failed(void *arg, const char *host, const char *text)
{
	(void)arg, (void)host;
	snprintf(why, sizeof(why), "%s", text);
	n_failed++;
}

static const struct fence_ops ops = { .done = on_done, .failed = on_failed };

static void on_child(void *arg, int sig)
{
	int status;

	(void)arg, (void)sig;
	for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
		(void)fence_child(fence, pid, status);
}

static int setup(void **state)
{
	static const int sigs[] = { SIGCHLD, 0 };

	(void)state;
	dir = test_dir_new();
	setenv("HOSPES_CONFDIR", dir, 1);
	setenv("HOSPES_FENCE_AGENTS", dir, 1);
	loop = loop_new();
	fence = fence_new(loop, &ops, NULL);
	n_done = n_failed = 0;
	why[0] = 0;
	return loop_add_signals(loop, sigs, on_child, NULL);
}

static int teardown(void **state)
{
	(void)state;
	fence_free(fence);
	loop_free(loop);
	test_dir_remove(dir);
	return 0;
}

static void put(const char *name, const char *text, mode_t mode)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", dir, name), *sub = xasprintf("%s/fence.d", dir);

	assert_int_equal(mkdir_p(sub, 0755), 0);
	assert_int_equal(file_write_atomic(path, text, strlen(text), mode), 0);
}

static void agent(const char *script)
{
	_cleanup_free_ char *text = xasprintf("#!/bin/sh\n%s\n", script);

	put("fence_fake", text, 0755);
}

/* Run the loop until @what or @ms are over. */
static bool until(const unsigned *what, unsigned want, unsigned ms)
{
	for (uint64_t end = now_ns() + ms * NS_PER_MS; *what < want && now_ns() < end;)
		(void)loop_run_once(loop, 20);
	return *what >= want;
}

static void test_off(void **state)
{
	_cleanup_free_ char *got = xasprintf("%s/got", dir), *script = xasprintf("cat >%s; echo done", got),
			    *text = NULL;
	(void)state;

	assert_false(fence_configured("host-b"));
	fence_want(fence, "host-b", 5); /* nobody to ask */
	agent(script);
	put("fence.d/host-b.json",
	    "{\"agent\": \"fence_fake\", \"options\": {\"ip\": \"10.0.0.1\", \"lanplus\": true, \"port\": 7}}", 0600);
	assert_true(fence_configured("host-b"));
	fence_want(fence, "host-b", 5);
	fence_want(fence, "host-b", 5); /* one at a time */
	assert_non_null(strstr(fence_text(fence, "host-b"), "runs"));
	assert_true(until(&n_done, 1, 10000));
	assert_int_equal(done_id, 5);
	assert_int_equal(n_failed, 0);
	assert_int_equal(file_read(got, 4096, &text, NULL), 0);
	assert_string_equal(text, "ip=10.0.0.1\nlanplus=1\nport=7\naction=off\n");
	/* asked again, it says so again without running the agent; a new loss is a new run */
	fence_want(fence, "host-b", 5);
	assert_int_equal(n_done, 2);
	unlink(got);
	put("fence.d/host-b.json", "{\"agent\": \"fence_fake\", \"action\": \"reboot\", \"options\": {\"plug\": 7}}",
	    0600);
	fence_want(fence, "host-b", 9);
	assert_true(until(&n_done, 3, 10000));
	assert_int_equal(done_id, 9);
	free(text);
	assert_int_equal(file_read(got, 4096, &text, NULL), 0);
	assert_string_equal(text, "plug=7\naction=reboot\n");
	fence_unwant(fence, "host-b");
	assert_string_equal(fence_text(fence, "host-b"), "");
}

static void test_fails_then_works(void **state)
{
	_cleanup_free_ char *flag = xasprintf("%s/flag", dir);
	_cleanup_free_ char *script = xasprintf("[ -e %s ] && exit 0; touch %s; echo no route to the board >&2; exit 1",
	                                        flag, flag);
	(void)state;

	agent(script);
	put("fence.d/host-b.json", "{\"agent\": \"fence_fake\"}", 0600);
	fence_want(fence, "host-b", 1);
	assert_true(until(&n_failed, 1, 10000));
	assert_non_null(strstr(why, "no route to the board"));
	assert_int_equal(n_done, 0);
	fence_want(fence, "host-b", 1); /* being asked does not hurry it */
	assert_false(until(&n_done, 1, 500));
	assert_true(until(&n_done, 1, 10000));
}

static void test_silent(void **state)
{
	_cleanup_free_ char *pids = xasprintf("%s/pids", dir),
			    *script = xasprintf("sleep 300 & echo $! >%s; wait", pids), *text = NULL;
	uint64_t t0 = now_ns();
	(void)state;

	agent(script);
	put("fence.d/host-b.json", "{\"agent\": \"fence_fake\", \"timeout_s\": 1}", 0600);
	fence_want(fence, "host-b", 1);
	assert_true(now_ns() < t0 + NS_PER_S / 2); /* the caller goes on */
	assert_true(until(&n_failed, 1, 10000));
	assert_non_null(strstr(why, "did not answer in time"));
	assert_true(now_ns() < t0 + 5 * NS_PER_S);
	/* its children are gone, too */
	assert_int_equal(file_read(pids, 64, &text, NULL), 0);
	for (unsigned i = 0; i < 200 && kill(atoi(text), 0) == 0; i++)
		usleep(10000);
	assert_int_equal(kill(atoi(text), 0), -1);
}

static void test_unwanted(void **state)
{
	_cleanup_free_ char *flag = xasprintf("%s/flag", dir), *script = xasprintf("sleep 1; touch %s", flag);
	(void)state;

	agent(script);
	put("fence.d/host-b.json", "{\"agent\": \"fence_fake\"}", 0600);
	fence_want(fence, "host-b", 1);
	fence_unwant(fence, "host-b"); /* it came back */
	assert_false(until(&n_done, 1, 1500));
	assert_int_equal(n_failed, 0);
	assert_int_equal(access(flag, F_OK), -1);
	fence_want(fence, "host-b", 2);
	assert_true(until(&n_done, 1, 10000));
	assert_int_equal(done_id, 2);
}

/* Whatever an agent writes can be shown: one line, valid, its end. */
static void test_words(void **state)
{
	(void)state;

	agent("yes '        ' | head -c 100000; printf 'Stromversorgung gest\\366rt:\\n\\033[2J no route \\303'; exit 1");
	put("fence.d/host-b.json", "{\"agent\": \"fence_fake\"}", 0600);
	fence_want(fence, "host-b", 1);
	assert_true(until(&n_failed, 1, 10000));
	assert_string_equal(why, "the agent failed: Stromversorgung gest?rt: [2J no route; tried again in 2 s");
}

static void test_wrong(void **state)
{
	static const struct {
		const char *conf, *text;
	} t[] = {
		{ "{", "host-b.json:1" },
		{ "[]", "not an object" },
		{ "{\"agent\": \"../sh\"}", "name of a fence agent" },
		{ "{\"agent\": \"fence_../../bin/sh\"}", "name of a fence agent" },
		{ "{\"agent\": \"fence_absent\"}", "no agent" },
		{ "{\"agent\": \"fence_fake\", \"options\": 5}", "\"options\" is an object" },
		{ "{\"agent\": \"fence_fake\", \"options\": {\"a\": [1]}}", "neither text nor number" },
		{ "{\"agent\": \"fence_fake\", \"options\": {\"action\": \"on\"}}", "stands beside" },
		{ "{\"agent\": \"fence_fake\", \"action\": \"on\"}", "is \"off\" or \"reboot\"" },
		{ "{\"agent\": \"fence_fake\", \"action\": 1}", "is \"off\" or \"reboot\"" },
		{ "{\"agent\": \"fence_fake\", \"options\": {\"a\": \"x\\naction=on\"}}", "neither text nor number" },
		{ "{\"agent\": \"fence_fake\", \"options\": {\"a\\nb\": \"x\"}}", "neither text nor number" },
	};
	(void)state;

	agent("exit 0");
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		unsigned before = n_failed;

		put("fence.d/host-b.json", t[i].conf, 0600);
		fence_want(fence, "host-b", i + 1);
		assert_int_equal(n_failed, before + 1);
		if (!strstr(why, t[i].text))
			fail_msg("%s: %s", t[i].conf, why);
		fence_unwant(fence, "host-b");
	}
	assert_int_equal(n_done, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_off, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fails_then_works, setup, teardown),
		cmocka_unit_test_setup_teardown(test_silent, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unwanted, setup, teardown),
		cmocka_unit_test_setup_teardown(test_words, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wrong, setup, teardown),
	};

	log_init("test", LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
