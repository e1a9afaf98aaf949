/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fence agents, run as they are: /usr/sbin/fence_*, options as key=value lines on stdin (the interface of the fence-agents package), with
 * a time limit, tried again with a back-off until the host is no longer wanted fenced. Beside the deadline, never in its way: nothing
 * here waits. <conf>/fence.d/HOST.json: {"agent": "fence_ipmilan", "options": {"ip": "..."}, "timeout_s": 60}. Loop thread.
 */
#ifndef HOSPES_CLUSTERD_IO_FENCE_H
#define HOSPES_CLUSTERD_IO_FENCE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "common/loop.h"

struct fence;

/* @done: the agent says that @host, lost in @lost_id, is off. @failed: it did not, and why (it is tried again). */
struct fence_ops {
	void (*done)(void *arg, const char *host, uint64_t lost_id);
	void (*failed)(void *arg, const char *host, const char *why);
};

struct fence *fence_new(struct loop *loop, const struct fence_ops *ops, void *arg);
void fence_free(struct fence *f); /* takes NULL; ends agents that run */
/* Is there an agent for @host? */
bool fence_configured(const char *host);
/* @host should be off. Called as often as one likes; one agent runs for a host at a time. Nothing without a configuration. */
void fence_want(struct fence *f, const char *host, uint64_t lost_id);
/* It is not wanted any more: tries end, a running agent too. */
void fence_unwant(struct fence *f, const char *host);
/* A child ended (from SIGCHLD). True: it was one of ours. */
bool fence_child(struct fence *f, pid_t pid, int status);
/* What is going on for @host, for people; "" nothing. Valid until the next call. */
const char *fence_text(const struct fence *f, const char *host);

#endif
