/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Messages between daemons as octets: packs and unpacks proto/migration.proto, and checks every limit of docs/wire/migration.md before
 * other code sees a message. Pure. Any thread.
 */
#ifndef HOSPES_MIGRATED_IO_WIRE_H
#define HOSPES_MIGRATED_IO_WIRE_H

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/err.h"
#include "migrated/core/mig.h"
#include "proto/migration.pb-c.h"

#define WIRE_CONTROL_MAX      (2u << 20)
#define WIRE_HEADER_MAX       65536u
#define WIRE_PAYLOAD_MAX      (1u << 20)
#define WIRE_TAG_BYTES        16u
#define WIRE_KEY_BYTES        16u
#define WIRE_XML_MAX          (1u << 20)
#define WIRE_RUNS_MAX         1024u /* pairs per frame */
#define WIRE_TEXT_MAX         511u
#define WIRE_CPU_FEATURES_MAX 256u

enum wire_frame_kind { WIRE_FRAME_PAGES = 1, WIRE_FRAME_STATE = 2 };
enum wire_codec { WIRE_CODEC_RAW = 0, WIRE_CODEC_LZ4 = 1 };

struct wire_frame {
	uint64_t session, seq, offset;
	uint32_t stream, kind, region, round, codec, raw_bytes;
	bool dense;
	uint64_t dense_end; /* page before which the pieces that follow are dense, too; 0: not said */
	uint32_t n_runs;                  /* pairs */
	uint32_t runs[2 * WIRE_RUNS_MAX]; /* (gap, count * 2 + zero) */
};

struct wire_credit {
	uint64_t session, frames, octets;
	uint64_t work_ns; /* the target's threads on the session's frames; 0: not said */
	uint32_t stream;
};

/* Append the packed envelope to @out. -ENOMEM. */
int wire_pack(const Hospes__Mig__Envelope *env, struct buf *out) _must_check_;
/* Unpack and check @len octets. *@ret is owned by the caller (wire_free()), *@ret_msg is the machines' part. -EPROTO, -EMSGSIZE. */
int wire_unpack(const void *p, size_t len, Hospes__Mig__Envelope **ret, struct mig_msg *ret_msg,
                struct err *err) _must_check_;
void wire_free(Hospes__Mig__Envelope *env); /* takes NULL */
static inline void cleanup_wire(Hospes__Mig__Envelope **e)
{
	wire_free(*e);
}
#define _cleanup_wire_ __attribute__((cleanup(cleanup_wire)))

/* The same for the header of a data frame, and for a Credit. Unpacking checks limits; wire_runs_check() does the rest. */
int wire_frame_pack(const struct wire_frame *f, struct buf *out) _must_check_;
int wire_frame_unpack(const void *p, size_t len, struct wire_frame *ret) _must_check_;
int wire_credit_pack(const struct wire_credit *c, struct buf *out) _must_check_;
int wire_credit_unpack(const void *p, size_t len, struct wire_credit *ret) _must_check_;

/* Check the runs of a frame of pages for a region of @n_pages: each lies inside, and their data is raw_bytes octets. -EPROTO. */
int wire_runs_check(const struct wire_frame *f, uint64_t n_pages) _must_check_;

#endif
