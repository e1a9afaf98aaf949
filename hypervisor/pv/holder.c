/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The holder: pid 1 of a guest's namespaces. A fork of hvdom that never execs: it builds the little root file system, then
 * spawns K when asked, reports its end, and reaps. See sandbox.h. No threads; after set-up only plain system calls.
 */
#include "config.h"
#include "hypervisor/pv/holder_int.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/rseq.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <linux/securebits.h>
#include "common/util.h"
#include "hypervisor/pv/restorer.h"

struct holder {
	int sock;
	int proc; /* directory of the host's /proc: for timens_offsets */
	const struct pv_sandbox_cfg *cfg;
	pid_t k; /* 0: none */
	int k_pidfd;
	int fds[SANDBOX_FDS_MAX];
	unsigned n_fds;
};

static void say(struct holder *h, uint32_t op, int status, const char *text, const int *fds, size_t n)
{
	struct holder_msg m = { .op = op, .status = status };

	snprintf(m.text, sizeof(m.text), "%s", text);
	if (sock_send_fds(h->sock, &m, sizeof(m), fds, n) < 0)
		_exit(71); /* hvdom is gone */
}

static __attribute__((noreturn)) void die(struct holder *h, int e, const char *what)
{
	say(h, HOLDER_FAILED, e, what, NULL, 0);
	_exit(72);
}

static int write_at(int dir, const char *path, const char *text)
{
	_cleanup_close_ int fd = openat(dir, path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -errno;
}

static void parents(const char *path)
{
	char p[4096];

	snprintf(p, sizeof(p), "%s", path);
	for (char *s = strchr(p + 1, '/'); s; s = strchr(s + 1, '/')) {
		*s = 0;
		mkdirat(AT_FDCWD, p + 1, 0755);
		*s = '/';
	}
}

/* Bind the host's @src (as cloned mount @tree) at the same path below the new root (the working directory). */
static void put_file(struct holder *h, int tree, const char *path)
{
	parents(path);
	int fd = open(path + 1, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	if (fd < 0)
		die(h, errno, path);
	close(fd);
	if (syscall(SYS_move_mount, tree, "", AT_FDCWD, path + 1, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		die(h, errno, path);
	close(tree);
}

static void make_root(struct holder *h)
{
	const char *want[] = { h->cfg->kernel,
		               "/lib64/ld-linux-x86-64.so.2",
		               "/lib/x86_64-linux-gnu/libc.so.6",
		               "/dev/null",
		               "/dev/random",
		               "/dev/urandom",
		               "/proc/cpuinfo",
		               h->cfg->initrd };
	int tree[ARRAY_SIZE(want)];
	char opt[64];

	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		die(h, errno, "making mounts private");
	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		if (!want[i])
			continue;
		tree[i] = (int)syscall(SYS_open_tree, AT_FDCWD, want[i], OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
		if (tree[i] < 0)
			die(h, errno, want[i]);
	}
	snprintf(opt, sizeof(opt), "mode=0755,size=%lu", h->cfg->ram_bytes + (64ul << 20));
	if (mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID, opt) < 0)
		die(h, errno, "mounting a tmpfs");
	if (chdir("/tmp") < 0)
		die(h, errno, "/tmp");
	for (size_t i = 0; i < ARRAY_SIZE(want); i++)
		if (want[i])
			put_file(h, tree[i], want[i]);
	if (mkdir("dev/shm", 0700) < 0 || mkdir("v", 0700) < 0)
		die(h, errno, "making directories");
	if (syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		die(h, errno, "changing the root");
}

static void set_up(struct holder *h)
{
	char map[64];

	prctl(PR_SET_DUMPABLE, 1); /* else /proc/self belongs to the host's root, and no map can be written */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	h->proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (h->proc < 0)
		die(h, errno, "/proc");
	int r = write_at(h->proc, "self/setgroups", "deny");
	if (r < 0 && r != -ENOENT)
		die(h, -r, "setgroups");
	snprintf(map, sizeof(map), "0 %u 1", h->cfg->uid);
	r = write_at(h->proc, "self/uid_map", map);
	if (r < 0)
		die(h, -r, "uid_map");
	snprintf(map, sizeof(map), "0 %u 1", h->cfg->gid);
	r = write_at(h->proc, "self/gid_map", map);
	if (r < 0)
		die(h, -r, "gid_map");
	if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		die(h, errno, "becoming root of the namespace");
	prctl(PR_SET_DUMPABLE, 1);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (sethostname("guest", 5) < 0)
		die(h, errno, "sethostname");
	make_root(h);
	/* hvdom's rseq area would follow into restored processes, whose memory has none */
	if (__rseq_size)
		syscall(SYS_rseq, (char *)__builtin_thread_pointer() + __rseq_offset, 32, 1 /* UNREGISTER */, RSEQ_SIG);
}

static int listen_at(unsigned i)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	snprintf(sa.sun_path, sizeof(sa.sun_path), "/v/%u", i);
	unlink(sa.sun_path);
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 || listen(fd, 1) < 0)
		return -errno;
	return steal_fd(&fd);
}

/* Fork a child with pid @nspid in a fresh time namespace. Returns its pid (0 in the child) or -errno. */
static pid_t spawn(struct holder *h, int32_t nspid, int64_t offset_ns, int *ret_pidfd)
{
	char text[128];
	int64_t s = offset_ns / 1000000000, ns = offset_ns % 1000000000;

	if (ns < 0) {
		ns += 1000000000;
		s--;
	}
	if (unshare(CLONE_NEWTIME) < 0)
		return -errno;
	snprintf(text, sizeof(text), "monotonic %ld %ld\nboottime %ld %ld\n", s, ns, s, ns);
	int r = write_at(h->proc, "self/timens_offsets", text);
	if (r < 0)
		return r;
	struct clone_args a = { .flags = CLONE_PIDFD,
		                .pidfd = (uint64_t)(uintptr_t)ret_pidfd,
		                .exit_signal = SIGCHLD,
		                .set_tid = (uint64_t)(uintptr_t)&nspid,
		                .set_tid_size = 1 };
	pid_t pid = (pid_t)syscall(SYS_clone3, &a, sizeof(a));
	return pid < 0 ? -errno : pid;
}

static void pin(const struct holder *h)
{
	cpu_set_t set;

	if (h->cfg->cpu < 0)
		return;
	CPU_ZERO(&set);
	CPU_SET((size_t)h->cfg->cpu, &set);
	sched_setaffinity(0, sizeof(set), &set); /* best effort: a cpuset may forbid it */
}

static __attribute__((noreturn)) void child_boot(const struct holder *h, struct holder_msg *m, const int *fds)
{
	char *argv[256], *p = m->text, c;
	static char home[] = "HOME=/dev/shm", tmp[] = "TMPDIR=/dev/shm", path[] = "PATH=/usr/bin",
		    tune[] = "GLIBC_TUNABLES=glibc.pthread.rseq=0";
	char *env[] = { home, tmp, path, tune, NULL };
	struct __user_cap_header_struct ch = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct cd[2] = { { 0 } };
	uint32_t i;

	for (i = 0; i < m->argc && i < 255; i++, p += strlen(p) + 1)
		argv[i] = p;
	argv[i] = NULL;
	pin(h);
	personality(ADDR_NO_RANDOMIZE);
	/* no capability survives the exec */
	prctl(PR_SET_SECUREBITS,
	      SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	syscall(SYS_capset, &ch, cd);
	prctl(PR_SET_DUMPABLE, 1);
	if (read(fds[2], &c, 1) != 1)
		_exit(73);
	if (dup2(fds[0], 0) < 0 || dup2(fds[0], 1) < 0 || dup2(fds[1], 2) < 0)
		_exit(74);
	syscall(SYS_close_range, 3, ~0u, 0);
	execve(h->cfg->kernel, argv, env);
	_exit(75);
}

static __attribute__((noreturn)) void child_restore(struct holder *h, const struct holder_msg *m, int code, int plan)
{
	void *c = mmap((void *)RESTORER_BASE, RESTORER_CODE_BYTES, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, code,
	               0);
	void *p = mmap((void *)RESTORER_PLAN, m->plan_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, plan, 0);
	void *s = mmap((void *)(RESTORER_TOP - 262144), 262144, PROT_READ | PROT_WRITE,
	               MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	uint64_t entry = RESTORER_BASE + (uint64_t)((char *)(uintptr_t)restorer_entry - __start_restorer_code);

	if (c == MAP_FAILED || p == MAP_FAILED || s == MAP_FAILED)
		_exit(76);
	setsid(); /* not pinned yet: the stubs are made on all CPUs, hvdom pins the lot afterwards */
	prctl(PR_SET_NAME, "hospes-guest");
	/* high numbers first, so that nothing below SANDBOX_FD_BASE is in the way */
	for (unsigned i = 0; i < h->n_fds; i++)
		if (dup2(h->fds[i], (int)(SANDBOX_FD_BASE + i)) < 0)
			_exit(77);
	syscall(SYS_close_range, 0, SANDBOX_FD_BASE - 1, 0);
	syscall(SYS_close_range, SANDBOX_FD_BASE + h->n_fds, ~0u, 0);
	__asm__ volatile("mov %0, %%rsp; mov %1, %%rdi; xor %%ebp, %%ebp; call *%2"
	                 :
	                 : "r"(RESTORER_TOP - 64), "r"(RESTORER_PLAN), "r"(entry)
	                 : "memory", "rdi");
	__builtin_unreachable();
}

static void clear(struct holder *h)
{
	kill(-1, SIGKILL);
	while (waitpid(-1, NULL, __WALL) > 0 || errno == EINTR)
		;
	if (h->k)
		close(h->k_pidfd);
	h->k = 0;
}

/* Answer an order with the kernel that spawn() made for it. False: there is none, and the answer says so. */
static bool say_spawned(struct holder *h, pid_t pid, int pidfd)
{
	if (pid < 0) {
		say(h, HOLDER_FAILED, -pid, "new process", NULL, 0);
		return false;
	}
	h->k = pid;
	h->k_pidfd = pidfd;
	say(h, HOLDER_DONE, 0, "", &pidfd, 1);
	return true;
}

static void do_boot(struct holder *h, struct holder_msg *m, int *fds, size_t n)
{
	int out[PV_DEVS_MAX], pidfd = -1;
	unsigned i, n_devs = h->cfg->n_devs;

	if (n != 3 || h->k || n_devs > PV_DEVS_MAX)
		die(h, EPROTO, "boot order");
	for (i = 0; i < n_devs; i++) {
		out[i] = listen_at(i);
		if (out[i] < 0)
			die(h, -out[i], "device socket");
	}
	pid_t pid = spawn(h, m->nspid, m->offset_ns, &pidfd);
	if (pid == 0)
		child_boot(h, m, fds);
	for (i = say_spawned(h, pid, pidfd) ? 0 : n_devs; i < n_devs; i += FDS_PER_MSG)
		say(h, HOLDER_FDS, 0, "", out + i, n_devs - i < FDS_PER_MSG ? n_devs - i : FDS_PER_MSG);
	for (i = 0; i < n_devs; i++)
		close(out[i]);
	for (i = 0; i < n; i++)
		close(fds[i]);
}

static void do_restore(struct holder *h, struct holder_msg *m, int *fds, size_t n)
{
	int pidfd = -1;

	if (n != 2 || h->k)
		die(h, EPROTO, "restore order");
	pid_t pid = spawn(h, m->nspid, m->offset_ns, &pidfd);
	if (pid == 0)
		child_restore(h, m, fds[0], fds[1]);
	say_spawned(h, pid, pidfd);
	for (unsigned i = 0; i < h->n_fds; i++)
		close(h->fds[i]);
	h->n_fds = 0;
	close(fds[0]);
	close(fds[1]);
}

static void handle(struct holder *h)
{
	static struct holder_msg m;
	int fds[16];
	size_t n = ARRAY_SIZE(fds);
	ssize_t len = sock_recv_fds(h->sock, &m, sizeof(m), fds, &n);

	if (len != sizeof(m))
		_exit(0); /* hvdom closed: the namespaces end with us */
	switch (m.op) {
	case HOLDER_BOOT:
		do_boot(h, &m, fds, n);
		break;
	case HOLDER_RESTORE:
		do_restore(h, &m, fds, n);
		break;
	case HOLDER_FDS:
		for (size_t i = 0; i < n; i++) {
			if (h->n_fds == SANDBOX_FDS_MAX)
				die(h, E2BIG, "descriptors");
			h->fds[h->n_fds++] = fds[i];
		}
		break;
	case HOLDER_CLEAR:
		clear(h);
		say(h, HOLDER_DONE, 0, "", NULL, 0);
		break;
	default:
		die(h, EPROTO, "order");
	}
}

void holder_main(int sock, const struct pv_sandbox_cfg *cfg)
{
	static struct holder h;
	struct rlimit nofile = { 4096, 4096 }, none = { 0, 0 };
	sigset_t all;

	h.cfg = cfg;
	h.sock = fcntl(sock, F_DUPFD_CLOEXEC, 3);
	/* descriptors of hvdom are none of the guest's business */
	if (h.sock < 0 || dup2(h.sock, 3) < 0)
		_exit(70);
	h.sock = 3;
	syscall(SYS_close_range, 4, ~0u, 0);
	sigfillset(&all);
	sigprocmask(SIG_UNBLOCK, &all, NULL);
	for (int s = 1; s < 65; s++)
		signal(s, SIG_DFL);
	prctl(PR_SET_NAME, "hospes-holder");
	set_up(&h);
	int nul = open("/dev/null", O_RDWR);
	if (nul >= 0) {
		for (int i = 0; i < 3; i++)
			dup2(nul, i);
		if (nul > 2)
			close(nul);
	}
	setrlimit(RLIMIT_NOFILE, &nofile);
	setrlimit(RLIMIT_CORE, &none);
	say(&h, HOLDER_READY, 0, "", NULL, 0);
	for (;;) {
		struct pollfd p[2] = { { .fd = h.sock, .events = POLLIN },
			               { .fd = h.k ? h.k_pidfd : -1, .events = POLLIN } };
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			_exit(78);
		if (p[1].revents) {
			int status = 0;
			waitpid(h.k, &status, __WALL);
			clear(&h);
			say(&h, HOLDER_EXIT, status, "", NULL, 0);
		} else if (p[0].revents) {
			handle(&h);
		}
		/* stubs of a dead K are reaped by clear(); others cannot end up here */
	}
}
