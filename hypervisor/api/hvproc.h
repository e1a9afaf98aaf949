/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hvdom of a domain on this host: does it live, which process is it, its end, a connection to it. By evidence that its own user cannot
 * forge (common/procs.h); where nothing is on record, by its lock, which is its own user's: an hvdom of an older version. Short calls that
 * never wait for it; any thread.
 */
#ifndef HOSPES_HYPERVISOR_HVPROC_H
#define HOSPES_HYPERVISOR_HVPROC_H

#include <stdbool.h>
#include <sys/types.h>
#include "common/cleanup.h"

/* Does anything of it live: itself, or what it started? What cannot be looked at does. */
bool hvproc_alive(const char *name);
/* Its process id; 0: nothing of it lives, or it cannot be told. The number may pass to another process: not for kill(). */
pid_t hvproc_pid(const char *name);
/* SIGKILL to all of it, through pidfds or its control group: never a process that took over a number. 0: told to end, or nothing lives. */
int hvproc_kill(const char *name) _must_check_;
/* As rundir_connect(), by name; -EINVAL: it is none. */
int hvproc_connect(const char *name, int flags) _must_check_;

#endif
