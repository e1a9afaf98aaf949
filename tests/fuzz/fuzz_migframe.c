/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz target: data frames. Input: u16 length of the header, the header, the plaintext; it is sealed here with the session's key, as a
 * hostile but pinned source would. Nothing outside the region and the state file's limit may be written.
 */
#include "config.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include "common/util.h"
#include "migrated/io/inpipe.h"
#include "migrated/io/seal.h"

#define RAM_BYTES (64 * 4096ull)
#define STATE_MAX 65536u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct memmap mem;
	static uint8_t *scratch, *scratch2, *sealed;
	static int state_fd = -1;
	static struct wire_frame f;
	struct insession_config cfg = { .session = 7, .streams = 8, .mem = &mem, .state_max = STATE_MAX };
	struct in_stats st = { 0 };
	struct wire_credit credit;
	struct seal seal, open;
	struct stat sb;
	struct err err;

	if (!scratch) {
		int fd = memfd_create("ram", MFD_CLOEXEC);
		FUZZ_CHECK(fd >= 0 && ftruncate(fd, RAM_BYTES) == 0 && memmap_of_fd(&mem, fd, RAM_BYTES, &err) == 0);
		state_fd = memfd_create("state", MFD_CLOEXEC);
		scratch = malloc(WIRE_PAYLOAD_MAX + 64);
		scratch2 = malloc(WIRE_PAYLOAD_MAX + 64);
		sealed = malloc(WIRE_PAYLOAD_MAX + 64);
		FUZZ_CHECK(scratch && scratch2 && sealed && state_fd >= 0);
	}
	(void)!wire_credit_unpack(data, len, &credit);
	if (len < 2)
		return 0;
	size_t hdr = data[0] | (size_t)data[1] << 8;
	if (hdr > len - 2 || len - 2 - hdr > WIRE_PAYLOAD_MAX || wire_frame_unpack(data + 2, hdr, &f) < 0)
		return 0;
	size_t body = len - 2 - hdr;
	FUZZ_CHECK(f.n_runs <= WIRE_RUNS_MAX && f.stream < MIG_STREAMS_MAX);
	cfg.state_fd = state_fd;
	FUZZ_CHECK(seal_init(&seal, cfg.key) == 0);
	FUZZ_CHECK(seal_make(&seal, f.stream, f.seq, data + 2, hdr, data + 2 + hdr, body, sealed) == 0);
	seal_done(&seal);
	FUZZ_CHECK(seal_init(&open, cfg.key) == 0);
	(void)!inpipe_apply(&cfg, &open, &f, data + 2, hdr, sealed, body + WIRE_TAG_BYTES, scratch, scratch2, &st);
	FUZZ_CHECK(fstat(mem.r[0].fd, &sb) == 0 && sb.st_size == RAM_BYTES);
	FUZZ_CHECK(fstat(state_fd, &sb) == 0 && sb.st_size <= STATE_MAX);
	sealed[body] ^= 1; /* a damaged tag is always found */
	FUZZ_CHECK(inpipe_apply(&cfg, &open, &f, data + 2, hdr, sealed, body + WIRE_TAG_BYTES, scratch, scratch2, &st) <
	           0);
	seal_done(&open);
	return 0;
}
