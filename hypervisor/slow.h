/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What may wait for storage, away from the main loop: one job at a time on a thread of its own, so that hvdom answers whatever its disks
 * do. A job that is soon done is waited for; else the main loop goes on and is told later, at the latest at the job's limit.
 * Then the job is
 * left alone: it may stand in the kernel for as long as the storage pleases, and until it ends no other can begin.
 * Threading: main thread, but for slow_commit(). ADR 66.
 */
#ifndef HOSPES_HYPERVISOR_SLOW_H
#define HOSPES_HYPERVISOR_SLOW_H

#include <stdbool.h>
#include <stdint.h>
#include "common/cleanup.h"
#include "common/err.h"
#include "common/loop.h"

struct slow;

struct slow_job {
	int (*work)(void *arg, struct err *err); /* on the thread; 0 or -errno */
	void (*then)(void *arg, int r,
	             const struct err *err); /* on the main loop, once, after slow_run() said -EINPROGRESS */
	void *arg;                           /* lives on after the limit until slow_busy() says no */
	uint64_t limit_ns;                   /* then(-ETIMEDOUT) comes by now; UINT64_MAX: no limit */
};

struct slow *slow_new(struct loop *loop);
void slow_free(struct slow *s); /* takes NULL; not while busy */
/* The work's own result, when it ended within a moment; -EINPROGRESS: then() follows; -EBUSY: a job of before still waits for storage. */
int slow_run(struct slow *s, const struct slow_job *job, struct err *err) _must_check_;
bool slow_busy(const struct slow *s);
/*
 * In the work: from here on its effect counts. False: it was given up meanwhile, have none. True: it is not given up any more, then() tells
 * what it did, however long that takes.
 */
bool slow_commit(struct slow *s);
/* Give up the job under way: no then(). False: it is committed, or none is under way. */
bool slow_give_up(struct slow *s);

#endif
