/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A file that somebody else's output is appended to without an end: at most two pieces of it stay, the present one and, in FILE.1, the one
 * before. Both are opened at the start, because the writer may have no right in the directory later: a full piece is copied
 * over and the file
 * begins anew, under its name and for whoever has it open. Any one thread; writes block as long as the file system does.
 */
#ifndef HOSPES_COMMON_BOUNDLOG_H
#define HOSPES_COMMON_BOUNDLOG_H

#include <stddef.h>
#include <stdint.h>
#include "common/cleanup.h"

#define BOUNDLOG_PIECE (4u << 20)

struct boundlog {
	int fd, old; /* owned; -1: none */
	uint64_t size, piece;
};

/* @fd: of the file, opened for reading and O_APPEND; @old: of FILE.1, for writing; both owned from now on, -1: there is none. */
void boundlog_init(struct boundlog *b, int fd, int old, uint64_t piece);
void boundlog_done(struct boundlog *b);
/* 0, or -errno: some of it, and perhaps some of the past, is lost; the bound holds all the same. */
int boundlog_put(struct boundlog *b, const void *p, size_t len);

#endif
