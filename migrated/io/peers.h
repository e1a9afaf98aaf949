/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * This host's name and CURVE keys, and the peers that it trusts: `<conf>/migrated.json`, `<conf>/keys/migrated.key` (0600),
 * `<conf>/peers.d/NAME.json`. Used by migrated and vmmig.
 */
#ifndef HOSPES_MIGRATED_IO_PEERS_H
#define HOSPES_MIGRATED_IO_PEERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/cleanup.h"
#include "common/err.h"
#include "migrated/io/congestion.h"

#define PEER_KEY_TEXT 41u /* Z85 of 32 octets, with the NUL */
#define PEERS_MAX     256u

struct node {
	char name[64];           /* migrated.json "name", else the host name */
	char listen[64];         /* address to listen on, "*": all */
	uint16_t port;           /* of control messages; data has the next one */
	unsigned migrations_max; /* at the same time, in each direction */
	char congestion[CONGESTION_MAX];
	char public_key[PEER_KEY_TEXT], secret_key[PEER_KEY_TEXT];
};
struct peer {
	char name[64], address[256], public_key[PEER_KEY_TEXT];
	uint16_t port;
};
struct peers {
	struct peer *p;
	size_t n;
};

/* Read the configuration and the keys; make keys if there are none and @create. */
int node_load(struct node *n, bool create, struct err *err) _must_check_;
int peers_load(struct peers *ps, struct err *err) _must_check_; /* a bad file is an error that names it; peers_done() frees @ps */
void peers_done(struct peers *ps);
static inline void cleanup_peers(struct peers *ps)
{
	peers_done(ps);
}
#define _cleanup_peers_ __attribute__((cleanup(cleanup_peers)))
/* NULL: there is none. Borrowed. */
const struct peer *peers_by_name(const struct peers *ps, const char *name);
const struct peer *peers_by_key(const struct peers *ps, const char *key);
int peer_add(const char *name, const char *address, const char *key, struct err *err) _must_check_;
int peer_remove(const char *name, struct err *err) _must_check_;
/* Parse a peer's file; @origin: its name, for @err. Public for tests and fuzzing. -EINVAL. */
int peer_parse(const char *text, size_t len, const char *origin, struct peer *ret, struct err *err) _must_check_;

#endif
