/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See filter.h. Pure: no state, no I/O. */
#include "config.h"
#include "hypervisor/pv/filter.h"

#include <assert.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdint.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include "common/cleanup.h"

/* measured on Debian's 6.1 kernel under load; the harmless clock, yield and id calls beside them */
static const uint16_t allowed[] = {
	SYS_read,
	SYS_write,
	SYS_close,
	SYS_poll,
	SYS_mmap,
	SYS_mprotect,
	SYS_munmap,
	SYS_brk,
	SYS_rt_sigaction,
	SYS_rt_sigprocmask,
	SYS_rt_sigreturn,
	SYS_madvise,
	SYS_getpid,
	SYS_sendmsg,
	SYS_recvmsg,
	SYS_exit,
	SYS_wait4,
	SYS_kill,
	SYS_rt_sigpending,
	SYS_rt_sigsuspend,
	SYS_sigaltstack,
	SYS_modify_ldt,
	SYS_timer_settime,
	SYS_timer_gettime,
	SYS_clock_gettime,
	SYS_exit_group,
	SYS_epoll_wait,
	SYS_epoll_ctl,
	SYS_getrandom,
	SYS_sched_yield,
	SYS_nanosleep,
	SYS_clock_nanosleep,
	SYS_gettimeofday,
	SYS_getppid,
	SYS_getpgrp,
	SYS_getpgid,
	SYS_gettid,
	SYS_time,
	SYS_recvfrom,
	SYS_sendto,
	SYS_restart_syscall,
};

/* asked for on the way out (umid directory, reboot by exec, stdio); they fail and do no harm */
static const uint16_t refused[] = {
	SYS_open,         SYS_openat, SYS_stat,       SYS_fstat,    SYS_lstat,  SYS_newfstatat,
	SYS_lseek,        SYS_ioctl,  SYS_access,     SYS_writev,   SYS_execve, SYS_unlink,
	SYS_unlinkat,     SYS_rmdir,  SYS_getdents64, SYS_readlink, SYS_fsync,  SYS_setitimer,
	SYS_timer_delete, SYS_uname,  SYS_socket,     SYS_pipe2,    SYS_pipe,   SYS_socketpair,
	SYS_dup,          SYS_dup2,   SYS_ftruncate,  SYS_statfs,   SYS_prctl,  SYS_set_robust_list,
};

static const uint16_t ptrace_ok[] = {
	PTRACE_TRACEME,
	PTRACE_PEEKUSER,
	PTRACE_POKEUSER,
	PTRACE_CONT,
	PTRACE_KILL,
	PTRACE_SINGLESTEP,
	PTRACE_GETREGS,
	PTRACE_SETREGS,
	PTRACE_GETFPREGS,
	PTRACE_SETFPREGS,
	21 /* OLDSETOPTIONS */,
	PTRACE_SYSCALL,
	31 /* SYSEMU */,
	32 /* SYSEMU_SINGLESTEP */,
	30 /* ARCH_PRCTL */,
	PTRACE_GETSIGINFO,
	PTRACE_GETREGSET,
	PTRACE_SETREGSET,
};

static const uint16_t fcntl_ok[] = { F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_SETOWN, F_GETOWN, F_SETSIG };

#define LD(off)       (struct sock_filter) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, off)
#define RET(v)        (struct sock_filter) BPF_STMT(BPF_RET | BPF_K, v)
#define JEQ(v, t, e)  (struct sock_filter) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, v, t, e)
#define JSET(v, t, e) (struct sock_filter) BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, v, t, e)
#define ARG_LO(i)     (offsetof(struct seccomp_data, args) + 8 * (i))
#define ARG_HI(i)     (ARG_LO(i) + 4)

/* if nr == @nr: allow when the low word of @arg is in @ok and the high word is 0, else kill */
static size_t arg_in(struct sock_filter *f, uint32_t nr, unsigned arg, const uint16_t *ok, size_t n_ok)
{
	size_t n = 0;

	f[n++] = JEQ(nr, 0, (uint8_t)(n_ok * 2 + 4));
	f[n++] = LD(ARG_HI(arg));
	f[n++] = JEQ(0, 0, (uint8_t)(n_ok * 2 + 1));
	f[n++] = LD(ARG_LO(arg));
	for (size_t i = 0; i < n_ok; i++) {
		f[n++] = JEQ(ok[i], 0, 1);
		f[n++] = RET(SECCOMP_RET_ALLOW);
	}
	f[n++] = RET(SECCOMP_RET_KILL_PROCESS);
	return n;
}

size_t pv_filter_build(struct sock_filter *f)
{
	size_t n = 0;

	f[n++] = LD(offsetof(struct seccomp_data, arch));
	f[n++] = JEQ(AUDIT_ARCH_X86_64, 1, 0);
	f[n++] = RET(SECCOMP_RET_KILL_PROCESS);
	f[n++] = LD(offsetof(struct seccomp_data, nr));
	f[n++] = JEQ(0xffffffffu, 0, 1);
	f[n++] = RET(SECCOMP_RET_ALLOW);
	for (size_t i = 0; i < ARRAY_SIZE(allowed); i++) {
		f[n++] = JEQ(allowed[i], 0, 1);
		f[n++] = RET(SECCOMP_RET_ALLOW);
	}

	n += arg_in(f + n, SYS_ptrace, 0, ptrace_ok, ARRAY_SIZE(ptrace_ok));
	n += arg_in(f + n, SYS_fcntl, 1, fcntl_ok, ARRAY_SIZE(fcntl_ok));
	/* clone: no namespace, no thread; clone3 is not there at all, its flags are out of a filter's sight */
	f[n++] = JEQ(SYS_clone, 0, 6);
	f[n++] = LD(ARG_HI(0));
	f[n++] = JEQ(0, 0, 3);
	f[n++] = LD(ARG_LO(0));
	f[n++] = JSET(~(uint32_t)(CLONE_VM | CLONE_FILES | CLONE_PARENT | 0xff), 1, 0);
	f[n++] = RET(SECCOMP_RET_ALLOW);
	f[n++] = RET(SECCOMP_RET_KILL_PROCESS);
	/* log-dirty: hvdom runs userfaultfd(UFFD_USER_MODE_ONLY | flags) in the guest's processes and takes the descriptor */
	f[n++] = JEQ(SYS_userfaultfd, 0, 4);
	f[n++] = LD(ARG_LO(0));
	f[n++] = JSET(1, 0, 1);
	f[n++] = RET(SECCOMP_RET_ALLOW);
	f[n++] = RET(SECCOMP_RET_KILL_PROCESS);
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		f[n++] = JEQ(refused[i], 0, 1);
		f[n++] = RET(SECCOMP_RET_ERRNO | EPERM);
	}
	f[n++] = RET(SECCOMP_RET_KILL_PROCESS);
	assert(n <= PV_FILTER_MAX);
	return n;
}
