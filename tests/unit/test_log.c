/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The log of a daemon: who logs waits for nobody, nothing is lost in the usual case, order is kept, the end and a crash are flushed, but not
 * for ever. Each case is a process of its own, whose standard error is what we say.
 */
#include "config.h"
#include "tests/unit/testutil.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "common/log.h"
#include "common/loop.h"
#include "common/util.h"

#define LINES 1000u
#define FLOOD 20000u

/* A child with standard error @fd: 0. The parent: its pid. */
static pid_t child(int fd)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid)
		return pid;
	alarm(60); /* not for ever, whatever happens */
	if (dup2(fd, STDERR_FILENO) < 0)
		_exit(99);
	log_init("test", LOG_LEVEL_INFO);
	return 0;
}

static int end_of(pid_t pid)
{
	int status = 0;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static int log_file(void)
{
	_cleanup_free_ char *path = xasprintf("%s/log", test_dir);
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	return fd;
}

static char *read_log(void)
{
	_cleanup_free_ char *path = xasprintf("%s/log", test_dir);
	char *text;
	size_t len;

	assert_int_equal(file_read(path, 1 << 20, &text, &len), 0);
	return text;
}

/* Lines "line N" in @text: each once, in order, from 0. Returns how many. */
static unsigned lines_in_order(const char *text)
{
	unsigned n = 0, got;

	for (const char *s = text; (s = strstr(s, ": line ")); s++, n++)
		if (sscanf(s, ": line %u", &got) != 1 || got != n)
			fail_msg("line %u instead of %u", got, n);
	return n;
}

static void test_usual(void **state)
{
	int fd = log_file();
	pid_t pid = child(fd);
	(void)state;

	if (!pid) {
		log_info("early");
		log_async();
		for (unsigned i = 0; i < LINES; i++)
			log_info("line %u", i);
		log_debug("too much");
		exit(3);
	}
	close(fd);
	assert_int_equal(WEXITSTATUS(end_of(pid)), 3);
	_cleanup_free_ char *text = read_log();
	assert_int_equal(lines_in_order(text), LINES);
	assert_true(!strncmp(text, "info  ", 6) && strstr(text, " test: early\n"));
	assert_null(strstr(text, "too much"));
	assert_null(strstr(text, "missing"));
}

static void test_crash(void **state)
{
	int fd = log_file();
	pid_t pid = child(fd);
	(void)state;

	if (!pid) {
		static const struct rlimit none = { 0 };

		(void)setrlimit(RLIMIT_CORE, &none);
		log_async();
		for (unsigned i = 0; i < LINES; i++)
			log_info("line %u", i);
		abort();
	}
	close(fd);
	int status = end_of(pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	_cleanup_free_ char *text = read_log();
	assert_int_equal(lines_in_order(text), LINES);
}

/* A helper that was forked has no such thread: it writes by itself, and what waited in its parent's ring is not written twice. */
static void test_fork(void **state)
{
	int fd = log_file();
	pid_t pid = child(fd);
	(void)state;

	if (!pid) {
		log_async();
		for (unsigned i = 0; i < LINES / 2; i++)
			log_info("line %u", i);
		pid_t k = fork();
		if (!k) {
			log_info("helper");
			_exit(0); /* a sanitizer that looks for leaks at exit() may wait for a thread that a fork does not have */
		}
		for (unsigned i = LINES / 2; i < LINES; i++)
			log_info("line %u", i);
		int status;
		exit(waitpid(k, &status, 0) == k ? status : 1);
	}
	close(fd);
	assert_int_equal(end_of(pid), 0);
	_cleanup_free_ char *text = read_log();
	assert_int_equal(lines_in_order(text), LINES);
	assert_non_null(strstr(text, " test: helper\n"));
}

/* What nobody takes. */
static void full_pipe(int p[2])
{
	char junk[4096];

	memset(junk, '\n', sizeof(junk));
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	int flags = fcntl(p[1], F_GETFL);
	assert_int_equal(fcntl(p[1], F_SETFL, flags | O_NONBLOCK), 0);
	while (write(p[1], junk, sizeof(junk)) > 0)
		;
	assert_int_equal(fcntl(p[1], F_SETFL, flags), 0);
}

/* Nobody reads: the caller never waits; later it is all there in order, and what is missing is counted. */
static void test_nobody_reads(void **state)
{
	int p[2], told[2];
	uint64_t worst = 0, missing = 0;
	unsigned next = 0, got;
	char line[2048];
	(void)state;

	full_pipe(p);
	assert_int_equal(pipe2(told, O_CLOEXEC), 0);
	pid_t pid = child(p[1]);
	if (!pid) {
		close(p[0]);
		log_async();
		for (unsigned i = 0; i < FLOOD; i++) {
			uint64_t t = now_ns();
			log_info("line %u", i);
			t = now_ns() - t;
			worst = t > worst ? t : worst;
		}
		(void)!write(told[1], &worst, sizeof(worst));
		(void)log_flush(30000);
		log_info("last");
		exit(0);
	}
	close(p[1]);
	close(told[1]);
	assert_int_equal(read(told[0], &worst, sizeof(worst)), sizeof(worst));
	assert_true(worst < 5 * NS_PER_S);
	FILE *f = fdopen(p[0], "r");
	bool last = false;
	while (fgets(line, sizeof(line), f)) {
		const char *s = strstr(line, " test: ");
		unsigned long n;

		if (!s)
			continue;
		last = strstr(s, "last") != NULL;
		if (sscanf(s, " test: %lu lines are missing", &n) == 1) {
			missing += n;
			next += (unsigned)n;
		} else if (sscanf(s, " test: line %u", &got) == 1) {
			assert_int_equal(got, next);
			next++;
		}
	}
	assert_true(last);
	assert_true(missing > 0);
	assert_int_equal(next, FLOOD);
	assert_int_equal(end_of(pid), 0);
	fclose(f);
	close(told[0]);
}

/* Where standard error is the journal: priorities, and neither time nor name; elsewhere none of it, whatever the environment says. */
static void test_journal(void **state)
{
	int fd = log_file();
	struct stat st;
	(void)state;

	assert_int_equal(fstat(fd, &st), 0);
	for (unsigned other = 0; other < 2; other++) {
		pid_t pid = child(fd);
		if (!pid) {
			char stream[64];
			snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
			         (unsigned long long)st.st_ino + other);
			setenv("JOURNAL_STREAM", stream, 1);
			log_init("test", LOG_LEVEL_DEBUG);
			log_error("an error");
			log_async();
			log_warn("a warning");
			log_info("said");
			log_debug("more");
			exit(0);
		}
		assert_int_equal(end_of(pid), 0);
	}
	close(fd);
	_cleanup_free_ char *text = read_log();
	const char *journal = "<3>an error\n<4>a warning\n<6>said\n<7>more\nerror ";
	assert_memory_equal(text, journal, strlen(journal));
	assert_non_null(strstr(text, " test: a warning\n"));
}

/* An exit waits for such a reader, but not for ever. */
static void test_exit_is_bounded(void **state)
{
	int p[2];
	(void)state;

	full_pipe(p);
	uint64_t begun = now_ns();
	pid_t pid = child(p[1]);
	if (!pid) {
		log_async();
		log_info("line 0");
		exit(0);
	}
	assert_int_equal(end_of(pid), 0);
	assert_true(now_ns() - begun < 30 * NS_PER_S);
	close(p[0]);
	close(p[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_usual, test_dir_setup, test_dir_teardown),
		cmocka_unit_test_setup_teardown(test_crash, test_dir_setup, test_dir_teardown),
		cmocka_unit_test_setup_teardown(test_fork, test_dir_setup, test_dir_teardown),
		cmocka_unit_test_setup_teardown(test_journal, test_dir_setup, test_dir_teardown),
		cmocka_unit_test(test_nobody_reads),
		cmocka_unit_test(test_exit_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
