/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Questions from host to host, for the membership of a cluster: one JSON object there, one back, over ZeroMQ with CURVE
 * and the keys of migrated, TCP port 4921. docs/wire/member.md. One thread, blocking calls with time limits.
 */
#ifndef HOSPES_TOOLS_MEMBER_LINK_H
#define HOSPES_TOOLS_MEMBER_LINK_H

#include <jansson.h>
#include <stdint.h>
#include "migrated/io/peers.h"

#define MEMBER_PORT      4921u
#define MEMBER_PROTO     1
#define MEMBER_BYTES_MAX (256u << 10) /* of a message */

/*
 * Ask the host at @address, which has the public key @key, @req (released in any case), and wait for its answer for
 * @wait_ms. A question may come there twice. An answer of type "error" is returned as its error. -ETIMEDOUT: nothing
 * listens there, or it is busy; -EACCES: it does not admit our key; -EKEYREJECTED: it has another key than @key.
 */
int member_ask(const struct node *self, const char *address, uint16_t port, const char *key, json_t *req,
               unsigned wait_ms, json_t **ret, struct err *err) _must_check_;

/* What serves questions. Both are called on the thread of member_serve(). */
struct member_server {
	void *arg;
	/* May a host with this key (Z85) ask at all? */
	bool (*admits)(void *arg, const char *key);
	/* The answer to @req from the host with @key at @address; NULL is out of memory. Owned by the caller. */
	json_t *(*answer)(void *arg, const char *key, const char *address, const json_t *req);
};

/*
 * Serve on @fd, a listening TCP socket (owned from now on), or, if it is -1, on @port, until nothing has come for
 * @idle_ms or SIGTERM. 0, or -errno with the text.
 */
int member_serve(const struct node *self, int fd, uint16_t port, unsigned idle_ms, const struct member_server *srv,
                 struct err *err) _must_check_;

json_t *member_error(const struct err *err); /* an answer that is an error */

#endif
