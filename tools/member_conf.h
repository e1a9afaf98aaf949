/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * corosync.conf as text: made for a new cluster, read, and changed in its node list. What an administrator wrote into
 * it stays as it is. Pure but for memory. The nodes' places in the file are not kept in order: Corosync goes by their
 * ids.
 */
#ifndef HOSPES_TOOLS_MEMBER_CONF_H
#define HOSPES_TOOLS_MEMBER_CONF_H

#include <stdbool.h>
#include <stdint.h>
#include "common/err.h"
#include "common/cleanup.h"

#define CONF_NODES_MAX 128u
#define CONF_GROW_MAX  100u   /* up to so many may be added: clusterd has slots for 128, removed hosts included */
#define CONF_ADDRS     2u     /* links */
#define CONF_BYTES_MAX 65536u /* of a file that is read */

struct conf_node {
	uint32_t id;
	char name[64];
	char addr[CONF_ADDRS][64]; /* as written; "": no such link */
};

struct conf {
	char cluster[64];
	uint64_t version;          /* totem.config_version; 0: none. Corosync does not start with another one than the members */
	unsigned n;
	struct conf_node node[CONF_NODES_MAX];
	bool unusable;             /* quorum.two_node, or a device: nothing that Hospes runs with */
	bool sample;               /* Debian's example: no cluster */
};

/* Read what is to be known of @text. -EINVAL with the text: which line or node is wrong. */
int conf_parse(const char *text, struct conf *ret, struct err *err) _must_check_;
const struct conf_node *conf_named(const struct conf *c, const char *name); /* NULL: no such node */
/* The file of a new cluster with the node @n, owned by the caller. */
char *conf_make(const char *cluster, const struct conf_node *n);
/*
 * The version of the next change, which is also the id of a node that it adds: above the present version and all ids.
 * As versions only grow, no id comes twice: a host that was removed and comes back is another one to Corosync and
 * clusterd.
 */
uint32_t conf_next(const struct conf *c);
/*
 * @text with node @n added, or with the node @name taken out; totem.config_version becomes conf_next(), and
 * quorum.expected_votes, if it is there, the number of nodes. The result is the caller's. NULL with the text: -EINVAL,
 * -EEXIST, -ENOENT.
 */
char *conf_add(const char *text, const struct conf_node *n, struct err *err);
char *conf_remove(const char *text, const char *name, struct err *err);

#endif
