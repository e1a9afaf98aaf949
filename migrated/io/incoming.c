/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Target sessions: see incoming.h. Events go to the core by pump.c; act() carries out the actions that come of them. Loop thread. */
#include "config.h"
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include "clusterd/guard/managed.h"
#include "common/log.h"
#include "common/util.h"
#include "hypervisor/api/hvcall.h"
#include "common/fault.h"
#include "hypervisor/api/dompath.h"
#include "hypervisor/api/hvproc.h"
#include "migrated/io/incoming_int.h"
#include "migrated/io/leasefile.h"
#include "migrated/io/preflight_ask.h"
#include "migrated/io/recorder.h"
#include "migrated/io/standing.h"

#define CREDIT_BYTES       (16ull << 20)
#define END_NS             (30 * NS_PER_S) /* a finished session answers questions for so long */
#define INCOMING_MAX       16u
#define PREFLIGHTS_MAX     20u /* tries while an older session of the domain goes away */
#define PREFLIGHT_AGAIN_NS (100 * NS_PER_MS)

/* Sending ------------------------------------------------------------------------------------------------------------- */
static void fill_running(const struct incoming *in, const struct mig_msg *msg, Hospes__Mig__Running *run)
{
	struct in_stats st = { 0 };

	run->running_at_ns = msg->running_at_ns;
	run->paused = msg->stay_paused;
	run->take_ns = in->running_ns > in->go_ns ? in->running_ns - in->go_ns : 0;
	run->resume_ns = in->resume_ns && in->running_ns > in->resume_ns ? in->running_ns - in->resume_ns : 0;
	if (!in->data)
		return;
	insession_stats(in->data, &st);
	run->receive_ns = st.receive_ns + zsock_io_cpu_ns() - in->io_cpu_ns;
	run->open_ns = st.open_ns;
	run->place_ns = st.place_ns;
}

static void act_send(struct incoming *in, const struct mig_msg *msg)
{
	Hospes__Mig__Envelope env = HOSPES__MIG__ENVELOPE__INIT;
	Hospes__Mig__Accept acc = HOSPES__MIG__ACCEPT__INIT;
	Hospes__Mig__Refuse ref = HOSPES__MIG__REFUSE__INIT;
	Hospes__Mig__Ready rdy = HOSPES__MIG__READY__INIT;
	Hospes__Mig__Running run = HOSPES__MIG__RUNNING__INIT;
	Hospes__Mig__Abort abo = HOSPES__MIG__ABORT__INIT;
	Hospes__Mig__Resolved res = HOSPES__MIG__RESOLVED__INIT;

	if (fault_point("tgt", "send", mig_msg_name(msg->kind), "", in->pid))
		return;
	switch (msg->kind) {
	case MIG_MSG_ACCEPT:
		acc.data_port = in->d->node.port + 1u;
		acc.streams = in->offer->offer->streams;
		acc.credit_bytes = CREDIT_BYTES;
		acc.ram_available_bytes = in->ram_available;
		acc.base_low = in->base[0];
		acc.base_high = in->base[1];
		env.accept = &acc;
		break;
	case MIG_MSG_REFUSE:
		ref.reason = msg->reason;
		ref.text = in->text;
		env.refuse = &ref;
		break;
	case MIG_MSG_READY:
		rdy.generation = msg->generation;
		rdy.restore_ns = in->restore_ns;
		if (in->final_ns && in->arrived_ns) {
			rdy.arrive_ns = in->arrived_ns - in->final_ns;
			rdy.ready_ns = now_ns() - in->final_ns;
		}
		env.ready = &rdy;
		break;
	case MIG_MSG_RUNNING:
		run.generation = msg->generation;
		fill_running(in, msg, &run);
		env.running = &run;
		break;
	case MIG_MSG_ABORT:
		abo.reason = msg->reason;
		abo.text = in->text;
		env.abort = &abo;
		break;
	case MIG_MSG_RESOLVED:
		res.fate = msg->fate;
		res.reason = msg->reason;
		res.text = in->text;
		env.resolved = &res;
		break;
	default:
		return;
	}
	if (in->from.len)
		link_send(in->d->router, &in->from, in->session, msg->kind, &env);
	(void)fault_point("tgt", "send", mig_msg_name(msg->kind), ".after", in->pid);
}

/* Carrying out -------------------------------------------------------------------------------------------------------- */
static void act_preflight(struct incoming *in);

static void on_preflight_again(void *arg)
{
	struct incoming *in = arg;

	if (!in->ended && in->core.state == MIG_TGT_PREFLIGHT)
		act_preflight(in);
}

/*
 * Another session for the same domain. From the same source it is one that this source has given up (it restarted, or its word was
 * lost): a source that offers generation G anew has not relinquished it. Returns true while one is still in the way.
 */
static bool older_session(struct incoming *in, struct err *err)
{
	struct mig_event ev = { .kind = MIG_EV_MSG,
		                .msg = { .kind = MIG_MSG_ABORT, .reason = MIG_REASON_DAEMON, .check_lease = true } };

	for (struct incoming *k = in->d->ins; k; k = k->next) {
		if (k == in || k->ended || strcmp(k->name, in->name) || k->core.state >= MIG_TGT_RUNNING ||
		    (k->offer && k->offer->offer->plan_only))
			continue;
		if (!strcmp(k->from.name, in->from.name) && !in->offer->offer->plan_only)
			incoming_feed(k, &ev);
		if (!k->ended) {
			(void)err_set(err, EBUSY, "a migration of %s to %s is under way already", in->name,
			              in->d->node.name);
			return true;
		}
	}
	return false;
}

/* A push by clusterd, and the clusterd here has not heard of it yet: its guard must know the domain before it can run here. */
static bool unexpected(struct incoming *in, struct err *err)
{
	const Hospes__Mig__Offer *o = in->offer->offer;
	char uuid[MANAGED_UUID];

	if (o->plan_only || !o->cluster)
		return false;
	if (managed_uuid(o->name, uuid) == 0 && !strcasecmp(uuid, o->uuid)) {
		if (managed_may_run(o->name))
			return false;
		(void)err_set(err, EBUSY, "the lease of %s in its cluster is over: vmclus status there",
		              in->d->node.name);
		return true;
	}
	(void)err_set(err, EBUSY,
	              "clusterd on %s does not expect %s: does it run, and is it in the cluster (vmclus status)?",
	              in->d->node.name, o->name);
	return true;
}

static void preflighted(struct incoming *in, const struct preflight_answer *a)
{
	struct mig_event ev = { .kind = MIG_EV_PREFLIGHT };
	struct migrated *d = in->d;
	struct err err = { 0 };
	unsigned others = 0;
	int r = a->status;

	if (r < 0)
		(void)err_set(&err, r, "%s", a->text);
	for (const struct incoming *k = d->ins; k; k = k->next)
		others += k != in && !k->ended && k->core.state >= MIG_TGT_SPAWN && k->core.state < MIG_TGT_RUNNING;
	if (r == 0 && others >= d->node.migrations_max)
		r = err_set(&err, EBUSY,
		            "%s takes in %u domains already: wait for one of them, or raise migrations_max there",
		            d->node.name, others);
	in->ram_available = a->found.ram_available;
	memcpy(in->base, a->found.base, sizeof(in->base)); /* a push asks the incoming hvdom itself, later */
	if (r < 0)
		snprintf(in->text, sizeof(in->text), "%s", err.text);
	ev.reason = r < 0 ? MIG_REASON_REFUSED : MIG_REASON_NONE;
	ev.msg.plan_only = in->offer->offer->plan_only;
	incoming_feed(in, &ev);
}

static void on_preflight(void *arg, int status, const uint8_t *reply, size_t len)
{
	struct incoming *in = arg;
	struct preflight_answer a;

	in->asked = NULL;
	if (in->ended || in->core.state != MIG_TGT_PREFLIGHT)
		return;
	if (incoming_ram_promised(in->d) > in->asked_promised) { /* others were let in meanwhile */
		act_preflight(in);
		return;
	}
	preflight_answer_of(status, reply, len, in->d->node.name, &a);
	preflighted(in, &a);
}

static void act_preflight(struct incoming *in)
{
	struct preflight_answer a = { 0 };
	struct err err = { 0 };
	struct migrated *d = in->d;

	bool busy = older_session(in, &err) || unexpected(in, &err);
	if (busy && in->preflights++ < PREFLIGHTS_MAX) {
		loop_timer_in(in->again, PREFLIGHT_AGAIN_NS);
		return;
	}
	if (busy) {
		a.status = -EBUSY;
	} else if ((a.status = recorder_hangs(d->recorder, &err)) < 0) {
		(void)err_prefix(&err, "%s", d->node.name);
	} else if (!in->offer->offer->cluster && !in->offer->offer->plan_only && managed_listed(in->name, in->uuid)) {
		a.status = err_set(&err, EPERM, "%s is a domain of the cluster of %s: vmclus move", in->name,
		                   d->node.name);
	} else {
		in->asked_promised = incoming_ram_promised(d);
		in->asked = preflight_ask(d->helpers, in->offer->offer, d->node.name, in->asked_promised, on_preflight,
		                          in);
		if (in->asked)
			return;
		a.status = err_sys(&err, ENOMEM, "%s: preflight", d->node.name);
	}
	snprintf(a.text, sizeof(a.text), "%s", err.text);
	preflighted(in, &a);
}

static void recorded(void *arg, enum mig_record rec, int status, const struct err *err)
{
	struct incoming *in = arg;
	struct mig_event ev = { .kind = MIG_EV_JOURNALED, .journal = { .rec = rec, .status = status } };

	if (status < 0) {
		log_error("%s: %s", in->name, err->text);
		snprintf(in->text, sizeof(in->text), "%s", err->text);
	}
	(void)fault_point("tgt", "journal", journal_rec_name(rec), ".done", in->pid);
	incoming_feed(in, &ev);
}

static void act_journal(struct incoming *in, enum mig_record rec)
{
	struct journal_rec j = { .session = in->session,
		                 .generation = in->core.generation,
		                 .rec = rec,
		                 .stay_paused = in->core.stay_paused };
	struct err err = { 0 };
	int r;

	memcpy(j.name, in->name, sizeof(j.name));
	memcpy(j.uuid, in->uuid, sizeof(j.uuid));
	memcpy(j.peer, in->from.name, sizeof(j.peer));
	(void)fault_point("tgt", "journal", journal_rec_name(rec), "", in->pid);
	r = recorder_append(in->d->recorder, &j, recorded, in);
	if (r < 0)
		recorded(in, rec, err_sys(&err, r, "journal"), &err);
}

/* --persistent: the definition stays on this host. */
static void stored(void *arg, enum mig_record rec, int status, const struct err *err)
{
	(void)arg, (void)rec;
	if (status < 0)
		log_error("a domain runs here, but its definition could not be stored: %s", err->text);
}

static void store_definition(struct incoming *in)
{
	_cleanup_free_ char *path = dompath_definition(in->name);
	const Hospes__Mig__Offer *o = in->offer->offer;
	struct err err = { 0 };
	int r = recorder_store(in->d->recorder, path, o->xml.data, o->xml.len, stored, NULL);

	if (r < 0)
		stored(NULL, 0, err_sys(&err, r, "write %s", path), &err);
}

static void incoming_free(struct incoming *in)
{
	for (struct incoming **p = &in->d->ins; *p; p = &(*p)->next) {
		if (*p == in) {
			*p = in->next;
			break;
		}
	}
	work_drop(in->asked);
	recorder_drop(in->d->recorder, in);
	incoming_hvdom_done(in);
	loop_del_timer(in->timer);
	loop_del_timer(in->spawn_timer);
	loop_del_timer(in->end);
	loop_del_timer(in->again);
	wire_free(in->offer);
	free(in);
}

static void on_end(void *arg)
{
	incoming_free(arg);
}

static void act_finish(struct incoming *in, const struct mig_action *a)
{
	bool ok = a->outcome == MIG_OUTCOME_COMPLETED;

	in->ended = true;
	loop_timer_at(in->timer, MIG_NEVER);
	if (in->offer && in->offer->offer->plan_only)
		log_debug("%s: preflight for %s: %s", in->name, in->from.name, ok ? "fine" : in->text);
	else if (ok)
		log_info("%s: taken over from %s: restore %.1f ms, go to running %.1f ms", in->name, in->from.name,
		         (double)in->restore_ns / 1e6, (double)(in->running_ns - in->go_ns) / 1e6);
	else
		log_info("%s from %s: not taken over: %s%s%s", in->name, in->from.name, mig_reason_name(a->reason),
		         in->text[0] ? ": " : "", in->text);
	/* data and hvdom are let go when the loop is back: this may run inside one of their call-backs */
	bool asked_again = !in->core.started && !(in->offer && in->offer->offer->plan_only);
	loop_timer_in(in->end, asked_again ? END_NS : 0);
}

static void act(void *arg, const struct mig_action *a)
{
	struct incoming *in = arg;
	uint64_t frames[MIG_STREAMS_MAX] = { 0 };

	switch (a->kind) {
	case MIG_ACT_SEND:
		act_send(in, &a->msg);
		break;
	case MIG_ACT_HV:
		if (a->hv.op == MIG_HV_TAKE)
			in->go_ns = now_ns();
		if (a->hv.op == MIG_HV_RESUME || a->hv.op == MIG_HV_PAUSE)
			in->resume_ns = now_ns();
		if (a->hv.op == MIG_HV_SET_STATE)
			in->arrived_ns = now_ns();
		incoming_hv(in, a->hv.op, a->hv.v0);
		break;
	case MIG_ACT_JOURNAL:
		act_journal(in, a->rec);
		break;
	case MIG_ACT_FORGET:
		recorder_forget(in->d->recorder, in->session);
		break;
	case MIG_ACT_PREFLIGHT:
		act_preflight(in);
		break;
	case MIG_ACT_SPAWN:
		incoming_spawn(in);
		break;
	case MIG_ACT_EXPECT:
		in->final_ns = now_ns();
		in->state_bytes = in->final_pb->state_bytes;
		in->memhash.n_regions = (uint32_t)in->final_pb->n_memhash;
		for (size_t i = 0; i < in->final_pb->n_memhash; i++)
			in->memhash.hash[i] = in->final_pb->memhash[i];
		for (size_t i = 0; i < in->final_pb->n_stream_frames; i++)
			frames[i] = in->final_pb->stream_frames[i];
		insession_expect(in->data, frames, MIG_STREAMS_MAX, in->state_bytes);
		break;
	case MIG_ACT_KILL:
		incoming_kill(in);
		break;
	case MIG_ACT_FINISH:
		act_finish(in, a);
		break;
	default:
		break;
	}
}

static void step(void *arg, const struct mig_event *ev, struct mig_actions *out)
{
	struct incoming *in = arg;
	enum mig_target_state before = in->core.state;

	mig_target_step(&in->core, ev, out);
	if (in->core.state == before)
		return;
	log_debug("%s: %s -> %s", in->name, mig_target_state_name(before), mig_target_state_name(in->core.state));
	if (in->core.state == MIG_TGT_RUNNING) {
		in->running_ns = in->core.running_at_ns;
		if (in->offer && in->offer->offer->persistent)
			store_definition(in);
	}
}

static void drained(void *arg)
{
	struct incoming *in = arg;

	if (!in->ended)
		loop_timer_at(in->timer, mig_target_deadline_ns(&in->core));
}

static const struct pump_ops pump_ops = { .step = step, .act = act, .drained = drained };

void incoming_feed(struct incoming *in, const struct mig_event *ev)
{
	pump_feed(&in->pump, ev);
}

static void on_timer(void *arg)
{
	incoming_feed(arg, &(struct mig_event){ .kind = MIG_EV_TICK });
}

struct incoming *incoming_new(struct migrated *d, uint64_t session, const char *name, const char *uuid)
{
	struct incoming *in = calloc(1, sizeof(*in));

	if (!in)
		return NULL;
	in->d = d;
	in->pump = (struct pump){ .ops = &pump_ops, .arg = in };
	in->session = session;
	in->ready_fd = in->state_fd = -1;
	in->begun_ns = now_ns();
	snprintf(in->name, sizeof(in->name), "%s", name);
	snprintf(in->uuid, sizeof(in->uuid), "%s", uuid);
	in->timer = loop_add_timer(d->loop, on_timer, in);
	in->spawn_timer = loop_add_timer(d->loop, incoming_spawn_late, in);
	in->end = loop_add_timer(d->loop, on_end, in);
	in->again = loop_add_timer(d->loop, on_preflight_again, in);
	in->next = d->ins;
	d->ins = in;
	if (!in->timer || !in->spawn_timer || !in->end || !in->again) {
		incoming_free(in);
		return NULL;
	}
	return in;
}

static struct incoming *find(struct migrated *d, uint64_t session, const char *peer)
{
	for (struct incoming *in = d->ins; in; in = in->next)
		if (in->session == session && !strcmp(in->from.name, peer))
			return in;
	return NULL;
}

static void new_offer(struct migrated *d, const struct peer_id *from, const Hospes__Mig__Envelope *env)
{
	_cleanup_free_ uint8_t *copy = NULL;
	struct mig_msg msg;
	unsigned n = 0, all = 0;

	for (const struct incoming *k = d->ins; k; k = k->next, all++)
		n += !k->ended;
	if (n >= INCOMING_MAX || all >= INCOMING_SESSIONS_MAX) {
		log_warn("%s: too many migrations to here at once", from->name);
		return;
	}
	size_t len = hospes__mig__envelope__get_packed_size(env);
	copy = malloc(len);
	struct incoming *in = copy ? incoming_new(d, env->session, env->offer->name, env->offer->uuid) : NULL;
	if (!in)
		return;
	(void)hospes__mig__envelope__pack(env, copy);
	in->from = *from;
	if (wire_unpack(copy, len, &in->offer, &msg, NULL) < 0) {
		incoming_free(in);
		return;
	}
	mig_target_init(&in->core, msg.generation, msg.stay_paused);
	incoming_feed(in, &(struct mig_event){ .kind = MIG_EV_START });
}

/* A message of the peer's own session, which is not under way; @rec: its record, NULL: there is none. */
static void at_rest(struct migrated *d, const struct peer_id *from, const Hospes__Mig__Envelope *env,
                    const struct mig_msg *msg, const struct journal_rec *rec)
{
	switch (msg->kind) {
	case MIG_MSG_OFFER:
		/* a repeated one: begun anew, the session could end with another word than its record's */
		if (rec)
			log_warn("%s: an offer of a migration that was under way before is ignored", from->name);
		else
			new_offer(d, from, env);
		return;
	case MIG_MSG_GO:
	case MIG_MSG_RESOLVE:
	case MIG_MSG_ABORT:
		incoming_unknown(d, from, env, msg, rec);
		return;
	case MIG_MSG_DONE:
		/* READY is not the source's to end: the incoming hvdom may be there still */
		if (rec && rec->rec != MIG_REC_READY)
			recorder_forget(d->recorder, env->session);
		return;
	default:
		return;
	}
}

void incoming_message(struct migrated *d, const struct peer_id *from, const Hospes__Mig__Envelope *env,
                      const struct mig_msg *msg)
{
	struct mig_event ev = { .kind = MIG_EV_MSG, .msg = *msg };
	struct journal_rec rec;
	enum standing st = env->session ? standing_of(d, from, env->session, &rec) : STANDING_NEW;
	struct incoming *in = st == STANDING_LIVE ? find(d, env->session, from->name) : NULL;

	if (msg->kind == MIG_MSG_HELLO) {
		incoming_answer_hello(d, from, env->session);
		return;
	}
	if (msg->kind == MIG_MSG_PING)
		incoming_answer_ping(d, from, env);
	if (st == STANDING_NONE) {
		if (msg->kind != MIG_MSG_PING)
			log_debug("%s speaks about a migration that is not its own: ignored", from->name);
		return;
	}
	if (!in) {
		at_rest(d, from, env, msg, st == STANDING_RECORD ? &rec : NULL);
		return;
	}
	in->from = *from; /* answers go to where the peer is now */
	(void)fault_point("tgt", "recv", mig_msg_name(msg->kind), "", in->pid);
	switch (msg->kind) {
	case MIG_MSG_FINAL:
		in->final_pb = env->final;
		incoming_feed(in, &ev);
		in->final_pb = NULL;
		return;
	case MIG_MSG_PING:
	case MIG_MSG_GO:
	case MIG_MSG_RESOLVE:
	case MIG_MSG_ABORT:
	case MIG_MSG_DONE:
		incoming_feed(in, &ev);
		return;
	default:
		return;
	}
}

bool incoming_expects(const struct migrated *d, const char *address)
{
	for (const struct incoming *in = d->ins; in; in = in->next)
		if (!in->ended && in->data && !strcmp(in->from.address, address))
			return true;
	return false;
}

unsigned incoming_count(const struct migrated *d)
{
	unsigned n = 0;

	for (const struct incoming *in = d->ins; in; in = in->next)
		n += !in->ended;
	return n;
}

uint64_t incoming_ram_promised(const struct migrated *d)
{
	uint64_t sum = 0;

	for (const struct incoming *in = d->ins; in; in = in->next)
		if (!in->ended && in->offer && in->core.state >= MIG_TGT_SPAWN && in->core.state <= MIG_TGT_RECEIVE)
			sum += in->offer->offer->ram_bytes;
	return sum;
}

static struct incoming *by_domain(struct migrated *d, const char *domain)
{
	for (struct incoming *in = d->ins; in; in = in->next)
		if (!in->ended && !strcmp(in->name, domain))
			return in;
	return NULL;
}

int incoming_cancel(struct migrated *d, const char *domain, struct err *err)
{
	struct incoming *in = by_domain(d, domain);

	if (!in)
		return err_set(err, ENOENT, "no migration of %s is under way here", domain);
	if (in->core.state >= MIG_TGT_READY)
		return err_set(err, EBUSY, "%s is restored here and waits for %s's word: see `vmmig status %s`", domain,
		               in->from.name, domain);
	snprintf(in->text, sizeof(in->text), "cancelled on %s", d->node.name);
	incoming_feed(in, &(struct mig_event){ .kind = MIG_EV_CANCEL, .reason = MIG_REASON_CANCELLED });
	return 0;
}

int incoming_resolve(struct migrated *d, const char *domain, bool local, struct err *err)
{
	struct incoming *in = by_domain(d, domain);

	if (!in || in->core.state != MIG_TGT_READY)
		return err_set(err, ENOENT, "no migration of %s is in doubt here", domain);
	log_warn("%s: an operator decided that %s owns it", domain, local ? "this host" : in->from.name);
	incoming_feed(in, &(struct mig_event){ .kind = MIG_EV_OPERATOR, .op_local = local });
	return 0;
}

json_t *incoming_status(const struct migrated *d, const char *domain)
{
	json_t *list = json_array();

	for (const struct incoming *in = d->ins; in; in = in->next) {
		struct in_stats st = { 0 };
		if (in->ended || (domain && strcmp(domain, in->name)) || (in->offer && in->offer->offer->plan_only))
			continue;
		if (in->data)
			insession_stats(in->data, &st);
		bool doubt = in->core.state == MIG_TGT_READY && in->core.link_dead;
		(void)json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I}",
		                                            "type", "progress", "role", "target", "domain", in->name,
		                                            "from", in->from.name, "to", d->node.name, "phase",
		                                            doubt ? "in-doubt" : mig_target_state_name(in->core.state),
		                                            "received_bytes", (json_int_t)st.octets, "memory_normal",
		                                            (json_int_t)st.pages_data, "memory_constant",
		                                            (json_int_t)st.pages_zero, "time_elapsed",
		                                            (json_int_t)((now_ns() - in->begun_ns) / NS_PER_MS)));
	}
	return list;
}

int incoming_recover(struct migrated *d, const struct journal_rec *rec)
{
	bool running = false, taken = false;
	struct hvcall hv;
	struct hv_info info = { 0 };

	if (rec->rec == MIG_REC_GONE) {
		if ((uint64_t)time(NULL) > rec->wall_s + RECORDER_KEEP_S)
			recorder_forget(d->recorder, rec->session);
		return 0; /* answered from the file when somebody asks */
	}
	int r = hvcall_open(&hv, rec->name, NULL);
	if (r == 0) {
		hv.timeout_ms = RECOVER_MS;
		r = hvcall_simple(&hv, HV_OP_INFO, NULL, 0, &info, sizeof(info), NULL);
		if (r == 0 && !strncasecmp(info.uuid, rec->uuid, 36) && info.generation >= rec->generation) {
			/* hvdom resumes by itself what was taken and lost its session: any state but these two has run, or is about to */
			taken = info.state == HV_DOM_RESTORED || info.state == HV_DOM_INCOMING;
			running = !taken;
		}
		hvcall_close(&hv);
	}
	/* mute is not dead, and neither is one that took its socket away */
	if (r == -ETIMEDOUT || (r < 0 && hvproc_alive(rec->name)))
		return -ETIMEDOUT;
	/* it was taken, and killed before TAKEN could be written: it may have run */
	if (!taken && !running)
		running = leasefile_taken(rec->uuid, d->node.name, rec->generation, rec->wall_s);
	struct incoming *in = incoming_new(d, rec->session, rec->name, rec->uuid);
	if (!in)
		return 0;
	memcpy(in->from.name, rec->peer, sizeof(in->from.name));
	struct err err;
	if (taken && incoming_attach(in, &err) < 0)
		taken = false;
	log_info("%s: migration from %s was under way when this daemon ended: %s", rec->name, rec->peer,
	         running                     ? "it runs here"
	         : taken                     ? "taken, resuming it"
	         : rec->rec == MIG_REC_TAKEN ? "it ran here and ended"
	                                     : "not taken, it stays there");
	mig_target_init_recover(&in->core, rec->generation, rec->stay_paused, rec->rec, running, taken);
	incoming_feed(in, &(struct mig_event){ .kind = MIG_EV_START });
	return 0;
}

void incoming_child(struct migrated *d, int pid, int status)
{
	for (struct incoming *in = d->ins; in; in = in->next) {
		if (in->pid != pid)
			continue;
		in->pid = 0;
		if (in->core.state >= MIG_TGT_SPAWN && in->core.state < MIG_TGT_RUNNING)
			log_warn("%s: incoming hvdom %d ended: %s %d", in->name, pid,
			         WIFSIGNALED(status) ? "signal" : "exit status",
			         WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	}
}

void incoming_free_all(struct migrated *d)
{
	incoming_strays_free(d);
	while (d->ins)
		incoming_free(d->ins);
}
