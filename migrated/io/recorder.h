/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The thread that waits for the journal's disk, so that the loop does not. What it is given it does in that order; each record is told
 * on the loop's thread when it is durable, and nothing may be said on it before. A disk that stands still stops this thread and
 * nobody else. What is durable of each session is known here in memory: whoever asks is answered without the disk.
 */
#ifndef HOSPES_MIGRATED_IO_RECORDER_H
#define HOSPES_MIGRATED_IO_RECORDER_H

#include "common/loop.h"
#include "migrated/io/journal.h"

#define RECORDER_JOBS_MAX 1024u     /* records that wait; what ends a session is taken beyond that */
#define RECORDER_LATE_NS  5000000000ull /* a disk that takes longer hangs: no migration begins */

#define RECORDER_GONE_MAX 256u
#define RECORDER_SPARE_S  3600ull
#define RECORDER_KEEP_S   (7 * 24 * 3600ull)

struct recorder;

/* On the loop's thread, once: 0 and the record is durable, or -errno, and whether it counts is not known. */
typedef void recorded_fn(void *arg, enum mig_record rec, int status, const struct err *err);

/* Reads the journal in @dir, and waits for that. NULL: @err. */
struct recorder *recorder_new(struct loop *loop, const char *dir, struct err *err);
/* Takes NULL. What was given is done first if the disk lets it within a moment; nobody is told. */
void recorder_free(struct recorder *r);
/* -ENOMEM, -ENOBUFS: not given, @done does not come. */
int recorder_append(struct recorder *r, const struct journal_rec *rec, recorded_fn *done, void *arg) _must_check_;
/* The session's file goes, after all that was given before; recorder_find() knows nothing of it from now on. */
void recorder_forget(struct recorder *r, uint64_t session);
/* Write a file of any other kind, its folder first; @done gets record 0. -ENOMEM, -ENOBUFS. */
int recorder_store(struct recorder *r, const char *path, const void *data, size_t len, recorded_fn *done, void *arg) _must_check_;
void recorder_drop(struct recorder *r, const void *arg); /* @arg is told nothing any more */
/* What is durable of @session, NULL: nothing. rec 0: there is something that could not be read. Valid until the loop is back. */
const struct journal_rec *recorder_find(const struct recorder *r, uint64_t session);
/*
 * Room for one more GONE of @peer, which costs it nothing to ask for? At most RECORDER_GONE_MAX are kept: the oldest goes, once it is
 * RECORDER_SPARE_S old (whoever asked has had the answer, and would get it again). After RECORDER_KEEP_S all go.
 */
bool recorder_gone_room(struct recorder *r, const char *peer, uint64_t wall_s) _must_check_;
/* Call @fn for a copy of each record that is there now; it may append and forget. */
int recorder_each(const struct recorder *r, void (*fn)(void *arg, const struct journal_rec *rec), void *arg) _must_check_;
uint64_t recorder_late_ns(struct recorder *r); /* for how long it has been at what it does; 0: at nothing */
/* It hangs, in words: -EIO and @err, or 0. */
int recorder_hangs(struct recorder *r, struct err *err) _must_check_;

#endif
