/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What goes in and out of a node (node.h): messages of its peers, events, actions. docs/wire/cluster.md has the messages. */
#ifndef HOSPES_CLUSTERD_CORE_NODE_MSG_H
#define HOSPES_CLUSTERD_CORE_NODE_MSG_H

#include "clusterd/core/clu.h"

#define CLU_ACTIONS_MAX 16u

enum clu_msg_kind {
	CLU_MSG_HELLO = 1,
	CLU_MSG_OPEN = 2,
	CLU_MSG_SNAPSHOT = 3, /* the I/O layer adds the records. It may send parts, and hands over the last part only, for the whole */
	CLU_MSG_SYNCED = 4,   /* the sender has loaded and stored the snapshot that it needed */
	CLU_MSG_RESYNC = 5,   /* the sender is behind (it came late, or its sum differs) and asks for a snapshot */
	CLU_MSG_BEAT = 6,
	CLU_MSG_CMD = 7,
	CLU_MSG_PROMISE = 8,  /* the sender's promise to serve no lower epoch is on its disk */
};

struct clu_msg {
	enum clu_msg_kind kind;
	uint32_t from;               /* node id, as CPG says, so it cannot be forged */
	uint64_t ring, members_sum;  /* the view in which it was sent: its ring number, and a hash of its members. Not of CMD, SNAPSHOT */
	uint64_t epoch, index, sum;  /* HELLO: the sender's state. OPEN: the new epoch; index and sum of the chosen state. SNAPSHOT: its
	                              * content. SYNCED, BEAT: what is on the sender's disk. PROMISE: epoch */
	uint32_t source;             /* OPEN: node id with the chosen state */
	uint32_t to;                 /* SNAPSHOT: node id of the receiver; 0: all that are behind */
	uint64_t boot;               /* HELLO, BEAT: random id of the sender's clusterd */
	uint64_t promised;           /* HELLO: the highest epoch that the sender promised */
	uint64_t idle_ns;            /* HELLO: since when the sender was in no view that decides; CLU_NEVER: all its life; 0: not
	                              * said (an older version) */
	uint64_t list;               /* HELLO: a hash of the sender's node list; 0: not said (an older version) */
	uint64_t anew;               /* HELLO: the sender has just taken over another node list, the so-manieth of this life: all that go by
	                              * that list begin the view anew at this message. Else 0 */
	uint32_t level;              /* HELLO, SYNCED: the sender's CLU_LEVEL; 0: of the release that does not say it */
	uint64_t seq;                /* BEAT, RESYNC: the sender's count. SNAPSHOT, SYNCED: that of the RESYNC, 0 for OPEN */
	uint64_t lease_ns;           /* BEAT: the lease that the sender takes from it */
	uint64_t clock_ns;           /* BEAT: the sender's CLOCK_BOOTTIME; 0: not said (an older version) */
	uint64_t said[CLU_HOSTS_MAX / 64]; /* OPEN: slots whose HELLO counts */
	uint64_t behind[CLU_HOSTS_MAX / 64]; /* OPEN: slots that have to load the chosen state */
	uint64_t await_ns[CLU_HOSTS_MAX]; /* HELLO: clu_node_awaits() of the sender, by slot: who joins goes on with it */
	uint64_t ack_boot[CLU_HOSTS_MAX], ack_seq[CLU_HOSTS_MAX]; /* BEAT: the highest acknowledged, by slot; 0: none */
	struct clu_cmd cmd;          /* CMD */
};

/* A datagram beside CPG (docs/wire/reach.md): a beat of the sender, and its acknowledgement of the receiver's. */
struct clu_pulse {
	uint32_t from;               /* node id; the I/O layer drops what is not authentic */
	uint64_t boot, seq, lease_ns;
	uint64_t clock_ns;           /* set by the I/O layer: a clock of the sender that advances like CLOCK_BOOTTIME; 0: not said */
	uint64_t ack_boot, ack_seq;  /* the receiver's highest beat that was acknowledged; 0: none */
};

enum clu_ev_kind {
	CLU_EV_VIEW = 1,    /* ring, members; n_members 0: out of the group */
	CLU_EV_MSG,         /* delivered by CPG, own messages too */
	CLU_EV_STORED,      /* epoch, index, promised: as the META record on disk has them */
	CLU_EV_LOADED,      /* after LOAD. ok: the snapshot is in the state and on disk */
	CLU_EV_QUORATE,     /* ok: votequorum says quorate. Needed for decisions and leases besides a majority */
	CLU_EV_TICK,
	CLU_EV_PULSE,       /* a datagram; late, doubled and lost ones do no harm */
};

struct clu_event {
	enum clu_ev_kind kind;
	uint64_t now_ns;             /* CLOCK_BOOTTIME */
	uint64_t tick;               /* a second clock, read at that time or before, in its own units; 0: there is none */
	uint64_t ring;
	const uint32_t *member;      /* VIEW: ascending node ids; borrowed */
	uint32_t n_members;
	const struct clu_msg *msg;   /* MSG; borrowed */
	const struct clu_pulse *pulse; /* PULSE; borrowed */
	uint64_t epoch, index, promised; /* STORED */
	bool ok;                     /* LOADED, QUORATE */
};

enum clu_act_kind {
	CLU_ACT_SEND = 1,   /* send msg: BEAT, HELLO, OPEN, PROMISE, SYNCED or RESYNC */
	CLU_ACT_STORE,      /* make what changed durable, then STORED. It precedes whatever a later call sends because of it */
	CLU_ACT_SNAPSHOT,   /* send the whole state as it is now, as SNAPSHOT to msg.to; msg has epoch, index, sum, seq */
	CLU_ACT_LOAD,       /* replace the state by the snapshot just delivered (clu_state_clear(), records), durably, then LOADED */
	CLU_ACT_BUFFER,     /* keep the command just delivered. After LOADED the kept ones are delivered again, before newer messages */
	CLU_ACT_FORGET,     /* drop the kept commands: the next snapshot is newer */
	CLU_ACT_ANSWER,     /* answer to request, as soon as index is committed */
	CLU_ACT_COMMITTED,  /* everything up to index is committed */
	CLU_ACT_LEASE,      /* tell the guard that domains may run until at_ns (CLOCK_BOOTTIME), and for lease_ns after from_tick by the
	                     * second clock. at_ns only grows */
	CLU_ACT_EXPIRED,    /* the last LEASE expired before its time, because this host's clock had stopped */
	CLU_ACT_CLOCK_STOPPED, /* others' clocks say that this host's clock stood still for about at_ns: warn a person */
	CLU_ACT_SUBMIT,     /* send cmd as a command (WAITED) */
	CLU_ACT_WARN,       /* warn a person with text: a state that differs, a view that cannot decide */
	CLU_ACT_PERMIT,     /* while disarmed, LEASE may be permitted: up to at_ns, and lease_ns after from_tick by the second clock. at_ns
	                     * 0: no longer */
	CLU_ACT_PULSE,      /* send clu_node_pulse() to each other node */
};
struct clu_action {
	enum clu_act_kind kind;
	struct clu_msg msg;
	struct clu_cmd cmd;
	struct clu_answer answer;
	uint64_t request, index, at_ns, from_tick, lease_ns;
	bool permitted;      /* LEASE: by the last PERMIT, and so within its bounds on both clocks */
	char text[CLU_TEXT_MAX];
};
/* To be carried out in this order. The capacity is fixed; an overflow is a programmer error and asserts. */
struct clu_actions { struct clu_action a[CLU_ACTIONS_MAX]; size_t n; };

#endif
