/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The processes of a domain on this host, by evidence that the domain's user cannot forge. hvdom writes the record
 * <run>/procs/NAME while it is still root, before any process of the guest exists: its process id and start time, its
 * user, and the control group in which it and all its descendants are. The file, its directory and the group belong to
 * root. A domain is gone when the process has ended and the group is empty.
 *
 * The record stays after the end of the domain; the next start of that name replaces it. libc only; short blocking
 * calls on /run, /proc and /sys; any thread.
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
	uint64_t start;              /* its start time, field 22 of /proc/PID/stat: a later process with this pid differs */
	uid_t uid;                   /* the user that only this domain has; 0: none */
	uint64_t group_ino;          /* inode of the group's directory: a later group with this name differs */
	char group[PROCS_GROUP_MAX]; /* its path; "": no control groups here, all processes of @uid count instead */
};

/* The record of the calling process: pid and start time; the rest is 0. */
int procs_self(struct procs *ret) _must_check_;
int procs_write(const char *name, const struct procs *p, struct err *err) _must_check_;
/* -ENOENT: none was written; -EBADMSG: damaged. */
int procs_read(const char *name, struct procs *ret) _must_check_;
/* True if any of them lives, or if this cannot be determined. */
bool procs_live(const struct procs *p);
/* Send SIGKILL to all of them. To be sure, repeat it until procs_live() is false. 0, or the last -errno. */
int procs_kill(const struct procs *p);

#endif
