/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzz target: the saved state of devices. What is accepted must save and load again as itself. */
#include "config.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/fuzzdevs.h"

#include <errno.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct guestmem mem;
	static struct devs *d;
	struct err err = { 0 };
	_cleanup_buf_ struct buf a = { 0 }, b = { 0 };

	if (!d)
		d = fuzzdevs(&mem);
	struct rd rd = rd_of(data, len);
	int r = devs_load(d, &rd, &err);
	if (r < 0) {
		FUZZ_CHECK(r == -EINVAL && err.code == EINVAL && err.text[0] && rd.left == len);
		return 0;
	}
	FUZZ_CHECK(devs_save(d, &a, NULL) == 0);
	rd = rd_of(a.data, a.len);
	FUZZ_CHECK(devs_load(d, &rd, NULL) == 0 && rd.left == 0 && devs_save(d, &b, NULL) == 0);
	FUZZ_CHECK(a.len == b.len && !memcmp(a.data, b.data, a.len));
	return 0;
}
