/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Events for people, in memory: the last STORE_EVENTS_MAX, so that nobody who asks for them waits for a disk. The store keeps them over a
 * restart. One thread at a time.
 */
#ifndef HOSPES_CLUSTERD_IO_EVENTLIST_H
#define HOSPES_CLUSTERD_IO_EVENTLIST_H

#include "clusterd/io/store.h"

struct eventlist;

struct eventlist *eventlist_new(void); /* NULL: out of memory */
void eventlist_free(struct eventlist *l); /* takes NULL */
/* Add a copy of @ev, with an id of its own above all others. Without memory it is left out. */
void eventlist_add(struct eventlist *l, const struct store_event *ev);
/* @next takes the place of @l: its new ids go on from @l's, for clients that follow them. */
void eventlist_follow(struct eventlist *next, const struct eventlist *l);
/* Call @fn for at most @max events with an index above @since and an id above @after, oldest first. Texts are borrowed for the call. */
void eventlist_each(const struct eventlist *l, uint64_t since, uint64_t after, uint32_t max,
                    void (*fn)(void *arg, const struct store_event *ev), void *arg);

/* The newest event of @kind about @domain and @host; NULL: none. Borrowed until the next one is added. */
const struct store_event *eventlist_last(const struct eventlist *l, const char *kind, const char *domain, const char *host);

#endif
