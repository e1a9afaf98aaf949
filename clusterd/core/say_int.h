/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Texts put together without printf, which a pure core does not have. A text that is too long is cut; it is always terminated. */
#ifndef HOSPES_CLUSTERD_CORE_SAY_INT_H
#define HOSPES_CLUSTERD_CORE_SAY_INT_H

#include <stddef.h>
#include <stdint.h>

struct say { char *to; size_t cap, len; };

/* @to, borrowed, has @cap octets. NULL and 0: nothing is written. */
static inline void say_begin(struct say *y, char *to, size_t cap)
{
	*y = (struct say){ .to = to, .cap = cap };
	if (cap)
		to[0] = 0;
}

static inline void say(struct say *y, const char *text)
{
	if (!y->cap)
		return;
	while (*text && y->len + 1 < y->cap)
		y->to[y->len++] = *text++;
	y->to[y->len] = 0;
}

static inline void say_u64(struct say *y, uint64_t v)
{
	char b[21];
	size_t i = sizeof(b) - 1;

	if (!y->cap)
		return;
	b[i] = 0;
	do
		b[--i] = (char)('0' + v % 10);
	while ((v /= 10));
	say(y, b + i);
}

/* A size for people: in MiB, from 10 GiB on in GiB, rounded down. */
static inline void say_size(struct say *y, uint64_t bytes)
{
	if (bytes >> 20 < 10240) {
		say_u64(y, bytes >> 20);
		say(y, " MiB");
	} else {
		say_u64(y, bytes >> 30);
		say(y, " GiB");
	}
}

#endif
