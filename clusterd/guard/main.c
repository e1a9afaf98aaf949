/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hospes-guard: ends the cluster's domains on this host when their lease is over, whatever else hangs or is dead. It holds the deadline,
 * which clusterd moves on, and how long before it domains are to be parked (0: never). Small on purpose: libc and common/ only, one
 * thread, no state but a file that lets a successor know what was allowed. See hospes-guard(8) and docs/fencing.md.
 */
#include "config.h"
#include "clusterd/guard/guard_int.h"
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include "common/daemon.h"
#include "common/log.h"
#include "common/notify.h"
#include "common/util.h"

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
	_cleanup_free_ char *dir = xasprintf("%s/cluster", path_run());
	sigset_t set;
	int r = mkdir_p(dir, 0755);

	if (r < 0)
		return err_sys(err, r, "create %s", dir);
	g->deadline_path = xasprintf("%s/guard.deadline", dir);
	g->sock_path = xasprintf("%s/guard.sock", path_run());
	g->listen_fd = sock_listen(g->sock_path, SOCK_SEQPACKET, 4, "hospes-guard", err);
	if (g->listen_fd < 0)
		return g->listen_fd;
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
	(void)deadline_boot_id(g->boot_id);
	guard_load_deadline(g);
	return deadline_page_make(&g->deadline, &g->page, err);
}

int main(int argc, char **argv)
{
	static const struct daemon guard = {
		.name = "hospes-guard",
		.version = "hospes-guard " PACKAGE_VERSION,
		.usage =
			"usage: hospes-guard [--watchdog DEVICE|none] [--log-level error|warn|info|debug] [--version] [--help]\n"
			"Ends this host's cluster domains when clusterd's lease is over. Listens on <run>/guard.sock.\n"
			"  --watchdog DEVICE  feed it while all is well (default: /dev/watchdog, if there is one)\n",
		.option = "watchdog",
		.option_value = true,
	};
	static struct guard g = { .listen_fd = -1, .signal_fd = -1, .timer_fd = -1, .watchdog_fd = -1 };
	const char *watchdog;
	struct err err = { 0 };
	int rc = daemon_options(&guard, argc, argv, &watchdog);

	if (rc >= 0)
		return rc;
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
	notify_ready();
	guard_serve(&g);
	log_info("ends: it was told to, and no domain of the cluster runs here");
	if (g.watchdog_fd >= 0 && write(g.watchdog_fd, "V", 1) < 0)
		log_warn("watchdog: %s", strerror(errno));
	unlink(g.sock_path);
	free(g.sock_path);
	free(g.deadline_path);
	return 0;
}
