/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A process in namespaces of its own, which each engine's guest gets. System calls only. */
#ifndef HOSPES_COMMON_NSPROC_H
#define HOSPES_COMMON_NSPROC_H

#include <sys/types.h>
#include "common/cleanup.h"
#include "common/err.h"

/*
 * fork() into new user, process id, mount, network, IPC and host name namespaces. Returns 0 in the child, which has no
 * user mapped yet and may make system calls only, because other threads may hold locks. Returns the child's pid in the
 * parent, where @ret_pidfd (close-on-exec) is the caller's. -errno: @err.
 */
pid_t nsproc_fork(int *ret_pidfd, struct err *err) _must_check_;

#endif
