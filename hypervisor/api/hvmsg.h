/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The check of every hypercall request before any other code reads it. It is pure, so that it can be fuzzed. Only
 * hvserver.c uses it; the format is docs/wire/hypercall.md.
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

/* The name of an op for people ("suspend"), "unknown" when there is none. */
const char *hvmsg_op_name(uint16_t op);

/* The size of this version's request structure; a shorter payload is padded with zeroes. 0: no payload. */
size_t hvmsg_req_len(uint16_t op);

/*
 * Check @len octets that arrived as one message with @n_fds descriptors. *@ret_hdr is filled from the octets that
 * arrived (rest zero), whatever the verdict, so that an answer can repeat op and cookie.
 */
enum hvmsg_verdict hvmsg_check(const void *p, size_t len, size_t n_fds, struct hv_msg *ret_hdr, struct err *err) _must_check_;

#endif
