/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Procedures about the connection and the host: open, features, versions, node information. */
#include "config.h"
#include "virtd/vdh_int.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysinfo.h>

/* libvirt's features that are told of; all others: no. */
#define FEATURE_V3             6
#define FEATURE_P2P            4
#define FEATURE_CHANGE_PROTECT 7
#define FEATURE_STRINGS        9
#define FEATURE_KEEPALIVE      10
#define FEATURE_XML_MIGRATABLE 11
#define FEATURE_PARAMS         13
#define FEATURE_CALLBACKS      14

int vdh_auth_list(struct vd_call *c)
{
	xdr_put_u32(&c->out, 1);
	xdr_put_u32(&c->out, 0); /* none: the socket's mode has let the client in */
	return 0;
}

static const char *const paths[] = { [VD_SYSTEM] = "/system", [VD_CLUSTER] = "/cluster" };

/* Parameters may follow. */
static bool names_path(const char *at, const char *path)
{
	size_t len = strlen(path);

	return !strncmp(at, path, len) && (!at[len] || at[len] == '?');
}

int vdh_open(struct vd_call *c)
{
	enum vd_scope scope;
	const char *uri = c->args.arg[0].s, *path = uri ? strstr(uri, ":///") : NULL;

	if (c->conn->opened)
		return vd_fail(c, VD_E_FAILED, "connection already open");
	path = path ? path + 3 : "/system";
	for (scope = VD_SYSTEM; scope < VD_SCOPES && !names_path(path, paths[scope]); scope++)
		;
	if (scope == VD_SCOPES)
		return vd_fail(c, VD_E_INVALID_ARG, "\"%s\" is not served here: hospes:///system, hospes:///cluster",
		               uri);
	c->conn->opened = true;
	c->conn->scope = scope;
	if (c->args.arg[1].u & 1)
		c->conn->readonly = true;
	return 0;
}

int vdh_close(struct vd_call *c)
{
	c->conn->opened = false;
	return 0;
}

int vdh_feature(struct vd_call *c)
{
	bool yes;

	switch (c->args.arg[0].u) {
	case FEATURE_KEEPALIVE:
		c->conn->keepalive = true;
		yes = true;
		break;
	case FEATURE_P2P:
	case FEATURE_V3:
	case FEATURE_CHANGE_PROTECT:
	case FEATURE_STRINGS:
	case FEATURE_XML_MIGRATABLE:
	case FEATURE_PARAMS:
	case FEATURE_CALLBACKS:
		yes = true;
		break;
	default:
		yes = false;
	}
	xdr_put_u32(&c->out, yes);
	return 0;
}

int vdh_type(struct vd_call *c)
{
	xdr_put_string(&c->out, "Hospes");
	return 0;
}

/* "0.9.3" as libvirt counts: 1000000 * 0 + 1000 * 9 + 3. */
int vdh_version(struct vd_call *c)
{
	unsigned v[3] = { 0 };

	(void)sscanf(PACKAGE_VERSION, "%u.%u.%u", &v[0], &v[1], &v[2]);
	xdr_put_u64(&c->out, v[0] * 1000000ull + v[1] * 1000ull + v[2]);
	return 0;
}

int vdh_hostname(struct vd_call *c)
{
	xdr_put_string(&c->out, c->srv->host);
	return 0;
}

int vdh_uri(struct vd_call *c)
{
	char uri[40];

	snprintf(uri, sizeof(uri), "hospes://%s", paths[c->scope]);
	xdr_put_string(&c->out, uri);
	return 0;
}

int vdh_true(struct vd_call *c)
{
	xdr_put_u32(&c->out, 1);
	return 0;
}

int vdh_false(struct vd_call *c)
{
	xdr_put_u32(&c->out, 0);
	return 0;
}

/* An empty list, and the number of what is in it. */
int vdh_empty(struct vd_call *c)
{
	xdr_put_u32(&c->out, 0);
	xdr_put_u32(&c->out, 0);
	return 0;
}

static unsigned mhz(void)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/cpuinfo", "re");
	char line[256];
	double v = 0;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "cpu MHz : %lf", &v) == 1)
			break;
	return v > 0 && v < 1e5 ? (unsigned)v : 0;
}

int vdh_node_info(struct vd_call *c)
{
	static const char model[32] = "x86_64";
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	struct sysinfo si;

	if (sysinfo(&si) < 0)
		return vd_fail(c, VD_E_INTERNAL, "sysinfo: %s", strerror(errno));
	for (size_t i = 0; i < sizeof(model); i++)
		xdr_put_u32(&c->out, (uint32_t)model[i]);
	xdr_put_u64(&c->out, (uint64_t)si.totalram * si.mem_unit / 1024);
	xdr_put_u32(&c->out, cpus > 0 ? (uint32_t)cpus : 1);
	xdr_put_u32(&c->out, mhz());
	xdr_put_u32(&c->out, 1); /* nodes, sockets: how they are placed is not looked at */
	xdr_put_u32(&c->out, 1);
	xdr_put_u32(&c->out, cpus > 0 ? (uint32_t)cpus : 1);
	xdr_put_u32(&c->out, 1);
	return 0;
}

int vdh_free_memory(struct vd_call *c)
{
	struct sysinfo si;

	if (sysinfo(&si) < 0)
		return vd_fail(c, VD_E_INTERNAL, "sysinfo: %s", strerror(errno));
	xdr_put_u64(&c->out, (uint64_t)si.freeram * si.mem_unit);
	return 0;
}

/* By the type of a domain; as vdh_caps tells. */
int vdh_max_vcpus(struct vd_call *c)
{
	const char *type = c->args.arg[0].s;

	xdr_put_u32(&c->out, type && (!strcmp(type, "qemu") || !strcmp(type, "kvm")) ? VDH_VCPUS_QEMU : 1);
	return 0;
}
