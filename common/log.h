/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The log: daemons log, libraries return errors. One line per record on stderr (journald and the log file read that):
 * "<level> <monotonic s.us> <name>: text". Thread safe. The only mutable global of the project.
 */
#ifndef HOSPES_COMMON_LOG_H
#define HOSPES_COMMON_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

void log_init(const char *name, enum log_level level);
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
