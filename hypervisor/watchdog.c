/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest's watchdog: its agent let a heartbeat pass (docs/wire/agent.md), or its watchdog device ran out (ADR 84). Time in which the guest wanted a processor and had none is
 * not its silence: from the middle of a silence on it is measured, and given back. What it and its devices were last at goes into the log.
 * Main thread, but for domain_quiet() and domain_silent(), which only post. ADR 10.
 */
#include "config.h"
#include "hypervisor/domain_int.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "common/log.h"
#include "common/util.h"

#define TELL_NS (10 * NS_PER_S)

/* What it had and what it waited for since the middle of the silence, or since this was asked last. */
struct had {
	uint64_t time_ns, cpu_ns, waited_ns;
	struct hv_look now;
};

static uint64_t grown(uint64_t now, uint64_t before)
{
	return now > before ? now - before : 0; /* processes that ended take theirs along */
}

static struct had look(struct domain *d)
{
	uint64_t now = now_ns();
	struct had h = { .time_ns = d->look_ns ? now - d->look_ns : 0 };

	d->ops->look(d->vm, &h.now);
	h.cpu_ns = grown(h.now.cpu_ns, d->look.cpu_ns);
	h.waited_ns = grown(h.now.waited_ns, d->look.waited_ns);
	/* a wait counts there when it is over: this one began before, or there would be more of the rest */
	if (h.now.runnable && h.cpu_ns + h.waited_ns < h.time_ns)
		h.waited_ns = h.time_ns - h.cpu_ns;
	if (h.waited_ns > h.time_ns)
		h.waited_ns = h.time_ns;
	d->look = h.now;
	d->look_ns = now;
	return h;
}

static void on_quiet(void *arg)
{
	struct domain *d = arg;

	if (!d->exiting && d->state == HV_DOM_RUNNING)
		(void)look(d);
}

void domain_quiet(void *arg)
{
	struct domain *d = arg; /* on the io thread: only a post. Without memory for it nothing is given back */

	(void)!loop_post(d->loop, on_quiet, d);
}

/* False: it did not want for a processor. */
static bool starved(struct domain *d, const struct had *h, unsigned period_s)
{
	uint64_t now = now_ns();

	if (h->waited_ns < period_s * NS_PER_S / 8)
		return false;
	devs_beat_give_back(d->devs, h->waited_ns);
	d->starved_ns += h->waited_ns;
	if (!d->starved_told_ns || now >= d->starved_told_ns + TELL_NS) {
		d->starved_told_ns = now;
		log_warn(
			"domain '%s': its agent is silent, but of the last %.1f s the guest waited %.1f s for a processor, which does not count",
			d->cfg->name, (double)h->time_ns / 1e9, (double)h->waited_ns / 1e9);
	}
	return true;
}

static void say_all(struct domain *d, const struct had *h)
{
	char text[DEVS_LOOK_MAX], *save = NULL;

	log_warn(
		"it goes since %.1f s (%s); %s; of the last %.1f s it had a processor for %.2f s and waited for one for %.2f s",
		(double)(now_ns() - d->went_ns) / 1e9, d->went_how ? d->went_how : "?", h->now.text,
		(double)h->time_ns / 1e9, (double)h->cpu_ns / 1e9, (double)h->waited_ns / 1e9);
	devs_look(d->devs, text, sizeof(text));
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		log_warn("%s", line);
}

static void watchdog_paused(struct domain *d, int r, struct err *err)
{
	if (r < 0) {
		log_error("cannot pause domain '%s': %s", d->cfg->name, err->text);
		domain_tell(d, HV_EV_WATCHDOG, d->state, d->watchdog_text);
		devs_beat_anew(d->devs); /* and try again */
		return;
	}
	d->paused = d->watchdog_paused = true;
	domain_tell(d, HV_EV_WATCHDOG, HV_DOM_PAUSED, d->watchdog_text);
	domain_set_state(d, HV_DOM_PAUSED, d->watchdog_text);
}

static void watchdog_pause(struct domain *d)
{
	struct err e;
	int r = domain_stop(d, 0, watchdog_paused, &e);

	if (r != -EINPROGRESS)
		watchdog_paused(d, r, &e);
}

static void press_button(struct domain *d)
{
	struct err e;

	domain_tell(d, HV_EV_WATCHDOG, d->state, d->watchdog_text);
	if (d->ops->powerdown(d->vm, &e) < 0)
		log_error("cannot shut domain '%s' down: %s", d->cfg->name, e.text);
}

/* @quick: so soon after its start that a few in a row are restarted, no more. */
static void act(struct domain *d, bool quick)
{
	switch (d->cfg->watchdog) {
	case DOM_WATCHDOG_NMI: /* the engine has injected it */
	case DOM_WATCHDOG_NONE:
		domain_tell(d, HV_EV_WATCHDOG, d->state, d->watchdog_text);
		break;
	case DOM_WATCHDOG_SHUTDOWN:
		press_button(d);
		break;
	case DOM_WATCHDOG_PAUSE:
		watchdog_pause(d);
		break;
	case DOM_WATCHDOG_POWEROFF:
		d->ops->kill(d->vm);
		domain_ended(d, HV_EV_WATCHDOG, HV_DOM_CRASHED, DOM_ACTION_DESTROY, false, d->watchdog_text);
		break;
	case DOM_WATCHDOG_RESET:
		d->ops->kill(d->vm);
		domain_ended(d, HV_EV_WATCHDOG, HV_DOM_CRASHED, DOM_ACTION_RESTART, quick, d->watchdog_text);
		break;
	}
}

void domain_watchdog(void *arg)
{
	struct domain *d = arg;

	if (d->exiting || d->state != HV_DOM_RUNNING || d->stopping.active)
		return;
	struct had h = look(d);
	d->watchdog_count++;
	snprintf(d->watchdog_text, sizeof(d->watchdog_text), "the guest hangs: its watchdog device ran out (watchdog)");
	log_warn("domain '%s': %s", d->cfg->name, d->watchdog_text);
	say_all(d, &h);
	act(d, now_ns() - d->running_since_ns < QUICK_CRASH_NS);
}

static void on_silent(void *arg)
{
	struct domain *d = arg;
	unsigned period_s = devs_beat(d->devs);

	/* it was stopped or slowed down by us in the meantime, takes its heartbeat back, or spoke before we came to this */
	if (!period_s || d->exiting || d->state != HV_DOM_RUNNING || d->stopping.active || d->throttle_percent ||
	    !devs_silent(d->devs)) {
		devs_beat_anew(d->devs);
		return;
	}
	struct had h = look(d);
	if (starved(d, &h, period_s))
		return;
	d->watchdog_count++;
	snprintf(d->watchdog_text, sizeof(d->watchdog_text),
	         "the guest hangs: its agent was silent for %u s (watchdog)", period_s);
	log_warn("domain '%s': %s", d->cfg->name, d->watchdog_text);
	say_all(d, &h);
	act(d, now_ns() - d->running_since_ns < period_s * NS_PER_S + d->starved_ns + QUICK_CRASH_NS);
}

void domain_silent(void *arg)
{
	struct domain *d = arg; /* on the io thread: only a post */

	if (loop_post(d->loop, on_silent, d) < 0)
		log_error("out of memory: the watchdog of domain '%s' does nothing", d->cfg->name);
}
