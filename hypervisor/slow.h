/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Work that may wait for storage, on a thread of its own, so that hvdom answers while its disks hang. One job at a time.
 * The caller waits in place for a job that is soon done. Else the main loop goes on and hears of the end later, at the job's limit at the
 * latest. A job that passes its limit is given up: it stays in the kernel as long as the storage keeps it, and no other begins until then.
 * Threading: main thread, except slow_commit(). ADR 66.
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
	int (*work)(void *arg, struct err *err);                   /* on the thread; 0 or -errno */
	void (*then)(void *arg, int r, const struct err *err);     /* on the main loop, once, after slow_run() returned -EINPROGRESS */
	void *arg;                                                 /* must live until slow_busy() is false, past the limit too */
	uint64_t limit_ns;                                         /* from slow_run(): then(-ETIMEDOUT) comes; UINT64_MAX: no limit */
};

struct slow *slow_new(struct loop *loop); /* NULL: out of memory */
void slow_free(struct slow *s);           /* takes NULL; not while busy */
/*
 * Run @job. Returns the work's own result if it ends within a moment; -EINPROGRESS: then() follows; -EBUSY: an earlier job still waits for
 * storage, this one was not begun. A work that fails with -EBUSY itself cannot be told from that.
 */
int slow_run(struct slow *s, const struct slow_job *job, struct err *err) _must_check_;
bool slow_busy(const struct slow *s); /* a job is under way, given up or not */
/*
 * For the work, before its first effect. True: the job will not be given up any more, and then() reports it however late. False: it was
 * given up already and must have no effect.
 */
bool slow_commit(struct slow *s);
/* Give up the job under way: then() does not come. False: it is committed, or there is none. */
bool slow_give_up(struct slow *s);

#endif
