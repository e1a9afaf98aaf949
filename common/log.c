/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The log: see log.h. Each record is one write(2), so that records of several processes on one file do not mix. */
#include "config.h"
#include "common/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "common/loop.h"

static const char *const level_names[] = { "error", "warn", "info", "debug" };

/* The name is written once, before threads start; only the level changes later. */
static char log_name[32] = "hospes";
static atomic_int log_level = LOG_LEVEL_INFO;

void log_init(const char *name, enum log_level level)
{
	snprintf(log_name, sizeof(log_name), "%s", name);
	atomic_store(&log_level, (int)level);
}

void log_level_set(enum log_level level)
{
	atomic_store(&log_level, (int)level);
}

enum log_level log_level_get(void)
{
	return (enum log_level)atomic_load(&log_level);
}

int log_level_parse(const char *text, enum log_level *ret_level)
{
	for (size_t i = 0; i < ARRAY_SIZE(level_names); i++) {
		if (!strcmp(text, level_names[i])) {
			*ret_level = (enum log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

void log_write(enum log_level level, const char *fmt, ...)
{
	int saved = errno;
	char line[1024];
	uint64_t now;
	va_list ap;
	int n, m;

	if ((int)level > atomic_load_explicit(&log_level, memory_order_relaxed))
		return;
	now = now_ns();
	n = snprintf(line, sizeof(line), "%-5s %" PRIu64 ".%06u %s: ", level_names[level], now / 1000000000u,
	             (unsigned)(now % 1000000000u / 1000u), log_name);
	va_start(ap, fmt);
	m = vsnprintf(line + n, sizeof(line) - (size_t)n - 1, fmt, ap);
	va_end(ap);
	if (m < 0)
		m = 0;
	n += m;
	if (n > (int)sizeof(line) - 2)
		n = (int)sizeof(line) - 2;
	for (int i = 0; i < n; i++)
		if ((unsigned char)line[i] < 0x20)
			line[i] = ' ';
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, (size_t)n) < 0) {
		/* nowhere left to say it */
	}
	errno = saved;
}
