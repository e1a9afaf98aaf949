/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The watchdog that the guard feeds: see guard_int.h. */
#include "config.h"
#include "clusterd/guard/guard_int.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/watchdog.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "common/log.h"
#include "common/util.h"

#define WATCHDOG_S    10
#define FEED_NS       (NS_PER_S / 2)
#define STUCK_KILL_NS (10 * NS_PER_S) /* how long domains that do not die may keep the watchdog fed */

void guard_open_watchdog(struct guard *g, const char *path, bool must)
{
	int timeout = WATCHDOG_S;

	g->watchdog_fd = open(path, O_WRONLY | O_CLOEXEC);
	if (g->watchdog_fd < 0) {
		if (must || errno != ENOENT)
			log_warn("no watchdog: %s: %s", path, strerror(errno));
		return;
	}
	/* the driver writes back what it took: some know few values, some one only */
	if (ioctl(g->watchdog_fd, WDIOC_SETTIMEOUT, &timeout) < 0 &&
	    ioctl(g->watchdog_fd, WDIOC_GETTIMEOUT, &timeout) < 0) {
		log_warn("watchdog %s does not say when it bites: it is fed, but its time is in no margin", path);
		return;
	}
	log_info("watchdog %s: this machine restarts when the guard does not feed it for %d s", path, timeout);
	if (timeout > WATCHDOG_S)
		log_warn("watchdog %s takes %d s, not %d: whoever counts on it sets margin_s=%d (%s/fencing.md)", path,
		         timeout, WATCHDOG_S, timeout + 1, path_doc());
}

void guard_feed(struct guard *g)
{
	bool stuck = g->over_since_ns && boot_ns() > g->over_since_ns + STUCK_KILL_NS;

	if (g->watchdog_fd < 0 || boot_ns() < g->fed_ns + FEED_NS)
		return;
	g->fed_ns = boot_ns();
	if (stuck)
		log_error("domains that must end do not: the watchdog is not fed any more");
	else if (write(g->watchdog_fd, "\0", 1) < 0)
		log_warn("watchdog: %s", strerror(errno));
}
