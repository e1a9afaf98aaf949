/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What all virtio devices have in common: features, queues, running and stopping, state. Its transport and what a device does
 * are behind their ops. Threading: the io thread.
 */
#include "config.h"
#include "hypervisor/dev/vdev_int.h"

#include <errno.h>
#include <string.h>

void vdev_setup(struct vdev *v, struct devs *d, const struct vdev_ops *ops, const char *name, unsigned n_vq,
                uint64_t features)
{
	v->ops = ops;
	v->devs = d;
	snprintf(v->name, sizeof(v->name), "%s", name);
	snprintf(v->st.name, sizeof(v->st.name), "%s", name);
	v->st.kind = ops->virtio_id;
	v->n_vq = n_vq;
	v->transport = d->transport;
	v->offered = features | VDEV_F_COMMON | d->transport->features;
}

static void check_broken(struct vdev *v)
{
	for (unsigned q = 0; q < v->n_vq && !v->broken; q++)
		if (v->vq[q].broken)
			vdev_break(v, v->vq[q].broken);
}

/* Map the rings of enabled queues that are not mapped yet. */
static void map_queues(struct vdev *v)
{
	for (unsigned q = 0; q < v->n_vq; q++)
		if (v->vq[q].c.enabled && !v->vq[q].mem && !v->vq[q].broken && vq_map(&v->vq[q], v->devs->mem) == 0)
			v->pending |= 1u << q;
}

void vdev_start(struct vdev *v)
{
	struct devs *d = v->devs;

	if (d->quiesced || !d->mem || v->broken || !v->features || !v->transport->connected(v))
		return;
	map_queues(v);
	v->running = true;
	check_broken(v);
	if (v->broken)
		return;
	if (v->kick_all) {
		v->kick_all = false;
		for (unsigned q = 0; q < v->n_vq; q++) {
			v->pending |= 1u << q;
			if (!vq_ready(&v->vq[q]))
				continue;
			v->vq[q].call_always = true;
			vdev_flush(v, q);
		}
		if (v->config_news)
			v->transport->config_changed(v);
	}
	v->ops->start(v);
	vdev_run_pending(v);
}

void vdev_stop(struct vdev *v)
{
	if (!v->running)
		return;
	v->running = false;
	v->ops->stop(v);
}

void vdev_reset(struct vdev *v)
{
	vdev_stop(v);
	v->ops->reset(v);
	for (unsigned q = 0; q < v->n_vq; q++)
		v->vq[q] = (struct vq){ 0 };
	v->features = 0;
	v->pending = 0;
	v->kick_all = v->config_news = false;
	v->broken = NULL;
	v->st.broken = 0;
}

void vdev_break(struct vdev *v, const char *why)
{
	if (v->broken)
		return;
	v->broken = why;
	v->st.broken = 1;
	vdev_stop(v);
	if (v->devs->ev.broken)
		v->devs->ev.broken(v->devs->ev.arg, v->name, why);
}

void vdev_ack(struct vdev *v, uint64_t features)
{
	v->features = features;
	for (unsigned q = 0; q < v->n_vq; q++) {
		v->vq[q].event_idx = features & VIRTIO_RING_F_EVENT_IDX;
		v->vq[q].indirect = features & VIRTIO_RING_F_INDIRECT_DESC;
	}
	v->ops->acked(v);
}

void vdev_enable(struct vdev *v, unsigned q, bool on)
{
	if (on) {
		v->vq[q].c.enabled = true;
	} else {
		/* in-flight I/O must not write after the driver knows that the queue is off */
		vdev_stop(v);
		v->vq[q].c.enabled = false;
		vq_unmap(&v->vq[q]);
	}
	vdev_start(v);
}

void vdev_run_pending(struct vdev *v)
{
	if (!v->running || !v->pending)
		return;
	uint32_t todo = v->pending;
	v->pending = 0;
	for (unsigned q = 0; q < v->n_vq; q++)
		if ((todo & (1u << q)) && v->running && vq_ready(&v->vq[q]))
			v->ops->run(v, q);
	check_broken(v);
	if (v->running && v->pending) {
		/* over its budget: the other devices first. The counter cannot overflow, it is read at every turn of the loop */
		uint64_t one = 1;
		ssize_t r = write(v->devs->again_fd, &one, sizeof(one));
		(void)r;
	}
}

void vdev_again(struct vdev *v, unsigned q)
{
	v->pending |= 1u << q;
}

void vdev_flush(struct vdev *v, unsigned q)
{
	vq_publish(&v->vq[q]);
	if (vq_should_call(&v->vq[q]))
		v->transport->call(v, q);
}

void vdev_config_changed(struct vdev *v)
{
	v->config_news = true;
	if (v->running)
		v->transport->config_changed(v);
}

#define FLAG_BROKEN      1u
#define FLAG_CONFIG_NEWS 2u

/* State: docs/wire/devstate.md, "Device record". */
void vdev_save(struct vdev *v, struct buf *out)
{
	_cleanup_buf_ struct buf said = { 0 };
	uint64_t word = v->transport->save(v, &said);

	buf_put_u64(out, v->features);
	buf_put_u64(out, word);
	buf_put_u8(out, (v->broken ? FLAG_BROKEN : 0) | (v->config_news ? FLAG_CONFIG_NEWS : 0));
	buf_put_u8(out, (uint8_t)v->n_vq);
	for (unsigned q = 0; q < v->n_vq; q++) {
		const struct vq_conf *c = &v->vq[q].c;
		buf_put_u8(out, c->enabled ? 1 : 0);
		buf_put_u16(out, c->size);
		buf_put_u16(out, c->last_avail);
		buf_put_u16(out, c->used_idx);
		buf_put_u64(out, c->desc.v);
		buf_put_u64(out, c->avail.v);
		buf_put_u64(out, c->used.v);
	}
	buf_put_u32(out, (uint32_t)said.len);
	buf_put(out, said.data, said.len);
	out->failed |= said.failed;
	v->ops->save(v, out);
}

static int bad(const struct vdev *v, struct err *err, const char *why)
{
	return err_set(err, EINVAL, "saved state of device %s: %s", v->name, why);
}

static int load_queues(const struct vdev *v, struct rd *in, struct vq_conf *c, struct err *err)
{
	if (rd_u8(in) != v->n_vq)
		return bad(v, err, "another number of queues");
	for (unsigned q = 0; q < v->n_vq; q++) {
		uint8_t on = rd_u8(in);
		c[q].enabled = on;
		c[q].size = rd_u16(in);
		c[q].last_avail = rd_u16(in);
		c[q].used_idx = rd_u16(in);
		c[q].desc.v = rd_u64(in);
		c[q].avail.v = rd_u64(in);
		c[q].used.v = rd_u64(in);
		if (on > 1 || c[q].size > VQ_SIZE_MAX || (c[q].size & (c[q].size - 1)))
			return bad(v, err, "an impossible queue");
	}
	return 0;
}

int vdev_load(struct vdev *v, struct rd *in, bool commit, struct err *err)
{
	struct vq_conf c[VDEV_QUEUES_MAX];
	uint64_t features = rd_u64(in), word = rd_u64(in);
	uint8_t flags = rd_u8(in);

	if (features & ~v->offered)
		return err_set(err, EINVAL,
		               "saved state of device %s uses features 0x%llx that this host's device does not have",
		               v->name, (unsigned long long)(features & ~v->offered));
	if (flags & ~(FLAG_BROKEN | FLAG_CONFIG_NEWS))
		return bad(v, err, "unknown flags");
	int r = load_queues(v, in, c, err);
	if (r < 0)
		return r;
	uint32_t n = rd_u32(in);
	const void *said = rd_bytes(in, n);
	if (in->bad)
		return bad(v, err, "it ends early");
	r = v->transport->load(v, word, said, n, commit, err);
	if (r < 0)
		return r;
	if (!commit)
		return v->ops->load(v, in, false, err);
	for (unsigned q = 0; q < v->n_vq; q++)
		v->vq[q] = (struct vq){ .c = c[q] };
	r = v->ops->load(v, in, true, err);
	v->broken = flags & FLAG_BROKEN ? "it was broken on the host that it came from" : NULL;
	v->st.broken = v->broken != NULL;
	v->config_news = flags & FLAG_CONFIG_NEWS;
	vdev_ack(v, features);
	return r;
}
