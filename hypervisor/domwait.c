/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hypercalls that may have to wait, for storage or for the domain to stand still: each has a function that finishes it, called at once or
 * when the wait is over. Main thread.
 */
#include "config.h"
#include "hypervisor/domcall_int.h"

#include <errno.h>

int domain_pend(struct domain *d, int r, pend_fn *done, struct err *err)
{
	if (r != -EINPROGRESS)
		return done(d, r, err);
	d->pend.done = done;
	return r;
}

void domain_pend_over(struct domain *d, int r, struct err *err)
{
	domain_pend_done(d, d->pend.done(d, r, err), err);
}

static void on_job(void *arg, int r, const struct err *err)
{
	struct domain *d = arg;
	struct err e = *err;

	if (r == -ETIMEDOUT)
		r = domain_waits_err(d, ETIMEDOUT, NULL, &e);
	domain_pend_over(d, r, &e);
}

int domain_job(struct domain *d, int (*work)(void *arg, struct err *err), pend_fn *done, uint64_t limit_ns,
               struct err *err)
{
	struct slow_job job = { .work = work, .then = on_job, .arg = d, .limit_ns = limit_ns };
	int r = slow_run(d->slow, &job, err);

	if (r == -EBUSY)
		r = domain_waits_err(d, EBUSY, NULL, err);
	return domain_pend(d, r, done, err);
}
