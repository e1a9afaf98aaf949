/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A change of the set of hosts: one host is added or taken out, in the files of all members, in an order that can be
 * interrupted anywhere and repeated from any host. docs/wire/member.md says why no two halves can come of it. Blocking;
 * one thread.
 */
#ifndef HOSPES_TOOLS_MEMBER_SET_H
#define HOSPES_TOOLS_MEMBER_SET_H

#include <jansson.h>
#include "tools/member_host.h"

/* Orders of a member to another one; the second, and what the first answers, is all that changes a member's files. */
json_t *member_conf_get(const struct node *self);                    /* answer to "conf" */
/*
 * "put": take over `conf`, which follows `base`, and `peers`. 0, or -errno with the text: -ESTALE: another change was
 * made meanwhile.
 */
int member_conf_put(const struct node *self, const json_t *req, struct err *err) _must_check_;

struct member_change {
	const struct node *self;
	/* Ask another member: member_ask(), or a test's own. Releases @req. */
	int (*ask)(const void *arg, const struct peer *to, json_t *req, json_t **ret, struct err *err);
	int (*reload)(struct err *err);  /* host_reload(), or a test's own */
	int (*goes_by)(const struct conf *c, struct err *err); /* host_goes_by(), or a test's own */
	const void *arg;                 /* of ask */
	const struct conf_node *add;     /* with @peer; NULL: none. Its id is set here, and may be 0 */
	const struct peer *peer;
	const char *remove;              /* NULL: none */
	const char *expect;              /* what the file has to become, else -ESTALE and nothing is done; NULL: anything */
	bool leaves;                     /* the host to be taken out asks for it: it counts as one that answers, if it does */
	bool agreed;                     /* it never came, and this host was alone before: it counts as one that answers */
	bool force;                      /* also without a majority of the present hosts */
};

/* A change that @self makes by asking the others, its Corosync reading the list; borrows @self. The rest is empty. */
struct member_change member_change_by(const struct node *self);
/*
 * Make the change on all members, then have Corosync read it. Unfinished earlier changes are finished first, and the
 * cluster has to go by them. A host that is there already, or gone already, is no error. Failures name the host; with
 * nothing changed, or with what is to be repeated.
 */
int member_change(const struct member_change *m, struct err *err) _must_check_;

#endif
