/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control group of one domain: hospes.slice/hospes-NAME.scope, below the cgroup v2 root or, on older hosts, in the v1 hierarchies cpu,
 * memory, pids and systemd and in a v2 hierarchy beside them. hvdom and all that it starts are in it, whoever started it, so that
 * nothing that ends a service or a session ends a domain, and so that others can tell whether anything of it lives (common/procs.h).
 * Below it, where there are limits: hvdom/ and guest/. Best effort: a host that offers none runs the guest without.
 */
#ifndef HOSPES_HYPERVISOR_CGROUP_H
#define HOSPES_HYPERVISOR_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "common/cleanup.h"

#define CGROUP_PIDS_MAX 40000u
#define CGROUP_PLACES_MAX 5

struct cgroup_place {
	char *path; /* owned */
	int dir;    /* owned; holds the flock that says "in use" */
	bool leafs; /* with groups hvdom and guest in it */
};

struct cgroup {
	size_t n; /* groups that were made, the best evidence first */
	struct cgroup_place place[CGROUP_PLACES_MAX];
	int janitor;   /* owned; pipe whose end tells the janitor to remove the groups; -1: none */
	char why[160]; /* what is missing; "" when all limits hold */
};

/* Memory that the guest's processes may use: guest RAM and what processes and page tables of a busy guest cost beyond it. */
uint64_t cgroup_memory_limit(uint64_t ram_bytes);
/* Make the groups of @name, whose user is @uid. @base: /sys/fs/cgroup. Call as root; never fails, @c->why tells what could not be had. */
void cgroup_make(struct cgroup *c, const char *base, const char *name, uint64_t ram_bytes, uid_t uid);
/*
 * Fork a process that keeps the privileges to remove the groups once this process has ended, however it ends. Call it before
 * privileges are dropped and threads started. -errno: then the next start of a domain of that name takes the groups over.
 */
int cgroup_janitor(struct cgroup *c) _must_check_;
/* The calling process, and all that it forks later, into the groups; those that do not take it are given up. As root, after the janitor. */
void cgroup_enter(struct cgroup *c);
/* The path of the group that tells what belongs to the domain, and its inode; NULL: there is none. Borrowed. */
const char *cgroup_evidence(const struct cgroup *c, uint64_t *ret_ino);
/* Put @pid, and all that it forks later, under the guest's limits. 0 or the first -errno. */
int cgroup_add(const struct cgroup *c, pid_t pid) _must_check_;
/* Close everything; the janitor does the rest. */
void cgroup_done(struct cgroup *c);

#endif
