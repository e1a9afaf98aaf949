/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The log: see log.h. Each record is one write(2), so that records of several processes on one file do not mix. `lock` covers the ring;
 * the thread copies a record out of it and writes without it.
 */
#include "config.h"
#include "common/log.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "common/loop.h"

#define LINE_MAX_BYTES 1024u
#define STACK_BYTES    65536u /* the guard locks its memory */

static const char *const level_names[] = { "error", "warn", "info", "debug" };

/* The name is written once, before threads start; only the level changes later. */
static char log_name[32] = "hospes";
static bool to_journal; /* journald has time and name by itself */
static atomic_int log_level = LOG_LEVEL_INFO;

/* Records as a length (two octets) and the line. `given` and `taken` count octets from the start: their difference is in the ring. */
static struct {
	pid_t pid; /* whose thread it is; 0: none. Children of fork() are others */
	pthread_mutex_t lock;
	pthread_cond_t wake;
	uint64_t given, taken;
	_Atomic uint64_t written; /* up to here it is out, or nobody wanted it */
	_Atomic uint64_t wanted;  /* a copy of `given`, for a signal handler */
	uint64_t lost;
	char at[LOG_RING_BYTES];
} ring = { .lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER };

/* systemd says in JOURNAL_STREAM which stream is the journal's; a child may have another one. */
static bool stderr_is_journal(void)
{
	const char *text = secure_getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	return text && sscanf(text, "%llu:%llu", &dev, &ino) == 2 && fstat(STDERR_FILENO, &st) == 0 &&
	       st.st_dev == dev && st.st_ino == ino;
}

void log_init(const char *name, enum log_level level)
{
	to_journal = stderr_is_journal();
	snprintf(log_name, sizeof(log_name), "%s", name);
	atomic_store(&log_level, (int)level);
}

void log_level_set(enum log_level level)
{
	atomic_store(&log_level, (int)level);
}

enum log_level log_level_get(void)
{
	return (enum log_level)atomic_load(&log_level);
}

int log_level_parse(const char *text, enum log_level *ret_level)
{
	for (size_t i = 0; i < ARRAY_SIZE(level_names); i++) {
		if (!strcmp(text, level_names[i])) {
			*ret_level = (enum log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

/* One line with its end; returns its length. */
static size_t line_of(char line[LINE_MAX_BYTES], enum log_level level, const char *fmt, va_list ap)
{
	static const int priority[] = { 3, 4, 6, 7 }; /* syslog(3)'s */
	uint64_t now = now_ns();
	int n = to_journal ? snprintf(line, LINE_MAX_BYTES, "<%d>", priority[level])
	                   : snprintf(line, LINE_MAX_BYTES, "%-5s %" PRIu64 ".%06u %s: ", level_names[level],
	                              now / 1000000000u, (unsigned)(now % 1000000000u / 1000u), log_name);
	int m = vsnprintf(line + n, LINE_MAX_BYTES - (size_t)n - 1, fmt, ap);

	n += m < 0 ? 0 : m;
	if (n > (int)LINE_MAX_BYTES - 2)
		n = (int)LINE_MAX_BYTES - 2;
	for (int i = 0; i < n; i++)
		if ((unsigned char)line[i] < 0x20)
			line[i] = ' ';
	line[n++] = '\n';
	return (size_t)n;
}

static size_t line_fmt(char line[LINE_MAX_BYTES], enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static size_t line_fmt(char line[LINE_MAX_BYTES], enum log_level level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	size_t n = line_of(line, level, fmt, ap);
	va_end(ap);
	return n;
}

/* By who logs. A journal that hangs with its disk is no reason to hang with it: what it does not take is left out. */
static void write_now(const char *line, size_t n)
{
	if (send(STDERR_FILENO, line, n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno == ENOTSOCK &&
	    write(STDERR_FILENO, line, n) < 0) {
		/* nowhere left to say it */
	}
}

/* By the thread, which may wait. */
static void write_out(const char *line, size_t n)
{
	struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };

	while (send(STDERR_FILENO, line, n, MSG_NOSIGNAL) < 0) {
		if (errno == ENOTSOCK && write(STDERR_FILENO, line, n) >= 0)
			return;
		if (errno == EAGAIN)
			poll(&p, 1, 1000);
		else if (errno != EINTR)
			return; /* nowhere left to say it */
	}
}

/* The ring: `lock` is held ---------------------------------------------------------------------------------------------- */

static void copy_in(const void *p, size_t n)
{
	size_t at = (size_t)(ring.given % LOG_RING_BYTES), first = LOG_RING_BYTES - at < n ? LOG_RING_BYTES - at : n;

	memcpy(ring.at + at, p, first);
	memcpy(ring.at, (const char *)p + first, n - first);
	ring.given += n;
}

static void copy_out(void *p, size_t n)
{
	size_t at = (size_t)(ring.taken % LOG_RING_BYTES), first = LOG_RING_BYTES - at < n ? LOG_RING_BYTES - at : n;

	memcpy(p, ring.at + at, first);
	memcpy((char *)p + first, ring.at, n - first);
	ring.taken += n;
}

static bool put(const char *line, size_t n, size_t more)
{
	uint16_t len = (uint16_t)n;

	if (LOG_RING_BYTES - (ring.given - ring.taken) < sizeof(len) + n + more)
		return false;
	copy_in(&len, sizeof(len));
	copy_in(line, n);
	atomic_store(&ring.wanted, ring.given);
	return true;
}

/* Where lines are missing it is said how many, before the next one. @more: room that must be left. */
static bool put_lost(size_t more)
{
	char line[LINE_MAX_BYTES];

	if (!ring.lost)
		return true;
	size_t n = line_fmt(line, LOG_LEVEL_WARN, "%" PRIu64 " lines are missing here: nobody took the log in time",
	                    ring.lost);
	if (!put(line, n, more))
		return false;
	ring.lost = 0;
	return true;
}

static void give(const char *line, size_t n)
{
	pthread_mutex_lock(&ring.lock);
	if (!put_lost(n + sizeof(uint16_t)) || !put(line, n, 0))
		ring.lost++;
	pthread_cond_signal(&ring.wake);
	pthread_mutex_unlock(&ring.lock);
}

static void *run(void *arg)
{
	char line[LINE_MAX_BYTES];
	uint16_t len;

	(void)arg;
	pthread_mutex_lock(&ring.lock);
	for (;;) {
		if (ring.given == ring.taken)
			(void)put_lost(0);
		while (ring.given == ring.taken)
			pthread_cond_wait(&ring.wake, &ring.lock);
		copy_out(&len, sizeof(len));
		copy_out(line, len);
		uint64_t upto = ring.taken;
		pthread_mutex_unlock(&ring.lock);
		write_out(line, len);
		atomic_store(&ring.written, upto);
		pthread_mutex_lock(&ring.lock);
	}
	return NULL;
}

/* The end --------------------------------------------------------------------------------------------------------------- */

/* Takes no lock: a signal handler may call it. */
bool log_flush(int ms)
{
	static const struct timespec moment = { .tv_nsec = 1000000 };
	uint64_t upto = atomic_load(&ring.wanted), end = now_ns() + (uint64_t)ms * 1000000u;

	if (!ring.pid || ring.pid != getpid())
		return true;
	while (atomic_load(&ring.written) < upto && now_ns() < end)
		nanosleep(&moment, NULL);
	return atomic_load(&ring.written) >= upto;
}

static void at_exit(void)
{
	(void)log_flush(LOG_FLUSH_MS);
}

/* The last words are worth a moment; then the signal does what it does. */
static void on_fatal(int sig)
{
	(void)log_flush(LOG_FLUSH_MS);
	raise(sig); /* SA_RESETHAND: it is pending until this returns */
}

static void catch_fatal(void)
{
	static const int sigs[] = { SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE };
	struct sigaction sa = { .sa_handler = on_fatal, .sa_flags = (int)SA_RESETHAND }, old;

	for (size_t i = 0; i < ARRAY_SIZE(sigs); i++)
		if (sigaction(sigs[i], NULL, &old) == 0 && old.sa_handler == SIG_DFL) /* a sanitizer's stays */
			sigaction(sigs[i], &sa, NULL);
}

void log_async(void)
{
	pthread_mutexattr_t mutex;
	pthread_attr_t attr;
	pthread_t t;
	sigset_t all, before;

	if (ring.pid || pthread_attr_init(&attr))
		return;
	/* who logs may have real-time priority, and the thread none: it must not be put aside with the lock */
	if (!pthread_mutexattr_init(&mutex)) {
		if (!pthread_mutexattr_setprotocol(&mutex, PTHREAD_PRIO_INHERIT))
			pthread_mutex_init(&ring.lock, &mutex);
		pthread_mutexattr_destroy(&mutex);
	}
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int r = pthread_create(&t, &attr, run, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	if (r)
		return;
	ring.pid = getpid();
	(void)atexit(at_exit);
	catch_fatal();
}

void log_write(enum log_level level, const char *fmt, ...)
{
	int saved = errno;
	char line[LINE_MAX_BYTES];
	va_list ap;

	if ((int)level > atomic_load_explicit(&log_level, memory_order_relaxed))
		return;
	va_start(ap, fmt);
	size_t n = line_of(line, level, fmt, ap);
	va_end(ap);
	if (ring.pid && ring.pid == getpid())
		give(line, n);
	else
		write_now(line, n);
	errno = saved;
}
