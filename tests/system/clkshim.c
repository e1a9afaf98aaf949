/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * LD_PRELOAD for the daemons of a lab host: CLOCK_BOOTTIME and CLOCK_MONOTONIC lag by the nanoseconds (a number of 8 octets) in
 * /run/clock-lag, timers included, as do those of a virtual machine that its hypervisor had paused for so long. The TSC is as it is.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define LAG_FILE "/run/clock-lag"
#define NS_PER_S 1000000000ll

static volatile int64_t *lag_at;

static int64_t lag(void)
{
	if (!lag_at) {
		int fd = open(LAG_FILE, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

		if (fd < 0 || ftruncate(fd, sizeof(*lag_at)) < 0)
			return 0;
		lag_at = mmap(NULL, sizeof(*lag_at), PROT_READ, MAP_SHARED, fd, 0);
		close(fd);
	}
	return *lag_at;
}

static void shift(struct timespec *t, int64_t by_ns)
{
	int64_t ns = t->tv_sec * NS_PER_S + t->tv_nsec + by_ns;

	t->tv_sec = ns / NS_PER_S;
	t->tv_nsec = ns % NS_PER_S;
}

int clock_gettime(clockid_t id, struct timespec *t)
{
	int r = (int)syscall(SYS_clock_gettime, id, t);

	if (!r && (id == CLOCK_BOOTTIME || id == CLOCK_MONOTONIC))
		shift(t, -lag());
	return r;
}

int timerfd_settime(int fd, int flags, const struct itimerspec *at, struct itimerspec *old)
{
	struct itimerspec k = *at;

	if ((flags & TFD_TIMER_ABSTIME) && (k.it_value.tv_sec || k.it_value.tv_nsec))
		shift(&k.it_value, lag());
	return (int)syscall(SYS_timerfd_settime, fd, flags, &k, old);
}

int pthread_cond_clockwait(pthread_cond_t *c, pthread_mutex_t *m, clockid_t id, const struct timespec *at)
{
	int (*real)(pthread_cond_t *, pthread_mutex_t *, clockid_t,
	            const struct timespec *) = dlsym(RTLD_NEXT, "pthread_cond_clockwait");
	struct timespec t = *at;

	if (id == CLOCK_MONOTONIC)
		shift(&t, lag());
	return real(c, m, id, &t);
}
