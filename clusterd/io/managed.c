/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Markers of the cluster's domains, and their certain end: see managed.h. */
#include <config.h>
#include "clusterd/io/managed.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include "common/util.h"

static char *marker_dir(void)
{
	return xasprintf("%s/cluster/managed", path_run());
}

int managed_add(const char *name, const char *uuid, struct err *err)
{
	_cleanup_free_ char *dir = marker_dir(), *path = xasprintf("%s/%s", dir, name);
	char text[MANAGED_UUID + 1], have[MANAGED_UUID];
	int r;

	if (managed_uuid(name, have) == 0 && !strcmp(have, uuid))
		return 0;
	r = mkdir_p(dir, 0700);
	(void)snprintf(text, sizeof(text), "%s\n", uuid);
	if (r == 0)
		r = file_write_atomic(path, text, strlen(text), 0600);
	return r < 0 ? err_sys(err, r, "write %s", path) : 0;
}

void managed_remove(const char *name)
{
	_cleanup_free_ char *dir = marker_dir(), *path = xasprintf("%s/%s", dir, name);

	(void)unlink(path);
}

int managed_uuid(const char *name, char ret[MANAGED_UUID])
{
	_cleanup_free_ char *dir = marker_dir(), *path = xasprintf("%s/%s", dir, name), *text = NULL;
	size_t len;
	int r = file_read(path, 128, &text, &len);

	if (r < 0)
		return r;
	text[strcspn(text, "\n")] = 0;
	(void)snprintf(ret, MANAGED_UUID, "%s", text);
	return 0;
}

bool managed_may_run(const char *name)
{
	_cleanup_free_ char *path = xasprintf("%s/cluster/guard.deadline", path_run()), *text = NULL, *boot = NULL;
	char uuid[MANAGED_UUID], id[40] = "";
	unsigned long long deadline_ns = 0;

	if (managed_uuid(name, uuid) == -ENOENT)
		return true;
	if (file_read(path, 128, &text, NULL) < 0 || file_read("/proc/sys/kernel/random/boot_id", 64, &boot, NULL) < 0)
		return false;
	boot[strcspn(boot, "\n")] = 0;
	return sscanf(text, "%llu %39s", &deadline_ns, id) == 2 && !strcmp(id, boot) && boot_ns() < deadline_ns;
}

int managed_each(void (*fn)(void *arg, const char *name, const char *uuid), void *arg)
{
	_cleanup_free_ char *dir = marker_dir();
	DIR *d = opendir(dir);
	int n = 0;

	if (!d)
		return errno == ENOENT ? 0 : -errno;
	for (struct dirent *e; (e = readdir(d));) {
		char uuid[MANAGED_UUID] = "";

		/* a file that is just being written has a suffix, which no name has: mkostemp's letters are legal, so look inside */
		if (!name_is_valid(e->d_name) || managed_uuid(e->d_name, uuid) < 0 || strlen(uuid) != MANAGED_UUID - 1)
			continue;
		fn(arg, e->d_name, uuid);
		n++;
	}
	closedir(d);
	return n;
}

bool managed_listed(const char *name, const char *uuid)
{
	_cleanup_free_ char *path = xasprintf("%s/cluster/domains", path_run()), *text = NULL;
	char *at, *line;

	if (file_read(path, 4u << 20, &text, NULL) < 0)
		return false;
	at = text;
	while ((line = strsep(&at, "\n"))) {
		char *space = strchr(line, ' ');

		if (!space)
			continue;
		*space = 0;
		if (uuid ? !strcasecmp(line, uuid) : !strcmp(space + 1, name))
			return true;
	}
	return false;
}

bool managed_alive(const char *name)
{
	_cleanup_free_ char *path = xasprintf("%s/dom/%s/lock", path_run(), name);
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

	(void)snprintf(dir, sizeof(dir), "/proc/%d/fd", (int)pid);
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
	_cleanup_free_ char *path = xasprintf("%s/dom/%s/hv.sock", path_run(), name);
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct ucred peer = { 0 };
	socklen_t len = sizeof(peer);
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || strlen(path) >= sizeof(a.sun_path))
		return 0;
	strcpy(a.sun_path, path);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return 0;
	return peer.pid;
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
	_cleanup_free_ char *path = xasprintf("%s/dom/%s/lock", path_run(), name);

	return stat(path, ret) < 0 ? -errno : 0;
}

pid_t managed_pid(const char *name)
{
	struct stat lock;
	pid_t pid;

	if (lock_stat(name, &lock) < 0)
		return 0;
	pid = pid_of_socket(name);
	return pid > 1 && holds(pid, &lock) ? pid : pid_of_lock(&lock);
}

int managed_kill(const char *name)
{
	struct stat lock;

	for (unsigned i = 0; i < 3; i++) {
		pid_t pid;

		if (!managed_alive(name) || lock_stat(name, &lock) < 0)
			return 0;
		pid = managed_pid(name);
		if (!pid)
			continue;
		_cleanup_close_ int fd = pidfd_open(pid, 0);
		/* the number may have passed to another process before the pidfd was ours */
		if (fd < 0 || !holds(pid, &lock))
			continue;
		if (pidfd_send_signal(fd, SIGKILL, NULL, 0) == 0 || errno == ESRCH)
			return 0;
		return -errno;
	}
	return managed_alive(name) ? -ESRCH : 0;
}

struct sweep {
	int alive;
	bool (*spare)(void *arg, const char *name);
	void *spare_arg;
	void (*told)(void *arg, const char *name);
	void *arg;
};

static void kill_one(void *arg, const char *name, const char *uuid)
{
	struct sweep *s = arg;

	(void)uuid;
	if (!managed_alive(name) || (s->spare && s->spare(s->spare_arg, name)))
		return;
	if (s->told)
		s->told(s->arg, name);
	s->alive++;
	(void)!managed_kill(name);
}

int managed_kill_all(bool (*spare)(void *arg, const char *name), void *spare_arg,
                     void (*told)(void *arg, const char *name), void *arg)
{
	struct sweep s = { .spare = spare, .spare_arg = spare_arg, .told = told, .arg = arg };
	int n = managed_each(kill_one, &s);

	return n < 0 ? n : s.alive;
}
