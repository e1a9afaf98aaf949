/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Huge pages for guest memory that arrives, made by helper processes. madvise(MADV_COLLAPSE) waits for work on all
 * processors, with the lock of its caller's address space held. Where processors are busy that has taken half a minute,
 * in which no thread of the caller could so much as grow its heap. So no daemon calls it. Each thread that asks has a
 * helper of its own: the same program, executed with HUGEHELP_ARG. It ends when its socket is closed, so also with its
 * thread or daemon. A helper that is late is left to itself: what it makes late is no worse, and the thread goes on with
 * small pages. It asks another one after a pause, which doubles each time. See ADR 22.
 */
#ifndef HOSPES_MIGRATED_IO_HUGEHELP_H
#define HOSPES_MIGRATED_IO_HUGEHELP_H

#include <stdint.h>

#define HUGEHELP_ARG "--huge-pages"
#define HUGEHELP_LATE_NS 100000000ull   /* small pages for 32 MiB cost less than that */
#define HUGEHELP_START_NS 500000000ull  /* more for a new one */
#define HUGEHELP_PAUSE_NS 1000000000ull /* after the first time that one is late */
#define HUGEHELP_PAUSE_MAX_NS (1024 * HUGEHELP_PAUSE_NS)

/*
 * First in main() of a program that wants them: serves and does not return if the program was executed as a helper. In a program that does
 * not call it, no huge pages are asked for.
 */
void hugehelp_main(int argc, char **argv);
/*
 * Make huge pages of octets @at to @at + @len of memory file @fd, both multiples of their size. Returns after
 * HUGEHELP_LATE_NS, or the first time HUGEHELP_START_NS more, at the latest. Whether it worked does not matter: memory is
 * as it was, but for holes that have become zeros. Any thread.
 */
void hugehelp_make(int fd, uint64_t at, uint64_t len);
/* By a thread before it ends: it asks no more. */
void hugehelp_end(void);

#endif
