/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Shared by cluctl.c (the life of an order), cluctl_order.c (orders that change the cluster), cluctl_push.c (migrations under way),
 * cluctl_leave.c (orders that empty a host), cluctl_show.c (orders that only report), cluctl_rehearse.c and cluctl_cpu.c.
 */
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
	struct clu_cmd *cmd;     /* owned; the command to commit; NULL: none */
	char *xml;               /* owned; DEFINE */
	size_t xml_len;
	struct probe *probe;     /* owned; DEFINE: the domain's lease */
	uint64_t request;        /* of the command sent; 0: not sent yet, or answered */
	uint64_t give_up_ns;     /* the time limit of the commit */
	uint64_t again_ns;       /* when to send the command (again) */
	/* Called after the commit, at each change and four times a second, until it returns true: the order is over. */
	bool (*go_on)(struct client *c);
	uint64_t wait_until_ns;  /* the client's time limit; 0: none */
	char uuid[CLU_UUID_MAX];
	uint32_t node;           /* host of the order */
	json_t *report;          /* owned; move: migrated's final report */
	json_t *warnings;        /* owned; array */
	uint64_t since, last_id; /* events */
	uint64_t reported_ns, reported_rev; /* of the last status or progress line */
	uint64_t seen_ns;        /* start: when it was first looked at; move: when its domain was first seen at the target */
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
	struct ctl_push { /* see ctl_push_note() */
		struct ctl_push *next;
		char uuid[CLU_UUID_MAX];
		uint64_t op_id;
		json_t *said;
	} *pushes; /* owned */
};

static inline struct clu_state *ctl_state(const struct client *c) { return nodeio_state(c->ctl->n); }

/* cluctl.c */
void ctl_reply(struct client *c, json_t *o);  /* takes @o; a line with more to follow */
void ctl_over(struct client *c, json_t *o);   /* takes @o; the last line of the order */
void ctl_ok(struct client *c);                /* the last line: {"type":"ok"} and the warnings */
void ctl_fail(struct client *c, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4))); /* the last line: an error */
void ctl_warn(struct client *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Commit c->o.cmd, then call go_on (NULL: ctl_ok()). */
void ctl_commit(struct client *c);
const char *ctl_text(struct client *c, const char *key); /* of the request; NULL: missing, or no text */
bool ctl_flag(struct client *c, const char *key, bool otherwise);
/* The domain (by name or uuid) or host of the request. NULL: there is none, and the order has failed. */
struct clu_dom *ctl_dom(struct client *c);
struct clu_host *ctl_host(struct client *c);

/* cluctl_order.c */
/* A command for the order to commit; the caller fills it in. @uuid may be NULL. NULL: out of memory, and the order has failed. */
struct clu_cmd *ctl_command(struct client *c, enum clu_cmd_kind kind, const char *uuid);
void ctl_wait_time(struct client *c); /* take over "timeout_s" of the request */
bool ctl_too_late(const struct client *c);
void ctl_define(struct client *c);
void ctl_undefine(struct client *c);
void ctl_xml(struct client *c);
void ctl_start(struct client *c);
void ctl_stop(struct client *c);
void ctl_move(struct client *c);
void ctl_rule_add(struct client *c);
void ctl_rule_remove(struct client *c);
void ctl_fence_confirm(struct client *c);
void ctl_policy(struct client *c);

/* cluctl_push.c */
void ctl_abort(struct client *c);
/* Keep migrated's word on the progress of a migration, for ctl_push_json(), until that is over. */
void ctl_push_note(struct cluctl *ctl, const char *uuid, const char *json, size_t len);
/* The caller's; null: it does not move, or nothing was said yet. */
json_t *ctl_push_json(const struct cluctl *ctl, const struct clu_dom *d);
void ctl_push_forget(struct cluctl *ctl);

/* cluctl_leave.c */
void ctl_drain(struct client *c);
void ctl_leave(struct client *c);

/* cluctl_rehearse.c */
void ctl_rehearse(struct client *c);

/* cluctl_show.c */
void ctl_status(struct client *c);
void ctl_rule_list(struct client *c);
void ctl_explain(struct client *c);
void ctl_events(struct client *c);
void ctl_balance(struct client *c);
void ctl_dump(struct client *c);
void ctl_loglevel(struct client *c);
json_t *ctl_policy_json(const struct clu_policy *p);
/* Change @p by the keys of the object @set. -EINVAL with a text that names the wrong key. */
int ctl_policy_set(struct clu_policy *p, json_t *set, struct err *err) _must_check_;
/* cluctl_disarm.c */
void ctl_disarm(struct client *c);
void ctl_arm(struct client *c);
/* {"reason", "until", "left_s"}, or null. */
json_t *ctl_disarm_json(struct client *c);
/* "the cluster is disarmed until 15:04:05Z: reason" into @to (2 * CLU_TEXT_MAX), ""; and whether it is. */
bool ctl_disarm_text(struct client *c, char *to, size_t len);
/* True if that host's domains run on though it is cut off. */
bool ctl_permitted(const struct clu_state *s, const struct clu_host *h);
/* cluctl_set.c */
void ctl_set(struct client *c);
void ctl_spare(struct client *c);
/* What counts for @d: "priority", "restarts", "restart_window_s", "balance", "cool_down_s", "cool_left_s", "set" (what was ordered). */
json_t *ctl_settings_json(struct client *c, const struct clu_dom *d);
/* What of it keeps @d where it is, or down, for people; begins with "; ". @to: 2 * CLU_TEXT_MAX. */
void ctl_settings_text(struct client *c, const struct clu_dom *d, char *to, size_t len);
/* cluctl_cpu.c */
void ctl_cpu_baseline(struct client *c);

#endif
