/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The thread that waits for the journal's disk in place of the loop. It does jobs in order, and calls back on the loop's thread when a
 * record is durable; nothing may be sent on it before. A disk that hangs stops this thread only. The durable records are kept in memory,
 * so that questions do not wait for the disk. Loop thread.
 */
#ifndef HOSPES_MIGRATED_IO_RECORDER_H
#define HOSPES_MIGRATED_IO_RECORDER_H

#include "common/loop.h"
#include "migrated/io/journal.h"

#define RECORDER_JOBS_MAX 1024u         /* records that wait; those that end a session are accepted beyond that */
#define RECORDER_LATE_NS  5000000000ull /* a disk that takes longer hangs: no migration begins */

#define RECORDER_GONE_MAX 256u               /* records GONE that are kept for one peer */
#define RECORDER_SPARE_S  3600ull            /* for at least so long */
#define RECORDER_KEEP_S   (7 * 24 * 3600ull) /* and for at most so long */

struct recorder;

/* Called once, on the loop's thread. @status 0: the record is durable; -errno: it is not known whether it counts. */
typedef void recorded_fn(void *arg, enum mig_record rec, int status, const struct err *err);

/* Read the journal in @dir, waiting for the disk. NULL: @err. */
struct recorder *recorder_new(struct loop *loop, const char *dir, struct err *err);
/* Takes NULL. Jobs that wait are done first, if the disk is quick enough, without callbacks. */
void recorder_free(struct recorder *r);
/* Append @rec (copied), then @done. -ENOMEM, -ENOBUFS: not accepted, @done is not called. */
int recorder_append(struct recorder *r, const struct journal_rec *rec, recorded_fn *done, void *arg) _must_check_;
/* Remove the session's file, after the jobs before this one. recorder_find() does not find it from now on. */
void recorder_forget(struct recorder *r, uint64_t session);
/* Write another file (@data is copied), and make its directory; @done gets record 0. -ENOMEM, -ENOBUFS. */
int recorder_store(struct recorder *r, const char *path, const void *data, size_t len, recorded_fn *done, void *arg) _must_check_;
void recorder_drop(struct recorder *r, const void *arg); /* no more callbacks with @arg */
/* The durable record of @session; NULL: none. rec 0: it could not be read. Borrowed until the return to the loop. */
const struct journal_rec *recorder_find(const struct recorder *r, uint64_t session);
/*
 * True if there is room for one more GONE of @peer at CLOCK_REALTIME @wall_s. Asking costs a peer nothing, so their number is limited to
 * RECORDER_GONE_MAX. The oldest is removed for a new one once it is RECORDER_SPARE_S old: by then the peer has had its answer, and would
 * get the same again. All are removed after RECORDER_KEEP_S.
 */
bool recorder_gone_room(struct recorder *r, const char *peer, uint64_t wall_s) _must_check_;
/* Call @fn with a copy of each present record; it may append and forget. */
int recorder_each(const struct recorder *r, void (*fn)(void *arg, const struct journal_rec *rec), void *arg) _must_check_;
uint64_t recorder_late_ns(struct recorder *r); /* time since the present job began; 0: there is none */
/* -EIO and @err: the disk hangs (RECORDER_LATE_NS). */
int recorder_hangs(struct recorder *r, struct err *err) _must_check_;

#endif
