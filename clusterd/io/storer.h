/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The thread that waits for the disk, so that the one that beats does not: it opens and reads the store (store.h) and writes to it, one
 * job at a time; what comes of it is told on the loop's thread. A disk that stands still stops it and nobody else.
 */
#ifndef HOSPES_CLUSTERD_IO_STORER_H
#define HOSPES_CLUSTERD_IO_STORER_H

#include "clusterd/io/eventlist.h"
#include "clusterd/io/store.h"
#include "common/loop.h"

struct storer;

/* What the disk held. */
struct store_image {
	struct clu_state *s;       /* with its dom table */
	struct store_image_text { uint64_t id; char *xml; size_t len; } *text;
	size_t n_text, cap_text;
	struct eventlist *events;
	char bad[ERR_TEXT_MAX];    /* what it held made no sense, and was discarded; "": it did */
	char aside[ERR_TEXT_MAX];  /* where what was there before was moved to, "" */
};
void store_image_free(struct store_image *img); /* takes NULL */

/* On the loop's thread, once for each job. */
struct storer_ops {
	/* @img: taken; NULL: it did not work. */
	void (*opened)(void *arg, struct store_image *img, const struct err *err);
	/* @status below 0: nothing of it was written, and the store is closed: open it anew. */
	void (*written)(void *arg, int status, const struct err *err);
};

struct storer *storer_new(struct loop *loop, const struct storer_ops *ops, void *arg); /* NULL: out of memory */
/* Takes NULL. A job under way is waited for a moment; one that hangs is left to itself. */
void storer_free(struct storer *st);
/* Since when a job is under way, CLOCK_BOOTTIME; 0: none is, and one may be given. */
uint64_t storer_busy_ns(const struct storer *st);
/* Close what was open, open @path for @cluster and read it into a state of these nodes. -EBUSY, -ENOMEM. */
int storer_open(struct storer *st, const char *path, const char *cluster, const uint32_t *node, char (*name)[CLU_NAME_MAX],
                uint32_t n_nodes) _must_check_;
/* For store_note() at any time, and store_pack() when no job is under way. NULL: not open. */
struct store *storer_store(const struct storer *st);
void storer_write(struct storer *st, struct store_batch *b); /* takes @b; no job may be under way */

#endif
