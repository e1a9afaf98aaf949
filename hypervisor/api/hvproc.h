/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hvdom of a domain on this host: whether it lives, its process id, its end, a connection to it. The evidence is
 * the record that the domain's user cannot forge (common/procs.h). Without a record, as with an hvdom of an older
 * version, it is the lock on its name, which belongs to the domain's user. Short calls that never wait for hvdom; any
 * thread.
 */
#ifndef HOSPES_HYPERVISOR_HVPROC_H
#define HOSPES_HYPERVISOR_HVPROC_H

#include <stdbool.h>
#include <sys/types.h>
#include "common/cleanup.h"

/* True if hvdom or a process that it started lives, or if this cannot be determined. */
bool hvproc_alive(const char *name);
/* Its process id; 0: none lives, or it is not known. Not for kill(): the number may pass to another process. */
pid_t hvproc_pid(const char *name);
/*
 * Send SIGKILL to hvdom and all that it started, through pidfds or its control group, so never to a process that reuses
 * a number. 0: they were told to end, or none lives.
 */
int hvproc_kill(const char *name) _must_check_;
/* As rundir_connect(), by the domain's name; -EINVAL: not a valid name. */
int hvproc_connect(const char *name, int flags) _must_check_;

#endif
