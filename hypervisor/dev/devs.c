/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The set of a domain's devices and their io thread; the contract is devs.h. Calls of the main thread are carried to the io
 * thread and waited for (before devs_start() they run in place). What devices have in common is vdev.c.
 */
#include "config.h"
#include "hypervisor/dev/vdev_int.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>

#include "common/util.h"
#include "hypervisor/dev/blkio.h"
#include "hypervisor/dev/flash.h"

#define STATE_MAGIC   0x31764448u /* "HDv1" */
#define STATE_VERSION 1u
#define STATE_HELD    2u /* the same, and a disk has unanswered requests, which readers of 1 would lose */
#define STACK_BYTES   (256u * 1024)
#define FOREVER       UINT64_MAX
#define CALL_NS       (5 * NS_PER_S) /* for an io thread that waits for storage */

/* Commands ------------------------------------------------------------------------------------------------------------ */

enum { CMD_QUEUED, CMD_RUNS, CMD_DONE, CMD_LEFT };

struct cmd {
	struct devs *d;
	int (*fn)(struct devs *d, void *arg, struct err *err);
	void *arg;
	struct err *err;
	int ret;
	int state; /* LEFT: nobody waits any more, it does not run */
};

static void cmd_run(void *arg)
{
	struct cmd *c = arg;
	struct devs *d = c->d;

	pthread_mutex_lock(&d->lock);
	bool left = c->state == CMD_LEFT;
	c->state = CMD_RUNS;
	pthread_mutex_unlock(&d->lock);
	if (left) {
		free(c);
		return;
	}
	if (d->blkio)
		blkio_defer(d->blkio, true);
	int ret = c->fn(d, c->arg, c->err);
	if (d->blkio)
		blkio_defer(d->blkio, false);
	pthread_mutex_lock(&d->lock);
	c->ret = ret;
	c->state = CMD_DONE;
	pthread_cond_broadcast(&d->cond);
	pthread_mutex_unlock(&d->lock);
}

/* Wait on d->cond, with the lock. False: @at_ns (CLOCK_MONOTONIC) is over. */
static bool cond_wait(struct devs *d, uint64_t at_ns)
{
	struct timespec ts = { .tv_sec = (time_t)(at_ns / NS_PER_S), .tv_nsec = (long)(at_ns % NS_PER_S) };

	if (at_ns != FOREVER)
		return pthread_cond_clockwait(&d->cond, &d->lock, CLOCK_MONOTONIC, &ts) != ETIMEDOUT;
	pthread_cond_wait(&d->cond, &d->lock);
	return true;
}

/* Run @fn on the io thread and wait for it; one that was not begun within @limit_ns never runs. One that runs hands nothing to the kernel. */
int devs_call_for(struct devs *d, int (*fn)(struct devs *d, void *arg, struct err *err), void *arg, uint64_t limit_ns,
                  struct err *err)
{
	uint64_t at = limit_ns == FOREVER ? FOREVER : now_ns() + limit_ns;
	struct cmd *c;

	if (!d->started)
		return fn(d, arg, err);
	c = calloc(1, sizeof(*c));
	if (!c)
		return err_sys(err, ENOMEM, "cannot reach the devices' thread");
	*c = (struct cmd){ .d = d, .fn = fn, .arg = arg, .err = err };
	int r = loop_post(d->loop, cmd_run, c);
	if (r < 0) {
		free(c);
		return err_sys(err, -r, "cannot reach the devices' thread");
	}
	pthread_mutex_lock(&d->lock);
	while (c->state != CMD_DONE) {
		if (cond_wait(d, c->state == CMD_QUEUED ? at : FOREVER) || c->state != CMD_QUEUED)
			continue;
		c->state = CMD_LEFT;
		pthread_mutex_unlock(&d->lock);
		return err_set(err, ETIMEDOUT, "the devices' thread has not answered for %llu ms: it waits for storage",
		               (unsigned long long)(limit_ns / NS_PER_MS));
	}
	pthread_mutex_unlock(&d->lock);
	r = c->ret;
	free(c);
	return r;
}

int devs_call(struct devs *d, int (*fn)(struct devs *d, void *arg, struct err *err), void *arg, struct err *err)
{
	return devs_call_for(d, fn, arg, CALL_NS, err);
}

/* Life ---------------------------------------------------------------------------------------------------------------- */

static void on_again(void *arg, int fd, uint32_t events)
{
	struct devs *d = arg;
	uint64_t n;
	(void)events;

	if (read(fd, &n, sizeof(n)) < 0)
		return;
	for (size_t i = 0; i < d->n; i++)
		vdev_run_pending(d->v[i]);
}

static int add(struct devs *d, int r, struct vdev **v, struct err *err)
{
	if (r < 0)
		return r;
	d->v[d->n++] = *v;
	return (*v)->transport->open(*v, err);
}

static int open_devices(struct devs *d, const struct dom_config *cfg, struct err *err)
{
	struct vdev *v = NULL;
	int r = 0;

	if (cfg->n_disks + cfg->n_nics + cfg->n_consoles + cfg->n_rngs + 3 > VDEV_MAX)
		return err_set(err, E2BIG, "a domain has at most %u devices", VDEV_MAX);
	for (size_t i = 0; i < cfg->n_disks && !r; i++)
		r = add(d, (dom_disk_is_virtio(&cfg->disk[i]) ? vblk_new : nblk_new)(d, &cfg->disk[i], NULL, &v, err),
		        &v, err);
	for (size_t i = 0; i < cfg->n_nics && !r; i++)
		r = add(d, devs_make_nic(d, &cfg->nic[i], NULL, &v, err), &v, err);
	for (size_t i = 0; i < cfg->n_consoles && !r; i++)
		r = add(d, vconsole_new(d, &cfg->console[i], (unsigned)i, &v, err), &v, err);
	/* one more console than configured: the guest agent's channel (docs/wire/agent.md) */
	if (!r)
		r = add(d, vconsole_new(d, NULL, devs_agent_console(cfg), &v, err), &v, err);
	if (!r)
		d->agent = v;
	for (size_t i = 0; i < cfg->n_rngs && !r; i++)
		r = add(d, vrng_new(d, (unsigned)i, &v, err), &v, err);
	if (cfg->balloon && cfg->type == DOM_TYPE_UML && !r) /* else QEMU has it */
		r = add(d, vballoon_new(d, &v, err), &v, err);
	if (cfg->guest_agent && !r)
		r = add(d, vconsole_new(d, NULL, DEVS_AGENT_PORT(cfg), &v, err), &v, err);
	return r;
}

int devs_new(const struct dom_config *cfg, const struct vdev_transport_ops *transport, const struct devs_events *ev,
             struct devs **ret, struct err *err)
{
	struct devs *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return err_sys(err, ENOMEM, "cannot make the devices");
	d->cfg = cfg;
	d->transport = transport;
	if (ev)
		d->ev = *ev;
	d->again_fd = -1;
	pthread_mutex_init(&d->lock, NULL);
	pthread_cond_init(&d->cond, NULL);
	d->loop = loop_new();
	d->again_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (d->loop && d->again_fd >= 0)
		d->again_src = loop_add_fd(d->loop, d->again_fd, EPOLLIN, on_again, d);
	if (!d->again_src) {
		r = err_sys(err, errno ? errno : ENOMEM, "cannot make the devices' event loop");
		goto fail;
	}
	if (cfg->n_disks) {
		r = blkio_new(d->loop, &d->blkio, err);
		if (r < 0)
			goto fail;
		blkio_guard(d->blkio, d->ev.deadline);
	}
	r = open_devices(d, cfg, err);
	if (r < 0)
		goto fail;
	*ret = d;
	return 0;
fail:
	devs_free(d);
	return r;
}

static int do_quiesce(struct devs *d, void *arg, struct err *err);

/* Wait for what disks have under way, on the io thread: when memory or devices go. */
static int do_drain(struct devs *d, void *arg, struct err *err)
{
	(void)arg, (void)err;
	for (size_t i = 0; i < d->n; i++)
		if (d->v[i]->ops->storage)
			d->v[i]->ops->stop(d->v[i]);
	return 0;
}

static int do_quit(struct devs *d, void *arg, struct err *err)
{
	(void)arg, (void)err;
	loop_quit(d->loop, 0);
	return 0;
}

void devs_free(struct devs *d)
{
	if (!d)
		return;
	if (d->blkio)
		blkio_drop_held(d->blkio);
	if (d->started) {
		(void)devs_call_for(d, do_quiesce, NULL, FOREVER, NULL);
		(void)devs_call_for(d, do_drain, NULL, FOREVER, NULL);
		(void)devs_call_for(d, do_quit, NULL, FOREVER, NULL);
		pthread_join(d->thread, NULL);
		d->started = false;
	}
	for (size_t i = 0; i < d->n; i++) {
		d->v[i]->transport->free(d->v[i]);
		d->v[i]->ops->free(d->v[i]);
	}
	blkio_free(d->blkio);
	flash_free(d->flash);
	loop_del_fd(d->again_src);
	if (d->again_fd >= 0)
		close(d->again_fd);
	loop_free(d->loop);
	pthread_cond_destroy(&d->cond);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

static void *io_thread(void *arg)
{
	struct devs *d = arg;

	loop_run(d->loop);
	return NULL;
}

int devs_start(struct devs *d, struct err *err)
{
	pthread_attr_t attr;

	if (d->blkio) {
		int r = blkio_start(d->blkio, err);
		if (r < 0)
			return r;
	}
	if (d->flash) {
		int r = flash_start(d->flash, err);
		if (r < 0)
			return r;
	}
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	int r = pthread_create(&d->thread, &attr, io_thread, d);
	pthread_attr_destroy(&attr);
	if (r)
		return err_sys(err, r, "cannot start the devices' thread");
	pthread_setname_np(d->thread, "devs");
	d->started = true;
	return 0;
}

/* Questions whose answers do not change after devs_new() --------------------------------------------------------------- */

size_t devs_count(const struct devs *d)
{
	return d->n;
}
uint32_t devs_virtio_id(const struct devs *d, size_t i)
{
	return d->v[i]->ops->virtio_id;
}
const char *devs_name(const struct devs *d, size_t i)
{
	return d->v[i]->name;
}

/* Memory -------------------------------------------------------------------------------------------------------------- */

static int do_set_mem(struct devs *d, void *arg, struct err *err)
{
	(void)do_drain(d, NULL, err);
	for (size_t i = 0; i < d->n; i++) {
		vdev_stop(d->v[i]);
		for (unsigned q = 0; q < d->v[i]->n_vq; q++)
			vq_unmap(&d->v[i]->vq[q]);
	}
	d->mem = arg;
	for (size_t i = 0; i < d->n; i++)
		vdev_start(d->v[i]);
	return 0;
}

void devs_set_mem(struct devs *d, struct guestmem *m)
{
	(void)devs_call_for(d, do_set_mem, m, FOREVER, NULL);
}

/* Quiesce, save, load, resume ------------------------------------------------------------------------------------------- */

void devs_drained(struct devs *d)
{
	for (size_t i = 0; i < d->n; i++)
		if (d->v[i]->ops->storage && d->v[i]->ops->storage->in_flight(d->v[i]))
			return;
	pthread_mutex_lock(&d->lock);
	d->drained = true;
	pthread_cond_broadcast(&d->cond);
	pthread_mutex_unlock(&d->lock);
}

static void pause_consoles(struct devs *d, bool on)
{
	for (size_t i = 0; i < d->n; i++)
		if (d->v[i]->ops->console)
			d->v[i]->ops->console->pause(d->v[i], on);
}

static int do_quiesce(struct devs *d, void *arg, struct err *err)
{
	(void)arg, (void)err;
	for (size_t i = 0; i < d->n && !d->quiesced; i++) {
		struct vdev *v = d->v[i];
		(void)v->transport->watch(v, false);
		v->transport->drain(v);
		if (v->ops->storage)
			v->running = false; /* what is under way ends by itself, then devs_drained() */
		else
			vdev_stop(v);
	}
	d->quiesced = true;
	pause_consoles(d, true);
	devs_drained(d);
	return 0;
}

int devs_quiesce_begin(struct devs *d, struct err *err)
{
	return devs_call(d, do_quiesce, NULL, err);
}

int devs_quiesced(struct devs *d, uint64_t limit_ns, struct err *err)
{
	uint64_t begun = now_ns(), age = 0;
	const char *name;
	int r = 0;

	if (!d->started)
		(void)do_drain(d, NULL, NULL);
	pthread_mutex_lock(&d->lock);
	unsigned gen = d->quiesce_gen;
	while (!d->drained && d->started && !r) {
		bool in_time = cond_wait(d, begun + limit_ns);
		if (d->drained)
			break;
		r = gen != d->quiesce_gen ? -ECANCELED : in_time ? 0 : -ETIMEDOUT;
	}
	pthread_mutex_unlock(&d->lock);
	if (!r)
		return 0;
	if (!devs_waits(d, &name, &age))
		return err_set(err, -r, "the disks have only just answered");
	return err_set(err, -r, "disk %s has not answered for %.1f s", name, (double)age / 1e9);
}

int devs_quiesce(struct devs *d, struct err *err)
{
	int r = devs_quiesce_begin(d, err);

	if (r < 0)
		return r;
	r = devs_quiesced(d, DEVS_QUIESCE_NS, err);
	if (r < 0 && devs_resume(d, false, NULL) < 0)
		return r;
	return r;
}

static int do_retry(struct devs *d, void *arg, struct err *err)
{
	(void)arg, (void)err;
	for (size_t i = 0; i < d->n; i++)
		if (d->v[i]->ops->storage)
			d->v[i]->ops->storage->retry(d->v[i]);
	pthread_mutex_lock(&d->lock);
	d->drained = false;
	pthread_mutex_unlock(&d->lock);
	if (d->quiesced)
		devs_drained(d);
	return 0;
}

void devs_retry(struct devs *d)
{
	(void)devs_call_for(d, do_retry, NULL, ASK_NS, NULL);
}

bool devs_held(const struct devs *d, const char **ret_name, int *ret_code)
{
	for (size_t i = 0; i < d->n; i++) {
		int code = d->v[i]->ops->storage ? d->v[i]->ops->storage->held_err(d->v[i]) : 0;
		if (code) {
			*ret_name = d->v[i]->name;
			*ret_code = code;
			return true;
		}
	}
	return false;
}

bool devs_waits(const struct devs *d, const char **ret_name, uint64_t *ret_age_ns)
{
	uint64_t now = now_ns(), worst = 0;

	for (size_t i = 0; i < d->n; i++) {
		uint64_t age = d->v[i]->ops->storage ? d->v[i]->ops->storage->age_ns(d->v[i], now) : 0;
		if (age > worst) {
			worst = *ret_age_ns = age;
			*ret_name = d->v[i]->name;
		}
	}
	return worst > 0;
}

static int do_resume(struct devs *d, void *arg, struct err *err)
{
	bool kick = *(bool *)arg;

	d->quiesced = false;
	pthread_mutex_lock(&d->lock);
	d->drained = false;
	d->quiesce_gen++;
	pthread_cond_broadcast(&d->cond);
	pthread_mutex_unlock(&d->lock);
	for (size_t i = 0; i < d->n; i++) {
		struct vdev *v = d->v[i];
		int r = v->transport->watch(v, true);
		if (r < 0)
			return err_sys(err, -r, "cannot serve device %s", v->name);
		if (kick)
			v->kick_all = true;
		/* what the driver asked for while we stood still, or a kick that was drained */
		v->pending = (1u << v->n_vq) - 1;
		vdev_start(v);
	}
	pause_consoles(d, false);
	return 0;
}

int devs_resume(struct devs *d, bool kick, struct err *err)
{
	return devs_call(d, do_resume, &kick, err);
}

static int do_save(struct devs *d, void *arg, struct err *err)
{
	struct buf *out = arg;

	bool held = false;

	if (!d->quiesced || !d->drained)
		return err_set(err, EBUSY, "the devices must be quiet before their state is saved");
	for (size_t i = 0; i < d->n; i++)
		held |= d->v[i]->ops->storage && d->v[i]->ops->storage->held(d->v[i]);
	buf_put_u32(out, STATE_MAGIC);
	buf_put_u16(out, held ? STATE_HELD : STATE_VERSION);
	buf_put_u16(out, (uint16_t)d->n);
	for (size_t i = 0; i < d->n; i++) {
		_cleanup_buf_ struct buf rec = { 0 };
		vdev_save(d->v[i], &rec);
		buf_put_u32(out, d->v[i]->ops->virtio_id);
		buf_put_u32(out, (uint32_t)rec.len);
		buf_put(out, rec.data, rec.len);
		if (rec.failed)
			out->failed = true;
	}
	return out->failed ? err_sys(err, ENOMEM, "cannot hold the devices' state") : 0;
}

int devs_save(struct devs *d, struct buf *out, struct err *err)
{
	return devs_call(d, do_save, out, err);
}

static int load_pass(struct devs *d, struct rd in, bool commit, struct rd *ret_end, struct err *err)
{
	uint32_t magic = rd_u32(&in);
	uint16_t version = rd_u16(&in), n = rd_u16(&in);

	if (in.bad || magic != STATE_MAGIC)
		return err_set(err, EINVAL, "this is not a saved state of devices");
	if (version != STATE_VERSION && version != STATE_HELD)
		return err_set(err, EINVAL, "saved state of devices has version %u, this program reads up to %u",
		               version, STATE_HELD);
	if (n != d->n)
		return err_set(err, EINVAL, "saved state has %u devices, the domain %zu", n, d->n);
	for (size_t i = 0; i < d->n; i++) {
		uint32_t id = rd_u32(&in), len = rd_u32(&in);
		const void *p = rd_bytes(&in, len);
		if (!p)
			return err_set(err, EINVAL, "saved state of devices ends early, in device %zu", i);
		if (id != d->v[i]->ops->virtio_id)
			return err_set(err, EINVAL, "saved state has a device of kind %u where the domain has %s", id,
			               d->v[i]->name);
		struct rd rec = rd_of(p, len);
		int r = vdev_load(d->v[i], &rec, commit, err);
		if (r < 0)
			return r;
		/* octets that a later version added at the end are not ours to read */
		if (rec.bad)
			return err_set(err, EINVAL, "saved state of device %s ends early", d->v[i]->name);
	}
	*ret_end = in;
	return 0;
}

static int do_load(struct devs *d, void *arg, struct err *err)
{
	struct rd *in = arg, end;

	for (size_t i = 0; i < d->n; i++)
		if (d->v[i]->running || (!d->quiesced && d->v[i]->transport->connected(d->v[i])))
			return err_set(err, EBUSY, "device %s is in use, a state cannot be loaded", d->v[i]->name);
	int r = load_pass(d, *in, false, &end, err);
	if (r < 0)
		return r;
	/* connections of an attempt before this one */
	for (size_t i = 0; i < d->n; i++)
		d->v[i]->transport->close(d->v[i]);
	r = load_pass(d, *in, true, &end, err);
	if (r < 0)
		return r;
	/* served again by devs_resume() */
	d->quiesced = true;
	devs_drained(d);
	*in = end;
	return 0;
}

int devs_load(struct devs *d, struct rd *in, struct err *err)
{
	return devs_call(d, do_load, in, err);
}
