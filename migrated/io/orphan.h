/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Orphans: copies of domains on this host that were given away and that no session handles, since their journal is lost or their removal
 * failed. They cannot run by themselves. A person decides what becomes of them.
 */
#ifndef HOSPES_MIGRATED_IO_ORPHAN_H
#define HOSPES_MIGRATED_IO_ORPHAN_H

#include "migrated/io/daemon.h"

/* Append a status object for each orphan (of @domain, NULL: all) to @list. */
void orphan_status(struct migrated *d, const char *domain, json_t *list);
/* @local: take the domain back and run it here; else remove the copy. -ENOENT: there is no such orphan. */
int orphan_resolve(struct migrated *d, const char *domain, bool local, struct err *err) _must_check_;

#endif
