/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared by the files of vmmig: its commands (cli.h), orders to migrated (migrated/io/ctl.h). One thread. */
#ifndef HOSPES_TOOLS_VMMIG_INT_H
#define HOSPES_TOOLS_VMMIG_INT_H

#include <signal.h>
#include "tools/cli.h"
#include "tools/jsonconn.h"

enum { VMMIG_CANCELLED = 3 }; /* an exit status: the migration was cancelled */

extern const struct jsonconn_peer vmmig_peer; /* this host's migrated */
/* Send @order, which is released in any case. The caller owns the answer; one of type "error" becomes -EIO with its text. */
int vmmig_ask(json_t *order, json_t **ret, struct err *err) _must_check_;

extern volatile sig_atomic_t vmmig_interrupts; /* how often SIGINT came since vmmig_catch_signals() */
void vmmig_catch_signals(void);

/* The commands. */
int vmmig_push(struct cli *v, struct err *err);
int vmmig_plan(struct cli *v, struct err *err);
int vmmig_status(struct cli *v, struct err *err);
int vmmig_cancel(struct cli *v, struct err *err);
int vmmig_resolve(struct cli *v, struct err *err);
int vmmig_peers(struct cli *v, struct err *err);

#endif
