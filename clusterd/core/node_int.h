/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared by node.c (events, commands, commit), node_view.c (views, snapshots), node_lease.c (beats, leases, waits), node_await.c,
 * node_permit.c and node_clock.c. */
#ifndef HOSPES_CLUSTERD_CORE_NODE_INT_H
#define HOSPES_CLUSTERD_CORE_NODE_INT_H

#include "clusterd/core/node.h"

#define CLU_HELLO_NS  1000000000ull /* HELLO is repeated so often until OPEN */
#define CLU_RESYNC_NS 5000000000ull /* a node that is behind asks for a snapshot so often */

/* One event under way. */
struct node_step {
	struct clu_node *n;
	uint64_t now;
	struct clu_changes *changes;
	struct clu_actions *out;
};

/* node.c */
/* Append an action, with the fields of that kind zeroed; msg.cmd is not: the core's own commands go by SUBMIT. */
struct clu_action *node_act(struct node_step *st, enum clu_act_kind kind);
struct clu_msg *node_send(struct node_step *st, enum clu_msg_kind kind); /* from, boot, ring, members_sum are set */
/* WARN, at most once in 5 s. */
void node_warn(struct node_step *st, const char *text);
int node_slot(const struct clu_node *n, uint32_t node); /* -1: not in the node list */
uint32_t node_count_synced(const struct clu_node *n);
bool node_silent(const struct clu_node *n, uint32_t slot); /* as clu_node_alive() has it */
/* The highest value that @need of the @n values reach; @least if fewer than @need exceed it. All of @v are above @least; sorts @v. */
uint64_t node_reached(uint64_t *v, uint32_t n, uint32_t need, uint64_t least);
void node_hear_all(struct clu_node *n); /* count silence from now on */
void node_commit(struct node_step *st); /* raise the commit index by what is on disks */

/* node_view.c */
void node_view_begin(struct node_step *st, const struct clu_event *ev);
void node_view_hello(struct node_step *st, const struct clu_msg *m);
void node_view_open(struct node_step *st, const struct clu_msg *m);
void node_view_promise(struct node_step *st, const struct clu_msg *m);
void node_view_synced(struct node_step *st, const struct clu_msg *m);
void node_view_resync(struct node_step *st, const struct clu_msg *m);
void node_view_snapshot(struct node_step *st, const struct clu_msg *m);
void node_view_loaded(struct node_step *st, bool ok);
void node_view_tick(struct node_step *st);
/* After STORED: send the HELLO or PROMISE that waited for the disk. */
void node_view_stored(struct node_step *st);
uint64_t node_view_deadline(const struct clu_node *n);
/* Wait for a snapshot: my state is not the others'. */
void node_view_fall_behind(struct node_step *st);
void node_view_ask(struct node_step *st); /* RESYNC */
void node_view_coordinator(struct clu_node *n); /* choose the coordinator anew: a member fell silent, or is back */

/* node_lease.c */
void node_lease_look(struct clu_node *n); /* compute n->seen anew if the state changed */
void node_lease_beat(struct node_step *st); /* send a BEAT now */
void node_lease_heard(struct node_step *st, const struct clu_msg *m);
void node_pulse_heard(struct node_step *st, const struct clu_pulse *m);
void node_lease_doubt(struct clu_node *n); /* my state may be wrong: acknowledge nothing by it */
void node_lease_tick(struct node_step *st);
void node_lease_renew(struct node_step *st); /* extend the lease by what is acknowledged */
uint64_t node_lease_deadline(const struct clu_node *n);

/* node_await.c */
/* Time passes until @now; n->now_ns is that of the event before. @asleep: this clusterd stood still in between. */
void node_await_pass(struct clu_node *n, uint64_t now, bool asleep);
void node_await_hello(const struct clu_node *n, struct clu_msg *m); /* fill in its fields */
void node_await_heard(struct clu_node *n, const struct clu_msg *m); /* those of a HELLO in this view */
void node_await_begin(struct clu_node *n); /* the view decides from now on */

/* node_permit.c */
void node_permit_look(struct clu_node *n); /* the state changed */
void node_permit_loaded(struct clu_node *n); /* it was replaced: what was sure of it is not */
void node_permit_tick(struct node_step *st);
uint64_t node_permit_deadline(const struct clu_node *n);
/* When the wait for @slot is over that its permit asks for; 0: none does; CLU_NEVER: not known yet. */
uint64_t node_permit_wait(const struct clu_node *n, uint32_t slot);
uint64_t node_lease_wait_for(const struct clu_node *n, uint64_t lease_ns); /* node_lease.c: what that may last, seen from here */
uint64_t node_lease_every(const struct clu_node *n); /* beats */

/* node_clock.c */
void node_clock_heard(struct node_step *st, struct clu_clock *c, uint64_t boot, uint64_t clock_ns);
void node_clock_tick(struct node_step *st);

#endif
