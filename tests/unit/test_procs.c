/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The record of a domain's processes, against what its own user might do to look dead: exit and leave children or threads behind, be
 * another process of the same number; with a real control group where there is one, and without.
 */
#include "config.h"
#include "tests/unit/testutil.h"
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "common/procs.h"
#include "common/util.h"

#define UID 0x68fffff0u

static bool dies(const struct procs *p)
{
	for (unsigned i = 0; i < 400; i++) {
		if (!procs_live(p))
			return true;
		usleep(5000);
	}
	return false;
}

/* A child that says who it is, then runs @fn; it is not reaped. */
static pid_t child(struct procs *ret, void (*fn)(void *arg), void *arg)
{
	int p[2];

	assert_int_equal(pipe(p), 0);
	pid_t pid = fork();
	if (!pid) {
		struct procs me;

		if (procs_self(&me) < 0 || write(p[1], &me, sizeof(me)) != sizeof(me))
			_exit(1);
		close(p[0]);
		close(p[1]);
		fn(arg);
		for (;;)
			pause();
	}
	assert_int_equal(read(p[0], ret, sizeof(*ret)), sizeof(*ret));
	close(p[0]);
	close(p[1]);
	return pid;
}

static void waits(void *arg)
{
	(void)arg;
}

static void test_record(void **state)
{
	_cleanup_free_ char *path = xasprintf("%s/procs/a", test_dir);
	struct procs p = { .pid = 4711, .start = 1234567890123, .uid = UID, .group_ino = 99, .group = "/sys/x y/z" }, q;
	struct err err;
	struct stat st;
	(void)state;

	assert_int_equal(procs_read("a", &q), -ENOENT);
	assert_int_equal(procs_write("a", &p, &err), 0);
	assert_int_equal(procs_read("a", &q), 0);
	assert_int_equal(q.pid, p.pid);
	assert_int_equal(q.start, p.start);
	assert_int_equal(q.uid, p.uid);
	assert_int_equal(q.group_ino, p.group_ino);
	assert_string_equal(q.group, p.group);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	p.group[0] = 0;
	assert_int_equal(procs_write("a", &p, &err), 0);
	assert_int_equal(procs_read("a", &q), 0);
	assert_string_equal(q.group, "");
	static const char *const damaged[] = { "", "pid 12", "pid 0 1\nuid 1\n", "pid 1 2\nuid 3\ngroup x\n",
		                               "pid 1 2\nuid 3\n?\n" };
	for (size_t i = 0; i < ARRAY_SIZE(damaged); i++) {
		assert_int_equal(file_write_atomic(path, damaged[i], strlen(damaged[i]), 0600), 0);
		assert_int_equal(procs_read("a", &q), -EBADMSG);
	}
}

static void *endless(void *arg)
{
	for (;;)
		pause();
	return arg;
}

/* The first thread ends, another one runs on: to a look at its state it is a zombie. */
static void thread_stays(void *arg)
{
	pthread_t t;

	if (pthread_create(&t, NULL, endless, arg) == 0)
		pthread_exit(NULL);
}

static void test_process(void **state)
{
	struct procs p, other;
	(void)state;

	pid_t pid = child(&p, waits, NULL);
	assert_int_equal(p.pid, pid);
	assert_true(procs_live(&p));
	/* another one under that number is none of ours */
	other = p;
	other.start++;
	assert_false(procs_live(&other));
	assert_int_equal(procs_kill(&other), 0);
	assert_true(procs_live(&p));
	assert_int_equal(procs_kill(&p), 0);
	assert_true(dies(&p)); /* reaped or not */
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_false(procs_live(&p));
	assert_int_equal(procs_kill(&p), 0);
	pid = child(&p, thread_stays, NULL);
	usleep(100000);
	assert_true(procs_live(&p));
	assert_int_equal(procs_kill(&p), 0);
	assert_true(dies(&p));
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* Becomes the domain's user, leaves a child behind. */
static void child_stays(void *arg)
{
	if (arg && setresuid(UID, UID, UID) < 0)
		_exit(1);
	if (fork() == 0) {
		setsid();
		for (;;)
			pause();
	}
	usleep(50000);
	_exit(0);
}

static void test_user(void **state)
{
	struct procs p;
	(void)state;

	if (geteuid() != 0)
		skip();
	pid_t pid = child(&p, child_stays, test_dir);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_false(procs_live(&p));
	p.uid = UID;
	assert_true(procs_live(&p));
	assert_int_equal(procs_kill(&p), 0);
	assert_true(dies(&p));
}

/* In a real group with one below it, of version 2 or 1. */
static void group_at(const char *base)
{
	_cleanup_free_ char *g = xasprintf("%s/hospes-test-%d.scope", base, (int)getpid());
	_cleanup_free_ char *sub = xasprintf("%s/guest", g), *procs = xasprintf("%s/cgroup.procs", sub);
	struct procs p, later;
	struct stat st;

	if (mkdir(g, 0755) < 0)
		return;
	assert_int_equal(mkdir(sub, 0755), 0);
	_cleanup_close_ int fd = open(procs, O_WRONLY | O_CLOEXEC);
	assert_int_equal(stat(g, &st), 0);
	int pfd[2];
	assert_int_equal(pipe(pfd), 0);
	pid_t pid = fork();
	if (!pid) {
		struct procs me;
		if (procs_self(&me) < 0 || write(fd, "0", 1) != 1 || write(pfd[1], &me, sizeof(me)) != sizeof(me))
			_exit(1);
		child_stays(NULL);
	}
	assert_int_equal(read(pfd[0], &p, sizeof(p)), sizeof(p));
	close(pfd[0]);
	close(pfd[1]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_false(procs_live(&p));
	p.group_ino = st.st_ino;
	snprintf(p.group, sizeof(p.group), "%s", g);
	assert_true(procs_live(&p));
	/* a later group of that name is somebody else's */
	later = p;
	later.group_ino++;
	assert_false(procs_live(&later));
	assert_int_equal(procs_kill(&later), 0);
	usleep(20000);
	assert_true(procs_live(&p));
	assert_int_equal(procs_kill(&p), 0);
	assert_true(dies(&p));
	for (unsigned i = 0; i < 200 && rmdir(sub) < 0; i++)
		usleep(5000);
	assert_int_equal(rmdir(g), 0);
	assert_false(procs_live(&p));
}

static void test_group(void **state)
{
	static const char *const bases[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/pids" };
	unsigned n = 0;
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(bases); i++) {
		_cleanup_free_ char *f = xasprintf("%s/cgroup.procs", bases[i]);

		if (access(f, W_OK) < 0)
			continue;
		group_at(bases[i]);
		n++;
	}
	if (!n)
		skip();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_record, test_dir_setup, test_dir_teardown),
		cmocka_unit_test_setup_teardown(test_process, test_dir_setup, test_dir_teardown),
		cmocka_unit_test_setup_teardown(test_user, test_dir_setup, test_dir_teardown),
		cmocka_unit_test_setup_teardown(test_group, test_dir_setup, test_dir_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
