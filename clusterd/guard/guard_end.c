/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How the guard ends: not while a domain of the cluster lives here that nobody else would end. Told to end, it goes on as before, with
 * every lease that clusterd still gets, until they are gone or stand still; told to renew itself, it executes its program anew under the
 * same process id. See guard_int.h.
 */
#include "config.h"
#include "clusterd/guard/guard_int.h"
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include "clusterd/guard/managed.h"
#include "common/log.h"
#include "hypervisor/api/hvproc.h"

/* Files and sockets are all CLOEXEC; the watchdog, closed without the word that this is meant, goes on counting until it is opened anew. */
static void renew(struct guard *g)
{
	char path[PATH_MAX] = "";
	const char gone[] =
		" (deleted)"; /* says the kernel when another file has taken the place of ours: just that one is wanted */
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (g->ending || n <= 0)
		return;
	if ((size_t)n > sizeof(gone) && !strcmp(path + n - (sizeof(gone) - 1), gone))
		path[(size_t)n - (sizeof(gone) - 1)] = 0;
	log_info("executes %s anew", path);
	if (!log_flush(LOG_FLUSH_MS / 2)) {
		log_warn("it does not: its log stands in a disk that does not answer, and so would this");
		return;
	}
	(void)execv(path, g->argv);
	log_error("run %s: %s; the present guard goes on", path, strerror(errno));
}

void guard_on_signal(struct guard *g)
{
	struct signalfd_siginfo s;

	while (read(g->signal_fd, &s, sizeof(s)) == (ssize_t)sizeof(s)) {
		if (s.ssi_signo == SIGHUP)
			renew(g);
		else
			g->ending = true;
	}
}

struct stake {
	struct guard *g;
	unsigned n;
	char name[HV_NAME_MAX];
};

static void count(void *arg, const char *name, const char *uuid)
{
	struct stake *s = arg;

	(void)uuid;
	/* before the deadline one that is parked may yet be told to go on */
	if (!hvproc_alive(name) || (guard_is_over(s->g) && parking_spares(&s->g->parking, name)))
		return;
	if (!s->n++)
		snprintf(s->name, sizeof(s->name), "%s", name);
}

/* What lives, -errno; with @s->n 0 it is certain that nothing does. */
static int look(struct guard *g, struct stake *s)
{
	*s = (struct stake){ .g = g };
	return managed_each(count, s);
}

bool guard_may_end(struct guard *g)
{
	struct stake s;
	int r = look(g, &s);

	if (r >= 0 && !s.n && !guard_is_over(g)) {
		/* what begins now finds no lease any more, or is seen by the second look: hvdom says that it is there before it looks */
		unlink(g->deadline_path);
		deadline_page_set(g->page, &(struct moment){ 0 });
		r = look(g, &s);
		if (r < 0 || s.n)
			guard_save_deadline(g);
	}
	if (r >= 0 && !s.n)
		return true;
	if (!g->said_ending && r < 0)
		log_warn("told to end, but cannot look for the cluster's domains (%s): guards on", strerror(-r));
	else if (!g->said_ending)
		log_warn(
			"told to end, but %u domain%s of the cluster live%s here ('%s'%s): guards on until all are gone. 'vmclus "
			"drain' of this host moves them away, 'vmclus shutdown-host' ends what cannot move; the lease %s",
			s.n, s.n == 1 ? "" : "s", s.n == 1 ? "s" : "", s.name, s.n == 1 ? "" : " and others",
			guard_is_over(g) ? "is over, they are being ended"
					 : "ends them when clusterd extends it no more");
	g->said_ending = true;
	return false;
}
