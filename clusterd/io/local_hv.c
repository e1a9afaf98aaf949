/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What this host's hvdoms say: their state, their end, what they use. */
#include "config.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "clusterd/io/local_int.h"
#include "common/log.h"
#include "common/util.h"
#include "hypervisor/api/hvproc.h"

#define INFO_NS       NS_PER_S          /* how often one that just runs is asked */
#define INFO_FAST_NS  (100 * NS_PER_MS) /* while something is under way */
#define STATS_NS      (2 * NS_PER_S)
#define HANGS_NS      (30 * NS_PER_S)
#define USAGE_NS      (2 * NS_PER_S)
#define USAGE_FULL_NS (20 * NS_PER_S) /* all of it, for those who came later */
#define MEAN_NS       (60 * NS_PER_S)
#define WAIT_MS       10000u /* how old a disk request is before people hear of it */

void ldom_disconnect(struct ldom *x)
{
	hva_free(x->hv.link);
	x->hv.link = NULL;
	x->hv.have_info = false;
	x->hv.asked_ns = x->hv.stats_ns = x->usage.at_ns = 0;
}

static void take_hello(struct ldom *x, const void *payload, size_t len)
{
	struct hv_hello h = { 0 };
	char build[sizeof(h.engine) + sizeof(h.kernel_id)];

	memcpy(&h, payload, len < sizeof(h) ? len : sizeof(h));
	snprintf(build, sizeof(build), "%.15s %.39s", h.engine, h.kernel_id);
	text_tidy(build);
	snprintf(x->usage.load.build, sizeof(x->usage.load.build), "%.31s", h.kernel_id[0] ? build : "");
	x->usage.load.newer = h.caps & HV_CAP_NEWER;
}

static void take_stats(struct ldom *x, const void *payload, size_t len)
{
	struct hv_stats st = { 0 };
	uint64_t now = boot_ns(), used;

	memcpy(&st, payload, len < sizeof(st) ? len : sizeof(st));
	used = st.cpu_ns + st.hv_cpu_ns;
	x->usage.load.used_bytes = st.ram_used_bytes + st.hv_rss_bytes;
	x->usage.load.dirty_bps = st.dirty_pages_per_s * PAGE_BYTES;
	if (x->usage.at_ns && now > x->usage.at_ns && used >= x->usage.cpu_ns) {
		uint64_t dt = now - x->usage.at_ns, milli = (used - x->usage.cpu_ns) * 1000 / dt;

		/* the mean of the last minute, roughly; all of it at first */
		if (!x->usage.load.cpu_milli || dt >= MEAN_NS)
			x->usage.load.cpu_milli = (uint32_t)milli;
		else
			x->usage.load.cpu_milli =
				(uint32_t)((x->usage.load.cpu_milli * (MEAN_NS - dt) + milli * dt) / MEAN_NS);
	}
	x->usage.cpu_ns = used;
	x->usage.at_ns = now;
}

/* Told once when a disk has not answered for some time, and when it has. */
static void look_at_disks(struct ldom *x)
{
	bool waits = x->hv.info.disk_wait_ms >= WAIT_MS;

	x->hv.stuck_said = false;
	if (waits == x->hv.wait_said)
		return;
	x->hv.wait_said = waits;
	if (waits)
		snprintf(x->news, sizeof(x->news), "waits for its storage: %.100s", x->hv.info.reason_text);
	else
		snprintf(x->news, sizeof(x->news), "its storage answers again");
	log_warn("%s: %s", x->name, x->news);
}

/* Its guest's agent sends its heartbeat, and has not missed it: hvdom watches that. And its disks answer. */
static bool is_well(const struct hv_info *i)
{
	return i->state == HV_DOM_RUNNING && i->beat_s && i->reason == HV_WHY_NONE;
}

static void on_reply(void *arg, uint16_t op, int status, const void *payload, size_t len, int *fds, size_t n_fds,
                     const char *text)
{
	struct ldom *x = arg;

	(void)fds, (void)n_fds;
	if (op == HV_OP_INFO) {
		x->hv.asked_ns = 0;
		if (status < 0)
			return;
		memset(&x->hv.info, 0, sizeof(x->hv.info));
		memcpy(&x->hv.info, payload, len < sizeof(x->hv.info) ? len : sizeof(x->hv.info));
		x->hv.info.uuid[sizeof(x->hv.info.uuid) - 1] =
			x->hv.info.reason_text[sizeof(x->hv.info.reason_text) - 1] = 0;
		look_at_disks(x);
		x->hv.info_ns = boot_ns();
		x->hv.well_ns = !is_well(&x->hv.info) ? 0 : x->hv.well_ns ? x->hv.well_ns : x->hv.info_ns;
		x->hv.have_info = true;
		local_changed(x->l);
	} else if (op == HV_OP_HELLO && status == 0) {
		take_hello(x, payload, len);
	} else if (op == HV_OP_STATS && status == 0) {
		take_stats(x, payload, len);
	} else if (op == HV_OP_UNPARK) {
		x->hv.have_info = false;
		if (status == 0)
			snprintf(x->news, sizeof(x->news), "it was suspended for want of quorum, and goes on");
		else
			log_warn("%s: %s", x->name, text);
		local_changed(x->l);
	} else if (status < 0 && (op == HV_OP_SHUTDOWN || op == HV_OP_DESTROY)) {
		log_warn("%s: %s", x->name, text);
	}
}

static void on_event(void *arg, const struct hv_event *ev)
{
	struct ldom *x = arg;

	if (ev->kind == HV_EV_POWEROFF)
		x->ended.by = CLU_SEEN_POWEROFF;
	else if (ev->kind == HV_EV_CRASH || (ev->kind == HV_EV_WATCHDOG && ev->state == HV_DOM_CRASHED))
		x->ended.by = CLU_SEEN_CRASHED;
	else if (ev->kind == HV_EV_STATE && ev->state == HV_DOM_RUNNING)
		x->ended.by = 0; /* it went on: on_poweroff and the like said restart */
	if (x->ended.by)
		snprintf(x->ended.text, sizeof(x->ended.text), "%.190s", ev->text);
	if (ev->kind == HV_EV_DISK_ERROR)
		snprintf(x->news, sizeof(x->news), "%s%.170s", ev->state == HV_DOM_PAUSED ? "is paused: " : "",
		         ev->text);
	if (ev->kind == HV_EV_WATCHDOG)
		snprintf(x->news, sizeof(x->news), "%.190s", ev->text);
	x->hv.have_info = false;
	local_changed(x->l);
}

static void on_lost(void *arg, bool unread)
{
	struct ldom *x = arg;

	(void)unread;
	ldom_disconnect(x);
	local_changed(x->l);
}

static const struct hva_ops hv_ops = { .reply = on_reply, .event = on_event, .lost = on_lost };

/* Without waiting: one with a full backlog hangs. */
static void try_connect(struct ldom *x)
{
	_cleanup_close_ int fd = hvproc_connect(x->name, SOCK_NONBLOCK);

	if (fd < 0)
		return;
	x->hv.link = hva_new(x->l->loop, steal_fd(&fd), &hv_ops, x, NULL);
	if (x->hv.link && !hva_call(x->hv.link, HV_OP_SUBSCRIBE, NULL, 0, -1))
		ldom_disconnect(x);
	x->hv.asked_ns = 0;
}

void ldom_call(struct ldom *x, uint16_t op, const void *req, size_t len)
{
	if (x->hv.link && !hva_call(x->hv.link, op, req, len, -1))
		ldom_disconnect(x);
}

static void set_alive(struct ldom *x, bool alive)
{
	if (x->hv.alive == alive)
		return;
	x->hv.alive = alive;
	x->hv.alive_ns = alive ? boot_ns() : 0;
	x->hv.info_ns = x->hv.well_ns = 0;
	if (!alive) {
		ldom_disconnect(x);
		x->usage.load = (struct clu_dom_load){ 0 };
	} else {
		x->ended.by = 0;
		x->ended.text[0] = 0;
	}
}

void ldom_look(struct ldom *x)
{
	uint64_t now = boot_ns(), every = x->todo == CLU_TODO_WATCH ? INFO_NS : INFO_FAST_NS;

	/* a connection is proof of life; without one the lock tells */
	if (!x->hv.link)
		set_alive(x, hvproc_alive(x->name));
	if (!x->hv.alive)
		return;
	if (!x->hv.link)
		try_connect(x);
	if (!x->hv.link)
		return;
	if (!x->hv.asked_ns && (!x->hv.have_info || now >= x->hv.info_ns + every)) {
		x->hv.asked_ns = now;
		ldom_call(x, HV_OP_INFO, NULL, 0);
	}
	if (x->hv.link && now >= x->hv.stats_ns + STATS_NS && x->hv.have_info && x->hv.info.state == HV_DOM_RUNNING) {
		x->hv.stats_ns = now;
		ldom_call(x, HV_OP_HELLO, NULL, 0);
		ldom_call(x, HV_OP_STATS, NULL, 0);
	}
}

bool ldom_in_kernel(const struct ldom *x)
{
	_cleanup_free_ char *path = NULL, *text = NULL;
	pid_t pid = x->start.pid ? x->start.pid : hvproc_pid(x->name);
	size_t len;

	if (pid <= 0)
		return false;
	path = xasprintf("/proc/%d/stat", (int)pid);
	if (file_read(path, 4096, &text, &len) < 0)
		return false;
	const char *p = strrchr(text, ')'); /* the name before it may hold anything */
	return p && !strncmp(p, ") D", 3);
}

bool ldom_hangs(struct ldom *x)
{
	uint64_t now = boot_ns(), since = x->hv.info_ns > x->hv.alive_ns ? x->hv.info_ns : x->hv.alive_ns;

	if (!x->hv.alive || (x->hv.link && !x->hv.asked_ns) || now <= since + HANGS_NS)
		return false;
	if (!ldom_in_kernel(x))
		return true;
	ldom_doing(x, "its hvdom stands in the kernel, which waits for storage");
	if (!x->hv.stuck_said) {
		x->hv.stuck_said = true;
		log_error(
			"%s: its hvdom has not answered for %llu s: it stands in the kernel (state D), waiting for storage",
			x->name, (unsigned long long)((now - since) / NS_PER_S));
	}
	return false;
}

/* Usage ---------------------------------------------------------------------------------------------------------------- */

static bool differs(uint64_t a, uint64_t b)
{
	uint64_t d = a > b ? a - b : b - a, big = a > b ? a : b;

	return d > big / 20; /* five per cent */
}

static bool load_differs(const struct clu_dom_load *a, const struct clu_dom_load *b)
{
	return differs(a->cpu_milli, b->cpu_milli) || differs(a->used_bytes, b->used_bytes) ||
	       differs(a->dirty_bps, b->dirty_bps) || strcmp(a->build, b->build) != 0 || a->newer != b->newer ||
	       !a->up_ns != !b->up_ns || a->well_ns != b->well_ns;
}

static void host_usage(struct local *l, uint32_t *ret_cpu, uint64_t *ret_mem)
{
	const struct clu_state *s = nodeio_state(l->n);
	const struct clu_host *h = s ? clu_host_of(s, local_me(l)) : NULL;

	*ret_cpu = 0, *ret_mem = 0;
	if (!l->conf->domains_only) {
		*ret_cpu = hostinfo_cpu(&l->cpu, h && h->cap.cpu_milli ? h->cap.cpu_milli : 1000);
		*ret_mem = hostinfo_mem_used();
		return;
	}
	for (const struct ldom *x = l->doms; x; x = x->next) {
		*ret_cpu += x->hv.alive ? x->usage.load.cpu_milli : 0;
		*ret_mem += x->hv.alive ? x->usage.load.used_bytes : 0;
	}
}

void local_usage(struct local *l)
{
	Hospes__Clu__Usage u = HOSPES__CLU__USAGE__INIT;
	Hospes__Clu__DomainUsage *du, **list;
	uint64_t now = boot_ns(), mem;
	uint32_t cpu, n = 0;
	bool full = now >= l->usage_full_ns + USAGE_FULL_NS;

	if (now < l->usage_ns + USAGE_NS)
		return;
	l->usage_ns = now;
	host_usage(l, &cpu, &mem);
	du = calloc(CLU_INVENTORY_MAX, sizeof(*du));
	list = calloc(CLU_INVENTORY_MAX, sizeof(*list));
	for (struct ldom *x = l->doms; du && list && x && n < CLU_INVENTORY_MAX; x = x->next) {
		x->usage.load.up_ns = x->hv.have_info ? x->hv.info.uptime_ns : x->usage.load.up_ns;
		x->usage.load.well_ns = x->hv.well_ns;
		if (!x->hv.alive || !x->usage.at_ns || (!full && !load_differs(&x->usage.load, &x->usage.said)))
			continue;
		hospes__clu__domain_usage__init(&du[n]);
		du[n].uuid = x->uuid;
		du[n].cpu_milli = x->usage.load.cpu_milli;
		du[n].used_bytes = x->usage.load.used_bytes;
		du[n].dirty_bps = x->usage.load.dirty_bps;
		du[n].build = x->usage.load.build;
		du[n].newer = x->usage.load.newer;
		du[n].up_ms = x->usage.load.up_ns / NS_PER_MS;
		du[n].well_ms = x->hv.well_ns ? (now - x->hv.well_ns) / NS_PER_MS + 1 : 0;
		x->usage.said = x->usage.load;
		list[n] = &du[n];
		n++;
	}
	u.cpu_milli = cpu;
	u.mem_bytes = mem;
	u.n_domains = n;
	u.domains = list;
	u.domains_only = !full && !differs(cpu, l->said_cpu) && !differs(mem, l->said_mem);
	if (n || !u.domains_only) {
		if (!u.domains_only)
			l->said_cpu = cpu, l->said_mem = mem;
		nodeio_usage(l->n, &u);
	}
	if (full)
		l->usage_full_ns = now;
	free(list);
	free(du);
}
