/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Holes that QEMU makes: see qholes.h. Removals are read and noted under one lock, so that none is read and not noted yet when it is asked. */
#include "config.h"
#include "hypervisor/qemu/qholes.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "common/util.h"
#include "hypervisor/logdirty/uffd.h"

#define STACK_BYTES (64u << 10)
#define MAPS_MAX    16u
#define SHIFT       12u
_Static_assert(PAGE_BYTES == 1u << SHIFT, "a page has 4096 octets");

struct qholes {
	int uffd;   /* borrowed */
	int end_fd; /* owned: readable when the thread is to end; -1: none */
	pthread_t thread;
	bool started;
	struct qholes_map map[MAPS_MAX];
	size_t n_maps;
	uint64_t words;
	pthread_mutex_t lock;
	/* locked */
	uint64_t *gone; /* pages taken out and not collected yet */
	int failed;     /* 0 or -errno: removals were lost */
};

/* Of the file's pages those whose addresses are in [@start, @end). */
static void note(struct qholes *h, uint64_t start, uint64_t end)
{
	for (size_t i = 0; i < h->n_maps; i++) {
		const struct qholes_map *m = &h->map[i];
		uint64_t from = start > m->start ? start : m->start, to = end < m->end ? end : m->end;

		if (from >= to)
			continue;
		uint64_t first = (m->offset + (from - m->start)) >> SHIFT,
			 last = (m->offset + (to - m->start) - 1) >> SHIFT;
		for (uint64_t p = first; p <= last && p / 64 < h->words; p++)
			h->gone[p / 64] |= 1ull << (p % 64);
	}
}

static void take(struct qholes *h)
{
	uint64_t start, end;
	int r;

	while ((r = uffd_removal(h->uffd, &start, &end)) > 0)
		note(h, start, end);
	if (r < 0 && !h->failed)
		h->failed = r;
}

static void *listen_on(void *arg)
{
	struct qholes *h = arg;
	struct pollfd p[] = { { .fd = h->uffd, .events = POLLIN }, { .fd = h->end_fd, .events = POLLIN } };
	bool ended = false;

	while (!ended) {
		if (poll(p, ARRAY_SIZE(p), -1) < 0 && errno != EINTR)
			break;
		pthread_mutex_lock(&h->lock);
		take(h);
		ended = h->failed != 0 || p[1].revents != 0;
		pthread_mutex_unlock(&h->lock);
	}
	return NULL;
}

static int start_thread(struct qholes *h)
{
	pthread_attr_t attr;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	int r = pthread_create(&h->thread, &attr, listen_on, h);
	pthread_attr_destroy(&attr);
	h->started = r == 0;
	if (!r)
		pthread_setname_np(h->thread, "holes");
	return -r;
}

int qholes_new(int uffd, const struct qholes_map *map, size_t n, uint64_t pages, struct qholes **ret, struct err *err)
{
	struct qholes *h = n <= MAPS_MAX ? calloc(1, sizeof(*h)) : NULL;
	int r;

	if (!h)
		return err_set(err, n <= MAPS_MAX ? ENOMEM : E2BIG, "cannot listen to holes in guest memory");
	h->uffd = uffd;
	h->n_maps = n;
	memcpy(h->map, map, n * sizeof(*map));
	h->words = (pages + 63) / 64;
	pthread_mutex_init(&h->lock, NULL);
	h->end_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = h->end_fd < 0 ? -errno : 0;
	h->gone = calloc(h->words, 8);
	if (!r && !h->gone)
		r = -ENOMEM;
	if (!r)
		r = start_thread(h);
	if (r < 0) {
		qholes_free(h);
		return err_sys(err, -r, "cannot listen to holes in guest memory");
	}
	*ret = h;
	return 0;
}

int qholes_collect(struct qholes *h, uint64_t *bits)
{
	pthread_mutex_lock(&h->lock);
	take(h);
	int r = h->failed;
	for (uint64_t i = 0; i < h->words; i++)
		bits[i] |= h->gone[i];
	memset(h->gone, 0, h->words * 8);
	pthread_mutex_unlock(&h->lock);
	return r;
}

void qholes_free(struct qholes *h)
{
	uint64_t one = 1;

	if (!h)
		return;
	if (h->started) {
		(void)!write(h->end_fd, &one, sizeof(one));
		pthread_join(h->thread, NULL);
	}
	if (h->end_fd >= 0)
		close(h->end_fd);
	pthread_mutex_destroy(&h->lock);
	free(h->gone);
	free(h);
}
