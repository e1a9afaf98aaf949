/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The order socket `<run>/clusterd.sock` (mode 0600), as docs/wire/clusterctl.md has it: JSON lines, any order on any node, answers to
 * what changes the cluster when it is committed. Loop thread.
 */
#ifndef HOSPES_CLUSTERD_IO_CLUCTL_H
#define HOSPES_CLUSTERD_IO_CLUCTL_H

#include "clusterd/io/balancer.h"
#include "clusterd/io/leave.h"
#include "clusterd/io/local.h"
#include "clusterd/io/nodeio.h"

struct cluctl;

struct cluctl *cluctl_new(struct loop *loop, struct nodeio *n, struct err *err);
void cluctl_free(struct cluctl *c); /* takes NULL */
/* What status and state tell of beside the node; set once, before the loop runs. */
void cluctl_parts(struct cluctl *c, struct local *local, struct balancer *balancer, struct leave *leave);
/* From nodeio_ops. */
void cluctl_changed(struct cluctl *c);
void cluctl_answer(struct cluctl *c, uint64_t request, const struct clu_answer *answer);
void cluctl_progress(struct cluctl *c, const char *uuid, const char *json, size_t len);

#endif
