/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which processes of this host are a domain's, by evidence that its own user cannot forge. hvdom writes the record <run>/procs/NAME
 * while it is still root, before anything of a guest exists: its process id with its start time, its user, and the control group that
 * it and all that it ever starts are in. The file, its directory and the group are root's. "Gone" means that neither the process nor
 * anything in the group lives.
 *
 * The record stays after the end; the next start of that name replaces it. libc only; short blocking calls on /run, /proc and /sys;
 * any thread.
 */
#ifndef HOSPES_COMMON_PROCS_H
#define HOSPES_COMMON_PROCS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "common/cleanup.h"
#include "common/err.h"

#define PROCS_GROUP_MAX 512u

struct procs {
	pid_t pid;                   /* hvdom */
	uint64_t start;              /* of it, as in field 22 of /proc/PID/stat: tells it from a later process of that number */
	uid_t uid;                   /* the domain's own user, of nobody else; 0: it has none */
	uint64_t group_ino;          /* of the group's directory: tells it from a later one of that name */
	char group[PROCS_GROUP_MAX]; /* its path; "": no control groups here, so that all processes of @uid are looked for instead */
};

/* The calling process: pid and start time; the rest is 0. */
int procs_self(struct procs *ret) _must_check_;
int procs_write(const char *name, const struct procs *p, struct err *err) _must_check_;
/* -ENOENT: none was written; -EBADMSG: damaged. */
int procs_read(const char *name, struct procs *ret) _must_check_;
/* Does any of them live? What cannot be looked at does. */
bool procs_live(const struct procs *p);
/* SIGKILL to all of them; whoever wants to be sure calls it until procs_live() says no. 0, or the last -errno. */
int procs_kill(const struct procs *p);

#endif
