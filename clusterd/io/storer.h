/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The thread that waits for the disk, so that the loop, which sends beats, does not. It opens, reads and writes the store (store.h), one
 * job at a time, and reports the results on the loop's thread. A disk that hangs stops nothing else. Loop thread.
 */
#ifndef HOSPES_CLUSTERD_IO_STORER_H
#define HOSPES_CLUSTERD_IO_STORER_H

#include "clusterd/io/eventlist.h"
#include "clusterd/io/store.h"
#include "common/loop.h"

struct storer;

/* The content of the disk. */
struct store_image {
	struct clu_state *s;       /* with its dom table */
	struct store_image_text { uint64_t id; char *xml; size_t len; } *text;
	size_t n_text, cap_text;
	struct eventlist *events;
	char bad[ERR_TEXT_MAX];    /* why the content was discarded; "": it was not */
	char aside[ERR_TEXT_MAX];  /* where a previous file was moved to; "": none was */
};
void store_image_free(struct store_image *img); /* takes NULL */

/* One call for each job. */
struct storer_ops {
	/* @img is the callee's; NULL: the job failed. */
	void (*opened)(void *arg, struct store_image *img, const struct err *err);
	/* @status -errno: nothing was written, and the store is closed; open it again. */
	void (*written)(void *arg, int status, const struct err *err);
};

struct storer *storer_new(struct loop *loop, const struct storer_ops *ops, void *arg); /* NULL: out of memory */
/* Takes NULL. Waits up to 2 s for a job under way; a thread that hangs is left behind. */
void storer_free(struct storer *st);
/* Since when a job is under way, CLOCK_BOOTTIME; 0: none is, and one may be given. */
uint64_t storer_busy_ns(const struct storer *st);
/* Open @path for @cluster, in place of an open store, and read it into a state with these nodes. -EBUSY, -ENOMEM. */
int storer_open(struct storer *st, const char *path, const char *cluster, const uint32_t *node, char (*name)[CLU_NAME_MAX],
                uint32_t n_nodes) _must_check_;
/* The open store, for store_note() at any time and store_pack() while no job is under way; NULL: none. */
struct store *storer_store(const struct storer *st);
void storer_write(struct storer *st, struct store_batch *b); /* takes @b; no job may be under way */

#endif
