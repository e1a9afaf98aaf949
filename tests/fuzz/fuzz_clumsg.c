/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzz target: messages between clusterds. What is accepted keeps the limits of docs/wire/cluster.md, and goes round as a command. */
#include "config.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>
#include "clusterd/io/cluwire.h"
#include "common/util.h"

static void check_command(const struct cluwire *w)
{
	const struct clu_cmd *c = &w->msg.cmd;
	struct buf b = { 0 };
	struct cluwire again;
	struct err err = { 0 };

	FUZZ_CHECK(c->kind > CLU_CMD_NONE && c->kind < CLU_CMD_MAX && c->origin == 3);
	FUZZ_CHECK(c->n_inventory <= CLU_INVENTORY_MAX && !memchr(c->uuid, '/', sizeof(c->uuid)));
	FUZZ_CHECK(memchr(c->name, 0, sizeof(c->name)) && memchr(c->text, 0, sizeof(c->text)));
	if (c->kind == CLU_CMD_DEFINE)
		FUZZ_CHECK(name_is_valid(c->name) && w->xml_len && w->xml_len <= CLUWIRE_XML_MAX);
	if (c->rule.n > CLU_MEMBERS_MAX)
		FUZZ_CHECK(0);
	if (cluwire_pack(&w->msg, "acme", 3, w->xml, w->xml_len, &b) == 0) {
		FUZZ_CHECK(cluwire_unpack(b.data, b.len, "acme", 3, &again, &err) == 0);
		FUZZ_CHECK(again.msg.cmd.kind == c->kind && again.msg.cmd.request == c->request);
		FUZZ_CHECK(!memcmp(&again.msg.cmd.spec, &c->spec, sizeof(c->spec)) || c->kind != CLU_CMD_DEFINE);
		cluwire_done(&again);
	}
	buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct cluwire w;
	struct err err = { 0 };

	if (cluwire_unpack(data, len, "acme", 3, &w, &err) < 0) {
		FUZZ_CHECK(err.code > 0 && err.text[0] && !w.env && !w.inventory);
		return 0;
	}
	FUZZ_CHECK(w.msg.from == 3);
	if (w.msg.kind == CLU_MSG_CMD)
		check_command(&w);
	if (w.msg.kind == CLU_MSG_SNAPSHOT)
		for (size_t i = 0; i < w.env->snapshot->n_records; i++)
			FUZZ_CHECK(w.env->snapshot->records[i]->data.len <= CLU_RECORD_MAX);
	cluwire_done(&w);
	return 0;
}
