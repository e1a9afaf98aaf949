/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The order socket `<run>/clusterd.sock` (mode 0600) for vmclus: JSON lines, docs/wire/clusterctl.md. Any node takes any order. An order
 * that changes the cluster is answered when its command is committed. Loop thread.
 */
#ifndef HOSPES_CLUSTERD_IO_CLUCTL_H
#define HOSPES_CLUSTERD_IO_CLUCTL_H

#include "clusterd/io/balancer.h"
#include "clusterd/io/leave.h"
#include "clusterd/io/local.h"
#include "clusterd/io/nodeio.h"

struct cluctl;

struct cluctl *cluctl_new(struct loop *loop, struct nodeio *n, struct err *err); /* NULL with a text */
void cluctl_free(struct cluctl *c); /* takes NULL */
/* Set the other parts that orders need, borrowed; once, before the loop runs. */
void cluctl_parts(struct cluctl *c, struct local *local, struct balancer *balancer, struct leave *leave);
/* Called by struct nodeio_ops. */
void cluctl_changed(struct cluctl *c);
void cluctl_answer(struct cluctl *c, uint64_t request, const struct clu_answer *answer);
void cluctl_progress(struct cluctl *c, const char *uuid, const char *json, size_t len);

#endif
