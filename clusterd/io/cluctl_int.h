/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared by cluctl*.c: cluctl.c (the life of an order), cluctl_order.c (orders that change), cluctl_leave.c (a host is
 * emptied), cluctl_show.c (orders that tell). */
#ifndef HOSPES_CLUSTERD_IO_CLUCTL_INT_H
#define HOSPES_CLUSTERD_IO_CLUCTL_INT_H

#include <jansson.h>
#include "clusterd/io/probe.h"
#include "clusterd/io/cluctl.h"
#include "clusterd/io/leave.h"
#include "common/ctlsock.h"

struct client;

/* One order being carried out; zeroed when it is over. */
struct order {
	json_t *req;             /* owned */
	char op[24];
	struct clu_cmd *cmd;     /* owned; the command to commit, NULL: none */
	char *xml;               /* owned; DEFINE */
	size_t xml_len;
	struct probe *probe;     /* owned; DEFINE: what its lease says */
	uint64_t request;        /* of the command sent; 0: not sent yet, or answered */
	uint64_t give_up_ns;     /* until when it may take to be committed */
	uint64_t again_ns;       /* when to send it (again) */
	/* After the commit, or at once: called at each change and four times a second until it says that the order is over. */
	bool (*go_on)(struct client *c);
	uint64_t wait_until_ns;  /* 0: for ever */
	char uuid[CLU_UUID_MAX];
	uint32_t node;           /* host of the order */
	json_t *report;          /* owned; move: migrated's last word */
	json_t *warnings;        /* owned; array */
	uint64_t since, last_id; /* events */
	uint64_t reported_ns, reported_rev; /* of the last status or progress line */
	uint64_t seen_ns;        /* start: when it was first looked at; move: when its domain was first seen there */
	bool watch;
	struct balancer_plan *plan; /* owned */
	struct balancer_run run;
};

struct client {
	struct ctlsock_client s; /* busy while there is an order */
	struct cluctl *ctl;      /* set with the first order */
	struct order o;
};

struct cluctl {
	struct nodeio *n;
	struct local *local;
	struct balancer *balancer;
	struct leave *leave;
	struct ctlsock *sock;
	struct loop_timer *tick;
};

static inline struct clu_state *ctl_state(const struct client *c) { return nodeio_state(c->ctl->n); }

/* cluctl.c */
void ctl_reply(struct client *c, json_t *o);  /* takes @o; one line of several */
void ctl_over(struct client *c, json_t *o);   /* takes @o; the last line of the order */
void ctl_ok(struct client *c);                /* {"type":"ok"} and the warnings */
void ctl_fail(struct client *c, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void ctl_warn(struct client *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Commit c->o.cmd, then go_on (NULL: ok). */
void ctl_commit(struct client *c);
const char *ctl_text(struct client *c, const char *key); /* of the request; NULL: missing, or no text */
bool ctl_flag(struct client *c, const char *key, bool otherwise);
/* The domain (by name or uuid) or host of the request; fails the order when there is none. */
struct clu_dom *ctl_dom(struct client *c);
struct clu_host *ctl_host(struct client *c);

/* cluctl_order.c */
/* A command that the order is to commit (NULL: out of memory, it failed); @uuid may be NULL. The caller fills it in. */
struct clu_cmd *ctl_command(struct client *c, enum clu_cmd_kind kind, const char *uuid);
void ctl_wait_time(struct client *c); /* "timeout_s" of the request */
bool ctl_too_late(const struct client *c);
void ctl_define(struct client *c);
void ctl_undefine(struct client *c);
void ctl_start(struct client *c);
void ctl_stop(struct client *c);
void ctl_move(struct client *c);
void ctl_rule_add(struct client *c);
void ctl_rule_remove(struct client *c);
void ctl_fence_confirm(struct client *c);
void ctl_policy(struct client *c);

/* cluctl_leave.c */
void ctl_drain(struct client *c);
void ctl_leave(struct client *c);

/* cluctl_rehearse.c */
void ctl_rehearse(struct client *c);

/* cluctl_show.c */
/* Where a host lacks something for a domain: say what it was. */
void ctl_verdict_text(struct client *c, const struct clu_dom *d, const struct clu_host *h, struct clu_verdict *v);
void ctl_status(struct client *c);
void ctl_rule_list(struct client *c);
void ctl_explain(struct client *c);
void ctl_events(struct client *c);
void ctl_balance(struct client *c);
void ctl_dump(struct client *c);
void ctl_loglevel(struct client *c);
json_t *ctl_policy_json(const struct clu_policy *p);
/* Set the keys of @set in @p. -EINVAL names the wrong one. */
int ctl_policy_set(struct clu_policy *p, json_t *set, struct err *err) _must_check_;

#endif
