/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest whose own agent froze its file systems, for a snapshot of its disks. Who has that done tells hvdom first, and hvdom has them thawed
 * when the time is over, whoever died meanwhile. It asks without listening: the port's client reads answers. Main thread.
 */
#include "config.h"
#include "hypervisor/domain_int.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include "common/log.h"
#include "common/util.h"

#define SECONDS_MAX 600u
#define AGAIN_NS    NS_PER_S
/* 0xff ends what a client that died left half said */
#define THAW        "\xff{\"execute\":\"guest-fsfreeze-thaw\"}\n"

static int say_thaw(struct domain *d, struct err *err)
{
	_cleanup_close_ int fd = devs_console(d->devs, DEVS_AGENT_PORT(d->cfg), true, err);

	if (fd < 0)
		return fd;
	if (send(fd, THAW, strlen(THAW), MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)strlen(THAW))
		return err_sys(err, errno, "cannot reach the guest's own agent");
	return 0;
}

static void on_time(void *arg)
{
	struct domain *d = arg;
	struct err e;

	/* a guest that stands still cannot hear it: when it goes on */
	if (d->state == HV_DOM_RUNNING && say_thaw(d, &e) == 0) {
		log_warn(
			"domain '%s': its file systems were frozen for longer than was said; its agent is asked to thaw them",
			d->cfg->name);
		d->thaw_at_ns = 0;
		return;
	}
	loop_timer_in(d->thaw_timer, AGAIN_NS);
}

int domain_frozen(struct domain *d, uint32_t seconds, struct err *err)
{
	if (seconds > SECONDS_MAX)
		return err_set(err, EINVAL, "file systems may be frozen for %u s at most", SECONDS_MAX);
	if (!seconds) {
		if (d->thaw_timer)
			loop_timer_at(d->thaw_timer, UINT64_MAX);
		d->thaw_at_ns = 0;
		return 0;
	}
	if (!d->cfg->guest_agent)
		return err_set(err, ENOENT, "domain '%s' has no channel org.qemu.guest_agent.0", d->cfg->name);
	if (d->state != HV_DOM_RUNNING || d->logdirty_mode)
		return err_set(err, EBUSY, "domain '%s' %s: its file systems stay as they are", d->cfg->name,
		               d->logdirty_mode ? "is being migrated" : "does not run");
	if (!d->thaw_timer)
		d->thaw_timer = loop_add_timer(d->loop, on_time, d);
	if (!d->thaw_timer)
		return err_set(err, ENOMEM, "out of memory");
	d->thaw_at_ns = now_ns() + seconds * NS_PER_S;
	loop_timer_at(d->thaw_timer, d->thaw_at_ns);
	return 0;
}

uint32_t domain_frozen_s(const struct domain *d)
{
	uint64_t now = now_ns();

	if (!d->thaw_at_ns)
		return 0;
	return now >= d->thaw_at_ns ? 1 : (uint32_t)((d->thaw_at_ns - now + NS_PER_S - 1) / NS_PER_S);
}

int domain_not_frozen(const struct domain *d, struct err *err)
{
	if (!d->thaw_at_ns)
		return 0;
	return err_set(err, EBUSY,
	               "the file systems of domain '%s' are frozen for at most %u s more; vmctl domfsthaw %s",
	               d->cfg->name, domain_frozen_s(d), d->cfg->name);
}
