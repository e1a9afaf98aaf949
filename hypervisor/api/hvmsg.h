/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of hypercalls, and the check of every request before any other code reads it. Both are pure, so that they can be
 * fuzzed. The format is docs/wire/hypercall.md.
 */
#ifndef HOSPES_HYPERVISOR_HVMSG_H
#define HOSPES_HYPERVISOR_HVMSG_H

#include <stdbool.h>
#include <stddef.h>
#include "common/cleanup.h"
#include "common/err.h"
#include "hypervisor/api/hypercall.h"

enum hvmsg_verdict {
	HVMSG_OK,     /* dispatch it */
	HVMSG_REFUSE, /* answer with the error, keep the connection: an op that we do not know */
	HVMSG_HANGUP, /* answer with the error, end the connection: it does not speak our protocol */
};

/* The session that a hypercall belongs to. While one connection has begun it, all others are refused (hypercall.md). */
enum hvmsg_session { HVMSG_ANYBODY, HVMSG_SUSPENSION, HVMSG_LOGDIRTY, HVMSG_INCOMING };

#define HVMSG_FDS_MAX 16u /* of one message (common/util.h) */
#define HVMSG_OR_MORE 0x80u
#define HVMSG_IN(state) (1u << HV_DOM_##state)
#define HVMSG_ANY_STATE UINT16_MAX

/* One hypercall. docs/wire/hypercall.md has the same table. */
struct hvmsg_op {
	const char *name;          /* for people: "suspend" */
	uint16_t req_len, rep_len; /* of this version's structures; a shorter request is padded with zeroes; DUMPXML's reply varies: 0 */
	uint8_t n_fds;             /* descriptors that must come with the request; | HVMSG_OR_MORE: up to HVMSG_FDS_MAX */
	bool storage;              /* it is served while another call waits for storage */
	uint16_t states;           /* HVMSG_IN() of each state in which it is allowed */
	enum hvmsg_session session;
};

/* NULL: no request has that number. */
const struct hvmsg_op *hvmsg_op(uint16_t op);
/* Its name, or "unknown"; its req_len, or 0. */
const char *hvmsg_op_name(uint16_t op);
size_t hvmsg_req_len(uint16_t op);

/* The name of an HV_LOGDIRTY_BY_*: "pagemap-scan", "soft-dirty", "hash", "none"; else "unknown". */
const char *hv_logdirty_by(uint32_t by);

/*
 * Check @len octets that arrived as one message with @n_fds descriptors. *@ret_hdr is filled from the octets that
 * arrived (rest zero), whatever the verdict, so that an answer can repeat op and cookie.
 */
enum hvmsg_verdict hvmsg_check(const void *p, size_t len, size_t n_fds, struct hv_msg *ret_hdr, struct err *err) _must_check_;

#endif
