/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzz target: the small JSON texts of migrated: journal lines, peer files, orders. The first octet chooses. */
#include "config.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>
#include "common/util.h"
#include "migrated/io/ctl.h"
#include "migrated/io/journal.h"
#include "migrated/io/peers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct journal_rec rec;
	struct peer peer;
	struct push_order order;
	struct err err = { 0 };

	if (!len)
		return 0;
	const char *text = (const char *)data + 1;
	switch (data[0] % 3) {
	case 0:
		if (journal_parse(text, len - 1, &rec) == 0)
			FUZZ_CHECK(name_is_valid(rec.name) && rec.session && rec.rec >= MIG_REC_RELINQUISHING &&
			           rec.rec <= MIG_REC_CALLED_OFF);
		break;
	case 1:
		if (peer_parse(text, len - 1, "peer", &peer, &err) == 0)
			FUZZ_CHECK(name_is_valid(peer.name) && peer.port && strlen(peer.public_key) == 40 &&
			           !strpbrk(peer.address, "/ @,;"));
		else
			FUZZ_CHECK(err.code > 0 && err.text[0]);
		break;
	default: {
		json_t *o = json_loadb(text, len - 1, 0, NULL);
		if (json_is_object(o) && ctl_parse_push(o, &order, &err) == 0)
			FUZZ_CHECK(name_is_valid(order.domain) && name_is_valid(order.host) &&
			           order.streams <= MIG_STREAMS_MAX);
		json_decref(o);
	}
	}
	return 0;
}
