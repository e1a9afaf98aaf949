/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The source's data plane as its threads see it: see outpipe.c, and no other file. */
#ifndef HOSPES_MIGRATED_IO_OUTPIPE_INT_H
#define HOSPES_MIGRATED_IO_OUTPIPE_INT_H

#include <pthread.h>
#include <stdatomic.h>
#include "common/buf.h"
#include "migrated/core/controller.h"
#include "migrated/core/window.h"
#include "migrated/io/outbatch.h"
#include "migrated/io/outpipe.h"
#include "migrated/io/seal.h"

struct out_worker {
	struct outpipe *p;
	pthread_t thread;
	bool running;
	unsigned stream;
	void *sock; /* DEALER, owned by the thread */
	struct seal seal;
	uint64_t seq;         /* next frame */
	uint64_t sent, acked; /* payload octets */
	struct mig_window win;
	uint64_t stalled_ns; /* waited since acked last grew, or was equal to sent */
	uint32_t pass_seen;
	uint64_t wait_ns, pass_start_ns; /* waited for acknowledgements in this pass */
	uint64_t work_ns, pass_work_ns;  /* what the target said it worked; when the pass began */
	struct outbatch batch;
	unsigned dense_region; /* what dense_end() found last: words and pages there */
	uint64_t dense_from, dense_end;
	struct buf hdr;
	_Atomic uint64_t populate_ns, seal_ns, send_ns, waited_ns; /* since the start; other threads read them */
};

struct outpipe {
	struct out_config cfg;
	struct memmap mem; /* as cfg.mem says, which may go before a thread is done; owned once @left */
	char *endpoint;
	_Atomic unsigned refs; /* its owner or its threads, and each note */
	pthread_mutex_t lock;
	pthread_cond_t cond, gone; /* @gone: @alive is 0 */
	uint64_t *pending[MIG_REGIONS_MAX], *present[MIG_REGIONS_MAX], *hash[MIG_REGIONS_MAX];
	uint64_t chunk_first[MIG_REGIONS_MAX + 1]; /* chunk numbers where regions begin */
	/* under lock */
	unsigned alive; /* threads */
	bool left;      /* by outpipe_free(): the last thread ends it */
	int left_state_fd;
	bool quit, failed;
	uint32_t pass_id;
	enum mig_pass pass_kind;
	bool hash_all, prep_done, prep_taken;
	uint32_t round;
	unsigned pass_left; /* workers that still work on the pass */
	uint64_t pass_start_ns;
	struct out_stats pass_from; /* totals when it began */
	int state_fd;
	uint64_t state_size;
	unsigned state_left; /* pieces not yet handed to the socket */
	struct mig_bucket bucket;
	struct err err;
	/* any time */
	atomic_bool stop;
	_Atomic uint64_t cursor, state_cursor;
	_Atomic uint64_t n_octets, n_raw;
	_Atomic uint32_t epoch; /* call-backs of a stopped pass are dropped */
	unsigned n_workers;
	struct out_worker w[MIG_STREAMS_MAX];
};

#endif
