/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One node's part in the replication of the state: its view and whether the view may decide, which commands count, what is committed,
 * until when this host's domains may run, and when a lost host's lease has certainly expired. Events in, actions out (node_msg.h). Pure,
 * as clu.h.
 *
 * The rules in short; docs/wire/cluster.md has them in full, with the reasons:
 *  - A *view* is a set of clusterds to which Corosync's CPG delivers the same messages in the same order. It has a ring number.
 *  - Each member of a new view says HELLO (epoch, index, sum). The lowest member sends OPEN when all have said so, or when a majority of
 *    all nodes has and 2 s have passed. OPEN names the member with the newest state (highest epoch, then index), and who must load it.
 *  - The members that OPEN names promise, on disk, never to serve a lower epoch. The epoch begins when a majority of all nodes has
 *    promised. So two epochs never have the same number, and a later epoch knows all that an earlier one committed.
 *  - Without a majority of all nodes there is no OPEN, and nothing is decided.
 *  - Commands that are delivered before the view is ACTIVE are dropped by all. An ACTIVE view applies commands as they are delivered.
 *  - A command is *committed* when a majority of all nodes has it on disk. Nothing is done in the world before that.
 *  - Every node sends BEATs, and keeps their send times to itself. The others acknowledge a beat while the sender is ONLINE in their state,
 *    by a HOST_UP that is committed. A beat that a majority acknowledged lets this host's domains run until its send time + lease_ns.
 *    *Pulses* are beats in datagrams, which do not wait for Corosync. They are acknowledged by the last applied state, also while views
 *    change.
 *  - A node that acknowledged at time a says WAITED for that host, once it is LOST, at a + lease + margin or later, by its own clock. A
 *    daemon that just started counts from its start. WAITED from a majority makes the host SAFE: one of them acknowledged its last lease.
 * Only the rates of clocks matter, never their values. The margin covers 1 % of drift and the guard's time to kill.
 */
#ifndef HOSPES_CLUSTERD_CORE_NODE_H
#define HOSPES_CLUSTERD_CORE_NODE_H

#include "clusterd/core/level.h"
#include "clusterd/core/node_msg.h"

#define CLU_NEVER       UINT64_MAX
#define CLU_GATHER_NS   2000000000ull /* how long OPEN waits for the last HELLOs when a majority has said it */
#define CLU_BEAT_NS     500000000ull  /* between beats; lease_ns / 16 if that is more */
#define CLU_PULSE_NS    250000000ull  /* between pulses; lease_ns / 32 if that is more */
#define CLU_AWAIT_MAX_NS 30000000000ull /* after a loss of quorum hosts are waited for as long as it lasted, at most so long */

enum clu_node_phase {
	CLU_NODE_OUT = 0,    /* in no view */
	CLU_NODE_GATHER = 1, /* HELLOs are exchanged */
	CLU_NODE_OPENED = 2, /* the state is chosen; too few members have promised, or have it yet */
	CLU_NODE_ACTIVE = 3, /* this view decides */
};

/* Below, "my" is this node's, and "its" the peer's. */
struct clu_peer {
	bool member, said, promises, synced; /* in the view; sent HELLO; sent PROMISE; has the chosen state */
	uint64_t epoch, index, sum, promised; /* of its HELLO */
	uint64_t stored_epoch, stored_index;
	uint32_t level;              /* of its HELLO or SYNCED in this view; 0: it has not said it */
	uint64_t resync_seq;         /* of its last RESYNC in this view: only the SYNCED for that one counts */
	uint64_t heard_ns;           /* when its last message came, or the view began */
	uint64_t ack_seq;            /* my highest beat that it acknowledged, of my present boot */
	uint64_t seen_boot, seen_seq; /* its highest beat that I acknowledged */
	uint64_t wait_until_ns;      /* my promise: no WAITED before that */
	uint64_t wait_permit_ns;     /* nor before that, unless it surely makes no use of its permit any more */
	uint64_t permit_id, free_at; /* its permit as I last saw it; index of my state when I saw that it has none; 0: it has */
	uint64_t waited_ns;          /* when I last said WAITED; repeated until it shows in the state */
	uint64_t decided_ns;         /* its HELLO: when it last was in a view that decides, my clock; 0: unknown, never */
	uint64_t await_ns, awaited_ns; /* so long in all it is waited for after a loss of quorum, and so long it was; 0: it is not */
	uint64_t up_sure;            /* its HOST_UP that I saw committed since I started; 0: none, or my state is in doubt */
	struct clu_clock {           /* my clock less its own, when its beats ([0]) and pulses ([1]) came: node_clock.c */
		uint64_t boot, since_ns; /* of its clusterd; begin of the present window */
		int64_t least[2];        /* in the present and in the previous window */
	} clock[2];
};

#define CLU_BEATS_KEPT 128u
struct clu_node {
	struct clu_state *s;         /* the applied state, shared with the I/O layer, which writes to it only at LOAD */
	uint32_t node;               /* my id */
	uint64_t boot, lease_ns, start_ns;
	uint64_t now_ns, tick;       /* of the last event */
	enum clu_node_phase phase;
	uint32_t level;              /* my clusterd's: CLU_LEVEL; tests have older ones */
	bool quorate;                /* says votequorum */
	bool clock_stops;            /* my clock may, so others' clocks are compared */
	uint64_t expires_ns;         /* the lease expires then, before its time, because my clock had stopped; 0: it does not */
	bool behind;                 /* I wait for a snapshot: commands are kept */
	bool loading;
	bool begun;                  /* OPENED: a majority has promised, so the epoch counts */
	uint64_t ring, members_sum, view_ns;
	uint64_t base_sum, list_sum; /* members_sum as the view began; a hash of the node list */
	uint64_t lists;              /* changes of the node list in this life */
	bool relisted;               /* the others are to be told of one */
	uint64_t decided_ns;         /* when I last was in a view that decides; 0: never */
	uint64_t awoke_ns;           /* when this clusterd last went on after a standstill */
	uint64_t await_least_ns;     /* set by the I/O layer after clu_node_init(): the shortest wait, until Corosync has found all */
	uint32_t source;             /* OPENED: node id with the chosen state */
	bool others_behind;          /* somebody needs its snapshot */
	uint32_t n_members, coordinator; /* ACTIVE: the lowest node id that is synced and not silent */
	uint64_t epoch, commit;      /* of the view; the highest index committed in it */
	uint64_t stored_epoch, stored_index, stored_promised;
	uint64_t resync_seq, want_seq, load_seq; /* RESYNCs that I sent; the one whose snapshot I wait for; the one whose I load */
	uint64_t seq, beat_ns;       /* my last beat or pulse; when the next beat is due */
	uint64_t lease_said_ns, lease_over_ns; /* clu_node_lease(): what HOST_UP says; the last deadline of a longer lease */
	bool pulses;                 /* set by the I/O layer after clu_node_init(): it can send them */
	uint64_t pulse_ns, pulse_seq; /* when the next is due; the last one */
	struct { uint64_t seq, sent_ns, tick, lease_ns; } beat[CLU_BEATS_KEPT]; /* lease_ns: as the beat said, for others wait so long */
	uint64_t lease_until_ns, renewed_seq; /* my lease, and the beat that gave it */
	uint64_t hello_ns;           /* when HELLO was last sent in this view; 0: not yet */
	uint64_t resync_ns;          /* behind: when a snapshot was last asked for */
	uint64_t warned_ns;
	struct { /* node_permit.c; times of my clock */
		uint64_t disarm, disarm_end_ns; /* the disarm that I know of, and when it is over */
		uint64_t key, count, of, sent_ns, tick, ns, said_ns; /* the one that I asked for: number, disarm, from when, how long */
		uint64_t seen_at;    /* index of my state when I saw it there; 0: not yet */
		uint64_t held_of, until_ns; /* the one that I have; 0: none */
	} permit;
	struct clu_peer peer[CLU_HOSTS_MAX]; /* by slot */
	struct {                     /* cached from the state, for every event needs it */
		uint64_t sum;        /* of that state */
		uint32_t slots;      /* the first so many are in use */
		int mine;            /* my slot; -1: not in the node list */
		uint64_t lost[CLU_HOSTS_MAX / 64]; /* hosts whose lease I wait out */
	} seen;
};

/*
 * Start in phase OUT. @s: as loaded from disk, or fresh, with its nodes set; it stays the caller's. @boot: random, not 0. @lease_ns: 0
 * without a guard, and then there is never a lease. The wait for a lost host's lease lasts from @now_ns (CLOCK_BOOTTIME) on at least.
 */
void clu_node_init(struct clu_node *n, struct clu_state *s, uint32_t node, uint64_t boot, uint64_t lease_ns, uint64_t now_ns);
/* clu_nodes_set() on the state, and what is known of the peers moves with their slots. A VIEW has to follow. */
void clu_node_list(struct clu_node *n, const uint32_t *node, char (*name)[CLU_NAME_MAX], uint32_t count);
/* One event. Appends to @changes and @out. */
void clu_node_step(struct clu_node *n, const struct clu_event *ev, struct clu_changes *changes, struct clu_actions *out);
uint64_t clu_node_deadline_ns(const struct clu_node *n); /* when the next TICK is due; CLU_NEVER: none is */
/* True if this node may propose: it is the coordinator of an ACTIVE view. */
bool clu_node_coordinates(const struct clu_node *n);
static inline bool clu_node_committed(const struct clu_node *n, uint64_t rev)
{
	return n->phase == CLU_NODE_ACTIVE && !n->behind && rev <= n->commit;
}
/*
 * The level that every host of the node list has said in this view; 0 if one is missing in it. All members have the same answer at the
 * same message. When it is above the state's, the coordinator proposes LEVEL.
 */
uint32_t clu_node_level(const struct clu_node *n);
/*
 * For the sender of @c: NULL if it may be said, by the state's level once that is committed; else what in it may not. When it is delivered
 * all the same, all leave it out.
 */
const struct clu_feature *clu_node_lacks(const struct clu_node *n, const struct clu_cmd *c);
/*
 * Change this host's lease to @want_ns. Returns the lease that its HOST_UP has to announce. A shorter lease counts at once, and is
 * announced when the last deadline of the longer one has passed, also one of an earlier life. A longer lease is announced first, and
 * counts when that HOST_UP is committed. So a node that waits by the state alone, because it was restarted, waits long enough.
 */
uint64_t clu_node_lease(struct clu_node *n, uint64_t want_ns, uint64_t now_ns);
/* The pulse to send now to the host in @slot. */
void clu_node_pulse(const struct clu_node *n, uint32_t slot, struct clu_pulse *ret);
/*
 * Write the members of the view that are not silent to @member (CLU_HOSTS_MAX, ascending) and return their number. A member is silent
 * if nothing came from it for its lease. Then its clusterd hangs, and its guard ends its domains, so decide.h treats it as gone.
 */
uint32_t clu_node_alive(const struct clu_node *n, uint32_t *member);
/*
 * How long the host in @slot is still waited for before it may be declared lost, because quorum was missing for a while and has just
 * returned without it; 0: it is not. The coordinator's answer counts, the others' are about the same.
 */
uint64_t clu_node_awaits(const struct clu_node *n, uint32_t slot);
/* How long the disarm of the state still lasts, by this node's clock since it knows of it; 0: it is over, or there is none. */
uint64_t clu_node_disarm_left(const struct clu_node *n);
const char *clu_node_phase_name(enum clu_node_phase p);

#endif
