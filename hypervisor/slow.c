/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See slow.h. */
#include "config.h"
#include "hypervisor/slow.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include "common/log.h"
#include "common/util.h"

#define QUICK_NS    (300 * NS_PER_MS)
#define STACK_BYTES (128u * 1024)

enum slow_state { SLOW_IDLE, SLOW_WORKS, SLOW_DONE };

struct slow {
	struct loop *loop;
	struct loop_timer *limit;
	pthread_t thread;
	bool started;
	/* main thread's */
	struct slow_job job;
	bool awaited; /* then() is due */
	bool held;    /* a job is under way, or its end was not looked at yet */
	/* under the lock */
	pthread_mutex_t lock;
	pthread_cond_t cond;
	enum slow_state state;
	bool committed, given_up, quit, post; /* post: the main loop does not wait in place any more */
	int ret;
	struct err err;
};

static void on_end(void *arg)
{
	struct slow *s = arg;
	bool awaited = s->awaited;

	pthread_mutex_lock(&s->lock);
	s->state = SLOW_IDLE;
	int r = s->ret;
	struct err err = s->err;
	pthread_mutex_unlock(&s->lock);
	s->held = s->awaited = false;
	loop_timer_at(s->limit, UINT64_MAX);
	if (awaited)
		s->job.then(s->job.arg, r, &err);
	else
		log_info("the storage has answered: a step that was given up has ended");
}

static void *worker(void *arg)
{
	struct slow *s = arg;

	pthread_mutex_lock(&s->lock);
	for (;;) {
		while (s->state != SLOW_WORKS && !s->quit)
			pthread_cond_wait(&s->cond, &s->lock);
		if (s->quit)
			break;
		struct err err = { 0 };
		pthread_mutex_unlock(&s->lock);
		int r = s->job.work(s->job.arg, &err);
		pthread_mutex_lock(&s->lock);
		s->ret = r;
		s->err = err;
		s->state = SLOW_DONE;
		pthread_cond_broadcast(&s->cond);
		if (s->post && loop_post(s->loop, on_end, s) < 0)
			log_error("out of memory: the end of a step goes unnoticed");
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

static void on_limit(void *arg)
{
	struct slow *s = arg;
	struct err err;

	if (!s->awaited || !slow_give_up(s))
		return;
	(void)err_set(&err, ETIMEDOUT, "the storage has not answered for %llu s",
	              (unsigned long long)(s->job.limit_ns / NS_PER_S));
	s->job.then(s->job.arg, -ETIMEDOUT, &err);
}

static int start(struct slow *s, struct err *err)
{
	pthread_attr_t attr;

	if (s->started)
		return 0;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	int r = pthread_create(&s->thread, &attr, worker, s);
	pthread_attr_destroy(&attr);
	if (r)
		return err_sys(err, r, "cannot start the thread that waits for storage");
	pthread_setname_np(s->thread, "storage");
	s->started = true;
	return 0;
}

int slow_run(struct slow *s, const struct slow_job *job, struct err *err)
{
	uint64_t at = now_ns() + QUICK_NS;
	struct timespec ts = { .tv_sec = (time_t)(at / NS_PER_S), .tv_nsec = (long)(at % NS_PER_S) };

	if (s->held)
		return err_set(err, EBUSY, "the storage has not answered an earlier order yet");
	int r = start(s, err);
	if (r < 0)
		return r;
	pthread_mutex_lock(&s->lock);
	s->job = *job;
	s->committed = s->given_up = s->post = false;
	s->state = SLOW_WORKS;
	pthread_cond_broadcast(&s->cond);
	while (s->state != SLOW_DONE && pthread_cond_clockwait(&s->cond, &s->lock, CLOCK_MONOTONIC, &ts) != ETIMEDOUT)
		;
	bool done = s->state == SLOW_DONE;
	if (done) {
		s->state = SLOW_IDLE;
		r = s->ret;
		if (r < 0 && err)
			*err = s->err;
	}
	s->post = !done;
	pthread_mutex_unlock(&s->lock);
	if (done)
		return r;
	s->held = s->awaited = true;
	if (job->limit_ns != UINT64_MAX)
		loop_timer_in(s->limit, job->limit_ns > QUICK_NS ? job->limit_ns - QUICK_NS : 0);
	return -EINPROGRESS;
}

bool slow_busy(const struct slow *s)
{
	return s->held;
}

bool slow_commit(struct slow *s)
{
	pthread_mutex_lock(&s->lock);
	s->committed = !s->given_up;
	bool ok = s->committed;
	pthread_mutex_unlock(&s->lock);
	return ok;
}

bool slow_give_up(struct slow *s)
{
	pthread_mutex_lock(&s->lock);
	s->given_up = s->awaited && !s->committed;
	bool ok = s->given_up;
	pthread_mutex_unlock(&s->lock);
	if (ok)
		s->awaited = false;
	return ok;
}

struct slow *slow_new(struct loop *loop)
{
	struct slow *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->loop = loop;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->cond, NULL);
	s->limit = loop_add_timer(loop, on_limit, s);
	if (!s->limit) {
		slow_free(s);
		return NULL;
	}
	return s;
}

void slow_free(struct slow *s)
{
	if (!s)
		return;
	if (s->started) {
		pthread_mutex_lock(&s->lock);
		s->quit = true;
		pthread_cond_broadcast(&s->cond);
		pthread_mutex_unlock(&s->lock);
		pthread_join(s->thread, NULL);
	}
	loop_del_timer(s->limit);
	pthread_cond_destroy(&s->cond);
	pthread_mutex_destroy(&s->lock);
	free(s);
}
