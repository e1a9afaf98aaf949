/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See cgroup.h. Two hosts of a lab share one kernel, so a name may be taken: a group belongs to whoever holds the flock on its
 * directory, and NAME.1, NAME.2... are tried next. A group that nobody holds is left over from a crash; it is made anew, so that
 * whoever remembers the old one by its inode sees that it is gone. Main thread, before privileges are dropped; cgroup_add() later.
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

#define TRIES       16
#define SLICE       "hospes.slice"
#define JANITORS    "janitors.scope"
#define HVDOM_BYTES (128ull << 20) /* hvdom's own memory, beside what the guest may use */
#define HVDOM_PIDS  256u

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

/* Fails while something runs in it. */
static int remove_tree(const char *path)
{
	static const char *const leaf[] = { "guest", "hvdom" };

	for (size_t i = 0; i < ARRAY_SIZE(leaf); i++) {
		_cleanup_free_ char *p = xasprintf("%s/%s", path, leaf[i]);

		rmdir(p);
	}
	return rmdir(path) < 0 ? -errno : 0;
}

/* Remove the groups of domains whose host lost power: no janitor was left, nobody holds them, nothing runs in them. */
static void sweep(const char *slice)
{
	DIR *d = opendir(slice);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		if (e->d_type != DT_DIR || e->d_name[0] == '.' || !strcmp(e->d_name, JANITORS))
			continue;
		_cleanup_free_ char *path = xasprintf("%s/%s", slice, e->d_name);
		_cleanup_close_ int dir = hold(path);
		if (dir >= 0)
			(void)remove_tree(path);
	}
	if (d)
		closedir(d);
}

/* The directory, held, of a group that did not exist before. */
static int make_fresh(const char *path)
{
	if (mkdir(path, 0755) < 0) {
		if (errno != EEXIST)
			return -errno;
		_cleanup_close_ int old = hold(path);
		if (old < 0)
			return -EBUSY;
		if (remove_tree(path) < 0 || mkdir(path, 0755) < 0)
			return -EBUSY;
	}
	return hold(path);
}

/*
 * Its own user may sort the domain's processes within its groups, with its own rights: a descriptor that root opened would let it
 * move anybody's.
 */
static int give(int dir, const char *sub, uid_t uid)
{
	_cleanup_free_ char *procs = sub ? xasprintf("%s/cgroup.procs", sub) : xasprintf("cgroup.procs");

	return fchownat(dir, procs, uid, (gid_t)-1, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

/* Make hospes-@name.scope in the slice at @slice, or the next free name beside it; @leafs: with one group each for hvdom and the guest. */
static int make_one(struct cgroup *c, const char *slice, const char *name, bool leafs, uid_t uid)
{
	int e = -EBUSY;

	if (mkdir(slice, 0755) < 0 && errno != EEXIST)
		return -errno;
	sweep(slice);
	for (int i = 0; i < TRIES && c->n < CGROUP_PLACES_MAX; i++) {
		_cleanup_free_ char *path = i ? xasprintf("%s/hospes-%s.%d.scope", slice, name, i)
		                              : xasprintf("%s/hospes-%s.scope", slice, name);
		_cleanup_close_ int dir = make_fresh(path);
		if (dir == -EBUSY || dir == -ENOENT) {
			e = dir;
			continue;
		}
		if (dir < 0)
			return dir;
		if (leafs && (mkdirat(dir, "hvdom", 0755) < 0 || mkdirat(dir, "guest", 0755) < 0))
			e = -errno;
		else
			e = give(dir, NULL, uid);
		if (leafs && e == 0)
			e = give(dir, "hvdom", uid);
		if (leafs && e == 0)
			e = give(dir, "guest", uid);
		if (e < 0) {
			(void)remove_tree(path);
			return e;
		}
		c->place[c->n] =
			(struct cgroup_place){ .path = steal_ptr(&path), .dir = steal_fd(&dir), .leafs = leafs };
		return c->place[c->n++].dir;
	}
	return e;
}

static void limit(struct cgroup *c, int dir, const char *file, uint64_t value)
{
	int r = put_number(dir, file, value);

	if (r < 0)
		lack(c, file, strerror(-r));
}

/*
 * v2: controllers are given to children by subtree_control, which a host's manager has often done already. Not @limits: a hierarchy beside
 * those of v1, which has none and is of use for telling what belongs to the domain.
 */
static void make_v2(struct cgroup *c, const char *base, const char *name, uint64_t ram_bytes, uid_t uid, bool limits)
{
	static const char *const ctl[] = { "+cpu", "+memory", "+pids" };
	_cleanup_free_ char *slice = xasprintf("%s/" SLICE, base);
	_cleanup_close_ int top = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (!limits) {
		(void)!make_one(c, slice, name, false, uid);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(ctl); i++)
		(void)put(top, "cgroup.subtree_control", ctl[i]);
	if (mkdir(slice, 0755) < 0 && errno != EEXIST) {
		lack(c, slice, strerror(errno));
		return;
	}
	_cleanup_close_ int mid = open(slice, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < ARRAY_SIZE(ctl); i++)
		(void)put(mid, "cgroup.subtree_control", ctl[i]);
	int dir = make_one(c, slice, name, true, uid);
	if (dir < 0) {
		lack(c, slice, strerror(-dir));
		return;
	}
	limit(c, dir, "pids.max", CGROUP_PIDS_MAX + HVDOM_PIDS);
	limit(c, dir, "memory.max", cgroup_memory_limit(ram_bytes) + HVDOM_BYTES);
	limit(c, dir, "cpu.weight", 100);
	for (size_t i = 1; i < ARRAY_SIZE(ctl); i++)
		(void)put(dir, "cgroup.subtree_control", ctl[i]);
	limit(c, dir, "guest/pids.max", CGROUP_PIDS_MAX);
	limit(c, dir, "guest/memory.max", cgroup_memory_limit(ram_bytes));
	/* half a guest is no guest: what runs out of memory ends as a whole */
	(void)put(dir, "guest/memory.oom.group", "1");
}

/*
 * v1: where this process is in a group of @ctl ("": of the v2 hierarchy) that is not of an init system's sorting, a container's manager has put it there to
 * limit it; that is not for us to leave.
 */
static bool free_to_leave(const char *ctl)
{
	static const char *const sorted[] = { "/user.slice", "/system.slice", "/machine.slice", "/init.scope" };
	_cleanup_free_ char *text = NULL;
	char *save = NULL;
	size_t len;

	if (file_read("/proc/self/cgroup", 1 << 16, &text, &len) < 0)
		return false;
	for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		char *ctls = strchr(l, ':'), *path = ctls ? strchr(ctls + 1, ':') : NULL;
		if (!path)
			continue;
		*path++ = 0;
		bool ours = !*ctl && !ctls[1]; /* v2 */
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

static void make_v1(struct cgroup *c, const char *base, const char *name, uint64_t ram_bytes, uid_t uid)
{
	const struct {
		const char *ctl, *file, *guest_file;
		uint64_t value, guest_value;
	} want[] = {
		{ "pids", "pids.max", "guest/pids.max", CGROUP_PIDS_MAX + HVDOM_PIDS, CGROUP_PIDS_MAX },
		{ "memory", "memory.limit_in_bytes", "guest/memory.limit_in_bytes",
		  cgroup_memory_limit(ram_bytes) + HVDOM_BYTES, cgroup_memory_limit(ram_bytes) },
		{ "cpu", "cpu.shares", NULL, 1024, 0 },
		{ "systemd", NULL, NULL, 0, 0 }, /* where a unit is cleared away by its group */
	};

	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		_cleanup_free_ char *slice = xasprintf("%s/%s/" SLICE, base, want[i].ctl);
		bool limits = want[i].file;

		if (!free_to_leave(limits ? want[i].ctl : "name=systemd")) {
			if (limits)
				lack(c, want[i].ctl, "a container holds us");
			continue;
		}
		int dir = make_one(c, slice, name, want[i].guest_file != NULL, uid), r = dir;
		if (dir >= 0 && limits)
			r = put_number(dir, want[i].file, want[i].value);
		if (r >= 0 && want[i].guest_file)
			r = put_number(dir, want[i].guest_file, want[i].guest_value);
		if (r < 0 && limits)
			lack(c, want[i].ctl, strerror(-r));
	}
}

void cgroup_make(struct cgroup *c, const char *base, const char *name, uint64_t ram_bytes, uid_t uid)
{
	_cleanup_free_ char *v2 = xasprintf("%s/cgroup.controllers", base), *text = NULL;
	size_t len;

	*c = (struct cgroup){ .janitor = -1, .left_dir = -1 };
	if (access(v2, F_OK) == 0) {
		make_v2(c, base, name, ram_bytes, uid, true);
		return;
	}
	/* a host in transition may have the controllers in a second hierarchy */
	_cleanup_free_ char *second = xasprintf("%s/unified", base);
	_cleanup_free_ char *ctls = xasprintf("%s/cgroup.controllers", second);
	int r = file_read(ctls, 4096, &text, &len);
	bool limits = r == 0 && strstr(text, "pids") && strstr(text, "memory");
	if (limits || (r == 0 && free_to_leave("")))
		make_v2(c, second, name, ram_bytes, uid, limits);
	if (!limits)
		make_v1(c, base, name, ram_bytes, uid);
}

/* This process into the group at @path. */
static int enter(int at, const char *path)
{
	_cleanup_close_ int procs = openat(at, path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);

	if (procs < 0)
		return -errno;
	return write(procs, "0", 1) == 1 ? 0 : -errno;
}

void cgroup_enter(struct cgroup *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n; i++) {
		struct cgroup_place *p = &c->place[i];
		int r = enter(p->dir, p->leafs ? "hvdom/cgroup.procs" : "cgroup.procs");

		if (r == 0) {
			c->place[n++] = *p;
			continue;
		}
		lack(c, p->path, strerror(-r));
		(void)remove_tree(p->path);
		close(p->dir);
		free(p->path);
	}
	c->n = n;
}

const char *cgroup_evidence(const struct cgroup *c, uint64_t *ret_ino)
{
	struct stat st;

	if (!c->n || fstat(c->place[0].dir, &st) < 0)
		return NULL;
	*ret_ino = st.st_ino;
	return c->place[0].path;
}

/* Not among the processes of the domain, and not among those of whoever started it either. */
static void leave_for_janitors(const struct cgroup *c)
{
	for (size_t i = 0; i < c->n; i++) {
		const char *slash = strrchr(c->place[i].path, '/');
		_cleanup_free_ char *dir = xasprintf("%.*s/" JANITORS, (int)(slash - c->place[i].path),
		                                     c->place[i].path);
		_cleanup_free_ char *procs = xasprintf("%s/cgroup.procs", dir);

		(void)!mkdir(dir, 0755);
		(void)!enter(AT_FDCWD, procs);
	}
}

static void remove_file(const struct cgroup *c)
{
	struct stat st;

	if (c->left_dir >= 0 && fstatat(1, c->left_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_ino == c->left_ino)
		(void)!unlinkat(1, c->left_name, 0);
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
	leave_for_janitors(c);
	/* nothing of the daemon's may live on here: its locks, above all */
	if (dup2(fd, 0) < 0 || (c->left_dir >= 0 && dup2(c->left_dir, 1) < 0) ||
	    syscall(SYS_close_range, c->left_dir >= 0 ? 2 : 1, ~0u, 0) < 0)
		_exit(1);
	while (read(0, &x, 1) < 0 && errno == EINTR)
		;
	remove_file(c);
	for (int i = 0; i < 500; i++) {
		size_t left = 0;
		for (size_t k = 0; k < c->n; k++) {
			/* held: by what still dies, or somebody has taken it over in the meantime and it is not ours any more */
			int dir = hold(c->place[k].path);
			left += dir == -EBUSY;
			if (dir < 0)
				continue;
			left += remove_tree(c->place[k].path) == -EBUSY;
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

	if (!c->n && c->left_dir < 0)
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

	for (size_t i = 0; i < c->n; i++) {
		if (!c->place[i].leafs)
			continue;
		_cleanup_close_ int fd = openat(c->place[i].dir, "guest/cgroup.procs",
		                                O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
		if ((fd < 0 || write(fd, text, (size_t)n) != n) && !r)
			r = -errno;
	}
	return r;
}

static uint64_t number_in(int dir, const char *path, const char *name)
{
	char text[1024];
	size_t len = strlen(name);
	_cleanup_close_ int fd = openat(dir, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = 0;
	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, name, len) && line[len] == ' ')
			return strtoull(line + len, NULL, 10);
	}
	return 0;
}

uint64_t cgroup_oom_kills(const struct cgroup *c)
{
	uint64_t n = 0;

	for (size_t i = 0; i < c->n; i++)
		if (c->place[i].leafs) /* v2, v1 */
			n += number_in(c->place[i].dir, "guest/memory.events", "oom_kill") +
			     number_in(c->place[i].dir, "guest/memory.oom_control", "oom_kill");
	return n;
}

void cgroup_done(struct cgroup *c)
{
	for (size_t i = 0; i < c->n; i++) {
		close(c->place[i].dir);
		free(c->place[i].path);
	}
	if (c->janitor >= 0)
		close(c->janitor);
	*c = (struct cgroup){ .janitor = -1, .left_dir = -1 };
}
