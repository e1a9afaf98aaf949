/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The event loop: see loop.h. One epoll set; timers in a list (a daemon has few), served by epoll_pwait2 with nanoseconds;
 * posts through a locked queue and an eventfd; signals through signalfds.
 *
 * Sources deleted while events are being handled are only marked, and freed when the round is over: an event that epoll
 * already returned may still point at them.
 */
#include "config.h"
#include "common/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <time.h>

#define EVENTS_PER_ROUND 64

struct loop_fd {
	struct loop *loop;
	struct loop_fd *next;  /* in loop->fds or loop->dead_fds */
	struct loop_fd **link; /* what points at us */
	int fd;                /* borrowed */
	void (*fn)(void *arg, int fd, uint32_t revents);
	void *arg;
	bool dead;
};

struct loop_timer {
	struct loop *loop;
	struct loop_timer *next;
	struct loop_timer **link;
	uint64_t at_ns; /* UINT64_MAX: disarmed */
	uint64_t round; /* armed in this round: not run before the next one */
	void (*fn)(void *arg);
	void *arg;
};

struct loop_post_item {
	struct loop_post_item *next;
	void (*fn)(void *arg);
	void *arg;
};

struct loop_signals {
	struct loop_signals *next;
	struct loop_fd *src;
	int fd; /* signalfd, owned */
	void (*fn)(void *arg, int sig);
	void *arg;
};

struct loop {
	int epoll_fd;
	int wake_fd; /* eventfd of posts */
	struct loop_fd *wake_src;
	struct loop_fd *fds, *dead_fds;
	struct loop_timer *timers;
	struct loop_signals *signals;
	uint64_t round;
	unsigned depth; /* rounds in progress: a handler may run the loop itself */
	bool quit;
	int value;
	pthread_mutex_t lock; /* posts */
	struct loop_post_item *posts, **posts_end;
};

uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void run_posts(void *arg, int fd, uint32_t revents)
{
	struct loop *l = arg;
	struct loop_post_item *it;
	uint64_t n;

	(void)revents;
	if (read(fd, &n, sizeof(n)) < 0 && errno != EAGAIN)
		return;
	pthread_mutex_lock(&l->lock);
	it = l->posts;
	l->posts = NULL;
	l->posts_end = &l->posts;
	pthread_mutex_unlock(&l->lock);
	while (it) {
		struct loop_post_item *next = it->next;

		it->fn(it->arg);
		free(it);
		it = next;
	}
}

struct loop *loop_new(void)
{
	struct loop *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return NULL;
	l->epoll_fd = l->wake_fd = -1;
	l->posts_end = &l->posts;
	pthread_mutex_init(&l->lock, NULL);
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll_fd < 0)
		goto fail;
	l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->wake_fd < 0)
		goto fail;
	l->wake_src = loop_add_fd(l, l->wake_fd, EPOLLIN, run_posts, l);
	if (!l->wake_src)
		goto fail;
	return l;
fail:
	r = errno;
	loop_free(l);
	errno = r;
	return NULL;
}

static void free_dead(struct loop *l)
{
	while (l->dead_fds) {
		struct loop_fd *s = l->dead_fds;

		l->dead_fds = s->next;
		free(s);
	}
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	while (l->signals) {
		struct loop_signals *s = l->signals;

		l->signals = s->next;
		loop_del_fd(s->src);
		close(s->fd);
		free(s);
	}
	while (l->timers)
		loop_del_timer(l->timers);
	l->depth = 0;
	while (l->fds)
		loop_del_fd(l->fds);
	free_dead(l);
	while (l->posts) {
		struct loop_post_item *it = l->posts;

		l->posts = it->next;
		free(it);
	}
	if (l->wake_fd >= 0)
		close(l->wake_fd);
	if (l->epoll_fd >= 0)
		close(l->epoll_fd);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

struct loop_fd *loop_add_fd(struct loop *l, int fd, uint32_t events, void (*fn)(void *arg, int fd, uint32_t revents),
                            void *arg)
{
	struct loop_fd *s = calloc(1, sizeof(*s));
	struct epoll_event ev = { .events = events };

	if (!s)
		return NULL;
	s->loop = l;
	s->fd = fd;
	s->fn = fn;
	s->arg = arg;
	ev.data.ptr = s;
	if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0) {
		free(s);
		return NULL;
	}
	s->next = l->fds;
	s->link = &l->fds;
	if (s->next)
		s->next->link = &s->next;
	l->fds = s;
	return s;
}

int loop_mod_fd(struct loop_fd *s, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = s };

	return epoll_ctl(s->loop->epoll_fd, EPOLL_CTL_MOD, s->fd, &ev) < 0 ? -errno : 0;
}

void loop_del_fd(struct loop_fd *s)
{
	struct loop *l;

	if (!s || s->dead)
		return;
	l = s->loop;
	epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, s->fd, NULL);
	*s->link = s->next;
	if (s->next)
		s->next->link = s->link;
	if (!l->depth) {
		free(s);
		return;
	}
	s->dead = true;
	s->next = l->dead_fds;
	l->dead_fds = s;
}

struct loop_timer *loop_add_timer(struct loop *l, void (*fn)(void *arg), void *arg)
{
	struct loop_timer *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->loop = l;
	t->at_ns = UINT64_MAX;
	t->fn = fn;
	t->arg = arg;
	t->next = l->timers;
	t->link = &l->timers;
	if (t->next)
		t->next->link = &t->next;
	l->timers = t;
	return t;
}

void loop_timer_at(struct loop_timer *t, uint64_t at_ns)
{
	t->at_ns = at_ns;
	t->round = t->loop->round;
}

void loop_timer_in(struct loop_timer *t, uint64_t delay_ns)
{
	uint64_t now = now_ns(), at;

	loop_timer_at(t, __builtin_add_overflow(now, delay_ns, &at) ? UINT64_MAX : at);
}

void loop_del_timer(struct loop_timer *t)
{
	if (!t)
		return;
	*t->link = t->next;
	if (t->next)
		t->next->link = t->link;
	free(t);
}

/* The earliest due timer that was armed before this round (one armed now waits a round, so descriptors are not starved). */
static struct loop_timer *due_timer(struct loop *l, uint64_t now)
{
	struct loop_timer *first = NULL;

	for (struct loop_timer *t = l->timers; t; t = t->next)
		if (t->at_ns <= now && t->round < l->round && (!first || t->at_ns < first->at_ns))
			first = t;
	return first;
}

static void run_timers(struct loop *l)
{
	uint64_t now = now_ns();
	struct loop_timer *t;

	/* handlers may delete any timer: look afresh each time */
	while (!l->quit && (t = due_timer(l, now))) {
		t->at_ns = UINT64_MAX;
		t->fn(t->arg);
	}
}

int loop_post(struct loop *l, void (*fn)(void *arg), void *arg)
{
	struct loop_post_item *it = malloc(sizeof(*it));
	uint64_t one = 1;

	if (!it)
		return -ENOMEM;
	*it = (struct loop_post_item){ .fn = fn, .arg = arg };
	pthread_mutex_lock(&l->lock);
	*l->posts_end = it;
	l->posts_end = &it->next;
	pthread_mutex_unlock(&l->lock);
	/* EAGAIN: the counter is full, so the loop will wake anyway */
	if (write(l->wake_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		return -errno;
	return 0;
}

static int wait_events(struct loop *l, struct epoll_event *ev, int timeout_ms)
{
	uint64_t first = UINT64_MAX, now;
	struct timespec ts, *tsp = NULL;

	for (struct loop_timer *t = l->timers; t; t = t->next)
		if (t->at_ns < first)
			first = t->at_ns;
	if (first != UINT64_MAX || timeout_ms >= 0) {
		uint64_t wait = UINT64_MAX;

		now = now_ns();
		if (first != UINT64_MAX)
			wait = first > now ? first - now : 0;
		if (timeout_ms >= 0 && wait > (uint64_t)timeout_ms * 1000000u)
			wait = (uint64_t)timeout_ms * 1000000u;
		ts = (struct timespec){ .tv_sec = (time_t)(wait / 1000000000u), .tv_nsec = (long)(wait % 1000000000u) };
		tsp = &ts;
	}
	return epoll_pwait2(l->epoll_fd, ev, EVENTS_PER_ROUND, tsp, NULL);
}

int loop_run_once(struct loop *l, int timeout_ms)
{
	struct epoll_event ev[EVENTS_PER_ROUND];
	int n;

	l->quit = false;
	n = wait_events(l, ev, timeout_ms);
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	l->round++;
	l->depth++;
	run_timers(l);
	for (int i = 0; i < n && !l->quit; i++) {
		struct loop_fd *s = ev[i].data.ptr;

		if (!s->dead)
			s->fn(s->arg, s->fd, ev[i].events);
	}
	if (!--l->depth)
		free_dead(l);
	return 0;
}

int loop_run(struct loop *l)
{
	do {
		int r = loop_run_once(l, -1);

		if (r < 0)
			return r;
	} while (!l->quit);
	return l->value;
}

void loop_quit(struct loop *l, int value)
{
	l->quit = true;
	l->value = value;
}

static void on_signal(void *arg, int fd, uint32_t revents)
{
	struct loop_signals *s = arg;
	struct signalfd_siginfo si;

	(void)revents;
	/* one per event: the handler may end the loop, level triggering brings us back for the rest */
	if (read(fd, &si, sizeof(si)) == sizeof(si))
		s->fn(s->arg, (int)si.ssi_signo);
}

int loop_add_signals(struct loop *l, const int *sigs, void (*fn)(void *arg, int sig), void *arg)
{
	struct loop_signals *s;
	sigset_t set;
	int r;

	sigemptyset(&set);
	for (; *sigs; sigs++)
		sigaddset(&set, *sigs);
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->fn = fn;
	s->arg = arg;
	s->fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->fd < 0) {
		r = -errno;
		free(s);
		return r;
	}
	s->src = loop_add_fd(l, s->fd, EPOLLIN, on_signal, s);
	if (!s->src) {
		r = -errno;
		close(s->fd);
		free(s);
		return r;
	}
	r = pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (r) {
		loop_del_fd(s->src);
		close(s->fd);
		free(s);
		return -r;
	}
	s->next = l->signals;
	l->signals = s;
	return 0;
}
