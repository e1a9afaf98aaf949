/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The blocking client of the hypercall socket, for vmctl and tests; loops use its descriptor. One struct is one
 * connection and belongs to one thread. The server side is hypervisor/hvserver.h.
 */
#ifndef HOSPES_HYPERVISOR_HVCALL_H
#define HOSPES_HYPERVISOR_HVCALL_H

#include <signal.h>
#include <stddef.h>
#include "common/err.h"
#include "common/cleanup.h"
#include "hypervisor/api/hypercall.h"

struct hvcall {
	int fd;             /* owned; -1: closed */
	uint64_t cookie;    /* last used */
	int timeout_ms;     /* for one call; default 30000 */
	void (*on_event)(void *arg, const struct hv_event *ev); /* events that arrive before a reply; NULL: dropped */
	void *arg;
	const volatile sig_atomic_t *stop; /* when a signal handler sets it, a waiting call ends with -EINTR; NULL: none */
};

/* Connect to the domain @name below path_run(). -ENOENT: no such domain runs; -ECONNREFUSED: its hvdom died. */
int hvcall_open(struct hvcall *c, const char *name, struct err *err) _must_check_;
int hvcall_open_path(struct hvcall *c, const char *path, struct err *err) _must_check_;
int hvcall_of_fd(struct hvcall *c, int fd);      /* takes ownership of a connected SEQPACKET socket */
void hvcall_close(struct hvcall *c);
/*
 * One call. @req and @req_fds are borrowed. @rep (may be NULL) receives min(@rep_cap, reply length) octets, and its
 * rest is zeroed; @ret_len receives the reply's real length. Descriptors arrive CLOEXEC in @rep_fds; *@n_rep_fds is the
 * room on entry and the count on return; surplus descriptors are closed. Returns 0, the reply's -errno with its text in
 * @err, or a transport error (-ECONNRESET, -ETIMEDOUT, -EPROTO).
 */
int hvcall(struct hvcall *c, uint16_t op, const void *req, size_t req_len, const int *req_fds, size_t n_req_fds,
           void *rep, size_t rep_cap, size_t *ret_len, int *rep_fds, size_t *n_rep_fds, struct err *err) _must_check_;
/* A call without descriptors. */
int hvcall_simple(struct hvcall *c, uint16_t op, const void *req, size_t req_len, void *rep, size_t rep_cap, struct err *err) _must_check_;

#endif
