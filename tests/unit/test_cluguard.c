/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guard as a program, against stand-ins for hvdom (a process that holds a domain's lock and listens on its socket, or hangs): it kills
 * exactly what is marked, at the deadline, again and again, and after its own death and return as well; what parks in time it lets stand.
 * And managed.c and parking.c, which do it, the latter by a clock of the test. Over 800 lines: all stories start one guard by the same
 * stand-ins, which a second file would have to repeat.
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
#include "clusterd/guard/guardmsg.h"
#include "clusterd/guard/managed.h"
#include "clusterd/guard/parking.h"
#include "clusterd/guard/deadline.h"
#include "common/procs.h"
#include "common/util.h"
#include "hypervisor/api/hvproc.h"

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
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static int teardown(void **state)
{
	(void)state;
	end_child(guard);
	test_dir_remove(dir);
	return 0;
}

enum manner { LISTENS, NO_SOCKET, FULL_BACKLOG, UNLOCKS, UNREGISTERED, PARKS, REFUSES, PARKS_AND_HANGS_UP };

/* It answers PARK, as its manner is; never returns. Any number of clients, one at a time answered. */
static void answer_park(int s, enum manner how)
{
	struct pollfd p[9] = { { .fd = s, .events = POLLIN } };
	nfds_t n = 1;

	for (;;) {
		struct {
			struct hv_msg h;
			struct hv_park_req q;
		} m;

		poll(p, n, -1);
		if (p[0].revents && n < 9)
			p[n++] = (struct pollfd){ .fd = accept(s, NULL, NULL), .events = POLLIN };
		for (nfds_t i = 1; i < n; i++) {
			if (p[i].fd < 0 || !p[i].revents)
				continue;
			if (recv(p[i].fd, &m, sizeof(m), MSG_DONTWAIT) == sizeof(m) && m.h.op == HV_OP_PARK &&
			    m.h.cookie && m.h.cookie == m.q.lease_ns) {
				m.h.len = 0;
				m.h.status = how == REFUSES ? -EBUSY : 0;
				(void)!send(p[i].fd, &m, sizeof(m.h), MSG_NOSIGNAL);
				if (how != PARKS_AND_HANGS_UP)
					continue;
			}
			close(p[i].fd);
			p[i].fd = -1;
		}
	}
}

/* A stand-in for hvdom @name; returns when it holds its lock, or was killed before. */
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
		unlink(sock);
		bool ok = fd >= 0 && fcntl(fd, F_OFD_SETLK, &fl) == 0;
		struct procs me;
		struct err err;
		if (how != UNREGISTERED) /* as one of an older version */
			ok = ok && procs_self(&me) == 0 && procs_write(name, &me, &err) == 0;
		if (how == UNLOCKS) { /* what a hijacked one can do: it is its lock */
			fl.l_type = F_UNLCK;
			ok = ok && fcntl(fd, F_OFD_SETLK, &fl) == 0 && unlink(lock) == 0;
		}
		if (how != NO_SOCKET)
			ok = ok && bind(s, (struct sockaddr *)&a, sizeof(a)) == 0 &&
			     listen(s, how == FULL_BACKLOG ? 0 : 8) == 0;
		for (int i = 0; how == FULL_BACKLOG && i < 4; i++) { /* so that nobody gets through any more */
			int c = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0);
			(void)!connect(c, (struct sockaddr *)&a, sizeof(a));
		}
		(void)!write(p[1], ok ? "+" : "-", 1);
		if (how >= PARKS)
			answer_park(s, how);
		for (;;)
			pause();
	}
	char c = 0;
	close(p[1]);
	if (read(p[0], &c, 1) == 1) /* nothing: a guard without a lease was quicker */
		assert_int_equal(c, '+');
	close(p[0]);
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

static void test_markers(void **state)
{
	char uuid[MANAGED_UUID];
	struct err err;
	(void)state;

	assert_int_equal(managed_uuid("a", uuid), -ENOENT);
	assert_int_equal(managed_kill_all(NULL, NULL, NULL, NULL), 0);
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
	static const enum manner manners[] = { UNREGISTERED, LISTENS, NO_SOCKET, FULL_BACKLOG, UNLOCKS };
	(void)state;

	assert_false(hvproc_alive("a"));
	assert_int_equal(hvproc_kill("a"), 0);
	for (size_t i = 0; i < ARRAY_SIZE(manners); i++) {
		pid_t pid = hvdom("a", manners[i]);

		assert_true(hvproc_alive("a"));
		assert_int_equal(hvproc_kill("a"), 0);
		assert_true(ends(pid, 5000));
		assert_false(hvproc_alive("a"));
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
	_cleanup_free_ char *path = xasprintf("%s/cluster/guard.deadline", dir);
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
			_cleanup_free_ char *path = xasprintf("%s/cluster/guard.deadline", dir);
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

/* Parking by a clock of our own ---------------------------------------------------------------------------------------- */

#define T(ms) ((ms)*NS_PER_MS)

/* Looks at @at_ms until @state is what @name's slot has, for the answers take their real time; false: it stays otherwise. */
static bool slot_becomes(struct parking *p, uint64_t at_ms, uint64_t deadline_ms, const char *name,
                         enum parking_state state)
{
	for (unsigned i = 0; i < 400; i++) {
		assert_int_equal(parking_look(p, T(at_ms), T(deadline_ms), T(1000), NULL, NULL), 0);
		for (unsigned k = 0; k < p->n; k++)
			if (!strcmp(p->slot[k].name, name) && p->slot[k].state == state)
				return true;
		usleep(5000);
	}
	return false;
}

static void count_told(void *arg, const char *name)
{
	(void)name;
	++*(unsigned *)arg;
}

static void test_parking(void **state)
{
	static struct parking p;
	struct err err;
	unsigned told = 0;
	(void)state;

	assert_int_equal(managed_add("parks", UUID_A, &err), 0);
	assert_int_equal(managed_add("mute", UUID_B, &err), 0);
	assert_int_equal(managed_add("refuses", UUID_B, &err), 0);
	pid_t parks = hvdom("parks", PARKS), mute = hvdom("mute", LISTENS), refuses = hvdom("refuses", REFUSES);
	pid_t foreign = hvdom("foreign", LISTENS);
	/* nothing is asked too early, nor without a lease */
	assert_int_equal(parking_look(&p, T(8999), T(10000), T(1000), NULL, NULL), 0);
	assert_int_equal(p.n, 0);
	assert_true(slot_becomes(&p, 9000, 10000, "parks", PARKING_PARKED));
	assert_true(slot_becomes(&p, 9100, 10000, "refuses", PARKING_REFUSED));
	assert_true(slot_becomes(&p, 9200, 10000, "mute", PARKING_ASKED));
	/* a new lease: what was said does not count for it */
	assert_int_equal(parking_look(&p, T(9300), T(20000), T(1000), NULL, NULL), 0);
	assert_int_equal(p.n, 0);
	assert_true(slot_becomes(&p, 19100, 20000, "parks", PARKING_PARKED));
	assert_true(slot_becomes(&p, 19200, 20000, "mute", PARKING_ASKED));
	assert_int_equal(parking_look(&p, T(19999), T(20000), T(1000), NULL, NULL), 0);
	assert_false(ends(mute, 50) || ends(refuses, 50));
	/* the deadline: who did not say that it is parked dies, whatever it is about */
	assert_int_equal(parking_look(&p, T(20000), T(20000), T(1000), count_told, &told), 2);
	assert_int_equal(told, 2);
	assert_true(ends(mute, 5000));
	assert_true(ends(refuses, 5000));
	assert_int_equal(parking_look(&p, T(20100), T(20000), T(1000), count_told, &told), 0);
	assert_false(ends(parks, 100));
	/* one that comes up later was never asked; one whose hvdom ended was parked no more than a new one of its name is */
	mute = hvdom("mute", PARKS);
	end_child(parks);
	parks = hvdom("parks", PARKS);
	assert_int_equal(parking_look(&p, T(20200), T(20000), T(1000), NULL, NULL), 2);
	assert_true(ends(mute, 5000));
	assert_true(ends(parks, 5000));
	assert_false(ends(foreign, 0));
	end_child(foreign);
	parking_reset(&p);
}

/* The policy is gone, or no lease is known: whatever is parked ends with the others. */
static void test_parking_not_wanted(void **state)
{
	static struct parking p;
	struct err err;
	(void)state;

	assert_int_equal(managed_add("a", UUID_A, &err), 0);
	pid_t a = hvdom("a", PARKS);
	assert_true(slot_becomes(&p, 9100, 10000, "a", PARKING_PARKED));
	assert_int_equal(parking_look(&p, T(9900), T(10000), 0, NULL, NULL), 0);
	assert_int_equal(parking_look(&p, T(10000), T(10000), 0, NULL, NULL), 1);
	assert_true(ends(a, 5000));
	a = hvdom("a", PARKS);
	assert_int_equal(parking_look(&p, T(10000), 0, T(1000), NULL, NULL), 1);
	assert_true(ends(a, 5000));
	/* what hangs up may do anything */
	a = hvdom("a", PARKS_AND_HANGS_UP);
	(void)slot_becomes(&p, 9100, 10000, "a", PARKING_PARKED);
	usleep(20000);
	assert_int_equal(parking_look(&p, T(10000), T(10000), T(1000), NULL, NULL), 1);
	assert_true(ends(a, 5000));
	parking_reset(&p);
}

/* Who takes over past the deadline asks first, but not for long. */
static void test_parking_taken_over(void **state)
{
	static struct parking p;
	struct err err;
	(void)state;

	assert_int_equal(managed_add("parks", UUID_A, &err), 0);
	assert_int_equal(managed_add("mute", UUID_B, &err), 0);
	pid_t parks = hvdom("parks", PARKS), mute = hvdom("mute", LISTENS);
	parking_take_over(&p, T(50000));
	assert_true(slot_becomes(&p, 50199, 10000, "parks", PARKING_PARKED));
	assert_int_equal(parking_look(&p, T(50200), T(10000), T(1000), NULL, NULL), 1);
	assert_true(ends(mute, 5000));
	assert_false(ends(parks, 100));
	end_child(parks);
	parking_reset(&p);
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
	_cleanup_free_ char *path = xasprintf("%s/watchdog", dir);
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
	_cleanup_free_ char *path = xasprintf("%s/watchdog", dir), *file = xasprintf("%s/cluster/guard.deadline", dir);
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
		cmocka_unit_test_setup_teardown(test_markers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_kill, setup, teardown),
		cmocka_unit_test_setup_teardown(test_deadline, setup, teardown),
		cmocka_unit_test_setup_teardown(test_restart, setup, teardown),
		cmocka_unit_test_setup_teardown(test_deadline_by_tsc, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stood, setup, teardown),
		cmocka_unit_test_setup_teardown(test_another_life, setup, teardown),
		cmocka_unit_test_setup_teardown(test_old_clusterd, setup, teardown),
		cmocka_unit_test_setup_teardown(test_parking, setup, teardown),
		cmocka_unit_test_setup_teardown(test_parking_not_wanted, setup, teardown),
		cmocka_unit_test_setup_teardown(test_parking_taken_over, setup, teardown),
		cmocka_unit_test_setup_teardown(test_guard_parks, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stuck, setup, teardown),
		cmocka_unit_test_setup_teardown(test_watchdog, setup, teardown),
		cmocka_unit_test_setup_teardown(test_told_to_end, setup, teardown),
		cmocka_unit_test_setup_teardown(test_renewed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_strange_clients, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
