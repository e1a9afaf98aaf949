/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A hash (xxh3-64) of each page of guest memory as it was when last stored, and comparisons with it. Holes of the memory file are never
 * read through the mapping, which would fill them. Bitmaps have one bit per page. Used by logdirty.c. Main thread.
 */
#ifndef HOSPES_LOGDIRTY_HASHLOG_H
#define HOSPES_LOGDIRTY_HASHLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/cleanup.h"
#include "common/err.h"
#include "hypervisor/guestmem.h"

#define HASHLOG_CHUNK_PAGES 512u /* 2 MiB of guest memory: unit of allocation */

struct hashlog {
	const struct guestmem *m; /* borrowed */
	uint64_t **chunk; /* owned; hashes of 512 pages each, NULL: all ZERO. See hashlog.c for the special values */
	uint64_t n_chunks, n_pages;
	uint64_t zero_hash; /* of a page of zeros */
};

/* All pages are stored as zeros first, as a new memory file on the other host is. @m is borrowed. */
int hashlog_init(struct hashlog *h, const struct guestmem *m, struct err *err) _must_check_;
void hashlog_done(struct hashlog *h);
/*
 * Add to @dirty the pages of @want (NULL: all) whose content differs from the stored hash, or whose hash is not known. @store: store the
 * new hashes. A hole counts as zeros. After a failure @dirty has a part of the answer.
 */
int hashlog_compare(struct hashlog *h, const uint64_t *want, bool store, uint64_t *dirty, struct err *err) _must_check_;
/* Store the hashes of the pages of @want. */
int hashlog_store(struct hashlog *h, const uint64_t *want, struct err *err) _must_check_;
/* Forget the hashes of the pages of @want: they differ from any content then. */
int hashlog_forget(struct hashlog *h, const uint64_t *want, struct err *err) _must_check_;
/* Remove from @dirty the holes that are stored as zeros. */
int hashlog_drop_holes(struct hashlog *h, uint64_t *dirty, struct err *err) _must_check_;
/* Add to @bits the pages that are no holes; they may be zeros. */
int hashlog_data(const struct hashlog *h, uint64_t *bits, struct err *err) _must_check_;

#endif
