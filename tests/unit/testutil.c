/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Helpers of unit tests: see testutil.h. */
#include "config.h"
#include "tests/unit/testutil.h"

#include <ftw.h>
#include <unistd.h>

char *test_dir_new(void)
{
	const char *tmp = getenv("TMPDIR");
	char *dir;

	if (asprintf(&dir, "%s/hospes-test-XXXXXX", tmp && *tmp ? tmp : "/tmp") < 0 || !mkdtemp(dir)) {
		perror("test_dir_new");
		abort();
	}
	return dir;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void test_dir_remove(char *dir)
{
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(dir);
}

char *test_dir;

int test_dir_setup(void **state)
{
	static const char *const place[] = { "HOSPES_RUNDIR", "HOSPES_STATEDIR", "HOSPES_CONFDIR", "HOSPES_LOGDIR" };

	(void)state;
	test_dir = test_dir_new();
	for (size_t i = 0; i < ARRAY_SIZE(place); i++)
		setenv(place[i], test_dir, 1);
	return 0;
}

int test_dir_teardown(void **state)
{
	(void)state;
	test_dir_remove(test_dir);
	return 0;
}
