/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Takes this host's Corosync aside, so that it disturbs nobody: its packets are dropped in both directions, in an nftables table of our own
 * (inet hospes_aside) whose entries run out after ASIDE_EXPIRES_S unless they are made anew. So a clusterd that dies does not leave its
 * host cut off. Corosync itself goes on, alone and without quorum. Loop thread; nft(8) runs as a child and is not waited for.
 */
#ifndef HOSPES_CLUSTERD_IO_ASIDE_H
#define HOSPES_CLUSTERD_IO_ASIDE_H

#include <stdbool.h>
#include <sys/types.h>
#include "clusterd/io/cpg.h"

#define ASIDE_EXPIRES_S 15u

struct aside;

struct aside *aside_new(struct loop *loop); /* NULL: out of memory */
void aside_free(struct aside *a);           /* takes NULL; what is there runs out by itself */
/* @ports of Corosync; those of the last call count. */
void aside_set(struct aside *a, bool on, const uint16_t *port, uint32_t n);
bool aside_child(struct aside *a, pid_t pid, int status); /* true: one of ours ended */
/* What nft is told; for tests. -ENOMEM: truncated. */
int aside_script(bool on, const uint16_t *port, uint32_t n, char *ret, size_t cap) _must_check_;

#endif
