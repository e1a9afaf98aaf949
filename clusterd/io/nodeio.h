/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Drives this node's core (clusterd/core/node.h): turns what Corosync, the disk, the guard and the clock say into its events, and carries
 * out its actions in order. Owns the state. What follows from a committed state is done by others: local.c (this host's domains),
 * cluctl.c (orders), fence.c. Loop thread.
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
	/* The applied state, the commit or the view may have changed; called once after each batch. */
	void (*changed)(void *arg);
	/* The command sent with @request is committed with that answer, or was not done (-EAGAIN: send it again), or nobody knows. */
	void (*answer)(void *arg, uint64_t request, const struct clu_answer *answer);
	/* Something happened that people follow; it is in the store, too. */
	void (*event)(void *arg, const struct store_event *ev);
	/* migrated's word on a migration, from its source. */
	void (*progress)(void *arg, const char *uuid, const char *json, size_t len);
	/* Domains of this host that run for the cluster, for HOST_UP: at most @max. -EAGAIN: cannot be told just now. */
	int (*inventory)(void *arg, struct clu_inventory *list, uint32_t max);
	/* The engines of this host, CLU_ENGINE_*. -EAGAIN: hvdom is asked and has not answered yet; -EIO: it cannot be asked. */
	int (*engines)(void *arg, uint32_t *ret);
};

/* Everything passed in outlives it. NULL: out of memory. */
struct nodeio *nodeio_new(struct loop *loop, const struct hostconf *conf, const struct nodeio_ops *ops, void *arg);
void nodeio_free(struct nodeio *n); /* takes NULL */

/* The applied state; NULL before corosync was seen for the first time. Read only. */
struct clu_state *nodeio_state(const struct nodeio *n);
const struct clu_node *nodeio_node(const struct nodeio *n);
const struct cpg_config *nodeio_config(const struct nodeio *n);
/* May what the state says be acted on: an active view, this node up to date? */
bool nodeio_acts(const struct nodeio *n);
/* May domains be started now: the lease lasts for a while longer? */
bool nodeio_has_lease(const struct nodeio *n);
uint64_t nodeio_lease_left_ns(const struct nodeio *n);
uint64_t nodeio_lease_until_ns(const struct nodeio *n); /* as the guard holds it, CLOCK_BOOTTIME; 0: none */
uint64_t nodeio_park_ns(const struct nodeio *n);        /* how long before that its domains are parked; 0: they are killed at it */
struct fence *nodeio_fence(const struct nodeio *n);
const struct eventlist *nodeio_events(const struct nodeio *n);
/* What is wrong with this node, "" nothing. */
const char *nodeio_trouble(const struct nodeio *n);
const struct clu_load *nodeio_load(const struct nodeio *n);
const char *nodeio_text(const struct nodeio *n, uint32_t slot, size_t *ret_len); /* XML of a domain; NULL: not here */
/* This host is being shut down: @how goes with every HOST_UP; @left: it says none any more. */
void nodeio_leaving(struct nodeio *n, enum clu_leaving how, bool left);
/* Leave the group and come back as another life of this node, from the state on disk: what was said before is over. */
void nodeio_new_life(struct nodeio *n);
/* Why @h could not start @d, as it said last; NULL: it can, or its word was not heard here. Borrowed until the next event. */
const char *nodeio_reach_why(const struct nodeio *n, const struct clu_dom *d, const struct clu_host *h);
/* How long the last start of the domain in @slot took, as seen here; 0: none was. */
uint64_t nodeio_start_ns(const struct nodeio *n, uint32_t slot);
/* A child ended. True: one of ours. */
bool nodeio_child(struct nodeio *n, pid_t pid, int status);

/* Number for a new request; never 0, not one of an earlier clusterd. */
uint64_t nodeio_request(struct nodeio *n);
/* Send @c (origin and time are filled in). -ENOTCONN: not in the group. What is lost the caller repeats. */
int nodeio_submit(struct nodeio *n, const struct clu_cmd *c, const char *xml, size_t xml_len) _must_check_;
/* Measured: send it to all, this node included. */
void nodeio_usage(struct nodeio *n, Hospes__Clu__Usage *u);
void nodeio_progress(struct nodeio *n, const char *uuid, const char *json, size_t len);
/* Lease and wait times as docs/fencing.md has them. */
uint64_t nodeio_lease_auto_ns(const struct cpg_config *c);

#endif
