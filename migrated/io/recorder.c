/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The journal's thread: see recorder.h. `lock` covers the list of jobs and their `over`; a job belongs to the thread until it is
 * over, but for `done` and `forgotten`, which are the loop's.
 */
#include "config.h"
#include "migrated/io/recorder.h"
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>
#include "common/fault.h"
#include "common/util.h"

#define END_S 2 /* how long recorder_free() waits for the disk */

enum kind { APPEND, FORGET, STORE };

struct job {
	struct job *next;
	enum kind kind;
	struct journal_rec rec;
	char *path; /* STORE */
	void *data;
	size_t len;
	recorded_fn *done; /* NULL: nobody waits */
	void *arg;
	bool forgotten; /* APPEND: a FORGET comes after it */
	bool over;
	int status;
	struct err err;
};

/* One session that may have a file. */
struct entry {
	struct entry *next;
	struct journal_rec rec; /* what is durable; rec 0 and not `bad`: nothing yet */
	bool bad;               /* its file cannot be read */
};

struct recorder {
	char *dir;
	struct entry *entries; /* loop's thread */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct job *first, **last; /* in the order given; the loop takes those off that are over */
	struct job *at;            /* the thread's next; NULL: none */
	unsigned n;                /* loop's thread */
	uint64_t since_ns;         /* the thread is at work; 0: it waits */
	bool quit;
	int over_fd; /* eventfd: the thread tells the loop */
	struct loop_fd *over_src;
};

/* The thread ----------------------------------------------------------------------------------------------------------- */

static int store(const struct job *j, struct err *err)
{
	_cleanup_free_ char *dir = strdup(j->path);
	char *slash = dir ? strrchr(dir, '/') : NULL;
	int r = dir ? 0 : -ENOMEM;

	if (slash) {
		*slash = 0;
		r = mkdir_p(dir, 0700);
	}
	if (r == 0)
		r = file_write_atomic(j->path, j->data, j->len, 0600);
	return r < 0 ? err_sys(err, r, "write %s", j->path) : 0;
}

static void do_job(const struct recorder *r, struct job *j)
{
	switch (j->kind) {
	case APPEND:
		(void)fault_point("disk", "journal", journal_rec_name(j->rec.rec), "", 0);
		j->status = journal_append(r->dir, &j->rec, &j->err);
		break;
	case FORGET:
		journal_forget(r->dir, j->rec.session);
		break;
	case STORE:
		j->status = store(j, &j->err);
		break;
	}
}

static void *run(void *arg)
{
	static const struct sched_param first = { .sched_priority = 1 };
	struct recorder *r = arg;

	/* a stopped guest waits for two of its records, and it does little: before all that computes. Refused: it takes its turn */
	sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &first);
	pthread_mutex_lock(&r->lock);
	for (;;) {
		while (!r->at && !r->quit)
			pthread_cond_wait(&r->wake, &r->lock);
		struct job *j = r->at;
		if (!j)
			break;
		r->since_ns = now_ns();
		pthread_mutex_unlock(&r->lock);
		do_job(r, j);
		pthread_mutex_lock(&r->lock);
		r->since_ns = 0;
		r->at = j->next;
		j->over = true;
		(void)eventfd_write(r->over_fd, 1);
	}
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

/* The loop's thread ---------------------------------------------------------------------------------------------------- */

static void job_free(struct job *j)
{
	if (!j)
		return;
	free(j->path);
	free(j->data);
	free(j);
}

static struct entry *entry_of(const struct recorder *r, uint64_t session)
{
	for (struct entry *e = r->entries; e; e = e->next)
		if (e->rec.session == session)
			return e;
	return NULL;
}

static struct entry *entry_new(struct recorder *r, uint64_t session)
{
	struct entry *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->rec.session = session;
	e->next = r->entries;
	r->entries = e;
	return e;
}

static struct job *take_over(struct recorder *r)
{
	pthread_mutex_lock(&r->lock);
	struct job *j = r->first;
	if (j && j->over) {
		r->first = j->next;
		if (!r->first)
			r->last = &r->first;
	} else {
		j = NULL;
	}
	pthread_mutex_unlock(&r->lock);
	return j;
}

static void on_over(void *arg, int fd, uint32_t revents)
{
	struct recorder *r = arg;
	eventfd_t n;

	(void)revents;
	eventfd_read(fd, &n);
	for (struct job *j; (j = take_over(r));) {
		struct entry *e = j->kind == APPEND && !j->forgotten ? entry_of(r, j->rec.session) : NULL;

		r->n--;
		if (e && j->status == 0) {
			e->rec = j->rec;
			e->bad = false;
		}
		if (j->done)
			j->done(j->arg, j->rec.rec, j->status, &j->err);
		job_free(j);
	}
}

static void give(struct recorder *r, struct job *j)
{
	r->n++;
	pthread_mutex_lock(&r->lock);
	*r->last = j;
	r->last = &j->next;
	if (!r->at)
		r->at = j;
	pthread_cond_signal(&r->wake);
	pthread_mutex_unlock(&r->lock);
}

int recorder_append(struct recorder *r, const struct journal_rec *rec, recorded_fn *done, void *arg)
{
	struct job *j = r->n < RECORDER_JOBS_MAX ? calloc(1, sizeof(*j)) : NULL;

	if (!j)
		return r->n < RECORDER_JOBS_MAX ? -ENOMEM : -ENOBUFS;
	if (!entry_of(r, rec->session) && !entry_new(r, rec->session)) {
		free(j);
		return -ENOMEM;
	}
	j->kind = APPEND, j->rec = *rec, j->done = done, j->arg = arg;
	j->rec.wall_s = (uint64_t)time(NULL);
	give(r, j);
	return 0;
}

void recorder_forget(struct recorder *r, uint64_t session)
{
	struct job *j;

	for (struct entry **p = &r->entries; *p; p = &(*p)->next) {
		struct entry *e = *p;
		if (e->rec.session != session)
			continue;
		j = calloc(1, sizeof(*j));
		if (!j)
			return; /* it stays known, as its file does */
		*p = e->next;
		free(e);
		pthread_mutex_lock(&r->lock);
		for (struct job *k = r->first; k; k = k->next)
			if (k->kind == APPEND && k->rec.session == session)
				k->forgotten = true;
		pthread_mutex_unlock(&r->lock);
		j->kind = FORGET, j->rec.session = session;
		give(r, j);
		return;
	}
}

int recorder_store(struct recorder *r, const char *path, const void *data, size_t len, recorded_fn *done, void *arg)
{
	struct job *j = r->n < RECORDER_JOBS_MAX ? calloc(1, sizeof(*j)) : NULL;

	if (!j)
		return r->n < RECORDER_JOBS_MAX ? -ENOMEM : -ENOBUFS;
	j->path = strdup(path);
	j->data = malloc(len + 1);
	if (!j->path || !j->data) {
		job_free(j);
		return -ENOMEM;
	}
	memcpy(j->data, data, len);
	j->kind = STORE, j->len = len, j->done = done, j->arg = arg;
	give(r, j);
	return 0;
}

void recorder_drop(struct recorder *r, const void *arg)
{
	if (!r)
		return;
	pthread_mutex_lock(&r->lock);
	for (struct job *j = r->first; j; j = j->next)
		if (j->arg == arg)
			j->done = NULL;
	pthread_mutex_unlock(&r->lock);
}

const struct journal_rec *recorder_find(const struct recorder *r, uint64_t session)
{
	const struct entry *e = entry_of(r, session);

	return e && (e->rec.rec || e->bad) ? &e->rec : NULL;
}

static const struct journal_rec *oldest_gone(const struct recorder *r, const char *peer, unsigned *ret_n)
{
	const struct journal_rec *oldest = NULL;

	*ret_n = 0;
	for (const struct entry *e = r->entries; e; e = e->next) {
		if (e->rec.rec != MIG_REC_GONE || strcmp(e->rec.peer, peer))
			continue;
		++*ret_n;
		if (!oldest || e->rec.wall_s <= oldest->wall_s) /* of one second: older ones stand further down */
			oldest = &e->rec;
	}
	return oldest;
}

bool recorder_gone_room(struct recorder *r, const char *peer, uint64_t wall_s)
{
	const struct journal_rec *old;
	unsigned n;

	while ((old = oldest_gone(r, peer, &n))) {
		if (wall_s <= old->wall_s + (n >= RECORDER_GONE_MAX ? RECORDER_SPARE_S : RECORDER_KEEP_S))
			return n < RECORDER_GONE_MAX;
		unsigned before = n;
		recorder_forget(r, old->session);
		if (oldest_gone(r, peer, &n) && n == before)
			return false; /* out of memory */
	}
	return true;
}

int recorder_each(const struct recorder *r, void (*fn)(void *arg, const struct journal_rec *rec), void *arg)
{
	size_t n = 0;

	for (const struct entry *e = r->entries; e; e = e->next)
		n++;
	_cleanup_free_ struct journal_rec *copy = calloc(n + 1, sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	n = 0;
	for (const struct entry *e = r->entries; e; e = e->next)
		if (e->rec.rec)
			copy[n++] = e->rec;
	for (size_t i = 0; i < n; i++)
		fn(arg, &copy[i]);
	return 0;
}

uint64_t recorder_late_ns(struct recorder *r)
{
	uint64_t now = now_ns(), since;

	pthread_mutex_lock(&r->lock);
	since = r->since_ns;
	pthread_mutex_unlock(&r->lock);
	return since && now > since ? now - since : 0;
}

int recorder_hangs(struct recorder *r, struct err *err)
{
	uint64_t late = recorder_late_ns(r);

	if (late < RECORDER_LATE_NS)
		return 0;
	return err_set(err, EIO, "the disk under %s has not answered for %llu s", r->dir,
	               (unsigned long long)(late / NS_PER_S));
}

static void scanned(void *arg, const struct journal_rec *rec)
{
	struct recorder *r = arg;
	struct entry *e = entry_new(r, rec->session);

	if (!e)
		return;
	e->rec = *rec;
	e->bad = !rec->rec;
}

static void done(struct recorder *r)
{
	while (r->first) {
		struct job *j = r->first;
		r->first = j->next;
		job_free(j);
	}
	while (r->entries) {
		struct entry *e = r->entries;
		r->entries = e->next;
		free(e);
	}
	loop_del_fd(r->over_src);
	if (r->over_fd >= 0)
		close(r->over_fd);
	pthread_cond_destroy(&r->wake);
	pthread_mutex_destroy(&r->lock);
	free(r->dir);
	free(r);
}

struct recorder *recorder_new(struct loop *loop, const char *dir, struct err *err)
{
	struct recorder *r = calloc(1, sizeof(*r));
	sigset_t all, before;
	int e;

	if (!r) {
		(void)err_sys(err, ENOMEM, "journal %s", dir);
		return NULL;
	}
	r->last = &r->first;
	r->dir = xasprintf("%s", dir);
	r->over_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r->over_src = r->over_fd < 0 ? NULL : loop_add_fd(loop, r->over_fd, EPOLLIN, on_over, r);
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->wake, NULL);
	if (!r->over_src)
		(void)err_sys(err, errno ? errno : ENOMEM, "journal %s", dir);
	if (!r->over_src || journal_scan(dir, scanned, r, err) < 0) {
		done(r);
		return NULL;
	}
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the loop's */
	e = pthread_create(&r->thread, NULL, run, r);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (e) {
		(void)err_sys(err, e, "thread for the journal");
		done(r);
		return NULL;
	}
	return r;
}

void recorder_free(struct recorder *r)
{
	struct timespec until;

	if (!r)
		return;
	pthread_mutex_lock(&r->lock);
	r->quit = true;
	pthread_cond_signal(&r->wake);
	pthread_mutex_unlock(&r->lock);
	loop_del_fd(r->over_src);
	r->over_src = NULL;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += END_S;
	if (pthread_timedjoin_np(r->thread, NULL, &until) == 0)
		done(r);
	else
		pthread_detach(r->thread); /* it hangs in the disk: what it works on stays its own */
}
