/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The record of a domain's processes: see procs.h. */
#include "config.h"
#include "common/procs.h"
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/util.h"

/* Record ---------------------------------------------------------------------------------------------------------------- */

static int start_of(pid_t pid, uint64_t *ret)
{
	_cleanup_free_ char *text = NULL;
	char path[64], *at;
	int r;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	r = file_read(path, 4096, &text, NULL);
	if (r < 0)
		return r;
	at = strrchr(text, ')'); /* the name before it may contain anything */
	for (unsigned i = 0; at && i < 20; i++)
		at = strchr(at + 1, ' ');
	return at && sscanf(at, " %" SCNu64, ret) == 1 ? 0 : -EBADMSG;
}

int procs_self(struct procs *ret)
{
	*ret = (struct procs){ .pid = getpid() };
	return start_of(ret->pid, &ret->start);
}

int procs_write(const char *name, const struct procs *p, struct err *err)
{
	_cleanup_free_ char *dir = xasprintf("%s/procs", path_run()), *path = xasprintf("%s/%s", dir, name);
	_cleanup_free_ char *text = xasprintf("pid %d %" PRIu64 "\nuid %u\n", (int)p->pid, p->start, (unsigned)p->uid);
	_cleanup_free_ char *more = p->group[0] ? xasprintf("%sgroup %" PRIu64 " %s\n", text, p->group_ino, p->group)
	                                        : NULL;
	const char *all = more ? more : text;
	int r = mkdir_p(dir, 0700);

	if (r == 0)
		r = file_write_atomic(path, all, strlen(all), 0600);
	return r < 0 ? err_sys(err, r, "write %s", path) : 0;
}

int procs_read(const char *name, struct procs *ret)
{
	_cleanup_free_ char *path = xasprintf("%s/procs/%s", path_run(), name), *text = NULL;
	unsigned uid;
	int pid, n = 0, r = file_read(path, 4096, &text, NULL);
	struct procs p = { 0 };

	if (r < 0)
		return r;
	if (sscanf(text, "pid %d %" SCNu64 "\nuid %u\n%n", &pid, &p.start, &uid, &n) != 3 || !n || pid <= 0)
		return -EBADMSG;
	p.pid = pid;
	p.uid = uid;
	if (text[n] && sscanf(text + n, "group %" SCNu64 " %511[^\n]", &p.group_ino, p.group) != 2)
		return -EBADMSG;
	*ret = p;
	return 0;
}

/* One process -------------------------------------------------------------------------------------------------------- */

/* Has the last thread ended? A zombie whose other threads run on has not. */
static bool pidfd_over(int pidfd)
{
	struct pollfd f = { .fd = pidfd, .events = POLLIN };

	return poll(&f, 1, 0) == 1;
}

/*
 * A pidfd of @pid, if that is the process that @is says; the number may pass to another one before the pidfd is ours. -ESRCH: it is not, or
 * it is gone; another -errno: cannot tell.
 */
static int open_if(pid_t pid, int (*is)(const struct procs *p, pid_t pid), const struct procs *p)
{
	_cleanup_close_ int fd = pidfd_open(pid, 0);

	if (fd < 0)
		return errno == EINVAL ? -ESRCH : -errno; /* EINVAL: a thread's number */
	int r = is(p, pid);
	/* what lives and has no files in /proc is hidden from us */
	if (r == 0 || pidfd_over(fd))
		return -ESRCH;
	return r < 0 ? -EACCES : steal_fd(&fd);
}

/* 1, 0, or -errno: it went, or cannot be looked at. */
static int is_main(const struct procs *p, pid_t pid)
{
	uint64_t start;
	int r = start_of(pid, &start);

	return r < 0 ? r : start == p->start;
}

static int is_of_user(const struct procs *p, pid_t pid)
{
	_cleanup_free_ char *text = NULL;
	char path[64], *at;
	unsigned uid;
	int r;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	r = file_read(path, 16384, &text, NULL);
	if (r < 0)
		return r;
	at = strstr(text, "\nUid:");
	return at && sscanf(at, "\nUid: %u", &uid) == 1 && uid == p->uid;
}

/* As /proc names the group: by the end of its path, since a control group namespace may hide the beginning. */
static int is_in_group(const struct procs *p, pid_t pid)
{
	_cleanup_free_ char *text = NULL;
	const char *base = strrchr(p->group, '/');
	char path[64];
	size_t len;
	int r;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
	r = base ? file_read(path, 65536, &text, NULL) : -EINVAL;
	if (r < 0)
		return r;
	len = strlen(base);
	for (char *at = text; (at = strstr(at, base)); at += len)
		if (at[len] == '\n' || at[len] == '/')
			return 1;
	return 0;
}

/* All of them ---------------------------------------------------------------------------------------------------------- */

/* Counts those that live; @kill: sends it SIGKILL too. -errno: something could not be looked at. */
static int visit(const struct procs *p, pid_t pid, int (*is)(const struct procs *p, pid_t pid), bool kill)
{
	_cleanup_close_ int fd = open_if(pid, is, p);

	if (fd < 0)
		return fd == -ESRCH ? 0 : fd;
	if (kill && pidfd_send_signal(fd, SIGKILL, NULL, 0) < 0 && errno != ESRCH)
		return -errno;
	return 1;
}

static bool add(int *sum, int r)
{
	if (r > 0)
		*sum = *sum < 0 ? *sum : *sum + r;
	else if (r < 0)
		*sum = r;
	return *sum != 0;
}

/* The members of the group at @dir, not of those below it. Not @kill: one is enough. */
static int visit_members(const struct procs *p, int dir, bool kill)
{
	int fd = openat(dir, "cgroup.procs", O_RDONLY | O_CLOEXEC), n = 0, pid;
	FILE *f = fd < 0 ? NULL : fdopen(fd, "r");

	if (!f) {
		int e = -errno;

		if (fd >= 0)
			close(fd);
		return fd < 0 && (e == -ENOENT || e == -ENODEV) ? 0 : e; /* it went */
	}
	while (fscanf(f, "%d", &pid) == 1)
		/* 0: a process of another pid namespace, which is none of ours to judge, let alone to kill */
		if (pid > 0 && add(&n, visit(p, pid, is_in_group, kill)) && !kill)
			break;
	fclose(f);
	return n;
}

static int visit_tree(const struct procs *p, int dir, bool kill)
{
	int n = 0, copy = fcntl(dir, F_DUPFD_CLOEXEC, 0);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);

	if (!d)
		return -errno;
	(void)add(&n, visit_members(p, dir, kill));
	for (struct dirent *e; (!n || kill) && (e = readdir(d));) {
		if (e->d_type != DT_DIR || e->d_name[0] == '.')
			continue;
		_cleanup_close_ int sub = openat(dir, e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (sub >= 0 || errno != ENOENT)
			(void)add(&n, sub >= 0 ? visit_members(p, sub, kill) : -errno);
	}
	closedir(d);
	return n;
}

/* The group, if it is still the one of the record; -ENOENT: it is gone, and only an empty one can go. */
static int open_group(const struct procs *p)
{
	_cleanup_close_ int dir = open(p->group, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;

	if (dir < 0)
		return -errno;
	if (fstat(dir, &st) < 0)
		return -errno;
	return (uint64_t)st.st_ino == p->group_ino ? steal_fd(&dir) : -ENOENT;
}

static int put(int dir, const char *file, const char *text)
{
	_cleanup_close_ int fd = openat(dir, file, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -errno;
}

static int visit_group(const struct procs *p, bool kill)
{
	_cleanup_close_ int dir = open_group(p);
	char text[256] = "";

	if (dir < 0)
		return dir == -ENOENT ? 0 : dir;
	/* version 2 knows all of it at once */
	_cleanup_close_ int ev = openat(dir, "cgroup.events", O_RDONLY | O_CLOEXEC);
	if (ev >= 0 && read(ev, text, sizeof(text) - 1) > 0 && strstr(text, "populated 0"))
		return 0;
	if (kill && put(dir, "cgroup.kill", "1") == 0)
		return 1;
	if (kill) /* else it might fork faster than it is killed */
		(void)put(dir, "pids.max", "0");
	if (ev >= 0 && !kill)
		return 1;
	return visit_tree(p, dir, kill);
}

/* Without control groups: nobody else has this user's id, and no process gets rid of it. */
static int visit_user(const struct procs *p, bool kill)
{
	DIR *d = opendir("/proc");
	int n = 0;

	if (!d)
		return -errno;
	for (struct dirent *e; (!n || kill) && (e = readdir(d));) {
		char *end;
		long pid = strtol(e->d_name, &end, 10);

		if (!*end && pid > 1 && pid <= INT_MAX && is_of_user(p, (pid_t)pid) > 0)
			(void)add(&n, visit(p, (pid_t)pid, is_of_user, kill));
	}
	closedir(d);
	return n;
}

static int visit_all(const struct procs *p, bool kill)
{
	int n = visit(p, p->pid, is_main, kill);

	if (n && !kill)
		return n;
	if (p->group[0])
		(void)add(&n, visit_group(p, kill));
	else if (p->uid)
		(void)add(&n, visit_user(p, kill));
	return n;
}

bool procs_live(const struct procs *p)
{
	return visit_all(p, false) != 0;
}

int procs_kill(const struct procs *p)
{
	int n = visit_all(p, true);

	return n < 0 ? n : 0;
}
