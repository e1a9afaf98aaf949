/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Procedures that ask the guest's own agent: addresses, file systems, its name and time, and what else it knows. */
#include "config.h"
#include "virtd/vdh_int.h"

#include <errno.h>
#include <time.h>
#include "common/util.h"
#include "tools/vmhost_agent.h"

#define FROM_AGENT    1u
#define TIME_SYNC     1u
#define COMMAND_S     5u /* how long a command may take, if the client does not say */
#define COMMAND_S_MAX 600u
/* instead of seconds: without end; by default; without waiting */
enum { WAIT_BLOCK = -2, WAIT_DEFAULT = -1, WAIT_NOT = 0 };

/* The running domain of argument 0. */
static int running(struct vd_call *c, struct vmhost_dom *d)
{
	if (vd_find(c, 0, d) < 0)
		return -1;
	if (vd_is_active(d))
		return 0;
	vmhost_dom_done(d);
	return vd_fail(c, VD_E_INVALID, "Requested operation is not valid: domain is not running");
}

/* What the agent's part of vmhost says, in the codes that clients know for it. */
static int agent_error(struct vd_call *c, int r, const struct err *err)
{
	enum vd_code code = r == -ENOENT ? VD_E_UNSUPPORTED : r == -ETIMEDOUT ? VD_E_AGENT : VD_E_FAILED;

	if (r == -EINVAL)
		code = VD_E_INVALID_ARG;
	return vd_fail(c, code, "%s", err->text);
}

int vdh_addresses(struct vd_call *c)
{
	_cleanup_free_ struct vmhost_interface *f = NULL;
	struct err err = { 0 };
	struct vmhost_dom d;
	size_t n = 0;

	if (c->args.arg[1].u != FROM_AGENT || c->args.arg[2].u)
		return vd_fail(c, VD_E_UNSUPPORTED, "addresses are known from the guest's agent only: --source agent");
	if (running(c, &d) < 0)
		return -1;
	int r = vmhost_addresses(d.name, &f, &n, &err);
	vmhost_dom_done(&d);
	if (r < 0)
		return agent_error(c, r, &err);
	xdr_put_u32(&c->out, (uint32_t)n);
	for (size_t i = 0; i < n; i++) {
		xdr_put_string(&c->out, f[i].name);
		xdr_put_opt_string(&c->out, *f[i].mac ? f[i].mac : NULL);
		xdr_put_u32(&c->out, (uint32_t)f[i].n);
		for (size_t k = 0; k < f[i].n; k++) {
			xdr_put_u32(&c->out, f[i].address[k].six ? 1 : 0);
			xdr_put_string(&c->out, f[i].address[k].ip);
			xdr_put_u32(&c->out, f[i].address[k].prefix);
		}
	}
	return 0;
}

/* All of them, or none. */
static int file_systems(struct vd_call *c, bool freeze)
{
	struct err err = { 0 };
	struct vmhost_dom d;
	unsigned n = 0;

	if (c->args.arg[1].n || c->args.arg[2].u)
		return vd_fail(c, VD_E_UNSUPPORTED, "all file systems of a guest are frozen and thawed: name none");
	if (running(c, &d) < 0)
		return -1;
	int r = freeze ? vmhost_freeze(d.name, VMHOST_FREEZE_S, &n, &err) : vmhost_thaw(d.name, &n, &err);
	vmhost_dom_done(&d);
	if (r < 0)
		return agent_error(c, r, &err);
	xdr_put_u32(&c->out, n);
	return 0;
}

int vdh_freeze(struct vd_call *c)
{
	return file_systems(c, true);
}

int vdh_thaw(struct vd_call *c)
{
	return file_systems(c, false);
}

/* Of the program for QEMU's domains. Arguments: domain, command, seconds, flags. */
int vdh_agent_command(struct vd_call *c)
{
	int32_t wait = (int32_t)c->args.arg[2].u;
	unsigned s = wait == WAIT_BLOCK ? COMMAND_S_MAX : wait == WAIT_DEFAULT ? COMMAND_S : (unsigned)wait;
	_cleanup_free_ char *said = NULL;
	struct err err = { 0 };
	struct vmhost_dom d;

	if (wait < WAIT_BLOCK || s > COMMAND_S_MAX || c->args.arg[3].u)
		return vd_fail(c, VD_E_INVALID_ARG, "invalid argument: at most %u seconds, and no flags",
		               COMMAND_S_MAX);
	if (running(c, &d) < 0)
		return -1;
	int r = vmhost_agent_command(d.name, c->args.arg[1].s, s, &said, &err);
	vmhost_dom_done(&d);
	if (r < 0)
		return agent_error(c, r, &err);
	xdr_put_opt_string(&c->out, said);
	return 0;
}

int vdh_guest_hostname(struct vd_call *c)
{
	char name[VMHOST_HOSTNAME_MAX];
	struct err err = { 0 };
	struct vmhost_dom d;

	if (running(c, &d) < 0)
		return -1;
	int r = vmhost_guest_hostname(d.name, name, &err);
	vmhost_dom_done(&d);
	if (r < 0)
		return agent_error(c, r, &err);
	xdr_put_string(&c->out, name);
	return 0;
}

int vdh_guest_time(struct vd_call *c)
{
	struct err err = { 0 };
	struct vmhost_dom d;
	int64_t ns = 0;

	if (running(c, &d) < 0)
		return -1;
	int r = vmhost_guest_time(d.name, &ns, &err);
	vmhost_dom_done(&d);
	if (r < 0)
		return agent_error(c, r, &err);
	xdr_put_u64(&c->out, (uint64_t)(ns / (int64_t)NS_PER_S));
	xdr_put_u32(&c->out, (uint32_t)(ns % (int64_t)NS_PER_S));
	return 0;
}

/* Arguments: domain, seconds, nanoseconds, flags. */
int vdh_set_guest_time(struct vd_call *c)
{
	int64_t s = (int64_t)c->args.arg[1].l;
	uint32_t ns = c->args.arg[2].u, flags = c->args.arg[3].u;
	struct err err = { 0 };
	struct vmhost_dom d;
	struct timespec ts;

	if ((flags & ~TIME_SYNC) || ns >= NS_PER_S || s < 0 || s > INT64_MAX / (int64_t)NS_PER_S - 1)
		return vd_fail(c, VD_E_INVALID_ARG, "invalid argument: a time since 1970");
	clock_gettime(CLOCK_REALTIME, &ts); /* to sync with its own hardware's clock, which shows the host's */
	if (flags & TIME_SYNC) {
		s = ts.tv_sec;
		ns = (uint32_t)ts.tv_nsec;
	}
	if (running(c, &d) < 0)
		return -1;
	int r = vmhost_guest_set_time(d.name, s * (int64_t)NS_PER_S + ns, &err);
	vmhost_dom_done(&d);
	return r < 0 ? agent_error(c, r, &err) : 0;
}

/* Arguments: domain, mount point, least octets, flags. */
int vdh_trim(struct vd_call *c)
{
	struct err err = { 0 };
	struct vmhost_dom d;

	if (c->args.arg[1].s || c->args.arg[3].u)
		return vd_fail(c, VD_E_UNSUPPORTED, "all file systems of a guest are trimmed: name none");
	if (running(c, &d) < 0)
		return -1;
	int r = vmhost_trim(d.name, c->args.arg[2].l, &err);
	vmhost_dom_done(&d);
	return r < 0 ? agent_error(c, r, &err) : 0;
}
