/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Encryption of data frames by AES-128-OCB (RFC 7253; docs/wire/migration.md, section 5). Each thread has one struct per session. */
#ifndef HOSPES_MIGRATED_IO_SEAL_H
#define HOSPES_MIGRATED_IO_SEAL_H

#include <stddef.h>
#include <stdint.h>
#include "common/cleanup.h"
#include "migrated/io/wire.h"

struct seal {
	void *ctx;
};

/* -ENOMEM, -EIO. */
int seal_init(struct seal *s, const uint8_t key[WIRE_KEY_BYTES]) _must_check_;
void seal_done(struct seal *s);
/* Encrypt: @out receives @len + WIRE_TAG_BYTES octets, and must not overlap @in. @aad is authenticated only. */
int seal_make(struct seal *s, uint32_t stream, uint64_t seq, const void *aad, size_t aad_len, const void *in,
              size_t len, uint8_t *out) _must_check_;
/* Decrypt @len octets, the tag at their end: @out receives @len - WIRE_TAG_BYTES. -EBADMSG: the tag is wrong. */
int seal_open(struct seal *s, uint32_t stream, uint64_t seq, const void *aad, size_t aad_len, const uint8_t *in,
              size_t len, uint8_t *out) _must_check_;
/*
 * Decrypt in pieces, whose lengths are multiples of 16: begin, a part for each, end with the tag. The output of the parts is authentic only
 * if seal_open_end() returns 0. -EIO; end: -EBADMSG.
 */
int seal_open_begin(struct seal *s, uint32_t stream, uint64_t seq, const void *aad, size_t aad_len) _must_check_;
int seal_open_part(struct seal *s, const uint8_t *in, size_t len, uint8_t *out) _must_check_;
int seal_open_end(struct seal *s, const uint8_t tag[WIRE_TAG_BYTES]) _must_check_;

#endif
