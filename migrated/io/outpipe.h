/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The source's data plane: worker threads, one per stream, copy pending pages out of guest memory, drop those that the target has already,
 * and send the others in encrypted frames, within credits and bandwidth. Call from the loop's thread.
 */
#ifndef HOSPES_MIGRATED_IO_OUTPIPE_H
#define HOSPES_MIGRATED_IO_OUTPIPE_H

#include "common/loop.h"
#include "migrated/core/mig.h"
#include "migrated/io/memmap.h"
#include "migrated/io/wire.h"

enum out_compress { OUT_COMPRESS_AUTO, OUT_COMPRESS_LZ4, OUT_COMPRESS_NONE };

struct out_stats {
	uint64_t pages_data, pages_zero, pages_same; /* pages sent, sent as zeros, dropped */
	uint64_t octets, raw_octets;                 /* on the wire; before compression */
	/* time of all threads: taking pages out of guest memory, hashing (of some, for all), sealing frames, handing them to the socket */
	uint64_t copy_ns, hash_ns, seal_ns, send_ns;
	uint64_t wait_ns; /* waiting for acknowledgements, or for the bandwidth */
};

struct out_config {
	void *zmq;            /* context, borrowed */
	const char *endpoint; /* tcp://host:port of the target's data socket; copied */
	struct loop *loop;
	const struct memmap *mem; /* what it says is borrowed until outpipe_free(), and does not change */
	uint64_t session;
	uint8_t key[WIRE_KEY_BYTES];
	unsigned streams;
	uint64_t credit_bytes;  /* per stream */
	uint64_t bandwidth_bps; /* 0: no limit */
	enum out_compress compress;
	/* called on the loop's thread, never after outpipe_free() began */
	void (*pass_done)(void *arg, const struct out_stats *pass, uint64_t busy_ns);
	void (*state_sent)(void *arg);
	void (*failed)(void *arg, const struct err *err);
	void *arg;
};

struct outpipe;
struct outpipe *outpipe_new(const struct out_config *cfg, struct err *err); /* NULL: @err */
/* The bitmap of pages of region @i that wait; the caller may set bits while no round is under way. */
uint64_t *outpipe_pending(struct outpipe *p, unsigned i);
/* Add the pages of the shared dirty bitmap to the pending ones. Returns how many pages are pending. */
uint64_t outpipe_harvest(struct outpipe *p);
/* Begin a round: send the pending pages -> pass_done(). @hash_all: every page that differs from what was sent, pending or not. */
void outpipe_pass(struct outpipe *p, enum mig_pass kind, bool hash_all, uint32_t round);
/* Send the guest's state, @size octets in @fd, which is borrowed until outpipe_free(). */
void outpipe_state(struct outpipe *p, int fd, uint64_t size);
/* Stop the round under way, without a callback. */
void outpipe_stop(struct outpipe *p);
/* While the guest is stopped and no round is under way: how many pages differ from what was sent, and the first of them. */
uint64_t outpipe_changed(struct outpipe *p, uint64_t *ret_first);
/*
 * Stops, and waits a moment for the threads. If the kernel holds one of them, @mem (that of the configuration) and
 * @state_fd are taken over, emptied for the caller, and go when it is done. Else they stay the caller's, and no thread
 * uses them any more. Takes NULL.
 */
void outpipe_free(struct outpipe *p, struct memmap *mem, int *state_fd);
/* Totals so far, at any time. */
void outpipe_stats(struct outpipe *p, struct out_stats *ret);
/* Frames sent on each stream, for Final, while no round is under way. Returns the number of streams. */
unsigned outpipe_frames(struct outpipe *p, uint64_t frames[MIG_STREAMS_MAX]);

#endif
