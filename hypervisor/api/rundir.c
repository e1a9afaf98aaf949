/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See rundir.h. */
#include "config.h"
#include "hypervisor/api/rundir.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>
#include "common/util.h"
#include "hypervisor/api/dompath.h"

#define ENDED      "ended\n"
#define WAIT_TIMES 500 /* of 10 ms, for one that is ending */
#define CONNECT_S  10  /* a hung hvdom with a full backlog must not hang us */

static int open_in(int dir, const char *name, int flags, mode_t mode)
{
	struct open_how how = { .flags = (uint64_t)(flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK),
		                .mode = flags & O_CREAT ? mode : 0,
		                .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS };
	int fd = (int)syscall(SYS_openat2, dir, name, &how, sizeof(how));

	return fd < 0 ? -errno : fd;
}

/* The directory, ours and nobody else's to write in. */
static int open_dir(const char *path, struct err *err)
{
	struct stat st;
	int r = mkdir_p(path, 0711);

	if (r < 0)
		return err_sys(err, -r, "cannot make the directory %s", path);
	_cleanup_close_ int dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0 || fstat(dir, &st) < 0)
		return err_sys(err, errno, "cannot open %s", path);
	if (st.st_uid != geteuid() && fchown(dir, geteuid(), getegid()) < 0)
		return err_sys(err, errno, "cannot take back %s", path);
	if ((st.st_mode & 07777) != 0711 && fchmod(dir, 0711) < 0)
		return err_sys(err, errno, "cannot set the mode of %s", path);
	return steal_fd(&dir);
}

/* A regular file of ours with this one name; what somebody else has left in its place goes. */
static int open_lock(int dir, const char *path, struct err *err)
{
	for (int tries = 0; tries < 3; tries++) {
		struct stat st;
		_cleanup_close_ int fd = open_in(dir, DOMPATH_LOCK, O_RDWR | O_CREAT, 0600);
		if (fd < 0 && fd != -ELOOP && fd != -ENXIO && fd != -EISDIR && fd != -EXDEV)
			return err_sys(err, -fd, "cannot open %s/" DOMPATH_LOCK, path);
		if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() && st.st_nlink == 1)
			return steal_fd(&fd);
		if (unlinkat(dir, DOMPATH_LOCK, 0) < 0 &&
		    (errno != EISDIR || unlinkat(dir, DOMPATH_LOCK, AT_REMOVEDIR) < 0))
			return err_sys(err, errno, "%s/" DOMPATH_LOCK " is not Hospes' own file: remove it", path);
	}
	return err_set(err, EBUSY, "%s/" DOMPATH_LOCK " is not Hospes' own file", path);
}

static bool marked(int lock_fd)
{
	char text[sizeof(ENDED)];

	return pread(lock_fd, text, sizeof(text), 0) == (ssize_t)strlen(ENDED) && !memcmp(text, ENDED, strlen(ENDED));
}

int rundir_claim(const char *dir, const char *name, struct err *err)
{
	struct flock fl = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	_cleanup_close_ int at = open_dir(dir, err);

	if (at < 0)
		return at;
	_cleanup_close_ int fd = open_lock(at, dir, err);
	if (fd < 0)
		return fd;
	for (int i = 0; fcntl(fd, F_OFD_SETLK, &fl) < 0; i++) {
		/* without a socket, too: a version of before removed it at its end */
		if (i == WAIT_TIMES || (!marked(fd) && faccessat(at, DOMPATH_SOCK, F_OK, AT_SYMLINK_NOFOLLOW) == 0))
			return err_set(err, EEXIST, "domain '%s' runs on this host already (see vmctl dominfo %s)",
			               name, name);
		usleep(10000);
	}
	if (ftruncate(fd, 0) < 0)
		return err_sys(err, errno, "cannot write %s/" DOMPATH_LOCK, dir);
	return steal_fd(&fd);
}

void rundir_mark_ended(int lock_fd)
{
	/* what fails makes it look like a crash, no more */
	if (pwrite(lock_fd, ENDED, strlen(ENDED), 0) < 0)
		return;
}

bool rundir_ended(const char *dir)
{
	_cleanup_close_ int at = open(dir, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_close_ int fd = at < 0 ? -1 : open_in(at, DOMPATH_LOCK, O_RDONLY, 0);

	return fd >= 0 && marked(fd);
}

int rundir_connect(const char *path, int flags)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct timeval tv = { .tv_sec = CONNECT_S };
	struct stat st;
	/* the thing itself, then a connection to that, so that nobody changes it in between */
	_cleanup_close_ int at = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_close_ int fd = at < 0 ? -1 : socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | flags, 0);

	if (at < 0 || fd < 0 || fstat(at, &st) < 0)
		return -errno;
	if (!S_ISSOCK(st.st_mode))
		return -ENOTSOCK;
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d", at);
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)) < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		const char *slash = strrchr(path, '/');
		if (errno != ECONNREFUSED)
			return -errno;
		_cleanup_free_ char *dir = xasprintf("%.*s", slash ? (int)(slash - path) : 0, path);
		return rundir_ended(dir) ? -ENOENT : -ECONNREFUSED;
	}
	return steal_fd(&fd);
}
