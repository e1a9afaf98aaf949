/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * This host's domains: makes them what the committed state says (clu_todo()), and says what became of it. By level, not by edge: every look
 * compares what should be with what is (the lock of an hvdom, its INFO, the lease, migrated's word), so a daemon that restarts, or a
 * result that was lost, needs no memory. Never blocks: hypercalls and migrated are asked on the loop, starts wait on a pipe.
 */
#ifndef HOSPES_CLUSTERD_IO_LOCAL_H
#define HOSPES_CLUSTERD_IO_LOCAL_H

#include <jansson.h>
#include "clusterd/io/nodeio.h"

struct local;

struct local *local_new(struct loop *loop, struct nodeio *n, const struct hostconf *conf, struct err *err);
void local_free(struct local *l); /* takes NULL; domains run on */
/* The state may have changed: look soon. */
void local_changed(struct local *l);
/* For HOST_UP: see nodeio_ops. */
int local_inventory(struct local *l, struct clu_inventory *list, uint32_t max);
/* The same: what hvdom answered last; 0 if there is none. */
int local_engines(const struct local *l, uint32_t *ret);
bool local_child(struct local *l, pid_t pid, int status);
struct workers *local_helpers(const struct local *l); /* for questions to storage (probe.h) */
/* What is being done for the domain with @uuid, for people; "" nothing. */
const char *local_doing(const struct local *l, const char *uuid);
/* Is its copy here suspended for want of a lease? */
bool local_parked(const struct local *l, const char *uuid);
/* This host is being shut down: end all domains here, by their guests (@at_once: without) and by force at @until_ns. 0: not any more. */
void local_ending(struct local *l, uint64_t until_ns, bool at_once);
/* Does one of them live, or is just being started? */
bool local_lives(const struct local *l);
/* For the developer's dump: an array. */
json_t *local_dump(const struct local *l);

#endif
