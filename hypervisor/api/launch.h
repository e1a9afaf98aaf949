/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Starts hvdom for vmctl and clusterd, detached in a session of its own, with its output in <log>/NAME.log. hvdom
 * reports the result of the start once, on a pipe: "ok" or "error: text". The caller waits for that in its own way, and
 * ends an hvdom that did not become ready.
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
	bool local;            /* this host's own definition: <conf>/paths.json may let it name any path */
	bool force;            /* start though the lease names another host */
	uint64_t generation;   /* ownership generation of this start; 0: one more than the lease's */
	const char *cpu_baseline; /* what a processor of mode host-model may have: cpu_bits_format(); NULL: all that the host has */
	const char *log_level; /* NULL: hvdom's default */
	pid_t pid;             /* out: hvdom, a child of the caller */
	int ready_fd;          /* out: the pipe; owned by the caller, CLOEXEC, blocking */
};

/*
 * The path of hvdom, malloc'd: $HOSPES_LIBEXEC/hvdom, else beside this program (../sbin, or the build tree), else the
 * installed one. -ENOENT.
 */
int hvlaunch_path(char **ret, struct err *err) _must_check_;
/* Fork and exec. On failure nothing is left behind, and @l->pid is 0, as before the call. */
int hvlaunch_begin(struct hvlaunch *l, struct err *err) _must_check_;
/*
 * Evaluate hvdom's report: @line without its newline, or "" if hvdom ended without a report (then its log gives the
 * text). 0: the domain is ready.
 */
int hvlaunch_result(const struct hvlaunch *l, const char *line, struct err *err) _must_check_;
/* End it: SIGTERM, a while later SIGKILL. Blocks for at most 10 s, and reaps the child. */
void hvlaunch_kill(const struct hvlaunch *l);

#endif
