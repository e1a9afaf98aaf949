/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One order to this host's migrated (migrated(8)): a line of JSON out, lines back. Loop thread. */
#ifndef HOSPES_CLUSTERD_IO_MIGORDER_H
#define HOSPES_CLUSTERD_IO_MIGORDER_H

#include <jansson.h>
#include "common/loop.h"

struct migorder;

struct migorder_ops {
	void (*answer)(void *arg, json_t *o);         /* a line; borrowed */
	void (*ended)(void *arg, const char *why);    /* the connection ended; once, and last. @why is for people */
};

/* Takes @order; borrows @ops. NULL: migrated cannot be reached, errno says why. */
struct migorder *migorder_new(struct loop *loop, json_t *order, const struct migorder_ops *ops, void *arg);
void migorder_free(struct migorder *m); /* takes NULL; the callbacks may call it, too */

#endif
