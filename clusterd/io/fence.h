/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fence agents of the package fence-agents, run unchanged: /usr/sbin/fence_*, with options as key=value lines on stdin. An agent has a time
 * limit, and is retried with backoff until its host need not be fenced any more. This happens beside the deadline, and delays nothing.
 * <conf>/fence.d/HOST.json: {"agent": "fence_ipmilan", "options": {"ip": "..."}, "timeout_s": 60}. Loop thread.
 */
#ifndef HOSPES_CLUSTERD_IO_FENCE_H
#define HOSPES_CLUSTERD_IO_FENCE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "common/loop.h"

struct fence;

/* @done: the agent reports that @host, lost in @lost_id, is off. @failed: it does not, and is retried; @why is for people. */
struct fence_ops {
	void (*done)(void *arg, const char *host, uint64_t lost_id);
	void (*failed)(void *arg, const char *host, const char *why);
};

struct fence *fence_new(struct loop *loop, const struct fence_ops *ops, void *arg); /* NULL: out of memory */
void fence_free(struct fence *f); /* takes NULL; kills agents that run */
/* True if @host has an agent. */
bool fence_configured(const char *host);
/* Fence @host. May be repeated: one agent runs for a host at a time. Does nothing for a host without an agent. */
void fence_want(struct fence *f, const char *host, uint64_t lost_id);
/* Stop fencing @host; kills its agent. */
void fence_unwant(struct fence *f, const char *host);
/* A child ended (SIGCHLD). True: it was an agent. */
bool fence_child(struct fence *f, pid_t pid, int status);
/* What is under way for @host, for people; "": nothing. Valid until the next call. */
const char *fence_text(const struct fence *f, const char *host);

#endif
