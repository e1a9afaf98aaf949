/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The target's data plane: one data socket per daemon, and a few threads that read it in turn, decrypt frames and write pages into the
 * incoming domain's memory. Frames of unknown sessions are dropped. Call from the loop's thread.
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
	const struct memmap *mem; /* what it says is borrowed until insession_free(), and does not change */
	int state_fd;             /* borrowed as well; the guest's state is written here */
	uint64_t state_max;       /* octets that are accepted for it */
	/* one of the two is called, once, on the loop's thread */
	void (*complete)(void *arg); /* all frames that insession_expect() counted are written */
	void (*bad)(void *arg, const struct err *err);
	void *arg;
};
struct in_stats {
	uint64_t frames, octets, pages_data, pages_zero, state_octets;
	/* time of all threads: taking frames from the socket, opening them, making room for pages and zeros in guest memory */
	uint64_t receive_ns, open_ns, place_ns;
};

/* @sock: a bound ROUTER, owned from now on, also on failure. @workers: number of threads. NULL: @err. */
struct inpipe *inpipe_new(struct loop *loop, void *sock, unsigned workers, struct err *err);
void inpipe_free(struct inpipe *p); /* takes NULL; all sessions must be gone */

struct insession *insession_new(struct inpipe *p, const struct insession_config *cfg, struct err *err);
/*
 * Does not wait. If a thread still writes a frame, which the kernel may hold for long, @mem and @state_fd (those of the configuration) are
 * taken over, emptied for the caller, and go when it is done. Else they stay the caller's, and no thread uses them any more. Takes NULL.
 */
void insession_free(struct insession *s, struct memmap *mem, int *state_fd);
/* Final came: @n streams have sent so many frames each, and a state of @state_bytes. complete() follows when all are written. */
void insession_expect(struct insession *s, const uint64_t *frames, unsigned n, uint64_t state_bytes);
void insession_stats(struct insession *s, struct in_stats *ret);

/*
 * Write one frame (@f, its header @hdr, its sealed @body) into one session. Public for tests and fuzzing. @scratch, @scratch2: room for
 * WIRE_PAYLOAD_MAX + 64 octets each. 0 or -errno. After a failure, a wrong seal included, guest memory may have been written and must not
 * be used. Nothing else is written.
 */
int inpipe_apply(const struct insession_config *cfg, struct seal *seal, const struct wire_frame *f, const void *hdr,
                 size_t hdr_len, const uint8_t *body, size_t body_len, uint8_t *scratch, uint8_t *scratch2,
                 struct in_stats *st) _must_check_;

#endif
