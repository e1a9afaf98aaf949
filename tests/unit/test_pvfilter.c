/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The seccomp filter, run in a small interpreter of the BPF subset that seccomp allows: what a guest kernel needs passes, what
 * leads out of its box is killed, for every system call number and with hostile arguments. Once for real, too.
 */
#include "config.h"
#include "tests/unit/testutil.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "hypervisor/pv/filter.h"

#define KILL   SECCOMP_RET_KILL_PROCESS
#define ALLOW  SECCOMP_RET_ALLOW
#define REFUSE (SECCOMP_RET_ERRNO | EPERM)

static struct sock_filter prog[PV_FILTER_MAX];
static size_t n_prog;

static uint32_t run(const struct seccomp_data *d)
{
	uint32_t a = 0;

	for (size_t pc = 0, steps = 0; steps < 2 * PV_FILTER_MAX; steps++, pc++) {
		assert_true(pc < n_prog);
		const struct sock_filter *f = &prog[pc];
		bool yes;
		switch (f->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			assert_true(f->k % 4 == 0 && f->k < sizeof(*d));
			memcpy(&a, (const char *)d + f->k, 4);
			continue;
		case BPF_RET | BPF_K:
			return f->k;
		case BPF_JMP | BPF_JEQ | BPF_K:
			yes = a == f->k;
			break;
		case BPF_JMP | BPF_JSET | BPF_K:
			yes = a & f->k;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			yes = a > f->k;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			yes = a >= f->k;
			break;
		case BPF_JMP | BPF_JA:
			pc += f->k;
			continue;
		default:
			fail_msg("instruction %zu has the code 0x%x, which seccomp has not", pc, f->code);
			return 0;
		}
		pc += yes ? f->jt : f->jf;
	}
	fail_msg("the filter does not end");
	return 0;
}

static uint32_t verdict(int nr, uint64_t a0, uint64_t a1)
{
	struct seccomp_data d = { .nr = nr, .arch = AUDIT_ARCH_X86_64, .args = { a0, a1 } };

	return run(&d);
}

static int build(void **state)
{
	(void)state;
	n_prog = pv_filter_build(prog);
	return 0;
}

/* From measurements on a loaded guest; docs and DESIGN name the same. */
static const int needed[] = { 0,  1,  3,  7,   9,   10,  11,  12,  13,  14,  15,  28,  39,  46, 47,
	                      60, 61, 62, 127, 130, 131, 154, 223, 224, 228, 231, 232, 233, 318 };

static void needed_calls_pass(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
		if (verdict(needed[i], ~0ull, ~0ull) != ALLOW)
			fail_msg("system call %d does not pass", needed[i]);
	/* a call that was cancelled at its entry */
	assert_int_equal(verdict(-1, 0, 0), ALLOW);
}

static void nothing_else_passes(void **state)
{
	/* harmless without descriptors or names to apply them to */
	static const int tolerated[] = { SYS_sched_yield, SYS_nanosleep, SYS_clock_nanosleep, SYS_gettimeofday,
		                         SYS_getppid,     SYS_getpgrp,   SYS_getpgid,         SYS_gettid,
		                         SYS_time,        SYS_recvfrom,  SYS_sendto,          SYS_restart_syscall };
	(void)state;

	for (int nr = 0; nr < 4096; nr++) {
		bool ok = nr == SYS_userfaultfd; /* all bits: user mode only is among them; see table */
		for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
			ok |= nr == needed[i];
		for (size_t i = 0; i < ARRAY_SIZE(tolerated); i++)
			ok |= nr == tolerated[i];
		uint32_t v = verdict(nr, ~0ull, ~0ull);
		if (!ok && v != KILL && v != REFUSE)
			fail_msg("system call %d with hostile arguments: 0x%x", nr, v);
	}
	/* the x32 calls, and numbers that look like -1 to nobody but us */
	for (int nr = 0; nr < 600; nr++)
		assert_int_equal(verdict(nr | 0x40000000, 0, 0), KILL);
	assert_int_equal(verdict(-2, 0, 0), KILL);
	assert_int_equal(verdict(INT32_MIN, 0, 0), KILL);
}

static void table(void **state)
{
	static const struct {
		const char *what;
		int nr;
		uint64_t a0, a1;
		uint32_t want;
	} t[] = {
		{ "fork", SYS_clone, SIGCHLD, 0, ALLOW },
		{ "stub", SYS_clone, CLONE_FILES | SIGCHLD, 0, ALLOW },
		{ "helper", SYS_clone, CLONE_VM | CLONE_FILES | SIGCHLD, 0, ALLOW },
		{ "user namespace", SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, KILL },
		{ "pid namespace", SYS_clone, CLONE_NEWPID, 0, KILL },
		{ "mount namespace", SYS_clone, CLONE_NEWNS | CLONE_VM, 0, KILL },
		{ "net namespace", SYS_clone, CLONE_NEWNET, 0, KILL },
		{ "cgroup namespace", SYS_clone, CLONE_NEWCGROUP, 0, KILL },
		{ "untraced child", SYS_clone, CLONE_UNTRACED | SIGCHLD, 0, KILL },
		{ "thread", SYS_clone, CLONE_VM | CLONE_THREAD | CLONE_SIGHAND, 0, KILL },
		{ "flags in the high word", SYS_clone, 1ull << 32 | SIGCHLD, 0, KILL },
		{ "clone3", SYS_clone3, 0, 0, KILL },
		{ "fork(2)", SYS_fork, 0, 0, KILL },
		{ "vfork", SYS_vfork, 0, 0, KILL },
		{ "ptrace TRACEME", SYS_ptrace, PTRACE_TRACEME, 0, ALLOW },
		{ "ptrace SETREGS", SYS_ptrace, PTRACE_SETREGS, 0, ALLOW },
		{ "ptrace SYSEMU", SYS_ptrace, 31, 0, ALLOW },
		{ "ptrace ATTACH", SYS_ptrace, PTRACE_ATTACH, 0, KILL },
		{ "ptrace SEIZE", SYS_ptrace, PTRACE_SEIZE, 0, KILL },
		{ "ptrace SETOPTIONS", SYS_ptrace, PTRACE_SETOPTIONS, 0, KILL },
		{ "ptrace SECCOMP_GET_FILTER", SYS_ptrace, 0x420c, 0, KILL },
		{ "ptrace with a high word", SYS_ptrace, 1ull << 32, 0, KILL },
		{ "fcntl SETFL", SYS_fcntl, ~0ull, F_SETFL, ALLOW },
		{ "fcntl SETOWN", SYS_fcntl, 3, F_SETOWN, ALLOW },
		{ "fcntl DUPFD", SYS_fcntl, 3, F_DUPFD, KILL },
		{ "fcntl ADD_SEALS", SYS_fcntl, 3, 1033, KILL },
		{ "fcntl SETLEASE", SYS_fcntl, 3, F_SETLEASE, KILL },
		{ "fcntl with a high word", SYS_fcntl, 3, 1ull << 32 | F_SETFL, KILL },
		{ "execve", SYS_execve, 0, 0, REFUSE },
		{ "execveat", SYS_execveat, 0, 0, KILL },
		{ "open", SYS_openat, 0, 0, REFUSE },
		{ "openat2", 437, 0, 0, KILL },
		{ "socket", SYS_socket, 2, 1, REFUSE },
		{ "connect", SYS_connect, 0, 0, KILL },
		{ "userfaultfd for the kernel too", SYS_userfaultfd, 0, 0, KILL },
		{ "userfaultfd for user mode", SYS_userfaultfd, 1, 0, ALLOW },
		{ "mount", SYS_mount, 0, 0, KILL },
		{ "unshare", SYS_unshare, 0, 0, KILL },
		{ "setns", SYS_setns, 0, 0, KILL },
		{ "bpf", SYS_bpf, 0, 0, KILL },
		{ "io_uring", 425, 0, 0, KILL },
		{ "keyctl", SYS_keyctl, 0, 0, KILL },
		{ "seccomp", SYS_seccomp, 1, 0, KILL },
		{ "process_vm_writev", SYS_process_vm_writev, 0, 0, KILL },
		{ "pidfd_getfd", 438, 0, 0, KILL },
		{ "memfd_create", SYS_memfd_create, 0, 0, KILL },
		{ "setuid", SYS_setuid, 0, 0, KILL },
		{ "capset", SYS_capset, 0, 0, KILL },
		{ "init_module", SYS_init_module, 0, 0, KILL },
		{ "perf_event_open", SYS_perf_event_open, 0, 0, KILL },
		{ "tgkill", SYS_tgkill, 1, 1, KILL },
		{ "setrlimit", SYS_setrlimit, 0, 0, KILL },
		{ "sched_setaffinity", SYS_sched_setaffinity, 0, 0, KILL },
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		uint32_t v = verdict(t[i].nr, t[i].a0, t[i].a1);
		if (v != t[i].want)
			fail_msg("%s: 0x%x, wanted 0x%x", t[i].what, v, t[i].want);
	}
}

static void every_ptrace_request(void **state)
{
	(void)state;
	for (uint64_t r = 0; r < 0x5000; r++) {
		bool fine = r < 10 || (r >= 12 && r <= 15) || r == 21 || r == 24 || (r >= 30 && r <= 32) ||
		            r == 0x4202 || r == 0x4204 || r == 0x4205;
		if (!fine)
			assert_int_equal(verdict(SYS_ptrace, r, 0), KILL);
	}
}

static void every_clone_flag(void **state)
{
	const uint64_t fine = CLONE_VM | CLONE_FILES | CLONE_PARENT | 0xff;
	(void)state;

	for (unsigned b = 0; b < 64; b++)
		assert_int_equal(verdict(SYS_clone, 1ull << b, 0), fine >> b & 1 ? ALLOW : KILL);
}

static void other_architectures(void **state)
{
	static const uint32_t arch[] = { AUDIT_ARCH_I386, AUDIT_ARCH_AARCH64, AUDIT_ARCH_ARM, 0, ~0u };
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(arch); i++)
		for (int nr = -1; nr < 600; nr++) {
			struct seccomp_data d = { .nr = nr, .arch = arch[i] };
			assert_int_equal(run(&d), KILL);
		}
}

/* The kernel takes the program, and it does what the interpreter says. */
static int status_of(int nr, uint64_t a0)
{
	struct sock_fprog p = { .len = (unsigned short)n_prog, .filter = prog };
	int st;
	pid_t pid = fork();

	if (pid == 0) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &p))
			_exit(99);
		long r = syscall(nr, a0, 0, 0, 0, 0, 0);
		syscall(SYS_exit_group, r < 0 ? errno : 0);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &st, 0), pid);
	return WIFEXITED(st) ? WEXITSTATUS(st) : -WTERMSIG(st);
}

static void for_real(void **state)
{
	(void)state;
	assert_int_equal(status_of(SYS_getpid, 0), 0);
	assert_int_equal(status_of(SYS_execve, 0), EPERM);
	assert_int_equal(status_of(SYS_clone3, 0), -SIGSYS);
	assert_int_equal(status_of(SYS_unshare, CLONE_NEWUSER), -SIGSYS);
	assert_int_equal(status_of(SYS_ptrace, PTRACE_ATTACH), -SIGSYS);
	assert_int_equal(status_of(-1, 0), ENOSYS);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(needed_calls_pass),
		cmocka_unit_test(nothing_else_passes),
		cmocka_unit_test(table),
		cmocka_unit_test(every_ptrace_request),
		cmocka_unit_test(every_clone_flag),
		cmocka_unit_test(other_architectures),
		cmocka_unit_test(for_real),
	};

	return cmocka_run_group_tests(tests, build, NULL);
}
