/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the daemons' main() functions share: the command line, and a loop from its start to its end. */
#include "config.h"
#include "tests/unit/testutil.h"
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "common/daemon.h"
#include "common/log.h"
#include "common/util.h"
#include "common/worker.h"

#define USAGE "usage: tested [--own] ...\n"

static const struct daemon flag = {
	.name = "tested", .version = "tested 1.2", .usage = USAGE, .option = "own", .level_env = "TESTED_LEVEL"
};
static const struct daemon valued = {
	.name = "tested", .version = "tested 1.2", .usage = USAGE, .option = "own", .option_value = true
};

/* What @fd receives while @d reads @args, which are separated by blanks. Returns what daemon_options() does. */
static int options(const struct daemon *d, const char *args, int fd, const char **own, char text[1024])
{
	_cleanup_free_ char *copy = xasprintf("tested %s", args);
	_cleanup_fclose_ FILE *f = tmpfile();
	char *argv[8] = { NULL };
	int argc = 0, saved = dup(fd);

	for (char *w = strtok(copy, " "); w; w = strtok(NULL, " "))
		argv[argc++] = w;
	assert_non_null(f);
	assert_true(saved >= 0 && dup2(fileno(f), fd) == fd);
	int rc = daemon_options(d, argc, argv, own);
	fflush(stdout);
	assert_true(dup2(saved, fd) == fd);
	close(saved);
	rewind(f);
	text[fread(text, 1, 1023, f)] = 0;
	if (*own) /* it is in the copy */
		*own = !strcmp(*own, "value") ? "value" : !**own ? "" : "another value";
	return rc;
}

static void test_options(void **state)
{
	static const struct {
		const struct daemon *d;
		const char *args;
		int rc;
		const char *own;
		enum log_level level;
	} t[] = {
		{ &flag, "", -1, NULL, LOG_LEVEL_INFO },
		{ &flag, "--own", -1, "", LOG_LEVEL_INFO },
		{ &flag, "--log-level debug --own", -1, "", LOG_LEVEL_DEBUG },
		{ &flag, "--log-level=error", -1, NULL, LOG_LEVEL_ERROR },
		{ &valued, "", -1, NULL, LOG_LEVEL_INFO },
		{ &valued, "--own value", -1, "value", LOG_LEVEL_INFO },
		{ &valued, "--own=value --log-level warn", -1, "value", LOG_LEVEL_WARN },
	};
	char text[1024];
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		const char *own = "untouched";

		log_level_set(LOG_LEVEL_INFO);
		int rc = options(t[i].d, t[i].args, STDERR_FILENO, &own, text);
		if (rc != t[i].rc || !own != !t[i].own || (own && strcmp(own, t[i].own) != 0) ||
		    log_level_get() != t[i].level)
			fail_msg("\"%s\": %d, own %s, level %d: %s", t[i].args, rc, own ? own : "not given",
			         log_level_get(), text);
	}
}

static void test_wrong_usage(void **state)
{
	static const struct {
		const struct daemon *d;
		const char *args, *says;
	} t[] = {
		{ &flag, "--bogus", "unrecognized option '--bogus'" },
		{ &flag, "--own=value", "doesn't allow an argument" },
		{ &valued, "--own", "option '--own' requires an argument" },
		{ &flag, "--log-level", "option '--log-level' requires an argument" },
		{ &flag, "--log-level loud", "" },
		{ &flag, "word", "" },
		{ &flag, "--own word", "" },
		{ &flag, "--own --helper", "--helper" },
		{ &flag, "--helper", "--helper" }, /* it has none */
	};
	char text[1024];
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		const char *own;
		int rc = options(t[i].d, t[i].args, STDERR_FILENO, &own, text);

		if (rc != 2 || !strstr(text, t[i].says) || strlen(text) < strlen(USAGE) ||
		    strcmp(text + strlen(text) - strlen(USAGE), USAGE) != 0)
			fail_msg("\"%s\": %d, %s", t[i].args, rc, text);
	}
}

static void test_help(void **state)
{
	static const struct {
		const char *args, *says;
	} t[] = {
		{ "--help", USAGE },
		{ "-h", USAGE },
		{ "--own --help --bogus", USAGE },
		{ "--version", "tested 1.2\n" },
		{ "--version --help", "tested 1.2\n" },
	};
	char text[1024];
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		const char *own;

		assert_int_equal(options(&flag, t[i].args, STDOUT_FILENO, &own, text), 0);
		assert_string_equal(text, t[i].says);
	}
}

static void test_level_of_environment(void **state)
{
	char text[1024];
	const char *own;
	(void)state;

	setenv("TESTED_LEVEL", "debug", 1);
	assert_int_equal(options(&flag, "", STDERR_FILENO, &own, text), -1);
	assert_int_equal(log_level_get(), LOG_LEVEL_DEBUG);
	assert_int_equal(options(&flag, "--log-level warn", STDERR_FILENO, &own, text), -1);
	assert_int_equal(log_level_get(), LOG_LEVEL_WARN);
	assert_int_equal(options(&valued, "", STDERR_FILENO, &own, text), -1); /* which names no variable */
	assert_int_equal(log_level_get(), LOG_LEVEL_INFO);
	setenv("TESTED_LEVEL", "nonsense", 1);
	assert_int_equal(options(&flag, "", STDERR_FILENO, &own, text), -1);
	assert_int_equal(log_level_get(), LOG_LEVEL_INFO);
	unsetenv("TESTED_LEVEL");
}

static void echo(struct worker_here *here, const uint8_t *req, size_t len, struct buf *reply)
{
	(void)here;
	buf_put(reply, req, len);
}

/* "--helper" alone serves requests instead of being read: with no input it ends at once, and well. */
static void test_helper(void **state)
{
	struct daemon d = flag;
	pid_t pid = fork();
	int status;
	(void)state;

	if (pid == 0) {
		char *argv[] = { (char[]){ "tested" }, (char[]){ WORKER_ARG }, NULL };
		const char *own;
		int sv[2];

		d.helper = echo;
		alarm(60);
		if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv) < 0 || dup2(sv[0], STDIN_FILENO) < 0)
			_exit(99);
		close(sv[0]);
		close(sv[1]);
		_exit(daemon_options(&d, 2, argv, &own));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* A daemon that writes down what happens to it. */
struct life {
	int start_result;
	pid_t child;
	char said[64];
};

static void say(struct life *l, const char *what)
{
	strncat(l->said, what, sizeof(l->said) - strlen(l->said) - 1);
}

static int on_start(void *arg, struct loop *loop, struct err *err)
{
	struct life *l = arg;

	assert_non_null(loop);
	say(l, "start ");
	if (l->start_result < 0)
		return err_set(err, -l->start_result, "it cannot");
	l->child = fork();
	if (l->child == 0)
		_exit(7);
	return 0;
}

static void on_child(void *arg, pid_t pid, int status)
{
	struct life *l = arg;

	assert_int_equal(pid, l->child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	say(l, "child ");
	kill(getpid(), SIGPIPE); /* ignored */
	kill(getpid(), SIGTERM);
}

static void on_end(void *arg)
{
	say(arg, "end");
}

/* In a process of its own, because signals stay blocked. *@rc: what daemon_run() returns; @text: the log, then what happened. */
static void run(struct life *l, int *rc, char text[1024])
{
	static const struct daemon d = {
		.name = "tested", .at_end = "nothing is lost", .start = on_start, .child = on_child, .end = on_end
	};
	_cleanup_fclose_ FILE *f = tmpfile();
	int status;

	assert_non_null(f);
	pid_t pid = fork();
	if (pid == 0) {
		alarm(60);
		if (dup2(fileno(f), STDERR_FILENO) < 0)
			_exit(99);
		log_init("tested", LOG_LEVEL_INFO);
		int r = daemon_run(&d, l);
		fprintf(stderr, "%s", l->said);
		_exit(r);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	*rc = WEXITSTATUS(status);
	rewind(f);
	text[fread(text, 1, 1023, f)] = 0;
}

static void test_run(void **state)
{
	char text[1024];
	int rc;
	(void)state;

	run(&(struct life){ 0 }, &rc, text);
	assert_int_equal(rc, 0);
	assert_non_null(strstr(text, "ends by signal 15; nothing is lost\n"));
	assert_non_null(strstr(text, "start child end"));

	run(&(struct life){ .start_result = -EIO }, &rc, text);
	assert_int_equal(rc, 1);
	assert_non_null(strstr(text, "tested: it cannot\n"));
	assert_non_null(strstr(text, "start end"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options), cmocka_unit_test(test_wrong_usage),
		cmocka_unit_test(test_help),    cmocka_unit_test(test_level_of_environment),
		cmocka_unit_test(test_helper),  cmocka_unit_test(test_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
