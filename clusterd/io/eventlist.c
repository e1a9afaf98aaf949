/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Events in memory: see eventlist.h. A ring of pointers; the texts of one event are one piece. */
#include "config.h"
#include "clusterd/io/eventlist.h"
#include <stdlib.h>
#include <string.h>

struct kept {
	struct store_event ev; /* its texts point into what follows */
	char texts[];
};

struct eventlist {
	struct kept *ring[STORE_EVENTS_MAX];
	uint32_t first, n;
	uint64_t last_id;
};

struct eventlist *eventlist_new(void)
{
	return calloc(1, sizeof(struct eventlist));
}

void eventlist_free(struct eventlist *l)
{
	if (!l)
		return;
	for (uint32_t i = 0; i < STORE_EVENTS_MAX; i++)
		free(l->ring[i]);
	free(l);
}

static char *keep(char **at, const char *text)
{
	size_t len = strlen(text) + 1;
	char *p = memcpy(*at, text, len);

	*at += len;
	return p;
}

void eventlist_add(struct eventlist *l, const struct store_event *ev)
{
	struct kept *k =
		malloc(sizeof(*k) + strlen(ev->kind) + strlen(ev->text) + strlen(ev->domain) + strlen(ev->host) + 4);
	char *at;

	if (!k)
		return;
	at = k->texts;
	k->ev = (struct store_event){ .id = ++l->last_id, .index = ev->index, .time_ns = ev->time_ns };
	k->ev.kind = keep(&at, ev->kind);
	k->ev.text = keep(&at, ev->text);
	k->ev.domain = keep(&at, ev->domain);
	k->ev.host = keep(&at, ev->host);
	if (l->n == STORE_EVENTS_MAX) {
		free(l->ring[l->first]);
		l->ring[l->first] = k;
		l->first = (l->first + 1) % STORE_EVENTS_MAX;
	} else {
		l->ring[(l->first + l->n++) % STORE_EVENTS_MAX] = k;
	}
}

void eventlist_follow(struct eventlist *next, const struct eventlist *l)
{
	if (l->last_id > next->last_id)
		next->last_id = l->last_id;
}

void eventlist_each(const struct eventlist *l, uint64_t since, uint64_t after, uint32_t max,
                    void (*fn)(void *arg, const struct store_event *ev), void *arg)
{
	for (uint32_t i = 0; i < l->n && max; i++) {
		const struct store_event *ev = &l->ring[(l->first + i) % STORE_EVENTS_MAX]->ev;

		if (ev->index <= since || ev->id <= after)
			continue;
		fn(arg, ev);
		max--;
	}
}

const struct store_event *eventlist_last(const struct eventlist *l, const char *kind, const char *domain,
                                         const char *host)
{
	for (uint32_t i = l->n; i-- > 0;) {
		const struct store_event *ev = &l->ring[(l->first + i) % STORE_EVENTS_MAX]->ev;

		if (!strcmp(ev->domain, domain) && !strcmp(ev->host, host) && !strcmp(ev->kind, kind))
			return ev;
	}
	return NULL;
}
