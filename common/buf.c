/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Growing buffer and checked reader: see buf.h. x86-64 only, so little-endian fields are plain copies. */
#include "config.h"
#include "common/buf.h"

#include <string.h>

void buf_done(struct buf *b)
{
	free(b->data);
	memset(b, 0, sizeof(*b));
}

void buf_reset(struct buf *b)
{
	b->len = 0;
	b->failed = false;
}

void *buf_reserve(struct buf *b, size_t len)
{
	if (b->failed)
		return NULL;
	if (len > b->cap - b->len || !b->data) {
		size_t want, cap = b->cap ? b->cap : 256;
		uint8_t *p;

		if (__builtin_add_overflow(b->len, len, &want) || want > SIZE_MAX / 2) {
			b->failed = true;
			return NULL;
		}
		while (cap < want)
			cap *= 2;
		p = realloc(b->data, cap);
		if (!p) {
			b->failed = true;
			return NULL;
		}
		b->data = p;
		b->cap = cap;
	}
	return b->data + b->len;
}

void buf_put(struct buf *b, const void *p, size_t len)
{
	void *to;

	if (!len)
		return;
	to = buf_reserve(b, len);
	if (!to)
		return;
	memcpy(to, p, len);
	b->len += len;
}

void buf_put_str(struct buf *b, const char *s)
{
	size_t len = s ? strlen(s) : 0;

	if (len > UINT32_MAX) {
		b->failed = true;
		return;
	}
	buf_put_u32(b, (uint32_t)len);
	buf_put(b, s, len);
}

const void *rd_bytes(struct rd *r, size_t len)
{
	const uint8_t *p = r->p;

	if (r->bad || len > r->left) {
		r->bad = true;
		return NULL;
	}
	if (len) {
		r->p += len;
		r->left -= len;
	}
	return p ? p : (const void *)"";
}

void rd_copy(struct rd *r, void *to, size_t len)
{
	const void *p = rd_bytes(r, len);

	if (p)
		memcpy(to, p, len);
	else
		memset(to, 0, len);
}

char *rd_str(struct rd *r, size_t max)
{
	size_t len = rd_u32(r);
	const char *p;
	char *s;

	if (r->bad || len > max || len > r->left || memchr(r->p, 0, len)) {
		r->bad = true;
		return NULL;
	}
	p = rd_bytes(r, len);
	s = malloc(len + 1);
	if (!s) {
		r->bad = true;
		return NULL;
	}
	memcpy(s, p, len);
	s[len] = 0;
	return s;
}
