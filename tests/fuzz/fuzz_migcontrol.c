/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzz target: control messages between migration daemons. What is accepted keeps the limits of docs/wire/migration.md. */
#include "config.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>
#include "common/util.h"
#include "migrated/io/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	Hospes__Mig__Envelope *env = NULL;
	struct mig_msg msg;
	struct err err = { 0 };
	struct buf b = { 0 };

	if (wire_unpack(data, len, &env, &msg, &err) < 0) {
		FUZZ_CHECK(!env && err.code > 0 && err.text[0]);
		return 0;
	}
	FUZZ_CHECK(msg.kind == (enum mig_msg_kind)env->body_case && (unsigned)msg.reason < MIG_REASON_MAX);
	if (msg.kind == MIG_MSG_OFFER) {
		FUZZ_CHECK(name_is_valid(env->offer->name) && env->offer->xml.len <= WIRE_XML_MAX);
		FUZZ_CHECK(env->offer->n_regions <= MIG_REGIONS_MAX && env->offer->data_key.len == WIRE_KEY_BYTES);
	}
	FUZZ_CHECK(wire_pack(env, &b) == 0);
	wire_free(env);
	env = NULL;
	/* unknown fields are kept as they came, senseless ones too, so that this may fail; it must not crash */
	if (wire_unpack(b.data, b.len, &env, &msg, &err) == 0)
		wire_free(env);
	buf_done(&b);
	return 0;
}
