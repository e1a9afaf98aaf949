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
