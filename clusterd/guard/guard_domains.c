/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The end of domains whose lease is over: see guard_int.h. */
#include "config.h"
#include "clusterd/guard/guard_int.h"
#include <string.h>
#include "common/log.h"
#include "common/util.h"

static void on_kill(void *arg, const char *name)
{
	const struct guard *g = arg;

	if (!g->said)
		log_warn("the lease is over: domain '%s' is ended", name);
}

uint64_t guard_now_ns(const struct guard *g)
{
	return deadline_now_ns(&g->deadline, g->park_ns, g->park_ticks);
}

bool guard_is_over(const struct guard *g)
{
	return guard_now_ns(g) >= g->deadline.boot_ns;
}

void guard_sweep(struct guard *g)
{
	int alive = parking_look(&g->parking, guard_now_ns(g), g->deadline.boot_ns, g->park_ns, on_kill, g);

	if (!guard_is_over(g))
		return;
	if (!alive) {
		if (g->over_since_ns)
			log_warn("the lease is over: all domains of the cluster are gone here");
		g->over_since_ns = 0;
		g->said = false;
		return;
	}
	if (alive < 0)
		log_error("cannot look for the cluster's domains: %s", strerror(-alive));
	if (!g->over_since_ns)
		g->over_since_ns = boot_ns();
	g->said = true;
}
