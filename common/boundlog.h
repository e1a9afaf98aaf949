/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A log file of bounded size for output without an end. Two pieces of it are kept: the current one in FILE and the one
 * before in FILE.1. A full piece is copied to FILE.1, and FILE is truncated, so whoever has it open keeps it.
 * Both files are opened at the start, because the writer may have no rights in the directory later.
 * One thread per object; writes block as long as the file system does.
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

/* @fd: FILE, opened for reading and O_APPEND. @old: FILE.1, opened for writing. Both are owned from now on; -1: none. */
void boundlog_init(struct boundlog *b, int fd, int old, uint64_t piece);
void boundlog_done(struct boundlog *b);
/* 0, or -errno: some of the output, perhaps also of earlier output, is lost. The size stays bounded in any case. */
int boundlog_put(struct boundlog *b, const void *p, size_t len);

#endif
