/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Freeze and thaw of a process that idles as a guest kernel does, on a host that gives it no processor for seconds: time is virtual, and
 * stops are seen late. Nothing that waits for its turn is given up half done.
 */
#include "config.h"
#include "tests/unit/testutil.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#include "common/loop.h"
#include "common/util.h"
#include "hypervisor/pv/freeze.h"

#define LOOK_NS (200 * NS_PER_MS) /* that a look at a starved process takes */

static struct shared {
	atomic_uint ticks, errors;
	atomic_uint up, pending; /* of a sleeper() */
} * sh;
static pid_t child;
static uint64_t skew_ns;
static unsigned late_looks,
	late_after_mask; /* looks that see no stop: from now on; once all signals of it are blocked */

uint64_t __real_now_ns(void);
uint64_t __wrap_now_ns(void);
uint64_t __wrap_now_ns(void)
{
	return __real_now_ns() + skew_ns;
}

pid_t __real_waitpid(pid_t pid, int *status, int flags);
pid_t __wrap_waitpid(pid_t pid, int *status, int flags);
pid_t __wrap_waitpid(pid_t pid, int *status, int flags)
{
	if (!(flags & WNOHANG) || !late_looks)
		return __real_waitpid(pid, status, flags);
	late_looks--;
	skew_ns += LOOK_NS;
	return 0;
}

int __real_pt_set_sigmask(pid_t pid, uint64_t mask);
int __wrap_pt_set_sigmask(pid_t pid, uint64_t mask);
int __wrap_pt_set_sigmask(pid_t pid, uint64_t mask)
{
	int r = __real_pt_set_sigmask(pid, mask);

	if (mask == ~0ull)
		late_looks = late_after_mask;
	return r;
}

static void on_alarm(int sig)
{
	(void)sig;
	atomic_fetch_add(&sh->ticks, 1);
}

/* A kernel without processes: it sleeps until its timer ticks. */
static void idle(void)
{
	struct itimerval it = { .it_interval.tv_usec = 5000, .it_value.tv_usec = 5000 };
	sigset_t none, alrm;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigemptyset(&none);
	sigemptyset(&alrm);
	sigaddset(&alrm, SIGALRM);
	sigprocmask(SIG_BLOCK, &alrm, NULL);
	signal(SIGALRM, on_alarm);
	setitimer(ITIMER_REAL, &it, NULL);
	for (;;)
		if (syscall(SYS_rt_sigsuspend, &none, 8) >= 0 || errno != EINTR)
			atomic_fetch_add(&sh->errors, 1);
}

static volatile sig_atomic_t enabled;

static void on_io(int sig)
{
	(void)sig;
	if (!enabled)
		atomic_store(&sh->pending, 1);
}

/* A kernel without timers: it has its interrupts off when it goes to sleep, and what comes then waits until it wakes up. */
static void sleeper(void)
{
	sigset_t none, alrm;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigemptyset(&none);
	sigemptyset(&alrm);
	sigaddset(&alrm, SIGALRM);
	sigprocmask(SIG_BLOCK, &alrm, NULL);
	signal(SIGALRM, on_alarm);
	signal(SIGIO, on_io);
	atomic_store(&sh->up, 1);
	for (;;) {
		enabled = 0;
		for (int i = 0; i < 20; i++)
			syscall(SYS_getppid);
		syscall(SYS_rt_sigsuspend, &none, 8);
		enabled = 1;
		atomic_store(&sh->pending, 0);
	}
}

static int start(void (*fn)(void))
{
	sh = mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(sh != MAP_FAILED);
	skew_ns = late_looks = late_after_mask = 0;
	child = fork();
	if (child == 0) {
		fn();
		_exit(1);
	}
	return child > 0 ? 0 : -1;
}
static int set_up(void **state)
{
	(void)state;
	return start(idle);
}
static int set_up_sleeper(void **state)
{
	(void)state;
	int r = start(sleeper);
	while (!r && !atomic_load(&sh->up))
		usleep(100);
	return r;
}

static int tear_down(void **state)
{
	(void)state;
	kill(child, SIGKILL);
	(void)__real_waitpid(child, NULL, __WALL);
	munmap(sh, sizeof(*sh));
	return 0;
}

static void assert_runs(void)
{
	unsigned before = atomic_load(&sh->ticks);

	for (int i = 0; i < 10000 && atomic_load(&sh->ticks) < before + 2; i++)
		usleep(1000);
	assert_true(atomic_load(&sh->ticks) >= before + 2);
	assert_int_equal(atomic_load(&sh->errors), 0);
}

static void freeze(struct pv_frozen *f)
{
	struct err err = { 0 };

	if (pv_freeze(child, 0, 3000, NULL, f, &err))
		fail_msg("%s", err.text);
}

static void test_goes_on(void **state)
{
	struct pv_frozen f;
	(void)state;

	for (int i = 0; i < 30; i++) {
		freeze(&f);
		unsigned ticks = atomic_load(&sh->ticks);
		usleep(10000);
		assert_int_equal(atomic_load(&sh->ticks), ticks);
		pv_thaw(&f);
		assert_runs();
	}
}

/* It stands before the call that is cancelled, and gets the processor to leave it only after seconds. */
static void test_late_at_the_safe_point(void **state)
{
	struct pv_frozen f;
	(void)state;

	late_after_mask = 100;
	freeze(&f);
	assert_true(skew_ns >= 100 * LOOK_NS);
	pv_thaw(&f);
	assert_runs();
}

/* So for each call that is made in it to read its state. */
static void test_late_call(void **state)
{
	struct pv_frozen f;
	long ret = 0;
	(void)state;

	freeze(&f);
	for (int i = 0; i < 3; i++) {
		late_looks = 100;
		assert_int_equal(pt_syscall(child, f.insn, SYS_getpid, (uint64_t[6]){ 0 }, &ret), 0);
		assert_int_equal(ret, child);
	}
	pv_thaw(&f);
	assert_runs();
}

/* One that never comes is let go of: an error, and no process that stands for ever. */
static void test_given_up(void **state)
{
	struct pv_frozen f;
	struct err err = { 0 };
	(void)state;

	late_looks = 30;
	assert_int_equal(pv_freeze(child, 0, 1000, NULL, &f, &err), -ETIMEDOUT);
	late_looks = 0;
	assert_runs();
	freeze(&f);
	pv_thaw(&f);
	assert_runs();
}

/* An I/O signal that comes while it is led to its sleep is no reason to sleep on. */
static void test_signal_on_the_way(void **state)
{
	struct pv_frozen f;
	struct err err = { 0 };
	(void)state;

	for (int i = 0; i < 100; i++) {
		pid_t pid = child, sender = fork();
		if (sender == 0) {
			usleep((useconds_t)(i * 7 % 500));
			kill(pid, SIGIO); /* it wakes up, and goes to sleep again */
			usleep((useconds_t)(i * 13 % 300));
			kill(pid, SIGIO);
			_exit(0);
		}
		int r = pv_freeze(child, 0, 3000, NULL, &f, &err);
		(void)__real_waitpid(sender, NULL, 0);
		if (r)
			fail_msg("%s", err.text);
		pv_thaw(&f);
		for (int k = 0; k < 5000 && atomic_load(&sh->pending); k++)
			usleep(1000);
		assert_int_equal(atomic_load(&sh->pending), 0);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_goes_on, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_late_at_the_safe_point, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_late_call, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_given_up, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_signal_on_the_way, set_up_sleeper, tear_down),
	};

	return cmocka_run_group_tests_name("freeze", tests, NULL, NULL);
}
