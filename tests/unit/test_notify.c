/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the service manager hears: one datagram, by a path or an abstract name; without one nothing happens. */
#include "config.h"
#include "tests/unit/testutil.h"
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
