/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Shared by nodeio.c (life, what others ask), nodeio_pump.c (events and actions), nodeio_answer.c, nodeio_config.c, nodeio_store.c (disk,
 * snapshots, texts), nodeio_propose.c (own commands, decisions, fencing), nodeio_event.c (for people), nodeio_clock.c, nodeio_reach.c.
 */
#ifndef HOSPES_CLUSTERD_IO_NODEIO_INT_H
#define HOSPES_CLUSTERD_IO_NODEIO_INT_H

#include "clusterd/io/cluwire.h"
#include "clusterd/io/nodeio.h"
#include "clusterd/io/storer.h"
#include "common/clocks.h"

#define NODEIO_LEASE_MIN (5 * NS_PER_S) /* the shortest by itself */
#define NODEIO_PARTS_MAX 4096u /* of one snapshot */

struct nodeio_text { uint64_t id; char *xml; size_t len; }; /* xml: owned, not terminated */
struct nodeio_buffered { struct nodeio_buffered *next; uint32_t node; size_t len; uint8_t octets[]; };
struct nodeio_answer { struct nodeio_answer *next; uint64_t request, index; struct clu_answer answer; };

/* A snapshot being put together: the parts of one sender, in order. */
struct nodeio_snapshot {
	uint32_t from;
	uint64_t epoch, index, sum, seq;
	struct cluwire *part; /* owned, n of them */
	uint32_t n, cap;
	bool whole;
};

struct nodeio_reach;

struct nodeio {
	struct loop *loop;
	const struct hostconf *conf;
	const struct nodeio_ops *ops;
	void *arg;
	struct cpglink *cpg;
	struct guardlink *guard;
	enum clocks_kind clocks;
	bool use_tsc;
	struct tsc_rate rate;
	/* of this host in the cluster: another one with each HOST_UP after it was lost, said before that (guardmsg.h) */
	uint64_t life;
	struct fence *fence;
	struct nodeio_reach *reach;
	bool lease_auto;         /* policy lease_s was 0 when this began */
	uint64_t own_ns;         /* when a message of this node was delivered last: corosync's order goes on */
	struct storer *storer;
	struct store_image *image; /* what the disk held, until begin() takes it; owned */
	struct eventlist *events;
	struct { uint64_t epoch, index, promised; bool load; } writing; /* what is under way to the disk; load: a snapshot's */
	struct cpg_config cfg;
	bool have_cfg;           /* and a state that goes with it */
	bool must_reload;        /* the disk did not take the state: what is in memory is worth nothing */
	struct clu_state *s;     /* owned; with its dom table */
	struct clu_node node;
	struct clu_changes changes;
	struct clu_actions *acts; /* scratch for one step */
	bool store_wanted, loaded_wanted, loaded_ok, touched;
	struct loop_timer *tick, *period;
	uint64_t ring;
	uint64_t view_ns; /* since when there is the present view */
	uint32_t n_members, member[CLU_HOSTS_MAX];
	struct nodeio_text *text; /* by slot, CLU_DOMS_MAX */
	struct nodeio_snapshot snap;
	struct nodeio_buffered *buffered, **buffered_end;
	struct nodeio_answer *answers;
	uint64_t next_request;
	uint64_t sent_cmds, seen_cmds, sent_ns; /* own commands under way: nothing is proposed anew meanwhile */
	enum clu_leaving leaving;
	bool left;
	uint64_t host_up_ns; /* HOST_UP was sent last */
	uint64_t acted_ns, settle_ns; /* this node acted last; after a time without quorum nobody is declared lost before */
	struct clu_capacity cap;
	uint64_t cap_ns;
	struct clu_load load;
	struct clu_dom_load *dom_load; /* by slot */
	char (*load_uuid)[CLU_UUID_MAX]; /* whose it is */
	struct nodeio_start { uint64_t op_id, from_ns, took_ns; } *start; /* by slot; took: of the last one that was seen */
	struct clu_proposals *proposals;
	uint64_t bad_messages, bad_ns;
	bool stuck;              /* the disk was said not to answer */
	char stuck_text[ERR_TEXT_MAX];
	char corosync_text[ERR_TEXT_MAX], disk_text[ERR_TEXT_MAX], aside_text[ERR_TEXT_MAX], warn_text[CLU_TEXT_MAX];
	uint64_t warned_ns;
	bool warned_few; /* said while there was no majority, which may be why */
};

/* nodeio.c */
uint64_t nodeio_random_id(void); /* not 0 */
uint64_t nodeio_real_ns(void);   /* CLOCK_REALTIME */

/* nodeio_pump.c */
extern const struct cpglink_ops nodeio_cpg_ops;
void nodeio_feed(struct nodeio *n, struct clu_event *ev);
void nodeio_settle(struct nodeio *n); /* write what is to be written, re-feed, tell others; after each event from outside */
void nodeio_loaded(struct nodeio *n, bool ok); /* the snapshot stands in memory and on disk, or could not */

void nodeio_buffered_forget(struct nodeio *n);

/* nodeio_answer.c */
void nodeio_answer_hold(struct nodeio *n, const struct clu_action *a); /* until its index is committed; one of index 0 goes at once */
void nodeio_answers_release(struct nodeio *n, uint64_t commit);
/* The state was replaced: whether a command is part of it nobody can tell, which each is told. */
void nodeio_answers_forget(struct nodeio *n, bool tell); /* @tell false: nobody listens any more */

/* nodeio_config.c: of struct cpglink_ops. An error keeps this node out of the group. */
int nodeio_on_config(void *arg, const struct cpg_config *c, struct err *err) _must_check_;
int nodeio_place(const struct cpg_config *c, uint32_t node); /* index in the node list; -1: not there */

/* nodeio_store.c */
extern const struct storer_ops nodeio_storer_ops;
/* Take over the state that the disk held; fresh when there was none. -EINPROGRESS: it is being read, and cpglink_again() comes. */
int nodeio_open(struct nodeio *n, struct err *err) _must_check_;
/* Hand what changed to the storer, if it has nothing to do. On failure the node leaves the group and comes back by itself. */
void nodeio_save(struct nodeio *n);
void nodeio_disk_look(struct nodeio *n); /* does the disk answer? Say it when that changes */
void nodeio_snapshot_part(struct nodeio *n, struct cluwire *w); /* takes @w's content */
void nodeio_snapshot_drop(struct nodeio *n);
/* Replace the state by the snapshot that is whole; to be written as a whole. */
bool nodeio_snapshot_load(struct nodeio *n);
void nodeio_snapshot_send(struct nodeio *n, uint32_t to, uint64_t seq);
void nodeio_text_put(struct nodeio *n, uint32_t slot, uint64_t id, const char *xml, size_t len);
void nodeio_texts_tidy(struct nodeio *n); /* drop texts of domains that are gone */

/* nodeio_reach.c: datagrams beside Corosync */
struct nodeio_reach *nodeio_reach_new(struct nodeio *n);
void nodeio_reach_free(struct nodeio_reach *r); /* takes NULL */
void nodeio_reach_config(struct nodeio *n);     /* n->cfg or n->node is another one */
void nodeio_reach_send(struct nodeio *n);       /* now, to each other node */
uint64_t nodeio_reach_lease(const struct nodeio *n); /* how long this host's lease should be: less when datagrams renew it */
bool nodeio_reach_child(struct nodeio *n, pid_t pid, int status);
/* Slots of hosts outside of the view that are not to be given up yet: reach_coming(). */
void nodeio_reach_coming(const struct nodeio *n, uint64_t *slots);
const char *nodeio_reach_trouble(const struct nodeio *n); /* "" none */

/* nodeio_clock.c */
void nodeio_clock_init(struct nodeio *n);
void nodeio_clock_lease(struct nodeio *n, const struct clu_action *a); /* tell the guard, as a moment on each clock */
void nodeio_clock_stood(struct nodeio *n, uint64_t lost_ns);

/* nodeio_propose.c */
void nodeio_propose(struct nodeio *n); /* HOST_UP, decisions, fencing: whatever is due */
void nodeio_take_usage(struct nodeio *n, uint32_t node, const Hospes__Clu__Usage *u);

/* nodeio_event.c */
/* An event of no command: to the list, to the store, and to the log. @index: shown when that is committed. @host: "" none. */
void nodeio_event(struct nodeio *n, uint64_t index, const char *kind, const char *host, const char *text);
/* An event for people from one applied command; @before: the domain as it was (uuid "" none). */
void nodeio_note(struct nodeio *n, const struct clu_cmd *c, const struct clu_dom *before, const struct clu_host *hbefore);

#endif
