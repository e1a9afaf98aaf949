/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Procedures that say what a domain is and does; and how a call's domain is found (virtd_int.h). */
#include "config.h"
#include "virtd/vdh_int.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "common/util.h"
#include "hypervisor/api/hvproc.h"

/* libvirt's reasons */
enum { PAUSED_UNKNOWN, PAUSED_USER, PAUSED_MIGRATION, PAUSED_IOERROR = 5, PAUSED_WATCHDOG = 6, PAUSED_STARTING = 11 };
#define SHUTOFF_CRASHED 3

#define XML_SECURE   1u
#define XML_INACTIVE 2u
#define V_LIVE       1u
#define V_CONFIG     2u
#define V_MAXIMUM    4u
#define V_GUEST      8u

bool vd_is_active(const struct vmhost_dom *d)
{
	return d->running || d->silent;
}

bool vd_is_there(const struct vmhost_dom *d)
{
	/* a definition that cannot be read has no uuid, without which libvirt knows no domain */
	return vd_is_active(d) ? *vmhost_uuid(d) != 0 : d->defined && d->cfg;
}

/* libvirt's ids are numbers of running domains that change with each start: hvdom's process has such a one. */
int32_t vd_id(const struct vmhost_dom *d)
{
	return !vd_is_active(d) ? -1 : d->running ? d->info.pid : hvproc_pid(d->name);
}

static int digit(char ch)
{
	const char *at = ch ? strchr("0123456789abcdef", ch) : NULL;

	return at ? (int)(at - "0123456789abcdef") : ch >= 'A' && ch <= 'F' ? ch - 'A' + 10 : 0;
}

void vd_uuid_of_text(const char *s, uint8_t ret[XDR_UUID])
{
	memset(ret, 0, XDR_UUID);
	if (!uuid_is_valid(s))
		return;
	for (size_t i = 0; i < XDR_UUID; i++) {
		s += *s == '-';
		ret[i] = (uint8_t)(digit(s[0]) << 4 | digit(s[1]));
		s += 2;
	}
}

void vd_uuid(const struct vmhost_dom *d, uint8_t ret[XDR_UUID])
{
	vd_uuid_of_text(vmhost_uuid(d), ret);
}

void vd_uuid_text(const uint8_t u[XDR_UUID], char ret[37])
{
	snprintf(ret, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", u[0], u[1], u[2],
	         u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14], u[15]);
}

void vd_put_found(struct buf *b, const struct vmhost_dom *d)
{
	uint8_t uuid[XDR_UUID];

	vd_uuid(d, uuid);
	vd_put_dom(b, d->name, uuid, vd_id(d));
}

static void paused_reason(const struct hv_info *info, int32_t *reason)
{
	*reason = info->reason == HV_WHY_ORDER        ? PAUSED_USER
	          : info->reason == HV_WHY_DISK_ERROR ? PAUSED_IOERROR
	          : info->reason == HV_WHY_WATCHDOG   ? PAUSED_WATCHDOG
	                                              : PAUSED_UNKNOWN;
}

void vd_state(const struct vmhost_dom *d, int32_t *state, int32_t *reason)
{
	*reason = 0;
	if (!d->running) {
		*state = d->silent ? S_NOSTATE : S_SHUTOFF;
		*reason = d->dead ? SHUTOFF_CRASHED : 0;
		return;
	}
	switch (d->info.state) {
	case HV_DOM_BOOTING:
	case HV_DOM_RUNNING:
		*state = S_RUNNING;
		*reason = 1; /* booted */
		return;
	case HV_DOM_SHUTDOWN:
		*state = S_SHUTDOWN;
		return;
	case HV_DOM_CRASHED:
		*state = S_CRASHED;
		return;
	case HV_DOM_PAUSED:
		*state = S_PAUSED;
		paused_reason(&d->info, reason);
		return;
	case HV_DOM_SUSPENDED:
	case HV_DOM_RELINQUISHED:
	case HV_DOM_INCOMING:
	case HV_DOM_RESTORED:
		*state = S_PAUSED;
		*reason = PAUSED_MIGRATION;
		return;
	default:
		*state = S_PAUSED; /* parked */
	}
}

int vd_find_name(struct vd_call *c, const char *name, struct vmhost_dom *ret)
{
	struct vmhost_dom d;

	if (!name_is_valid(name) || vmhost_find(&d, name, NULL) < 0)
		return vd_fail(c, VD_E_NO_DOMAIN, "Domain not found: no domain with matching name '%.100s'", name);
	if (vd_is_there(&d)) {
		*ret = d;
		return 0;
	}
	if (d.broken.code)
		(void)vd_fail(c, VD_E_XML, "%s", d.broken.text);
	else
		(void)vd_fail(c, VD_E_NO_DOMAIN, "Domain not found: no domain with matching name '%.100s'", name);
	vmhost_dom_done(&d);
	return -1;
}

int vd_find(struct vd_call *c, unsigned i, struct vmhost_dom *ret)
{
	const struct vd_dom *want = c->args.arg[i].dom;
	uint8_t uuid[XDR_UUID];
	struct vmhost_dom d;

	if (name_is_valid(want->name) && !vmhost_find(&d, want->name, NULL)) {
		vd_uuid(&d, uuid);
		if (vd_is_there(&d) && !memcmp(uuid, want->uuid, XDR_UUID)) {
			*ret = d;
			return 0;
		}
		vmhost_dom_done(&d);
	}
	return vd_find_uuid(c, want->uuid, ret);
}

int vd_hvcall(struct vd_call *c, const char *name, uint16_t op, const void *req, size_t len, void *rep, size_t cap)
{
	_cleanup_hvcall_ struct hvcall h = { .fd = -1 };
	struct err err = { 0 };
	int r = hvcall_open(&h, name, &err);

	if (r == -ENOENT || r == -ECONNREFUSED)
		return vd_fail(c, VD_E_INVALID, "Requested operation is not valid: domain is not running");
	if (!r)
		r = hvcall_simple(&h, op, req, len, rep, cap, &err);
	return r < 0 ? vd_fail_err(c, r == -EPERM || r == -EINVAL ? -EEXIST : r, &err) : 0;
}

int vd_claim(struct vd_call *c, struct vd_claim *claim, const char *name)
{
	bool busy = false;

	pthread_mutex_lock(&c->srv->lock);
	for (struct vd_claim *at = c->srv->claims; at; at = at->next)
		busy |= !strcmp(at->name, name);
	if (!busy) {
		claim->name = name;
		claim->next = c->srv->claims;
		c->srv->claims = claim;
	}
	pthread_mutex_unlock(&c->srv->lock);
	return busy ? vd_fail(c, VD_E_BUSY, "domain '%s' is being changed by another call", name) : 0;
}

void vd_release(struct vd_call *c, struct vd_claim *claim)
{
	pthread_mutex_lock(&c->srv->lock);
	for (struct vd_claim **at = &c->srv->claims; *at; at = &(*at)->next)
		if (*at == claim) {
			*at = claim->next;
			break;
		}
	pthread_mutex_unlock(&c->srv->lock);
}

static uint64_t memory_now(const struct vmhost_dom *d)
{
	return d->running ? d->info.ram_current_bytes : d->cfg ? d->cfg->current_memory_bytes : 0;
}

int vdh_info(struct vd_call *c)
{
	struct hv_stats st = { 0 };
	int32_t state, reason;
	struct vmhost_dom d;

	if (vd_find(c, 0, &d) < 0)
		return -1;
	vd_state(&d, &state, &reason);
	if (d.running && vd_hvcall(c, d.name, HV_OP_STATS, NULL, 0, &st, sizeof(st)) < 0)
		c->code = 0; /* it ended just now, or cannot say: no time is known */
	xdr_put_u32(&c->out, (uint32_t)state);
	xdr_put_u64(&c->out, vmhost_ram(&d) / 1024);
	xdr_put_u64(&c->out, memory_now(&d) / 1024);
	xdr_put_u32(&c->out, vmhost_vcpus(&d));
	xdr_put_u64(&c->out, st.cpu_ns);
	vmhost_dom_done(&d);
	return 0;
}

int vdh_state(struct vd_call *c)
{
	int32_t state, reason;
	struct vmhost_dom d;

	if (vd_find(c, 0, &d) < 0)
		return -1;
	vd_state(&d, &state, &reason);
	vmhost_dom_done(&d);
	xdr_put_u32(&c->out, (uint32_t)state);
	xdr_put_u32(&c->out, (uint32_t)reason);
	return 0;
}

struct dom_config *vdh_config_of(struct vd_call *c, struct vmhost_dom *d)
{
	_cleanup_free_ char *xml = NULL;
	struct dom_config *cfg = NULL;
	struct err err = { 0 };
	int r;

	if (d->cfg)
		return steal_ptr(&d->cfg);
	r = vmhost_xml(d->name, false, &xml, &err);
	if (!r)
		r = dom_config_parse(xml, strlen(xml), d->name, &cfg, &err);
	if (r < 0)
		(void)vd_fail_err(c, r, &err);
	return cfg;
}

int vdh_os_type(struct vd_call *c)
{
	_cleanup_dom_config_ struct dom_config *cfg = NULL;
	struct vmhost_dom d;

	if (vd_find(c, 0, &d) < 0)
		return -1;
	cfg = vdh_config_of(c, &d);
	vmhost_dom_done(&d);
	if (!cfg)
		return -1;
	xdr_put_string(&c->out, cfg->type == DOM_TYPE_UML ? "linux" : "hvm");
	return 0;
}

int vd_hide_secrets(char **xml, struct err *err)
{
	_cleanup_dom_config_ struct dom_config *cfg = NULL;
	char *shown;

	if (!strstr(*xml, "passwd")) /* as it stands: others compare it */
		return 0;
	int r = dom_config_parse(*xml, strlen(*xml), "domain", &cfg, err);

	if (!r) {
		dom_config_hide_secrets(cfg);
		r = dom_config_format(cfg, &shown, err);
	}
	if (r < 0)
		return r;
	free(*xml);
	*xml = shown;
	return 0;
}

int vdh_xml(struct vd_call *c)
{
	uint32_t flags = c->args.arg[1].u;
	_cleanup_free_ char *xml = NULL;
	struct err err = { 0 };
	struct vmhost_dom d;
	int r;

	if (c->readonly && (flags & XML_SECURE))
		return vd_fail(c, VD_E_DENIED, "operation forbidden: read only access prevents what may be secret");
	if (vd_find(c, 0, &d) < 0)
		return -1;
	r = vmhost_xml(d.name, flags & XML_INACTIVE, &xml, &err);
	vmhost_dom_done(&d);
	if (!r && !(flags & XML_SECURE))
		r = vd_hide_secrets(&xml, &err);
	if (r < 0)
		return vd_fail_err(c, r, &err);
	xdr_put_string(&c->out, xml);
	return 0;
}

/* A question with yes or no, or a number, of a domain. */
static int number(struct vd_call *c, uint32_t (*of)(const struct vmhost_dom *d))
{
	struct vmhost_dom d;

	if (vd_find(c, 0, &d) < 0)
		return -1;
	xdr_put_u32(&c->out, of(&d));
	vmhost_dom_done(&d);
	return 0;
}

static uint32_t active(const struct vmhost_dom *d)
{
	return vd_is_active(d);
}

static uint32_t persistent(const struct vmhost_dom *d)
{
	return d->defined;
}

static uint32_t zero(const struct vmhost_dom *d)
{
	(void)d;
	return 0;
}

static uint32_t vcpus(const struct vmhost_dom *d)
{
	return vmhost_vcpus(d);
}

int vdh_is_active(struct vd_call *c)
{
	return number(c, active);
}

int vdh_is_persistent(struct vd_call *c)
{
	return number(c, persistent);
}

int vdh_dom_false(struct vd_call *c)
{
	return number(c, zero);
}

int vdh_vcpus(struct vd_call *c)
{
	return number(c, vcpus);
}

int vdh_max_memory(struct vd_call *c)
{
	struct vmhost_dom d;

	if (vd_find(c, 0, &d) < 0)
		return -1;
	xdr_put_u64(&c->out, vmhost_ram(&d) / 1024);
	vmhost_dom_done(&d);
	return 0;
}

/* There are as many vCPUs as the definition says: none comes or goes. */
int vdh_vcpus_flags(struct vd_call *c)
{
	uint32_t flags = c->args.arg[1].u, n;
	struct vmhost_dom d;
	int r = 0;

	if (flags & ~(V_LIVE | V_CONFIG | V_MAXIMUM))
		return vd_fail(c, VD_E_UNSUPPORTED, "%s",
		               flags & V_GUEST ? "the guest is not asked for its vCPUs" : "unknown flags");
	if (vd_find(c, 0, &d) < 0)
		return -1;
	n = vmhost_vcpus(&d);
	if ((flags & V_LIVE) && !vd_is_active(&d))
		r = vd_fail(c, VD_E_INVALID, "Requested operation is not valid: domain is not running");
	else if ((flags & V_CONFIG) && !d.cfg)
		r = vd_fail(c, VD_E_INVALID,
		            "Requested operation is not valid: transient domains do not have any "
		            "persistent config");
	else if (flags & V_CONFIG)
		n = d.cfg->vcpus;
	vmhost_dom_done(&d);
	if (!r)
		xdr_put_u32(&c->out, n);
	return r;
}

int vdh_autostart_set(struct vd_call *c)
{
	struct vmhost_dom d;

	if (vd_find(c, 0, &d) < 0)
		return -1;
	vmhost_dom_done(&d);
	return c->args.arg[1].u ? vd_fail(c, VD_E_UNSUPPORTED,
	                                  "a host starts no domain by itself: make it a domain of the "
	                                  "cluster (vmclus define), or write a unit")
	                        : 0;
}
