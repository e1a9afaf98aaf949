/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The boot console: log file, ring for late clients, one client, a client that does not read. */
#include "config.h"
#include "tests/unit/testutil.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include "common/loop.h"
#include "common/util.h"
#include "hypervisor/conlog.h"

#define RING 16384u

struct fixture {
	struct loop *loop;
	struct conlog *c;
	char *dir, *path;
	char typed[256];
	size_t n_typed;
};

static void on_input(void *arg, const void *p, size_t len)
{
	struct fixture *f = arg;

	assert_true(f->n_typed + len < sizeof(f->typed));
	memcpy(f->typed + f->n_typed, p, len);
	f->n_typed += len;
}

static void open_log(struct fixture *f)
{
	_cleanup_free_ char *past = xasprintf("%s.1", f->path);
	int fd = open(f->path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	int old = open(past, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	struct boundlog log;

	assert_true(fd >= 0 && old >= 0);
	boundlog_init(&log, fd, old, BOUNDLOG_PIECE);
	f->c = conlog_new(f->loop, log, on_input, f);
	assert_non_null(f->c);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->dir = test_dir_new();
	f->path = xasprintf("%s/log", f->dir);
	f->loop = loop_new();
	open_log(f);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	conlog_free(f->c);
	loop_free(f->loop);
	free(f->path);
	test_dir_remove(f->dir);
	free(f);
	return 0;
}

static size_t drain(int fd, char *buf, size_t cap)
{
	size_t n = 0;
	ssize_t r;

	while (n < cap && (r = recv(fd, buf + n, cap - n, MSG_DONTWAIT)) > 0)
		n += (size_t)r;
	return n;
}

static off_t log_size(const struct fixture *f)
{
	struct stat st;

	assert_int_equal(stat(f->path, &st), 0);
	return st.st_size;
}

static void log_and_late_client(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *text = NULL;
	char buf[64];
	struct err err;
	size_t len;

	conlog_put(f->c, "early ", 6);
	_cleanup_close_ int fd = conlog_attach(f->c, false, &err);
	assert_true(fd >= 0);
	conlog_put(f->c, "late", 4);
	len = drain(fd, buf, sizeof(buf));
	assert_int_equal(len, 10);
	assert_memory_equal(buf, "early late", 10);
	assert_int_equal(file_read(f->path, 100, &text, &len), 0);
	assert_string_equal(text, "early late");
}

static void ring_keeps_the_last(void **state)
{
	struct fixture *f = *state;
	char *got = malloc(4 * RING), line[16];
	struct err err;
	size_t total = 0;

	for (int i = 0; i < 5000; i++) {
		int n = snprintf(line, sizeof(line), "%d\n", i);
		conlog_put(f->c, line, (size_t)n);
		total += (size_t)n;
	}
	assert_true(total > RING);
	_cleanup_close_ int fd = conlog_attach(f->c, false, &err);
	size_t n = drain(fd, got, 4 * RING);
	assert_int_equal(n, RING);
	assert_memory_equal(got + n - 10, "4998\n4999\n", 10);
	/* one piece larger than the ring */
	char *big = malloc(3 * RING);
	memset(big, 'a', 3 * RING);
	big[3 * RING - 1] = 'z';
	conlog_put(f->c, big, 3 * RING);
	_cleanup_close_ int again = conlog_attach(f->c, true, &err);
	n = drain(again, got, 4 * RING);
	assert_int_equal(n, RING);
	assert_true(got[0] == 'a' && got[n - 1] == 'z');
	free(big);
	free(got);
}

static void one_client(void **state)
{
	struct fixture *f = *state;
	struct err err = { 0 };
	char c;

	int first = conlog_attach(f->c, false, &err);
	assert_int_equal(conlog_attach(f->c, false, &err), -EBUSY);
	assert_non_null(strstr(err.text, "--force"));
	int second = conlog_attach(f->c, true, &err);
	assert_true(second >= 0);
	assert_int_equal(recv(first, &c, 1, MSG_DONTWAIT), 0); /* told by the end of the stream */
	close(first);
	/* a client that leaves makes room */
	close(second);
	loop_run_once(f->loop, 0);
	int third = conlog_attach(f->c, false, &err);
	assert_true(third >= 0);
	close(third);
	/* also when output notices it first */
	conlog_put(f->c, "x", 1);
	third = conlog_attach(f->c, false, &err);
	assert_true(third >= 0);
	close(third);
}

static void input(void **state)
{
	struct fixture *f = *state;
	struct err err;

	_cleanup_close_ int fd = conlog_attach(f->c, false, &err);
	assert_int_equal(send(fd, "ls\n", 3, 0), 3);
	loop_run_once(f->loop, 100);
	assert_int_equal(f->n_typed, 3);
	assert_memory_equal(f->typed, "ls\n", 3);
}

static void client_that_does_not_read(void **state)
{
	struct fixture *f = *state;
	static char block[65536];
	struct err err;
	uint64_t t0 = now_ns();

	_cleanup_close_ int fd = conlog_attach(f->c, false, &err);
	memset(block, 'b', sizeof(block));
	for (int i = 0; i < 100; i++)
		conlog_put(f->c, block, sizeof(block));
	assert_true(now_ns() - t0 < 5 * NS_PER_S); /* did not wait */
	assert_int_equal(log_size(f), 100 * (off_t)sizeof(block) - BOUNDLOG_PIECE);
	assert_int_equal(conlog_attach(f->c, false, &err), -EBUSY); /* it stays: it may read later */
}

static off_t past_size(const struct fixture *f)
{
	_cleanup_free_ char *past = xasprintf("%s.1", f->path);
	struct stat st;

	assert_int_equal(stat(past, &st), 0);
	return st.st_size;
}

/* The last words before a piece was full are in the one before; neither grows beyond its bound. */
static void log_is_bounded(void **state)
{
	struct fixture *f = *state;
	static char block[65536];
	_cleanup_free_ char *past = xasprintf("%s.1", f->path);
	char got[8] = "";

	/* what an earlier hvdom wrote counts too */
	conlog_free(f->c);
	assert_int_equal(truncate(f->path, BOUNDLOG_PIECE - 5), 0);
	open_log(f);
	conlog_put(f->c, "panic", 5);
	assert_int_equal(log_size(f), BOUNDLOG_PIECE);
	assert_int_equal(past_size(f), 0);
	conlog_put(f->c, "anew", 4);
	assert_int_equal(log_size(f), 4);
	assert_int_equal(past_size(f), BOUNDLOG_PIECE);
	_cleanup_close_ int fd = open(past, O_RDONLY | O_CLOEXEC);
	assert_int_equal(pread(fd, got, 5, BOUNDLOG_PIECE - 5), 5);
	assert_string_equal(got, "panic");
	for (int i = 0; i < 300; i++) {
		conlog_put(f->c, block, sizeof(block));
		assert_true(log_size(f) <= BOUNDLOG_PIECE && past_size(f) == BOUNDLOG_PIECE);
	}
	/* one that was far larger before there was a bound */
	conlog_free(f->c);
	assert_int_equal(truncate(f->path, 3 * BOUNDLOG_PIECE), 0);
	open_log(f);
	conlog_put(f->c, "anew", 4);
	assert_int_equal(log_size(f), 4);
	assert_int_equal(past_size(f), BOUNDLOG_PIECE);
	/* emptied by somebody else meanwhile */
	assert_int_equal(truncate(f->path, 0), 0);
	conlog_put(f->c, "x", 1);
	assert_int_equal(log_size(f), 1);
}

static void without_a_log(void **state)
{
	struct fixture *f = *state;
	struct err err;
	char buf[8];

	conlog_free(f->c);
	struct boundlog none;
	boundlog_init(&none, -1, -1, BOUNDLOG_PIECE);
	f->c = conlog_new(f->loop, none, on_input, f);
	conlog_put(f->c, "text", 4);
	_cleanup_close_ int fd = conlog_attach(f->c, false, &err);
	assert_int_equal(drain(fd, buf, sizeof(buf)), 4);
	conlog_free(NULL);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	static const struct CMUnitTest tests[] = {
		T(log_and_late_client),       T(ring_keeps_the_last), T(one_client),    T(input),
		T(client_that_does_not_read), T(log_is_bounded),      T(without_a_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
