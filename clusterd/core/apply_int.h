/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One command being applied: shared by apply.c (domains, rules, policy), apply_host.c, apply_result.c and apply_fail.c. */
#ifndef HOSPES_CLUSTERD_CORE_APPLY_INT_H
#define HOSPES_CLUSTERD_CORE_APPLY_INT_H

#include "clusterd/core/clu.h"

struct apply {
	struct clu_state *s;
	const struct clu_cmd *c;
	struct clu_changes *changes;
	struct clu_answer *answer;
};

/* Bracket each change of a record with these: they keep the state's sum right and the list of changes complete. */
void apply_open(struct apply *a, enum clu_object kind, uint32_t slot);
void apply_close(struct apply *a, enum clu_object kind, uint32_t slot);
/* The same for a domain; closing sets its rev. */
void apply_dom_open(struct apply *a, const struct clu_dom *d);
void apply_dom_close(struct apply *a, struct clu_dom *d);
/* Refuse the command. @code: positive errno. The text is put together from three parts. */
void apply_refuse(struct apply *a, int code, const char *p1, const char *p2, const char *p3);
void apply_text(char *to, const char *p1, const char *p2, const char *p3); /* CLU_TEXT_MAX octets, padded with NULs */
/* The domain of the command; NULL: there is none, and the command was refused. */
struct clu_dom *apply_the_dom(struct apply *a);

/* From here to apply_fails_forget(): between open and close of @d. */
/* @d has no owner any more. @force: its last owner is dead or gave it up, so the lease on disk does not count. */
void apply_disown(struct clu_dom *d, bool force, const char *why);
/* The guest crashed: back off, or FAILED if that happened too often. */
void apply_crash(struct apply *a, struct clu_dom *d);
/*
 * Host @node failed to take @d: other hosts are preferred for a while, but it is never ruled out, because what failed (a lock that a dead
 * owner left, a missing file) may work later. Returns true for the first failure.
 */
bool apply_host_failed(struct apply *a, struct clu_dom *d, uint32_t node, const char *text);
/* The same for a start. It also backs off @d, and counts towards suspecting the host. */
void apply_start_failed(struct apply *a, struct clu_dom *d, uint32_t node, const char *text);
void apply_host_worked(struct apply *a, struct clu_dom *d, uint32_t node); /* forget its failures: success, or a change there */
void apply_fails_forget(struct clu_dom *d);
/* Suspect @h no longer. Its record must not be open. */
void apply_host_trusted(struct apply *a, struct clu_host *h);

void apply_host_up(struct apply *a);
void apply_host_lost(struct apply *a);
void apply_waited(struct apply *a);
void apply_deadlines(struct apply *a); /* the policy changed: make lost hosts safe whose lease is waited out */
void apply_host_safe(struct apply *a);
void apply_maintenance(struct apply *a);
void apply_leave(struct apply *a);
void apply_left(struct apply *a);
void apply_disarm(struct apply *a);
void apply_permit(struct apply *a);
void apply_set(struct apply *a);
void apply_spare(struct apply *a);
/* True if the cluster is disarmed: the command was refused. */
bool apply_disarmed(struct apply *a);
void apply_result(struct apply *a);
void apply_observed(struct apply *a);
void apply_reach(struct apply *a);

/* record.c: one record's part of the state's sum. */
uint64_t clu_record_sum(const struct clu_state *s, enum clu_object kind, uint32_t slot);

#endif
