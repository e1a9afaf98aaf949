/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guard as a program, against stand-ins for hvdom (a process that holds a domain's lock and listens on its socket, or hangs): it kills
 * exactly what is marked, at the deadline, again and again, and after its own death and return as well. And managed.c, which does it.
 */
#include "config.h"
#include "tests/unit/testutil.h"
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "clusterd/io/guardmsg.h"
#include "clusterd/io/managed.h"
#include "common/util.h"

#define UUID_A "c7a5fdbd-cdaf-9455-926a-d65c16db1809"
#define UUID_B "c7a5fdbd-cdaf-9455-926a-d65c16db180a"

static char *dir;
static pid_t guard;

static int setup(void **state)
{
	(void)state;
	dir = test_dir_new();
	setenv("HOSPES_RUNDIR", dir, 1);
	guard = 0;
	return 0;
}

static void end_child(pid_t pid)
{
	if (pid <= 0)
		return;
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
}

static int teardown(void **state)
{
	(void)state;
	end_child(guard);
	test_dir_remove(dir);
	return 0;
}

enum manner { LISTENS, NO_SOCKET, FULL_BACKLOG };

/* A stand-in for hvdom @name; returns when it holds its lock. */
static pid_t hvdom(const char *name, enum manner how)
{
	_cleanup_free_ char *d = xasprintf("%s/dom/%s", dir, name);
	int p[2];

	assert_int_equal(pipe(p), 0);
	assert_int_equal(mkdir_p(d, 0755), 0);
	pid_t pid = fork();
	if (!pid) {
		_cleanup_free_ char *lock = xasprintf("%s/lock", d), *sock = xasprintf("%s/hv.sock", d);
		struct flock fl = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
		struct sockaddr_un a = { .sun_family = AF_UNIX };
		int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600), s = socket(AF_UNIX, SOCK_SEQPACKET, 0);

		strcpy(a.sun_path, sock);
		(void)unlink(sock);
		bool ok = fd >= 0 && fcntl(fd, F_OFD_SETLK, &fl) == 0;
		if (how != NO_SOCKET)
			ok = ok && bind(s, (struct sockaddr *)&a, sizeof(a)) == 0 &&
			     listen(s, how == FULL_BACKLOG ? 0 : 8) == 0;
		for (int i = 0; how == FULL_BACKLOG && i < 4; i++) { /* so that nobody gets through any more */
			int c = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0);
			(void)!connect(c, (struct sockaddr *)&a, sizeof(a));
		}
		(void)!write(p[1], ok ? "+" : "-", 1);
		for (;;)
			pause();
	}
	char c = 0;
	assert_int_equal(read(p[0], &c, 1), 1);
	assert_int_equal(c, '+');
	close(p[0]);
	close(p[1]);
	return pid;
}

/* Did @pid end within @ms? Reaps it. */
static bool ends(pid_t pid, unsigned ms)
{
	for (unsigned i = 0; i <= ms / 5; i++) {
		if (waitpid(pid, NULL, WNOHANG) == pid)
			return true;
		usleep(5000);
	}
	return false;
}

static void guard_start(void)
{
	_cleanup_free_ char *prog = xasprintf("%s/clusterd/hospes-guard",
	                                      getenv("top_builddir") ? getenv("top_builddir") : ".");

	guard = fork();
	if (!guard) {
		execl(prog, "hospes-guard", "--watchdog", "none", "--log-level", "error", (char *)NULL);
		_exit(127);
	}
}

static int guard_connect(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	_cleanup_free_ char *path = xasprintf("%s/guard.sock", dir);

	strcpy(a.sun_path, path);
	for (unsigned i = 0; i < 1000; i++) {
		int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

		if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
			return fd;
		close(fd);
		usleep(5000);
	}
	fail_msg("the guard does not listen");
	return -1;
}

/* Tell it; returns what it says that holds. */
static uint64_t tell(int fd, uint64_t deadline_ns)
{
	struct guard_msg m = { .magic = GUARD_MAGIC, .deadline_ns = deadline_ns };
	struct pollfd p = { .fd = fd, .events = POLLIN };

	assert_int_equal(send(fd, &m, sizeof(m), MSG_NOSIGNAL), sizeof(m));
	assert_int_equal(poll(&p, 1, 5000), 1);
	assert_int_equal(recv(fd, &m, sizeof(m), 0), sizeof(m));
	return m.deadline_ns;
}

static void test_markers(void **state)
{
	char uuid[MANAGED_UUID];
	struct err err;
	(void)state;

	assert_int_equal(managed_uuid("a", uuid), -ENOENT);
	assert_int_equal(managed_kill_all(NULL, NULL), 0);
	assert_int_equal(managed_add("a", UUID_A, &err), 0);
	assert_int_equal(managed_add("a", UUID_B, &err), 0);
	assert_int_equal(managed_uuid("a", uuid), 0);
	assert_string_equal(uuid, UUID_B);
	managed_remove("a");
	managed_remove("a");
	assert_int_equal(managed_uuid("a", uuid), -ENOENT);
	/* who is on the list */
	assert_false(managed_listed("a", NULL));
	_cleanup_free_ char *list = xasprintf("%s/cluster/domains", dir);
	const char *text = UUID_A " web1\n" UUID_B " web2\n";
	assert_int_equal(file_write_atomic(list, text, strlen(text), 0600), 0);
	assert_true(managed_listed("web2", NULL));
	assert_true(managed_listed("x", UUID_A));
	assert_false(managed_listed("web", NULL));
}

static void test_kill(void **state)
{
	static const enum manner manners[] = { LISTENS, NO_SOCKET, FULL_BACKLOG };
	(void)state;

	assert_false(managed_alive("a"));
	assert_int_equal(managed_kill("a"), 0);
	for (size_t i = 0; i < ARRAY_SIZE(manners); i++) {
		pid_t pid = hvdom("a", manners[i]);

		assert_true(managed_alive("a"));
		assert_int_equal(managed_pid("a"), pid);
		assert_int_equal(managed_kill("a"), 0);
		assert_true(ends(pid, 5000));
		assert_false(managed_alive("a"));
		assert_int_equal(managed_pid("a"), 0);
	}
}

static void test_deadline(void **state)
{
	struct err err;
	pid_t ours, hangs, foreign;
	uint64_t at, now;
	(void)state;

	assert_int_equal(managed_add("a", UUID_A, &err), 0);
	assert_int_equal(managed_add("b", UUID_B, &err), 0);
	guard_start();
	int fd = guard_connect();
	at = boot_ns() + 700 * NS_PER_MS;
	assert_int_equal(tell(fd, at), at);
	ours = hvdom("a", LISTENS), hangs = hvdom("b", NO_SOCKET), foreign = hvdom("c", LISTENS);
	assert_int_equal(tell(fd, at - 500 * NS_PER_MS), at); /* it only grows */
	assert_int_equal(tell(fd, 0), at);
	assert_int_equal(tell(fd, boot_ns() + 2 * GUARD_FAR_NS), at); /* nonsense */
	assert_true(ends(ours, 5000));
	now = boot_ns();
	assert_true(now >= at);
	assert_true(now < at + NS_PER_S);
	assert_true(ends(hangs, 5000));
	assert_false(ends(foreign, 300));
	/* whatever comes up after the deadline goes as well, until there is a new lease */
	ours = hvdom("a", LISTENS);
	assert_true(ends(ours, 5000));
	at = boot_ns() + 60 * NS_PER_S;
	assert_int_equal(tell(fd, at), at);
	ours = hvdom("a", LISTENS);
	assert_false(ends(ours, 400));
	end_child(ours);
	end_child(foreign);
	close(fd);
}

static void test_restart(void **state)
{
	struct err err;
	uint64_t at = boot_ns() + 2 * NS_PER_S;
	pid_t a;
	(void)state;

	assert_int_equal(managed_add("a", UUID_A, &err), 0);
	guard_start();
	int fd = guard_connect();
	assert_int_equal(tell(fd, at), at);
	close(fd);
	end_child(guard);
	a = hvdom("a", LISTENS);
	guard_start(); /* it finds what was allowed, and keeps to it */
	fd = guard_connect();
	assert_int_equal(tell(fd, 0), at);
	assert_false(ends(a, 200));
	assert_true(ends(a, 6000));
	assert_true(boot_ns() >= at);
	close(fd);
	end_child(guard);
	/* nothing known, or another boot's: nothing may run */
	_cleanup_free_ char *path = xasprintf("%s/cluster/guard.deadline", dir);
	_cleanup_free_ char *text = xasprintf("%" PRIu64 " another-boot\n", (uint64_t)(boot_ns() + 60 * NS_PER_S));
	assert_int_equal(file_write_atomic(path, text, strlen(text), 0600), 0);
	a = hvdom("a", LISTENS);
	guard_start();
	assert_true(ends(a, 6000));
}

/* A clusterd that is connected and mute is killed when its lease is over; one that speaks is not. */
static void test_stuck(void **state)
{
	int p[2];
	(void)state;

	guard_start();
	int fd = guard_connect();
	assert_int_equal(pipe(p), 0);
	pid_t stuck = fork();
	if (!stuck) {
		int c = guard_connect();
		struct guard_msg m = { .magic = GUARD_MAGIC, .deadline_ns = boot_ns() + 300 * NS_PER_MS };

		(void)!send(c, &m, sizeof(m), 0);
		(void)!write(p[1], "+", 1);
		for (;;)
			pause();
	}
	char c;
	assert_int_equal(read(p[0], &c, 1), 1);
	uint64_t begun = boot_ns();
	bool ended = false;
	while (!ended && boot_ns() < begun + 10 * NS_PER_S) {
		(void)tell(fd, 0);
		ended = ends(stuck, 100);
	}
	assert_true(ended);
	assert_true(boot_ns() >= begun + GUARD_SILENT_NS - 100 * NS_PER_MS);
	(void)tell(fd, 0); /* we live on, and are heard */
	close(fd);
	close(p[0]);
	close(p[1]);
}

static void test_strange_clients(void **state)
{
	char octets[200] = "what is this?";
	struct pollfd p = { .events = POLLIN };
	(void)state;

	guard_start();
	int fd = guard_connect();
	assert_int_equal(send(fd, octets, 5, 0), 5);
	p.fd = fd;
	assert_int_equal(poll(&p, 1, 5000), 1);
	assert_int_equal(recv(fd, octets, sizeof(octets), 0), 0); /* dropped */
	close(fd);
	fd = guard_connect();
	assert_int_equal(send(fd, octets, sizeof(octets), 0), sizeof(octets));
	p.fd = fd;
	assert_int_equal(poll(&p, 1, 5000), 1);
	assert_int_equal(recv(fd, octets, sizeof(octets), 0), 0);
	close(fd);
	fd = guard_connect();
	assert_int_equal(tell(fd, 0), 0);
	close(fd);
	/* and a second guard does not start beside the first */
	pid_t first = guard;
	guard_start();
	assert_true(ends(guard, 5000));
	guard = first;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_markers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_kill, setup, teardown),
		cmocka_unit_test_setup_teardown(test_deadline, setup, teardown),
		cmocka_unit_test_setup_teardown(test_restart, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stuck, setup, teardown),
		cmocka_unit_test_setup_teardown(test_strange_clients, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
