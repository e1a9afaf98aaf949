/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A cluster in one thread with virtual time: N real cores (clusterd/core), each with a model of the machine around it. Everything random
 * comes from one seed. simclu.c: clock, queue, story; simclu_cpg.c: Corosync; simclu_node.c: what clusterd's I/O layer does;
 * simclu_pulse.c: datagrams beside Corosync; simclu_host.c: guard, hvdom, leases and locks, clusterd's orders; simclu_park.c:
 * domains suspended for want of quorum;
 * simclu_leave.c: hosts that are shut down in order; simclu_bad.c: one that can start nothing;
 * simclu_apart.c: all that lose each other; simclu_witness.c: one machine that carries no domains;
 * simclu_freeze.c: machines that stand still; simclu_move.c: clusterd's part in migrations; simclu_mig.c, simclu_miglink.c,
 * simclu_mighv.c: migrated around the real cores of
 * migrated/core; simclu_after.c: rules of order; simclu_set.c: settings of domains, spare hosts, the balancer;
 * simclu_list.c: hosts that join, leave and are taken out; simclu_fault.c: the adversary; simclu_check_*.c: what must hold.
 */
#ifndef HOSPES_TESTS_SIM_SIMCLU_H
#define HOSPES_TESTS_SIM_SIMCLU_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "clusterd/core/decide.h"
#include "clusterd/core/node.h"
#include "clusterd/core/reach.h"
#include "migrated/core/mig.h"

#define SC_NODES CLU_HOSTS_MAX
#define SC_DOMS  1024u
#define MS       1000000ull
#define S        1000000000ull
#define NEVER    UINT64_MAX
#define NOHOST   255u
#define SC_JOINS   20u /* of a story; each has a node id of its own */
#define SC_CHANGES 3u  /* of the node list, at one time */
#define SC_SETTLE_NS      (2200 * MS) /* token and consensus */
#define SC_AWAIT_LEAST_NS (2 * SC_SETTLE_NS + 500 * MS)

/* A story uses so few of the state's rules: what is copied is small. Half of it is room for what lags behind. */
#define SC_RULES 16u

enum sc_ev_kind {
	SC_EV_INBOX,   /* a message or view reaches clusterd */
	SC_EV_TICK,    /* the core's deadline */
	SC_EV_HOUSE,   /* clusterd's own clock: HOST_UP, proposals, domains */
	SC_EV_STORED,  /* a write reached the disk */
	SC_EV_LOADED,
	SC_EV_REFORM,  /* corosync settles who is with whom */
	SC_EV_FLUSH,   /* corosync's queue of a node is ordered */
	SC_EV_GUARD,   /* the guard looks at its deadline */
	SC_EV_HV,      /* hvdom: what was begun is done */
	SC_EV_PULSE,   /* a datagram reaches a host: val is its place in sc.pulse */
	SC_EV_MIG,     /* something of a migration: arg is its place in sc.mev */
	SC_EV_THAW,    /* a machine that stood still goes on */
	SC_EV_FAULT, SC_EV_HEAL, SC_EV_ADMIN, SC_EV_FENCED, SC_EV_RESTART, SC_EV_UNLOCK, SC_EV_SAMPLE, SC_EV_STUCK, SC_EV_PAIR,
	SC_EV_APART,   /* a step of the story in which all lose each other */
	SC_EV_BAD,     /* a step of the story with a bad host */
	SC_EV_LEAVE,   /* clusterd looks how far its host is with being shut down; arg: how that ends */
	SC_EV_WITNESS, /* a step of the story in which one machine is lost */
	SC_EV_LIST,    /* of the node list: simclu_list.c */
};

struct sc_ev { uint64_t at, order; uint32_t kind, node, life, arg; uint64_t val; };

/* A message under way; shared by those that will get it. */
struct sc_msg {
	uint32_t refs;
	struct clu_msg m;
	struct clu_inventory *inventory;
	uint32_t inventory_cap;
	uint8_t *octets; /* SNAPSHOT: records: kind u8, slot u32, length u32, octets */
	size_t octets_len, octets_cap;
	struct sc_msg *next; /* free list, lists */
};

/* What waits to be read by clusterd from corosync. */
struct sc_item { struct sc_msg *msg; uint64_t at, seq; uint32_t from, n_members, view; }; /* msg NULL: a view, number view */

/* As hvdom's states; a copy that was taken and not resumed is SUSPENDED. */
enum sc_hv { HV_NONE = 0, HV_BOOT, HV_RUN, HV_STOP, HV_SUSPENDED, HV_GIVEN, HV_INCOMING, HV_READY, HV_PARKED };

/* A copy of a domain on a host. */
struct sc_copy {
	enum sc_hv state;
	bool lies;          /* its hvdom let go of its lock file, and lives */
	bool marked;        /* in <run>/cluster/managed: the guard ends it, migrated lets it in */
	uint64_t generation;
	uint64_t memory;    /* number of the run that this memory is of */
	uint32_t life;      /* counts; what was begun for another life does not end */
	uint32_t conn, closed; /* connection that suspended or filled it, 0: none; those up to closed were to a copy that is gone */
	uint64_t hv_ns;     /* it reads requests in order: when the last one */
	uint32_t log_conn;  /* connection that has log-dirty on; 0: none */
	uint64_t park_lease; /* hvdom: it goes on only by a lease above this one */
	uint32_t asked;     /* guard: connection that asked it to park for the present deadline; 0: none */
	bool said;          /* guard: and it did */
	uint64_t said_ns;   /* when clusterd said something of it last */
	uint64_t said_op;
};

/* What clusterd remembers of a domain while it lives: struct ldom of clusterd/io/local_int.h. */
struct sc_ldom {
	enum clu_todo todo;
	bool launched, pushed, push_done, push_failed;
	uint32_t order;     /* of the push under way with migrated; 0: none */
	uint64_t op_id, push_op, order_ns, stop_ns;
	uint64_t unpark_ns, unparked_ns;
};

/* A domain as the world has it: disk, lease, lock. */
struct sc_dom {
	char uuid[CLU_UUID_MAX], name[CLU_NAME_MAX];
	bool shared;             /* its disk's lease and locks are seen by all hosts */
	uint32_t locked;         /* host that holds the lock of its disk; NOHOST */
	uint64_t lease_generation;
	uint32_t lease_owner;
	bool lease_running, lease_taken; /* taken: its owner itself wrote it */
	uint64_t ran, memory;    /* generation that ran last; counts runs: the memory that ran last has this number */
	uint32_t ran_at;
	uint32_t starts, moves;  /* since the faults stopped */
	uint32_t bad_tries;      /* starts that a host could not do which can do none; the generation of the last one */
	uint64_t bad_generation;
	bool fails;              /* the adversary makes its starts fail now */
};
/* The lease in the host's own state directory: always there. */
struct sc_local { uint64_t generation; uint32_t owner; bool running; };

/* A record of migrated's journal: it outlives everything. */
/* rec: durable, 0: nothing yet. next: being written, 0: none; gone: the file goes after that, and nobody is answered from it. */
struct sc_journal { uint64_t session, generation; uint32_t dom, peer; enum mig_record rec, next; bool gone; };
struct sc_end; /* simclu_mig.h */
struct sc_mev;

enum sc_fault {
	SC_CRASH_CLUSTERD, SC_PAUSE_CLUSTERD, SC_POWER, SC_GUARD, SC_MIGRATED, SC_CUT, SC_CUT_ONE_WAY, SC_CUT_PAIR, SC_FLAP, SC_SLOW,
	SC_HVDOM, SC_SLOW_DISK, SC_ALL_DOWN, SC_CRASH_MANY, SC_DISK_STALL, SC_FREEZE, SC_LIE, SC_STOP_UNITS, SC_LEAVE, SC_FAULTS
};

/* How far a host that is shut down is: the file <run>/cluster/leaving. */
enum sc_leave { SC_STAYS = 0, SC_LEAVES_DRAIN, SC_LEAVES_ENDING, SC_LEAVES_LEFT };
/* When the machine stands still: no clock does; CLOCK_BOOTTIME does, the other runs on; all that it has do. */
enum sc_clocks { SC_CLOCKS_RUN, SC_CLOCKS_TICK, SC_CLOCKS_STOP };

struct sc_options {
	uint64_t seed;
	uint32_t nodes, doms;
	uint64_t length_ns, quiet_ns; /* faults stop quiet_ns before the end */
	bool calm;                    /* no faults */
	bool pair;                    /* but one: two hosts that cannot hear each other, from 60 s on until the end of faults */
	bool stuck;                   /* but one: a clusterd that stands still, from 60 s on */
	bool leave;                   /* many hosts that are shut down, just when they are given something, and few other faults */
	bool apart;                   /* but these: all hosts lose each other and come back one after the other; later one loses power */
	bool witness;                 /* one of the machines is a witness */
	bool lose;                    /* no faults but that one machine loses its power for good */
	bool disarm;                  /* people disarm the cluster and arm it, again and again */
	bool lists;                   /* hosts join, leave and are taken out, besides */
	bool bad;                     /* but these: a host comes back empty and cannot start anything, then another one loses power */
	const char *plant;            /* NULL: none */
	FILE *trace;
};

/* A node list, as a version of corosync.conf has it: ids, ascending, and addresses, which are machines. n 0: there is none. */
struct sc_list { uint64_t version; uint32_t n, id[SC_NODES]; uint8_t at[SC_NODES]; };
/* A change of it: a program on one host, after the model of struct change of tools/member_set.c. */
struct sc_change {
	uint32_t step, life; /* step 0: none */
	uint32_t at, joins;  /* machines; joins NOHOST: nobody */
	uint32_t remove;     /* id; 0: nobody */
	bool undo;           /* what is taken out never came */
	bool leaves;         /* what is taken out asks for it */
	uint32_t i, heard, tries;
	uint64_t began, until;
	struct sc_list own, newest, now;
	struct { bool heard; struct sc_list got; } of[SC_NODES];
};

/* Records that a write makes durable. */
struct sc_record {
	enum clu_object kind;
	uint32_t slot;
	union { struct clu_host host; struct clu_dom dom; struct clu_rule rule; struct clu_policy policy; struct clu_disarm disarm; } u;
};
struct sc_write {
	uint64_t serial;
	bool all;
	uint64_t epoch, index, promised, sum, time_ns, level_id;
	uint32_t level;
	uint32_t n_dom, n;
	struct sc_record r[CLU_CHANGES_MAX];
};

struct sc_node {
	uint32_t id; /* node id of corosync; 0: it is in no cluster. Without changes of the list: its number + 1 */
	struct sc_list conf, runs, knows; /* node lists: of its file, of its corosync, of its clusterd */
	bool goes; /* it leaves for good */
	uint64_t bound; /* it asked to be taken out, and agrees to nothing else until then */
	/* the machine */
	bool power;
	uint64_t frozen, froze, thawed; /* the whole machine stands still, until, since; when it went on last. Virtual; 0: no */
	uint64_t offset; double rate; /* its CLOCK_BOOTTIME */
	enum sc_clocks clocks;
	/* guard */
	bool guard_up;
	bool guard_ends;      /* it was told to end, and does so when no domain of the cluster lives here */
	uint64_t guard_until; /* its own clock */
	uint64_t guard_tick;  /* the same moment by the other clock; 0: it has no say */
	uint64_t guard_saw;   /* deadline that it found over */
	uint64_t guard_at;    /* its next look; virtual */
	uint64_t guard_park;  /* domains are asked to park so long before the deadline; 0: never */
	uint64_t guard_grace, park_for; /* its clock; deadline that it asked for */
	bool bad;            /* no hvdom comes up */
	bool apart;          /* its link is cut, as all others' */
	/* it is being shut down */
	enum sc_leave leave;
	uint64_t leave_drain_until, leave_until, leave_could, leave_said, leave_end; /* virtual */
	/* migrated */
	bool mig_up;
	uint32_t mig_life, recovering; /* recovering: records that it has not looked at yet */
	struct sc_journal *journal;
	uint32_t journal_n, journal_cap;
	/* corosync: of which ring it is, and what its clusterd has not read yet */
	uint32_t ring, group; /* group: counts changes of who is in the process group */
	bool slow;
	struct sc_item *in;   /* a circle of in_cap */
	uint32_t in_head, in_n, in_cap;
	uint64_t in_at;       /* when SC_EV_INBOX is due; NEVER */
	struct sc_msg *out, **out_end; /* sent, not ordered yet */
	/* clusterd */
	bool up, slow_disk, joined;
	bool upgraded;           /* its clusterd is of this release, from its second start on */
	uint32_t life;
	uint64_t paused;      /* until; virtual */
	uint64_t tick_at;
	struct clu_node *n;
	struct clu_state *s, *disk;
	struct clu_changes changes;
	bool store_wanted, writing, load_ok, loading, writing_load;
	uint64_t stalled;     /* until when its disk takes nothing; virtual */
	struct sc_write *write;
	struct clu_state *write_all; /* for write->all */
	struct sc_msg **kept;  /* buffered while it loads */
	uint32_t kept_n, kept_cap;
	struct sc_msg *snap;   /* delivered just now */
	bool touched;
	uint64_t undropped; /* planted bug: its clock */
	uint64_t permit_tick; /* its second clock says that the permit is over then; 0: it has none */
	uint64_t host_up_ns, sent_ns, house_ns;
	uint32_t sent_cmds, seen_cmds;
	uint32_t *member, n_members; /* of the view */
	uint64_t view_ns;            /* since when there is this one; its clock */
	struct clu_load load;
	uint64_t known_from;   /* for a checker: since when its history has no gap */
	uint64_t summed_index; /* whose sum was checked last, in that life and after so many loads */
	uint32_t summed_life, loads, summed_loads;
	uint64_t fence_asked[CLU_HOSTS_MAX]; /* lost_id */
	struct reach reach;   /* reach.out: it stepped aside, its corosync hears nobody */
	uint64_t lease_want;  /* it changes its mind now and then */
	uint64_t own_ns;      /* when a message of its own came last; its clock */
	uint32_t lease_ends;  /* domains that the guard ended in this story */
};

/* A datagram: of SC_PULSE_NODES hosts at most, or there would be too many for long stories. */
#define SC_PULSE_NODES 20u
struct sc_pulse { struct clu_pulse p; uint64_t stamp, list; uint32_t to; struct reach_row row[SC_PULSE_NODES]; uint32_t next; };

/* sums of states by index, as each node had them: what is committed must be the same everywhere and for ever */
#define SC_HISTORY 4096u
struct sc_history { uint64_t index, sum; };

struct sc {
	struct sc_options opt;
	uint64_t now, rng, order, end, quiet; /* quiet: when the faults stop */
	struct sc_ev *q;
	uint32_t qn, qcap;
	struct sc_node *node;
	uint32_t nodes_max;    /* there is memory for so many */
	struct sc_copy *copy;  /* [node * doms + dom] */
	struct sc_ldom *ldom;
	struct sc_local *local;
	struct sc_dom *dom;
	struct sc_end *mig;     /* ends of migrations; "ends" places were used */
	uint32_t ends, uses, conns; /* numbers given */
	uint64_t session;
	struct sc_mev *mev;    /* what is under way; a list of free ones */
	uint32_t mev_n, mev_cap, mev_free;
	struct sc_pulse *pulse; /* under way; a list of free ones: place + 1, 0: none */
	uint32_t pulse_cap, pulse_free;
	uint8_t *link;         /* [from * nodes + to]: holds */
	struct sc_change change[SC_CHANGES];
	uint32_t joins, list_lives, list_deaths; /* numbers given; percent */
	uint64_t list_gap;
	bool tcp_passes;       /* what cuts links lets hospes-member's questions through */
	bool list_done;        /* faults stopped, and all have one list */
	uint32_t rings;        /* numbers given */
	bool reform_due;
	uint64_t reform_at;
	struct sc_msg *pool;
	uint64_t seq;          /* of ordered messages */
	struct clu_actions *acts;
	struct clu_proposals *proposals;
	struct clu_state *scratch;
	/* the adversary's plan for this seed */
	uint64_t fault_gap, admin_gap;
	uint32_t fault_mask, ambush_cmd, ambush_mig; /* percent */
	uint64_t disk_ns;      /* a write takes so long at most */
	uint64_t ambush_ns;    /* not before that again */
	bool clocks;           /* some hosts' clocks stop with their machines */
	bool parks;            /* policy no_quorum=suspend from the beginning */
	int fence;             /* 0: none, 1: works, 2: answers get lost, 3: never answers */
	bool stopped;          /* faults stopped */
	/* checkers */
	uint64_t after_rev;    /* of the domain of the START that is just applied */
	const char *after_first; /* the one that has to run before; NULL: none */
	/* of the domain of the command that is just applied: as it was; set_rev 0: there is none */
	uint64_t set_rev, set_moved, set_window;
	struct clu_settings set_was;
	uint32_t set_failures, set_host;
	bool set_ran;
	struct sc_history *history; /* [node * SC_HISTORY], */
	struct sc_history *committed;
	uint64_t committed_max, epoch_max, index_before;
	uint64_t events, deliveries;
	char violation[300];
};

/* simclu.c */
void sc_alloc(struct sc *w, uint32_t nodes, uint32_t doms);
void sc_undo_maintenance(struct sc *w);
bool sc_run(struct sc *w, const struct sc_options *opt);
uint64_t sc_rnd(struct sc *w, uint64_t below);
bool sc_chance(struct sc *w, uint32_t percent);
void sc_at(struct sc *w, uint64_t at, enum sc_ev_kind kind, uint32_t node, uint32_t arg, uint64_t val);
void sc_trace(struct sc *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void sc_violation(struct sc *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool sc_planted(const struct sc *w, const char *bug);
static inline struct sc_copy *sc_copy(struct sc *w, uint32_t node, uint32_t dom) { return &w->copy[node * w->opt.doms + dom]; }
static inline struct sc_ldom *sc_ldom(struct sc *w, uint32_t node, uint32_t dom) { return &w->ldom[node * w->opt.doms + dom]; }
static inline struct sc_local *sc_local(struct sc *w, uint32_t node, uint32_t dom) { return &w->local[node * w->opt.doms + dom]; }
static inline uint64_t sc_clock(const struct sc *w, const struct sc_node *n) { return n->offset + (uint64_t)((double)w->now * n->rate); }
uint64_t sc_when(const struct sc *w, const struct sc_node *n, uint64_t clock); /* virtual time of a node's clock */
uint32_t sc_dom_by(const struct sc *w, const char *uuid); /* SC_DOMS: none */
char sc_letter(uint32_t node); /* for traces */

/* simclu_list.c */
uint32_t sc_list_machine(const struct sc_list *l, uint32_t id); /* NOHOST: none */
void sc_list_reset(struct sc *w);
void sc_list_boot(struct sc *w, uint32_t node); /* its corosync starts */
void sc_list_event(struct sc *w, const struct sc_ev *e);
bool sc_list_at_host(const struct sc_ev *e); /* that machine has to run for it */
void sc_list_left(struct sc *w, uint32_t node); /* it left in order, and asks the others to take it out */
void sc_list_stop(struct sc *w); /* the faults stop: what was begun is finished */
bool sc_list_has(const struct sc_list *l, uint32_t id);
bool sc_list_knows(const struct sc *w, const struct sc_list *l, uint32_t node); /* that machine, under the id that it has */
uint32_t sc_list_place(const struct sc_list *l, uint32_t id); /* NOHOST: none */
uint64_t sc_list_sum(const struct sc_list *l);
bool sc_list_same(const struct sc_list *a, const struct sc_list *b);
void sc_list_add(struct sc_list *l, uint32_t node); /* under an id that was never used */
void sc_list_take_out(struct sc_list *l, uint32_t id);
const char *sc_list_text(const struct sc_list *l); /* static */
bool sc_member(const struct sc *w, uint32_t node); /* it is in a cluster, or thinks so */
uint32_t sc_node_by(const struct sc *w, uint32_t id); /* the machine that has this id now, in a list or not; NOHOST: none */
char sc_letter_of(const struct sc *w, uint32_t id);
/* Slots of the state that a story uses. */
static inline uint32_t sc_slots(const struct sc *w) { return w->opt.lists ? w->opt.nodes + SC_JOINS : w->opt.nodes; }

/* simclu_cpg.c */
struct sc_msg *sc_msg_new(struct sc *w);
void sc_msg_put(struct sc *w, struct sc_msg *m);
void sc_cpg_send(struct sc *w, uint32_t node, struct sc_msg *m); /* takes it */
void sc_cpg_flush(struct sc *w, uint32_t node);
void sc_cpg_inbox(struct sc *w, uint32_t node);
void sc_cpg_links_changed(struct sc *w, uint64_t notice_ns); /* a ring will be formed anew */
void sc_cpg_reform(struct sc *w);
void sc_cpg_group(struct sc *w, uint32_t node); /* clusterd joined or left */
void sc_cpg_clear(struct sc *w, uint32_t node); /* clusterd died: nobody reads that */
bool sc_linked(const struct sc *w, uint32_t a, uint32_t b); /* both ways, both with power */

/* simclu_pulse.c */
void sc_pulse_reset(struct sc *w);
void sc_pulse(struct sc *w, uint32_t node); /* the core says: to each other node */
void sc_pulse_comes(struct sc *w, const struct sc_ev *e);
void sc_pair(struct sc *w, uint32_t a, bool check); /* cut the pair of @a and the next; or look whether only one of them suffers */

/* simclu_node.c */
void sc_node_pulse(struct sc *w, uint32_t node, const struct clu_pulse *p);
void sc_node_init(struct sc *w, uint32_t node); /* empty disk, with the list of its file */
void sc_node_list(struct sc *w, uint32_t node); /* clusterd takes over its corosync's list */
void sc_node_start(struct sc *w, uint32_t node);
void sc_node_die(struct sc *w, uint32_t node);
void sc_node_view(struct sc *w, uint32_t node, uint32_t ring, const uint32_t *member, uint32_t n);
void sc_node_message(struct sc *w, uint32_t node, struct sc_msg *m, bool again);
void sc_node_tick(struct sc *w, uint32_t node);
void sc_node_house(struct sc *w, uint32_t node);
void sc_node_stored(struct sc *w, uint32_t node, uint64_t serial);
void sc_node_loaded(struct sc *w, uint32_t node);
void sc_node_settle(struct sc *w, uint32_t node);
bool sc_node_acts(const struct sc_node *n);
void sc_submit(struct sc *w, uint32_t node, const struct clu_cmd *c);

/* simclu_host.c */
void sc_lease(struct sc *w, uint32_t node, uint64_t until, uint64_t from_tick); /* the core says: tell the guard */
void sc_lease_over(struct sc *w, uint32_t node); /* and this, too */
uint64_t sc_lease_left(const struct sc *w, uint32_t node);
void sc_guard(struct sc *w, uint32_t node);
void sc_guard_arm(struct sc *w, uint32_t node);
void sc_manage(struct sc *w, uint32_t node); /* do what the committed state wants */
uint32_t sc_inventory(struct sc *w, uint32_t node, struct clu_inventory *inv, uint32_t cap);
void sc_hv_done(struct sc *w, uint32_t node, uint32_t dom, uint32_t life);
void sc_kill_copy(struct sc *w, uint32_t node, uint32_t dom, const char *why);
void sc_set_copy(struct sc *w, uint32_t node, uint32_t dom, enum sc_hv state, uint64_t generation);
void sc_take(struct sc *w, uint32_t node, uint32_t dom, uint64_t generation); /* lease and lock are this host's */
void sc_unlock(struct sc *w, uint32_t node, uint32_t dom);
void sc_power_off(struct sc *w, uint32_t node);
void sc_power_on(struct sc *w, uint32_t node);
const char *sc_hv_name(enum sc_hv s);
/* Does the lease that this host sees first say that the domain runs here? */
bool sc_lease_left_here(struct sc *w, uint32_t node, uint32_t dom);
uint64_t sc_lease_generation(struct sc *w, uint32_t node, uint32_t dom);
void sc_result(struct sc *w, uint32_t node, const struct clu_dom *d, uint32_t dom, enum clu_result r, uint64_t generation);
void sc_observed(struct sc *w, uint32_t node, const struct clu_dom *d, uint32_t dom, enum clu_seen seen, uint64_t generation);

/* simclu_move.c: clusterd's part in a migration; one look each */
void sc_move_push(struct sc *w, uint32_t node, const struct clu_dom *d, uint32_t dom);
void sc_move_accept(struct sc *w, uint32_t node, const struct clu_dom *d, uint32_t dom);
void sc_move_resolve(struct sc *w, uint32_t node, const struct clu_dom *d, uint32_t dom);
void sc_move_claim(struct sc *w, uint32_t node, uint32_t dom);
void sc_move_ended(struct sc *w, uint32_t node, uint32_t dom, uint32_t order, bool answered, bool completed); /* migrated says, or died */

/* simclu_freeze.c: machines that stand still */
void sc_freeze(struct sc *w, uint32_t node, uint64_t ns);
void sc_thaw(struct sc *w, uint32_t node);
bool sc_frozen(const struct sc *w, uint32_t node);
uint64_t sc_tick(const struct sc *w, const struct sc_node *n); /* the other clock; 0: there is none */
uint32_t sc_ev_node(const struct sc *w, const struct sc_ev *e); /* whose machine has to run for it; NOHOST: none */
/* Its machine stood still past the deadline, and hvdom lets no write of a guest through: until the guard has come to it. */
bool sc_mute(const struct sc *w, uint32_t node);

/* simclu_park.c: guard */
void sc_park_forget(struct sc *w, uint32_t node);
void sc_park_take_over(struct sc *w, uint32_t node); /* a guard that was restarted */
bool sc_park_look(struct sc *w, uint32_t node, uint64_t *again_ns); /* false: the deadline is over, who is not spared is killed */
bool sc_park_spared(const struct sc_copy *c);
/* clusterd */
uint64_t sc_park_ns(const struct sc *w, uint32_t node);
bool sc_has_lease(const struct sc *w, uint32_t node); /* for long enough to begin something */
bool sc_parked(struct sc *w, uint32_t node, const struct clu_dom *d, uint32_t dom); /* true: nothing else is to be done in this look */

/* simclu_bad.c */
void sc_bad_begin(struct sc *w);
void sc_bad_step(struct sc *w, uint32_t step);
/* nobody orders anything */
static inline bool sc_bad_now(const struct sc *w) { return w->opt.bad && w->now >= 95 * S && w->now < 145 * S; }

/* simclu_apart.c */
void sc_apart_begin(struct sc *w);
void sc_apart_step(struct sc *w, uint32_t node, uint32_t step);
bool sc_apart_now(const struct sc *w); /* nobody orders anything, and nothing is broken but what the story breaks */
void sc_apart_starts(struct sc *w, uint32_t node, uint32_t dom); /* a domain is started: was that needed? */

/* simclu_witness.c */
bool sc_is_witness(const struct sc *w, uint32_t node);
bool sc_lose_now(const struct sc *w); /* nobody orders anything */
void sc_witness_begin(struct sc *w);
void sc_witness_event(struct sc *w, const struct sc_ev *e);

/* simclu_leave.c */
void sc_leave_begin(struct sc *w, uint32_t node, bool drains);
void sc_leave_then(struct sc *w, uint32_t node, uint64_t at, uint32_t what); /* once it has left: 1: the power goes; 2: it is undone */
bool sc_lives(struct sc *w, uint32_t node); /* any copy there */
void sc_leave_undo(struct sc *w, uint32_t node);
void sc_leave_look(struct sc *w, uint32_t node);
void sc_leave_event(struct sc *w, const struct sc_ev *e);
/* True: its host is shut down, and nothing else is to be done with it in this look. */
bool sc_leave_ends(struct sc *w, uint32_t node, const struct clu_dom *d, uint32_t dom, enum clu_todo todo);

/* simclu_mig.c */
uint32_t sc_push(struct sc *w, uint32_t node, uint32_t dom, uint32_t target); /* number of the order, 0: refused */
bool sc_mig_busy(const struct sc *w, uint32_t node, uint32_t dom); /* vmmig status: is there a migration of it? */
void sc_mig_resolve(struct sc *w, uint32_t node, uint32_t dom);    /* vmmig resolve --owner local */
void sc_mig_event(struct sc *w, uint32_t i);
void sc_mig_die(struct sc *w, uint32_t node);
void sc_mig_start(struct sc *w, uint32_t node); /* with its old journal */
void sc_mig_reset(struct sc *w);
void sc_mig_copy_gone(struct sc *w, uint32_t node, uint32_t dom); /* hvdom is dead: its connections end */

/* simclu_fault.c */
void sc_heal_power(struct sc *w, uint32_t node); /* it comes back some time */
void sc_adversary_init(struct sc *w);
void sc_fault(struct sc *w, const struct sc_ev *e);
/* Some stories break just what is needed for a command, or a step of a migration. Returns the one host that gets @m, NOHOST: all do. */
uint32_t sc_ambush_message(struct sc *w, uint32_t from, const struct clu_msg *m);
void sc_ambush_lease(struct sc *w, uint32_t node);
void sc_ambush_commit(struct sc *w);
void sc_ambush_migration(struct sc *w, uint32_t node, uint32_t peer, uint32_t dom, const char *step); /* something happened */
uint64_t sc_ambush_unpark(struct sc *w, uint32_t node, uint32_t dom); /* a copy is told to go on: so much later than was meant */
void sc_heal(struct sc *w, const struct sc_ev *e);
void sc_restart(struct sc *w, const struct sc_ev *e);
void sc_admin(struct sc *w);
void sc_stuck(struct sc *w, uint32_t node);
void sc_stop_faults(struct sc *w);
void sc_fence_asked(struct sc *w, uint32_t by, uint32_t victim, uint64_t lost_id);
void sc_fenced(struct sc *w, const struct sc_ev *e);

/* simclu_after.c: domains that start when others run */
/* A START is about to be applied, and was: the others ran. */
void sc_after_before(struct sc *w, uint32_t node, const struct clu_cmd *c);
void sc_after_applied(struct sc *w, uint32_t node, const struct clu_cmd *c);
void sc_after_hide(struct sc *w, struct clu_state *s, bool hide); /* planted bug: nobody looks at the rules */

/* simclu_set.c: settings of domains, spare hosts, and the balancer */
void sc_set_order(struct sc *w, uint32_t node, uint32_t dom);
void sc_set_balance(struct sc *w); /* the coordinator makes a plan and carries it out */
void sc_set_proposed(struct sc *w, uint32_t node, const struct clu_cmd *c);
void sc_set_before(struct sc *w, uint32_t node, const struct clu_cmd *c); /* a command is about to be applied, and was */
void sc_set_applied(struct sc *w, uint32_t node, const struct clu_cmd *c);
void sc_set_hide(struct sc *w, struct clu_state *s, bool hide); /* planted bugs: the coordinator does not see them */

/* simclu_check_copies.c: (a) never two, and none with old memory. simclu_check_state.c: (c), (f). simclu_check_end.c: (b), (d), (e) */
void sc_check_copies(struct sc *w, uint32_t dom);
void sc_check_runs(struct sc *w, uint32_t node, uint32_t dom);
void sc_check_applied(struct sc *w, uint32_t node, bool loaded);
void sc_check_committed(struct sc *w, uint32_t node, uint64_t index);
void sc_check_views(struct sc *w);
void sc_check_calm(struct sc *w); /* at the last look before the end: nothing moves any more */
void sc_check_end(struct sc *w);
void sc_check_stuck(struct sc *w, uint32_t node); /* its domains run elsewhere by now */

#endif
