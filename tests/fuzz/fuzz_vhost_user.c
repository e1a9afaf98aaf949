/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzz target: a stream of vhost-user messages. */
#include "config.h"
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include "hypervisor/dev/vhost_user.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint8_t config[60] = { 1, 2, 3 };
	uint8_t out[VU_MSG_MAX];

	while (len) {
		struct vu_msg m;
		const char *why = NULL;
		int n = vu_parse(data, len, &m, &why);
		FUZZ_CHECK(n >= 0 ? !why : n == -EPROTO && why);
		if (n <= 0)
			break;
		FUZZ_CHECK((size_t)n <= len && (size_t)n <= VU_MSG_MAX);
		if (m.req == VU_SET_MEM_TABLE)
			FUZZ_CHECK(m.mem.n <= VU_REGIONS_MAX);
		if (m.req == VU_GET_CONFIG || m.req == VU_SET_CONFIG) {
			FUZZ_CHECK(m.config.data + m.config.bytes <= data + n);
			size_t k = vu_reply_config(out, m.config.offset, m.config.bytes, config, sizeof(config));
			FUZZ_CHECK(k == 24 + m.config.bytes && k <= sizeof(out));
		}
		data += n;
		len -= (size_t)n;
	}
	return 0;
}
