/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names, version agreement and action helpers of the migration machines. Pure. */
#include <assert.h>
#include <string.h>
#include "migrated/core/mig.h"

const char *mig_reason_name(enum mig_reason r)
{
	static const char *const names[MIG_REASON_MAX] = {
		[MIG_REASON_NONE] = "none",
		[MIG_REASON_UNREACHABLE] = "unreachable",
		[MIG_REASON_PROTOCOL] = "protocol",
		[MIG_REASON_AUTH] = "auth",
		[MIG_REASON_REFUSED] = "refused",
		[MIG_REASON_CANCELLED] = "cancelled",
		[MIG_REASON_TIMEOUT] = "timeout",
		[MIG_REASON_LINK] = "link",
		[MIG_REASON_NO_CONVERGENCE] = "no-convergence",
		[MIG_REASON_SOURCE_HVDOM] = "source-hvdom",
		[MIG_REASON_TARGET_HVDOM] = "target-hvdom",
		[MIG_REASON_DATA] = "data",
		[MIG_REASON_JOURNAL] = "journal",
		[MIG_REASON_BLACKOUT] = "blackout",
		[MIG_REASON_TAKE] = "take",
		[MIG_REASON_DAEMON] = "daemon",
		[MIG_REASON_OPERATOR] = "operator",
		[MIG_REASON_GUEST] = "guest",
	};

	return (unsigned)r < MIG_REASON_MAX && names[r] ? names[r] : "unknown";
}

const char *mig_fate_name(enum mig_fate f)
{
	static const char *const names[MIG_FATE_MAX] = { "none", "running", "ready", "gone", "busy" };

	return (unsigned)f < MIG_FATE_MAX ? names[f] : "unknown";
}

const char *mig_msg_name(enum mig_msg_kind k)
{
	static const char *const names[] = {
		[MIG_MSG_HELLO] = "hello",     [MIG_MSG_OFFER] = "offer",       [MIG_MSG_ACCEPT] = "accept",
		[MIG_MSG_REFUSE] = "refuse",   [MIG_MSG_FINAL] = "final",       [MIG_MSG_READY] = "ready",
		[MIG_MSG_GO] = "go",           [MIG_MSG_RUNNING] = "running",   [MIG_MSG_ABORT] = "abort",
		[MIG_MSG_RESOLVE] = "resolve", [MIG_MSG_RESOLVED] = "resolved", [MIG_MSG_PING] = "ping",
		[MIG_MSG_PONG] = "pong",       [MIG_MSG_DONE] = "done",
	};

	return (unsigned)k < sizeof(names) / sizeof(names[0]) && names[k] ? names[k] : "unknown";
}

const char *mig_hv_name(enum mig_hv op)
{
	static const char *const names[MIG_HV_MAX] = {
		[MIG_HV_LOGDIRTY_ENABLE] = "logdirty-enable",
		[MIG_HV_CLEAN] = "clean",
		[MIG_HV_LOGDIRTY_DISABLE] = "logdirty-disable",
		[MIG_HV_THROTTLE] = "throttle",
		[MIG_HV_SUSPEND] = "suspend",
		[MIG_HV_RESUME] = "resume",
		[MIG_HV_GET_STATE] = "get-state",
		[MIG_HV_RELINQUISH] = "relinquish",
		[MIG_HV_RECLAIM] = "reclaim",
		[MIG_HV_DESTROY_MOVED] = "destroy-moved",
		[MIG_HV_SET_STATE] = "set-state",
		[MIG_HV_TAKE] = "take",
		[MIG_HV_PAUSE] = "pause",
		[MIG_HV_ANNOUNCE] = "announce",
		[MIG_HV_LEASE] = "lease",
		[MIG_HV_AUDIT] = "audit",
		[MIG_HV_MEMHASH] = "memhash",
	};

	return (unsigned)op < MIG_HV_MAX && names[op] ? names[op] : "unknown";
}

uint32_t mig_version_agree(uint32_t peer_min, uint32_t peer_max, uint64_t peer_caps)
{
	uint32_t v = peer_max < MIG_VERSION ? peer_max : MIG_VERSION;

	if (peer_min > peer_max || v < peer_min || v < MIG_VERSION_MIN ||
	    (peer_caps & MIG_CAPS_NEEDED) != MIG_CAPS_NEEDED)
		return 0;
	return v;
}

struct mig_action *mig_act(struct mig_actions *out, enum mig_act_kind kind)
{
	assert(out->n < MIG_ACTIONS_MAX);
	struct mig_action *a = &out->a[out->n++];

	memset(a, 0, sizeof(*a));
	a->kind = kind;
	return a;
}

void mig_act_hv(struct mig_actions *out, enum mig_hv op, uint64_t v0)
{
	struct mig_action *a = mig_act(out, MIG_ACT_HV);

	a->hv.op = op;
	a->hv.v0 = v0;
}

void mig_act_send(struct mig_actions *out, enum mig_msg_kind kind, uint64_t generation)
{
	struct mig_action *a = mig_act(out, MIG_ACT_SEND);

	a->msg.kind = kind;
	a->msg.generation = generation;
}
