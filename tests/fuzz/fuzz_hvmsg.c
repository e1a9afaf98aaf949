/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzz target: the check of hypercall requests. The first octet is the number of descriptors, the rest the message. */
#include "config.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>
#include "hypervisor/api/hvmsg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct err err = { 0 };
	struct hv_msg h;

	if (!len)
		return 0;
	switch (hvmsg_check(data + 1, len - 1, data[0] % 6, &h, &err)) {
	case HVMSG_OK:
		FUZZ_CHECK(!err.code && h.magic == HV_MAGIC && h.op < HV_OP_MAX && h.len == len - 1 - sizeof(h));
		FUZZ_CHECK(strcmp(hvmsg_op_name(h.op), "unknown") != 0);
		FUZZ_CHECK(hvmsg_req_len(h.op) <= HV_PAYLOAD_MAX);
		break;
	case HVMSG_REFUSE:
		FUZZ_CHECK(h.magic == HV_MAGIC && err.code > 0 && err.text[0]);
		break;
	case HVMSG_HANGUP:
		FUZZ_CHECK(err.code > 0 && err.text[0]);
		break;
	}
	return 0;
}
