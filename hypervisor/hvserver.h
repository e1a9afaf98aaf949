/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Server side of the hypercall socket: accepts connections, checks every message, gives requests to a dispatcher and sends
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
	 * One checked request. @payload is valid during the call and as long as this version's request structure of @op: fields that
	 * the client did not send read as 0. The server closes @fds after the call;
	 * an entry that is set to -1 stays with the dispatcher, which owns it then. The dispatcher answers each request exactly once,
	 * by hvconn_reply() or hvconn_fail(), during the call or later with the same @conn and @cookie.
	 */
	void (*request)(void *arg, struct hvconn *conn, uint16_t op, uint64_t cookie,
	                const void *payload, size_t len, int *fds, size_t n_fds);
	/* The connection ended: undo what belongs to its session. @conn is invalid afterwards. */
	void (*closed)(void *arg, struct hvconn *conn);
};

/* @listen_fd: a listening SEQPACKET socket, owned from now on, also on failure. @ops and @arg outlive the server. */
struct hvserver *hvserver_new(struct loop *loop, int listen_fd, const struct hvserver_ops *ops, void *arg, struct err *err);
void hvserver_free(struct hvserver *s);          /* takes NULL; closes all connections without a call of closed() */
void hvserver_close_door(struct hvserver *s);    /* accept no more connections; the open ones stay */
/* Create and bind the listening socket at @path, mode 0600, in place of a stale one. Returns the descriptor; -EADDRINUSE: hvdom runs. */
int hvserver_listen(const char *path, struct err *err) _must_check_;
/* Answer the request with @cookie. All pointers are borrowed for the call. A client that does not read loses its connection. */
void hvconn_reply(struct hvconn *c, uint16_t op, uint64_t cookie, const void *payload, size_t len, const int *fds, size_t n_fds);
void hvconn_fail(struct hvconn *c, uint16_t op, uint64_t cookie, const struct err *err);
void hvconn_subscribe(struct hvconn *c, bool on);
void hvserver_event(struct hvserver *s, const struct hv_event *ev);  /* to all subscribers; a slow one loses its connection */

#endif
