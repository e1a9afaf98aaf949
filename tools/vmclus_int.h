/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared by the files of vmclus: its commands (as cli.h wants them), orders to clusterd (docs/wire/clusterctl.md). One thread. */
#ifndef HOSPES_TOOLS_VMCLUS_INT_H
#define HOSPES_TOOLS_VMCLUS_INT_H

#include "tools/cli.h"
#include "tools/jsonconn.h"

/* Exit statuses: a person was asked, and did not confirm; some domains stay, or the others could not be told. */
enum { VMCLUS_DECLINED = 3, VMCLUS_PARTLY = 4 };

#define VMCLUS_ANSWER_S 10 /* a clusterd that shows no sign of life for so long counts as standing still */

extern const struct jsonconn_peer vmclus_peer; /* this host's clusterd */
/*
 * As jsonconn_recv(), but an object of type "error" comes as -errno with its text. @wait: for as long as clusterd lives, then -ETIMEDOUT.
 */
int vmclus_recv(struct jsonconn *c, bool wait, json_t **ret, struct err *err) _must_check_;
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
/* A number given on the command line; -CLI_EUSAGE with a text. */
int vmclus_number(const char *what, const char *text, double min, double max, double *ret, struct err *err) _must_check_;
/* Ask on the terminal. 0: @expect was typed; VMCLUS_DECLINED: something else; -EINVAL: no terminal (the error says "--yes"). */
int vmclus_confirm(const char *question, const char *expect, struct err *err) _must_check_;
/* A status report for people: hosts, domains. vmclus_status.c. */
void vmclus_show_status(const json_t *o);

/* The commands. */
int vmclus_status(struct cli *v, struct err *err);
int vmclus_events(struct cli *v, struct err *err);
int vmclus_explain(struct cli *v, struct err *err);
int vmclus_rehearse(struct cli *v, struct err *err);
int vmclus_state(struct cli *v, struct err *err);
int vmclus_define(struct cli *v, struct err *err);
int vmclus_undefine(struct cli *v, struct err *err);
int vmclus_start(struct cli *v, struct err *err);
int vmclus_stop(struct cli *v, struct err *err);
int vmclus_move(struct cli *v, struct err *err);
int vmclus_balance(struct cli *v, struct err *err);
int vmclus_drain(struct cli *v, struct err *err);
int vmclus_shutdown_host(struct cli *v, struct err *err);
int vmclus_rules(struct cli *v, struct err *err);
int vmclus_fence(struct cli *v, struct err *err);
int vmclus_policy(struct cli *v, struct err *err);
int vmclus_loglevel(struct cli *v, struct err *err);
int vmclus_top(struct cli *v, struct err *err);

#endif
