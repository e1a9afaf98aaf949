/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is taken from the processes that speak TLS before a stranger can talk to them. See vtls.h. */
#include "config.h"
#include "virtd/vtls.h"

#include <errno.h>
#include <grp.h>
#include <linux/filter.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define FORK_FLAGS (CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID | 0xffu)
#define DATA_MAX   (64u << 20) /* octets of a client's process */

struct vtls_filters {
	struct sock_fprog parent, client;
};

/* What copying and cryptography need: no descriptor that is not there already, but one end of a socket pair. */
static const int client_calls[] = {
	SCMP_SYS(read),
	SCMP_SYS(write),
	SCMP_SYS(readv),
	SCMP_SYS(writev),
	SCMP_SYS(recvfrom),
	SCMP_SYS(recvmsg),
	SCMP_SYS(sendto),
	SCMP_SYS(sendmsg),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(close),
	SCMP_SYS(shutdown),
	SCMP_SYS(getrandom),
	SCMP_SYS(munmap),
	SCMP_SYS(brk),
	SCMP_SYS(mremap),
	SCMP_SYS(madvise),
	SCMP_SYS(futex),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(time),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(getpid),
	SCMP_SYS(gettid),
	SCMP_SYS(getrusage),
	SCMP_SYS(sched_yield),
	SCMP_SYS(sched_getaffinity),
};
/* ... and accepting, forking, ending children. */
static const int parent_calls[] = {
	SCMP_SYS(accept4),    SCMP_SYS(pipe2),       SCMP_SYS(wait4),           SCMP_SYS(kill), SCMP_SYS(dup2),
	SCMP_SYS(setsockopt), SCMP_SYS(close_range), SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(prlimit64),
};
/* asked for by libraries, and as good if it fails */
static const int missing_calls[] = {
	SCMP_SYS(open),  SCMP_SYS(openat),    SCMP_SYS(stat),  SCMP_SYS(newfstatat), SCMP_SYS(access),
	SCMP_SYS(lstat), SCMP_SYS(faccessat), SCMP_SYS(uname), SCMP_SYS(readlink),   SCMP_SYS(fstat),
	SCMP_SYS(ioctl), SCMP_SYS(clone3),    SCMP_SYS(lseek),
};

static int add_all(scmp_filter_ctx f, uint32_t action, const int *calls, size_t n)
{
	int r = 0;

	for (size_t i = 0; i < n && !r; i++)
		r = seccomp_rule_add(f, action, calls[i], 0);
	return r;
}

/* Memory that can be written is never executed. */
static int add_memory(scmp_filter_ctx f)
{
	int r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));

	return r
	               ?: seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
	                                   SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
}

static int add_parent(scmp_filter_ctx f)
{
	int r = add_all(f, SCMP_ACT_ALLOW, parent_calls, ARRAY_SIZE(parent_calls));

	/* a process, no thread and no namespace; its filter */
	if (!r)
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
		                     SCMP_A0(SCMP_CMP_MASKED_EQ, ~(scmp_datum_t)FORK_FLAGS, 0));
	return r ?: seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1, SCMP_A0(SCMP_CMP_EQ, PR_SET_SECCOMP));
}

/* The octets of filter @f, which stay. */
static int keep(scmp_filter_ctx f, struct sock_fprog *ret)
{
	_cleanup_close_ int fd = memfd_create("filter", MFD_CLOEXEC);
	struct stat st;
	int r = fd < 0 ? -errno : seccomp_export_bpf(f, fd);

	if (r < 0 || fstat(fd, &st) < 0)
		return r ?: -errno;
	ret->len = (uint16_t)((size_t)st.st_size / sizeof(struct sock_filter));
	ret->filter = malloc((size_t)st.st_size);
	return !ret->filter ? -ENOMEM : pread(fd, ret->filter, (size_t)st.st_size, 0) == st.st_size ? 0 : -EIO;
}

static int make(bool parent, struct sock_fprog *ret)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int r = f ? add_all(f, SCMP_ACT_ALLOW, client_calls, ARRAY_SIZE(client_calls)) : -ENOMEM;

	if (!r)
		r = add_all(f, SCMP_ACT_ERRNO(ENOSYS), missing_calls, ARRAY_SIZE(missing_calls));
	if (!r)
		r = add_memory(f);
	if (!r)
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(socketpair), 1, SCMP_A0(SCMP_CMP_EQ, AF_UNIX));
	if (!r && parent)
		r = add_parent(f);
	if (!r)
		r = keep(f, ret);
	seccomp_release(f);
	return r;
}

int vtls_filters_new(struct vtls_filters **ret, struct err *err)
{
	struct vtls_filters *f = calloc(1, sizeof(*f));
	int r = f ? make(true, &f->parent) : -ENOMEM;

	if (!r)
		r = make(false, &f->client);
	if (r < 0)
		return err_sys(err, r, "list of system calls"); /* the process ends next */
	*ret = f;
	return 0;
}

/* Sanitizers ask the kernel for more than the program does. */
static int set_filter(const struct sock_fprog *f)
{
#ifdef WITH_SANITIZERS
	(void)f;
	return 0;
#else
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, f, 0, 0) < 0 ? -errno : 0;
#endif
}

static int leave_root(const char *root, unsigned processes, struct err *err)
{
	const struct rlimit most = { processes, processes };

	if (chroot(root) < 0 || chdir("/") < 0)
		return err_sys(err, errno, "enter %s", root);
	if (setgroups(0, NULL) < 0 || setresgid(VTLS_UID, VTLS_UID, VTLS_UID) < 0 ||
	    setresuid(VTLS_UID, VTLS_UID, VTLS_UID) < 0)
		return err_sys(err, errno, "become user %u", VTLS_UID);
	return setrlimit(RLIMIT_NPROC, &most) < 0 ? err_sys(err, errno, "limit processes") : 0;
}

int vtls_confine(const struct vtls_filters *f, const char *root, unsigned processes, struct err *err)
{
	const struct rlimit none = { 0, 0 };
	int r = geteuid() == 0 ? leave_root(root, processes, err) : 0;

	if (r < 0)
		return r;
	setrlimit(RLIMIT_CORE, &none); /* it has the host's key */
	prctl(PR_SET_DUMPABLE, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(err, errno, "give up new privileges");
	r = set_filter(&f->parent);
	return r < 0 ? err_sys(err, r, "limit system calls") : 0;
}

int vtls_confine_client(const struct vtls_filters *f)
{
	const struct rlimit data = { DATA_MAX, DATA_MAX };

#ifndef WITH_SANITIZERS
	if (setrlimit(RLIMIT_DATA, &data) < 0)
		return -errno;
#else
	(void)data;
#endif
	return set_filter(&f->client);
}
