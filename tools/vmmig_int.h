/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared by the files of vmmig: the command table's shape, orders to migrated. One thread. */
#ifndef HOSPES_TOOLS_VMMIG_INT_H
#define HOSPES_TOOLS_VMMIG_INT_H

#include <signal.h>
#include "tools/jsonconn.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_CANCELLED = 3 };

struct vmmig_cmd {
	const char *name, *args, *summary;
	int (*run)(int argc, char **argv); /* returns the exit status */
};

extern const struct jsonconn_peer vmmig_peer; /* this host's migrated */
/* Send one order, get one answer; prints errors. Returns NULL after printing. */
json_t *vmmig_ask(json_t *order);
int vmmig_fail(const struct err *err); /* prints, returns EXIT_FAILED */

extern volatile sig_atomic_t vmmig_interrupts;
void vmmig_catch_signals(void);

int vmmig_push(int argc, char **argv);
int vmmig_plan(int argc, char **argv);
int vmmig_status(int argc, char **argv);
int vmmig_cancel(int argc, char **argv);
int vmmig_resolve(int argc, char **argv);
int vmmig_peers(int argc, char **argv);

#endif
