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

/* Directories below hospes.slice are groups: as the kernel does, make their files with them, and let rmdir() take them along. */
static const char *const group_files[] = { "cgroup.procs", "cgroup.subtree_control", "pids.max",
	                                   "memory.max",   "memory.oom.group",       "cpu.weight" };
static const char *absent = ""; /* a file that this kernel does not have */

int __real_mkdir(const char *path, mode_t mode);
int __real_rmdir(const char *path);
int __wrap_mkdir(const char *path, mode_t mode);
int __wrap_rmdir(const char *path);

static void fill(const char *dir)
{
	for (size_t i = 0; i < ARRAY_SIZE(group_files); i++)
		if (strcmp(group_files[i], absent) != 0)
			put(dir, group_files[i]);
}

int __wrap_mkdir(const char *path, mode_t mode)
{
	int r = __real_mkdir(path, mode);

	if (r == 0 && strstr(path, "hospes.slice"))
		fill(path);
	return r;
}

int __real_mkdirat(int dir, const char *path, mode_t mode);
int __wrap_mkdirat(int dir, const char *path, mode_t mode);
int __wrap_mkdirat(int dir, const char *path, mode_t mode)
{
	char link[64], full[512] = "";
	int r = __real_mkdirat(dir, path, mode);

	snprintf(link, sizeof(link), "/proc/self/fd/%d", dir);
	if (r == 0 && readlink(link, full, sizeof(full) - 100) > 0) {
		_cleanup_free_ char *sub = xasprintf("%s/%s", full, path);
		fill(sub);
	}
	return r;
}

int __wrap_rmdir(const char *path)
{
	_cleanup_free_ char *procs = xasprintf("%s/cgroup.procs", path);
	struct stat st;

	if (stat(procs, &st) == 0 && st.st_size > 0) {
		errno = EBUSY; /* something runs in it */
		return -1;
	}
	if (strstr(path, "hospes.slice/"))
		for (size_t i = 0; i < ARRAY_SIZE(group_files); i++) {
			_cleanup_free_ char *f = xasprintf("%s/%s", path, group_files[i]);
			unlink(f);
		}
	return __real_rmdir(path);
}

static char *hierarchy(void)
{
	char *base = test_dir_new();

	put(base, "cgroup.controllers");
	put(base, "cgroup.subtree_control");
	return base;
}

static char *group(const char *base, const char *name)
{
	return xasprintf("%s/hospes.slice/hospes-%s.scope", base, name);
}

static void values(void **state)
{
	char *base = hierarchy(), text[32];
	_cleanup_free_ char *dir = group(base, "guest01");
	uint64_t ino = 0;
	struct cgroup c;
	struct stat st;
	(void)state;

	cgroup_make(&c, base, "guest01", RAM, getuid());
	assert_string_equal(c.why, "");
	assert_int_equal(c.n, 1);
	assert_string_equal(cgroup_evidence(&c, &ino), dir);
	assert_int_equal(stat(dir, &st), 0);
	assert_int_equal(ino, st.st_ino);
	expect(dir, "guest/pids.max", "40000");
	snprintf(text, sizeof(text), "%lu", (unsigned long)cgroup_memory_limit(RAM));
	expect(dir, "guest/memory.max", text);
	expect(dir, "guest/memory.oom.group", "1");
	expect(dir, "cpu.weight", "100");
	/* the whole of it is limited too: the domain's user may move its processes about in there */
	expect(dir, "pids.max", "40256");
	snprintf(text, sizeof(text), "%lu", (unsigned long)(cgroup_memory_limit(RAM) + (128ull << 20)));
	expect(dir, "memory.max", text);
	assert_true(cgroup_memory_limit(RAM) >= RAM + (256ull << 20));
	cgroup_enter(&c);
	expect(dir, "hvdom/cgroup.procs", "0"); /* "me" */
	assert_int_equal(cgroup_add(&c, 4711), 0);
	expect(dir, "guest/cgroup.procs", "4711");
	/* what the kernel killed, as v2 or v1 tells it */
	_cleanup_free_ char *events = xasprintf("%s/guest/memory.events", dir),
			    *control = xasprintf("%s/guest/memory.oom_control", dir);
	assert_int_equal(cgroup_oom_kills(&c), 0);
	static const char v2[] = "low 0\noom 7\noom_kill 3\noom_group_kill 1\n",
			  v1[] = "oom_kill_disable 0\nunder_oom 0\noom_kill 12\n";
	assert_int_equal(file_write_atomic(events, v2, sizeof(v2) - 1, 0600), 0);
	assert_int_equal(cgroup_oom_kills(&c), 3);
	(void)!unlink(events);
	assert_int_equal(file_write_atomic(control, v1, sizeof(v1) - 1, 0600), 0);
	assert_int_equal(cgroup_oom_kills(&c), 12);
	cgroup_done(&c);
	test_dir_remove(base);
}

static void taken_names(void **state)
{
	char *base = hierarchy();
	_cleanup_free_ char *a = group(base, "guest01"), *b = group(base, "guest01.1"), *busy = group(base, "guest02");
	struct cgroup first, second, third;
	uint64_t ino, again;
	struct stat st;
	(void)state;

	/* what a host that lost power left behind is swept away, if nothing is in it */
	_cleanup_free_ char *stale = group(base, "guest77"), *procs = xasprintf("%s/cgroup.procs", busy);
	assert_int_equal(mkdir_p(stale, 0755), 0);
	assert_int_equal(mkdir_p(busy, 0755), 0);
	assert_int_equal(file_write_atomic(procs, "1", 1, 0644), 0);
	assert_int_equal(stat(busy, &st), 0);
	cgroup_make(&first, base, "guest01", RAM, getuid());
	assert_int_not_equal(access(stale, F_OK), 0);
	cgroup_make(&second, base, "guest01", RAM, getuid());
	assert_string_equal(cgroup_evidence(&first, &ino), a);
	assert_string_equal(cgroup_evidence(&second, &again), b);
	/* one that nobody holds any more is not taken over: it is made anew, or, while something is in it, left alone */
	cgroup_done(&first);
	cgroup_make(&third, base, "guest01", RAM, getuid());
	assert_string_equal(cgroup_evidence(&third, &again), a);
	cgroup_done(&second);
	cgroup_done(&third);
	cgroup_make(&third, base, "guest02", RAM, getuid());
	assert_string_not_equal(cgroup_evidence(&third, &again), busy);
	assert_int_not_equal(again, st.st_ino);
	cgroup_done(&third);
	assert_int_equal(unlink(procs), 0);
	test_dir_remove(base);
}

static void lacking(void **state)
{
	char *base = hierarchy();
	_cleanup_free_ char *dir = group(base, "guest01"), *gone = group(base, "guest02");
	uint64_t ino;
	struct cgroup c;
	(void)state;

	absent = "memory.max";
	cgroup_make(&c, base, "guest01", RAM, getuid());
	assert_int_equal(c.n, 1);
	assert_non_null(strstr(c.why, "memory.max"));
	expect(dir, "pids.max", "40256");
	cgroup_done(&c);
	/* a directory that does not become a group is not left behind */
	absent = "cgroup.procs";
	cgroup_make(&c, base, "guest02", RAM, getuid());
	absent = "";
	assert_int_equal(c.n, 0);
	assert_non_null(strstr(c.why, "hospes"));
	assert_int_equal(cgroup_add(&c, 1), 0);
	assert_int_equal(cgroup_janitor(&c), 0);
	cgroup_enter(&c);
	assert_null(cgroup_evidence(&c, &ino));
	cgroup_done(&c);
	assert_int_not_equal(access(gone, F_OK), 0);
	test_dir_remove(base);
	cgroup_make(&c, "/nowhere", "guest01", RAM, getuid());
	assert_int_equal(c.n, 0);
	assert_true(c.why[0]);
	cgroup_done(&c);
}

/* As hvdom would die: no clean-up, the pipe just ends. */
static void janitor(void **state)
{
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
		cgroup_make(&g, base, "guest01", RAM, getuid());
		if (g.n != 1 || fcntl(lock, F_OFD_SETLK, &fl) < 0 || cgroup_janitor(&g) || write(p[1], "x", 1) != 1)
			_exit(1);
		pause();
	}
	assert_int_equal(read(p[0], &c, 1), 1);
	usleep(100000);
	assert_int_equal(access(dir, F_OK), 0); /* not while its owner lives */
	/* nor is the janitor one of the domain's */
	_cleanup_free_ char *own = xasprintf("%s/hospes.slice", base);
	expect(own, "janitors.scope/cgroup.procs", "0");
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
