/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared by the files of vmclus: its commands (cli.h), orders to clusterd (docs/wire/clusterctl.md). One thread. */
#ifndef HOSPES_TOOLS_VMCLUS_INT_H
#define HOSPES_TOOLS_VMCLUS_INT_H

#include <string.h>
#include "tools/cli.h"
#include "tools/jsonconn.h"

/* Exit statuses: a person did not confirm; some domains are left on the host, or the other hosts could not be told. */
enum { VMCLUS_DECLINED = 3, VMCLUS_PARTLY = 4 };

#define VMCLUS_ANSWER_S 10 /* a clusterd that does not answer for so many seconds counts as hung */

extern const struct jsonconn_peer vmclus_peer; /* this host's clusterd */
/* As jsonconn_recv(), but an object of type "error" becomes -errno with its text. With @wait: -ETIMEDOUT when clusterd hangs. */
int vmclus_recv(struct jsonconn *c, bool wait, json_t **ret, struct err *err) _must_check_;
/*
 * Send @order, which is released in any case, and read answers until one of type "ok" or @final (may be NULL). @ret (may be NULL) receives
 * that one, owned by the caller; its "warnings" are printed. All others go to @each (may be NULL), whose -errno ends the call.
 */
int vmclus_order(json_t *order, const char *final, int (*each)(void *arg, json_t *o, struct err *err), void *arg, json_t **ret,
                 struct err *err) _must_check_;

/* Put the value of @option, a number of seconds, into @order if it was given. Releases @order on failure. */
int vmclus_timeout(struct cli *v, unsigned option, json_t *order, struct err *err) _must_check_;
/* @text as seconds: a number, alone or with s, m, h or d; between @min and @max seconds. */
int vmclus_time(const char *what, const char *text, double min, double max, double *ret, struct err *err) _must_check_;
/* Ask on the terminal. 0: @expect was typed; VMCLUS_DECLINED: something else; -EINVAL: there is no terminal (the text names --yes). */
int vmclus_confirm(const char *question, const char *expect, struct err *err) _must_check_;
/* Print the command with which another host joins; @name (may be NULL): only the host of that name (vmclus_member.c). */
int vmclus_invite_for(struct cli *v, const char *name, struct err *err) _must_check_;
/* Print a status report for people: hosts, then domains (vmclus_status.c). */
void vmclus_show_status(const json_t *o);
/* Is @host of a status report one that votes and carries no domains? */
static inline bool vmclus_is_witness(const json_t *host)
{
	return !strcmp(field_text(host, "role"), "witness");
}

/* The commands. */
int vmclus_status(struct cli *v, struct err *err);
int vmclus_events(struct cli *v, struct err *err);
int vmclus_explain(struct cli *v, struct err *err);
int vmclus_rehearse(struct cli *v, struct err *err);
int vmclus_cpu_baseline(struct cli *v, struct err *err);
int vmclus_state(struct cli *v, struct err *err);
int vmclus_define(struct cli *v, struct err *err);
int vmclus_undefine(struct cli *v, struct err *err);
int vmclus_dumpxml(struct cli *v, struct err *err);
int vmclus_start(struct cli *v, struct err *err);
int vmclus_stop(struct cli *v, struct err *err);
int vmclus_move(struct cli *v, struct err *err);
int vmclus_abort(struct cli *v, struct err *err);
int vmclus_balance(struct cli *v, struct err *err);
int vmclus_drain(struct cli *v, struct err *err);
int vmclus_shutdown_host(struct cli *v, struct err *err);
int vmclus_rules(struct cli *v, struct err *err);
int vmclus_fence(struct cli *v, struct err *err);
int vmclus_disarm(struct cli *v, struct err *err);
int vmclus_arm(struct cli *v, struct err *err);
int vmclus_set(struct cli *v, struct err *err);
int vmclus_spare(struct cli *v, struct err *err);
int vmclus_policy(struct cli *v, struct err *err);
int vmclus_init(struct cli *v, struct err *err);
int vmclus_invite(struct cli *v, struct err *err);
int vmclus_join(struct cli *v, struct err *err);
int vmclus_leave(struct cli *v, struct err *err);
int vmclus_remove(struct cli *v, struct err *err);
int vmclus_replace(struct cli *v, struct err *err);
int vmclus_loglevel(struct cli *v, struct err *err);
int vmclus_top(struct cli *v, struct err *err);
int vmclus_simulate(struct cli *v, struct err *err);

#endif
