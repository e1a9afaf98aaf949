/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One command being applied: shared by apply.c (domains, rules, policy) and apply_host.c. */
#ifndef HOSPES_CLUSTERD_CORE_APPLY_INT_H
#define HOSPES_CLUSTERD_CORE_APPLY_INT_H

#include "clusterd/core/clu.h"

struct apply {
	struct clu_state *s;
	const struct clu_cmd *c;
	struct clu_changes *changes;
	struct clu_answer *answer;
};

/* A record is opened before it is changed and closed after it: that keeps the sum right and the list of changes whole. */
void apply_open(struct apply *a, enum clu_object kind, uint32_t slot);
void apply_close(struct apply *a, enum clu_object kind, uint32_t slot);
/* The same for a domain; closing writes its rev. */
void apply_dom_open(struct apply *a, const struct clu_dom *d);
void apply_dom_close(struct apply *a, struct clu_dom *d);
/* Refuse: @code positive errno, a printf-like text is too much for a pure core: up to three parts. */
void apply_refuse(struct apply *a, int code, const char *p1, const char *p2, const char *p3);
void apply_text(char *to, const char *p1, const char *p2, const char *p3); /* CLU_TEXT_MAX octets */

/* Nobody owns @d any more; @force: whoever had it is dead or said that it is gone, so its lease does not count. Between open and close. */
void apply_disown(struct clu_dom *d, bool force, const char *why);
/* The guest of @d crashed: a back-off; FAILED when it comes too often. Here and below: between open and close of @d. */
void apply_crash(struct apply *a, struct clu_dom *d);
/*
 * The host @node could not take @d: others are preferred for a while. True: for the first time. What a host cannot do now (a lock that a
 * dead owner left, a file that is missing) another or the same one may do later, so that is tried for ever.
 */
bool apply_host_failed(struct apply *a, struct clu_dom *d, uint32_t node, const char *text);
/* The same for a start: besides a back-off of @d, for when no host is left that did not fail; and does the host fail with others, too? */
void apply_start_failed(struct apply *a, struct clu_dom *d, uint32_t node, const char *text);
void apply_host_worked(struct apply *a, struct clu_dom *d, uint32_t node); /* it could, or something changed there */
void apply_fails_forget(struct clu_dom *d);
void apply_host_trusted(struct apply *a, struct clu_host *h); /* not of a host record that is open */

void apply_host_up(struct apply *a);
void apply_host_lost(struct apply *a);
void apply_waited(struct apply *a);
void apply_deadlines(struct apply *a); /* of all hosts: what the policy says of clocks is another than before */
void apply_host_safe(struct apply *a);
void apply_maintenance(struct apply *a);
void apply_leave(struct apply *a);
void apply_left(struct apply *a);
/* RESULT, OBSERVED and REACH: apply_result.c */
void apply_result(struct apply *a);
void apply_observed(struct apply *a);
void apply_reach(struct apply *a);
/* Of apply.c. The domain of the command; NULL: there is none, and it was refused. */
struct clu_dom *apply_the_dom(struct apply *a);

uint64_t clu_record_sum(const struct clu_state *s, enum clu_object kind, uint32_t slot);

#endif
