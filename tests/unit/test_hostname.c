/* SPDX-License-Identifier: GPL-2.0-or-later */
/* This host's name: the file, what is no name in it, the system's, none at all. */
#include "config.h"
#include "tests/unit/testutil.h"

#include <unistd.h>
#include "common/hostname.h"
#include "common/util.h"

int __wrap_gethostname(char *name, size_t len);

static const char *system_name; /* NULL: the system tells none */

int __wrap_gethostname(char *name, size_t len)
{
	if (!system_name || strlen(system_name) >= len) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(name, system_name);
	return 0;
}

static void test_names(void **state)
{
	static const struct {
		const char *file, *system, *want;
	} c[] = {
		{ NULL, "host-a", "host-a" },
		{ NULL, "host-a.example.org", "host-a" },
		{ NULL, "", "localhost" },
		{ NULL, ".org", "localhost" },
		{ NULL, NULL, "localhost" },
		{ "host-b\n", "host-a", "host-b" },
		{ "host-b", NULL, "host-b" },
		{ "host-b # this one\nhost-c\n", "host-a", "host-b" },
		{ "host-b.org\n", "host-a", "host-b.org" }, /* as it was written */
		{ "", "host-a", "host-a" },
		{ "\nhost-b\n", "host-a", "host-a" },
		{ "../x\n", "host-a.org", "host-a" },
		{ "0123456789012345678901234567890123456789012345678901234567890123\n", "host-a", "host-a" },
		{ NULL, "0123456789012345678901234567890123456789012345678901234567890123",
		  "012345678901234567890123456789012345678901234567890123456789012" },
	};
	char *dir = test_dir_new(), got[64];
	_cleanup_free_ char *path = xasprintf("%s/hostname", dir);
	(void)state;

	setenv("HOSPES_CONFDIR", dir, 1);
	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		unlink(path);
		if (c[i].file)
			assert_int_equal(file_write_atomic(path, c[i].file, strlen(c[i].file), 0600), 0);
		system_name = c[i].system;
		host_name(got, sizeof(got));
		assert_string_equal(got, c[i].want);
	}
	host_name(got, 5);
	assert_string_equal(got, "0123");
	test_dir_remove(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_names) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
