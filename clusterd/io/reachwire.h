/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The datagrams between clusterds as octets, authenticated: docs/wire/reach.md. Loop thread. */
#ifndef HOSPES_CLUSTERD_IO_REACHWIRE_H
#define HOSPES_CLUSTERD_IO_REACHWIRE_H

#include "clusterd/core/node_msg.h"
#include "clusterd/core/reach.h"
#include "common/cleanup.h"
#include "common/err.h"

#define REACHWIRE_ROWS_MAX 36u
#define REACHWIRE_MAX      1400u /* octets of a datagram */
#define REACHWIRE_KEY      32u

struct reach_dgram {
	uint64_t list;          /* cluster and node list, as reachwire_list() makes it */
	uint32_t to;            /* node id; the sender's is in pulse */
	uint64_t stamp;
	struct clu_pulse pulse;
	uint32_t nodes;         /* in the node list: the width of a row */
	uint32_t n;             /* rows; the sender's own is the first */
	struct {
		uint32_t of;    /* place in the node list */
		struct reach_row row;
	} row[REACHWIRE_ROWS_MAX];
};

/* Make a cluster's key (REACHWIRE_KEY octets) from Corosync's authkey @key. Without one (NULL) it is public, and protects nothing. */
int reachwire_key(const char *cluster, const void *key, size_t len, uint8_t *ret, struct err *err) _must_check_;
uint64_t reachwire_list(const char *cluster, const uint32_t *id, uint32_t n);
/* Write to @out (REACHWIRE_MAX octets). Returns the length; -EIO: libgcrypt failed. */
int reachwire_pack(const struct reach_dgram *d, const uint8_t *key, uint8_t *out) _must_check_;
/* -EBADMSG: not authentic, or no such datagram. -EPROTO: authentic, but it makes no sense. */
int reachwire_unpack(const void *p, size_t len, const uint8_t *key, struct reach_dgram *ret) _must_check_;

#endif
