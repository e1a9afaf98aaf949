/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The target's data plane: one data socket per daemon, and a few threads that read it in turn, open frames and write pages
 * into the incoming domain's memory. Sessions are registered from the loop's thread. Frames of unknown sessions are dropped.
 */
#ifndef HOSPES_MIGRATED_IO_INPIPE_H
#define HOSPES_MIGRATED_IO_INPIPE_H

#include "common/loop.h"
#include "migrated/io/memmap.h"
#include "migrated/io/seal.h"
#include "migrated/io/wire.h"

struct inpipe;
struct insession;

struct insession_config {
	uint64_t session;
	uint8_t key[WIRE_KEY_BYTES];
	unsigned streams;
	const struct memmap *mem; /* borrowed until insession_free */
	int state_fd;             /* borrowed; the state blob is written here */
	uint64_t state_max;       /* octets accepted for it */
	/* on the loop's thread, at most one of them, once */
	void (*complete)(void *arg); /* all frames that insession_expect() counted are written */
	void (*bad)(void *arg, const struct err *err);
	void *arg;
};
struct in_stats {
	uint64_t frames, octets, pages_data, pages_zero, state_octets;
};

/* @sock: a bound ROUTER, owned from now on. @workers threads. */
struct inpipe *inpipe_new(struct loop *loop, void *zmq, void *sock, unsigned workers, struct err *err);
void inpipe_free(struct inpipe *p); /* takes NULL; all sessions must be gone */

struct insession *insession_new(struct inpipe *p, const struct insession_config *cfg, struct err *err);
/* Returns when no thread touches its memory any more. Takes NULL. */
void insession_free(struct insession *s);
void insession_expect(struct insession *s, const uint64_t *frames, unsigned n, uint64_t state_bytes);
void insession_stats(struct insession *s, struct in_stats *ret);

/*
 * One frame against one session, without sockets: what the threads do; for tests and fuzzing. 0 or -errno. A frame that fails, even
 * one whose seal is wrong, may have been written to guest memory, never anywhere else: that memory must not be used then.
 */
int inpipe_apply(const struct insession_config *cfg, struct seal *seal, const struct wire_frame *f, const void *hdr,
                 size_t hdr_len, const uint8_t *body, size_t body_len, uint8_t *scratch, uint8_t *scratch2,
                 struct in_stats *st) _must_check_;

#endif
