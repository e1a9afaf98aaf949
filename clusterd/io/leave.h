/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The shutdown of this host in order: its domains are moved away, powered off or ended, by policy and within a time. When none lives, the
 * cluster is told (LEFT), so that nobody waits for this host's lease. docs/wire/cluster.md, section 4, says why that is safe. Loop thread;
 * never blocks.
 */
#ifndef HOSPES_CLUSTERD_IO_LEAVE_H
#define HOSPES_CLUSTERD_IO_LEAVE_H

#include "clusterd/guard/leaving.h"
#include "clusterd/io/local.h"
#include "clusterd/io/nodeio.h"

struct leave;

/* Goes on where an earlier clusterd of this boot stopped. NULL with a text. */
struct leave *leave_new(struct loop *loop, struct nodeio *n, struct local *local, struct err *err);
void leave_free(struct leave *l); /* takes NULL */
/*
 * Begin. @mode: enum clu_on_shutdown; -1, and @timeout_ns 0: the policy's. If it is under way, it goes on, and only a shorter time counts.
 * -EIO: the stage cannot be recorded.
 */
int leave_begin(struct leave *l, int mode, uint64_t timeout_ns, struct err *err) _must_check_;
/* The host stays, or comes back. That lasts until the cluster places domains here again: leave_undoing(). -EIO as above. */
int leave_undo(struct leave *l, struct err *err) _must_check_;
enum leaving_stage leave_stage(const struct leave *l);
bool leave_undoing(const struct leave *l);
/* True if the cluster has committed that this host left. */
bool leave_done(const struct leave *l);
/* True if no domain lives and there is no quorum that could be told: an order need not wait longer. */
bool leave_without_quorum(const struct leave *l);

#endif
