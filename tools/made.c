/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Directories that are made whole or not at all, see made.h. */
#include "config.h"
#include "tools/made.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/util.h"

#define MARK     ".making"
#define NOTE_MAX 64u
#define TRIES    100 /* another program may remove what we look at, a few times */

static char *mark_of(const char *dir)
{
	return xasprintf("%s/" MARK, dir);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	size_t len = strlen(path), mark = strlen("/" MARK);

	(void)st;
	/* the mark of the directory itself is the last, so that an interrupted removal shows */
	if (at->level == 1 && len > mark && !strcmp(path + len - mark, "/" MARK))
		return 0;
	if (at->level == 0) {
		_cleanup_free_ char *m = mark_of(path);
		unlink(m);
	}
	if (kind == FTW_DP)
		rmdir(path);
	else
		unlink(path);
	return 0;
}

/* Nothing is followed out of it, neither links nor mounts. */
static void remove_tree(const char *dir)
{
	(void)!nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

static bool same_file(int fd, const char *path)
{
	struct stat a, b;

	return !fstat(fd, &a) && !lstat(path, &b) && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* Lock the mark of a directory that nobody makes any more. -ENOENT: it has none, or there is no such directory; -EBUSY. */
static int lock_mark(const char *dir, int flags)
{
	_cleanup_free_ char *mark = mark_of(dir);
	_cleanup_close_ int fd = open(mark, O_RDWR | O_NOFOLLOW | flags, 0600);

	if (fd < 0)
		return errno == ENOTDIR ? -ENOENT : -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	/* its maker may have finished, or been cleaned up after, just now */
	return same_file(fd, mark) ? steal_fd(&fd) : -EAGAIN;
}

static int begin_once(const char *dir, const char *note, struct made *ret)
{
	int fd;

	if (mkdir(dir, 0755) < 0) {
		if (errno != EEXIST)
			return -errno;
		fd = lock_mark(dir, 0);
		if (fd == -ENOENT) /* whole; or empty, as one that died at once left it */
			return rmdir(dir) < 0 && errno != ENOENT ? -EEXIST : -EAGAIN;
		if (fd < 0)
			return fd;
		remove_tree(dir);
		close(fd);
		return -EAGAIN;
	}
	fd = lock_mark(dir, O_CREAT);
	if (fd < 0)
		return fd == -ENOENT || fd == -EBUSY ? -EAGAIN : fd;
	int r = write_full(fd, note, strlen(note));
	if (r < 0) {
		remove_tree(dir);
		close(fd);
		return r;
	}
	*ret = (struct made){ .dir = strdup(dir), .lock_fd = fd };
	return 0;
}

int made_begin(const char *parent, const char *name, const char *note, struct made *ret, struct err *err)
{
	_cleanup_free_ char *dir = xasprintf("%s/%s", parent, name);
	int r = mkdir_p(parent, 0755);

	if (r < 0)
		return err_sys(err, r, "make the directory %s", parent);
	r = -EAGAIN;
	for (int i = 0; i < TRIES && r == -EAGAIN; i++)
		r = begin_once(dir, note, ret);
	if (!r && !ret->dir) {
		close(ret->lock_fd);
		r = -ENOMEM;
	}
	if (r == -EEXIST)
		return err_set(err, EEXIST, "%s is there already", dir);
	if (r == -EBUSY || r == -EAGAIN)
		return err_set(err, EBUSY, "another program is making %s just now", dir);
	return r < 0 ? err_sys(err, r, "make the directory %s", dir) : 0;
}

int made_finish(struct made *m, struct err *err)
{
	_cleanup_free_ char *mark = mark_of(m->dir);
	_cleanup_close_ int fd = open(m->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	/* names first, then the mark: a cut leaves one that is not whole */
	if (fd < 0 || fsync(fd) < 0 || unlink(mark) < 0 || fsync(fd) < 0)
		return err_sys(err, errno, "write %s", m->dir);
	close(m->lock_fd);
	free(m->dir);
	m->dir = NULL;
	return 0;
}

void made_undo(struct made *m)
{
	if (!m->dir)
		return;
	remove_tree(m->dir);
	close(m->lock_fd);
	free(m->dir);
	m->dir = NULL;
}

static void sweep_one(const char *parent, const char *name,
                      enum made_fate (*fate)(void *arg, const char *name, const char *note), void *arg)
{
	_cleanup_free_ char *dir = xasprintf("%s/%s", parent, name), *mark = mark_of(dir);
	_cleanup_close_ int fd = lock_mark(dir, 0);
	char note[NOTE_MAX] = "";

	if (fd < 0)
		return;
	if (pread(fd, note, sizeof(note) - 1, 0) < 0)
		return;
	switch (fate ? fate(arg, name, note) : MADE_REMOVE) {
	case MADE_REMOVE:
		remove_tree(dir);
		break;
	case MADE_WHOLE:
		unlink(mark);
		break;
	case MADE_LEAVE:
		break;
	}
}

void made_sweep(const char *parent, enum made_fate (*fate)(void *arg, const char *name, const char *note), void *arg)
{
	DIR *d = opendir(parent);
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (name_is_valid(e->d_name))
			sweep_one(parent, e->d_name, fate, arg);
	if (d)
		closedir(d);
}

bool made_is_whole(const char *parent, const char *name)
{
	_cleanup_free_ char *dir = xasprintf("%s/%s", parent, name), *mark = mark_of(dir);
	struct stat st;

	return !lstat(dir, &st) && S_ISDIR(st.st_mode) && faccessat(AT_FDCWD, mark, F_OK, AT_SYMLINK_NOFOLLOW) < 0;
}

int made_use(const char *parent, const char *name, struct err *err)
{
	_cleanup_free_ char *dir = xasprintf("%s/%s", parent, name);
	_cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return err_sys(err, errno, "open %s", dir);
	if (flock(fd, LOCK_SH | LOCK_NB) < 0 || !same_file(fd, dir) || !made_is_whole(parent, name))
		return err_set(err, EBUSY, "%s is being made or removed just now", dir);
	return steal_fd(&fd);
}

int made_remove(const char *parent, const char *name, struct err *err)
{
	_cleanup_free_ char *dir = xasprintf("%s/%s", parent, name);
	_cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return err_sys(err, errno, "open %s", dir);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0 || !same_file(fd, dir))
		return err_set(err, EBUSY, "%s is in use just now", dir);
	_cleanup_close_ int mark = lock_mark(dir, O_CREAT | O_CLOEXEC);
	if (mark < 0)
		return err_sys(err, mark, "remove %s", dir);
	remove_tree(dir);
	return access(dir, F_OK) < 0 ? 0 : err_set(err, EIO, "remove %s: some of it is left", dir);
}
