/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hypercalls inside hvdom: domcall.c (the table and most of them), domcall_own.c (those that move ownership), domplug.c (those that change
 * devices), domwait.c (those that may have to wait). Main thread.
 */
#ifndef HOSPES_HYPERVISOR_DOMCALL_INT_H
#define HOSPES_HYPERVISOR_DOMCALL_INT_H

#include "hypervisor/api/hvmsg.h"
#include "hypervisor/domain_int.h"

struct call {
	struct domain *d;
	struct hvconn *conn;
	uint64_t cookie;
	bool later;      /* set by the op: it answers by itself, and others are served meanwhile */
	const void *req; /* the op's request struct, borrowed */
	int *fds; /* as hvserver_ops.request() has them */
	size_t n_fds;
	/* reply */
	union {
		uint8_t bytes[HV_PAYLOAD_MAX];
		uint64_t align;
	} * rep;
	size_t rep_len; /* set from the table of hypercalls; DUMPXML changes it */
	int rep_fds[HV_REGIONS_MAX + 1];
	size_t n_rep_fds;
	bool close_rep_fd; /* close rep_fds[0] once the reply is sent */
};

#define REP(c, type) ((type *)(c)->rep->bytes)

/* domcall_own.c: 0 or -errno; -EINPROGRESS: domain_pend_done() answers */
int call_relinquish(struct call *c, struct err *err) _must_check_;
int call_reclaim(struct call *c, struct err *err) _must_check_;
int call_take(struct call *c, struct err *err) _must_check_;
int call_park(struct call *c, struct err *err) _must_check_;
int call_unpark(struct call *c, struct err *err) _must_check_;
int call_lease(struct call *c, struct err *err) _must_check_;
int call_destroy(struct call *c, struct err *err) _must_check_;

/* domplug.c */
int call_blockresize(struct call *c, struct err *err) _must_check_;
int call_attach(struct call *c, struct err *err) _must_check_;
int call_detach(struct call *c, struct err *err) _must_check_;

/* domcall_screen.c */
int call_display(struct call *c, struct err *err) _must_check_;
int call_screenshot(struct call *c, struct err *err) _must_check_;
int domain_screen_client(void *arg, int fd, struct err *err); /* a display_client_fn, of a domain */

/* domcall.c */
extern const struct hvserver_ops domcall_ops;
void domain_pend_done(struct domain *d, int r, struct err *err); /* answer the call that is pending; without one nothing happens */
void domain_cannot_run(struct domain *d, const char *why);       /* end the domain, which never runs again here */

/* domwait.c */
/* Finish the present call with @done, now. If @r is -EINPROGRESS, return that: domain_pend_over() calls @done later, and answers. */
int domain_pend(struct domain *d, int r, pend_fn *done, struct err *err) _must_check_;
void domain_pend_over(struct domain *d, int r, struct err *err);
/*
 * Run @work (argument: @d) on the thread for storage (slow.h), then @done, as above. @done gets -ETIMEDOUT after @limit_ns, and -EBUSY when
 * @work was not begun because an earlier job still waits.
 */
int domain_job(struct domain *d, int (*work)(void *arg, struct err *err), pend_fn *done, uint64_t limit_ns, struct err *err) _must_check_;

#endif
