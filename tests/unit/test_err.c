/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of common/err.c and common/log.c. */
#include "config.h"
#include "tests/unit/testutil.h"

#include <fcntl.h>
#include <unistd.h>
#include "common/err.h"
#include "common/log.h"
#include "common/util.h"

static void test_texts(void **state)
{
	struct err err = { 0 };

	(void)state;
	assert_int_equal(err_set(&err, ENOENT, "no disk %s", "a.img"), -ENOENT);
	assert_int_equal(err.code, ENOENT);
	assert_string_equal(err.text, "no disk a.img");
	assert_int_equal(err_sys(&err, -EACCES, "open %s", "x"), -EACCES);
	assert_string_equal(err.text, "open x: Permission denied");
	assert_int_equal(err_prefix(&err, "start %s", "guest01"), -EACCES);
	assert_string_equal(err.text, "start guest01: open x: Permission denied");
	assert_int_equal(err.code, EACCES);
	assert_int_equal(err_set(NULL, 5, "x"), -5);
	assert_int_equal(err_sys(NULL, -5, "x"), -5);
	assert_int_equal(err_prefix(NULL, "x"), -EIO);
	assert_int_equal(err_set(&err, 0, "x"), -EIO); /* never "success" */
}

static void test_long_and_hostile(void **state)
{
	struct err err = { 0 };
	char big[2000];

	(void)state;
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = 0;
	err_sys(&err, EIO, "%s", big);
	assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
	err_prefix(&err, "%s", big);
	assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
	err_set(&err, EIO, "a\nb\033[2J");
	assert_string_equal(err.text, "a b [2J");
}

/* What the log writes to stderr while @fn runs. */
static char *capture(void (*fn)(void))
{
	_cleanup_close_ int keep = dup(STDERR_FILENO);
	int p[2];
	char *text = calloc(1, 8192);

	assert_int_equal(pipe(p), 0);
	dup2(p[1], STDERR_FILENO);
	close(p[1]);
	fn();
	dup2(keep, STDERR_FILENO);
	assert_true(read(p[0], text, 8191) >= 0);
	close(p[0]);
	return text;
}

static void speak(void)
{
	log_init("testd", LOG_LEVEL_WARN);
	log_info("hidden");
	log_warn("two\nlines");
	log_level_set(LOG_LEVEL_DEBUG);
	log_debug("seen %d", 42);
}

static void test_log(void **state)
{
	_cleanup_free_ char *text = capture(speak);
	enum log_level level = LOG_LEVEL_INFO;

	(void)state;
	assert_null(strstr(text, "hidden"));
	assert_memory_equal(text, "warn  ", 6);
	assert_non_null(strstr(text, " testd: two lines\ndebug "));
	assert_non_null(strstr(text, " testd: seen 42\n"));
	assert_int_equal(log_level_get(), LOG_LEVEL_DEBUG);
	assert_int_equal(log_level_parse("error", &level), 0);
	assert_int_equal(level, LOG_LEVEL_ERROR);
	assert_int_equal(log_level_parse("loud", &level), -EINVAL);
	assert_int_equal(level, LOG_LEVEL_ERROR);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_long_and_hostile),
		cmocka_unit_test(test_log),
	};

	return cmocka_run_group_tests_name("err", tests, NULL, NULL);
}
