/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A node's copy of the cluster's state on its disk: SQLite in WAL mode with synchronous=FULL; tables meta, obj (records), xml (texts of
 * domains), events. One write is one transaction: after a crash the file holds the state before it or after it.
 *
 * All functions wait for the disk, which may hang for minutes, except store_note(), store_pack() and store_batch_free(). clusterd runs them
 * on a thread of their own (storer.h). A store is used by one thread at a time; the thread that packs may call store_note() at any time.
 */
#ifndef HOSPES_CLUSTERD_IO_STORE_H
#define HOSPES_CLUSTERD_IO_STORE_H

#include "clusterd/core/clu.h"
#include "common/cleanup.h"
#include "common/err.h"

#define STORE_EVENTS_MAX 10000u /* kept; older ones are deleted */

struct store;

/* An event for people. Texts are borrowed for the call. */
struct store_event {
	uint64_t id;          /* this node's own count, ascending */
	uint64_t index;       /* of the command; several events may have the same */
	uint64_t time_ns;     /* CLOCK_REALTIME, the command's */
	const char *kind, *text, *domain, *host; /* domain, host: "" none */
};

/* Returns the XML of the domain in @slot, borrowed; NULL: none. */
typedef const char *store_text_fn(void *arg, uint32_t slot, size_t *ret_len);

/*
 * Open or create @path for @cluster. A file that is no database, is damaged, or is another cluster's is renamed to PATH.corrupt-TIME, and
 * the store is empty; @ret_aside (ERR_TEXT_MAX) says so, and is "" otherwise. -ENOSPC, -EROFS, -EIO, -EBUSY, ...
 */
int store_open(const char *path, const char *cluster, struct store **ret, char *ret_aside, struct err *err) _must_check_;
void store_close(struct store *st); /* takes NULL */
/*
 * Read the records into @s (initialised, nodes set), and call @text for each XML, borrowed. An empty store leaves @s as it is. -EILSEQ: the
 * content makes no sense, @s is undefined, and store_discard() is next.
 */
int store_load(struct store *st, struct clu_state *s, int (*text)(void *arg, uint64_t id, const char *xml, size_t len), void *arg,
               struct err *err) _must_check_;
/* Rename the file, as store_open() does, and begin an empty one in its place. */
int store_discard(struct store *st, char *ret_aside, struct err *err) _must_check_;
/* Add a copy of @ev to the next write. Without memory it is left out. */
void store_note(struct store *st, const struct store_event *ev);
/*
 * Make the octets of a write: the records that @c names, the XML of changed domains, the events noted. Later changes in memory do not
 * affect it. The result is the caller's. NULL: out of memory, nothing is lost.
 */
struct store_batch;
struct store_batch *store_pack(struct store *st, const struct clu_state *s, const struct clu_changes *c, store_text_fn *text, void *arg);
void store_batch_free(struct store_batch *b); /* takes NULL */
/* Make @b durable, all of it or nothing. -ENOSPC, -EROFS, -EIO. */
int store_write(struct store *st, const struct store_batch *b, struct err *err) _must_check_;
/*
 * Call @fn for at most @max events with an index above @since and an id above @after, oldest first. Texts are borrowed for the call. Events
 * that are not written yet are left out.
 */
int store_events(struct store *st, uint64_t since, uint64_t after, uint32_t max,
                 void (*fn)(void *arg, const struct store_event *ev), void *arg, struct err *err) _must_check_;

#endif
