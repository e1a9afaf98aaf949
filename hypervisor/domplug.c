/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Devices that change while the guest runs: disks and NICs that come and go, disks that grow. Not while somebody moves or saves the domain:
 * what he knows of its devices has to hold for the copy, too. Main thread, but for the jobs. ADR 88.
 *
 * A disk comes in this order: image locked, lease written, shown to the guest, in the XML. It goes the other way: the guest lets go, out of
 * the XML, data stable, lease empty, image unlocked. When and whether the guest lets go is its own affair.
 */
#include "config.h"
#include "hypervisor/domcall_int.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/log.h"
#include "common/util.h"

#define DETACH_NS (10 * NS_PER_S)   /* how long the guest may take to let go */
#define AGAIN_NS  (100 * NS_PER_MS) /* between attempts while storage is busy */

/* Devices stay as they are meanwhile. */
static int may_change(const struct domain *d, struct err *err)
{
	if (d->mapper || d->logdirty_mode)
		return err_set(err, EBUSY,
		               "domain '%s' is being moved or saved: its devices stay as they are until that is over",
		               d->cfg->name);
	if (d->stopping.active || slow_busy(d->slow))
		return domain_waits_err(d, EBUSY, "the storage has not answered an earlier order yet", err);
	return domain_plug_busy(d, err);
}

int domain_plug_busy(const struct domain *d, struct err *err)
{
	const struct plug *p = &d->plug;

	return p->next || p->asked || p->gone || p->n_leaving
	               ? err_set(err, EBUSY, "a device of domain '%s' is just coming or going: try again in a moment",
	                         d->cfg->name)
	               : 0;
}

/* Disks that grow ------------------------------------------------------------------------------------------------------- */

static int resize_work(void *arg, struct err *err)
{
	struct domain *d = arg;

	if (!slow_commit(d->slow))
		return -ECANCELED;
	return devs_grow(d->devs, d->pend.resize.disk, d->pend.resize.bytes, err);
}

static int resize_done(struct domain *d, int r, struct err *err)
{
	const struct hv_blockresize_req *q = &d->pend.resize;

	if (!r)
		r = devs_grown(d->devs, q->disk, err);
	if (!r)
		log_info("disk %s of domain '%s' has %llu octets now", q->disk, d->cfg->name,
		         (unsigned long long)q->bytes);
	return r;
}

int call_blockresize(struct call *c, struct err *err)
{
	struct domain *d = c->d;
	const struct hv_blockresize_req *q = c->req;
	int r = may_change(d, err);

	if (!r && (!memchr(q->disk, 0, sizeof(q->disk)) || !q->disk[0]))
		r = err_set(err, EINVAL, "this is no name of a disk");
	if (r < 0)
		return r;
	d->pend.resize = *q;
	return domain_job(d, resize_work, resize_done, UINT64_MAX, err);
}

/* Disks that leave ------------------------------------------------------------------------------------------------------ */

static void next_leaves(struct domain *d);

static void answer_asker(struct domain *d, int r, const struct err *err)
{
	struct plug *p = &d->plug;

	p->asked = 0;
	if (p->timer)
		loop_timer_at(p->timer, UINT64_MAX);
	if (p->asker && r < 0)
		hvconn_fail(p->asker, HV_OP_DETACH, p->cookie, err);
	else if (p->asker)
		hvconn_reply(p->asker, HV_OP_DETACH, p->cookie, NULL, 0, NULL, 0);
	p->asker = NULL;
}

static int leave_work(void *arg, struct err *err)
{
	struct leaving *x = &((struct domain *)arg)->plug.leaving[0]; /* others come behind it */
	int r = devs_sync_one(x->v, err);

	return r < 0 ? r : leases_clear(&x->lease, err);
}

static void left(struct domain *d, int r, const struct err *err)
{
	struct plug *p = &d->plug;
	struct leaving x = p->leaving[0];

	p->leaves = false;
	memmove(p->leaving, p->leaving + 1, --p->n_leaving * sizeof(x));
	if (r < 0)
		log_error("a disk has left domain '%s', and %s", d->cfg->name, err->text);
	devs_drop(x.v);
	leases_done(&x.lease);
	if (p->asked && p->asked == x.place)
		answer_asker(d, r, err);
}

static void on_left(void *arg, int r, const struct err *err)
{
	left(arg, r, err);
	next_leaves(arg);
}

static void again(struct domain *d)
{
	if (d->plug.again)
		loop_timer_in(d->plug.again, AGAIN_NS);
}

static void next_leaves(struct domain *d)
{
	struct plug *p = &d->plug;
	struct err e = { 0 };

	while (p->n_leaving && !p->leaves) {
		struct slow_job job = { .work = leave_work, .then = on_left, .arg = d, .limit_ns = UINT64_MAX };

		if (slow_busy(d->slow)) {
			again(d);
			return;
		}
		p->leaves = true;
		int r = slow_run(d->slow, &job, &e);
		if (r != -EINPROGRESS)
			left(d, r, &e);
	}
}

/* @v and @lease are taken over. */
static void leave(struct domain *d, struct vdev *v, struct leases *lease, unsigned place)
{
	struct plug *p = &d->plug;

	p->leaving[p->n_leaving++] = (struct leaving){ v, *lease, place };
	*lease = (struct leases){ 0 };
	next_leaves(d);
}

/* Number @dev among all devices. */
static size_t number_of(const struct dom_config *cfg, const struct dom_device *dev)
{
	return dev->nic ? cfg->n_disks + dev->index : dev->index;
}

static bool at_place(const struct dom_config *cfg, unsigned place, struct dom_device *ret)
{
	for (size_t i = 0; i < cfg->n_disks + cfg->n_nics; i++) {
		bool nic = i >= cfg->n_disks;
		struct dom_device dev = { .nic = nic, .index = nic ? i - cfg->n_disks : i };

		dev.place = nic ? cfg->nic[dev.index].place : cfg->disk[i].place;
		if (dev.place == place) {
			*ret = dev;
			return true;
		}
	}
	return false;
}

/* The guest has let go of what is at @place. -errno: not yet possible, try again. */
static int take_out(struct domain *d, unsigned place, struct err *err)
{
	_cleanup_dom_config_ struct dom_config *next = NULL;
	_cleanup_free_ char *lease_path = NULL;
	struct leases lease = { 0 };
	struct dom_device dev;
	char name[16];

	if (!at_place(d->cfg, place, &dev))
		return 0;
	int r = dom_config_detach(d->cfg, &dev, &next, err);
	if (r < 0)
		return r;
	snprintf(name, sizeof(name), "%s", devs_name(d->devs, number_of(d->cfg, &dev)));
	struct vdev *v = devs_take_out(d->devs, number_of(d->cfg, &dev), false, err);
	if (!v)
		return -ETIMEDOUT;
	if (!dev.nic)
		lease_path = leaserec_path_beside(&d->cfg->disk[dev.index]);
	/* one that decides stays, whatever the guest does */
	if (lease_path)
		(void)leases_take_out(&d->leases, lease_path, &lease);
	log_info("%s %s has left domain '%s'", dev.nic ? "NIC" : "disk", name, d->cfg->name);
	dom_config_swap_devices(d->cfg, next);
	if (!dev.nic) {
		leave(d, v, &lease, place);
		return 0;
	}
	devs_drop(v);
	if (d->plug.asked == place)
		answer_asker(d, 0, NULL);
	return 0;
}

static void take_out_gone(struct domain *d)
{
	struct err e = { 0 };

	for (unsigned place = 1; place <= DOM_PLACES_MAX; place++) {
		if (!(d->plug.gone >> place & 1) || d->pend.active)
			continue; /* a job may look at what would change */
		int r = take_out(d, place, &e);
		if (r < 0)
			log_warn("domain '%s' cannot give up the device that its guest let go, yet: %s", d->cfg->name,
			         e.text);
		else
			d->plug.gone &= ~(1u << place);
	}
	if (d->plug.gone)
		again(d);
}

static void on_again(void *arg)
{
	take_out_gone(arg);
	next_leaves(arg);
}

static int make_timers(struct domain *d, struct err *err);

void domain_unplugged(void *arg, unsigned place, const char *refused)
{
	struct domain *d = arg;
	struct err e = { 0 };

	if (!refused) {
		(void)!make_timers(d, NULL);
		d->plug.gone |= 1u << place;
		take_out_gone(d);
	} else if (d->plug.asked == place) {
		(void)err_set(&e, EBUSY, "%s", refused);
		answer_asker(d, -EBUSY, &e);
	}
}

/* Detach ------------------------------------------------------------------------------------------------------------------ */

static void on_detach_timer(void *arg)
{
	struct domain *d = arg;
	struct err e = { 0 };

	if (!d->plug.asked || d->plug.n_leaving) /* the guest let go; storage takes its time */
		return;
	(void)err_set(
		&e, ETIMEDOUT,
		"the guest has not let it go within %llu s, and has it as before (does its system know hot plug?); if it does "
		"so later, the device goes then",
		(unsigned long long)(DETACH_NS / NS_PER_S));
	answer_asker(d, -ETIMEDOUT, &e);
}

static int make_timers(struct domain *d, struct err *err)
{
	struct plug *p = &d->plug;

	if (!p->timer)
		p->timer = loop_add_timer(d->loop, on_detach_timer, d);
	if (!p->again)
		p->again = loop_add_timer(d->loop, on_again, d);
	return p->timer && p->again ? 0 : err_set(err, ENOMEM, "out of memory");
}

static int may_leave(const struct domain *d, const struct dom_device *dev, struct err *err)
{
	const struct dom_disk *k = dev->nic ? NULL : &d->cfg->disk[dev->index];
	_cleanup_free_ char *lease = k ? leaserec_path_beside(k) : NULL;

	if (!dev->place || !d->cfg->hvm.places)
		return err_set(
			err, EOPNOTSUPP,
			"it is part of the machine that the guest was started with; only what came by attach-device, or "
			"stands at a place for such devices since the start, can go");
	if (lease && d->leases.n > 2 && !strcmp(lease, d->leases.path[0]))
		return err_set(
			err, EBUSY,
			"the lease beside it (%s) says who owns the domain: the first disk that is written stays",
			lease);
	return 0;
}

int call_detach(struct call *c, struct err *err)
{
	struct domain *d = c->d;
	const struct hv_detach_req *q = c->req;
	struct dom_device dev;
	int r = may_change(d, err);

	if (!r && !memchr(q->device, 0, sizeof(q->device)))
		r = err_set(err, EINVAL, "this is no name of a device");
	if (!r && !dom_config_device(d->cfg, q->device, &dev))
		r = err_set(err, ENOENT, "domain '%s' has no disk or NIC '%.23s'", d->cfg->name, q->device);
	if (!r)
		r = may_leave(d, &dev, err);
	if (!r)
		r = make_timers(d, err);
	if (!r)
		r = d->ops->unplug(d->vm, dev.place, err);
	if (r < 0)
		return r;
	d->plug.asked = dev.place;
	d->plug.asker = c->conn;
	d->plug.cookie = c->cookie;
	c->later = true;
	loop_timer_in(d->plug.timer, DETACH_NS);
	return 0;
}

/* Attach ------------------------------------------------------------------------------------------------------------------ */

static void forget_attach(struct plug *p)
{
	dom_config_free(p->next);
	p->next = NULL;
	for (size_t i = 0; i < p->n_fds; i++)
		if (p->fd[i] >= 0)
			close(p->fd[i]);
	p->n_fds = 0;
}

/* Show it to the guest. On failure p->v is not among the devices. */
static int show(struct domain *d, struct err *err)
{
	struct plug *p = &d->plug;
	struct hv_plug what = { .index = number_of(p->next, &p->dev) };

	if (p->dev.nic)
		what.nic = &p->next->nic[p->dev.index];
	else
		what.disk = &p->next->disk[p->dev.index];
	int r = devs_put_in(d->devs, what.index, p->v, err);
	if (r < 0)
		return r;
	r = d->ops->plug(d->vm, &what, err);
	if (r < 0)
		(void)devs_take_out(d->devs, what.index, true, NULL);
	return r;
}

/* It is the domain's from now on. */
static void keep(struct domain *d)
{
	struct plug *p = &d->plug;
	const char *name = devs_name(d->devs, number_of(p->next, &p->dev));
	size_t at = 0;

	if (p->lease.n) {
		for (size_t i = 0; i < p->dev.index; i++) {
			_cleanup_free_ char *path = leaserec_path_beside(&p->next->disk[i]);
			at += path != NULL;
		}
		leases_put_in(&d->leases, at, &p->lease);
	}
	p->v = NULL;
	dom_config_swap_devices(d->cfg, p->next);
	d->pend.attached = (struct hv_attach_rep){ .place = p->dev.place };
	snprintf(d->pend.attached.name, sizeof(d->pend.attached.name), "%s", name);
	log_info("domain '%s' has %s %s now, at place %u", d->cfg->name, p->dev.nic ? "NIC" : "disk", name,
	         p->dev.place);
}

/* The first descriptor is the lease's, if it has one. Nothing is changed before the image is locked. */
static int take_lease(struct domain *d, struct err *err)
{
	struct plug *p = &d->plug;
	_cleanup_free_ char *path = leaserec_path_beside(&p->next->disk[p->dev.index]);
	struct lease_record rec;

	if (!path)
		return 0;
	if (!p->n_fds || p->fd[0] < 0)
		return err_set(err, EINVAL, "no descriptor came for the lease %s", path);
	int r = leases_of_one(&p->lease, &d->leases, path, steal_fd(&p->fd[0]), err);
	if (!r)
		r = leases_read(&p->lease, &rec, err);
	if (r < 0)
		leases_done(&p->lease);
	return r;
}

static int attach_work(void *arg, struct err *err)
{
	struct domain *d = arg;
	struct plug *p = &d->plug;
	const struct dom_disk *k = &p->next->disk[p->dev.index];
	struct lease_record rec = { .generation = d->generation, .state = LEASE_RUNNING };

	if (!slow_commit(d->slow))
		return -ECANCELED;
	int r = take_lease(d, err);
	struct devs_files files = { p->fd + p->lease.n, p->n_fds - p->lease.n };
	if (!r)
		r = devs_make_disk(d->devs, k, &files, &p->v, err);
	if (!r)
		r = devs_lock_one(p->v, err);
	if (r < 0) {
		leases_done(&p->lease);
		return r;
	}
	snprintf(rec.owner, sizeof(rec.owner), "%s", d->host);
	return leases_write(&p->lease, &rec, err);
}

static int attach_done(struct domain *d, int r, struct err *err)
{
	struct plug *p = &d->plug;

	if (!r && d->state != HV_DOM_RUNNING)
		r = err_set(err, ECANCELED, "the guest ended, or stands still");
	if (!r)
		r = show(d, err);
	if (!r)
		keep(d);
	struct vdev *v = p->v;
	p->v = NULL;
	unsigned place = p->dev.place;
	forget_attach(p);
	if (v && !p->dev.nic && p->lease.n)
		leave(d, v, &p->lease, place);
	else
		devs_drop(v);
	leases_done(&p->lease);
	return r;
}

static int read_xml(struct call *c, char **ret, size_t *ret_len, struct err *err)
{
	const struct hv_attach_req *q = c->req;
	struct stat st;

	if (fstat(c->fds[0], &st) < 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size < q->xml_bytes || !q->xml_bytes ||
	    q->xml_bytes > HV_PAYLOAD_MAX)
		return err_set(err, EINVAL, "a device's XML comes as one memory file of up to %u octets",
		               HV_PAYLOAD_MAX);
	*ret = malloc(q->xml_bytes);
	*ret_len = q->xml_bytes;
	if (!*ret)
		return err_set(err, ENOMEM, "out of memory");
	ssize_t n = pread(c->fds[0], *ret, q->xml_bytes, 0);
	return n == (ssize_t)q->xml_bytes ? 0 : err_sys(err, n < 0 ? errno : ENODATA, "cannot read the device's XML");
}

/* Whoever moves it later asks for the whole of it. */
static int xml_fits(const struct dom_config *cfg, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	int r = dom_config_format(cfg, &text, err);

	return r < 0 ? r
	       : strlen(text) <= HV_PAYLOAD_MAX
	               ? 0
	               : err_set(err, E2BIG, "with it the domain's XML would have more than %u octets", HV_PAYLOAD_MAX);
}

static int may_come(const struct domain *d, struct err *err)
{
	int r = may_change(d, err);

	if (r < 0 || d->cfg->hvm.places)
		return r;
	return d->cfg->type == DOM_TYPE_UML
	               ? err_set(err, ENOTSUP,
	                         "guests of engine pv have the devices of their start (--config adds one to those)")
	               : err_set(err, ENOTSUP,
	                         "the machine of domain '%s' was made without places for devices that come and go; it has them "
	                         "after its next start",
	                         d->cfg->name);
}

int call_attach(struct call *c, struct err *err)
{
	_cleanup_free_ char *xml = NULL;
	struct domain *d = c->d;
	struct plug *p = &d->plug;
	size_t len = 0;
	int r = may_come(d, err);

	if (!r)
		r = make_timers(d, err);
	if (!r)
		r = read_xml(c, &xml, &len, err);
	if (!r)
		r = dom_config_attach(d->cfg, xml, len, "the device", 0, &p->next, &p->dev, err);
	if (!r && !p->dev.nic && !dom_disk_is_virtio(&p->next->disk[p->dev.index]))
		r = err_set(err, ENOTSUP, "only disks of bus 'virtio' come to a guest that runs");
	if (!r)
		r = xml_fits(p->next, err);
	if (!r && !p->dev.nic)
		r = devs_disks_ready(d->devs, err);
	for (size_t i = 1; !r && i < c->n_fds; i++)
		p->fd[p->n_fds++] = steal_fd(&c->fds[i]);
	if (!r && !p->dev.nic) {
		r = domain_job(d, attach_work, attach_done, UINT64_MAX, err);
	} else {
		struct devs_files files = { p->fd, p->n_fds };
		if (!r)
			r = devs_make_nic(d->devs, &p->next->nic[p->dev.index], &files, &p->v, err);
		if (p->next)
			r = attach_done(d, r, err);
	}
	if (!r)
		*REP(c, struct hv_attach_rep) = d->pend.attached;
	return r;
}

/* Ends -------------------------------------------------------------------------------------------------------------------- */

void domain_plug_left(struct domain *d, const struct hvconn *conn)
{
	if (d->plug.asker == conn)
		d->plug.asker = NULL; /* the guest was asked, and does as it likes */
}

void domain_plug_ended(struct domain *d)
{
	struct err e = { 0 };

	take_out_gone(d);
	d->plug.gone = 0; /* what could not be taken out now the next guest has again */
	if (!d->plug.asked || d->plug.n_leaving)
		return;
	(void)err_set(&e, ECANCELED,
	              "the guest ended before it let the device go, and has it again when it starts anew");
	answer_asker(d, -ECANCELED, &e);
}

void domain_plug_done(struct domain *d)
{
	struct plug *p = &d->plug;
	struct err e = { 0 };

	p->asker = NULL;
	while (p->n_leaving && !p->leaves) {
		int r = leave_work(d, &e);
		left(d, r, &e);
	}
	loop_del_timer(p->timer);
	loop_del_timer(p->again);
	devs_drop(p->v);
	leases_done(&p->lease);
	forget_attach(p);
}
