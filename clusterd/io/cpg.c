/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The loop's side of the connection to Corosync: see cpg.h. It calls nothing of Corosync's libraries, because a request to a Corosync that is
 * stopped, starts, or synchronizes a membership waits without limit (libqb's qb_ipcc_connect() and CS_IPC_TIMEOUT_MS): a thread does (ADR 79).
 */
#include "config.h"
#include "clusterd/io/cpg.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>
#include "clusterd/io/cpg_int.h"
#include "common/util.h"

#define LOOK_NS    NS_PER_S
#define STUCK_NS   (3 * NS_PER_S)
#define END_S      2
#define STUCK_TEXT "corosync does not answer: is it stopped? (systemctl status corosync)"

struct cpglink {
	struct loop *loop;
	const struct cpglink_ops *ops;
	void *arg;
	struct cpgshared *s;
	pthread_t thread;
	bool started;
	struct loop_fd *src;
	struct loop_timer *leave, *look;
	bool enabled, up, leaving; /* up: of the connection conn; leaving: that is to end in the loop's next round */
	uint64_t conn;
	bool stuck;              /* reported */
	char said[ERR_TEXT_MAX]; /* the thread's last word on its state */
};

/* Shared --------------------------------------------------------------------------------------------------------------- */

void cpgshared_wake(int fd)
{
	uint64_t one = 1;

	(void)!write(fd, &one, sizeof(one));
}

static void free_events(struct cpg_ev *ev)
{
	while (ev) {
		struct cpg_ev *next = ev->next;

		free(ev);
		ev = next;
	}
}

void cpgshared_free(struct cpgshared *s)
{
	if (!s)
		return;
	free_events(s->ev);
	while (s->out) {
		struct cpg_out *next = s->out->next;

		free(s->out);
		s->out = next;
	}
	if (s->to_loop >= 0)
		close(s->to_loop);
	if (s->to_thread >= 0)
		close(s->to_thread);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static struct cpgshared *shared_new(void)
{
	struct cpgshared *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	pthread_mutex_init(&s->lock, NULL);
	s->ev_end = &s->ev;
	s->out_end = &s->out;
	s->enabled = true;
	s->to_loop = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	s->to_thread = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (s->to_loop < 0 || s->to_thread < 0) {
		cpgshared_free(s);
		return NULL;
	}
	return s;
}

/* Events --------------------------------------------------------------------------------------------------------------- */

static void go_down(struct cpglink *c)
{
	c->leaving = false;
	if (!c->up)
		return;
	c->up = false;
	c->ops->quorate(c->arg, false);
	c->ops->view(c->arg, 0, NULL, 0);
}

static void on_leave(void *arg)
{
	struct cpglink *c = arg;

	if (c->leaving)
		go_down(c);
}

static void config(struct cpglink *c, const struct cpg_ev *ev)
{
	struct cpg_config cfg;
	struct err err = { 0 };
	int r;

	memcpy(&cfg, ev->data, sizeof(cfg));
	r = c->ops->config(c->arg, &cfg, &err);
	pthread_mutex_lock(&c->s->lock);
	c->s->answer_conn = ev->conn;
	c->s->answer = r;
	snprintf(c->s->answer_text, sizeof(c->s->answer_text), "%s", err.text);
	pthread_mutex_unlock(&c->s->lock);
	cpgshared_wake(c->s->to_thread);
}

static void view(struct cpglink *c, const struct cpg_ev *ev)
{
	uint32_t member[CLU_HOSTS_MAX];

	memcpy(member, ev->data, ev->n * sizeof(member[0]));
	c->ops->view(c->arg, ev->ring, member, ev->n);
}

static void say(struct cpglink *c, const char *text)
{
	c->stuck = false;
	snprintf(c->said, sizeof(c->said), "%s", text);
	c->ops->state(c->arg, text[0] ? text : NULL);
}

static void deliver(struct cpglink *c, const struct cpg_ev *ev)
{
	if (ev->kind == CPG_EV_UP && c->enabled) {
		go_down(c);
		c->up = true;
		c->conn = ev->conn;
		return;
	}
	if (ev->kind == CPG_EV_CONFIG && c->enabled)
		config(c, ev);
	if (ev->kind == CPG_EV_STATE)
		say(c, ev->len ? (const char *)ev->data : "");
	if (!c->up || ev->conn != c->conn)
		return;
	if (ev->kind == CPG_EV_DOWN)
		go_down(c);
	else if (c->leaving)
		return;
	else if (ev->kind == CPG_EV_VIEW)
		view(c, ev);
	else if (ev->kind == CPG_EV_MESSAGE)
		c->ops->message(c->arg, ev->node, ev->data, ev->len);
	else if (ev->kind == CPG_EV_QUORATE)
		c->ops->quorate(c->arg, ev->n != 0);
	else if (ev->kind == CPG_EV_BATCH_END)
		c->ops->batch_end(c->arg);
}

static void on_events(void *arg, int fd, uint32_t revents)
{
	struct cpglink *c = arg;
	struct cpgshared *s = c->s;
	struct cpg_ev *ev;
	uint64_t count;
	bool paused;

	(void)revents;
	(void)!read(fd, &count, sizeof(count));
	pthread_mutex_lock(&s->lock);
	ev = s->ev;
	s->ev = NULL;
	s->ev_end = &s->ev;
	s->ev_bytes = 0;
	paused = s->paused;
	s->paused = false;
	pthread_mutex_unlock(&s->lock);
	if (paused)
		cpgshared_wake(s->to_thread);
	for (const struct cpg_ev *e = ev; e; e = e->next)
		deliver(c, e);
	free_events(ev);
}

/* A thread that hangs says nothing itself. */
static void on_look(void *arg)
{
	struct cpglink *c = arg;
	uint64_t since;
	bool stuck;

	loop_timer_in(c->look, LOOK_NS);
	pthread_mutex_lock(&c->s->lock);
	since = c->s->busy_ns;
	pthread_mutex_unlock(&c->s->lock);
	stuck = since && now_ns() > since + STUCK_NS;
	if (stuck == c->stuck)
		return;
	c->stuck = stuck;
	c->ops->state(c->arg, stuck ? STUCK_TEXT : c->said[0] ? c->said : NULL);
}

/* Orders --------------------------------------------------------------------------------------------------------------- */

int cpglink_send(struct cpglink *c, const void *p, size_t len)
{
	struct cpg_out *w;
	bool full;

	if (!c->up || c->leaving)
		return -ENOTCONN;
	w = malloc(sizeof(*w) + len);
	if (!w)
		return -ENOBUFS;
	*w = (struct cpg_out){ .conn = c->conn, .len = len };
	memcpy(w->data, p, len);
	pthread_mutex_lock(&c->s->lock);
	full = len > CPG_QUEUE_MAX - c->s->out_bytes;
	if (!full) {
		*c->s->out_end = w;
		c->s->out_end = &w->next;
		c->s->out_bytes += len;
	}
	pthread_mutex_unlock(&c->s->lock);
	if (full) {
		free(w);
		return -ENOBUFS;
	}
	cpgshared_wake(c->s->to_thread);
	return 0;
}

static void leave(struct cpglink *c)
{
	if (!c->up)
		return;
	c->leaving = true;
	loop_timer_in(c->leave, 0);
}

void cpglink_enable(struct cpglink *c, bool on)
{
	if (c->enabled == on)
		return;
	c->enabled = on;
	if (!on)
		leave(c);
	pthread_mutex_lock(&c->s->lock);
	c->s->enabled = on;
	if (on)
		c->s->again = true;
	else /* however soon it is to be on again */
		c->s->leave_conn = UINT64_MAX;
	pthread_mutex_unlock(&c->s->lock);
	cpgshared_wake(c->s->to_thread);
}

void cpglink_again(struct cpglink *c)
{
	pthread_mutex_lock(&c->s->lock);
	c->s->again = true;
	pthread_mutex_unlock(&c->s->lock);
	cpgshared_wake(c->s->to_thread);
}

void cpglink_rejoin(struct cpglink *c)
{
	if (!c->up || c->leaving)
		return;
	leave(c);
	pthread_mutex_lock(&c->s->lock);
	if (c->s->leave_conn < c->conn)
		c->s->leave_conn = c->conn;
	pthread_mutex_unlock(&c->s->lock);
	cpgshared_wake(c->s->to_thread);
}

/* Life ----------------------------------------------------------------------------------------------------------------- */

static int start(struct cpglink *c)
{
	struct cpgthread *t = cpgthread_new(c->s);
	pthread_attr_t attr;
	sigset_t all, before;
	int rc;

	if (!t)
		return -ENOMEM;
	sigfillset(&all);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 4u << 20);  /* cpg_dispatch() has a buffer of 1 MiB there */
	pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the loop's */
	rc = pthread_create(&c->thread, &attr, cpgthread_run, t);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	if (rc) {
		cpgthread_free(t);
		return -rc;
	}
	pthread_setname_np(c->thread, "corosync");
	c->started = true;
	return 0;
}

struct cpglink *cpglink_new(struct loop *loop, const struct cpglink_ops *ops, void *arg)
{
	struct cpglink *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	*c = (struct cpglink){ .loop = loop, .ops = ops, .arg = arg, .enabled = true };
	c->s = shared_new();
	c->src = c->s ? loop_add_fd(loop, c->s->to_loop, EPOLLIN, on_events, c) : NULL;
	c->leave = loop_add_timer(loop, on_leave, c);
	c->look = loop_add_timer(loop, on_look, c);
	if (!c->src || !c->leave || !c->look || start(c) < 0) {
		cpglink_free(c);
		return NULL;
	}
	loop_timer_in(c->look, LOOK_NS);
	return c;
}

void cpglink_free(struct cpglink *c)
{
	struct timespec until;
	bool ended = true;

	if (!c)
		return;
	loop_del_fd(c->src);
	loop_del_timer(c->leave);
	loop_del_timer(c->look);
	if (c->started) {
		pthread_mutex_lock(&c->s->lock);
		c->s->orphan = true;
		pthread_mutex_unlock(&c->s->lock);
		cpgshared_wake(c->s->to_thread);
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += END_S;
		ended = pthread_timedjoin_np(c->thread, NULL, &until) == 0;
	}
	if (ended)
		cpgshared_free(c->s);
	else
		pthread_detach(c->thread); /* it hangs in Corosync's libraries: what it works on stays its own */
	free(c);
}
