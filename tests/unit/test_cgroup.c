/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Control groups, on a made-up hierarchy of plain files: values, names that are taken, what is missing, and the janitor. */
#include "config.h"
#include "tests/unit/testutil.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "common/util.h"
#include "hypervisor/cgroup.h"

#define RAM (256ull << 20)

static void put(const char *dir, const char *name)
{
	_cleanup_free_ char *p = xasprintf("%s/%s", dir, name);

	assert_int_equal(file_write_atomic(p, "", 0, 0644), 0);
}

static void expect(const char *dir, const char *name, const char *want)
{
	_cleanup_free_ char *p = xasprintf("%s/%s", dir, name), *text = NULL;
	size_t len;

	assert_int_equal(file_read(p, 100, &text, &len), 0);
	assert_string_equal(text, want);
}

/* A group as the kernel would make it: its files are there with the directory. */
static char *group(const char *base, const char *name)
{
	static const char *const files[] = { "cgroup.procs", "pids.max", "memory.max", "memory.oom.group",
		                             "cpu.weight" };
	char *dir = xasprintf("%s/hospes/%s", base, name);

	assert_int_equal(mkdir_p(dir, 0755), 0);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		put(dir, files[i]);
	return dir;
}

static char *hierarchy(void)
{
	char *base = test_dir_new();
	_cleanup_free_ char *mid = xasprintf("%s/hospes", base);

	assert_int_equal(mkdir_p(mid, 0755), 0);
	put(base, "cgroup.controllers");
	put(base, "cgroup.subtree_control");
	put(mid, "cgroup.subtree_control");
	return base;
}

static void values(void **state)
{
	char *base = hierarchy(), limit[32];
	_cleanup_free_ char *dir = group(base, "guest01");
	struct cgroup c;
	(void)state;

	cgroup_make(&c, base, "guest01", RAM);
	assert_string_equal(c.why, "");
	assert_int_equal(c.n, 1);
	assert_string_equal(c.path[0], dir);
	expect(dir, "pids.max", "40000");
	snprintf(limit, sizeof(limit), "%lu", (unsigned long)cgroup_memory_limit(RAM));
	expect(dir, "memory.max", limit);
	expect(dir, "memory.oom.group", "1");
	expect(dir, "cpu.weight", "100");
	assert_true(cgroup_memory_limit(RAM) >= RAM + (256ull << 20));
	assert_int_equal(cgroup_add(&c, 4711), 0);
	expect(dir, "cgroup.procs", "4711");
	cgroup_done(&c);
	test_dir_remove(base);
}

static void taken_names(void **state)
{
	char *base = hierarchy();
	_cleanup_free_ char *a = group(base, "guest01"), *b = group(base, "guest01.1"), *x = group(base, "guest01.2");
	struct cgroup first, second, third;
	(void)state;

	/* what a host that lost power left behind is swept away, if nothing is in it */
	_cleanup_free_ char *stale = xasprintf("%s/hospes/guest77", base);
	assert_int_equal(mkdir_p(stale, 0755), 0);
	cgroup_make(&first, base, "guest01", RAM);
	assert_int_not_equal(access(stale, F_OK), 0);
	cgroup_make(&second, base, "guest01", RAM);
	assert_string_equal(first.path[0], a);
	assert_string_equal(second.path[0], b);
	/* one that nobody holds any more is taken over */
	cgroup_done(&first);
	cgroup_make(&third, base, "guest01", RAM);
	assert_string_equal(third.path[0], a);
	cgroup_done(&second);
	cgroup_done(&third);
	test_dir_remove(base);
}

static void lacking(void **state)
{
	char *base = hierarchy();
	_cleanup_free_ char *dir = group(base, "guest01"), *p = xasprintf("%s/memory.max", dir);
	struct cgroup c;
	(void)state;

	assert_int_equal(unlink(p), 0);
	cgroup_make(&c, base, "guest01", RAM);
	assert_int_equal(c.n, 1);
	assert_non_null(strstr(c.why, "memory.max"));
	expect(dir, "pids.max", "40000");
	cgroup_done(&c);
	/* a directory that does not become a group is not left behind */
	cgroup_make(&c, base, "guest02", RAM);
	assert_int_equal(c.n, 0);
	assert_non_null(strstr(c.why, "hospes"));
	assert_int_equal(cgroup_add(&c, 1), 0);
	assert_int_equal(cgroup_janitor(&c), 0);
	cgroup_done(&c);
	_cleanup_free_ char *gone = xasprintf("%s/hospes/guest02", base);
	assert_int_not_equal(access(gone, F_OK), 0);
	test_dir_remove(base);
	cgroup_make(&c, "/nowhere", "guest01", RAM);
	assert_int_equal(c.n, 0);
	assert_true(c.why[0]);
	cgroup_done(&c);
}

/* As hvdom would die: no clean-up, the pipe just ends. */
static void janitor(void **state)
{
	static const char *const files[] = { "cgroup.procs", "pids.max", "memory.max", "memory.oom.group",
		                             "cpu.weight" };
	char *base = hierarchy(), c;
	_cleanup_free_ char *dir = group(base, "guest01"), *probe = xasprintf("%s/lock", base);
	int p[2];
	(void)state;

	assert_int_equal(pipe(p), 0);
	pid_t pid = fork();
	if (pid == 0) {
		struct cgroup g;
		struct flock fl = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
		int lock = open(probe, O_RDWR | O_CREAT, 0600);
		cgroup_make(&g, base, "guest01", RAM);
		if (g.n != 1 || fcntl(lock, F_OFD_SETLK, &fl) < 0 || cgroup_janitor(&g) || write(p[1], "x", 1) != 1)
			_exit(1);
		pause();
	}
	assert_int_equal(read(p[0], &c, 1), 1);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		_cleanup_free_ char *f = xasprintf("%s/%s", dir, files[i]);
		assert_int_equal(unlink(f), 0);
	}
	usleep(100000);
	assert_int_equal(access(dir, F_OK), 0); /* not while its owner lives */
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	/* none of the owner's locks live on in the janitor */
	struct flock fl = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	_cleanup_close_ int lock = open(probe, O_RDWR);
	assert_int_equal(fcntl(lock, F_OFD_SETLK, &fl), 0);
	for (int i = 0; i < 200 && access(dir, F_OK) == 0; i++)
		usleep(10000);
	assert_int_not_equal(access(dir, F_OK), 0);
	close(p[0]);
	close(p[1]);
	test_dir_remove(base);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(values),
		cmocka_unit_test(taken_names),
		cmocka_unit_test(lacking),
		cmocka_unit_test(janitor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
