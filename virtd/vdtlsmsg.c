/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See vdtlsmsg.h. */
#include "config.h"
#include "virtd/vdtlsmsg.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "common/util.h"

size_t vdtls_msg_write(enum vdtls_kind kind, const char *addr, const char *text, char p[VDTLS_MSG_MAX])
{
	size_t n;

	p[0] = (char)kind;
	n = 1 + strnlen(addr, VDTLS_ADDR_MAX - 1);
	memcpy(p + 1, addr, n - 1);
	p[n++] = '\n';
	size_t len = strnlen(text, VDTLS_TEXT_MAX - 1);
	memcpy(p + n, text, len);
	return n + len;
}

static bool is_kind(char c)
{
	return c == VDTLS_READY || c == VDTLS_FAILED || c == VDTLS_CLIENT || c == VDTLS_REFUSED;
}

/* Numbers of hosts and ports only. */
static bool is_address(const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!strchr("0123456789abcdefABCDEF.:[]%", p[i]) || !p[i])
			return false;
	return len < VDTLS_ADDR_MAX;
}

int vdtls_msg_read(const void *p, size_t len, struct vdtls_msg *ret)
{
	const char *s = p, *end = len ? memchr(s, '\n', len) : NULL;
	struct vdtls_msg m = { 0 };
	size_t n, rest;

	if (!end || end == s || !is_kind(s[0]))
		return -EBADMSG;
	n = (size_t)(end - s) - 1;
	rest = len - n - 2;
	if (!is_address(s + 1, n) || rest >= VDTLS_TEXT_MAX || memchr(end + 1, 0, rest))
		return -EBADMSG;
	m.kind = (enum vdtls_kind)s[0];
	memcpy(m.addr, s + 1, n);
	memcpy(m.text, end + 1, rest);
	text_tidy(m.text);
	/* a name is what was checked, or nothing */
	if (m.kind == VDTLS_CLIENT && (!rest || strlen(m.text) != rest || memcmp(m.text, end + 1, rest) != 0))
		return -EBADMSG;
	*ret = m;
	return 0;
}

/* Octets of the character at @s, with its backslash: 0 at the end. */
static size_t unit(const char *s)
{
	size_t n = *s == '\\' && s[1] ? 2 : *s ? 1 : 0;

	if (n == 1 && (*s & 0xc0) == 0xc0)
		while ((s[n] & 0xc0) == 0x80)
			n++;
	return n;
}

bool vdtls_dn_fits(const char *pattern, const char *dn)
{
	const char *star = NULL, *from = NULL; /* the last '*', and what it has to take at least */

	while (*dn) {
		size_t n = unit(dn), k = unit(pattern);

		if (*pattern == '*') {
			star = ++pattern;
			from = dn;
		} else if (*pattern == '?' || (k == n && !memcmp(pattern, dn, n))) {
			pattern += k;
			dn += n;
		} else if (star) {
			from += unit(from);
			dn = from;
			pattern = star;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return !*pattern;
}
