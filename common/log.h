/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The log: daemons log, libraries return errors. One line per record on stderr (journald and the log file read that):
 * "<level> <monotonic s.us> <name>: text". Thread safe. The only mutable global of the project.
 *
 * A daemon calls log_async(): from then on nobody who logs waits for what the log is written to, a file on a disk that hangs or a
 * reader that stands still. A thread writes, in order; between lies a ring of LOG_RING_BYTES. What does not fit is left out, counted,
 * and said. Children of fork() write by themselves.
 */
#ifndef HOSPES_COMMON_LOG_H
#define HOSPES_COMMON_LOG_H

#include <stdbool.h>

#define LOG_RING_BYTES 131072u
#define LOG_FLUSH_MS   1000 /* how long an exit waits for it; after a fatal signal as well */

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

void log_init(const char *name, enum log_level level);
/* Once, after privileges were dropped and namespaces entered: a thread has its own. If there can be none, all is as before. */
void log_async(void);
/* Wait until what was logged before is written, at most @ms milliseconds. False: it is not. */
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
