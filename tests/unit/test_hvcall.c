/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of hypervisor/api/hvcall.c and hvserver.c against each other, and of the server against hostile clients. */
#include "config.h"
#include "tests/unit/testutil.h"

#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include "common/util.h"
#include "hypervisor/api/hvcall.h"
#include "hypervisor/hvserver.h"

/* A server on a thread of its own, whose dispatcher answers a few ops in ways that the tests need. */
struct world {
	char *dir, *path;
	struct loop *loop;
	struct hvserver *server;
	pthread_t thread;
	struct hvconn *parked; /* PAUSE is answered later, by the UNPAUSE of another connection */
	uint64_t parked_cookie;
	atomic_int closed, requests;
	atomic_bool go, held; /* hold() */
};

static void on_request(void *arg, struct hvconn *conn, uint16_t op, uint64_t cookie, const void *payload, size_t len,
                       int *fds, size_t n_fds)
{
	struct world *w = arg;
	struct err err = { 0 };

	w->requests++;
	switch (op) {
	case HV_OP_HELLO: {
		struct hv_hello h = { .version = HV_VERSION, .engine = "pv" };

		hvconn_reply(conn, op, cookie, &h, sizeof(h), NULL, 0);
		break;
	}
	case HV_OP_TAKE: { /* echo, whatever was left out is zero */
		assert_true(len >= sizeof(struct hv_owner));
		hvconn_reply(conn, op, cookie, payload, len, NULL, 0);
		break;
	}
	case HV_OP_SET_STATE: { /* give the descriptor back, twice */
		int back[2] = { fds[0], fds[0] };

		assert_int_equal(n_fds, 1);
		hvconn_reply(conn, op, cookie, NULL, 0, back, 2);
		break;
	}
	case HV_OP_DUMPXML: {
		static char big[HV_PAYLOAD_MAX + 1];

		memset(big, 'x', sizeof(big));
		hvconn_reply(conn, op, cookie, big, HV_PAYLOAD_MAX, NULL, 0);
		break;
	}
	case HV_OP_PAUSE:
		w->parked = conn;
		w->parked_cookie = cookie;
		break;
	case HV_OP_UNPAUSE:
		if (w->parked)
			hvconn_reply(w->parked, HV_OP_PAUSE, w->parked_cookie, NULL, 0, NULL, 0);
		w->parked = NULL;
		hvconn_reply(conn, op, cookie, NULL, 0, NULL, 0);
		break;
	case HV_OP_SUBSCRIBE:
		hvconn_subscribe(conn, true);
		hvconn_reply(conn, op, cookie, NULL, 0, NULL, 0);
		break;
	case HV_OP_REBOOT: { /* an event before the reply */
		struct hv_event ev = { .kind = HV_EV_REBOOT, .text = "reboot" };

		hvserver_event(w->server, &ev);
		hvconn_reply(conn, op, cookie, NULL, 0, NULL, 0);
		break;
	}
	case HV_OP_SHUTDOWN: { /* many events: who does not read them loses its connection */
		struct hv_event ev = { .kind = HV_EV_STATE };

		for (int i = 0; i < 5000; i++)
			hvserver_event(w->server, &ev);
		hvconn_reply(conn, op, cookie, NULL, 0, NULL, 0);
		break;
	}
	default:
		err_set(&err, EBUSY, "the domain is busy with %u", op);
		hvconn_fail(conn, op, cookie, &err);
	}
}

static void on_closed(void *arg, struct hvconn *conn)
{
	struct world *w = arg;

	if (w->parked == conn)
		w->parked = NULL;
	w->closed++;
}

static const struct hvserver_ops ops = { .request = on_request, .closed = on_closed };

static void *serve(void *arg)
{
	struct world *w = arg;

	loop_run(w->loop);
	return NULL;
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct err err = { 0 };
	int fd;

	w->dir = test_dir_new();
	setenv("HOSPES_RUNDIR", w->dir, 1);
	w->path = xasprintf("%s/dom/guest01/hv.sock", w->dir);
	w->loop = loop_new();
	fd = hvserver_listen(w->path, &err);
	if (fd < 0)
		fail_msg("%s", err.text);
	w->server = hvserver_new(w->loop, fd, &ops, w, &err);
	assert_non_null(w->server);
	pthread_create(&w->thread, NULL, serve, w);
	*state = w;
	return 0;
}

static void quit_loop(void *arg)
{
	loop_quit(arg, 0);
}

static int teardown(void **state)
{
	struct world *w = *state;

	assert_int_equal(loop_post(w->loop, quit_loop, w->loop), 0);
	pthread_join(w->thread, NULL);
	hvserver_free(w->server);
	loop_free(w->loop);
	test_dir_remove(w->dir);
	free(w->path);
	free(w);
	return 0;
}

static void wait_closed(struct world *w, int n)
{
	for (int i = 0; i < 2000 && w->closed < n; i++)
		usleep(1000);
	assert_int_equal(w->closed, n);
}

static void test_calls(void **state)
{
	struct hv_owner owner = { .generation = 42, .owner = "host-a" }, back;
	struct world *w = *state;
	struct hv_hello hello;
	struct err err = { 0 };
	struct hvcall c;
	struct stat st;
	uint8_t octet = 0xff;

	assert_int_equal(stat(w->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(hvcall_open(&c, "guest01", &err), 0);
	assert_int_equal(hvcall_simple(&c, HV_OP_HELLO, NULL, 0, &hello, sizeof(hello), &err), 0);
	assert_string_equal(hello.engine, "pv");
	assert_int_equal(hvcall_simple(&c, HV_OP_TAKE, &owner, sizeof(owner), &back, sizeof(back), &err), 0);
	assert_memory_equal(&owner, &back, sizeof(owner));
	/* short requests are padded, long replies cut, short replies padded */
	assert_int_equal(hvcall_simple(&c, HV_OP_TAKE, &owner, 8, &back, sizeof(back), &err), 0);
	assert_int_equal(back.generation, 42);
	assert_string_equal(back.owner, "");
	assert_int_equal(hvcall_simple(&c, HV_OP_TAKE, &owner, sizeof(owner), &octet, 1, &err), 0);
	assert_int_equal(octet, 42);
	memset(&back, 0xff, sizeof(back));
	assert_int_equal(hvcall_simple(&c, HV_OP_UNPAUSE, NULL, 0, &back, sizeof(back), &err), 0);
	assert_int_equal(back.generation, 0);
	/* an error's text arrives */
	assert_int_equal(hvcall_simple(&c, HV_OP_SUSPEND, NULL, 0, NULL, 0, &err), -EBUSY);
	assert_string_equal(err.text, "the domain is busy with 6");
	/* an unknown op does not end the connection */
	assert_int_equal(hvcall_simple(&c, 999, NULL, 0, NULL, 0, &err), -EOPNOTSUPP);
	assert_int_equal(hvcall_simple(&c, HV_OP_HELLO, NULL, 0, NULL, 0, &err), 0);
	assert_int_equal(w->closed, 0);
	hvcall_close(&c);
	wait_closed(w, 1);
}

static void test_descriptors_and_sizes(void **state)
{
	_cleanup_close_ int fd = memfd_create("x", MFD_CLOEXEC);
	struct hv_state_req req = { .size_bytes = 1 };
	_cleanup_free_ char *big = malloc(HV_PAYLOAD_MAX);
	struct err err = { 0 };
	struct stat a, b;
	struct hvcall c;
	size_t n = 2, len = 0;
	int back[2];

	(void)state;
	assert_int_equal(hvcall_open(&c, "guest01", &err), 0);
	assert_int_equal(hvcall(&c, HV_OP_SET_STATE, &req, sizeof(req), &fd, 1, NULL, 0, NULL, back, &n, &err), 0);
	assert_int_equal(n, 2);
	assert_int_equal(fstat(fd, &a), 0);
	assert_int_equal(fstat(back[1], &b), 0);
	assert_int_equal(a.st_ino, b.st_ino);
	close(back[0]);
	close(back[1]);
	n = 1; /* the surplus is closed */
	assert_int_equal(hvcall(&c, HV_OP_SET_STATE, &req, sizeof(req), &fd, 1, NULL, 0, NULL, back, &n, &err), 0);
	assert_int_equal(n, 1);
	close(back[0]);
	assert_int_equal(hvcall(&c, HV_OP_DUMPXML, NULL, 0, NULL, 0, big, HV_PAYLOAD_MAX, &len, NULL, NULL, &err), 0);
	assert_int_equal(len, HV_PAYLOAD_MAX);
	assert_int_equal(big[HV_PAYLOAD_MAX - 1], 'x');
	/* the biggest request there is */
	memset(big, 0, HV_PAYLOAD_MAX);
	assert_int_equal(hvcall_simple(&c, HV_OP_TAKE, big, HV_PAYLOAD_MAX, NULL, 0, &err), 0);
	assert_int_equal(hvcall_simple(&c, HV_OP_TAKE, big, HV_PAYLOAD_MAX + 1, NULL, 0, &err), -EINVAL);
	/* without its descriptor */
	assert_int_equal(hvcall_simple(&c, HV_OP_SET_STATE, &req, sizeof(req), NULL, 0, &err), -EPROTO);
	assert_int_equal(hvcall_simple(&c, HV_OP_HELLO, NULL, 0, NULL, 0, &err), -ECONNRESET);
	hvcall_close(&c);
}

static void test_open_errors(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *dead = xasprintf("%s/dead.sock", w->dir), *file = xasprintf("%s/file", w->dir);
	struct err err = { 0 };
	char longpath[200];
	struct hvcall c;
	int fd;

	assert_int_equal(hvcall_open(&c, "guest02", &err), -ENOENT);
	assert_int_equal(hvcall_open(&c, "../guest01", &err), -EINVAL);
	memset(longpath, 'x', sizeof(longpath) - 1);
	longpath[sizeof(longpath) - 1] = 0;
	assert_int_equal(hvcall_open_path(&c, longpath, &err), -ENAMETOOLONG);
	assert_int_equal(hvserver_listen(longpath, &err), -ENAMETOOLONG);
	/* a stale socket is replaced, a live one and other files are not */
	fd = hvserver_listen(dead, &err);
	assert_true(fd >= 0);
	assert_int_equal(hvserver_listen(dead, &err), -EADDRINUSE);
	close(fd);
	assert_int_equal(hvcall_open_path(&c, dead, &err), -ECONNREFUSED);
	fd = hvserver_listen(dead, &err);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(file_write_atomic(file, "x", 1, 0600), 0);
	assert_int_equal(hvserver_listen(file, &err), -EEXIST);
}

static void count_event(void *arg, const struct hv_event *ev)
{
	assert_string_equal(ev->text, "reboot");
	++*(int *)arg;
}

static void test_events_and_deferred_replies(void **state)
{
	struct hvcall a, b, raw;
	struct err err = { 0 };
	int events = 0;

	(void)state;
	assert_int_equal(hvcall_open(&a, "guest01", &err), 0);
	assert_int_equal(hvcall_open(&b, "guest01", &err), 0);
	assert_int_equal(hvcall_open(&raw, "guest01", &err), 0);
	a.on_event = count_event;
	a.arg = &events;
	assert_int_equal(hvcall_simple(&a, HV_OP_SUBSCRIBE, NULL, 0, NULL, 0, &err), 0);
	assert_int_equal(hvcall_simple(&a, HV_OP_REBOOT, NULL, 0, NULL, 0, &err), 0);
	assert_int_equal(hvcall_simple(&b, HV_OP_REBOOT, NULL, 0, NULL, 0, &err), 0);
	assert_int_equal(hvcall_simple(&a, HV_OP_HELLO, NULL, 0, NULL, 0, &err), 0);
	assert_int_equal(events, 2);
	/* PAUSE is not answered in time; its late answer does not confuse the next call */
	a.timeout_ms = 50;
	assert_int_equal(hvcall_simple(&a, HV_OP_PAUSE, NULL, 0, NULL, 0, &err), -ETIMEDOUT);
	a.timeout_ms = 30000;
	assert_int_equal(hvcall_simple(&b, HV_OP_UNPAUSE, NULL, 0, NULL, 0, &err), 0);
	assert_int_equal(hvcall_simple(&a, HV_OP_HELLO, NULL, 0, NULL, 0, &err), 0);
	/* subscribed and deaf: its connection ends, the others go on */
	assert_int_equal(hvcall_simple(&raw, HV_OP_SUBSCRIBE, NULL, 0, NULL, 0, &err), 0);
	hvcall_close(&a);
	assert_int_equal(hvcall_simple(&b, HV_OP_SHUTDOWN, NULL, 0, NULL, 0, &err), 0);
	raw.timeout_ms = 5000;
	assert_int_equal(hvcall_simple(&raw, HV_OP_HELLO, NULL, 0, NULL, 0, &err), -ECONNRESET);
	assert_int_equal(hvcall_simple(&b, HV_OP_HELLO, NULL, 0, NULL, 0, &err), 0);
	hvcall_close(&b);
	hvcall_close(&raw);
}

static volatile sig_atomic_t stop_flag;

static void on_alarm(int sig)
{
	(void)sig;
	stop_flag = 1;
}

static void test_stop_flag(void **state)
{
	struct sigaction sa = { .sa_handler = on_alarm };
	struct err err = { 0 };
	struct hvcall c;

	(void)state;
	assert_int_equal(hvcall_open(&c, "guest01", &err), 0);
	c.stop = &stop_flag;
	stop_flag = 0;
	sigaction(SIGALRM, &sa, NULL);
	ualarm(50000, 50000); /* again and again: it may reach the other thread */
	assert_int_equal(hvcall_simple(&c, HV_OP_PAUSE, NULL, 0, NULL, 0, &err), -EINTR);
	ualarm(0, 0);
	hvcall_close(&c);
}

static int raw_open(struct world *w)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	strcpy(addr.sun_path, w->path);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

/* The reply's status; 1: the server hung up. */
static int raw_status(int fd)
{
	uint8_t buf[2048];
	struct hv_msg h;
	ssize_t n;
	struct pollfd p = { .fd = fd, .events = POLLIN };

	assert_int_equal(poll(&p, 1, 5000), 1);
	n = recv(fd, buf, sizeof(buf), 0);
	if (n <= 0)
		return 1;
	assert_true((size_t)n >= sizeof(h));
	memcpy(&h, buf, sizeof(h));
	assert_int_equal(h.magic, HV_MAGIC);
	return h.status;
}

static void test_hostile_messages(void **state)
{
	static const struct {
		const char *what;
		struct hv_msg h;
		size_t len, n_fds;
		int status;
		bool hangup;
	} cases[] = {
		{ "one octet", { HV_MAGIC, 1, HV_OP_HELLO, 1, 0, 0 }, 1, 0, -EPROTO, true },
		{ "magic", { 0, 1, HV_OP_HELLO, 1, 0, 0 }, 24, 0, -EPROTO, true },
		{ "version", { HV_MAGIC, 99, HV_OP_HELLO, 1, 0, 0 }, 24, 0, -EPROTONOSUPPORT, true },
		{ "length", { HV_MAGIC, 1, HV_OP_HELLO, 1, 0, 5000 }, 24, 0, -EPROTO, true },
		{ "oversized", { HV_MAGIC, 1, HV_OP_HELLO, 1, 0, 65537 }, 24 + 65537, 0, -EMSGSIZE, true },
		{ "descriptors", { HV_MAGIC, 1, HV_OP_HELLO, 1, 0, 0 }, 24, 3, -EPROTO, true },
		{ "many descriptors", { HV_MAGIC, 1, HV_OP_HELLO, 1, 0, 0 }, 24, 16, -EPROTO, true },
		{ "unknown op", { HV_MAGIC, 1, 77, 1, 0, 0 }, 24, 0, -EOPNOTSUPP, false },
	};
	static uint8_t bytes[24 + 65537];
	struct world *w = *state;
	int fds[16];

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = STDERR_FILENO;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int fd = raw_open(w), status;

		memcpy(bytes, &cases[i].h, sizeof(cases[i].h));
		assert_int_equal(sock_send_fds(fd, bytes, cases[i].len, fds, cases[i].n_fds), 0);
		status = raw_status(fd);
		if (status != cases[i].status)
			fail_msg("%s: status %d", cases[i].what, status);
		if (cases[i].hangup)
			assert_int_equal(raw_status(fd), 1);
		close(fd);
		wait_closed(w, (int)i + 1);
	}
	assert_int_equal(w->requests, 0);
}

static size_t open_fds(void)
{
	size_t n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void test_floods(void **state)
{
	struct hv_msg h = { HV_MAGIC, 1, HV_OP_PAUSE, 1, 0, 0 };
	int fds[HVSERVER_CONNS_MAX + 8], sent = 0, refused = 0;
	size_t before = open_fds();
	struct world *w = *state;

	/* requests without end on a connection whose first one is not answered: they wait on the sender's side */
	fds[0] = raw_open(w);
	while (send(fds[0], &h, sizeof(h), MSG_DONTWAIT) == (ssize_t)sizeof(h))
		sent++;
	assert_true(sent > 1 && sent < 100000);
	usleep(20000);
	assert_int_equal(w->requests, 1);
	/* connections without end */
	for (size_t i = 1; i < ARRAY_SIZE(fds); i++)
		fds[i] = raw_open(w);
	for (size_t i = HVSERVER_CONNS_MAX; i < ARRAY_SIZE(fds); i++) {
		refused += raw_status(fds[i]) == -EBUSY;
		assert_int_equal(raw_status(fds[i]), 1);
	}
	assert_int_equal(refused, 8);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
	wait_closed(w, HVSERVER_CONNS_MAX);
	assert_int_equal(open_fds(), before);
}

static void test_vanishing_clients(void **state)
{
	struct hv_msg h = { HV_MAGIC, 1, HV_OP_PAUSE, 1, 0, 0 };
	struct world *w = *state;
	struct err err = { 0 };
	struct hvcall c;

	for (int i = 0; i < 50; i++) {
		int fd = raw_open(w);

		h.op = i % 2 ? HV_OP_PAUSE : HV_OP_DUMPXML;
		assert_int_equal(send(fd, &h, sizeof(h), 0), sizeof(h));
		close(fd); /* with a request in work, or a reply on its way */
	}
	wait_closed(w, 50);
	assert_int_equal(hvcall_open(&c, "guest01", &err), 0);
	assert_int_equal(hvcall_simple(&c, HV_OP_HELLO, NULL, 0, NULL, 0, &err), 0);
	hvcall_close(&c);
}

/* The server does nothing until go. */
static void hold(void *arg)
{
	struct world *w = arg;

	w->held = true;
	while (!w->go)
		usleep(1000);
}

static void test_the_dead_are_not_heard_any_more(void **state)
{
	struct hv_msg h = { HV_MAGIC, 1, HV_OP_HELLO, 1, 0, 0 };
	struct world *w = *state;
	int dead = raw_open(w), alive = raw_open(w);

	assert_int_equal(send(dead, &h, sizeof(h), 0), sizeof(h));
	assert_int_equal(raw_status(dead), 0);
	assert_int_equal(send(alive, &h, sizeof(h), 0), sizeof(h));
	assert_int_equal(raw_status(alive), 0);
	assert_int_equal(loop_post(w->loop, hold, w), 0);
	while (!w->held)
		usleep(1000);
	w->requests = 0;
	/* one asks, another one sends a word and is gone: the first is answered as things stand, and so it stays */
	assert_int_equal(send(alive, &h, sizeof(h), 0), sizeof(h));
	assert_int_equal(send(dead, &h, sizeof(h), 0), sizeof(h));
	close(dead);
	w->go = true;
	assert_int_equal(raw_status(alive), 0);
	wait_closed(w, 1);
	assert_int_equal(w->requests, 1);
	close(alive);
	wait_closed(w, 2);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_calls, setup, teardown),
		cmocka_unit_test_setup_teardown(test_descriptors_and_sizes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_open_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_events_and_deferred_replies, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stop_flag, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile_messages, setup, teardown),
		cmocka_unit_test_setup_teardown(test_floods, setup, teardown),
		cmocka_unit_test_setup_teardown(test_vanishing_clients, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_dead_are_not_heard_any_more, setup, teardown),
	};

	return cmocka_run_group_tests_name("hvcall", tests, NULL, NULL);
}
