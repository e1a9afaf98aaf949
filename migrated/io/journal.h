/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The journal of migrations: one file per session, JSON lines, the last whole line counts. A record begins a line of its own, whatever
 * an interrupted one left behind, and is durable when journal_append() returns 0. Room is allocated with the first record, so
 * that a full disk cannot stop a later one.
 */
#ifndef HOSPES_MIGRATED_IO_JOURNAL_H
#define HOSPES_MIGRATED_IO_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>
#include "common/err.h"
#include "common/cleanup.h"
#include "migrated/core/mig.h"

struct journal_rec {
	uint64_t session, generation; /* generation: the one that changes hands */
	enum mig_record rec;
	bool stay_paused;
	char name[64], uuid[37], peer[64];
	uint64_t wall_s; /* CLOCK_REALTIME when written; for pruning and people */
};

const char *journal_rec_name(enum mig_record rec); /* as it stands in the file */
/* -EINVAL: no names, no uuid; nothing was written. Else -errno, and whether the record counts is not known. */
int journal_append(const char *dir, const struct journal_rec *rec, struct err *err) _must_check_;
/* -ENOENT: none; -EINVAL: the file holds no whole record. */
int journal_load(const char *dir, uint64_t session, struct journal_rec *ret) _must_check_;
void journal_forget(const char *dir, uint64_t session);
/* Call @fn for each session that has a record; rec 0: it could not be read. Files that hold none are removed. */
int journal_scan(const char *dir, void (*fn)(void *arg, const struct journal_rec *rec), void *arg,
                 struct err *err) _must_check_;
/* One line; for tests and fuzzing. -EINVAL. */
int journal_parse(const char *line, size_t len, struct journal_rec *ret) _must_check_;

#endif
