/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Messages between clusterds as octets: struct clu_msg to and from proto/cluster.proto, and the check of every limit of
 * docs/wire/cluster.md before anything else sees a message. No sockets, no state. Any thread.
 */
#ifndef HOSPES_CLUSTERD_IO_CLUWIRE_H
#define HOSPES_CLUSTERD_IO_CLUWIRE_H

#include "clusterd/core/node.h"
#include "common/buf.h"
#include "common/cleanup.h"
#include "common/err.h"
#include "proto/cluster.pb-c.h"

#define CLUWIRE_VERSION      1u
#define CLUWIRE_VERSION_MIN  1u
#define CLUWIRE_MAX          (256u << 10) /* octets of one message */
#define CLUWIRE_XML_MAX      (192u << 10) /* of a domain of the cluster */
#define CLUWIRE_PROGRESS_MAX 4096u

/* Beside the kinds of enum clu_msg_kind: never seen by the core. */
enum cluwire_kind { CLUWIRE_USAGE = 100, CLUWIRE_PROGRESS = 101 };

/* A message that came. Everything borrowed is from @env. */
struct cluwire {
	struct clu_msg msg;          /* msg.kind may be a CLUWIRE_* one */
	Hospes__Clu__Envelope *env;  /* owned: SNAPSHOT parts, USAGE and PROGRESS are read from it */
	struct clu_inventory *inventory; /* owned; msg.cmd.inventory points at it */
	const char *xml;             /* DEFINE: text, not terminated; NULL: none */
	size_t xml_len;
};

/*
 * Append the octets of @msg (all kinds but SNAPSHOT) to @out. @xml may be NULL. -ENOMEM; -E2BIG: over CLUWIRE_MAX, @out is as before.
 */
int cluwire_pack(const struct clu_msg *msg, const char *cluster, uint32_t node, const char *xml, size_t xml_len,
                 struct buf *out) _must_check_;
/* Append @env with version, cluster and node filled in: for SNAPSHOT, USAGE and PROGRESS. Errors as above. */
int cluwire_pack_env(Hospes__Clu__Envelope *env, const char *cluster, uint32_t node, struct buf *out) _must_check_;
/*
 * Unpack and check @len octets that CPG says are from @node. On success @w is the caller's until cluwire_done(); on failure it is empty.
 * -EMSGSIZE, -EPROTO, -EPROTONOSUPPORT (another version), -EXDEV (another cluster), -EPERM (says it is from another node), -ENOMEM.
 */
int cluwire_unpack(const void *p, size_t len, const char *cluster, uint32_t node, struct cluwire *w, struct err *err) _must_check_;
void cluwire_done(struct cluwire *w);

/*
 * The parts of a snapshot of @s, each at most CLUWIRE_MAX octets: @part is called for each in order. @text gives the XML of a domain's
 * slot (NULL: none), which has to stay until this returns. The sum of what is sent is @s's. Returns 0, -ENOMEM or what @part returned.
 */
int cluwire_snapshot(const struct clu_state *s, uint32_t to, uint64_t seq, const char *cluster, uint32_t node,
                     const char *(*text)(void *arg, uint32_t slot, size_t *ret_len), int (*part)(void *arg, struct buf *octets),
                     void *arg) _must_check_;

#endif
