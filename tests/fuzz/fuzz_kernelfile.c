/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzz target: looking for the stub page in the octets of a guest kernel's file. */
#include "config.h"
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "hypervisor/pv/kernelfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint64_t at = 0;
	/* aligned as a mapping, with its end where the octets end */
	size_t room = (len + 15) & ~15ul;
	uint8_t *copy = aligned_alloc(16, room ? room : 16);

	FUZZ_CHECK(copy);
	memcpy(copy, data, len);
	int r = pv_kernel_look(copy, len, &at);
	FUZZ_CHECK(r == -ENOEXEC ? at == 0 : r == 0 && at >= PV_STUB_CODE && at < PV_STUB_DATA);
	free(copy);
	return 0;
}
