/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared by nodeio.c (events and actions), nodeio_load.c (disk, snapshots, texts), nodeio_up.c (own commands, decisions, fencing). */
#ifndef HOSPES_CLUSTERD_IO_NODEIO_INT_H
#define HOSPES_CLUSTERD_IO_NODEIO_INT_H

#include "clusterd/io/cluwire.h"
#include "clusterd/io/nodeio.h"

#define NODEIO_SNAPSHOT_MAX (64u << 20) /* octets of one snapshot */
#define NODEIO_PARTS_MAX    4096u

struct nodeio_text { uint64_t id; char *xml; size_t len; }; /* xml: owned, not terminated */
struct nodeio_buffered { struct nodeio_buffered *next; uint32_t node; size_t len; uint8_t octets[]; };
struct nodeio_answer { struct nodeio_answer *next; uint64_t request, index; struct clu_answer answer; };

/* A snapshot being put together: the parts of one sender, in order. */
struct nodeio_snapshot {
	uint32_t from;
	uint64_t epoch, index, sum, seq;
	struct cluwire *part; /* owned, n of them */
	uint32_t n, cap;
	size_t bytes;
	bool whole;
};

struct nodeio {
	struct loop *loop;
	const struct hostconf *conf;
	const struct nodeio_ops *ops;
	void *arg;
	struct cpglink *cpg;
	struct guardlink *guard;
	struct fence *fence;
	struct store *store;
	struct cpg_config cfg;
	bool have_cfg;           /* and a state that goes with it */
	bool must_reload;        /* the disk did not take the state: what is in memory is worth nothing */
	struct clu_state *s;     /* owned; with its dom table */
	struct clu_node node;
	struct clu_changes changes;
	struct clu_actions *acts; /* scratch for one step */
	bool stepping, store_wanted, loaded_wanted, loaded_ok, touched;
	struct loop_timer *tick, *house;
	uint64_t ring;
	uint32_t n_members, member[CLU_HOSTS_MAX];
	struct nodeio_text *text; /* by slot, CLU_DOMS_MAX */
	struct nodeio_snapshot snap;
	struct nodeio_buffered *buffered, **buffered_end;
	struct nodeio_answer *answers;
	uint64_t next_request;
	uint64_t sent_cmds, seen_cmds, sent_ns; /* own commands under way: nothing is proposed anew meanwhile */
	uint64_t host_up_ns, decide_ns, decide_at_ns;
	uint64_t acted_ns, settle_ns; /* this node acted last; after a time without quorum nobody is declared lost before */
	struct clu_capacity cap;
	uint64_t cap_ns;
	struct clu_load load;
	struct clu_dom_load *dom_load; /* by slot */
	char (*load_uuid)[CLU_UUID_MAX]; /* whose it is */
	struct clu_proposals *proposals;
	uint64_t bad_messages, bad_ns;
	char corosync_text[ERR_TEXT_MAX], disk_text[ERR_TEXT_MAX], aside_text[ERR_TEXT_MAX], loud_text[CLU_TEXT_MAX];
	uint64_t loud_ns;
	bool loud_few; /* said while there was no majority, which may be why */
};

/* nodeio.c */
void nodeio_feed(struct nodeio *n, struct clu_event *ev);
void nodeio_settle(struct nodeio *n); /* write what is to be written, re-feed, tell others; after each event from outside */
void nodeio_answer(struct nodeio *n, uint64_t request, const struct clu_answer *a);

/* nodeio_load.c */
/* Open the disk and load the state; fresh when there is none. */
int nodeio_open(struct nodeio *n, struct err *err) _must_check_;
/* Write what changed. On failure the node leaves the group and comes back by itself. False: it did not work. */
bool nodeio_save(struct nodeio *n);
void nodeio_snapshot_part(struct nodeio *n, struct cluwire *w); /* takes @w's content */
void nodeio_snapshot_drop(struct nodeio *n);
/* Replace the state by the snapshot that is whole, and write it. */
bool nodeio_snapshot_load(struct nodeio *n);
void nodeio_snapshot_send(struct nodeio *n, uint32_t to, uint64_t seq);
void nodeio_text_put(struct nodeio *n, uint32_t slot, uint64_t id, const char *xml, size_t len);
void nodeio_texts_tidy(struct nodeio *n); /* drop texts of domains that are gone */

/* nodeio_up.c */
void nodeio_house(struct nodeio *n); /* HOST_UP, decisions, fencing: whatever is due */
void nodeio_take_usage(struct nodeio *n, uint32_t node, const Hospes__Clu__Usage *u);
/* An event for people from one applied command; @before: the domain as it was (uuid "" none). */
void nodeio_note(struct nodeio *n, const struct clu_cmd *c, const struct clu_dom *before, const struct clu_host *hbefore);

#endif
