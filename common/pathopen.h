/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Opens what others name. A domain's definition can come from a peer, a save file or another member of the cluster, and root opens the
 * paths in it: below an allowed directory, through no link that leads out of it, and only what is of the expected kind. Which directories
 * are allowed is read by hypervisor/api/pathconf.h.
 */
#ifndef HOSPES_COMMON_PATHOPEN_H
#define HOSPES_COMMON_PATHOPEN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include "common/cleanup.h"
#include "common/err.h"

enum path_kind {
	PATH_IMAGE,  /* a regular file; its lease beside it, too */
	PATH_DEVICE, /* a block device */
	PATH_KERNEL, /* a regular file that is only read: kernel, initrd */
	PATH_OUTPUT, /* a regular file with one name that the guest's output is appended to */
	PATH_KINDS
};

#define PATH_ROOTS_MAX 32u

struct path_rules {
	char *root[PATH_KINDS][PATH_ROOTS_MAX]; /* absolute directories, owned */
	size_t n[PATH_KINDS];
	bool local_any; /* definitions of this host's own may name any path ("local": "any") */
};

/* What the rules call a kind: the key in <conf>/paths.json. */
const char *path_kind_key(enum path_kind kind);
/* @dir is taken over, also on failure. -EINVAL: not a plain absolute path, or no room. */
int path_rules_add(struct path_rules *p, enum path_kind kind, char *dir) _must_check_;
void path_rules_done(struct path_rules *p);

/*
 * Open @path with @flags (of open(2); O_CREAT for PATH_OUTPUT and PATH_IMAGE only, with mode 0600; O_NOFOLLOW: the last part is
 * no link). It never waits for the other end of a
 * FIFO, and has no side effect on what it refuses. @p NULL: any path, but the kind is checked all the same.
 * -EACCES: not below an allowed directory, or a link leads out of it; -EINVAL: another kind of file; else open(2)'s. @what begins the text.
 */
int path_open(const struct path_rules *p, enum path_kind kind, const char *path, int flags, const char *what,
              struct err *err) _must_check_;

/* Would path_open() take it, as far as it exists? Opens places only (O_PATH): no device, no FIFO and no file notices. */
int path_check(const struct path_rules *p, enum path_kind kind, const char *path, const char *what,
               struct err *err) _must_check_;

#endif
