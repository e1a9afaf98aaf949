/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a stand-in for hvdom, a shell script, answers about engines: true and false, nonsense, nothing, too much, too late. */
#include "config.h"
#include "tests/unit/testutil.h"

#include <sys/stat.h>
#include <unistd.h>
#include "common/loop.h"
#include "common/util.h"
#include "hypervisor/api/hvcheck.h"

static int setup(void **state)
{
	int r = test_dir_setup(state);

	setenv("HOSPES_LIBEXEC", test_dir, 1);
	return r;
}

/* The stand-in: @script, with the directory as its working directory. */
static void hvdom(const char *script)
{
	_cleanup_free_ char *path = xasprintf("%s/hvdom", test_dir),
			    *text = xasprintf("#!/bin/sh\ncd %s\n%s\n", test_dir, script);

	assert_int_equal(file_write_atomic(path, text, strlen(text), 0755), 0);
}

static void test_engines(void **state)
{
	struct hvcheck_engine e[HVCHECK_ENGINES_MAX];
	struct err err;
	(void)state;

	hvdom("[ \"$*\" = --engines ] && echo '{\"engine\":\"pv\",\"runs\":true}' && printf '%s\\n' '{\"engine\":\"kvm\",\"runs\":false,\"why\":\"no\\nkvm\"}'");
	assert_int_equal(hvcheck_engines(e, &err), 2);
	assert_string_equal(e[0].name, "pv");
	assert_true(e[0].runs);
	assert_string_equal(e[0].why, "");
	assert_string_equal(e[1].name, "kvm");
	assert_false(e[1].runs);
	assert_string_equal(e[1].why, "no kvm"); /* one line */
}

static void test_domain(void **state)
{
	_cleanup_free_ char *path = xasprintf("%s/got", test_dir), *got = NULL;
	struct hvcheck_engine e;
	struct err err;
	(void)state;

	hvdom("[ \"$1\" = --check ] && cat \"$2\" >got && echo '{\"engine\":\"pv\",\"runs\":true,\"identity\":\"ab\",\"base\":\"00000000000000ab0000000000000001\",\"later\":[1]}'");
	assert_int_equal(hvcheck_domain("<domain/>", 9, &e, &err), 0);
	assert_int_equal(file_read(path, 100, &got, NULL), 0);
	assert_string_equal(got, "<domain/>");
	assert_string_equal(e.name, "pv");
	assert_string_equal(e.identity, "ab");
	assert_int_equal(e.base[0], 0xab);
	assert_int_equal(e.base[1], 1);
	hvdom("echo '{\"engine\":\"kvm\",\"runs\":false,\"why\":\"not here\"}'; exit 1");
	assert_int_equal(hvcheck_domain("<domain/>", 9, &e, &err), -ENOTSUP);
	assert_string_equal(err.text, "not here");
	assert_int_equal(e.base[0] | e.base[1], 0);
	assert_string_equal(e.name, "kvm");
	assert_string_equal(e.identity, "");
	hvdom("echo '{\"runs\":false}'");
	assert_int_equal(hvcheck_domain("<domain/>", 9, &e, &err), -ENOTSUP);
	assert_true(err.text[0]);
	assert_string_equal(e.name, "");
}

static void test_nonsense(void **state)
{
	static const char *const script[] = {
		"exit 0",
		"exit 1",
		"kill -9 $$",
		"echo",
		"echo ok",
		"echo '{}'",
		"echo '[]'",
		"echo '{\"engine\":\"pv\"}'",
		"echo '{\"engine\":\"pv\",\"runs\":1}'",
		"echo '{\"runs\":true}'",
		"echo '{\"engine\":7,\"runs\":true}'",
		"echo '{\"engine\":\"0123456789abcdef\",\"runs\":true}'",
		"echo '{\"engine\":\"pv\",\"runs\":true,\"runs\":false}'",
		"echo '{\"engine\":\"pv\",\"runs\":true,\"identity\":\"0123456789012345678901234567890123456789\"}'",
		"echo '{\"engine\":\"pv\",\"runs\":true'",
		"head -c 100000 /dev/zero | tr '\\0' x",
		"while :; do echo '{\"engine\":\"pv\",\"runs\":true}'; done",
	};
	struct hvcheck_engine e[HVCHECK_ENGINES_MAX];
	struct err err;
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(script); i++) {
		hvdom(script[i]);
		if (hvcheck_engines(e, &err) != -EPROTO || hvcheck_domain("<domain/>", 9, e, &err) != -EPROTO)
			fail_msg("%s: %s", script[i], err.text);
		assert_true(err.text[0]);
	}
	setenv("HOSPES_LIBEXEC", "/none", 1);
	assert_int_equal(hvcheck_engines(e, &err), -ENOENT);
	assert_int_equal(hvcheck_domain("<domain/>", 9, e, &err), -ENOENT);
}

/* One that hangs is killed, and its end is waited for. */
static void test_silent(void **state)
{
	_cleanup_free_ char *path = xasprintf("%s/pid", test_dir), *text = NULL;
	struct hvcheck_engine e[HVCHECK_ENGINES_MAX];
	uint64_t began = now_ns();
	struct err err;
	(void)state;

	hvdom("echo $$ >pid; echo '{\"engine\":\"pv\",\"runs\":true}'; exec sleep 100");
	assert_int_equal(hvcheck_engines(e, &err), -ETIMEDOUT);
	assert_true(now_ns() - began >= HVCHECK_MS * NS_PER_MS && now_ns() - began < 4 * HVCHECK_MS * NS_PER_MS);
	assert_int_equal(file_read(path, 100, &text, NULL), 0);
	_cleanup_free_ char *proc = xasprintf("/proc/%d", atoi(text));
	assert_int_equal(access(proc, F_OK), -1);
}

/* Out of memory is an error, not an answer. */
static void test_no_memory(void **state)
{
	struct hvcheck_engine e[HVCHECK_ENGINES_MAX];
	struct err err;
	int r;
	(void)state;

	hvdom("echo '{\"engine\":\"pv\",\"runs\":true}'");
	FOR_EACH_ALLOC_FAILURE(r = hvcheck_engines(e, &err))
	assert_true(r == 1 || (alloc_failed && r < 0));
	FOR_EACH_ALLOC_FAILURE(r = hvcheck_domain("x", 1, e, &err))
	assert_true(r == 0 || (alloc_failed && r < 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_engines, setup, test_dir_teardown),
		cmocka_unit_test_setup_teardown(test_domain, setup, test_dir_teardown),
		cmocka_unit_test_setup_teardown(test_nonsense, setup, test_dir_teardown),
		cmocka_unit_test_setup_teardown(test_silent, setup, test_dir_teardown),
		cmocka_unit_test_setup_teardown(test_no_memory, setup, test_dir_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
