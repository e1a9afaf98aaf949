/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The disk's own thread: see storer.h. `lock` covers the job's state; what a job works on belongs to the thread until it is over. */
#include "config.h"
#include "clusterd/io/storer.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "common/util.h"

#define END_S 2 /* how long storer_free() waits for a job */

enum job { NONE, OPEN, WRITE, QUIT };

struct storer {
	struct loop *loop;
	const struct storer_ops *ops;
	void *arg;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	enum job job;        /* under `lock` */
	bool orphan;         /* under `lock`: nobody listens any more */
	uint64_t since_ns;   /* loop's thread; 0: idle */
	bool was_write;      /* loop's thread */
	struct store *store; /* the loop's while idle */
	bool open;           /* loop's thread: `store` may be noted to */
	/* of the job */
	char *path, *cluster;
	uint32_t node[CLU_HOSTS_MAX], n_nodes;
	char name[CLU_HOSTS_MAX][CLU_NAME_MAX];
	struct store_image *img;
	struct store_batch *batch;
	int status;
	struct err err;
};

void store_image_free(struct store_image *img)
{
	if (!img)
		return;
	for (size_t i = 0; i < img->n_text; i++)
		free(img->text[i].xml);
	free(img->text);
	if (img->s)
		free(img->s->dom);
	free(img->s);
	eventlist_free(img->events);
	free(img);
}

/* The thread ----------------------------------------------------------------------------------------------------------- */

static int take_text(void *arg, uint64_t id, const char *xml, size_t len)
{
	struct store_image *img = arg;
	char *copy = malloc(len + 1);

	if (img->n_text == img->cap_text) {
		size_t cap = img->cap_text ? img->cap_text * 2 : 64;
		struct store_image_text *t = reallocarray(img->text, cap, sizeof(*t));

		if (t) {
			img->text = t;
			img->cap_text = cap;
		}
	}
	if (!copy || img->n_text == img->cap_text) {
		free(copy);
		return -ENOMEM;
	}
	memcpy(copy, xml, len);
	copy[len] = 0;
	img->text[img->n_text++] = (struct store_image_text){ .id = id, .xml = copy, .len = len };
	return 0;
}

static void take_event(void *arg, const struct store_event *ev)
{
	eventlist_add(arg, ev);
}

/* Nothing but the nodes. */
static void forget(struct storer *st)
{
	struct store_image *img = st->img;
	struct clu_dom *dom = img->s->dom;

	memset(dom, 0, CLU_DOMS_MAX * sizeof(*dom));
	clu_state_init(img->s, dom, CLU_DOMS_MAX);
	clu_nodes_set(img->s, st->node, st->name, st->n_nodes);
	while (img->n_text)
		free(img->text[--img->n_text].xml);
}

static int do_open(struct storer *st)
{
	struct store_image *img = st->img;
	char *slash = strrchr(st->path, '/');
	int r;

	store_close(st->store);
	st->store = NULL;
	*slash = 0;
	r = mkdir_p(st->path, 0700);
	if (r < 0)
		return err_sys(&st->err, r, "create %s", st->path);
	*slash = '/';
	r = store_open(st->path, st->cluster, &st->store, img->aside, &st->err);
	if (r == 0)
		r = store_load(st->store, img->s, take_text, img, &st->err);
	if (r == -EILSEQ) {
		snprintf(img->bad, sizeof(img->bad), "%s", st->err.text);
		r = store_discard(st->store, img->aside, &st->err);
		forget(st);
	}
	if (r == 0)
		r = store_events(st->store, 0, 0, STORE_EVENTS_MAX, take_event, img->events, &st->err);
	return r;
}

static void on_over(void *arg);

static void *run(void *arg)
{
	struct storer *st = arg;
	enum job job;

	pthread_mutex_lock(&st->lock);
	for (;;) {
		while (st->job == NONE)
			pthread_cond_wait(&st->wake, &st->lock);
		job = st->job;
		if (job == QUIT)
			break;
		pthread_mutex_unlock(&st->lock);
		st->err = (struct err){ 0 };
		st->status = job == OPEN ? do_open(st) : store_write(st->store, st->batch, &st->err);
		if (st->status < 0 && job == OPEN) { /* after a write events may be noted to it still */
			store_close(st->store);
			st->store = NULL;
		}
		pthread_mutex_lock(&st->lock);
		if (st->job != QUIT)
			st->job = NONE;
		while (!st->orphan && loop_post(st->loop, on_over, st) < 0) {
			static const struct timespec moment = { .tv_nsec = 10000000 };

			pthread_mutex_unlock(&st->lock);
			nanosleep(&moment, NULL);
			pthread_mutex_lock(&st->lock);
		}
	}
	pthread_mutex_unlock(&st->lock);
	return NULL;
}

/* The loop's thread ---------------------------------------------------------------------------------------------------- */

static void on_over(void *arg)
{
	struct storer *st = arg;
	struct store_image *img = st->img;

	st->since_ns = 0;
	st->open = st->status == 0;
	store_batch_free(st->batch);
	st->batch = NULL;
	st->img = NULL;
	if (st->was_write) {
		st->ops->written(st->arg, st->status, &st->err);
		return;
	}
	if (st->status < 0) {
		store_image_free(img);
		img = NULL;
	}
	st->ops->opened(st->arg, img, &st->err);
}

static void give(struct storer *st, enum job job)
{
	st->since_ns = boot_ns();
	st->was_write = job == WRITE;
	pthread_mutex_lock(&st->lock);
	st->job = job;
	pthread_cond_signal(&st->wake);
	pthread_mutex_unlock(&st->lock);
}

uint64_t storer_busy_ns(const struct storer *st)
{
	return st->since_ns;
}

int storer_open(struct storer *st, const char *path, const char *cluster, const uint32_t *node,
                char (*name)[CLU_NAME_MAX], uint32_t n_nodes)
{
	struct store_image *img;

	if (st->since_ns)
		return -EBUSY;
	img = calloc(1, sizeof(*img));
	if (!img)
		return -ENOMEM;
	free(st->path);
	free(st->cluster);
	st->path = strdup(path);
	st->cluster = strdup(cluster);
	img->s = calloc(1, sizeof(*img->s));
	img->events = eventlist_new();
	if (img->s)
		img->s->dom = calloc(CLU_DOMS_MAX, sizeof(img->s->dom[0]));
	if (!st->path || !st->cluster || !img->s || !img->s->dom || !img->events) {
		store_image_free(img);
		return -ENOMEM;
	}
	memcpy(st->node, node, n_nodes * sizeof(*node));
	memcpy(st->name, name, n_nodes * sizeof(*name));
	st->n_nodes = n_nodes;
	st->img = img;
	forget(st);
	st->open = false;
	give(st, OPEN);
	return 0;
}

struct store *storer_store(const struct storer *st)
{
	return st->open ? st->store : NULL;
}

void storer_write(struct storer *st, struct store_batch *b)
{
	st->batch = b;
	give(st, WRITE);
}

static void done(struct storer *st)
{
	store_close(st->store);
	store_batch_free(st->batch);
	store_image_free(st->img);
	free(st->path);
	free(st->cluster);
	pthread_cond_destroy(&st->wake);
	pthread_mutex_destroy(&st->lock);
	free(st);
}

struct storer *storer_new(struct loop *loop, const struct storer_ops *ops, void *arg)
{
	struct storer *st = calloc(1, sizeof(*st));
	sigset_t all, before;
	int rc;

	if (!st)
		return NULL;
	st->loop = loop, st->ops = ops, st->arg = arg;
	pthread_mutex_init(&st->lock, NULL);
	pthread_cond_init(&st->wake, NULL);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the loop's */
	rc = pthread_create(&st->thread, NULL, run, st);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc) {
		done(st);
		return NULL;
	}
	return st;
}

void storer_free(struct storer *st)
{
	struct timespec until;

	if (!st)
		return;
	pthread_mutex_lock(&st->lock);
	st->orphan = true;
	st->job = QUIT;
	pthread_cond_signal(&st->wake);
	pthread_mutex_unlock(&st->lock);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += END_S;
	if (pthread_timedjoin_np(st->thread, NULL, &until) == 0)
		done(st);
	else
		pthread_detach(st->thread); /* it hangs in the disk: what it works on stays its own */
}
