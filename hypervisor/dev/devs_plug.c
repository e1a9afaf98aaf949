/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Devices that come to the others and leave them: see devs.h. */
#include "config.h"
#include "hypervisor/dev/vdev_int.h"

#include <errno.h>
#include <string.h>
#include "hypervisor/dev/blkio.h"

static int do_disks_ready(struct devs *d, void *arg, struct err *err)
{
	struct blkio *b = NULL;
	(void)arg;

	if (d->blkio)
		return 0;
	int r = blkio_new(d->loop, &b, err);
	if (r < 0)
		return r;
	blkio_guard(b, d->ev.deadline);
	if (d->started)
		r = blkio_start(b, err);
	if (r < 0)
		blkio_free(b);
	else
		d->blkio = b;
	return r;
}

int devs_disks_ready(struct devs *d, struct err *err)
{
	return devs_call(d, do_disks_ready, NULL, err);
}

int devs_make_disk(struct devs *d, const struct dom_disk *cfg, struct devs_files *files, struct vdev **ret,
                   struct err *err)
{
	return vblk_new(d, cfg, files, ret, err);
}

int devs_make_nic(struct devs *d, const struct dom_nic *cfg, struct devs_files *files, struct vdev **ret,
                  struct err *err)
{
	return (dom_nic_is_virtio(cfg) ? vnet_new : enic_new)(d, cfg, files, ret, err);
}

void devs_drop(struct vdev *v)
{
	if (!v)
		return;
	if (v->port)
		v->transport->free(v);
	v->ops->free(v);
}

int devs_lock_one(struct vdev *v, struct err *err)
{
	return v->ops->storage->lock(v, err);
}

int devs_sync_one(struct vdev *v, struct err *err)
{
	return v->ops->storage->sync(v, err);
}

struct place {
	size_t at;
	struct vdev *v;
};

static int do_put_in(struct devs *d, void *arg, struct err *err)
{
	const struct place *p = arg;

	if (d->n == VDEV_MAX)
		return err_set(err, E2BIG, "a domain has at most %u devices", VDEV_MAX);
	int r = p->v->transport->open(p->v, err);
	if (r < 0)
		return r;
	memmove(&d->v[p->at + 1], &d->v[p->at], (d->n - p->at) * sizeof(d->v[0]));
	d->v[p->at] = p->v;
	d->n++;
	return 0;
}

int devs_put_in(struct devs *d, size_t at, struct vdev *v, struct err *err)
{
	return devs_call(d, do_put_in, &(struct place){ at, v }, err);
}

static int do_take_out(struct devs *d, void *arg, struct err *err)
{
	struct place *p = arg;
	(void)err;

	p->v = d->v[p->at];
	vdev_stop(p->v);
	if (p->v->ops->storage)
		p->v->ops->stop(p->v); /* what was left under way when the virtual machine stopped */
	vdev_reset(p->v);
	p->v->transport->free(p->v);
	d->n--;
	memmove(&d->v[p->at], &d->v[p->at + 1], (d->n - p->at) * sizeof(d->v[0]));
	if (d->quiesced)
		devs_drained(d);
	return 0;
}

struct vdev *devs_take_out(struct devs *d, size_t at, bool wait, struct err *err)
{
	struct place p = { at, NULL };
	int r = wait ? devs_call_for(d, do_take_out, &p, UINT64_MAX, err) : devs_call(d, do_take_out, &p, err);

	return r < 0 ? NULL : p.v;
}
