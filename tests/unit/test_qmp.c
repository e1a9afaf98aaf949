/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of hypervisor/qemu/qmp.c against a monitor that the test plays. */
#include "config.h"
#include "tests/unit/testutil.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include "common/loop.h"
#include "common/util.h"
#include "hypervisor/qemu/qmp.h"

#define CALL_NS (5 * NS_PER_S)

struct fix {
	struct qmp *q;
	int far;
	/* a monitor that answers one command */
	pthread_t thread;
	const char *answer; /* ID: the command's */
	char got[512];
	int got_fd;
};

static void setup(struct fix *x)
{
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	*x = (struct fix){ .q = qmp_new(sv[0]), .far = sv[1], .got_fd = -1 };
	assert_non_null(x->q);
}

static void done(struct fix *x)
{
	qmp_free(x->q);
	close(x->far);
}

static void say(struct fix *x, const char *text)
{
	assert_int_equal(write(x->far, text, strlen(text)), (ssize_t)strlen(text));
}

static void *monitor(void *arg)
{
	struct fix *x = arg;
	size_t n = 1;
	ssize_t len = sock_recv_fds(x->far, x->got, sizeof(x->got) - 1, &x->got_fd, &n);
	char out[512];
	const char *at = len > 0 ? strstr(x->got, "\"id\":") : NULL, *here = strstr(x->answer, "ID");

	snprintf(out, sizeof(out), "%.*s%lld%s", (int)(here - x->answer), x->answer, at ? strtoll(at + 5, NULL, 10) : 0,
	         here + 2);
	(void)!write(x->far, out, strlen(out));
	return NULL;
}

static int call(struct fix *x, const char *answer, json_t *args, int fd, struct err *err)
{
	x->answer = answer;
	memset(x->got, 0, sizeof(x->got));
	assert_int_equal(pthread_create(&x->thread, NULL, monitor, x), 0);
	int r = qmp_call(x->q, "do-it", args, fd, CALL_NS, err);
	pthread_join(x->thread, NULL);
	return r;
}

static void test_greeting_in_pieces(void **state)
{
	struct fix x;

	(void)state;
	setup(&x);
	assert_int_equal(qmp_read(x.q, NULL), 0);
	say(&x, "{\"QMP\": {\"ver");
	assert_int_equal(qmp_read(x.q, NULL), 0);
	assert_false(qmp_greeted(x.q));
	say(&x, "sion\": {}}}\r\n");
	assert_int_equal(qmp_read(x.q, NULL), 0);
	assert_true(qmp_greeted(x.q));
	done(&x);
}

static void test_call(void **state)
{
	struct err err = { 0 };
	struct fix x;

	(void)state;
	setup(&x);
	assert_int_equal(call(&x, "{\"return\": {}, \"id\": ID}\r\n", json_pack("{s:i}", "a", 7), -1, &err), 0);
	assert_non_null(strstr(x.got, "\"execute\":\"do-it\""));
	assert_non_null(strstr(x.got, "\"arguments\":{\"a\":7}"));
	assert_int_equal(x.got_fd, -1);
	/* refused: its own words */
	assert_int_equal(call(&x,
	                      "{\"error\": {\"class\": \"GenericError\", \"desc\": \"no such luck\"}, \"id\": ID}\r\n",
	                      NULL, -1, &err),
	                 -EREMOTEIO);
	assert_non_null(strstr(err.text, "do-it"));
	assert_non_null(strstr(err.text, "no such luck"));
	assert_null(strstr(x.got, "arguments"));
	done(&x);
}

static void test_descriptor(void **state)
{
	struct err err = { 0 };
	struct stat a, b;
	struct fix x;
	int fd = memfd_create("x", MFD_CLOEXEC);

	(void)state;
	setup(&x);
	assert_int_equal(call(&x, "{\"return\": {}, \"id\": ID}\r\n", NULL, fd, &err), 0);
	assert_true(x.got_fd >= 0);
	assert_int_equal(fstat(fd, &a) | fstat(x.got_fd, &b), 0);
	assert_int_equal(a.st_ino, b.st_ino);
	close(x.got_fd);
	close(fd);
	done(&x);
}

/* What happened while a call was waited for is not lost, and keeps its order. */
static void test_events(void **state)
{
	struct err err = { 0 };
	struct fix x;

	(void)state;
	setup(&x);
	assert_null(qmp_event(x.q));
	assert_int_equal(
		call(&x,
	             "{\"event\": \"STOP\"}\r\n{\"event\": \"SHUTDOWN\", \"data\": {\"reason\": \"guest-reset\"}}\r\n"
	             "{\"return\": {}, \"id\": ID}\r\n",
	             NULL, -1, &err),
		0);
	json_t *e = qmp_event(x.q);
	assert_string_equal(json_string_value(json_object_get(e, "event")), "STOP");
	json_decref(e);
	e = qmp_event(x.q);
	assert_string_equal(json_string_value(json_object_get(json_object_get(e, "data"), "reason")), "guest-reset");
	json_decref(e);
	assert_null(qmp_event(x.q));
	done(&x);
}

/* A late answer is not taken for that to the next command. */
static void test_late(void **state)
{
	struct err err = { 0 };
	struct fix x;

	(void)state;
	setup(&x);
	assert_int_equal(qmp_call(x.q, "slow", NULL, -1, 20 * NS_PER_MS, &err), -ETIMEDOUT);
	say(&x, "{\"error\": {\"desc\": \"late\"}, \"id\": 1}\r\n");
	char drop[200];
	assert_true(read(x.far, drop, sizeof(drop)) > 0);
	assert_int_equal(call(&x, "{\"return\": {}, \"id\": ID}\r\n", NULL, -1, &err), 0);
	done(&x);
}

/* QEMU has 64 bits without a sign, for what a guest does not say in its statistics. */
static void test_large_numbers(void **state)
{
	struct err err = { 0 };
	json_t *ret = NULL;
	struct fix x;

	(void)state;
	setup(&x);
	x.answer = "{\"return\": {\"unknown\": 18446744073709551615, \"free\": 4096, \"less\": -1}, \"id\": ID}\r\n";
	assert_int_equal(pthread_create(&x.thread, NULL, monitor, &x), 0);
	assert_int_equal(qmp_ask(x.q, "qom-get", NULL, CALL_NS, &ret, &err), 0);
	pthread_join(x.thread, NULL);
	assert_true(qmp_uint(json_object_get(ret, "unknown")) == UINT64_MAX);
	assert_int_equal(qmp_uint(json_object_get(ret, "free")), 4096);
	assert_true(qmp_uint(json_object_get(ret, "less")) == UINT64_MAX);
	assert_true(qmp_uint(json_object_get(ret, "nothing")) == UINT64_MAX);
	json_decref(ret);
	/* an answer that nobody asked for stays one, and what no number can hold is none */
	say(&x, "{\"return\": 18446744073709551615, \"id\": 99}\r\n");
	assert_int_equal(qmp_read(x.q, &err), -EPROTO);
	done(&x);
	setup(&x);
	say(&x, "{\"return\": 1e999, \"id\": 1}\r\n");
	assert_int_equal(qmp_read(x.q, &err), -EPROTO);
	done(&x);
}

static void test_nonsense(void **state)
{
	static const char *const lines[] = {
		"hello\r\n",          "{\"event\": 7}\r\n", "[]\r\n", "{}\r\n", "{\"return\": {}, \"id\": 99}\r\n",
		"{\"QMP\": {}}}\r\n", "\x01\x02\x03\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		struct err err = { 0 };
		struct fix x;
		setup(&x);
		say(&x, lines[i]);
		assert_int_equal(qmp_read(x.q, &err), -EPROTO);
		assert_non_null(strstr(err.text, "QEMU's monitor"));
		done(&x);
	}
}

static void *flood(void *arg)
{
	struct fix *x = arg;
	_cleanup_free_ char *much = malloc(QMP_LINE_MAX + (1u << 17));

	memset(much, 'a', QMP_LINE_MAX + (1u << 17));
	for (size_t at = 0; at < QMP_LINE_MAX + (1u << 17);) {
		ssize_t n = send(x->far, much + at, QMP_LINE_MAX + (1u << 17) - at, MSG_NOSIGNAL);
		if (n <= 0)
			break;
		at += (size_t)n;
	}
	return NULL;
}

static void test_floods(void **state)
{
	struct err err = { 0 };
	struct fix x;
	int r = 0;

	(void)state;
	setup(&x);
	assert_int_equal(pthread_create(&x.thread, NULL, flood, &x), 0);
	while (!r)
		r = qmp_wait(x.q, now_ns() + CALL_NS, &err);
	assert_int_equal(r, -EPROTO);
	shutdown(x.far, SHUT_RDWR);
	pthread_join(x.thread, NULL);
	done(&x);
	setup(&x);
	for (unsigned i = 0; i <= QMP_EVENTS_MAX; i++) {
		say(&x, "{\"event\": \"STOP\"}\r\n");
		r = qmp_read(x.q, &err);
		assert_int_equal(r, i < QMP_EVENTS_MAX ? 0 : -EPROTO);
	}
	done(&x);
}

static void test_end(void **state)
{
	struct err err = { 0 };
	struct fix x;

	(void)state;
	setup(&x);
	say(&x, "{\"event\": \"SHUTDOWN\"}\r\n");
	shutdown(x.far, SHUT_RDWR);
	assert_int_equal(qmp_read(x.q, &err), -EPIPE);
	/* its last words count */
	json_t *e = qmp_event(x.q);
	assert_non_null(e);
	json_decref(e);
	assert_true(qmp_call(x.q, "stop", NULL, -1, CALL_NS, &err) < 0);
	done(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_greeting_in_pieces),
		cmocka_unit_test(test_call),
		cmocka_unit_test(test_descriptor),
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_late),
		cmocka_unit_test(test_large_numbers),
		cmocka_unit_test(test_nonsense),
		cmocka_unit_test(test_floods),
		cmocka_unit_test(test_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
