/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Order sockets against clients that mean no good: what each may cost is bounded, and the others are served on. */
#include "config.h"
#include "tests/unit/testutil.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include "common/ctlsock.h"
#include "common/util.h"

#define IN_MAX      1000u
#define OUT_MAX     (1u << 20)
#define CLIENTS_MAX 3u

struct test_client {
	struct ctlsock_client c;
	int calls;
};

static struct loop *loop;
static struct ctlsock *sock;
static int gone;

/* {"hold": true} keeps the client busy; {"bytes": n} is answered with as many. */
static void on_order(void *arg, struct ctlsock_client *c, json_t *o, const char *wrong)
{
	int bytes = (int)json_integer_value(json_object_get(o, "bytes"));
	_cleanup_free_ char *text = xasprintf("%*s", bytes, "");

	assert_ptr_equal(arg, &gone);
	((struct test_client *)c)->calls++;
	c->busy = json_is_true(json_object_get(o, "hold"));
	ctlsock_reply(c, json_pack("{s:s, s:i}", "is", o ? text : wrong, "call", ((struct test_client *)c)->calls));
	json_decref(o);
}

static void on_gone(void *arg, struct ctlsock_client *c)
{
	assert_ptr_equal(arg, &gone);
	assert_true(c->fd >= 0);
	gone++;
}

static const struct ctlsock_type type = {
	.name = "test",
	.client_bytes = sizeof(struct test_client),
	.clients_max = CLIENTS_MAX,
	.backlog = 16,
	.read_bytes = 100,
	.in_bytes_max = IN_MAX,
	.out_bytes_max = OUT_MAX,
	.order = on_order,
	.gone = on_gone,
};

static int set_up(void **state)
{
	*state = test_dir_new();
	setenv("HOSPES_RUNDIR", *state, 1);
	gone = 0;
	loop = loop_new();
	sock = ctlsock_new(loop, &type, &gone, NULL);
	return loop && sock ? 0 : -1;
}

static int tear_down(void **state)
{
	ctlsock_free(sock);
	loop_free(loop);
	test_dir_remove(*state);
	return 0;
}

static void run(void)
{
	for (int i = 0; i < 100; i++)
		(void)loop_run_once(loop, 0);
}

static int join(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s/test.sock", path_run());
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	run();
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
	run();
}

/* What came, up to 4 KiB; "": nothing; NULL: the connection is closed. */
static const char *heard(int fd)
{
	static char text[4096];
	ssize_t n = recv(fd, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return n > 0 || (n < 0 && errno == EAGAIN) ? text : NULL;
}

static void test_orders(void **state)
{
	int fd = join();

	(void)state;
	say(fd, "{}\n[]\n{\"a\":1,\"a\":2}\n{");
	assert_string_equal(heard(fd), "{\"is\":\"\",\"call\":1}\n{\"is\":\"not a JSON object\",\"call\":2}\n"
	                               "{\"is\":\"duplicate object key near '\\\"a\\\"'\",\"call\":3}\n");
	say(fd, "}\n");
	assert_string_equal(heard(fd), "{\"is\":\"\",\"call\":4}\n");
	say(fd, "{\"hold\":true}\n{}\n");
	assert_string_equal(heard(fd), "{\"is\":\"\",\"call\":5}\n");
	ctlsock_clients(sock)->busy = false;
	ctlsock_go_on(ctlsock_clients(sock));
	assert_string_equal(heard(fd), "{\"is\":\"\",\"call\":6}\n");
	close(fd);
	run();
	assert_int_equal(gone, 1);
	assert_null(ctlsock_clients(sock));
}

static void test_long_lines(void **state)
{
	char line[IN_MAX + 2] = "";
	int fd = join(), busy = join();

	(void)state;
	memset(line, ' ', IN_MAX); /* as long as it may be */
	memcpy(line, "{}", 2);
	line[IN_MAX - 1] = '\n';
	say(fd, line);
	assert_string_equal(heard(fd), "{\"is\":\"\",\"call\":1}\n");
	line[IN_MAX - 1] = ' ';
	say(fd, line);
	assert_string_equal(heard(fd), "");
	say(fd, " ");
	assert_null(heard(fd));
	assert_int_equal(gone, 1);
	/* the same for what waits */
	say(busy, "{\"hold\":true}\n");
	assert_string_equal(heard(busy), "{\"is\":\"\",\"call\":1}\n");
	line[IN_MAX - 1] = '\n';
	say(busy, line);
	assert_string_equal(heard(busy), "");
	say(busy, "{");
	assert_null(heard(busy));
	assert_int_equal(gone, 2);
	close(fd);
	close(busy);
}

static void test_half_a_line(void **state)
{
	int fd = join();

	(void)state;
	say(fd, "{\"bytes\":");
	close(fd);
	run();
	assert_int_equal(gone, 1);
}

/* It takes nothing: gone as soon as more than OUT_MAX would have to be kept; another one is served on. */
static void test_never_reads(void **state)
{
	int fd = join(), other = join();
	size_t kept = 0;

	(void)state;
	for (int i = 0; i < 100 && !gone; i++) {
		kept = ctlsock_clients(sock)->next->out.len;
		say(fd, "{\"bytes\":65000}\n");
	}
	assert_int_equal(gone, 1);
	assert_in_range(kept, OUT_MAX - 65100, OUT_MAX);
	say(other, "{}\n");
	assert_string_equal(heard(other), "{\"is\":\"\",\"call\":1}\n");
	close(fd);
	close(other);
}

/* It takes late: all of it comes. */
static void test_reads_late(void **state)
{
	int fd = join();
	size_t len = 0;

	(void)state;
	for (int i = 0; i < 10; i++)
		say(fd, "{\"bytes\":65000}\n");
	assert_true(ctlsock_clients(sock)->out.len > 0);
	for (const char *t; (t = heard(fd)) && *t; run())
		len += strlen(t);
	assert_int_equal(len,
	                 9 * strlen("{\"is\":\"\",\"call\":1}\n") + strlen("{\"is\":\"\",\"call\":10}\n") + 650000);
	assert_int_equal(ctlsock_clients(sock)->out.len, 0);
	close(fd);
}

static void test_too_many(void **state)
{
	int fd[CLIENTS_MAX + 1];

	(void)state;
	for (unsigned i = 0; i <= CLIENTS_MAX; i++)
		fd[i] = join();
	assert_null(heard(fd[CLIENTS_MAX]));
	assert_string_equal(heard(fd[0]), "");
	close(fd[CLIENTS_MAX]);
	close(fd[0]);
	run();
	fd[0] = join();
	say(fd[0], "{}\n");
	assert_string_equal(heard(fd[0]), "{\"is\":\"\",\"call\":1}\n");
	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		close(fd[i]);
}

static void test_one_daemon(void **state)
{
	_cleanup_free_ char *path = xasprintf("%s/test.sock", path_run());
	struct err err = { 0 };
	struct stat st;

	(void)state;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_null(ctlsock_new(loop, &type, &gone, &err));
	assert_int_equal(err.code, EADDRINUSE);
	assert_non_null(strstr(err.text, "another test serves "));
	assert_int_equal(stat(path, &st), 0); /* the first one's */
	ctlsock_free(sock);
	sock = NULL;
	assert_int_equal(stat(path, &st), -1);
	/* what a killed one left is replaced */
	assert_int_equal(file_write_atomic(path, "", 0, 0644), 0);
	sock = ctlsock_new(loop, &type, &gone, &err);
	assert_non_null(sock);
	close(join());
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = { T(test_orders),      T(test_long_lines), T(test_half_a_line),
		                            T(test_never_reads), T(test_reads_late), T(test_too_many),
		                            T(test_one_daemon) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
