/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The set of a domain's devices and their io thread; the contract is devs.h. Calls of the main thread are carried to the io
 * thread and waited for (before devs_start() they run in place). What devices have in common is vdev.c.
 */
#include "config.h"
#include "hypervisor/dev/vdev_int.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "hypervisor/dev/blkio.h"

#define STATE_MAGIC   0x31764448u /* "HDv1" */
#define STATE_VERSION 1u
#define STACK_BYTES   (256u * 1024)

/* Commands ------------------------------------------------------------------------------------------------------------ */

struct cmd {
	struct devs *d;
	int (*fn)(struct devs *d, void *arg, struct err *err);
	void *arg;
	struct err *err;
	int ret;
	bool done;
};

static void cmd_run(void *arg)
{
	struct cmd *c = arg;
	struct devs *d = c->d;
	int ret = c->fn(d, c->arg, c->err);

	pthread_mutex_lock(&d->lock);
	c->ret = ret;
	c->done = true;
	pthread_cond_broadcast(&d->cond);
	pthread_mutex_unlock(&d->lock);
}

/* Run @fn on the io thread and wait for it. */
static int call(struct devs *d, int (*fn)(struct devs *d, void *arg, struct err *err), void *arg, struct err *err)
{
	struct cmd c = { .d = d, .fn = fn, .arg = arg, .err = err };

	if (!d->started)
		return fn(d, arg, err);
	int r = loop_post(d->loop, cmd_run, &c);
	if (r < 0)
		return err_sys(err, -r, "cannot reach the devices' thread");
	pthread_mutex_lock(&d->lock);
	while (!c.done)
		pthread_cond_wait(&d->cond, &d->lock);
	pthread_mutex_unlock(&d->lock);
	return c.ret;
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

static int add(struct devs *d, int r, struct vdev **v)
{
	if (r < 0)
		return r;
	d->v[d->n++] = *v;
	return 0;
}

static int open_devices(struct devs *d, const struct dom_config *cfg, struct err *err)
{
	struct vdev *v = NULL;
	int r = 0;

	if (cfg->n_disks + cfg->n_nics + cfg->n_consoles + cfg->n_rngs + 2 > VDEV_MAX)
		return err_set(err, E2BIG, "a domain has at most %u devices", VDEV_MAX);
	for (size_t i = 0; i < cfg->n_disks && !r; i++)
		r = add(d, vblk_new(d, &cfg->disk[i], &v, err), &v);
	for (size_t i = 0; i < cfg->n_nics && !r; i++)
		r = add(d, vnet_new(d, &cfg->nic[i], &v, err), &v);
	for (size_t i = 0; i < cfg->n_consoles && !r; i++)
		r = add(d, vconsole_new(d, &cfg->console[i], (unsigned)i, &v, err), &v);
	/* one more console than configured: the guest agent's channel (docs/wire/agent.md) */
	if (!r)
		r = add(d, vconsole_new(d, NULL, (unsigned)cfg->n_consoles, &v, err), &v);
	if (!r)
		d->agent = v;
	for (size_t i = 0; i < cfg->n_rngs && !r; i++)
		r = add(d, vrng_new(d, (unsigned)i, &v, err), &v);
	if (cfg->balloon && !r)
		r = add(d, vballoon_new(d, &v, err), &v);
	return r;
}

int devs_new(const struct dom_config *cfg, const struct devs_events *ev, struct devs **ret, struct err *err)
{
	struct devs *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return err_sys(err, ENOMEM, "cannot make the devices");
	d->cfg = cfg;
	if (ev)
		d->ev = *ev;
	d->again_fd = -1;
	atomic_init(&d->boot_mem_fd, -1);
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
	if (d->started) {
		(void)call(d, do_quiesce, NULL, NULL);
		(void)call(d, do_quit, NULL, NULL);
		pthread_join(d->thread, NULL);
		d->started = false;
	}
	for (size_t i = 0; i < d->n; i++) {
		vudev_close(d->v[i], false);
		d->v[i]->ops->free(d->v[i]);
	}
	blkio_free(d->blkio);
	loop_del_fd(d->again_src);
	if (d->again_fd >= 0)
		close(d->again_fd);
	int fd = atomic_exchange(&d->boot_mem_fd, -1);
	if (fd >= 0)
		close(fd);
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
bool devs_attached(const struct devs *d, size_t i)
{
	return atomic_load(&d->v[i]->conn.attached);
}
int devs_req_fd(const struct devs *d, size_t i)
{
	return d->v[i]->conn.req;
}
int devs_take_mem_fd(struct devs *d)
{
	return atomic_exchange(&d->boot_mem_fd, -1);
}

/* Memory and connections ---------------------------------------------------------------------------------------------- */

static int do_set_mem(struct devs *d, void *arg, struct err *err)
{
	(void)err;
	for (size_t i = 0; i < d->n; i++) {
		vdev_stop(d->v[i]);
		for (unsigned q = 0; q < d->v[i]->n_vq; q++)
			vq_unmap(&d->v[i]->vq[q]);
	}
	d->mem = arg;
	d->mem_was_set = arg != NULL;
	int fd = atomic_exchange(&d->boot_mem_fd, -1);
	if (fd >= 0)
		close(fd);
	for (size_t i = 0; i < d->n; i++)
		vdev_start(d->v[i]);
	return 0;
}

void devs_set_mem(struct devs *d, struct guestmem *m)
{
	(void)call(d, do_set_mem, m, NULL);
}

struct attach {
	size_t i;
	int fd, req;
};

static int do_listen(struct devs *d, void *arg, struct err *err)
{
	struct attach *a = arg;

	return vudev_listen(d->v[a->i], a->fd, err);
}

static int do_pair(struct devs *d, void *arg, struct err *err)
{
	struct attach *a = arg;

	return vudev_pair(d->v[a->i], a->fd, a->req, err);
}

static int check_index(const struct devs *d, size_t i, struct err *err)
{
	return i < d->n ? 0 : err_set(err, EINVAL, "there is no device %zu", i);
}

int devs_attach_listen(struct devs *d, size_t i, int listen_fd, struct err *err)
{
	struct attach a = { .i = i, .fd = listen_fd, .req = -1 };
	int r = check_index(d, i, err);

	if (r < 0) {
		close(listen_fd);
		return r;
	}
	/* the accept in the loop must never wait */
	(void)fcntl(listen_fd, F_SETFL, O_NONBLOCK);
	return call(d, do_listen, &a, err);
}

int devs_attach_pair(struct devs *d, size_t i, int sock, int req_fd, struct err *err)
{
	struct attach a = { .i = i, .fd = sock, .req = req_fd };
	int r = check_index(d, i, err);

	if (r < 0) {
		close(sock);
		close(req_fd);
		return r;
	}
	return call(d, do_pair, &a, err);
}

/* Quiesce, save, load, resume ------------------------------------------------------------------------------------------- */

static int do_quiesce(struct devs *d, void *arg, struct err *err)
{
	(void)arg, (void)err;
	if (d->quiesced)
		return 0;
	d->quiesced = true;
	for (size_t i = 0; i < d->n; i++) {
		(void)vudev_watch(d->v[i], false);
		vudev_drain(d->v[i]);
		vdev_stop(d->v[i]);
	}
	return 0;
}

int devs_quiesce(struct devs *d, struct err *err)
{
	return call(d, do_quiesce, NULL, err);
}

static int do_resume(struct devs *d, void *arg, struct err *err)
{
	bool kick = *(bool *)arg;

	d->quiesced = false;
	for (size_t i = 0; i < d->n; i++) {
		struct vdev *v = d->v[i];
		int r = vudev_watch(v, true);
		if (r < 0)
			return err_sys(err, -r, "cannot serve device %s", v->name);
		if (kick)
			v->kick_all = true;
		/* what the driver asked for while we stood still, or a kick that was drained */
		v->pending = (1u << v->n_vq) - 1;
		vdev_start(v);
	}
	return 0;
}

int devs_resume(struct devs *d, bool kick, struct err *err)
{
	return call(d, do_resume, &kick, err);
}

static int do_save(struct devs *d, void *arg, struct err *err)
{
	struct buf *out = arg;

	if (!d->quiesced)
		return err_set(err, EBUSY, "the devices must be quiet before their state is saved");
	buf_put_u32(out, STATE_MAGIC);
	buf_put_u16(out, STATE_VERSION);
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
	return call(d, do_save, out, err);
}

static int load_pass(struct devs *d, struct rd in, bool commit, struct rd *ret_end, struct err *err)
{
	uint32_t magic = rd_u32(&in);
	uint16_t version = rd_u16(&in), n = rd_u16(&in);

	if (in.bad || magic != STATE_MAGIC)
		return err_set(err, EINVAL, "this is not a saved state of devices");
	if (version != STATE_VERSION)
		return err_set(err, EINVAL, "saved state of devices has version %u, this program reads %u", version,
		               STATE_VERSION);
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
		if (d->v[i]->running || (d->v[i]->conn.sock >= 0 && !d->quiesced))
			return err_set(err, EBUSY, "device %s is in use, a state cannot be loaded", d->v[i]->name);
	int r = load_pass(d, *in, false, &end, err);
	if (r < 0)
		return r;
	/* connections of an attempt before this one */
	for (size_t i = 0; i < d->n; i++)
		vudev_close(d->v[i], false);
	r = load_pass(d, *in, true, &end, err);
	if (r < 0)
		return r;
	/* served again by devs_resume() */
	d->quiesced = true;
	*in = end;
	return 0;
}

int devs_load(struct devs *d, struct rd *in, struct err *err)
{
	return call(d, do_load, in, err);
}

/* Single kinds of devices ----------------------------------------------------------------------------------------------- */

static int do_unlock(struct devs *d, void *arg, struct err *err)
{
	(void)arg, (void)err;
	for (size_t i = 0; i < d->n; i++)
		if (d->v[i]->ops->virtio_id == 2)
			vblk_unlock(d->v[i]);
	return 0;
}

static int do_lock(struct devs *d, void *arg, struct err *err)
{
	for (size_t i = 0; i < d->n; i++) {
		int r = d->v[i]->ops->virtio_id == 2 ? vblk_lock(d->v[i], err) : 0;
		if (r < 0) {
			do_unlock(d, arg, NULL);
			return r;
		}
	}
	return 0;
}

int devs_lock(struct devs *d, struct err *err)
{
	return call(d, do_lock, NULL, err);
}

void devs_unlock(struct devs *d)
{
	(void)call(d, do_unlock, NULL, NULL);
}

void devs_writeback(struct devs *d)
{
	for (size_t i = 0; i < d->n; i++)
		if (d->v[i]->ops->virtio_id == 2)
			vblk_writeback(d->v[i]);
}

int devs_sync(struct devs *d, struct err *err)
{
	/* on the caller's thread: a slow disk must not hold up the network */
	for (size_t i = 0; i < d->n; i++) {
		int r = d->v[i]->ops->virtio_id == 2 ? vblk_sync(d->v[i], err) : 0;
		if (r < 0)
			return r;
	}
	return 0;
}

static int do_announce(struct devs *d, void *arg, struct err *err)
{
	(void)arg, (void)err;
	for (size_t i = 0; i < d->n; i++)
		if (d->v[i]->ops->virtio_id == 1)
			vnet_announce(d->v[i]);
	return 0;
}

void devs_announce(struct devs *d)
{
	(void)call(d, do_announce, NULL, NULL);
}

static int do_hand_over(struct devs *d, void *arg, struct err *err)
{
	(void)arg, (void)err;
	for (size_t i = 0; i < d->n; i++)
		if (d->v[i]->ops->virtio_id == 1)
			vnet_hand_over(d->v[i]);
	return 0;
}

void devs_hand_over(struct devs *d)
{
	(void)call(d, do_hand_over, NULL, NULL);
}

struct console {
	unsigned index;
	bool take;
	int fd;
};

static int do_console(struct devs *d, void *arg, struct err *err)
{
	struct console *c = arg;
	unsigned k = 0;

	for (size_t i = 0; i < d->n; i++)
		if (d->v[i]->ops->virtio_id == 3 && k++ == c->index)
			return vconsole_attach(d->v[i], c->fd, c->take, err);
	return err_set(err, ENOENT, "the domain has no console hvc%u", c->index);
}

int devs_console(struct devs *d, unsigned index, bool take, struct err *err)
{
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
		return err_sys(err, errno, "cannot make a console connection");
	struct console c = { .index = index, .take = take, .fd = sv[0] };
	int r = call(d, do_console, &c, err);
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
	unsigned period_s = 0;

	(void)call((struct devs *)d, do_beat, &period_s, NULL);
	return period_s;
}

static int do_beat_anew(struct devs *d, void *arg, struct err *err)
{
	(void)arg, (void)err;
	vconsole_beat_anew(d->agent);
	return 0;
}

void devs_beat_anew(struct devs *d)
{
	(void)call(d, do_beat_anew, NULL, NULL);
}

static struct vdev *balloon_of(const struct devs *d)
{
	for (size_t i = 0; i < d->n; i++)
		if (d->v[i]->ops->virtio_id == 5)
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
	vballoon_target(v, *(uint64_t *)arg);
	return 0;
}

int devs_balloon(struct devs *d, uint64_t target_bytes, struct err *err)
{
	return call(d, do_balloon, &target_bytes, err);
}

static int do_balloon_bytes(struct devs *d, void *arg, struct err *err)
{
	const struct vdev *v = balloon_of(d);
	(void)err;

	*(uint64_t *)arg = v ? vballoon_bytes(v) : 0;
	return 0;
}

uint64_t devs_balloon_bytes(const struct devs *d)
{
	uint64_t bytes = 0;

	(void)call((struct devs *)d, do_balloon_bytes, &bytes, NULL);
	return bytes;
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
	(void)call(d, do_stats, st, NULL);
}
