/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who this host is, its CURVE keys, and the peers it trusts: `<conf>/migrated.json`, `<conf>/keys/migrated.key` (0600),
 * `<conf>/peers.d/NAME.json`. Used by migrated and by vmmig.
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
	uint16_t port;           /* control; data is the next one */
	unsigned migrations_max; /* at once, each way */
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

/* Read the configuration; make keys if there are none and @create. */
int node_load(struct node *n, bool create, struct err *err) _must_check_;
int peers_load(struct peers *ps, struct err *err) _must_check_; /* bad files are an error that names them */
void peers_done(struct peers *ps);
static inline void cleanup_peers(struct peers *ps)
{
	peers_done(ps);
}
#define _cleanup_peers_ __attribute__((cleanup(cleanup_peers)))
const struct peer *peers_by_name(const struct peers *ps, const char *name);
const struct peer *peers_by_key(const struct peers *ps, const char *key);
int peer_add(const char *name, const char *address, const char *key, struct err *err) _must_check_;
int peer_remove(const char *name, struct err *err) _must_check_;
/* One peer file's text; for tests and fuzzing. */
int peer_parse(const char *text, size_t len, const char *origin, struct peer *ret, struct err *err) _must_check_;

#endif
