/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hypercalls that move ownership or end the domain: they write leases and lock disks, so what they do with files is a job of slow.c's, and
 * what they do with the domain follows on the main thread when that is over. A job that writes commits itself first: from then on it is
 * waited for without limit, because only the storage knows who owns the domain.
 */
#include "config.h"
#include "hypervisor/domcall_int.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "common/log.h"
#include "common/util.h"

#define DESTROY_NS (4 * NS_PER_S) /* before clusterd takes to SIGKILL */

static void on_destroy(void *arg)
{
	domain_end(arg, 0);
}

static void end_after_reply(struct domain *d, enum hv_dom_state state, const char *text)
{
	domain_set_state(d, state, text);
	d->exiting = true; /* no further orders */
	domain_leave(d);
	d->destroy_timer = loop_add_timer(d->loop, on_destroy, d);
	loop_timer_in(d->destroy_timer, NS_PER_MS);
}

static bool owner_ok(const struct hv_owner *o)
{
	return memchr(o->owner, 0, sizeof(o->owner)) && (!o->owner[0] || name_is_valid(o->owner));
}

/* A job that was given up may still read and write d->pend: nothing in it changes until that has ended. */
static int still_busy(struct domain *d, struct err *err)
{
	return slow_busy(d->slow) ? domain_waits_err(d, EBUSY, "the storage has not answered an earlier order yet", err)
	                          : 0;
}

/* Relinquish ---------------------------------------------------------------------------------------------------------- */

static int relinquish_work(void *arg, struct err *err)
{
	struct domain *d = arg;
	struct lease_record rec = { .generation = d->pend.owner.generation, .state = LEASE_RUNNING }, now;
	int r = devs_sync(d->devs, err);

	if (r < 0)
		return r;
	if (!slow_commit(d->slow))
		return -ECANCELED;
	snprintf(rec.owner, sizeof(rec.owner), "%s", d->pend.owner.owner);
	/* from here on it is not ours, whatever becomes of the write: only a lease that says so brings it back */
	d->pend.relinquished = true;
	r = leases_write(&d->leases, &rec, err);
	if (r && leases_read(&d->leases, &now, NULL) == 0 && now.generation == d->generation) {
		d->pend.relinquished = false; /* nothing was written */
		return r;
	}
	devs_unlock(d->devs);
	return r;
}

static int relinquish_done(struct domain *d, int r, struct err *err)
{
	(void)err;
	if (!d->pend.relinquished) {
		d->owner = true;
		return r;
	}
	d->suspender = NULL;
	d->generation = d->pend.owner.generation;
	domain_set_state(d, HV_DOM_RELINQUISHED, d->pend.owner.owner);
	return r;
}

int call_relinquish(struct call *c, struct err *err)
{
	struct domain *d = c->d;
	const struct hv_owner *o = c->req;
	int r = 0;

	if (d->suspender != c->conn)
		r = err_set(err, EPERM, "the domain was suspended by another session");
	if (!r && (!owner_ok(o) || !o->owner[0] || o->generation <= d->generation))
		r = err_set(err, EINVAL, "a new owner needs a name and a generation above %lu",
		            (unsigned long)d->generation);
	if (!r)
		r = still_busy(d, err);
	if (r < 0)
		return r;
	d->pend.owner = *o;
	d->pend.relinquished = false;
	d->owner = false; /* a signal meanwhile must not write a lease beside it */
	return domain_job(d, relinquish_work, relinquish_done, STORAGE_NS, err);
}

/* Reclaim, take ------------------------------------------------------------------------------------------------------- */

static int own_work(void *arg, struct err *err)
{
	struct domain *d = arg;

	if (!slow_commit(d->slow))
		return -ECANCELED;
	return domain_own_disks(d, &d->pend.owner.generation, d->pend.named, err);
}

static int own_done(struct domain *d, int r, struct err *err)
{
	const char *how = d->state == HV_DOM_RELINQUISHED ? "taken back" : "taken over";
	(void)err;

	if (r < 0)
		return r;
	domain_owned(d, d->pend.owner.generation);
	d->importer = NULL;
	d->suspender = d->pend.conn;
	snprintf(d->pend.owner.owner, sizeof(d->pend.owner.owner), "%s", d->host);
	domain_set_state(d, HV_DOM_SUSPENDED, how);
	return 0;
}

static int own(struct call *c, bool named, struct err *err)
{
	struct pending *p = &c->d->pend;
	int r = still_busy(c->d, err);

	if (r < 0)
		return r;
	p->owner = *(const struct hv_owner *)c->req;
	p->named = named;
	p->conn = c->conn;
	return domain_job(c->d, own_work, own_done, UINT64_MAX, err);
}

int call_reclaim(struct call *c, struct err *err)
{
	struct domain *d = c->d;
	const struct hv_owner *o = c->req;

	if (!owner_ok(o) || o->generation <= d->generation)
		return err_set(err, EINVAL, "taking back needs a generation above %lu", (unsigned long)d->generation);
	return own(c, false, err);
}

int call_take(struct call *c, struct err *err)
{
	struct domain *d = c->d;
	const struct hv_owner *o = c->req;

	if (!owner_ok(o) || (o->owner[0] && strcmp(o->owner, d->host)))
		return err_set(err, EINVAL, "this host is '%s', not '%.63s'", d->host, o->owner);
	int r = own(c, o->generation != 0, err);
	if (!r)
		*REP(c, struct hv_owner) = d->pend.owner;
	return r;
}

/* Park, unpark -------------------------------------------------------------------------------------------------------- */

int call_park(struct call *c, struct err *err)
{
	const struct hv_park_req *q = c->req;

	return domain_park(c->d, q->lease_ns, err);
}

int call_unpark(struct call *c, struct err *err)
{
	const struct hv_park_req *q = c->req;

	return domain_unpark(c->d, q->lease_ns, err);
}

void domain_cannot_run(struct domain *d, const char *why)
{
	log_error("domain '%s' can never run again here: %s", d->cfg->name, why);
	d->ops->kill(d->vm);
	end_after_reply(d, HV_DOM_CRASHED, why);
}

/* Lease, destroy ------------------------------------------------------------------------------------------------------ */

static int lease_work(void *arg, struct err *err)
{
	struct domain *d = arg;
	struct lease_record rec;
	int r = leases_read(&d->leases, &rec, err);

	if (r < 0)
		return r;
	if (!slow_commit(d->slow))
		return -ECANCELED;
	d->pend.owner.generation = rec.generation;
	snprintf(d->pend.owner.owner, sizeof(d->pend.owner.owner), "%s", rec.owner);
	return 0;
}

static int lease_done(struct domain *d, int r, struct err *err)
{
	(void)d, (void)err;
	return r;
}

int call_lease(struct call *c, struct err *err)
{
	int r = domain_job(c->d, lease_work, lease_done, STORAGE_NS, err);

	if (!r)
		*REP(c, struct hv_owner) = c->d->pend.owner;
	return r;
}

static int destroy_work(void *arg, struct err *err)
{
	struct domain *d = arg;
	uint32_t flags = d->pend.destroy_flags;
	struct lease_record rec = { .generation = d->generation,
		                    .state = flags & HV_DESTROY_F_SAVED ? LEASE_SAVED : LEASE_STOPPED };
	struct err lost;
	int r = 0;

	snprintf(rec.owner, sizeof(rec.owner), "%s", d->host);
	if (devs_flash_sync(d->devs, &lost) < 0)
		log_error("domain '%s': %s", d->cfg->name, lost.text);
	if (!(flags & HV_DESTROY_F_MOVED)) {
		/* as after a power cut, what fails here was not flushed */
		(void)!devs_settle(d->devs, SETTLE_NS, NULL);
		r = leases_write(&d->leases, &rec, err);
	}
	devs_unlock(d->devs);
	return r;
}

static int destroy_done(struct domain *d, int r, struct err *err)
{
	if (r < 0)
		log_error("domain '%s' ends, and its lease still says that it runs: %s", d->cfg->name, err->text);
	end_after_reply(d, HV_DOM_SHUTDOWN, "destroyed");
	return 0;
}

int call_destroy(struct call *c, struct err *err)
{
	struct domain *d = c->d;
	const struct hv_destroy_req *q = c->req;

	if ((q->flags & HV_DESTROY_F_MOVED) && d->state == HV_DOM_RELINQUISHED)
		devs_hand_over(d->devs);
	if (d->vm)
		d->ops->kill(d->vm);
	bool write = d->owner && !slow_busy(d->slow);
	d->exiting = true;
	if (!write)
		return destroy_done(d, 0, err);
	d->owner = false;
	d->pend.destroy_flags = q->flags;
	return domain_job(d, destroy_work, destroy_done, DESTROY_NS, err);
}
