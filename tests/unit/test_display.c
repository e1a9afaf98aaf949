/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hypervisor/display.c and relay.c: where a screen is seen, who gets in, and clients that do not read. The server is a stand-in. */
#include "config.h"
#include "tests/unit/testutil.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "common/util.h"
#include "hypervisor/api/pathconf.h"
#include "hypervisor/display.h"

static struct loop *loop;
static struct dom_config cfg;
static struct display *s;
static char *dir;
static int server[64], refuse; /* the ends that the stand-in got */
static size_t n_servers;

static int on_client(void *arg, int fd, struct err *err)
{
	(void)arg;
	if (refuse) {
		close(fd);
		return err_set(err, -refuse, "not now");
	}
	server[n_servers++] = fd;
	return 0;
}

static int set_up(void **state)
{
	(void)state;
	cfg = (struct dom_config){ .hvm.display = { .on = true } };
	s = NULL;
	n_servers = 0;
	refuse = 0;
	dir = test_dir_new();
	loop = loop_new();
	return loop ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	display_free(s);
	for (size_t i = 0; i < n_servers; i++)
		if (server[i] >= 0)
			close(server[i]);
	loop_free(loop);
	test_dir_remove(dir);
	return 0;
}

static void turn(unsigned ms)
{
	for (uint64_t end = now_ns() + ms * NS_PER_MS; now_ns() < end;)
		(void)!loop_run_once(loop, 1);
}

/* Until the stand-in has @n. */
static bool served(size_t n)
{
	for (int i = 0; i < 1000 && n_servers < n; i++)
		(void)!loop_run_once(loop, 10);
	return n_servers == n;
}

static void serve(void)
{
	struct err err = { 0 };

	if (display_listen(&cfg, dir, &s, &err) || display_start(s, loop, on_client, NULL, &err))
		fail_msg("%s", err.text);
	assert_non_null(s);
}

static int connect_unix(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		close(fd);
		return -errno;
	}
	return fd;
}

static int connect_port(unsigned port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		                 .sin_port = htons((uint16_t)port),
		                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		close(fd);
		return -errno;
	}
	return fd;
}

static void ping_pong(int client, int srv)
{
	char c = 0;

	assert_int_equal(write(srv, "a", 1), 1);
	turn(20);
	assert_int_equal(recv(client, &c, 1, MSG_DONTWAIT), 1);
	assert_int_equal(c, 'a');
	assert_int_equal(write(client, "b", 1), 1);
	turn(20);
	assert_int_equal(recv(srv, &c, 1, MSG_DONTWAIT), 1);
	assert_int_equal(c, 'b');
}

static void test_none(void **state)
{
	struct hv_display w;
	struct err err;

	(void)state;
	cfg.hvm.display.on = false;
	assert_int_equal(display_listen(&cfg, dir, &s, &err), 0);
	assert_null(s);
	assert_int_equal(display_start(s, loop, on_client, NULL, &err), 0);
	display_where(s, &w);
	assert_int_equal(w.kind, HV_DISPLAY_NONE);
}

static void test_socket(void **state)
{
	_cleanup_free_ char *path = xasprintf("%s/vnc.sock", dir);
	struct hv_display w;
	struct stat st;

	(void)state;
	serve();
	display_where(s, &w);
	assert_int_equal(w.kind, HV_DISPLAY_SOCKET);
	assert_string_equal(w.place, path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	int c = connect_unix(path);
	assert_true(c >= 0 && served(1));
	ping_pong(c, server[0]);
	display_where(s, &w);
	assert_int_equal(w.clients, 1);
	/* the end of the one is the other's */
	close(server[0]);
	server[0] = -1;
	turn(50);
	assert_int_equal(recv(c, &(char){ 0 }, 1, MSG_DONTWAIT), 0);
	close(c);
	display_where(s, &w);
	assert_int_equal(w.clients, 0);
	display_free(s);
	s = NULL;
	assert_int_equal(stat(path, &st), -1);
}

/* What is in the way: a socket that nobody serves goes, one that somebody serves and a file stay. */
static void test_in_the_way(void **state)
{
	_cleanup_free_ char *path = xasprintf("%s/vnc.sock", dir);
	struct display *other = NULL;
	struct err err;
	struct stat st;

	(void)state;
	serve();
	assert_int_equal(display_listen(&cfg, dir, &other, &err), -EADDRINUSE);
	assert_non_null(strstr(err.text, path));
	assert_null(other);
	int c = connect_unix(path); /* it is still the first one's */
	assert_true(c >= 0 && served(1));
	close(c);
	display_free(s);
	s = NULL;
	close(sock_listen(path, SOCK_STREAM, 1, "x", &err)); /* nobody serves it any more */
	assert_int_equal(stat(path, &st), 0);
	serve();
	display_free(s);
	s = NULL;
	assert_int_equal(close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600)), 0);
	assert_int_equal(display_listen(&cfg, dir, &s, &err), -EEXIST);
	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISREG(st.st_mode));
}

/* A path of the document's: only where sockets may be. */
static void test_path(void **state)
{
	struct path_rules rules = { 0 };
	struct err err;

	(void)state;
	cfg.hvm.display.socket = xasprintf("%s/screen", dir);
	cfg.paths = &rules;
	assert_int_equal(display_listen(&cfg, dir, &s, &err), -EACCES);
	assert_int_equal(path_check_config(&rules, &cfg, &err), -EACCES);
	assert_non_null(strstr(err.text, "\"sockets\""));
	assert_int_equal(path_rules_add(&rules, PATH_SOCKET, strdup(dir)), 0);
	assert_int_equal(path_check(&rules, PATH_SOCKET, cfg.hvm.display.socket, "graphics", &err), 0);
	serve();
	int c = connect_unix(cfg.hvm.display.socket);
	assert_true(c >= 0 && served(1));
	close(c);
	display_free(s);
	s = NULL;
	path_rules_done(&rules);
	free(cfg.hvm.display.socket);
}

static void test_ports(void **state)
{
	struct display *other = NULL;
	struct hv_display w, v;
	struct err err;

	(void)state;
	cfg.hvm.display.tcp = true;
	serve();
	display_where(s, &w);
	assert_int_equal(w.kind, HV_DISPLAY_PORT);
	assert_string_equal(w.place, "127.0.0.1");
	assert_true(w.port >= DOM_VNC_PORT_FIRST);
	/* the next domain takes the next free one, and one that wants this very port is told */
	assert_int_equal(display_listen(&cfg, dir, &other, &err), 0);
	display_where(other, &v);
	assert_true(v.port > w.port);
	display_free(other);
	other = NULL;
	cfg.hvm.display.port = w.port;
	assert_int_equal(display_listen(&cfg, dir, &other, &err), -EADDRINUSE);
	assert_null(other);
	int c = connect_port(w.port);
	assert_true(c >= 0 && served(1));
	ping_pong(c, server[0]);
	close(c);
	turn(50);
	assert_int_equal(recv(server[0], &(char){ 0 }, 1, MSG_DONTWAIT), 0);
	display_free(s);
	s = NULL;
	/* its port is free at once, though connections still end */
	serve();
}

static void test_refused(void **state)
{
	struct hv_display w;

	(void)state;
	serve();
	refuse = -ESRCH;
	display_where(s, &w);
	int c = connect_unix(w.place);
	turn(50);
	assert_int_equal(recv(c, &(char){ 0 }, 1, MSG_DONTWAIT), 0);
	close(c);
	refuse = 0;
	turn(120);
	c = connect_unix(w.place);
	assert_true(c >= 0 && served(1));
	close(c);
}

/* Those who show that they know the password stay; of the others the oldest gives way. */
static void test_bound(void **state)
{
	char much[4096] = { 0 };
	struct hv_display w;
	int c[DISPLAY_CLIENTS_MAX + 1];

	(void)state;
	serve();
	display_where(s, &w);
	for (unsigned i = 0; i < DISPLAY_CLIENTS_MAX; i++) {
		c[i] = connect_unix(w.place);
		assert_true(c[i] >= 0 && served(i + 1));
		if (i != 3)
			assert_int_equal(write(server[i], much, sizeof(much)), sizeof(much));
	}
	turn(50);
	int more = connect_unix(w.place);
	assert_true(more >= 0 && served(DISPLAY_CLIENTS_MAX + 1));
	turn(20);
	assert_int_equal(recv(c[3], &(char){ 0 }, 1, MSG_DONTWAIT), 0);
	assert_int_equal(write(server[DISPLAY_CLIENTS_MAX], much, sizeof(much)), sizeof(much));
	turn(20);
	/* now none gives way, and the next one is turned away */
	turn(120);
	c[DISPLAY_CLIENTS_MAX] = connect_unix(w.place);
	turn(300);
	assert_int_equal(n_servers, DISPLAY_CLIENTS_MAX + 1);
	assert_int_equal(recv(c[DISPLAY_CLIENTS_MAX], &(char){ 0 }, 1, MSG_DONTWAIT), 0);
	display_where(s, &w);
	assert_int_equal(w.clients, DISPLAY_CLIENTS_MAX);
	for (unsigned i = 0; i <= DISPLAY_CLIENTS_MAX; i++)
		close(c[i]);
	close(more);
}

/* A client that never reads costs two buffers, and holds up nobody. */
static void test_never_reads(void **state)
{
	static char much[1 << 20];
	struct hv_display w;
	size_t sent = 0;

	(void)state;
	serve();
	display_where(s, &w);
	int lazy = connect_unix(w.place);
	assert_true(lazy >= 0 && served(1));
	int quick = connect_unix(w.place);
	assert_true(quick >= 0 && served(2));
	for (int i = 0; i < 200; i++) {
		ssize_t n = send(server[0], much, sizeof(much), MSG_DONTWAIT);
		sent += n > 0 ? (size_t)n : 0;
		turn(1);
	}
	assert_true(sent > 0 && sent < 8u << 20);
	ping_pong(quick, server[1]);
	/* and it costs no time: nothing is due */
	uint64_t t0 = now_ns(), turns = 0;
	while (now_ns() - t0 < 200 * NS_PER_MS) {
		(void)!loop_run_once(loop, 50);
		turns++;
	}
	assert_true(turns < 100);
	/* all of it comes in order once it is read */
	size_t got = 0;
	for (int i = 0; i < 20000 && got < sent; i++) {
		ssize_t n = recv(lazy, much, sizeof(much), MSG_DONTWAIT);
		got += n > 0 ? (size_t)n : 0;
		(void)!loop_run_once(loop, 1);
	}
	assert_int_equal(got, sent);
	close(lazy);
	close(quick);
}

/* Octets are the same on both sides, however they are cut. */
static void test_whole(void **state)
{
	static uint8_t out[300000], in[300000];
	struct hv_display w;
	size_t sent = 0, got = 0;
	uint32_t x = 1;

	(void)state;
	serve();
	display_where(s, &w);
	int c = connect_unix(w.place);
	assert_true(c >= 0 && served(1));
	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (uint8_t)((x = x * 1103515245 + 12345) >> 16);
	for (int i = 0; i < 100000 && got < sizeof(in); i++) {
		size_t some = 1 + (x = x * 1103515245 + 12345) % 70000;
		ssize_t n = sent < sizeof(out)
		                    ? send(c, out + sent, some < sizeof(out) - sent ? some : sizeof(out) - sent,
		                           MSG_DONTWAIT)
		                    : 0;
		sent += n > 0 ? (size_t)n : 0;
		(void)!loop_run_once(loop, 1);
		n = recv(server[0], in + got, sizeof(in) - got < 5000 ? sizeof(in) - got : 5000, MSG_DONTWAIT);
		got += n > 0 ? (size_t)n : 0;
	}
	assert_int_equal(got, sizeof(in));
	assert_memory_equal(in, out, sizeof(in));
	close(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_none, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_socket, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_in_the_way, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_path, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_ports, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bound, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_never_reads, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_whole, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
