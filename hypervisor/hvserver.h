/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Server side of the hypercall socket: accepts connections, checks every message, hands requests to a dispatcher and sends
 * its replies. Hostile clients cost at most HVSERVER_CONNS_MAX descriptors and one buffer each. Runs on hvdom's main loop.
 */
#ifndef HOSPES_HYPERVISOR_HVSERVER_H
#define HOSPES_HYPERVISOR_HVSERVER_H

#include <stddef.h>
#include <stdbool.h>
#include "common/err.h"
#include "common/loop.h"
#include "hypervisor/api/hypercall.h"

#define HVSERVER_CONNS_MAX 32

struct hvserver;
struct hvconn;

struct hvserver_ops {
	/*
	 * One checked request. @payload is valid during the call and at least this version's request structure of @op (what the
	 * caller left out reads as 0). Only SET_STATE comes with descriptors, exactly one; those in @fds are owned by the
	 * server and closed after return (set to -1 what is kept). The dispatcher must call hvconn_reply() or hvconn_fail() exactly
	 * once, now or later (then it keeps @conn and @cookie).
	 */
	void (*request)(void *arg, struct hvconn *conn, uint16_t op, uint64_t cookie,
	                const void *payload, size_t len, int *fds, size_t n_fds);
	/* The connection ended: undo what belongs to it; @conn is invalid afterwards. */
	void (*closed)(void *arg, struct hvconn *conn);
};

/* @listen_fd: a listening SEQPACKET socket, owned from now on. @ops and @arg outlive the server. */
struct hvserver *hvserver_new(struct loop *loop, int listen_fd, const struct hvserver_ops *ops, void *arg, struct err *err);
void hvserver_free(struct hvserver *s);          /* closes all; calls closed() for none */
/* No new connections from now on; those that are there go on. */
void hvserver_close_door(struct hvserver *s);
/* Create and bind the listening socket at @path (replacing a stale one), mode 0600. Returns the fd or -errno. */
int hvserver_listen(const char *path, struct err *err) _must_check_;
void hvconn_reply(struct hvconn *c, uint16_t op, uint64_t cookie, const void *payload, size_t len, const int *fds, size_t n_fds);
void hvconn_fail(struct hvconn *c, uint16_t op, uint64_t cookie, const struct err *err);
void hvconn_subscribe(struct hvconn *c, bool on);
void hvserver_event(struct hvserver *s, const struct hv_event *ev);  /* to all subscribers; slow ones are dropped, not waited for */

#endif
