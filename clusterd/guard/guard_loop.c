/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The guard's loop, from one look at its clocks to the next: see guard_int.h. */
#include "config.h"
#include "clusterd/guard/guard_int.h"
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include "common/log.h"
#include "common/util.h"

#define LOOK_NS (100 * NS_PER_MS) /* between two looks at the clocks, and for domains that should be gone */

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

void guard_serve(struct guard *g)
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
