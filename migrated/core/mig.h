/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the migration state machines speak: numbers of the protocol, messages, events and actions. Both machines are pure: no
 * clock, I/O, allocation, threads or globals; time arrives in the event (nanoseconds, monotonic). docs/wire/migration.md is
 * the specification; migrated/io/ carries out the actions.
 *
 * Ordering: actions are carried out in the order given. After MIG_ACT_JOURNAL the core itself waits for MIG_EV_JOURNALED where
 * something must be durable before it is sent; the I/O layer never reorders. Hypercalls of one session are answered in order.
 */
#ifndef HOSPES_MIGRATED_CORE_MIG_H
#define HOSPES_MIGRATED_CORE_MIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MIG_VERSION     1u
#define MIG_VERSION_MIN 1u /* N-1, once there is one */
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
	MIG_REASON_PROTOCOL = 2,       /* versions or capabilities do not meet, or a message made no sense */
	MIG_REASON_AUTH = 3,           /* a key is not pinned */
	MIG_REASON_REFUSED = 4,        /* preflight: the text says what is missing */
	MIG_REASON_CANCELLED = 5,      /* somebody asked */
	MIG_REASON_TIMEOUT = 6,        /* --timeout */
	MIG_REASON_LINK = 7,           /* the peer fell silent */
	MIG_REASON_NO_CONVERGENCE = 8, /* the guest writes faster than the wire carries */
	MIG_REASON_SOURCE_HVDOM = 9,   /* a hypercall failed on the source, or its hvdom died */
	MIG_REASON_TARGET_HVDOM = 10,  /* same on the target */
	MIG_REASON_DATA = 11,          /* frames lost, damaged, or in excess */
	MIG_REASON_JOURNAL = 12,       /* a record could not be made durable */
	MIG_REASON_BLACKOUT = 13,      /* the switchover took too long and was called off */
	MIG_REASON_TAKE = 14,          /* the target could not take ownership */
	MIG_REASON_DAEMON = 15,        /* the daemon stops or restarted */
	MIG_REASON_OPERATOR = 16,      /* settled by vmmig resolve */
	MIG_REASON_GUEST = 17,         /* it rebooted, crashed or ended meanwhile, by itself or by an order */
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

/* The part of a message that the machines look at; the I/O layer keeps the rest (XML, texts, counters). */
struct mig_msg {
	enum mig_msg_kind kind;
	uint64_t generation;
	enum mig_reason reason;
	enum mig_fate fate;
	bool check_lease;       /* Abort */
	bool plan_only;         /* Offer */
	bool stay_paused;       /* Offer, Running */
	bool local_text;        /* Refuse, Abort, Resolved: send the text that the I/O layer has for this session */
	uint32_t version;       /* Hello: the version agreed on, 0: none */
	uint64_t caps;          /* Hello: of the peer */
	uint64_t running_at_ns; /* Running: target's clock */
};

/*
 * Journal records; RELINQUISHING and CALLED_OFF are the source's, the others are the target's. CALLED_OFF: it was not given away in this
 * session and never will be, but the target must still be told; a copy that is given away later is another session's.
 */
enum mig_record { MIG_REC_RELINQUISHING = 1, MIG_REC_READY = 2, MIG_REC_TAKEN = 3, MIG_REC_GONE = 4, MIG_REC_CALLED_OFF = 5 };

enum mig_pass { MIG_PASS_LIVE = 1, MIG_PASS_FINAL = 2 };

/* Log-dirty modes as in hypervisor/api/hypercall.h: by what a collection costs. */
enum mig_logdirty { MIG_LOGDIRTY_RECORD = 1, MIG_LOGDIRTY_COMPARE = 2, MIG_LOGDIRTY_NONE = 3 };

/* Hypercalls the machines ask for; the I/O layer maps them to HV_OP_*. */
enum mig_hv {
	MIG_HV_LOGDIRTY_ENABLE = 1, /* v0 mode wished for; reply v0: mode */
	MIG_HV_CLEAN,               /* reply v0: dirty pages, v1: scan_ns */
	MIG_HV_LOGDIRTY_DISABLE,
	MIG_HV_THROTTLE, /* v0 percent */
	MIG_HV_SUSPEND,
	MIG_HV_RESUME,     /* reply v0: running_at_ns */
	MIG_HV_GET_STATE,  /* reply v0: size; the I/O layer keeps the blob and queues it on the data plane */
	MIG_HV_RELINQUISH, /* v0 generation; owner: the target */
	MIG_HV_RECLAIM,    /* v0 generation; owner: this host */
	MIG_HV_DESTROY_MOVED,
	MIG_HV_SET_STATE,
	MIG_HV_TAKE,  /* v0 generation; owner: this host */
	MIG_HV_PAUSE, /* stay_paused: own it, do not run it */
	MIG_HV_ANNOUNCE,
	MIG_HV_LEASE,   /* reply v0: generation, owner in lease_owner */
	MIG_HV_AUDIT,   /* reply v0: pages missed */
	MIG_HV_MEMHASH, /* --verify: hash all memory; the I/O layer keeps the result for Final */
	MIG_HV_MAX
};

enum mig_lease_owner { MIG_LEASE_UNKNOWN = 0, MIG_LEASE_SELF = 1, MIG_LEASE_PEER = 2, MIG_LEASE_OTHER = 3 };

enum mig_ev_kind {
	MIG_EV_START = 1, /* source: begin */
	MIG_EV_MSG,       /* msg arrived for this session */
	MIG_EV_HV,        /* hypercall answered: hv.op, hv.status (0, -errno), values */
	MIG_EV_HV_LOST,   /* the connection to hvdom ended; hv.status < 0: before it read the last request */
	MIG_EV_PASS_DONE, /* source: the pass is over; LIVE: and all of it is acknowledged; FINAL: all frames are handed over */
	MIG_EV_PASS_FAILED,
	MIG_EV_STATE_SENT, /* source: the state blob's frames are handed over */
	MIG_EV_JOURNALED,  /* journal.status: 0 durable */
	MIG_EV_TICK,       /* the deadline passed */
	MIG_EV_CANCEL,     /* reason says who */
	MIG_EV_LINK_DOWN,  /* the transport saw the connection end */
	MIG_EV_PREFLIGHT,  /* target: done; reason NONE: fine */
	MIG_EV_SPAWNED,    /* target: incoming hvdom ready and mapped; reason NONE: fine */
	MIG_EV_DATA_DONE,  /* target: all frames that Final counted are processed */
	MIG_EV_DATA_BAD,   /* target: a frame was wrong */
	MIG_EV_ENDED,      /* target: the incoming hvdom is certainly gone (after MIG_ACT_KILL) */
	MIG_EV_OPERATOR,   /* vmmig resolve: op_local: this host keeps it */
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
	MIG_ACT_SEND = 1,  /* msg to the peer; failure to send is silence */
	MIG_ACT_HV,        /* issue a hypercall: hv.op, v0; may be issued while earlier ones are unanswered */
	MIG_ACT_PASS,      /* pass.kind, pass.hash_all: send the pending pages */
	MIG_ACT_PASS_STOP, /* stop any pass; no PASS_DONE follows */
	MIG_ACT_STATE,     /* send the state blob on the data plane -> STATE_SENT */
	MIG_ACT_JOURNAL,   /* make rec durable -> JOURNALED */
	MIG_ACT_FORGET,    /* delete the journal of this session */
	MIG_ACT_PREFLIGHT, /* target: check the offer -> PREFLIGHT */
	MIG_ACT_SPAWN,     /* target: fork hvdom --incoming, map -> SPAWNED */
	MIG_ACT_EXPECT,    /* target: tell when the data that Final counted is there -> DATA_DONE */
	MIG_ACT_KILL,      /* target: end the incoming hvdom for certain -> ENDED */
	MIG_ACT_FINISH,    /* outcome, reason: the session is over */
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
		bool hash_all;
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

/* Both sides' version and capability rule. Returns the version to speak, 0 when there is none. */
uint32_t mig_version_agree(uint32_t peer_min, uint32_t peer_max, uint64_t peer_caps);

/* Append helpers; overflow of the fixed array is a programmer error and asserts. */
struct mig_action *mig_act(struct mig_actions *out, enum mig_act_kind kind);
void mig_act_hv(struct mig_actions *out, enum mig_hv op, uint64_t v0);
void mig_act_send(struct mig_actions *out, enum mig_msg_kind kind, uint64_t generation);

#endif
