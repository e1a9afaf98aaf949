/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * This host's domains: makes them what the committed state says (clu_todo()), and reports the results. Every look compares the state with
 * what is there (the lock of an hvdom, its INFO, the lease, migrated's word), so a restart or a lost result needs no memory. Never blocks:
 * hypercalls and orders to migrated go over the loop, starts wait on a pipe, helpers access storage. Loop thread.
 */
#ifndef HOSPES_CLUSTERD_IO_LOCAL_H
#define HOSPES_CLUSTERD_IO_LOCAL_H

#include <jansson.h>
#include "clusterd/io/nodeio.h"

struct local;

/* NULL with a text. What is passed in outlives it. */
struct local *local_new(struct loop *loop, struct nodeio *n, const struct hostconf *conf, struct err *err);
void local_free(struct local *l); /* takes NULL; the domains run on */
/* Something changed: look soon. */
void local_changed(struct local *l);
/* For HOST_UP: see nodeio_ops. */
int local_inventory(struct local *l, struct clu_inventory *list, uint32_t max);
int local_engines(const struct local *l, struct hostengines *ret);
bool local_child(struct local *l, pid_t pid, int status); /* a child ended (SIGCHLD); true: it was an hvdom being started */
struct workers *local_helpers(const struct local *l); /* for questions to storage (probe.h) */
/* What is under way for the domain with @uuid, for people; "": nothing. */
const char *local_doing(const struct local *l, const char *uuid);
/* Have migrated call off the push @op_id of a domain of this host, if it is under way and not beyond that. */
void local_call_off(struct local *l, const char *uuid, uint64_t op_id);
/* True if its copy here is suspended because this host's lease expired. */
bool local_parked(const struct local *l, const char *uuid);
/*
 * This host is being shut down: have all domains here powered off by their guests, or with @at_once end them, and kill them at @until_ns
 * (CLOCK_BOOTTIME). 0: it is not, or no longer.
 */
void local_ending(struct local *l, uint64_t until_ns, bool at_once);
/* True if a domain lives here, or is being started. */
bool local_lives(const struct local *l);
/* For the developer's dump: an array, the caller's. */
json_t *local_dump(const struct local *l);

#endif
