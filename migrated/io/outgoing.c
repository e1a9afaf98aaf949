/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Source sessions: see outgoing.h. Events go to the core by pump.c; act() carries out the actions that come of them. The core decides,
 * this file only does. Loop thread.
 */
#include "config.h"
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/random.h>
#include "common/log.h"
#include "common/util.h"
#include "clusterd/guard/managed.h"
#include "common/fault.h"
#include "hypervisor/api/hvmsg.h"
#include "migrated/io/ctl.h"
#include "migrated/io/knock.h"
#include "migrated/io/outgoing_int.h"
#include "migrated/io/recorder.h"

#define PROGRESS_NS     (200 * NS_PER_MS)
#define END_WAIT_NS     (3 * NS_PER_S)
#define ABORT_NS        NS_PER_S
#define RETRIES_MAX     10u
#define DOWNTIME_MAX_NS (2 * NS_PER_S) /* how far "auto" ramps, or 10 times what was asked */

static void start_queued(struct migrated *d);

/* Data plane ---------------------------------------------------------------------------------------------------------- */
static void pass_done(void *arg, const struct out_stats *pass, uint64_t busy_ns)
{
	struct outgoing *o = arg;
	struct mig_event ev = { .kind = MIG_EV_PASS_DONE };

	ev.pass.pages_data = pass->pages_data;
	ev.pass.pages_zero = pass->pages_zero;
	ev.pass.octets = pass->octets;
	ev.pass.busy_ns = busy_ns;
	if (o->suspended_ns)
		o->passed_ns = now_ns();
	log_debug("%s: pass of round %u: %" PRIu64 " pages, %" PRIu64 " unchanged, %" PRIu64 " octets, %.1f ms",
	          o->order.domain, o->core.ctl.rounds, pass->pages_data, pass->pages_same, pass->octets,
	          (double)busy_ns / 1e6);
	outgoing_feed(o, &ev);
}

static void state_sent(void *arg)
{
	outgoing_feed(arg, &(struct mig_event){ .kind = MIG_EV_STATE_SENT });
}

static void pipe_failed(void *arg, const struct err *err)
{
	struct outgoing *o = arg;

	snprintf(o->local_text, sizeof(o->local_text), "%s", err->text);
	outgoing_feed(o, &(struct mig_event){ .kind = MIG_EV_PASS_FAILED, .reason = MIG_REASON_DATA });
}

/* The target said yes: workers connect to its data socket. */
int outgoing_open_pipe(struct outgoing *o, const Hospes__Mig__Accept *acc)
{
	_cleanup_free_ char *ep = xasprintf("tcp://%s:%u", o->peer.address, acc->data_port);
	struct out_config cfg = {
		.zmq = o->d->zmq_data,
		.endpoint = ep,
		.loop = o->d->loop,
		.mem = &o->mem,
		.session = o->session,
		.streams = acc->streams < o->order.streams ? acc->streams : o->order.streams,
		.credit_bytes = acc->credit_bytes,
		.bandwidth_bps = o->order.bandwidth_bps,
		.compress = o->order.compress,
		.pass_done = pass_done,
		.state_sent = state_sent,
		.failed = pipe_failed,
		.arg = o,
	};
	struct err err;

	if (!(o->caps & MIG_CAP_LZ4))
		cfg.compress = OUT_COMPRESS_NONE;
	memcpy(cfg.key, o->key, sizeof(cfg.key));
	o->io_cpu_ns = zsock_io_cpu_ns();
	o->pipe = outpipe_new(&cfg, &err);
	if (!o->pipe)
		snprintf(o->local_text, sizeof(o->local_text), "%s", err.text);
	return o->pipe ? 0 : -ENOMEM;
}

/* Journal ------------------------------------------------------------------------------------------------------------- */
static void recorded(void *arg, enum mig_record rec, int status, const struct err *err)
{
	struct outgoing *o = arg;
	struct mig_event ev = { .kind = MIG_EV_JOURNALED, .journal = { .rec = rec, .status = status } };

	if (status < 0)
		snprintf(o->local_text, sizeof(o->local_text), "%s", err->text);
	if (rec == MIG_REC_CALLED_OFF) {
		if (status < 0)
			log_error("%s: %s", o->order.domain, err->text);
		o->noting = status < 0 ? NOT_NOTED : NOTED;
	}
	(void)fault_point("src", "journal", journal_rec_name(rec), ".done", o->info.pid);
	if (!o->aborting)
		outgoing_feed(o, &ev);
	outgoing_maybe_end(o);
}

static void act_journal(struct outgoing *o, enum mig_record rec)
{
	struct journal_rec j = {
		.session = o->session, .generation = o->core.generation_new, .rec = rec, .stay_paused = o->order.suspend
	};
	struct err err = { 0 };
	int r;

	memcpy(j.name, o->info.name, sizeof(j.name));
	memcpy(j.uuid, o->info.uuid, 36);
	memcpy(j.peer, o->peer.name, sizeof(j.peer));
	if (rec == MIG_REC_CALLED_OFF)
		o->noting = NOTING;
	(void)fault_point("src", "journal", journal_rec_name(rec), "", o->info.pid);
	r = recorder_append(o->d->recorder, &j, recorded, o);
	if (r < 0)
		recorded(o, rec, err_sys(&err, r, "journal"), &err);
}

/* A session that was called off after Final, and that is not written down: what would be given away now could be taken for its copy. */
static bool half_called_off(const struct migrated *d, const char *domain)
{
	for (const struct outgoing *o = d->outs; o; o = o->next)
		if (o->noting != NOTED && !strcmp(o->order.domain, domain))
			return true;
	return false;
}

/* Reports and the end ------------------------------------------------------------------------------------------------- */
static void tell_of(struct outgoing *o, json_t *(*what)(struct outgoing *o))
{
	bool watched = !o->order.plan && ctl_watched(o->d);
	json_t *obj = o->report || watched ? what(o) : NULL;

	if (watched && obj)
		ctl_watchers_tell(o->d, obj);
	if (o->report)
		o->report(o->report_arg, obj);
	else
		json_decref(obj);
}

static void on_progress(void *arg)
{
	struct outgoing *o = arg;

	if (!o->reported)
		tell_of(o, outgoing_progress);
	loop_timer_in(o->progress, PROGRESS_NS);
}

static void unlink_out(struct outgoing *o)
{
	for (struct outgoing **p = &o->d->outs; *p; p = &(*p)->next) {
		if (*p == o) {
			*p = o->next;
			return;
		}
	}
}

static void outgoing_free(struct outgoing *o)
{
	unlink_out(o);
	knock_drop(o->knock);
	recorder_drop(o->d->recorder, o);
	outpipe_free(o->pipe, &o->mem, &o->state_fd);
	hva_free(o->hva);
	if (o->mem_open)
		memmap_done(&o->mem);
	if (o->monitor && o->dealer)
		(void)zmq_socket_monitor(zsock_raw(o->dealer), NULL, 0);
	zsock_free(o->monitor);
	int soon = 200;
	if (o->dealer && o->d->closing)
		(void)zmq_setsockopt(zsock_raw(o->dealer), ZMQ_LINGER, &soon, sizeof(soon));
	zsock_free(o->dealer);
	loop_del_timer(o->timer);
	loop_del_timer(o->progress);
	loop_del_timer(o->end);
	if (o->state_fd >= 0)
		close(o->state_fd);
	explicit_bzero(o->key, sizeof(o->key));
	free(o->xml);
	free(o);
}

/* Milestones of the blackout, ms after SUSPEND was called. */
static void log_switchover(const struct outgoing *o)
{
	uint64_t t0 = o->suspend_ns;

	log_info("%s: moved to %s (log-dirty %s): downtime %.1f ms: suspended %.1f, state %.1f (capture %.1f, %" PRIu64
	         " KiB), pages %.1f, all sent %.1f, "
	         "ready %.1f, go %.1f; clock offset %.2f, rtt %.2f",
	         o->order.domain, o->order.host, hv_logdirty_by(o->logdirty_by), (double)outgoing_downtime_ns(o) / 1e6,
	         (double)(o->suspended_ns - t0) / 1e6, (double)(o->captured_ns - t0) / 1e6, (double)o->capture_ns / 1e6,
	         o->state_bytes >> 10, (double)(o->passed_ns - t0) / 1e6, (double)(o->final_ns - t0) / 1e6,
	         (double)(o->ready_ns - t0) / 1e6, (double)(o->go_ns - t0) / 1e6, (double)o->clock_offset_ns / 1e6,
	         (double)o->rtt_ns / 1e6);
}

/* The migration is over for its user, and the guest runs on; the target still has to say that it let go. */
static void tell_on(struct outgoing *o)
{
	outpipe_free(o->pipe, &o->mem, &o->state_fd);
	o->pipe = NULL;
	hva_free(o->hva);
	o->hva = NULL;
	if (o->mem_open)
		memmap_done(&o->mem);
	o->mem_open = o->ended = false;
	o->report = NULL;
	o->aborting = o->recovered = true;
	loop_timer_at(o->progress, MIG_NEVER);
	loop_timer_in(o->timer, ABORT_NS);
}

/* Tell the result once hvdom has answered all (so "runs on here" is true), then go. */
static void on_end(void *arg)
{
	struct outgoing *o = arg;
	struct migrated *d = o->d;
	char why[2 * ERR_TEXT_MAX];

	if (!o->reported) {
		o->reported = true;
		outgoing_reason_text(o, why, sizeof(why));
		if (o->outcome == MIG_OUTCOME_COMPLETED && o->core.running_at_ns) {
			o->d->rate_bps = o->core.ctl.rate_bps ? o->core.ctl.rate_bps : o->d->rate_bps;
			log_switchover(o);
		} else if (!o->order.plan)
			log_info("%s to %s: %s%s%s", o->order.domain, o->order.host,
			         o->outcome == MIG_OUTCOME_COMPLETED   ? "done"
			         : o->outcome == MIG_OUTCOME_CANCELLED ? "cancelled"
			                                               : "failed",
			         why[0] ? ": " : "", why);
		tell_of(o, o->order.plan ? outgoing_plan : outgoing_result);
	}
	if (o->core.must_tell && !o->peer_let_go)
		tell_on(o);
	else
		outgoing_free(o);
	start_queued(d);
}

void outgoing_maybe_end(struct outgoing *o)
{
	if (o->ended && o->noting != NOTING && (!o->hva || !hva_pending(o->hva)))
		loop_timer_in(o->end, 0);
}

static void act_finish(struct outgoing *o, const struct mig_action *a)
{
	struct err hangs = { 0 };

	o->ended = true;
	o->ended_ns = now_ns();
	o->io_cpu_end_ns = zsock_io_cpu_ns();
	o->outcome = a->outcome;
	o->reason = a->reason;
	if (o->reason == MIG_REASON_JOURNAL && !o->local_text[0] && recorder_hangs(o->d->recorder, &hangs) < 0)
		snprintf(o->local_text, sizeof(o->local_text), "%s", hangs.text);
	loop_timer_at(o->timer, MIG_NEVER);
	loop_timer_in(o->end, END_WAIT_NS);
	outgoing_maybe_end(o);
}

static void act(void *arg, const struct mig_action *a)
{
	struct outgoing *o = arg;

	switch (a->kind) {
	case MIG_ACT_SEND:
		outgoing_send(o, &a->msg);
		break;
	case MIG_ACT_HV:
		outgoing_hv(o, a->hv.op, a->hv.v0);
		break;
	case MIG_ACT_PASS:
		(void)fault_point("src", "pass", a->pass.kind == MIG_PASS_FINAL ? "final" : "live", "", o->info.pid);
		outpipe_pass(o->pipe, a->pass.kind, a->pass.hash_all, o->core.ctl.rounds);
		break;
	case MIG_ACT_PASS_STOP:
		if (o->pipe)
			outpipe_stop(o->pipe);
		break;
	case MIG_ACT_STATE:
		outpipe_state(o->pipe, o->state_fd, o->state_bytes);
		break;
	case MIG_ACT_JOURNAL:
		act_journal(o, a->rec);
		break;
	case MIG_ACT_FORGET:
		recorder_forget(o->d->recorder, o->session);
		break;
	case MIG_ACT_FINISH:
		act_finish(o, a);
		break;
	default:
		break;
	}
}

static void step(void *arg, const struct mig_event *ev, struct mig_actions *out)
{
	struct outgoing *o = arg;
	enum mig_source_state before = o->core.state;

	mig_source_step(&o->core, ev, out);
	if (o->core.state != before)
		log_debug("%s: %s -> %s", o->order.domain, mig_source_state_name(before),
		          mig_source_state_name(o->core.state));
}

static void drained(void *arg)
{
	struct outgoing *o = arg;

	if (!o->ended)
		loop_timer_at(o->timer, mig_source_deadline_ns(&o->core));
}

static const struct pump_ops pump_ops = { .step = step, .act = act, .drained = drained };

void outgoing_feed(struct outgoing *o, const struct mig_event *ev)
{
	pump_feed(&o->pump, ev);
}

static void on_timer(void *arg)
{
	struct outgoing *o = arg;

	if (o->aborting) {
		if (o->noting == NOT_NOTED)
			act_journal(o, MIG_REC_CALLED_OFF);
		outgoing_send(o, &(struct mig_msg){
					 .kind = MIG_MSG_ABORT, .reason = MIG_REASON_DAEMON, .check_lease = true });
		loop_timer_in(o->timer, ABORT_NS);
		return;
	}
	outgoing_feed(o, &(struct mig_event){ .kind = MIG_EV_TICK });
}

/* Sessions ------------------------------------------------------------------------------------------------------------ */
static struct outgoing *outgoing_new(struct migrated *d)
{
	struct outgoing *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	o->d = d;
	o->pump = (struct pump){ .ops = &pump_ops, .arg = o };
	o->state_fd = -1;
	o->rtt_ns = MIG_NEVER;
	o->timer = loop_add_timer(d->loop, on_timer, o);
	o->progress = loop_add_timer(d->loop, on_progress, o);
	o->end = loop_add_timer(d->loop, on_end, o);
	if (!o->timer || !o->progress || !o->end) {
		outgoing_free(o);
		return NULL;
	}
	struct outgoing **p = &d->outs;
	while (*p)
		p = &(*p)->next;
	*p = o;
	return o;
}

static void core_config(const struct outgoing *o, struct mig_source_config *c)
{
	const struct push_order * or = &o->order;

	*c = (struct mig_source_config){
		.generation = o->info.generation,
		.timeout_ns = or->timeout_ns,
		.plan_only = or->plan,
		/* one that stands still for a failed disk goes on by itself, there as here */
		.stay_paused = or->suspend || (o->info.state == HV_DOM_PAUSED && o->info.reason != HV_WHY_DISK_ERROR),
		.audit = or->audit,
		.verify = or->verify,
		.logdirty = or->logdirty,
		.ctl = { .downtime_ns = or->downtime_ns,
		         .overhead_ns = OUTGOING_OVERHEAD_NS,
		         .bandwidth_bps = or->bandwidth_bps,
		         .rate_guess_bps = o->d->rate_bps,
		         .rounds_max = 60,
		         .converge = or->converge },
	};
	c->ctl.downtime_max_ns = or->downtime_ns * 10 > DOWNTIME_MAX_NS ? or->downtime_ns * 10 : DOWNTIME_MAX_NS;
}

static int begin(struct outgoing *o, struct err *err)
{
	struct mig_source_config cfg;

	int r = outgoing_open_domain(o, err);
	if (r == 0)
		r = outgoing_open_peer(o, err);
	if (r < 0)
		return r;
	if (getrandom(o->key, sizeof(o->key), 0) != sizeof(o->key))
		return err_sys(err, EIO, "random key");
	core_config(o, &cfg);
	mig_source_init(&o->core, &cfg);
	o->begun_ns = now_ns();
	loop_timer_in(o->progress, PROGRESS_NS);
	outgoing_feed(o, &(struct mig_event){ .kind = MIG_EV_START });
	return 0;
}

/* It could not even begin. One that had waited for its turn has a result; else the order itself is answered. */
static void refuse(struct outgoing *o, const struct err *err)
{
	o->ended = true;
	o->outcome = MIG_OUTCOME_FAILED;
	o->reason = MIG_REASON_REFUSED;
	snprintf(o->local_text, sizeof(o->local_text), "%s", err->text);
	if (!o->waited) {
		if (o->report)
			o->report(o->report_arg, json_pack("{s:s, s:s}", "type", "error", "error", err->text));
		o->reported = true;
	}
	loop_timer_in(o->end, 0);
}

static void hvdom_is_there(void *arg, int status, const struct hv_info *info)
{
	struct outgoing *o = arg;
	struct err err = { 0 };
	int r = 0;

	(void)info;
	o->knock = NULL;
	if (status == -ETIMEDOUT)
		r = err_set(&err, ETIMEDOUT, "domain %s: its hvdom does not answer: see `vmctl dominfo %s`",
		            o->order.domain, o->order.domain);
	if (r == 0)
		r = begin(o, &err);
	if (r < 0)
		refuse(o, &err);
}

/* First of all is somebody there? Other migrations do not wait for an hvdom that does not answer. */
static int approach(struct outgoing *o, struct err *err)
{
	int r = recorder_hangs(o->d->recorder, err);

	if (r < 0)
		return r;
	o->queued = false;
	o->knock = knock(o->d->loop, o->order.domain, KNOCK_NS, hvdom_is_there, o);
	return o->knock ? 0 : err_sys(err, ENOMEM, "migration of %s", o->order.domain);
}

static unsigned active(const struct migrated *d)
{
	unsigned n = 0;

	for (const struct outgoing *o = d->outs; o; o = o->next)
		n += !o->queued && !o->recovered && !o->ended;
	return n;
}

static void start_queued(struct migrated *d)
{
	for (struct outgoing *o = d->outs; o && active(d) < d->node.migrations_max; o = o->next) {
		struct err err = { 0 };
		if (!o->queued || o->ended)
			continue;
		o->waited = true;
		if (approach(o, &err) < 0)
			refuse(o, &err);
	}
}

static struct outgoing *find(struct migrated *d, const char *domain)
{
	for (struct outgoing *o = d->outs; o; o = o->next)
		if (!o->ended && !o->aborting && !strcmp(o->order.domain, domain))
			return o;
	return NULL;
}

static int find_peer(const char *name, struct peer *ret, struct err *err)
{
	_cleanup_peers_ struct peers ps = { 0 };
	int r = peers_load(&ps, err);

	if (r < 0)
		return r;
	const struct peer *p = peers_by_name(&ps, name);
	if (!p)
		return err_set(
			err, ENOENT,
			"%s is not a pinned peer: run `vmmig peers self` there and `vmmig peers add %s ADDRESS KEY` here",
			name, name);
	*ret = *p;
	return 0;
}

int outgoing_push(struct migrated *d, const struct push_order *order, void (*report)(void *arg, json_t *obj), void *arg,
                  struct err *err)
{
	struct peer peer;

	if (!strcmp(order->host, d->node.name))
		return err_set(err, EINVAL, "domain %s is on %s already", order->domain, order->host);
	if (!order->cluster && !order->plan && managed_listed(order->domain, NULL))
		return err_set(err, EPERM,
		               "%s is a domain of the cluster, which would not know where it is: vmclus move %s %s",
		               order->domain, order->domain, order->host);
	if (find(d, order->domain))
		return err_set(err, EBUSY, "domain %s is being moved already: see `vmmig status %s`", order->domain,
		               order->domain);
	if (half_called_off(d, order->domain))
		return err_set(err, EBUSY,
		               "%s: the end of its last migration is not on disk yet: try again in a moment",
		               order->domain);
	int r = find_peer(order->host, &peer, err);
	if (r < 0)
		return r;
	struct outgoing *o = outgoing_new(d);
	if (!o)
		return err_sys(err, ENOMEM, "migration of %s", order->domain);
	o->order = *order;
	o->peer = peer;
	o->session = random_u64();
	o->report = report;
	o->report_arg = arg;
	o->queued = true;
	if (!order->plan && active(d) >= d->node.migrations_max) {
		loop_timer_in(o->progress, 0);
		return 0;
	}
	r = approach(o, err);
	if (r < 0)
		outgoing_free(o);
	return r;
}

void outgoing_detach(struct migrated *d, void *arg)
{
	for (struct outgoing *o = d->outs; o; o = o->next)
		if (o->report_arg == arg)
			o->report = NULL;
}

int outgoing_cancel(struct migrated *d, const char *domain, struct err *err)
{
	struct outgoing *o = find(d, domain);

	if (!o)
		return err_set(err, ENOENT, "no migration of %s is under way here", domain);
	if (o->queued || o->knock) {
		knock_drop(o->knock);
		o->knock = NULL;
		o->ended = true;
		o->outcome = MIG_OUTCOME_CANCELLED;
		o->reason = MIG_REASON_CANCELLED;
		loop_timer_in(o->end, 0);
		return 0;
	}
	if (!mig_source_cancellable(&o->core) || o->recovered)
		return err_set(err, EBUSY, "%s: past the point of no return, it belongs to %s now; wait for the result",
		               domain, o->order.host);
	outgoing_feed(o, &(struct mig_event){ .kind = MIG_EV_CANCEL, .reason = MIG_REASON_CANCELLED });
	return 0;
}

int outgoing_resolve(struct migrated *d, const char *domain, bool local, struct err *err)
{
	struct outgoing *o = find(d, domain);

	if (!o || (o->core.state != MIG_SRC_DOUBT && o->core.state != MIG_SRC_GO))
		return err_set(err, ENOENT, "no migration of %s is in doubt here", domain);
	log_warn("%s: an operator decided that %s owns it", domain, local ? "this host" : o->order.host);
	outgoing_feed(o, &(struct mig_event){ .kind = MIG_EV_OPERATOR, .op_local = local });
	return 0;
}

json_t *outgoing_status(struct migrated *d, const char *domain)
{
	json_t *list = json_array();

	for (struct outgoing *o = d->outs; o; o = o->next)
		if (!o->ended && !o->order.plan && (!domain || !strcmp(domain, o->order.domain))) {
			json_t *p = outgoing_progress(o);
			(void)json_object_set_new(p, "role", json_string("source"));
			(void)json_array_append_new(list, p);
		}
	return list;
}

/* The journal said RELINQUISHING, or CALLED_OFF and the target was not told. What does hvdom say? */
int outgoing_recover(struct migrated *d, const struct journal_rec *rec)
{
	struct outgoing *o = outgoing_new(d);
	struct mig_source_config cfg;
	struct err err = { 0 };

	if (!o)
		return 0;
	o->session = rec->session;
	o->recovered = true;
	memcpy(o->order.domain, rec->name, sizeof(o->order.domain));
	memcpy(o->order.host, rec->peer, sizeof(o->order.host));
	o->order.downtime_ns = 50 * NS_PER_MS;
	int r = outgoing_open_domain(o, &err);
	if (r == -ETIMEDOUT && rec->rec == MIG_REC_RELINQUISHING) {
		outgoing_free(o);
		return r;
	}
	bool here = r == 0 && !strncasecmp(o->info.uuid, rec->uuid, 36);
	memcpy(o->info.name, rec->name, sizeof(rec->name));
	memcpy(o->info.uuid, rec->uuid, sizeof(rec->uuid));
	if (find_peer(rec->peer, &o->peer, &err) < 0 || outgoing_open_peer(o, &err) < 0) {
		log_error("%s: in doubt with %s, which cannot be asked: %s", rec->name, rec->peer, err.text);
		outgoing_free(o);
		return 0;
	}
	bool off = rec->rec == MIG_REC_CALLED_OFF;
	if (here && !off && o->info.state == HV_DOM_RELINQUISHED && o->info.generation == rec->generation) {
		log_warn("%s: in doubt: given to %s before this daemon ended; asking", rec->name, rec->peer);
		core_config(o, &cfg);
		mig_source_init_doubt(&o->core, &cfg, rec->generation);
		o->begun_ns = now_ns();
		outgoing_feed(o, &(struct mig_event){ .kind = MIG_EV_START });
		return 0;
	}
	/* it never came to RELINQUISH, hvdom resumed the guest by itself; or the copy here is gone: the lease decides over there */
	log_info("%s: was not given away to %s before this daemon ended; telling it", rec->name, rec->peer);
	o->core.generation_new = rec->generation;
	o->aborting = true;
	if (here &&
	    !off) /* it runs on here: a later session may give it away, and this one must not be taken for that */
		act_journal(o, MIG_REC_CALLED_OFF);
	loop_timer_in(o->timer, 0);
	return 0;
}

bool outgoing_has(const struct migrated *d, const char *domain)
{
	for (const struct outgoing *o = d->outs; o; o = o->next)
		if (!o->ended && !strcmp(o->order.domain, domain))
			return true;
	return false;
}

unsigned outgoing_count(const struct migrated *d)
{
	unsigned n = 0;

	for (const struct outgoing *o = d->outs; o; o = o->next)
		n++;
	return n;
}

void outgoing_free_all(struct migrated *d)
{
	while (d->outs)
		outgoing_free(d->outs);
}
