/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the service manager hears: one datagram, by a path or an abstract name; without one nothing happens. */
#include "config.h"
#include "tests/unit/testutil.h"
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "common/notify.h"
#include "common/util.h"

/* @name as NOTIFY_SOCKET has it. */
static void hears(const char *name)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	size_t len = strlen(name);
	char got[64];
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0 && len < sizeof(a.sun_path));
	memcpy(a.sun_path, name, len);
	if (*name == '@')
		a.sun_path[0] = 0;
	assert_int_equal(bind(fd, (struct sockaddr *)&a, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)), 0);
	setenv("NOTIFY_SOCKET", name, 1);
	notify_ready();
	assert_int_equal(recv(fd, got, sizeof(got), 0), 7);
	assert_memory_equal(got, "READY=1", 7);
	assert_int_equal(recv(fd, got, sizeof(got), 0), -1);
	close(fd);
}

static void test_heard(void **state)
{
	_cleanup_free_ char *path = xasprintf("%s/notify", test_dir),
			    *name = xasprintf("@hospes-test-%d", (int)getpid());
	(void)state;

	hears(path);
	hears(name);
}

/* The manager's sockets, by their units; those of another process are not ours. */
static void test_sockets(void **state)
{
	_cleanup_free_ char *me = xasprintf("%d", (int)getpid());
	int a = fcntl(0, F_DUPFD, 0), keep[2] = { dup(3), dup(4) };
	(void)state;

	assert_true(dup2(a, 3) == 3 && dup2(a, 4) == 4);
	setenv("LISTEN_PID", me, 1);
	setenv("LISTEN_FDS", "2", 1);
	setenv("LISTEN_FDNAMES", "x.socket:x-ro.socket", 1);
	assert_int_equal(notify_socket("x.socket"), 3);
	assert_int_equal(notify_socket("x-ro.socket"), 4);
	assert_true(fcntl(4, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(notify_socket("x"), -1);
	assert_int_equal(notify_socket(NULL), -1);
	setenv("LISTEN_FDS", "1", 1);
	assert_int_equal(notify_socket(NULL), 3);
	assert_int_equal(notify_socket("x-ro.socket"), -1);
	setenv("LISTEN_PID", "1", 1);
	assert_int_equal(notify_socket(NULL), -1);
	unsetenv("LISTEN_PID");
	assert_int_equal(notify_socket("x.socket"), -1);
	for (int i = 0; i < 2; i++) {
		if (keep[i] >= 0)
			assert_int_equal(dup2(keep[i], 3 + i), 3 + i);
		else
			close(3 + i);
		close(keep[i]);
	}
	close(a);
}

/* No manager, or one that is gone: nobody waits and nothing fails. */
static void test_nobody(void **state)
{
	static const char *const names[] = { "", "relative", "/nowhere/notify", "@hospes-test-nobody" };
	char big[200];
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		setenv("NOTIFY_SOCKET", names[i], 1);
		notify_ready();
	}
	memset(big, 'x', sizeof(big) - 1);
	big[0] = '/', big[sizeof(big) - 1] = 0;
	setenv("NOTIFY_SOCKET", big, 1);
	notify_ready();
	unsetenv("NOTIFY_SOCKET");
	notify_ready();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_heard, test_dir_setup, test_dir_teardown),
		cmocka_unit_test(test_nobody),
		cmocka_unit_test(test_sockets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
