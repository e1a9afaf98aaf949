/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Starting, watching, stopping and killing this host's domains. Each function is one look: it does what is due and comes back. */
#include "config.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>
#include "clusterd/io/local_int.h"
#include "clusterd/guard/managed.h"
#include "common/fault.h"
#include "common/log.h"
#include "common/util.h"
#include "clusterd/core/place.h"
#include "hypervisor/api/cpufeat.h"
#include "hypervisor/api/hvproc.h"
#include "hypervisor/api/launch.h"

#define LAUNCH_NS  (120 * NS_PER_S)
#define DESTROY_NS (5 * NS_PER_S) /* from DESTROY to SIGKILL */
#define ENDING_NS  (3 * NS_PER_S)
#define FRESH_NS   (3 * NS_PER_S)  /* what storage said counts so long */
#define LEASE_NS   (10 * NS_PER_S) /* how long a start waits for this host's lease */

static bool is_on(uint32_t state)
{
	return state == HV_DOM_RUNNING || state == HV_DOM_PAUSED;
}

/* Start ---------------------------------------------------------------------------------------------------------------- */

void ldom_launch_drop(struct ldom *x)
{
	loop_del_fd(x->start.ready_src);
	x->start.ready_src = NULL;
	if (x->start.ready_fd >= 0)
		close(x->start.ready_fd);
	x->start.ready_fd = -1;
	x->start.pid = 0;
}

static void start_failed(struct ldom *x, const char *text)
{
	x->start.failed = true;
	snprintf(x->why, sizeof(x->why), "%.190s", text);
	log_warn("%s: %s", x->name, text);
}

/* hvdom says "ok" or "error: TEXT", once, or ends without a word. */
static void on_ready(void *arg, int fd, uint32_t revents)
{
	struct ldom *x = arg;
	struct hvlaunch l = { .name = x->name, .pid = x->start.pid };
	struct err err = { 0 };
	ssize_t n = read(fd, x->start.line + x->start.line_len, sizeof(x->start.line) - 1 - x->start.line_len);

	(void)revents;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		x->start.line_len += (size_t)n;
	x->start.line[x->start.line_len] = 0;
	if (n > 0 && !strchr(x->start.line, '\n') && x->start.line_len < sizeof(x->start.line) - 1)
		return;
	x->start.line[strcspn(x->start.line, "\n")] = 0;
	if (hvlaunch_result(&l, x->start.line, &err) < 0)
		start_failed(x, err.text);
	else
		log_info("%s is started", x->name);
	(void)fault_point("clu", "start", x->start.failed ? "failed" : "ok", "", l.pid);
	ldom_launch_drop(x);
	local_changed(x->l);
}

static char *write_xml(const struct ldom *x, const struct clu_dom *d, struct err *err)
{
	_cleanup_free_ char *dir = xasprintf("%s/cluster/xml", path_run());
	_cleanup_free_ char *path = xasprintf("%s/%s.xml", dir, x->name);
	const struct clu_state *s = nodeio_state(x->l->n);
	size_t len = 0;
	const char *xml = nodeio_text(x->l->n, (uint32_t)(d - s->dom), &len);
	int r = xml ? mkdir_p(dir, 0700) : -ENOENT;

	if (r == 0)
		r = file_write_atomic(path, xml, len, 0600);
	if (r < 0) {
		(void)err_sys(err, r, "write the definition to %s", path);
		return NULL;
	}
	return steal_ptr(&path);
}

/* For a processor of mode host-model, which shall find a place on every host that can run it. NULL: it has none. */
static const char *baseline(const struct ldom *x, const struct clu_dom *d, char text[CPU_BITS_TEXT])
{
	uint64_t w[CLU_CPU_WORDS], slots[CLU_HOSTS_MAX / 64];
	_Static_assert(CLU_CPU_WORDS == CPU_FEATURE_WORDS && CLU_CPU_USER_WORDS == CPU_FEATURE_USER_WORDS,
	               "the same words");

	if (d->spec.engine != CLU_ENGINE_KVM)
		return NULL;
	clu_cpu_baseline(nodeio_state(x->l->n), w, slots);
	cpu_bits_format(w, text);
	return text;
}

static void launch(struct ldom *x, const struct clu_dom *d)
{
	struct err err = { 0 };
	_cleanup_free_ char *path = NULL;
	struct hvlaunch l = { .name = x->name, .force = d->force, .generation = d->generation };
	char bits[CPU_BITS_TEXT];
	int r = x->probe.status;

	if (r < 0)
		(void)err_set(&err, r, "%s", x->probe.text);
	x->start.lease_generation = x->probe.lease.generation; /* what the next try has to go beyond */
	if (r == 0 && x->start.lease_generation >= d->generation)
		r = err_set(&err, ESTALE,
		            "its lease is in generation %" PRIu64 " already: the next try goes beyond that",
		            x->start.lease_generation);
	if (r == 0)
		r = managed_add(x->name, x->uuid, &err);
	if (r == 0) {
		path = write_xml(x, d, &err);
		r = path ? 0 : -EIO;
	}
	(void)fault_point("clu", "start", "launch", "", 0);
	if (r == 0) {
		l.config = path;
		l.cpu_baseline = baseline(x, d, bits);
		r = hvlaunch_begin(&l, &err);
	}
	(void)fault_point("clu", "start", "launch", ".done", l.pid);
	if (r < 0) {
		start_failed(x, err.text);
		return;
	}
	x->start.launched = true;
	x->start.since_ns = boot_ns();
	x->start.pid = l.pid;
	x->start.ready_fd = l.ready_fd;
	x->start.line_len = 0;
	fcntl(l.ready_fd, F_SETFL, O_NONBLOCK);
	x->start.ready_src = loop_add_fd(x->l->loop, l.ready_fd, EPOLLIN, on_ready, x);
	if (!x->start.ready_src) {
		start_failed(x, "out of memory");
		hvlaunch_kill(&l);
		ldom_launch_drop(x);
	}
}

static void starting(struct ldom *x)
{
	bool stuck = boot_ns() > x->start.since_ns + ENDING_NS && ldom_in_kernel(x);

	ldom_doing(x, "starting%s", stuck ? ": its hvdom stands in the kernel, which waits for storage" : "");
}

/* Something of that name lives. True: nothing more to do in this look. */
static bool start_alive(struct ldom *x, const struct clu_dom *d)
{
	char marked[MANAGED_UUID];
	bool ours = managed_uuid(x->name, marked) == 0 && !strcmp(marked, x->uuid);

	if (!ours) {
		ldom_result(x, d, CLU_RESULT_START_FAILED, x->start.lease_generation,
		            "a domain of that name runs there that is not the cluster's: vmctl shutdown it first");
		return true;
	}
	if (x->start.pid) {
		starting(x);
		if (boot_ns() > x->start.since_ns + LAUNCH_NS)
			(void)!hvproc_kill(x->name);
		return true;
	}
	if (!x->hv.have_info) {
		ldom_doing(x, "waiting for hvdom to answer");
		if (ldom_hangs(x))
			(void)!hvproc_kill(x->name);
		return true;
	}
	if (strcasecmp(x->hv.info.uuid, x->uuid) != 0 ||
	    (x->hv.info.generation != d->generation && x->hv.info.state != HV_DOM_BOOTING) ||
	    x->hv.info.state == HV_DOM_CRASHED || x->hv.info.state == HV_DOM_SHUTDOWN) {
		log_warn("%s: a copy of before (generation %" PRIu64 ") is in the way: killing it", x->name,
		         x->hv.info.generation);
		(void)!hvproc_kill(x->name);
		return true;
	}
	if (is_on(x->hv.info.state))
		ldom_result(x, d, CLU_RESULT_STARTED, d->generation, "");
	else if (boot_ns() > x->hv.alive_ns + LAUNCH_NS)
		(void)!hvproc_kill(x->name);
	return true;
}

/*
 * Does the lease still say that it runs here? A SIGKILL leaves it so; other hosts go over it only if they are told that it is over.
 * Storage that does not answer does not say that it is given back.
 */
static bool lease_left(const struct ldom *x)
{
	const struct leasepeek *l = &x->probe.lease;

	if (x->probe.silent)
		return true;
	return x->probe.status == 0 && l->there && l->running && !strcmp(l->owner, x->l->conf->migrated_name);
}

static bool probe_is_fresh(const struct ldom *x)
{
	return boot_ns() < x->probe.answered_ns + FRESH_NS;
}

void ldom_start(struct ldom *x, const struct clu_dom *d)
{
	if (x->hv.alive && start_alive(x, d))
		return;
	if (x->start.pid) {
		starting(x);
		if (boot_ns() > x->start.since_ns + LAUNCH_NS)
			kill(x->start.pid, SIGKILL);
		return;
	}
	if (x->start.launched && !x->start.failed)
		start_failed(x, x->ended.text[0] ? x->ended.text : "it ended right after its start, see its log");
	if (x->start.failed) {
		managed_remove(x->name);
		if (x->start.launched && !ldom_ask(x, d, PROBE_LEASE))
			return;
		if (x->start.launched && !x->probe.silent && lease_left(x))
			x->start.lease_generation = x->probe.lease.generation;
		ldom_result(x, d, CLU_RESULT_START_FAILED, x->start.lease_generation, x->why);
		return;
	}
	if (!nodeio_has_lease(x->l->n)) {
		ldom_doing(x, "waiting for this host's lease");
		if (!x->start.since_ns)
			x->start.since_ns = boot_ns();
		if (boot_ns() > x->start.since_ns + LEASE_NS)
			start_failed(x, "this host has no lease (its guard or its quorum is missing)");
		return;
	}
	if (x->probe.answered && !probe_is_fresh(x))
		probe_drop(&x->probe);
	if (ldom_ask(x, d, PROBE_START))
		launch(x, d);
	else
		ldom_doing(x, "looking at its files");
}

/* End ------------------------------------------------------------------------------------------------------------------ */

/* SHUTDOWN, after the grace DESTROY, then SIGKILL. */
void ldom_end(struct ldom *x, uint64_t grace_ns)
{
	struct hv_destroy_req req = { 0 };
	uint64_t now = boot_ns();
	bool off = x->hv.have_info && (x->hv.info.state == HV_DOM_SHUTDOWN || x->hv.info.state == HV_DOM_CRASHED ||
	                               x->hv.info.state == HV_DOM_PARKED);

	if (!x->stop.since_ns) {
		x->stop.since_ns = now;
		if (grace_ns && !off)
			ldom_call(x, HV_OP_SHUTDOWN, NULL, 0);
	}
	if (!x->stop.destroy_ns && (off || now >= x->stop.since_ns + grace_ns)) {
		x->stop.destroy_ns = now;
		ldom_call(x, HV_OP_DESTROY, &req, sizeof(req));
	}
	if (x->stop.destroy_ns && now >= x->stop.destroy_ns + DESTROY_NS) {
		if (hvproc_kill(x->name) < 0)
			log_error("%s does not end", x->name);
		else if (ldom_in_kernel(x))
			ldom_doing(x, "told to end, and stands in the kernel, which waits for storage");
	}
}

void ldom_stop(struct ldom *x, const struct clu_dom *d)
{
	if (x->start.pid) /* of a start that others gave up */
		kill(x->start.pid, SIGTERM);
	if (!x->hv.alive && !x->start.pid) {
		managed_remove(x->name);
		if (!ldom_ask(x, d, PROBE_LEASE))
			ldom_doing(x, "ended; reading its lease");
		else if (lease_left(x))
			ldom_observed(x, CLU_SEEN_GONE, d->generation,
			              x->probe.silent ? "it ended, and its storage does not answer"
			                              : "it had to be killed");
		else
			ldom_result(x, d, CLU_RESULT_STOPPED, d->generation, "");
		return;
	}
	ldom_doing(x, x->stop.destroy_ns ? "being ended" : "asked to power off");
	if (x->hv.link && !x->hv.have_info && !ldom_hangs(x) && !x->stop.since_ns)
		return; /* its state in a moment */
	ldom_end(x, x->l->conf->stop_grace_ns);
}

bool ldom_kill(struct ldom *x, const struct clu_dom *d)
{
	if (x->start.pid)
		kill(x->start.pid, SIGKILL);
	if (!x->hv.alive && !x->start.pid) {
		managed_remove(x->name);
		return true;
	}
	if (!x->stop.since_ns)
		x->stop.since_ns = boot_ns();
	bool ending = x->hv.have_info && (x->hv.info.state == HV_DOM_SHUTDOWN || x->hv.info.state == HV_DOM_CRASHED);
	if (x->hv.alive && (!x->hv.have_info || ending) && boot_ns() < x->stop.since_ns + ENDING_NS)
		return false; /* which kind of copy it is, in a moment; or it is just ending */
	if (x->hv.have_info && x->hv.info.state == HV_DOM_RELINQUISHED) {
		ldom_doing(x, "given away: migrated ends this copy");
		return false;
	}
	if (d && x->hv.have_info && is_on(x->hv.info.state) && x->hv.info.generation > d->generation_max) {
		ldom_observed(x, CLU_SEEN_RUNNING, x->hv.info.generation, ""); /* moved here by hand */
		return false;
	}
	ldom_doing(x, "a copy that is none of the cluster's: being killed");
	if (!x->stop.destroy_ns) {
		log_warn("%s: this copy is none of the cluster's%s: killing it", x->name,
		         ldom_is_parked(x) ? ", and was suspended" : "");
		x->stop.destroy_ns = boot_ns();
	}
	if (hvproc_kill(x->name) < 0 && boot_ns() > x->stop.destroy_ns + DESTROY_NS)
		log_error("%s: its hvdom is not found", x->name);
	return false;
}

/* Watch ---------------------------------------------------------------------------------------------------------------- */

static void watch_gone(struct ldom *x, const struct clu_dom *d)
{
	enum clu_seen seen = x->ended.by ? x->ended.by : CLU_SEEN_GONE;
	const char *text = x->ended.text[0] ? x->ended.text : seen == CLU_SEEN_GONE ? "its hvdom is gone" : "";

	ldom_observed(x, seen, d->generation, text);
}

void ldom_watch(struct ldom *x, const struct clu_dom *d)
{
	if (!x->hv.alive) {
		watch_gone(x, d);
		return;
	}
	if (ldom_hangs(x)) {
		log_error("%s: its hvdom does not answer any more: killing it", x->name);
		x->ended.by = CLU_SEEN_CRASHED;
		snprintf(x->ended.text, sizeof(x->ended.text), "its hvdom did not answer and was killed");
		ldom_disconnect(x);
		(void)!hvproc_kill(x->name);
		return;
	}
	if (!x->hv.have_info)
		return;
	switch (x->hv.info.state) {
	case HV_DOM_RUNNING:
	case HV_DOM_PAUSED:
	case HV_DOM_BOOTING:
		if (x->hv.info.reason == HV_WHY_DISK_ERROR)
			ldom_doing(x, "paused: %.112s", x->hv.info.reason_text);
		else
			ldom_doing(x, "%.112s", x->hv.info.reason == HV_WHY_DISK_WAIT ? x->hv.info.reason_text : "");
		if (x->hv.info.generation > d->generation)
			ldom_observed(x, CLU_SEEN_RUNNING, x->hv.info.generation, "");
		else
			x->stop.since_ns = x->stop.destroy_ns = 0;
		if (!x->news[0] || x->hv.info.generation != d->generation ||
		    ldom_observed(x, CLU_SEEN_RUNNING, d->generation, x->news))
			x->news[0] = 0;
		break;
	case HV_DOM_SHUTDOWN: /* kept by its XML: the cluster has no use for that */
	case HV_DOM_CRASHED:
		if (!x->ended.by)
			x->ended.by = x->hv.info.state == HV_DOM_CRASHED ? CLU_SEEN_CRASHED : CLU_SEEN_POWEROFF;
		ldom_end(x, 0);
		break;
	case HV_DOM_RESTORED: /* it came here, and the word to run is late: the cluster says that it is ours */
		ldom_claim(x);
		break;
	default:
		break;
	}
}
