/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Messages between clusterds as octets: struct clu_msg to and from proto/cluster.proto. Unpacking checks all limits of
 * docs/wire/cluster.md, so the rest of clusterd sees sound messages only. No sockets, no state. Any thread.
 */
#ifndef HOSPES_CLUSTERD_IO_CLUWIRE_H
#define HOSPES_CLUSTERD_IO_CLUWIRE_H

#include "clusterd/core/node_msg.h"
#include "common/buf.h"
#include "common/cleanup.h"
#include "common/err.h"
#include "proto/cluster.pb-c.h"

#define CLUWIRE_VERSION      1u
#define CLUWIRE_VERSION_MIN  1u
#define CLUWIRE_MAX          (256u << 10) /* octets of one message */
#define CLUWIRE_XML_MAX      (192u << 10) /* octets of a domain's XML */
#define CLUWIRE_PROGRESS_MAX 4096u

/* Further kinds besides enum clu_msg_kind, which the core never sees. */
enum cluwire_kind { CLUWIRE_USAGE = 100, CLUWIRE_PROGRESS = 101, CLUWIRE_CALL_OFF = 102 };

/* A message that was received. What is borrowed is from @env. */
struct cluwire {
	struct clu_msg msg;          /* msg.kind may be a CLUWIRE_* one */
	Hospes__Clu__Envelope *env;  /* owned; holds the content of SNAPSHOT, USAGE, PROGRESS and CALL_OFF */
	struct clu_inventory *inventory; /* owned; msg.cmd.inventory points to it */
	const char *xml;             /* DEFINE: text, not terminated; NULL: none */
	size_t xml_len;
};

/* Append the octets of @msg, which is no SNAPSHOT, to @out. @xml: of DEFINE, or NULL. -ENOMEM; -E2BIG: over CLUWIRE_MAX, @out unchanged. */
int cluwire_pack(const struct clu_msg *msg, const char *cluster, uint32_t node, const char *xml, size_t xml_len,
                 struct buf *out) _must_check_;
/* Fill in version, cluster and node of @env (SNAPSHOT, USAGE, PROGRESS, CALL_OFF), and append it. Errors as above. */
int cluwire_pack_env(Hospes__Clu__Envelope *env, const char *cluster, uint32_t node, struct buf *out) _must_check_;
/*
 * Unpack and check @len octets that CPG delivered from @node. On success @w is the caller's until cluwire_done(); on failure it is empty.
 * -EMSGSIZE, -EPROTO, -EPROTONOSUPPORT (another version), -EXDEV (another cluster), -EPERM (it names another node), -ENOMEM.
 */
int cluwire_unpack(const void *p, size_t len, const char *cluster, uint32_t node, struct cluwire *w, struct err *err) _must_check_;
void cluwire_done(struct cluwire *w);

/*
 * Make the parts of a snapshot of @s, at most CLUWIRE_MAX octets each, and call @part for each in order. @text returns the XML of the
 * domain in a slot, which has to stay valid until this returns, or NULL. Returns 0, -ENOMEM, or the error of @part.
 */
int cluwire_snapshot(const struct clu_state *s, uint32_t to, uint64_t seq, const char *cluster, uint32_t node,
                     const char *(*text)(void *arg, uint32_t slot, size_t *ret_len), int (*part)(void *arg, struct buf *octets),
                     void *arg) _must_check_;

#endif
