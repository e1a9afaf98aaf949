/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The file with the guard's deadline: see guard_int.h. */
#include "config.h"
#include "clusterd/guard/guard_int.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "clusterd/guard/guardmsg.h"
#include "common/log.h"
#include "common/util.h"

void guard_load_deadline(struct guard *g)
{
	_cleanup_free_ char *text = NULL;
	char id[DEADLINE_BOOT_ID] = "";
	uint64_t ns = 0;
	unsigned park_ms = 0; /* older guards wrote less */
	uint64_t tsc = 0, park_ticks = 0, life = 0;

	if (file_read(g->deadline_path, 256, &text, NULL) < 0)
		return;
	if (sscanf(text, "%" SCNu64 " %39s %u %" SCNu64 " %" SCNu64 " %" SCNu64, &ns, id, &park_ms, &tsc, &park_ticks,
	           &life) >= 2 &&
	    !strcmp(id, g->boot_id) && ns < boot_ns() + GUARD_FAR_NS && park_ms <= GUARD_PARK_MS) {
		g->deadline = (struct moment){ .boot_ns = ns, .tsc = tsc };
		g->park_ns = park_ms * NS_PER_MS;
		g->park_ticks = park_ticks;
		g->life = life;
	} else
		log_warn("%s is of another boot or damaged: no domain may run", g->deadline_path);
}

void guard_save_deadline(struct guard *g)
{
	_cleanup_free_ char *tmp = xasprintf("%s.new", g->deadline_path);
	_cleanup_close_ int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	char text[256];
	int n = snprintf(text, sizeof(text), "%" PRIu64 " %s %u %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
	                 g->deadline.boot_ns, g->boot_id, (unsigned)(g->park_ns / NS_PER_MS), g->deadline.tsc,
	                 g->park_ticks, g->life);

	/* losing it is safe: a successor then allows nothing. An old one is not: what is parked for that may go on by then. No fsync: it
	 * need not outlive the machine */
	if (fd < 0 || write(fd, text, (size_t)n) != n || rename(tmp, g->deadline_path) < 0) {
		log_warn("cannot write %s: %s", g->deadline_path, strerror(errno));
		unlink(g->deadline_path);
	}
	deadline_page_set(g->page, &g->deadline);
}

void guard_end_deadline(struct guard *g)
{
	g->deadline.tsc = MOMENT_OVER_TSC;
	deadline_page_set(g->page, &(struct moment){ 0 });
	guard_save_deadline(g);
}
