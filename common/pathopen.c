/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See pathopen.h. Source of the rules for links: openat2(2), RESOLVE_BENEATH. */
#include "config.h"
#include "common/pathopen.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "common/util.h"

static const char *const key[PATH_KINDS] = { "images", "devices", "kernels", "outputs", "sockets" };
static const char *const kind_name[PATH_KINDS] = { "regular file", "block device", "regular file",
	                                           "regular file with one name", "socket" };

const char *path_kind_key(enum path_kind kind)
{
	return key[kind];
}

/* Absolute, without empty, "." and ".." parts: what it says is where it leads, links apart. */
static bool is_plain(const char *path)
{
	if (*path != '/' || !path[1])
		return false;
	for (const char *s = path; *s; s += strcspn(s, "/")) {
		size_t n = strcspn(++s, "/");

		if (!n || (n == 1 && *s == '.') || (n == 2 && !strncmp(s, "..", 2)))
			return false;
	}
	return true;
}

int path_rules_add(struct path_rules *p, enum path_kind kind, char *dir)
{
	if (!is_plain(dir) || p->n[kind] == PATH_ROOTS_MAX) {
		free(dir);
		return -EINVAL;
	}
	p->root[kind][p->n[kind]++] = dir;
	return 0;
}

void path_rules_done(struct path_rules *p)
{
	for (size_t k = 0; k < PATH_KINDS; k++)
		for (size_t i = 0; i < p->n[k]; i++)
			free(p->root[k][i]);
	*p = (struct path_rules){ 0 };
}

/* Opening -------------------------------------------------------------------------------------------------------------- */

/* The root that @path is below, NULL: none. Kernels may lie among images, too. */
static const char *root_of(const struct path_rules *p, enum path_kind kind, const char *path)
{
	for (size_t i = 0; i < p->n[kind]; i++) {
		const char *root = p->root[kind][i];
		size_t n = strlen(root);

		/* names in /dev are links that root's udev made, mostly to a place beside the root */
		if (!strncmp(path, root, n) && path[n] == '/')
			return kind == PATH_DEVICE && !strncmp(root, "/dev/", 5) ? "/dev" : root;
	}
	return kind == PATH_KERNEL ? root_of(p, PATH_IMAGE, path) : NULL;
}

static void list_roots(const struct path_rules *p, enum path_kind kind, char *out, size_t size)
{
	size_t at = 0;

	*out = 0;
	for (size_t i = 0; i < p->n[kind] && at < size; i++)
		at += (size_t)snprintf(out + at, size - at, "%s%s", i ? ", " : "", p->root[kind][i]);
}

static int refuse(const struct path_rules *p, enum path_kind kind, const char *path, const char *what, struct err *err)
{
	char roots[160];

	if (!is_plain(path))
		return err_set(err, EACCES, "%s: %s is not a plain absolute path", what, path);
	list_roots(p, kind, roots, sizeof(roots));
	return err_set(err, EACCES,
	               "%s: %s is not below an allowed directory (%s): move it, or add its directory to \"%s\" in "
	               "%s/paths.json",
	               what, path, roots, key[kind], path_conf());
}

static int open_beneath(int dir, const char *name, int flags)
{
	struct open_how how = { .flags = (uint64_t)(unsigned)flags,
		                .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS };
	int fd = (int)syscall(SYS_openat2, dir, name, &how, sizeof(how));

	return fd < 0 ? -errno : fd;
}

/* A descriptor of the place itself (O_PATH), or of its folder when @folder. -errno; -EXDEV: a link leads out. */
static int open_place(const struct path_rules *p, enum path_kind kind, const char *path, bool folder, int nofollow)
{
	const char *root = p && is_plain(path) ? root_of(p, kind, path) : NULL;
	int flags = O_PATH | O_CLOEXEC | (folder ? O_DIRECTORY : nofollow);
	_cleanup_free_ char *rest = NULL;
	char *slash;

	if ((p && !root) || !strchr(path, '/'))
		return -EACCES;
	rest = xasprintf("%s", root ? path + strlen(root) + 1 : path);
	slash = folder ? strrchr(rest, '/') : NULL;
	if (slash)
		*slash = 0;
	if (!root) {
		int fd = open(*rest ? rest : "/", flags);

		return fd < 0 ? -errno : fd;
	}
	_cleanup_close_ int dir = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	return open_beneath(dir, folder && !slash ? "." : rest, flags);
}

static bool fits(enum path_kind kind, const struct stat *st)
{
	if (kind == PATH_DEVICE)
		return S_ISBLK(st->st_mode);
	return S_ISREG(st->st_mode) && (kind != PATH_OUTPUT || st->st_nlink == 1);
}

/* What was looked at is what is opened: the descriptor names it, not the path. */
static int reopen(int place, int flags)
{
	char self[32];
	int fd;

	snprintf(self, sizeof(self), "/proc/self/fd/%d", place);
	fd = open(self, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	return fd < 0 ? -errno : fd;
}

/* A device that this machine itself uses (mounted, swap, part of a volume) is no guest's disk. */
static bool in_use_here(int place)
{
	int fd = reopen(place, O_RDONLY | O_EXCL);

	if (fd >= 0)
		close(fd);
	return fd == -EBUSY;
}

static int create(const struct path_rules *p, enum path_kind kind, const char *path, int flags)
{
	_cleanup_close_ int folder = open_place(p, kind, path, true, 0);
	int fd;

	if (folder < 0)
		return folder;
	fd = openat(folder, strrchr(path, '/') + 1, flags | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
	            0600);
	return fd < 0 ? -errno : fd;
}

static int explain(const struct path_rules *p, enum path_kind kind, const char *path, int r, const char *what,
                   struct err *err)
{
	if (r == -EACCES && p && (!is_plain(path) || !root_of(p, kind, path)))
		return refuse(p, kind, path, what, err);
	if (p && (r == -EXDEV || r == -ELOOP))
		return err_set(err, EACCES,
		               "%s: a link in %s leads out of the allowed directory: name the place itself, and allow "
		               "its directory in \"%s\" of %s/paths.json",
		               what, path, key[kind], path_conf());
	return err_sys(err, -r, "%s: cannot open %s", what, path);
}

int path_open(const struct path_rules *p, enum path_kind kind, const char *path, int flags, const char *what,
              struct err *err)
{
	struct stat st;

	for (unsigned try = 0; try < 3; try++) {
		_cleanup_close_ int place = open_place(p, kind, path, false, flags & O_NOFOLLOW);
		int fd;

		if (place == -ENOENT && (flags & O_CREAT)) {
			fd = create(p, kind, path, flags);
			if (fd == -EEXIST) /* somebody else made it just now */
				continue;
			return fd < 0 ? explain(p, kind, path, fd, what, err) : fd;
		}
		if (place < 0)
			return explain(p, kind, path, place, what, err);
		if (fstat(place, &st) < 0)
			return explain(p, kind, path, -errno, what, err);
		if (S_ISLNK(st.st_mode))
			return explain(p, kind, path, -ELOOP, what, err);
		if (!fits(kind, &st))
			return err_set(err, EINVAL, "%s: %s is not a %s", what, path, kind_name[kind]);
		if (p && kind == PATH_DEVICE && in_use_here(place))
			return err_set(err, EBUSY,
			               "%s: %s is in use by this machine itself (mounted, swap, part of a volume)",
			               what, path);
		fd = reopen(place, flags & ~(O_CREAT | O_NOFOLLOW));
		return fd < 0 ? explain(p, kind, path, fd, what, err) : fd;
	}
	return err_set(err, EAGAIN, "%s: %s comes and goes", what, path);
}

int path_folder(const struct path_rules *p, enum path_kind kind, const char *path, const char *what, struct err *err)
{
	int fd = open_place(p, kind, path, true, 0);

	return fd < 0 ? explain(p, kind, path, fd, what, err) : fd;
}

/* Is it made where it is not, so that its folder counts? */
static bool is_made(enum path_kind kind)
{
	return kind == PATH_OUTPUT || kind == PATH_SOCKET;
}

int path_check(const struct path_rules *p, enum path_kind kind, const char *path, const char *what, struct err *err)
{
	struct stat st;
	int place;

	if (!path)
		return 0;
	place = open_place(p, kind, path, is_made(kind), 0);
	if (place == -ENOENT) /* whoever opens it says so */
		return 0;
	if (place < 0)
		return explain(p, kind, path, place, what, err);
	int r = fstat(place, &st) < 0 ? -errno : 0;
	close(place);
	if (r == 0 && !is_made(kind) && !fits(kind, &st))
		return err_set(err, EINVAL, "%s: %s is not a %s", what, path, kind_name[kind]);
	return r < 0 ? explain(p, kind, path, r, what, err) : 0;
}
