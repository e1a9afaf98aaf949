/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Target side of a migration: see target.h and docs/wire/migration.md sections 3, 6, 7, 8. */
#include <string.h>
#include "migrated/core/target.h"

#define SILENCE_NS       (5 * MIG_S)
#define READY_SILENCE_NS (1 * MIG_S)
#define LEASE_NS         (300 * MIG_MS)
#define PEER_LEASE_NS    (10 * MIG_S)
#define DONE_NS          (60 * MIG_S)
#define NOTE_NS          (1 * MIG_S)

const char *mig_target_state_name(enum mig_target_state s)
{
	static const char *const names[] = { "idle", "preflight", "spawn",   "receive", "final", "restore", "ready",
		                             "take", "resume",    "running", "discard", "note",  "end" };

	return (unsigned)s < sizeof(names) / sizeof(names[0]) ? names[s] : "unknown";
}

void mig_target_init(struct mig_target *t, uint64_t generation, bool stay_paused)
{
	memset(t, 0, sizeof(*t));
	t->generation = generation;
	t->stay_paused = stay_paused;
}

void mig_target_init_recover(struct mig_target *t, uint64_t generation, bool stay_paused, enum mig_record rec,
                             bool hv_running, bool hv_taken)
{
	mig_target_init(t, generation, stay_paused);
	t->reason = MIG_REASON_DAEMON;
	if (rec == MIG_REC_TAKEN || hv_running) {
		/* it runs here, or it ran here and ended, or it is about to */
		t->state = hv_taken && !hv_running ? MIG_TGT_TAKE : MIG_TGT_RUNNING;
		t->started = !(hv_taken && !hv_running);
		t->journaled = rec == MIG_REC_TAKEN;
	} else if (rec == MIG_REC_READY && hv_taken) {
		t->state = MIG_TGT_TAKE;
	} else {
		t->state = MIG_TGT_NOTE;
	}
}

enum mig_fate mig_target_fate(const struct mig_target *t)
{
	switch (t->state) {
	case MIG_TGT_READY:
		return t->abort_pending ? MIG_FATE_BUSY : MIG_FATE_READY;
	case MIG_TGT_RUNNING:
		return t->journaled ? MIG_FATE_RUNNING : MIG_FATE_BUSY; /* after a restart: TAKEN is not durable yet */
	case MIG_TGT_END:
		return t->started ? MIG_FATE_RUNNING : MIG_FATE_GONE;
	default:
		return MIG_FATE_BUSY;
	}
}

static void send_fate(struct mig_target *t, struct mig_actions *out)
{
	mig_act_send(out, MIG_MSG_RESOLVED, t->generation);
	struct mig_msg *msg = &out->a[out->n - 1].msg;
	msg->fate = mig_target_fate(t);
	msg->reason = msg->fate == MIG_FATE_GONE || msg->fate == MIG_FATE_RUNNING ? t->reason : MIG_REASON_NONE;
}

static void finish(struct mig_target *t, enum mig_outcome outcome, struct mig_actions *out)
{
	struct mig_action *a = mig_act(out, MIG_ACT_FINISH);

	a->outcome = outcome;
	a->reason = t->reason;
	t->state = MIG_TGT_END;
}

/* It will not run here: end hvdom for certain, then write it down, then say so. */
static void discard(struct mig_target *t, enum mig_reason reason, struct mig_actions *out)
{
	t->reason = reason;
	t->state = MIG_TGT_DISCARD;
	mig_act(out, MIG_ACT_KILL);
}

/* Before READY nothing durable exists; the source hears Abort. */
static void drop(struct mig_target *t, enum mig_reason reason, bool tell, struct mig_actions *out)
{
	t->reason = reason;
	if (tell) {
		mig_act_send(out, MIG_MSG_ABORT, 0);
		out->a[out->n - 1].msg.reason = reason;
	}
	mig_act(out, MIG_ACT_KILL);
	mig_act(out, MIG_ACT_FORGET);
	finish(t, reason == MIG_REASON_CANCELLED ? MIG_OUTCOME_CANCELLED : MIG_OUTCOME_FAILED, out);
}

static void take(struct mig_target *t, uint64_t now, struct mig_actions *out)
{
	t->state = MIG_TGT_TAKE;
	t->go_ns = now;
	mig_act_hv(out, MIG_HV_TAKE, t->generation);
}

static void send_running(struct mig_target *t, struct mig_actions *out)
{
	if (!t->journaled) {
		send_fate(t, out);
		return;
	}
	mig_act_send(out, MIG_MSG_RUNNING, t->generation);
	out->a[out->n - 1].msg.running_at_ns = t->running_at_ns;
	out->a[out->n - 1].msg.stay_paused = t->stay_paused;
}

static void maybe_ready(struct mig_target *t, uint64_t now, struct mig_actions *out)
{
	if (!t->restored || !t->journaled)
		return;
	t->state = MIG_TGT_READY;
	t->journaled = false; /* the next record is TAKEN */
	t->lease_ns = now + LEASE_NS;
	mig_act_send(out, MIG_MSG_READY, t->generation);
}

static void lease_answer(struct mig_target *t, const struct mig_event *ev, struct mig_actions *out)
{
	t->lease_asked = false;
	if (t->state != MIG_TGT_READY)
		return;
	if (ev->hv.status == 0 && ev->hv.lease_owner == MIG_LEASE_SELF && ev->hv.v0 == t->generation) {
		take(t, ev->now_ns, out); /* as good as Go */
		return;
	}
	if (t->abort_pending) {
		discard(t, t->reason, out);
		return;
	}
	if (ev->hv.status < 0 || ev->hv.lease_owner != MIG_LEASE_PEER || ev->hv.v0 + 1 != t->generation ||
	    !t->link_dead) {
		t->peer_lease_ns = 0;
		return;
	}
	if (!t->peer_lease_ns)
		t->peer_lease_ns = ev->now_ns;
	else if (ev->now_ns >= t->peer_lease_ns + PEER_LEASE_NS)
		discard(t, MIG_REASON_LINK, out);
}

static void resumed(struct mig_target *t, const struct mig_event *ev, struct mig_actions *out)
{
	t->state = MIG_TGT_RUNNING;
	t->heard_ns = ev->now_ns;
	t->running_at_ns = ev->hv.op == MIG_HV_RESUME && ev->hv.v0 ? ev->hv.v0 : ev->now_ns;
	send_running(t, out);
	if (!t->stay_paused)
		mig_act_hv(out, MIG_HV_ANNOUNCE, 0);
}

static void hypercall(struct mig_target *t, const struct mig_event *ev, struct mig_actions *out)
{
	bool ok = ev->hv.status >= 0;

	switch (ev->hv.op) {
	case MIG_HV_SET_STATE:
		if (t->state != MIG_TGT_RESTORE)
			return;
		if (!ok) {
			drop(t, MIG_REASON_TARGET_HVDOM, true, out);
			return;
		}
		t->restored = true;
		maybe_ready(t, ev->now_ns, out);
		return;
	case MIG_HV_LEASE:
		lease_answer(t, ev, out);
		return;
	case MIG_HV_TAKE:
		if (t->state != MIG_TGT_TAKE)
			return;
		if (!ok)
			discard(t, MIG_REASON_TAKE, out);
		else
			mig_act(out, MIG_ACT_JOURNAL)->rec = MIG_REC_TAKEN;
		return;
	case MIG_HV_RESUME:
	case MIG_HV_PAUSE:
		if (t->state != MIG_TGT_RESUME)
			return;
		if (ok) {
			resumed(t, ev, out);
		} else {
			t->started = false; /* hvdom answered: not one instruction ran */
			discard(t, MIG_REASON_TARGET_HVDOM, out);
		}
		return;
	default:
		return;
	}
}

static void journaled(struct mig_target *t, const struct mig_event *ev, struct mig_actions *out)
{
	bool ok = ev->journal.status >= 0;

	switch (ev->journal.rec) {
	case MIG_REC_READY:
		if (t->state != MIG_TGT_RESTORE)
			return;
		if (!ok) {
			drop(t, MIG_REASON_JOURNAL, true, out);
			return;
		}
		t->journaled = true;
		maybe_ready(t, ev->now_ns, out);
		return;
	case MIG_REC_TAKEN:
		if (t->state == MIG_TGT_RUNNING && !t->journaled) {
			t->journaled = ok;
			t->note_ns = ok ? 0 : ev->now_ns + NOTE_NS;
		}
		if (t->state != MIG_TGT_TAKE)
			return;
		if (!ok) {
			discard(t, MIG_REASON_JOURNAL, out);
			return;
		}
		t->journaled = true;
		t->state = MIG_TGT_RESUME;
		t->started = true;
		mig_act_hv(out, t->stay_paused ? MIG_HV_PAUSE : MIG_HV_RESUME, 0);
		return;
	case MIG_REC_GONE:
		if (t->state != MIG_TGT_NOTE)
			return;
		if (!ok) {
			t->note_ns = ev->now_ns + NOTE_NS; /* not durable: never said */
			return;
		}
		finish(t, MIG_OUTCOME_FAILED, out);
		send_fate(t, out);
		return;
	default:
		return;
	}
}

static void message(struct mig_target *t, const struct mig_event *ev, struct mig_actions *out)
{
	const struct mig_msg *msg = &ev->msg;

	t->heard_ns = ev->now_ns;
	t->link_dead = false;
	switch (msg->kind) {
	case MIG_MSG_FINAL:
		if (t->state != MIG_TGT_RECEIVE)
			return;
		t->state = MIG_TGT_FINAL;
		mig_act(out, MIG_ACT_EXPECT);
		return;
	case MIG_MSG_GO:
		if (msg->generation != t->generation)
			return;
		if (t->state == MIG_TGT_READY && !t->abort_pending)
			take(t, ev->now_ns, out);
		else if (t->state == MIG_TGT_RUNNING)
			send_running(t, out);
		else if (t->state == MIG_TGT_END)
			send_fate(t, out);
		return;
	case MIG_MSG_ABORT:
		if (t->state < MIG_TGT_READY) {
			drop(t, msg->reason ? msg->reason : MIG_REASON_CANCELLED, false, out);
		} else if (t->state == MIG_TGT_READY) {
			t->reason = msg->reason ? msg->reason : MIG_REASON_CANCELLED;
			t->abort_pending = true;
			if (!t->lease_asked)
				mig_act_hv(out, MIG_HV_LEASE, 0);
			t->lease_asked = true;
		} else if (t->state == MIG_TGT_RUNNING) {
			send_running(t, out); /* too late: it restarted and does not know */
		} else if (t->state == MIG_TGT_END) {
			send_fate(t, out);
		}
		return;
	case MIG_MSG_RESOLVE:
		if (msg->generation != t->generation)
			return;
		if (t->state < MIG_TGT_READY) {
			/* the source cannot have relinquished for a copy that was never ready: it restarted; let go */
			drop(t, MIG_REASON_PROTOCOL, true, out);
			return;
		}
		if (t->state == MIG_TGT_RUNNING)
			send_running(t, out);
		else
			send_fate(t, out);
		return;
	case MIG_MSG_DONE:
		if (t->state == MIG_TGT_RUNNING && msg->generation == t->generation) {
			t->reason = MIG_REASON_NONE;
			mig_act(out, MIG_ACT_FORGET);
			finish(t, MIG_OUTCOME_COMPLETED, out);
		}
		return;
	default:
		return;
	}
}

static void hv_lost(struct mig_target *t, const struct mig_event *ev, struct mig_actions *out)
{
	switch (t->state) {
	case MIG_TGT_RECEIVE:
	case MIG_TGT_FINAL:
	case MIG_TGT_RESTORE:
		drop(t, MIG_REASON_TARGET_HVDOM, true, out);
		return;
	case MIG_TGT_READY:
	case MIG_TGT_TAKE:
		discard(t, MIG_REASON_TARGET_HVDOM, out); /* RESUME was never issued */
		return;
	case MIG_TGT_RESUME:
		if (ev->hv.status < 0) {
			t->started = false; /* RESUME was never read */
			discard(t, MIG_REASON_TARGET_HVDOM, out);
			return;
		}
		/* it may have run: never give it back. It ended here, as a crash would end it */
		t->state = MIG_TGT_RUNNING;
		t->reason = MIG_REASON_TARGET_HVDOM;
		send_fate(t, out);
		return;
	default:
		return;
	}
}

uint64_t mig_target_deadline_ns(const struct mig_target *t)
{
	switch (t->state) {
	case MIG_TGT_RECEIVE:
	case MIG_TGT_FINAL:
		return t->heard_ns + SILENCE_NS;
	case MIG_TGT_READY:
		return t->link_dead ? t->lease_ns : t->heard_ns + READY_SILENCE_NS;
	case MIG_TGT_RUNNING:
		return t->journaled ? t->heard_ns + DONE_NS : t->note_ns ? t->note_ns : MIG_NEVER;
	case MIG_TGT_NOTE:
		return t->note_ns ? t->note_ns : MIG_NEVER;
	default:
		return MIG_NEVER;
	}
}

static void tick(struct mig_target *t, uint64_t now, struct mig_actions *out)
{
	switch (t->state) {
	case MIG_TGT_RECEIVE:
	case MIG_TGT_FINAL:
		if (now >= t->heard_ns + SILENCE_NS)
			drop(t, MIG_REASON_LINK, true, out);
		return;
	case MIG_TGT_READY:
		if (now >= t->heard_ns + READY_SILENCE_NS)
			t->link_dead = true;
		if (t->link_dead && now >= t->lease_ns) {
			t->lease_ns = now + LEASE_NS;
			if (!t->lease_asked)
				mig_act_hv(out, MIG_HV_LEASE, 0);
			t->lease_asked = true;
		}
		return;
	case MIG_TGT_RUNNING:
		if (!t->journaled) {
			if (t->note_ns && now >= t->note_ns) {
				t->note_ns = 0;
				mig_act(out, MIG_ACT_JOURNAL)->rec = MIG_REC_TAKEN;
			}
			return;
		}
		/* Done was lost: the record stays and answers for us, should anybody ask */
		if (now >= t->heard_ns + DONE_NS)
			finish(t, MIG_OUTCOME_COMPLETED, out);
		return;
	case MIG_TGT_NOTE:
		/* the disk was full, perhaps it is not now: till then this session is in the way of others, and its source asks in vain */
		if (t->note_ns && now >= t->note_ns) {
			t->note_ns = 0;
			mig_act(out, MIG_ACT_JOURNAL)->rec = MIG_REC_GONE;
		}
		return;
	default:
		return;
	}
}

static void start(struct mig_target *t, const struct mig_event *ev, struct mig_actions *out)
{
	t->heard_ns = ev->now_ns;
	switch (t->state) {
	case MIG_TGT_IDLE:
		t->state = MIG_TGT_PREFLIGHT;
		mig_act(out, MIG_ACT_PREFLIGHT);
		return;
	case MIG_TGT_TAKE: /* recovered: taken, not yet run; TAKEN must be durable first */
		mig_act(out, MIG_ACT_JOURNAL)->rec = MIG_REC_TAKEN;
		return;
	case MIG_TGT_NOTE:
		mig_act(out, MIG_ACT_JOURNAL)->rec = MIG_REC_GONE;
		return;
	case MIG_TGT_RUNNING:
		if (!t->journaled)
			mig_act(out, MIG_ACT_JOURNAL)->rec = MIG_REC_TAKEN;
		return;
	default:
		return;
	}
}

void mig_target_step(struct mig_target *t, const struct mig_event *ev, struct mig_actions *out)
{
	out->n = 0;
	switch (ev->kind) {
	case MIG_EV_START:
		start(t, ev, out);
		return;
	case MIG_EV_MSG:
		message(t, ev, out);
		return;
	case MIG_EV_PREFLIGHT:
		if (t->state != MIG_TGT_PREFLIGHT)
			return;
		if (ev->reason != MIG_REASON_NONE || ev->msg.plan_only) {
			t->reason = ev->reason;
			mig_act_send(out, ev->reason ? MIG_MSG_REFUSE : MIG_MSG_ACCEPT, 0);
			out->a[out->n - 1].msg.reason = ev->reason;
			finish(t, ev->reason ? MIG_OUTCOME_FAILED : MIG_OUTCOME_COMPLETED, out);
			return;
		}
		t->state = MIG_TGT_SPAWN;
		mig_act(out, MIG_ACT_SPAWN);
		return;
	case MIG_EV_SPAWNED:
		if (t->state != MIG_TGT_SPAWN)
			return;
		if (ev->reason != MIG_REASON_NONE) {
			t->reason = ev->reason;
			mig_act_send(out, MIG_MSG_REFUSE, 0);
			out->a[out->n - 1].msg.reason = ev->reason;
			mig_act(out, MIG_ACT_KILL);
			finish(t, MIG_OUTCOME_FAILED, out);
			return;
		}
		t->state = MIG_TGT_RECEIVE;
		t->heard_ns = ev->now_ns;
		mig_act_send(out, MIG_MSG_ACCEPT, 0);
		return;
	case MIG_EV_DATA_DONE:
		if (t->state != MIG_TGT_FINAL)
			return;
		t->state = MIG_TGT_RESTORE;
		mig_act_hv(out, MIG_HV_SET_STATE, 0); /* hvdom restores while the record becomes durable */
		mig_act(out, MIG_ACT_JOURNAL)->rec = MIG_REC_READY;
		return;
	case MIG_EV_DATA_BAD:
		if (t->state >= MIG_TGT_RECEIVE && t->state <= MIG_TGT_RESTORE)
			drop(t, ev->reason ? ev->reason : MIG_REASON_DATA, true, out);
		return;
	case MIG_EV_HV:
		hypercall(t, ev, out);
		return;
	case MIG_EV_HV_LOST:
		hv_lost(t, ev, out);
		return;
	case MIG_EV_JOURNALED:
		journaled(t, ev, out);
		return;
	case MIG_EV_ENDED:
		if (t->state == MIG_TGT_DISCARD) {
			t->state = MIG_TGT_NOTE;
			mig_act(out, MIG_ACT_JOURNAL)->rec = MIG_REC_GONE;
		}
		return;
	case MIG_EV_LINK_DOWN:
		if (t->state == MIG_TGT_READY)
			t->link_dead = true;
		return;
	case MIG_EV_CANCEL:
		if (t->state > MIG_TGT_IDLE && t->state < MIG_TGT_READY)
			drop(t, ev->reason ? ev->reason : MIG_REASON_CANCELLED, true, out);
		return;
	case MIG_EV_OPERATOR:
		if (t->state != MIG_TGT_READY)
			return;
		if (ev->op_local)
			take(t, ev->now_ns, out);
		else
			discard(t, MIG_REASON_OPERATOR, out);
		return;
	case MIG_EV_TICK:
		tick(t, ev->now_ns, out);
		return;
	default:
		return;
	}
}
