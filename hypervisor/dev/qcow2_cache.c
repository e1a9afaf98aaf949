/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pages of an image's tables in memory, and a set of clusters. See qcow2_int.h. */
#include "config.h"
#include "hypervisor/dev/qcow2_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static unsigned bucket_of(uint64_t at)
{
	return (unsigned)((at / QC_PAGE * 0x9e3779b97f4a7c15ull) >> 56) % QC_BUCKETS;
}

int qc_cache_init(struct qc_cache *c, unsigned n)
{
	void *data = NULL;

	c->page = calloc(n, sizeof(*c->page));
	if (!c->page || posix_memalign(&data, QC_PAGE, (size_t)n * QC_PAGE)) {
		free(c->page);
		c->page = NULL;
		return -ENOMEM;
	}
	c->data = data;
	c->n = n;
	qc_cache_clear(c);
	return 0;
}

void qc_cache_done(struct qc_cache *c)
{
	free(c->page);
	free(c->data);
	*c = (struct qc_cache){ 0 };
}

void qc_cache_clear(struct qc_cache *c)
{
	if (c->n)
		memset(c->page, 0, c->n * sizeof(*c->page));
	for (unsigned i = 0; i < QC_BUCKETS; i++)
		c->bucket[i] = QC_NONE;
	c->clock = 0;
}

struct qc_page *qc_cache_find(struct qc_cache *c, uint64_t at)
{
	for (uint16_t i = c->bucket[bucket_of(at)]; i != QC_NONE; i = c->page[i].next) {
		if (c->page[i].at != at)
			continue;
		c->page[i].used = ++c->clock;
		return &c->page[i];
	}
	return NULL;
}

struct qc_page *qc_cache_victim(struct qc_cache *c)
{
	struct qc_page *best = NULL;

	for (unsigned i = 0; i < c->n; i++)
		if (!c->page[i].dirty && (!best || c->page[i].used < best->used))
			best = &c->page[i];
	return best;
}

static void take_out(struct qc_cache *c, struct qc_page *p)
{
	uint16_t self = (uint16_t)(p - c->page), *link = &c->bucket[bucket_of(p->at)];

	if (!p->at)
		return;
	while (*link != self)
		link = &c->page[*link].next;
	*link = p->next;
	*p = (struct qc_page){ 0 };
}

void qc_cache_drop(struct qc_cache *c, uint64_t at, uint64_t bytes)
{
	for (unsigned i = 0; i < c->n; i++)
		if (c->page[i].at >= at && c->page[i].at - at < bytes)
			take_out(c, &c->page[i]);
}

void qc_cache_put(struct qc_cache *c, struct qc_page *p, uint64_t at, enum qc_page_kind kind, const void *data)
{
	uint16_t self = (uint16_t)(p - c->page), *link = &c->bucket[bucket_of(at)];

	take_out(c, p);
	*p = (struct qc_page){ .at = at, .used = ++c->clock, .next = *link, .kind = kind };
	*link = self;
	memcpy(qc_data(c, p), data, QC_PAGE);
}

/* Set: open addressing, at most half full -------------------------------------------------------------------------- */

static size_t slot_of(const struct qc_set *s, uint64_t v)
{
	/* whoever made the image does not know the seed, so cannot make them all collide */
	uint64_t h = (v ^ s->seed) * 0x9e3779b97f4a7c15ull;
	h = (h ^ h >> 32) * 0xd6e8feb86659fd93ull;
	size_t i = (size_t)(h ^ h >> 32) & (s->size - 1);

	while (s->slot[i] && s->slot[i] != v + 1)
		i = (i + 1) & (s->size - 1);
	return i;
}

bool qc_set_has(const struct qc_set *s, uint64_t v)
{
	return s->size && s->slot[slot_of(s, v)];
}

static int grow(struct qc_set *s)
{
	struct qc_set n = { .size = s->size ? s->size * 2 : 256, .n = s->n, .seed = s->seed };

	if (!n.seed && getrandom(&n.seed, sizeof(n.seed), GRND_NONBLOCK) < 0)
		n.seed = (uintptr_t)s;
	n.slot = calloc(n.size, sizeof(*n.slot));
	if (!n.slot)
		return -ENOMEM;
	for (size_t i = 0; i < s->size; i++)
		if (s->slot[i])
			n.slot[slot_of(&n, s->slot[i] - 1)] = s->slot[i];
	free(s->slot);
	*s = n;
	return 0;
}

int qc_set_add(struct qc_set *s, uint64_t v)
{
	if (qc_set_has(s, v))
		return -EEXIST;
	if (2 * (s->n + 1) > s->size) {
		int r = grow(s);
		if (r < 0)
			return r;
	}
	s->slot[slot_of(s, v)] = v + 1;
	s->n++;
	return 0;
}

void qc_set_del(struct qc_set *s, uint64_t v)
{
	if (!qc_set_has(s, v))
		return;
	size_t i = slot_of(s, v);
	s->slot[i] = 0;
	s->n--;
	/* those behind it may have been pushed on by it */
	for (i = (i + 1) & (s->size - 1); s->slot[i]; i = (i + 1) & (s->size - 1)) {
		uint64_t w = s->slot[i];
		s->slot[i] = 0;
		s->slot[slot_of(s, w - 1)] = w;
	}
}

void qc_set_done(struct qc_set *s)
{
	free(s->slot);
	*s = (struct qc_set){ 0 };
}
