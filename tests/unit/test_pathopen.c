/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Opening what others name: nothing outside the allowed directories, nothing of another kind, no waiting. */
#include "config.h"
#include "tests/unit/testutil.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/pathopen.h"
#include "common/util.h"

static char *dir;
static struct path_rules rules;

static char *in(const char *name)
{
	return xasprintf("%s/%s", dir, name);
}

static void make(const char *name)
{
	_cleanup_free_ char *path = in(name);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	close(fd);
}

static void link_to(const char *target, const char *name)
{
	_cleanup_free_ char *path = in(name);

	assert_int_equal(symlink(target, path), 0);
}

/* <dir>/ok is allowed; <dir>/okay and <dir>/secret are not. */
static int setup(void **state)
{
	static const char *const dirs[] = { "ok", "ok/sub", "okay", "logs", "secret" };
	static const char *const files[] = { "ok/a", "ok/sub/b", "okay/c", "secret/s", "logs/l" };
	(void)state;

	dir = test_dir_new();
	if (!dir)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		_cleanup_free_ char *path = in(dirs[i]);
		assert_int_equal(mkdir(path, 0700), 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		make(files[i]);
	rules = (struct path_rules){ 0 };
	assert_int_equal(path_rules_add(&rules, PATH_IMAGE, in("ok")), 0);
	assert_int_equal(path_rules_add(&rules, PATH_OUTPUT, in("logs")), 0);
	assert_int_equal(path_rules_add(&rules, PATH_DEVICE, xasprintf("/dev")), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	path_rules_done(&rules);
	test_dir_remove(dir);
	return 0;
}

static int try(enum path_kind kind, const char *name, int flags, const char *want)
{
	_cleanup_free_ char *path = *name == '/' ? xasprintf("%s", name) : in(name);
	struct err err = { 0 }, err2 = { 0 };
	int fd = path_open(&rules, kind, path, flags, "disk vda", &err);

	/* the look without opening says the same of what exists */
	if (!(flags & O_CREAT)) {
		int r = path_check(&rules, kind, path, "disk vda", &err2);

		if (fd >= 0 || (fd != -ENOENT && kind != PATH_OUTPUT && kind != PATH_DEVICE))
			assert_int_equal(r, fd < 0 ? fd : 0);
	}
	if (fd >= 0) {
		close(fd);
		return 0;
	}
	assert_non_null(strstr(err.text, "disk vda"));
	if (want && !strstr(err.text, want))
		fail_msg("'%s' does not say '%s'", err.text, want);
	return fd;
}

static void test_beneath(void **state)
{
	(void)state;
	assert_int_equal(try(PATH_IMAGE, "ok/a", O_RDWR, NULL), 0);
	assert_int_equal(try(PATH_IMAGE, "ok/sub/b", O_RDWR, NULL), 0);
	assert_int_equal(try(PATH_KERNEL, "ok/a", O_RDONLY, NULL), 0); /* kernels among images */
	assert_int_equal(try(PATH_IMAGE, "ok/none", O_RDWR, NULL), -ENOENT);
	assert_int_equal(try(PATH_IMAGE, "okay/c", O_RDWR, "paths.json"), -EACCES);
	assert_int_equal(try(PATH_IMAGE, "secret/s", O_RDWR, "paths.json"), -EACCES);
	assert_int_equal(try(PATH_IMAGE, "/etc/shadow", O_RDWR, "paths.json"), -EACCES);
	assert_int_equal(try(PATH_IMAGE, "ok/../secret/s", O_RDWR, "plain"), -EACCES);
	assert_int_equal(try(PATH_IMAGE, "ok//a", O_RDWR, "plain"), -EACCES);
	assert_int_equal(try(PATH_IMAGE, "ok/./a", O_RDWR, "plain"), -EACCES);
	assert_int_equal(try(PATH_OUTPUT, "ok/a", O_WRONLY, "outputs"), -EACCES);
	assert_int_equal(try(PATH_IMAGE, "ok/a/x", O_RDWR, NULL), -ENOTDIR);
}

static void test_links(void **state)
{
	(void)state;
	link_to("a", "ok/inside");
	link_to("../secret/s", "ok/outside");
	link_to("/etc/shadow", "ok/absolute");
	link_to("../secret", "ok/dir");
	link_to("loop", "ok/loop");
	assert_int_equal(try(PATH_IMAGE, "ok/inside", O_RDWR, NULL), 0);
	assert_int_equal(try(PATH_IMAGE, "ok/outside", O_RDWR, "link"), -EACCES);
	assert_int_equal(try(PATH_IMAGE, "ok/absolute", O_RDWR, "link"), -EACCES);
	assert_int_equal(try(PATH_IMAGE, "ok/dir/s", O_RDWR, "link"), -EACCES);
	assert_int_equal(try(PATH_IMAGE, "ok/loop", O_RDWR, "link"), -EACCES);
	/* nothing is made through one either */
	assert_int_equal(try(PATH_IMAGE, "ok/dir/new", O_RDWR | O_CREAT, "link"), -EACCES);
	link_to("../secret/new", "ok/dangling");
	assert_true(try(PATH_IMAGE, "ok/dangling", O_RDWR | O_CREAT, NULL) < 0);
	_cleanup_free_ char *made = in("secret/new");
	assert_int_equal(access(made, F_OK), -1);
}

static void test_kinds(void **state)
{
	_cleanup_free_ char *fifo = in("ok/fifo"), *one = in("logs/l"), *two = in("logs/two");
	(void)state;

	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(try(PATH_IMAGE, "ok/fifo", O_RDONLY, "not a regular file"), -EINVAL); /* and does not wait */
	assert_int_equal(try(PATH_IMAGE, "ok/sub", O_RDONLY, "not a regular file"), -EINVAL);
	assert_int_equal(try(PATH_DEVICE, "/dev/null", O_RDWR, "not a block device"), -EINVAL);
	assert_int_equal(try(PATH_OUTPUT, "logs/l", O_WRONLY | O_APPEND | O_CREAT, NULL), 0);
	assert_int_equal(try(PATH_OUTPUT, "logs/new", O_WRONLY | O_APPEND | O_CREAT, NULL), 0);
	/* a second name may be anybody's file */
	assert_int_equal(link(one, two), 0);
	assert_int_equal(try(PATH_OUTPUT, "logs/two", O_WRONLY | O_APPEND | O_CREAT, "one name"), -EINVAL);
}

static void test_rules(void **state)
{
	struct path_rules r = { 0 };
	(void)state;

	assert_int_equal(path_rules_add(&r, PATH_IMAGE, xasprintf("relative")), -EINVAL);
	assert_int_equal(path_rules_add(&r, PATH_IMAGE, xasprintf("/a/../b")), -EINVAL);
	assert_int_equal(path_rules_add(&r, PATH_IMAGE, xasprintf("/")), -EINVAL);
	for (unsigned i = 0; i < PATH_ROOTS_MAX; i++)
		assert_int_equal(path_rules_add(&r, PATH_IMAGE, xasprintf("/r%u", i)), 0);
	assert_int_equal(path_rules_add(&r, PATH_IMAGE, xasprintf("/more")), -EINVAL);
	path_rules_done(&r);
	/* without rules any place, but no other kind */
	_cleanup_free_ char *s = in("secret/s"), *d = in("secret");
	struct err err = { 0 };
	int fd = path_open(NULL, PATH_IMAGE, s, O_RDONLY, "disk", &err);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(path_open(NULL, PATH_IMAGE, d, O_RDONLY, "disk", &err), -EINVAL);
	fd = path_open(NULL, PATH_IMAGE, "config.h", O_RDONLY, "disk", &err); /* no absolute path */
	assert_int_equal(fd, -EACCES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_beneath, setup, teardown),
		cmocka_unit_test_setup_teardown(test_links, setup, teardown),
		cmocka_unit_test_setup_teardown(test_kinds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rules, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
