/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cuts this host's Corosync off, so that it disturbs nobody: its packets are dropped in both directions. The nftables table inet
 * hospes_aside is ours. Its entries expire after ASIDE_EXPIRES_S unless they are renewed, so a clusterd that dies does not leave its host
 * cut off. Corosync itself runs on, alone and without quorum. nft(8) runs as a child, which nobody waits for. Loop thread.
 */
#ifndef HOSPES_CLUSTERD_IO_ASIDE_H
#define HOSPES_CLUSTERD_IO_ASIDE_H

#include <stdbool.h>
#include <sys/types.h>
#include "clusterd/io/cpg.h"

#define ASIDE_EXPIRES_S 15u

struct aside;

struct aside *aside_new(struct loop *loop); /* NULL: out of memory */
void aside_free(struct aside *a);           /* takes NULL; entries expire by themselves */
/* Begin or stop dropping. @port: Corosync's @n UDP ports, copied; they replace those of the last call. */
void aside_set(struct aside *a, bool on, const uint16_t *port, uint32_t n);
bool aside_child(struct aside *a, pid_t pid, int status); /* a child ended (SIGCHLD); true: it was nft */
/* What nft is told; for tests. -ENOMEM: it does not fit @cap. */
int aside_script(bool on, const uint16_t *port, uint32_t n, char *ret, size_t cap) _must_check_;

#endif
