/* SPDX-License-Identifier: GPL-2.0-or-later */
/* XDR: see vdxdr.h. */
#include "config.h"
#include "virtd/vdxdr.h"

#include <endian.h>
#include <string.h>

static size_t padded(size_t len)
{
	return (len + 3) & ~(size_t)3;
}

/* @x->left is at most the size of a message, so nothing here overflows. */
static const uint8_t *take(struct xdr *x, size_t len)
{
	const uint8_t *p = x->p;

	if (x->bad || len > x->left) {
		x->bad = true;
		return NULL;
	}
	x->p += len;
	x->left -= len;
	return p;
}

uint32_t xdr_u32(struct xdr *x)
{
	const uint8_t *p = take(x, 4);
	uint32_t v = 0;

	if (p)
		memcpy(&v, p, sizeof(v));
	return be32toh(v);
}

uint64_t xdr_u64(struct xdr *x)
{
	const uint8_t *p = take(x, 8);
	uint64_t v = 0;

	if (p)
		memcpy(&v, p, sizeof(v));
	return be64toh(v);
}

const uint8_t *xdr_fixed(struct xdr *x, size_t len)
{
	const uint8_t *p;

	if (len > x->left) {
		x->bad = true;
		return NULL;
	}
	p = take(x, padded(len));
	for (size_t i = len; p && i < padded(len); i++)
		if (p[i]) {
			x->bad = true;
			return NULL;
		}
	return p;
}

const uint8_t *xdr_opaque(struct xdr *x, size_t max, size_t *ret_len)
{
	uint32_t len = xdr_u32(x);
	const uint8_t *p;

	*ret_len = 0;
	if (len > max)
		x->bad = true;
	if (x->bad)
		return NULL;
	p = xdr_fixed(x, len);
	if (p)
		*ret_len = len;
	return p;
}

char *xdr_string(struct xdr *x)
{
	size_t len;
	const uint8_t *p = xdr_opaque(x, XDR_STRING_MAX, &len);
	char *s;

	if (!p)
		return NULL;
	s = memchr(p, 0, len) ? NULL : malloc(len + 1);
	if (!s) {
		x->bad = true;
		return NULL;
	}
	memcpy(s, p, len);
	s[len] = 0;
	return s;
}

bool xdr_opt_string(struct xdr *x, char **ret)
{
	*ret = NULL;
	if (xdr_u32(x)) /* some clients say another true than 1 */
		*ret = xdr_string(x);
	return !x->bad;
}

void xdr_put_u32(struct buf *b, uint32_t v)
{
	v = htobe32(v);
	buf_put(b, &v, sizeof(v));
}

void xdr_put_u64(struct buf *b, uint64_t v)
{
	v = htobe64(v);
	buf_put(b, &v, sizeof(v));
}

void xdr_put_fixed(struct buf *b, const void *p, size_t len)
{
	static const uint8_t zero[4];

	buf_put(b, p, len);
	buf_put(b, zero, padded(len) - len);
}

void xdr_put_opaque(struct buf *b, const void *p, size_t len)
{
	xdr_put_u32(b, (uint32_t)len);
	xdr_put_fixed(b, p, len);
}

void xdr_put_string(struct buf *b, const char *s)
{
	xdr_put_opaque(b, s, strlen(s));
}

void xdr_put_opt_string(struct buf *b, const char *s)
{
	xdr_put_u32(b, s != NULL);
	if (s)
		xdr_put_string(b, s);
}
