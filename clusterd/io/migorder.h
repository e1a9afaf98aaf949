/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One order to this host's migrated (docs: migrated(8)), on the loop: a line of JSON out, lines back. Loop thread. */
#ifndef HOSPES_CLUSTERD_IO_MIGORDER_H
#define HOSPES_CLUSTERD_IO_MIGORDER_H

#include <jansson.h>
#include "common/loop.h"

struct migorder;

struct migorder_ops {
	void (*answer)(void *arg, json_t *o);         /* borrowed; as often as migrated says something */
	void (*ended)(void *arg, const char *why);    /* the connection is over (@why: for people). Once; nothing follows */
};

/* Takes @order. NULL: migrated cannot be reached, errno says why. */
struct migorder *migorder_new(struct loop *loop, json_t *order, const struct migorder_ops *ops, void *arg);
void migorder_free(struct migorder *m); /* takes NULL; may be called from a call-back */

#endif
