/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guard as a program, against stand-ins for hvdom: it kills exactly what is marked, at the deadline, again and again, and after its own
 * death and return as well; what parks in time it lets stand. How it parks and kills: test_parking.c.
 */
#include "config.h"
#include "tests/unit/testutil.h"
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "clusterd/guard/deadline.h"
#include "clusterd/guard/guardmsg.h"
#include "clusterd/guard/managed.h"
#include "common/util.h"
#include "tests/unit/standin.h"

#define UUID_A "c7a5fdbd-cdaf-9455-926a-d65c16db1809"
#define UUID_B "c7a5fdbd-cdaf-9455-926a-d65c16db180a"

static pid_t guard;

static int setup(void **state)
{
	guard = 0;
	return test_dir_setup(state);
}

static int teardown(void **state)
{
	end_child(guard);
	return test_dir_teardown(state);
}

static const char *watchdog = "none";

static void guard_start(void)
{
	_cleanup_free_ char *prog = xasprintf("%s/clusterd/hospes-guard",
	                                      getenv("top_builddir") ? getenv("top_builddir") : ".");

	guard = fork();
	if (!guard) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execl(prog, "hospes-guard", "--watchdog", watchdog, "--log-level", "error", (char *)NULL);
		_exit(127);
	}
}

static int guard_connect(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	_cleanup_free_ char *path = xasprintf("%s/guard.sock", test_dir);

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
static uint64_t tell_park(int fd, uint64_t deadline_ns, unsigned park_ms)
{
	struct guard_msg m = { .magic = GUARD_MAGIC, .park_ms = park_ms, .deadline_ns = deadline_ns };
	struct pollfd p = { .fd = fd, .events = POLLIN };

	assert_int_equal(send(fd, &m, sizeof(m), MSG_NOSIGNAL), sizeof(m));
	assert_int_equal(poll(&p, 1, 5000), 1);
	assert_int_equal(recv(fd, &m, sizeof(m), 0), sizeof(m));
	return m.deadline_ns;
}

/* The same with all that there is to say, and to hear. */
static struct guard_msg tell_all(int fd, struct guard_msg m)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	m.magic = GUARD_MAGIC;
	assert_int_equal(send(fd, &m, sizeof(m), MSG_NOSIGNAL), sizeof(m));
	assert_int_equal(poll(&p, 1, 5000), 1);
	assert_int_equal(recv(fd, &m, sizeof(m), 0), sizeof(m));
	return m;
}

static uint64_t tell(int fd, uint64_t deadline_ns)
{
	return tell_park(fd, deadline_ns, 0);
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
	ours = hvdom("a", UNLOCKS), hangs = hvdom("b", NO_SOCKET), foreign = hvdom("c", LISTENS);
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
	_cleanup_free_ char *path = xasprintf("%s/cluster/guard.deadline", test_dir);
	_cleanup_free_ char *text = xasprintf("%" PRIu64 " another-boot\n", (uint64_t)(boot_ns() + 60 * NS_PER_S));
	assert_int_equal(file_write_atomic(path, text, strlen(text), 0600), 0);
	a = hvdom("a", LISTENS);
	guard_start();
	assert_true(ends(a, 6000));
}

/* CLOCK_BOOTTIME may stand still; the other clock says when it is over. */
static void test_deadline_by_tsc(void **state)
{
	struct deadline_page *page = NULL;
	struct tsc_rate rate = { 0 };
	struct err err;
	(void)state;

	if (!tsc_runs_on())
		skip(); /* needs a processor with an invariant TSC */
	tsc_rate_measure(&rate);
	assert_int_equal(managed_add("a", UUID_A, &err), 0);
	guard_start();
	int fd = guard_connect();
	uint64_t far = boot_ns() + 60 * NS_PER_S;
	struct guard_msg m = { .deadline_ns = far, .deadline_tsc = tsc_read() + tsc_rate_ticks(&rate, 3 * NS_PER_S) };
	assert_int_equal(tell_all(fd, m).deadline_tsc, m.deadline_tsc);
	assert_int_equal(deadline_page_of("a", &page, &err), 0);
	pid_t a = hvdom("a", LISTENS);
	assert_true(managed_may_run("a"));
	assert_false(deadline_page_over(page));
	assert_false(ends(a, 500));
	assert_true(ends(a, 8000));
	assert_true(tsc_read() >= m.deadline_tsc);
	assert_true(deadline_page_over(page));
	assert_false(managed_may_run("a"));
	/* a successor knows that, too */
	end_child(guard);
	close(fd);
	guard_start();
	a = hvdom("a", LISTENS);
	assert_true(ends(a, 5000));
	deadline_page_free(page);
}

/* clusterd learned from others that this host's clocks stood still. */
static void test_stood(void **state)
{
	struct deadline_page *page = NULL;
	struct err err;
	(void)state;

	assert_int_equal(managed_add("a", UUID_A, &err), 0);
	guard_start();
	int fd = guard_connect();
	uint64_t at = boot_ns() + 60 * NS_PER_S;
	pid_t a = hvdom("a", LISTENS);
	assert_true(ends(a, 5000)); /* no lease yet */
	assert_int_equal(tell_all(fd, (struct guard_msg){ .deadline_ns = at, .life = 7 }).deadline_ns, at);
	assert_int_equal(deadline_page_of("a", &page, &err), 0);
	assert_false(deadline_page_over(page));
	a = hvdom("a", LISTENS);
	struct guard_msg m = tell_all(fd, (struct guard_msg){ .deadline_ns = at, .life = 7, .flags = GUARD_F_STOOD });
	assert_int_equal(m.deadline_ns, at); /* what was said once stays said: whoever is suspended for it */
	assert_int_equal(m.deadline_tsc, MOMENT_OVER_TSC);
	assert_true(deadline_page_over(page));
	assert_true(ends(a, 5000));
	/* the same again lets nothing run, nor does another way to park; a later one does */
	assert_int_equal(tell_all(fd, (struct guard_msg){ .deadline_ns = at, .life = 7, .park_ms = 10 }).deadline_tsc,
	                 MOMENT_OVER_TSC);
	assert_int_equal(tell_all(fd, (struct guard_msg){ .deadline_ns = at + 1, .life = 7 }).deadline_tsc, 0);
	assert_false(deadline_page_over(page));
	a = hvdom("a", LISTENS);
	assert_false(ends(a, 300));
	end_child(a);
	deadline_page_free(page);
	close(fd);
}

/*
 * The guard stood still beyond a deadline, with domains that it had no time to end. In a later lease they go on only if the host was never
 * lost in between: else others may have taken them over.
 */
static void test_another_life(void **state)
{
	struct err err;
	(void)state;

	assert_int_equal(managed_add("a", UUID_A, &err), 0);
	guard_start();
	int fd = guard_connect();
	for (uint64_t life = 7; life <= 8; life++) {
		uint64_t at = boot_ns() + NS_PER_S, next;

		assert_int_equal(tell_all(fd, (struct guard_msg){ .deadline_ns = at, .life = 7 }).deadline_ns, at);
		pid_t a = hvdom("a", LISTENS);
		assert_int_equal(kill(guard, SIGSTOP), 0);
		while (boot_ns() < at + 100 * NS_PER_MS)
			usleep(10000);
		next = boot_ns() + 60 * NS_PER_S;
		struct guard_msg m = { .magic = GUARD_MAGIC, .deadline_ns = next, .life = life };
		assert_int_equal(send(fd, &m, sizeof(m), 0), sizeof(m)); /* waits for it when it goes on */
		assert_int_equal(kill(guard, SIGCONT), 0);
		assert_int_equal(recv(fd, &m, sizeof(m), 0), sizeof(m));
		assert_int_equal(m.deadline_ns, life == 7 ? next : at);
		assert_int_equal(ends(a, life == 7 ? 300 : 5000), life != 7);
		/* said again, it is taken: nothing lives any more */
		m = (struct guard_msg){ .deadline_ns = next, .life = life };
		for (unsigned i = 0; i < 100 && tell_all(fd, m).deadline_ns != next; i++)
			usleep(10000);
		assert_int_equal(tell_all(fd, m).deadline_ns, next);
		if (life == 7) {
			end_child(a);
			/* and over with that one, for the second turn */
			(void)tell_all(fd, (struct guard_msg){ .flags = GUARD_F_STOOD });
			end_child(guard);
			_cleanup_free_ char *path = xasprintf("%s/cluster/guard.deadline", test_dir);
			assert_int_equal(unlink(path), 0);
			close(fd);
			guard_start();
			fd = guard_connect();
		}
	}
	close(fd);
}

/* One of before the TSC was looked at says less and hears less. */
static void test_old_clusterd(void **state)
{
	struct guard_msg m = { .magic = GUARD_MAGIC, .deadline_ns = boot_ns() + 60 * NS_PER_S };
	uint64_t at = m.deadline_ns;
	(void)state;

	guard_start();
	int fd = guard_connect();
	assert_int_equal(send(fd, &m, GUARD_MSG_OLD, 0), GUARD_MSG_OLD);
	m.deadline_ns = 0;
	assert_int_equal(recv(fd, &m, sizeof(m), 0), GUARD_MSG_OLD);
	assert_int_equal(m.deadline_ns, at);
	close(fd);
}

/* The guard itself: parks before the deadline, kills the rest at it; a successor knows as much. */
static void test_guard_parks(void **state)
{
	struct err err;
	uint64_t at;
	(void)state;

	assert_int_equal(managed_add("parks", UUID_A, &err), 0);
	assert_int_equal(managed_add("mute", UUID_B, &err), 0);
	guard_start();
	int fd = guard_connect();
	at = boot_ns() + 3 * NS_PER_S;
	assert_int_equal(tell_park(fd, at, 1500), at);
	assert_int_equal(tell_park(fd, 0, 0), at); /* of a clusterd that knows nothing yet */
	assert_int_equal(tell_park(fd, at - NS_PER_S, 0), at);
	pid_t parks = hvdom("parks", PARKS), mute = hvdom("mute", LISTENS);
	assert_true(ends(mute, 8000));
	assert_true(boot_ns() >= at);
	assert_false(ends(parks, 300));
	/* an old beat that was acknowledged late: too little of a lease to give up what is known */
	assert_int_equal(tell_park(fd, at + NS_PER_MS, 1500), at);
	assert_int_equal(tell_park(fd, boot_ns() + NS_PER_S, 1500), at);
	assert_false(ends(parks, 300));
	end_child(guard);
	mute = hvdom("mute", LISTENS);
	guard_start();
	assert_true(ends(mute, 8000));
	assert_false(ends(parks, 300));
	/* a lease that is to end in a kill, told with the same deadline */
	close(fd);
	fd = guard_connect();
	at = boot_ns() + NS_PER_S;
	assert_int_equal(tell_park(fd, at, 500), at);
	assert_int_equal(tell_park(fd, at, 0), at);
	assert_true(ends(parks, 8000));
	assert_true(boot_ns() >= at);
	close(fd);
}

/* One that says @ms of a lease and then no more. */
static pid_t stuck_clusterd(unsigned ms)
{
	int p[2];
	char c;

	assert_int_equal(pipe(p), 0);
	pid_t pid = fork();
	if (!pid) {
		int s = guard_connect();
		struct guard_msg m = { .magic = GUARD_MAGIC, .deadline_ns = boot_ns() + ms * NS_PER_MS };

		(void)!send(s, &m, sizeof(m), 0);
		(void)!write(p[1], "+", 1);
		for (;;)
			pause();
	}
	assert_int_equal(read(p[0], &c, 1), 1);
	close(p[0]);
	close(p[1]);
	return pid;
}

/* Does it end within @ms, while @fd is one that speaks? */
static bool ends_while_heard(pid_t pid, int fd, unsigned ms)
{
	uint64_t until = boot_ns() + ms * NS_PER_MS;
	bool ended = false;

	while (!ended && boot_ns() < until) {
		(void)tell(fd, 0);
		ended = ends(pid, 100);
	}
	return ended;
}

/*
 * A clusterd that is connected and mute is killed when its lease is over; one that speaks is not. But not soon where it has nothing that
 * others would take over, nor the next one as soon as the first: that might be one that is slow.
 */
static void test_stuck(void **state)
{
	struct err err;
	uint64_t begun;
	pid_t stuck;
	(void)state;

	guard_start();
	int fd = guard_connect();
	stuck = stuck_clusterd(300);
	assert_false(ends_while_heard(stuck, fd, 5000));
	assert_int_equal(managed_add("a", UUID_A, &err), 0);
	assert_true(ends_while_heard(stuck, fd, 5000));
	begun = boot_ns();
	stuck = stuck_clusterd(300);
	assert_false(ends_while_heard(stuck, fd, 9000));
	assert_true(ends_while_heard(stuck, fd, 15000));
	assert_true(boot_ns() >= begun + 4 * GUARD_SILENT_NS - 100 * NS_PER_MS);
	(void)tell(fd, 0); /* we live on, and are heard */
	close(fd);
}

/* The next octet that the guard writes; -1: none within 2 s. */
static int fed(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	unsigned char c;

	return poll(&p, 1, 2000) == 1 && read(fd, &c, 1) == 1 ? c : -1;
}

static void test_watchdog(void **state)
{
	_cleanup_free_ char *path = xasprintf("%s/watchdog", test_dir);
	int status;
	(void)state;

	assert_int_equal(mkfifo(path, 0600), 0);
	int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC); /* a writer too: no hang-up */
	assert_true(fd >= 0);
	watchdog = path;
	/* killed, it leaves the device armed: nobody feeds it, and nobody says that this was meant */
	guard_start();
	assert_int_equal(fed(fd), 0);
	assert_int_equal(fed(fd), 0);
	assert_int_equal(kill(guard, SIGKILL), 0);
	assert_int_equal(waitpid(guard, &status, 0), guard);
	int c;
	while ((c = fed(fd)) >= 0)
		assert_int_equal(c, 0);
	/* ended in order, it disarms */
	guard_start();
	assert_int_equal(fed(fd), 0);
	close(guard_connect()); /* it is up */
	assert_int_equal(kill(guard, SIGTERM), 0);
	while ((c = fed(fd)) == 0)
		;
	assert_int_equal(c, 'V');
	assert_int_equal(waitpid(guard, &status, 0), guard);
	guard = 0;
	watchdog = "none";
	close(fd);
}

/* Told to end, it guards on until nothing of the cluster lives here; only then the watchdog is told that this was meant. */
static void test_told_to_end(void **state)
{
	_cleanup_free_ char *path = xasprintf("%s/watchdog", test_dir),
			    *file = xasprintf("%s/cluster/guard.deadline", test_dir);
	struct err err;
	int status, c;
	(void)state;

	assert_int_equal(mkfifo(path, 0600), 0);
	int wd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	watchdog = path;
	assert_int_equal(managed_add("a", UUID_A, &err), 0);
	guard_start();
	int fd = guard_connect();
	uint64_t at = boot_ns() + 60 * NS_PER_S;
	assert_int_equal(tell(fd, at), at);
	pid_t a = hvdom("a", LISTENS);
	assert_int_equal(kill(guard, SIGTERM), 0);
	assert_false(ends(guard, 500));
	assert_int_equal(tell(fd, at + 1), at + 1); /* a living clusterd goes on as before */
	end_child(a);                               /* drained */
	assert_int_equal(fed(wd), 0);
	while ((c = fed(wd)) == 0)
		;
	assert_int_equal(c, 'V');
	assert_int_equal(waitpid(guard, &status, 0), guard);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_int_not_equal(access(file, F_OK), 0); /* nothing begins without it */
	close(fd);
	/* nobody extends the lease: the domain ends at the deadline, then the guard */
	guard_start();
	fd = guard_connect();
	at = boot_ns() + 1500 * NS_PER_MS;
	assert_int_equal(tell(fd, at), at);
	close(fd);
	a = hvdom("a", NO_SOCKET);
	assert_int_equal(kill(guard, SIGTERM), 0);
	assert_true(ends(a, 6000));
	assert_true(boot_ns() >= at);
	assert_int_equal(waitpid(guard, &status, 0), guard);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	/* what is parked past the deadline stands still */
	guard_start();
	fd = guard_connect();
	at = boot_ns() + 1500 * NS_PER_MS;
	assert_int_equal(tell_park(fd, at, 1000), at);
	a = hvdom("a", PARKS);
	assert_int_equal(kill(guard, SIGTERM), 0);
	assert_int_equal(waitpid(guard, &status, 0), guard);
	assert_true(boot_ns() >= at);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_false(ends(a, 0));
	end_child(a);
	guard = 0;
	watchdog = "none";
	close(fd);
	close(wd);
}

/* SIGHUP: another program, the same process, the same lease; a domain does not notice. */
static void test_renewed(void **state)
{
	struct err err;
	uint64_t at = boot_ns() + 2 * NS_PER_S;
	(void)state;

	assert_int_equal(managed_add("a", UUID_A, &err), 0);
	guard_start();
	int fd = guard_connect();
	assert_int_equal(tell(fd, at), at);
	pid_t a = hvdom("a", LISTENS);
	assert_int_equal(kill(guard, SIGHUP), 0);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	assert_int_equal(poll(&p, 1, 5000), 1); /* it hangs up */
	close(fd);
	fd = guard_connect();
	assert_int_equal(tell(fd, 0), at);
	assert_false(ends(guard, 0));
	assert_false(ends(a, 300));
	assert_true(ends(a, 6000));
	assert_true(boot_ns() >= at);
	close(fd);
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
		cmocka_unit_test_setup_teardown(test_deadline, setup, teardown),
		cmocka_unit_test_setup_teardown(test_restart, setup, teardown),
		cmocka_unit_test_setup_teardown(test_deadline_by_tsc, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stood, setup, teardown),
		cmocka_unit_test_setup_teardown(test_another_life, setup, teardown),
		cmocka_unit_test_setup_teardown(test_old_clusterd, setup, teardown),
		cmocka_unit_test_setup_teardown(test_guard_parks, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stuck, setup, teardown),
		cmocka_unit_test_setup_teardown(test_watchdog, setup, teardown),
		cmocka_unit_test_setup_teardown(test_told_to_end, setup, teardown),
		cmocka_unit_test_setup_teardown(test_renewed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_strange_clients, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
