/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control group of one domain, hospes.slice/hospes-NAME.scope: below the cgroup v2 root or, on older hosts, in the v1 hierarchies cpu,
 * memory, pids and systemd and in a v2 hierarchy beside them. hvdom and all its children are in it. So a domain outlives the service or
 * session that started it, and others can tell whether a process of the domain lives (common/procs.h).
 * Where the host offers limits, it has two children, hvdom/ and guest/. Best effort: elsewhere the guest runs without limits.
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
	int dir;    /* owned; its flock says "in use" */
	bool leafs; /* with groups hvdom and guest in it */
};

struct cgroup {
	size_t n; /* groups that exist; cgroup_evidence() names the first */
	struct cgroup_place place[CGROUP_PLACES_MAX];
	int janitor;   /* owned; the janitor removes the groups when this pipe closes; -1: none */
	/* A file that goes with the groups, unless another one has its name by then. All borrowed; left_dir -1: none. */
	int left_dir;
	const char *left_name;
	ino_t left_ino;
	char why[160]; /* the limits that are missing, for people; "": none */
};

/* Octets that the guest's processes may use: @ram_bytes and the overhead of a busy guest's processes and page tables. */
uint64_t cgroup_memory_limit(uint64_t ram_bytes);
/*
 * Make the groups of domain @name, whose processes run as @uid, below @base (/sys/fs/cgroup). Call as root. Never fails: @c->why names what
 * is missing. cgroup_done() frees @c.
 */
void cgroup_make(struct cgroup *c, const char *base, const char *name, uint64_t ram_bytes, uid_t uid);
/*
 * Fork a privileged process that removes the groups and the file after this process has ended, however it ends. Call before privileges
 * are dropped and threads started. After a failure they stay, and the domain's next start uses them again.
 */
int cgroup_janitor(struct cgroup *c) _must_check_;
/* Move the calling process, and so its later children, into the groups. One that refuses leaves @c. As root, after cgroup_janitor(). */
void cgroup_enter(struct cgroup *c);
/* Path (borrowed from @c) and inode of the group whose members are the domain's processes. NULL: there is none. */
const char *cgroup_evidence(const struct cgroup *c, uint64_t *ret_ino);
/* Put @pid, and so its later children, under the guest's limits. 0, or the first -errno of several groups. */
int cgroup_add(const struct cgroup *c, pid_t pid) _must_check_;
/* How many of the guest's processes the kernel has killed so far because memory ran out: the group's, or the host's. 0: it does not tell */
uint64_t cgroup_oom_kills(const struct cgroup *c);
/* Close everything; the janitor does the rest. */
void cgroup_done(struct cgroup *c);

#endif
