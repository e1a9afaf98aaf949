/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stop and go: the guest first, then its devices. What a disk has under way is waited for beside the main loop and within a limit, after
 * which the guest goes on. And a disk that failed: the domain stands still until it can go on (hospes-domain(5), error_policy).
 * Main thread, but for domain_disk_error() and domain_disk_room(), which only post. ADR 65, 66.
 */
#include "config.h"
#include "hypervisor/domain_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/log.h"
#include "common/util.h"

#define FREEZE_LIMIT_MS 3000
#define IN_PLACE_NS     (300 * NS_PER_MS) /* a stop that is soon done is done at once */
#define RETRY_NS        NS_PER_S
#define TELL_NS         (10 * NS_PER_S) /* errors that the guest is told of: people hear of them so often */

/* Stop and go --------------------------------------------------------------------------------------------------------- */

int domain_waits_err(const struct domain *d, int code, const char *other, struct err *err)
{
	const char *name;
	uint64_t age;

	if (devs_waits(d->devs, &name, &age) && age >= NS_PER_S)
		return err_set(err, code, "disk %s has not answered for %.0f s", name, (double)age / 1e9);
	if (other)
		return err_set(err, code, "%s", other);
	if (err)
		err->code = code;
	return -code;
}

void domain_stuck(struct domain *d, const struct err *why)
{
	snprintf(d->stuck, sizeof(d->stuck), "it cannot go on: %.90s", why->text);
	log_error("domain '%s' is paused: %s; vmctl resume tries again", d->cfg->name, d->stuck);
	d->paused = true;
	domain_set_state(d, HV_DOM_PAUSED, d->stuck);
}

/* The devices and the guest as they were before the stop. */
static void undo(struct domain *d)
{
	struct err e;
	int r = 0;

	d->stopping.active = false;
	if (!d->stopping.was_running)
		return;
	if (d->quiesced)
		r = devs_resume(d->devs, false, &e);
	d->quiesced = d->quiesced && r;
	if (!r)
		r = d->ops->resume(d->vm, &e);
	if (r < 0)
		domain_stuck(d, &e);
}

static int work(void *arg, struct err *err)
{
	struct domain *d = arg;
	int r = devs_quiesced(d->devs, STORAGE_NS, err);

	if (!r && d->stopping.sync)
		r = devs_sync(d->devs, err);
	if (!r && d->stopping.unlock) {
		if (!slow_commit(d->slow))
			return -ECANCELED;
		devs_unlock(d->devs);
	}
	return r;
}

static void worked(void *arg, int r, const struct err *err)
{
	struct domain *d = arg;
	struct err e = *err;

	if (r == -ETIMEDOUT)
		r = domain_waits_err(d, ETIMEDOUT, NULL, &e);
	if (r < 0)
		undo(d);
	d->stopping.active = false;
	d->stopping.took = (struct hv_suspend_rep){ .quiesce_ns = now_ns() - d->stopping.begun_ns };
	d->stopping.then(d, r, &e);
}

int domain_stop(struct domain *d, unsigned flags, void (*then)(struct domain *d, int r, struct err *err),
                struct err *err)
{
	struct slow_job job = { .work = work, .then = worked, .arg = d, .limit_ns = STORAGE_NS };
	const char *name;
	uint64_t t0 = now_ns(), age;

	/* nothing is known of it that would change while we wait: so much the better for a guest that need not stand still for it */
	if (devs_waits(d->devs, &name, &age) && age >= STORAGE_NS)
		return domain_waits_err(d, ETIMEDOUT, "", err);
	d->stopping = (struct domain_stop){ .was_running = d->state == HV_DOM_RUNNING,
		                            .sync = flags & STOP_SYNC,
		                            .unlock = flags & STOP_UNLOCK,
		                            .begun_ns = t0,
		                            .then = then };
	if (d->stopping.was_running) {
		d->throttle_holds = false; /* frozen already: the duty cycle hands it over as it is */
		int r = d->ops->suspend(d->vm, FREEZE_LIMIT_MS, err);
		if (r < 0) {
			devs_beat_anew(d->devs); /* we held it up, and the devices do not know */
			return r;
		}
	}
	uint64_t t1 = now_ns();
	int r = devs_quiesce_begin(d->devs, err);
	if (r < 0) { /* its thread itself waits for a disk */
		undo(d);
		return r == -ETIMEDOUT ? domain_waits_err(d, ETIMEDOUT, "the devices have not answered", err) : r;
	}
	d->quiesced = true;
	r = devs_quiesced(d->devs, IN_PLACE_NS, NULL);
	if (r == -ETIMEDOUT || (!r && flags)) {
		d->stopping.active = true;
		r = slow_run(d->slow, &job, err);
	}
	if (r == -EINPROGRESS)
		return r;
	d->stopping.active = false;
	if (r < 0)
		undo(d);
	else
		d->stopping.took = (struct hv_suspend_rep){ .freeze_ns = t1 - t0, .quiesce_ns = now_ns() - t1 };
	return r;
}

bool domain_stop_cancel(struct domain *d)
{
	if (!d->stopping.active || !slow_give_up(d->slow))
		return false;
	undo(d);
	return true;
}

int domain_go(struct domain *d, struct err *err)
{
	bool fresh = d->quiesced && d->rebuilt;
	int r = 0;

	if (d->quiesced) {
		r = devs_resume(d->devs, d->rebuilt, err);
		d->quiesced = d->rebuilt = false;
	}
	if (!r)
		r = d->ops->resume(d->vm, err);
	if (!r) {
		d->went_ns = now_ns();
		d->went_how = fresh ? "built anew" : "resumed";
		d->disk_paused = d->watchdog_paused = false;
		d->stuck[0] = 0;
		domain_disk_watch(d);
	}
	return r;
}

/* Disks that fail ----------------------------------------------------------------------------------------------------- */

static void disk_paused(struct domain *d, int r, struct err *err)
{
	if (r < 0) {
		log_warn("domain '%s' cannot stand still for it: %s", d->cfg->name, err->text);
		return; /* the timer tries again; the requests are held back anyway */
	}
	d->disk_paused = true;
	log_warn("domain '%s' is paused: %s", d->cfg->name, d->disk_text);
	domain_tell(d, HV_EV_DISK_ERROR, HV_DOM_PAUSED, d->disk_text);
	domain_set_state(d, HV_DOM_PAUSED, d->disk_text);
}

static void disk_pause(struct domain *d)
{
	struct err e;

	if (d->state != HV_DOM_RUNNING || d->stopping.active || d->pend.active || d->exiting)
		return;
	int r = domain_stop(d, 0, disk_paused, &e);
	if (r != -EINPROGRESS)
		disk_paused(d, r, &e);
}

static void disk_go(struct domain *d)
{
	struct err e;

	if (d->state != HV_DOM_PAUSED || !d->disk_paused || d->pend.active || d->exiting)
		return;
	if (d->paused) { /* by somebody's order, too: he lets it go on */
		d->disk_paused = false;
		return;
	}
	if (domain_go(d, &e) < 0) {
		log_error("cannot let domain '%s' go on: %s", d->cfg->name, e.text);
		return;
	}
	domain_set_state(d, HV_DOM_RUNNING, "its disk can be written again");
	log_info("domain '%s' goes on: its disk can be written again", d->cfg->name);
	domain_announce(d);
}

static void on_disk_timer(void *arg)
{
	struct domain *d = arg;
	const char *name;
	int code;
	bool held = devs_held(d->devs, &name, &code);

	if (!held && !d->disk_paused)
		return;
	loop_timer_in(d->disk_timer, RETRY_NS);
	if (d->pend.active || d->stopping.active || d->exiting)
		return;
	if (d->state == HV_DOM_RUNNING)
		disk_pause(d);
	else if (!held)
		disk_go(d);
	else if ((d->state == HV_DOM_PAUSED && d->disk_paused) || d->state == HV_DOM_BOOTING)
		devs_retry(d->devs);
}

void domain_disk_watch(struct domain *d)
{
	const char *name;
	int code;

	if (!devs_held(d->devs, &name, &code))
		return;
	snprintf(d->disk_text, sizeof(d->disk_text), "disk %s: %s", name, strerror(code));
	if (!d->disk_timer)
		d->disk_timer = loop_add_timer(d->loop, on_disk_timer, d);
	if (d->disk_timer)
		loop_timer_in(d->disk_timer, 0);
}

struct disk_error {
	struct domain *d;
	char name[16];
	int code;
	bool read, held;
};

static void on_disk_error(void *arg)
{
	struct disk_error *x = arg;
	struct domain *d = x->d;
	uint64_t now = now_ns();
	char text[160];

	if (x->held) {
		domain_disk_watch(d);
	} else if (!d->disk_told_ns || now >= d->disk_told_ns + TELL_NS) {
		d->disk_told_ns = now;
		snprintf(text, sizeof(text), "disk %s: cannot %s: %s (the guest goes on)", x->name,
		         x->read ? "read" : "write", strerror(x->code));
		log_warn("domain '%s': %s", d->cfg->name, text);
		domain_tell(d, HV_EV_DISK_ERROR, d->state, text);
	}
	free(x);
}

void domain_disk_error(void *arg, const char *dev_name, int code, bool read, bool held)
{
	struct disk_error *x = calloc(1, sizeof(*x));

	if (!x)
		return;
	*x = (struct disk_error){ .d = arg, .code = code, .read = read, .held = held };
	snprintf(x->name, sizeof(x->name), "%s", dev_name);
	if (loop_post(x->d->loop, on_disk_error, x) < 0)
		free(x);
}

static void on_disk_room(void *arg)
{
	disk_go(arg);
}

void domain_disk_room(void *arg)
{
	struct domain *d = arg;

	/* without memory for it, the timer sees it */
	(void)!loop_post(d->loop, on_disk_room, d);
}
