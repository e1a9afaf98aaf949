/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What happened, for people, in memory: the last STORE_EVENTS_MAX events, so that whoever asks need not wait for a disk. The store keeps
 * them over a restart. One thread at a time.
 */
#ifndef HOSPES_CLUSTERD_IO_EVENTLIST_H
#define HOSPES_CLUSTERD_IO_EVENTLIST_H

#include "clusterd/io/store.h"

struct eventlist;

struct eventlist *eventlist_new(void); /* NULL: out of memory */
void eventlist_free(struct eventlist *l); /* takes NULL */
/* Copied; @ev's id is replaced by one above all before. Out of memory: it is left out. */
void eventlist_add(struct eventlist *l, const struct store_event *ev);
/* Numbers go on from @l's, for those who follow it: the list that takes its place. */
void eventlist_follow(struct eventlist *next, const struct eventlist *l);
/* Those with an index above @since and an id above @after, oldest first, at most @max; @fn gets borrowed texts. */
void eventlist_each(const struct eventlist *l, uint64_t since, uint64_t after, uint32_t max,
                    void (*fn)(void *arg, const struct store_event *ev), void *arg);

/* The newest of @kind that concerns @domain and @host; NULL: none. Borrowed until the next one is added. */
const struct store_event *eventlist_last(const struct eventlist *l, const char *kind, const char *domain, const char *host);

#endif
