/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Starts hvdom for vmctl and clusterd: detached in a session of its own, its output in <log>/NAME.log, with a pipe on which it says
 * "ok" or "error: text" once. The caller waits for that in its own manner, and ends what did not become ready.
 */
#ifndef HOSPES_HYPERVISOR_LAUNCH_H
#define HOSPES_HYPERVISOR_LAUNCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "common/cleanup.h"
#include "common/err.h"

struct hvlaunch {
	const char *name;      /* for messages and the log file; borrowed, as all texts here */
	const char *config;    /* absolute path of the XML */
	bool incoming;
	bool local;            /* a definition of this host's own: <conf>/paths.json may let it name any path */
	bool force;            /* start though the lease names another host */
	uint64_t generation;   /* ownership generation of this start; 0: one more than the lease's */
	const char *log_level; /* NULL: hvdom's own */
	pid_t pid;             /* out: hvdom, a child of the caller */
	int ready_fd;          /* out: the pipe; owned by the caller, CLOEXEC, blocking */
};

/* $HOSPES_LIBEXEC/hvdom, beside us (../sbin, or the build tree), the installed one; malloc'd. -ENOENT. */
int hvlaunch_path(char **ret, struct err *err) _must_check_;
/* Fork and exec. On failure nothing is left; then and before @l->pid is 0. */
int hvlaunch_begin(struct hvlaunch *l, struct err *err) _must_check_;
/* What hvdom said: @line without its newline, "" when it ended without a word (its log is looked at). 0: it is ready. */
int hvlaunch_result(const struct hvlaunch *l, const char *line, struct err *err) _must_check_;
/* End it: SIGTERM, a while later SIGKILL. Blocks for at most 10 s, and reaps the child. */
void hvlaunch_kill(const struct hvlaunch *l);

#endif
