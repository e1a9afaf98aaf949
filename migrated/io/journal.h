/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The journal of migrations: one file per session, of JSON lines. The last whole line counts. A record begins on a new line, also after one
 * that was cut short, and is durable when journal_append() returns 0. The first record allocates room for the later ones, so that a full
 * disk does not stop those. All functions wait for the disk: recorder.h has a thread for them.
 */
#ifndef HOSPES_MIGRATED_IO_JOURNAL_H
#define HOSPES_MIGRATED_IO_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>
#include "common/err.h"
#include "common/cleanup.h"
#include "migrated/core/mig.h"

struct journal_rec {
	uint64_t session, generation; /* generation: of the new owner */
	enum mig_record rec;
	bool stay_paused;
	char name[64], uuid[37], peer[64];
	uint64_t wall_s; /* CLOCK_REALTIME when it was written; for pruning and for people */
};

const char *journal_rec_name(enum mig_record rec); /* as it stands in the file */
/* -EINVAL: @rec has no names or uuid, nothing was written. After other errors it is not known whether the record counts. */
int journal_append(const char *dir, const struct journal_rec *rec, struct err *err) _must_check_;
/* -ENOENT: there is no record; -EINVAL: the file has no whole one. */
int journal_load(const char *dir, uint64_t session, struct journal_rec *ret) _must_check_;
void journal_forget(const char *dir, uint64_t session);
/* Call @fn for each session with a record; one that cannot be read has rec 0. Files without a record are removed. */
int journal_scan(const char *dir, void (*fn)(void *arg, const struct journal_rec *rec), void *arg,
                 struct err *err) _must_check_;
/* Parse one line. Public for tests and fuzzing. -EINVAL. */
int journal_parse(const char *line, size_t len, struct journal_rec *ret) _must_check_;

#endif
