/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Target sessions: see incoming.h. incoming_feed() gives events to the core and carries out its actions in order. Loop thread. */
#include <config.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include "clusterd/io/managed.h"
#include "common/log.h"
#include "common/util.h"
#include "hypervisor/hvcall.h"
#include "common/fault.h"
#include "migrated/io/incoming_int.h"
#include "migrated/io/leasefile.h"
#include "migrated/io/preflight.h"

#define CREDIT_BYTES       (16ull << 20)
#define END_NS             (30 * NS_PER_S) /* a finished session answers questions for so long */
#define GONE_KEEP_S        (7 * 24 * 3600ull)
#define INCOMING_MAX       16u
#define PREFLIGHTS_MAX     20u /* tries while an older session of the domain goes away */
#define PREFLIGHT_AGAIN_NS (100 * NS_PER_MS)

/* Sending ------------------------------------------------------------------------------------------------------------- */
static void send_env(struct incoming *in, Hospes__Mig__Envelope *env, int body_case)
{
	env->version = MIG_VERSION;
	env->session = in->session;
	env->body_case = (Hospes__Mig__Envelope__BodyCase)body_case;
	if (in->from.len)
		link_send(in->d->router, &in->from, env);
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
		env.ready = &rdy;
		break;
	case MIG_MSG_RUNNING:
		run.generation = msg->generation;
		run.running_at_ns = msg->running_at_ns;
		run.paused = msg->stay_paused;
		run.take_ns = in->running_ns > in->go_ns ? in->running_ns - in->go_ns : 0;
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
	send_env(in, &env, msg->kind);
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

static void act_preflight(struct incoming *in)
{
	struct mig_event ev = { .kind = MIG_EV_PREFLIGHT };
	struct err err = { 0 };
	struct migrated *d = in->d;
	unsigned others = 0;

	bool busy = older_session(in, &err) || unexpected(in, &err);
	if (busy && in->preflights++ < PREFLIGHTS_MAX) {
		loop_timer_in(in->again, PREFLIGHT_AGAIN_NS);
		return;
	}
	for (const struct incoming *k = d->ins; k; k = k->next)
		others += k != in && !k->ended && k->core.state >= MIG_TGT_SPAWN && k->core.state < MIG_TGT_RUNNING;
	int r = busy ? -EBUSY
	        : !in->offer->offer->cluster && !in->offer->offer->plan_only && managed_listed(in->name, in->uuid)
	                ? err_set(&err, EPERM, "%s is a domain of the cluster of %s: vmclus move", in->name,
	                          d->node.name)
	                : preflight_check(in->offer->offer, d->node.name, incoming_ram_promised(d), &in->ram_available,
	                                  &err);
	if (r == 0 && others >= d->node.migrations_max)
		r = err_set(&err, EBUSY,
		            "%s takes in %u domains already: wait for one of them, or raise migrations_max there",
		            d->node.name, others);
	if (r < 0)
		(void)snprintf(in->text, sizeof(in->text), "%s", err.text);
	ev.reason = r < 0 ? MIG_REASON_REFUSED : MIG_REASON_NONE;
	ev.msg.plan_only = in->offer->offer->plan_only;
	incoming_feed(in, &ev);
}

static void act_journal(struct incoming *in, enum mig_record rec)
{
	struct journal_rec j = { .session = in->session,
		                 .generation = in->core.generation,
		                 .rec = rec,
		                 .stay_paused = in->core.stay_paused };
	struct mig_event ev = { .kind = MIG_EV_JOURNALED };
	struct err err = { 0 };
	const char *name = rec == MIG_REC_READY ? "ready" : rec == MIG_REC_TAKEN ? "taken" : "gone";

	memcpy(j.name, in->name, sizeof(j.name));
	memcpy(j.uuid, in->uuid, sizeof(j.uuid));
	memcpy(j.peer, in->from.name, sizeof(j.peer));
	(void)fault_point("tgt", "journal", name, "", in->pid);
	ev.journal.rec = rec;
	ev.journal.status = journal_append(in->d->journal_dir, &j, &err);
	if (ev.journal.status < 0) {
		log_error("%s: %s", in->name, err.text);
		(void)snprintf(in->text, sizeof(in->text), "%s", err.text);
	}
	(void)fault_point("tgt", "journal", name, ".done", in->pid);
	incoming_feed(in, &ev);
}

/* --persistent: the definition stays on this host. */
static void store_definition(struct incoming *in)
{
	_cleanup_free_ char *dir = xasprintf("%s/domains", path_state()), *path = xasprintf("%s/%s.xml", dir, in->name);
	const Hospes__Mig__Offer *o = in->offer->offer;
	int r = mkdir_p(dir, 0700);

	if (r == 0)
		r = file_write_atomic(path, o->xml.data, o->xml.len, 0600);
	if (r < 0)
		log_error("%s: runs here, but its definition could not be stored in %s: %s", in->name, path,
		          strerror(-r));
}

static void incoming_free(struct incoming *in)
{
	for (struct incoming **p = &in->d->ins; *p; p = &(*p)->next) {
		if (*p == in) {
			*p = in->next;
			break;
		}
	}
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
	loop_timer_in(in->end, in->core.state == MIG_TGT_END && in->core.started ? 0 : END_NS);
}

static void act(struct incoming *in, const struct mig_action *a)
{
	uint64_t frames[MIG_STREAMS_MAX] = { 0 };

	switch (a->kind) {
	case MIG_ACT_SEND:
		act_send(in, &a->msg);
		break;
	case MIG_ACT_HV:
		if (a->hv.op == MIG_HV_TAKE)
			in->go_ns = now_ns();
		incoming_hv(in, a->hv.op, a->hv.v0);
		break;
	case MIG_ACT_JOURNAL:
		act_journal(in, a->rec);
		break;
	case MIG_ACT_FORGET:
		journal_forget(in->d->journal_dir, in->session);
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

void incoming_feed(struct incoming *in, const struct mig_event *ev)
{
	if (in->ev_n == INCOMING_EVENTS_MAX)
		return;
	in->ev[(in->ev_head + in->ev_n++) % INCOMING_EVENTS_MAX] = *ev;
	if (in->stepping)
		return;
	in->stepping = true;
	while (in->ev_n) {
		struct mig_actions acts;
		struct mig_event e = in->ev[in->ev_head];
		in->ev_head = (in->ev_head + 1) % INCOMING_EVENTS_MAX;
		in->ev_n--;
		if (!e.now_ns)
			e.now_ns = now_ns();
		enum mig_target_state before = in->core.state;
		mig_target_step(&in->core, &e, &acts);
		if (in->core.state != before)
			log_debug("%s: %s -> %s", in->name, mig_target_state_name(before),
			          mig_target_state_name(in->core.state));
		if (in->core.state == MIG_TGT_RUNNING && before != MIG_TGT_RUNNING) {
			in->running_ns = in->core.running_at_ns;
			if (in->offer && in->offer->offer->persistent)
				store_definition(in);
		}
		for (size_t i = 0; i < acts.n; i++)
			act(in, &acts.a[i]);
	}
	in->stepping = false;
	if (!in->ended)
		loop_timer_at(in->timer, mig_target_deadline_ns(&in->core));
}

static void on_timer(void *arg)
{
	incoming_feed(arg, &(struct mig_event){ .kind = MIG_EV_TICK });
}

static struct incoming *incoming_new(struct migrated *d, uint64_t session, const char *name, const char *uuid)
{
	struct incoming *in = calloc(1, sizeof(*in));

	if (!in)
		return NULL;
	in->d = d;
	in->session = session;
	in->ready_fd = in->state_fd = -1;
	in->begun_ns = now_ns();
	(void)snprintf(in->name, sizeof(in->name), "%s", name);
	(void)snprintf(in->uuid, sizeof(in->uuid), "%s", uuid);
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

/* Messages that need no session --------------------------------------------------------------------------------------- */
static void answer_hello(struct migrated *d, const struct peer_id *from, uint64_t session)
{
	Hospes__Mig__Envelope env = HOSPES__MIG__ENVELOPE__INIT;
	Hospes__Mig__Hello h;

	link_hello(d, &h, true);
	env.version = MIG_VERSION;
	env.session = session;
	env.body_case = HOSPES__MIG__ENVELOPE__BODY_HELLO;
	env.hello = &h;
	link_send(d->router, from, &env);
}

static void answer_ping(struct migrated *d, const struct peer_id *from, const Hospes__Mig__Envelope *ping)
{
	Hospes__Mig__Envelope env = HOSPES__MIG__ENVELOPE__INIT;
	Hospes__Mig__Pong p = HOSPES__MIG__PONG__INIT;

	p.sent_ns = ping->ping->sent_ns;
	p.here_ns = now_ns();
	env.version = MIG_VERSION;
	env.session = ping->session;
	env.body_case = HOSPES__MIG__ENVELOPE__BODY_PONG;
	env.pong = &p;
	link_send(d->router, from, &env);
}

static void answer_fate(struct migrated *d, const struct peer_id *from, uint64_t session, enum mig_fate fate,
                        const char *text)
{
	Hospes__Mig__Envelope env = HOSPES__MIG__ENVELOPE__INIT;
	Hospes__Mig__Resolved r = HOSPES__MIG__RESOLVED__INIT;

	r.fate = fate;
	r.text = (char *)text;
	env.version = MIG_VERSION;
	env.session = session;
	env.body_case = HOSPES__MIG__ENVELOPE__BODY_RESOLVED;
	env.resolved = &r;
	link_send(d->router, from, &env);
}

/* Does a domain with that uuid run here in generation @g or a later one? */
static bool runs_here(const char *name, const char *uuid, uint64_t g)
{
	struct hvcall hv;
	struct hv_info info;

	if (hvcall_open(&hv, name, NULL) < 0)
		return false;
	hv.timeout_ms = 2000;
	int r = hvcall_simple(&hv, HV_OP_INFO, NULL, 0, &info, sizeof(info), NULL);
	hvcall_close(&hv);
	return r == 0 && !strncasecmp(info.uuid, uuid, 36) && info.generation >= g &&
	       (info.state == HV_DOM_RUNNING || info.state == HV_DOM_PAUSED || info.state == HV_DOM_BOOTING ||
	        info.state == HV_DOM_PARKED); /* it may run again: nobody else may have that generation */
}

/* Go, Resolve or Abort of a session that no machine holds: the journal knows, or it never was ready here. */
static void unknown_session(struct migrated *d, const struct peer_id *from, const Hospes__Mig__Envelope *env,
                            const struct mig_msg *msg)
{
	struct journal_rec rec;
	int r = journal_load(d->journal_dir, env->session, &rec);

	if (r == 0 && !strcmp(rec.peer, from->name) && rec.rec != MIG_REC_RELINQUISHING &&
	    rec.rec != MIG_REC_CALLED_OFF) {
		answer_fate(d, from, env->session,
		            rec.rec == MIG_REC_TAKEN  ? MIG_FATE_RUNNING
		            : rec.rec == MIG_REC_GONE ? MIG_FATE_GONE
		                                      : MIG_FATE_BUSY,
		            "");
		return;
	}
	if (msg->kind == MIG_MSG_ABORT) {
		answer_fate(d, from, env->session, MIG_FATE_GONE,
		            ""); /* nothing to let go; no generation was promised */
		return;
	}
	if (msg->kind == MIG_MSG_RESOLVE && runs_here(env->resolve->name, env->resolve->uuid, msg->generation)) {
		answer_fate(d, from, env->session, MIG_FATE_RUNNING, "");
		return;
	}
	if (msg->kind != MIG_MSG_RESOLVE)
		return; /* a Go without us: the source will ask with Resolve, which names the domain */
	struct incoming *in = incoming_new(d, env->session, env->resolve->name, env->resolve->uuid);
	if (!in)
		return;
	in->from = *from;
	(void)snprintf(in->text, sizeof(in->text), "%s knows nothing of this migration (it may have restarted)",
	               d->node.name);
	mig_target_init_recover(&in->core, msg->generation, false, MIG_REC_GONE, false, false);
	incoming_feed(in, &(struct mig_event){ .kind = MIG_EV_START });
}

static void new_offer(struct migrated *d, const struct peer_id *from, const Hospes__Mig__Envelope *env)
{
	_cleanup_free_ uint8_t *copy = NULL;
	struct journal_rec rec;
	struct mig_msg msg;
	unsigned n = 0;

	/* a repeated one: begun anew, the session could end with another word than its record's */
	if (journal_load(d->journal_dir, env->session, &rec) == 0) {
		log_warn("%s: an offer of a migration that was under way before is ignored", from->name);
		return;
	}
	for (const struct incoming *k = d->ins; k; k = k->next)
		n += !k->ended;
	if (n >= INCOMING_MAX) {
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

void incoming_message(struct migrated *d, const struct peer_id *from, const Hospes__Mig__Envelope *env,
                      const struct mig_msg *msg)
{
	struct mig_event ev = { .kind = MIG_EV_MSG, .msg = *msg };
	struct incoming *in = env->session ? find(d, env->session, from->name) : NULL;

	if (in) {
		in->from = *from; /* answers go to where the peer is now */
		(void)fault_point("tgt", "recv", mig_msg_name(msg->kind), "", in->pid);
	}
	switch (msg->kind) {
	case MIG_MSG_HELLO:
		answer_hello(d, from, env->session);
		return;
	case MIG_MSG_PING:
		answer_ping(d, from, env);
		if (in)
			incoming_feed(in, &ev);
		return;
	case MIG_MSG_OFFER:
		if (!in)
			new_offer(d, from, env);
		return;
	case MIG_MSG_FINAL:
		if (in) {
			in->final_pb = env->final;
			incoming_feed(in, &ev);
			in->final_pb = NULL;
		}
		return;
	case MIG_MSG_GO:
	case MIG_MSG_RESOLVE:
	case MIG_MSG_ABORT:
		if (in)
			incoming_feed(in, &ev);
		else
			unknown_session(d, from, env, msg);
		return;
	case MIG_MSG_DONE:
		if (in)
			incoming_feed(in, &ev);
		else
			journal_forget(d->journal_dir, env->session);
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
	(void)snprintf(in->text, sizeof(in->text), "cancelled on %s", d->node.name);
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
		if ((uint64_t)time(NULL) > rec->wall_s + GONE_KEEP_S)
			journal_forget(d->journal_dir, rec->session);
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
	if (r == -ETIMEDOUT)
		return r;
	/* it was taken, and killed before TAKEN could be written: it may have run */
	if (!taken && !running)
		running = leasefile_taken(path_state(), rec->uuid, d->node.name, rec->generation, rec->wall_s);
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
	while (d->ins)
		incoming_free(d->ins);
}
