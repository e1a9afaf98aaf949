/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The language of the migration state machines: numbers of the protocol, messages, events and actions. Both machines are pure: no clock,
 * I/O, allocation, threads or globals; time arrives in the event (nanoseconds, monotonic). The specification is docs/wire/migration.md;
 * migrated/io/ carries out the actions.
 *
 * Ordering: actions are carried out in the order given. Where something must be durable before it is sent, the machine waits for
 * MIG_EV_JOURNALED after MIG_ACT_JOURNAL. Hypercalls of one session are answered in order.
 */
#ifndef HOSPES_MIGRATED_CORE_MIG_H
#define HOSPES_MIGRATED_CORE_MIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MIG_VERSION     1u
#define MIG_VERSION_MIN 1u /* the oldest version that is accepted */
#define MIG_PORT        4919u
#define MIG_STREAMS_MAX 8u
#define MIG_REGIONS_MAX 4u
#define MIG_ACTIONS_MAX 16u

#define MIG_CAP_LZ4            1ull
#define MIG_CAP_MEMHASH        4ull
#define MIG_CAP_SEAL_AES128OCB 8ull
#define MIG_CAPS               (MIG_CAP_LZ4 | MIG_CAP_MEMHASH | MIG_CAP_SEAL_AES128OCB)
#define MIG_CAPS_NEEDED        MIG_CAP_SEAL_AES128OCB

#define MIG_NEVER UINT64_MAX
#define MIG_MS    1000000ull
#define MIG_S     1000000000ull

/* Why a migration did not happen. Numbers are on the wire: never reused. */
enum mig_reason {
	MIG_REASON_NONE = 0,
	MIG_REASON_UNREACHABLE = 1,    /* no answer from the peer */
	MIG_REASON_PROTOCOL = 2,       /* versions or capabilities do not match, or a message is invalid */
	MIG_REASON_AUTH = 3,           /* a key is not pinned */
	MIG_REASON_REFUSED = 4,        /* preflight failed; the text says why */
	MIG_REASON_CANCELLED = 5,      /* by order */
	MIG_REASON_TIMEOUT = 6,        /* --timeout */
	MIG_REASON_LINK = 7,           /* the peer fell silent */
	MIG_REASON_NO_CONVERGENCE = 8, /* the guest writes faster than the wire carries */
	MIG_REASON_SOURCE_HVDOM = 9,   /* a hypercall failed on the source, or its hvdom died */
	MIG_REASON_TARGET_HVDOM = 10,  /* the same on the target */
	MIG_REASON_DATA = 11,          /* frames were lost, damaged, or too many */
	MIG_REASON_JOURNAL = 12,       /* a record could not be made durable */
	MIG_REASON_BLACKOUT = 13,      /* the switchover took too long and was called off */
	MIG_REASON_TAKE = 14,          /* the target could not take ownership */
	MIG_REASON_DAEMON = 15,        /* the daemon stopped or restarted */
	MIG_REASON_OPERATOR = 16,      /* settled by vmmig resolve */
	MIG_REASON_GUEST = 17,         /* the guest rebooted, crashed or ended meanwhile, by itself or by order */
	MIG_REASON_MAX
};

/* What became of a generation at the target. Numbers are on the wire. */
enum mig_fate {
	MIG_FATE_NONE = 0,
	MIG_FATE_RUNNING = 1,
	MIG_FATE_READY = 2,
	MIG_FATE_GONE = 3,
	MIG_FATE_BUSY = 4,
	MIG_FATE_MAX
};

/* Message kinds: the field numbers of Envelope.body. */
enum mig_msg_kind {
	MIG_MSG_HELLO = 10,
	MIG_MSG_OFFER = 12,
	MIG_MSG_ACCEPT = 13,
	MIG_MSG_REFUSE = 14,
	MIG_MSG_FINAL = 15,
	MIG_MSG_READY = 16,
	MIG_MSG_GO = 17,
	MIG_MSG_RUNNING = 18,
	MIG_MSG_ABORT = 19,
	MIG_MSG_RESOLVE = 20,
	MIG_MSG_RESOLVED = 21,
	MIG_MSG_PING = 22,
	MIG_MSG_PONG = 23,
	MIG_MSG_DONE = 24,
};

/* The part of a message that the machines use; the I/O layer keeps the rest (XML, texts, counters). */
struct mig_msg {
	enum mig_msg_kind kind;
	uint64_t generation;
	enum mig_reason reason;
	enum mig_fate fate;
	bool check_lease;       /* Abort */
	bool plan_only;         /* Offer */
	bool stay_paused;       /* Offer, Running */
	uint32_t version;       /* Hello: the version agreed on, 0: none */
	uint64_t caps;          /* Hello: of the peer */
	uint64_t running_at_ns; /* Running: by the target's clock */
};

/*
 * Journal records; RELINQUISHING and CALLED_OFF are the source's, the others are the target's. CALLED_OFF: this session did not give the
 * domain away and never will, but the target does not know that yet.
 */
enum mig_record { MIG_REC_RELINQUISHING = 1, MIG_REC_READY = 2, MIG_REC_TAKEN = 3, MIG_REC_GONE = 4, MIG_REC_CALLED_OFF = 5 };

enum mig_pass { MIG_PASS_LIVE = 1, MIG_PASS_FINAL = 2 };

/* Log-dirty modes, HV_LOGDIRTY_* of hypervisor/api/hypercall.h. */
enum mig_logdirty { MIG_LOGDIRTY_RECORD = 1, MIG_LOGDIRTY_COMPARE = 2, MIG_LOGDIRTY_NONE = 3 };

/* Hypercalls of the machines; pump.c maps them to HV_OP_*. v0, v1: parameters and results. */
enum mig_hv {
	MIG_HV_LOGDIRTY_ENABLE = 1, /* v0: mode wished for, 0: any; reply v0: mode */
	MIG_HV_CLEAN,               /* reply v0: dirty pages, v1: scan_ns */
	MIG_HV_LOGDIRTY_DISABLE,
	MIG_HV_THROTTLE, /* v0: percent */
	MIG_HV_SUSPEND,
	MIG_HV_RESUME,     /* reply v0: running_at_ns */
	MIG_HV_GET_STATE,  /* reply v0: octets; the I/O layer keeps the state */
	MIG_HV_RELINQUISH, /* v0: generation; owner: the target */
	MIG_HV_RECLAIM,    /* v0: generation; owner: this host */
	MIG_HV_DESTROY_MOVED,
	MIG_HV_SET_STATE,
	MIG_HV_TAKE,  /* v0: generation; owner: this host */
	MIG_HV_PAUSE, /* in place of RESUME for stay_paused */
	MIG_HV_ANNOUNCE,
	MIG_HV_LEASE,   /* reply v0: generation; lease_owner: owner */
	MIG_HV_AUDIT,   /* reply v0: pages that log-dirty missed */
	MIG_HV_MEMHASH, /* --verify; the I/O layer keeps the hash for Final */
	MIG_HV_MAX
};

enum mig_lease_owner { MIG_LEASE_UNKNOWN = 0, MIG_LEASE_SELF = 1, MIG_LEASE_PEER = 2, MIG_LEASE_OTHER = 3 };

enum mig_ev_kind {
	MIG_EV_START = 1, /* source: begin */
	MIG_EV_MSG,       /* a message of this session arrived: msg */
	MIG_EV_HV,        /* a hypercall was answered: hv.op, hv.status (0, -errno), results */
	MIG_EV_HV_LOST,   /* the connection to hvdom ended; hv.status < 0: before it read the last request */
	MIG_EV_PASS_DONE, /* source: a round is over. LIVE: its frames are acknowledged. FINAL: they are handed to the socket */
	MIG_EV_PASS_FAILED,
	MIG_EV_STATE_SENT, /* source: the frames of the state are handed to the socket */
	MIG_EV_JOURNALED,  /* journal.status: 0: the record is durable, else -errno */
	MIG_EV_TICK,       /* the deadline passed */
	MIG_EV_CANCEL,     /* for reason */
	MIG_EV_LINK_DOWN,  /* the connection to the peer ended */
	MIG_EV_PREFLIGHT,  /* target: the preflight is over; reason NONE: it passed */
	MIG_EV_SPAWNED,    /* target: the incoming hvdom is ready and its memory mapped; reason not NONE: it failed */
	MIG_EV_DATA_DONE,  /* target: all frames that Final counted are written */
	MIG_EV_DATA_BAD,   /* target: a frame was invalid */
	MIG_EV_ENDED,      /* target: the incoming hvdom is gone for certain (after MIG_ACT_KILL) */
	MIG_EV_OPERATOR,   /* vmmig resolve; op_local: this host keeps the domain */
};

struct mig_event {
	enum mig_ev_kind kind;
	uint64_t now_ns;
	struct mig_msg msg; /* MSG */
	struct {
		enum mig_hv op;
		int status;
		uint64_t v0, v1;
		enum mig_lease_owner lease_owner;
	} hv; /* HV */
	struct {
		uint64_t pages_data, pages_zero, octets, busy_ns;
	} pass; /* PASS_DONE */
	struct {
		enum mig_record rec;
		int status;
	} journal;              /* JOURNALED */
	enum mig_reason reason; /* CANCEL, PREFLIGHT, SPAWNED, PASS_FAILED */
	bool op_local;          /* OPERATOR */
};

enum mig_outcome { MIG_OUTCOME_NONE = 0, MIG_OUTCOME_COMPLETED, MIG_OUTCOME_FAILED, MIG_OUTCOME_CANCELLED };

enum mig_act_kind {
	MIG_ACT_SEND = 1,  /* send msg to the peer; a failure is silence */
	MIG_ACT_HV,        /* issue hypercall hv.op with hv.v0, also while earlier ones are unanswered -> HV */
	MIG_ACT_PASS,      /* send the pending pages: pass.kind, pass.hash_all -> PASS_DONE, PASS_FAILED */
	MIG_ACT_PASS_STOP, /* stop the round under way, if any; no PASS_DONE follows */
	MIG_ACT_STATE,     /* send the state on the data plane -> STATE_SENT */
	MIG_ACT_JOURNAL,   /* make rec durable -> JOURNALED */
	MIG_ACT_FORGET,    /* delete this session's journal */
	MIG_ACT_PREFLIGHT, /* target: check the offer -> PREFLIGHT */
	MIG_ACT_SPAWN,     /* target: fork hvdom --incoming, map its memory -> SPAWNED */
	MIG_ACT_EXPECT,    /* target: Final counted the frames: wait for them -> DATA_DONE */
	MIG_ACT_KILL,      /* target: end the incoming hvdom for certain -> ENDED */
	MIG_ACT_FINISH,    /* the session is over: outcome, reason */
};

struct mig_action {
	enum mig_act_kind kind;
	struct mig_msg msg;
	struct {
		enum mig_hv op;
		uint64_t v0;
	} hv;
	struct {
		enum mig_pass kind;
		bool hash_all; /* compare every page with what was sent, pending or not */
	} pass;
	enum mig_record rec;
	enum mig_outcome outcome;
	enum mig_reason reason;
};

struct mig_actions {
	struct mig_action a[MIG_ACTIONS_MAX];
	size_t n;
};

/* Names for people and traces; never NULL. */
const char *mig_reason_name(enum mig_reason r);
const char *mig_fate_name(enum mig_fate f);
const char *mig_msg_name(enum mig_msg_kind k);
const char *mig_hv_name(enum mig_hv op);

/* The rule of both sides for versions and capabilities. Returns the version to use, 0: there is none. */
uint32_t mig_version_agree(uint32_t peer_min, uint32_t peer_max, uint64_t peer_caps);

/* Append an action. A full array is a programmer error and asserts. */
struct mig_action *mig_act(struct mig_actions *out, enum mig_act_kind kind);
void mig_act_hv(struct mig_actions *out, enum mig_hv op, uint64_t v0);
void mig_act_send(struct mig_actions *out, enum mig_msg_kind kind, uint64_t generation);

#endif
