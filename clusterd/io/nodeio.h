/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Drives this node's core (clusterd/core/node.h): makes its events from what Corosync, the disk, the guard and the clock say, and carries
 * its actions out in order. Owns the state. Others do what follows from a committed state: local.c (this host's domains), cluctl.c
 * (orders), fence.c. Loop thread.
 */
#ifndef HOSPES_CLUSTERD_IO_NODEIO_H
#define HOSPES_CLUSTERD_IO_NODEIO_H

#include "clusterd/core/decide.h"
#include "clusterd/core/node.h"
#include "clusterd/io/cpg.h"
#include "clusterd/io/fence.h"
#include "clusterd/io/guardlink.h"
#include "clusterd/io/hostinfo.h"
#include "clusterd/io/eventlist.h"
#include "common/err.h"
#include "common/loop.h"
#include "proto/cluster.pb-c.h"

struct nodeio;

struct nodeio_ops {
	/* The applied state, the commit index or the view may have changed. Once after each batch. */
	void (*changed)(void *arg);
	/* The command sent with @request is committed, with this answer; or was not done (-EAGAIN: repeat it); or nobody knows (-EIO). */
	void (*answer)(void *arg, uint64_t request, const struct clu_answer *answer);
	/* An event for people; it goes to the store, too. */
	void (*event)(void *arg, const struct store_event *ev);
	/* A report of migrated on a migration, from its source. */
	void (*progress)(void *arg, const char *uuid, const char *json, size_t len);
	/* Somebody wants the migration @op_id of a domain to be called off. Every node hears of it. */
	void (*call_off)(void *arg, const char *uuid, uint64_t op_id);
	/* Write the cluster's domains that run on this host to @list, for HOST_UP. Returns their number; -EAGAIN: not known yet; -E2BIG. */
	int (*inventory)(void *arg, struct clu_inventory *list, uint32_t max);
	/* The engines of this host. -EAGAIN: hvdom has not answered yet; -EIO: it cannot be asked. */
	int (*engines)(void *arg, struct hostengines *ret);
};

/* What is passed in is borrowed and outlives it. NULL: out of memory. */
struct nodeio *nodeio_new(struct loop *loop, const struct hostconf *conf, const struct nodeio_ops *ops, void *arg);
void nodeio_free(struct nodeio *n); /* takes NULL */

/* The applied state, read only; NULL before Corosync was first reached. */
struct clu_state *nodeio_state(const struct nodeio *n);
const struct clu_node *nodeio_node(const struct nodeio *n);
const struct cpg_config *nodeio_config(const struct nodeio *n);
/* True if the state may be acted on: the view is active, and this node is up to date. */
bool nodeio_acts(const struct nodeio *n);
/* True if domains may be started: the lease lasts for a while longer. */
bool nodeio_has_lease(const struct nodeio *n);
uint64_t nodeio_lease_left_ns(const struct nodeio *n);
uint64_t nodeio_lease_until_ns(const struct nodeio *n); /* as the guard holds it, CLOCK_BOOTTIME; 0: none */
uint64_t nodeio_park_ns(const struct nodeio *n);        /* how long before that domains are parked; 0: never, they are killed */
/* Until when the host in @slot is waited for, and why, for people; "": it is not. */
void nodeio_awaits(const struct nodeio *n, uint32_t slot, char *to, size_t len);
struct fence *nodeio_fence(const struct nodeio *n);
const struct eventlist *nodeio_events(const struct nodeio *n);
/* What is wrong with this node, for people; "": nothing. */
const char *nodeio_trouble(const struct nodeio *n);
const struct clu_load *nodeio_load(const struct nodeio *n);
const char *nodeio_text(const struct nodeio *n, uint32_t slot, size_t *ret_len); /* XML of a domain, borrowed; NULL: not here */
/* This host is being shut down: @how goes with every HOST_UP; after @left there is none any more. */
void nodeio_leaving(struct nodeio *n, enum clu_leaving how, bool left);
/* Leave the group and come back as a new life of this node, from the state on disk. */
void nodeio_new_life(struct nodeio *n);
/* Why @h cannot start @d, in its own words, borrowed until the next event; NULL: it can, or its report did not come here. */
const char *nodeio_reach_why(const struct nodeio *n, const struct clu_dom *d, const struct clu_host *h);
/* Replace the text of a verdict FILES by what @h itself said that it lacks: for all who show it. */
void nodeio_verdict_text(const struct nodeio *n, const struct clu_dom *d, const struct clu_host *h,
                         struct clu_verdict *v);
/* How long the last start of the domain in @slot took, as seen here; 0: none was seen. */
uint64_t nodeio_start_ns(const struct nodeio *n, uint32_t slot);
/* A child ended (SIGCHLD). True: it was a fence agent or nft. */
bool nodeio_child(struct nodeio *n, pid_t pid, int status);

/* A number for a new request: not 0, and not used by an earlier clusterd. */
uint64_t nodeio_request(struct nodeio *n);
/* Send @c; origin and time are filled in. @xml: of DEFINE. The caller repeats what gets lost. -ENOTCONN, -E2BIG, -ENOMEM, -ENOBUFS;
 * -EOPNOTSUPP: something in it needs a feature level that the cluster has not got yet, see nodeio_level_text(). */
int nodeio_submit(struct nodeio *n, const struct clu_cmd *c, const char *xml, size_t xml_len) _must_check_;
/* Why @c is refused with -EOPNOTSUPP, for people: what is in it, which hosts are of which level. */
void nodeio_level_text(const struct nodeio *n, const struct clu_cmd *c, char *to, size_t len);
/* Send measurements to all nodes, this one included. May get lost. */
void nodeio_usage(struct nodeio *n, Hospes__Clu__Usage *u);
void nodeio_progress(struct nodeio *n, const char *uuid, const char *json, size_t len);
/* Ask the source of migration @op_id to call it off. May get lost: the caller repeats it. */
void nodeio_call_off(struct nodeio *n, const char *uuid, uint64_t op_id);
/* The automatic lease (docs/fencing.md) where datagrams do not renew it. */
uint64_t nodeio_lease_auto_ns(const struct cpg_config *c);

#endif
