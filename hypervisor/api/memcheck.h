/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Checks that a descriptor from hvdom is a memory file and nothing else. hvdom runs as the domain's user, so a guest
 * that broke out of its sandbox may control it.
 */
#ifndef HOSPES_HYPERVISOR_MEMCHECK_H
#define HOSPES_HYPERVISOR_MEMCHECK_H

#include <stdint.h>
#include "common/cleanup.h"
#include "common/err.h"

/*
 * For reading with pread(): a memory file of @bytes or more. Other files are refused, because a file system that
 * hvdom's user serves could block the reader for ever, and huge pages can run out. -EPROTO, and @what in the text.
 */
int memcheck_read(int fd, uint64_t bytes, const char *what, struct err *err) _must_check_;
/* For mapping: in addition exactly @bytes, and sealed against shrinking, since access beyond the end is SIGBUS. */
int memcheck_map(int fd, uint64_t bytes, const char *what, struct err *err) _must_check_;

#endif
