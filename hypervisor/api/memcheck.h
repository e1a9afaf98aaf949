/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What may come as a descriptor from hvdom, which has become the domain's user and may not be itself any more: memory, and nothing else. */
#ifndef HOSPES_HYPERVISOR_MEMCHECK_H
#define HOSPES_HYPERVISOR_MEMCHECK_H

#include <stdint.h>
#include "common/cleanup.h"
#include "common/err.h"

/*
 * For reading (pread): a memory file of @bytes or more. A file system of its own making could keep the reader waiting for ever;
 * huge pages can run out.
 * -EPROTO, and @what in the text.
 */
int memcheck_read(int fd, uint64_t bytes, const char *what, struct err *err) _must_check_;
/* For mapping: also of exactly that size, and sealed against change of it: what is mapped beyond an end is SIGBUS. */
int memcheck_map(int fd, uint64_t bytes, const char *what, struct err *err) _must_check_;

#endif
