/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which hvdoms of this host are the cluster's, and how they are ended for certain. A marker <run>/cluster/managed/NAME (the uuid is in it)
 * is made before a domain is started or let in, and removed after its end; the guard kills exactly what has one. Shared by clusterd and
 * hospes-guard; libc and common/ only. Short blocking calls; any thread.
 */
#ifndef HOSPES_CLUSTERD_IO_MANAGED_H
#define HOSPES_CLUSTERD_IO_MANAGED_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "common/cleanup.h"
#include "common/err.h"

#define MANAGED_UUID 37u

int managed_add(const char *name, const char *uuid, struct err *err) _must_check_;
void managed_remove(const char *name);
/* 0 and the uuid; -ENOENT: not marked. */
int managed_uuid(const char *name, char ret[MANAGED_UUID]) _must_check_;
/* Call @fn for each marker. Returns their number, -errno when the directory cannot be read (an absent one is 0). */
int managed_each(void (*fn)(void *arg, const char *name, const char *uuid), void *arg);

/* Is it one of the cluster's domains, as this host's clusterd last knew them (<run>/cluster/domains)? @uuid NULL: by name. */
bool managed_listed(const char *name, const char *uuid);

/* Is it none of the marked domains, or does the lease of this host, as the guard wrote it down last, still go on? */
bool managed_may_run(const char *name);

/* Does an hvdom of that name live? Its lock tells: the kernel drops it with the process, however that ends. */
bool managed_alive(const char *name);
/* Its process, 0: none, or not to be found yet (it is just starting or ending). */
pid_t managed_pid(const char *name);
/*
 * SIGKILL it, through a pidfd: never a process that took over the number. 0: it was told to end or did not live; -ESRCH: it lives, its
 * process is not found.
 */
int managed_kill(const char *name) _must_check_;
/*
 * Kill all that have a marker, but those that @spare names (NULL: none). Returns how many live still (also those just killed), the spared
 * not counted; 0: it is certain that none does. @told may be NULL.
 */
int managed_kill_all(bool (*spare)(void *arg, const char *name), void *spare_arg,
                     void (*told)(void *arg, const char *name), void *arg);

#endif
