/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Disks and NICs that come to a domain and leave it: to the running one, for which the files are opened here, because hvdom may not; and to
 * its definition. See vmhost.h.
 */
#include "config.h"
#include "tools/vmhost.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "clusterd/guard/managed.h"
#include "common/procs.h"
#include "common/util.h"
#include "hypervisor/api/hvmsg.h"
#include "hypervisor/api/imgchain.h"
#include "hypervisor/api/leaserec.h"
#include "hypervisor/api/pathconf.h"
#include "hypervisor/api/tap.h"

#define ATTACH_MS 60000

/* What goes with the hypercall: the XML, then the device's files. */
struct files {
	int fd[HVMSG_FDS_MAX];
	size_t n;
};

static void files_done(struct files *f)
{
	while (f->n)
		if (f->fd[--f->n] >= 0)
			close(f->fd[f->n]);
}

static int put(struct files *f, int fd, struct err *err)
{
	if (f->n == HVMSG_FDS_MAX) {
		close(fd);
		return err_set(err, ELOOP, "its image stands on more images than a running domain can be given (%u)",
		               HVMSG_FDS_MAX - 3);
	}
	f->fd[f->n++] = fd;
	return 0;
}

static int put_xml(struct files *f, const struct vmhost_device *v, struct err *err)
{
	int fd = memfd_create("device", MFD_CLOEXEC);

	if (fd < 0)
		return err_sys(err, errno, "cannot hold the device's XML");
	int r = write_full(fd, v->xml, v->len);
	if (r < 0) {
		close(fd);
		return err_sys(err, -r, "cannot hold the device's XML");
	}
	return put(f, fd, err);
}

/* As hvdom does it at a start: the file is the domain's user's; but one that has a record may be another domain's. */
static int put_lease(struct files *f, const struct dom_config *cfg, const struct dom_disk *k, struct err *err)
{
	_cleanup_free_ char *path = leaserec_path_beside(k);
	struct procs p = { 0 };
	struct stat st;

	if (!path)
		return 0;
	int fd = path_open(cfg->paths, PATH_IMAGE, path, O_RDWR | O_CREAT | O_NOFOLLOW, "lease", err);
	if (fd < 0)
		return fd;
	/* some network file systems refuse; the open descriptor is what counts */
	if (!fstat(fd, &st) && !st.st_size && !procs_read(cfg->name, &p) && p.uid && fchown(fd, p.uid, (gid_t)-1) < 0)
		(void)errno;
	return put(f, fd, err);
}

static int put_images(struct files *f, const struct dom_config *cfg, const struct dom_disk *k, struct err *err)
{
	struct imgchain c = { 0 };
	char what[32];
	int r;

	snprintf(what, sizeof(what), "disk %s", k->target);
	if (k->format == DOM_FORMAT_RAW) {
		int fd = path_open(cfg->paths, k->type == DOM_DISK_BLOCK ? PATH_DEVICE : PATH_IMAGE, k->source,
		                   k->readonly ? O_RDONLY : O_RDWR, what, err);
		return fd < 0 ? fd : put(f, fd, err);
	}
	r = imgchain_open(cfg->paths, k, what, &c, err);
	for (unsigned i = 0; i < c.n && !r; i++)
		r = put(f, steal_fd(&c.m[i].fd), err);
	imgchain_done(&c);
	return r;
}

/* The lease comes first among them, and is opened last: an image that is not there leaves no lease. */
static int put_disk(struct files *f, const struct dom_config *cfg, const struct dom_disk *k, struct err *err)
{
	struct files images = { .n = 0 };
	int r = put_images(&images, cfg, k, err);

	if (!r)
		r = put_lease(f, cfg, k, err);
	for (size_t i = 0; i < images.n && !r; i++)
		r = put(f, steal_fd(&images.fd[i]), err);
	files_done(&images);
	return r;
}

static int put_nic(struct files *f, const struct dom_nic *c, struct err *err)
{
	char name[16];
	int fd = -1,
	    r = tap_open(c->target, c->type == DOM_NIC_BRIDGE ? c->bridge : "", c->mac, c->mtu, name, &fd, err);

	return r < 0 ? r : put(f, fd, err);
}

static int running_config(struct hvcall *c, const char *name, struct dom_config **ret, struct err *err)
{
	_cleanup_free_ char *xml = NULL;
	int r = vmhost_connect(c, name, err);

	if (!r)
		r = vmhost_running_xml(c, &xml, err);
	return r < 0 ? r : dom_config_parse(xml, strlen(xml), name, ret, err);
}

/* What the running domain would be with it, by this host's rules for paths. */
static int look_ahead(const struct dom_config *cfg, const struct vmhost_device *v, const struct path_rules *rules,
                      struct dom_config **ret, struct dom_device *ret_dev, struct err *err)
{
	int r = dom_config_attach(cfg, v->xml, v->len, v->origin, 0, ret, ret_dev, err);

	if (!r && !ret_dev->nic && !dom_disk_is_virtio(&(*ret)->disk[ret_dev->index]))
		r = err_set(
			err, ENOTSUP,
			"%s: only disks of bus 'virtio' come to a guest that runs; --config adds it to the definition",
			v->origin);
	if (!r && !rules->local_any) {
		(*ret)->paths = rules;
		r = path_check_config(rules, *ret, err);
	}
	return r;
}

int vmhost_attach(const char *name, const struct vmhost_device *v, struct hv_attach_rep *ret, struct err *err)
{
	_cleanup_dom_config_ struct dom_config *cfg = NULL, *next = NULL;
	_cleanup_hvcall_ struct hvcall c = { .fd = -1 };
	struct hv_attach_req req = { .xml_bytes = v->len };
	struct path_rules rules = { 0 };
	struct files f = { .n = 0 };
	struct dom_device dev = { 0 };
	int r = running_config(&c, name, &cfg, err);

	if (!r && cfg->type == DOM_TYPE_UML)
		r = err_set(
			err, ENOTSUP,
			"domain '%s' is of engine pv, whose guests have the devices of their start; --config adds it to those",
			name);
	if (!r)
		r = path_rules_load(&rules, err);
	if (!r)
		r = look_ahead(cfg, v, &rules, &next, &dev, err);
	if (!r)
		r = put_xml(&f, v, err);
	if (!r)
		r = dev.nic ? put_nic(&f, &next->nic[dev.index], err) : put_disk(&f, next, &next->disk[dev.index], err);
	c.timeout_ms = ATTACH_MS;
	if (!r)
		r = hvcall(&c, HV_OP_ATTACH, &req, sizeof(req), f.fd, f.n, ret, sizeof(*ret), NULL, NULL, NULL, err);
	files_done(&f);
	path_rules_done(&rules);
	return r;
}

int vmhost_detach(const char *name, const char *device, struct err *err)
{
	_cleanup_hvcall_ struct hvcall c = { .fd = -1 };
	struct hv_detach_req req = { 0 };
	int r = vmhost_connect(&c, name, err);

	if (!r && strlen(device) >= sizeof(req.device))
		r = err_set(err, EINVAL, "'%s' is no device: a disk's target (vdb), or a NIC's MAC address", device);
	if (r < 0)
		return r;
	snprintf(req.device, sizeof(req.device), "%s", device);
	c.timeout_ms = ATTACH_MS;
	return hvcall_simple(&c, HV_OP_DETACH, &req, sizeof(req), NULL, 0, err);
}

/* Definitions ------------------------------------------------------------------------------------------------------------- */

static int definition(const char *name, struct dom_config **ret, struct err *err)
{
	_cleanup_free_ char *path = NULL;
	int r = vmhost_definition_path(name, &path, err);

	if (r < 0)
		return r;
	if (managed_listed(name, NULL))
		return err_set(
			err, EPERM,
			"'%s' is a domain of the cluster, which has its definition: vmclus define with the changed XML "
			"(--live alone changes the domain that runs, until it is started anew)",
			name);
	r = dom_config_load(path, ret, err);
	return r == -ENOENT
	               ? err_set(err, r, "no definition of domain '%s', so there is nothing that --config could change",
	                         name)
	               : r;
}

int vmhost_attach_config(const char *name, const struct vmhost_device *v, unsigned place, bool write, struct err *err)
{
	_cleanup_dom_config_ struct dom_config *cfg = NULL, *next = NULL;
	struct dom_device dev;
	int r = definition(name, &cfg, err);

	if (!r)
		r = dom_config_attach(cfg, v->xml, v->len, v->origin, place, &next, &dev, err);
	return r < 0 || !write ? r : vmhost_define(next, err);
}

int vmhost_detach_config(const char *name, const char *device, bool write, struct err *err)
{
	_cleanup_dom_config_ struct dom_config *cfg = NULL, *next = NULL;
	struct dom_device dev;
	int r = definition(name, &cfg, err);

	if (!r && !dom_config_device(cfg, device, &dev))
		r = err_set(err, ENOENT, "the definition of domain '%s' has no disk or NIC '%s'", name, device);
	if (!r)
		r = dom_config_detach(cfg, &dev, &next, err);
	return r < 0 || !write ? r : vmhost_define(next, err);
}
