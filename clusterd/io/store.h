/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A node's copy of the cluster's state on its disk: SQLite in WAL mode with synchronous=FULL, tables meta, obj (records), xml (texts of
 * domains), events. One write is one transaction: after a crash the file holds the state before or after it, never between.
 *
 * Each function but store_note(), store_pack() and store_batch_free() waits for the disk, which may stand still for minutes: in clusterd
 * they run on a thread of their own (storer.h). A store is used by one thread at a time; store_note() may be called any time by the one
 * that packs.
 */
#ifndef HOSPES_CLUSTERD_IO_STORE_H
#define HOSPES_CLUSTERD_IO_STORE_H

#include "clusterd/core/clu.h"
#include "common/cleanup.h"
#include "common/err.h"

#define STORE_EVENTS_MAX 10000u /* kept; older ones go */

struct store;

/* What happened, for people. Texts are borrowed for the call. */
struct store_event {
	uint64_t id;          /* of the event, ascending; this node's own count */
	uint64_t index;       /* of the command; several events may share it */
	uint64_t time_ns;     /* CLOCK_REALTIME as the command said */
	const char *kind, *text, *domain, *host; /* domain, host: "" none */
};

/* The text of the domain in @slot (borrowed), or NULL. */
typedef const char *store_text_fn(void *arg, uint32_t slot, size_t *ret_len);

/*
 * Open or create @path for cluster @cluster. A file that is no database, is damaged, or is of another cluster is moved aside to
 * PATH.corrupt-TIME and @ret_aside (ERR_TEXT_MAX; "" otherwise) says so; then the store is empty. -ENOSPC, -EROFS, -EIO, ...
 */
int store_open(const char *path, const char *cluster, struct store **ret, char *ret_aside, struct err *err) _must_check_;
void store_close(struct store *st); /* takes NULL */
/*
 * Fill @s (initialised, nodes set) and hand out the texts. -EILSEQ: what it holds makes no sense (@s is undefined then): store_discard().
 * An empty store leaves @s as it is.
 */
int store_load(struct store *st, struct clu_state *s, int (*text)(void *arg, uint64_t id, const char *xml, size_t len), void *arg,
               struct err *err) _must_check_;
/* Move the file aside, as store_open() does, and begin an empty one in its place. */
int store_discard(struct store *st, char *ret_aside, struct err *err) _must_check_;
/* Add @ev to the next write. Out of memory: it is left out. */
void store_note(struct store *st, const struct store_event *ev);
/*
 * What a write takes, as octets: the records that @c names, the texts of changed domains, the events noted. Whatever changes in memory
 * afterwards is not in it. NULL: out of memory, nothing is lost.
 */
struct store_batch;
struct store_batch *store_pack(struct store *st, const struct clu_state *s, const struct clu_changes *c, store_text_fn *text, void *arg);
void store_batch_free(struct store_batch *b); /* takes NULL */
/* Make @b durable. -ENOSPC, -EROFS, -EIO: nothing of it is. */
int store_write(struct store *st, const struct store_batch *b, struct err *err) _must_check_;
/*
 * Events with an index above @since and an id above @after, oldest first, at most @max; @fn gets borrowed texts. Those noted but not
 * written are left out.
 */
int store_events(struct store *st, uint64_t since, uint64_t after, uint32_t max,
                 void (*fn)(void *arg, const struct store_event *ev), void *arg, struct err *err) _must_check_;

#endif
