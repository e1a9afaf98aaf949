/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The connection to Corosync on the event loop: libcpg (membership and totally ordered messages), votequorum (quorate or not), cmap (the
 * node list, the cluster's name, Totem's times). Corosync may start later, die and come back: the connection is made again with a
 * back-off, and state() says what is the matter meanwhile. Nothing here knows what the messages mean. Loop thread.
 */
#ifndef HOSPES_CLUSTERD_IO_CPG_H
#define HOSPES_CLUSTERD_IO_CPG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "clusterd/core/clu.h"
#include "common/err.h"
#include "common/loop.h"

struct cpglink;

#define CPG_LINKS    2u
#define CPG_ADDR_MAX 64u
#define CPG_PORTS    9u /* 8 links of knet; the other transports send from one below the first */

/* What Corosync's configuration says; read when connected, and again when it changes. */
struct cpg_config {
	char cluster[CLU_NAME_MAX];
	uint32_t node;               /* this host's id */
	uint32_t n_nodes;            /* of the list, ascending by id */
	uint32_t id[CLU_HOSTS_MAX];
	char name[CLU_HOSTS_MAX][CLU_NAME_MAX];
	char addr[CLU_HOSTS_MAX][CPG_LINKS][CPG_ADDR_MAX]; /* ring0_addr, ring1_addr: as they stand there; "" none */
	uint16_t port[CPG_PORTS];    /* UDP ports that Corosync gets packets at */
	uint64_t token_ns, consensus_ns;
	bool two_node, qdevice;      /* refused: docs/fencing.md */
};

struct cpglink_ops {
	/*
	 * Connected to Corosync, or its node list changed: -errno with a text keeps us out of the group (asked again later).
	 * -EINPROGRESS: not yet; nothing is said of it, cpglink_again() comes.
	 */
	int (*config)(void *arg, const struct cpg_config *c, struct err *err);
	/* @ring and members of the group, ascending; @n 0: out of it. */
	void (*view)(void *arg, uint64_t ring, const uint32_t *member, uint32_t n);
	void (*message)(void *arg, uint32_t node, const void *p, size_t len);
	void (*quorate)(void *arg, bool on);
	void (*batch_end)(void *arg); /* after the messages that came together: store them */
	void (*state)(void *arg, const char *text); /* NULL: all is well */
};

/* Begins to connect at once. NULL: out of memory. */
struct cpglink *cpglink_new(struct loop *loop, const struct cpglink_ops *ops, void *arg);
void cpglink_free(struct cpglink *c); /* takes NULL; leaves the group */
/*
 * Send to the group, in order; copied. When Corosync is busy it waits here. -ENOTCONN: not in the group; -ENOBUFS: too much waits
 * (the caller should leave and come back).
 */
int cpglink_send(struct cpglink *c, const void *p, size_t len) _must_check_;
/* @on false: leave the group and stay out until told otherwise. Takes effect when the loop is back. */
void cpglink_enable(struct cpglink *c, bool on);
/* Ask config() again at once, if that kept us out. */
void cpglink_again(struct cpglink *c);
/* Leave and join again, soon. */
void cpglink_rejoin(struct cpglink *c);

#endif
