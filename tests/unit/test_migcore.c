/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Migration cores: what tests/sim found. Everything else is tests/sim's and tests/scenario's. */
#include "config.h"
#include "tests/unit/testutil.h"
#include "migrated/core/source.h"
#include "migrated/core/target.h"

static struct mig_actions acts;

static void step(struct mig_source *m, struct mig_event ev)
{
	ev.now_ns = MIG_S;
	mig_source_step(m, &ev, &acts);
}

static void hears(struct mig_source *m, enum mig_msg_kind kind)
{
	step(m, (struct mig_event){ .kind = MIG_EV_MSG, .msg = { .kind = kind, .version = 1 } });
}

static void hv_answers(struct mig_source *m, enum mig_hv op, uint64_t v0)
{
	step(m, (struct mig_event){ .kind = MIG_EV_HV, .hv = { .op = op, .v0 = v0 } });
}

/* Up to SUSPEND; the guest is stopped, its state is captured. */
static void suspend(struct mig_source *m)
{
	struct mig_source_config cfg = { .generation = 7, .ctl = { .downtime_ns = MIG_S, .rounds_max = 5 } };

	mig_source_init(m, &cfg);
	step(m, (struct mig_event){ .kind = MIG_EV_START });
	hears(m, MIG_MSG_HELLO);
	hears(m, MIG_MSG_ACCEPT);
	hv_answers(m, MIG_HV_LOGDIRTY_ENABLE, MIG_LOGDIRTY_NONE);
	step(m, (struct mig_event){ .kind = MIG_EV_JOURNALED, .journal = { .rec = MIG_REC_RELINQUISHING } });
	hv_answers(m, MIG_HV_SUSPEND, 0);
	hv_answers(m, MIG_HV_GET_STATE, 100);
	assert_int_equal(m->state, MIG_SRC_SUSPEND);
}

static int action_at(enum mig_act_kind kind)
{
	for (size_t i = 0; i < acts.n; i++)
		if (acts.a[i].kind == kind)
			return (int)i;
	return -1;
}

static int hv_at(enum mig_hv op)
{
	for (size_t i = 0; i < acts.n; i++)
		if (acts.a[i].kind == MIG_ACT_HV && acts.a[i].hv.op == op)
			return (int)i;
	return -1;
}

static void test_called_off_before_final(void **state)
{
	struct mig_source m;
	(void)state;

	suspend(&m);
	step(&m, (struct mig_event){ .kind = MIG_EV_CANCEL });
	assert_int_equal(m.state, MIG_SRC_END);
	assert_true(action_at(MIG_ACT_FORGET) >= 0);
	assert_int_equal(action_at(MIG_ACT_JOURNAL), -1);
	assert_false(m.must_tell);
}

/* The target may be READY: it must be told, and a restart must not take a later session's copy for this one's. */
static void test_called_off_after_final(void **state)
{
	struct mig_source m;
	(void)state;

	suspend(&m);
	step(&m, (struct mig_event){ .kind = MIG_EV_PASS_DONE });
	step(&m, (struct mig_event){ .kind = MIG_EV_STATE_SENT });
	assert_int_equal(m.state, MIG_SRC_FINAL);
	step(&m, (struct mig_event){ .kind = MIG_EV_CANCEL });
	assert_int_equal(m.state, MIG_SRC_END);
	assert_true(m.must_tell);
	assert_int_equal(action_at(MIG_ACT_FORGET), -1);
	int j = action_at(MIG_ACT_JOURNAL);
	assert_true(j >= 0 && j < action_at(MIG_ACT_FINISH));
	assert_int_equal(acts.a[j].rec, MIG_REC_CALLED_OFF);
}

/* With stop-and-copy the blackout has no limit, the wait for Ready has one: a restore that hangs must not keep the guest stopped. */
static void test_ready_never_comes(void **state)
{
	struct mig_source m;
	(void)state;

	suspend(&m);
	step(&m, (struct mig_event){ .kind = MIG_EV_PASS_DONE });
	step(&m, (struct mig_event){ .kind = MIG_EV_STATE_SENT });
	for (unsigned i = 0; i < 40 && m.state == MIG_SRC_FINAL; i++) {
		struct mig_event pong = { .kind = MIG_EV_MSG,
			                  .now_ns = (2 + i) * MIG_S,
			                  .msg = { .kind = MIG_MSG_PONG } },
				 tick = { .kind = MIG_EV_TICK, .now_ns = (2 + i) * MIG_S };
		mig_source_step(&m, &pong, &acts);
		mig_source_step(&m, &tick, &acts);
	}
	assert_int_equal(m.state, MIG_SRC_END);
	assert_int_equal(m.reason, MIG_REASON_BLACKOUT);
	int r = action_at(MIG_ACT_HV);
	assert_true(r >= 0 && acts.a[r].hv.op == MIG_HV_RESUME);
}

/* Rounds until the core has enough of them. */
static void rounds(struct mig_source *m)
{
	for (unsigned i = 0; i < 8 && (m->state == MIG_SRC_PASS || m->state == MIG_SRC_CLEAN); i++)
		step(m, m->state == MIG_SRC_CLEAN
		                ? (struct mig_event){ .kind = MIG_EV_HV, .hv = { .op = MIG_HV_CLEAN } }
		                : (struct mig_event){ .kind = MIG_EV_PASS_DONE });
}

/* Up to the record that must be durable before the guest is stopped; it runs, and log-dirty goes on. */
static void relinquishing(struct mig_source *m)
{
	struct mig_source_config cfg = { .generation = 7, .ctl = { .downtime_ns = MIG_S, .rounds_max = 5 } };

	mig_source_init(m, &cfg);
	step(m, (struct mig_event){ .kind = MIG_EV_START });
	hears(m, MIG_MSG_HELLO);
	hears(m, MIG_MSG_ACCEPT);
	hv_answers(m, MIG_HV_LOGDIRTY_ENABLE, MIG_LOGDIRTY_RECORD);
	hv_answers(m, MIG_HV_CLEAN, 1000);
	rounds(m);
	assert_int_equal(m->state, MIG_SRC_JOURNAL);
	assert_int_equal(acts.n, 1);
	assert_int_equal(acts.a[0].kind, MIG_ACT_JOURNAL);
	assert_int_equal(acts.a[0].rec, MIG_REC_RELINQUISHING);
}

static void journaled(struct mig_source *m, uint64_t at_ns, int status)
{
	struct mig_event ev = { .kind = MIG_EV_JOURNALED,
		                .now_ns = at_ns,
		                .journal = { .rec = MIG_REC_RELINQUISHING, .status = status } };

	mig_source_step(m, &ev, &acts);
}

/* SUSPEND comes after the record; if the disk took long, after a round with what the guest wrote meanwhile; and the record is one. */
static void test_suspend_waits_for_the_journal(void **state)
{
	struct mig_source m;
	(void)state;

	relinquishing(&m);
	journaled(&m, MIG_S + MIG_MS, 0);
	assert_int_equal(m.state, MIG_SRC_SUSPEND);
	assert_true(hv_at(MIG_HV_SUSPEND) >= 0);

	relinquishing(&m);
	journaled(&m, 3 * MIG_S, 0);
	assert_int_equal(m.state, MIG_SRC_PASS);
	assert_int_equal(hv_at(MIG_HV_SUSPEND), -1);
	rounds(&m);
	assert_int_equal(m.state, MIG_SRC_SUSPEND);
	assert_int_equal(action_at(MIG_ACT_JOURNAL), -1);
	assert_true(hv_at(MIG_HV_SUSPEND) >= 0);
}

/* A disk that fails or hangs: given up while the guest runs, and nothing is left of the record. */
static void test_journal_that_hangs(void **state)
{
	struct mig_source m;
	(void)state;

	relinquishing(&m);
	journaled(&m, 2 * MIG_S, -5);
	assert_int_equal(m.state, MIG_SRC_END);
	assert_int_equal(m.reason, MIG_REASON_JOURNAL);

	relinquishing(&m);
	for (unsigned i = 0; i < 200 && m.state == MIG_SRC_JOURNAL; i++) {
		struct mig_event pong = { .kind = MIG_EV_MSG,
			                  .now_ns = MIG_S + i * 100 * MIG_MS,
			                  .msg = { .kind = MIG_MSG_PONG } },
				 tick = { .kind = MIG_EV_TICK, .now_ns = pong.now_ns };
		mig_source_step(&m, &pong, &acts);
		mig_source_step(&m, &tick, &acts);
	}
	assert_int_equal(m.state, MIG_SRC_END);
	assert_int_equal(m.reason, MIG_REASON_JOURNAL);
	assert_int_equal(hv_at(MIG_HV_RESUME), -1); /* it was never stopped */
	assert_true(action_at(MIG_ACT_FORGET) >= 0);
	assert_true(action_at(MIG_ACT_SEND) >= 0);
}

static enum mig_fate asked(struct mig_target *t, uint64_t now)
{
	struct mig_event ev = { .kind = MIG_EV_MSG,
		                .now_ns = now,
		                .msg = { .kind = MIG_MSG_RESOLVE, .generation = 8 } };

	mig_target_step(t, &ev, &acts);
	assert_int_equal(acts.n, 1);
	return acts.a[0].msg.kind == MIG_MSG_RUNNING ? MIG_FATE_RUNNING : acts.a[0].msg.fate;
}

/* After a restart: it runs here, but nobody hears of that before TAKEN is durable. */
static void test_running_is_said_when_taken_is_durable(void **state)
{
	struct mig_target t;
	struct mig_event ev = { .kind = MIG_EV_START, .now_ns = MIG_S };
	(void)state;

	mig_target_init_recover(&t, 8, false, MIG_REC_READY, true, false);
	mig_target_step(&t, &ev, &acts);
	assert_int_equal(acts.a[0].rec, MIG_REC_TAKEN);
	assert_int_equal(asked(&t, 2 * MIG_S), MIG_FATE_BUSY);
	ev = (struct mig_event){ .kind = MIG_EV_JOURNALED,
		                 .now_ns = 3 * MIG_S,
		                 .journal = { .rec = MIG_REC_TAKEN, .status = -5 } };
	mig_target_step(&t, &ev, &acts);
	assert_int_equal(asked(&t, 3 * MIG_S), MIG_FATE_BUSY);
	ev = (struct mig_event){ .kind = MIG_EV_TICK, .now_ns = mig_target_deadline_ns(&t) };
	assert_true(ev.now_ns < 10 * MIG_S);
	mig_target_step(&t, &ev, &acts);
	assert_int_equal(acts.a[0].rec, MIG_REC_TAKEN);
	ev = (struct mig_event){ .kind = MIG_EV_JOURNALED, .now_ns = 5 * MIG_S, .journal = { .rec = MIG_REC_TAKEN } };
	mig_target_step(&t, &ev, &acts);
	assert_int_equal(asked(&t, 6 * MIG_S), MIG_FATE_RUNNING);
}

/* A full disk: GONE is written later, whoever asks or does not. */
static void test_gone_is_written_later(void **state)
{
	struct mig_target t;
	struct mig_event ev = { .kind = MIG_EV_START, .now_ns = MIG_S };
	(void)state;

	mig_target_init_recover(&t, 8, false, MIG_REC_READY, false, false);
	mig_target_step(&t, &ev, &acts);
	assert_int_equal(acts.a[0].kind, MIG_ACT_JOURNAL);
	ev = (struct mig_event){ .kind = MIG_EV_JOURNALED,
		                 .now_ns = MIG_S,
		                 .journal = { .rec = MIG_REC_GONE, .status = -28 } };
	mig_target_step(&t, &ev, &acts);
	assert_int_equal(t.state, MIG_TGT_NOTE);
	ev = (struct mig_event){ .kind = MIG_EV_TICK, .now_ns = mig_target_deadline_ns(&t) };
	assert_true(ev.now_ns < 10 * MIG_S);
	mig_target_step(&t, &ev, &acts);
	assert_int_equal(acts.a[0].rec, MIG_REC_GONE);
	assert_true(mig_target_deadline_ns(&t) == MIG_NEVER);
	ev = (struct mig_event){ .kind = MIG_EV_JOURNALED, .now_ns = 3 * MIG_S, .journal = { .rec = MIG_REC_GONE } };
	mig_target_step(&t, &ev, &acts);
	assert_int_equal(t.state, MIG_TGT_END);
	assert_int_equal(mig_target_fate(&t), MIG_FATE_GONE);
}

/* AUDIT's answer takes the place of CLEAN's in the bitmap that hvdom shares with us: it is asked for when that was harvested. */
static void test_audit_waits_for_the_harvest(void **state)
{
	struct mig_source_config cfg = {
		.generation = 7, .audit = true, .verify = true, .ctl = { .downtime_ns = MIG_S, .rounds_max = 5 }
	};
	struct mig_source m;
	(void)state;

	mig_source_init(&m, &cfg);
	step(&m, (struct mig_event){ .kind = MIG_EV_START });
	hears(&m, MIG_MSG_HELLO);
	hears(&m, MIG_MSG_ACCEPT);
	hv_answers(&m, MIG_HV_LOGDIRTY_ENABLE, MIG_LOGDIRTY_RECORD);
	hv_answers(&m, MIG_HV_CLEAN, 1000);
	for (unsigned i = 0; i < 8 && m.state != MIG_SRC_SUSPEND; i++)
		step(&m,
		     m.state == MIG_SRC_CLEAN ? (struct mig_event){ .kind = MIG_EV_HV, .hv = { .op = MIG_HV_CLEAN } }
		     : m.state == MIG_SRC_JOURNAL ? (struct mig_event){ .kind = MIG_EV_JOURNALED,
		                                                        .journal = { .rec = MIG_REC_RELINQUISHING } }
		                                  : (struct mig_event){ .kind = MIG_EV_PASS_DONE });
	assert_int_equal(m.state, MIG_SRC_SUSPEND);
	assert_true(hv_at(MIG_HV_SUSPEND) >= 0 && hv_at(MIG_HV_SUSPEND) < hv_at(MIG_HV_CLEAN));
	assert_int_equal(hv_at(MIG_HV_AUDIT), -1);
	hv_answers(&m, MIG_HV_SUSPEND, 0);
	assert_int_equal(hv_at(MIG_HV_AUDIT), -1);
	hv_answers(&m, MIG_HV_CLEAN, 3);
	assert_true(hv_at(MIG_HV_AUDIT) >= 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_called_off_before_final),
		cmocka_unit_test(test_called_off_after_final),
		cmocka_unit_test(test_ready_never_comes),
		cmocka_unit_test(test_gone_is_written_later),
		cmocka_unit_test(test_audit_waits_for_the_harvest),
		cmocka_unit_test(test_suspend_waits_for_the_journal),
		cmocka_unit_test(test_journal_that_hangs),
		cmocka_unit_test(test_running_is_said_when_taken_is_durable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
