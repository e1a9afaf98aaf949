/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The directory <run>/dom/NAME of a domain that runs here: the socket of its hvdom and the lock on its name. It is root's, since root opens
 * and connects by name in it; hvdom, which has become the domain's user, keeps the descriptors and cannot change a name. So it says that it
 * ends in order not by removing its socket but by a mark in the lock file. docs/adr/0062-run-directory-is-roots.md
 */
#ifndef HOSPES_HYPERVISOR_RUNDIR_H
#define HOSPES_HYPERVISOR_RUNDIR_H

#include <stdbool.h>
#include "common/cleanup.h"
#include "common/err.h"

/*
 * Make @dir (its parent is ours alone), take it back if a version of before gave it to the domain's user, and lock its "lock":
 * held until the
 * process ends, however it ends. One that is ending is waited for, one that runs is -EEXIST. Returns the lock's descriptor or -errno.
 */
int rundir_claim(const char *dir, const char *name, struct err *err) _must_check_;
/* The holder of @lock_fd ends in order. */
void rundir_mark_ended(int lock_fd);
/* Did the last one in @dir say so? */
bool rundir_ended(const char *dir);

/*
 * A SEQPACKET connection to the socket at @path, which may not be a link to another one. @flags: SOCK_NONBLOCK. Returns it or
 * -errno: -ENOENT
 * there is none, or it ended in order; -ECONNREFUSED it died; -EAGAIN a full backlog; -ENOTSOCK something else is there.
 */
int rundir_connect(const char *path, int flags) _must_check_;

#endif
