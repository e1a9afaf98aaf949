/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Shared by the files of vmclus: the command table's shape, the connection to clusterd (docs/wire/clusterctl.md). One thread.
 *
 * A command returns 0, a positive exit status, or -errno with its reason in @err; vmclus.c prints that.
 */
#ifndef HOSPES_TOOLS_VMCLUS_INT_H
#define HOSPES_TOOLS_VMCLUS_INT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/buf.h"
#include "common/cleanup.h"
#include "common/err.h"

enum { VMCLUS_DONE = 0, VMCLUS_FAILED = 1, VMCLUS_USAGE = 2, VMCLUS_DECLINED = 3 };

struct vmclus_cmd;

/* One call of the program. */
struct vmclus {
	const struct vmclus_cmd *cmd;
	bool json;            /* --json */
	char **arg;           /* what is left of the command line; borrowed */
	int n_args;
	unsigned flags;       /* bit i: option i of the command was given */
	const char *value[4]; /* of option i, when it takes one */
};

struct vmclus_option {
	const char *name;     /* without the dashes */
	const char *value;    /* what the value is called in the help; NULL: none */
	const char *help;
};

struct vmclus_cmd {
	const char *name;
	const char *args;     /* for the help */
	int min_args, max_args;
	bool has_json;
	const char *summary;  /* one line */
	const char *help;     /* more, or NULL */
	struct vmclus_option option[4];
	int (*run)(struct vmclus *v, struct err *err);
	int (*program)(int argc, char **argv); /* instead of run: reads its own command line, and returns the exit status */
};

static inline bool vmclus_opt(const struct vmclus *v, unsigned option) { return v->flags & (1u << option); }

static inline void cleanup_json(json_t **o) { json_decref(*o); }
#define _cleanup_json_ __attribute__((cleanup(cleanup_json)))

struct vmclus_conn {
	int fd;
	struct buf in;
};
/* Connect to this host's clusterd. */
int vmclus_connect(struct vmclus_conn *c, struct err *err) _must_check_;
void vmclus_close(struct vmclus_conn *c);
static inline void cleanup_vmclus_conn(struct vmclus_conn *c) { vmclus_close(c); }
#define _cleanup_conn_ __attribute__((cleanup(cleanup_vmclus_conn)))
/* One object, one line. Takes @o. */
int vmclus_send(struct vmclus_conn *c, json_t *o, struct err *err) _must_check_;
/*
 * The next object; owned by the caller. @wait false: -EAGAIN when none is complete yet. -ECONNRESET: clusterd went away.
 * An object of type "error" comes as -errno with its text.
 */
int vmclus_recv(struct vmclus_conn *c, bool wait, json_t **ret, struct err *err) _must_check_;
/*
 * Send @order (taken) and read answers until one of type "ok" or @final (may be NULL); that one is in @ret (may be NULL). Others go to
 * @each (may be NULL), which may end it with an error. Prints what the last one has under "warnings".
 */
int vmclus_order(json_t *order, const char *final, int (*each)(void *arg, json_t *o, struct err *err), void *arg, json_t **ret,
                 struct err *err) _must_check_;

/* Fields of an object, with defaults instead of failures: what clusterd says is shown, not judged. */
double vmclus_num(const json_t *o, const char *key);
const char *vmclus_text(const json_t *o, const char *key); /* "" when absent or null */
bool vmclus_true(const json_t *o, const char *key);
/* A number given on the command line; -EINVAL with a text. */
int vmclus_number(const char *what, const char *text, double min, double max, double *ret, struct err *err) _must_check_;
void vmclus_print_json(const json_t *o); /* one line */
/* Ask on the terminal. 0: @expect was typed; VMCLUS_DECLINED: something else; -EINVAL: no terminal (the error says "--yes"). */
int vmclus_confirm(const char *question, const char *expect, struct err *err) _must_check_;
/* A status report for people: hosts, domains. vmclus_status.c. */
void vmclus_show_status(const json_t *o);

/* The commands. */
int vmclus_status(struct vmclus *v, struct err *err);
int vmclus_events(struct vmclus *v, struct err *err);
int vmclus_explain(struct vmclus *v, struct err *err);
int vmclus_state(struct vmclus *v, struct err *err);
int vmclus_define(struct vmclus *v, struct err *err);
int vmclus_undefine(struct vmclus *v, struct err *err);
int vmclus_start(struct vmclus *v, struct err *err);
int vmclus_stop(struct vmclus *v, struct err *err);
int vmclus_move(struct vmclus *v, struct err *err);
int vmclus_balance(struct vmclus *v, struct err *err);
int vmclus_drain(struct vmclus *v, struct err *err);
int vmclus_rules(struct vmclus *v, struct err *err);
int vmclus_fence(struct vmclus *v, struct err *err);
int vmclus_policy(struct vmclus *v, struct err *err);
int vmclus_loglevel(struct vmclus *v, struct err *err);
int vmclus_top(struct vmclus *v, struct err *err);

#endif
