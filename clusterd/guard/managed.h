/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which hvdoms of this host are the cluster's. A domain has a marker, the file <run>/cluster/managed/NAME with its uuid. It is made before
 * the domain is started or let in, and removed after its end. The guard kills exactly the domains with a marker. Shared by clusterd and
 * hospes-guard; libc, common/ and hypervisor/api/ only. Short blocking calls; any thread.
 */
#ifndef HOSPES_CLUSTERD_GUARD_MANAGED_H
#define HOSPES_CLUSTERD_GUARD_MANAGED_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "common/cleanup.h"
#include "common/err.h"

#define MANAGED_UUID 37u

int managed_add(const char *name, const char *uuid, struct err *err) _must_check_;
void managed_remove(const char *name);
/* 0 and the uuid in @ret; -ENOENT: no marker. */
int managed_uuid(const char *name, char ret[MANAGED_UUID]) _must_check_;
/* Call @fn for each marker. Returns their number (0 also without the directory), or -errno if the directory cannot be read. */
int managed_each(void (*fn)(void *arg, const char *name, const char *uuid), void *arg);

/* True if the domain was the cluster's when clusterd last wrote <run>/cluster/domains. @uuid NULL: look for the name. */
bool managed_listed(const char *name, const char *uuid);

/*
 * True if the domain has no marker; or if the guard's last recorded lease has not expired, and this host is not ending its domains for a
 * shutdown (leaving_closed()).
 */
bool managed_may_run(const char *name);

/* The number of marked domains that live (hvproc_alive()), or -errno if they cannot be listed. */
int managed_count_alive(void);
/*
 * Kill all marked domains but those that @spare names (NULL: none); call @on_kill (NULL: nothing) before each kill. Returns how many live,
 * the ones just killed included and the spared ones not; 0 proves that none does; -errno: they cannot be listed.
 */
int managed_kill_all(bool (*spare)(void *arg, const char *name), void *spare_arg,
                     void (*on_kill)(void *arg, const char *name), void *arg);

#endif
