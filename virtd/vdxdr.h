/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * XDR (RFC 4506), as libvirt's remote protocol has it: a bounded reader over octets from outside, and a writer. Big-
 * endian, padded to 4. A read past the end, or beyond a limit, makes the reader bad: from then on everything is 0.
 * Lengths are checked against what is there before any memory is taken.
 */
#ifndef HOSPES_VIRTD_VDXDR_H
#define HOSPES_VIRTD_VDXDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/buf.h"

#define XDR_STRING_MAX 4194304u
#define XDR_UUID       16u

struct xdr {
	const uint8_t *p; /* next octet; borrowed */
	size_t left;
	bool bad;         /* sticky */
};

static inline struct xdr xdr_of(const void *p, size_t len) { return (struct xdr){ .p = p, .left = len }; }
uint32_t xdr_u32(struct xdr *x);
uint64_t xdr_u64(struct xdr *x);
/* @len octets and their padding, which has to be zero. Borrowed; NULL if short. */
const uint8_t *xdr_fixed(struct xdr *x, size_t len);
/* Octets with their number before them, at most @max. */
const uint8_t *xdr_opaque(struct xdr *x, size_t max, size_t *ret_len);
/* A string without NUL octets, malloc'd; NULL if bad, or out of memory (which is bad, too). */
char *xdr_string(struct xdr *x);
/* An optional string: *@ret is NULL if it is absent. False: bad. */
bool xdr_opt_string(struct xdr *x, char **ret);

void xdr_put_u32(struct buf *b, uint32_t v);
void xdr_put_u64(struct buf *b, uint64_t v);
void xdr_put_fixed(struct buf *b, const void *p, size_t len);
void xdr_put_opaque(struct buf *b, const void *p, size_t len);
void xdr_put_string(struct buf *b, const char *s);
void xdr_put_opt_string(struct buf *b, const char *s); /* NULL: absent */

#endif
