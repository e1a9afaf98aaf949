/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See cgroup.h. Two hosts of a lab share one kernel, so a name may be taken: a group belongs to whoever holds the flock on its
 * directory, and NAME.1, NAME.2... are tried next. A group that nobody holds is left over from a crash and is taken over.
 * Main thread, before privileges are dropped; cgroup_add() later.
 */
#include "config.h"
#include "hypervisor/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include "common/util.h"

#define TRIES 16

static int put(int dir, const char *file, const char *text)
{
	_cleanup_close_ int fd = openat(dir, file, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return -errno;
	return write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -errno;
}

static int put_number(int dir, const char *file, uint64_t v)
{
	char text[24];

	snprintf(text, sizeof(text), "%lu", (unsigned long)v);
	return put(dir, file, text);
}

static void lack(struct cgroup *c, const char *what, const char *why)
{
	size_t at = strlen(c->why);

	snprintf(c->why + at, sizeof(c->why) - at, "%s%s: %s", at ? ", " : "", what, why);
}

uint64_t cgroup_memory_limit(uint64_t ram_bytes)
{
	return ram_bytes + ram_bytes / 4 + (256ull << 20);
}

/* Hold @path's directory; it may have been removed between opening and locking. */
static int hold(const char *path)
{
	_cleanup_close_ int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	struct stat a, b;

	if (dir < 0)
		return -errno;
	if (flock(dir, LOCK_EX | LOCK_NB) < 0)
		return -EBUSY;
	if (fstat(dir, &a) < 0 || stat(path, &b) < 0 || a.st_ino != b.st_ino)
		return -ENOENT;
	return steal_fd(&dir);
}

/* Remove the groups of domains whose host lost power: no janitor was left, nobody holds them, nothing runs in them. */
static void sweep(const char *parent)
{
	DIR *d = opendir(parent);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		if (e->d_type != DT_DIR || e->d_name[0] == '.')
			continue;
		_cleanup_free_ char *path = xasprintf("%s/%s", parent, e->d_name);
		_cleanup_close_ int dir = hold(path);
		if (dir >= 0)
			(void)rmdir(path); /* fails while something runs in it */
	}
	if (d)
		closedir(d);
}

/* Make or take over @parent/@name or the next free name beside it, and open what is needed later. */
static int make_one(struct cgroup *c, const char *parent, const char *name)
{
	int e = -EBUSY;

	sweep(parent);
	for (int i = 0; i < TRIES; i++) {
		_cleanup_free_ char *path = i ? xasprintf("%s/%s.%d", parent, name, i)
		                              : xasprintf("%s/%s", parent, name);
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			return -errno;
		_cleanup_close_ int dir = hold(path);
		if (dir < 0) {
			e = dir;
			continue;
		}
		int procs = openat(dir, "cgroup.procs", O_WRONLY | O_CLOEXEC);
		if (procs < 0) {
			e = -errno;
			rmdir(path);
			return e;
		}
		c->path[c->n] = steal_ptr(&path);
		c->dir[c->n] = steal_fd(&dir);
		c->procs[c->n++] = procs;
		return c->dir[c->n - 1];
	}
	return e;
}

/* v2: controllers are given to children by subtree_control, which a host's manager has often done already. */
static void make_v2(struct cgroup *c, const char *base, const char *name, uint64_t ram_bytes)
{
	static const char *const give[] = { "+cpu", "+memory", "+pids" };
	_cleanup_free_ char *parent = xasprintf("%s/hospes", base);
	_cleanup_close_ int top = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (size_t i = 0; i < ARRAY_SIZE(give); i++)
		(void)put(top, "cgroup.subtree_control", give[i]);
	if (mkdir(parent, 0755) < 0 && errno != EEXIST) {
		lack(c, parent, strerror(errno));
		return;
	}
	_cleanup_close_ int mid = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < ARRAY_SIZE(give); i++)
		(void)put(mid, "cgroup.subtree_control", give[i]);
	int dir = make_one(c, parent, name);
	if (dir < 0) {
		lack(c, parent, strerror(-dir));
		return;
	}
	int r = put_number(dir, "pids.max", CGROUP_PIDS_MAX);
	if (r)
		lack(c, "pids.max", strerror(-r));
	r = put_number(dir, "memory.max", cgroup_memory_limit(ram_bytes));
	if (r)
		lack(c, "memory.max", strerror(-r));
	/* half a guest is no guest: what runs out of memory ends as a whole */
	(void)put(dir, "memory.oom.group", "1");
	r = put_number(dir, "cpu.weight", 100);
	if (r)
		lack(c, "cpu.weight", strerror(-r));
}

/*
 * v1: where this process is in a group of @ctl that is not of an init system's sorting, a container's manager has put it there to
 * limit it; that is not for us to leave.
 */
static bool free_to_leave(const char *ctl)
{
	static const char *const sorted[] = { "/user.slice", "/system.slice", "/machine.slice", "/init.scope" };
	_cleanup_free_ char *text = NULL;
	char *save = NULL;
	size_t len;

	if (file_read("/proc/self/cgroup", 1 << 16, &text, &len))
		return false;
	for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		char *ctls = strchr(l, ':'), *path = ctls ? strchr(ctls + 1, ':') : NULL;
		if (!path)
			continue;
		*path++ = 0;
		bool ours = false;
		char *in = NULL;
		for (char *w = strtok_r(ctls + 1, ",", &in); w; w = strtok_r(NULL, ",", &in))
			ours |= !strcmp(w, ctl);
		if (!ours)
			continue;
		if (!strcmp(path, "/"))
			return true;
		for (size_t i = 0; i < ARRAY_SIZE(sorted); i++)
			if (!strncmp(path, sorted[i], strlen(sorted[i])))
				return true;
		return false;
	}
	return true; /* a hierarchy that does not know us has no limit on us */
}

static void make_v1(struct cgroup *c, const char *base, const char *name, uint64_t ram_bytes)
{
	const struct {
		const char *ctl, *file;
		uint64_t value;
	} want[CGROUP_PLACES_MAX] = {
		{ "pids", "pids.max", CGROUP_PIDS_MAX },
		{ "memory", "memory.limit_in_bytes", cgroup_memory_limit(ram_bytes) },
		{ "cpu", "cpu.shares", 1024 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		_cleanup_free_ char *parent = xasprintf("%s/%s/hospes", base, want[i].ctl);
		if (!free_to_leave(want[i].ctl)) {
			lack(c, want[i].ctl, "a container holds us");
			continue;
		}
		int r = mkdir(parent, 0755) < 0 && errno != EEXIST ? -errno : make_one(c, parent, name);
		if (r >= 0)
			r = put_number(r, want[i].file, want[i].value);
		if (r < 0)
			lack(c, want[i].ctl, strerror(-r));
	}
}

void cgroup_make(struct cgroup *c, const char *base, const char *name, uint64_t ram_bytes)
{
	_cleanup_free_ char *v2 = xasprintf("%s/cgroup.controllers", base), *text = NULL;
	size_t len;

	*c = (struct cgroup){ .janitor = -1 };
	if (access(v2, F_OK) == 0) {
		make_v2(c, base, name, ram_bytes);
		return;
	}
	/* a host in transition may have the controllers in a second hierarchy */
	_cleanup_free_ char *second = xasprintf("%s/unified", base);
	_cleanup_free_ char *ctls = xasprintf("%s/cgroup.controllers", second);
	if (file_read(ctls, 4096, &text, &len) == 0 && strstr(text, "pids") && strstr(text, "memory"))
		make_v2(c, second, name, ram_bytes);
	else
		make_v1(c, base, name, ram_bytes);
}

/* Its only work: wait for the end of the pipe, remove the groups as soon as the last process has left them. */
static __attribute__((noreturn)) void janitor_main(const struct cgroup *c, int fd)
{
	char x;

	prctl(PR_SET_NAME, "hospes-janitor");
	setsid();
	for (int s = 1; s < 65; s++)
		if (s != SIGKILL && s != SIGSTOP && s != SIGCHLD)
			signal(s, SIG_IGN);
	/* nothing of the daemon's may live on here: its locks, above all */
	if (dup2(fd, 0) < 0 || syscall(SYS_close_range, 1, ~0u, 0) < 0)
		_exit(1);
	while (read(0, &x, 1) < 0 && errno == EINTR)
		;
	for (int i = 0; i < 500; i++) {
		size_t left = 0;
		for (size_t k = 0; k < c->n; k++) {
			/* somebody may have taken it over in the meantime: then it is not ours any more */
			int dir = hold(c->path[k]);
			if (dir < 0)
				continue;
			left += rmdir(c->path[k]) < 0 && errno == EBUSY;
			close(dir);
		}
		if (!left)
			break;
		usleep(20000);
	}
	_exit(0);
}

int cgroup_janitor(struct cgroup *c)
{
	int p[2];

	if (!c->n)
		return 0;
	if (pipe2(p, O_CLOEXEC) < 0)
		return -errno;
	_cleanup_close_ int rd = p[0];
	pid_t pid = fork();
	if (pid == 0)
		janitor_main(c, rd);
	if (pid < 0) {
		int e = -errno;
		close(p[1]);
		return e;
	}
	c->janitor = p[1];
	return 0;
}

int cgroup_add(const struct cgroup *c, pid_t pid)
{
	char text[16];
	int r = 0, n = snprintf(text, sizeof(text), "%d", (int)pid);

	for (size_t i = 0; i < c->n; i++)
		if (write(c->procs[i], text, (size_t)n) != n && !r)
			r = -errno;
	return r;
}

void cgroup_done(struct cgroup *c)
{
	for (size_t i = 0; i < c->n; i++) {
		close(c->procs[i]);
		close(c->dir[i]);
		free(c->path[i]);
	}
	if (c->janitor >= 0)
		close(c->janitor);
	*c = (struct cgroup){ .janitor = -1 };
}
