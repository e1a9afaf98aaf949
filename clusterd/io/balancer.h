/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Plans for even load, and their execution. clusterd/core/plan.h makes a plan from the state and from measurements. Its moves are proposed
 * one by one, each checked again, with at most moves_max of the policy under way in the whole cluster. With auto_balance the coordinator
 * looks for a plan by itself, when the spread was above the threshold for the hold time and the cool-down has passed. A move that fails
 * only changes the plan. Loop thread.
 */
#ifndef HOSPES_CLUSTERD_IO_BALANCER_H
#define HOSPES_CLUSTERD_IO_BALANCER_H

#include "clusterd/core/plan.h"
#include "clusterd/io/nodeio.h"

#define BALANCER_MOVES_MAX 256u

struct balancer;

struct balancer_plan {
	struct clu_plan_result result;
	uint32_t n;
	struct clu_plan_move move[BALANCER_MOVES_MAX];
};

enum balancer_status { BALANCER_WAITING = 0, BALANCER_MOVING, BALANCER_DONE, BALANCER_FAILED, BALANCER_SKIPPED };

struct balancer_move {
	char uuid[CLU_UUID_MAX], name[CLU_NAME_MAX];
	uint32_t from, to;       /* node ids */
	enum balancer_status status;
	char error[CLU_TEXT_MAX];
	uint64_t sent_ns, rev;   /* when it was proposed; the domain's rev then */
	bool reported;
};
/* A plan being carried out, for one client or by auto_balance. */
struct balancer_run {
	struct balancer_move *move; /* owned */
	uint32_t n;
};

struct balancer *balancer_new(struct loop *loop, struct nodeio *n); /* NULL: out of memory */
void balancer_free(struct balancer *b); /* takes NULL */
/* Make a plan for now. @max_moves 0: no limit. @automatic: with the policy's threshold and least gain. -ENOMEM. */
int balancer_plan(struct balancer *b, uint32_t max_moves, bool automatic, struct balancer_plan *ret) _must_check_;
/* Begin to carry out @p. Then call balancer_run_step() often; it returns true when all moves have ended. -ENOMEM. */
int balancer_run_begin(struct balancer *b, const struct balancer_plan *p, struct balancer_run *r) _must_check_;
bool balancer_run_step(struct balancer *b, struct balancer_run *r);
void balancer_run_done(struct balancer_run *r);
const char *balancer_status_name(enum balancer_status s);
/* What auto_balance is doing, for people; "": it is off. */
const char *balancer_text(const struct balancer *b);

#endif
