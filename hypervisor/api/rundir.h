/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The directory <run>/dom/NAME of a domain that runs here: the socket of its hvdom and the lock on its name. It belongs
 * to root, because root opens files and connects in it by name. hvdom has become the domain's user; it keeps the
 * descriptors and cannot change a name. So it marks an end in order in the lock file, and does not remove its socket.
 * See docs/adr/0062-run-directory-is-roots.md
 */
#ifndef HOSPES_HYPERVISOR_RUNDIR_H
#define HOSPES_HYPERVISOR_RUNDIR_H

#include <stdbool.h>
#include "common/cleanup.h"
#include "common/err.h"

/*
 * Make @dir and lock its file "lock" until this process ends. Only our user may write to its parent. A directory
 * that an earlier version gave to the domain's user becomes root's again. Waits for an hvdom of that name that is
 * ending;
 * -EEXIST: one runs. Returns the lock's descriptor or -errno.
 */
int rundir_claim(const char *dir, const char *name, struct err *err) _must_check_;
/* Record that the holder of @lock_fd ends in order. */
void rundir_mark_ended(int lock_fd);
/* Whether the last holder in @dir recorded that. */
bool rundir_ended(const char *dir);

/*
 * Connect (SEQPACKET) to the socket at @path, which may not be a symbolic link. @flags: SOCK_NONBLOCK or 0. Returns the
 * descriptor or -errno: -ENOENT: no socket, or the domain ended in order; -ECONNREFUSED: hvdom died; -EAGAIN: the
 * backlog is full; -ENOTSOCK: not a socket.
 */
int rundir_connect(const char *path, int flags) _must_check_;

#endif
