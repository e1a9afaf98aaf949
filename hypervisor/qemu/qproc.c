/* SPDX-License-Identifier: GPL-2.0-or-later */
/* QEMU's process: see qproc.h. Between fork and exec the child makes system calls only: other threads of hvdom may hold locks. */
#include "config.h"
#include "hypervisor/qemu/qproc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <linux/filter.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include "common/nsproc.h"
#include "common/util.h"
#include "hypervisor/qemu/qargs.h"

#define START_MS 20000 /* reading its file may take a while */

struct report {
	int e;
	char what[64];
};

struct place {
	const char *from, *to; /* to: below the new root, without the first '/' */
	bool dir;
	int tree;
};

static int report_fd; /* of the child */

static __attribute__((noreturn)) void die(int e, const char *what)
{
	struct report r = { .e = e };

	snprintf(r.what, sizeof(r.what), "%s", what);
	(void)!write(report_fd, &r, sizeof(r));
	_exit(72);
}

static void write_to(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		die(errno, path);
	close(fd);
}

/* Its own user stays what it is: execve() then leaves it no capabilities. */
static void become(const struct qproc_cfg *cfg)
{
	char map[64];

	prctl(PR_SET_DUMPABLE, 1); /* else /proc/self belongs to the host's root */
	write_to("/proc/self/setgroups", "deny");
	snprintf(map, sizeof(map), "%u %u 1", cfg->uid, cfg->uid);
	write_to("/proc/self/uid_map", map);
	snprintf(map, sizeof(map), "%u %u 1", cfg->gid, cfg->gid);
	write_to("/proc/self/gid_map", map);
	if (sethostname("guest", 5) < 0)
		die(errno, "sethostname");
}

static void clone_tree(struct place *p)
{
	struct mount_attr ro = { .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID };

	p->tree = (int)syscall(SYS_open_tree, AT_FDCWD, p->from, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (p->tree < 0)
		die(errno, p->from);
	/* a device is used through its node all the same */
	if (syscall(SYS_mount_setattr, p->tree, "", AT_EMPTY_PATH, &ro, sizeof(ro)) < 0)
		die(errno, p->from);
}

static void place_tree(const struct place *p)
{
	int fd = p->dir ? -1 : open(p->to, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	if (p->dir ? mkdir(p->to, 0700) < 0 : fd < 0)
		die(errno, p->from);
	if (syscall(SYS_move_mount, p->tree, "", AT_FDCWD, p->to, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		die(errno, p->from);
	close(fd);
	close(p->tree);
}

static void bind_sockets(const struct qproc_cfg *cfg)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	if (mkdir(QARGS_SOCKET_DIR + 1, 0700) < 0)
		die(errno, "making directories");
	for (size_t i = 0; i < cfg->n_listen; i++) {
		if (cfg->listen[i] < 0)
			continue;
		snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/%zu", QARGS_SOCKET_DIR + 1, i);
		if (bind(cfg->listen[i], (struct sockaddr *)&sa, sizeof(sa)) < 0 || listen(cfg->listen[i], 1) < 0)
			die(errno, "a device's socket");
	}
}

static void make_root(const struct qproc_cfg *cfg)
{
	struct place p[] = {
		{ "/usr", "usr", true, -1 },
		{ "/dev/null", "dev/null", false, -1 },
		{ "/dev/urandom", "dev/urandom", false, -1 },
		{ "/proc/self/fd", QARGS_FD_DIR + 1, true, -1 },
		{ cfg->kernel, QARGS_KERNEL + 1, false, -1 },
		{ cfg->initrd, QARGS_INITRD + 1, false, -1 },
		{ cfg->kvm ? "/dev/kvm" : NULL, "dev/kvm", false, -1 },
	};

	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		die(errno, "making mounts private");
	for (size_t i = 0; i < ARRAY_SIZE(p); i++)
		if (p[i].from)
			clone_tree(&p[i]);
	if (mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0755,size=64k") < 0 ||
	    chdir("/tmp") < 0)
		die(errno, "mounting a tmpfs");
	if (mkdir("dev", 0755) < 0 || symlink("usr/lib", "lib") < 0 || symlink("usr/lib64", "lib64") < 0)
		die(errno, "making directories");
	for (size_t i = 0; i < ARRAY_SIZE(p); i++)
		if (p[i].from)
			place_tree(&p[i]);
	bind_sockets(cfg);
	if (syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		die(errno, "changing the root");
	if (mount("none", "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		die(errno, "making the root read-only");
}

/*
 * QEMU gives the free pages of its heap back whenever it has nothing to reclaim (malloc_trim() in its util/rcu.c), by
 * MADV_DONTNEED, and takes them again page by page when it loads a state. Here that call does nothing; QEMU itself
 * discards pages by it only of memory that is its own, and the guest's is not (MADV_REMOVE).
 */
static void keep_heap(void)
{
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MADV_DONTNEED, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog p = { ARRAY_SIZE(f), f };

	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &p) < 0)
		die(errno, "its system calls");
}

static __attribute__((noreturn)) void child(const struct qproc_cfg *cfg)
{
	/* that what it frees is not cut off at the heap's end: see keep_heap() */
	static char *const env[] = { (char *)"MALLOC_TRIM_THRESHOLD_=67108864", (char *)"PATH=/usr/bin", NULL };
	struct rlimit none = { 0, 0 };
	sigset_t no_signals;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	become(cfg);
	make_root(cfg);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	setrlimit(RLIMIT_CORE, &none);
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (null < 0 || dup2(null, 0) < 0 || dup2(cfg->err, 1) < 0 || dup2(cfg->err, 2) < 0)
		die(errno, "its standard output");
	for (size_t i = 0; i < cfg->n_pass; i++)
		if (fcntl(cfg->pass[i], F_SETFD, 0) < 0)
			die(errno, "passing descriptors");
	sigemptyset(&no_signals);
	sigprocmask(SIG_SETMASK, &no_signals, NULL);
	signal(SIGPIPE, SIG_DFL);
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* what came between may have cleared it */
	if (cfg->keep_heap)
		keep_heap();
	execve(cfg->argv[0], cfg->argv, env + !cfg->keep_heap);
	die(errno, cfg->argv[0]);
}

/* Nothing comes where it is executed. */
static int executed(int fd, struct err *err)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct report r;

	if (poll(&p, 1, START_MS) <= 0)
		return err_set(err, ETIMEDOUT, "QEMU was not executed within %u s: does this machine's storage answer?",
		               START_MS / 1000);
	ssize_t n = read(fd, &r, sizeof(r));
	if (n == 0)
		return 0;
	if (n != sizeof(r))
		return err_set(err, EIO, "cannot start QEMU");
	r.what[sizeof(r.what) - 1] = 0;
	return err_sys(err, r.e, "cannot start QEMU: %s", r.what);
}

int qproc_start(const struct qproc_cfg *cfg, pid_t *ret_pid, int *ret_pidfd, struct err *err)
{
	int said[2], pidfd = -1;

	if (pipe2(said, O_CLOEXEC) < 0)
		return err_sys(err, errno, "cannot make a pipe");
	_cleanup_close_ int said_r = said[0], said_w = said[1];
	pid_t pid = nsproc_fork(&pidfd, err);
	if (pid == 0) {
		report_fd = said_w;
		child(cfg);
	}
	if (pid < 0)
		return pid;
	close(steal_fd(&said_w));
	int r = executed(said_r, err);
	if (r < 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, __WALL);
		close(pidfd);
		return r;
	}
	*ret_pid = pid;
	*ret_pidfd = pidfd;
	return 0;
}
