/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz target: the reader of save files. The hash of the input is made right first, otherwise nothing would come past it.
 * What verifies must load, and stay within the regions' sizes.
 */
#include "config.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>
#include "common/util.h"
#include "hypervisor/api/savefile.h"

static int memfd_with(const void *p, size_t len)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	FUZZ_CHECK(fd >= 0 && write_full(fd, p, len) == 0);
	return fd;
}

static int make_input(const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);
	int fd;

	FUZZ_CHECK(copy);
	memcpy(copy, data, len);
	if (len >= sizeof(struct savefile_trailer)) {
		size_t at = len - sizeof(struct savefile_trailer);
		uint64_t hash = XXH3_64bits(copy, at);

		memcpy(copy + at, &hash, sizeof(hash));
	}
	fd = memfd_with(copy, len);
	free(copy);
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	_cleanup_savefile_in_ struct savefile_in *in = NULL;
	int fds[HV_REGIONS_MAX], blob;
	struct err err = { 0 };
	struct stat st;

	if (savefile_open_fd(make_input(data, len), "fuzz", &in, &err) < 0 || savefile_verify(in, NULL, &err) < 0) {
		FUZZ_CHECK(err.code > 0 && err.text[0]);
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = memfd_with(NULL, 0);
	blob = memfd_with(NULL, 0);
	FUZZ_CHECK(savefile_load(in, fds, blob, NULL, &err) == 0);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		FUZZ_CHECK(fstat(fds[i], &st) == 0);
		FUZZ_CHECK(i < savefile_meta(in)->n_regions
		                   ? (uint64_t)st.st_size <= savefile_meta(in)->region[i].size_bytes
		                   : !st.st_size);
		close(fds[i]);
	}
	FUZZ_CHECK(fstat(blob, &st) == 0 && (uint64_t)st.st_size == savefile_meta(in)->state_bytes);
	close(blob);
	return 0;
}
