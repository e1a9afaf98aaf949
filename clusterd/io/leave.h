/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * This host goes in order: its domains are moved away, shut down or ended, by policy and within a time, and when none lives the
 * cluster is told
 * (LEFT), so that nobody waits for its lease. docs/wire/cluster.md, section 4, has the argument. Loop thread; never blocks.
 */
#ifndef HOSPES_CLUSTERD_IO_LEAVE_H
#define HOSPES_CLUSTERD_IO_LEAVE_H

#include "clusterd/guard/leaving.h"
#include "clusterd/io/local.h"
#include "clusterd/io/nodeio.h"

struct leave;

/* Goes on where an earlier clusterd of this boot was. */
struct leave *leave_new(struct loop *loop, struct nodeio *n, struct local *local, struct err *err);
void leave_free(struct leave *l); /* takes NULL */
/* @mode -1 and @timeout_ns 0: as the policy says. One that is under way already goes on; a shorter time counts. */
int leave_begin(struct leave *l, int mode, uint64_t timeout_ns, struct err *err) _must_check_;
/* The host stays, or comes back: over when the cluster places domains here again. */
int leave_undo(struct leave *l, struct err *err) _must_check_;
enum leaving_stage leave_stage(const struct leave *l);
bool leave_undoing(const struct leave *l);
/* Has the cluster committed that this host has left? */
bool leave_done(const struct leave *l);
/* Everything has ended, or should have, and there is nobody to tell it to: the order need not wait longer. */
bool leave_without_quorum(const struct leave *l);

#endif
