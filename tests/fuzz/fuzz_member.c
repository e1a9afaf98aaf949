/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz target: what a host reads from others of membership: corosync.conf and its changes, tokens, lists of hosts. The
 * first octet chooses.
 */
#include "config.h"
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "common/util.h"
#include "tools/member_conf.h"
#include "tools/member_host.h"
#include "tools/member_token.h"

static void change(const char *text, const struct conf *c)
{
	struct conf_node n = { .id = conf_next(c), .name = "new", .addr = { "10.99.0.1" } };
	struct err err = { 0 };
	struct conf now;
	char *more = conf_add(text, &n, &err), *less;

	if (!more) {
		FUZZ_CHECK(err.code > 0 && err.text[0]);
		return;
	}
	FUZZ_CHECK(conf_parse(more, &now, &err) == 0 && now.n == c->n + 1 && conf_named(&now, "new") &&
	           now.version > c->version);
	if (now.version == UINT32_MAX) { /* the last one that there is */
		free(more);
		return;
	}
	less = conf_remove(more, "new", &err);
	FUZZ_CHECK(less && conf_parse(less, &now, &err) == 0 && now.n == c->n && !conf_named(&now, "new"));
	for (unsigned i = 0; i < c->n; i++)
		FUZZ_CHECK(conf_named(&now, c->node[i].name) && conf_named(&now, c->node[i].name)->id == c->node[i].id);
	free(less);
	free(more);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct err err = { 0 };
	struct token t;
	struct conf c;

	if (!len || len > CONF_BYTES_MAX)
		return 0;
	char *text = strndup((const char *)data + 1, len - 1);
	if (!text)
		return 0;
	if (data[0] % 3 == 0) {
		if (conf_parse(text, &c, &err) == 0)
			change(text, &c);
		else
			FUZZ_CHECK(err.code == EINVAL && err.text[0]);
	} else if (data[0] % 3 == 1) {
		FUZZ_CHECK(token_parse(text, &t, &err) == 0 || (err.code == EINVAL && err.text[0]));
	} else {
		json_t *o = json_loads(text, 0, NULL);
		struct peers ps = { 0 };

		if (o && host_peers_parse(o, &ps, &err) == 0)
			for (size_t i = 0; i < ps.n; i++)
				FUZZ_CHECK(name_is_valid(ps.p[i].name) && ps.p[i].port);
		peers_done(&ps);
		json_decref(o);
	}
	free(text);
	return 0;
}
