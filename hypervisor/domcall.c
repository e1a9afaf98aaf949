/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Hypercalls: from a checked message to the domain, one small function per op in a table. Main thread; ABI: hypercall.h. */
#include "config.h"
#include "hypervisor/domcall_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "common/log.h"
#include "common/util.h"
#include "hypervisor/stateframe.h"

#define BALLOON_LEAST (1ull << 20) /* what a document may say */
#define STATE_MAX     (256u << 20) /* octets of a state that is accepted */

static int state_err(const struct domain *d, const char *what, struct err *err)
{
	static const char *const names[] = { "?",
		                             "booting",
		                             "running",
		                             "paused",
		                             "suspended",
		                             "owned by another host",
		                             "an incoming copy",
		                             "a restored copy",
		                             "shut down",
		                             "crashed",
		                             "suspended because its host lost quorum; only clusterd lets it go on" };

	return err_set(err, EBUSY, "cannot %s: domain '%s' is %s", what, d->cfg->name,
	               names[d->state < ARRAY_SIZE(names) ? d->state : 0]);
}

static int op_hello(struct call *c, struct err *err)
{
	struct hv_hello *h = REP(c, struct hv_hello);
	(void)err;

	h->version = HV_VERSION;
	h->caps = c->d->ops->caps | (c->d->ops->newer(c->d->cfg) ? HV_CAP_NEWER : 0);
	snprintf(h->engine, sizeof(h->engine), "%s", c->d->ops->name);
	snprintf(h->build, sizeof(h->build), "%s", PACKAGE_VERSION);
	snprintf(h->kernel_id, sizeof(h->kernel_id), "%s", c->d->identity);
	return 0;
}

static void info_reason(const struct domain *d, struct hv_info *i)
{
	const char *disk;
	uint64_t age;

	if (devs_waits(d->devs, &disk, &age) && age >= NS_PER_S) {
		i->reason = HV_WHY_DISK_WAIT;
		i->disk_wait_ms = age / NS_PER_MS < UINT32_MAX ? (uint32_t)(age / NS_PER_MS) : UINT32_MAX;
		snprintf(i->disk, sizeof(i->disk), "%s", disk);
		snprintf(i->reason_text, sizeof(i->reason_text), "disk %s has not answered for %.0f s", disk,
		         (double)age / 1e9);
	}
	if (d->state == HV_DOM_PAUSED && d->disk_paused) {
		i->reason = HV_WHY_DISK_ERROR;
		snprintf(i->reason_text, sizeof(i->reason_text), "%s", d->disk_text);
	} else if (d->state == HV_DOM_PAUSED && d->paused) {
		i->reason = d->watchdog_paused ? HV_WHY_WATCHDOG : HV_WHY_ORDER;
		snprintf(i->reason_text, sizeof(i->reason_text), "%s",
		         d->watchdog_paused ? d->watchdog_text
		         : d->stuck[0]      ? d->stuck
		                            : "by order");
	}
}

static int op_info(struct call *c, struct err *err)
{
	struct hv_info *i = REP(c, struct hv_info);
	struct domain *d = c->d;
	(void)err;

	snprintf(i->name, sizeof(i->name), "%s", d->cfg->name);
	snprintf(i->uuid, sizeof(i->uuid), "%s", d->cfg->uuid);
	i->state = d->state;
	i->vcpus = d->cfg->vcpus;
	i->ram_bytes = d->cfg->memory_bytes;
	i->ram_current_bytes = d->cfg->memory_bytes - devs_balloon_bytes(d->devs) -
	                       (d->vm ? d->ops->balloon_bytes(d->vm) : 0);
	i->generation = d->generation;
	i->pid = getpid();
	i->logdirty_mode = d->logdirty_mode;
	i->uptime_ns = d->running_since_ns ? now_ns() - d->running_since_ns : 0;
	snprintf(i->owner, sizeof(i->owner), "%s", d->owner ? d->host : "");
	i->beat_s = devs_beat(d->devs);
	i->watchdog_count = d->watchdog_count;
	i->frozen_s = domain_frozen_s(d);
	i->reboots = d->reboots;
	if (d->vm && d->ops->base)
		i->base_bytes = d->ops->base(d->vm, i->base);
	i->logdirty_by = d->vm ? d->ops->logdirty_method(d->vm) : HV_LOGDIRTY_BY_UNKNOWN;
	info_reason(d, i);
	return 0;
}

static int op_stats(struct call *c, struct err *err)
{
	struct hv_stats *s = REP(c, struct hv_stats);
	struct domain *d = c->d;
	struct stat st;
	struct timespec ts;
	char *text = NULL, *p;
	size_t len;
	(void)err;

	s->ram_bytes = d->cfg->memory_bytes;
	if (d->mem.base && fstat(d->mem.fd, &st) == 0)
		s->ram_used_bytes = (uint64_t)st.st_blocks * 512;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	s->hv_cpu_ns = (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
	if (file_read("/proc/self/status", 65536, &text, &len) == 0 && (p = strstr(text, "RssAnon:")))
		s->hv_rss_bytes = strtoull(p + 8, NULL, 10) * 1024;
	free(text);
	s->dirty_pages_per_s = d->dirty_per_s;
	if (d->vm)
		d->ops->stats(d->vm, s);
	devs_stats(d->devs, s);
	return 0;
}

static int pause_done(struct domain *d, int r, struct err *err)
{
	(void)err;
	if (r < 0)
		return r;
	d->paused = true;
	domain_set_state(d, HV_DOM_PAUSED, "paused");
	return 0;
}

static int op_pause(struct call *c, struct err *err)
{
	struct domain *d = c->d;

	if (d->state == HV_DOM_PAUSED || d->state == HV_DOM_BOOTING) {
		d->paused = true; /* and not by its disk alone; a boot ends with it */
		return 0;
	}
	/* a suspended domain that this session took over may start its life paused */
	if (d->state == HV_DOM_SUSPENDED && d->suspender != c->conn)
		return state_err(d, "pause", err);
	if (d->state == HV_DOM_SUSPENDED) {
		d->suspender = NULL;
		return pause_done(d, 0, err);
	}
	return domain_pend(d, domain_stop(d, 0, domain_pend_over, err), pause_done, err);
}

static int op_unpause(struct call *c, struct err *err)
{
	struct domain *d = c->d;
	int r;

	if (d->state == HV_DOM_RUNNING)
		return 0;
	d->paused = false;
	if (d->state == HV_DOM_BOOTING)
		return 0;
	r = domain_go(d, err);
	if (r < 0)
		return r;
	domain_set_state(d, HV_DOM_RUNNING, "unpaused");
	/* it may have come here paused: switches still think that it is elsewhere */
	domain_announce(d);
	return 0;
}

static int suspend_done(struct domain *d, int r, struct err *err)
{
	(void)err;
	if (r < 0)
		return r;
	d->suspender = d->pend.conn;
	domain_set_state(d, HV_DOM_SUSPENDED, "suspended");
	return 0;
}

static int op_suspend(struct call *c, struct err *err)
{
	struct domain *d = c->d;
	int r = domain_not_frozen(d, err);

	if (r < 0)
		return r;
	d->pend.conn = c->conn;
	r = domain_pend(d, domain_stop(d, 0, domain_pend_over, err), suspend_done, err);
	if (!r)
		*REP(c, struct hv_suspend_rep) = d->stopping.took;
	return r;
}

static int op_resume(struct call *c, struct err *err)
{
	struct domain *d = c->d;
	uint64_t t0 = now_ns();
	int r;

	if (!d->owner)
		return err_set(err, EPERM, "domain '%s' does not belong to this host", d->cfg->name);
	if (d->paused) {
		d->suspender = NULL;
		domain_set_state(d, HV_DOM_PAUSED, "as before: paused");
	} else {
		r = domain_go(d, err);
		if (r < 0)
			return r;
		d->suspender = NULL;
		domain_set_state(d, HV_DOM_RUNNING, "resumed");
	}
	struct hv_resume_rep *rep = REP(c, struct hv_resume_rep);
	rep->running_at_ns = now_ns();
	rep->resume_ns = rep->running_at_ns - t0;
	/* not left to the caller: it may die now, and nobody would find the guest */
	if (d->state == HV_DOM_RUNNING)
		domain_announce(d);
	return 0;
}

/* Log-dirty ----------------------------------------------------------------------------------------------------------- */

static int op_logdirty_enable(struct call *c, struct err *err)
{
	struct domain *d = c->d;
	const struct hv_logdirty_req *q = c->req;
	struct hv_logdirty_rep *rep = REP(c, struct hv_logdirty_rep);
	uint64_t t0 = now_ns();
	uint32_t mode = 0;
	int r;

	if (d->logdirty_mode)
		return err_set(err, EALREADY, "somebody logs the dirty pages of '%s' already (another migration?)",
		               d->cfg->name);
	r = domain_not_frozen(d, err);
	if (!r)
		r = dommem_bitmap(d, err);
	if (!r) {
		r = d->ops->logdirty_start(d->vm, q->mode, q->flags & HV_LOGDIRTY_F_AUDIT, &mode, err);
		devs_beat_anew(d->devs); /* the guest stood still for that, and the devices do not know */
	}
	if (r < 0)
		return r;
	d->logdirty_mode = rep->mode = mode;
	rep->by = d->ops->logdirty_method(d->vm);
	d->logger = c->conn;
	d->last_clean_ns = now_ns();
	rep->scan_ns = now_ns() - t0;
	return 0;
}

static int logdirty_get(struct call *c, bool clean, struct err *err)
{
	struct domain *d = c->d;
	struct hv_logdirty_rep *rep = REP(c, struct hv_logdirty_rep);
	uint64_t t0 = now_ns();

	if (!d->logdirty_mode || !d->bitmap)
		return err_set(err, EINVAL, "log-dirty is off");
	int r = d->ops->logdirty_collect(d->vm, clean, d->bitmap, &rep->dirty_pages, err);
	if (r < 0)
		return r;
	rep->mode = d->logdirty_mode;
	rep->by = d->ops->logdirty_method(d->vm);
	rep->scan_ns = now_ns() - t0;
	if (clean && d->state == HV_DOM_RUNNING)
		devs_writeback(d->devs); /* a migration goes on: its last step waits for the disks */
	if (clean) {
		uint64_t span = t0 - d->last_clean_ns;
		if (span > 10 * NS_PER_MS)
			d->dirty_per_s = rep->dirty_pages * NS_PER_S / span;
		d->last_clean_ns = t0;
	}
	return 0;
}

static int op_logdirty_peek(struct call *c, struct err *err)
{
	return logdirty_get(c, false, err);
}
static int op_logdirty_clean(struct call *c, struct err *err)
{
	return logdirty_get(c, true, err);
}

static int op_logdirty_disable(struct call *c, struct err *err)
{
	(void)err;
	domain_logdirty_off(c->d);
	return 0;
}

static int op_audit(struct call *c, struct err *err)
{
	struct domain *d = c->d;
	struct hv_logdirty_rep *rep = REP(c, struct hv_logdirty_rep);
	uint64_t t0 = now_ns();

	if (!d->logdirty_mode || !d->bitmap)
		return err_set(err, EINVAL, "log-dirty is off");
	int r = d->ops->logdirty_audit(d->vm, d->bitmap, &rep->dirty_pages, err);
	rep->mode = d->logdirty_mode;
	rep->by = d->ops->logdirty_method(d->vm);
	rep->scan_ns = now_ns() - t0;
	return r;
}

/* Memory and state ---------------------------------------------------------------------------------------------------- */

static int op_map_memory(struct call *c, struct err *err)
{
	struct domain *d = c->d;
	struct hv_map_rep *m = REP(c, struct hv_map_rep);
	int r = domain_plug_busy(d, err);

	if (!r)
		r = dommem_bitmap(d, err);
	if (r < 0)
		return r;
	m->n_regions = 1;
	m->page_bytes = PAGE_BYTES;
	m->bitmap_bytes = d->bitmap_bytes;
	m->region[0] = (struct hv_region){ .size_bytes = d->mem.size, .name = "ram" };
	c->rep_fds[0] = d->mem.fd;
	c->rep_fds[1] = d->bitmap_fd;
	c->n_rep_fds = 2;
	if (d->state == HV_DOM_INCOMING && !d->importer)
		d->importer = c->conn;
	else if (d->state != HV_DOM_INCOMING)
		d->mapper = c->conn; /* whoever moves or saves it has its XML already */
	return 0;
}

static int state_to_memfd(const struct buf *b, struct err *err)
{
	_cleanup_close_ int fd = memfd_create("hospes-state", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return err_sys(err, errno, "cannot hold the guest's state");
	int r = write_full(fd, b->data, b->len);
	if (!r && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
		r = -errno;
	return r ? err_sys(err, -r, "cannot hold the guest's state") : steal_fd(&fd);
}

static int op_get_state(struct call *c, struct err *err)
{
	struct domain *d = c->d;
	struct hv_state_rep *rep = REP(c, struct hv_state_rep);
	_cleanup_buf_ struct buf b = { 0 }, dev = { 0 };
	const struct hv_get_state_req *q = c->req;
	uint64_t t0 = now_ns();
	int r = devs_save(d->devs, &dev, err);

	stateframe_begin(&b, &dev);
	if (!r)
		r = d->ops->save(d->vm, q->base, &b, err);
	if (!r && b.failed)
		r = err_set(err, ENOMEM, "out of memory for the guest's state");
	if (r < 0)
		return r;
	int fd = state_to_memfd(&b, err);
	if (fd < 0)
		return fd;
	c->rep_fds[0] = fd;
	c->n_rep_fds = 1;
	c->close_rep_fd = true;
	rep->size_bytes = b.len;
	rep->capture_ns = now_ns() - t0;
	return 0;
}

static int op_set_state(struct call *c, struct err *err)
{
	struct domain *d = c->d;
	const struct hv_state_req *q = c->req;
	struct stat st;

	d->importer = c->conn;
	if (c->n_fds != 1 || fstat(c->fds[0], &st) < 0 || !S_ISREG(st.st_mode) ||
	    (uint64_t)st.st_size < q->size_bytes || q->size_bytes < 16 || q->size_bytes > STATE_MAX)
		return err_set(err, EINVAL, "a state comes as one memory file of 16 octets to %u MiB", STATE_MAX >> 20);
	/* a private copy: the sender keeps its descriptor and could change the octets while we read */
	_cleanup_free_ uint8_t *p = malloc(q->size_bytes);
	if (!p)
		return err_set(err, ENOMEM, "out of memory for the guest's state");
	for (uint64_t at = 0; at < q->size_bytes;) {
		ssize_t n = pread(c->fds[0], p + at, q->size_bytes - at, (off_t)at);
		if (n <= 0)
			return err_sys(err, n < 0 ? errno : ENODATA, "cannot read the guest's state");
		at += (uint64_t)n;
	}
	struct rd dev, in;
	int r = stateframe_split(p, q->size_bytes, &dev, &in, err);
	if (!r)
		r = devs_load(d->devs, &dev, err);
	if (!r) {
		devs_set_mem(d->devs, &d->mem);
		r = d->ops->load(d->vm, &in, err);
	}
	if (r < 0)
		return r;
	d->quiesced = d->rebuilt = true;
	domain_set_state(d, HV_DOM_RESTORED, "restored");
	return 0;
}

static int op_memhash(struct call *c, struct err *err)
{
	struct hv_memhash_rep *rep = REP(c, struct hv_memhash_rep);

	rep->n_regions = 1;
	return dommem_hash(c->d, &rep->hash[0], err);
}

/* The rest ------------------------------------------------------------------------------------------------------------ */

static int op_throttle(struct call *c, struct err *err)
{
	const struct hv_throttle_req *q = c->req;

	if (q->percent > 99)
		return err_set(err, EINVAL, "a guest can be throttled by 0 to 99 %%, not %u", q->percent);
	domain_throttle(c->d, q->percent);
	c->d->throttler = q->percent ? c->conn : NULL;
	return 0;
}

static int op_balloon(struct call *c, struct err *err)
{
	const struct hv_balloon_req *q = c->req;

	if (q->target_bytes > c->d->cfg->memory_bytes)
		return err_set(err, ERANGE, "domain '%s' has at most %lu MiB", c->d->cfg->name,
		               (unsigned long)(c->d->cfg->memory_bytes >> 20));
	int r = c->d->vm ? c->d->ops->balloon(c->d->vm, q->target_bytes, err) : -ENOSYS;
	if (r == -ENOSYS)
		r = devs_balloon(c->d->devs, q->target_bytes, err);
	/* in the document, which goes where the domain goes: a guest that boots is asked for it again */
	if (!r && q->target_bytes >= BALLOON_LEAST)
		c->d->cfg->current_memory_bytes = q->target_bytes / PAGE_BYTES * PAGE_BYTES;
	return r;
}

static int op_frozen(struct call *c, struct err *err)
{
	return domain_frozen(c->d, ((const struct hv_frozen_req *)c->req)->seconds, err);
}

/* In every way there is: its agent, which it need not have, and its power button. */
static int op_shutdown(struct call *c, struct err *err)
{
	int said = domain_agent_say(c->d, "\nhospes:shutdown\n", err);
	int pressed = c->d->ops->powerdown(c->d->vm, NULL);

	return said < 0 && pressed < 0 ? said : 0;
}
static int op_reboot(struct call *c, struct err *err)
{
	return domain_agent_say(c->d, "\nhospes:reboot\n", err);
}

static int op_subscribe(struct call *c, struct err *err)
{
	(void)err;
	hvconn_subscribe(c->conn, true);
	return 0;
}

static int op_console(struct call *c, struct err *err)
{
	const struct hv_console_req *q = c->req;
	bool take = q->flags & HV_CONSOLE_TAKE;
	unsigned index = q->index;

	if (q->flags & HV_CONSOLE_AGENT) {
		if (!c->d->cfg->guest_agent)
			return err_set(err, ENOENT, "domain '%s' has no channel org.qemu.guest_agent.0",
			               c->d->cfg->name);
		index = DEVS_AGENT_PORT(c->d->cfg) + 1;
	} else if (q->index > c->d->cfg->n_consoles)
		return err_set(err, ENOENT, "domain '%s' has consoles 0 (boot) to %zu", c->d->cfg->name,
		               c->d->cfg->n_consoles);
	int fd = index ? devs_console(c->d->devs, index - 1, take, err) : conlog_attach(c->d->con, take, err);
	if (fd < 0)
		return fd;
	c->rep_fds[0] = fd;
	c->n_rep_fds = 1;
	c->close_rep_fd = true;
	return 0;
}

static int op_announce(struct call *c, struct err *err)
{
	(void)err;
	domain_announce(c->d);
	return 0;
}

static int op_dumpxml(struct call *c, struct err *err)
{
	_cleanup_free_ char *xml = NULL;
	int r = dom_config_format(c->d->cfg, &xml, err);

	if (r < 0)
		return r;
	size_t len = strlen(xml);
	if (len > HV_PAYLOAD_MAX)
		return err_set(err, EMSGSIZE, "the domain's XML is longer than %u octets", HV_PAYLOAD_MAX);
	memcpy(c->rep->bytes, xml, len);
	c->rep_len = len;
	return 0;
}

static int op_loglevel(struct call *c, struct err *err)
{
	uint32_t level = *(const uint32_t *)c->req;

	if (level > LOG_LEVEL_DEBUG)
		return err_set(err, EINVAL, "log levels are 0 (error) to 3 (debug)");
	log_level_set((enum log_level)level);
	return 0;
}

/* Who carries a hypercall out; when it is allowed stands in hvmsg.c. */
static const struct {
	int (*fn)(struct call *c, struct err *err);
	const char *what; /* it does, if it may be refused */
} ops[HV_OP_MAX] = {
	[HV_OP_HELLO] = { op_hello, NULL },
	[HV_OP_INFO] = { op_info, NULL },
	[HV_OP_STATS] = { op_stats, NULL },
	[HV_OP_PAUSE] = { op_pause, "pause" },
	[HV_OP_UNPAUSE] = { op_unpause, "unpause" },
	[HV_OP_SUSPEND] = { op_suspend, "suspend" },
	[HV_OP_RESUME] = { op_resume, "resume" },
	[HV_OP_LOGDIRTY_ENABLE] = { op_logdirty_enable, "log dirty pages" },
	[HV_OP_LOGDIRTY_PEEK] = { op_logdirty_peek, "read the dirty pages" },
	[HV_OP_LOGDIRTY_CLEAN] = { op_logdirty_clean, "read the dirty pages" },
	[HV_OP_LOGDIRTY_DISABLE] = { op_logdirty_disable, "end log-dirty" },
	[HV_OP_MAP_MEMORY] = { op_map_memory, "map memory" },
	[HV_OP_GET_STATE] = { op_get_state, "read the state" },
	[HV_OP_SET_STATE] = { op_set_state, "load a state" },
	[HV_OP_THROTTLE] = { op_throttle, NULL },
	[HV_OP_BALLOON] = { op_balloon, NULL },
	[HV_OP_SHUTDOWN] = { op_shutdown, "ask the guest" },
	[HV_OP_REBOOT] = { op_reboot, "ask the guest" },
	[HV_OP_DESTROY] = { call_destroy, NULL },
	[HV_OP_SUBSCRIBE] = { op_subscribe, NULL },
	[HV_OP_CONSOLE] = { op_console, NULL },
	[HV_OP_RELINQUISH] = { call_relinquish, "give the domain away" },
	[HV_OP_RECLAIM] = { call_reclaim, "take the domain back" },
	[HV_OP_TAKE] = { call_take, "take the domain over" },
	[HV_OP_LEASE] = { call_lease, NULL },
	[HV_OP_ANNOUNCE] = { op_announce, NULL },
	[HV_OP_DUMPXML] = { op_dumpxml, NULL },
	[HV_OP_LOGLEVEL] = { op_loglevel, NULL },
	[HV_OP_MEMHASH] = { op_memhash, "hash the memory" },
	[HV_OP_AUDIT] = { op_audit, "audit the dirty pages" },
	[HV_OP_PARK] = { call_park, "suspend" },
	[HV_OP_UNPARK] = { call_unpark, "let it go on" },
	[HV_OP_FROZEN] = { op_frozen, NULL },
	[HV_OP_BLOCKRESIZE] = { call_blockresize, "resize a disk" },
	[HV_OP_ATTACH] = { call_attach, "attach a device" },
	[HV_OP_DETACH] = { call_detach, "detach a device" },
	[HV_OP_DISPLAY] = { call_display, NULL },
	[HV_OP_SCREENSHOT] = { call_screenshot, "take a picture" },
};

/* What a session began is its own: another one that meddles would let a move lose pages or run a guest that is being copied. */
static int may(const struct call *c, const struct hvmsg_op *o, const char *what, struct err *err)
{
	const struct domain *d = c->d;
	const struct hvconn *const owner[] = {
		[HVMSG_SUSPENSION] = d->suspender, [HVMSG_LOGDIRTY] = d->logger, [HVMSG_INCOMING] = d->importer
	};

	if (!(o->states >> d->state & 1))
		return state_err(d, what, err);
	if (owner[o->session] && owner[o->session] != c->conn)
		return err_set(err, EPERM,
		               "cannot %s: another session of domain '%s' is at it (a migration or a save?)", what,
		               d->cfg->name);
	return 0;
}

/* Whoever suspended it, or took it over, is gone. */
static void suspender_left(struct domain *d)
{
	struct err e;

	if (d->state != HV_DOM_SUSPENDED || !d->owner)
		return;
	log_warn("the session that suspended domain '%s' ended: it resumes", d->cfg->name);
	if (d->paused) {
		domain_set_state(d, HV_DOM_PAUSED, "its suspender left");
	} else if (domain_go(d, &e) < 0) {
		domain_stuck(d, &e);
	} else {
		domain_set_state(d, HV_DOM_RUNNING, "its suspender left");
		domain_announce(d);
	}
}

void domain_pend_done(struct domain *d, int r, struct err *err)
{
	struct pending *p = &d->pend;
	const void *rep = p->op == HV_OP_SUSPEND  ? (const void *)&d->stopping.took
	                  : p->op == HV_OP_ATTACH ? (const void *)&p->attached
	                                          : &p->owner;

	if (!p->active)
		return;
	p->active = false;
	if (r < 0 && !err->code)
		err_sys(err, -r, "hypercall %u failed", p->op);
	if (p->conn && r < 0)
		hvconn_fail(p->conn, p->op, p->cookie, err);
	else if (p->conn)
		hvconn_reply(p->conn, p->op, p->cookie, rep, hvmsg_op(p->op)->rep_len, NULL, 0);
	else if (r < 0)
		log_warn("domain '%s': %s, and nobody waits for the answer", d->cfg->name, err->text);
	if (!p->conn && !d->suspender)
		suspender_left(d);
	if (!p->conn && p->op == HV_OP_TAKE && r < 0)
		domain_end(d, 1);
}

static void on_request(void *arg, struct hvconn *conn, uint16_t op, uint64_t cookie, const void *payload, size_t len,
                       int *fds, size_t n_fds)
{
	static __typeof__(*((struct call *)0)->rep) rep;
	uint64_t req[64] = { 0 };
	struct err err = { 0 };
	struct domain *d = arg;
	const struct hvmsg_op *o = hvmsg_op(op); /* there is one: see hvserver.h */
	struct call c = { .d = d,
		          .conn = conn,
		          .cookie = cookie,
		          .req = req,
		          .fds = fds,
		          .n_fds = n_fds,
		          .rep = &rep,
		          .rep_len = o->rep_len };
	int r;

	memcpy(req, payload, len < sizeof(req) ? len : sizeof(req));
	memset(rep.bytes, 0, o->rep_len);
	if (d->exiting && op != HV_OP_INFO)
		r = err_set(&err, ESRCH, "domain '%s' is ending", d->cfg->name);
	else if (d->pend.active && !o->storage) /* nothing else may change the domain */
		r = domain_waits_err(d, EBUSY, "the domain is busy: an order before this one waits for storage", &err);
	else
		r = may(&c, o, ops[op].what, &err);
	if (!r)
		r = ops[op].fn(&c, &err);
	if (r == -EINPROGRESS) {
		d->pend.active = true;
		d->pend.conn = conn;
		d->pend.op = op;
		d->pend.cookie = cookie;
		return;
	}
	if (c.later)
		return;
	if (r < 0) {
		if (!err.code)
			err_sys(&err, -r, "hypercall %u failed", op);
		hvconn_fail(conn, op, cookie, &err);
	} else {
		hvconn_reply(conn, op, cookie, rep.bytes, c.rep_len, c.rep_fds, c.n_rep_fds);
	}
	if (c.close_rep_fd)
		close(c.rep_fds[0]);
}

/* A session ended: nothing it began stays. See "Session" in hypercall.h. */
static void on_closed(void *arg, struct hvconn *conn)
{
	struct domain *d = arg;
	bool takes = false;

	if (d->pend.active && d->pend.conn == conn) {
		d->pend.conn = NULL;
		takes = d->pend.op == HV_OP_TAKE;
		if (d->pend.op == HV_OP_SUSPEND && domain_stop_cancel(d)) {
			d->pend.active = false;
			log_warn("the session that suspends domain '%s' ended: it goes on", d->cfg->name);
		}
	}
	if (d->throttler == conn) {
		d->throttler = NULL;
		domain_throttle(d, 0);
	}
	domain_plug_left(d, conn);
	if (d->mapper == conn)
		d->mapper = NULL;
	if (d->logger == conn)
		domain_logdirty_off(d);
	if (d->suspender == conn) {
		d->suspender = NULL;
		if (!d->pend.active) /* else when it is known who owns it */
			suspender_left(d);
	}
	if (d->importer == conn && !takes && (d->state == HV_DOM_INCOMING || d->state == HV_DOM_RESTORED)) {
		log_warn("the session that filled domain '%s' ended before it was taken over: this copy ends",
		         d->cfg->name);
		domain_end(d, 1);
	}
	if (takes)
		d->importer = NULL;
}

const struct hvserver_ops domcall_ops = { .request = on_request, .closed = on_closed };
