/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared by node.c (events, commands, commit), node_view.c (views, snapshots) and node_lease.c (beats, leases, waits). */
#ifndef HOSPES_CLUSTERD_CORE_NODE_INT_H
#define HOSPES_CLUSTERD_CORE_NODE_INT_H

#include "clusterd/core/node.h"

#define CLU_HELLO_NS  1000000000ull /* said again, until OPEN */
#define CLU_RESYNC_NS 5000000000ull /* behind for so long: ask for a snapshot (again) */

struct node_step {
	struct clu_node *n;
	uint64_t now;
	struct clu_changes *changes;
	struct clu_actions *out;
};

/* Append; what an action of that kind uses is zeroed. Never msg.cmd: the core's own commands go by SUBMIT. */
struct clu_action *node_act(struct node_step *st, enum clu_act_kind kind);
struct clu_msg *node_send(struct node_step *st, enum clu_msg_kind kind); /* from, boot, ring, members_sum are set */
/* At most one every 5 s. */
void node_warn(struct node_step *st, const char *text);
int node_slot(const struct clu_node *n, uint32_t node); /* -1: no such host */
uint32_t node_count_synced(const struct clu_node *n);
bool node_silent(const struct clu_node *n, uint32_t slot); /* clu_node_alive() */
/* Of @n values above @least, put in order: the highest that @need of them have reached; @least when none. */
uint64_t node_reached(uint64_t *v, uint32_t n, uint32_t need, uint64_t least);
void node_hear_all(struct clu_node *n);                    /* nobody is silent yet */

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
/* Something is on disk now: say the HELLO or PROMISE that waited for it. */
void node_view_stored(struct node_step *st);
uint64_t node_view_deadline(const struct clu_node *n);
/* My state is not what the others have: forget it, ask for theirs. */
void node_view_fall_behind(struct node_step *st);

void node_view_ask(struct node_step *st); /* RESYNC */
void node_view_coordinator(struct clu_node *n); /* choose anew: somebody fell silent, or is back */

/* node_lease.c */
void node_lease_look(struct clu_node *n); /* n->seen anew, when the state is another one */
void node_lease_beat(struct node_step *st); /* send one now */
void node_lease_heard(struct node_step *st, const struct clu_msg *m);
void node_pulse_heard(struct node_step *st, const struct clu_pulse *m);
void node_lease_doubt(struct clu_node *n); /* my state is not what it should be: nothing is acknowledged by it */
void node_lease_tick(struct node_step *st);
void node_lease_renew(struct node_step *st);
uint64_t node_lease_deadline(const struct clu_node *n);
/* node_clock.c */
void node_clock_heard(struct node_step *st, struct clu_clock *c, uint64_t boot, uint64_t clock_ns);
void node_clock_tick(struct node_step *st);
/* node.c */
void node_commit(struct node_step *st);

#endif
