/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Source side of a migration: see source.h and docs/wire/migration.md sections 3, 6, 7, 8. */
#include <string.h>
#include "migrated/core/source.h"

#define HELLO_NS        (5 * MIG_S)
#define PING_NS         (500 * MIG_MS)
#define SILENCE_NS      (5 * MIG_S)
#define DOUBT_NS        (1 * MIG_S) /* Go without Running: ask */
#define RESOLVE_NS      (500 * MIG_MS)
#define BLACKOUT_MIN_NS (3 * MIG_S)
#define STAGE_NS        (30 * MIG_S)   /* one answer of the target's preflight or restore, or of hvdom between rounds */
#define JOURNAL_NS      (10 * MIG_S)   /* a disk that has not taken a record by then hangs */
#define JOURNAL_SLOW_NS (100 * MIG_MS) /* the guest wrote on meanwhile: another round */

const char *mig_source_state_name(enum mig_source_state s)
{
	static const char *const names[] = { "idle",    "hello",    "preflight", "arm",     "round",
		                             "harvest", "journal",  "suspend",   "final",   "relinquish",
		                             "go",      "in-doubt", "reclaim",   "destroy", "end" };

	return (unsigned)s < sizeof(names) / sizeof(names[0]) ? names[s] : "unknown";
}

void mig_source_init(struct mig_source *m, const struct mig_source_config *cfg)
{
	memset(m, 0, sizeof(*m));
	m->cfg = *cfg;
	m->generation_new = cfg->generation + 1;
	mig_ctl_init(&m->ctl, &cfg->ctl);
}

void mig_source_init_doubt(struct mig_source *m, const struct mig_source_config *cfg, uint64_t generation_new)
{
	mig_source_init(m, cfg);
	m->generation_new = generation_new;
	m->state = MIG_SRC_DOUBT;
	m->reason = MIG_REASON_DAEMON;
	m->suspended = m->recovered = true;
}

bool mig_source_cancellable(const struct mig_source *m)
{
	return m->state < MIG_SRC_RELINQUISH;
}

static void finish(struct mig_source *m, enum mig_outcome outcome, struct mig_actions *out)
{
	struct mig_action *a = mig_act(out, MIG_ACT_FINISH);

	a->outcome = m->outcome = outcome;
	a->reason = m->reason;
	m->state = MIG_SRC_END;
}

/* Give up before the point of no return: the guest is as before. @tell: the peer still has to hear of it. */
static void undo(struct mig_source *m, enum mig_reason reason, bool tell, struct mig_actions *out)
{
	if (m->reason == MIG_REASON_NONE)
		m->reason = reason;
	mig_act(out, MIG_ACT_PASS_STOP);
	if (m->suspended)
		mig_act_hv(out, MIG_HV_RESUME, 0);
	if (m->logdirty_on) {
		if (m->ctl.throttle_pct)
			mig_act_hv(out, MIG_HV_THROTTLE, 0);
		mig_act_hv(out, MIG_HV_LOGDIRTY_DISABLE, 0);
	}
	if (tell && m->state > MIG_SRC_HELLO) {
		mig_act_send(out, MIG_MSG_ABORT, 0);
		out->a[out->n - 1].msg.reason = m->reason;
	}
	/* once Final is out the target may be READY: a record stays until it has said that it let go */
	m->must_tell = m->final_sent;
	if (m->must_tell)
		mig_act(out, MIG_ACT_JOURNAL)->rec = MIG_REC_CALLED_OFF;
	else
		mig_act(out, MIG_ACT_FORGET);
	finish(m, m->reason == MIG_REASON_CANCELLED ? MIG_OUTCOME_CANCELLED : MIG_OUTCOME_FAILED, out);
}

static void enter(struct mig_source *m, enum mig_source_state state, uint64_t now)
{
	m->state = state;
	m->stage_ns = now;
}

static void pass(struct mig_source *m, enum mig_pass kind, struct mig_actions *out)
{
	struct mig_action *a = mig_act(out, MIG_ACT_PASS);

	a->pass.kind = kind;
	a->pass.hash_all = kind == MIG_PASS_FINAL && m->mode != MIG_LOGDIRTY_RECORD;
}

static void enter_suspend(struct mig_source *m, uint64_t now, struct mig_actions *out)
{
	if (!m->journaled) {
		/* before anything that leads to Ready: a daemon that restarts must know whom to tell */
		enter(m, MIG_SRC_JOURNAL, now);
		mig_act(out, MIG_ACT_JOURNAL)->rec = MIG_REC_RELINQUISHING;
		return;
	}
	m->state = MIG_SRC_SUSPEND;
	m->suspend_ns = now;
	m->suspended = true;
	/* pipelined: hvdom answers in order, the state is captured while pages are on the wire */
	mig_act_hv(out, MIG_HV_SUSPEND, 0);
	if (m->mode == MIG_LOGDIRTY_RECORD || m->cfg.audit)
		mig_act_hv(out, MIG_HV_CLEAN, 0);
	else
		m->final_cleaned = true; /* every page is compared or sent */
	mig_act_hv(out, MIG_HV_GET_STATE, 0);
	if (m->cfg.verify)
		mig_act_hv(out, MIG_HV_MEMHASH, 0);
	else
		m->final_hashed = true;
}

static void harvested(struct mig_source *m, uint64_t pages, uint64_t now, struct mig_actions *out)
{
	uint32_t throttle = m->ctl.throttle_pct;

	switch (mig_ctl_harvest(&m->ctl, pages, now)) {
	case MIG_VERDICT_STOP:
		enter_suspend(m, now, out);
		return;
	case MIG_VERDICT_GIVE_UP:
		undo(m, MIG_REASON_NO_CONVERGENCE, true, out);
		return;
	case MIG_VERDICT_ROUND:
		break;
	}
	if (m->ctl.throttle_pct != throttle)
		mig_act_hv(out, MIG_HV_THROTTLE, m->ctl.throttle_pct);
	enter(m, MIG_SRC_PASS, now);
	pass(m, MIG_PASS_LIVE, out);
}

/* The guest runs while the disk takes its time: if that was long, what it wrote meanwhile is sent before it is stopped. */
static void journaled(struct mig_source *m, const struct mig_event *ev, struct mig_actions *out)
{
	if (m->state != MIG_SRC_JOURNAL || ev->journal.rec != MIG_REC_RELINQUISHING)
		return;
	if (ev->journal.status < 0) {
		undo(m, MIG_REASON_JOURNAL, true, out);
		return;
	}
	m->journaled = true;
	if (ev->now_ns < m->stage_ns + JOURNAL_SLOW_NS || m->mode == MIG_LOGDIRTY_NONE) {
		enter_suspend(m, ev->now_ns, out);
		return;
	}
	m->ctl.rounds++;
	enter(m, MIG_SRC_PASS, ev->now_ns);
	pass(m, MIG_PASS_LIVE, out);
}

static void enter_doubt(struct mig_source *m, uint64_t now)
{
	m->state = MIG_SRC_DOUBT;
	m->retry_ns = now;
	if (m->reason == MIG_REASON_NONE)
		m->reason = MIG_REASON_LINK;
}

static void maybe_final(struct mig_source *m, uint64_t now, struct mig_actions *out)
{
	if (m->state != MIG_SRC_SUSPEND || m->final_sent || !m->final_passed || !m->state_sent || !m->final_hashed)
		return;
	m->final_sent = true;
	enter(m, MIG_SRC_FINAL, now);
	mig_act_send(out, MIG_MSG_FINAL, m->generation_new);
}

static void hv_failed(struct mig_source *m, const struct mig_event *ev, struct mig_actions *out)
{
	switch (ev->hv.op) {
	case MIG_HV_LOGDIRTY_DISABLE:
	case MIG_HV_THROTTLE:
	case MIG_HV_AUDIT:
		return; /* comfort, not correctness */
	case MIG_HV_SUSPEND:
		m->suspended = false;
		break;
	case MIG_HV_RELINQUISH:
		/* hvdom answered: it still owns the domain */
		undo(m, MIG_REASON_SOURCE_HVDOM, true, out);
		return;
	case MIG_HV_RECLAIM:
		enter_doubt(m, ev->now_ns);
		m->retry_ns = ev->now_ns + RESOLVE_NS;
		return;
	case MIG_HV_DESTROY_MOVED:
		/* it runs there; a copy that cannot run is a leftover, not a failure */
		mig_act_send(out, MIG_MSG_DONE, m->generation_new);
		mig_act(out, MIG_ACT_FORGET);
		finish(m, m->ended_there ? MIG_OUTCOME_FAILED : MIG_OUTCOME_COMPLETED, out);
		return;
	default:
		break;
	}
	if (m->state < MIG_SRC_RELINQUISH)
		undo(m, MIG_REASON_SOURCE_HVDOM, true, out);
	else if (m->state == MIG_SRC_RECLAIM) {
		mig_act(out, MIG_ACT_FORGET);
		finish(m, MIG_OUTCOME_FAILED, out);
	}
}

static void hv_done(struct mig_source *m, const struct mig_event *ev, struct mig_actions *out)
{
	switch (ev->hv.op) {
	case MIG_HV_LOGDIRTY_ENABLE:
		if (m->state != MIG_SRC_ARM)
			return;
		m->mode = (enum mig_logdirty)ev->hv.v0;
		m->armed_ns = ev->now_ns;
		if (m->mode == MIG_LOGDIRTY_NONE)
			enter_suspend(m, ev->now_ns, out);
		else
			mig_act_hv(out, MIG_HV_CLEAN, 0);
		return;
	case MIG_HV_CLEAN:
		if (m->state == MIG_SRC_ARM || m->state == MIG_SRC_CLEAN)
			harvested(m, ev->hv.v0, ev->now_ns, out);
		else if (m->state == MIG_SRC_SUSPEND) {
			m->final_cleaned = true;
			/* not with the others: its answer takes the place of CLEAN's in the shared bitmap, which is harvested now */
			if (m->cfg.audit)
				mig_act_hv(out, MIG_HV_AUDIT, 0);
			if (!m->cfg.verify)
				pass(m, MIG_PASS_FINAL, out);
		}
		return;
	case MIG_HV_SUSPEND:
		if (m->state == MIG_SRC_SUSPEND && m->final_cleaned && !m->cfg.verify)
			pass(m, MIG_PASS_FINAL, out);
		return;
	case MIG_HV_AUDIT:
		m->audit_missed = ev->hv.v0;
		return;
	case MIG_HV_MEMHASH:
		m->final_hashed = true;
		maybe_final(m, ev->now_ns, out);
		return;
	case MIG_HV_GET_STATE:
		if (m->state == MIG_SRC_SUSPEND) {
			m->final_captured = true;
			mig_act(out, MIG_ACT_STATE);
			/* capturing may use dead stack of the guest as scratch and put it back: harmless, but a hash sees it */
			if (m->cfg.verify)
				pass(m, MIG_PASS_FINAL, out);
		}
		return;
	case MIG_HV_RELINQUISH:
		if (m->state == MIG_SRC_RELINQUISH) {
			enter(m, MIG_SRC_GO, ev->now_ns);
			mig_act_send(out, MIG_MSG_GO, m->generation_new);
			if (m->link_down)
				enter_doubt(m, ev->now_ns);
		}
		return;
	case MIG_HV_RECLAIM:
		if (m->state == MIG_SRC_RECLAIM)
			mig_act_hv(out, MIG_HV_RESUME, 0);
		return;
	case MIG_HV_RESUME:
		if (m->state == MIG_SRC_RECLAIM) {
			if (m->ctl.throttle_pct)
				mig_act_hv(out, MIG_HV_THROTTLE, 0);
			if (m->logdirty_on)
				mig_act_hv(out, MIG_HV_LOGDIRTY_DISABLE, 0);
			mig_act(out, MIG_ACT_FORGET);
			finish(m, MIG_OUTCOME_FAILED, out);
		}
		return;
	case MIG_HV_DESTROY_MOVED:
		if (m->state == MIG_SRC_DESTROY) {
			mig_act_send(out, MIG_MSG_DONE, m->generation_new);
			mig_act(out, MIG_ACT_FORGET);
			finish(m, m->ended_there ? MIG_OUTCOME_FAILED : MIG_OUTCOME_COMPLETED, out);
		}
		return;
	default:
		return;
	}
}

static void hv_lost(struct mig_source *m, struct mig_actions *out)
{
	m->suspended = m->logdirty_on = false; /* nothing left to undo: hvdom does it, or is dead */
	switch (m->state) {
	case MIG_SRC_IDLE:
	case MIG_SRC_END:
		return;
	case MIG_SRC_RELINQUISH:
		/* it may or may not have become durable: the lease knows, the target reads it */
		m->reason = MIG_REASON_SOURCE_HVDOM;
		mig_act_send(out, MIG_MSG_ABORT, m->generation_new);
		out->a[out->n - 1].msg.reason = m->reason;
		out->a[out->n - 1].msg.check_lease = true;
		mig_act(out, MIG_ACT_FORGET);
		finish(m, MIG_OUTCOME_FAILED, out);
		return;
	case MIG_SRC_GO:
	case MIG_SRC_DOUBT:
		/* ownership is away and the stopped copy is gone: only the target can run it, see that it does */
		m->copy_lost = true;
		return;
	case MIG_SRC_RECLAIM:
		m->reason = MIG_REASON_SOURCE_HVDOM;
		mig_act(out, MIG_ACT_FORGET);
		finish(m, MIG_OUTCOME_FAILED, out);
		return;
	case MIG_SRC_DESTROY:
		mig_act_send(out, MIG_MSG_DONE, m->generation_new);
		mig_act(out, MIG_ACT_FORGET);
		finish(m, m->ended_there ? MIG_OUTCOME_FAILED : MIG_OUTCOME_COMPLETED, out);
		return;
	default:
		undo(m, MIG_REASON_SOURCE_HVDOM, true, out);
	}
}

static void destroy_own(struct mig_source *m, struct mig_actions *out)
{
	if (m->copy_lost) {
		mig_act_send(out, MIG_MSG_DONE, m->generation_new);
		mig_act(out, MIG_ACT_FORGET);
		finish(m, m->ended_there ? MIG_OUTCOME_FAILED : MIG_OUTCOME_COMPLETED, out);
		return;
	}
	m->state = MIG_SRC_DESTROY;
	mig_act_hv(out, MIG_HV_DESTROY_MOVED, 0);
}

static void reclaim(struct mig_source *m, struct mig_actions *out)
{
	if (m->copy_lost) {
		m->reason = MIG_REASON_SOURCE_HVDOM;
		mig_act(out, MIG_ACT_FORGET);
		finish(m, MIG_OUTCOME_FAILED, out);
		return;
	}
	m->state = MIG_SRC_RECLAIM;
	mig_act_hv(out, MIG_HV_RECLAIM, m->generation_new + 1);
}

static void resolved(struct mig_source *m, const struct mig_msg *msg, uint64_t now, struct mig_actions *out)
{
	if (m->state != MIG_SRC_GO && m->state != MIG_SRC_DOUBT)
		return;
	switch (msg->fate) {
	case MIG_FATE_RUNNING:
		/* it is theirs; with a reason: it ran there, and ended */
		m->ended_there = msg->reason == MIG_REASON_TARGET_HVDOM;
		m->reason = m->ended_there ? msg->reason : MIG_REASON_NONE;
		destroy_own(m, out);
		return;
	case MIG_FATE_READY:
		mig_act_send(out, MIG_MSG_GO, m->generation_new);
		enter(m, MIG_SRC_GO, now);
		return;
	case MIG_FATE_GONE:
		if (msg->reason != MIG_REASON_NONE)
			m->reason = msg->reason;
		else if (m->reason == MIG_REASON_NONE)
			m->reason = MIG_REASON_TARGET_HVDOM;
		reclaim(m, out);
		return;
	default:
		return;
	}
}

static void message(struct mig_source *m, const struct mig_event *ev, struct mig_actions *out)
{
	const struct mig_msg *msg = &ev->msg;

	m->heard_ns = ev->now_ns;
	switch (msg->kind) {
	case MIG_MSG_HELLO:
		if (m->state != MIG_SRC_HELLO)
			return;
		if (!msg->version) {
			undo(m, MIG_REASON_PROTOCOL, false, out);
			return;
		}
		enter(m, MIG_SRC_OFFER, ev->now_ns);
		mig_act_send(out, MIG_MSG_OFFER, m->generation_new);
		out->a[out->n - 1].msg.plan_only = m->cfg.plan_only;
		out->a[out->n - 1].msg.stay_paused = m->cfg.stay_paused;
		return;
	case MIG_MSG_ACCEPT:
		if (m->state != MIG_SRC_OFFER)
			return;
		if (m->cfg.plan_only) {
			finish(m, MIG_OUTCOME_COMPLETED, out);
			return;
		}
		enter(m, MIG_SRC_ARM, ev->now_ns);
		m->logdirty_on = true;
		mig_act_hv(out, MIG_HV_LOGDIRTY_ENABLE, m->cfg.logdirty);
		return;
	case MIG_MSG_REFUSE:
		if (m->state == MIG_SRC_OFFER || m->state == MIG_SRC_HELLO)
			undo(m, msg->reason ? msg->reason : MIG_REASON_REFUSED, false, out);
		return;
	case MIG_MSG_ABORT:
		if (m->state < MIG_SRC_RELINQUISH && m->state != MIG_SRC_IDLE)
			undo(m, msg->reason ? msg->reason : MIG_REASON_TARGET_HVDOM, false, out);
		return;
	case MIG_MSG_READY:
		if (m->state != MIG_SRC_FINAL || m->ready)
			return;
		if (msg->generation != m->generation_new) {
			undo(m, MIG_REASON_PROTOCOL, true, out);
			return;
		}
		m->ready = true;
		m->state = MIG_SRC_RELINQUISH;
		mig_act_hv(out, MIG_HV_RELINQUISH, m->generation_new);
		return;
	case MIG_MSG_RUNNING:
		if ((m->state != MIG_SRC_GO && m->state != MIG_SRC_DOUBT) || msg->generation != m->generation_new)
			return;
		m->running_at_ns = msg->running_at_ns;
		m->reason = MIG_REASON_NONE;
		destroy_own(m, out);
		return;
	case MIG_MSG_RESOLVED:
		resolved(m, msg, ev->now_ns, out);
		return;
	default:
		return;
	}
}

static bool waits_for_answer(const struct mig_source *m)
{
	return m->state == MIG_SRC_OFFER || m->state == MIG_SRC_ARM || m->state == MIG_SRC_CLEAN ||
	       m->state == MIG_SRC_FINAL;
}

uint64_t mig_source_deadline_ns(const struct mig_source *m)
{
	uint64_t d = MIG_NEVER, t;

	if (m->state == MIG_SRC_IDLE || m->state == MIG_SRC_END)
		return MIG_NEVER;
	if (m->state == MIG_SRC_DOUBT)
		return m->retry_ns;
	d = m->ping_ns;
	if (m->state < MIG_SRC_RELINQUISH) {
		t = m->state == MIG_SRC_HELLO ? m->started_ns + HELLO_NS : m->heard_ns + SILENCE_NS;
		d = t < d ? t : d;
		t = m->cfg.timeout_ns ? m->started_ns + m->cfg.timeout_ns : MIG_NEVER;
		d = t < d ? t : d;
		t = waits_for_answer(m)           ? m->stage_ns + STAGE_NS
		    : m->state == MIG_SRC_JOURNAL ? m->stage_ns + JOURNAL_NS
		                                  : MIG_NEVER;
		d = t < d ? t : d;
	} else if (m->state == MIG_SRC_GO) {
		t = m->stage_ns + DOUBT_NS;
		d = t < d ? t : d;
	}
	return d;
}

static uint64_t blackout_limit_ns(const struct mig_source *m)
{
	uint64_t t = 20 * m->ctl.allowed_ns;

	return t < BLACKOUT_MIN_NS ? BLACKOUT_MIN_NS : t;
}

static void tick(struct mig_source *m, uint64_t now, struct mig_actions *out)
{
	if (m->state == MIG_SRC_DOUBT) {
		if (now >= m->retry_ns) {
			m->retry_ns = now + RESOLVE_NS;
			m->doubt_asked++;
			mig_act_send(out, MIG_MSG_RESOLVE, m->generation_new);
		}
		return;
	}
	if (m->state < MIG_SRC_RELINQUISH) {
		if (m->state == MIG_SRC_HELLO && now >= m->started_ns + HELLO_NS) {
			undo(m, MIG_REASON_UNREACHABLE, false, out);
			return;
		}
		if (m->cfg.timeout_ns && now >= m->started_ns + m->cfg.timeout_ns) {
			undo(m, MIG_REASON_TIMEOUT, true, out);
			return;
		}
		if (m->state > MIG_SRC_HELLO && now >= m->heard_ns + SILENCE_NS) {
			undo(m, MIG_REASON_LINK, true, out);
			return;
		}
		if (waits_for_answer(m) && now >= m->stage_ns + STAGE_NS) {
			undo(m,
			     m->state == MIG_SRC_OFFER   ? MIG_REASON_LINK
			     : m->state == MIG_SRC_FINAL ? MIG_REASON_BLACKOUT
			                                 : MIG_REASON_SOURCE_HVDOM,
			     true, out);
			return;
		}
		if (m->state == MIG_SRC_JOURNAL && now >= m->stage_ns + JOURNAL_NS) {
			undo(m, MIG_REASON_JOURNAL, true, out);
			return;
		}
		if (m->suspend_ns && m->mode != MIG_LOGDIRTY_NONE && now >= m->suspend_ns + blackout_limit_ns(m)) {
			undo(m, MIG_REASON_BLACKOUT, true, out);
			return;
		}
	} else if (m->state == MIG_SRC_GO && now >= m->stage_ns + DOUBT_NS) {
		enter_doubt(m, now);
		tick(m, now, out);
		return;
	}
	if (now >= m->ping_ns) {
		m->ping_ns = now + PING_NS;
		mig_act_send(out, MIG_MSG_PING, 0);
	}
}

static void pass_done(struct mig_source *m, const struct mig_event *ev, struct mig_actions *out)
{
	m->pages_data += ev->pass.pages_data;
	m->pages_zero += ev->pass.pages_zero;
	m->octets += ev->pass.octets;
	if (m->state == MIG_SRC_PASS) {
		mig_ctl_sent(&m->ctl, ev->pass.pages_data, ev->pass.octets, ev->pass.busy_ns);
		enter(m, MIG_SRC_CLEAN, ev->now_ns);
		mig_act_hv(out, MIG_HV_CLEAN, 0);
	} else if (m->state == MIG_SRC_SUSPEND) {
		m->final_passed = true;
		maybe_final(m, ev->now_ns, out);
	}
}

static void operator_says(struct mig_source *m, bool local, struct mig_actions *out)
{
	if (m->state != MIG_SRC_DOUBT && m->state != MIG_SRC_GO)
		return;
	m->reason = MIG_REASON_OPERATOR;
	if (local)
		reclaim(m, out);
	else
		destroy_own(m, out);
}

void mig_source_step(struct mig_source *m, const struct mig_event *ev, struct mig_actions *out)
{
	out->n = 0;
	if (m->state == MIG_SRC_END || (m->state == MIG_SRC_IDLE && ev->kind != MIG_EV_START))
		return;
	switch (ev->kind) {
	case MIG_EV_START:
		m->started_ns = m->heard_ns = ev->now_ns;
		m->ping_ns = ev->now_ns + PING_NS;
		if (m->state == MIG_SRC_DOUBT) {
			m->retry_ns = ev->now_ns;
			tick(m, ev->now_ns, out);
		} else if (m->state == MIG_SRC_IDLE) {
			m->state = MIG_SRC_HELLO;
			mig_act_send(out, MIG_MSG_HELLO, 0);
		}
		break;
	case MIG_EV_MSG:
		message(m, ev, out);
		break;
	case MIG_EV_HV:
		if (ev->hv.status < 0)
			hv_failed(m, ev, out);
		else
			hv_done(m, ev, out);
		break;
	case MIG_EV_HV_LOST:
		hv_lost(m, out);
		break;
	case MIG_EV_PASS_DONE:
		pass_done(m, ev, out);
		break;
	case MIG_EV_PASS_FAILED:
		if (m->state < MIG_SRC_RELINQUISH)
			undo(m, ev->reason ? ev->reason : MIG_REASON_DATA, true, out);
		break;
	case MIG_EV_STATE_SENT:
		if (m->state == MIG_SRC_SUSPEND) {
			m->state_sent = true;
			maybe_final(m, ev->now_ns, out);
		}
		break;
	case MIG_EV_JOURNALED:
		journaled(m, ev, out);
		break;
	case MIG_EV_TICK:
		tick(m, ev->now_ns, out);
		break;
	case MIG_EV_CANCEL:
		if (mig_source_cancellable(m))
			undo(m, ev->reason ? ev->reason : MIG_REASON_CANCELLED, true, out);
		break;
	case MIG_EV_LINK_DOWN:
		m->link_down = true;
		if (m->state == MIG_SRC_GO)
			enter_doubt(m, ev->now_ns);
		else if (m->state > MIG_SRC_HELLO && m->state < MIG_SRC_RELINQUISH)
			undo(m, MIG_REASON_LINK, true, out);
		break;
	case MIG_EV_OPERATOR:
		operator_says(m, ev->op_local, out);
		break;
	default:
		break;
	}
}
