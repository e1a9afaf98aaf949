/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is asked of single kinds of devices: locks and stable storage of disks, announcements of NICs, consoles, heartbeat, balloon, statistics. */
#include "config.h"
#include "hypervisor/dev/blkdisk_int.h"
#include "hypervisor/dev/flash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static int do_unlock(struct devs *d, void *arg, struct err *err)
{
	(void)arg, (void)err;
	for (size_t i = 0; i < d->n; i++)
		if (d->v[i]->ops->storage)
			d->v[i]->ops->storage->unlock(d->v[i]);
	return 0;
}

static int do_lock(struct devs *d, void *arg, struct err *err)
{
	for (size_t i = 0; i < d->n; i++) {
		int r = d->v[i]->ops->storage ? d->v[i]->ops->storage->lock(d->v[i], err) : 0;
		if (r < 0) {
			do_unlock(d, arg, NULL);
			return r;
		}
	}
	return 0;
}

int devs_lock(struct devs *d, struct err *err)
{
	int r = do_lock(d, NULL, err); /* on the caller's thread: it may wait for a file server */

	if (!r && d->flash) {
		r = flash_lock(d->flash, err);
		if (r < 0)
			do_unlock(d, NULL, NULL);
	}
	return r;
}

void devs_unlock(struct devs *d)
{
	if (d->flash)
		flash_unlock(d->flash);
	(void)do_unlock(d, NULL, NULL);
}

uint64_t devs_disk_sectors(const struct devs *d, size_t i)
{
	return i < d->n && d->v[i]->ops->storage ? ((const struct blkdisk *)d->v[i])->sectors : 0;
}

void devs_writeback(struct devs *d)
{
	for (size_t i = 0; i < d->n; i++)
		if (d->v[i]->ops->storage)
			d->v[i]->ops->storage->writeback(d->v[i]);
}

int devs_sync(struct devs *d, struct err *err)
{
	/* on the caller's thread: a slow disk must not hold up the network */
	for (size_t i = 0; i < d->n; i++) {
		int r = d->v[i]->ops->storage ? d->v[i]->ops->storage->sync(d->v[i], err) : 0;
		if (r < 0)
			return r;
	}
	return devs_flash_sync(d, err);
}

/* Disks that grow ------------------------------------------------------------------------------------------------------- */

static struct vdev *disk_of(const struct devs *d, const char *name)
{
	for (size_t i = 0; i < d->n; i++)
		if (d->v[i]->ops->storage && !strcmp(d->v[i]->name, name))
			return d->v[i];
	return NULL;
}

int devs_grow(struct devs *d, const char *name, uint64_t bytes, struct err *err)
{
	struct vdev *v = disk_of(d, name);

	return v ? v->ops->storage->grow(v, bytes, err)
	         : err_set(err, ENOENT, "domain '%s' has no disk %s", d->cfg->name, name);
}

static int do_grown(struct devs *d, void *arg, struct err *err)
{
	struct vdev *v = disk_of(d, arg);
	(void)err;

	if (v)
		v->ops->storage->grown(v);
	return 0;
}

int devs_grown(struct devs *d, const char *name, struct err *err)
{
	return devs_call(d, do_grown, (void *)(uintptr_t)name, err);
}

/* The firmware's variables ---------------------------------------------------------------------------------------------- */

static void on_flash_failed(void *arg, int code)
{
	struct devs *d = arg;

	if (d->ev.disk_error)
		d->ev.disk_error(d->ev.arg, "nvram", code, false, false);
}

int devs_flash(struct devs *d, const struct devs_flash_cfg *cfg, struct err *err)
{
	return flash_new(cfg, d->ev.deadline, on_flash_failed, d, &d->flash, err);
}

int devs_flash_fd(const struct devs *d)
{
	return d->flash ? flash_fd(d->flash) : -1;
}

int devs_flash_load(struct devs *d, struct err *err)
{
	return d->flash ? flash_load(d->flash, err) : 0;
}

void devs_flash_runs(struct devs *d)
{
	if (d->flash)
		flash_runs(d->flash);
}

int devs_flash_sync(struct devs *d, struct err *err)
{
	return d->flash ? flash_sync(d->flash, err) : 0;
}

void devs_owned(struct devs *d)
{
	if (d->flash)
		flash_owned(d->flash);
}

int devs_settle(struct devs *d, uint64_t limit_ns, struct err *err)
{
	bool dirty = false;

	for (size_t i = 0; i < d->n; i++)
		dirty |= d->v[i]->ops->storage && d->v[i]->ops->storage->dirty(d->v[i]);
	if (!dirty)
		return 0;
	int r = devs_quiesce_begin(d, err);
	if (!r)
		r = devs_quiesced(d, limit_ns, err);
	return r < 0 ? r : devs_sync(d, err);
}

static int do_net(struct devs *d, void *arg, struct err *err)
{
	const bool *hand_over = arg;
	(void)err;

	for (size_t i = 0; i < d->n; i++) {
		const struct vdev_net_ops *net = d->v[i]->ops->net;
		if (net)
			(*hand_over ? net->hand_over : net->announce)(d->v[i]);
	}
	return 0;
}

void devs_announce(struct devs *d)
{
	(void)devs_call(d, do_net, &(bool){ false }, NULL);
}

void devs_hand_over(struct devs *d)
{
	(void)devs_call(d, do_net, &(bool){ true }, NULL);
}

struct console {
	unsigned index;
	bool take;
	int fd;
};

static struct vdev *console_of(const struct devs *d, unsigned index)
{
	for (size_t i = 0; i < d->n; i++)
		if (d->v[i]->ops->console && index-- == 0)
			return d->v[i];
	return NULL;
}

static int do_console(struct devs *d, void *arg, struct err *err)
{
	struct console *c = arg;
	struct vdev *v = console_of(d, c->index);

	return v ? v->ops->console->attach(v, c->fd, c->take, err)
	         : err_set(err, ENOENT, "the domain has no console hvc%u", c->index);
}

static int do_line(struct devs *d, void *arg, struct err *err)
{
	struct console *c = arg;
	struct vdev *v = console_of(d, c->index);

	return v->ops->console->line(v, c->fd, err);
}

int devs_console_line(struct devs *d, unsigned index, int fd, struct err *err)
{
	struct console c = { .index = index, .fd = fd };
	int r = devs_call(d, do_line, &c, err);

	if (r == -ETIMEDOUT)
		close(fd); /* nobody took it */
	return r;
}

int devs_console(struct devs *d, unsigned index, bool take, struct err *err)
{
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
		return err_sys(err, errno, "cannot make a console connection");
	struct console c = { .index = index, .take = take, .fd = sv[0] };
	int r = devs_call(d, do_console, &c, err);
	if (r < 0) {
		close(sv[0]);
		close(sv[1]);
		return r;
	}
	return sv[1];
}

static int do_beat(struct devs *d, void *arg, struct err *err)
{
	(void)err;
	*(unsigned *)arg = vconsole_beat(d->agent);
	return 0;
}

unsigned devs_beat(const struct devs *d)
{
	struct devs *w = (struct devs *)d; /* what was last heard of is no part of what callers see */

	(void)devs_call_for(w, do_beat, &w->beat_s, ASK_NS, NULL);
	return w->beat_s;
}

static int do_beat_anew(struct devs *d, void *arg, struct err *err)
{
	(void)arg, (void)err;
	vconsole_beat_anew(d->agent);
	return 0;
}

void devs_beat_anew(struct devs *d)
{
	(void)devs_call(d, do_beat_anew, NULL, NULL);
}

static int do_silent(struct devs *d, void *arg, struct err *err)
{
	(void)err;
	*(bool *)arg = vconsole_silent(d->agent);
	return 0;
}

bool devs_silent(struct devs *d)
{
	bool silent = false;

	return !devs_call(d, do_silent, &silent, NULL) && silent;
}

static int do_give_back(struct devs *d, void *arg, struct err *err)
{
	(void)err;
	vconsole_beat_give_back(d->agent, *(uint64_t *)arg);
	return 0;
}

void devs_beat_give_back(struct devs *d, uint64_t ns)
{
	(void)devs_call(d, do_give_back, &ns, NULL);
}

static struct vdev *balloon_of(const struct devs *d)
{
	for (size_t i = 0; i < d->n; i++)
		if (d->v[i]->ops->balloon)
			return d->v[i];
	return NULL;
}

static int do_balloon(struct devs *d, void *arg, struct err *err)
{
	struct vdev *v = balloon_of(d);

	if (!v)
		return err_set(err, EOPNOTSUPP, "the domain has no memory balloon; add <memballoon model='virtio'/>");
	if (!v->features || v->broken)
		return err_set(err, EOPNOTSUPP, "the guest has no balloon driver loaded (module virtio_balloon)");
	v->ops->balloon->target(v, *(uint64_t *)arg);
	return 0;
}

int devs_balloon(struct devs *d, uint64_t target_bytes, struct err *err)
{
	return devs_call(d, do_balloon, &target_bytes, err);
}

static int do_balloon_bytes(struct devs *d, void *arg, struct err *err)
{
	const struct vdev *v = balloon_of(d);
	(void)err;

	*(uint64_t *)arg = v ? v->ops->balloon->bytes(v) : 0;
	return 0;
}

uint64_t devs_balloon_bytes(const struct devs *d)
{
	struct devs *w = (struct devs *)d;

	(void)devs_call_for(w, do_balloon_bytes, &w->balloon_bytes, ASK_NS, NULL);
	return w->balloon_bytes;
}

static int do_stats(struct devs *d, void *arg, struct err *err)
{
	struct hv_stats *st = arg;
	(void)err;

	st->n_devs = (uint32_t)d->n;
	for (size_t i = 0; i < d->n; i++)
		st->dev[i] = d->v[i]->st;
	return 0;
}

void devs_stats(struct devs *d, struct hv_stats *st)
{
	(void)devs_call_for(d, do_stats, st, ASK_NS, NULL);
}
