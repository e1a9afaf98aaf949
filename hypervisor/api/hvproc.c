/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See hvproc.h. */
#include "config.h"
#include "hypervisor/api/hvproc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/procs.h"
#include "common/util.h"
#include "hypervisor/api/dompath.h"
#include "hypervisor/api/rundir.h"

int hvproc_connect(const char *name, int flags)
{
	_cleanup_free_ char *path = name_is_valid(name) ? dompath_sock(name) : NULL;

	return path ? rundir_connect(path, flags) : -EINVAL;
}

/* The evidence where nothing is on record. */
static bool lock_held(const char *name)
{
	_cleanup_free_ char *path = dompath_lock(name);
	_cleanup_close_ int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	struct flock fl = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (fd < 0)
		return errno != ENOENT; /* what cannot be looked at is taken for alive */
	return fcntl(fd, F_OFD_GETLK, &fl) < 0 || fl.l_type != F_UNLCK;
}

/* Does @pid hold the open file of that device and inode? */
static bool holds(pid_t pid, const struct stat *lock)
{
	char dir[64];
	bool found = false;
	DIR *d;

	snprintf(dir, sizeof(dir), "/proc/%d/fd", (int)pid);
	d = opendir(dir);
	if (!d)
		return false;
	for (struct dirent *e; !found && (e = readdir(d));) {
		struct stat st;

		if (fstatat(dirfd(d), e->d_name, &st, 0) == 0)
			found = st.st_dev == lock->st_dev && st.st_ino == lock->st_ino;
	}
	closedir(d);
	return found;
}

/* Who listens on its socket; 0 when that does not tell. */
static pid_t pid_of_socket(const char *name)
{
	_cleanup_close_ int fd = hvproc_connect(name, SOCK_NONBLOCK);
	struct ucred peer = { 0 };
	socklen_t len = sizeof(peer);

	return fd < 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 ? 0 : peer.pid;
}

/* It hangs, or has no socket yet: whoever has its lock file open. */
static pid_t pid_of_lock(const struct stat *lock)
{
	DIR *d = opendir("/proc");
	pid_t pid = 0;

	if (!d)
		return 0;
	for (struct dirent *e; !pid && (e = readdir(d));) {
		char *end;
		long n = strtol(e->d_name, &end, 10);

		if (!*end && n > 1 && n <= INT_MAX && holds((pid_t)n, lock))
			pid = (pid_t)n;
	}
	closedir(d);
	return pid;
}

static int lock_stat(const char *name, struct stat *ret)
{
	_cleanup_free_ char *path = dompath_lock(name);

	return stat(path, ret) < 0 ? -errno : 0;
}

/* Whoever holds the lock; 0: nobody, or it cannot be told. *@ret_lock: which file that is. */
static pid_t pid_by_lock(const char *name, struct stat *ret_lock)
{
	if (!lock_held(name) || lock_stat(name, ret_lock) < 0)
		return 0;
	pid_t pid = pid_of_socket(name);
	return pid > 1 && holds(pid, ret_lock) ? pid : pid_of_lock(ret_lock);
}

static int kill_by_lock(const char *name)
{
	struct stat lock;

	for (unsigned i = 0; i < 3; i++) {
		pid_t pid = pid_by_lock(name, &lock);
		_cleanup_close_ int fd = pid ? pidfd_open(pid, 0) : -1;

		/* the number may have passed to another process before the pidfd was ours */
		if (fd >= 0 && holds(pid, &lock))
			return pidfd_send_signal(fd, SIGKILL, NULL, 0) == 0 || errno == ESRCH ? 0 : -errno;
	}
	return lock_held(name) ? -ESRCH : 0;
}

bool hvproc_alive(const char *name)
{
	struct procs p;
	int r = procs_read(name, &p);

	if (r == 0)
		return procs_live(&p);
	return r == -ENOENT ? lock_held(name) : true;
}

pid_t hvproc_pid(const char *name)
{
	struct stat lock;
	struct procs p;
	int r = procs_read(name, &p);

	if (r == 0)
		return procs_live(&p) ? p.pid : 0;
	return r == -ENOENT ? pid_by_lock(name, &lock) : 0;
}

int hvproc_kill(const char *name)
{
	struct procs p;
	int r = procs_read(name, &p);

	if (r == 0)
		return procs_kill(&p);
	return r == -ENOENT ? kill_by_lock(name) : r;
}
