/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a domain's files are, whether its hvdom lives, its process and a connection to it: with root's record, with a record that is wrong or
 * of one that is dead, and without one, by the lock. How such processes end: test_parking.c.
 */
#include "config.h"
#include "tests/unit/testutil.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "common/procs.h"
#include "common/util.h"
#include "hypervisor/api/dompath.h"
#include "hypervisor/api/hvproc.h"
#include "tests/unit/standin.h"

static void ended(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void test_paths(void **state)
{
	setenv("HOSPES_STATEDIR", "/s", 1);
	setenv("HOSPES_LOGDIR", "/l", 1);
	_cleanup_free_ char *runs = dompath_runs(), *sock = dompath_sock("a"), *lock = dompath_lock("a"),
			    *run = dompath_run("a"), *log = dompath_log("a"), *defs = dompath_definitions(),
			    *def = dompath_definition("a"), *want = xasprintf("%s/dom", test_dir);
	(void)state;

	assert_string_equal(runs, want);
	assert_memory_equal(run, want, strlen(want));
	assert_string_equal(run + strlen(want), "/a");
	assert_string_equal(sock + strlen(want), "/a/hv.sock");
	assert_string_equal(lock + strlen(want), "/a/lock");
	assert_string_equal(log, "/l/a.log");
	assert_string_equal(defs, "/s/domains");
	assert_string_equal(def, "/s/domains/a.xml");
}

static void test_none(void **state)
{
	(void)state;
	assert_false(hvproc_alive("a"));
	assert_int_equal(hvproc_pid("a"), 0);
	assert_int_equal(hvproc_kill("a"), 0);
	assert_int_equal(hvproc_connect("a", 0), -ENOENT);
	assert_int_equal(hvproc_connect("../a", 0), -EINVAL);
	assert_int_equal(hvproc_connect("", 0), -EINVAL);
}

static void test_life(void **state)
{
	(void)state;
	for (int record = 0; record < 2; record++) {
		pid_t pid = hvdom("a", record ? LISTENS : UNREGISTERED);

		assert_true(hvproc_alive("a"));
		assert_int_equal(hvproc_pid("a"), pid);
		_cleanup_close_ int fd = hvproc_connect("a", SOCK_NONBLOCK);
		assert_true(fd >= 0);
		assert_int_equal(hvproc_kill("a"), 0);
		ended(pid);
		assert_false(hvproc_alive("a"));
		assert_int_equal(hvproc_pid("a"), 0);
		assert_int_equal(hvproc_kill("a"), 0);
		assert_int_equal(hvproc_connect("a", 0), -ECONNREFUSED);
	}
}

/* Of a process that took over the number: neither alive nor ours to kill. */
static void test_number_reused(void **state)
{
	pid_t pid = hvdom("a", LISTENS);
	struct procs p;
	struct err err;
	(void)state;

	assert_int_equal(procs_read("a", &p), 0);
	p.start++;
	assert_int_equal(procs_write("a", &p, &err), 0);
	assert_false(hvproc_alive("a"));
	assert_int_equal(hvproc_pid("a"), 0);
	assert_int_equal(hvproc_kill("a"), 0);
	assert_int_equal(kill(pid, 0), 0);
	kill(pid, SIGKILL);
	ended(pid);
}

/* What cannot be told is taken for alive, and nothing is killed by guess. */
static void test_cannot_be_told(void **state)
{
	_cleanup_free_ char *record = xasprintf("%s/procs/a", test_dir), *lock = dompath_lock("a");
	pid_t pid = hvdom("a", LISTENS);
	(void)state;

	assert_int_equal(file_write_atomic(record, "pid x", 5, 0600), 0);
	assert_true(hvproc_alive("a"));
	assert_int_equal(hvproc_pid("a"), 0);
	assert_int_equal(hvproc_kill("a"), -EBADMSG);
	assert_int_equal(kill(pid, 0), 0);
	assert_int_equal(unlink(record), 0);
	assert_int_equal(hvproc_pid("a"), pid);
	assert_int_equal(unlink(lock), 0);
	assert_int_equal(symlink("/dev/null", lock), 0); /* not its lock */
	assert_true(hvproc_alive("a"));
	assert_int_equal(kill(pid, 0), 0);
	kill(pid, SIGKILL);
	ended(pid);
}

/* One that lives is never taken for dead, whatever fails here. */
static void test_no_memory(void **state)
{
	pid_t pid = hvdom("a", LISTENS);
	bool alive;
	int r;
	(void)state;

	FOR_EACH_ALLOC_FAILURE(alive = hvproc_alive("a"))
	assert_true(alive);
	FOR_EACH_ALLOC_FAILURE(r = hvproc_pid("a"))
	assert_true(r == pid || (alloc_failed && r == 0));
	FOR_EACH_ALLOC_FAILURE(r = hvproc_connect("a", 0))
	if (r >= 0)
		close(r);
	FOR_EACH_ALLOC_FAILURE(r = hvproc_kill("a"))
	assert_true(r == 0 || (alloc_failed && r < 0));
	ended(pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_paths, test_dir_setup, test_dir_teardown),
		cmocka_unit_test_setup_teardown(test_none, test_dir_setup, test_dir_teardown),
		cmocka_unit_test_setup_teardown(test_life, test_dir_setup, test_dir_teardown),
		cmocka_unit_test_setup_teardown(test_number_reused, test_dir_setup, test_dir_teardown),
		cmocka_unit_test_setup_teardown(test_cannot_be_told, test_dir_setup, test_dir_teardown),
		cmocka_unit_test_setup_teardown(test_no_memory, test_dir_setup, test_dir_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
