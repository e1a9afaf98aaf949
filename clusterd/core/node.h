/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One node's part in keeping the replicated state: which view it is in, whether that may decide, which commands count, which are
 * committed, until when this host's domains may run, and when a lost host's lease is surely over. Pure, as clu.h.
 *
 * The rules in short; docs/wire/cluster.md has them in full, with the reasons:
 *  - A *view* is a set of clusterds that Corosync's CPG delivers the same messages to in the same order, with a ring number.
 *  - Each member of a new view says HELLO (epoch, index, sum). The lowest of them sends OPEN when all said so, or a majority of all
 *    nodes and 2 s passed. At OPEN everybody knows who has the newest state (highest epoch, then index), and who must load it.
 *  - Members that OPEN names promise, on disk, never to serve a lower epoch; the epoch begins when a majority of all nodes has. So two
 *    epochs never have the same number, and a later one knows all that an earlier one committed.
 *  - Fewer than a majority of all nodes: no OPEN, nothing is decided here.
 *  - Commands between the begin of a view and its activation are dropped by all. An active view applies them as they are delivered.
 *  - A command is *committed* when a majority of all nodes has it on disk. Nothing is done in the world before that.
 *  - Every node sends BEATs: the time of sending stays with the sender; others acknowledge the number while the sender's
 *    HOST_UP is committed and it is ONLINE in their state. A beat that a majority acknowledged lets this host's domains run
 *    until its send time + lease_ns. Beats go through CPG, and as *pulses* beside it, by datagrams that do not wait for Corosync: they are
 *    acknowledged by the state as it was applied last, whatever becomes of views meanwhile.
 *  - A node that acknowledged at time a says WAITED for that host, once LOST, at a + lease + margin or later (its own clock; a daemon
 *    that just started counts from its start). WAITED from a majority makes the host SAFE: one of them acknowledged its last lease.
 * Only rates of clocks matter (margin covers 1 % of drift and the guard's time to kill), never their values.
 */
#ifndef HOSPES_CLUSTERD_CORE_NODE_H
#define HOSPES_CLUSTERD_CORE_NODE_H

#include "clusterd/core/clu.h"

#define CLU_NEVER       UINT64_MAX
#define CLU_ACTIONS_MAX 16u
#define CLU_GATHER_NS   2000000000ull /* how long OPEN waits for members that do not say HELLO, if a majority did */
#define CLU_BEAT_NS     500000000ull  /* at least; lease_ns / 16 when that is more */
#define CLU_PULSE_NS    250000000ull  /* at least; lease_ns / 32 when that is more */

enum clu_msg_kind {
	CLU_MSG_HELLO = 1,
	CLU_MSG_OPEN = 2,
	CLU_MSG_SNAPSHOT = 3, /* the I/O layer adds the records; in parts if need be: it hands over the last one only, as a whole */
	CLU_MSG_SYNCED = 4,   /* the sender has loaded and stored what OPEN wanted of it */
	CLU_MSG_RESYNC = 5,   /* the sender is behind (came late, or its sum differs): snapshot, please */
	CLU_MSG_BEAT = 6,
	CLU_MSG_CMD = 7,
	CLU_MSG_PROMISE = 8,  /* epoch: the sender's promise is on its disk */
};

struct clu_msg {
	enum clu_msg_kind kind;
	uint32_t from;               /* node id, as CPG says: not to be forged */
	uint64_t ring;               /* HELLO, OPEN, SYNCED: the view it belongs to */
	uint64_t members_sum;        /*  and a hash of its members */
	uint64_t epoch, index, sum;  /* HELLO: state of the sender. OPEN: the new epoch; index, sum: of the chosen state. SNAPSHOT: of its
	                              * content. SYNCED, BEAT: what is on the sender's disk */
	uint32_t source;             /* OPEN: node id with the chosen state */
	uint32_t to;                 /* SNAPSHOT: node id it is for; 0: all that are behind */
	uint64_t boot;               /* HELLO, BEAT */
	uint64_t promised;           /* HELLO */
	uint64_t seq;                /* BEAT; RESYNC: counts the sender's; SNAPSHOT, SYNCED: of that RESYNC (0: of OPEN) */
	uint64_t lease_ns;           /* BEAT: what the sender will make of it */
	uint64_t clock_ns;           /* BEAT: the sender's CLOCK_BOOTTIME; 0: of a node of before that was said */
	uint64_t said[CLU_HOSTS_MAX / 64]; /* OPEN: slots whose HELLO counts */
	uint64_t behind[CLU_HOSTS_MAX / 64]; /* OPEN: slots of those that must load */
	uint64_t ack_boot[CLU_HOSTS_MAX], ack_seq[CLU_HOSTS_MAX]; /* BEAT: highest acknowledged, by slot; 0: none */
	struct clu_cmd cmd;          /* CMD */
};

/*
 * What goes beside CPG, from one clusterd to another: a beat of the sender, and its acknowledgement of the receiver's.
 * docs/wire/reach.md
 */
struct clu_pulse {
	uint32_t from;               /* node id: authentic, or the I/O layer drops it */
	uint64_t boot, seq, lease_ns;
	uint64_t clock_ns;           /* a clock of the sender that goes as CLOCK_BOOTTIME does; 0: not said. Set by the I/O layer */
	uint64_t ack_boot, ack_seq;  /* highest beat of the receiver that was acknowledged; 0: none */
};

enum clu_ev_kind {
	CLU_EV_VIEW = 1,    /* ring, members; n_members 0: out of the group */
	CLU_EV_MSG,         /* delivered, own ones too */
	CLU_EV_STORED,      /* epoch, index, promised: as the META record on disk has them */
	CLU_EV_LOADED,      /* the snapshot asked for by ACT_LOAD stands in the state and on disk; ok false: it could not be */
	CLU_EV_QUORATE,     /* corosync's votequorum says on: a further condition for deciding and for leases */
	CLU_EV_TICK,
	CLU_EV_PULSE,       /* pulse came; late, doubled and lost ones do no harm */
};

struct clu_event {
	enum clu_ev_kind kind;
	uint64_t now_ns;             /* CLOCK_BOOTTIME */
	uint64_t tick;               /* a second clock at that time or before, in units that do not matter here; 0: there is none */
	uint64_t ring;
	const uint32_t *member;      /* VIEW: ascending node ids; borrowed */
	uint32_t n_members;
	const struct clu_msg *msg;   /* MSG; borrowed */
	const struct clu_pulse *pulse; /* PULSE; borrowed */
	uint64_t epoch, index, promised; /* STORED */
	bool ok;                     /* LOADED, QUORATE */
};

enum clu_act_kind {
	CLU_ACT_SEND = 1,   /* msg; BEAT, HELLO, OPEN, PROMISE, SYNCED, RESYNC */
	CLU_ACT_STORE,      /* make what changed durable -> STORED. Before anything that follows in later calls is sent for it */
	CLU_ACT_SNAPSHOT,   /* send the whole state as it is now as SNAPSHOT to msg.to; msg has epoch, index, sum, seq */
	CLU_ACT_LOAD,       /* replace the state (clu_state_clear, records) by the snapshot just delivered, make it durable -> LOADED */
	CLU_ACT_BUFFER,     /* keep the command just delivered: after LOADED it is given again, in order, before newer messages */
	CLU_ACT_FORGET,     /* drop what is buffered: the snapshot to come is newer */
	CLU_ACT_ANSWER,     /* to the request of the command just applied, once committed: index, answer */
	CLU_ACT_COMMITTED,  /* everything up to index is committed */
	CLU_ACT_LEASE,      /* this host's domains may run until at_ns (CLOCK_BOOTTIME), and lease_ns from from_tick on by the other clock:
	                     * tell the guard. Only ever grows */
	CLU_ACT_EXPIRED,       /* the lease that was told last is over: this host's clock stood still (STOOD) */
	CLU_ACT_CLOCK_STOPPED,      /* it did so for about at_ns, as others' clocks say: a person should know */
	CLU_ACT_SUBMIT,     /* send cmd as a command (WAITED) */
	CLU_ACT_WARN,       /* text: a person should know (a state that differs, a view that cannot decide) */
	CLU_ACT_PULSE,      /* send clu_node_pulse() to each other node */
};
struct clu_action {
	enum clu_act_kind kind;
	struct clu_msg msg;
	struct clu_cmd cmd;
	struct clu_answer answer;
	uint64_t request, index, at_ns, from_tick, lease_ns;
	char text[CLU_TEXT_MAX];
};
/* Fixed capacity; overflow is a programmer error and asserts. Carried out in the order given. */
struct clu_actions { struct clu_action a[CLU_ACTIONS_MAX]; size_t n; };

enum clu_node_phase {
	CLU_NODE_OUT = 0,    /* in no view */
	CLU_NODE_GATHER = 1, /* HELLOs are exchanged */
	CLU_NODE_OPENED = 2, /* the state is chosen; too few promised, or have it yet */
	CLU_NODE_ACTIVE = 3, /* this view decides */
};

struct clu_peer {
	bool member, said, promises, synced; /* of the view; HELLO came; PROMISE came; has the chosen state */
	uint64_t epoch, index, sum, promised; /* its HELLO */
	uint64_t stored_epoch, stored_index;
	uint64_t resync_seq;         /* of its last RESYNC in this view: only a SYNCED for that counts */
	uint64_t heard_ns;           /* of the view: its last message, or the begin */
	uint64_t ack_seq;            /* highest of my beats that it acknowledged (of this boot of mine) */
	uint64_t seen_boot, seen_seq; /* highest of its beats that I acknowledged */
	uint64_t wait_until_ns;      /* my promise: not before that do I say WAITED */
	uint64_t waited_ns;          /* when I said WAITED last: said again if it does not show */
	/* its HOST_UP that I saw committed, in this life of mine; 0: none. Cleared when my state is in doubt */
	uint64_t up_sure;
	struct clu_clock { /* my clock less its own, when its beats ([0]) and pulses ([1]) came: node_clock.c */
		uint64_t boot, since_ns; /* whose; of the present spell */
		int64_t least[2];        /* of that and the one before */
	} clock[2];
};

#define CLU_BEATS_KEPT 128u
struct clu_node {
	struct clu_state *s;         /* the applied state; shared with the I/O layer, which writes to it only at LOAD */
	uint32_t node;               /* mine */
	uint64_t boot, lease_ns, start_ns;
	uint64_t now_ns, tick;       /* of the last event */
	enum clu_node_phase phase;
	bool quorate;                /* votequorum */
	bool clock_stops;            /* mine may: look at others' */
	uint64_t expires_ns;            /* the lease ends there, sooner than it was told, for my clock stood still; 0: no */
	bool behind;                 /* I wait for a snapshot: commands are buffered */
	bool loading;
	bool begun;                  /* OPENED: a majority promised, the epoch counts */
	uint64_t ring, members_sum, view_ns;
	uint32_t source;             /* OPENED: whose state was chosen */
	bool others_behind;          /* somebody needs its snapshot */
	uint32_t n_members, coordinator; /* lowest node id that is synced and not silent, once ACTIVE */
	uint64_t epoch, commit;      /* of the view; highest index committed in it */
	uint64_t stored_epoch, stored_index, stored_promised;
	uint64_t resync_seq, want_seq, load_seq; /* RESYNCs sent; which of them the snapshot answers that I wait for; that I load */
	uint64_t seq, beat_ns;       /* my last beat or pulse, when the next beat is due */
	uint64_t lease_said_ns, lease_over_ns; /* clu_node_lease() */
	bool pulses;                 /* set by the I/O layer after clu_node_init(): it can send them */
	uint64_t pulse_ns, pulse_seq; /* when the next is due; of the last one */
	/* lease_ns: as it was said with it, so as it is waited out */
	struct { uint64_t seq, sent_ns, tick, lease_ns; } beat[CLU_BEATS_KEPT];
	uint64_t lease_until_ns, renewed_seq; /* by which beat */
	uint64_t hello_ns;           /* when HELLO was sent last in this view; 0: not yet */
	uint64_t resync_ns;          /* behind: when a snapshot was asked for last */
	uint64_t warned_ns;
	struct clu_peer peer[CLU_HOSTS_MAX]; /* by slot of the state */
	struct { /* what of the state is asked for at every event, kept as long as the state is the same */
		uint64_t sum;
		uint32_t slots;                /* in use: the first so many */
		int mine;                      /* my slot; -1: not in the node list */
		uint64_t lost[CLU_HOSTS_MAX / 64]; /* hosts that I wait out */
	} seen;
};

/*
 * @s: as loaded from disk (or fresh), nodes set; stays the caller's. @boot random, not 0. @lease_ns: this host's; 0 without a guard (it
 * then never gets a lease). @now_ns: every lost host is waited for from here on at least.
 */
void clu_node_init(struct clu_node *n, struct clu_state *s, uint32_t node, uint64_t boot, uint64_t lease_ns, uint64_t now_ns);
void clu_node_step(struct clu_node *n, const struct clu_event *ev, struct clu_changes *changes, struct clu_actions *out);
uint64_t clu_node_deadline_ns(const struct clu_node *n); /* CLU_NEVER: none */
/* May this node propose (is it the coordinator of an active view)? Has @rev been committed? */
bool clu_node_coordinates(const struct clu_node *n);
static inline bool clu_node_committed(const struct clu_node *n, uint64_t rev)
{
	return n->phase == CLU_NODE_ACTIVE && !n->behind && rev <= n->commit;
}
/*
 * This host's lease is to be @want_ns from now on. Returns the one that its HOST_UP is to say: a shorter one counts at once, and is said
 * when no deadline of the longer one runs any more, be it one of a life before this; a longer one is said first, and counts when that is
 * committed. So whoever waits by the state, a node that was restarted since it acknowledged, waits for long enough.
 */
uint64_t clu_node_lease(struct clu_node *n, uint64_t want_ns, uint64_t now_ns);
/* The pulse of now for the host in @slot. */
void clu_node_pulse(const struct clu_node *n, uint32_t slot, struct clu_pulse *ret);
/*
 * Members of the view that are not silent, ascending, to @member (CLU_HOSTS_MAX of them); returns how many. A member is silent that said
 * nothing for its lease: its clusterd hangs, so its guard has ended its domains, or is about to; to decide.h it is as good as gone.
 */
uint32_t clu_node_alive(const struct clu_node *n, uint32_t *member);
const char *clu_node_phase_name(enum clu_node_phase p);

#endif
