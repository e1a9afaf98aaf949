/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Opens files that others name. A domain's definition can come from a peer, a save file or another member of the
 * cluster, and root opens the paths in it. A path is opened only below an allowed directory, through no symbolic link
 * that leads out of it, and only if the file is of the expected kind. hypervisor/api/pathconf.h reads the allowed
 * directories.
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
	PATH_OUTPUT, /* a regular file with a single hard link, to which the guest's output is appended */
	PATH_SOCKET, /* a Unix socket, which is made */
	PATH_KINDS
};

#define PATH_ROOTS_MAX 32u

struct path_rules {
	char *root[PATH_KINDS][PATH_ROOTS_MAX]; /* absolute directories, owned */
	size_t n[PATH_KINDS];
	bool local_any; /* this host's own definitions may name any path ("local": "any") */
};

/* The key of a kind in <conf>/paths.json. */
const char *path_kind_key(enum path_kind kind);
/* Takes ownership of @dir, also on failure. -EINVAL: not a plain absolute path, or no room. */
int path_rules_add(struct path_rules *p, enum path_kind kind, char *dir) _must_check_;
void path_rules_done(struct path_rules *p);

/*
 * Open @path with @flags of open(2). O_CREAT is for PATH_OUTPUT and PATH_IMAGE only, and creates with mode 0600;
 * O_NOFOLLOW: the last part may be no symbolic link. The call never waits for the other end of a FIFO, and has no side
 * effect on a file that it refuses. @p NULL: any path is allowed, but the kind is still checked. @what begins the text.
 * -EACCES: not below an allowed directory, or a link leads out of it; -EINVAL: another kind of file; else as open(2).
 */
int path_open(const struct path_rules *p, enum path_kind kind, const char *path, int flags, const char *what,
              struct err *err) _must_check_;

/* A descriptor (O_PATH) of the folder that @path is in, under the same rules. Errors as path_open(). */
int path_folder(const struct path_rules *p, enum path_kind kind, const char *path, const char *what,
                struct err *err) _must_check_;

/* Whether path_open() would open @path, as far as it exists. Uses O_PATH only: no device, FIFO or file is touched. */
int path_check(const struct path_rules *p, enum path_kind kind, const char *path, const char *what,
               struct err *err) _must_check_;

#endif
