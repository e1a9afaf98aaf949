/* SPDX-License-Identifier: GPL-2.0-or-later */
/* AES-128-OCB (RFC 7253) over data frames (docs/wire/migration.md section 5). One struct per thread and session. */
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
/* @out receives @len + WIRE_TAG_BYTES octets. @in, @out: apart. */
int seal_make(struct seal *s, uint32_t stream, uint64_t seq, const void *aad, size_t aad_len, const void *in,
              size_t len, uint8_t *out) _must_check_;
/* @in: @len octets with the tag at their end; @out receives @len - WIRE_TAG_BYTES. -EBADMSG: the tag is wrong. */
int seal_open(struct seal *s, uint32_t stream, uint64_t seq, const void *aad, size_t aad_len, const uint8_t *in,
              size_t len, uint8_t *out) _must_check_;
/*
 * The same in pieces, whose lengths are multiples of 16: begin, part for each, end with the tag. What parts give
 * out is not proved before end says 0. -EIO, end: -EBADMSG.
 */
int seal_open_begin(struct seal *s, uint32_t stream, uint64_t seq, const void *aad, size_t aad_len) _must_check_;
int seal_open_part(struct seal *s, const uint8_t *in, size_t len, uint8_t *out) _must_check_;
int seal_open_end(struct seal *s, const uint8_t tag[WIRE_TAG_BYTES]) _must_check_;

#endif
