/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threads for calls that may block: in files, in hvdom, in migrated. Made when they are needed, VD_THREADS at most.
 * Calls that may take minutes get no more than VD_THREADS_LONG of them, so that short ones are always served. What is
 * done goes back to the loop by an eventfd.
 */
#include "config.h"
#include "virtd/virtd_int.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>

#define STACK_BYTES (1u << 20)
#define END_S       5

struct queue {
	struct vd_call *first, **end;
};

struct vd_pool {
	struct loop_fd *src;
	int fd; /* eventfd, owned */
	void (*finished)(struct vd_call *c);
	pthread_mutex_t lock; /* all below */
	pthread_cond_t work;
	struct queue quick, slow, done;
	pthread_t thread[VD_THREADS];
	unsigned n, n_slow;   /* threads; those with a long call */
	unsigned idle, woken; /* those that wait; those that shall get up, which idle counts no more */
	bool end;
};

static void put(struct queue *q, struct vd_call *c)
{
	c->next = NULL;
	*q->end = c;
	q->end = &c->next;
}

static struct vd_call *get(struct queue *q)
{
	struct vd_call *c = q->first;

	if (!c)
		return NULL;
	q->first = c->next;
	if (!q->first)
		q->end = &q->first;
	return c;
}

static bool there_is_work(const struct vd_pool *p)
{
	return p->quick.first || (p->slow.first && p->n_slow < VD_THREADS_LONG);
}

/* Under the lock: the thread that gives back waits for more before the loop has read this. */
static void give_back(struct vd_pool *p, struct vd_call *c)
{
	const uint64_t one = 1;

	if (!p->done.first)
		(void)!write(p->fd, &one, sizeof(one));
	put(&p->done, c);
}

/* The next call; NULL: the pool ends. */
static struct vd_call *take(struct vd_pool *p, bool *ret_slow)
{
	struct vd_call *c;

	for (*ret_slow = false; !p->end; p->woken -= p->woken > 0) {
		if ((c = get(&p->quick)))
			return c;
		if (p->n_slow < VD_THREADS_LONG && (c = get(&p->slow))) {
			*ret_slow = true;
			p->n_slow++;
			return c;
		}
		p->idle++;
		while (!p->woken && !p->end)
			pthread_cond_wait(&p->work, &p->lock);
	}
	return NULL;
}

static void *serve(void *arg)
{
	struct vd_pool *p = arg;
	struct vd_call *c;
	bool slow;

	pthread_mutex_lock(&p->lock);
	while ((c = take(p, &slow))) {
		pthread_mutex_unlock(&p->lock);
		if (c->fn(c) < 0 && !c->code)
			(void)vd_fail(c, VD_E_INTERNAL, "%s failed", c->proc->name);
		pthread_mutex_lock(&p->lock);
		p->n_slow -= slow;
		give_back(p, c);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

static void on_done(void *arg, int fd, uint32_t revents)
{
	struct vd_pool *p = arg;
	struct vd_call *c;
	uint64_t n;

	(void)revents;
	(void)!read(fd, &n, sizeof(n));
	for (;;) {
		pthread_mutex_lock(&p->lock);
		c = get(&p->done);
		pthread_mutex_unlock(&p->lock);
		if (!c)
			return;
		p->finished(c);
	}
}

struct vd_pool *vd_pool_new(struct loop *loop, void (*finished)(struct vd_call *c))
{
	struct vd_pool *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->finished = finished;
	p->quick.end = &p->quick.first;
	p->slow.end = &p->slow.first;
	p->done.end = &p->done.first;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->work, NULL);
	p->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->fd >= 0)
		p->src = loop_add_fd(loop, p->fd, EPOLLIN, on_done, p);
	if (!p->src) {
		(void)!vd_pool_free(p);
		return NULL;
	}
	return p;
}

/* Another thread. Without one the calls wait for those that there are; without any the call fails. */
static bool grow(struct vd_pool *p)
{
	pthread_attr_t attr;
	int r;

	if (p->n == VD_THREADS)
		return true;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	r = pthread_create(&p->thread[p->n], &attr, serve, p);
	pthread_attr_destroy(&attr);
	if (!r)
		p->n++;
	return p->n > 0;
}

void vd_pool_run(struct vd_pool *p, struct vd_call *c)
{
	struct queue *q = c->proc->flags & VD_LONG ? &p->slow : &p->quick;
	bool wake;

	pthread_mutex_lock(&p->lock);
	put(q, c);
	/* one thread for it, or none if that would be a long call too many: who ends one looks for more */
	wake = p->idle && there_is_work(p);
	if (wake) {
		p->idle--;
		p->woken++;
	} else if (there_is_work(p) && !grow(p)) {
		(void)get(q); /* the only one */
		(void)vd_fail(c, VD_E_MEMORY, "no thread for %s", c->proc->name);
		give_back(p, c);
	}
	pthread_mutex_unlock(&p->lock);
	if (wake)
		pthread_cond_signal(&p->work);
}

bool vd_pool_free(struct vd_pool *p)
{
	struct timespec until;
	bool all = true;
	struct vd_call *c;

	if (!p)
		return true;
	pthread_mutex_lock(&p->lock);
	p->end = true;
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += END_S;
	for (unsigned i = 0; i < p->n; i++)
		if (pthread_timedjoin_np(p->thread[i], NULL, &until))
			all = false;
	if (!all)
		return false; /* it hangs in storage: its memory stays */
	while ((c = get(&p->quick)) || (c = get(&p->slow)) || (c = get(&p->done)))
		vd_call_free(c);
	loop_del_fd(p->src);
	if (p->fd >= 0)
		close(p->fd);
	pthread_cond_destroy(&p->work);
	pthread_mutex_destroy(&p->lock);
	free(p);
	return true;
}
