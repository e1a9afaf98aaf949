/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The world around the two machines: see simmig.h. Does what migrated/io does, and hvdom, badly when a fault says so. */
#include "tests/sim/simmig.h"
#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#define MS         MIG_MS
#define RESTART_NS (2 * MIG_S)
#define QUIET_NS   (120 * MIG_S)

static void trace(struct sim *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void trace(struct sim *s, const char *fmt, ...)
{
	va_list ap;

	if (!s->opt.trace)
		return;
	fprintf(s->opt.trace, "%10.3f ms  ", (double)s->now / 1e6);
	va_start(ap, fmt);
	vfprintf(s->opt.trace, fmt, ap);
	va_end(ap);
	fputc('\n', s->opt.trace);
}

static uint64_t rnd(struct sim *s, uint64_t below)
{
	s->rng = s->rng * 6364136223846793005ull + 1442695040888963407ull;
	return (s->rng >> 33) % below;
}

static void push(struct sim *s, struct sim_ev e)
{
	assert(s->n < SIM_EVENTS_MAX);
	e.order = s->order++;
	s->q[s->n++] = e;
}

static bool pop(struct sim *s, struct sim_ev *ret)
{
	unsigned best = 0;

	if (!s->n)
		return false;
	for (unsigned i = 1; i < s->n; i++)
		if (s->q[i].at_ns < s->q[best].at_ns ||
		    (s->q[i].at_ns == s->q[best].at_ns && s->q[i].order < s->q[best].order))
			best = i;
	*ret = s->q[best];
	s->q[best] = s->q[--s->n];
	return true;
}

static const char *host_name(enum sim_host_id h)
{
	return h == SIM_SRC ? "source" : "target";
}

/* To the machine on @h, after @delay, if the same daemon still lives. */
static void later(struct sim *s, enum sim_host_id h, uint64_t delay, struct mig_event ev)
{
	push(s, (struct sim_ev){ .at_ns = s->now + delay,
	                         .kind = SIM_EV_CORE,
	                         .host = h,
	                         .life = s->host[h].life,
	                         .ev = ev,
	                         .epoch = UINT32_MAX });
}

static void send(struct sim *s, enum sim_host_id from, const struct mig_msg *msg)
{
	struct sim_host *h = &s->host[from];
	uint64_t at = s->now + MS / 20 + rnd(s, MS / 2);

	trace(s, "%s sends %s%s", host_name(from), mig_msg_name(msg->kind), s->cut ? " (lost)" : "");
	if (s->cut)
		return;
	if (at <= h->last_out_ns)
		at = h->last_out_ns + 1;
	h->last_out_ns = at;
	push(s, (struct sim_ev){ .at_ns = at,
	                         .kind = SIM_EV_MSG,
	                         .host = from == SIM_SRC ? SIM_TGT : SIM_SRC,
	                         .epoch = s->wire,
	                         .ev = { .kind = MIG_EV_MSG, .msg = *msg } });
}

/* hvdom ---------------------------------------------------------------------------------------------------------------- */
static void lease_set(struct sim *s, uint64_t generation, enum sim_host_id owner)
{
	s->lease_generation = generation;
	s->lease_owner = owner;
}

static int hv_take(struct sim *s, enum sim_host_id h, uint64_t generation)
{
	struct sim_hv *hv = &s->host[h].hv, *other = &s->host[!h].hv;

	if (other->owner)
		return -11; /* its disks are locked */
	if (s->opt.shared_lease && h == SIM_TGT && (s->lease_owner != SIM_TGT || s->lease_generation != generation))
		return -1;
	hv->owner = true;
	hv->generation = generation;
	lease_set(s, generation, h);
	hv->state = SIM_HV_SUSPENDED;
	return 0;
}

/* What hvdom does with one call; returns its status. */
static int hv_do(struct sim *s, enum sim_host_id h, enum mig_hv op, uint64_t v0, struct mig_event *ev)
{
	struct sim_hv *hv = &s->host[h].hv;

	switch (op) {
	case MIG_HV_LOGDIRTY_ENABLE:
		ev->hv.v0 = 1 + rnd(s, 2);
		return 0;
	case MIG_HV_CLEAN:
		ev->hv.v0 = rnd(s, 2000);
		return 0;
	case MIG_HV_SUSPEND:
		if (hv->state != SIM_HV_RUNNING)
			return -22;
		hv->state = SIM_HV_SUSPENDED;
		return rnd(s, 100) ? 0 : (hv->state = SIM_HV_RUNNING, -5);
	case MIG_HV_RESUME:
		if (hv->state != SIM_HV_SUSPENDED || !hv->owner)
			return -1;
		hv->state = SIM_HV_RUNNING;
		hv->ran = true;
		ev->hv.v0 = s->now;
		return 0;
	case MIG_HV_PAUSE:
		if (hv->state != SIM_HV_SUSPENDED || !hv->owner)
			return -1;
		hv->state = SIM_HV_PAUSED;
		hv->ran = true;
		return 0;
	case MIG_HV_RELINQUISH:
		if (hv->state != SIM_HV_SUSPENDED)
			return -22;
		if (!rnd(s, 100))
			return -28; /* the lease could not be written */
		hv->state = SIM_HV_RELINQUISHED;
		hv->owner = false;
		hv->generation = v0;
		lease_set(s, v0, SIM_TGT);
		return 0;
	case MIG_HV_RECLAIM:
		return hv->state == SIM_HV_RELINQUISHED ? hv_take(s, h, v0) : -22;
	case MIG_HV_SET_STATE:
		if (hv->state != SIM_HV_INCOMING || !rnd(s, 100))
			return -22;
		hv->state = SIM_HV_RESTORED;
		return 0;
	case MIG_HV_TAKE:
		return hv->state == SIM_HV_RESTORED && rnd(s, 100) ? hv_take(s, h, v0) : -22;
	case MIG_HV_LEASE:
		ev->hv.v0 = s->opt.shared_lease || (h == SIM_TGT ? hv->owner : true) ? s->lease_generation : 0;
		ev->hv.lease_owner = !s->opt.shared_lease && !hv->owner ? MIG_LEASE_UNKNOWN
		                     : s->lease_owner == h              ? MIG_LEASE_SELF
		                                                        : MIG_LEASE_PEER;
		return 0;
	case MIG_HV_DESTROY_MOVED:
		hv->state = SIM_HV_NONE;
		hv->owner = false;
		return 0;
	default:
		return 0;
	}
}

static void hypercall(struct sim *s, enum sim_host_id h, enum mig_hv op, uint64_t v0)
{
	struct sim_host *ho = &s->host[h];
	struct mig_event ev = { .kind = MIG_EV_HV };
	uint64_t at = s->now + MS / 100 + rnd(s, 5 * MS);

	if (ho->hv.state == SIM_HV_NONE || !ho->hv.session) {
		later(s, h, 0, (struct mig_event){ .kind = MIG_EV_HV_LOST });
		return;
	}
	if (at <= ho->last_hv_ns)
		at = ho->last_hv_ns + 1;
	ho->last_hv_ns = at;
	ev.hv.op = op;
	ev.hv.v0 = v0;
	push(s,
	     (struct sim_ev){
		     .at_ns = at, .kind = SIM_EV_CORE, .host = h, .life = ho->life, .epoch = ho->hv.epoch, .ev = ev });
}

/* The daemon's connection ended: hvdom undoes what belongs to it. */
static void session_end(struct sim *s, enum sim_host_id h)
{
	struct sim_hv *hv = &s->host[h].hv;

	if (!hv->session)
		return;
	hv->session = false;
	hv->epoch++;
	push(s,
	     (struct sim_ev){ .at_ns = s->now + rnd(s, 2 * MS), .kind = SIM_EV_UNDO, .host = h, .epoch = hv->epoch });
}

static void undo(struct sim *s, enum sim_host_id h)
{
	struct sim_hv *hv = &s->host[h].hv;

	if (hv->state == SIM_HV_SUSPENDED && hv->owner) {
		hv->state = SIM_HV_RUNNING;
		hv->ran = true;
	} else if (hv->state == SIM_HV_INCOMING || hv->state == SIM_HV_RESTORED) {
		*hv = (struct sim_hv){ .ran = hv->ran, .epoch = hv->epoch };
	}
}

/* Actions -------------------------------------------------------------------------------------------------------------- */
/* In order. @rec 0: the file goes. */
static void journal(struct sim *s, enum sim_host_id h, enum mig_record rec)
{
	uint64_t took = rec ? MS / 10 + rnd(s, 2 * MS) : MS / 10, at, *last = &s->host[h].last_disk_ns;

	if (s->opt.disk_stalls && !rnd(s, 8))
		took = rnd(s, 15 * MIG_S);
	at = s->now + took;
	if (at <= *last)
		at = *last + 1;
	*last = at;
	push(s, (struct sim_ev){ .at_ns = at,
	                         .kind = SIM_EV_DURABLE,
	                         .host = h,
	                         .life = s->host[h].life,
	                         .ev = { .kind = MIG_EV_JOURNALED, .journal = { .rec = rec } } });
}

/* The data plane gives up when nothing is acknowledged for so long. */
static void data_stalls(struct sim *s, enum sim_host_id h)
{
	if (h == SIM_SRC)
		later(s, SIM_SRC, 5 * MIG_S, (struct mig_event){ .kind = MIG_EV_PASS_FAILED });
}

/* Data travels only while the wire holds; what a cut interrupts is never acknowledged. */
static void data_later(struct sim *s, enum sim_host_id h, uint64_t delay, struct mig_event ev)
{
	if (s->cut) {
		data_stalls(s, h);
		return;
	}
	push(s, (struct sim_ev){ .at_ns = s->now + delay,
	                         .kind = SIM_EV_CORE,
	                         .host = h,
	                         .life = s->host[h].life,
	                         .ev = ev,
	                         .epoch = UINT32_MAX,
	                         .fault = s->wire + 1 });
}

static void kill_incoming(struct sim *s)
{
	struct sim_hv *hv = &s->host[SIM_TGT].hv;

	*hv = (struct sim_hv){ .ran = hv->ran, .epoch = hv->epoch + 1 };
	later(s, SIM_TGT, MS, (struct mig_event){ .kind = MIG_EV_ENDED });
}

static void act(struct sim *s, enum sim_host_id h, const struct mig_action *a)
{
	struct sim_host *ho = &s->host[h];

	switch (a->kind) {
	case MIG_ACT_SEND:
		send(s, h, &a->msg);
		break;
	case MIG_ACT_HV:
		trace(s, "%s: %s", host_name(h), mig_hv_name(a->hv.op));
		hypercall(s, h, a->hv.op, a->hv.v0);
		break;
	case MIG_ACT_PASS:
		data_later(s, SIM_SRC, MS + rnd(s, 30 * MS),
		           (struct mig_event){ .kind = MIG_EV_PASS_DONE,
		                               .pass = { .pages_data = 1000, .octets = 4096000, .busy_ns = 10 * MS } });
		break;
	case MIG_ACT_STATE:
		data_later(s, SIM_SRC, rnd(s, 5 * MS), (struct mig_event){ .kind = MIG_EV_STATE_SENT });
		break;
	case MIG_ACT_EXPECT:
		data_later(s, SIM_TGT, rnd(s, 5 * MS), (struct mig_event){ .kind = MIG_EV_DATA_DONE });
		break;
	case MIG_ACT_JOURNAL:
		journal(s, h, a->rec);
		break;
	case MIG_ACT_FORGET:
		journal(s, h, 0);
		break;
	case MIG_ACT_PREFLIGHT:
		later(s, h, MS, (struct mig_event){ .kind = MIG_EV_PREFLIGHT });
		break;
	case MIG_ACT_SPAWN:
		ho->hv = (struct sim_hv){ .state = SIM_HV_INCOMING, .session = true, .epoch = ho->hv.epoch + 1 };
		later(s, h, 20 * MS, (struct mig_event){ .kind = MIG_EV_SPAWNED });
		break;
	case MIG_ACT_KILL:
		kill_incoming(s);
		break;
	case MIG_ACT_FINISH:
		trace(s, "%s: finished, outcome %d, reason %s", host_name(h), a->outcome, mig_reason_name(a->reason));
		if (h == SIM_SRC && s->src.must_tell) {
			ho->telling = true;
			push(s,
			     (struct sim_ev){
				     .at_ns = s->now + MIG_S, .kind = SIM_EV_TELL, .host = SIM_SRC, .life = ho->life });
		}
		/* the connection closes once all calls are answered; the machine stays to answer late questions */
		push(s, (struct sim_ev){ .at_ns = ho->last_hv_ns > s->now ? ho->last_hv_ns + 1 : s->now + 1,
		                         .kind = SIM_EV_TICK,
		                         .host = h,
		                         .life = ho->life,
		                         .fault = 1 });
		break;
	default:
		break;
	}
}

static void plant(struct sim *s, struct mig_actions *acts, enum sim_host_id h)
{
	const char *bug = s->opt.plant;

	for (size_t i = 0; bug && i < acts->n; i++) {
		struct mig_action *a = &acts->a[i];
		/* the target runs without asking anybody */
		if (!strcmp(bug, "run-without-go") && h == SIM_TGT && a->kind == MIG_ACT_SEND &&
		    a->msg.kind == MIG_MSG_READY)
			s->host[SIM_TGT].hv.state = SIM_HV_RUNNING, s->host[SIM_TGT].hv.ran = true;
		/* the source forgets to give up its own copy, and resumes it when in doubt */
		if (!strcmp(bug, "resume-in-doubt") && h == SIM_SRC && a->kind == MIG_ACT_SEND &&
		    a->msg.kind == MIG_MSG_RESOLVE)
			s->host[SIM_SRC].hv.state = SIM_HV_RUNNING;
		/* a target that knows nothing of a session says nothing either */
		if (!strcmp(bug, "never-gone") && h == SIM_TGT && a->kind == MIG_ACT_SEND &&
		    a->msg.kind == MIG_MSG_RESOLVED)
			a->msg.fate = MIG_FATE_BUSY;
	}
}

static void fault(struct sim *s, enum sim_fault f);

static void feed(struct sim *s, enum sim_host_id h, struct mig_event *ev)
{
	struct mig_actions acts;

	if (!s->host[h].up || !s->host[h].machine)
		return;
	if (s->opt.fault_at_step >= 0 && (int)s->steps == s->opt.fault_at_step && s->faults_left) {
		s->faults_left = 0;
		fault(s, s->opt.fault);
		if (!s->host[h].up)
			return;
	}
	s->steps++;
	ev->now_ns = s->now;
	if (h == SIM_SRC)
		mig_source_step(&s->src, ev, &acts);
	else
		mig_target_step(&s->tgt, ev, &acts);
	plant(s, &acts, h);
	for (size_t i = 0; i < acts.n; i++)
		act(s, h, &acts.a[i]);
	uint64_t d = h == SIM_SRC ? mig_source_deadline_ns(&s->src) : mig_target_deadline_ns(&s->tgt);
	if (d != MIG_NEVER)
		push(s, (struct sim_ev){ .at_ns = d > s->now ? d : s->now + 1,
		                         .kind = SIM_EV_TICK,
		                         .host = h,
		                         .life = s->host[h].life });
	sim_check_always(s);
}

/* What was being written when the daemon died: the disk may have got the first of it. */
static void disk_may_have(struct sim *s, enum sim_host_id h)
{
	for (;;) {
		struct sim_ev *first = NULL;
		for (unsigned i = 0; i < s->n; i++)
			if (s->q[i].kind == SIM_EV_DURABLE && s->q[i].host == h && s->q[i].life == s->host[h].life &&
			    (!first || s->q[i].at_ns < first->at_ns))
				first = &s->q[i];
		if (!first || rnd(s, 2))
			return;
		s->host[h].journal = first->ev.journal.rec;
		s->host[h].journal_generation = 2;
		*first = s->q[--s->n];
	}
}

/* Daemons -------------------------------------------------------------------------------------------------------------- */
static void daemon_die(struct sim *s, enum sim_host_id h)
{
	struct sim_host *ho = &s->host[h];

	if (!ho->up)
		return;
	trace(s, "%s daemon is killed", host_name(h));
	ho->up = ho->machine = ho->telling = false;
	disk_may_have(s, h);
	ho->last_disk_ns = 0;
	ho->life++;
	session_end(s, h);
	/* the peer's transport notices, sometimes */
	if (rnd(s, 2))
		later(s, !h, MS + rnd(s, 20 * MS), (struct mig_event){ .kind = MIG_EV_LINK_DOWN });
	if (s->opt.restart)
		push(s, (struct sim_ev){ .at_ns = s->now + rnd(s, RESTART_NS), .kind = SIM_EV_RESTART, .host = h });
}

static void restart_source(struct sim *s)
{
	struct sim_host *ho = &s->host[SIM_SRC];
	struct mig_source_config cfg = { .generation = 1,
		                         .ctl = { .downtime_ns = 50 * MS, .downtime_max_ns = 2 * MIG_S } };
	struct mig_event ev = { .kind = MIG_EV_START };

	if (ho->journal != MIG_REC_RELINQUISHING && ho->journal != MIG_REC_CALLED_OFF)
		return;
	if (ho->journal == MIG_REC_RELINQUISHING && ho->hv.state == SIM_HV_RELINQUISHED) {
		ho->hv.session = true;
		ho->hv.epoch++;
		mig_source_init_doubt(&s->src, &cfg, 2);
		ho->machine = true;
		feed(s, SIM_SRC, &ev);
	} else {
		ho->telling = true;
		push(s, (struct sim_ev){ .at_ns = s->now, .kind = SIM_EV_TELL, .host = SIM_SRC, .life = ho->life });
	}
}

static void restart_target(struct sim *s)
{
	struct sim_host *ho = &s->host[SIM_TGT];
	struct mig_event ev = { .kind = MIG_EV_START };

	if (!ho->journal || ho->journal == MIG_REC_GONE)
		return;
	bool owns = ho->hv.state != SIM_HV_NONE && ho->hv.generation >= 2;
	bool taken = owns && (ho->hv.state == SIM_HV_RESTORED || ho->hv.state == SIM_HV_INCOMING);
	mig_target_init_recover(&s->tgt, 2, s->opt.stay_paused, ho->journal, owns && !taken, taken);
	ho->machine = true;
	feed(s, SIM_TGT, &ev);
}

static void daemon_start(struct sim *s, enum sim_host_id h)
{
	if (s->host[h].up)
		return;
	trace(s, "%s daemon starts, journal %d", host_name(h), s->host[h].journal);
	s->host[h].up = true;
	if (h == SIM_SRC)
		restart_source(s);
	else
		restart_target(s);
}

static void hv_die(struct sim *s, enum sim_host_id h)
{
	struct sim_hv *hv = &s->host[h].hv;

	if (hv->state == SIM_HV_NONE)
		return;
	trace(s, "%s hvdom is killed", host_name(h));
	if (h == SIM_SRC)
		s->src_hv_killed = true;
	else if (hv->owner)
		s->tgt_hv_killed_owning = true;
	*hv = (struct sim_hv){ .ran = hv->ran, .epoch = hv->epoch + 1 };
	later(s, h, MS / 10, (struct mig_event){ .kind = MIG_EV_HV_LOST });
}

static void fault(struct sim *s, enum sim_fault f)
{
	switch (f) {
	case SIM_KILL_SRC:
	case SIM_KILL_TGT:
		daemon_die(s, f == SIM_KILL_SRC ? SIM_SRC : SIM_TGT);
		break;
	case SIM_KILL_SRC_HV:
		hv_die(s, SIM_SRC);
		break;
	case SIM_KILL_TGT_HV:
		/* a taken copy whose daemon is down, killed before it is back, is the one double fault that the journal cannot tell
		 * apart from "never taken"; docs/wire/migration.md section 7 names it */
		if (s->host[SIM_TGT].up || !s->host[SIM_TGT].hv.owner)
			hv_die(s, SIM_TGT);
		break;
	case SIM_CUT:
		trace(s, "the wire is cut");
		s->cut = true;
		s->wire++;
		if (s->opt.restart)
			push(s, (struct sim_ev){ .at_ns = s->now + rnd(s, 20 * MIG_S), .kind = SIM_EV_HEAL });
		break;
	case SIM_CANCEL:
		/* by somebody, or because the guest rebooted or ended */
		later(s, SIM_SRC, 0,
		      (struct mig_event){ .kind = MIG_EV_CANCEL,
		                          .reason = s->opt.seed % 2 ? MIG_REASON_CANCELLED : MIG_REASON_GUEST });
		break;
	default:
		break;
	}
}

/* A message for a session that no machine holds: what migrated/io/incoming.c answers. */
static void unknown(struct sim *s, const struct mig_msg *msg)
{
	struct sim_host *ho = &s->host[SIM_TGT];
	struct mig_msg re = { .kind = MIG_MSG_RESOLVED, .generation = 2 };
	struct mig_event ev = { .kind = MIG_EV_START };

	if (ho->journal == MIG_REC_TAKEN || ho->journal == MIG_REC_GONE || ho->journal == MIG_REC_READY)
		re.fate = ho->journal == MIG_REC_TAKEN  ? MIG_FATE_RUNNING
		          : ho->journal == MIG_REC_GONE ? MIG_FATE_GONE
		                                        : MIG_FATE_BUSY;
	else if (msg->kind == MIG_MSG_ABORT)
		re.fate = MIG_FATE_GONE;
	else if (msg->kind == MIG_MSG_RESOLVE && (ho->hv.state == SIM_HV_RUNNING || ho->hv.state == SIM_HV_PAUSED))
		re.fate = MIG_FATE_RUNNING;
	if (re.fate) {
		send(s, SIM_TGT, &re);
	} else if (msg->kind == MIG_MSG_RESOLVE) {
		mig_target_init_recover(&s->tgt, msg->generation, false, MIG_REC_GONE, false, false);
		ho->machine = true;
		feed(s, SIM_TGT, &ev);
	}
}

static void told(struct sim *s, const struct mig_msg *msg)
{
	bool there = msg->kind == MIG_MSG_RUNNING || (msg->kind == MIG_MSG_RESOLVED && msg->fate == MIG_FATE_RUNNING);

	if (!there && (msg->kind != MIG_MSG_RESOLVED || msg->fate != MIG_FATE_GONE))
		return;
	if (there)
		send(s, SIM_SRC, &(struct mig_msg){ .kind = MIG_MSG_DONE, .generation = 2 });
	journal(s, SIM_SRC, 0);
	s->host[SIM_SRC].telling = false;
}

static void deliver(struct sim *s, struct sim_ev *e)
{
	struct sim_host *ho = &s->host[e->host];
	const struct mig_msg *msg = &e->ev.msg;

	if (!ho->up || s->cut || e->epoch != s->wire)
		return;
	if (e->host == SIM_SRC) {
		if (ho->telling)
			told(s, msg);
		else
			feed(s, SIM_SRC, &e->ev);
		return;
	}
	if (msg->kind == MIG_MSG_HELLO) {
		send(s, SIM_TGT, &(struct mig_msg){ .kind = MIG_MSG_HELLO, .version = 1 });
	} else if (msg->kind == MIG_MSG_OFFER && !ho->machine) {
		struct mig_event ev = { .kind = MIG_EV_START };
		mig_target_init(&s->tgt, msg->generation, s->opt.stay_paused);
		ho->machine = true;
		feed(s, SIM_TGT, &ev);
	} else {
		if (msg->kind == MIG_MSG_PING)
			send(s, SIM_TGT, &(struct mig_msg){ .kind = MIG_MSG_PONG });
		if (ho->machine)
			feed(s, SIM_TGT, &e->ev);
		else if (msg->kind == MIG_MSG_GO || msg->kind == MIG_MSG_RESOLVE || msg->kind == MIG_MSG_ABORT)
			unknown(s, msg);
		else if (msg->kind == MIG_MSG_DONE)
			journal(s, SIM_TGT, 0);
	}
}

static void core_event(struct sim *s, struct sim_ev *e)
{
	struct sim_host *ho = &s->host[e->host];

	if (e->life != ho->life)
		return;
	if (e->fault && (s->cut || e->fault != s->wire + 1)) {
		data_stalls(s, e->host);
		return;
	}
	if (e->ev.kind == MIG_EV_HV) {
		uint64_t v0 = e->ev.hv.v0;
		if (e->epoch != ho->hv.epoch)
			return;
		e->ev.hv.v0 = 0;
		e->ev.hv.status = hv_do(s, e->host, e->ev.hv.op, v0, &e->ev);
		sim_check_always(s);
	}
	feed(s, e->host, &e->ev);
}

static void one(struct sim *s, struct sim_ev *e)
{
	struct sim_host *ho = &s->host[e->host];
	struct mig_event tick = { .kind = MIG_EV_TICK };

	switch (e->kind) {
	case SIM_EV_CORE:
		core_event(s, e);
		break;
	case SIM_EV_MSG:
		deliver(s, e);
		break;
	case SIM_EV_DURABLE:
		if (e->life != ho->life)
			break;
		ho->journal = e->ev.journal.rec;
		if (ho->journal)
			feed(s, e->host, &e->ev);
		break;
	case SIM_EV_UNDO:
		if (e->epoch == ho->hv.epoch)
			undo(s, e->host);
		sim_check_always(s);
		break;
	case SIM_EV_TICK:
		if (e->life != ho->life)
			break;
		if (e->fault)
			session_end(s, e->host);
		else if ((e->host == SIM_SRC ? mig_source_deadline_ns(&s->src) : mig_target_deadline_ns(&s->tgt)) <=
		         s->now)
			feed(s, e->host, &tick);
		break;
	case SIM_EV_FAULT:
		fault(s, (enum sim_fault)e->fault);
		break;
	case SIM_EV_RESTART:
		daemon_start(s, e->host);
		break;
	case SIM_EV_HEAL:
		trace(s, "the wire heals");
		s->cut = false;
		break;
	case SIM_EV_TELL:
		if (e->life != ho->life || !ho->telling)
			break;
		send(s, SIM_SRC,
		     &(struct mig_msg){ .kind = MIG_MSG_ABORT,
		                        .generation = 2,
		                        .reason = MIG_REASON_DAEMON,
		                        .check_lease = true });
		push(s, (struct sim_ev){
				.at_ns = s->now + MIG_S, .kind = SIM_EV_TELL, .host = SIM_SRC, .life = ho->life });
		break;
	}
}

bool sim_run(struct sim *s, const struct sim_options *opt)
{
	struct mig_source_config cfg = { .generation = 1,
		                         .stay_paused = opt->stay_paused,
		                         .ctl = { .downtime_ns = 50 * MS,
		                                  .downtime_max_ns = 2 * MIG_S,
		                                  .overhead_ns = 25 * MS,
		                                  .rate_guess_bps = 1u << 29,
		                                  .rounds_max = 30 } };
	struct sim_ev e;

	memset(s, 0, sizeof(*s));
	s->opt = *opt;
	s->rng = opt->seed * 2654435761u + 1;
	s->now = MIG_S;
	s->faults_left = 1;
	s->lease_generation = 1;
	s->lease_owner = SIM_SRC;
	s->host[SIM_SRC] = (struct sim_host){
		.up = true,
		.machine = true,
		.hv = { .state = SIM_HV_RUNNING, .generation = 1, .owner = true, .ran = true, .session = true }
	};
	s->host[SIM_TGT] = (struct sim_host){ .up = true };
	mig_source_init(&s->src, &cfg);
	for (unsigned i = 0; i < opt->faults; i++)
		push(s, (struct sim_ev){ .at_ns = s->now + rnd(s, 400 * MS),
		                         .kind = SIM_EV_FAULT,
		                         .fault = (unsigned)rnd(s, SIM_FAULTS) });
	later(s, SIM_SRC, 0, (struct mig_event){ .kind = MIG_EV_START });
	while (!s->violation[0] && pop(s, &e) && e.at_ns < MIG_S + QUIET_NS) {
		s->now = e.at_ns > s->now ? e.at_ns : s->now;
		one(s, &e);
	}
	sim_check_end(s);
	if (s->violation[0])
		trace(s, "VIOLATION %s", s->violation);
	return !s->violation[0];
}
