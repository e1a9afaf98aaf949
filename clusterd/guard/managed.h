/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which hvdoms of this host are the cluster's. A marker <run>/cluster/managed/NAME (the uuid is in it) is made before a domain is started
 * or let in, and removed after its end; the guard kills exactly what has one. Shared by clusterd and hospes-guard; libc, common/ and
 * hypervisor/api/ only. Short blocking calls; any thread.
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

/* Is it none of the marked domains, or does the lease of this host, as the guard wrote it down last, still go on, and
 * is the host not just being shut down? */
bool managed_may_run(const char *name);

/* How many of the marked ones live (hvproc_alive()); -errno: they cannot be listed. */
int managed_count_alive(void);
/*
 * Kill all that have a marker, but those that @spare names (NULL: none). Returns how many live still (also those just killed), the spared
 * not counted; 0: it is certain that none does. @on_kill may be NULL.
 */
int managed_kill_all(bool (*spare)(void *arg, const char *name), void *spare_arg,
                     void (*on_kill)(void *arg, const char *name), void *arg);

#endif
