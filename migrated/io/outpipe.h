/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The source's data plane: worker threads, one per stream, that copy pending pages out of guest memory, leave out what the
 * target has already, seal the rest into frames and send them, within credits and bandwidth. Driven from the loop's thread.
 */
#ifndef HOSPES_MIGRATED_IO_OUTPIPE_H
#define HOSPES_MIGRATED_IO_OUTPIPE_H

#include "common/loop.h"
#include "migrated/core/mig.h"
#include "migrated/io/memmap.h"
#include "migrated/io/wire.h"

enum out_compress { OUT_COMPRESS_AUTO, OUT_COMPRESS_LZ4, OUT_COMPRESS_NONE };

struct out_stats {
	uint64_t pages_data, pages_zero, pages_same, octets, raw_octets;
};

struct out_config {
	void *zmq;            /* context, borrowed */
	const char *endpoint; /* tcp://host:port of the target's data socket; copied */
	struct loop *loop;
	const struct memmap *mem; /* borrowed, outlives the pipe */
	uint64_t session;
	uint8_t key[WIRE_KEY_BYTES];
	unsigned streams;
	uint64_t credit_bytes;  /* per stream */
	uint64_t bandwidth_bps; /* 0: no limit */
	enum out_compress compress;
	/* on the loop's thread; never after outpipe_free() began */
	void (*pass_done)(void *arg, const struct out_stats *pass, uint64_t busy_ns);
	void (*state_sent)(void *arg);
	void (*failed)(void *arg, const struct err *err);
	void *arg;
};

struct outpipe;
struct outpipe *outpipe_new(const struct out_config *cfg, struct err *err);
/* Bits of pages that wait, region @i; the caller may OR into it while no pass runs. */
uint64_t *outpipe_pending(struct outpipe *p, unsigned i);
/* Move the pages that the shared dirty bitmap names to the pending ones; returns how many are pending. */
uint64_t outpipe_harvest(struct outpipe *p);
/* Send what is pending. @hash_all: compare every page with what was sent, whatever is pending (final pass of hash mode). */
void outpipe_pass(struct outpipe *p, enum mig_pass kind, bool hash_all, uint32_t round);
/* Send the state blob; @fd stays the caller's and must live until state_sent or free. */
void outpipe_state(struct outpipe *p, int fd, uint64_t size);
/* Stop what is under way; no call-back follows. */
void outpipe_stop(struct outpipe *p);
/* While the guest is stopped and nothing is under way: pages that are no more what was sent; the first one goes to @ret_first. */
uint64_t outpipe_changed(struct outpipe *p, uint64_t *ret_first);
void outpipe_free(struct outpipe *p); /* takes NULL; joins the threads */
/* Totals so far; any time. */
void outpipe_stats(struct outpipe *p, struct out_stats *ret);
/* Frames sent on each stream, for Final; only when nothing is under way. Returns the number of streams. */
unsigned outpipe_frames(struct outpipe *p, uint64_t frames[MIG_STREAMS_MAX]);

#endif
