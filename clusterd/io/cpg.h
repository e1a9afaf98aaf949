/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The connection to Corosync on the event loop: libcpg (membership and totally ordered messages), votequorum (quorate or not), cmap (the
 * node list, the cluster's name, Totem's times). Corosync may start later, die and come back: the connection is made again with a backoff,
 * and state() reports the trouble meanwhile. The messages have no meaning here. Loop thread.
 */
#ifndef HOSPES_CLUSTERD_IO_CPG_H
#define HOSPES_CLUSTERD_IO_CPG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "clusterd/core/clu_state.h"
#include "common/err.h"
#include "common/loop.h"

struct cpglink;

#define CPG_LINKS    2u
#define CPG_ADDR_MAX 64u
#define CPG_PORTS    9u /* of knet's 8 links; other transports send from the port below the first */

/* Corosync's configuration; read on connection, and again when it changes. */
struct cpg_config {
	char cluster[CLU_NAME_MAX];
	uint32_t node;               /* this host's id */
	uint32_t n_nodes;            /* in the list, ascending by id */
	uint32_t id[CLU_HOSTS_MAX];
	char name[CLU_HOSTS_MAX][CLU_NAME_MAX];
	char addr[CLU_HOSTS_MAX][CPG_LINKS][CPG_ADDR_MAX]; /* ring0_addr, ring1_addr, as written; "": none */
	uint16_t port[CPG_PORTS];    /* UDP ports of Corosync's packets */
	uint64_t token_ns, consensus_ns;
	bool two_node, qdevice;      /* refused: docs/fencing.md */
};

struct cpglink_ops {
	/*
	 * Corosync was reached, or its configuration changed. -errno with a text keeps this node out of the group; the call is repeated
	 * later. -EINPROGRESS: not ready yet. Nothing is reported, and cpglink_again() follows.
	 */
	int (*config)(void *arg, const struct cpg_config *c, struct err *err);
	/* The ring number and the group's members, ascending. @n 0: this node is out of the group. */
	void (*view)(void *arg, uint64_t ring, const uint32_t *member, uint32_t n);
	void (*message)(void *arg, uint32_t node, const void *p, size_t len);
	void (*quorate)(void *arg, bool on);
	void (*batch_end)(void *arg); /* after messages that came together: store what changed */
	void (*state)(void *arg, const char *text); /* what is wrong; NULL: nothing */
};

/* Begins to connect at once. @ops is borrowed. NULL: out of memory. */
struct cpglink *cpglink_new(struct loop *loop, const struct cpglink_ops *ops, void *arg);
void cpglink_free(struct cpglink *c); /* takes NULL; leaves the group */
/*
 * Send @p to the group, in order; copied. It is queued here while Corosync is busy. -ENOTCONN: not in the group. -ENOBUFS: the queue is
 * full, or out of memory; the caller should leave and join again.
 */
int cpglink_send(struct cpglink *c, const void *p, size_t len) _must_check_;
/* @on false: leave the group, and stay out until @on is true. Takes effect in the loop's next round. */
void cpglink_enable(struct cpglink *c, bool on);
/* Call config() again at once, if that kept this node out. */
void cpglink_again(struct cpglink *c);
/* Leave the group and join it again, soon. */
void cpglink_rejoin(struct cpglink *c);

#endif
