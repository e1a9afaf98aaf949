/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See beat.h. */
#include "config.h"
#include "hypervisor/dev/beat.h"

#include <string.h>
#include "common/util.h"

#define PIECES 8u

static uint64_t piece_ns(const struct beat *b)
{
	return b->period_s * NS_PER_S / PIECES;
}

/* The number after "hospes:beat ", -1: another line, or a number that we do not take. */
static int beat_of(const char *line, size_t len)
{
	static const char word[] = "hospes:beat ";
	const size_t at = sizeof(word) - 1;
	unsigned v = 0;

	if (len <= at || len > at + 3 || memcmp(line, word, at) != 0)
		return -1;
	for (size_t i = at; i < len; i++) {
		if (line[i] < '0' || line[i] > '9')
			return -1;
		v = v * 10 + (unsigned)(line[i] - '0');
	}
	return !v || (v >= BEAT_MIN_S && v <= BEAT_MAX_S) ? (int)v : -1;
}

void beat_heard(struct beat *b, const char *p, size_t len, uint64_t now_ns)
{
	for (; len; p++, len--) {
		if (*p == '\n') {
			int v = b->line_len <= BEAT_LINE_MAX ? beat_of(b->line, b->line_len) : -1;
			b->line_len = 0;
			if (v >= 0) {
				b->period_s = (unsigned)v;
				b->heard_ns = now_ns;
				beat_anew(b, now_ns);
			}
		} else if (*p != '\r' && b->line_len <= BEAT_LINE_MAX) {
			if (b->line_len < BEAT_LINE_MAX)
				b->line[b->line_len] = *p;
			b->line_len++;
		}
	}
}

void beat_anew(struct beat *b, uint64_t now_ns)
{
	b->told = b->half_told = false;
	b->silent_ns = 0;
	b->at_ns = now_ns;
}

enum beat_news beat_tick(struct beat *b, uint64_t now_ns)
{
	uint64_t passed = now_ns - b->at_ns;

	if (!b->period_s || b->told)
		return BEAT_NOTHING;
	b->silent_ns += passed < piece_ns(b) ? passed : piece_ns(b);
	b->at_ns = now_ns;
	b->told = b->silent_ns >= b->period_s * NS_PER_S;
	if (b->told)
		return BEAT_SILENT;
	if (b->half_told || b->silent_ns < b->period_s * NS_PER_S / 2)
		return BEAT_NOTHING;
	b->half_told = true;
	return BEAT_QUIET;
}

void beat_give_back(struct beat *b, uint64_t ns, uint64_t now_ns)
{
	if (!b->told)
		return; /* heard in the meantime */
	b->told = false;
	b->silent_ns -= ns < b->silent_ns ? ns : b->silent_ns;
	b->at_ns = now_ns;
}

uint64_t beat_due_ns(const struct beat *b)
{
	return b->period_s && !b->told ? b->at_ns + piece_ns(b) : UINT64_MAX;
}
