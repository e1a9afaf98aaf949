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

#define NODEIO_LEASE_MIN (5 * NS_PER_S) /* the shortest automatic lease */
#define NODEIO_PARTS_MAX 4096u /* of one snapshot */

struct nodeio_text { uint64_t id; char *xml; size_t len; }; /* xml: owned, terminated */
struct nodeio_buffered { struct nodeio_buffered *next; uint32_t node; size_t len; uint8_t octets[]; };
struct nodeio_answer { struct nodeio_answer *next; uint64_t request, index; struct clu_answer answer; };

/* A snapshot being put together from the parts of one sender, in order. */
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
	struct moment permit;    /* the end of this host's permit (node_permit.c) */
	uint64_t life;           /* of this host in the cluster (guardmsg.h): a new one before each HOST_UP that follows a loss */
	struct fence *fence;
	struct nodeio_reach *reach;
	bool lease_auto;         /* the policy lease_s was 0 when this life began */
	uint64_t own_ns;         /* when a message of this node was last delivered: Corosync makes progress */
	struct storer *storer;
	struct store_image *image; /* owned; the content of the disk, until nodeio_open() takes it over */
	struct eventlist *events;
	struct { uint64_t epoch, index, promised; bool load; } writing; /* on its way to the disk; load: a snapshot */
	struct cpg_config cfg;
	bool have_cfg;           /* and a state for it */
	bool disarmed;           /* as the last event said */
	bool must_reload;        /* a write failed: the state in memory is void */
	struct clu_state *s;     /* owned, with its dom table */
	struct clu_node node;
	struct clu_changes changes;
	struct clu_actions *acts; /* of the last step */
	bool store_wanted, loaded_wanted, loaded_ok, touched;
	struct loop_timer *tick, *period;
	uint64_t ring;
	uint64_t view_ns;        /* when the present view began */
	uint32_t n_members, member[CLU_HOSTS_MAX];
	struct nodeio_text *text; /* by slot, CLU_DOMS_MAX */
	struct nodeio_snapshot snap;
	struct nodeio_buffered *buffered, **buffered_end;
	struct nodeio_answer *answers;
	uint64_t next_request;
	uint64_t sent_cmds, seen_cmds, sent_ns; /* own commands sent and delivered: nothing is proposed while some are under way */
	enum clu_leaving leaving;
	bool left;
	uint64_t host_up_ns;     /* when HOST_UP was last sent */
	uint64_t awaited[CLU_HOSTS_MAX / 64]; /* slots of hosts whose clu_node_awaits() was reported */
	struct clu_capacity cap;
	uint64_t cap_ns;
	struct clu_load load;
	struct clu_dom_load *dom_load; /* by slot */
	char (*load_uuid)[CLU_UUID_MAX]; /* the domain that was measured, by slot */
	struct nodeio_start { uint64_t op_id, from_ns, took_ns; } *start; /* by slot; took_ns: of the last start that was seen */
	struct clu_proposals *proposals;
	uint64_t bad_messages, bad_ns;
	bool stuck;              /* reported: the disk does not answer */
	char stuck_text[ERR_TEXT_MAX];
	char corosync_text[ERR_TEXT_MAX], disk_text[ERR_TEXT_MAX], aside_text[ERR_TEXT_MAX], warn_text[CLU_TEXT_MAX];
	char role_text[ERR_TEXT_MAX]; /* why a witness stays out; "" it does not */
	uint64_t warned_ns;
	bool warned_few;         /* the warning came without a majority, which may be its cause */
};

/* nodeio.c */
uint64_t nodeio_random_id(void); /* not 0 */
uint64_t nodeio_real_ns(void);   /* CLOCK_REALTIME */

/* nodeio_pump.c */
extern const struct cpglink_ops nodeio_cpg_ops;
void nodeio_feed(struct nodeio *n, struct clu_event *ev); /* one event to the core; carries out its actions */
void nodeio_settle(struct nodeio *n); /* after each event from outside: write what is to be written, set the timer, tell others */
void nodeio_loaded(struct nodeio *n, bool ok); /* a snapshot is in memory and on disk, or failed */
void nodeio_buffered_forget(struct nodeio *n);

/* nodeio_answer.c */
void nodeio_answer_hold(struct nodeio *n, const struct clu_action *a); /* until its index is committed; index 0: give it at once */
void nodeio_answers_release(struct nodeio *n, uint64_t commit);
/* The state was replaced. Nobody knows whether it contains the commands; @tell: say so to each sender. */
void nodeio_answers_forget(struct nodeio *n, bool tell);

/* nodeio_config.c */
int nodeio_on_config(void *arg, const struct cpg_config *c, struct err *err) _must_check_; /* of struct cpglink_ops */
int nodeio_place(const struct cpg_config *c, uint32_t node); /* index in the node list; -1: not there */

/* nodeio_store.c */
extern const struct storer_ops nodeio_storer_ops;
/* Take over the state on disk; a fresh one if there is none. -EINPROGRESS: it is being read, and cpglink_again() follows. */
int nodeio_open(struct nodeio *n, struct err *err) _must_check_;
/* Give the storer what changed, if it is idle. If the write fails, the node leaves the group and comes back by itself. */
void nodeio_save(struct nodeio *n);
void nodeio_disk_look(struct nodeio *n); /* report when the disk stops or begins to answer */
void nodeio_snapshot_part(struct nodeio *n, struct cluwire *w); /* takes the content of @w */
void nodeio_snapshot_drop(struct nodeio *n);
/* Replace the state by the snapshot, if it is whole and sound. It then has to be written as a whole. */
bool nodeio_snapshot_load(struct nodeio *n);
void nodeio_snapshot_send(struct nodeio *n, uint32_t to, uint64_t seq);
void nodeio_text_put(struct nodeio *n, uint32_t slot, uint64_t id, const char *xml, size_t len); /* copied */
void nodeio_texts_tidy(struct nodeio *n); /* drop texts of domains that are gone */

/* nodeio_reach.c: datagrams beside Corosync */
struct nodeio_reach *nodeio_reach_new(struct nodeio *n);
void nodeio_reach_free(struct nodeio_reach *r); /* takes NULL */
void nodeio_reach_config(struct nodeio *n);     /* n->cfg or n->node changed */
void nodeio_reach_send(struct nodeio *n);       /* now, to each other node */
uint64_t nodeio_reach_lease(const struct nodeio *n); /* the lease that this host should have: shorter when datagrams renew it */
bool nodeio_reach_child(struct nodeio *n, pid_t pid, int status);
void nodeio_reach_coming(const struct nodeio *n, uint64_t *slots); /* add the hosts of reach_coming() */
const char *nodeio_reach_trouble(const struct nodeio *n); /* "": none */

/* nodeio_clock.c */
void nodeio_clock_init(struct nodeio *n);
void nodeio_clock_lease(struct nodeio *n, const struct clu_action *a); /* LEASE: tell the guard, as a moment on both clocks */
void nodeio_clock_permit(struct nodeio *n, const struct clu_action *a); /* PERMIT */
void nodeio_clock_stood(struct nodeio *n, uint64_t lost_ns); /* CLOCK_STOPPED */

/* nodeio_propose.c */
void nodeio_propose(struct nodeio *n); /* HOST_UP, decisions, fencing: whatever is due */
void nodeio_take_usage(struct nodeio *n, uint32_t node, const Hospes__Clu__Usage *u);

/* nodeio_event.c */
/* An event of no command: to the list, to the store, and to the log. @index: shown when that is committed. @host: "" none. */
void nodeio_event(struct nodeio *n, uint64_t index, const char *kind, const char *host, const char *text);
/* The event of a command that was applied. @before, @hbefore: domain and host as they were; uuid "", node 0: none. */
void nodeio_note(struct nodeio *n, const struct clu_cmd *c, const struct clu_dom *before, const struct clu_host *hbefore);

#endif
