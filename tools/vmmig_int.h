/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared by the files of vmmig: the connection to migrated, the command table's shape. One thread. */
#ifndef HOSPES_TOOLS_VMMIG_INT_H
#define HOSPES_TOOLS_VMMIG_INT_H

#include <jansson.h>
#include <signal.h>
#include <stdbool.h>
#include "common/buf.h"
#include "common/cleanup.h"
#include "common/err.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_CANCELLED = 3 };

struct vmmig_cmd {
	const char *name, *args, *summary;
	int (*run)(int argc, char **argv); /* returns the exit status */
};

struct vmmig_conn {
	int fd;
	struct buf in;
};

static inline void cleanup_json(json_t **o)
{
	json_decref(*o);
}
#define _cleanup_json_ __attribute__((cleanup(cleanup_json)))

/* Connect to this host's migrated. */
int vmmig_connect(struct vmmig_conn *c, struct err *err) _must_check_;
void vmmig_close(struct vmmig_conn *c);
/* One object, one line. Takes @o. */
int vmmig_send(struct vmmig_conn *c, json_t *o, struct err *err) _must_check_;
/* The next object; owned by the caller. -ECONNRESET: migrated went away. -EINTR: a signal came. */
int vmmig_recv(struct vmmig_conn *c, json_t **ret, struct err *err) _must_check_;
/* Send one order, get one answer; prints errors. Returns NULL after printing. */
json_t *vmmig_ask(json_t *order);
int vmmig_fail(const struct err *err); /* prints, returns EXIT_FAILED */
void vmmig_print_json(json_t *o);      /* one line */

extern volatile sig_atomic_t vmmig_interrupts;
void vmmig_catch_signals(void);

int vmmig_push(int argc, char **argv);
int vmmig_plan(int argc, char **argv);
int vmmig_status(int argc, char **argv);
int vmmig_cancel(int argc, char **argv);
int vmmig_resolve(int argc, char **argv);
int vmmig_peers(int argc, char **argv);

#endif
