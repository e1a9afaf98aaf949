/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hospes-guard: ends the cluster's domains on this host when their lease is over, whatever else hangs or is dead. It holds the deadline,
 * which clusterd moves on, and how long before it domains are to be parked (0: never). Small on purpose: libc and common/ only, one
 * thread, no state but a file that lets a successor know what was allowed. See hospes-guard(8) and docs/fencing.md.
 */
#include "config.h"
#include "clusterd/guard/guard_int.h"
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>
#include "common/log.h"
#include "common/util.h"

#define LOOK_NS (100 * NS_PER_MS) /* between two looks at the clocks, and for domains that should be gone */

static int usage(FILE *to, int rc)
{
	fputs("usage: hospes-guard [--watchdog DEVICE|none] [--log-level error|warn|info|debug] [--version] [--help]\n"
	      "Ends this host's cluster domains when clusterd's lease is over. Listens on <run>/guard.sock.\n"
	      "  --watchdog DEVICE  feed it while all is well (default: /dev/watchdog, if there is one)\n",
	      to);
	return rc;
}

/*
 * The next look: when parking begins and at the deadline, soon in between and when it is past, and never long from now: the timer may stand
 * still with the machine's clock, while the other clock ran on.
 */
static void arm(struct guard *g)
{
	uint64_t now = boot_ns(), end = g->deadline.boot_ns,
		 at = end > now + g->park_ns ? end - g->park_ns : now + LOOK_NS;
	struct itimerspec its = { 0 };

	if (now < end && at > end)
		at = end;
	if (at > now + LOOK_NS)
		at = now + LOOK_NS;
	its.it_value.tv_sec = (time_t)(at / NS_PER_S);
	its.it_value.tv_nsec = (long)(at % NS_PER_S);
	if (timerfd_settime(g->timer_fd, TFD_TIMER_ABSTIME, &its, NULL) < 0)
		log_error("timer: %s", strerror(errno));
}

static int listen_on(struct guard *g, struct err *err)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	_cleanup_free_ char *dir = xasprintf("%s/cluster", path_run());
	int r = mkdir_p(dir, 0755);

	if (r < 0)
		return err_sys(err, r, "create %s", dir);
	g->deadline_path = xasprintf("%s/guard.deadline", dir);
	g->sock_path = xasprintf("%s/guard.sock", path_run());
	if (strlen(g->sock_path) >= sizeof(a.sun_path))
		return err_set(err, ENAMETOOLONG, "%s is too long for a socket", g->sock_path);
	strcpy(a.sun_path, g->sock_path);
	int probe = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	bool alive = probe >= 0 && connect(probe, (struct sockaddr *)&a, sizeof(a)) == 0;
	if (probe >= 0)
		close(probe);
	if (alive)
		return err_set(err, EADDRINUSE, "another hospes-guard serves %s", g->sock_path);
	unlink(g->sock_path);
	g->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t old = umask(0177);
	r = g->listen_fd < 0 || bind(g->listen_fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(g->listen_fd, 4) < 0
	            ? -errno
	            : 0;
	umask(old);
	return r < 0 ? err_sys(err, r, "listen on %s", g->sock_path) : 0;
}

/*
 * Memory that is never paged out and a priority that nobody exceeds: a host that is out of both must still stop its domains, also while a
 * Corosync that cannot talk spins, which has the highest.
 */
static void be_urgent(void)
{
	struct sched_param p = { .sched_priority = sched_get_priority_max(SCHED_FIFO) };

	if (mlockall(MCL_CURRENT | MCL_FUTURE) < 0)
		log_warn("memory is not locked: %s", strerror(errno));
	if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &p) < 0)
		log_warn("no real-time priority: %s", strerror(errno));
}

static int set_up(struct guard *g, struct err *err)
{
	sigset_t set;
	int r = listen_on(g, err);

	if (r < 0)
		return r;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	g->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	g->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (g->signal_fd < 0 || g->timer_fd < 0)
		return err_sys(err, errno, "set up");
	guard_read_boot_id(g);
	guard_load_deadline(g);
	return deadline_page_make(&g->deadline, &g->page, err);
}

/* Until SIGTERM, and then until nothing of the cluster lives here. */
static void serve(struct guard *g)
{
	for (;;) {
		struct pollfd p[3 + CLIENTS_MAX] = { { .fd = g->signal_fd, .events = POLLIN },
			                             { .fd = g->timer_fd, .events = POLLIN },
			                             { .fd = g->listen_fd, .events = POLLIN } };
		uint64_t ticks;

		for (unsigned i = 0; i < CLIENTS_MAX; i++)
			p[3 + i] = (struct pollfd){ .fd = g->client[i].fd, .events = POLLIN };
		arm(g);
		if (poll(p, 3 + CLIENTS_MAX, -1) < 0 && errno != EINTR)
			log_error("poll: %s", strerror(errno));
		(void)!read(g->timer_fd, &ticks, sizeof(ticks));
		for (unsigned i = 0; i < CLIENTS_MAX; i++)
			if (g->client[i].fd >= 0 && p[3 + i].revents)
				guard_on_client(g, &g->client[i]);
		if (p[2].revents)
			guard_on_connect(g);
		if (guard_now_ns(g) + g->park_ns >= g->deadline.boot_ns)
			guard_sweep(g);
		if (guard_is_over(g)) {
			guard_look_at_clients(g);
		} else {
			g->over_since_ns = 0;
			g->said = false;
		}
		guard_feed(g);
		if (p[0].revents)
			guard_on_signal(g);
		if (g->ending && guard_may_end(g))
			return;
	}
}

int main(int argc, char **argv)
{
	static const struct option opts[] = { { "watchdog", required_argument, NULL, 'w' },
		                              { "log-level", required_argument, NULL, 'l' },
		                              { "version", no_argument, NULL, 'V' },
		                              { "help", no_argument, NULL, 'h' },
		                              { 0 } };
	static struct guard g = { .listen_fd = -1, .signal_fd = -1, .timer_fd = -1, .watchdog_fd = -1 };
	const char *watchdog = NULL;
	enum log_level level = LOG_LEVEL_INFO;
	struct err err = { 0 };

	for (int c; (c = getopt_long(argc, argv, "h", opts, NULL)) >= 0;) {
		if (c == 'w') {
			watchdog = optarg;
		} else if (c == 'V') {
			puts("hospes-guard " PACKAGE_VERSION);
			return 0;
		} else if (c == 'h') {
			return usage(stdout, 0);
		} else if (c != 'l' || log_level_parse(optarg, &level) < 0) {
			return usage(stderr, 2);
		}
	}
	if (optind != argc)
		return usage(stderr, 2);
	log_init("hospes-guard", level);
	g.argv = argv;
	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		g.client[i] = (struct client){ .fd = -1, .pidfd = -1 };
	if (set_up(&g, &err) < 0) {
		log_error("%s", err.text);
		free(g.sock_path);
		free(g.deadline_path);
		return 1;
	}
	log_async(); /* before: its thread is not urgent */
	be_urgent();
	parking_take_over(&g.parking, boot_ns());
	if (!watchdog || strcmp(watchdog, "none"))
		guard_open_watchdog(&g, watchdog ? watchdog : "/dev/watchdog", watchdog != NULL);
	log_info("guards; %s", !guard_is_over(&g) ? "a lease of before still runs"
	                                          : "no lease: the cluster's domains may not run here");
	serve(&g);
	log_info("ends: it was told to, and no domain of the cluster runs here");
	if (g.watchdog_fd >= 0 && write(g.watchdog_fd, "V", 1) < 0)
		log_warn("watchdog: %s", strerror(errno));
	unlink(g.sock_path);
	free(g.sock_path);
	free(g.deadline_path);
	return 0;
}
