/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The datagrams between clusterds as octets: docs/wire/reach.md. What does not verify is refused, whatever it is. Any thread. */
#ifndef HOSPES_CLUSTERD_IO_REACHWIRE_H
#define HOSPES_CLUSTERD_IO_REACHWIRE_H

#include "clusterd/core/node.h"
#include "clusterd/core/reach.h"
#include "common/cleanup.h"
#include "common/err.h"

#define REACHWIRE_ROWS_MAX 36u
#define REACHWIRE_MAX      1400u
#define REACHWIRE_KEY      32u

struct reach_dgram {
	uint64_t list; /* which cluster and node list: reachwire_list() */
	uint32_t to;   /* node id; from is in pulse */
	uint64_t stamp;
	struct clu_pulse pulse;
	uint32_t nodes; /* of the list: how wide a row is */
	uint32_t n;     /* the sender's own row first */
	struct {
		uint32_t of;
		struct reach_row row;
	} row[REACHWIRE_ROWS_MAX]; /* of: place in the list */
};

/* The key for a cluster: from Corosync's authkey (@key NULL: there is none, and from the name alone, which keeps nobody out). */
int reachwire_key(const char *cluster, const void *key, size_t len, uint8_t *ret, struct err *err) _must_check_;
uint64_t reachwire_list(const char *cluster, const uint32_t *id, uint32_t n);
/* To @out, REACHWIRE_MAX octets; returns the length, -EIO when libgcrypt fails. */
int reachwire_pack(const struct reach_dgram *d, const uint8_t *key, uint8_t *out) _must_check_;
/* -EBADMSG: not ours, or damaged; -EPROTO: ours, and does not make sense. */
int reachwire_unpack(const void *p, size_t len, const uint8_t *key, struct reach_dgram *ret) _must_check_;

#endif
