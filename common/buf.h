/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A growing byte buffer, and a bounds-checked reader over bytes that come from outside. Little-endian fixed fields. */
#ifndef HOSPES_COMMON_BUF_H
#define HOSPES_COMMON_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/cleanup.h"

struct buf {
	uint8_t *data;   /* owned, NULL when cap is 0 */
	size_t len;      /* bytes used */
	size_t cap;      /* bytes allocated */
	bool failed;     /* an append ran out of memory; sticky, checked once at the end */
};

void buf_done(struct buf *b);                       /* frees, zeroes */
static inline void cleanup_buf(struct buf *b) { buf_done(b); }
#define _cleanup_buf_ __attribute__((cleanup(cleanup_buf)))
void buf_reset(struct buf *b);                      /* len = 0, keeps memory */
void *buf_reserve(struct buf *b, size_t len);       /* room for @len more bytes, NULL on failure */
void buf_put(struct buf *b, const void *p, size_t len);
static inline void buf_put_u8(struct buf *b, uint8_t v) { buf_put(b, &v, sizeof(v)); }
static inline void buf_put_u16(struct buf *b, uint16_t v) { buf_put(b, &v, sizeof(v)); }
static inline void buf_put_u32(struct buf *b, uint32_t v) { buf_put(b, &v, sizeof(v)); }
static inline void buf_put_u64(struct buf *b, uint64_t v) { buf_put(b, &v, sizeof(v)); }
void buf_put_str(struct buf *b, const char *s);     /* u32 length + bytes, no NUL; NULL is the empty string */

struct rd {
	const uint8_t *p;  /* next byte; borrowed */
	size_t left;       /* bytes that remain */
	bool bad;          /* a read went past the end; sticky: later reads give 0 */
};

static inline struct rd rd_of(const void *p, size_t len) { return (struct rd){ .p = p, .left = len }; }
const void *rd_bytes(struct rd *r, size_t len);     /* borrowed pointer into the input, NULL if short */
void rd_copy(struct rd *r, void *to, size_t len);   /* zeroes if short */
static inline uint8_t rd_u8(struct rd *r) { uint8_t v; rd_copy(r, &v, sizeof(v)); return v; }
static inline uint16_t rd_u16(struct rd *r) { uint16_t v; rd_copy(r, &v, sizeof(v)); return v; }
static inline uint32_t rd_u32(struct rd *r) { uint32_t v; rd_copy(r, &v, sizeof(v)); return v; }
static inline uint64_t rd_u64(struct rd *r) { uint64_t v; rd_copy(r, &v, sizeof(v)); return v; }
char *rd_str(struct rd *r, size_t max);             /* malloc'd, NUL-terminated; NULL if short, over @max or holding a NUL */

#endif
