/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Resource limits of one domain's guest processes: a control group `hospes/NAME`, below the cgroup v2 root or, on older hosts,
 * in each of the v1 hierarchies cpu, memory and pids. Best effort: a host that offers none runs the guest without.
 */
#ifndef HOSPES_HYPERVISOR_CGROUP_H
#define HOSPES_HYPERVISOR_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "common/cleanup.h"

#define CGROUP_PIDS_MAX 40000u
#define CGROUP_PLACES_MAX 3

struct cgroup {
	size_t n;                       /* groups that were made: 1 (v2) or one per v1 hierarchy */
	char *path[CGROUP_PLACES_MAX];  /* owned */
	int dir[CGROUP_PLACES_MAX];     /* owned; holds the flock that says "in use" */
	int procs[CGROUP_PLACES_MAX];   /* owned; cgroup.procs, opened with privileges */
	int janitor;                    /* owned; pipe whose end tells the janitor to remove the groups; -1: none */
	char why[160];                  /* what is missing; "" when all limits hold */
};

/* Memory that the guest's processes may use: guest RAM and what processes and page tables of a busy guest cost beyond it. */
uint64_t cgroup_memory_limit(uint64_t ram_bytes);
/* Make the groups of @name. @base: /sys/fs/cgroup. Call as root; never fails, @c->why tells what could not be had. */
void cgroup_make(struct cgroup *c, const char *base, const char *name, uint64_t ram_bytes);
/*
 * Fork a process that keeps the privileges to remove the groups once this process has ended, however it ends. Call it before
 * privileges are dropped and threads started. -errno: then the next start of a domain of that name takes the groups over.
 */
int cgroup_janitor(struct cgroup *c) _must_check_;
/* Put @pid, and all that it forks later, under the limits. 0 or the first -errno. */
int cgroup_add(const struct cgroup *c, pid_t pid) _must_check_;
/* Close everything; the janitor does the rest. */
void cgroup_done(struct cgroup *c);

#endif
