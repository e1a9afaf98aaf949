/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The log: daemons log, libraries return errors. One line per record on stderr: "LEVEL MONOTONIC-S.US NAME: text", or, where stderr
 * is the journal, "<N>text" with syslog's priority N. Thread safe. The only mutable global of the project.
 *
 * After log_async(), which daemons call, logging never blocks on its output (a file on a disk that hangs, a reader that
 * stopped). A thread writes the lines in order from a ring of LOG_RING_BYTES. Lines that do not fit are dropped, and
 * the log says how many. Children of fork() write by themselves.
 */
#ifndef HOSPES_COMMON_LOG_H
#define HOSPES_COMMON_LOG_H

#include <stdbool.h>

#define LOG_RING_BYTES 131072u
#define LOG_FLUSH_MS   1000 /* how long an exit waits for the ring to be written, also after a fatal signal */

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

void log_init(const char *name, enum log_level level);
/* Start the thread. Call it once, after privileges were dropped and namespaces entered, since both belong to a thread.
 * If no thread can be made, logging stays synchronous. */
void log_async(void);
/* Wait at most @ms milliseconds until all lines logged so far are written. False: they are not. */
bool log_flush(int ms);
void log_level_set(enum log_level level);
enum log_level log_level_get(void);
/* "error"|"warn"|"info"|"debug" to a level; -EINVAL otherwise. */
int log_level_parse(const char *text, enum log_level *ret_level);
void log_write(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
