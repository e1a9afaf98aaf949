/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared by domcall.c (hypercalls) and domcall_own.c (those that move ownership, and so wait for storage). */
#ifndef HOSPES_HYPERVISOR_DOMCALL_INT_H
#define HOSPES_HYPERVISOR_DOMCALL_INT_H

#include "hypervisor/api/hvmsg.h"
#include "hypervisor/domain_int.h"

struct call {
	struct domain *d;
	struct hvconn *conn;
	const void *req; /* zero-extended to what the op's struct needs */
	int *fds;
	size_t n_fds;
	/* reply */
	union {
		uint8_t bytes[HV_PAYLOAD_MAX];
		uint64_t align;
	} * rep;
	size_t rep_len; /* as the table of hypercalls says; only DUMPXML sets it */
	int rep_fds[HV_REGIONS_MAX + 1];
	size_t n_rep_fds;
	bool close_rep_fd; /* the reply's first descriptor is ours to close afterwards */
};

#define REP(c, type) ((type *)(c)->rep->bytes)

/* domcall_own.c; all may return -EINPROGRESS: domain_pend_done() answers */
int call_relinquish(struct call *c, struct err *err) _must_check_;
int call_reclaim(struct call *c, struct err *err) _must_check_;
int call_take(struct call *c, struct err *err) _must_check_;
int call_park(struct call *c, struct err *err) _must_check_;
int call_unpark(struct call *c, struct err *err) _must_check_;
int call_lease(struct call *c, struct err *err) _must_check_;
int call_destroy(struct call *c, struct err *err) _must_check_;

#endif
