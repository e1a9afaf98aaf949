/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The life of the domain: boot, ownership, stop and go, what follows its end. Main thread; see domain_int.h. */
#include "config.h"
#include "hypervisor/domcall_int.h"
#include "hypervisor/api/rundir.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "common/log.h"
#include "common/util.h"

#define QUICK_CRASHES_MAX  3
#define THROTTLE_PERIOD_NS (50 * NS_PER_MS)
#define BROKEN_TELL_NS     NS_PER_S
#define BOOT_WAIT_NS       (20 * NS_PER_MS)

static bool wait_for_disks(struct domain *d);

void domain_set_state(struct domain *d, enum hv_dom_state s, const char *text)
{
	struct hv_event ev = { .kind = HV_EV_STATE, .state = s, .at_ns = now_ns() };

	if (s == HV_DOM_RUNNING && !d->running_since_ns) {
		d->running_since_ns = now_ns();
		d->starved_ns = 0;
	}
	d->state = s;
	snprintf(ev.text, sizeof(ev.text), "%s", text);
	if (d->server)
		hvserver_event(d->server, &ev);
}

void domain_tell_ready(struct domain *d, const struct err *failed)
{
	char text[ERR_TEXT_MAX + 16];
	int n = failed ? snprintf(text, sizeof(text), "error: %s\n", failed->text)
	               : snprintf(text, sizeof(text), "ok\n");

	if (d->ready_fd < 0)
		return;
	if (write(d->ready_fd, text, (size_t)n) < 0)
		log_debug("nobody waits for the start");
	close(d->ready_fd);
	d->ready_fd = -1;
}

void domain_leave(struct domain *d)
{
	if (d->lock_fd >= 0)
		rundir_mark_ended(d->lock_fd); /* before the socket refuses: nobody takes it for dead */
	if (d->server)
		hvserver_close_door(d->server);
}

void domain_end(struct domain *d, int exit_code)
{
	d->exiting = true;
	domain_leave(d);
	loop_quit(d->loop, exit_code);
}

/* Ownership ----------------------------------------------------------------------------------------------------------- */

/* Lock the disks and become the owner in the leases. @must_be_named: the shared lease must say so already (a move). */
int domain_own_disks(struct domain *d, uint64_t *generation, bool must_be_named, struct err *err)
{
	struct lease_record rec;
	int r = devs_lock(d->devs, err);

	if (r < 0)
		return r;
	r = leases_read(&d->leases, &rec, err);
	if (!r && must_be_named && d->leases.shared && (rec.generation != *generation || strcmp(rec.owner, d->host)))
		r = err_set(err, EPERM, "the lease of '%s' names host '%s' with generation %lu, not us with %lu",
		            d->cfg->name, rec.owner, (unsigned long)rec.generation, (unsigned long)*generation);
	if (!r && !must_be_named) {
		if (!*generation)
			*generation = rec.generation + 1;
		else if (*generation <= rec.generation && rec.state != LEASE_NONE)
			r = err_set(err, ESTALE, "generation %lu of '%s' is not newer than the lease's %lu",
			            (unsigned long)*generation, d->cfg->name, (unsigned long)rec.generation);
	}
	if (!r) {
		rec = (struct lease_record){ .generation = *generation, .state = LEASE_RUNNING };
		snprintf(rec.owner, sizeof(rec.owner), "%s", d->host);
		r = leases_write(&d->leases, &rec, err);
	}
	if (r < 0)
		devs_unlock(d->devs);
	return r;
}

void domain_owned(struct domain *d, uint64_t generation)
{
	d->generation = generation;
	d->env.generation = generation;
	d->owner = true;
	devs_owned(d->devs);
}

int domain_own(struct domain *d, uint64_t generation, bool must_be_named, struct err *err)
{
	int r = domain_own_disks(d, &generation, must_be_named, err);

	if (!r)
		domain_owned(d, generation);
	return r;
}

/* Throttle ------------------------------------------------------------------------------------------------------------ */

static void on_throttle(void *arg)
{
	struct domain *d = arg;
	uint64_t hold = THROTTLE_PERIOD_NS / 100 * d->throttle_percent;

	if (!d->throttle_percent || d->state != HV_DOM_RUNNING || d->stopping.active) {
		if (d->throttle_percent)
			loop_timer_in(d->throttle_timer, THROTTLE_PERIOD_NS);
		return;
	}
	if (d->throttle_holds) {
		d->throttle_holds = false;
		if (d->ops->resume(d->vm, NULL) < 0)
			log_error("cannot let the guest run on");
		loop_timer_in(d->throttle_timer, THROTTLE_PERIOD_NS - hold);
	} else {
		d->throttle_holds = d->ops->suspend(d->vm, 200, NULL) == 0;
		loop_timer_in(d->throttle_timer, d->throttle_holds ? hold : THROTTLE_PERIOD_NS);
	}
}

void domain_throttle(struct domain *d, unsigned percent)
{
	if (!percent && d->throttle_percent)
		devs_beat_anew(d->devs); /* it had less than its share */
	d->throttle_percent = percent;
	if (!percent && d->throttle_holds) {
		d->throttle_holds = false;
		if (d->state == HV_DOM_RUNNING && !d->stopping.active && d->ops->resume(d->vm, NULL) < 0)
			log_error("cannot let the guest run on");
	}
	if (!d->throttle_timer)
		d->throttle_timer = loop_add_timer(d->loop, on_throttle, d);
	loop_timer_at(d->throttle_timer, percent ? now_ns() : UINT64_MAX);
}

void domain_logdirty_off(struct domain *d)
{
	if (d->logdirty_mode && d->vm)
		d->ops->logdirty_stop(d->vm);
	d->logdirty_mode = 0;
	d->logger = NULL;
}

static void on_announce(void *arg)
{
	static const unsigned wait_ms[] = { 100, 400, 1000, 2000, 4000, 8000, 15000 };
	struct domain *d = arg;

	if (d->state == HV_DOM_RUNNING)
		devs_announce(d->devs);
	if (d->announce_step < ARRAY_SIZE(wait_ms))
		loop_timer_in(d->announce_timer, wait_ms[d->announce_step++] * NS_PER_MS);
}

void domain_announce(struct domain *d)
{
	if (!d->announce_timer)
		d->announce_timer = loop_add_timer(d->loop, on_announce, d);
	d->announce_step = 0;
	if (d->announce_timer)
		on_announce(d);
}

/* Boot and end -------------------------------------------------------------------------------------------------------- */

int domain_boot(struct domain *d, struct err *err)
{
	struct lease_record rec;
	int r = 0;

	if (!d->owner) {
		r = leases_read(&d->leases, &rec, err);
		if (r < 0)
			return r;
		/* one that only this host sees may be old; who gives a generation knows better than it */
		if (rec.state == LEASE_RUNNING && strcmp(rec.owner, d->host) && !d->force &&
		    (d->leases.shared || !d->forced_generation))
			return err_set(
				err, EBUSY,
				"domain '%s' belongs to host '%s' (generation %lu): it runs there or that host died with it; start it "
				"there, or when that host is surely dead: vmctl start --force",
				d->cfg->name, rec.owner, (unsigned long)rec.generation);
		r = domain_own(d, d->forced_generation, false, err);
		if (!r)
			r = devs_flash_load(d->devs, err);
		if (r < 0)
			return r;
	}
	devs_set_mem(d->devs, NULL); /* before the old memory goes */
	r = dommem_new(d, err);
	if (!r)
		r = devs_resume(d->devs, false, err); /* the guest before may have ended while it stood still */
	if (r < 0)
		return r;
	d->quiesced = d->rebuilt = false;
	domain_set_state(d, HV_DOM_BOOTING, "booting");
	return d->ops->boot(d->vm, err);
}

/* @text, or, where the kernel killed one of the guest's processes for it since the last time, with that reason in @room. */
static const char *with_reason(struct domain *d, const char *text, char *room, size_t len)
{
	uint64_t n = cgroup_oom_kills(&d->cgroup);

	if (n <= d->oom_kills)
		return text;
	d->oom_kills = n;
	snprintf(room, len,
	         "the kernel killed it, since memory ran out (the limit of its control group, or this host): %.200s",
	         text);
	return room;
}

void domain_ready(void *arg, const struct err *failed)
{
	struct domain *d = arg;
	struct err e;

	if (!failed && devs_quiesce(d->devs, &e) < 0)
		failed = &e;
	if (failed) {
		char room[320];
		const char *text = with_reason(d, failed->text, room, sizeof(room));
		if (text == room) {
			(void)err_set(&e, failed->code, "%s", room);
			failed = &e;
		}
		log_error("%s", failed->text);
		domain_set_state(d, HV_DOM_CRASHED, failed->text);
		domain_tell_ready(d, failed);
		domain_end(d, 1);
		return;
	}
	d->quiesced = d->rebuilt = true;
	if (d->paused) {
		domain_set_state(d, HV_DOM_PAUSED, "paused");
	} else if (domain_go(d, &e) < 0) {
		domain_ready(d, &e);
		return;
	} else {
		domain_set_state(d, HV_DOM_RUNNING, "running");
	}
	domain_disk_watch(d);
	log_info("domain '%s' runs, generation %lu", d->cfg->name, (unsigned long)d->generation);
	domain_tell_ready(d, NULL);
}

void domain_tell(struct domain *d, enum hv_event_kind kind, enum hv_dom_state state, const char *text)
{
	struct hv_event ev = { .kind = kind, .state = state, .at_ns = now_ns() };

	snprintf(ev.text, sizeof(ev.text), "%s", text);
	hvserver_event(d->server, &ev);
}

static void on_disks_quiet(void *arg)
{
	struct domain *d = arg;
	struct err e;

	if (d->state != HV_DOM_BOOTING || d->exiting || wait_for_disks(d) || !domain_boot(d, &e))
		return;
	log_error("cannot restart domain '%s': %s", d->cfg->name, e.text);
	domain_set_state(d, HV_DOM_CRASHED, e.text);
	domain_end(d, 0);
}

/* What the guest of before had under way still uses its memory: it starts anew after that. False: nothing is. */
static bool wait_for_disks(struct domain *d)
{
	const char *name;
	uint64_t age;

	if (!devs_waits(d->devs, &name, &age))
		return false;
	if (!d->boot_timer)
		d->boot_timer = loop_add_timer(d->loop, on_disks_quiet, d);
	if (!d->boot_timer)
		return false;
	d->running_since_ns = 0;
	if (d->state != HV_DOM_BOOTING)
		domain_set_state(d, HV_DOM_BOOTING, "its disks first end what they have under way");
	loop_timer_in(d->boot_timer, BOOT_WAIT_NS);
	return true;
}

void domain_ended(struct domain *d, enum hv_event_kind kind, enum hv_dom_state state, enum dom_action act, bool quick,
                  const char *text)
{
	struct err e;

	domain_tell(d, kind, state, text);
	domain_logdirty_off(d);
	d->suspender = NULL;
	d->throttle_holds = false;
	d->disk_paused = d->watchdog_paused = false;
	(void)!domain_frozen(d, 0, NULL);
	domain_plug_ended(d);
	if (d->stopping.active) {
		d->stopping.was_running = false; /* nothing is there to go on */
		if (domain_stop_cancel(d) && d->quiesced && !devs_resume(d->devs, false, NULL))
			d->quiesced = false;
	}
	if (d->pend.active && (d->pend.op == HV_OP_SUSPEND || d->pend.op == HV_OP_PAUSE || d->pend.op == HV_OP_PARK)) {
		(void)err_set(&e, ECANCELED, "%s", text);
		domain_pend_done(d, -ECANCELED, &e);
	}
	if (d->state == HV_DOM_RELINQUISHED || d->state == HV_DOM_RESTORED || d->state == HV_DOM_INCOMING ||
	    !d->owner) {
		domain_end(d, 1); /* not ours to start again */
		return;
	}
	if (act == DOM_ACTION_RESTART) {
		d->reboots += kind == HV_EV_REBOOT;
		/* a guest that dies again and again at once must not spin the host */
		d->quick_crashes = quick ? d->quick_crashes + 1 : 0;
		if (d->quick_crashes >= QUICK_CRASHES_MAX) {
			log_error("domain '%s' crashed or hung %u times within %llu s of its start: not restarted",
			          d->cfg->name, d->quick_crashes, (unsigned long long)(QUICK_CRASH_NS / NS_PER_S));
		} else if (wait_for_disks(d)) {
			return;
		} else if (domain_boot(d, &e) < 0) {
			log_error("cannot restart domain '%s': %s", d->cfg->name, e.text);
		} else {
			d->running_since_ns = 0;
			return;
		}
	}
	domain_set_state(d, state, text);
	if (act != DOM_ACTION_PRESERVE)
		domain_end(d, 0);
}

void domain_exited(void *arg, enum hv_exit how, const char *text)
{
	struct domain *d = arg;
	char room[320];

	if (how == HV_EXIT_CRASH)
		text = with_reason(d, text, room, sizeof(room));
	log_info("domain '%s': %s", d->cfg->name, text);
	switch (how) {
	case HV_EXIT_POWEROFF:
		domain_ended(d, HV_EV_POWEROFF, HV_DOM_SHUTDOWN, d->cfg->on_poweroff, false, text);
		break;
	case HV_EXIT_REBOOT:
		domain_ended(d, HV_EV_REBOOT, HV_DOM_SHUTDOWN, d->cfg->on_reboot, false, text);
		break;
	case HV_EXIT_CRASH:
		domain_ended(d, HV_EV_CRASH, HV_DOM_CRASHED, d->cfg->on_crash,
		             now_ns() - d->running_since_ns < QUICK_CRASH_NS, text);
		break;
	}
}

/* Devices, agent --------------------------------------------------------------------------------------------------------- */

struct broken {
	struct domain *d;
	char name[16];
	char why[160];
};

static void on_broken(void *arg)
{
	struct broken *b = arg;
	struct hv_event ev = { .kind = HV_EV_DEVICE_BROKEN, .state = b->d->state, .at_ns = now_ns() };

	/* a guest that breaks and resets its devices in a circle must not fill the log */
	if (!b->d->broken_told_ns || ev.at_ns >= b->d->broken_told_ns + BROKEN_TELL_NS) {
		b->d->broken_told_ns = ev.at_ns;
		log_warn("device %s of domain '%s' is off: %s", b->name, b->d->cfg->name, b->why);
	}
	snprintf(ev.text, sizeof(ev.text), "%s: %s", b->name, b->why);
	hvserver_event(b->d->server, &ev);
	free(b);
}

void domain_broken(void *arg, const char *dev_name, const char *why)
{
	struct broken *b = calloc(1, sizeof(*b)); /* on the io thread: only a post */

	if (!b)
		return;
	b->d = arg;
	snprintf(b->name, sizeof(b->name), "%s", dev_name);
	snprintf(b->why, sizeof(b->why), "%s", why);
	if (loop_post(b->d->loop, on_broken, b) < 0)
		free(b);
}

/* One order to the guest's agent on its own console (docs/wire/agent.md). 0, or -errno with the text. */
int domain_agent_say(struct domain *d, const char *line, struct err *err)
{
	_cleanup_close_ int fd = devs_console(d->devs, devs_agent_console(d->cfg), true, err);

	if (fd < 0)
		return fd;
	if (send(fd, line, strlen(line), MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)strlen(line))
		return err_sys(err, errno, "cannot reach the guest's agent");
	/* closing lets the device deliver what it has read; it reads before it looks at the hang-up */
	return 0;
}
