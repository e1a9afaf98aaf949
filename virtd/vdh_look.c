/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Procedures that look closer at a domain: its disks, vCPUs, its hvdom, its screen. And what a domain here cannot do, said. */
#include "config.h"
#include "virtd/vdh_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "hypervisor/api/memcheck.h"
#include "virtd/vdcopy.h"

#define VCPU_RUNNING           1u
#define VCPU_ANYWHERE          UINT32_MAX /* as -1 */
#define MAP_BYTES              512u
#define CONTROL_OK             0u
#define CONTROL_ERROR          3u
#define DISK_ERROR_UNSPECIFIED 1u

/* A running domain, or one that is to run if @active. */
static int find(struct vd_call *c, bool active, struct vmhost_dom *d)
{
	if (vd_find(c, 0, d) < 0)
		return -1;
	if (!active || vd_is_active(d))
		return 0;
	vmhost_dom_done(d);
	return vd_fail(c, VD_E_INVALID, "Requested operation is not valid: domain is not running");
}

/* Disks ------------------------------------------------------------------------------------------------------------------- */

/* By its target or its file: what its image is. */
static int look_at_image(const struct dom_config *cfg, const char *key, struct store_vol *ret, struct err *err)
{
	for (size_t i = 0; i < cfg->n_disks; i++) {
		const struct dom_disk *disk = &cfg->disk[i];
		_cleanup_free_ char *dir = strdup(disk->source);
		char *slash = dir ? strrchr(dir, '/') : NULL;
		_cleanup_close_ int fd = -1;
		off_t end;

		if (strcmp(disk->target, key) && strcmp(disk->source, key))
			continue;
		if (!slash)
			return err_set(err, ENOMEM, "out of memory");
		*slash = 0;
		const struct store_pool at = { .dir = *dir ? dir : (char[]){ "/" } };
		if (disk->type == DOM_DISK_FILE)
			return store_look(&at, slash + 1, ret, err);
		fd = open(disk->source, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		end = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
		if (end < 0)
			return err_sys(err, errno, "%s", disk->source);
		ret->capacity = ret->allocation = ret->physical = (uint64_t)end;
		return 0;
	}
	return err_set(err, EINVAL, "invalid argument: invalid path %.200s not assigned to domain", key);
}

/* Arguments: domain, disk, flags. Octets: what the guest sees, what the storage has given, the file's size. */
int vdh_block_info(struct vd_call *c)
{
	_cleanup_dom_config_ struct dom_config *cfg = NULL;
	struct store_vol v = { 0 };
	struct err err = { 0 };
	struct vmhost_dom d;
	int r;

	if (find(c, false, &d) < 0)
		return -1;
	cfg = vdh_config_of(c, &d);
	vmhost_dom_done(&d);
	if (!cfg)
		return -1;
	r = look_at_image(cfg, c->args.arg[1].s, &v, &err);
	if (r < 0)
		return vd_fail(c, r == -EINVAL ? VD_E_INVALID_ARG : VD_E_FAILED, "%s", err.text);
	xdr_put_u64(&c->out, v.allocation);
	xdr_put_u64(&c->out, v.capacity);
	xdr_put_u64(&c->out, v.physical);
	store_vol_done(&v);
	return 0;
}

/* Arguments: domain, how many, flags. Of failed disks hvdom names one, the first. */
int vdh_disk_errors(struct vd_call *c)
{
	struct vmhost_dom d;
	uint32_t n;

	if (find(c, true, &d) < 0)
		return -1;
	n = d.running && d.info.reason == HV_WHY_DISK_ERROR;
	xdr_put_u32(&c->out, c->args.arg[1].u ? n : 0);
	if (n && c->args.arg[1].u) {
		d.info.disk[sizeof(d.info.disk) - 1] = 0;
		xdr_put_string(&c->out, d.info.disk);
		xdr_put_u32(&c->out, DISK_ERROR_UNSPECIFIED);
	}
	xdr_put_u32(&c->out, c->args.arg[1].u ? n : DOM_DISKS_MAX); /* how many there may be, or are */
	vmhost_dom_done(&d);
	return 0;
}

/* Processors -------------------------------------------------------------------------------------------------------------- */

/* Each vCPU of @n may run on each processor: @len octets of a map for each, as many as asked for. */
static void put_maps(struct buf *b, uint32_t n, uint32_t len)
{
	uint8_t map[MAP_BYTES] = { 0 };
	long cpus = sysconf(_SC_NPROCESSORS_CONF);
	_cleanup_buf_ struct buf all = { 0 };

	len = len < MAP_BYTES ? len : MAP_BYTES;
	for (long i = 0; i < cpus && i / 8 < (long)len; i++)
		map[i / 8] |= (uint8_t)(1u << i % 8);
	for (uint32_t i = 0; i < n; i++)
		buf_put(&all, map, len);
	xdr_put_opaque(b, all.data, all.len);
	b->failed |= all.failed;
}

/* Arguments: domain, how many, octets of a map. What processor time each has had is known of all together only. */
int vdh_vcpu_list(struct vd_call *c)
{
	uint32_t asked = c->args.arg[1].u, n;
	struct hv_stats st = { 0 };
	struct vmhost_dom d;

	if (find(c, true, &d) < 0)
		return -1;
	if (vd_hvcall(c, d.name, HV_OP_STATS, NULL, 0, &st, sizeof(st)) < 0) {
		vmhost_dom_done(&d);
		return -1;
	}
	n = vmhost_vcpus(&d);
	n = n && n < asked ? n : asked;
	xdr_put_u32(&c->out, n);
	for (uint32_t i = 0; i < n; i++) {
		xdr_put_u32(&c->out, i);
		xdr_put_u32(&c->out, VCPU_RUNNING);
		xdr_put_u64(&c->out, st.cpu_ns / n);
		xdr_put_u32(&c->out, VCPU_ANYWHERE);
	}
	put_maps(&c->out, n, c->args.arg[2].u);
	vmhost_dom_done(&d);
	return 0;
}

/* Arguments: domain, how many maps, octets of each, flags. */
int vdh_vcpu_pins(struct vd_call *c)
{
	struct vmhost_dom d;
	uint32_t n;

	if (find(c, false, &d) < 0)
		return -1;
	n = vmhost_vcpus(&d);
	n = n < c->args.arg[1].u ? n : c->args.arg[1].u;
	vmhost_dom_done(&d);
	put_maps(&c->out, n, c->args.arg[2].u);
	xdr_put_u32(&c->out, n);
	return 0;
}

/* Arguments: domain, octets of the map, flags. */
int vdh_emulator_pins(struct vd_call *c)
{
	struct vmhost_dom d;

	if (find(c, false, &d) < 0)
		return -1;
	vmhost_dom_done(&d);
	put_maps(&c->out, 1, c->args.arg[1].u);
	xdr_put_u32(&c->out, 1);
	return 0;
}

/* Arguments: domain, how many numbers, first processor (-1: all together), how many processors, flags. */
int vdh_cpu_stats(struct vd_call *c)
{
	const uint32_t n = 2;
	struct hv_stats st = { 0 };
	struct vmhost_dom d;
	struct vd_list l;
	int r;

	if ((int32_t)c->args.arg[2].u != -1)
		return vd_fail(c, VD_E_UNSUPPORTED, "time is known of all processors together: --total");
	if (find(c, true, &d) < 0)
		return -1;
	r = vd_hvcall(c, d.name, HV_OP_STATS, NULL, 0, &st, sizeof(st));
	vmhost_dom_done(&d);
	if (r < 0)
		return r;
	l = vd_list_begin(&c->out);
	if (c->args.arg[1].u >= n) {
		vd_put_ullong(&l, "cpu_time", st.cpu_ns + st.hv_cpu_ns);
		vd_put_ullong(&l, "vcpu_time", st.cpu_ns);
		vd_list_end(&l);
	}
	xdr_put_u32(&c->out, n);
	return 0;
}

/* Does its hvdom answer? Arguments: domain, flags. */
int vdh_control_info(struct vd_call *c)
{
	struct vmhost_dom d;

	if (find(c, true, &d) < 0)
		return -1;
	xdr_put_u32(&c->out, d.silent ? CONTROL_ERROR : CONTROL_OK);
	xdr_put_u32(&c->out, 0);
	xdr_put_u64(&c->out, 0);
	vmhost_dom_done(&d);
	return 0;
}

/* Screen ------------------------------------------------------------------------------------------------------------------ */

static int picture_of(const char *name, uint32_t screen, int *ret_fd, uint64_t *ret_bytes, struct err *err)
{
	struct hv_screenshot_req q = { .screen = screen };
	struct hv_screenshot_rep rep = { 0 };
	_cleanup_hvcall_ struct hvcall h = { .fd = -1 };
	_cleanup_close_ int fd = -1;
	size_t n = 1, len;
	int r = hvcall_open(&h, name, err);

	if (!r)
		r = hvcall(&h, HV_OP_SCREENSHOT, &q, sizeof(q), NULL, 0, &rep, sizeof(rep), &len, &fd, &n, err);
	if (!r && (n != 1 || !rep.size_bytes || rep.size_bytes > HV_SCREENSHOT_MAX))
		r = err_set(err, EPROTO, "hvdom sent no picture");
	if (!r)
		r = memcheck_read(fd, rep.size_bytes, "the picture", err);
	if (r < 0)
		return r;
	*ret_fd = steal_fd(&fd);
	*ret_bytes = rep.size_bytes;
	return 0;
}

/* Arguments: domain, screen, flags. The picture follows as a stream. */
int vdh_screenshot(struct vd_call *c)
{
	struct err err = { 0 };
	struct vmhost_dom d;
	uint64_t bytes = 0;
	int fd = -1, r;

	if (find(c, true, &d) < 0)
		return -1;
	r = picture_of(d.name, c->args.arg[1].u, &fd, &bytes, &err);
	vmhost_dom_done(&d);
	if (!r)
		r = vd_copy_new(fd, false, 0, bytes, &c->copy, &c->fd, &err);
	if (r < 0)
		return vd_fail_err(c, r == -ENOENT ? -ENOTSUP : r, &err);
	xdr_put_opt_string(&c->out, "image/png");
	return 0;
}

/* What there is not ------------------------------------------------------------------------------------------------------- */

/* In libvirt's words for what a driver lacks, by which clients know it; and what to do. */
int vdh_lacks(struct vd_call *c)
{
	static const struct {
		uint16_t number;
		const char *text;
	} why[] = {
		{ 26, "a vCPU runs on any processor: limit hvdom by systemd, or its control group" },
		{ 56, "domains share the processors alike: limit hvdom by systemd, or its control group" },
		{ 182, "a domain is saved to a file that has a name: virsh save" },
		{ 184, "a domain is saved to a file that has a name, which may be deleted" },
		{ 185, "snapshots are not kept: qcow2 images on a common base, or copies of a frozen file system" },
		{ 197, "memory is what the definition says, and virsh setmem" },
		{ 198, "memory is what the definition says, and virsh setmem" },
		{ 203, "what the host's firmware says is dmidecode's" },
		{ 205, "disks have no limits of their own" },
		{ 206, "disks have no limits of their own" },
		{ 210, "the guest gets no NMI: <watchdog> has an action for that" },
		{ 225, "a vCPU runs on any processor: limit hvdom by systemd, or its control group" },
		{ 226, "keys are sent by the guest's screen (virsh domdisplay)" },
		{ 242, "a push takes what the network gives: virsh migrate --bandwidth, vmmig push --bandwidth" },
		{ 245, "virsh reboot asks the guest; virsh destroy and start do not ask it" },
		{ 253, "disks have no limits of their own" },
		{ 255, "how memory is placed is the host's" },
		{ 257, "interfaces have no limits of their own" },
		{ 261, "a guest suspends itself; virsh suspend stops it" },
		{ 299, "pages are compressed by lz4, without a cache" },
		{ 349, "virsh domfsfreeze and domfstrim take all of them; the guest's own tools list them" },
		{ 358, "a domain keeps its name: virsh dumpxml, undefine, and define under the other one" },
		{ 365, "perf(1) on the host sees hvdom and its guest" },
		{ 371, "how many of them a guest uses is its own affair" },
		{ 387, "each push aims at its own: vmmig push --downtime" },
		{ 388, "a domain is saved to a file that has a name: virsh save" },
		{ 418, "virsh domhostname, domifaddr and domtime ask the guest's agent" },
		{ 427, "vmmig plan says how fast a guest writes" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(why); i++)
		if (why[i].number == c->proc->number)
			return vd_fail(c, VD_E_NO_SUPPORT,
			               "this function is not supported by the connection driver: %s: %s", c->proc->name,
			               why[i].text);
	return vd_fail(c, VD_E_NO_SUPPORT, "this function is not supported by the connection driver: %s",
	               c->proc->name);
}
