/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What hospes-virtd-tls says to hospes-virtd, and who may come in. One packet of a SOCK_SEQPACKET socket is one message: a letter,
 * the client's address, a line feed, a text. A process that a client may have taken over sends them, so they are read as
 * hostile. Pure: no I/O, any thread.
 */
#ifndef HOSPES_VIRTD_VDTLSMSG_H
#define HOSPES_VIRTD_VDTLSMSG_H

#include <stdbool.h>
#include <stddef.h>
#include "common/cleanup.h"

#define VDTLS_ADDR_MAX 64u   /* with its NUL */
#define VDTLS_TEXT_MAX 1024u
#define VDTLS_MSG_MAX  (1u + VDTLS_ADDR_MAX + 1u + VDTLS_TEXT_MAX)

enum vdtls_kind {
	VDTLS_READY = 'r',   /* it serves; the text is its process id. No address */
	VDTLS_FAILED = 'f',  /* it cannot serve; the text says why. No address */
	VDTLS_CLIENT = 'c',  /* a client with a good certificate, whose distinguished name is the text, and a socket to it */
	VDTLS_REFUSED = 'n', /* a client that was refused; the text says why */
};

struct vdtls_msg {
	enum vdtls_kind kind;
	char addr[VDTLS_ADDR_MAX];
	char text[VDTLS_TEXT_MAX];
};

/* Write a message of at most VDTLS_MSG_MAX octets to @p; longer texts are cut. Its length. */
size_t vdtls_msg_write(enum vdtls_kind kind, const char *addr, const char *text, char p[VDTLS_MSG_MAX]);
/*
 * Read a message. -EBADMSG: it is none, or it has control characters or, in a name or an address, anything that is too long. A text that
 * is no name is made one line of UTF-8.
 */
int vdtls_msg_read(const void *p, size_t len, struct vdtls_msg *ret) _must_check_;
/*
 * True if the distinguished name @dn (RFC 4514's escapes) fits @pattern: '*' is any number of characters, '?' is one.
 * An escaped character ("\,") is one character, and not the same as the unescaped one, so no attribute's value can look
 * like another attribute.
 */
bool vdtls_dn_fits(const char *pattern, const char *dn);

#endif
